"""What the adapters of public sets share: ids, groups made into pairs, rows that cannot be used, images.

A set's rows are read by a function of the adapter; :class:`SetPairs` makes a dataset of it. A row that
cannot be used is raised as :class:`RowUnusable`, counted, and passed over. No image is opened before someone
looks at it, and no row is held once its pairs are made.

Ids are row numbers or the set's own, and pictures are named by their files: neither tells which candidate is
preferred, even where the set keeps that in the order of its columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import PurePosixPath
from typing import BinaryIO

from arrkit.backends.spec import Spec
from arrkit.data.archives import Unpacked
from arrkit.data.files import MAX_IMAGE_BYTES, Files, LocalFiles
from arrkit.data.images import picture_from_stream
from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.data.readers import rows_in
from arrkit.data.rows import BrokenRow, Row, place_of
from arrkit.errors import InputError, Problem

NAMED = 20
"""So many of the rows that cannot be used are named for each reason; all are counted."""

MOST_NAMED = 1000
"""So many are named for all reasons together, since some reasons (of broken JSON) are each row's own."""

Metadata = dict[str, str | int | float | bool]


class RowUnusable(Exception):
    """A row is no pair; the message says why, in one clause that other such rows share."""


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that was passed over; ``fault`` says that something is wrong with it."""

    origin: str
    reason: str
    fault: bool = True


@dataclass(slots=True)
class Skips:
    """The rows that one pass could not use: how many for each reason, and the first of them by name.

    With ``strict`` a faulty one ends the pass.
    """

    counts: Counter[str] = field(default_factory=Counter)
    rows: list[SkippedRow] = field(default_factory=list)
    strict: bool = False

    def add(self, origin: str, reason: str, *, fault: bool = True) -> None:
        """Count one row; a sound one that is no pair, such as one that nobody labelled, is no ``fault``.

        Raises ``InputError`` for a fault with ``strict``.
        """
        if self.strict and fault:
            raise InputError(Problem(f"the row cannot be used: {reason}", origin))
        self.counts[reason] += 1
        if self.counts[reason] <= NAMED and len(self.rows) < MOST_NAMED:
            self.rows.append(SkippedRow(origin, reason, fault))


Read = Callable[[Skips], Iterator[PreferencePair]]
"""One pass over a set: yields its pairs and counts the rows it cannot use."""


class SetPairs:
    """The pairs of one split; a :class:`~arrkit.data.pairs.PairDataset` that reads its files on each pass.

    ``size`` gives the number of pairs where it is known without a pass. After a pass ``skipped`` are the
    first rows that it could not use and ``left_out`` how many there were for each reason. ``strict`` ends a
    pass at the first faulty one.
    """

    def __init__(
        self, spec: Spec, task: Task | None, files: Files, read: Read, size: Callable[[], int | None]
    ) -> None:
        self._spec, self._task, self._files = spec, task, files
        self._read, self._size = read, size
        self._skips = Skips()
        self.strict = False

    @property
    def name(self) -> str:
        """The spec, with the commit where the files are the hub's."""
        options = {**self._spec.options}
        if self._files.revision:
            options["revision"] = self._files.revision
        return str(replace(self._spec, options=options))

    @property
    def task(self) -> Task | None:
        """The task of all pairs, or None where rows differ."""
        return self._task

    @property
    def revision(self) -> str:
        """The commit of the files on the hub; empty for a folder."""
        return self._files.revision

    @property
    def skipped(self) -> Sequence[SkippedRow]:
        """The first rows that the last pass could not use, of each reason."""
        return tuple(self._skips.rows)

    @property
    def faults(self) -> tuple[Problem, ...]:
        """The same as problems, without the sound rows that are no pairs."""
        return tuple(Problem(row.reason, row.origin) for row in self._skips.rows if row.fault)

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many rows the last pass could not use, for each reason."""
        return dict(self._skips.counts)

    def __iter__(self) -> Iterator[PreferencePair]:
        """The pairs in the order of the files.

        Raises ``InputError`` where a file cannot be read to its end, and where not one row can be used.
        """
        skips = self._skips = Skips(strict=self.strict)
        any_pair = False
        try:
            for pair in self._read(skips):
                any_pair = True
                yield pair
        except OSError as error:
            raise InputError(f"cannot read {self._files.name}: {error.strerror or error}") from error
        if not any_pair and skips.rows:
            first, count = skips.rows[0], skips.counts.total()
            rows = "its one row" if count == 1 else f"none of its {count} rows"
            verb = "cannot" if count == 1 else "can"
            raise InputError(
                Problem(f"{rows} {verb} be used: {first.reason}", f"{self._files.name}/{first.origin}")
            )

    def size(self) -> int | None:
        """How many pairs there are, or None where only a pass tells."""
        return self._size()


def unknown_size() -> None:
    """The size of a set that must be read to be counted."""
    return


Parse = Callable[[Mapping[str, object], int, str], Iterable[PreferencePair]]
"""The pairs of one row, given its number (from 1) and its origin; raises :class:`RowUnusable`."""


def pairs_in(files: Files, path: str, skips: Skips, parse: Parse) -> Iterator[PreferencePair]:
    """The pairs of the rows of a JSON array or JSONL file, also gzipped.

    Raises ``InputError`` where the file cannot be read to its end, ``OSError`` where not at all.
    """
    for row in rows_in(files, path):
        origin = f"{path}:{place_of(row)}"
        try:
            yield from parse(sound(row, files, path), row.number, origin)
        except RowUnusable as error:
            skips.add(origin, str(error))


def sound(row: Row | BrokenRow, files: Files, path: str) -> dict[str, object]:
    """The object that a row is; raises :class:`RowUnusable` where it is none.

    Raises ``InputError`` where nothing behind it can be read either.
    """
    if isinstance(row, BrokenRow):
        if row.last:
            raise InputError(Problem(row.what, f"{files.name}/{path}:{place_of(row)}", row.hint))
        raise RowUnusable(row.what)
    if not isinstance(row.value, dict):
        raise RowUnusable("it is not an object")
    return row.value


def text_of(row: Mapping[str, object], key: str) -> str:
    """The text under a key; raises :class:`RowUnusable` where there is none."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RowUnusable(f"it has no {key}")
    return value


