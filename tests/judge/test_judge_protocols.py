"""The protocols: what they ask, in which order, and what their answers come to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import FAILED, FIRST, Pairs, ScriptedJudge, pair

from arrkit.commands.evaluate import evaluate_judge
from arrkit.commands.inputs import contenders
from arrkit.commands.options import EvalOptions
from arrkit.data.pairs import Label
from arrkit.errors import InputError
from arrkit.judge.answers.extract import Unreadable
from arrkit.judge.answers.read import read_plan
from arrkit.judge.choices import JudgeProtocol, Orders
from arrkit.judge.evaluate import Contender, judge_pairs
from arrkit.judge.meter import Meter
from arrkit.judge.protocol import (
    Answer,
    Basis,
    CriterionScore,
    Draft,
    Outcome,
    Proposal,
    Scores,
    Usage,
    draft_dimensions,
)
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.judge.protocols.weighing import weigh
from arrkit.judge.session import JudgeSession
from arrkit.rubric.model import Criterion, Dimension

RUBRIC = (Dimension("light", "Light", (Criterion("bright", "It is bright.", 2.0), Criterion("red", "Red."))),)
CRITERIA = RUBRIC[0].criteria
SENT = Basis("generate", requests=1, whole=Usage(100, 0, 10, 0, 1.0), cost=0.5)

TWO_ITEMS = Proposal(Outcome.OK, (Draft("It is bright."), Draft("It is red.")), basis=SENT)
ONE_POINT = Proposal(Outcome.OK, (Draft("It is bright."),), basis=SENT)


def scored(*values, basis=SENT):
    given_ = zip(CRITERIA, values, strict=True)
    return Scores(Outcome.OK, tuple(CriterionScore(each.id, value) for each, value in given_), basis=basis)


@dataclass
class Protocolled(ScriptedJudge):
    """Scores by how bright an image is; its checklists and plans are given."""

    scores: dict[str, Scores] = field(default_factory=dict)
    items: Proposal = TWO_ITEMS
    points: Proposal = ONE_POINT

    async def score(self, request):
        self.requests.append(request)
        bright = request.image.load().getpixel((0, 0))[0] / 255
        ids = [each.id for dimension in request.dimensions for each in dimension.criteria]
        found = Scores(Outcome.OK, tuple(CriterionScore(each, bright) for each in ids), basis=SENT)
        return self.scores.get("bright" if bright > 0.5 else "dark", found)

    async def checklist(self, request):
        self.requests.append(request)
        return self.items

    async def plan(self, request):
        self.requests.append(request)
        return self.points


def judged(judge, contender, pairs=None, orders=Orders.BOTH):
    saved = []
    work = judge_pairs(
        JudgeSession(judge, retries=0),
        pairs or [pair(1)],
        [contender],
        orders=orders,
        keep_cases=9,
        on_saved=saved.append,
    )
    evaluation = asyncio.run(work)
    return evaluation, saved


WEIGHTED = Contender("mine, weighted", RUBRIC, "sha256:1", protocol=JudgeProtocol.WEIGHTED)
CHECKLIST = Contender("checklist", protocol=JudgeProtocol.CHECKLIST, items=3)
PLANNED = Contender("plan-verify", protocol=JudgeProtocol.PLAN_VERIFY, items=3)

# --- weighing

shares = st.one_of(st.none(), st.floats(0, 1))
both = st.tuples(shares, shares)


def test_the_reward_is_the_weighted_sum_over_what_was_told_of_both():
    weighed = weigh(CRITERIA, scored(1.0, 0.2), scored(0.4, 0.8))
    assert (weighed.first, weighed.second) == pytest.approx((2.2 / 3, 1.6 / 3))
    assert weighed.margin == pytest.approx(0.2)
    assert [each.answer for each in weighed.findings] == [Answer.FIRST, Answer.SECOND]
    half = weigh(CRITERIA, scored(1.0, 0.2), scored(None, 0.8))
    assert half.margin == pytest.approx(-0.6), "what one image hides counts for neither"
    assert half.findings[0].answer is Answer.CANNOT_TELL
    assert weigh(CRITERIA, scored(1.0, None), scored(None, 0.8)).margin is None


@given(both, both, st.floats(0.01, 100))
def test_weighing_is_symmetric_and_knows_no_unit_of_weight(one, two, factor):
    weighed = weigh(CRITERIA, scored(*one), scored(*two))
    turned = weigh(CRITERIA, scored(*two), scored(*one))
    assert (weighed.first, weighed.second) == (turned.second, turned.first)
    scaled = weigh(
        [replace(each, weight=each.weight * factor) for each in CRITERIA], scored(*one), scored(*two)
    )
    if weighed.margin is None:
        assert turned.margin is scaled.margin is None
    else:
        assert turned.margin == -weighed.margin
        assert scaled.margin == pytest.approx(weighed.margin, abs=1e-6)


# --- weighted and checklist


def test_each_image_is_scored_once_whatever_the_orders():
    judge = Protocolled()
    evaluation, (saved,) = judged(judge, WEIGHTED)
    assert [request.image.load().getpixel((0, 0))[0] for request in judge.requests] == [200, 50]
    stats = evaluation.tallies[0].stats()
    assert (stats.accuracy.value, stats.consistency.value, stats.gap.value) == (1.0, 1.0, 0.0)
    assert (saved.ab, saved.ba, saved.margin) == ("A", "not_asked", pytest.approx(150 / 255))
    cost = evaluation.meters[0].per_pair(1)
    assert (cost.calls, cost.requests, cost.input_tokens, cost.dollars) == (2, 2, 200, 1.0)
    (case,) = evaluation.cases
    billed = [verdict.basis.requests for _, verdict in case.judged[0].shown]
    assert billed == [2, 0], "what two scores took is not paid for again in the other order"


@pytest.mark.parametrize("orders", [Orders.FORWARD, Orders.REVERSE])
@pytest.mark.parametrize("contender", [WEIGHTED, CHECKLIST])
def test_one_order_alone_says_the_same(contender, orders):
    for label in (Label.A, Label.B):
        evaluation, (saved,) = judged(Protocolled(), contender, [pair(1, label)], orders)
        assert saved.ab == "A"
        assert saved.margin > 0
        assert evaluation.tallies[0].stats().accuracy.value == (label is Label.A)


def test_images_shared_by_pairs_are_scored_and_counted_once():
    one, two = pair(1), pair(2)
    three = replace(two, id="three", a=one.a, prompt=one.prompt, b=two.b)
    shared = [one, replace(two, prompt=one.prompt), three]
    judge = Protocolled()
    evaluation, _ = judged(judge, WEIGHTED, shared)
    assert len(judge.requests) == 4
    assert evaluation.meters[0].per_pair(3).calls == pytest.approx(4 / 3)


def test_a_checklist_belongs_to_its_prompt():
    judge = Protocolled()
    same = [replace(pair(number), prompt="a lamp") for number in range(4)]
    evaluation, _ = judged(judge, CHECKLIST, [*same, pair(5)])
    asked = [each for each in judge.requests if isinstance(each, ChecklistRequest)]
    assert [(each.prompt, each.count) for each in asked] == [("a lamp", 3), ("picture 5", 3)]
    assert evaluation.meters[0].per_pair(5).calls == (2 + 10) / 5
    first = judge.requests[1]
    assert [each.statement for each in first.dimensions[0].criteria] == ["It is bright.", "It is red."]


@pytest.mark.parametrize(
    ("end", "choice"), [(Outcome.REFUSED, "refused"), (Outcome.FAILED, "failed"), (Outcome.ABSTAIN, "other")]
)
def test_an_image_that_cannot_be_scored_decides_nothing(end, choice):
    lost = Scores(end, detail="why")
    evaluation, (saved,) = judged(Protocolled(scores={"dark": lost}), WEIGHTED)
    assert (saved.ab, saved.margin) == (choice, None)
    assert evaluation.trouble == f"{end}: why"
    assert evaluation.tallies[0].stats().accuracy is None


def test_without_a_checklist_nothing_is_scored():
    judge = Protocolled(items=Proposal(Outcome.REFUSED, detail="no"))
    evaluation, (saved,) = judged(judge, CHECKLIST)
    assert len(judge.requests) == 1
    assert saved.ab == "failed"
    assert evaluation.trouble == "failed: no criteria: refused: no"


def test_equal_images_are_a_tie():
    even = scored(0.3, 0.3)
    evaluation, (saved,) = judged(Protocolled(scores={"dark": even, "bright": even}), WEIGHTED)
    assert (saved.ab, saved.margin) == ("tie", 0.0)
    assert evaluation.tallies[0].outcomes[Outcome.TIE] == 2


# --- plan-verify


def test_each_presentation_is_planned_then_verified_on_its_points_alone():
    judge = Protocolled()
    evaluation, (saved,) = judged(judge, PLANNED)
    plans = [each for each in judge.requests if isinstance(each, PlanRequest)]
    checks = [each for each in judge.requests if not isinstance(each, PlanRequest)]
    assert len(plans) == len(checks) == 2
    assert {(each.first.digest, each.second.digest) for each in plans} == {
        (each.first.digest, each.second.digest) for each in checks
    }
    assert [c.statement for each in checks for d in each.dimensions for c in d.criteria] == [
        "It is bright."
    ] * 2
    assert (saved.ab, saved.ba, saved.margin) == ("A", "A", None)
    assert evaluation.meters[0].per_pair(1).calls == 4


def test_no_difference_that_matters_is_a_tie_and_asks_no_more():
    judge = Protocolled(points=Proposal(Outcome.OK))
    _, (saved,) = judged(judge, PLANNED)
    assert (saved.ab, saved.ba) == ("tie", "tie")
    assert len(judge.requests) == 2


def test_a_failed_plan_or_check_is_a_failure():
    lost, _ = judged(Protocolled(points=Proposal(Outcome.UNPARSED, detail="?")), PLANNED)
    assert lost.trouble == "failed: no plan: unparsed: ?"
    failed, _ = judged(Protocolled(compares=lambda _: FAILED), PLANNED)
    assert failed.tallies[0].outcomes[Outcome.FAILED] == 2


def test_the_points_of_two_orders_keep_apart():
    def first(request):
        named = draft_dimensions("x", [Draft("It is bright.")])[0].criteria[0].id
        assert [c.id for d in request.dimensions for c in d.criteria] == [named]
        return replace(FIRST, findings=())

    evaluation, _ = judged(Protocolled(compares=first), PLANNED)
    ids = [each.id for dimension in evaluation.cases[0].judged[0].dimensions for each in dimension.criteria]
    assert ids == ["ab-c1", "ba-c1"]


def test_a_plan_may_be_empty_but_not_give_the_answer_away():
    assert read_plan('{"reasoning": "alike", "points": []}', 3) == ()
    kept = read_plan(
        '{"reasoning": "", "points": [{"statement": "Image A is sharper.", "guidance": ""},'
        ' {"statement": "Edges are sharp.", "guidance": "Look at the rims."}]}',
        3,
    )
    assert kept == (Draft("Edges are sharp.", "Look at the rims."),)
    with pytest.raises(Unreadable, match="by its place"):
        read_plan('{"reasoning": "", "points": [{"statement": "Image A is sharper.", "guidance": ""}]}', 3)


# --- what it takes


def test_a_question_is_metered_once_and_what_is_unknown_stays_so():
    meter = Meter()
    assert meter.per_pair(0) is None
    meter.add("0" * 64, SENT)
    meter.add("0" * 64, SENT)
    meter.add("1" * 64, replace(SENT, requests=0, cached=1))
    cost = meter.per_pair(2)
    assert (cost.calls, cost.requests, cost.output_tokens, cost.dollars) == (1.0, 1.0, 10.0, 0.5)
    assert str(cost) == "$0.50000"
    meter.add("2" * 64, replace(SENT, cost=None))
    assert str(meter.per_pair(1)) == "3.0 requests, 330 tokens"
    meter.add("3" * 64, Basis(requests=1))
    assert str(meter.per_pair(1)) == "4.0 requests"
    own = Meter()
    own.add("0" * 64, Basis())
    assert str(own.per_pair(1)) == "1.0 calls"


# --- the rows


def test_rows_follow_the_protocols_as_named():
    tried = contenders([], baseline=True, zero_shot=4, protocols=tuple(JudgeProtocol), items=6)
    assert [each.name for each in tried] == [
        *("none", "zero-shot", "zero-shot, weighted", "checklist", "plan-verify")
    ]
    assert [each.items for each in tried] == [0, 0, 0, 6, 6]
    assert [each.name for each in contenders([], baseline=False)] == ["none"]
    (alone,) = contenders([], baseline=False, protocols=[JudgeProtocol.PLAN_VERIFY])
    assert alone.name == "plan-verify"


@pytest.mark.parametrize(
    ("rubric", "protocol", "said"),
    [
        ((), "weighted", "none are given"),
        (("none",), "weighted", "none are given"),
        (("t2i-general",), "checklist", "no rubric can be tried by it"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_anything_is_asked(rubric, protocol, said):
    judge = Protocolled()
    options = EvalOptions(rubric=rubric, protocol=(JudgeProtocol(protocol),))
    with pytest.raises(InputError, match=said):
        evaluate_judge(options, judge=judge, pairs=Pairs([pair(1)]))
    assert judge.requests == []


@pytest.mark.parametrize("protocol", ["checklist", "plan-verify"])
def test_a_judge_without_the_operation_says_so(protocol, tmp_path):
    options = EvalOptions(protocol=(JudgeProtocol(protocol),), out=tmp_path / "run", baseline=False)
    with pytest.raises(InputError, match="scripted"):
        evaluate_judge(options, judge=ScriptedJudge(), pairs=Pairs([pair(1)]))


def test_the_embedded_world_fills_the_table(tmp_path):
    options = EvalOptions(
        rubric=("t2i-general", "zero-shot"), protocol=tuple(JudgeProtocol), limit=14, out=tmp_path / "run"
    )
    report = evaluate_judge(options)
    by_name = {row.rubric: row for row in report.rows}
    assert list(by_name) == [
        *("none", "zero-shot", "t2i-general", "zero-shot, weighted", "t2i-general, weighted"),
        *("checklist", "plan-verify"),
    ]
    for row in report.rows:
        assert row.stats.accuracy is not None
        assert row.cost is not None
        assert row.cost.requests == 0
    bare = by_name["none"].stats.accuracy.value
    assert all(by_name[each].stats.accuracy.value > bare + 0.1 for each in ("checklist", "plan-verify"))
    assert by_name["plan-verify"].cost.calls == 4.0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What a pair takes" in page
    again = evaluate_judge(options)
    assert again.asked == 0
    assert again.rows == report.rows
