"""ImageRewardDB (``zai-org/ImageRewardDB``, once ``THUDM/ImageRewardDB``): ranked groups of 4 to 9 images.

Three forms are read, the first that is there:

- the hub's: ``images/SPLIT/SPLIT_N.zip``, each with WebP files and a ``SPLIT_N.json``, read in place;
- the same unpacked: ``images/SPLIT/SPLIT_N/SPLIT_N.json`` beside its images;
- the group file of the authors' code, ``data/SPLIT.json`` or ``SPLIT.json``, also with ``.gz``
  [THUDM/ImageReward:data/test.json]: ``id``, ``prompt``, ``generations`` (paths) and ``ranking``.

In the first two a row is an image: ``image_path`` (``images/train/train_1/UUID.webp``), ``prompt_id``,
``prompt``, ``classification``, ``rank`` and three ratings; the rows of one ``prompt_id`` are a group,
wherever they stand in the file. 1 is the best rank; ranks may be left out, and equal ranks are ties: of the
7,230 test pairs, 6,399 are decided.

Unverified: whether the members of the zips stand in a folder; both are found. The hub's loading script and
the pair form that it makes are not used: recent versions of ``datasets`` run no scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import BinaryIO, cast
from zipfile import BadZipFile, ZipFile

from arrkit.backends.datasets import plugins
from arrkit.backends.datasets.common import (
    Group,
    Images,
    Metadata,
    RowUnusable,
    SetPairs,
    Skips,
    metadata_of,
    number_of,
    numbers_of,
    pairs_in,
    sound_rows,
    text_of,
    texts_of,
    unknown_size,
)
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import Files, matching
from arrkit.data.pairs import PreferencePair, Task
from arrkit.data.readers import rows_in, stream_rows
from arrkit.data.rows import BrokenRow, Row
from arrkit.errors import InputError, Problem

_RATINGS = ("overall_rating", "image_text_alignment_rating", "fidelity_rating")


def make(spec: Spec, *, data: str, revision: str, stream: bool, images: str) -> SetPairs:
    """The split that ``spec`` names. Raises ``InputError`` where its files are not to be had."""
    split = spec.model
    zips, folders = f"images/{split}/{split}_*.zip", f"images/{split}/{split}_*/*.json"
    groups = [f"{folder}{split}.json{end}" for folder in ("data/", "") for end in ("", ".gz")]
    needs = ((zips, folders, *groups),)
    files = find_files(plugins.imagerewarddb, spec, needs, data=data, revision=revision, stream=stream)

    def read(skips: Skips) -> Iterator[PreferencePair]:
        if parts := matching(files, zips) or matching(files, folders):
            for path in sorted(parts, key=lambda name: (len(name), name)):  # test_2 before test_10
                yield from _part(files, path, images, skips)
            return
        path = next(name for name in groups if files.has(name))
        shelf = Images(files, root=images)
        yield from pairs_in(files, path, skips, lambda row, _, origin: _group_row(row, origin, shelf))

    return SetPairs(spec, Task.T2I, files, read, unknown_size)


def _group_row(row: Mapping[str, object], origin: str, shelf: Images) -> Iterator[PreferencePair]:
    name, prompt, paths = text_of(row, "id"), text_of(row, "prompt"), texts_of(row, "generations")
    ranks = numbers_of(row.get("ranking"), len(paths))
    if ranks is None:
        raise RowUnusable("its ranking does not order its generations")
    return Group(name, prompt, [shelf.picture(path) for path in paths], ranks, origin).pairs()


def _part(files: Files, path: str, root: str, skips: Skips) -> Iterator[PreferencePair]:
    """The pairs of one part; its rows are held until its last pair, some 3,000 of them."""
    zipped = path.endswith(".zip")
    shelf = Images(files, path if zipped else "", root)
    groups: dict[str, list[tuple[Mapping[str, object], str]]] = {}
    found = _zipped_rows(files, path) if zipped else rows_in(files, path)
    for row, _, origin in sound_rows(found, files, path, skips):
        try:
            text_of(row, "prompt")
            text_of(row, "image_path")
            if number_of(row.get("rank")) is None:
                raise RowUnusable("it has no rank")
            groups.setdefault(text_of(row, "prompt_id"), []).append((row, origin))
        except RowUnusable as error:
            skips.add(origin, str(error))
    for name, rows in groups.items():
        first, origin = rows[0]
        if len(rows) < 2:
            skips.add(origin, "it is the only image of its prompt")
            continue
        yield from Group(
            id=name,
            prompt=text_of(first, "prompt"),
            candidates=[shelf.picture(text_of(row, "image_path")) for row, _ in rows],
            ranks=[cast(float, row["rank"]) for row, _ in rows],
            origin=origin,
            metadata=metadata_of(first, ("classification",)),
            of_each=[_ratings(row) for row, _ in rows],
        ).pairs()


def _ratings(row: Mapping[str, object]) -> Metadata:
    return metadata_of(row, _RATINGS)


def _zipped_rows(files: Files, path: str) -> Iterator[Row | BrokenRow]:
    """The rows of the one JSON in a zip."""
    try:
        with files.open(path) as stream, ZipFile(stream) as archive:
            name = next((name for name in archive.namelist() if name.endswith(".json")), None)
            if name is None:
                raise InputError(Problem("there is no JSON with the ranks in it", f"{files.name}/{path}"))
            with archive.open(name) as member:
                yield from stream_rows(cast(BinaryIO, member), PurePosixPath(name).name)
    except BadZipFile as error:
        raise InputError(Problem(f"the zip is damaged: {error}", f"{files.name}/{path}")) from error
