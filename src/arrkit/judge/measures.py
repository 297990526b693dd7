"""What the counts of a :class:`~arrkit.judge.tally.Tally` say of a judge.

The rules:

- A pair that people call a tie is counted, but has no right answer and does not enter accuracy.
- On other pairs an answer that names the preferred image earns 1, a judge's tie ``tie_credit``, else 0.
- A pair's score is the mean over its decided presentations (outcome ok or tie).
- Every n is a number of pairs, not of presentations: the two orders of one pair are not independent.
- abstain, refused, truncated, unparsed and failed enter coverage alone, never accuracy.

A cell is ``label * 16 + ab * 4 + ba``: what people said, what the judge chose with A shown first, and what it
chose with B shown first, each coded as below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from arrkit.judge.protocol import Outcome
from arrkit.judge.stats import (
    RESAMPLES,
    Floats,
    bootstrap_rate,
    kappas,
    mcnemar_exact,
    resample,
    wilson,
    wilson_bounds,
)
from arrkit.rubric.model import Rate

TIE_CREDIT = 0.5
"""What a judge's tie earns on a pair that people decided: as much as a guess would."""

# Labels and choices share their first three codes, so that equal codes mean agreement.
A, B, TIE, NONE = range(4)
CELLS = 48


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
    - ``both_right``: of pairs that people decided, with a decision in both orders, the share right in both.
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


@dataclass(frozen=True, slots=True)
class PairedStats:
    """What a rubric changed, on the pairs that were judged both without it and with it.

    Both scores of a pair are taken over the presentations decided both times, so that an outage in one order
    does not pass for a change; ``n`` pairs that people decided have such a presentation. ``difference`` is
    the mean change of the score, in [-1, 1], with its paired bootstrap interval; None where n is 0.

    ``better`` pairs score above 1/2 (more right than wrong) with the rubric alone, ``worse`` pairs without it
    alone; ``p`` is McNemar's exact test on these two, two-sided.
    """

    n: int
    difference: Rate | None
    better: int
    worse: int
    p: float


