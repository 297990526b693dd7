"""Rewards of a group's images, and the advantages that follow: pure arithmetic."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from arrkit.data.pairs import Label
from arrkit.judge.protocol import Outcome
from arrkit.rpo.against import Comparison, Evaluation
from arrkit.rpo.alarm import gap, too_far_apart
from arrkit.rpo.grading import (
    LIMIT,
    Grade,
    Grading,
    duels,
    grading_metrics,
    normalised,
    pairwise_rewards,
    rule_by_scores,
    verdict_of,
    weighted_rewards,
    worth,
)
from arrkit.rpo.recipe import Algorithm, Preset, Recipe, Reward, recipe_for
from arrkit.rpo.ruling import FailureBudget, Ruling, no_ruling
from arrkit.rubric.model import Rate
from arrkit.serial import from_json, to_json

WEIGHTS = {"right": 3.0, "clean": 1.0}
GROUP = Recipe(algorithm=Algorithm.FLOW_GRPO, reward=Reward.WEIGHTED, group=3)
REWARDS = st.lists(st.floats(0, 1), min_size=2, max_size=12)


def grades(*scores: tuple[float, float]) -> tuple[Grade, ...]:
    return tuple(Grade({"right": right, "clean": clean}) for right, clean in scores)


def out(detail: str = "out") -> Grade:
    return Grade(outcome=Outcome.FAILED, detail=detail)


def ruled(order: str) -> tuple[Ruling, ...]:
    """The rulings on a group whose images stand in ``order``, best first; the others are ties of the end."""
    rank = {int(name): place for place, name in enumerate(order)}
    return tuple(
        Ruling(Label.A if rank[one] < rank[other] else Label.B, True) for one, other in duels(len(order))
    )


class TestWeighted:
    def test_it_is_the_sum_by_weights_over_their_sum(self):
        assert weighted_rewards(grades((1, 0), (0, 1), (0.5, 0.5)), WEIGHTS) == (0.75, 0.25, 0.5)
        assert weighted_rewards(grades((1, 0), (0, 1)), {}) == (0.5, 0.5)  # criteria without weights count 1

    def test_all_are_held_to_the_criteria_that_all_were_scored_by(self):
        some = (Grade({"right": 0.5, "clean": 1.0}), Grade({"right": 0.75}), out())
        assert weighted_rewards(some, WEIGHTS) == (0.5, 0.75, None)

    def test_without_a_criterion_in_common_there_is_no_reward(self):
        assert weighted_rewards((Grade({"right": 1.0}), Grade({"clean": 1.0})), WEIGHTS) == (None, None)
        assert weighted_rewards((out(), out()), WEIGHTS) == (None, None)


class TestPairwise:
    def test_it_is_the_share_of_duels_won(self):
        assert duels(3) == [(0, 1), (0, 2), (1, 2)]
        assert pairwise_rewards(ruled("201"), 3) == (0.5, 0.0, 1.0)

    def test_a_tie_is_half_and_a_pair_without_a_ruling_is_none(self):
        rulings = (Ruling(Label.TIE), no_ruling("out"), no_ruling("out"))
        assert pairwise_rewards(rulings, 3) == (0.5, 0.5, None)


class TestAdvantages:
    @given(REWARDS)
    def test_they_have_no_mean_and_a_deviation_of_at_most_one(self, rewards):
        found = normalised(rewards)
        if found is None:
            assert max(rewards) - min(rewards) < 1e-6
            return
        values = [each for each in found if each is not None]
        assert statistics.fmean(values) == pytest.approx(0, abs=1e-6)
        assert statistics.pstdev(values) <= 1 + 1e-9
        ranked = sorted(zip(rewards, values, strict=True))
        assert [value for _, value in ranked] == sorted(values)

    @given(REWARDS, st.randoms(use_true_random=False))
    def test_exchanging_images_exchanges_advantages(self, rewards, chance):
        order = list(range(len(rewards)))
        chance.shuffle(order)
        one, other = normalised(rewards), normalised([rewards[n] for n in order])
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert [other[place] for place in range(len(order))] == pytest.approx([one[n] for n in order])

    def test_two_images_get_one_and_its_opposite(self):
        assert normalised([0.2, 0.8]) == pytest.approx((-1, 1), abs=1e-3)

    def test_what_has_no_reward_is_masked_and_no_zero(self):
        assert normalised([0.2, None, 0.8]) == (pytest.approx(-1, abs=1e-3), None, pytest.approx(1, abs=1e-3))
        assert normalised([0.2, None]) is normalised([0.5, 0.5, 0.5]) is None

    def test_they_are_cut(self):
        found = normalised([1.0] + [0.0] * 99)
        assert found is not None
        assert found[0] == LIMIT

    def test_a_group_is_worth_its_normalised_rewards(self):
        grading = Grading(grades((1, 0), (0, 1), (0.5, 0.5)))
        assert worth(grading, GROUP, WEIGHTS) == normalised([0.75, 0.25, 0.5])
        assert worth(Grading((out(), out(), out())), GROUP, WEIGHTS) is None

    def test_a_mixture_adds_both_by_their_shares(self):
        recipe = Recipe(algorithm=Algorithm.FLOW_GRPO, reward=Reward.MIXTURE, group=3, mix=0.25)
        grading = Grading(grades((1, 0), (0, 1), (0.5, 0.5)), ruled("210"))
        scored, won = normalised([0.75, 0.25, 0.5]), normalised([0.0, 0.5, 1.0])
        assert scored is not None
        assert won is not None
        expected = [0.25 * a + 0.75 * b for a, b in zip(scored, won, strict=True)]  # type: ignore[operator]
        assert worth(grading, recipe, WEIGHTS) == pytest.approx(expected)
        silent = Grading(grading.grades, (no_ruling("out"),) * 3)
        assert worth(silent, recipe, WEIGHTS) == pytest.approx([0.25 * each for each in scored])  # type: ignore[operator]

    @pytest.mark.parametrize(
        ("reward", "grading", "expected"),
        [
            (Reward.PAIRWISE, Grading(rulings=(Ruling(Label.B, True),)), (-0.1, 1.0)),
            (Reward.PAIRWISE, Grading(rulings=(Ruling(Label.TIE, False),)), None),
            (Reward.PAIRWISE, Grading(rulings=(no_ruling("out"),)), None),
            (Reward.WEIGHTED, Grading(grades((1, 0), (0, 1))), (1.0, -0.1)),
            (Reward.WEIGHTED, Grading(grades((1, 0), (1, 0))), None),
            (Reward.WEIGHTED, Grading((grades((1, 0))[0], out())), None),
            # The two contradict each other: nothing is learnt. Where one is silent, the other decides.
            (Reward.MIXTURE, Grading(grades((1, 0), (0, 1)), (Ruling(Label.B, True),)), None),
            (Reward.MIXTURE, Grading(grades((1, 0), (0, 1)), (Ruling(Label.TIE, True),)), (1.0, -0.1)),
            (Reward.MIXTURE, Grading(grades((1, 0), (1, 0)), (Ruling(Label.B, True),)), (-0.1, 1.0)),
        ],
    )
    def test_rpo_gives_its_two_numbers_under_any_reward(self, reward, grading, expected):
        recipe = Recipe(reward=reward, win=1.0, lose=-0.1)
        assert worth(grading, recipe, WEIGHTS) == expected


class TestRuling:
    def test_the_higher_reward_is_preferred_and_criteria_speak_alone(self):
        a, b = grades((0.5, 1.0), (0.75, 0.25))
        ruling = rule_by_scores(a, b, {"right": 9.0, "clean": 1.0})
        assert (ruling.preferred, ruling.findings) == (Label.B, {"right": -1.0, "clean": 1.0})
        assert rule_by_scores(b, a, {"right": 9.0, "clean": 1.0}).preferred is Label.A
        assert rule_by_scores(a, a, WEIGHTS).preferred is Label.TIE

    def test_an_image_without_a_score_leaves_no_ruling(self):
        ruling = rule_by_scores(grades((1, 1))[0], out("the disk hums"), WEIGHTS)
        assert (ruling.preferred, ruling.outcome, ruling.detail) == (None, Outcome.FAILED, "the disk hums")
        assert rule_by_scores(Grade(), out(), WEIGHTS).preferred is None

    def test_gradings_travel_as_json(self):
        grading = Grading((*grades((1, 0)), out()), ruled("012"))
        assert from_json(Grading, json.loads(json.dumps(to_json(grading)))) == grading


def test_the_log_has_a_number_for_every_criterion():
    gradings = [Grading((*grades((1, 0), (0, 0.5)), out())), Grading((out(),) * 3)]
    found = grading_metrics(gradings, GROUP, WEIGHTS)
    assert (found["reward/images"], found["reward/failures"]) == (6, 4)
    assert (found["reward/groups"], found["reward/flat"]) == (2, 0.5)
    assert found["reward/mean"] == pytest.approx((0.75 + 0.125) / 2)
    assert (found["reward/criterion/right"], found["reward/criterion/clean"]) == (0.5, 0.25)
    assert not any(name.startswith("judge/") for name in found)
    # Criteria that each prompt has for itself have no mean.
    assert not any("criterion" in name for name in grading_metrics(gradings, GROUP, {}))
    assert [verdict_of(each, GROUP, WEIGHTS) for each in gradings] == ["decided", "failed"]
    assert verdict_of(Grading(grades((1, 0), (1, 0), (1, 0))), GROUP, WEIGHTS) == "ties"


def test_images_without_scores_spend_the_budget():
    budget = FailureBudget(0.5, window=10)
    budget.add([*grades((1, 1)) * 4, *[out("the cat")] * 6])
    with pytest.raises(Exception, match=r"6 of the last 10 images got no score .*6 failed"):
        budget.check()


class TestRecipe:
    def test_groups_cost_as_many_images_as_pairs_unless_told_otherwise(self):
        found = recipe_for(Preset.RECOMMENDED, {"pairs": 128}, {"algorithm": Algorithm.FLOW_GRPO})
        assert (found.group, found.pairs, found.reward) == (8, 32, Reward.WEIGHTED)
        given = {"algorithm": Algorithm.FLOW_GRPO, "group": 4, "pairs": 5, "reward": Reward.PAIRWISE}
        found = recipe_for(Preset.RECOMMENDED, {"pairs": 128}, given)
        assert (found.group, found.pairs, found.reward) == (4, 5, Reward.PAIRWISE)

    def test_rpo_stays_what_it_was(self):
        found = recipe_for(Preset.PAPER, {}, {"algorithm": Algorithm.RPO, "group": None})
        assert (found.group, found.pairs, found.reward) == (2, 32, Reward.PAIRWISE)


class TestGap:
    @staticmethod
    def after(update: int, trained: Rate, watched: Rate | None) -> Evaluation:
        other = None if watched is None else Comparison(1, 1, 1, 0, watched)
        return Evaluation(update, Comparison(1, 1, 1, 0, trained), other)

    def test_it_is_the_difference_of_win_rates(self):
        found = gap(self.after(1, Rate(0.9, 0.85, 0.95, 99), Rate(0.6, 0.5, 0.7, 99)))
        assert found is not None
        assert found.value == pytest.approx(0.3)
        assert 0.1 < found.low < found.value < found.high
        assert gap(self.after(1, Rate(0.9, 0.8, 0.95, 99), None)) is None

    def test_a_run_stops_when_it_is_surely_too_wide(self):
        good = self.after(25, Rate(0.7, 0.65, 0.75, 99), Rate(0.65, 0.6, 0.7, 99))
        bad = self.after(50, Rate(0.9, 0.88, 0.92, 99), Rate(0.5, 0.45, 0.55, 99))
        assert not too_far_apart([good], 0.2)
        assert not too_far_apart([good, bad], 0.38)  # 0.4, but not surely above
        said = too_far_apart([good, bad], 0.2)
        assert "after update 50" in said
        assert "stood best after update 25 (65%)" in said
