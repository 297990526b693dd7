"""The values of the embedded world, and what their constants promise."""

from __future__ import annotations

import colorsys
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.shapes.scene import (
    BACKGROUND_RGB,
    COLOUR_RGB,
    MAX_THINGS,
    Background,
    Colour,
    Rgb,
    Scene,
    Shape,
    Side,
    Thing,
    lies,
)

points = st.tuples(st.floats(0, 1), st.floats(0, 1))


def hue_and_saturation(rgb: Rgb) -> tuple[float, float]:
    hue, saturation, _ = colorsys.rgb_to_hsv(*(channel / 255 for channel in rgb))
    return hue * 360, saturation


def test_a_scene_holds_six_things_and_no_more() -> None:
    thing = Thing(Shape.STAR, Colour.RED, 0.5, 0.5, 0.2)
    assert len(Scene((thing,) * MAX_THINGS, Background.MINT).things) == 6
    with pytest.raises(ValueError, match="at most 6"):
        Scene((thing,) * (MAX_THINGS + 1), Background.MINT)


def test_colours_are_saturated_and_apart_in_hue() -> None:
    assert set(COLOUR_RGB) == set(Colour)
    for one, other in itertools.combinations(COLOUR_RGB.values(), 2):
        apart = abs(hue_and_saturation(one)[0] - hue_and_saturation(other)[0])
        assert min(apart, 360 - apart) >= 20
    assert all(hue_and_saturation(rgb)[1] > 0.6 for rgb in COLOUR_RGB.values())


def test_backgrounds_are_light_pale_and_all_different() -> None:
    assert set(BACKGROUND_RGB) == set(Background)
    for ends in BACKGROUND_RGB.values():
        for rgb in ends:
            assert min(rgb) >= 190
            assert hue_and_saturation(rgb)[1] < 0.25
    assert len(set(BACKGROUND_RGB.values())) == len(Background)


def test_y_grows_downwards() -> None:
    assert lies((0.5, 0.1), Side.ABOVE, (0.5, 0.9))
    assert lies((0.1, 0.5), Side.LEFT, (0.9, 0.5))
    assert not lies((0.1, 0.5), Side.ABOVE, (0.9, 0.5))


@given(points, points)
def test_at_most_one_side_holds_and_the_opposite_holds_the_other_way_round(
    a: tuple[float, float], b: tuple[float, float]
) -> None:
    holding = [side for side in Side if lies(a, side, b)]
    assert len(holding) <= 1
    assert [side.opposite for side in holding] == [side for side in Side if lies(b, side, a)]
