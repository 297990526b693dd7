"""Pixels: what a scene looks like, at every size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from arrkit.shapes.render import render
from arrkit.shapes.scene import (
    BACKGROUND_RGB,
    COLOUR_RGB,
    EXTENT,
    RADIUS,
    Background,
    Colour,
    Scene,
    Shape,
    Slice,
    Smear,
    Texture,
    Thing,
)

BLUE = Thing(Shape.CIRCLE, Colour.BLUE, 0.3, 0.4, 0.3)
RED = Thing(Shape.SQUARE, Colour.RED, 0.7, 0.7, 0.25)
SCENE = Scene((BLUE, RED), Background.PEARL)


def pixels(scene: Scene, size: int = 96) -> NDArray[np.int16]:
    return np.asarray(render(scene, size)).astype(np.int16)


def body(scene: Scene, size: int = 256) -> NDArray[np.bool_]:
    """Where a scene with one blue thing is blue."""
    image = pixels(scene, size)
    inside: NDArray[np.bool_] = image[..., 2] - image[..., 0] > 60
    return inside


@pytest.mark.parametrize("size", [32, 96, 97, 256])
def test_pictures_are_square_rgb_of_the_size_asked(size: int) -> None:
    image = render(SCENE, size)
    assert (image.mode, image.size) == ("RGB", (size, size))


@pytest.mark.parametrize("size", [31, 257])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="from 32 to 256"):
        render(SCENE, size)


def test_equal_scenes_give_equal_pixels_and_leave_no_trace() -> None:
    textured = replace(SCENE, damage=(Texture("stripes", 0.1, 3), Smear(0.3, 0.4, 0.3, 0.5, 0.2)))
    before = render(SCENE).tobytes()
    assert render(textured).tobytes() == render(textured).tobytes()
    assert render(SCENE).tobytes() == before


@pytest.mark.parametrize("background", Background)
def test_a_bare_background_runs_from_its_top_to_its_bottom_colour(background: Background) -> None:
    image = pixels(Scene((), background))
    top, bottom = BACKGROUND_RGB[background]
    assert np.abs(image[0] - top).max() <= 1
    assert np.abs(image[-1] - bottom).max() <= 1


@pytest.mark.parametrize("shape", Shape)
def test_a_shape_fills_the_box_and_the_circle_that_its_constants_promise(shape: Shape) -> None:
    inside = body(Scene((Thing(shape, Colour.BLUE, 0.5, 0.5, 0.6),), Background.PEARL))
    rows, columns = np.nonzero(inside)
    diameter = 0.6 * 256
    assert (np.ptp(columns) + 1) / diameter == pytest.approx(EXTENT[shape][0], rel=0.02)
    assert (np.ptp(rows) + 1) / diameter == pytest.approx(EXTENT[shape][1], rel=0.02)
    assert columns.max() + columns.min() + 1 == pytest.approx(256, abs=2)
    assert rows.max() + rows.min() + 1 == pytest.approx(256, abs=2)
    reach = np.hypot(columns + 0.5 - 128, rows + 0.5 - 128).max() / diameter
    assert reach == pytest.approx(RADIUS[shape], rel=0.02)


@pytest.mark.parametrize("colour", Colour)
@pytest.mark.parametrize("shape", Shape)
def test_the_middle_of_a_thing_has_its_colour(shape: Shape, colour: Colour) -> None:
    image = pixels(Scene((Thing(shape, colour, 0.5, 0.5, 0.4),), Background.LILAC))
    distances = {each: np.abs(image[50, 48] - np.array(rgb)).sum() for each, rgb in COLOUR_RGB.items()}
    assert min(distances, key=lambda each: float(distances[each])) is colour


def test_edges_are_smooth() -> None:
    image = pixels(Scene((replace(BLUE, x=0.5, y=0.5),), Background.PEARL))
    bare = pixels(Scene((), Background.PEARL))
    share = np.abs(image - bare)[..., 0] / np.abs(image - bare)[..., 0].max()
    assert ((share > 0.25) & (share < 0.75)).sum() > 20


def test_a_thing_casts_a_shadow_that_is_paler_than_any_thing() -> None:
    changed = np.abs(pixels(Scene((BLUE,), Background.PEARL)) - pixels(Scene((), Background.PEARL)))
    shadow = ~body(Scene((BLUE,), Background.PEARL), 96) & (changed.max(axis=2) > 4)
    rows, columns = np.nonzero(shadow)
    assert rows.mean() > BLUE.y * 96
    assert columns.mean() > BLUE.x * 96


def test_later_things_lie_in_front() -> None:
    front = replace(RED, x=BLUE.x, y=BLUE.y, size=0.15)
    middle = pixels(Scene((BLUE, front), Background.SKY))[38, 28]
    assert middle[0] > middle[2]
    assert pixels(Scene((front, BLUE), Background.SKY))[38, 28][2] > 150


@pytest.mark.parametrize("shape", Shape)
def test_a_thing_may_run_out_of_the_picture(shape: Shape) -> None:
    for x, y in ((0.0, 0.0), (1.0, 0.5), (0.5, 1.0), (-0.5, 2.0)):
        assert render(Scene((Thing(shape, Colour.BLUE, x, y, 0.4),), Background.SAND), 32).size == (32, 32)


def test_a_smear_changes_its_surroundings_only() -> None:
    smeared = replace(SCENE, damage=(Smear(BLUE.x, BLUE.y, 0.36, 0.7, 0.2),))
    changed = np.abs(pixels(smeared) - pixels(SCENE)).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    reach = np.hypot((columns + 0.5) / 96 - BLUE.x, (rows + 0.5) / 96 - BLUE.y)
    assert changed.sum() > 200
    assert reach.max() < 0.36 / 2 + 0.2 / 2 + 3 / 96


@pytest.mark.parametrize("shape", Shape)
def test_a_slice_takes_about_half_of_its_thing_and_nothing_else(shape: Shape) -> None:
    thing = replace(BLUE, shape=shape)
    cut = Slice(thing.x, thing.y, thing.size, 0.0, 0.0)
    whole, rest = Scene((thing, RED), Background.PEARL), Scene((thing, RED), Background.PEARL, (cut,))
    before, after = body(whole), body(rest)
    assert after.sum() / before.sum() == pytest.approx(0.5, abs=0.03)
    # Angle 0 is to the right: there the ground is bare, without crumbs of body.
    assert not after[:, round(thing.x * 256) + 1 :].any()
    assert (pixels(rest)[60:, 58:] == pixels(whole)[60:, 58:]).all()


@pytest.mark.parametrize("kind", ["stripes", "blotches"])
def test_a_texture_darkens_the_background_and_no_thing(kind: str) -> None:
    damage = (Texture("stripes" if kind == "stripes" else "blotches", 0.09, 5),)
    plain, patterned = pixels(SCENE), pixels(replace(SCENE, damage=damage))
    assert patterned[:10].std() > plain[:10].std() + 2
    assert (patterned <= plain).all()
    assert (patterned[38, 28] == plain[38, 28]).all()


def test_an_unknown_texture_is_refused() -> None:
    with pytest.raises(ValueError, match="stripes"):
        render(replace(SCENE, damage=(Texture("plaid", 0.1),)))  # type: ignore[arg-type]
