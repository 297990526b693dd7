"""Instructions are written, read back, and carried out."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.shapes.edits import Edit, EditKind, Ref, apply, instruction_for, parse_instruction, sample_edit
from arrkit.shapes.layout import clear
from arrkit.shapes.scene import EXTENT, Background, Colour, Scene, Shape, Side, Thing, lies

RED_CIRCLE, BLUE_STAR = Ref(Colour.RED, Shape.CIRCLE), Ref(Colour.BLUE, Shape.STAR)
SCENE = Scene(
    (
        Thing(Shape.CIRCLE, Colour.RED, 0.25, 0.25, 0.2),
        Thing(Shape.STAR, Colour.BLUE, 0.75, 0.3, 0.2),
        Thing(Shape.SQUARE, Colour.GREEN, 0.4, 0.75, 0.2),
    ),
    Background.SAND,
)
seeds, kinds = st.integers(0, 2**32), st.sampled_from(EditKind)


def looks(scene: Scene) -> Counter[tuple[Colour, Shape]]:
    return Counter((thing.colour, thing.shape) for thing in scene.things)


@given(seeds, kinds, st.integers(0, 2))
def test_an_instruction_reads_back_as_its_edit_in_every_wording(
    seed: int, kind: EditKind, variant: int
) -> None:
    edit = sample_edit(random.Random(seed), SCENE, kind)
    assert edit.kind is kind
    assert parse_instruction(instruction_for(edit, variant)) == edit
    assert parse_instruction(f"  {instruction_for(edit, variant).upper()}. ") == edit


@pytest.mark.parametrize("kind", EditKind)
def test_each_kind_has_three_wordings(kind: EditKind) -> None:
    edit = sample_edit(random.Random(1), SCENE, kind)
    assert len({instruction_for(edit, variant) for variant in range(3)}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a star",
        "remove the cat",
        "make the red circle mauve",
        "add red star",
        "move the red star above the red star",
    ],
)
def test_other_texts_are_no_instructions(text: str) -> None:
    assert parse_instruction(text) is None


def test_a_reference_that_fits_none_or_two_finds_nothing() -> None:
    assert RED_CIRCLE.find(SCENE) == 0
    assert Ref(Colour.RED, Shape.STAR).find(SCENE) is None
    twice = replace(SCENE, things=(*SCENE.things, replace(SCENE.things[0], x=0.8, y=0.8)))
    assert RED_CIRCLE.find(twice) is None
    assert apply(Edit(EditKind.REMOVE, RED_CIRCLE), twice, random.Random(0)) is None


def done(edit: Edit) -> Scene:
    scene = apply(edit, SCENE, random.Random(3))
    assert scene is not None
    return scene


def test_recolour_changes_one_colour() -> None:
    scene = done(Edit(EditKind.RECOLOUR, RED_CIRCLE, colour=Colour.PURPLE))
    assert scene.things == (replace(SCENE.things[0], colour=Colour.PURPLE), *SCENE.things[1:])


def test_remove_takes_one_thing_away() -> None:
    assert done(Edit(EditKind.REMOVE, RED_CIRCLE)).things == SCENE.things[1:]


def test_add_puts_one_thing_where_it_was_asked() -> None:
    new = Ref(Colour.YELLOW, Shape.TRIANGLE)
    scene = done(Edit(EditKind.ADD, new=new, side=Side.BELOW, anchor=BLUE_STAR))
    assert scene.things[:3] == SCENE.things
    added = scene.things[3]
    assert (added.colour, added.shape) == (Colour.YELLOW, Shape.TRIANGLE)
    assert lies((added.x, added.y), Side.BELOW, (0.75, 0.3))


def test_replace_keeps_the_place() -> None:
    scene = done(Edit(EditKind.REPLACE, RED_CIRCLE, Ref(Colour.YELLOW, Shape.STAR)))
    assert scene.things[1:] == SCENE.things[1:]
    assert scene.things[0] == Thing(Shape.STAR, Colour.YELLOW, 0.25, 0.25, 0.2)


def test_background_changes_nothing_else() -> None:
    scene = done(Edit(EditKind.BACKGROUND, background=Background.MINT))
    assert scene == replace(SCENE, background=Background.MINT)


@given(seeds)
def test_a_move_is_asked_where_it_is_not_so_yet_and_then_plainly_seen(seed: int) -> None:
    rng = random.Random(seed)
    edit = sample_edit(rng, SCENE, EditKind.MOVE)
    assert edit.target is not None
    assert edit.anchor is not None
    assert edit.side is not None
    index, other = edit.target.find(SCENE), edit.anchor.find(SCENE)
    assert index is not None
    assert other is not None
    anchor = SCENE.things[other]
    start = SCENE.things[index]
    assert not lies((start.x, start.y), edit.side, (anchor.x, anchor.y))
    scene = apply(edit, SCENE, rng)
    if scene is None:  # no room on that side
        return
    moved = scene.things[index]
    assert lies((moved.x, moved.y), edit.side, (anchor.x, anchor.y))
    assert ((moved.x - start.x) ** 2 + (moved.y - start.y) ** 2) ** 0.5 > 0.2
    assert replace(moved, x=start.x, y=start.y) == start
    assert [thing for thing in scene.things if thing != moved] == [t for t in SCENE.things if t != start]


@settings(max_examples=150)
@given(seeds, kinds)
def test_after_an_edit_all_things_lie_in_the_picture_apart_and_differ_in_looks(
    seed: int, kind: EditKind
) -> None:
    rng = random.Random(seed)
    scene = apply(sample_edit(rng, SCENE, kind), SCENE, rng)
    if scene is None:
        assert kind in (EditKind.MOVE, EditKind.ADD)
        return
    assert scene != SCENE
    assert max(looks(scene).values()) == 1
    for index, thing in enumerate(scene.things):
        wide, high = (extent * thing.size / 2 for extent in EXTENT[thing.shape])
        assert wide < thing.x < 1 - wide
        assert high < thing.y < 1 - high
        assert all(clear(thing, other, gap=0) for other in scene.things[:index])


def test_a_replacement_that_reaches_further_shrinks_to_fit() -> None:
    tight = replace(SCENE, things=(replace(SCENE.things[2], x=0.11, y=0.11), *SCENE.things[:2]))
    edit = Edit(EditKind.REPLACE, Ref(Colour.GREEN, Shape.SQUARE), Ref(Colour.GREEN, Shape.STAR))
    scene = apply(edit, tight, random.Random(0))
    assert scene is not None
    assert scene.things[0].size < 0.2
    assert scene.things[0].x > EXTENT[Shape.STAR][0] * scene.things[0].size / 2
