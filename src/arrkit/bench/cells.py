"""From units to numbers: pooled cells, means of cells, and intervals by drawing items anew.

Every number of the benchmarks has one form. Units fall into *cells* (a task, a dimension, a group of edits),
a cell's mean is a sum over items divided by a weight over items, and the number is some function of the
cells' means, usually their plain mean. A :class:`Tally` holds these sums for each item. That is enough for
the number itself, for its interval (items are drawn anew within their stratum) and for the difference between
two runs (the same items are drawn for both), whatever the number of units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from arrkit.bench.model import Item, Mode, Score, Status, Unit
from arrkit.errors import InputError
from arrkit.judge.stats import Floats, bootstrap_rate

Indices = NDArray[np.int64]
Combine = Callable[[Floats], Floats]
"""From the means of cells, shape (draws, cells), NaN for an empty cell, to values of shape (draws,)."""

RESAMPLES = 2000
"""How often items are drawn anew: the ends of an interval then wobble by some 3 % of its half-width."""

_AT_ONCE = 4_000_000  # weights drawn in one block: 32 MB
_STATUSES = {status: number for number, status in enumerate(Status)}


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the units that a number stands on; ``unparsed`` counts those that failed too."""

    expected: int
    scored: int
    missing: int
    unparsed: int


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """All units that were expected, in the order of the items, as arrays.

    ``at`` is the place of each unit's item in ``items``; ``values`` are NaN unless the unit is scored.
    """

    items: tuple[Item, ...]
    units: tuple[Unit, ...]
    at: Indices
    values: Floats
    statuses: NDArray[np.int8]

    def only(self, taken: Callable[[Item, Unit], bool]) -> Answers:
        """The units for which ``taken`` holds; the items stay."""
        mask = np.fromiter(
            (taken(self.items[at], unit) for at, unit in zip(self.at, self.units, strict=True)),
            bool,
            len(self.units),
        )
        return self._subset(mask)

    def where(self, mask: NDArray[np.bool_]) -> Answers:
        """The units at which ``mask``, shape (units,), is true; the items stay."""
        return self._subset(mask)

    def of_group(self, key: str, value: str) -> Answers:
        """The units of the items whose group ``key`` is ``value``."""
        held = np.array([item.groups.get(key) == value for item in self.items], bool)
        return self._subset(held[self.at])

    def group(self, key: str) -> list[str]:
        """The group ``key`` of each unit's item; empty where it has none."""
        names = [item.groups.get(key, "") for item in self.items]
        return [names[at] for at in self.at.tolist()]

    def count(self, status: Status) -> int:
        """How many units have ``status``."""
        return int((self.statuses == _STATUSES[status]).sum())

    def _subset(self, mask: NDArray[np.bool_]) -> Answers:
        units = tuple(unit for unit, taken in zip(self.units, mask.tolist(), strict=True) if taken)
        return Answers(self.items, units, self.at[mask], self.values[mask], self.statuses[mask])

    @property
    def counts(self) -> Counts:
        """What became of the units."""
        return Counts(
            len(self.units),
            self.count(Status.SCORED),
            self.count(Status.MISSING),
            self.count(Status.UNPARSED) + self.count(Status.FAILED),
        )


def one_each(item: Item) -> Iterable[tuple[int, str]]:
    """One question about each image: what is expected of an item unless its benchmark says otherwise."""
    return ((image, "") for image in range(len(item.files)))


