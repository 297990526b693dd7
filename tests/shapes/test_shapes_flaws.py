"""Each flaw makes a right scene wrong in its own way and in no other."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from arrkit.shapes.edits import Edit, EditKind, Ref, apply, sample_edit
from arrkit.shapes.flaws import EDIT_FLAWS, PROMPT_FLAWS, utility
from arrkit.shapes.grammar import Family, Wants, parse_prompt, sample_prompt
from arrkit.shapes.layout import clear, realise
from arrkit.shapes.scene import (
    EXTENT,
    Background,
    Colour,
    Scene,
    Shape,
    Slice,
    Smear,
    Texture,
    Thing,
    lies,
)

DRAWS = 60


def prompted(name: str) -> Iterator[tuple[Wants, Scene, Scene]]:
    """What was wanted, a right scene and a spoilt one, over all families where the flaw applies."""
    rng = random.Random(f"prompt flaw {name}")
    for index in range(DRAWS * 10):
        wants = parse_prompt(sample_prompt(rng, list(Family)[index % len(Family)]))
        assert wants is not None
        right = realise(wants, rng)
        spoilt = PROMPT_FLAWS[name].spoil(right, wants, rng)
        if spoilt is not None:
            yield wants, right, spoilt


def edited(name: str) -> Iterator[tuple[Edit, Scene, Scene, Scene]]:
    """An edit, its source, the right result and a spoilt one, over all kinds where the flaw applies."""
    rng = random.Random(f"edit flaw {name}")
    source = Scene(
        (
            # The circle has room on every side, so that each edit can be done and done wrong.
            Thing(Shape.CIRCLE, Colour.RED, 0.5, 0.5, 0.18),
            Thing(Shape.STAR, Colour.BLUE, 0.18, 0.2, 0.18),
            Thing(Shape.SQUARE, Colour.GREEN, 0.82, 0.2, 0.18),
            Thing(Shape.TRIANGLE, Colour.YELLOW, 0.2, 0.8, 0.18),
        ),
        Background.ROSE,
    )
    for index in range(DRAWS * 3):
        edit = sample_edit(rng, source, list(EditKind)[index % len(EditKind)])
        right = apply(edit, source, rng)
        spoilt = None if right is None else EDIT_FLAWS[name].spoil(right, source, edit, rng)
        if right is not None and spoilt is not None:
            yield edit, source, right, spoilt


def shapes(scene: Scene) -> Counter[Shape]:
    return Counter(thing.shape for thing in scene.things)


def looks(scene: Scene) -> Counter[Ref]:
    return Counter(Ref(thing.colour, thing.shape) for thing in scene.things)


def meets(scene: Scene, wants: Wants) -> bool:
    """Whether a scene shows just what is wanted, read from its values; damage aside."""
    left = list(scene.things)
    for want in wants.groups:
        found = [t for t in left if t.shape is want.shape and want.colour in (None, t.colour)]
        if len(found) != want.count:
            return False
        left = [thing for thing in left if thing not in found]
    if wants.side is not None:
        one, two = (next(t for t in scene.things if t.shape is w.shape) for w in wants.groups)
        if not lies((one.x, one.y), wants.side, (two.x, two.y)):
            return False
    return not left and wants.background in (None, scene.background)


@pytest.mark.parametrize("family", Family)
def test_a_realised_prompt_shows_just_what_is_wanted(family: Family) -> None:
    rng = random.Random(f"realise {family}")
    for _ in range(DRAWS):
        wants = parse_prompt(sample_prompt(rng, family))
        assert wants is not None
        scene = realise(wants, rng)
        assert meets(scene, wants)
        assert not scene.damage


@pytest.mark.parametrize("name", PROMPT_FLAWS)
def test_a_flaw_spoils_the_picture_or_what_was_wanted(name: str) -> None:
    seen = 0
    for wants, right, spoilt in prompted(name):
        seen += 1
        assert spoilt != right
        if name in ("smeared", "cut"):
            assert replace(spoilt, damage=()) == right
        else:
            assert not meets(spoilt, wants)
            assert not spoilt.damage
    assert seen >= 20


@pytest.mark.parametrize("name", PROMPT_FLAWS)
def test_spoilt_scenes_stay_in_the_picture_and_apart(name: str) -> None:
    for _, _, spoilt in prompted(name):
        for index, thing in enumerate(spoilt.things):
            wide, high = (extent * thing.size / 2 for extent in EXTENT[thing.shape])
            assert wide < thing.x < 1 - wide
            assert high < thing.y < 1 - high
            assert all(clear(thing, other, gap=0) for other in spoilt.things[:index])


@pytest.mark.parametrize(
    ("name", "change"), [("missing_object", -1), ("extra_object", 1), ("wrong_shape", 0)]
)
def test_counts_change_as_the_name_says(name: str, change: int) -> None:
    for _, right, spoilt in prompted(name):
        assert len(spoilt.things) == len(right.things) + change


@pytest.mark.parametrize("name", ["wrong_colour", "swapped_colours", "wrong_side", "wrong_background"])
def test_other_flaws_keep_the_shapes(name: str) -> None:
    for wants, right, spoilt in prompted(name):
        assert shapes(spoilt) == shapes(right)
        if name != "wrong_background":
            assert spoilt.background is right.background
        if name == "swapped_colours":
            assert Counter(t.colour for t in spoilt.things) == Counter(t.colour for t in right.things)
        if name == "wrong_side":
            assert wants.family is Family.POSITION
            assert looks(spoilt) == looks(right)


def test_flaws_apply_where_they_make_sense() -> None:
    rng = random.Random(1)
    star = parse_prompt("a star")
    assert star is not None
    scene = realise(star, rng)
    named = {"wrong_colour", "swapped_colours", "wrong_side", "missing_object", "wrong_background"}
    assert {name for name, flaw in PROMPT_FLAWS.items() if flaw.spoil(scene, star, rng) is None} == named


@pytest.mark.parametrize("name", EDIT_FLAWS)
def test_a_flawed_edit_is_not_the_right_one(name: str) -> None:
    kinds = set()
    for edit, source, right, spoilt in edited(name):
        kinds.add(edit.kind)
        assert spoilt != right
        if name in ("smeared", "cut"):
            assert replace(spoilt, damage=()) == right
        elif name == "nothing_done":
            assert spoilt == source
        elif name in ("wrong_target", "wrong_result"):
            # Something was done, only not what was asked.
            assert spoilt != source
    targeted = {EditKind.RECOLOUR, EditKind.REMOVE, EditKind.REPLACE, EditKind.MOVE}
    expected = {
        "wrong_target": targeted,
        "wrong_result": set(EditKind) - {EditKind.REMOVE},
        "background_changed": set(EditKind) - {EditKind.BACKGROUND},
    }
    assert kinds == expected.get(name, set(EditKind))


@pytest.mark.parametrize("name", ["bystander_gone", "bystander_recoloured", "bystander_moved"])
def test_a_bystander_is_one_that_the_instruction_does_not_mention(name: str) -> None:
    for edit, source, right, spoilt in edited(name):
        spoilt_things = [thing for thing in right.things if thing not in spoilt.things]
        assert len(spoilt_things) == 1
        (thing,) = spoilt_things
        assert thing in source.things
        assert Ref(thing.colour, thing.shape) not in (edit.target, edit.anchor)
        assert spoilt.background is right.background
        if name == "bystander_moved":
            assert looks(spoilt) == looks(right)


def test_a_disturbed_background_changes_nothing_else() -> None:
    textured = 0
    for _, _, right, spoilt in edited("background_changed"):
        assert spoilt.things == right.things
        textured += bool(spoilt.damage)
        assert (spoilt.background is right.background) == bool(spoilt.damage)
        assert all(isinstance(damage, Texture) for damage in spoilt.damage)
    assert textured >= 10


@pytest.mark.parametrize(("name", "kind"), [("smeared", Smear), ("cut", Slice)])
def test_damage_is_done_to_one_thing(name: str, kind: type) -> None:
    for _, right, spoilt in prompted(name):
        (damage,) = spoilt.damage
        assert isinstance(damage, kind)
        assert isinstance(damage, Smear | Slice)
        hit = [t for t in right.things if abs(t.x - damage.x) + abs(t.y - damage.y) < t.size / 2]
        assert len(hit) == 1


def applied(name: str, prompt: str) -> list[tuple[Scene, Scene | None]]:
    wants = parse_prompt(prompt)
    assert wants is not None
    rng = random.Random(prompt)
    scenes = [realise(wants, rng) for _ in range(DRAWS)]
    return [(scene, PROMPT_FLAWS[name].spoil(scene, wants, rng)) for scene in scenes]


def test_only_a_colour_that_was_asked_for_can_be_wrong() -> None:
    for right, spoilt in applied("wrong_colour", "a circle and a red star"):
        assert spoilt is not None
        assert spoilt.things[0] == right.things[0]
        assert spoilt.things[1].colour is not Colour.RED


def test_colours_are_swapped_between_groups_of_any_number() -> None:
    for right, spoilt in applied("swapped_colours", "two red circles and a blue star"):
        assert spoilt is not None
        assert [thing.colour for thing in right.things] == [Colour.RED, Colour.RED, Colour.BLUE]
        assert sorted(thing.colour for thing in spoilt.things) == [Colour.BLUE, Colour.RED, Colour.RED]
        assert spoilt.things[2].colour is Colour.RED


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("swapped_colours", "a red circle and a blue circle"),
        ("swapped_colours", "a red circle and a red star"),
        ("swapped_colours", "a red circle and a star"),
        ("wrong_side", "a circle above a circle"),
    ],
)
def test_a_change_that_leaves_the_picture_right_is_no_flaw(name: str, prompt: str) -> None:
    assert all(spoilt is None for _, spoilt in applied(name, prompt))


def test_no_cut_leaves_a_smaller_triangle_of_a_triangle() -> None:
    """Which it would along a side, that is towards the direction in which that side faces."""
    for _, spoilt in applied("cut", "four triangles"):
        assert spoilt is not None
        (cut,) = spoilt.damage
        assert isinstance(cut, Slice)
        off = [abs(math.remainder(cut.angle - math.radians(side), math.tau)) for side in (90, -30, -150)]
        assert min(off) > 0.3


def test_utility_is_one_less_the_costs() -> None:
    assert utility((), PROMPT_FLAWS) == 1
    for flaws in (PROMPT_FLAWS, EDIT_FLAWS):
        costs = [flaw.cost for flaw in flaws.values()]
        assert costs == sorted(costs, reverse=True)
        assert all(0 < cost <= 1 for cost in costs)
    cut, smeared = PROMPT_FLAWS["cut"].cost, PROMPT_FLAWS["smeared"].cost
    assert utility(("cut", "smeared"), PROMPT_FLAWS) == pytest.approx(1 - cut - smeared)
