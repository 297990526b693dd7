"""Counting what a judge said, and what the counts say of the judge.

One pair under one rubric falls into one of 48 cells: the human label (A, B, tie) x what the judge chose with
A shown first (A, B, tie, none) x what it chose with B shown first. All numbers follow from these counts, so
memory does not grow with the number of pairs.

The rules:

- A pair that people call a tie is counted, but has no right answer and does not enter accuracy.
- On other pairs an answer that names the preferred image earns 1, a judge's tie ``tie_credit``, else 0.
- A pair's score is the mean over its decided presentations (outcome ok or tie).
- Every n is a number of pairs, not of presentations: the two orders of one pair are not independent.
- abstain, refused, truncated, unparsed and failed enter coverage alone, never accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from arrkit.data.pairs import Label
from arrkit.judge.protocol import Order, Outcome, Side, Verdict
from arrkit.judge.stats import RESAMPLES, Floats, bootstrap_rate, kappas, resample, wilson, wilson_bounds
from arrkit.rubric.model import Rate

TIE_CREDIT = 0.5
"""What a judge's tie earns on a pair that people decided: as much as a guess would."""

# Labels and choices share their first three codes, so that equal codes mean agreement.
_A, _B, _TIE, _NONE = range(4)
_LABELS: dict[Label, int] = {Label.A: _A, Label.B: _B, Label.TIE: _TIE}
_CHOICES: tuple[Label | None, ...] = (Label.A, Label.B, Label.TIE, None)


def _code(order: Order, verdict: Verdict | None) -> int:
    if verdict is None:
        return _NONE
    if verdict.outcome is Outcome.OK:
        return _A if (verdict.preferred is Side.FIRST) is (order is Order.AB) else _B
    return _TIE if verdict.outcome is Outcome.TIE else _NONE


def chosen(order: Order, verdict: Verdict | None) -> Label | None:
    """The image that a verdict names, whatever place it stood in; None where the judge decided nothing."""
    return _CHOICES[_code(order, verdict)]


def accuracy_rule(tie_credit: float = TIE_CREDIT) -> str:
    """How accuracy is counted, in one sentence for a caption."""
    return (
        f"A judge's tie earns {tie_credit:g}; pairs that people call a tie and answers that decide nothing "
        "are left out; a pair shown in both orders counts once, with its mean score; n counts pairs."
    )


@dataclass(frozen=True, slots=True)
class JudgeStats:
    """What is known of a judge under one rubric. A rate that does not exist is None, never 0.

    ``pairs`` were tallied, ``ties`` of them are ties to people. ``decided`` of ``expected`` presentations
    ended as ok or tie, ``outcomes`` counts all endings.

    - ``accuracy``: the mean pair score, over pairs with at least one decided presentation. Wilson.
    - ``forward``, ``reverse``: the mean score with the human-preferred image shown first, second. Wilson.
    - ``mean``: of forward and reverse; equals accuracy where every pair was decided in both orders. Wilson,
      at Kish's effective sample size over the pairs' weights.
    - ``gap``: forward - reverse, in [-1, 1]. Bootstrap over pairs.
    - ``both_right``: of decided-by-people pairs with a decision in both orders, the share right in both.
      Wilson.
    - ``consistency``: of all pairs with a decision in both orders, the share where both decisions name the
      same image or both are ties. Needs no label. Wilson.
    - ``first_rate``: of all answers that name an image, the share that name the one shown first. Needs no
      label. Bootstrap over pairs.
    - ``kappa``: Cohen's kappa between people and judge over {A, B, tie}, in [-1, 1]; ties of people count
      here; a pair's decided presentations weigh 1 together. Bootstrap over pairs.
    - ``coverage``: decided / expected presentations. Wilson at the number of pairs.
    """

    pairs: int
    ties: int
    decided: int
    expected: int
    outcomes: Mapping[Outcome, int]
    tie_credit: float
    accuracy: Rate | None
    forward: Rate | None
    reverse: Rate | None
    mean: Rate | None
    gap: Rate | None
    both_right: Rate | None
    consistency: Rate | None
    first_rate: Rate | None
    kappa: Rate | None
    coverage: Rate | None


