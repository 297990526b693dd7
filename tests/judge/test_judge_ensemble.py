"""Several judges that decide as one: what they come to, who is asked, and what each of them did and took."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import FAILED, FIRST, SECOND, TIE, ScriptedJudge, bright, pair

from arrkit.data.pairs import Label
from arrkit.judge.choices import Ensemble, Orders
from arrkit.judge.ensemble import Panel, combine, unsure
from arrkit.judge.evaluate import Contender, judge_pairs
from arrkit.judge.judged import Judged, lead
from arrkit.judge.protocol import Answer, Basis, Finding, Outcome, Side, Usage, Verdict
from arrkit.judge.report import make_rows
from arrkit.judge.session import JudgeSession
from arrkit.rubric.model import Criterion, Dimension

ABSTAIN = Verdict(Outcome.ABSTAIN, detail="cannot tell")
REFUSED = Verdict(Outcome.REFUSED, detail="no")
MAJORITY, MEAN, CASCADE = Ensemble.MAJORITY, Ensemble.MEAN, Ensemble.CASCADE


def likely(first: float, second: float) -> Verdict:
    """A verdict with probabilities; the likelier side is named."""
    basis = Basis("logprob", first=first, second=second, tie=1 - first - second)
    side = Side.FIRST if first > second else Side.SECOND if second > first else None
    return Verdict(Outcome.TIE if side is None else Outcome.OK, side, basis=basis)


def turned(verdict: Verdict) -> Verdict:
    """The same with the two images exchanged."""
    basis = replace(verdict.basis, first=verdict.basis.second, second=verdict.basis.first)
    side = None if verdict.preferred is None else verdict.preferred.other
    return replace(verdict, preferred=side, basis=basis)


shares = st.integers(0, 10).flatmap(
    lambda first: st.integers(0, 10 - first).map(lambda second: likely(first / 10, second / 10))
)
verdicts = st.lists(
    st.one_of(st.sampled_from([FIRST, SECOND, TIE, FAILED, ABSTAIN]), shares), min_size=1, max_size=5
)


@pytest.mark.parametrize(
    ("held", "outcome", "preferred"),
    [
        ([FIRST, FIRST, SECOND], Outcome.OK, Side.FIRST),
        ([FIRST, SECOND], Outcome.TIE, None),
        ([FIRST, TIE], Outcome.TIE, None),
        ([TIE, TIE, SECOND], Outcome.TIE, None),
        ([SECOND, TIE, SECOND], Outcome.OK, Side.SECOND),
        ([SECOND, FAILED, ABSTAIN], Outcome.OK, Side.SECOND),
        ([ABSTAIN, ABSTAIN], Outcome.ABSTAIN, None),
        ([ABSTAIN, REFUSED, FAILED], Outcome.REFUSED, None),
    ],
)
def test_the_choice_that_most_made_is_taken_and_who_decided_nothing_has_no_vote(held, outcome, preferred):
    for order in permutations(held):
        if Outcome.REFUSED in {each.outcome for each in held}:
            order = held  # which trouble is named goes by the order of the judges
        verdict = combine(MAJORITY, order)
        assert (verdict.outcome, verdict.preferred) == (outcome, preferred)


@pytest.mark.parametrize(
    ("held", "mean"),
    [
        ([likely(0.9, 0.1), likely(0.3, 0.6)], 0.25),
        ([likely(0.6, 0.4), SECOND], -0.4),
        ([likely(0.5, 0.5), FIRST], 0.5),
        ([likely(0.7, 0.1), likely(0.1, 0.7), FAILED], 0.0),
    ],
)
def test_the_mean_weighs_how_sure_each_judge_is(held, mean):
    verdict = combine(MEAN, held)
    assert lead(verdict) == pytest.approx(mean)
    assert verdict.preferred == (None if mean == 0 else Side.FIRST if mean > 0 else Side.SECOND)


@given(verdicts, st.sampled_from([MAJORITY, MEAN]))
def test_exchanging_the_images_exchanges_the_choice_and_nothing_else(held, rule):
    straight, crossed = combine(rule, held), combine(rule, [turned(each) for each in held])
    assert straight.outcome is crossed.outcome
    assert turned(straight).preferred is crossed.preferred
    if straight.outcome.decided:
        assert lead(straight) == pytest.approx(-lead(crossed), abs=1e-12)


@given(verdicts, st.sampled_from([MAJORITY, MEAN]))
def test_a_judge_asked_twice_decides_as_it_does_alone(held, rule):
    once, twice = combine(rule, held[:1]), combine(rule, held[:1] * 2)
    assert (once.outcome, once.preferred) == (twice.outcome, twice.preferred)
    if held[0].basis.first is None or rule is MAJORITY:
        assert (once.outcome, once.preferred) == (held[0].outcome, held[0].preferred)


def test_findings_are_joined_where_the_criteria_are_the_same():
    def found(answer, first, second):
        return Verdict(Outcome.OK, Side.FIRST, (Finding("bright", answer, first, second),))

    (joined,) = combine(MEAN, [found(Answer.FIRST, 0.9, 0.1), found(Answer.SECOND, 0.2, 0.4)]).findings
    assert (joined.answer, joined.first, joined.second) == (Answer.EQUAL, pytest.approx(0.55), 0.25)


def test_a_lead_is_of_probabilities_else_of_scores_else_of_answers():
    rule = (Dimension("d", "D", (Criterion("a", "A.", weight=3.0), Criterion("b", "B."))),)
    scored = Verdict(
        Outcome.OK, Side.FIRST, (Finding("a", Answer.FIRST, 0.9, 0.5), Finding("b", Answer.SECOND))
    )
    assert lead(scored, rule) == pytest.approx((3 * 0.4 - 1) / 4)
    assert lead(scored) == pytest.approx((0.4 - 1) / 2), "without weights both count alike"
    assert lead(replace(scored, basis=likely(0.8, 0.1).basis), rule) == pytest.approx(0.7)
    blind = Verdict(Outcome.OK, Side.FIRST, (Finding("a", Answer.CANNOT_TELL),))
    assert lead(blind, rule) is None
    assert lead(FIRST) is lead(FAILED) is None


@pytest.mark.parametrize(
    ("judged", "why"),
    [
        (Judged(FIRST, SECOND), ""),
        (Judged(FIRST, FIRST), "its orders disagree"),
        (Judged(FIRST, TIE), "its orders disagree"),
        (Judged(TIE, TIE), "a tie"),
        (Judged(FIRST, FAILED), "no decision"),
        (Judged(likely(0.54, 0.46), likely(0.44, 0.56)), "a small margin"),
        (Judged(likely(0.9, 0.1), likely(0.4, 0.6)), ""),
        (Judged(likely(0.54, 0.46)), "a small margin"),
        (Judged(FIRST), ""),
    ],
)
def test_a_cascade_goes_on_where_a_judge_is_not_sure(judged, why):
    assert unsure(judged, 0.15) == why


def sent(verdict: Verdict, dollars: float) -> Verdict:
    basis = Basis(requests=1, whole=Usage(input_tokens=100, output_tokens=10), cost=dollars)
    return replace(verdict, basis=basis)


def judge_all(rule, compares, count=40, **options):
    judges = [ScriptedJudge(compares=each, name=f"judge-{n}") for n, each in enumerate(compares)]
    names = tuple(judge.name for judge in judges)

    async def work():
        panel = Panel(tuple(JudgeSession(judge, retries=0) for judge in judges), names, rule)
        pairs = [pair(i, Label.A) for i in range(count)]
        tried = (Contender("none"),)
        evaluation = await judge_pairs(panel, pairs, tried, **options)
        return make_rows(evaluation, tried, panel, tie_credit=0.5, seed=0)[0]

    return asyncio.run(work()), judges


def number(request) -> int:
    return int(request.prompt.split()[1])


def test_a_cascade_asks_the_dear_judge_only_where_the_cheap_one_is_not_sure():
    def cheap(request):  # biased on every fourth pair, sure and wrong on every tenth, out on one
        if number(request) == 1:
            return FAILED
        if number(request) % 4 == 0:
            return sent(FIRST, 0.001)
        right = bright(request)
        return sent(turned(right) if number(request) % 10 == 3 else right, 0.001)

    row, (first, second) = judge_all(CASCADE, [cheap, lambda request: sent(bright(request), 0.1)])
    assert {number(request) for request in second.requests} == {1, *range(0, 40, 4)}
    assert (len(first.requests), len(second.requests)) == (80, 22)
    one, two = row.stages
    assert (one.stats.pairs, two.stats.pairs) == (40, 11)
    assert (one.share.value, two.share.value) == (1.0, 11 / 40)
    assert (one.settled.value, two.settled.value) == (29 / 40, 1.0)
    assert one.settled_accuracy.value == 25 / 29
    assert two.stats.accuracy.value == 1.0
    assert row.stats.accuracy.value == 36 / 40, "what the first judge was sure of and wrong in stays wrong"
    assert row.stats.coverage.value == 1.0, "where the first was out, the second was asked"
    assert one.cost.dollars == pytest.approx(78 * 0.001 / 40)
    assert two.cost.dollars == pytest.approx(22 * 0.1 / 40)
    assert row.cost.dollars == pytest.approx(one.cost.dollars + two.cost.dollars)
    assert row.cost.calls == pytest.approx(102 / 40)
    assert two.cost.input_tokens == pytest.approx(2200 / 40)


def test_every_judge_is_asked_for_a_majority_which_beats_each_of_them():
    def errs(rest):
        return lambda request: turned(bright(request)) if number(request) % 3 == rest else bright(request)

    row, judges = judge_all(MAJORITY, [errs(0), errs(1), errs(2)], count=30)
    assert [len(judge.requests) for judge in judges] == [60] * 3
    assert [stage.stats.accuracy.value for stage in row.stages] == [20 / 30] * 3
    assert [stage.settled for stage in row.stages] == [None] * 3
    assert row.stats.accuracy.value == 1.0
    assert row.calibration[0].bins[0].stated == pytest.approx(2 / 3), "two of three votes"


def test_a_judge_that_is_out_leaves_the_decision_to_the_others():
    row, _ = judge_all(MAJORITY, [lambda request: FAILED, bright], count=6)
    assert row.stats.accuracy.value == row.stats.coverage.value == 1.0
    out, up = row.stages
    assert (out.stats.coverage.value, up.stats.coverage.value) == (0.0, 1.0)
    assert out.stats.accuracy is None


def test_one_order_is_enough_for_a_cascade_and_the_last_judge_has_the_last_word():
    row, (first, second) = judge_all(
        CASCADE, [lambda request: TIE, lambda request: FAILED], count=5, orders=Orders.FORWARD
    )
    assert (len(first.requests), len(second.requests)) == (5, 5)
    assert row.stats.outcomes[Outcome.FAILED] == 5
    assert row.stages[1].settled.value == 1.0


def test_a_judge_alone_has_no_stages():
    row, _ = judge_all(None, [bright], count=3)
    assert row.stages == ()
