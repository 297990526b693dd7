"""The embedded judge: a checker of the shapes world in the clothes of a vision-language judge.

What it is: a deterministic stand-in with the whole interface of a judge, for demonstrations and tests. It
looks at pixels, reads criteria in plain English with a small vocabulary, checks those it understands, and
says of the others that it cannot tell. Asked without criteria it goes by general looks (contrast,
coverage, smoothness, vividness) and is therefore right only somewhat more often than chance.

What it is not: a model. It understands no image but those of its own world, on which it abstains otherwise;
it has no taste, learns nothing, and its proposals are chosen from prepared wordings by what it measures. Its
noise and its preference for the first image are drawn on purpose, in a known amount, so that statistics can
be tested against them. Nothing measured with it says anything about a real judge.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from arrkit.backends.spec import Spec
from arrkit.canonical import Json, digest
from arrkit.data.pairs import Candidate, Passage, Picture, Task
from arrkit.judge.learning import DiagnoseRequest, ExplainRequest, ExtractRequest
from arrkit.judge.protocol import (
    Answer,
    Asked,
    CompareRequest,
    CriterionScore,
    Draft,
    Finding,
    Outcome,
    Proposal,
    ProposeRequest,
    RefineRequest,
    ScoreRequest,
    Scores,
    Side,
    Structure,
    StructureRequest,
    Verdict,
    ZeroShotRequest,
)
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.rubric.model import Criterion
from arrkit.shapes.assess import Assessment, assess
from arrkit.shapes.checks import Check
from arrkit.shapes.criteria import read_statement
from arrkit.shapes.look import Look, look_at
from arrkit.shapes.planning import checklist_drafts, plan_drafts
from arrkit.shapes.propose import Contrast, first_drafts, further_drafts, revised_drafts, unseen_drafts
from arrkit.shapes.structure import structure_drafts

DEAD_ZONE = 0.02
"""Two scores that differ by less count as equal."""

TIE_MARGIN = 0.01
"""A weighted mean difference below this is a tie: two that differ in a shade of their general looks alone.

