"""Metrics by name: what holds for every one of them, and each against its rule written out plainly."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arrkit.data.pairs import Label
from arrkit.errors import InputError
from arrkit.judge.answered import Answered, Choice
from arrkit.judge.metrics import METRICS, NAMES, OFFICIAL, find_metric, find_metrics
from arrkit.judge.metrics.groups import candidates
from arrkit.judge.metrics.ties import calibrate
from arrkit.judge.replies import chosen_by

# Rules of datasets that are metrics by another name need no look of their own.
OWN = [f"official:{name}" for name, rule in OFFICIAL.items() if rule.metric not in METRICS.values()]
EVERY = [*METRICS, "macro:kind", *OWN]
ONE_ORDER = {"four-class", "rank-exact", "official:editreward-bench"}

labels = st.sampled_from(list(Label))
asked = st.sampled_from([choice for choice in Choice if choice is not Choice.NOT_ASKED])
kinds = st.sampled_from(["x", "y", "z"])


@st.composite
def judgments(draw, *, one_order: bool = False, fewest: int = 1) -> list[Answered]:
    """Answers with distinct ids, some in groups, some with scores."""
    rows = []
    for number in range(draw(st.integers(fewest, 12))):
        label = draw(labels)
        group = draw(st.sampled_from(["", "g", "h"]))
        about = {"kind": draw(kinds), "task_type": draw(kinds), "dimension": "overall"}
        margin = draw(st.sampled_from([None, None, -1.5, -0.5, 0.0, 0.5, 2.0]))
        if margin is not None:
            ab, ba = chosen_by(margin), Choice.NOT_ASKED
        else:
            ab = draw(asked)
            ba = Choice.NOT_ASKED if one_order else draw(st.sampled_from(list(Choice)))
        rows.append(Answered(f"p{number}", label, ab, ba, group=group, margin=margin, metadata=about))
    return rows


def value(name: str, answers):
    rate = find_metric(name)(answers).rate
    return None if rate is None else rate.value


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=8)
@given(answers=judgments(), seed=st.integers(0, 99))
def test_the_order_of_the_rows_does_not_matter(name, answers, seed):
    shuffled = list(answers)
    random.Random(seed).shuffle(shuffled)
    assert find_metric(name)(shuffled) == find_metric(name)(iter(answers))


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=8)
@given(data=st.data())
def test_the_names_of_the_candidates_do_not_matter(name, data):
    answers = data.draw(judgments(one_order=name in ONE_ORDER))
    there, back = find_metric(name)(answers), find_metric(name)([each.swapped for each in answers])
    if name in ONE_ORDER:  # they say that B stood first
        there, back = replace(there, note="", parts=()), replace(back, note="", parts=())
    assert there == back


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=8)
@given(answers=judgments())
def test_values_and_counts_keep_their_bounds(name, answers):
    found = find_metric(name)(answers)
    for each in (found, *found.parts):
        assert each.expected == each.judged + each.missing + each.unparsed
        if each.rate is None:
            assert each.note
        else:
            assert 0 <= each.rate.low <= each.rate.value <= each.rate.high <= 1
            assert each.rate.low < each.rate.high
            assert each.rate.n > 0
    assert found.expected <= sum(len(each.shown) for each in answers)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=5)
@given(answers=judgments())
def test_a_pair_that_stands_twice_is_refused(name, answers):
    with pytest.raises(InputError, match='"p0" has two judgments'):
        find_metric(name)([*answers, answers[0].swapped])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("lost", [Choice.MISSING, Choice.FAILED])
@settings(max_examples=8)
@given(answers=judgments(), label=st.sampled_from([Label.A, Label.B]))
def test_an_answer_that_never_came_is_wrong_or_left_out(name, lost, answers, label):
    gone = Answered(
        "gone", label, lost, lost, metadata={"kind": "x", "task_type": "x", "dimension": "overall"}
    )
    before, after = find_metric(name)(answers), find_metric(name)([*answers, gone])
    assert after.missing - before.missing == after.expected - before.expected
    assert after.missing - before.missing == (1 if name in ONE_ORDER else 2)
    if name in ONE_ORDER:  # these count over all pairs
        assert after.rate.n == before.rate.n + 1
        assert after.rate.value * after.rate.n == pytest.approx(before.rate.value * before.rate.n)
    else:
        assert after.rate == before.rate


@pytest.mark.parametrize("name", EVERY)
def test_nothing_to_count_is_no_number(name):
    found = find_metric(name)([])
    assert found.rate is None
    assert found.note
    assert found.expected == 0


@pytest.mark.parametrize("name", [name for name in EVERY if name != "tie-calibrated"])
@pytest.mark.parametrize(("right", "worth"), [(True, 1.0), (False, 0.0)])
def test_a_judge_that_is_always_right_or_wrong(name, right, worth):
    # Of every kind one decided pair; always wrong is A for B.
    rows = [
        Answered(
            f"p{number}",
            label,
            *(Choice(label.value if right else label.swapped.value),) * 2,
            metadata={"kind": str(number), "task_type": str(number), "dimension": "overall"},
        )
        for number, label in enumerate([Label.A, Label.B, Label.B])
    ]
    assert value(name, rows) == worth


def test_strict_pairs_give_a_tie_nothing_and_two_orders_their_mean():
    rows = [
        Answered("1", Label.A, Choice.A, Choice.A),
        Answered("2", Label.A, Choice.A, Choice.B),
        Answered("3", Label.B, Choice.TIE),
        Answered("4", Label.B, Choice.B, Choice.REFUSED),
        Answered("5", Label.B, Choice.UNPARSED, Choice.FAILED),
        Answered("6", Label.TIE, Choice.A, Choice.A),
    ]
    found = find_metric("strict-pair")(rows)
    assert found.rate.value == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert (found.rate.n, found.unit) == (4, "pairs")
    assert (found.expected, found.judged, found.missing, found.unparsed) == (9, 6, 1, 2)
    assert "left out: 1." in found.note


def test_pairs_of_one_group_do_not_pass_for_independent():
    alone = [Answered(str(n), Label.A, Choice.A if n % 2 else Choice.B) for n in range(60)]
    # Each group is all right or all wrong, so that 60 pairs tell no more than 10.
    grouped = [
        Answered(str(n), Label.A, Choice.A if n // 6 % 2 else Choice.B, group=str(n // 6)) for n in range(60)
    ]
    narrow, wide = (find_metric("strict-pair")(rows).rate for rows in (alone, grouped))
    assert narrow.value == wide.value == 0.5
    assert narrow.n == wide.n == 60
    assert wide.high - wide.low > 1.7 * (narrow.high - narrow.low)


@settings(max_examples=25)
@given(answers=judgments())
def test_both_orders_counts_every_judgment_that_is_there(answers):
    right = present = 0
    for each in answers:
        for choice in (each.ab, each.ba):
            if each.label.decided and choice in ("A", "B", "tie", "both_good", "both_bad", "other"):
                present += 1
                right += choice == each.label
    assume(present)
    found = find_metric("both-orders")(answers)
    assert found.rate.value == pytest.approx(right / present)
    assert (found.rate.n, found.unit) == (present, "judgments")


def test_both_right_wants_two_decisions_that_name_it():
    rows = [
        Answered("1", Label.A, Choice.A, Choice.A),
        Answered("2", Label.A, Choice.A, Choice.B),
        Answered("3", Label.A, Choice.A, Choice.FAILED),
        Answered("4", Label.A, Choice.A),
        Answered("5", Label.A, Choice.A, margin=0.5),
    ]
    found = find_metric("both-right")(rows)
    assert found.rate.value == pytest.approx(2 / 3)
    assert found.rate.n == 3
    assert "one order only and are left out: 1." in found.note


@settings(max_examples=25)
@given(answers=judgments())
def test_macro_is_the_mean_of_strict_pair_over_the_values(answers):
    by_kind = [
        value("strict-pair", [each for each in answers if each.metadata["kind"] == kind]) for kind in "xyz"
    ]
    means = [each for each in by_kind if each is not None]
    assume(means)
    assert value("macro:kind", answers) == pytest.approx(sum(means) / len(means))


def test_macro_keeps_pairs_without_the_field():
    rows = [
        Answered("1", Label.A, Choice.A, metadata={"kind": "x"}),
        Answered("2", Label.A, Choice.A, metadata={"kind": "x"}),
        Answered("3", Label.A, Choice.B),
    ]
    found = find_metric("macro:kind")(rows)
    assert found.rate.value == 0.5
    assert [(part.name, part.rate.value) for part in found.parts] == [("(none)", 0), ("x", 1)]


@pytest.mark.parametrize(
    ("label", "right"),
    [
        (Label.A, {"A"}),
        (Label.B, {"B"}),
        (Label.TIE, {"tie", "both_good"}),
        (Label.BOTH_BAD, {"tie", "both_bad"}),
    ],
)
def test_four_classes_take_a_plain_tie_for_either(label, right):
    for choice in Choice:
        if choice is not Choice.NOT_ASKED:
            found = find_metric("four-class")([Answered("1", label, choice)])
            assert found.rate.value == (choice in right)
            assert found.rate.n == 1


def test_one_order_is_the_stored_one():
    rows = [
        Answered("1", Label.A, Choice.A, Choice.B),
        Answered("2", Label.A, Choice.NOT_ASKED, Choice.B),
    ]
    for name in ("four-class", "rank-exact"):
        found = find_metric(name)(rows)
        assert found.rate.value == 0.5
        assert found.expected == 2
        assert "B first only, which serves here: 1." in found.note


def test_a_rule_of_one_order_says_where_always_naming_the_first_looks_good():
    stored_first = [Answered(str(n), Label.A, Choice.A, Choice.A) for n in range(10)]
    mixed = [Answered(str(n), Label.A if n % 2 else Label.B, Choice.A) for n in range(10)]
    for name in ("four-class", "rank-exact"):
        assert "A is preferred in 10 of 10 decided pairs" in find_metric(name)(stored_first).note
        assert "A is preferred" not in find_metric(name)(mixed).note
        assert "A is preferred" not in find_metric(name)(stored_first[:9]).note


def grouped(*rights: str, group: str = "g") -> list[Answered]:
    """Pairs of one group: ``+`` right, ``-`` wrong, ``?`` unreadable, ``!`` failed."""
    meant = {"+": Choice.A, "-": Choice.B, "?": Choice.UNPARSED, "!": Choice.FAILED}
    return [
        Answered(f"{group}{number}", Label.A, meant[sign], group=group) for number, sign in enumerate(*rights)
    ]


def test_a_group_is_right_where_all_its_pairs_are():
    rows = [
        *grouped("+++", group="a"),
        *grouped("++-", group="b"),
        *grouped("++?", group="c"),
        *grouped("++!", group="d"),
        *grouped("!!!", group="e"),
        *grouped("+", group="f"),
        Answered("alone", Label.TIE, Choice.BOTH_GOOD),
    ]
    found = find_metric("group-all")(rows)
    assert found.rate.value == pytest.approx(3 / 6)
    assert (found.rate.n, found.unit) == (6, "groups")
    assert "without any answer: 1." in found.note
    every = find_metric("rank-exact")(rows)
    assert every.rate.value == pytest.approx(3 / 7)


def test_a_group_that_lacks_pairs_is_told():
    assert "not whole" in find_metric("group-all")(grouped("++")).note
    assert "not whole" not in find_metric("group-all")(grouped("+++")).note
    assert [candidates(n) for n in range(8)] == [None, 2, None, 3, None, None, 4, None]


ranks = st.lists(st.integers(1, 4), min_size=2, max_size=5)


def by_ranks(name: str, human: list[int], scores: list[float]) -> list[Answered]:
    """The pairs of one prompt, K images with people's ranks (1 is the best) and a judge's scores."""
    rows = []
    for i, j in itertools.combinations(range(len(human)), 2):
        label = Label.TIE if human[i] == human[j] else Label.A if human[i] < human[j] else Label.B
        margin = scores[i] - scores[j]
        rows.append(Answered(f"{name}-{i}-{j}", label, chosen_by(margin), group=name, margin=margin))
    return rows


@settings(max_examples=30)
@given(prompts=st.lists(ranks, min_size=1, max_size=5), seed=st.integers(0, 999))
def test_inversions_are_those_of_the_rank_lists(prompts, seed):
    rows, expected = [], []
    for number, human in enumerate(prompts):
        model = random.Random(seed + number).sample(range(len(human)), len(human))  # rank, 0 is the best
        pairs = list(itertools.combinations(range(len(human)), 2))
        inverted = sum((human[i] - human[j]) * (model[i] - model[j]) < 0 for i, j in pairs)
        expected.append(1 - inverted / len(pairs))
        rows += by_ranks(str(number), human, [-rank for rank in model])
    found = find_metric("per-prompt-inversion")(rows)
    assert found.rate.value == pytest.approx(sum(expected) / len(expected))
    assert (found.rate.n, found.unit) == (len(prompts), "prompts")


def test_a_judge_that_always_ties_gets_no_free_points_for_inversions():
    rows = [Answered("1", Label.A, Choice.TIE, Choice.TIE), Answered("2", Label.TIE, Choice.TIE)]
    assert value("per-prompt-inversion", rows) == 0.75


@settings(max_examples=30)
@given(human=ranks, seed=st.integers(0, 999))
def test_a_row_is_right_where_the_whole_rank_list_is_met(human, seed):
    model = [random.Random(seed + i).randint(1, 4) for i in range(len(human))]

    def dense(values: list[int]) -> list[int]:
        order = sorted(set(values))
        return [order.index(each) for each in values]

    expected = float(dense(human) == dense(model))
    assert value("rank-exact", by_ranks("g", human, [-rank for rank in model])) == expected


def test_tie_credit_gives_half_where_one_side_ties():
    said = [Choice.A, Choice.B, Choice.TIE]
    table = [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]]
    for label, row in zip([Label.A, Label.B, Label.TIE], table, strict=True):
        for choice, earned in zip(said, row, strict=True):
            assert value("tie-credit", [Answered("1", label, choice)]) == earned


def test_the_threshold_of_tie_credit_is_the_first_best_of_eleven_or_the_given_one():
    def scored(number: int, label: Label, gap: float) -> Answered:
        margin = 2 * math.atanh(gap)  # of two scores whose softmax differs by gap
        return Answered(str(number), label, chosen_by(margin), margin=margin)

    rows = [scored(1, Label.TIE, 0.15), scored(2, Label.A, 0.45), scored(3, Label.B, -0.9)]
    found = find_metric("tie-credit")(rows)
    assert found.rate.value == 1
    assert "Threshold 0.2, tuned on these same pairs." in found.note
    fixed = find_metric("tie-credit", threshold=0.5)(rows)
    assert fixed.rate.value == pytest.approx(2.5 / 3)
    assert "Threshold 0.5." in fixed.note
    assert find_metric("official:pickapic", threshold=0.5)(rows).rate == fixed.rate


margins = st.lists(
    st.tuples(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0]), st.sampled_from([1, -1, 0])),
    min_size=1,
    max_size=20,
)


@given(rows=margins)
def test_the_calibrated_threshold_is_the_best_there_is(rows):
    def accuracy(threshold: float) -> Fraction:
        right = sum(label == 0 if abs(margin) <= threshold else margin * label > 0 for margin, label in rows)
        return Fraction(right, len(rows))

    tried = sorted({0.0, *(abs(margin) for margin, _ in rows)})
    best = max(tried, key=accuracy)
    found = calibrate([margin for margin, _ in rows], [label for _, label in rows])
    assert found.threshold == best
    assert found.rate.value == pytest.approx(float(accuracy(best)))
    assert 0 <= found.rate.low <= found.rate.value <= found.rate.high <= 1


def test_calibration_covers_a_scorer_of_known_accuracy():
    chance = random.Random(0)
    rows = []
    for number in range(2000):
        label = chance.choice([Label.A, Label.B])
        right = chance.random() < 0.7
        margin = (1 if (label is Label.A) is right else -1) * chance.uniform(0.1, 1)
        rows.append(Answered(str(number), label, chosen_by(margin), margin=margin))
    found = find_metric("tie-calibrated")(rows)
    assert found.rate.low < 0.7 < found.rate.high
    assert found.rate.high - found.rate.low < 0.05


def test_ties_are_not_calibrated_without_scores():
    found = find_metric("tie-calibrated")([Answered("1", Label.A, Choice.A)])
    assert found.rate is None
    assert found.note == "It needs a score for each image; there are none."


def test_metrics_are_found_by_name():
    assert [metric.name for metric in find_metrics((), official="hpdv2")] == ["official:hpdv2", "strict-pair"]
    assert [metric.name for metric in find_metrics(())] == ["strict-pair"]
    assert [metric.name for metric in find_metrics(("both-right", "both-right"))] == ["both-right"]
    assert find_metric("official", official="macro:topic").fields == ("topic",)
    assert set(METRICS) < set(NAMES)
    for name, message in {
        "strict": 'unknown metric "strict" (did you mean "strict-pair"?)',
        "macro": "Name a metadata field, such as macro:category.",
        "official": "these pairs have no official metric",
        "official:hpdv4": 'there is no official rule "hpdv4" (did you mean "hpdv',
    }.items():
        with pytest.raises(InputError) as caught:
            find_metric(name)
        assert message in str(caught.value)
