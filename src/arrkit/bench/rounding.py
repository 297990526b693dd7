"""Rounding inside a score, as the benchmarks' own scripts do it."""

from __future__ import annotations

import numpy as np

from arrkit.judge.stats import Floats

_NEAR = 1e-6


def rounded(values: Floats, decimals: int) -> Floats:
    """``values`` rounded one by one, exactly as ``round(x, decimals)`` and ``f"{x:.{decimals}f}"`` do.

    ``numpy.round`` multiplies first, and so takes the wrong side of a half now and then. NaN stays.
    """
    values = np.asarray(values, np.float64)
    scale = 10.0**decimals
    scaled = values * scale
    out: Floats = np.rint(scaled) / scale
    near = np.abs(scaled - np.floor(scaled) - 0.5) < _NEAR
    if near.any():
        out[near] = [round(each, decimals) for each in values[near].tolist()]
    return out
