"""Metrics in which a tie is an answer like any other.

A judge that compares says "tie" by itself. One that scores each image by itself almost never gives two equal
scores; a threshold on their difference makes its ties.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrkit.judge.answered import Answered, Choice
from arrkit.judge.metrics.value import Counts, MetricValue, Ratio, Unit, distinct, some, times
from arrkit.judge.stats import Floats, bootstrap_rate, resample
from arrkit.rubric.model import Rate

Ints = NDArray[np.int64]

THRESHOLDS = tuple(step / 10 for step in range(11))
"""The thresholds that Pick-a-Pic's own code tries on the difference of two probabilities."""

BINS = 256
"""Into how many parts the margins fall when the interval of a tuned threshold is drawn."""


def tie_credit(answers: Iterable[Answered], *, seed: int = 0, threshold: float | None = None) -> MetricValue:
    """Agreement in which a tie on one side alone earns half.

    Rule: 1 where people and judge say the same of {A, B, tie}, 0.5 where exactly one of them says tie, else
    0. With scores the judge's tie is ``|p(A) - p(B)| <= threshold`` for p the softmax of the two scores, that
    is ``tanh(|margin| / 2)``; the threshold is the first best of 0, 0.1 ... 1 on these pairs unless one is
    given. Denominator: pairs with a decision; failures are left out. A pair in both orders earns the mean.
    The source tunes the threshold on ``validation_unique`` and counts on ``test_unique``: give the one found
    on the first for the second. Source: yuvalkirstain/PickScore trainer/scripts/eval_preference_predictor.py.
    """
    counts = Counts()
    spoken: list[tuple[Answered, float]] = []
    scored: list[tuple[Answered, float]] = []
    for answer in distinct(answers):
        for choice in answer.shown:
            counts.see(choice)
        decisions = [choice for choice in answer.shown if choice.decided]
        if answer.margin is not None:
            scored.append((answer, math.tanh(answer.margin / 2)))
        elif decisions:
            spoken.append((answer, sum(_credit(answer, each) for each in decisions) / len(decisions)))
    tuned = threshold is None and bool(scored)
    if threshold is None:
        threshold = first_best(scored)
    ratio = Ratio()
    for answer, earned in spoken:
        ratio.add(answer, earned, 1)
    for answer, gap in scored:
        ratio.add(answer, _scored_credit(answer, gap, threshold), 1)
    note = f"Threshold {threshold:g}{', tuned on these same pairs' if tuned else ''}." if scored else ""
    return counts.value(
        "tie-credit",
        ratio.rate(seed),
        Unit.PAIRS,
        rule="1 for the same of A, B, tie; 0.5 where one side alone says tie; else 0. Judgments without a "
        "decision are left out.",
        notes=[note],
    )


def first_best(scored: Sequence[tuple[Answered, float]]) -> float:
    """The smallest of :data:`THRESHOLDS` at which the differences of probabilities earn most."""

    def earned(threshold: float) -> float:
        return sum(_scored_credit(answer, gap, threshold) for answer, gap in scored)

    return max(THRESHOLDS, key=earned)


def _credit(answer: Answered, choice: Choice) -> float:
    if choice.agrees(answer.label):
        return 1.0
    return 0.5 if choice.tied or not answer.label.decided else 0.0


def _scored_credit(answer: Answered, gap: float, threshold: float) -> float:
    if abs(gap) <= threshold:
        return _credit(answer, Choice.TIE)
    return _credit(answer, Choice.A if gap > 0 else Choice.B)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The best that a threshold on the margin can do, and the threshold that does it."""

    rate: Rate
    threshold: float


def tie_calibrated(answers: Iterable[Answered], *, seed: int = 0) -> MetricValue:
    """Three-class accuracy of a scorer at the best threshold for its ties.

    Rule: for a threshold e the judge says tie where ``|margin| <= e``, else the side with the higher score;
    the value is the greatest share of pairs on which people say the same, over e in {0} and all ``|margin|``,
    on these same pairs. Denominator: pairs with a margin. It needs scores: a judge that only compares gives
    no margin, and then there is no value. The interval draws pairs and tunes anew each time.
    Source: TIGER-AI-Lab/EditReward eval_bench.py.
    """
    counts, without = Counts(), 0
    margins: list[float] = []
    labels: list[int] = []
    for answer in distinct(answers):
        for choice in answer.shown:
            counts.see(choice)
        if answer.margin is None:
            without += any(choice.decided for choice in answer.shown)
            continue
        margins.append(answer.margin)
        labels.append(sign(answer))
    found = calibrate(margins, labels, seed) if margins else None
    return counts.value(
        "tie-calibrated",
        found.rate if found else None,
        Unit.PAIRS,
        rule="The same of A, B, tie, where a margin within a threshold is a tie; the threshold is the best "
        "on these same pairs. Pairs without scores are left out.",
        notes=[
            f"Threshold {found.threshold:.6g}."
            if found
            else "It needs a score for each image; there are none.",
            some(without, "Pairs with a choice but no scores, left out") if found else "",
        ],
    )


def sign(answer: Answered) -> int:
    """What people said: 1 for A, -1 for B, 0 for neither."""
    return (answer.label.value == "A") - (answer.label.value == "B")


def calibrate(margins: Sequence[float], labels: Sequence[int], seed: int = 0) -> Calibrated:
    """The best threshold for margins with ``labels`` in {1, -1, 0}; the smallest among equals.

    Raises ``ValueError`` where there are none.
    """
    if not margins:
        raise ValueError("no margins")
    margin, label = np.array(margins, dtype=np.float64), np.array(labels, dtype=np.int64)
    order = np.argsort(np.abs(margin), kind="stable")
    size, label, margin = np.abs(margin)[order], label[order], margin[order]
    # Within the threshold the tied are right; beyond it those whose score says what people said.
    within = (label == 0).astype(np.int64)
    beyond = ((label != 0) & (np.sign(margin) == label)).astype(np.int64)
    right = beyond.sum() + np.cumsum(within - beyond)
    # A threshold takes all margins of its size: only the last of equals is one.
    last = np.append(size[1:] != size[:-1], True)
    rung = np.cumsum(last) - last
    thresholds, right = size[last], right[last]
    if thresholds[0] > 0:
        thresholds, right = np.append(0.0, thresholds), np.append(beyond.sum(), right)
    best = int(np.argmax(right))
    rate = bootstrap_rate(
        float(right[best]) / len(size), _redrawn(rung, within, beyond, seed), len(size), floor=0.0
    )
    assert rate is not None
    return Calibrated(rate, float(thresholds[best]))


def _redrawn(rung: Ints, within: Ints, beyond: Ints, seed: int) -> Floats:
    """The value in bootstrap samples, the threshold tuned in each to the border of a bin.

    ``rung`` numbers the distinct sizes of margins, from 0; equal ones share a bin.
    """
    n, rungs = len(rung), int(rung[-1]) + 1
    bins = min(BINS, rungs)
    kind = rung * bins // rungs * 3 + within + 2 * beyond
    draws = resample(np.bincount(kind, minlength=3 * bins), times(3 * bins), seed).reshape(-1, bins, 3)
    gained = np.cumsum(draws[:, :, 1] - draws[:, :, 2], axis=1)
    best = np.maximum(gained.max(axis=1), 0.0)
    values: Floats = (draws[:, :, 2].sum(axis=1) + best) / n
    return values
