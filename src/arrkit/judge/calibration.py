"""Is a judge as sure as it is right? Reliability diagrams and the expected calibration error.

What a judge says is read as a probability and compared with what people said of the same pairs:

- ``margin``: a pair's margin m in [-1, 1] (:attr:`~arrkit.judge.judged.Judged.margin`) says "the image ahead
  is better" with the probability (1 + |m|) / 2, which for an endpoint's own probabilities is that of the
  image ahead and half of that of a tie. Compared with the share of people who preferred the image ahead.
- ``P(yes)``: the score in [0, 1] that a judge gives one image on one criterion, compared with the share of
  people who preferred that image to the other. People were not asked for criteria, so this says how well each
  yes foretells the preference, not whether the yes is true.

People's share for A is that of the votes where the dataset counts them, else 1 or 0 by the label; a pair that
people call a tie without votes is left out.

The expected calibration error is the mean distance between stated probability and observed share over ten
bins of equal width, each weighted by what falls into it: M. P. Naeini, G. F. Cooper, M. Hauskrecht,
"Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015; as a reliability diagram in
C. Guo et al., "On calibration of modern neural networks", ICML 2017. It cannot be negative, so that few pairs
make it too large.

Intervals are those of a bootstrap over pairs that needs no list of them: each pair weighs a Poisson number
with mean 1 in each resample (N. Oza, S. Russell, "Online bagging and boosting", AISTATS 2001), drawn by the
seed and the pair's id. All is counted in whole millionths, so that the order of the pairs cannot matter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from arrkit.data.pairs import PreferencePair
from arrkit.judge.judged import Judged
from arrkit.judge.protocol import Order
from arrkit.judge.stats import Floats, bootstrap_rate
from arrkit.rubric.model import Rate

BINS = 10
RESAMPLES = 500
_MILLION = 1_000_000
_ROUNDING = 1e-9  # keeps a probability on the edge of two bins out of reach of rounding

Counts = NDArray[np.int64]


class Kind(StrEnum):
    """What of a judge is read as a probability."""

    MARGIN = "margin"
    YES = "P(yes)"

    @property
    def lowest(self) -> float:
        """The least that it can be."""
        return 0.5 if self is Kind.MARGIN else 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """What was said with a probability in [``low``, ``high``): ``n`` times, ``stated`` on average.

    ``observed`` is the share of people who agreed, with an interval over pairs; its n is ``n``.
    """

    low: float
    high: float
    n: int
    stated: float
    observed: Rate


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far what a judge says is from what people say, by one way of reading it.

    ``pairs`` gave ``n`` probabilities. ``error`` is the expected calibration error in [0, 1], ``excess`` the
    mean of stated minus observed in [-1, 1]: above 0 the judge is surer than it is right. Empty bins are left
    out.
    """

    kind: Kind
    pairs: int
    n: int
    error: Rate
    excess: Rate
    bins: tuple[Bin, ...]


def share_for_a(pair: PreferencePair) -> float | None:
    """The share of people who prefer A, in [0, 1]; None where they call it a tie and nobody counted."""
    if pair.votes is not None and sum(pair.votes) > 0:
        return pair.votes[0] / sum(pair.votes)
    return float(pair.label.value == "A") if pair.label.decided else None


