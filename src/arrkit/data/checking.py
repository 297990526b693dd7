"""One pass over preference pairs that counts what there is and finds what is wrong or odd, row by row."""

from __future__ import annotations

import os
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from arrkit.data.filters import faults, left_out
from arrkit.data.pairs import ImageUnreadable, Label, PairDataset, PreferencePair, Task
from arrkit.data.readers import read_rows
from arrkit.data.rows import BrokenRow, NotAPair, ParsedRow, Row, RowRules, place_of, row_id
from arrkit.errors import InputError, Problem
from arrkit.progress import Progress, Watch, unwatched

MOST_PROBLEMS = 1000
"""After so many problems the rest of a file is not looked at."""

SHOWN = 20
"""So many pairs of each kind of trouble are named; all are counted."""

_CLOSING = "Nothing was sent to a judge."


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCheck:
    """What one pass over a file or a dataset found.

    ``labels`` counts the pairs by what people said. ``groups`` counts the groups that pairs share, ``voted``
    and ``rated`` the pairs with votes and with a confidence. ``task`` is None where the tasks of the pairs
    differ; ``other_task`` rows of a file name another task than the one asked for. ``metadata_keys`` are all
    keys that pairs may be grouped by, in alphabetical order.

    ``missing_pairs`` have an image file that does not exist, ``unreadable_pairs`` an image that cannot be
    decoded (known only where images were opened), ``odd_pairs`` something that no one would write on purpose
    (:func:`oddities`); of each the first twenty are named in ``missing``, ``unreadable`` and ``odd``.
    ``left_out`` counts the rows that a public set's reader could not use, by reason; ``unusable`` are the
    first twenty of each reason, without those that are sound but no pairs (nobody labelled them).
    """

    pairs: int
    labels: Mapping[Label, int]
    task: Task | None
    other_task: int = 0
    groups: int = 0
    voted: int = 0
    rated: int = 0
    missing_pairs: int = 0
    missing: tuple[Problem, ...] = ()
    unreadable_pairs: int = 0
    unreadable: tuple[Problem, ...] = ()
    odd_pairs: int = 0
    odd: tuple[Problem, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    unusable: tuple[Problem, ...] = ()
    metadata_keys: tuple[str, ...] = ()

    @property
    def ties(self) -> int:
        """Pairs of which people preferred neither."""
        return sum(count for label, count in self.labels.items() if not label.decided)


@dataclass(frozen=True, slots=True)
class CheckRules:
    """How hard to look.

    With ``strict`` a missing image is a problem, with ``open_images`` every image is decoded. ``thorough`` is
    for a person who asks about the file itself: oddities are looked for (and with ``strict`` are problems),
    and where there are problems all else that was found is listed with them.
    """

    strict: bool = False
    open_images: bool = False
    thorough: bool = False


def oddities(pair: PreferencePair) -> list[str]:
    """What is odd about a pair, in words: it can be used, but is hardly what its author meant."""
    found = []
    signs = sorted({sign for sign in pair.prompt if _is_control(sign)})
    if signs:
        shown = ", ".join(f"U+{ord(sign):04X}" for sign in signs[:3])
        found.append(f"the prompt holds a control character ({shown})")
    if pair.votes is not None and pair.label.decided:
        a, b = pair.votes
        if (a < b) if pair.label is Label.A else (b < a):
            found.append(f"the votes {a} : {b} contradict the label {pair.label}")
    return found


def _is_control(sign: str) -> bool:
    return sign not in "\t\n\r" and not sign.isprintable() and unicodedata.category(sign) == "Cc"


def check_dataset(dataset: PairDataset, rules: CheckRules, *, watch: Watch = unwatched) -> PairCheck:
    """Go through any dataset once; images are opened only where ``rules`` ask for it.

    Raises :class:`~arrkit.errors.InputError` where there is no pair, where the dataset itself cannot be read,
    and with ``strict`` for all that is missing, unreadable or odd.
    """
    tally = _Tally(rules)
    twice: list[Problem] = []
    ids: set[int] = set()
    total = dataset.size()
    for pair in dataset:
        tally.take(pair)
        name = hash(pair.id)  # a set of texts would be twice as large
        if name in ids and len(twice) < SHOWN:
            what = f'id "{pair.id}" stands for an earlier pair already'
            twice.append(Problem(what, pair.origin or pair.id))
        ids.add(name)
        watch(Progress("checking", tally.pairs, total))
    if not tally.pairs:
        raise InputError(f"{dataset.name} holds no pairs")
    unusable = faults(dataset)
    problems = [*twice, *((*unusable, *(problem for _, problem in tally.soft)) if rules.strict else ())]
    if problems:
        raise InputError(problems, closing=_CLOSING)
    return replace(tally.result(left_out=left_out(dataset)), unusable=unusable)


@dataclass(slots=True)
class _Tally:
    """The counts over the pairs of one pass, and what is not quite right about them (``soft``), by row."""

    rules: CheckRules
    pairs: int = 0
    labels: Counter[Label] = field(default_factory=Counter)
    tasks: set[Task] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)
    voted: int = 0
    rated: int = 0
    metadata: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[Problem]] = field(default_factory=dict)
    soft: list[tuple[int, Problem]] = field(default_factory=list)

    def take(self, pair: PreferencePair, row: int = 0, absent: Iterable[str] = ()) -> None:
        """Count a pair; ``absent`` are its image files that do not exist."""
        self.pairs += 1
        self.labels[pair.label] += 1
        self.tasks.add(pair.task)
        self.metadata.update(pair.metadata)
        self.voted += pair.votes is not None
        self.rated += pair.confidence is not None
        if pair.group:
            self.groups.add(hash(pair.group))
        where = pair.origin or pair.id
        absent = list(absent)
        self.find("missing", row, [Problem(f"there is no image {file}", where) for file in absent])
        if self.rules.open_images and not absent:
            self.find("unreadable", row, [Problem(each, where) for each in _unreadable(pair)])
        if self.rules.thorough:
            self.find("odd", row, [Problem(each, where) for each in oddities(pair)])

    def find(self, kind: str, row: int, problems: list[Problem]) -> None:
        if not problems:
            return
        self.counts[kind] += 1
        named = self.named.setdefault(kind, [])
        if len(named) < SHOWN:
            named.append(problems[0])
        if len(self.soft) < MOST_PROBLEMS:
            self.soft += [(row, problem) for problem in problems]

    def result(self, *, other_task: int = 0, left_out: Mapping[str, int] | None = None) -> PairCheck:
        return PairCheck(
            pairs=self.pairs,
            labels={label: self.labels[label] for label in Label if self.labels[label]},
            task=next(iter(self.tasks)) if len(self.tasks) == 1 else None,
            other_task=other_task,
            groups=len(self.groups),
            voted=self.voted,
            rated=self.rated,
            missing_pairs=self.counts["missing"],
            missing=tuple(self.named.get("missing", ())),
            unreadable_pairs=self.counts["unreadable"],
            unreadable=tuple(self.named.get("unreadable", ())),
            odd_pairs=self.counts["odd"],
            odd=tuple(self.named.get("odd", ())),
            left_out=left_out or {},
            metadata_keys=tuple(sorted(self.metadata)),
        )