def gather(
    items: Sequence[Item],
    units: Iterable[Unit],
    expected: Callable[[Item], Iterable[tuple[int, str]]] = one_each,
) -> Answers:
    """The units of ``items`` in order; one that is expected and not there is ``missing``.

    ``expected`` gives the (image, question) of each unit of an item, in order.

    Raises:
        InputError: a unit stands twice, or nobody asked for it.
    """
    known = {item.id: at for at, item in enumerate(items)}
    if len(known) != len(items):
        raise ValueError("two items have one id")
    held: list[dict[tuple[int, str], Unit]] = [{} for _ in items]
    for unit in units:
        place = known.get(unit.item)
        if place is None:
            raise InputError(f'there is an answer for "{unit.item}", which is no item of the benchmark')
        key = (unit.image, unit.question)
        if key in held[place]:
            raise InputError(f"there are two answers for {_called(unit)}")
        held[place][key] = unit
    all_units: list[Unit] = []
    at: list[int] = []
    for place, item in enumerate(items):
        mine = held[place]
        before = len(all_units)
        for key in expected(item):
            found = mine.pop(key, None)
            all_units.append(
                found or Unit(item=item.id, image=key[0], question=key[1], status=Status.MISSING)
            )
        if mine:
            raise InputError(f"nothing was asked that {_called(next(iter(mine.values())))} answers")
        at += [place] * (len(all_units) - before)
    values = [np.nan if unit.value is None else unit.value for unit in all_units]
    statuses = [_STATUSES[unit.status] for unit in all_units]
    return Answers(
        tuple(items),
        tuple(all_units),
        np.array(at, np.int64),
        np.array(values, np.float64),
        np.array(statuses, np.int8),
    )


def _called(unit: Unit) -> str:
    question = f', question "{unit.question}"' if unit.question else ""
    return f'image {unit.image} of "{unit.item}"{question}'


def mean_of_cells(means: Floats) -> Floats:
    """The plain mean of the cells that are not empty; NaN where all are."""
    held = np.isfinite(means)
    total: Floats = np.where(held, means, 0.0).sum(axis=-1)
    nowhere = np.full_like(total, np.nan)
    mean: Floats = np.divide(total, held.sum(axis=-1), out=nowhere, where=held.any(axis=-1))
    return mean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """One number of a table before it is summed up: what each item adds to each cell.

    The mean of a cell is the sum of its column of ``sums`` divided by that of ``weights``, both of shape
    (items, cells), and the number is ``combine`` of the means. ``strata`` names for each item the others that
    it is exchangeable with: items are drawn anew within their stratum. The rest as in
    :class:`~arrkit.bench.model.Score`.
    """

    name: str
    mode: Mode
    items: tuple[str, ...]
    strata: tuple[str, ...]
    cells: tuple[str, ...]
    sums: Floats
    weights: Floats
    counts: Counts
    combine: Combine = field(default=mean_of_cells)
    top: float = 1.0
    how: str = ""
    headline: bool = False

    def __post_init__(self) -> None:
        shape = (len(self.items), len(self.cells))
        if self.sums.shape != shape or self.weights.shape != shape or len(self.strata) != shape[0]:
            raise ValueError(f"a tally of {shape} with sums of {self.sums.shape}")

    @property
    def means(self) -> dict[str, float]:
        """The mean of each cell, NaN where it is empty."""
        means = _means(self.sums.sum(axis=0), self.weights.sum(axis=0))
        return dict(zip(self.cells, means.tolist(), strict=True))

    @property
    def value(self) -> float | None:
        """The number itself, None where nothing was scored."""
        return _number(_value(self))


