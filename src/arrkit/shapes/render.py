"""From a scene to pixels.

Each thing is an array of signed distances to its outline (negative inside, unit: pixels), one sample a
pixel, drawn with the coverage ``clip(0.5 - distance, 0, 1)``: that is what makes edges smooth. The distance
to polygons follows Inigo Quilez, "2D distance functions" (iquilezles.org/articles/distfunctions2d).
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arrkit.shapes.scene import (
    BACKGROUND_RGB,
    COLOUR_RGB,
    EXTENT,
    Background,
    Scene,
    Shape,
    Slice,
    Smear,
    Texture,
    Thing,
)

Floats = NDArray[np.float32]

DEFAULT_SIZE = 96
MIN_SIZE, MAX_SIZE = 32, 256

SHADOW_SHIFT = (0.05, 0.09)
"""How far the shadow falls to the right and down, in diameters of its thing."""

SHADOW_SOFTNESS = 0.11
"""Half the width of the shadow's blurred edge, in diameters."""

SHADOW_STRENGTH = 0.17
"""How much darker the background is in full shadow."""

LIGHT, SHADE, RIM = 0.16, 0.10, 0.10
"""How much lighter a thing is at its upper left, and how much darker at its lower right and at its rim."""


def render(scene: Scene, size: int = DEFAULT_SIZE) -> Image.Image:
    """The picture of ``scene``: RGB, ``size`` pixels square. Pure: equal scenes give equal pixels.

    Raises :class:`ValueError` for a size outside ``MIN_SIZE`` to ``MAX_SIZE``.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size must be from {MIN_SIZE} to {MAX_SIZE}, not {size}")
    canvas = _ground(scene.background, size).copy()
    for damage in scene.damage:
        if isinstance(damage, Texture):
            _pattern(canvas, damage)
    cuts = [damage for damage in scene.damage if isinstance(damage, Slice)]
    drawn = [_distance(thing, cuts, size) for thing in scene.things]
    # All shadows first: they fall on the background and on no other thing.
    for thing, (distance, left, top) in zip(scene.things, drawn, strict=True):
        _cast_shadow(canvas, thing, distance, left, top)
    for thing, (distance, left, top) in zip(scene.things, drawn, strict=True):
        _draw_body(canvas, thing, distance, left, top)
    for damage in scene.damage:
        if isinstance(damage, Smear):
            _smear(canvas, damage)
    return Image.fromarray((canvas + 0.5).astype(np.uint8))


@lru_cache(maxsize=64)
def _ground(background: Background, size: int) -> Floats:
    """The bare background, (size, size, 3), values 0 to 255. Shared: not to be changed."""
    top, bottom = (np.array(rgb, np.float32) for rgb in BACKGROUND_RGB[background])
    share = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None, None]
    ground = np.broadcast_to(top + (bottom - top) * share, (size, size, 3)).astype(np.float32)
    ground.flags.writeable = False
    return ground


def _distance(thing: Thing, cuts: list[Slice], size: int) -> tuple[Floats, int, int]:
    """Signed distances to a thing's outline around it, and the pixel (left, top) where the array begins.

    The array may reach beyond the picture; whoever draws clips it. ``cuts`` take away from the shape.
    """
    diameter = thing.size * size
    reach = diameter * (max(EXTENT[thing.shape]) / 2 + SHADOW_SOFTNESS) + 2.0
    left, top = math.floor(thing.x * size - reach), math.floor(thing.y * size - reach)
    count = math.ceil(2 * reach) + 1
    steps = np.arange(count, dtype=np.float32) + np.float32(0.5)
    x = (steps + np.float32(left - thing.x * size))[None, :]
    y = (steps + np.float32(top - thing.y * size))[:, None]
    distance = _SHAPES[thing.shape](x, y, diameter)
    for cut in cuts:
        dx, dy = thing.x - cut.x, thing.y - cut.y
        if math.hypot(dx, dy) <= cut.size / 2:
            cos, sin = math.cos(cut.angle), math.sin(cut.angle)
            gone_from = (cut.offset - dx * cos - dy * sin) * size
            distance = np.maximum(distance, x * np.float32(cos) + y * np.float32(sin) - np.float32(gone_from))
    return distance, left, top


def _circle(x: Floats, y: Floats, diameter: float) -> Floats:
    return np.sqrt(x * x + y * y) - np.float32(diameter / 2)


def _square(x: Floats, y: Floats, diameter: float) -> Floats:
    corner = 0.07 * diameter
    half = np.float32(0.44 * diameter - corner)
    dx, dy = np.abs(x) - half, np.abs(y) - half
    outside = np.sqrt(np.maximum(dx, 0) ** 2 + np.maximum(dy, 0) ** 2)
    distance: Floats = outside + np.minimum(np.maximum(dx, dy), 0) - np.float32(corner)
    return distance


def _triangle(x: Floats, y: Floats, diameter: float) -> Floats:
    corner = 0.05 * diameter
    # An equilateral triangle of inradius r is (2 sqrt 3) r wide and 3 r high, before its corners are rounded.
    inradius = 0.277 * diameter
    half, height = math.sqrt(3) * inradius, 3 * inradius
    return _polygon_half(x, y, ((0.0, -height / 2), (half, height / 2), (0.0, height / 2)), corner)


def _star(x: Floats, y: Floats, diameter: float) -> Floats:
    corner = 0.035 * diameter
    outer, inner = 0.5625 * diameter, 0.288 * diameter
    # The bounding box of a five-pointed star reaches from -1 to cos 36 degrees radii: the middle is 0.095 up.
    lift = outer * (1 - math.cos(math.radians(36))) / 2
    points = []
    for index in range(6):
        radius = outer if index % 2 == 0 else inner
        angle = math.radians(36 * index)
        points.append((radius * math.sin(angle), lift - radius * math.cos(angle)))
    return _polygon_half(x, y, tuple(points), corner)


def _polygon_half(x: Floats, y: Floats, points: tuple[tuple[float, float], ...], corner: float) -> Floats:
    """Distance to a polygon that is its own mirror image in x = 0, grown by rounded corners of ``corner``.

    ``points`` run down the right half, from the axis to the axis. The distance is the least one to an edge;
    the sign comes from counting the edges that a ray to the right crosses.
    """
    x = np.abs(x)
    shape = np.broadcast_shapes(x.shape, y.shape)
    nearest = np.full(shape, np.inf, np.float32)
    inside = np.zeros(shape, np.bool_)
    for (ax, ay), (bx, by) in pairwise(points):
        ex, ey = np.float32(bx - ax), np.float32(by - ay)
        px, py = x - np.float32(ax), y - np.float32(ay)
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        dx, dy = px - ex * along, py - ey * along
        np.minimum(nearest, dx * dx + dy * dy, out=nearest)
        if ey != 0:
            beside = px * abs(ey) < py * (ex if ey > 0 else -ex)
            inside ^= beside & ((py >= 0) != (y >= np.float32(by)))
    distance = np.sqrt(nearest)
    signed: Floats = np.where(inside, -distance, distance) - np.float32(corner)
    return signed


_SHAPES = {
    Shape.CIRCLE: _circle,
    Shape.SQUARE: _square,
    Shape.TRIANGLE: _triangle,
    Shape.STAR: _star,
}


def _window(canvas: Floats, part: Floats, left: int, top: int) -> tuple[Floats, Floats]:
    """The region of ``canvas`` under ``part`` laid at (left, top), and ``part`` clipped to the canvas."""
    high, wide = canvas.shape[:2]
    x0, y0 = min(max(left, 0), wide), min(max(top, 0), high)
    x1, y1 = max(min(left + part.shape[1], wide), x0), max(min(top + part.shape[0], high), y0)
    return canvas[y0:y1, x0:x1], part[y0 - top : y1 - top, x0 - left : x1 - left]


def _cast_shadow(canvas: Floats, thing: Thing, distance: Floats, left: int, top: int) -> None:
    """Darken ``canvas`` to the lower right of a thing, with an edge blurred by a smooth step."""
    diameter = thing.size * canvas.shape[0]
    shift_x, shift_y = (round(share * diameter) for share in SHADOW_SHIFT)
    region, distance = _window(canvas, distance, left + shift_x, top + shift_y)
    soft = np.float32(max(SHADOW_SOFTNESS * diameter, 1.0))
    depth = np.clip(0.5 - distance / (2 * soft), 0, 1)
    region *= (1 - np.float32(SHADOW_STRENGTH) * depth * depth * (3 - 2 * depth))[..., None]


def _draw_body(canvas: Floats, thing: Thing, distance: Floats, left: int, top: int) -> None:
    """Lay a shaded thing over ``canvas``."""
    size = canvas.shape[0]
    diameter = thing.size * size
    region, distance = _window(canvas, distance, left, top)
    high, wide = distance.shape
    x = np.arange(wide, dtype=np.float32) + np.float32(max(left, 0) + 0.5 - thing.x * size)
    y = np.arange(high, dtype=np.float32) + np.float32(max(top, 0) + 0.5 - thing.y * size)
    # Light from the upper left: from +1 at that edge of the thing to -1 at the opposite one.
    light = np.clip((x[None, :] * 0.6 + y[:, None]) / np.float32(-0.6 * diameter), -1, 1)
    # A darker rim, 6 % of the diameter wide, lifts a thing off a background of a near colour.
    rim = np.clip(1 + distance / np.float32(max(0.06 * diameter, 1.0)), 0, 1)
    shade = 1 + np.float32(SHADE) * np.minimum(light, 0) - np.float32(RIM) * rim
    glow = np.float32(LIGHT) * np.maximum(light, 0)
    colour = np.array(COLOUR_RGB[thing.colour], np.float32)
    body = colour * (shade * (1 - glow))[..., None] + (255 * glow)[..., None]
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    region += (body - region) * cover


def _grid(size: int) -> tuple[Floats, Floats]:
    """Pixel centres as fractions of the side: x of shape (1, size), y of shape (size, 1)."""
    centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    return centres[None, :], centres[:, None]


def _pattern(canvas: Floats, texture: Texture) -> None:
    """Darken ``canvas``, a bare background, by stripes or blotches. Only darker: it is near white already."""
    x, y = _grid(canvas.shape[0])
    rng = np.random.default_rng(texture.seed)
    if texture.kind == "stripes":
        angle, phase, count = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi), rng.uniform(6, 9)
        way = x * math.cos(angle) + y * math.sin(angle)
        pattern = np.sin(2 * math.pi * count * way + phase)
    else:
        pattern = np.zeros(canvas.shape[:2], np.float32)
        for _ in range(5):
            fx, fy, phase = rng.uniform(-5, 5), rng.uniform(-5, 5), rng.uniform(0, 2 * math.pi)
            pattern = pattern + np.sin(2 * math.pi * (fx * x + fy * y) + phase) / 2
        pattern = np.clip(pattern, -1, 1)
    canvas *= (1 - texture.strength * (0.5 + 0.5 * pattern)).astype(np.float32)[..., None]


def _smear(canvas: Floats, smear: Smear) -> None:
    """Replace the region of a smear by its mean along the smear's direction."""
    size = canvas.shape[0]
    cos, sin = math.cos(smear.angle), math.sin(smear.angle)
    drag = smear.length * size
    # The region is a capsule along the smear, with an edge three pixels wide so that no seam shows.
    reach = (smear.size / 2 + smear.length / 2) * size + 2
    left, right = (min(max(round(smear.x * size + side * reach), 0), size) for side in (-1, 1))
    top, bottom = (min(max(round(smear.y * size + side * reach), 0), size) for side in (-1, 1))
    # A copy with room for the farthest shift; beyond the picture its outermost pixels go on.
    pad = math.ceil(drag / 2) + 1
    rows = np.clip(np.arange(top - pad, bottom + pad), 0, size - 1)
    columns = np.clip(np.arange(left - pad, right + pad), 0, size - 1)
    patch = canvas[np.ix_(rows, columns)]
    region = canvas[top:bottom, left:right]
    high, wide = region.shape[:2]
    taps = max(3, round(drag))
    blurred = np.zeros_like(region)
    for tap in range(taps):
        step = (tap / (taps - 1) - 0.5) * drag
        down, across = pad - round(sin * step), pad - round(cos * step)
        blurred += patch[down : down + high, across : across + wide]
    blurred /= taps
    x, y = _grid(size)
    dx, dy = x[:, left:right] - np.float32(smear.x), y[top:bottom] - np.float32(smear.y)
    along = np.maximum(np.abs(dx * cos + dy * sin) - smear.length / 2, 0)
    within = (smear.size / 2 - np.hypot(along, dy * cos - dx * sin)) * size
    share = np.clip(within / 3 + 0.5, 0, 1).astype(np.float32)[..., None]
    region += (blurred - region) * share