def texts_of(row: Mapping[str, object], key: str) -> list[str]:
    """The list of texts under a key; raises :class:`RowUnusable` where there is none, or not two."""
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise RowUnusable(f"it has no list {key} of texts")
    if len(value) < 2:
        raise RowUnusable(f"{key} has fewer than two")
    return value


def numbers_of(value: object, count: int) -> list[float] | None:
    """A list of so many numbers, or None for anything else."""
    if not isinstance(value, list) or len(value) != count:
        return None
    found = [number for each in value if (number := number_of(each)) is not None]
    return found if len(found) == count else None


def number_of(value: object) -> float | None:
    """A number, or None for anything else; ``True`` is none, and neither is a number beyond all bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < float("inf") else None


def metadata_of(row: Mapping[str, object], keys: Sequence[str]) -> Metadata:
    """The plain values under ``keys``; what is absent or null stays out."""
    return {key: value for key in keys if isinstance(value := row.get(key), str | int | float | bool)}


def by_rank(a: float, b: float) -> Label:
    """The label of two ranks, of which the smaller one is better."""
    return Label.A if a < b else Label.B if b < a else Label.TIE


@dataclass(frozen=True, slots=True)
class Group:
    """Candidates for one prompt, with their ranks (smaller is better) in the same order.

    ``of_each`` is metadata of the candidates: of a pair, ``model`` becomes ``model_a`` and ``model_b``.
    ``rankings`` are those of single people, from which votes are counted; each is as long as the candidates.
    """

    id: str
    prompt: str
    candidates: Sequence[Picture]
    ranks: Sequence[float]
    origin: str
    metadata: Metadata = field(default_factory=dict)
    of_each: Sequence[Metadata] = ()
    rankings: Sequence[Sequence[float]] = ()

    def pairs(self, task: Task = Task.T2I) -> Iterator[PreferencePair]:
        """Each two candidates once: (0, 1), (0, 2), ... Their ids count the candidates from 1."""
        for i, j in combinations(range(len(self.candidates)), 2):
            metadata: Metadata = {**self.metadata, "rank_a": self.ranks[i], "rank_b": self.ranks[j]}
            if self.of_each:
                metadata |= {f"{key}_a": value for key, value in self.of_each[i].items()}
                metadata |= {f"{key}_b": value for key, value in self.of_each[j].items()}
            votes = None
            if self.rankings:
                chosen = [by_rank(ranking[i], ranking[j]) for ranking in self.rankings]
                votes = (chosen.count(Label.A), chosen.count(Label.B))
            yield PreferencePair(
                id=f"{self.id}-{i + 1}-{j + 1}",
                task=task,
                prompt=self.prompt,
                a=self.candidates[i],
                b=self.candidates[j],
                label=by_rank(self.ranks[i], self.ranks[j]),
                group=self.id,
                votes=votes,
                metadata=metadata,
                origin=self.origin,
            )


class Images:
    """The images of a set, by the paths that its rows name; nothing is opened before the first look.

    They are the set's ``files``, or members of the archives there that the patterns fit. With ``root`` they
    are looked for in that folder instead, unpacked or in such archives: the whole path or, since it may be a
    folder that the paths begin with, what is left of the path without its first folders.
    """

    def __init__(self, files: Files, archives: Sequence[str] = (), root: str = "") -> None:
        self.rooted = bool(root)
        self.plain: Files = LocalFiles(root) if root else files
        self.files: Files = Unpacked(self.plain, archives) if archives else self.plain

    def picture(self, path: str) -> Picture:
        """The image at a path."""
        return picture_from_stream(partial(self._open, path), path, MAX_IMAGE_BYTES)

    def _open(self, path: str) -> BinaryIO:
        if self.rooted:
            parts = PurePosixPath(path).parts
            shorter = ["/".join(parts[start:]) for start in range(len(parts))]
            if found := next((name for name in shorter if self.plain.has(name)), ""):
                return self.plain.open(found)
            path = shorter[-1]  # an archive gives it from whichever folder it has it in
        return self.files.open(path)
