"""The refiner: l1-regularised logistic regression on score differences, and the rewards it leads to.

All of it is arithmetic on matrices; no judge is asked. A row is a pair, always as preferred image less other
image, so that exchanging A and B together with the label changes nothing, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrkit.judge.stats import RESAMPLES, percentiles, wilson
from arrkit.rubric.model import Rate

Floats = NDArray[np.float64]

STEPS = 16
"""How many values of C the path has at the most."""
SPAN = 500.0
"""How many times as large as the first value of C, at which the first weight leaves zero, the last one is."""
PATIENCE = 3
"""After so many steps without a lower validation loss the path ends: beyond it, criteria are only added."""
RIDGE = 1e-2
"""Keeps the unpenalised fit finite where criteria tell all pairs apart."""
LONGEST = 4.0
"""The longest step of that fit in any weight."""
LEAST_SHARE = 0.02
"""A weight below this share of the largest is taken for zero: it could decide only between equals."""


@dataclass(frozen=True, slots=True)
class Step:
    """One value of C on the path, and what keeping the best criteria at it comes to on validation pairs.

    ``weights`` has one entry a candidate, zero for those not kept. ``accuracy`` is the share of pairs ranked
    as people did, ``loss`` the mean logistic loss.
    """

    c: float
    weights: tuple[float, ...]
    accuracy: float
    loss: float

    @property
    def array(self) -> Floats:
        """The weights, shape (candidates,)."""
        return np.asarray(self.weights)

    @property
    def kept(self) -> int:
        """How many criteria have a weight."""
        return sum(weight > 0 for weight in self.weights)


@dataclass(frozen=True, slots=True)
class Refined:
    """The path in rising C, and the step chosen on it."""

    path: tuple[Step, ...]
    chosen: int

    @property
    def step(self) -> Step:
        """The step chosen."""
        return self.path[self.chosen]

    @property
    def weights(self) -> Floats:
        """The weights of the step chosen, shape (candidates,)."""
        return self.step.array


def fit_weights(differences: Floats, c: float) -> Floats:
    """The weights that minimise ``|w|_1 + c * sum log(1 + exp(-w . d))``, which may be negative.

    Equation 2 of arXiv 2605.17602, restricted to the working set as in its equation 3, with ``c`` the inverse
    of the penalty's strength, by scikit-learn's liblinear solver without intercept.

    Args:
        differences: preferred image's scores less the other's, shape (pairs, candidates), in [-1, 1].
        c: above 0; the larger, the more weights differ from zero.
    """
    from sklearn import __version__  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    pairs, candidates = differences.shape
    if pairs < 2 or not differences.any():
        return np.zeros(candidates)
    # The solver wants two classes. Every other row is turned round with its label, which leaves the loss as
    # it is; which rows depends on their place alone.
    signs = np.where(np.arange(pairs) % 2 == 0, 1.0, -1.0)
    newer = tuple(int(part) for part in __version__.split(".")[:2]) >= (1, 8)
    penalty: dict[str, Any] = {"l1_ratio": 1.0} if newer else {"penalty": "l1"}
    model = LogisticRegression(
        solver="liblinear", fit_intercept=False, C=c, random_state=0, max_iter=1000, **penalty
    )
    model.fit(differences * signs[:, None], signs)
    return np.asarray(model.coef_[0], dtype=np.float64)


def keep_top(weights: Floats, top: int) -> Floats:
    """The ``top`` largest positive weights, all others zero (section 4.2.2). Earlier ones win ties."""
    kept = np.zeros_like(weights)
    if weights.size and weights.max() > 0:
        least = LEAST_SHARE * weights.max()
        for index in np.argsort(-weights, kind="stable")[:top]:
            if weights[index] >= least:
                kept[index] = weights[index]
    return kept


def refine_weights(train: Floats, validation: Floats, *, top: int, c: float | None = None) -> Refined:
    """Fit the weights of a working set and keep the ``top`` largest positive ones.

    Without ``c`` it is chosen on the validation pairs: of all steps whose loss is within one standard error
    (of the paired difference) of the lowest, the one with the smallest ``c``, hence the fewest criteria. What
    is kept there must then earn its place on all pairs (:func:`earning`), since at 256 pairs chance alone
    gives many an unrelated statement a weight.

    Args:
        train: differences of shape (pairs, candidates), as for :func:`fit_weights`.
        validation: differences of other pairs; where there are none, those of ``train`` serve.
        top: how many criteria may have a weight.
        c: fixes C, and takes the largest weights as they are, as the paper does.
    """
    looked_at = validation if len(validation) else train
    if c is not None:
        return Refined((_step(keep_top(fit_weights(train, c), top), looked_at, c),), 0)
    pull = float(np.abs(train.sum(axis=0)).max()) if train.size else 0.0
    if pull == 0:
        return Refined((_step(np.zeros(train.shape[1]), looked_at, 1.0),), 0)
    steps: list[Step] = []
    losses: list[Floats] = []
    best, since = math.inf, 0
    # The gradient at zero is half the sum of the differences: up to C = 2 / pull all weights are zero.
    for value in np.geomspace(2.2 / pull, 2.2 / pull * SPAN, STEPS):
        weights = keep_top(fit_weights(train, float(value)), top)
        steps.append(_step(weights, looked_at, float(value)))
        losses.append(np.logaddexp(0.0, -(looked_at @ weights)))
        since = 0 if steps[-1].loss < best else since + 1
        best = min(best, steps[-1].loss)
        if since == PATIENCE:
            break
    lowest = min(range(len(steps)), key=lambda index: steps[index].loss)
    chosen = next(index for index in range(lowest + 1) if _near(losses[index] - losses[lowest]))
    everything = np.concatenate([train, validation]) if len(validation) else train
    kept = earning(everything, steps[chosen].array)
    steps[chosen] = _step(kept, looked_at, steps[chosen].c)
    return Refined(tuple(steps), chosen)


def earning(differences: Floats, weights: Floats) -> Floats:
    """``weights`` without those of criteria that do not earn their place.

    Each must lower the deviance of an unpenalised fit of those kept by more than ``log(pairs) +
    log(candidates)``, what the extended Bayesian information criterion asks of a parameter that was picked
    out of so many (J. Chen and Z. Chen, Biometrika 95, 2008, with gamma 1/2). The one that lowers it least
    goes first; the last one stays.
    """
    pairs, candidates = differences.shape
    bar = math.log(max(2, pairs)) + math.log(max(1, candidates))
    kept = [int(index) for index in np.flatnonzero(weights)]
    while len(kept) > 1:
        full = _deviance(differences[:, kept])
        rises = [_deviance(differences[:, [*kept[:i], *kept[i + 1 :]]]) - full for i in range(len(kept))]
        least = int(np.argmin(rises))
        if rises[least] > bar:
            break
        kept.pop(least)
    result = np.zeros_like(weights)
    result[kept] = weights[kept]
    return result


def _deviance(columns: Floats) -> float:
    """Twice the logistic loss at its minimum, found by Newton's steps."""
    weights = np.zeros(columns.shape[1])
    eye = RIDGE * np.eye(len(weights))
    for _ in range(50):
        odds = 1.0 / (1.0 + np.exp(np.clip(columns @ weights, -500.0, 500.0)))
        slope = columns.T @ odds - RIDGE * weights
        curve = (columns * (odds * (1.0 - odds))[:, None]).T @ columns + eye
        step = np.linalg.solve(curve, slope)
        # Where pairs are all but told apart, a full step overshoots.
        weights = weights + step * min(1.0, LONGEST / max(float(np.abs(step).max()), LONGEST))
        if float(np.abs(step).max()) < 1e-6:
            break
    return 2.0 * float(np.logaddexp(0.0, -(columns @ weights)).sum())