What was asked and is wrong in one of two images makes about 0.05 of a rubric with a dozen criteria.
"""

# Without criteria the judge goes by these, above all by how much of the frame is filled: measured on embedded
# pairs, that names the better image in about 55 % of the generated pairs and 60 % of the edits.
_GENERAL = {Check.CONTRAST: 0.5, Check.COVERAGE: 1.5, Check.SMOOTHNESS: 0.5, Check.VIVIDNESS: 0.5}
_GENERAL_TIE = 0.0005

_KEPT_LOOKS = 512
_KEPT_ATTEMPTS = 65536


@dataclass(frozen=True, slots=True)
class _Draws:
    """What chance decides of one request: independent numbers in [0, 1)."""

    noise: float
    side: float
    primacy: float
    fail: float


class ShapesJudge:
    """See :func:`make_judge`."""

    def __init__(
        self, name: str, *, noise: float, primacy: float, seed: int, latency: float, fail: float
    ) -> None:
        self._name = name
        self._noise, self._primacy, self._fail = noise, primacy, fail
        self._seed = seed
        self._latency = latency
        self._looks: OrderedDict[str, Look] = OrderedDict()
        self._attempts: OrderedDict[str, int] = OrderedDict()

    @property
    def name(self) -> str:
        """The canonical spec."""
        return self._name

    async def compare(self, request: CompareRequest) -> Verdict:
        """Which image is better: by the criteria understood, or by general looks where there are none."""
        draws = await self._begin(request)
        if draws is None:
            return Verdict(Outcome.FAILED, detail=_FAILED)
        first, second = (self._assess(request, image) for image in (request.first, request.second))
        if isinstance(first, str) or isinstance(second, str):
            return Verdict(Outcome.ABSTAIN, detail=_strangers(first, second))
        if draws.noise < self._noise and draws.side < 0.5:
            first, second = second, first
        criteria = [entry for dimension in request.dimensions for entry in dimension.criteria]
        if criteria:
            findings = tuple(_finding(criterion, request.task, first, second) for criterion in criteria)
            margin = _margin(findings, criteria)
            if margin is None:
                return Verdict(
                    Outcome.ABSTAIN, findings=findings, detail="none of the criteria is understood"
                )
        else:
            findings, margin = (), _general_margin(first, second)
        seen = f"First: {first.look.summary}. Second: {second.look.summary}."
        if draws.primacy < self._primacy:
            return Verdict(Outcome.OK, Side.FIRST, findings, f"{seen} The first image, by preference for it.")
        if abs(margin) < (TIE_MARGIN if criteria else _GENERAL_TIE):
            return Verdict(Outcome.TIE, None, findings, f"{seen} Neither is better.")
        side = Side.FIRST if margin > 0 else Side.SECOND
        why = _reason(findings, criteria, side) if criteria else "by its general looks"
        return Verdict(Outcome.OK, side, findings, f"{seen} The {side} image, {why}.")

    async def score(self, request: ScoreRequest) -> Scores:
        """How far each criterion is met; None for those not understood."""
        draws = await self._begin(request)
        if draws is None:
            return Scores(Outcome.FAILED, detail=_FAILED)
        seen = self._assess(request, request.image)
        if isinstance(seen, str):
            return Scores(Outcome.ABSTAIN, detail=f"the image is not of the shapes world: {seen}")
        told = request.content() if self._noise else {}
        scores = []
        for criterion in (entry for dimension in request.dimensions for entry in dimension.criteria):
            value = criterion_score(criterion.statement, request.task, seen)
            if value is not None and self._mistaken(told, criterion):
                value = 1 - value
            note = "not understood" if value is None else ""
            scores.append(CriterionScore(criterion.id, value, note))
        if all(each.score is None for each in scores):
            return Scores(Outcome.ABSTAIN, detail="none of the criteria is understood")
        return Scores(Outcome.OK, tuple(scores))

    async def propose(self, request: ProposeRequest) -> Proposal:
        """Criteria for a known preference, worded by what tells the images apart."""
        return await self._draft(request, request, None)

    async def zero_shot(self, request: ZeroShotRequest) -> Proposal:
        """What images for a prompt should be judged by, before any is seen."""
        return await self._from_prompt(request, unseen_drafts)

    async def checklist(self, request: ChecklistRequest) -> Proposal:
        """The things that the prompt names, as items to tick off."""
        return await self._from_prompt(request, checklist_drafts)

    async def _from_prompt(
        self,
        request: ZeroShotRequest | ChecklistRequest,
        write: Callable[[Task, str, int], tuple[Draft, ...]],
    ) -> Proposal:
        if await self._begin(request) is None:
            return Proposal(Outcome.FAILED, detail=_FAILED)
        drafts = write(request.task, request.prompt, request.count)
        if not drafts:
            return Proposal(Outcome.ABSTAIN, detail="the prompt is not of the shapes world")
        return Proposal(Outcome.OK, drafts)

    async def plan(self, request: PlanRequest) -> Proposal:
        """The checks that the two images meet differently, whichever meets them better."""
        if await self._begin(request) is None:
            return Proposal(Outcome.FAILED, detail=_FAILED)
        first, second = (self._assess(request, image) for image in (request.first, request.second))
        if isinstance(first, str) or isinstance(second, str):
            return Proposal(Outcome.ABSTAIN, detail=_strangers(first, second))
        return Proposal(Outcome.OK, plan_drafts(request.task, first, second, request.count))

    async def refine(self, request: RefineRequest) -> Proposal:
        """Better criteria: without those that misled, with checks not yet used."""
        return await self._draft(request, request.proposed, request)

    async def explain(self, request: ExplainRequest) -> Proposal:
        """As ``propose``, without a word about the objects of one prompt."""
        return await self._draft(request, request.proposed, None, general=True)

    async def diagnose(self, request: DiagnoseRequest) -> Proposal:
        """The check that speaks most for the preferred image and that no statement of the rubric asks for."""
        asked = request.proposed
        answer = await self._draft(request, asked, None, general=True, known=request.rubric)
        if answer.outcome is not Outcome.OK:
            return answer
        missing = answer.drafts[0].statement
        return Proposal(Outcome.OK, (Draft(f"No criterion asks for this: {missing}", request.report),))

    async def extract(self, request: ExtractRequest) -> Proposal:
        """Statements of the checks that speak for the preferred image and that the rubric does not hold."""
        return await self._draft(request, request.proposed, None, general=True, known=request.rubric)

    async def structure(self, request: StructureRequest) -> Structure:
        """Criteria grouped by the check they stand for, as :func:`structure_drafts` says."""
        if await self._begin(request) is None:
            return Structure(Outcome.FAILED, detail=_FAILED)
        dimensions = structure_drafts(request.pool, request.task, request.max_dimensions)
        if not dimensions:
            return Structure(Outcome.ABSTAIN, detail="there is nothing to structure")
        return Structure(Outcome.OK, dimensions)

    async def aclose(self) -> None:
        """Forget what was seen."""
        self._looks.clear()
        self._attempts.clear()

    async def _draft(
        self,
        request: Asked,
        proposed: ProposeRequest,
        refine: RefineRequest | None,
        *,
        general: bool = False,
        known: Sequence[Draft] | None = None,
    ) -> Proposal:
        if await self._begin(request) is None:
            return Proposal(Outcome.FAILED, detail=_FAILED)
        first, second = (self._assess(proposed, image) for image in (proposed.first, proposed.second))
        if isinstance(first, str) or isinstance(second, str):
            return Proposal(Outcome.ABSTAIN, detail=_strangers(first, second))
        better, worse = (first, second) if proposed.preferred is Side.FIRST else (second, first)
        # The draw speaks of the pair, not of which image stood first.
        chance = _chance(
            self._seed, proposed.prompt, *sorted((proposed.first.digest, proposed.second.digest))
        )
        contrast = Contrast(proposed.task, better, worse, chance, general)
        drafts: Sequence[Draft]
        if known is not None:
            drafts = further_drafts(contrast, proposed.count, known)
        elif refine is None:
            drafts = first_drafts(contrast, proposed.count)
        else:
            drafts = revised_drafts(contrast, proposed.count, refine.drafts, refine.critique)
        return Proposal(Outcome.OK, tuple(drafts))

    async def _begin(self, request: Asked) -> _Draws | None:
        """Wait as long as was asked and draw chance for this request; None where the call is to fail."""
        if self._latency:
            await asyncio.sleep(self._latency)
        if not (self._noise or self._primacy or self._fail):
            return _NO_CHANCE
        key = digest({"seed": self._seed, "request": request.content()})
        noise, side, primacy, _ = _numbers(key)
        if self._fail:
            attempt = self._attempts.pop(key, 0) + 1
            self._attempts[key] = attempt
            if len(self._attempts) > _KEPT_ATTEMPTS:
                self._attempts.popitem(last=False)
            if _numbers(f"{key}/{attempt}")[3] < self._fail:
                return None
        return _Draws(noise, side, primacy, 1.0)

    def _mistaken(self, told: dict[str, Json], criterion: Criterion) -> bool:
        """Whether chance turns a score round: drawn for each criterion by itself, so that what an image is
        given under one does not hang on which others are asked for along with it.
        """
        if not self._noise:
            return False
        asked = told | {"dimensions": criterion.statement}
        noise, side, _, _ = _numbers(digest({"seed": self._seed, "request": asked}))
        return noise < self._noise and side < 0.5

    def _assess(
        self, request: CompareRequest | ScoreRequest | ProposeRequest | PlanRequest, image: Candidate
    ) -> Assessment | str:
        """What an image is worth, or the reason why it (or its source) is not of the shapes world."""
        if isinstance(image, Passage) or len(request.sources) > 1:
            return "it is more than one image"
        look = self._look(image)
        source = self._look(request.sources[0]) if request.sources else None
        if look.world:
            return look.world
        if source is not None and source.world:
            return f"the source: {source.world}"
        return assess(request.task, request.prompt, look, source)

    def _look(self, picture: Picture) -> Look:
        look = self._looks.pop(picture.digest, None)
        if look is None:
            look = look_at(picture.load())
        self._looks[picture.digest] = look
        if len(self._looks) > _KEPT_LOOKS:
            self._looks.popitem(last=False)
        return look


def make_judge(
    spec: Spec,
    *,
    noise: float = 0.0,
    primacy: float = 0.0,
    seed: int = 0,
    latency: float = 0.0,
    fail: float = 0.0,
) -> ShapesJudge:
    """The judge of the shapes world.

    Args:
        spec: names the judge in reports.
        noise: the share of presentations in which its perception is the toss of a coin; of a score, drawn
            for each criterion by itself.
        primacy: the share of presentations in which it prefers the first image whatever it sees.
        seed: what chance depends on, beside the request.
        latency: seconds that each call takes.
        fail: the share of calls that fail; the same request asked again may succeed.

    With an accuracy of ``acc`` without either, it is right in ``primacy + (1 - primacy) * seen`` of the
    forward presentations and in ``(1 - primacy) * seen`` of the reverse ones, where ``seen`` is
    ``(1 - noise) * acc + noise / 2``.
    """
    return ShapesJudge(str(spec), noise=noise, primacy=primacy, seed=seed, latency=latency, fail=fail)


_FAILED = "the judge was told to fail this call"
_NO_CHANCE = _Draws(1.0, 1.0, 1.0, 1.0)


def criterion_score(statement: str, task: Task, seen: Assessment) -> float | None:
    """How far an image meets a statement: the mean over all that it asks; None for not understood."""
    values = []
    for reading in read_statement(statement, task):
        value = seen.answer(reading.check, reading.subject)
        if value is not None:
            values.append(1 - value if reading.inverted else value)
    return sum(values) / len(values) if values else None


def _finding(criterion: Criterion, task: Task, first: Assessment, second: Assessment) -> Finding:
    one = criterion_score(criterion.statement, task, first)
    two = criterion_score(criterion.statement, task, second)
    if one is None or two is None:
        return Finding(
            criterion.id, Answer.CANNOT_TELL, note="not understood, or without meaning for this request"
        )
    if abs(one - two) < DEAD_ZONE:
        return Finding(criterion.id, Answer.EQUAL, one, two, f"both {one:.2f}")
    answer = Answer.FIRST if one > two else Answer.SECOND
    return Finding(criterion.id, answer, one, two, f"{one:.2f} against {two:.2f}")


def _margin(findings: Sequence[Finding], criteria: Sequence[Criterion]) -> float | None:
    """Weighted mean of the first image's lead over the criteria understood; None where there are none."""
    total = lead = 0.0
    for finding, criterion in zip(findings, criteria, strict=True):
        if finding.first is None or finding.second is None:
            continue
        total += criterion.weight
        if finding.answer is not Answer.EQUAL:
            lead += criterion.weight * (finding.first - finding.second)
    return lead / total if total else None