def judge_stats(
    cells: Sequence[int],
    outcomes: Mapping[Outcome, int],
    expected: int,
    *,
    tie_credit: float = TIE_CREDIT,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> JudgeStats:
    """The numbers that follow from the counts of pairs in each cell; see :class:`JudgeStats` for each.

    ``tie_credit`` is in [0, 1] (``ValueError`` otherwise); ``seed`` is that of the bootstrap.
    """
    weights = _weights(tie_credit)
    counts = np.array(cells, dtype=np.float64)
    draws = resample(cells, resamples, seed)
    pairs = sum(cells)
    decided = _total(counts, weights.shown)
    share = decided / expected if expected else math.nan
    return JudgeStats(
        pairs=pairs,
        ties=sum(cells[TIE * 16 :]),
        decided=decided,
        expected=expected,
        outcomes=dict(outcomes),
        tie_credit=tie_credit,
        accuracy=wilson(float(counts @ weights.score), _total(counts, weights.scored)),
        forward=wilson(float(counts @ weights.forward), _total(counts, weights.forward_shown)),
        reverse=wilson(float(counts @ weights.reverse), _total(counts, weights.reverse_shown)),
        mean=_mean(counts, weights),
        gap=_gap(counts, draws, weights),
        both_right=wilson(float(counts @ weights.both_right), _total(counts, weights.both_scored)),
        consistency=wilson(float(counts @ weights.same), _total(counts, weights.both)),
        first_rate=_first_rate(counts, draws, weights),
        kappa=_kappa(counts, draws, weights),
        coverage=Rate(share, *wilson_bounds(share, pairs), pairs) if expected else None,
    )


def paired_stats(
    joint: Mapping[int, int], *, tie_credit: float = TIE_CREDIT, resamples: int = RESAMPLES, seed: int = 0
) -> PairedStats:
    """The change that joint counts show; ``joint[before * CELLS + after]`` pairs fell into these cells.

    ``tie_credit`` and ``seed`` as in :func:`judge_stats`.
    """
    before, after = _common_scores(np.array(list(joint), dtype=np.int64), _weights(tie_credit))
    counts = np.array(list(joint.values()), dtype=np.int64)
    common = ~np.isnan(before)
    counts, before, after = counts[common], before[common], after[common]
    n = int(counts.sum())
    better = int(counts[(after > 0.5) & (before <= 0.5)].sum())
    worse = int(counts[(after <= 0.5) & (before > 0.5)].sum())
    difference = None
    if n:
        # Cells with the same change are one cell to the bootstrap: it draws from a dozen, not hundreds.
        changes, which = np.unique(np.round(after - before, 12), return_inverse=True)
        held = np.bincount(which, weights=counts).astype(np.int64)
        draws = resample(held, resamples, seed)
        difference = bootstrap_rate(float(held @ changes) / n, draws @ changes / n, n, floor=-1.0)
    return PairedStats(n, difference, better, worse, mcnemar_exact(better, worse))


def _common_scores(cells: NDArray[np.int64], weights: _Weights) -> tuple[Floats, Floats]:
    # The two scores of each joint cell over the presentations decided both times, NaN where there are none.
    before, after = np.divmod(cells, CELLS)
    forward = weights.forward_shown[before] * weights.forward_shown[after]
    reverse = weights.reverse_shown[before] * weights.reverse_shown[after]
    shown = forward + reverse
    scores = []
    for cell in (before, after):
        earned = weights.forward[cell] * forward + weights.reverse[cell] * reverse
        scores.append(np.divide(earned, shown, out=np.full(len(cells), np.nan), where=shown > 0))
    return scores[0], scores[1]


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
    shown: Floats
    first: Floats
    named: Floats
    answered: Floats
    kappa: Floats


@cache
def _weights(tie_credit: float) -> _Weights:
    if not 0 <= tie_credit <= 1:
        raise ValueError(f"tie_credit {tie_credit} is not in [0, 1]")
    label, ab, ba = np.array(list(product(range(3), range(4), range(4)))).T
    has_label = label != TIE
    forward = np.where(label == A, ab, ba)
    reverse = np.where(label == A, ba, ab)

    def credit(choice: NDArray[np.int_]) -> Floats:
        earned: Floats = np.where(choice == label, 1.0, np.where(choice == TIE, tie_credit, 0.0))
        earned[~has_label] = 0.0
        return earned

    shown = (ab != NONE) * 1.0 + (ba != NONE)
    each = np.divide(1.0, shown, out=np.zeros(CELLS), where=shown > 0)
    table = np.zeros((CELLS, 3, 3))
    for choice in (ab, ba):
        rows = np.flatnonzero(choice != NONE)
        table[rows, label[rows], choice[rows]] += each[rows]
    both = shown == 2
    return _Weights(
        forward=credit(forward),
        forward_shown=has_label * (forward != NONE) * 1.0,
        reverse=credit(reverse),
        reverse_shown=has_label * (reverse != NONE) * 1.0,
        score=(credit(forward) + credit(reverse)) * each,
        scored=has_label * (shown > 0) * 1.0,
        both_scored=has_label * both * 1.0,
        both_right=has_label * ((ab == label) & (ba == label)) * 1.0,
        both=both * 1.0,
        same=both * (ab == ba) * 1.0,
        shown=shown,
        first=(ab == A) * 1.0 + (ba == B),
        named=(ab < TIE) * 1.0 + (ba < TIE),
        answered=((ab < TIE) | (ba < TIE)) * 1.0,
        kappa=table.reshape(CELLS, 9),
    )


def _total(counts: Floats, shown: Floats) -> int:
    return int(counts @ shown)


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
    return Rate(value, *wilson_bounds(value, effective), _total(counts, weights.scored))


def _gap(counts: Floats, draws: Floats, weights: _Weights) -> Rate | None:
    def gap(samples: Floats) -> Floats:
        return _ratio(samples, weights.forward, weights.forward_shown) - _ratio(
            samples, weights.reverse, weights.reverse_shown
        )

    fewest = min(float(counts @ weights.forward_shown), float(counts @ weights.reverse_shown))
    n = _total(counts, weights.scored)
    return bootstrap_rate(float(gap(counts[None])[0]), gap(draws), n, floor=-1.0, fewest=fewest)


def _first_rate(counts: Floats, draws: Floats, weights: _Weights) -> Rate | None:
    value = float(_ratio(counts[None], weights.first, weights.named)[0])
    values = _ratio(draws, weights.first, weights.named)
    return bootstrap_rate(value, values, _total(counts, weights.answered), floor=0.0)


def _kappa(counts: Floats, draws: Floats, weights: _Weights) -> Rate | None:
    def kappa(samples: Floats) -> Floats:
        return kappas((samples @ weights.kappa).reshape(-1, 3, 3))

    value = float(kappa(counts[None])[0])
    if math.isnan(value):
        return None
    decided = round(float((counts @ weights.kappa).sum()))
    return bootstrap_rate(value, kappa(draws), decided, floor=-1.0)
