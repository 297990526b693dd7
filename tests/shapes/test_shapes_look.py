"""What is seen in pixels: rendered scenes are read back, other images are refused."""

from __future__ import annotations

import random
from math import hypot

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from arrkit.shapes.checker import DAMAGED
from arrkit.shapes.grammar import Family, parse_prompt, sample_prompt
from arrkit.shapes.layout import realise
from arrkit.shapes.look import Look, look_at
from arrkit.shapes.render import render
from arrkit.shapes.scene import Background, Colour, Scene, Shape, Slice, Smear, Texture, Thing


def scenes(count: int, seed: int) -> list[Scene]:
    rng = random.Random(seed)
    drawn = []
    for index in range(count):
        wants = parse_prompt(sample_prompt(rng, list(Family)[index % len(Family)]))
        assert wants is not None
        drawn.append(realise(wants, rng))
    return drawn


def reads_back(scene: Scene, look: Look) -> bool:
    """Whether every thing is seen once, at its place, with its shape, colour and size, and undamaged."""
    if look.world or len(look.objects) != len(scene.things) or look.background is not scene.background:
        return False
    for thing in scene.things:
        seen = min(look.objects, key=lambda each: hypot(each.x - thing.x, each.y - thing.y))
        if (seen.shape, seen.colour) != (thing.shape, thing.colour):
            return False
        if hypot(seen.x - thing.x, seen.y - thing.y) > 0.03 or abs(seen.size / thing.size - 1) > 0.15:
            return False
        if min(seen.whole, seen.clean) < DAMAGED:
            return False
    return True


@pytest.mark.parametrize("size", [48, 64, 96, 160, 256])
def test_rendered_scenes_are_read_back(size: int) -> None:
    drawn = scenes(90, seed=size)
    wrong = [scene for scene in drawn if not reads_back(scene, look_at(render(scene, size)))]
    assert len(wrong) <= (2 if size < 64 else 1), wrong


def test_a_smear_makes_its_object_unclean_and_no_other() -> None:
    things = (
        Thing(Shape.CIRCLE, Colour.RED, 0.28, 0.5, 0.28),
        Thing(Shape.SQUARE, Colour.BLUE, 0.74, 0.5, 0.28),
    )
    smear = Smear(0.28, 0.5, 0.35, 0.7, 0.25)
    red, blue = look_at(render(Scene(things, Background.SAND, (smear,)))).objects
    assert red.clean < 0.2
    assert red.whole > 0.8, "a smear is not counted as a cut as well"
    assert (blue.clean, blue.whole) == (1, 1)


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("angle", [0.4, 1.9, -2.3])
def test_a_cut_makes_its_object_less_than_whole(shape: Shape, angle: float) -> None:
    thing = Thing(shape, Colour.GREEN, 0.5, 0.5, 0.3)
    cut = Slice(0.5, 0.5, 0.4, angle, 0.0)
    (seen,) = look_at(render(Scene((thing,), Background.PEARL, (cut,)))).objects
    assert seen.whole < 0.5
    assert seen.clean > 0.8


def test_an_object_beyond_the_border_is_not_whole() -> None:
    scene = Scene((Thing(Shape.CIRCLE, Colour.BLUE, 0.02, 0.5, 0.3),), Background.MINT)
    (seen,) = look_at(render(scene)).objects
    assert seen.whole < 0.5


def test_objects_of_one_colour_that_touch_are_told_apart() -> None:
    things = (
        Thing(Shape.SQUARE, Colour.RED, 0.35, 0.35, 0.26),
        Thing(Shape.SQUARE, Colour.RED, 0.57, 0.56, 0.26),
    )
    look = look_at(render(Scene(things, Background.MEADOW)))
    assert [each.shape for each in look.objects] == [Shape.SQUARE, Shape.SQUARE]


def test_objects_of_two_colours_that_touch_are_told_apart() -> None:
    things = (
        Thing(Shape.CIRCLE, Colour.RED, 0.38, 0.5, 0.3),
        Thing(Shape.CIRCLE, Colour.BLUE, 0.62, 0.5, 0.3),
    )
    look = look_at(render(Scene(things, Background.SKY)))
    assert [each.colour for each in look.objects] == [Colour.RED, Colour.BLUE]


