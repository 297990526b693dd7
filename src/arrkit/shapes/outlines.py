"""Which of the four shapes a region is, and how much of it is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from arrkit.shapes.render import render
from arrkit.shapes.scene import EXTENT, Background, Colour, Scene, Shape, Thing

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SHAPES = tuple(Shape)
_CELLS = 16
_FINE = 96

# Undamaged objects of 9 pixels and more stay below both, by a factor of about 1.5.
_FIT_ERROR = 0.07
_FIT_ASPECT = 0.16


@dataclass(frozen=True, slots=True)
class Outline:
    """A region read as a shape.

    ``left``, ``top``, ``width`` and ``height`` are the box of the whole shape in pixels of the region's
    array, and may reach beyond it where a part is missing. ``share`` is how much of the shape's area is
    there, 1 for all of it.
    """

    shape: Shape
    left: float
    top: float
    width: float
    height: float
    share: float


@lru_cache(maxsize=1)
def _masks() -> NDArray[np.bool_]:
    """The four shapes, each filling its box: (4, _FINE, _FINE). Taken from rendered pictures."""
    masks = []
    for shape in _SHAPES:
        scene = Scene((Thing(shape, Colour.BLUE, 0.5, 0.5, 0.7),), Background.PEARL)
        pixels = np.asarray(render(scene, 256)).astype(np.int16)
        body = pixels[..., 2] - pixels[..., 0] > 60
        rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
        box = body[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        masks.append(box[np.ix_(_places(box.shape[0], _FINE), _places(box.shape[1], _FINE))])
    return np.stack(masks)


@lru_cache(maxsize=512)
def _places(length: int, count: int) -> NDArray[np.intp]:
    """``count`` indices spread evenly over ``length``."""
    return ((np.arange(count) + 0.5) * length / count).astype(np.intp)


@lru_cache(maxsize=1)
def _templates() -> Floats:
    """Share of each of _CELLS x _CELLS cells that a shape fills: (4, _CELLS * _CELLS)."""
    step = _FINE // _CELLS
    cells: Floats = _masks().reshape(len(_SHAPES), _CELLS, step, _CELLS, step).mean(axis=(2, 4))
    return cells.reshape(len(_SHAPES), -1)


@lru_cache(maxsize=1)
def _aspects() -> Floats:
    """Logarithm of width over height of each shape."""
    aspects = np.array([EXTENT[shape][0] / EXTENT[shape][1] for shape in _SHAPES])
    logarithms: Floats = np.log(aspects)
    return logarithms


def read_outline(mask: Bools) -> Outline:
    """The shape that best explains ``mask``, a region cut out to its bounding box."""
    height, width = mask.shape
    cells = mask[np.ix_(_places(height, _CELLS), _places(width, _CELLS))].ravel()
    errors = np.abs(_templates() - cells).mean(axis=1)
    skew = np.abs(_aspects() - np.log(width / height))
    # One pixel more or less matters more to a small object.
    slack = 1.2 / min(width, height)
    best = int(np.argmin(errors + 0.4 * np.maximum(skew - slack, 0)))
    if errors[best] <= _FIT_ERROR + 0.8 * slack and skew[best] <= _FIT_ASPECT / 2 + slack:
        return Outline(_SHAPES[best], 0, 0, width, height, 1.0)
    return _read_part(mask)


def _read_part(mask: Bools) -> Outline:
    """The shape of which ``mask`` is most likely a part.

    Tries boxes as large as the region or larger that share a side or corner with it. A cut leaves an edge of
    its own; what remains of the old edge should lie on the shape's outline, and nothing beyond it.
    """
    height, width = mask.shape
    area = float(np.count_nonzero(mask))
    rim = mask & ~ndimage.binary_erosion(np.pad(mask, 1))[1:-1, 1:-1]
    rows, columns = np.nonzero(rim)
    stride = max(1, len(rows) // 64)
    ys, xs = rows[::stride] + 0.5, columns[::stride] + 0.5
    best, best_score = Outline(_SHAPES[0], 0, 0, width, height, 1.0), -np.inf
    for index, shape in enumerate(_SHAPES):
        filled = float(_masks()[index].mean())
        for size in _sizes(shape, width, height):
            box_w, box_h = size * EXTENT[shape][0], size * EXTENT[shape][1]
            share = min(area / (filled * box_w * box_h), 1.0)
            lefts, tops = np.repeat(_HOLDS, 3) * (width - box_w), np.tile(_HOLDS, 3) * (height - box_h)
            # (9 boxes, pixels of the rim)
            depth = size * _depths(index, (xs - lefts[:, None]) / box_w, (ys - tops[:, None]) / box_h)
            on, beyond = (np.abs(depth - 0.5) < 1.2).mean(axis=1), (depth < -1.2).mean(axis=1)
            scores = on - 2 * beyond + 0.1 * share
            place = int(scores.argmax())
            if scores[place] > best_score:
                best_score = float(scores[place])
                best = Outline(shape, float(lefts[place]), float(tops[place]), box_w, box_h, share)
    return best


# A larger box may begin where the region begins, end where it ends, or lie evenly about it.
_HOLDS = np.array([0.0, 0.5, 1.0])

_PADDING = 24


@lru_cache(maxsize=1)
def _depth_maps() -> Floats:
    """How deep each place lies inside each shape (negative: outside), in shares of the box's width.

    (4, side, side) with side = _FINE + 2 * _PADDING.
    """
    padded = np.pad(_masks(), ((0, 0), (_PADDING, _PADDING), (_PADDING, _PADDING)))
    maps = [ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask) for mask in padded]
    return np.stack(maps) / _FINE


def _depths(index: int, u: Floats, v: Floats) -> Floats:
    """The depths at places given as shares of the shape's box."""
    most = _FINE + 2 * _PADDING - 1
    columns = np.clip(u * _FINE + _PADDING, 0, most).astype(np.intp)
    rows = np.clip(v * _FINE + _PADDING, 0, most).astype(np.intp)
    depths: Floats = _depth_maps()[index, rows, columns]
    return depths


def _sizes(shape: Shape, width: int, height: int) -> tuple[float, ...]:
    """Diameters that a shape may have of which a part is ``width`` by ``height`` pixels."""
    wide, high = width / EXTENT[shape][0], height / EXTENT[shape][1]
    least = max(wide, high)
    return (least, least * 1.06, least * 1.12, least * 1.2, least * 1.3)
