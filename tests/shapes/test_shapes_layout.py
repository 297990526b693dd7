"""Where things go: in the picture, apart, and as asked."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.shapes.grammar import Family, Want, Wants, parse_prompt, sample_prompt
from arrkit.shapes.layout import MARGIN, SLACK, asked_things, clear, far, fitted, place, realise, with_thing
from arrkit.shapes.render import render
from arrkit.shapes.scene import EXTENT, Background, Colour, Scene, Shape, Side, Thing

seeds = st.integers(0, 2**32)
SQUARE = Thing(Shape.SQUARE, Colour.RED, 0.5, 0.5, 0.2)


def framed(thing: Thing, margin: float) -> bool:
    wide, high = (extent * thing.size / 2 + margin for extent in EXTENT[thing.shape])
    return wide <= thing.x <= 1 - wide and high <= thing.y <= 1 - high


@given(seeds, st.sampled_from(Family))
def test_what_is_realised_is_asked_framed_and_apart(seed: int, family: Family) -> None:
    rng = random.Random(seed)
    wants = parse_prompt(sample_prompt(rng, family))
    assert wants is not None
    scene = realise(wants, rng)
    assert scene.background is (wants.background or scene.background)
    assert len(scene.things) == sum(want.count for want in wants.groups)
    for thing, (shape, colour) in zip(scene.things, asked_things(wants), strict=True):
        assert thing.shape is shape
        assert colour in (None, thing.colour)
        # Places are rounded to four digits.
        assert framed(thing, MARGIN - 1e-4)
    for index, thing in enumerate(scene.things):
        assert all(clear(thing, other) for other in scene.things[:index])


@given(seeds, st.sampled_from(Side))
def test_a_side_that_is_asked_for_is_plain_to_see(seed: int, side: Side) -> None:
    wants = Wants(Family.POSITION, (Want(Shape.STAR), Want(Shape.CIRCLE)), side)
    one, two = realise(wants, random.Random(seed)).things
    dx, dy = one.x - two.x, one.y - two.y
    along, across = (dx * side.step[0], dy) if side.step[0] else (dy * side.step[1], dx)
    assert along >= SLACK * abs(across) - 1e-3


def test_the_same_generator_state_gives_the_same_scene() -> None:
    wants = Wants(Family.COUNTING, (Want(Shape.STAR, count=4),))
    assert realise(wants, random.Random(5)) == realise(wants, random.Random(5))
    assert realise(wants, random.Random(5)) != realise(wants, random.Random(6))


def test_what_is_left_open_varies() -> None:
    wants = Wants(Family.SINGLE_OBJECT, (Want(Shape.STAR),))
    scenes = [realise(wants, random.Random(seed)) for seed in range(200)]
    assert {scene.background for scene in scenes} == set(Background)
    assert {scene.things[0].colour for scene in scenes} == set(Colour)
    sizes = [scene.things[0].size for scene in scenes]
    assert min(sizes) < 0.25
    assert max(sizes) > 0.4


def test_more_than_a_scene_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 6 things"):
        realise(Wants(Family.TWO_OBJECTS, (Want(Shape.STAR, count=4),) * 2), random.Random(0))


def test_a_side_of_several_things_is_refused() -> None:
    wants = Wants(Family.POSITION, (Want(Shape.STAR, count=2), Want(Shape.CIRCLE)), Side.LEFT)
    with pytest.raises(ValueError, match="two single things"):
        realise(wants, random.Random(0))


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("other", Shape)
def test_things_that_are_clear_share_no_pixel(shape: Shape, other: Shape) -> None:
    """The circles that hold two shapes hold their corners too: at every angle a gap stays."""
    one = Thing(shape, Colour.BLUE, 0.5, 0.5, 0.25)
    for step in range(8):
        cos, sin = math.cos(step * math.pi / 4 + 0.3), math.sin(step * math.pi / 4 + 0.3)
        towards = (replace(one, shape=other, x=0.5 + d * cos, y=0.5 + d * sin) for d in steps(0, 0.5))
        two = next(thing for thing in towards if clear(one, thing, gap=0))
        blue = [blue_pixels(Scene(things, Background.PEARL)) for things in ((one,), (two,))]
        assert not blue[0] & blue[1]


def steps(start: float, stop: float) -> list[float]:
    return [start + (stop - start) * index / 200 for index in range(201)]


def blue_pixels(scene: Scene) -> set[int]:
    image = render(scene, 128)
    red, _, blue = (channel.tobytes() for channel in image.split())
    return {index for index, (r, b) in enumerate(zip(red, blue, strict=True)) if b - r > 60}


def test_no_room_is_said_and_not_forced() -> None:
    crowd = [Thing(Shape.SQUARE, Colour.RED, x, y, 0.45) for x in (0.25, 0.75) for y in (0.25, 0.75)]
    assert place(random.Random(0), crowd, Shape.STAR, Colour.BLUE) is None
    left = replace(SQUARE, x=0.12)
    assert (
        place(random.Random(0), [left], Shape.STAR, Colour.BLUE, side=Side.LEFT, anchor=left, least=0.2)
        is None
    )


@pytest.mark.parametrize("shape", Shape)
def test_a_thing_is_fitted_without_moving_it(shape: Shape) -> None:
    corner = Thing(Shape.CIRCLE, Colour.RED, 0.13, 0.13, 0.2)
    near = Thing(Shape.CIRCLE, Colour.RED, 0.38, 0.13, 0.2)
    assert clear(corner, near)
    new = fitted(replace(corner, shape=shape), [near])
    assert framed(new, 0)
    assert clear(new, near, 0)
    assert replace(new, size=corner.size) == replace(corner, shape=shape)
    assert 0.7 * corner.size <= new.size <= corner.size
    assert fitted(replace(SQUARE, shape=shape), []) == replace(SQUARE, shape=shape)


def test_fitting_ends_where_nothing_fits() -> None:
    assert fitted(SQUARE, [replace(SQUARE, x=0.51)]).size >= SQUARE.size * 0.45


def test_far_is_seen_and_near_is_not() -> None:
    assert far(SQUARE, replace(SQUARE, x=0.75))
    assert not far(SQUARE, replace(SQUARE, x=0.6))


def test_one_thing_is_replaced_or_taken_out() -> None:
    scene = Scene((SQUARE, replace(SQUARE, x=0.2), replace(SQUARE, x=0.8)), Background.SKY)
    blue = replace(SQUARE, colour=Colour.BLUE)
    assert with_thing(scene, 1, blue).things == (scene.things[0], blue, scene.things[2])
    assert with_thing(scene, 1, None).things == (scene.things[0], scene.things[2])
