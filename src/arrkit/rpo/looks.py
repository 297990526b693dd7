"""Simple statistics of pictures, from pixels alone: a judge can be gamed, these cannot.

They mean little for one picture. For the same prompts painted from the same noise by two models they tell
what one of them has learned beside what it was asked: to make things small, glaring or over-sharp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arrkit.judge.stats import Z95

WORKING_EDGE = 256
"""Larger pictures are shrunk by a whole factor to less than twice this."""

APART = 48.0
"""A pixel is in front where a channel differs from the background by more, of 255. A soft shadow does not."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What one picture looks like.

    The background is a plane of colour fitted to the picture's border, so that a plain ground and a gradient
    are both bare.

    Args:
        coverage: the share of pixels that differ from the background, in [0, 1].
        thickness: the area in front over its outline, as a share of the picture's side. For things of one
            shape it is proportional to their size, and the same however many there are. None for a bare one.
        saturation: mean of ``1 - min / max`` of the channels, in [0, 1].
        sharpness: mean absolute Laplacian of the brightness, as a share of white.
    """

    coverage: float
    thickness: float | None
    saturation: float
    sharpness: float


STATISTICS = tuple(field.name for field in fields(Looks))


@dataclass(frozen=True, slots=True)
class Drift:
    """How a statistic's mean moved from one set of pictures to another, painted for the same prompts.

    ``change`` is relative, -0.1 for a tenth less, with its 95 % interval from ``low`` to ``high``; ``n``
    pairs of pictures have the statistic.
    """

    base: float
    trained: float
    change: float
    low: float
    high: float
    n: int


def look(image: Image.Image) -> Looks:
    """The statistics of a picture."""
    factor = max(1, max(image.size) // WORKING_EDGE)
    small = image.convert("RGB")
    pixels = np.asarray(small.reduce(factor) if factor > 1 else small, dtype=np.float64)
    front = np.abs(pixels - _background(pixels)).max(axis=2) > APART
    outline = int((front[1:] != front[:-1]).sum() + (front[:, 1:] != front[:, :-1]).sum())
    side = math.sqrt(front.size)
    high, low = pixels.max(axis=2), pixels.min(axis=2)
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    bend = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return Looks(
        coverage=float(front.mean()),
        thickness=float(front.sum()) / outline / side if outline else None,
        saturation=float(((high - low) / np.maximum(high, 1.0)).mean()),
        sharpness=float(np.abs(bend).mean()) / 255 if bend.size else 0.0,
    )


def drifts(base: Sequence[Looks], trained: Sequence[Looks]) -> dict[str, Drift]:
    """How each statistic moved; one that does not exist, or is 0 in ``base``, is left out.

    Both sequences are of the same prompts, in the same order. The change is the ratio of the two means minus
    1; its interval is that of a ratio estimate from pairs, the mean of ``t - r b`` over the mean of ``b``
    (W. G. Cochran, "Sampling Techniques", 3rd ed., 6.4), so that what varies from prompt to prompt cancels.
    """
    old = np.array([astuple(each) for each in base], dtype=np.float64).reshape(-1, len(STATISTICS))
    new = np.array([astuple(each) for each in trained], dtype=np.float64).reshape(-1, len(STATISTICS))
    if old.shape != new.shape:
        raise ValueError(f"{len(old)} pictures of the base and {len(new)} others")
    found = {}
    for column, name in enumerate(STATISTICS):
        both = ~np.isnan(old[:, column]) & ~np.isnan(new[:, column])
        b, t = old[both, column], new[both, column]
        n = len(b)
        if n < 2 or b.mean() <= 0:
            continue
        ratio = float(t.mean() / b.mean())
        error = float(np.std(t - ratio * b, ddof=1)) / math.sqrt(n) / float(b.mean())
        change, half = ratio - 1, Z95 * error
        found[name] = Drift(float(b.mean()), float(t.mean()), change, change - half, change + half, n)
    return found


def _background(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The plane of colour that fits the better half of the border: (height, width, 3)."""
    high, wide = pixels.shape[:2]
    y, x = np.mgrid[0:high, 0:wide].astype(np.float64)
    terms = np.stack([np.ones_like(x), x / max(1, wide - 1) - 0.5, y / max(1, high - 1) - 0.5], axis=-1)
    edge = np.ones((high, wide), dtype=np.bool_)
    edge[2:-2, 2:-2] = False
    places, colours = terms[edge], pixels[edge]
    # What reaches over the edge would tilt the plane: begin at the border's commonest colour, then keep the
    # half that fits best.
    away = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
    plane = np.zeros((3, 3))
    for _ in range(3):
        kept = away <= np.median(away)
        plane = np.linalg.lstsq(places[kept], colours[kept], rcond=None)[0]
        away = np.abs(colours - places @ plane).max(axis=1)
    fitted: NDArray[np.float64] = terms @ plane
    return fitted
