"""How sure a judge is against how right: closed forms, symmetry, and intervals that hold the truth."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import FAILED, FIRST, pair

from arrkit.data.pairs import Label
from arrkit.judge.calibration import (
    BINS,
    CalibrationTally,
    Kind,
    Reliability,
    pair_weights,
    share_for_a,
    yes_scores,
)
from arrkit.judge.judged import Judged
from arrkit.judge.protocol import Answer, Basis, Finding, Outcome, Side, Verdict


def says(p: float, findings: tuple[Finding, ...] = ()) -> Verdict:
    """A verdict that gives the image shown first the probability ``p``."""
    side = Side.FIRST if p > 0.5 else Side.SECOND
    return Verdict(Outcome.OK, side, findings, basis=Basis(first=p, second=1 - p, tie=0.0))


def counted(rows, seed=0):
    """The calibrations of (pair, what was judged)."""
    tally = CalibrationTally()
    for each, judged in rows:
        tally.add(each, judged, pair_weights(each, seed))
    return {found.kind: found for found in tally.calibrations()}


def agreeing(p: float, right: int, wrong: int):
    labels = [Label.A] * right + [Label.B] * wrong
    return [(pair(i, label), Judged(says(p), says(1 - p))) for i, label in enumerate(labels)]


def test_a_judge_that_is_nine_in_ten_sure_and_six_in_ten_right_is_off_by_three():
    found = counted(agreeing(0.92, 60, 40))[Kind.MARGIN]
    assert found.error.value == pytest.approx(0.32)
    assert found.excess.value == pytest.approx(0.32)
    assert found.error.low < 0.32 < found.error.high
    (only,) = found.bins
    assert (only.low, only.high, only.n) == (0.9, 0.95, 100)
    assert only.stated == pytest.approx(0.92)
    assert only.observed.value == pytest.approx(0.6)
    assert counted(agreeing(0.6, 60, 40))[Kind.MARGIN].error.value == pytest.approx(0.0)
    modest = counted(agreeing(0.6, 90, 10))[Kind.MARGIN]
    assert (modest.error.value, modest.excess.value) == (pytest.approx(0.3), pytest.approx(-0.3))


def test_errors_of_bins_do_not_make_up_for_each_other():
    rows = agreeing(0.9, 80, 20) + [
        (pair(200 + i, label), judged)
        for i, (each, judged) in enumerate(agreeing(0.7, 80, 20))
        for label in [each.label]
    ]
    found = counted(rows)[Kind.MARGIN]
    assert found.excess.value == pytest.approx(0.0)
    assert found.error.value == pytest.approx(0.1)


def test_the_two_orders_are_read_together():
    found = counted([(pair(0), Judged(says(0.9), says(0.3)))])[Kind.MARGIN]
    assert found.bins[0].stated == pytest.approx(0.8), "0.9 and 0.7 for A"


def test_people_are_counted_by_their_votes_where_there_are_any():
    assert share_for_a(pair(0, votes=(7, 3))) == 0.7
    assert share_for_a(pair(0, Label.TIE, votes=(5, 5))) == 0.5
    assert share_for_a(pair(0, Label.B, votes=(0, 0))) == 0.0
    assert share_for_a(pair(0, Label.TIE)) is share_for_a(pair(0, Label.BOTH_BAD)) is None
    assert counted([(pair(0, Label.TIE), Judged(says(0.9), says(0.1)))]) == {}
    (found,) = counted([(pair(0, votes=(7, 3)), Judged(says(0.9), says(0.1)))]).values()
    assert found.error.value == pytest.approx(0.2)


def test_what_says_nothing_of_how_sure_it_is_has_no_calibration():
    assert counted([(pair(0), Judged(FIRST, FAILED))]) == {}


def test_scores_of_criteria_are_held_against_who_was_preferred():
    findings = (Finding("c", Answer.FIRST, 0.9, 0.2), Finding("d", Answer.CANNOT_TELL))
    crossed = (Finding("c", Answer.SECOND, 0.3, 0.7),)
    judged = Judged(says(0.9, findings), says(0.1, crossed))
    assert yes_scores(judged) == [(pytest.approx(0.8), 0.25)]
    found = counted([(pair(0), judged)])[Kind.YES]
    assert (found.pairs, found.n) == (1, 2)
    assert [(each.low, each.observed.value) for each in found.bins] == [(0.2, 0.0), (0.8, 1.0)]
    assert found.error.value == pytest.approx((0.25 + 0.2) / 2)


@pytest.mark.parametrize("kind", Kind)
def test_a_probability_on_the_edge_of_two_bins_falls_into_the_upper_one(kind):
    for place in range(BINS + 1):
        counts = Reliability(kind)
        counts.add([(kind.lowest + (1 - kind.lowest) * place / BINS, 1.0)], pair_weights(pair(0), 0))
        assert counts.held[min(place, BINS - 1)] == 1


judgments = st.lists(
    st.tuples(st.integers(0, 10), st.sampled_from([Label.A, Label.B]), st.integers(0, 10)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=30)
@given(judgments, st.randoms(use_true_random=False))
def test_neither_the_order_of_pairs_nor_which_image_is_called_a_matters(rows, chance):
    def straight(i, p, label, score):
        held = (Finding("c", Answer.EQUAL, score / 10, p / 10),)
        return pair(i, label), Judged(says(p / 10, held))

    def crossed(i, p, label, score):
        held = (Finding("c", Answer.EQUAL, p / 10, score / 10),)
        return pair(i, label.swapped), Judged(says(1 - p / 10, held))

    one = [straight(i, *row) for i, row in enumerate(rows)]
    two = [crossed(i, *row) for i, row in enumerate(rows)]
    chance.shuffle(two)
    assert counted(one) == counted(two)


def test_the_intervals_hold_the_truth_about_as_often_as_they_say():
    held = 0
    for trial in range(40):
        chance = random.Random(trial)
        rows = [
            (pair(1000 * trial + i, Label.A if chance.random() < 0.7 else Label.B), Judged(says(0.8)))
            for i in range(80)
        ]
        excess = counted(rows)[Kind.MARGIN].excess
        held += excess.low <= 0.1 <= excess.high
    assert 34 <= held <= 40


def test_another_seed_gives_other_intervals_and_the_same_values():
    rows = agreeing(0.9, 30, 20)
    one, two = (counted(rows, seed)[Kind.MARGIN].error for seed in (0, 1))
    assert one.value == two.value
    assert (one.low, one.high) != (two.low, two.high)
    assert counted(rows)[Kind.MARGIN].error == one