def _unreadable(pair: PreferencePair) -> list[str]:
    found = []
    for picture in pair.pictures:
        try:
            picture.load()
        except ImageUnreadable as error:
            found.append(str(error))
        finally:
            picture.release()
    return found


@dataclass(slots=True)
class FileCheck:
    """The check of a file of rows; see :func:`arrkit.data.native.check_pairs`."""

    source: RowRules
    rules: CheckRules
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    kinds: dict[NotAPair, tuple[Row | BrokenRow, int]] = field(default_factory=dict)
    """The first row of each kind, and how many there are."""
    other_task: int = 0

    def run(self, rows: Iterator[tuple[Row | BrokenRow, ParsedRow]]) -> PairCheck:
        tally = _Tally(self.rules)
        ids = array("q")
        for row, parsed in rows:
            self.take(row, parsed, tally)
            if isinstance(row, Row):
                ids.append(hash(row_id(row)))
            if len(self.found(tally)) >= MOST_PROBLEMS:
                self.problems.append((row.number + 1, Problem("the rest of the file was not checked")))
                break
        else:
            self.same_ids(ids)
        for kind, (first, count) in self.kinds.items():
            where = f"{self.source.name}:{place_of(first)}"
            self.problems.append((first.number, not_a_pair(kind, where, count)))
        found = self.found(tally)
        if found:
            if self.rules.thorough and not self.rules.strict:
                found = [*found, *tally.soft]
            found.sort(key=lambda entry: entry[0])
            raise InputError([problem for _, problem in found], closing=_CLOSING)
        self.refuse_useless(tally)
        return tally.result(other_task=self.other_task)

    def found(self, tally: _Tally) -> list[tuple[int, Problem]]:
        return [*self.problems, *tally.soft] if self.rules.strict else self.problems

    def take(self, row: Row | BrokenRow, parsed: ParsedRow, tally: _Tally) -> None:
        self.problems += [(row.number, problem) for problem in parsed.problems]
        if parsed.kind is not None:
            first, count = self.kinds.get(parsed.kind, (row, 0))
            self.kinds[parsed.kind] = (first, count + 1)
        elif parsed.pair is not None:
            absent = [str(file) for file in parsed.files if not os.path.isfile(file)]  # noqa: PTH113 - twice as fast
            tally.take(parsed.pair, row.number, absent)
        elif not parsed.problems:
            self.other_task += 1

    def same_ids(self, hashes: array[int]) -> None:
        """Problems for ids that stand twice; the file is read again only where two hashes agree.

        Eight bytes a row are kept instead of the ids themselves.
        """
        import numpy as np

        values = np.sort(np.frombuffer(hashes, dtype=np.int64)) if hashes else np.empty(0, np.int64)
        twice = set(values[1:][values[1:] == values[:-1]].tolist())
        if not twice:
            return
        first: dict[str, str] = {}
        for row in read_rows(self.source.path):
            if isinstance(row, BrokenRow) or hash(name := row_id(row)) not in twice:
                continue
            if name not in first:
                first[name] = place_of(row)
            else:
                what = f'id "{name}" stands on line {first[name]} already'
                self.problems.append((row.number, Problem(what, f"{self.source.name}:{place_of(row)}")))
            if len(self.problems) > MOST_PROBLEMS:
                return

    def refuse_useless(self, tally: _Tally) -> None:
        name = self.source.name
        if tally.pairs == 0:
            if self.other_task:
                rows = "its one row names" if self.other_task == 1 else f"all {self.other_task} rows name"
                raise InputError(
                    f"{name} holds no pairs for the task {self.source.task}: {rows} another task",
                    hint="Name a rubric for that task (arrkit rubric list shows some), or build one: "
                    f"arrkit rubric build --pairs {name}",
                )
            raise InputError(f"{name} holds no pairs", hint="Give at least one row.")
        if not any(label.decided for label in tally.labels):
            what = "the only pair of" if tally.pairs == 1 else f"all {tally.pairs} pairs of"
            verb = "is a tie" if tally.pairs == 1 else "are ties"
            raise InputError(f"{what} {name} {verb}, which says nothing about what people prefer")


def not_a_pair(kind: NotAPair, where: str, count: int) -> Problem:
    """What is wrong with ``count`` sound rows that are no pairs, of which ``where`` is the first."""
    more = "" if count == 1 else f" (and {count - 1} more such rows)"
    if kind is NotAPair.POINTWISE:
        return Problem(
            f"label_score rates one image, and arrkit learns from pairs{more}",
            where,
            "Give two candidates of one prompt and which is better: label_rank or label.",
        )
    return Problem(
        f"more than two candidates{more}", where, "Write one row for each two candidates that people ordered."
    )
