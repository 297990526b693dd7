"""What is seen in an image of the shapes world: pixels in, objects and ground out.

Nothing here knows the scene behind a picture. Every pixel is sorted by its saturation and hue, saturated
regions are taken apart into objects, and each object is compared with the outlines of the four shapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from arrkit.shapes.outlines import read_outline
from arrkit.shapes.scene import BACKGROUND_RGB, COLOUR_RGB, EXTENT, Background, Colour, Shape

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WORKING_SIDE = 128
"""Larger images are shrunk by a whole factor to at most this many pixels a side."""

ENLARGED_SIDE = 80
"""Smaller images are enlarged twofold, so that what their edge pixels say of an outline is not lost."""

SAMPLES = 24
"""The ground is remembered at SAMPLES x SAMPLES places, so that images of any size can be compared."""

_COLOURS = tuple(Colour)
_BACKGROUNDS = tuple(Background)
_GROUND, _EDGE, _FOREIGN = 0, len(_COLOURS) + 1, len(_COLOURS) + 2
_EIGHT = np.ones((3, 3), int)
_PLACES = (np.arange(SAMPLES) + 0.5) / SAMPLES

# Edge pixels for each pixel of outline: sharp edges stay below the first, smears of a tenth of the side and
# more pass the second.
_SHARP, _SMEARED = 1.0, 2.0

# The share of an object that must be missing for it to count as not whole at all.
_MISSING = 0.3


@dataclass(frozen=True, slots=True)
class Seen:
    """One object as it is seen. Lengths are fractions of the image's side, y grows downwards.

    ``size`` is the diameter in the sense of :class:`~arrkit.shapes.scene.Thing`. ``whole`` is 1 for a full
    outline and falls towards 0 as parts are missing or beyond the border, ``clean`` is 1 for a sharp edge and
    falls as it is smeared.
    """

    shape: Shape
    colour: Colour
    x: float
    y: float
    size: float
    whole: float
    clean: float


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
    classes = _sorted_pixels()[_cells(pixels)]
    counts = np.bincount(classes.ravel(), minlength=_FOREIGN + 1) / classes.size
    if counts[_FOREIGN] > _MOST_FOREIGN or counts[_GROUND] < _LEAST_GROUND:
        return _stranger("its colours are not those of the shapes world")
    if _roughness(pixels, classes) > _MOST_ROUGH:
        return _stranger("its ground is not smooth")
    objects = tuple(_objects(classes))
    ground = _samples(pixels).astype(np.float64)
    bare = _bare(_samples(classes) == _GROUND, objects)
    background, mismatch, brightness, texture = _read_ground(ground, bare)
    most = _MOST_MISMATCH if objects else _MOST_MISMATCH_EMPTY
    if mismatch > most or not _BRIGHTNESS[0] <= brightness <= _BRIGHTNESS[1]:
        return _stranger("its background is none of the shapes world")
    return Look("", objects, background, ground, bare, texture, *_general(pixels, classes, ground, bare))


# The bounds of the world. Rendered scenes of all sizes and flaws stay below half of each upper bound.
_MOST_FOREIGN = 0.003
_LEAST_GROUND = 0.2
_MOST_ROUGH = 4.0
# An empty patch of sky has nothing but its tint to tell it from a background; lossy compression shifts tints.
_MOST_MISMATCH, _MOST_MISMATCH_EMPTY = 13.0, 6.0
_BRIGHTNESS = (0.80, 1.04)

# Objects smaller than this share of the image are specks.
_LEAST_AREA = 0.0035


def _working(image: Image.Image) -> Bytes | None:
    side = image.width
    if side != image.height or side < 32:
        return None
    if side < ENLARGED_SIDE:
        return np.asarray(image.resize((2 * side, 2 * side), Image.Resampling.BICUBIC))
    factor = -(-side // WORKING_SIDE)
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def _cells(pixels: Bytes) -> NDArray[np.int32]:
    """For each pixel the index of its cell in the colour cube of 64 x 64 x 64."""
    cube = (pixels >> 2).astype(np.int32)
    cells: NDArray[np.int32] = (cube[..., 0] << 12) | (cube[..., 1] << 6) | cube[..., 2]
    return cells


@lru_cache(maxsize=1)
def _sorted_pixels() -> Bytes:
    """What each cell of the colour cube is: ground, one of the colours, between the two, or foreign."""
    axis = np.arange(64) * 4 + 2.0
    rgb = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    high, low = rgb.max(1), rgb.min(1)
    saturation = (high - low) / high
    turn = _hues(rgb)[:, None] - _hues(np.array([COLOUR_RGB[colour] for colour in _COLOURS], float))
    distance = np.abs((turn + 180) % 360 - 180)
    classes = np.full(len(rgb), _FOREIGN, np.uint8)
    # Shading leaves the body of an object at a saturation of 0.50 and more and the ground below 0.26.
    body = (saturation >= 0.44) & (high >= 108) & (distance.min(1) <= 27)
    classes[body] = distance.argmin(1)[body] + 1
    classes[(saturation < 0.44) & (high >= 108)] = _EDGE
    classes[(saturation < 0.28) & (high >= 128)] = _GROUND
    return classes


def _hues(rgb: Floats) -> Floats:
    """Hue angle in degrees, as the phase of the colour in the plane across the grey axis."""
    r, g, b = rgb[:, 0], rgb[:, 1], rgb[:, 2]
    hues: Floats = np.degrees(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b))
    return hues


def _samples(array: NDArray[np.generic]) -> NDArray[np.generic]:
    places = ((np.arange(SAMPLES) + 0.5) * array.shape[0] / SAMPLES).astype(np.intp)
    return array[np.ix_(places, places)]


def _roughness(pixels: Bytes, classes: Bytes) -> float:
    """Mean absolute second difference along every third row of the ground's green channel."""
    green = pixels[::3, :, 1].astype(np.int16)
    ground = classes[::3] == _GROUND
    bend = np.abs(green[:, 2:] - 2 * green[:, 1:-1] + green[:, :-2])
    counted = ground[:, 2:] & ground[:, 1:-1] & ground[:, :-2]
    return float(bend[counted].mean()) if counted.any() else 0.0


