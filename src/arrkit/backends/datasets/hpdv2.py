"""HPDv2 (``ymhao/HPDv2``): ranked groups for testing, pairs for training; JSON and a tar.gz for each split.

A test row has ``image_path`` (names under ``test/``) and ``rank`` (of the image at the same place, smaller is
better, equal ranks are ties): each two images become a pair. ``raw_annotations`` are the rankings of single
people, from which votes are counted; an older ``test.json`` lacks them. A training row has ``file_path`` (two
names under ``train/``) and ``human_preference``, [1, 0] or [0, 1] [tgxs002/HPSv2:README.md,
:hpsv2/src/training/data.py]. The images stand in ``test.tar.gz`` and ``train.tar.gz``, or unpacked beside.

Unverified: whether the members of the archives are called ``test/NAME`` or ``NAME``; both are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from arrkit.backends.datasets import plugins
from arrkit.backends.datasets.common import (
    Group,
    Images,
    RowUnusable,
    SetPairs,
    Skips,
    numbers_of,
    pairs_in,
    text_of,
    texts_of,
    unknown_size,
)
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Label, Picture, PreferencePair, Task


def make(spec: Spec, *, data: str, revision: str, stream: bool, images: str) -> SetPairs:
    """The split that ``spec`` names. Raises ``InputError`` where its files are not to be had."""
    split = spec.model
    path = f"{split}.json"
    files = find_files(plugins.hpdv2, spec, (path,), data=data, revision=revision, stream=stream)
    shelf = Images(files, (f"{split}.tar.gz",), images)
    parse = _parse_group if split == "test" else _parse_pair

    def in_split(name: str) -> str:
        return name if name.startswith(f"{split}/") else f"{split}/{name}"

    def row_pairs(row: Mapping[str, object], number: int, origin: str) -> Iterator[PreferencePair]:
        return parse(row, f"hpdv2-{split}-{number}", origin, lambda name: shelf.picture(in_split(name)))

    def read(skips: Skips) -> Iterator[PreferencePair]:
        return pairs_in(files, path, skips, row_pairs)

    return SetPairs(spec, Task.T2I, files, read, unknown_size)


Shelf = Callable[[str], Picture]
"""The picture of a name in a row."""


def _parse_group(row: Mapping[str, object], name: str, origin: str, shelf: Shelf) -> Iterator[PreferencePair]:
    prompt, paths = text_of(row, "prompt"), texts_of(row, "image_path")
    ranks = numbers_of(row.get("rank"), len(paths))
    if ranks is None:
        raise RowUnusable("its rank does not order its images")
    group = Group(
        name, prompt, [shelf(path) for path in paths], ranks, origin, rankings=_rankings(row, paths)
    )
    return group.pairs()


def _rankings(row: Mapping[str, object], paths: list[str]) -> list[list[float]]:
    people = row.get("raw_annotations")
    if not isinstance(people, list):
        return []
    ranks = (numbers_of(person.get("rank"), len(paths)) for person in people if isinstance(person, dict))
    return [ranking for ranking in ranks if ranking is not None]


def _parse_pair(row: Mapping[str, object], name: str, origin: str, shelf: Shelf) -> Iterator[PreferencePair]:
    prompt, paths = text_of(row, "prompt"), texts_of(row, "file_path")
    preference = row.get("human_preference")
    if len(paths) != 2 or preference not in ([1, 0], [0, 1]):
        raise RowUnusable("its human_preference is neither [1, 0] nor [0, 1] for two images")
    if paths[0] == paths[1]:
        raise RowUnusable("both candidates are the same image")
    a, b = (shelf(path) for path in paths)
    label = Label.A if preference == [1, 0] else Label.B
    return iter([PreferencePair(name, Task.T2I, prompt, a, b, label, origin=origin)])
