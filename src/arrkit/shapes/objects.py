"""From pixels to objects: colours sorted, regions taken apart, each read as a shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from arrkit.shapes.outlines import Outline, read_outline
from arrkit.shapes.scene import COLOUR_RGB, EXTENT, Colour, Shape

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Box = tuple[slice, slice]

_COLOURS = tuple(Colour)
GROUND, EDGE, FOREIGN, DARK = 0, len(_COLOURS) + 1, len(_COLOURS) + 2, len(_COLOURS) + 3
"""Classes of pixels; those between ``GROUND`` and ``EDGE`` are the colours in their order.

A few foreign pixels arise where a smear mixes two colours; nothing in this world is dark.
"""

_EIGHT = np.ones((3, 3), int)

# Edge pixels for each pixel of outline: of 3,000 sharp objects none passed 1.27, of 1,000 smeared ones 1 %
# stayed below 1.5 (at 96 pixels and more).
_SHARP, _SMEARED = 1.25, 1.65

# The share of an object that must be missing for it to count as not whole at all.
_MISSING = 0.3

# Objects smaller than this share of the image are specks.
_LEAST_AREA = 0.0035


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


def sort_pixels(pixels: Bytes) -> Bytes:
    """The class of every pixel of an RGB array (side, side, 3)."""
    cube = (pixels >> 2).astype(np.int32)
    classes: Bytes = _classes()[(cube[..., 0] << 12) | (cube[..., 1] << 6) | cube[..., 2]]
    return classes


@lru_cache(maxsize=1)
def _classes() -> Bytes:
    """What each cell of the colour cube is: ground, one of the colours, between the two, or foreign."""
    axis = np.arange(64) * 4 + 2.0
    rgb = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    high, low = rgb.max(1), rgb.min(1)
    saturation = (high - low) / high
    turn = _hues(rgb)[:, None] - _hues(np.array([COLOUR_RGB[colour] for colour in _COLOURS], float))
    distance = np.abs((turn + 180) % 360 - 180)
    classes = np.full(len(rgb), FOREIGN, np.uint8)
    # Shading leaves the body of an object at a saturation of 0.50 and more and the ground below 0.26.
    body = (saturation >= 0.44) & (high >= 108) & (distance.min(1) <= 27)
    classes[body] = distance.argmin(1)[body] + 1
    classes[high < 96] = DARK
    classes[(saturation < 0.44) & (high >= 108)] = EDGE
    classes[(saturation < 0.28) & (high >= 128)] = GROUND
    # The deepest shadow on the darkest background still has a channel above 170.
    classes[(saturation < 0.2) & (high >= 96) & (high < 165)] = FOREIGN
    return classes


def _hues(rgb: Floats) -> Floats:
    """Hue angle in degrees, as the phase of the colour in the plane across the grey axis."""
    r, g, b = rgb[:, 0], rgb[:, 1], rgb[:, 2]
    hues: Floats = np.degrees(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b))
    return hues


def find_objects(classes: Bytes, *, grain: float = 1.0) -> tuple[Seen, ...]:
    """The objects, from left to right.

    ``grain`` is how wide the sharpest edge is in pixels of ``classes``: above 1 for an enlarged image.
    """
    body = (classes != GROUND) & (classes < EDGE)
    labels, _ = ndimage.label(body, _EIGHT)
    least = _LEAST_AREA * classes.size
    found = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        box = (rows, columns)
        mask = labels[box] == label
        if np.count_nonzero(mask) < least:
            continue
        for colour, part, piece in _by_colour(classes, box, mask, least):
            found += [_seen(classes, *each, colour, grain) for each in _by_outline(part, piece, least)]
    return tuple(sorted(found, key=lambda seen: (seen.x, seen.y)))


def _by_colour(classes: Bytes, box: Box, mask: Bools, least: float) -> Iterator[tuple[int, Box, Bools]]:
    """A connected region taken apart by colour."""
    inside = classes[box]
    counts = np.bincount(inside[mask], minlength=EDGE)
    # Where an object meets the ground or another one, a few pixels take on a colour of neither.
    colours = np.flatnonzero(counts > max(0.12 * counts.sum(), least))
    if len(colours) == 1:
        yield int(colours[0]), box, mask
        return
    for colour in colours:
        for part, piece in _connected(box, mask & (inside == colour), least):
            # A seam between two objects is a line: it does not fill its own width.
            if min(piece.shape) >= 4:
                yield int(colour), part, piece


def _by_outline(box: Box, mask: Bools, least: float) -> list[tuple[Box, Bools, Outline]]:
    """A region of one colour taken apart where it is no shape but its narrow places are cut."""
    outline = read_outline(mask)
    if outline.share == 1:
        return [(box, mask, outline)]
    for thickness in (1, 2):
        inner = ndimage.binary_erosion(np.pad(mask, 1), _EIGHT, iterations=thickness)[1:-1, 1:-1]
        cores, _ = ndimage.label(inner, _EIGHT)
        large = np.flatnonzero(np.bincount(cores.ravel())[1:] > least / 3) + 1
        if len(large) < 2:
            continue
        nearest = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
        grown = cores[tuple(nearest)]
        parts = [
            (part, piece, read_outline(piece))
            for label in large
            for part, piece in _connected(box, mask & (grown == label), least)
        ]
        # Cutting must pay: a star that lost its arms is not two objects.
        if all(part[2].share > 0.85 for part in parts):
            return parts
    return [(box, mask, outline)]


def _connected(box: Box, mask: Bools, least: float) -> Iterator[tuple[Box, Bools]]:
    """The connected parts of ``mask``, which lies at ``box``, that are no specks."""
    labels, _ = ndimage.label(mask, _EIGHT)
    for label, part in enumerate(ndimage.find_objects(labels), start=1):
        piece = labels[part] == label
        if np.count_nonzero(piece) >= least:
            rows, columns = (
                slice(outer.start + inner.start, outer.start + inner.stop)
                for outer, inner in zip(box, part, strict=True)
            )
            yield (rows, columns), piece


def _seen(classes: Bytes, box: Box, mask: Bools, outline: Outline, colour: int, grain: float) -> Seen:
    side = classes.shape[0]
    top, left = box[0].start, box[1].start
    softness = _softness(classes, box, mask) / grain
    clean = float(np.clip((_SMEARED - softness) / (_SMEARED - _SHARP), 0, 1))
    missing = 1 - outline.share
    if top == 0 or left == 0 or box[0].stop == side or box[1].stop == side:
        missing = max(missing, 0.5 * _MISSING)
    # A smear takes away from the outline as well: that is counted once, as a smear.
    whole = 1 - min(missing / _MISSING, 1) * clean
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
    return float(np.count_nonzero(around == EDGE)) / (steps * np.pi / 4)