def _near(excess: Floats) -> bool:
    """Whether a step's losses exceed those of the best one by a standard error at the most."""
    error = float(excess.std(ddof=1)) / math.sqrt(len(excess)) if len(excess) > 1 else 0.0
    return float(excess.mean()) <= error


def _step(weights: Floats, validation: Floats, c: float) -> Step:
    margins = validation @ weights
    loss = float(np.logaddexp(0.0, -margins).mean()) if len(margins) else 0.0
    return Step(c, tuple(weights.tolist()), accuracy_of(margins), loss)


def rewards(scores: Floats, weights: Floats) -> Floats:
    """The reward of each image, ``sum_k w_k s_k`` (section 4.1): shape (images,) from (images, criteria)."""
    return np.asarray(scores @ weights, dtype=np.float64)


def credits_of(margins: Floats) -> Floats:
    """1 for each pair whose preferred image has the higher reward, 0.5 for a tie, else 0."""
    return np.where(margins > 0, 1.0, np.where(margins == 0, 0.5, 0.0))


def accuracy_of(margins: Floats) -> float:
    """The share of pairs ranked as people did; a tie earns half. 0 where there are none."""
    return float(credits_of(margins).mean()) if len(margins) else 0.0


def accuracy_rate(margins: Floats) -> Rate | None:
    """:func:`accuracy_of` with Wilson's interval; None where there are no pairs."""
    return wilson(float(credits_of(margins).sum()), len(margins))


def change_rate(margins: Floats, other: Floats, *, seed: int = 0) -> Rate | None:
    """By how much the accuracy of ``margins`` is above that of ``other``, on the same pairs.

    With the 95 % interval of the paired bootstrap; None where there are no pairs.
    """
    if not len(margins):
        return None
    gains = credits_of(margins) - credits_of(other)
    draws = np.random.default_rng(seed).integers(0, len(gains), (min(RESAMPLES, 2000), len(gains)))
    low, high = percentiles(gains[draws].mean(axis=1))
    value = float(gains.mean())
    return Rate(value, min(low, value), max(high, value), len(gains))


def uniform(weights: Floats) -> Floats:
    """The same criteria, each with the mean weight: what learning the weights is held against."""
    kept = weights > 0
    return np.where(kept, weights.sum() / max(1, int(kept.sum())), 0.0)


def labels_kept(weights: Floats) -> Sequence[int]:
    """The indices of the kept candidates, heaviest first."""
    return [int(index) for index in np.argsort(-weights, kind="stable") if weights[index] > 0]
