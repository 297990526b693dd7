"""One pair under one contender: the questions of its protocol, in their order, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arrkit.concurrency import together
from arrkit.data.pairs import PreferencePair
from arrkit.judge.asking import total_usage
from arrkit.judge.choices import JudgeProtocol
from arrkit.judge.judged import Judged
from arrkit.judge.meter import Meter
from arrkit.judge.protocol import (
    Answer,
    Basis,
    Finding,
    Order,
    Outcome,
    Proposal,
    ScoreRequest,
    Scores,
    Side,
    Usage,
    Verdict,
    ZeroShotRequest,
    compare_request,
    draft_dimensions,
)
from arrkit.judge.protocols.contender import Contender
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.judge.protocols.weighing import weigh
from arrkit.judge.session import JudgeSession
from arrkit.rubric.model import Dimension

# Which of two ends speaks for both where one image could not be scored: the one that a later run asks again.
_WORST = (
    Outcome.FAILED,
    Outcome.TRUNCATED,
    Outcome.UNPARSED,
    Outcome.REFUSED,
    Outcome.ABSTAIN,
    Outcome.TIE,
)


async def judge_under(
    session: JudgeSession, pair: PreferencePair, contender: Contender, shown: Sequence[Order], meter: Meter
) -> Judged:
    """Judge ``pair`` by the protocol of ``contender``, in the orders ``shown``; ``meter`` counts the cost.

    Raises:
        InputError: the judge does not offer what the protocol asks for.
        ImageUnreadable: an image of the pair cannot be read.
    """
    written: Proposal | None = None
    match contender.protocol:
        case JudgeProtocol.PLAN_VERIFY:
            return await _planned(session, pair, contender, shown, meter)
        case JudgeProtocol.CHECKLIST:
            asked = ChecklistRequest(pair.task, pair.prompt, contender.items)
            written = await session.checklist(asked, meter, pair=pair.id)
        case _ if contender.zero_shot:
            unseen = ZeroShotRequest(pair.task, pair.prompt, contender.zero_shot)
            written = await session.zero_shot(unseen, meter, pair=pair.id)
    dimensions = contender.dimensions
    if written is not None:
        if written.outcome is not Outcome.OK:
            return _everywhere(_lost("no criteria", written), shown)
        dimensions = draft_dimensions(contender.name, written.drafts)
    if contender.protocol.pointwise:
        return await _scored(session, pair, contender, dimensions, shown, meter)
    return await _compared(session, pair, contender, dimensions, shown, meter)


async def _compared(
    session: JudgeSession,
    pair: PreferencePair,
    contender: Contender,
    dimensions: tuple[Dimension, ...],
    shown: Sequence[Order],
    meter: Meter,
) -> Judged:
    verdicts = await together(
        session.compare(
            compare_request(pair, order, dimensions),
            meter,
            pair=pair.id,
            order=order,
            rubric=contender.name,
            label=pair.label,
        )
        for order in shown
    )
    return _in_orders(dict(zip(shown, verdicts, strict=True)), dimensions)


async def _planned(
    session: JudgeSession, pair: PreferencePair, contender: Contender, shown: Sequence[Order], meter: Meter
) -> Judged:
    """Plan and verify each presentation by itself, so that both orders test the whole of it."""

    async def presented(order: Order) -> tuple[Verdict, tuple[Dimension, ...]]:
        bare = compare_request(pair, order, ())
        asked = PlanRequest(
            bare.task, bare.prompt, bare.first, bare.second, contender.items, sources=bare.sources
        )
        plan = await session.plan(asked, meter, pair=pair.id, order=order)
        if plan.outcome is not Outcome.OK:
            return _lost("no plan", plan), ()
        if not plan.drafts:
            said = "The plan finds no difference that matters."
            return Verdict(Outcome.TIE, rationale=said, usage=plan.usage, basis=plan.basis), ()
        points = draft_dimensions(contender.name, plan.drafts)
        verdict = await session.compare(
            replace(bare, dimensions=points),
            meter,
            pair=pair.id,
            order=order,
            rubric=contender.name,
            label=pair.label,
        )
        whole = replace(
            verdict,
            usage=total_usage([plan.usage, verdict.usage]),
            basis=_together(verdict.basis, plan.basis),
        )
        # Two orders have two plans: told apart by their ids, both stand in one list of criteria.
        return _renamed(whole, order), _named(points, order)

    found = dict(zip(shown, await together(map(presented, shown)), strict=True))
    dimensions = tuple(each for _, points in found.values() for each in points)
    return _in_orders({order: verdict for order, (verdict, _) in found.items()}, dimensions)


async def _scored(
    session: JudgeSession,
    pair: PreferencePair,
    contender: Contender,
    dimensions: tuple[Dimension, ...],
    shown: Sequence[Order],
    meter: Meter,
) -> Judged:
    """Score each image by itself, once whatever the orders."""
    a, b = await together(
        session.score(
            ScoreRequest(pair.task, pair.prompt, image, dimensions, pair.sources),
            meter,
            pair=pair.id,
            image=name,
            rubric=contender.name,
        )
        for name, image in (("A", pair.a), ("B", pair.b))
    )
    return replace(_everywhere(_weighed(a, b, dimensions), shown), dimensions=dimensions)


def _weighed(a: Scores, b: Scores, dimensions: tuple[Dimension, ...]) -> Verdict:
    """The choice with A shown first; its :func:`~arrkit.judge.judged.lead` is the difference of rewards."""
    usage = total_usage([a.usage, b.usage])
    basis = _together(a.basis, b.basis)
    ends = {each.outcome: each.detail for each in (b, a) if each.outcome is not Outcome.OK}
    if ends:
        worst = min(ends, key=_WORST.index)
        return Verdict(worst, detail=ends[worst], usage=usage, basis=basis)
    criteria = [criterion for dimension in dimensions for criterion in dimension.criteria]
    weighed = weigh(criteria, a, b)
    if weighed.margin is None:
        detail = "no criterion could be told of both images"
        return Verdict(Outcome.ABSTAIN, findings=weighed.findings, detail=detail, usage=usage, basis=basis)
    side = None if weighed.margin == 0 else Side.FIRST if weighed.margin > 0 else Side.SECOND
    said = f"Weighted scores: A {weighed.first:.3f}, B {weighed.second:.3f}."
    outcome = Outcome.TIE if side is None else Outcome.OK
    return Verdict(outcome, side, weighed.findings, said, usage=usage, basis=basis)


def _together(one: Basis, two: Basis) -> Basis:
    """``one`` with what ``two`` took besides. A judge that sends nothing takes nothing."""
    sent = [each for each in (one, two) if each.requests or each.cached]
    masses = [each.mass for each in sent if each.mass is not None]
    costs = [each.cost for each in sent]
    return replace(
        one,
        mass=min(masses) if masses else None,
        model=one.model or two.model,
        requests=one.requests + two.requests,
        cached=one.cached + two.cached,
        repairs=one.repairs + two.repairs,
        whole=total_usage([each.whole for each in sent]),
        cost=None if not costs or None in costs else sum(each or 0.0 for each in costs),
    )


def _everywhere(verdict: Verdict, shown: Sequence[Order]) -> Judged:
    """``verdict``, of A as the first, in every order asked for; what it took stands in the first of them."""
    verdicts: dict[Order, Verdict] = {}
    for order in shown:
        placed = verdict if order is Order.AB else _turned(verdict)
        verdicts[order] = _free(placed) if verdicts else placed
    return _in_orders(verdicts, ())


def _free(verdict: Verdict) -> Verdict:
    """The same, had for nothing."""
    basis = replace(verdict.basis, requests=0, cached=0, repairs=0, whole=Usage(), cost=None)
    return replace(verdict, usage=Usage(0, 0, 0, 0, 0.0), basis=basis)


def _in_orders(verdicts: dict[Order, Verdict], dimensions: tuple[Dimension, ...]) -> Judged:
    return Judged(verdicts.get(Order.AB), verdicts.get(Order.BA), dimensions)


def _turned(verdict: Verdict) -> Verdict:
    """The same with the images in each other's place."""
    side = None if verdict.preferred is None else verdict.preferred.other
    return replace(verdict, preferred=side, findings=tuple(map(_turned_finding, verdict.findings)))


def _turned_finding(finding: Finding) -> Finding:
    answer = {Answer.FIRST: Answer.SECOND, Answer.SECOND: Answer.FIRST}.get(finding.answer, finding.answer)
    return replace(finding, answer=answer, first=finding.second, second=finding.first)


def _named(points: tuple[Dimension, ...], order: Order) -> tuple[Dimension, ...]:
    return tuple(
        replace(
            each,
            criteria=tuple(replace(point, id=f"{order}-{point.id}") for point in each.criteria),
        )
        for each in points
    )


def _renamed(verdict: Verdict, order: Order) -> Verdict:
    named = (replace(each, criterion=f"{order}-{each.criterion}") for each in verdict.findings)
    return replace(verdict, findings=tuple(named))


def _lost(what: str, answer: Proposal) -> Verdict:
    return Verdict(Outcome.FAILED, detail=f"{what}: {answer.outcome}: {answer.detail}")
