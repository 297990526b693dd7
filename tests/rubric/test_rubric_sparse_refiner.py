"""The refiner: planted weights come back, decoys do not, and A and B are exchangeable."""

from __future__ import annotations

import asyncio
import random
from functools import cache, partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.backends.registry import make_judge
from arrkit.data.pairs import Picture, Task
from arrkit.judge.protocol import Draft, ScoreRequest, draft_dimensions
from arrkit.rubric.sparse.refiner import (
    accuracy_of,
    accuracy_rate,
    change_rate,
    earning,
    fit_weights,
    keep_top,
    labels_kept,
    refine_weights,
    rewards,
    uniform,
)
from arrkit.shapes.checks import Check
from arrkit.shapes.flaws import PROMPT_FLAWS
from arrkit.shapes.grammar import Family, parse_prompt, sample_prompt
from arrkit.shapes.layout import realise
from arrkit.shapes.render import render
from arrkit.shapes.wording import general

PLANTED = {Check.COUNT: 3.0, Check.BACKGROUND: 3.0, Check.CLEAN: 2.0, Check.WHOLE: 2.0}
DECOYS = (
    Check.CONTRAST,
    Check.COVERAGE,
    Check.VIVIDNESS,
    Check.RELATION,
    Check.OBJECTS,
    Check.COLOUR,
)
GUESSED = 4
"""Decoys beside those, on which the judge has nothing but guesses."""
CHECKS = (*PLANTED, *DECOYS)
ALL = len(CHECKS) + GUESSED
TRUE = np.array([*PLANTED.values(), *(0.0 for _ in DECOYS)])
FLAWS = ("wrong_colour", "wrong_side", "wrong_background", "extra_object", "smeared", "cut")


@cache
def scores():
    """The shapes judge's scores of 600 pairs of pictures with several flaws each: (600, 2, checks)."""
    dice = random.Random(1)
    dimensions = draft_dimensions("x", [Draft(f"{general(check, Task.T2I)}.") for check in CHECKS])
    judge = make_judge("shapes")
    rows = []

    async def seen(prompt, scene):
        picture = Picture("scene", partial(render, scene, 96))
        answer = await judge.score(ScoreRequest(Task.T2I, prompt, picture, dimensions))
        return [each.score for each in answer.scores]

    while len(rows) < 600:
        prompt = sample_prompt(dice, dice.choice(list(Family)))
        wants = parse_prompt(prompt)
        scenes = []
        for _ in range(6):
            scene = realise(wants, dice)
            for name in FLAWS:
                if dice.random() < 0.35:
                    scene = PROMPT_FLAWS[name].spoil(scene, wants, dice) or scene
            scenes.append(scene)
        given_ = [asyncio.run(seen(prompt, scene)) for scene in scenes]
        rows += list(combinations(given_, 2))
    return np.array(rows[:600], dtype=float)


def drawn(seed, noise=0.1):
    """Differences under a judge that mistakes some of its scores: to train, to validate, to hold out."""
    dice = np.random.default_rng(seed)
    clean = scores()
    lead = (clean[:, 0] - clean[:, 1]) @ TRUE
    label = np.where(lead + dice.logistic(0, 0.2, len(lead)) > 0, 1, -1)
    heard = np.where(dice.random(clean.shape) < noise / 2, 1 - clean, clean)
    heard = np.concatenate([heard, dice.random((*heard.shape[:2], GUESSED))], axis=2)
    rows = ((heard[:, 0] - heard[:, 1]) * label[:, None])[dice.permutation(len(label))]
    return rows[:192], rows[192:256], rows[256:]


def test_planted_weights_come_back_and_decoys_do_not_in_19_of_20_seeds():
    found, beaten, sizes = 0, 0, []
    for seed in range(20):
        train, validation, held = drawn(seed)
        weights = refine_weights(train, validation, top=10).weights
        found += bool((weights[: len(PLANTED)] > 0).all() and not weights[len(PLANTED) :].any())
        change = change_rate(held @ weights, held @ np.ones(ALL))
        beaten += change.low > 0
        sizes.append(weights[: len(PLANTED)])
    assert found >= 19
    assert beaten >= 17
    count, _, clean, whole = np.mean(sizes, axis=0)
    assert count > max(clean, whole), "planted at 3, 2 and 2"


