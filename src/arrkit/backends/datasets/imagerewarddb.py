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
from typing import cast

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
    sound,
    text_of,
    texts_of,
    unknown_size,
)
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.archives import Unpacked
from arrkit.data.files import Files, matching
from arrkit.data.pairs import PreferencePair, Task
from arrkit.data.readers import rows_in
from arrkit.data.rows import place_of

_RATINGS = ("overall_rating", "image_text_alignment_rating", "fidelity_rating")


def make(spec: Spec, *, data: str, revision: str, stream: bool, images: str) -> SetPairs:
    """The split that ``spec`` names. Raises ``InputError`` where its files are not to be had."""
    split = spec.model
    zips, folders = f"images/{split}/{split}_*.zip", f"images/{split}/{split}_*/*.json"
    groups = [f"{folder}{split}.json{end}" for folder in ("data/", "") for end in ("", ".gz")]
    needs = ((zips, folders, *groups),)
    files = find_files(plugins.imagerewarddb, spec, needs, data=data, revision=revision, stream=stream)

    def read(skips: Skips) -> Iterator[PreferencePair]:
        parts = {PurePosixPath(path).stem for path in matching(files, zips)}
        parts |= {PurePosixPath(path).parent.name for path in matching(files, folders)}
        for part in sorted(parts, key=lambda name: (len(name), name)):  # test_2 before test_10
            yield from _part(files, f"images/{split}/{part}", images, skips)
        if not parts:
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


def _part(files: Files, folder: str, root: str, skips: Skips) -> Iterator[PreferencePair]:
    """The pairs of one part; its rows are held until its last pair, some 3,000 of them."""
    here = Unpacked(files, (f"{folder}.zip",))
    shelf = Images(files, (f"{folder}.zip",), root)
    path = f"{folder}/{PurePosixPath(folder).name}.json"
    groups: dict[str, list[tuple[Mapping[str, object], str]]] = {}
    for each in rows_in(here, path):
        origin = f"{path}:{place_of(each)}"
        try:
            row = sound(each, files, path)
            if number_of(row.get("rank")) is None:
                raise RowUnusable("it has no rank")
            text_of(row, "prompt")
            text_of(row, "image_path")
            groups.setdefault(text_of(row, "prompt_id"), []).append((row, origin))
        except RowUnusable as error:
            skips.add(origin, str(error))
    for name, rows in groups.items():
        first, origin = rows[0]
        if len(rows) < 2:
            skips.add(origin, "it is the only image of its prompt", fault=False)
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
