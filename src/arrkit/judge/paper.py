"""A session in which nothing is sent, and work that hangs on an answer goes on all the same."""

from __future__ import annotations

from dataclasses import replace

from arrkit.canonical import Json
from arrkit.judge.learning import ExplainRequest
from arrkit.judge.meter import Meter
from arrkit.judge.protocol import Draft, Outcome, Proposal, ProposeRequest, ZeroShotRequest
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.judge.session import JudgeSession


class PaperSession(JudgeSession):
    """Asks a judge over :class:`~arrkit.judge.calls.dry.DryCaller`: criteria that nobody has written yet are
    stood in for, so that what is asked under them is counted too.
    """

    async def propose(self, request: ProposeRequest, **about: Json) -> Proposal:
        """The proposal that the cache has, or stand-ins."""
        return _written(await super().propose(request, **about), request.count)

    async def explain(self, request: ExplainRequest, **about: Json) -> Proposal:
        """The statements that the cache has, or stand-ins."""
        return _written(await super().explain(request, **about), request.proposed.count)

    async def zero_shot(
        self, request: ZeroShotRequest, meter: Meter | None = None, **about: Json
    ) -> Proposal:
        """The criteria that the cache has, or stand-ins."""
        return _written(await super().zero_shot(request, meter, **about), request.count)

    async def checklist(
        self, request: ChecklistRequest, meter: Meter | None = None, **about: Json
    ) -> Proposal:
        """The items that the cache has, or stand-ins."""
        return _written(await super().checklist(request, meter, **about), request.count)

    async def plan(self, request: PlanRequest, meter: Meter | None = None, **about: Json) -> Proposal:
        """The points that the cache has, or stand-ins."""
        return _written(await super().plan(request, meter, **about), request.count)


def stand_ins(count: int) -> tuple[Draft, ...]:
    """So many drafts of the usual length, all different, that say nothing."""
    return tuple(
        Draft(
            f"Statement {number}: every object that the prompt names can be seen, whole and in its place.",
            "Go through the prompt word by word and look for each object that it names in the image.",
            "Objects",
        )
        for number in range(1, count + 1)
    )


def _written(proposal: Proposal, count: int) -> Proposal:
    if proposal.outcome is Outcome.OK:
        return proposal
    return replace(proposal, outcome=Outcome.OK, drafts=stand_ins(count))