class Tally:
    """Counts of one judge under one rubric. Small, mergeable; add pairs in any order."""

    __slots__ = ("cells", "expected", "outcomes")

    def __init__(self) -> None:
        self.cells: list[int] = [0] * 48
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.expected = 0

    def add(
        self,
        label: Label,
        ab: Verdict | None = None,
        ba: Verdict | None = None,
        *,
        expected: int | None = None,
    ) -> None:
        """Count one pair: what the judge said with A shown first and with B shown first.

        None stands for a presentation without a verdict. ``expected`` is how many presentations should have
        had one (an unreadable image leaves both without), by default as many as have.
        """
        shown = 0
        if ab is not None:
            shown += 1
            self.outcomes[ab.outcome] += 1
        if ba is not None:
            shown += 1
            self.outcomes[ba.outcome] += 1
        if expected is not None and expected < shown:
            raise ValueError(f"{shown} verdicts where {expected} were expected")
        self.expected += shown if expected is None else expected
        self.cells[_LABELS[label] * 16 + _code(Order.AB, ab) * 4 + _code(Order.BA, ba)] += 1

    def merge(self, other: Tally) -> None:
        """Add all that ``other`` counted."""
        self.cells = [mine + theirs for mine, theirs in zip(self.cells, other.cells, strict=True)]
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] += count
        self.expected += other.expected

    @property
    def pairs(self) -> int:
        """How many pairs were added."""
        return sum(self.cells)

    def stats(
        self, *, tie_credit: float = TIE_CREDIT, resamples: int = RESAMPLES, seed: int = 0
    ) -> JudgeStats:
        """The numbers that follow from the counts; see :class:`JudgeStats` for each.

        ``tie_credit`` in [0, 1]; ``seed`` is that of the bootstrap.
        """
        weights = _weights(tie_credit)
        counts = np.array(self.cells, dtype=np.float64)
        draws = resample(self.cells, resamples, seed)
        decided = self.outcomes[Outcome.OK] + self.outcomes[Outcome.TIE]
        scored = weights.total(counts, weights.scored)
        return JudgeStats(
            pairs=self.pairs,
            ties=sum(self.cells[_TIE * 16 :]),
            decided=decided,
            expected=self.expected,
            outcomes=dict(self.outcomes),
            tie_credit=tie_credit,
            accuracy=wilson(float(counts @ weights.score), scored),
            forward=wilson(float(counts @ weights.forward), weights.total(counts, weights.forward_shown)),
            reverse=wilson(float(counts @ weights.reverse), weights.total(counts, weights.reverse_shown)),
            mean=_mean(counts, weights),
            gap=_gap(counts, draws, weights),
            both_right=wilson(float(counts @ weights.both_right), weights.total(counts, weights.both_scored)),
            consistency=wilson(float(counts @ weights.same), weights.total(counts, weights.both)),
            first_rate=_first_rate(counts, draws, weights),
            kappa=_kappa(counts, draws, weights),
            coverage=self._coverage(decided),
        )

    def _coverage(self, decided: int) -> Rate | None:
        if not self.expected:
            return None
        share = decided / self.expected
        return Rate(share, *wilson_bounds(share, self.pairs), self.pairs)


@dataclass(frozen=True, slots=True)
class _Weights:
    # What one pair of each of the 48 cells adds to each sum; each of shape (48,), kappa (48, 9).
    forward: Floats
    forward_shown: Floats
    reverse: Floats
    reverse_shown: Floats
    score: Floats
    scored: Floats
    both_scored: Floats
    both_right: Floats
    both: Floats
    same: Floats
    first: Floats
    named: Floats
    answered: Floats
    kappa: Floats

    @staticmethod
    def total(counts: Floats, shown: Floats) -> int:
        return int(counts @ shown)