def test_over_all_seeds_learned_weights_beat_uniform_ones_by_more_than_the_interval():
    learned, even = [], []
    for seed in range(20):
        train, validation, held = drawn(seed)
        learned.append(held @ refine_weights(train, validation, top=10).weights)
        even.append(held @ np.ones(ALL))
    gains = np.array([accuracy_of(one) - accuracy_of(two) for one, two in zip(learned, even, strict=True)])
    assert gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(len(gains))
    assert np.mean([accuracy_of(each) for each in learned]) > 0.75


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(1, 6))
def test_exchanging_a_and_b_changes_nothing(seed, pairs, candidates):
    dice = np.random.default_rng(seed)
    a, b = dice.random((2, pairs, candidates))
    likes_a = dice.random(pairs) < 0.5
    swap = dice.random(pairs) < 0.5

    def differences(first, second, first_preferred):
        return np.where(first_preferred[:, None], first - second, second - first)

    plain = differences(a, b, likes_a)
    turned = differences(
        np.where(swap[:, None], b, a), np.where(swap[:, None], a, b), np.where(swap, ~likes_a, likes_a)
    )
    assert (plain == turned).all()
    one, two = (refine_weights(each, each[:0], top=3).weights for each in (plain, turned))
    assert one.tolist() == two.tolist()


def test_the_penalty_is_the_equations():
    """At the minimum of |w|_1 + c * loss the gradient of the loss is -sign(w)/c, and within 1/c at zero."""
    train, _, _ = drawn(3)
    c = 0.5
    weights = fit_weights(train, c)
    slope = -(train / (1 + np.exp(train @ weights))[:, None]).sum(axis=0)
    at = np.abs(weights) > 1e-6
    assert 0 < at.sum() < len(weights)
    assert np.allclose(slope[at], -np.sign(weights[at]) / c, atol=0.05)
    assert (np.abs(slope[~at]) <= 1 / c + 0.05).all()


def test_a_weak_penalty_keeps_more_and_a_strong_one_none():
    train, _, _ = drawn(3)
    kept = [int((fit_weights(train, c) != 0).sum()) for c in (0.001, 0.1, 0.5, 5.0)]
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert kept[-1] >= 8


def test_a_fixed_c_takes_the_largest_weights_as_they_are():
    train, validation, _ = drawn(3)
    refined = refine_weights(train, validation, top=2, c=1.0)
    assert (len(refined.path), refined.step.c, refined.step.kept) == (1, 1.0, 2)
    fitted = fit_weights(train, 1.0)
    assert refined.weights.tolist() == keep_top(fitted, 2).tolist()
    assert set(labels_kept(refined.weights)) == set(np.argsort(-fitted)[:2].tolist())


def test_the_path_rises_in_c_and_the_chosen_step_is_on_it():
    train, validation, _ = drawn(0)
    refined = refine_weights(train, validation, top=10)
    assert [step.c for step in refined.path] == sorted(step.c for step in refined.path)
    assert refined.path[refined.chosen] is refined.step
    assert refined.step.accuracy == accuracy_of(validation @ refined.weights)
    lowest = min(step.loss for step in refined.path)
    assert refined.step.loss < lowest + 0.1


def test_negative_weights_and_whispers_are_not_kept():
    assert keep_top(np.array([2.0, -3.0, 1.0, 0.01]), 10).tolist() == [2.0, 0.0, 1.0, 0.0]
    assert keep_top(np.array([1.0, 1.0, 1.0]), 2).tolist() == [1.0, 1.0, 0.0]
    assert keep_top(np.array([-1.0, 0.0]), 2).tolist() == [0.0, 0.0]


def test_a_copy_of_a_criterion_does_not_earn_a_place_of_its_own():
    train, _, _ = drawn(1)
    doubled = np.concatenate([train[:, :2], train[:, :1]], axis=1)
    kept = earning(doubled, np.array([1.0, 1.0, 1.0]))
    assert sorted(np.flatnonzero(kept).tolist()) in ([0, 1], [1, 2])


def test_nothing_to_tell_apart_gives_no_weights():
    for rows in (np.zeros((8, 3)), np.zeros((0, 3)), np.ones((1, 3)) * 0.0):
        assert refine_weights(rows, rows, top=3).weights.tolist() == [0.0, 0.0, 0.0]
    perfect = np.ones((30, 1))
    assert refine_weights(perfect, perfect, top=3).weights[0] > 0


def test_the_reward_is_the_weighted_sum_and_a_tie_earns_half():
    assert rewards(np.array([[0.5, 1.0]]), np.array([2.0, 1.0])).tolist() == [2.0]
    assert accuracy_of(np.array([1.0, 0.0, -1.0, 2.0])) == 0.625
    assert accuracy_rate(np.array([])) is None
    assert change_rate(np.array([]), np.array([])) is None
    rate = change_rate(np.array([1.0] * 20), np.array([-1.0] * 10 + [1.0] * 10))
    assert rate.value == pytest.approx(0.5)
    assert 0 < rate.low < 0.5 < rate.high
    assert uniform(np.array([3.0, 0.0, 1.0])).tolist() == [2.0, 0.0, 2.0]
