"""Where things go: scenes that show what is wanted, with everything else left to chance."""

from __future__ import annotations

import random
from dataclasses import replace

from arrkit.shapes.grammar import Wants
from arrkit.shapes.scene import EXTENT, Background, Colour, Scene, Shape, Side, Thing, lies

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


def clear(one: Thing, other: Thing) -> bool:
    """Whether there is a gap between the bounding circles of two things."""
    gap = ((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5
    return gap > (_reach(one) + _reach(other)) / 2 + MARGIN


def _reach(thing: Thing) -> float:
    return max(EXTENT[thing.shape]) * thing.size


def _centre(thing: Thing) -> tuple[float, float]:
    return thing.x, thing.y


def with_thing(scene: Scene, index: int, thing: Thing | None) -> Scene:
    """The scene with its ``index``-th thing replaced, or without it where ``thing`` is None."""
    things = list(scene.things)
    things[index : index + 1] = [] if thing is None else [thing]
    return replace(scene, things=tuple(things))