def pair_weights(pair: PreferencePair, seed: int) -> Counts:
    """How often a pair is drawn in the sample itself (once) and in each resample: shape (1 + RESAMPLES,)."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}/{pair.id}".encode()).digest()[:8], "big")
    weights = np.random.default_rng(drawn).poisson(1.0, 1 + RESAMPLES)
    weights[0] = 1
    return weights.astype(np.int64)


@dataclass(slots=True)
class Reliability:
    """Counts of one way of reading, in memory that does not grow with the number of pairs.

    ``sums[r, b]`` holds, of resample ``r`` and bin ``b``, how many probabilities fell into it, their sum and
    the sum of the shares observed, in millionths; ``held[b]`` how many pairs gave them.
    """

    kind: Kind
    pairs: int = 0
    sums: Counts = field(default_factory=lambda: np.zeros((1 + RESAMPLES, BINS, 3), dtype=np.int64))
    held: list[int] = field(default_factory=lambda: [0] * BINS)

    def add(self, said: list[tuple[float, float]], weights: Counts) -> None:
        """Count one pair: the probabilities stated of it, each with the share of people who agree."""
        self.pairs += 1
        lowest = self.kind.lowest
        own: dict[int, Counts] = {}
        for stated, observed in said:
            place = min(max(int((stated - lowest) / (1 - lowest) * BINS + _ROUNDING), 0), BINS - 1)
            entry = np.array([1, round(stated * _MILLION), round(observed * _MILLION)], dtype=np.int64)
            own[place] = own[place] + entry if place in own else entry
        for place, entry in own.items():
            self.sums[:, place] += weights[:, None] * entry
            self.held[place] += 1

    def calibration(self) -> Calibration | None:
        """What the counts say; None where there are none."""
        counts = self.sums[..., 0].astype(np.float64)
        stated, observed = (self.sums[..., which] / _MILLION for which in (1, 2))
        total = counts.sum(axis=1)
        if not total[0]:
            return None
        error = _ratio(np.abs(stated - observed).sum(axis=1), total)
        excess = _ratio((stated - observed).sum(axis=1), total)
        bins = []
        width = (1 - self.kind.lowest) / BINS
        for place in range(BINS):
            n = int(counts[0, place])
            if not n:
                continue
            values = _ratio(observed[:, place], counts[:, place])
            share = _rate(values, n, floor=0.0, fewest=self.held[place])
            low = self.kind.lowest + place * width
            bins.append(Bin(round(low, 6), round(low + width, 6), n, float(stated[0, place] / n), share))
        return Calibration(
            self.kind,
            self.pairs,
            int(total[0]),
            _rate(error, self.pairs, floor=0.0),
            _rate(excess, self.pairs, floor=-1.0),
            tuple(bins),
        )


class CalibrationTally:
    """Counts of one judge under one rubric, for each way of reading it."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[Kind, Reliability] = {}

    def add(self, pair: PreferencePair, judged: Judged, weights: Counts) -> None:
        """Count one pair, with its :func:`pair_weights`; nothing where people or judge say nothing."""
        share = share_for_a(pair)
        if share is None:
            return
        margin = judged.margin
        if margin is not None:
            # Of two that are even neither is ahead: whichever is taken, half of a fair crowd agrees.
            agree = share if margin > 0 else 1 - share if margin < 0 else 0.5
            self._of(Kind.MARGIN).add([((1 + min(abs(margin), 1.0)) / 2, agree)], weights)
        said = [
            each
            for a, b in yes_scores(judged)
            for each in ((min(max(a, 0.0), 1.0), share), (min(max(b, 0.0), 1.0), 1 - share))
        ]
        if said:
            self._of(Kind.YES).add(said, weights)

    def calibrations(self) -> tuple[Calibration, ...]:
        """What there is to say, margins first."""
        held = [self._kinds[kind].calibration() for kind in Kind if kind in self._kinds]
        return tuple(each for each in held if each is not None)

    def _of(self, kind: Kind) -> Reliability:
        return self._kinds.setdefault(kind, Reliability(kind))


def yes_scores(judged: Judged) -> list[tuple[float, float]]:
    """The scores of A and of B on each criterion that both have one on, each the mean over the orders."""
    found: dict[str, list[tuple[float, float]]] = {}
    for order, verdict in judged.shown:
        for finding in verdict.findings if verdict.outcome.decided else ():
            if finding.first is not None and finding.second is not None:
                both = (finding.first, finding.second)
                found.setdefault(finding.criterion, []).append(both if order is Order.AB else both[::-1])
    return [
        (sum(a for a, _ in held) / len(held), sum(b for _, b in held) / len(held)) for held in found.values()
    ]


def _ratio(above: Floats, below: Floats) -> Floats:
    nowhere = np.full_like(below, np.nan)
    ratios: Floats = np.divide(above, below, out=nowhere, where=below > 0)
    return ratios


def _rate(values: Floats, n: int, *, floor: float, fewest: int | None = None) -> Rate:
    rate = bootstrap_rate(float(values[0]), values[1:], n, floor=floor, fewest=fewest)
    assert rate is not None  # the sample itself has what is counted
    return rate
