"""Some of a dataset's pairs: by their metadata and confidence, drawn at random, the first few.

The steps are taken in this order: ``where``, ``min_confidence``, ``sample``, ``limit``. Pairs are streamed
and no image is opened; ``sample`` goes through the dataset once more than the others, to learn what there is
to draw from. What each step leaves out is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from arrkit.data.pairs import PairDataset, PreferencePair, Task
from arrkit.data.sampling import Draw, group_mark
from arrkit.errors import InputError, Problem, nearest

NO_VALUE = "(none)"
"""How the value of a metadata field is shown that a pair does not have."""

_SHOWN_VALUES = 20

Where = Mapping[str, tuple[str, ...]]
"""The values that a field may have, by field; every field must hold."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pairs to take.

    ``where`` are texts such as ``category=anime``: several values of one field are alternatives, several
    fields must all hold. With ``min_confidence`` a pair without a confidence is left out, so that each pair
    taken has the one asked for. ``sample`` draws so many by ``seed``, whole groups at a time
    (:class:`~arrkit.data.sampling.Draw`); ``limit`` then takes the first ones.
    """

    where: tuple[str, ...] = ()
    min_confidence: float | None = None
    sample: int | None = None
    seed: int = 0
    limit: int | None = None


@dataclass(slots=True)
class Taken:
    """How many pairs of a dataset were read, what each step left out, and how many are ``kept``.

    ``unfit`` do not fit ``where``; ``below`` have a lower confidence than asked for and ``unrated`` none at
    all; ``undrawn`` were not in the sample. Where ``limit`` ended the reading, ``read`` says how far it went.
    """

    read: int = 0
    unfit: int = 0
    below: int = 0
    unrated: int = 0
    undrawn: int = 0
    kept: int = 0

    def reasons(self, selection: Selection) -> dict[str, int]:
        """How many were left out, by the reason in words; nothing for a step that left out none."""
        least = f"--min-confidence {selection.min_confidence}"
        counts = {
            f"does not fit {' '.join(f'--where {each}' for each in selection.where)}": self.unfit,
            f"is below {least}": self.below,
            f"has no confidence to hold against {least}": self.unrated,
            f"was not drawn by --sample {selection.sample}": self.undrawn,
        }
        return {reason: count for reason, count in counts.items() if count}


def parse_where(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The fields and values of ``field=value`` texts; :class:`~arrkit.errors.InputError` for another text."""
    found: dict[str, tuple[str, ...]] = {}
    problems = []
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            hint = "Write a metadata field, = and the value that it must have: --where category=anime"
            problems.append(Problem(f'"{text}" is no field=value', "--where", hint))
        else:
            found[name.strip()] = (*found.get(name.strip(), ()), value.strip())
    if problems:
        raise InputError(problems)
    return found


def field_text(pair: PreferencePair, name: str) -> str:
    """A metadata field as reports show it; :data:`NO_VALUE` where the pair does not have it."""
    return str(pair.metadata.get(name, NO_VALUE))


def fits(pair: PreferencePair, where: Where) -> bool:
    """Whether every field of ``where`` has one of its values; ``true`` fits as JSON and Python write it."""
    return all(_is_one_of(pair.metadata.get(name, NO_VALUE), values) for name, values in where.items())


def _is_one_of(value: str | int | float | bool, texts: Sequence[str]) -> bool:
    shown = str(value)
    if isinstance(value, bool):
        return any(text.lower() == shown.lower() for text in texts)
    return shown in texts or (isinstance(value, float) and f"{value:g}" in texts)