def tally(
    name: str,
    mode: Mode,
    answers: Answers,
    *,
    values: Floats | None = None,
    at: Indices | None = None,
    cells: Sequence[str] | None = None,
    combine: Combine = mean_of_cells,
    top: float = 1.0,
    how: str = "",
    headline: bool = False,
) -> Tally:
    """A tally of addends: each belongs to an item, falls into a cell and has a value in [0, ``top``].

    Args:
        name: as in :class:`~arrkit.bench.model.Score`.
        mode: ``strict`` counts a value of NaN as 0, ``official`` leaves it out.
        answers: gives the counts, and the addends unless others are given.
        values: one for each addend, shape (addends,); the units' values where it is None. A rule that counts
            an unreadable answer otherwise, or sums up an item's units first, says so here.
        at: the item of each addend, as places in ``answers.items``; those of the units where it is None.
        cells: the cell of each addend; all fall into one where it is None. Cells stand in the tally in the
            order in which they first appear.
        combine: from cells' means to the number.
        top: the greatest value that there can be.
        how: one clause on how the number is made.
        headline: whether it is the number that the benchmark is known by.
    """
    at = answers.at if at is None else at
    values = answers.values if values is None else values
    names = dict.fromkeys(cells if cells is not None else [""])
    places = {each: place for place, each in enumerate(names)}
    cell = np.array([places[each] for each in cells], np.int64) if cells is not None else np.zeros_like(at)
    if not len(at) == len(values) == len(cell):
        raise ValueError(f"{len(values)} values for {len(at)} addends in {len(cell)} cells")
    held = np.isfinite(values)
    weight = np.ones(len(values)) if mode is Mode.STRICT else held.astype(np.float64)
    rows, row = np.unique(at, return_inverse=True)
    shape = (len(rows), max(1, len(names)))
    flat = row.reshape(-1) * shape[1] + cell
    sums = _pooled(flat, np.where(held, values, 0.0), shape)
    weights = _pooled(flat, weight, shape)
    falls = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape) > 0
    single = bool((falls.sum(axis=1) == 1).all())
    ordered = tuple(names) or ("",)
    strata = tuple(ordered[place] for place in falls.argmax(axis=1).tolist()) if single else ("",) * len(rows)
    return Tally(
        name=name,
        mode=mode,
        items=tuple(answers.items[place].id for place in rows.tolist()),
        strata=strata,
        cells=ordered,
        sums=sums,
        weights=weights,
        counts=answers.counts,
        combine=combine,
        top=top,
        how=how,
        headline=headline,
    )


