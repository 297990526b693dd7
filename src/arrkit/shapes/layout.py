"""Where things go: scenes that show what is wanted, with everything else left to chance."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from arrkit.shapes.grammar import Wants
from arrkit.shapes.scene import (
    EXTENT,
    MAX_THINGS,
    RADIUS,
    Background,
    Colour,
    Scene,
    Shape,
    Side,
    Thing,
    lies,
)

MARGIN = 0.03
"""Free space between a thing and the picture's edge, and between two things, as a share of the side."""

SLACK = 1.3
"""Where a side is asked for, a thing lies that way at least so many times as far as across."""

_TRIES = 400
_TRIES_AT_ONE_SIZE = 40


def realise(wants: Wants, rng: random.Random) -> Scene:
    """A scene that shows exactly what is wanted, its things in the order of :func:`asked_things`.

    Places, sizes, open colours and background are drawn. Raises :class:`ValueError` for more things than a
    scene holds, and for a side asked of anything but two single things.
    """
    asked = asked_things(wants)
    if len(asked) > MAX_THINGS:
        raise ValueError(f"a scene holds at most {MAX_THINGS} things, not {len(asked)}")
    if wants.side is not None and [want.count for want in wants.groups] != [1, 1]:
        raise ValueError("a side is between two single things")
    background = wants.background or rng.choice(list(Background))
    while True:
        things: list[Thing] = []
        for shape, colour in asked:
            # The second thing is put to the opposite side of the first.
            beside = (wants.side.opposite, things[0]) if wants.side and things else (None, None)
            thing = place(
                rng,
                things,
                shape,
                colour or rng.choice(list(Colour)),
                most=_largest(len(asked)),
                side=beside[0],
                anchor=beside[1],
            )
            if thing is None:
                break
            things.append(thing)
        else:
            return Scene(tuple(things), background)


def asked_things(wants: Wants) -> list[tuple[Shape, Colour | None]]:
    """Shape and colour (None: any) of each single thing that is wanted, group by group."""
    return [(want.shape, want.colour) for want in wants.groups for _ in range(want.count)]


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
    tries = _TRIES_AT_ONE_SIZE if least == most else _TRIES
    for attempt in range(tries):
        # Smaller and smaller as room gets scarce.
        size = rng.uniform(least, max(least, most * (1 - attempt / tries)))
        wide, high = (extent * size / 2 + MARGIN for extent in EXTENT[shape])
        box = (wide, 1 - wide), (high, 1 - high)
        point = (
            _beside(rng, box, side, anchor)
            if side and anchor
            else (rng.uniform(*box[0]), rng.uniform(*box[1]))
        )
        if point is None:
            if least == most:
                return None
            continue
        thing = Thing(shape, colour, round(point[0], 4), round(point[1], 4), round(size, 4))
        if all(clear(thing, other) for other in others):
            return thing
    return None


def _beside(
    rng: random.Random, box: tuple[tuple[float, float], tuple[float, float]], side: Side, anchor: Thing
) -> tuple[float, float] | None:
    """A point of ``box`` (ranges of x and y) plainly to that side of the anchor, or None: no room there."""
    flat = side.step[0] != 0
    (start, stop), (low, high) = box if flat else (box[1], box[0])
    along, across = (anchor.x, anchor.y) if flat else (anchor.y, anchor.x)
    # Nearer than its own radius the point would lie in the anchor.
    nearest = RADIUS[anchor.shape] * anchor.size
    if sum(side.step) > 0:
        start = max(start, along + nearest)
    else:
        stop = min(stop, along - nearest)
    if start >= stop:
        return None
    at = rng.uniform(start, stop)
    spread = abs(at - along) / SLACK
    low, high = max(low, across - spread), min(high, across + spread)
    if low >= high:
        return None
    other = rng.uniform(low, high)
    return (at, other) if flat else (other, at)


def clear(one: Thing, other: Thing, gap: float = MARGIN) -> bool:
    """Whether there is more than ``gap`` between the circles that hold the two things."""
    apart = math.hypot(one.x - other.x, one.y - other.y)
    return apart > RADIUS[one.shape] * one.size + RADIUS[other.shape] * other.size + gap


def fitted(thing: Thing, others: list[Thing]) -> Thing:
    """The thing as large as it is, or shrunk just so far that it lies in the picture and touches no other.

    For a thing that takes the place of another and may reach further than that one did. It is never shrunk
    to less than half: between two shapes, a factor of 0.72 is always enough.
    """
    least = thing.size / 2
    while thing.size > least and not (
        _inside(thing) and all(clear(thing, other, MARGIN / 3) for other in others)
    ):
        thing = replace(thing, size=round(thing.size * 0.96, 4))
    return thing


def _inside(thing: Thing) -> bool:
    wide, high = (extent * thing.size / 2 + MARGIN / 3 for extent in EXTENT[thing.shape])
    return wide <= thing.x <= 1 - wide and high <= thing.y <= 1 - high


def lies_to(one: Thing, side: Side, other: Thing) -> bool:
    """Whether the one thing lies to that side of the other."""
    return lies((one.x, one.y), side, (other.x, other.y))


def far(one: Thing, other: Thing) -> bool:
    """Whether two places of one thing differ so much that it is seen to have moved."""
    return math.hypot(one.x - other.x, one.y - other.y) > 0.2


def with_thing(scene: Scene, index: int, thing: Thing | None) -> Scene:
    """The scene with its ``index``-th thing replaced, or without it where ``thing`` is None."""
    things = list(scene.things)
    things[index : index + 1] = [] if thing is None else [thing]
    return replace(scene, things=tuple(things))
