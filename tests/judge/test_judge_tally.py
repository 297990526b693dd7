"""Counting verdicts, and the closed forms that the numbers must meet."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.data.pairs import Label
from arrkit.judge.protocol import Order, Outcome, Side, Verdict
from arrkit.judge.stats import wilson, wilson_bounds
from arrkit.judge.tally import JudgeStats, PairedTally, Tally, accuracy_rule, chosen
from arrkit.serial import from_json, to_json

FIRST = Verdict(Outcome.OK, Side.FIRST)
SECOND = Verdict(Outcome.OK, Side.SECOND)
TIE = Verdict(Outcome.TIE)
LOST = [Verdict(outcome) for outcome in Outcome if not outcome.decided]

labels = st.sampled_from(list(Label))
answers = st.sampled_from([FIRST, SECOND, TIE, *LOST, None])
judged = st.tuples(labels, answers, answers)
tallies = st.lists(judged, max_size=30)

RATES = (
    "accuracy",
    "forward",
    "reverse",
    "mean",
    "gap",
    "both_right",
    "consistency",
    "first_rate",
    "kappa",
    "coverage",
)


def tallied(rows) -> Tally:
    tally = Tally()
    for label, ab, ba in rows:
        tally.add(label, ab, ba)
    return tally


def stats_of(rows, **options) -> JudgeStats:
    return tallied(rows).stats(resamples=200, **options)


def right(label: Label, order: Order) -> Verdict:
    return FIRST if (label is Label.A) is (order is Order.AB) else SECOND


def wrong(label: Label, order: Order) -> Verdict:
    return SECOND if right(label, order) is FIRST else FIRST


def simulated(n: int, accuracy: float, primacy: float, seed: int) -> list:
    """Pairs seen by a judge that says "first" with chance ``primacy`` and is else right with ``accuracy``."""
    rng = random.Random(seed)
    rows = []
    for _ in range(n):
        label = rng.choice([Label.A, Label.B])
        seen = [
            FIRST if rng.random() < primacy else (right if rng.random() < accuracy else wrong)(label, order)
            for order in Order
        ]
        rows.append((label, *seen))
    return rows


@pytest.mark.parametrize(
    ("order", "verdict", "image"),
    [
        (Order.AB, FIRST, Label.A),
        (Order.AB, SECOND, Label.B),
        (Order.BA, FIRST, Label.B),
        (Order.BA, SECOND, Label.A),
        (Order.AB, TIE, Label.TIE),
        (Order.BA, LOST[0], None),
        (Order.BA, None, None),
    ],
)
def test_a_verdict_names_an_image_not_a_place(order, verdict, image):
    assert chosen(order, verdict) is image


@pytest.mark.parametrize("n", [2, 100])
@pytest.mark.parametrize("ties", [0, 10])
def test_a_judge_that_always_says_first(n, ties):
    rows = [(label, FIRST, FIRST) for label in [Label.A, Label.B] * n + [Label.TIE] * ties]
    stats = stats_of(rows)
    assert stats.mean.value == stats.accuracy.value == 0.5
    assert stats.forward.value == 1
    assert stats.reverse.value == 0
    assert stats.gap.value == 1
    assert stats.gap.low > 0
    assert stats.consistency.value == 0
    assert stats.both_right.value == 0
    assert stats.first_rate.value == 1
    assert stats.kappa.value == pytest.approx(0)
    assert stats.coverage.value == 1


def test_a_judge_that_is_always_right():
    stats = stats_of([(Label.A, FIRST, SECOND), (Label.B, SECOND, FIRST)] * 50)
    for name in ("accuracy", "forward", "reverse", "mean", "both_right", "consistency", "kappa"):
        assert getattr(stats, name).value == pytest.approx(1), name
        assert 0.9 < getattr(stats, name).low < 1, name
    assert stats.gap.value == 0
    assert stats.gap.low < 0 < stats.gap.high
    assert stats.first_rate.value == 0.5


@pytest.mark.parametrize("accuracy", [0.6, 0.9])
@pytest.mark.parametrize("primacy", [0.0, 0.4])
def test_primacy_shows_in_closed_form(accuracy, primacy):
    n = 20_000
    stats = tallied(simulated(n, accuracy, primacy, seed=3)).stats(resamples=500)
    forward, reverse = primacy + (1 - primacy) * accuracy, (1 - primacy) * accuracy
    near = {"abs": 4 / n**0.5 / 2}  # four standard errors of a share
    assert stats.forward.value == pytest.approx(forward, **near)
    assert stats.reverse.value == pytest.approx(reverse, **near)
    assert stats.mean.value == pytest.approx((forward + reverse) / 2, **near)
    assert stats.gap.value == pytest.approx(primacy, abs=2 * near["abs"])
    assert stats.both_right.value == pytest.approx(forward * reverse, **near)
    both_wrong = (1 - forward) * (1 - reverse)
    assert stats.consistency.value == pytest.approx(forward * reverse + both_wrong, **near)
    assert stats.first_rate.value == pytest.approx((1 + primacy) / 2, **near)
    assert stats.kappa.value == pytest.approx(forward + reverse - 1, abs=2 * near["abs"])


@given(tallies, st.floats(0, 1))
@settings(max_examples=150)
def test_every_rate_lies_in_its_interval_and_its_bounds(rows, tie_credit):
    stats = stats_of(rows, tie_credit=tie_credit)
    for name in RATES:
        rate = getattr(stats, name)
        if rate is not None:
            floor = -1 if name in ("gap", "kappa") else 0
            assert floor <= rate.low <= rate.value + 1e-12, name
            assert rate.value - 1e-12 <= rate.high <= 1, name
            assert 0 < rate.n <= len(rows), name
    assert stats.pairs == len(rows)
    assert stats.ties == sum(not label.decided for label, _, _ in rows)
    assert sum(stats.outcomes.values()) == stats.expected
    assert stats.decided == stats.outcomes[Outcome.OK] + stats.outcomes[Outcome.TIE]


@given(tallies)
@settings(max_examples=80)
def test_exchanging_the_candidates_with_their_label_changes_nothing(rows):
    plain = stats_of(rows)
    swapped = stats_of([(label.swapped, ba, ab) for label, ab, ba in rows])
    for name in RATES:
        one, other = getattr(plain, name), getattr(swapped, name)
        assert (one is None) == (other is None), name
        if one is not None:
            assert one.value == pytest.approx(other.value, abs=1e-9), name
            assert one.n == other.n, name


@given(tallies, tallies)
@settings(max_examples=80)
def test_merging_is_tallying_all(left, others):
    merged = tallied(left)
    merged.merge(tallied(others))
    whole = tallied(left + others)
    assert merged.cells == whole.cells
    assert merged.pairs == len(left) + len(others)
    assert merged.stats(resamples=50) == whole.stats(resamples=50)


@given(tallies, st.sampled_from(LOST))
@settings(max_examples=80)
def test_an_answer_that_decides_nothing_costs_coverage_and_nothing_else(rows, lost):
    without = stats_of(rows)
    with_lost = stats_of([(label, ab or lost, ba or lost) for label, ab, ba in rows])
    missing = [ab for _, ab, _ in rows].count(None) + [ba for _, _, ba in rows].count(None)
    assert with_lost.expected == without.expected + missing
    assert with_lost.outcomes[lost.outcome] == without.outcomes[lost.outcome] + missing
    same = dict.fromkeys(("coverage", "expected", "outcomes"))
    assert replace(with_lost, **same) == replace(without, **same)


def test_an_outage_is_neither_a_tie_nor_wrong():
    rows = [(Label.A, FIRST, LOST[-1]), (Label.B, LOST[-1], FIRST), (Label.A, LOST[-1], LOST[-1])]
    stats = stats_of(rows)
    assert stats.accuracy.value == 1
    assert stats.accuracy.n == 2
    assert stats.both_right is None
    assert stats.consistency is None
    assert (stats.coverage.value, stats.coverage.n) == (pytest.approx(2 / 6), 3)
    assert (stats.coverage.low, stats.coverage.high) == wilson_bounds(2 / 6, 3)


def test_the_rules_on_a_small_sample_worked_by_hand():
    stats = stats_of(
        [
            (Label.A, FIRST, SECOND),  # right, right
            (Label.A, FIRST, FIRST),  # right forward, wrong reverse
            (Label.B, TIE, FIRST),  # tie reverse, right forward
            (Label.B, TIE, TIE),
            (Label.TIE, FIRST, SECOND),  # no right answer
        ]
    )
    assert stats.accuracy.value == pytest.approx((1 + 0.5 + 0.75 + 0.5) / 4)
    assert stats.accuracy.n == 4
    assert stats.forward.value == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert stats.reverse.value == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)
    assert stats.gap.value == pytest.approx(0.375)
    assert (stats.both_right.value, stats.both_right.n) == (0.25, 4)
    assert (stats.consistency.value, stats.consistency.n) == (0.6, 5)
    assert (stats.first_rate.value, stats.first_rate.n) == (pytest.approx(5 / 7), 4)
    # Rows A: 1.5 A, 0.5 B; B: 0.5 B, 1.5 tie; tie: 1 A. Observed 2 of 5; chance (2*2.5 + 2*1 + 1*1.5) / 25.
    assert stats.kappa.value == pytest.approx((0.4 - 0.34) / (1 - 0.34))
    assert stats.kappa.n == 5


@pytest.mark.parametrize(("tie_credit", "accuracy"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_a_tie_earns_its_credit(tie_credit, accuracy):
    stats = stats_of([(Label.A, FIRST, TIE)] * 4, tie_credit=tie_credit)
    assert stats.accuracy.value == accuracy
    assert stats.tie_credit == tie_credit
    assert stats.both_right.value == 0
    assert f"{tie_credit:g}" in accuracy_rule(tie_credit)


@pytest.mark.parametrize("tie_credit", [-0.1, 1.1])
def test_a_credit_beyond_a_share_is_refused(tie_credit):
    with pytest.raises(ValueError, match="tie_credit"):
        Tally().stats(tie_credit=tie_credit)


@pytest.mark.parametrize("forward", [True, False])
def test_one_order_has_an_accuracy_but_no_gap(forward):
    shown = (FIRST, None) if forward else (None, FIRST)
    stats = stats_of([(Label.A, *shown)] * 3 + [(Label.B, *reversed(shown))] * 3)
    measured, other = (stats.forward, stats.reverse) if forward else (stats.reverse, stats.forward)
    assert measured == stats.accuracy
    assert measured.value == forward
    assert measured.n == 6
    assert other is stats.gap is stats.mean is stats.consistency is stats.both_right is None
    assert stats.coverage.value == 1


def test_random_orders_measure_forward_and_reverse_on_different_pairs():
    rng = random.Random(5)
    both = simulated(8000, 0.8, 0.3, 6)
    rows = [(label, *((ab, None) if rng.random() < 0.5 else (None, ba))) for label, ab, ba in both]
    stats = stats_of(rows)
    assert stats.forward.n + stats.reverse.n == stats.accuracy.n == 8000
    assert stats.gap.value == pytest.approx(0.3, abs=0.04)
    assert stats.gap.low < stats.gap.value < stats.gap.high
    assert stats.mean.value == pytest.approx(stats.accuracy.value, abs=0.01)
    width = stats.accuracy.high - stats.accuracy.low
    assert stats.mean.high - stats.mean.low == pytest.approx(width, rel=0.01)
    assert stats.consistency is None


def test_a_gap_without_spread_is_no_surer_than_its_smaller_side():
    reverse_rare = [(Label.A, FIRST, None)] * 500 + [(Label.A, None, SECOND)] * 5
    gap = tallied(reverse_rare).stats(resamples=2000).gap
    assert gap.value == 0
    assert gap.high == pytest.approx(wilson(0, 5).high)
    assert gap.low == pytest.approx(-gap.high)


def test_the_gap_is_measured_within_pairs():
    # Pairs differ greatly in difficulty and little by order: the paired interval sees that, Wilson's do not.
    easy, hard, biased = (Label.A, FIRST, SECOND), (Label.A, SECOND, FIRST), (Label.A, FIRST, FIRST)
    rows = [easy] * 200 + [hard] * 200 + [biased] * 20
    gap = stats_of(rows).gap
    assert gap.value == pytest.approx(20 / 420)
    assert gap.low > 0
    assert gap.high - gap.low < 0.06


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    trials, covered = 200, {"accuracy": 0, "mean": 0, "gap": 0, "first_rate": 0, "kappa": 0}
    truth = {"accuracy": 0.71, "mean": 0.71, "gap": 0.3, "first_rate": 0.65, "kappa": 0.42}
    for trial in range(trials):
        stats = tallied(simulated(150, 0.8, 0.3, seed=trial)).stats(resamples=400, seed=trial)
        for name, value in truth.items():
            rate = getattr(stats, name)
            covered[name] += rate.low <= value <= rate.high
    for name in ("gap", "first_rate", "kappa"):
        assert 0.9 <= covered[name] / trials <= 0.99, name
    assert covered["accuracy"] / trials >= 0.93
    assert covered["mean"] == covered["accuracy"]


def test_presentations_without_a_verdict_are_expected_where_the_caller_says_so():
    tally = tallied([(Label.A, FIRST, SECOND)] * 3)
    tally.add(Label.B, expected=2)
    stats = tally.stats()
    assert (stats.decided, stats.expected) == (6, 8)
    assert stats.coverage.value == 0.75
    with pytest.raises(ValueError, match="expected"):
        tally.add(Label.A, FIRST, SECOND, expected=1)


def test_an_empty_tally_has_no_rates():
    stats = Tally().stats()
    assert [getattr(stats, name) for name in RATES] == [None] * len(RATES)
    assert stats.pairs == 0


def test_statistics_travel_as_json():
    stats = stats_of(simulated(20, 0.8, 0.2, 1))
    assert from_json(JudgeStats, to_json(stats)) == stats


def paired(rows) -> PairedTally:
    """Pairs as (label, verdicts without, verdicts with)."""
    joint, without, treated = PairedTally(), Tally(), Tally()
    for label, before, after in rows:
        joint.add(without.add(label, *before), treated.add(label, *after))
    return joint


def test_a_rubric_that_helps_shows_as_a_paired_difference():
    helped = (Label.A, (SECOND, FIRST), (FIRST, SECOND))
    same = (Label.B, (SECOND, FIRST), (SECOND, FIRST))
    harmed = (Label.B, (SECOND, FIRST), (SECOND, TIE))
    stats = paired([helped] * 8 + [same] * 10 + [harmed] * 2).stats()
    assert stats.n == 20
    assert stats.difference.value == pytest.approx((8 * 1 - 2 * 0.25) / 20)
    assert 0 < stats.difference.low < stats.difference.high < 0.7
    assert (stats.better, stats.worse) == (8, 0)
    assert stats.p == pytest.approx(2 / 2**8)


def test_a_difference_compares_presentations_decided_both_times():
    # Without the rubric only the forward order came back; the reverse answer under it is no change.
    rows = [(Label.A, (FIRST, LOST[0]), (FIRST, FIRST))] * 5
    stats = paired(rows).stats()
    assert (stats.n, stats.difference.value) == (5, 0)
    nothing_shared = (Label.A, (FIRST, None), (None, FIRST))
    tied = (Label.TIE, (FIRST, FIRST), (FIRST, FIRST))
    assert paired([nothing_shared, tied]).stats().n == 0
    assert PairedTally().stats().difference is None


pairs_twice = st.lists(
    st.tuples(labels, st.tuples(answers, answers), st.tuples(answers, answers)), max_size=25
)


@given(pairs_twice)
@settings(max_examples=80)
def test_a_difference_turns_its_sign_with_its_sides_and_ignores_names(rows):
    stats = paired(rows).stats(resamples=100)
    back = paired([(label, after, before) for label, before, after in rows]).stats(resamples=100)
    renamed = paired([(label.swapped, before[::-1], after[::-1]) for label, before, after in rows])
    assert renamed.stats(resamples=100) == stats
    assert (stats.n, stats.better, stats.worse, stats.p) == (back.n, back.worse, back.better, back.p)
    if stats.difference is not None:
        assert back.difference.value == pytest.approx(-stats.difference.value)
        assert -1 <= stats.difference.low <= stats.difference.value <= stats.difference.high <= 1


@given(pairs_twice, pairs_twice)
@settings(max_examples=40)
def test_merging_joint_counts_is_counting_all(left, others):
    merged = paired(left)
    merged.merge(paired(others))
    assert merged.stats(resamples=50) == paired(left + others).stats(resamples=50)


@given(tallies)
@settings(max_examples=40)
def test_with_full_coverage_the_difference_is_that_of_the_accuracies(rows):
    rng = random.Random(len(rows))
    full = [FIRST, SECOND, TIE]
    twice = [(label, rng.choices(full, k=2), rng.choices(full, k=2)) for label, _, _ in rows]
    without = stats_of([(label, *before) for label, before, _ in twice]).accuracy
    treated = stats_of([(label, *after) for label, _, after in twice]).accuracy
    difference = paired(twice).stats(resamples=50).difference
    if without is None:
        assert difference is None
    else:
        assert difference.n == without.n
        assert difference.value == pytest.approx(treated.value - without.value, abs=1e-9)
