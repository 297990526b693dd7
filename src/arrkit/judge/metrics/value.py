"""What a metric says, and the counting that all metrics share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from arrkit.errors import InputError
from arrkit.judge.answered import Answered, Choice
from arrkit.judge.stats import RESAMPLES, bootstrap_rate, resample, wilson
from arrkit.rubric.model import Rate

MOST_DRAWN = 10_000_000
"""How many cell counts a bootstrap may hold at once (80 MB); with more kinds of units it draws less often."""


class Unit(StrEnum):
    """What the n of a metric counts."""

    PAIRS = "pairs"
    JUDGMENTS = "judgments"
    GROUPS = "groups"
    PROMPTS = "prompts"


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One metric of one judge under one rubric.

    ``rate`` holds the value in [0, 1] with its 95 % interval and its n, which counts ``unit``; None where the
    value does not exist, for which ``note`` has the reason.

    ``expected`` judgments were called for on what the metric looks at; ``judged`` of them are decisions,
    ``missing`` never came (the call failed, the image could not be read, the file has none), and ``unparsed``
    came without a decision (refusals among them). ``rule`` says what counts and what becomes of these,
    ``note`` what is peculiar to this value, ``parts`` what it is made of.
    """

    name: str
    rate: Rate | None
    unit: Unit
    expected: int
    judged: int
    missing: int
    unparsed: int
    rule: str = ""
    note: str = ""
    parts: tuple[MetricValue, ...] = ()


@dataclass(slots=True)
class Counts:
    """How the judgments ended that a metric looked at."""

    expected: int = 0
    judged: int = 0
    missing: int = 0
    unparsed: int = 0

    def see(self, choice: Choice) -> None:
        """Count one presentation that was called for."""
        self.expected += 1
        self.judged += choice.decided
        self.unparsed += choice.came and not choice.decided
        self.missing += not choice.came

    def value(
        self,
        name: str,
        rate: Rate | None,
        unit: Unit,
        *,
        rule: str = "",
        notes: Iterable[str] = (),
        parts: Iterable[MetricValue] = (),
    ) -> MetricValue:
        """The metric's value with these counts; empty ``notes`` are left out."""
        said = " ".join(note for note in notes if note)
        if rate is None and not said:
            said = "Nothing here has an answer that this rule could count."
        return MetricValue(
            name,
            rate,
            unit,
            self.expected,
            self.judged,
            self.missing,
            self.unparsed,
            rule,
            said,
            tuple(parts),
        )


def distinct(answers: Iterable[Answered]) -> Iterator[Answered]:
    """The answers as they are; raises :class:`~arrkit.errors.InputError` where a pair stands there twice.

    A second answer would count the pair twice. What is kept of each is eight bytes and a place in a set.
    """
    seen: set[int] = set()
    for answer in answers:
        key = hash(answer.id)
        if key in seen:
            raise InputError(
                f'the pair "{answer.id}" has two judgments',
                hint="Keep one for each pair and rubric.",
            )
        seen.add(key)
        yield answer


class Ratio:
    """The sum of earnings over the sum of judged units, with an interval that knows which belong together.

    The pairs of one group show the same images, and the two orders of one pair the same pair: such a unit is
    drawn whole. With one unit in each it is a plain share, and the interval Wilson's; else it is a bootstrap
    over the units. Units outside a group are held as counts, so that memory grows with the groups alone.
    """

    __slots__ = ("_cells", "_groups")

    def __init__(self) -> None:
        self._cells: Counter[tuple[float, int]] = Counter()
        self._groups: dict[str, list[float]] = {}

    def add(self, answer: Answered, earned: float, judged: int) -> None:
        """What one pair earned, of ``judged`` units; nothing is judged where that is 0."""
        if not judged:
            return
        if answer.group:
            held = self._groups.setdefault(answer.group, [0.0, 0.0])
            held[0] += earned
            held[1] += judged
        else:
            self._cells[earned, judged] += 1

    def rate(self, seed: int = 0) -> Rate | None:
        """The ratio and its interval, None where nothing was judged."""
        cells = self._cells.copy()
        cells.update((earned, round(judged)) for earned, judged in self._groups.values())
        if not cells:
            return None
        kinds = np.array(sorted(cells), dtype=np.float64)
        counts = np.array([cells[earned, round(judged)] for earned, judged in kinds.tolist()], dtype=np.int64)
        earned, judged = float(counts @ kinds[:, 0]), float(counts @ kinds[:, 1])
        if (kinds[:, 1] == 1).all():
            return wilson(earned, round(judged))
        draws = resample(counts, times(len(counts)), seed)
        values = (draws @ kinds[:, 0]) / (draws @ kinds[:, 1])
        return bootstrap_rate(earned / judged, values, round(judged), floor=0.0, fewest=float(counts.sum()))


class Mean:
    """The mean of values in [0, 1], one for each independent unit, with its bootstrap interval."""

    __slots__ = ("cells",)

    def __init__(self) -> None:
        self.cells: Counter[float] = Counter()

    def add(self, value: float) -> None:
        self.cells[round(value, 12)] += 1

    def rate(self, seed: int = 0) -> Rate | None:
        """The mean and its interval, None where there is no unit."""
        return macro_rate([self], seed)


def macro_rate(means: Iterable[Mean], seed: int = 0) -> Rate | None:
    """The plain mean of the means that exist, the bootstrap drawing within each; n counts all units."""
    value, drawn, n, fewest, held = 0.0, np.zeros(1), 0, 0, 0
    each = [mean.cells for mean in means if mean.cells]
    for number, cells in enumerate(each):
        kinds = np.array(sorted(cells))
        counts = np.array([cells[kind] for kind in kinds.tolist()], dtype=np.int64)
        units = int(counts.sum())
        value = value + float(counts @ kinds) / units
        drawn = drawn + resample(counts, times(max(map(len, each))), seed + number) @ kinds / units
        n, held = n + units, held + 1
        fewest = units if not fewest else min(fewest, units)
    if not held:
        return None
    # Where each is uniform there is no spread to draw from; the smallest says how little that proves.
    return bootstrap_rate(value / held, drawn / held, n, floor=0.0, fewest=float(fewest))


def times(cells: int) -> int:
    """How many bootstrap samples are drawn of so many cells."""
    return max(200, min(RESAMPLES, MOST_DRAWN // max(1, cells)))


def some(count: int, what: str) -> str:
    """A sentence on ``count`` of something, empty for none: ``some(3, "Left out as ties")``."""
    return f"{what}: {count}." if count else ""
