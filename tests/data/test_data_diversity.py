"""Seeds are clear pairs of many kinds, the same each time."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arrkit.data import diversity
from arrkit.data.diversity import EMBEDDER, Trait, choose_diverse, margin_of, trait_of
from arrkit.data.pairs import Label, Picture, PreferencePair, Task

GREY = Picture("grey", lambda: Image.new("RGB", (1, 1)))
KINDS = ("a red kite over the beach", "an old castle in fog", "two cats playing chess", "neon city at night")


def pair(**changes) -> PreferencePair:
    return PreferencePair("p", Task.T2I, "x", GREY, GREY, Label.A, **changes)


def kinds_of(choice, traits) -> list[str]:
    return [next(kind for kind in KINDS if kind in traits[index].prompt) for index in choice.indices]


def lopsided() -> list[Trait]:
    """97 prompts of the first kind, all clear, and one of each other kind, less clear."""
    many = [Trait(number, f"{KINDS[0]} {number % 10}", "votes", 0.9) for number in range(97)]
    return [*many, *(Trait(200 + n, kind, "votes", 0.6) for n, kind in enumerate(KINDS[1:]))]


def test_every_kind_is_chosen_where_one_outnumbers_the_others():
    traits = lopsided()
    choice = choose_diverse(traits, 4, seed=0)
    assert set(kinds_of(choice, traits)) == set(KINDS)
    assert choice.clusters == 4
    assert choice.space == "TF-IDF of their words"
    assert choice.margins == {"votes": 4}


def test_the_clearer_pair_of_a_kind_is_chosen():
    traits = [Trait(n, f"{kind} {n}", "votes", 0.1 * n) for kind in KINDS for n in range(9)]
    choice = choose_diverse(traits, 4, seed=0)
    assert [traits[index].margin for index in choice.indices] == [0.8] * 4


def test_a_prompt_is_not_chosen_twice_before_its_kind_is_through(monkeypatch):
    monkeypatch.setattr(diversity, "MOST_CLUSTERS", 1)
    same = [Trait(n, "a red kite over the beach", "votes", 0.9) for n in range(5)]
    others = [Trait(10 + n, f"a red kite over the beach {n}", "votes", 0.9) for n in range(3)]
    assert choose_diverse([*same, *others], 4, seed=0).indices == (0, 5, 6, 7)
    assert choose_diverse([*same, *others], 5, seed=0).indices == (0, 1, 5, 6, 7)


def test_a_hopeless_pair_of_a_new_kind_gives_way_to_a_clear_one():
    traits = [
        *(Trait(n, f"{KINDS[0]} {n}", "confidence", 1.0) for n in range(20)),
        Trait(30, KINDS[1], "confidence", 0.01),
    ]
    assert 20 not in choose_diverse(traits, 1, seed=0).indices
    assert 20 in choose_diverse([*traits[:20], Trait(30, KINDS[1], "confidence", 0.6)], 2, seed=0).indices


def test_a_pair_that_says_nothing_has_the_median_of_the_others():
    traits = [Trait(n, f"{KINDS[0]} {n}", "votes", margin) for n, margin in enumerate((0.1, 0.5, 0.9))]
    traits.append(Trait(9, f"{KINDS[0]} 9"))
    choice = choose_diverse(traits, 2, seed=0)
    assert choice.indices[0] in (1, 2)
    one = choose_diverse([traits[0], traits[3]], 1, seed=0)
    assert one.indices == (0,)  # equally clear: the smaller mark


def test_differences_of_ratings_are_measured_by_the_largest():
    far, near = Trait(1, KINDS[0], "score_a and score_b", 60), Trait(2, KINDS[0], "score_a and score_b", 6)
    voted = Trait(3, KINDS[0], "votes", 0.5)
    assert choose_diverse([near, voted, far], 1, seed=0).indices == (2,)
    assert choose_diverse([near, voted], 1, seed=0).indices == (0,)  # 6 is now the largest


@pytest.mark.parametrize(
    ("changes", "source", "margin"),
    [
        ({"votes": (9, 0), "confidence": 0.2}, "votes", 0.9),
        ({"votes": (1, 0)}, "votes", 0.5),
        ({"votes": (3, 3)}, "votes", 0.0),
        ({"votes": (0, 0)}, "votes", 0.0),
        ({"confidence": 0.25, "metadata": {"rank_a": 1, "rank_b": 5}}, "confidence", 0.25),
        ({"metadata": {"rank_a": 1, "rank_b": 5}}, "rank_a and rank_b", 4.0),
        ({"metadata": {"score_a": 1.5, "score_b": 1, "rank_a": 1, "rank_b": 9}}, "score_a and score_b", 0.5),
        ({"metadata": {"score_a": "1", "score_b": True}}, "nothing", 0.0),
        ({}, "nothing", 0.0),
    ],
)
def test_where_a_margin_is_found(changes, source, margin):
    assert margin_of(pair(**changes)) == (source, pytest.approx(margin))
    trait = trait_of(pair(**changes), 7)
    assert (trait.mark, trait.prompt, trait.source) == (7, "x", source)


@given(
    st.lists(st.tuples(st.sampled_from(["a b", "a c", "d e", "", "!?", "狐狸在雪中"]), st.floats(0, 1))),
    st.integers(1, 12),
    st.integers(-3, 3),
)
def test_any_pairs_can_be_chosen_from(rows, count, seed):
    traits = [Trait(number, prompt, "confidence", margin) for number, (prompt, margin) in enumerate(rows)]
    choice = choose_diverse(traits, count, seed=seed)
    assert len(choice.indices) == len(set(choice.indices)) == min(count, len(rows))
    assert list(choice.indices) == sorted(choice.indices)
    assert choice == choose_diverse(traits, count, seed=seed)


def test_prompts_of_more_words_than_dimensions_in_two_scripts():
    numbers = [f"{first} {second}" for first in range(20) for second in range(10)]
    words = [*(f"word{n}" for n in numbers), *(f"一只{chr(0x4E00 + n)}在雪中" for n in range(200))]
    traits = [Trait(number, prompt) for number, prompt in enumerate(words)]
    choice = choose_diverse(traits, 8, seed=0)
    assert {index < 200 for index in choice.indices} == {True, False}
    assert choice.margins == {"nothing": 8}


def test_sentence_embeddings_serve_where_they_are_installed(monkeypatch):
    asked = []

    class Model:
        def __init__(self, name, *, device, local_files_only):
            asked.append((name, local_files_only))

        def encode(self, prompts, *, normalize_embeddings, show_progress_bar):
            return np.array([[1.0, 0.0] if "cat" in prompt else [0.0, 1.0] for prompt in prompts])

    library = ModuleType("sentence_transformers")
    library.SentenceTransformer = Model
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    traits = [Trait(n, prompt) for n, prompt in enumerate(["cat", "my cat", "dog", "cat nap", "a dog"])]
    choice = choose_diverse(traits, 2, seed=0)
    assert choice.space == f"sentence embeddings ({EMBEDDER})"
    assert asked == [(EMBEDDER, True)]
    assert {"cat" in traits[index].prompt for index in choice.indices} == {True, False}

    def absent(*arguments, **options):
        raise OSError("not in the cache")

    library.SentenceTransformer = absent
    assert choose_diverse(traits, 2, seed=0).space == "TF-IDF of their words"