@cache
def _weights(tie_credit: float) -> _Weights:
    if not 0 <= tie_credit <= 1:
        raise ValueError(f"tie_credit {tie_credit} is not in [0, 1]")
    label, ab, ba = np.array(list(product(range(3), range(4), range(4)))).T
    has_label = label != _TIE
    forward = np.where(label == _A, ab, ba)
    reverse = np.where(label == _A, ba, ab)

    def credit(choice: np.ndarray) -> Floats:
        return has_label * np.where(choice == label, 1.0, np.where(choice == _TIE, tie_credit, 0.0))

    shown = (ab != _NONE) * 1.0 + (ba != _NONE)
    each = np.divide(1.0, shown, out=np.zeros(48), where=shown > 0)
    table = np.zeros((48, 3, 3))
    for choice in (ab, ba):
        rows = np.flatnonzero(choice != _NONE)
        table[rows, label[rows], choice[rows]] += each[rows]
    both = shown == 2
    return _Weights(
        forward=credit(forward),
        forward_shown=has_label * (forward != _NONE) * 1.0,
        reverse=credit(reverse),
        reverse_shown=has_label * (reverse != _NONE) * 1.0,
        score=(credit(forward) + credit(reverse)) * each,
        scored=has_label * (shown > 0) * 1.0,
        both_scored=has_label * both * 1.0,
        both_right=has_label * ((ab == label) & (ba == label)) * 1.0,
        both=both * 1.0,
        same=both * (ab == ba) * 1.0,
        first=(ab == _A) * 1.0 + (ba == _B),
        named=(ab < _TIE) * 1.0 + (ba < _TIE),
        answered=((ab < _TIE) | (ba < _TIE)) * 1.0,
        kappa=table.reshape(48, 9),
    )


def _ratio(samples: Floats, above: Floats, below: Floats) -> Floats:
    denominator = samples @ below
    nowhere = np.full_like(denominator, np.nan)
    ratios: Floats = np.divide(samples @ above, denominator, out=nowhere, where=denominator > 0)
    return ratios


def _mean(counts: Floats, weights: _Weights) -> Rate | None:
    n_forward, n_reverse = float(counts @ weights.forward_shown), float(counts @ weights.reverse_shown)
    if not n_forward or not n_reverse:
        return None
    value = (float(counts @ weights.forward) / n_forward + float(counts @ weights.reverse) / n_reverse) / 2
    share = (weights.forward_shown / n_forward + weights.reverse_shown / n_reverse) / 2
    effective = 1 / float(counts @ share**2)
    return Rate(value, *wilson_bounds(value, effective), weights.total(counts, weights.scored))


def _gap(counts: Floats, draws: Floats, weights: _Weights) -> Rate | None:
    def gap(samples: Floats) -> Floats:
        return _ratio(samples, weights.forward, weights.forward_shown) - _ratio(
            samples, weights.reverse, weights.reverse_shown
        )

    fewest = min(float(counts @ weights.forward_shown), float(counts @ weights.reverse_shown))
    n = weights.total(counts, weights.scored)
    return bootstrap_rate(float(gap(counts[None])[0]), gap(draws), n, floor=-1.0, fewest=fewest)


def _first_rate(counts: Floats, draws: Floats, weights: _Weights) -> Rate | None:
    value = float(_ratio(counts[None], weights.first, weights.named)[0])
    values = _ratio(draws, weights.first, weights.named)
    return bootstrap_rate(value, values, weights.total(counts, weights.answered), floor=0.0)


def _kappa(counts: Floats, draws: Floats, weights: _Weights) -> Rate | None:
    def kappa(samples: Floats) -> Floats:
        return kappas((samples @ weights.kappa).reshape(-1, 3, 3))

    value = float(kappa(counts[None])[0])
    if math.isnan(value):
        return None
    decided = round(float((counts @ weights.kappa).sum()))
    return bootstrap_rate(value, kappa(draws), decided, floor=-1.0)
