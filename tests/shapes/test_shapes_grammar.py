"""Prompts are written and read back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.shapes.grammar import Family, Want, Wants, parse_prompt, prompt_for, prompts, sample_prompt
from arrkit.shapes.scene import Background, Colour, Shape, Side


@pytest.mark.parametrize("family", Family)
def test_every_prompt_of_a_family_is_understood_and_none_stands_twice(family: Family) -> None:
    texts = prompts(family)
    assert len(texts) == len(set(texts)) >= 150
    for text in texts[:: max(1, len(texts) // 2000)]:
        wants = parse_prompt(text)
        assert wants is not None, text
        assert wants.family is family, text


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ("a star", Wants(Family.SINGLE_OBJECT, (Want(Shape.STAR),))),
        ("a circle and a star", Wants(Family.TWO_OBJECTS, (Want(Shape.CIRCLE), Want(Shape.STAR)))),
        ("three squares", Wants(Family.COUNTING, (Want(Shape.SQUARE, count=3),))),
        (
            "a photo of a blue star on a mint background",
            Wants(Family.COLOURS, (Want(Shape.STAR, Colour.BLUE),), background=Background.MINT),
        ),
        (
            "a circle to the left of a square",
            Wants(Family.POSITION, (Want(Shape.CIRCLE), Want(Shape.SQUARE)), Side.LEFT),
        ),
        (
            "an orange circle and a blue square",
            Wants(Family.ATTRIBUTION, (Want(Shape.CIRCLE, Colour.ORANGE), Want(Shape.SQUARE, Colour.BLUE))),
        ),
        ("  A Photo of\ta STAR. ", Wants(Family.SINGLE_OBJECT, (Want(Shape.STAR),))),
    ],
)
def test_prompts_mean_what_they_say(text: str, wants: Wants) -> None:
    assert parse_prompt(text) == wants


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "a red",
        "a star on a plaid background",
        "a star and",
        "a starfish",
        "a mauve star",
        "two star",
        "a stars",
        "stars",
    ],
)
def test_other_texts_are_no_prompts(text: str) -> None:
    assert parse_prompt(text) is None


@given(st.text(max_size=40))
def test_any_text_is_either_understood_or_not(text: str) -> None:
    wants = parse_prompt(text)
    assert wants is None or wants.groups


@given(st.integers(0, 2**32), st.sampled_from(Family))
def test_a_sampled_prompt_is_one_of_its_family_and_reads_back(seed: int, family: Family) -> None:
    text = sample_prompt(random.Random(seed), family)
    assert text == sample_prompt(random.Random(seed), family)
    wants = parse_prompt(text)
    assert wants is not None
    assert wants.family is family
    assert parse_prompt(prompt_for(wants)) == wants
    assert text.endswith(prompt_for(wants))


def test_articles_fit_the_word_that_follows() -> None:
    orange = Wants(Family.COLOURS, (Want(Shape.STAR, Colour.ORANGE),))
    assert prompt_for(orange, "a photo of ") == "a photo of an orange star"
    assert prompt_for(Wants(Family.COUNTING, (Want(Shape.STAR, count=2),))) == "two stars"
