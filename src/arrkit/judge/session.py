"""One run's dealings with one judge: never ask twice, never too many at once, never raise for one answer.

Every command that asks a judge asks through a :class:`JudgeSession`. What the run's journal already holds is
answered from there; the rest is asked, retried where the judge failed, and written down.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from arrkit.canonical import Json
from arrkit.data.encode import look
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import ArrkitError, InputError
from arrkit.judge.learning import DiagnoseRequest, ExplainRequest, ExtractRequest, LearningJudge
from arrkit.judge.meter import Meter
from arrkit.judge.protocol import (
    ChecklistJudge,
    CompareRequest,
    Draft,
    Judge,
    Outcome,
    PlanningJudge,
    PreparingJudge,
    Proposal,
    ProposeRequest,
    RefineRequest,
    ScoreRequest,
    Scores,
    Structure,
    StructureRequest,
    Verdict,
    ZeroShotJudge,
    ZeroShotRequest,
    request_key,
)
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.runs.journal import Journal
from arrkit.serial import from_json, to_json

R = TypeVar("R", Verdict, Scores, Proposal, Structure)
Q = TypeVar(
    "Q",
    CompareRequest,
    ScoreRequest,
    ProposeRequest,
    RefineRequest,
    StructureRequest,
    ZeroShotRequest,
    ChecklistRequest,
    PlanRequest,
    ExplainRequest,
    DiagnoseRequest,
    ExtractRequest,
)

RETRY_SECONDS = 0.1
"""The wait before the first retry of a failed call; it doubles each time."""

RECENT = 256
"""How many answers are held in memory for a question that comes again at once: two rubrics may have the same
criteria, two rows the same pair. What comes later is found in the journal, if its ``recall`` is set.
"""


class JudgeSession:
    """A judge behind a journal, a bound on concurrency and a retry.

    Args:
        judge: who is asked.
        journal: where answers are kept, or None to keep none. Its ``recall`` decides whether it finds answers
            of this start as well; of equal requests close to each other one is asked in any case.
        concurrency: how many requests may be under way at once.
        retries: how often a call that ended as ``failed`` is asked again before that is its answer.

    ``asked`` counts calls of the judge, ``replayed`` those that the journal answered, ``outcomes`` the ends
    of both; ``scorings`` the ways in which a hosted judge was asked, ``low_mass`` its answers that are not to
    be relied on.
    """

    def __init__(
        self, judge: Judge, journal: Journal | None = None, *, concurrency: int = 8, retries: int = 2
    ) -> None:
        self.judge = judge
        self.asked = 0
        self.replayed = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.scorings: Counter[str] = Counter()
        self.low_mass = 0
        self._journal = journal
        self._recent: dict[str, asyncio.Future[Verdict | Scores | Proposal | Structure]] = {}
        self._slots = asyncio.Semaphore(concurrency)
        self._retries = retries

    async def prepare(self, pictures: Sequence[Picture]) -> None:
        """Read ``pictures`` in threads before the judge is asked of them, so that nobody waits for it then.

        Raises :class:`ImageUnreadable`.
        """
        # A journal of earlier starts has most answers, by the digests alone.
        fresh = self._journal is None or len(self._journal) == 0
        if fresh and isinstance(self.judge, PreparingJudge):
            await self.judge.prepare(pictures)
        else:
            await look(pictures)

    async def compare(self, request: CompareRequest, meter: Meter | None = None, **about: Json) -> Verdict:
        """Which image is better. ``about`` goes to the journal for people who read it, not to the judge.

        ``meter``, here and below, is told what the answer takes.
        """
        return await self._answer("compare", self.judge.compare, request, Verdict, about, meter)

    async def score(self, request: ScoreRequest, meter: Meter | None = None, **about: Json) -> Scores:
        """How well one image meets each criterion."""
        return await self._answer("score", self.judge.score, request, Scores, about, meter)

    async def propose(self, request: ProposeRequest, **about: Json) -> Proposal:
        """Criteria that explain a preference."""
        return await self._answer("propose", self.judge.propose, request, Proposal, about)

    async def zero_shot(
        self, request: ZeroShotRequest, meter: Meter | None = None, **about: Json
    ) -> Proposal:
        """Criteria for a prompt before its images are seen. ``InputError`` for a judge that writes none."""
        if not isinstance(self.judge, ZeroShotJudge):
            raise InputError(
                f"{self.judge.name} writes no criteria from a prompt alone",
                hint="Leave out --rubric zero-shot, or choose another judge.",
            )
        return await self._answer("zero_shot", self.judge.zero_shot, request, Proposal, about, meter)

    async def checklist(
        self, request: ChecklistRequest, meter: Meter | None = None, **about: Json
    ) -> Proposal:
        """Items to tick off for a prompt. ``InputError`` for a judge that writes none."""
        if not isinstance(self.judge, ChecklistJudge):
            raise InputError(
                f"{self.judge.name} writes no checklists",
                hint="Leave out --protocol checklist, or choose another judge.",
            )
        return await self._answer("checklist", self.judge.checklist, request, Proposal, about, meter)

    async def plan(self, request: PlanRequest, meter: Meter | None = None, **about: Json) -> Proposal:
        """Where two images differ in ways that matter. ``InputError`` for a judge that cannot say."""
        if not isinstance(self.judge, PlanningJudge):
            raise InputError(
                f"{self.judge.name} plans no comparisons",
                hint="Leave out --protocol plan-verify, or choose another judge.",
            )
        return await self._answer("plan", self.judge.plan, request, Proposal, about, meter)

    async def refine(self, request: RefineRequest, **about: Json) -> Proposal:
        """Better criteria, after these failed."""
        return await self._answer("refine", self.judge.refine, request, Proposal, about)

    async def explain(self, request: ExplainRequest, **about: Json) -> Proposal:
        """Statements that explain a preference and can be used again; those of ``propose`` otherwise."""
        if not isinstance(self.judge, LearningJudge):
            return await self.propose(request.proposed, **about)
        return await self._answer("explain", self.judge.explain, request, Proposal, about)

    async def diagnose(self, request: DiagnoseRequest, **about: Json) -> Proposal:
        """What a rubric misses, as one draft; the report alone, where the judge cannot say."""
        if not isinstance(self.judge, LearningJudge):
            return Proposal(Outcome.OK, (Draft(request.report),))
        return await self._answer("diagnose", self.judge.diagnose, request, Proposal, about)

    async def extract(self, request: ExtractRequest, **about: Json) -> Proposal:
        """Statements for what a diagnosis names; those of ``refine`` with it as the critique otherwise."""
        if not isinstance(self.judge, LearningJudge):
            said = RefineRequest(request.proposed, request.rubric, request.diagnosis.statement)
            return await self.refine(said, **about)
        return await self._answer("extract", self.judge.extract, request, Proposal, about)

    async def structure(self, request: StructureRequest, **about: Json) -> Structure:
        """A pool of criteria, grouped and folded."""
        return await self._answer("structure", self.judge.structure, request, Structure, about)

    async def _answer(
        self,
        operation: str,
        ask: Callable[[Q], Awaitable[R]],
        request: Q,
        kind: type[R],
        about: Mapping[str, Json],
        meter: Meter | None = None,
    ) -> R:
        key = request_key(self.judge.name, request)
        response = await self._found(key, operation, ask, request, kind, about)
        if meter is not None:
            meter.add(key, response.basis)
        return response

    async def _found(
        self,
        key: str,
        operation: str,
        ask: Callable[[Q], Awaitable[R]],
        request: Q,
        kind: type[R],
        about: Mapping[str, Json],
    ) -> R:
        kept = self._kept(key, kind)
        if kept is not None:
            self.replayed += 1
            self._count(kept)
            return kept
        if key in self._recent:
            twin = await self._recent[key]
            assert isinstance(twin, kind)  # the operation is part of the key
            self._count(twin)
            return twin
        response = await self._share(key, ask, request, kind)
        self.asked += 1
        self._count(response)
        if self._journal is not None:
            self._journal.append({"key": key, "op": operation, **about, "response": to_json(response)})
        return response

    def _count(self, response: Verdict | Scores | Proposal | Structure) -> None:
        self.outcomes[response.outcome] += 1
        if response.basis.scoring:
            self.scorings[response.basis.scoring] += 1
            self.low_mass += response.basis.low_mass

    async def _share(self, key: str, ask: Callable[[Q], Awaitable[R]], request: Q, kind: type[R]) -> R:
        """Ask, and let whoever has the same question meanwhile or soon after have this answer."""
        answer: asyncio.Future[Verdict | Scores | Proposal | Structure] = (
            asyncio.get_running_loop().create_future()
        )
        self._recent[key] = answer
        try:
            async with self._slots:
                response = await self._ask(ask, request, kind)
        except BaseException as error:
            self._recent.pop(key, None)
            if isinstance(error, Exception):
                answer.set_exception(error)
                answer.exception()  # looked at here: perhaps nobody waits
            else:
                answer.cancel()
            raise
        answer.set_result(response)
        if not response.outcome.settled:
            self._recent.pop(key, None)
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return response

    def _kept(self, key: str, kind: type[R]) -> R | None:
        record = None if self._journal is None else self._journal.get(key)
        if record is None:
            return None
        response = from_json(kind, record["response"])
        return response if response.outcome.settled else None

    async def _ask(self, ask: Callable[[Q], Awaitable[R]], request: Q, kind: type[R]) -> R:
        response = kind(Outcome.FAILED, detail="not asked")
        for attempt in range(self._retries + 1):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS * 2 ** (attempt - 1))
            try:
                response = await ask(request)
            except (ArrkitError, ImageUnreadable):
                raise
            except Exception as error:
                # A judge reports trouble as an outcome; one that raises all the same spoils this call only.
                response = kind(Outcome.FAILED, detail=f"{type(error).__name__}: {error}")
            if response.outcome is not Outcome.FAILED:
                break
        return response
