"""Scenes as latents: six slots for things and one for the background, all plain numbers.

=========  ==========================================================================================
channel    meaning
=========  ==========================================================================================
0, 1       x and y of a thing, 0 at the middle of the picture, :data:`PLACE_SCALE` at its right or lower edge
2          its size, 0 at :data:`MIDDLE_SIZE`, 1 at :data:`SIZE_SCALE` above it
3          presence: 1 for a thing, -1 for none
4 to 9     its colour, 1 for the one and -1 for the others
10 to 13   its shape, likewise
=========  ==========================================================================================

A slot without a thing is 0 but for its presence. The slot of the background is 0 but for its last eight
channels, which are 1 for the one background and -1 for the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arrkit.shapes.scene import MAX_THINGS, Background, Colour, Scene, Shape, Thing

Floats = NDArray[np.float32]

CHANNELS = 14
SLOTS = MAX_THINGS + 1
"""Slots of things, then the slot of the background."""

PLACE_SCALE = 2.0
MIDDLE_SIZE, SIZE_SCALE = 0.23, 0.05

LEAST_SIZE, MOST_SIZE = 0.1, 0.7
"""Sizes that a decoded thing may have. A smaller one would be a speck that nobody sees."""

_PRESENCE, _COLOURS, _SHAPES, _GROUND = 3, slice(4, 10), slice(10, 14), slice(6, 14)
_ALL_COLOURS, _ALL_SHAPES, _ALL_GROUNDS = tuple(Colour), tuple(Shape), tuple(Background)


def encode_scene(things: Sequence[Thing | None], background: Background) -> Floats:
    """Latents of a scene, (SLOTS, CHANNELS); ``None`` leaves its slot empty, as do things that are not given.

    Raises :class:`ValueError` for more things than slots.
    """
    if len(things) > MAX_THINGS:
        raise ValueError(f"there are slots for {MAX_THINGS} things, not for {len(things)}")
    slots = np.zeros((SLOTS, CHANNELS), np.float32)
    slots[:MAX_THINGS, _PRESENCE] = -1
    for slot, thing in zip(slots, things, strict=False):
        if thing is not None:
            slot[0] = (2 * thing.x - 1) * PLACE_SCALE
            slot[1] = (2 * thing.y - 1) * PLACE_SCALE
            slot[2] = (thing.size - MIDDLE_SIZE) / SIZE_SCALE
            slot[_PRESENCE] = 1
            slot[_COLOURS] = _one_hot(_ALL_COLOURS.index(thing.colour), len(_ALL_COLOURS))
            slot[_SHAPES] = _one_hot(_ALL_SHAPES.index(thing.shape), len(_ALL_SHAPES))
    slots[MAX_THINGS, _GROUND] = _one_hot(_ALL_GROUNDS.index(background), len(_ALL_GROUNDS))
    return slots


def decode_scene(slots: Floats) -> Scene:
    """The scene that latents (SLOTS, CHANNELS) stand for; any finite numbers stand for one.

    Raises :class:`ValueError` for numbers that are not finite.
    """
    if not np.isfinite(slots).all():
        raise ValueError("latents are not finite")
    x, y = (np.clip((slots[:, axis] / PLACE_SCALE + 1) / 2, 0, 1) for axis in (0, 1))
    size = np.clip(slots[:, 2] * SIZE_SCALE + MIDDLE_SIZE, LEAST_SIZE, MOST_SIZE)
    colours, shapes = slots[:, _COLOURS].argmax(1), slots[:, _SHAPES].argmax(1)
    things = tuple(
        Thing(_ALL_SHAPES[shapes[i]], _ALL_COLOURS[colours[i]], float(x[i]), float(y[i]), float(size[i]))
        for i in range(MAX_THINGS)
        if slots[i, _PRESENCE] > 0
    )
    return Scene(things, _ALL_GROUNDS[slots[MAX_THINGS, _GROUND].argmax()])


def _one_hot(index: int, count: int) -> Floats:
    values = np.full(count, -1, np.float32)
    values[index] = 1
    return values
