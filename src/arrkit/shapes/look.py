"""What is seen in an image of the shapes world: pixels in, objects and ground out.

Nothing here knows the scene behind a picture. Every pixel is sorted by its saturation and hue, saturated
regions are taken apart into objects, and each object is compared with the outlines of the four shapes.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arrkit.shapes.objects import (
    DARK,
    EDGE,
    FOREIGN,
    GROUND,
    Bools,
    Bytes,
    Floats,
    Seen,
    find_objects,
    sort_pixels,
)
from arrkit.shapes.scene import BACKGROUND_RGB, Background

WORKING_SIDE = 128
"""Larger images are shrunk by a whole factor to at most this many pixels a side."""

ENLARGED_SIDE = 80
"""Smaller images are enlarged twofold, so that what their edge pixels say of an outline is not lost."""

_ENLARGED_GRAIN = 1.15

SAMPLES = 24
"""The ground is remembered at SAMPLES x SAMPLES places, so that images of any size can be compared."""

_BACKGROUNDS = tuple(Background)
_PLACES = (np.arange(SAMPLES) + 0.5) / SAMPLES


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """All that is seen in one image.

    ``world`` is empty for an image of this world, else the reason why it is not; the other fields mean
    nothing then. ``ground`` holds the colours at a grid of places, (SAMPLES, SAMPLES, 3), values 0 to 255,
    and ``bare`` says which of these show the bare ground, away from objects and their shadows. ``texture`` is
    the spread of the ground's brightness about what its background should have. ``contrast``, ``coverage``,
    ``smoothness`` and ``vividness`` are general looks in [0, 1].
    """

    world: str
    objects: tuple[Seen, ...]
    background: Background
    ground: Floats
    bare: Bools
    texture: float
    contrast: float
    coverage: float
    smoothness: float
    vividness: float

    @property
    def summary(self) -> str:
        """What is seen, in a few words: "2 red circles, 1 blue star"."""
        counts = Counter((each.colour, each.shape) for each in self.objects)
        parts = [f"{n} {colour} {shape}{'s' * (n > 1)}" for (colour, shape), n in counts.items()]
        return ", ".join(parts) or "nothing"


def look_at(image: Image.Image) -> Look:
    """See one RGB image. About a millisecond at 96 pixels; never raises for an RGB image."""
    pixels = _working(image)
    if pixels is None:
        return _stranger("it is not a square of at least 32 pixels")
    classes = sort_pixels(pixels)
    counts = np.bincount(classes.ravel(), minlength=DARK + 1) / classes.size
    if counts[FOREIGN] > _MOST_FOREIGN or counts[DARK] > _MOST_DARK or counts[GROUND] < _LEAST_GROUND:
        return _stranger("its colours are not those of the shapes world")
    large = image.width > WORKING_SIDE
    if _roughness(np.asarray(image) if large else pixels) > _MOST_ROUGH:
        return _stranger("its ground is not smooth")
    objects = find_objects(classes, grain=_ENLARGED_GRAIN if image.width < ENLARGED_SIDE else 1.0)
    ground = _samples(pixels).astype(np.float64)
    bare = _bare(_samples(classes) == GROUND, objects)
    background, mismatch, brightness, texture = _read_ground(ground, bare)
    most = _MOST_MISMATCH if objects else _MOST_MISMATCH_EMPTY
    if mismatch > most or not _BRIGHTNESS[0] <= brightness <= _BRIGHTNESS[1]:
        return _stranger("its background is none of the shapes world")
    return Look(
        "", objects, background, ground, bare, texture, *_general(pixels, classes, ground[bare], texture)
    )


# The bounds of the world. Rendered scenes of all sizes and flaws stay inside: 0.34 % foreign, roughness 2.3.
_MOST_FOREIGN = 0.006
_MOST_DARK = 0.0006
_LEAST_GROUND = 0.2
_MOST_ROUGH = 4.0
# An empty patch of sky has nothing but its tint to tell it from a background; lossy compression shifts tints.
_MOST_MISMATCH, _MOST_MISMATCH_EMPTY = 13.0, 6.0
_BRIGHTNESS = (0.80, 1.04)


def _working(image: Image.Image) -> Bytes | None:
    side = image.width
    if side != image.height or side < 32:
        return None
    if side < ENLARGED_SIDE:
        return np.asarray(image.resize((2 * side, 2 * side), Image.Resampling.BICUBIC))
    factor = -(-side // WORKING_SIDE)
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def _samples(array: NDArray[np.generic]) -> NDArray[np.generic]:
    places = ((np.arange(SAMPLES) + 0.5) * array.shape[0] / SAMPLES).astype(np.intp)
    return array[np.ix_(places, places)]


def _roughness(pixels: Bytes) -> float:
    """Mean absolute second difference along some rows of the ground's green channel.

    Large images are taken as they are, since shrinking them would smooth their noise away.
    """
    rows = pixels[:: 3 * -(-len(pixels) // WORKING_SIDE)]
    green, ground = rows[..., 1].astype(np.int16), sort_pixels(rows) == GROUND
    bend = np.abs(green[:, 2:] - 2 * green[:, 1:-1] + green[:, :-2])
    counted = ground[:, 2:] & ground[:, 1:-1] & ground[:, :-2]
    return float(bend[counted].mean()) if counted.any() else 0.0


def _bare(ground: Bools, objects: tuple[Seen, ...]) -> Bools:
    """The sampled places away from every object, its blurred edge and its shadow."""
    bare = ground.copy()
    for seen in objects:
        reach = 0.75 * seen.size
        across = np.abs(_PLACES - seen.x - 0.03 * seen.size) < reach
        down = np.abs(_PLACES - seen.y - 0.06 * seen.size) < reach
        bare[np.ix_(down, across)] = False
    return bare


def _read_ground(ground: Floats, bare: Bools) -> tuple[Background, float, float, float]:
    """Which background it is, how far its tint is off, its relative brightness, its texture."""
    if bare.sum() < 24:
        bare = ground.min(axis=2) > 128
    if not bare.any():
        return _BACKGROUNDS[0], math.inf, 1.0, 0.0
    seen = ground[bare]
    expected = _expected_grounds()[:, bare]
    # Shadows and patterns darken the ground and leave its tint: compare differences between channels.
    tints = np.abs((seen[:, :2] - seen[:, 1:]) - (expected[..., :2] - expected[..., 1:])).sum(axis=2)
    best = int(tints.mean(axis=1).argmin())
    # The median, since what is left of an object smeared beyond recognition tints the ground around it.
    mismatch = float(np.median(tints[best]))
    light = seen[:, 1] / expected[best, :, 1]
    return _BACKGROUNDS[best], mismatch, float(light.mean()), float(light.std())


@lru_cache(maxsize=1)
def _expected_grounds() -> Floats:
    """What each background looks like at the sampled places: (backgrounds, SAMPLES, SAMPLES, 3)."""
    ends = np.array([BACKGROUND_RGB[background] for background in _BACKGROUNDS], float)
    down = _PLACES[:, None]
    columns = ends[:, None, 0] * (1 - down) + ends[:, None, 1] * down
    return np.repeat(columns[:, :, None, :], SAMPLES, axis=2)


def _general(
    pixels: Bytes, classes: Bytes, ground: Floats, texture: float
) -> tuple[float, float, float, float]:
    """Contrast, coverage, smoothness, vividness: each in [0, 1], none of them about the prompt."""
    body = (classes != GROUND) & (classes < EDGE)
    coverage = float(body.mean())
    # Blurred edges and a patterned ground are what disturbs a calm look.
    smoothness = math.exp(-20 * float((classes == EDGE).mean()) - 3 * texture)
    if not body.any() or not len(ground):
        return 0.0, coverage, smoothness, 0.0
    inside = pixels[body].astype(np.float64)
    contrast = float(np.linalg.norm(inside.mean(axis=0) - ground.mean(axis=0)) / 300)
    vividness = float((inside.max(axis=1) - inside.min(axis=1)).mean() / 255)
    return min(contrast, 1.0), min(coverage * 2.5, 1.0), smoothness, vividness


def _stranger(reason: str) -> Look:
    nothing = np.zeros((SAMPLES, SAMPLES, 3))
    return Look(reason, (), Background.PEARL, nothing, nothing[..., 0] > 0, 0.0, 0.0, 0.0, 0.0, 0.0)
