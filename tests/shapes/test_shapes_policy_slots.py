"""Scenes as latents and back, and requests as tokens: nothing of either is lost."""

from __future__ import annotations

import random
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.shapes.edits import EditKind, instruction_for, sample_edit
from arrkit.shapes.grammar import Family, parse_prompt, prompts
from arrkit.shapes.layout import realise
from arrkit.shapes.policy.slots import (
    CHANNELS,
    LEAST_SIZE,
    MOST_SIZE,
    SLOTS,
    decode_scene,
    encode_scene,
)
from arrkit.shapes.policy.text import LENGTH, UnknownWords, tokens_of
from arrkit.shapes.scene import MAX_THINGS, Background, Colour, Scene, Shape, Thing

THINGS = st.builds(
    Thing,
    st.sampled_from(Shape),
    st.sampled_from(Colour),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(LEAST_SIZE, MOST_SIZE),
)


@given(st.lists(THINGS, max_size=MAX_THINGS), st.sampled_from(Background))
def test_a_scene_survives_its_latents(things, background):
    again = decode_scene(encode_scene(things, background))
    assert again.background is background
    assert [(each.shape, each.colour) for each in again.things] == [(t.shape, t.colour) for t in things]
    for before, after in zip(things, again.things, strict=True):
        assert (after.x, after.y, after.size) == pytest.approx((before.x, before.y, before.size), abs=1e-5)


def test_an_empty_slot_between_things_leaves_the_others_where_they_are():
    thing = Thing(Shape.STAR, Colour.RED, 0.3, 0.6, 0.2)
    slots = encode_scene([None, thing], Background.MINT)
    assert slots.shape == (SLOTS, CHANNELS)
    assert (slots[0] == [0, 0, 0, -1, *[0] * 10]).all()
    assert len(decode_scene(slots).things) == 1


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1e6))
def test_any_finite_numbers_are_a_scene_that_can_be_seen(seed, scale):
    slots = (np.random.default_rng(seed).standard_normal((SLOTS, CHANNELS)) * scale).astype(np.float32)
    scene = decode_scene(slots)
    for each in scene.things:
        assert 0 <= each.x <= 1
        assert 0 <= each.y <= 1
        assert LEAST_SIZE <= each.size <= MOST_SIZE + 1e-6


def test_numbers_that_are_none_are_refused():
    slots = encode_scene([], Background.SKY)
    slots[0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        decode_scene(slots)


def test_more_things_than_slots_are_refused():
    thing = Thing(Shape.STAR, Colour.RED, 0.3, 0.6, 0.2)
    with pytest.raises(ValueError, match="slots for 6"):
        encode_scene([thing] * 7, Background.SKY)


def test_prompts_have_the_same_tokens_exactly_when_they_ask_the_same():
    asked = {}
    for family in Family:
        for prompt in prompts(family)[::7]:
            tokens = tuple(tokens_of(prompt))
            assert len(tokens) == LENGTH
            assert asked.setdefault(tokens, parse_prompt(prompt)) == parse_prompt(prompt)


def test_instructions_have_the_same_tokens_exactly_when_they_ask_the_same():
    rng = random.Random(0)
    wants = parse_prompt("a red circle and a blue square")
    assert wants is not None
    scene = realise(wants, rng)
    asked = {}
    for kind in EditKind:
        for _ in range(60):
            edit = sample_edit(rng, scene, kind)
            for variant in range(3):
                tokens = tuple(tokens_of(instruction_for(edit, variant)))
                assert asked.setdefault(tokens, edit) == edit


def test_the_order_of_words_counts():
    sides = [tokens_of(f"a {one} above a {two}") for one, two in permutations(Shape, 2)]
    assert len({tuple(each) for each in sides}) == len(sides)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a red dog", "does not know 'dog'"),
        ("a photo of", "says nothing"),
        ("red " * 9, "9 words that count"),
    ],
)
def test_what_the_model_has_never_seen_is_refused(text, why):
    with pytest.raises(UnknownWords, match=why):
        tokens_of(text)


def test_no_scene_holds_more_than_its_slots():
    assert MAX_THINGS + 1 == SLOTS
    assert isinstance(decode_scene(encode_scene([], Background.ROSE)), Scene)
