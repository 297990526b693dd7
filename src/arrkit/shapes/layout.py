"""Where things go: scenes that show what is wanted, with everything else left to chance."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from arrkit.shapes.grammar import Wants
from arrkit.shapes.scene import EXTENT, RADIUS, Background, Colour, Scene, Shape, Side, Thing, lies

MARGIN = 0.03
"""Free space between a thing and the picture's edge, and between two things, as a share of the side."""

_TRIES = 400


def realise(wants: Wants, rng: random.Random) -> Scene:
    """A scene that shows exactly what is wanted; places, sizes, open colours and background are drawn."""
    asked = [(want.shape, want.colour) for want in wants.groups for _ in range(want.count)]
    background = wants.background or rng.choice(list(Background))
    while True:
        things: list[Thing] = []
        for shape, colour in asked:
            thing = place(rng, things, shape, colour or rng.choice(list(Colour)), most=_largest(len(asked)))
            if thing is None:
                break
            things.append(thing)
        if len(things) < len(asked):
            continue
        if wants.side is None or lies(_centre(things[0]), wants.side, _centre(things[1])):
            return Scene(tuple(things), background)


def _largest(count: int) -> float:
    return {1: 0.46, 2: 0.34, 3: 0.3}.get(count, 0.26)


def place(
    rng: random.Random,
    others: list[Thing],
    shape: Shape,
    colour: Colour,
    *,
    least: float = 0.18,
    most: float = 0.3,
    side: Side | None = None,
    anchor: Thing | None = None,
) -> Thing | None:
    """A new thing, wholly in the picture and clear of the others, or None where no room was found.

    With ``side`` and ``anchor`` it lies to that side of the anchor.
    """
    for attempt in range(_TRIES):
        # Smaller and smaller as room gets scarce.
        size = rng.uniform(least, max(least, most * (1 - attempt / _TRIES)))
        wide, high = (extent * size / 2 + MARGIN for extent in EXTENT[shape])
        x, y = rng.uniform(wide, 1 - wide), rng.uniform(high, 1 - high)
        thing = Thing(shape, colour, round(x, 4), round(y, 4), round(size, 4))
        if not all(clear(thing, other) for other in others):
            continue
        if side is not None and anchor is not None and not lies((x, y), side, _centre(anchor)):
            continue
        return thing
    return None


def clear(one: Thing, other: Thing, gap: float = MARGIN) -> bool:
    """Whether there is more than ``gap`` between the circles that hold the two things."""
    apart = math.hypot(one.x - other.x, one.y - other.y)
    return apart > RADIUS[one.shape] * one.size + RADIUS[other.shape] * other.size + gap


def fitted(thing: Thing, others: list[Thing]) -> Thing:
    """The thing as large as it is, or shrunk just so far that it lies in the picture and touches no other.

    For a thing that takes the place of another and may reach further than that one did.
    """
    while not (_inside(thing) and all(clear(thing, other, MARGIN / 3) for other in others)):
        thing = replace(thing, size=round(thing.size * 0.96, 4))
    return thing


def _inside(thing: Thing) -> bool:
    wide, high = (extent * thing.size / 2 + MARGIN / 3 for extent in EXTENT[thing.shape])
    return wide <= thing.x <= 1 - wide and high <= thing.y <= 1 - high


def _centre(thing: Thing) -> tuple[float, float]:
    return thing.x, thing.y


def with_thing(scene: Scene, index: int, thing: Thing | None) -> Scene:
    """The scene with its ``index``-th thing replaced, or without it where ``thing`` is None."""
    things = list(scene.things)
    things[index : index + 1] = [] if thing is None else [thing]
    return replace(scene, things=tuple(things))