def _general_margin(first: Assessment, second: Assessment) -> float:
    return sum(weight * (first.scores[check] - second.scores[check]) for check, weight in _GENERAL.items())


def _reason(findings: Sequence[Finding], criteria: Sequence[Criterion], side: Side) -> str:
    """The criterion that spoke most for ``side``."""
    sign = 1 if side is Side.FIRST else -1

    def lead(index: int) -> float:
        finding = findings[index]
        if finding.first is None or finding.second is None:
            return -2.0
        return sign * criteria[index].weight * (finding.first - finding.second)

    best = max(range(len(findings)), key=lead)
    return f'above all by "{criteria[best].statement.rstrip(".")}" ({findings[best].note})'


def _strangers(first: Assessment | str, second: Assessment | str) -> str:
    parts = [
        f"the {side} image is not of the shapes world: {seen}"
        for side, seen in (("first", first), ("second", second))
        if isinstance(seen, str)
    ]
    return "; ".join(parts)


def _numbers(text: str) -> tuple[float, float, float, float]:
    raw = hashlib.sha256(text.encode()).digest()
    one, two, three, four = (int.from_bytes(raw[i : i + 8], "big") / 2**64 for i in range(0, 32, 8))
    return one, two, three, four


def _chance(*parts: str | int) -> int:
    return int.from_bytes(hashlib.sha256("\n".join(map(str, parts)).encode()).digest()[:8], "big")
