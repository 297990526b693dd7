"""The judge on a real vLLM. Random weights judge nothing: every question must end, and the form must hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import pytest

from arrkit.backends.registry import make_dataset, make_judge
from arrkit.data.pairs import Task
from arrkit.judge.calls.cache import opened_cache
from arrkit.judge.calls.caller import Caller
from arrkit.judge.protocol import (
    CompareRequest,
    Draft,
    Order,
    Outcome,
    ProposeRequest,
    RankRequest,
    ScoreRequest,
    Side,
    StructureRequest,
    Verdict,
    ZeroShotRequest,
    compare_request,
)
from arrkit.judge.scoring import Scoring
from arrkit.judge.transport import Transport
from arrkit.judge.vlm import VLMJudge
from arrkit.rubric.model import Criterion, Dimension

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

T = TypeVar("T")

RUBRIC = (
    Dimension("count", "Counts", (Criterion("count", "The image shows as many things as were asked for."),)),
)
LONGER = (
    *RUBRIC,
    Dimension(
        "look",
        "Looks",
        (Criterion("colour", "Every thing has its colour."), Criterion("edges", "Edges are sharp.")),
    ),
)


@pytest.fixture(scope="module")
def pairs():
    return list(make_dataset("shapes-t2i:test?n=6"))


@pytest.fixture
def edit():
    return next(iter(make_dataset("shapes-edit:test?n=4")))


@pytest.fixture
def work(spec) -> Callable[..., T]:
    """Do something with a judge on the tiny model: ``work(lambda judge: judge.compare(...))``."""

    def run(task: Callable[[VLMJudge], Awaitable[T]], scoring: str = "auto", **options: object) -> T:
        async def inner() -> T:
            judge = VLMJudge(
                Caller(cast(Transport, make_judge(spec(**options)))), scoring=Scoring(scoring), findings=True
            )
            try:
                return await task(judge)
            finally:
                await judge.aclose()

        return asyncio.run(inner())

    return run


def requests(pairs, dimensions=()) -> list[CompareRequest]:
    return [compare_request(pair, order, dimensions) for pair in pairs for order in Order]


def comparing(asked):
    async def compare(judge: VLMJudge) -> list[Verdict]:
        return await asyncio.gather(*map(judge.compare, asked))

    return compare


@pytest.mark.parametrize("dimensions", [(), RUBRIC], ids=["bare", "rubric"])
def test_generated_verdicts(work, pairs, dimensions):
    verdicts = work(comparing(requests(pairs, dimensions)), "generate", temperature=1, seed=1)
    # A tie against a criterion that names an image may come without its reason, twice: nothing else.
    assert all(each.outcome.settled or each.outcome is Outcome.UNPARSED for each in verdicts)
    assert sum(each.outcome.settled for each in verdicts) >= len(verdicts) / 2
    for verdict in verdicts:
        assert verdict.basis.scoring == "generate"
        assert verdict.basis.model == "tiny-judge"
        assert verdict.usage.input_tokens > 0
        assert verdict.usage.output_tokens > 0
        if verdict.outcome.decided:
            assert [each.criterion for each in verdict.findings] == [each.id for each in dimensions]


def test_a_schema_cannot_keep_a_criterion_from_being_answered_twice(work, pairs):
    verdicts = work(comparing(requests(pairs, LONGER)), "generate", temperature=1, seed=1)
    failures = [each for each in verdicts if each.outcome is Outcome.UNPARSED]
    assert failures
    assert all(each.detail and each.basis.repairs == 1 for each in failures)


def test_verdicts_by_probability(work, pairs):
    verdicts = work(comparing(requests(pairs, LONGER)), "logprob")
    assert all(each.outcome.decided for each in verdicts)
    for verdict in verdicts:
        basis = verdict.basis
        assert basis.scoring == "logprob"
        assert basis.first + basis.second + basis.tie == pytest.approx(1)
        assert min(basis.first, basis.second, basis.tie) > 0
        # Of 480 random words three are hardly likely: what a person must be told.
        assert 0 < basis.mass < 0.5
        assert basis.low_mass
        assert basis.requests == 4
        assert [each.criterion for each in verdict.findings] == ["count", "colour", "edges"]
    assert any(
        one.basis.first != pytest.approx(other.basis.first, rel=3e-3)
        for one, other in zip(verdicts[::2], verdicts[1::2], strict=True)
    ), "the images might as well not have been sent"


def test_the_probability_that_a_criterion_is_met(work, pairs):
    request = ScoreRequest(Task.T2I, pairs[0].prompt, pairs[0].a, LONGER)
    scores = work(lambda judge: judge.score(request))
    assert scores.outcome is Outcome.OK
    assert scores.basis.scoring == "logprob"
    assert [each.criterion for each in scores.scores] == ["count", "colour", "edges"]
    assert all(0 < each.score < 1 for each in scores.scores)
    assert len({each.score for each in scores.scores}) == 3


def test_generated_scores(work, pairs):
    request = ScoreRequest(Task.T2I, pairs[0].prompt, pairs[0].a, RUBRIC)
    scores = work(lambda judge: judge.score(request), "generate", temperature=1, seed=1)
    assert scores.outcome in (Outcome.OK, Outcome.ABSTAIN)
    assert all(each.score is None or 0 <= each.score <= 1 for each in scores.scores)


def test_an_edit_is_judged_beside_its_source(work, edit):
    without = CompareRequest(Task.EDIT, edit.prompt, edit.a, edit.b, None, RUBRIC)
    verdict, bare = work(comparing([compare_request(edit, Order.AB, RUBRIC), without]), "logprob")
    assert verdict.outcome.decided
    assert verdict.usage.input_tokens > bare.usage.input_tokens


def test_criteria_are_proposed(work, pairs):
    async def propose(judge: VLMJudge):
        return await asyncio.gather(
            *(
                judge.propose(ProposeRequest(Task.T2I, pair.prompt, pair.a, pair.b, Side.FIRST, 3))
                for pair in pairs
            )
        )

    proposals = work(propose, temperature=1, seed=1)
    assert all(each.outcome in (Outcome.OK, Outcome.UNPARSED) for each in proposals)
    assert any(each.outcome is Outcome.OK for each in proposals)
    assert all(1 <= len(each.drafts) <= 3 for each in proposals if each.outcome is Outcome.OK)


def test_the_operations_without_a_pair_end(work, pairs):
    drafts = tuple(Draft(f"The image shows {number} things.") for number in range(1, 5))

    async def rest(judge: VLMJudge):
        return await asyncio.gather(
            judge.structure(StructureRequest(Task.T2I, drafts, 3)),
            judge.zero_shot(ZeroShotRequest(Task.T2I, "a red cube", 3)),
            judge.rank(RankRequest(Task.T2I, "a red cube", tuple(pair.a for pair in pairs[:4]))),
        )

    answers = work(rest, temperature=1, seed=1)
    assert all(each.outcome in (Outcome.OK, Outcome.UNPARSED, Outcome.TRUNCATED) for each in answers)
    assert all(each.detail for each in answers if each.outcome is not Outcome.OK)


def test_an_answer_is_paid_for_once(spec, pairs, tmp_path):
    asked = requests(pairs, RUBRIC)

    async def judge_all() -> tuple[list[Verdict], int]:
        with opened_cache(tmp_path) as cache:
            caller = Caller(cast(Transport, make_judge(spec())), cache=cache)
            judge = VLMJudge(caller)
            try:
                return await comparing(asked)(judge), caller.totals.requests
            finally:
                await judge.aclose()

    first, paid = asyncio.run(judge_all())
    second, again = asyncio.run(judge_all())
    assert (paid, again) == (len(asked), 0)
    assert [each.basis.first for each in second] == [each.basis.first for each in first]
    assert all(each.usage.input_tokens == 0 for each in second)