def scores(tallies: Sequence[Tally], *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[Score, ...]:
    """The table: each number with its 95 % interval over items."""
    return tuple(_score(each, seed, resamples) for each in tallies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one run's number lies above another's, with the 95 % interval of the paired bootstrap.

    ``base`` and ``other`` are the numbers over the ``items`` that both runs have; ``value`` is their
    difference, in [-``top``, ``top``], None where one of them does not exist.
    """

    name: str
    mode: Mode
    base: float | None
    other: float | None
    value: float | None
    low: float | None
    high: float | None
    items: int
    top: float = 1.0
    headline: bool = False

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out no difference."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def differences(
    base: Sequence[Tally], other: Sequence[Tally], *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Difference, ...]:
    """The numbers that both runs have, compared on the items that both have, in the order of ``base``."""
    held = {(each.name, each.mode): each for each in other}
    return tuple(
        _difference(each, held[each.name, each.mode], seed, resamples)
        for each in base
        if (each.name, each.mode) in held
    )


def _score(each: Tally, seed: int, resamples: int) -> Score:
    value = _value(each)
    low = high = None
    if np.isfinite(value):
        drawn = _drawn([each], seed, resamples)[0]
        rate = bootstrap_rate(value / each.top, drawn / each.top, _weighty(each), floor=0.0)
        assert rate is not None
        # An official script may take values beyond the scale.
        low, high = rate.low * each.top, max(rate.high * each.top, value)
    counts = each.counts
    return Score(
        name=each.name,
        mode=each.mode,
        value=_number(value),
        low=low,
        high=high,
        expected=counts.expected,
        scored=counts.scored,
        missing=counts.missing,
        unparsed=counts.unparsed,
        top=each.top,
        how=each.how,
        headline=each.headline,
    )


def _difference(base: Tally, other: Tally, seed: int, resamples: int) -> Difference:
    both = set(base.items) & set(other.items)
    base, other = _onto(base, both), _onto(other, both)
    order = {item: row for row, item in enumerate(other.items)}
    rows = [order[item] for item in base.items]
    other = _take(other, rows)
    values = [_value(base), _value(other)]
    value = low = high = None
    if np.isfinite(values).all():
        first, second = _drawn([base, other], seed, resamples)
        value = values[1] - values[0]
        top = base.top
        fewest = min(_weighty(base), _weighty(other))
        rate = bootstrap_rate(value / top, (second - first) / top, fewest, floor=-1.0)
        assert rate is not None
        low, high = rate.low * top, rate.high * top
    return Difference(
        name=base.name,
        mode=base.mode,
        base=_number(values[0]),
        other=_number(values[1]),
        value=value,
        low=low,
        high=high,
        items=len(both),
        top=base.top,
        headline=base.headline,
    )


def _onto(each: Tally, items: set[str]) -> Tally:
    return _take(each, [row for row, item in enumerate(each.items) if item in items])


def _take(each: Tally, rows: Sequence[int]) -> Tally:
    return Tally(
        name=each.name,
        mode=each.mode,
        items=tuple(each.items[row] for row in rows),
        strata=tuple(each.strata[row] for row in rows),
        cells=each.cells,
        sums=each.sums[list(rows)],
        weights=each.weights[list(rows)],
        counts=each.counts,
        combine=each.combine,
        top=each.top,
        how=each.how,
        headline=each.headline,
    )


def _pooled(flat: Indices, addends: Floats, shape: tuple[int, int]) -> Floats:
    pooled: Floats = np.zeros(shape[0] * shape[1])
    pooled += np.bincount(flat, addends, pooled.size)
    return pooled.reshape(shape)


def _means(sums: Floats, weights: Floats) -> Floats:
    nowhere = np.full_like(sums, np.nan)
    means: Floats = np.divide(sums, weights, out=nowhere, where=weights > 0)
    return means


def _value(each: Tally) -> float:
    means = _means(each.sums.sum(axis=0), each.weights.sum(axis=0))
    return float(each.combine(means[None, :])[0])


def _weighty(each: Tally) -> int:
    """How many items have a part in the number."""
    return int(each.weights.any(axis=1).sum())


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _drawn(tallies: Sequence[Tally], seed: int, resamples: int) -> list[Floats]:
    """The values of each tally over ``resamples`` draws of their common items, shape (resamples,) each.

    Items without any weight have no part in it. Items of one stratum that add the same to every tally are
    alike, so their numbers in a draw are one draw from a multinomial distribution. Of a stratum of n items
    n - 1 are drawn: with n the variance would come out (n - 1) / n times too small, which for two items is
    half of it (J. N. K. Rao and C. F. J. Wu, "Resampling inference with complex survey data", JASA 83, 1988).
    A stratum of one stays as it is.
    """
    rng = np.random.default_rng(seed)
    table = np.concatenate([part for each in tallies for part in (each.sums, each.weights)], axis=1)
    strata: dict[str, list[int]] = {}
    for row, name in enumerate(tallies[0].strata):
        strata.setdefault(name, []).append(row)
    totals = np.zeros((resamples, table.shape[1]))
    for name in sorted(strata):
        part = table[strata[name]]
        part = part[part.any(axis=1)]
        used = np.flatnonzero(part.any(axis=0))
        if not used.size:
            continue
        kinds, counts = np.unique(part[:, used], axis=0, return_counts=True)
        n = int(counts.sum())
        step = max(1, _AT_ONCE // len(kinds))
        for start in range(0, resamples, step):
            many = min(step, resamples - start)
            draws = rng.multinomial(max(1, n - 1), counts / n, size=many).astype(np.float64)
            # Back to n items, so that a stratum keeps its weight beside the others of its cell.
            totals[start : start + many, used] += draws @ kinds * (n / max(1, n - 1))
    values = []
    start = 0
    for each in tallies:
        width = len(each.cells)
        sums, weights = totals[:, start : start + width], totals[:, start + width : start + 2 * width]
        values.append(each.combine(_means(sums, weights)))
        start += 2 * width
    return values