class Selected:
    """The pairs of a dataset that a selection takes; itself a :class:`~arrkit.data.pairs.PairDataset`.

    Raises :class:`~arrkit.errors.InputError` for a ``where`` that cannot be read, and at the end of a pass in
    which nothing fitted.
    """

    def __init__(self, dataset: PairDataset, selection: Selection) -> None:
        self.dataset = dataset
        self.selection = selection
        self._where = parse_where(selection.where)
        self._taken = Taken()
        self._draw: Draw | None = None

    @property
    def name(self) -> str:
        """The dataset's name, and in brackets what was taken of it."""
        asked = self.selection
        steps = [f"{name}={' or '.join(values)}" for name, values in self._where.items()]
        steps += [f"confidence from {asked.min_confidence:g}"] if asked.min_confidence is not None else []
        steps += [f"{asked.sample} drawn"] if asked.sample is not None else []
        steps += [f"first {asked.limit}"] if asked.limit is not None else []
        return f"{self.dataset.name} ({', '.join(steps)})" if steps else self.dataset.name

    @property
    def task(self) -> Task | None:
        return self.dataset.task

    @property
    def taken(self) -> Taken:
        """The counts of the pass that went furthest so far."""
        return self._taken

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many pairs were left out by each reason, those that the dataset left out itself included."""
        return {**left_out(self.dataset), **self._taken.reasons(self.selection)}

    def size(self) -> int | None:
        """How many there are, or at most are, where that is known without going through them."""
        asked = self.selection
        if asked.sample is not None:
            size = None if self._draw is None else self._draw.total
        else:
            size = None if self._filters else self.dataset.size()
        known = [each for each in (size, asked.limit) if each is not None]
        return min(known, default=None)

    def __iter__(self) -> Iterator[PreferencePair]:
        taken = Taken()
        seen: dict[str, dict[str, None]] = {name: {} for name in self._where}
        highest = self._drawn().highest if self.selection.sample is not None else None
        try:
            for pair in self._fitting(taken, seen):
                if highest is not None and group_mark(pair, self.selection.seed) > highest:
                    taken.undrawn += 1
                    continue
                taken.kept += 1
                yield pair
                if taken.kept == self.selection.limit:
                    break
        finally:
            if taken.read >= self._taken.read:
                self._taken = taken
        if taken.read and not taken.kept:
            raise InputError(self._nothing_left(taken, seen))

    @property
    def _filters(self) -> bool:
        return bool(self._where) or self.selection.min_confidence is not None

    def _fitting(self, taken: Taken, seen: dict[str, dict[str, None]]) -> Iterator[PreferencePair]:
        least = self.selection.min_confidence
        for pair in self.dataset:
            taken.read += 1
            if not fits(pair, self._where):
                taken.unfit += 1
                for name, values in seen.items():
                    if len(values) < _SHOWN_VALUES:
                        values[field_text(pair, name)] = None
            elif least is not None and pair.confidence is None:
                taken.unrated += 1
            elif least is not None and pair.confidence is not None and pair.confidence < least:
                taken.below += 1
            else:
                yield pair

    def _drawn(self) -> Draw:
        if self._draw is None:
            draw = Draw(self.selection.sample or 0)
            for pair in self._fitting(Taken(), {}):
                draw.offer(group_mark(pair, self.selection.seed))
            draw.close()
            self._draw = draw
        return self._draw

    def _nothing_left(self, taken: Taken, seen: Mapping[str, Mapping[str, None]]) -> list[Problem]:
        name = self.dataset.name
        if taken.unfit < taken.read:
            most = (
                "none has a confidence" if taken.unrated == taken.read - taken.unfit else "none has so much"
            )
            what = f"no pair of {name} has a confidence of {self.selection.min_confidence} or more: {most}"
            return [Problem(what, "--min-confidence", "Leave it out, or ask for less.")]
        problems = []
        for field, values in self._where.items():
            there = [value for value in seen[field] if value not in values]
            if len(there) < len(seen[field]):
                continue
            if there == [NO_VALUE]:
                problems.append(Problem(f'no pair of {name} has the metadata field "{field}"', "--where"))
                continue
            close = next((hint for value in values if (hint := nearest(value, there))), "")
            shown = f"{', '.join(there)}{', ...' if len(there) == _SHOWN_VALUES else ''}"
            what = f"no pair of {name} has {field}={' or '.join(values)}{close}"
            problems.append(Problem(what, "--where", f"Its values: {shown}."))
        return problems or [Problem(f"no pair of {name} fits all of {', '.join(self._where)}", "--where")]


def left_out(dataset: PairDataset) -> Mapping[str, int]:
    """What a dataset says it left out in its last pass, by reason; nothing where it does not say."""
    found: Mapping[str, int] = getattr(dataset, "left_out", {})
    return found


def unfiltered(dataset: PairDataset) -> PairDataset:
    """The dataset of which a selection takes pairs; itself where none does."""
    while isinstance(dataset, Selected):
        dataset = dataset.dataset
    return dataset


def faults(dataset: PairDataset) -> tuple[Problem, ...]:
    """What a dataset says was wrong with the first rows that it could not use in its last pass."""
    found: tuple[Problem, ...] = getattr(unfiltered(dataset), "faults", ())
    return found


def select(dataset: PairDataset, selection: Selection) -> PairDataset:
    """The pairs that ``selection`` takes; the dataset itself where it takes all."""
    return dataset if selection == Selection(seed=selection.seed) else Selected(dataset, selection)