@pytest.mark.parametrize("kind", ["stripes", "blotches"])
def test_a_pattern_on_the_ground_is_texture(kind: str) -> None:
    plain = Scene((Thing(Shape.STAR, Colour.PURPLE, 0.5, 0.5, 0.3),), Background.LILAC)
    patterned = Scene(plain.things, plain.background, (Texture(kind, 0.07, 3),))
    assert look_at(render(plain)).texture < 0.005
    assert look_at(render(patterned)).texture > 0.012
    assert look_at(render(patterned)).background is Background.LILAC


def test_a_scene_smeared_beyond_recognition_is_of_this_world() -> None:
    thing = Thing(Shape.SQUARE, Colour.RED, 0.4017, 0.4008, 0.457)
    damage = (
        Slice(0.4017, 0.4008, 0.457, -0.509, -0.0254),
        Smear(0.4017, 0.4008, 0.5886, 2.924, 0.4113),
    )
    look = look_at(render(Scene((thing,), Background.MINT, damage)))
    assert (look.world, look.background) == ("", Background.MINT)


def test_an_empty_scene_is_of_this_world() -> None:
    for background in Background:
        look = look_at(render(Scene((), background)))
        assert (look.world, look.objects, look.background) == ("", (), background)


def strangers(side: int) -> dict[str, np.ndarray]:
    """Images that are not of the shapes world, as arrays (side, side, 3)."""
    rng = np.random.default_rng(side)
    down = np.linspace(0, 255, side)[:, None, None]
    text = Image.new("RGB", (side, side), (237, 237, 240))
    pen = ImageDraw.Draw(text)
    for line in range(4, side - 10, 12):
        pen.text((4, line), "The quick brown fox jumps over it", fill=(30, 30, 40))
    landscape = np.empty((side, side, 3))
    landscape[: side // 2] = (150, 190, 235)
    landscape[side // 2 :] = (84, 120, 60)
    landscape += rng.normal(0, 9, landscape.shape)
    patches = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return {
        "wild noise": rng.integers(0, 256, (side, side, 3)),
        "faint noise": np.array([226, 214, 246]) + rng.normal(0, 12, (side, side, 3)),
        "fainter noise": np.array([226, 214, 246]) + rng.normal(0, 5, (side, side, 3)),
        "white": np.full((side, side, 3), 255),
        "black": np.zeros((side, side, 3)),
        "one red": np.full((side, side, 3), (222, 48, 64)),
        "grey ramp": np.broadcast_to(down, (side, side, 3)),
        "text": np.asarray(text),
        "landscape": landscape,
        "soft photo": np.asarray(patches.resize((side, side), Image.Resampling.BICUBIC)),
    }


@pytest.mark.parametrize("side", [48, 96, 200, 512])
def test_other_images_are_refused(side: int) -> None:
    for name, array in strangers(side).items():
        image = Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))
        assert look_at(image).world, f"{name} at {side} pixels was taken for a scene"


@given(
    st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=4, max_size=4),
    st.sampled_from([32, 48, 100]),
    st.sampled_from([Image.Resampling.NEAREST, Image.Resampling.BILINEAR]),
)
@settings(max_examples=60, deadline=None)
def test_any_image_can_be_looked_at(corners: list[tuple[int, int, int]], side: int, how: int) -> None:
    image = Image.new("RGB", (2, 2))
    image.putdata(corners)
    look = look_at(image.resize((side, side), how))
    assert min(look.contrast, look.coverage, look.smoothness, look.vividness) >= 0
    assert max(look.contrast, look.coverage, look.smoothness, look.vividness) <= 1


def test_an_image_that_is_not_square_or_tiny_is_refused() -> None:
    image = render(Scene((), Background.MINT))
    assert look_at(image.crop((0, 0, 96, 60))).world
    assert look_at(image.resize((20, 20))).world


def test_a_summary_counts_what_is_seen() -> None:
    things = tuple(Thing(Shape.STAR, Colour.RED, x, 0.5, 0.25) for x in (0.25, 0.75))
    assert look_at(render(Scene(things, Background.ROSE))).summary == "2 red stars"
    assert look_at(render(Scene((), Background.ROSE))).summary == "nothing"