def _objects(classes: Bytes) -> Iterator[Seen]:
    """The objects, from left to right."""
    body = (classes != _GROUND) & (classes <= len(_COLOURS))
    labels, _ = ndimage.label(body, _EIGHT)
    found: list[Seen] = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[box] == label
        if mask.sum() >= _LEAST_AREA * classes.size:
            found += _parts(classes, (box[0], box[1]), mask)
    return iter(sorted(found, key=lambda seen: (seen.x, seen.y)))


def _parts(classes: Bytes, box: tuple[slice, slice], mask: Bools) -> Iterator[Seen]:
    """A connected region taken apart by colour: one object, or several that touch."""
    inside = classes[box]
    counts = np.bincount(inside[mask], minlength=_EDGE)
    total = counts.sum()
    # Where an object meets the ground or another one, a few pixels take on a colour of neither.
    colours = np.flatnonzero(counts > max(0.12 * total, _LEAST_AREA * classes.size))
    if len(colours) == 1:
        yield _seen(classes, box, mask, int(colours[0]))
        return
    for colour in colours:
        labels, _ = ndimage.label(mask & (inside == colour), _EIGHT)
        for label, part in enumerate(ndimage.find_objects(labels), start=1):
            piece = labels[part] == label
            # A seam between two objects is a line: it does not fill its own width.
            if piece.sum() >= _LEAST_AREA * classes.size and min(piece.shape) >= 4:
                shifted = tuple(
                    slice(outer.start + inner.start, outer.start + inner.stop)
                    for outer, inner in zip(box, part, strict=True)
                )
                yield _seen(classes, (shifted[0], shifted[1]), piece, int(colour))


def _seen(classes: Bytes, box: tuple[slice, slice], mask: Bools, colour: int) -> Seen:
    side = classes.shape[0]
    outline = read_outline(mask)
    top, left = box[0].start, box[1].start
    softness = _softness(classes, box, mask)
    clean = float(np.clip((_SMEARED - softness) / (_SMEARED - _SHARP), 0, 1))
    missing = 1 - outline.share
    if top == 0 or left == 0 or box[0].stop == side or box[1].stop == side:
        missing = max(missing, 0.5 * _MISSING)
    whole = float(np.clip(1 - missing / _MISSING, 0, 1))
    return Seen(
        outline.shape,
        _COLOURS[colour - 1],
        (left + outline.left + outline.width / 2) / side,
        (top + outline.top + outline.height / 2) / side,
        outline.width / EXTENT[outline.shape][0] / side,
        whole,
        clean,
    )


def _softness(classes: Bytes, box: tuple[slice, slice], mask: Bools) -> float:
    """How wide the edge of an object is: pixels between ground and body, for each pixel of its outline."""
    reach = 2 + max(mask.shape) // 5
    around = classes[
        max(box[0].start - reach, 0) : box[0].stop + reach, max(box[1].start - reach, 0) : box[1].stop + reach
    ]
    padded = np.pad(mask, 1)
    steps = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    return float(np.count_nonzero(around == _EDGE)) / (steps * np.pi / 4)


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
    seen = ground[bare]
    expected = _expected_grounds()[:, bare]
    # Shadows and patterns darken the ground and leave its tint: compare differences between channels.
    tints = (
        np.abs((seen[:, :2] - seen[:, 1:]) - (expected[..., :2] - expected[..., 1:])).sum(axis=2).mean(axis=1)
    )
    best = int(tints.argmin())
    light = seen[:, 1] / expected[best, :, 1]
    return _BACKGROUNDS[best], float(tints[best]), float(light.mean()), float(light.std())


@lru_cache(maxsize=1)
def _expected_grounds() -> Floats:
    """What each background looks like at the sampled places: (backgrounds, SAMPLES, SAMPLES, 3)."""
    ends = np.array([BACKGROUND_RGB[background] for background in _BACKGROUNDS], float)
    down = _PLACES[:, None]
    columns = ends[:, None, 0] * (1 - down) + ends[:, None, 1] * down
    return np.repeat(columns[:, :, None, :], SAMPLES, axis=2)


def _general(pixels: Bytes, classes: Bytes, ground: Floats, bare: Bools) -> tuple[float, float, float, float]:
    """Contrast, coverage, smoothness, vividness: each in [0, 1], none of them about the prompt."""
    body = (classes != _GROUND) & (classes <= len(_COLOURS))
    coverage = float(body.mean())
    grey = pixels[::2, ::2, 1].astype(np.int16)
    bends = np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=0)).mean()
    smoothness = float(np.exp(-bends / 12))
    if not body.any() or not bare.any():
        return 0.0, coverage, smoothness, 0.0
    inside = pixels[body].astype(np.float64)
    contrast = float(np.linalg.norm(inside.mean(axis=0) - ground[bare].mean(axis=0)) / 300)
    vividness = float((inside.max(axis=1) - inside.min(axis=1)).mean() / 255)
    return min(contrast, 1.0), min(coverage * 2.5, 1.0), smoothness, vividness


def _stranger(reason: str) -> Look:
    nothing = np.zeros((SAMPLES, SAMPLES, 3))
    return Look(reason, (), Background.PEARL, nothing, nothing[..., 0] > 0, 0.0, 0.0, 0.0, 0.0, 0.0)
