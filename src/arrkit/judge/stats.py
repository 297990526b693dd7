"""The statistics of rates: pure functions of counts, each interval at 95 %.

Nothing here sees a pair. A sample of pairs that fall into finitely many cells is described wholly by the cell
counts, so memory is bounded by the number of cells, whatever the number of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arrkit.rubric.model import Rate

Floats = NDArray[np.float64]

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

RESAMPLES = 5000
"""Bootstrap resamples by default: the ends of an interval then wobble by some 2 % of its half-width."""

# Rates are ratios of small sums; what differs by less than this differs by rounding only.
EPSILON = 1e-12


def wilson_bounds(share: float, n: float) -> tuple[float, float]:
    """Wilson's score interval for a ``share`` in [0, 1] of ``n`` > 0, which may be an effective sample size.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    z2 = Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # The formula reaches 0 and 1 exactly at the ends; rounding may miss them by the last digit.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def wilson(successes: float, n: int) -> Rate | None:
    """The share ``successes / n`` with Wilson's interval, or None where ``n`` is 0.

    ``successes`` may be fractional, since a tie earns part of a success. Among all distributions on [0, 1]
    with mean p, the one on {0, 1} has the greatest variance, p(1 - p); the interval is then wider than it
    need be, never too narrow for that reason. Raises ``ValueError`` outside ``0 <= successes <= n``.
    """
    if n < 0 or not -EPSILON * n <= successes <= n * (1 + EPSILON):
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return None
    share = min(1.0, max(0.0, successes / n))
    return Rate(share, *wilson_bounds(share, n), n)


def mcnemar_exact(b: int, c: int) -> float:
    """The two-sided p-value of McNemar's exact test: of ``b + c`` discordant pairs, ``b`` fell one way.

    Twice the smaller tail of Binomial(b + c, 1/2), at most 1; 1 where nothing is discordant. Raises
    ``ValueError`` for a negative count.
    """
    if b < 0 or c < 0:
        raise ValueError(f"discordant counts {b} and {c}")
    if b + c == 0:
        return 1.0
    n, tail = b + c, np.arange(min(b, c) + 1, dtype=np.float64)
    # log C(n, k) as a running sum of log((n - k + 1) / k), since the coefficients overflow from n = 1030.
    logs = np.cumsum(np.log((n - tail[1:] + 1) / tail[1:]))
    logs = np.concatenate(([0.0], logs)) - n * math.log(2)
    return min(1.0, 2.0 * float(np.exp(logs).sum()))


def kappas(tables: Floats) -> Floats:
    """Cohen's kappa of each square table in the last two axes; NaN where chance agreement is total.

    J. Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20 (1960). Counts may be
    fractional.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
    observed = np.trace(shares, axis1=-2, axis2=-1)
    expected = (shares.sum(axis=-1) * shares.sum(axis=-2)).sum(axis=-1)
    room = 1.0 - expected
    nowhere = np.full_like(room, np.nan)
    values: Floats = np.divide(observed - expected, room, out=nowhere, where=room > EPSILON)
    return values


def cohens_kappa(table: ArrayLike) -> float | None:
    """Cohen's kappa of a square table of counts (rows one rater, columns the other), in [-1, 1].

    None where it does not exist: an empty table, or both raters always giving one and the same answer. Raises
    ``ValueError`` for a table that is not square or holds a negative count.
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError(f"kappa needs a square table of counts, not shape {counts.shape}")
    value = float(kappas(counts))
    return None if math.isnan(value) else value


def resample(counts: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """``resamples`` bootstrap samples of a sample with these cell ``counts``: shape (resamples, cells).

    Drawing n pairs with replacement and counting cells is drawing once from the multinomial distribution with
    n trials and the observed cell shares. So this is the bootstrap over pairs, and, where a cell holds what
    several conditions gave on one pair, the paired bootstrap, at a cost that does not depend on n.
    """
    cells = np.asarray(counts, dtype=np.int64)
    draws = np.zeros((resamples, cells.size))
    held = np.flatnonzero(cells)
    if held.size:
        n = int(cells.sum())
        # Empty cells are never drawn; leaving them out makes sparse tables cheap.
        draws[:, held] = np.random.default_rng(seed).multinomial(n, cells[held] / n, size=resamples)
    return draws


def percentiles(values: Floats) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of bootstrap ``values``, leaving NaN out."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("the statistic exists in no resample")
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)


def bootstrap(
    counts: ArrayLike, statistic: Callable[[Floats], Floats], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of ``statistic`` over bootstrap samples of pairs.

    Args:
        counts: how many pairs fell into each cell, shape (cells,).
        statistic: takes counts of shape (resamples, cells), returns values of shape (resamples,), NaN where
        the
            statistic does not exist.
        resamples: how many samples are drawn.
        seed: equal seeds give equal intervals.
    """
    return percentiles(statistic(resample(counts, resamples, seed)))


def bootstrap_rate(
    value: float, values: Floats, n: int, *, floor: float, fewest: float | None = None
) -> Rate | None:
    """A statistic that is a mean over pairs, with the percentile interval of its bootstrap ``values``.

    None where ``value`` is NaN. The statistic lies in [``floor``, 1] and ``n`` pairs enter it. Where all
    pairs are alike, resampling shows no spread at all, however few they are. Then the interval comes from
    Wilson's upper bound e = z² / (m + z²) on the share of unseen kinds of pairs, each taken to be as far off
    as can be: [value - e (value - floor), value + e (1 - value)], where m is ``fewest``, or ``n`` where that
    is not given.
    """
    if math.isnan(value):
        return None
    low, high = percentiles(values)
    if high - low < EPSILON:
        unseen = Z95**2 / ((n if fewest is None else fewest) + Z95**2)
        low, high = value - unseen * (value - floor), value + unseen * (1 - value)
    return Rate(value, max(floor, min(low, value)), min(1.0, max(high, value)), n)
