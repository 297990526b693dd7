"""The judge on top of any vision-language endpoint: the operations, in words and images.

A verdict is asked for in one of three ways (:mod:`arrkit.judge.scoring`); everything else is generated. The
candidates of a pair are called Image A and Image B in the order shown, or Response A and Response B where
they are answers of text and images: letters are places, and a rationale that speaks of Image A means the
first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from arrkit.concurrency import together
from arrkit.data.encode import LONG_EDGE, Encoded, check_size, encode
from arrkit.data.pairs import Candidate, Picture, pictures_of
from arrkit.errors import InputError, nearest
from arrkit.judge.answers.read import (
    read_diagnosis,
    read_explanation,
    read_plan,
    read_proposal,
    read_ranking,
    read_scores,
    read_structure,
    read_verdict,
)
from arrkit.judge.asking import Ended, Inquiry, sampling_for
from arrkit.judge.calling import Calls
from arrkit.judge.choices import Scoring
from arrkit.judge.learning import DiagnoseRequest, ExplainRequest, ExtractRequest
from arrkit.judge.pooling import Dimensions, structure_pool
from arrkit.judge.probing import decide_pair, decide_scores, probe_pair, probe_scores
from arrkit.judge.prompts.criteria import (
    propose_prompt,
    refine_prompt,
    structure_prompt,
    zero_shot_prompt,
)
from arrkit.judge.prompts.learning import diagnose_prompt, explain_prompt, extract_prompt
from arrkit.judge.prompts.parts import WORDINGS, Content, Form, Prompt, Shown
from arrkit.judge.prompts.planning import checklist_prompt, plan_prompt
from arrkit.judge.prompts.verdicts import compare_prompt, rank_prompt, score_prompt
from arrkit.judge.prompts.wording import Wording
from arrkit.judge.protocol import (
    Answer,
    CompareRequest,
    Draft,
    Outcome,
    Proposal,
    ProposeRequest,
    Ranking,
    RankRequest,
    RefineRequest,
    ScoreRequest,
    Scores,
    Structure,
    StructureRequest,
    Verdict,
    ZeroShotRequest,
)
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.judge.scoring import resolve
from arrkit.judge.transport import ImagePart, ModelProfile
from arrkit.rubric.model import Dimension

T = TypeVar("T")


class VLMJudge:
    """A judge over :class:`~arrkit.judge.calling.Calls`, which can also rank and write criteria unseen.

    Args:
        scoring: how ``compare`` and ``score`` ask; ``auto`` takes the best that the model can do.
        language: of the prompts, ``en`` or ``zh``.
        image_size: the largest long edge of the images sent, in pixels.
        findings: whether ``compare`` must say something of each criterion, as learning criteria needs.
            ``auto`` then leaves out token probabilities, which say nothing of them; where they are chosen by
            name, each criterion is asked for too, at one request each.
        scale: lowest and highest score that a generated score may have.
        effort: how much a reasoning model should reason; its lowest but none by default.
        seed: sent to models that take one.
        max_output_tokens: room for an answer and the reasoning before it, doubled once for a cut answer;
            by the length of the rubric by default.

    Raises :class:`InputError` for an unknown language or an empty scale.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        scoring: Scoring = Scoring.AUTO,
        language: str = "en",
        image_size: int = LONG_EDGE,
        findings: bool = False,
        scale: tuple[int, int] = (0, 10),
        effort: str | None = None,
        seed: int | None = None,
        max_output_tokens: int | None = None,
    ) -> None:
        if language not in WORDINGS:
            raise InputError(
                f'there are no prompts in "{language}"{nearest(language, WORDINGS)}',
                hint=f"Choose one of: {', '.join(WORDINGS)}.",
            )
        if scale[0] >= scale[1]:
            raise InputError(f"a scale from {scale[0]} to {scale[1]} holds no scores")
        self._calls = calls
        self._scoring = scoring
        self._wording = WORDINGS[language]
        self._image_size = image_size
        self._findings = findings
        self._scale = scale
        self._effort = effort
        self._seed = seed
        self._room = max_output_tokens
        self._name = ""

    @property
    def name(self) -> str:
        """The transport's name with what changes answers: the prompts' version and all but defaults."""
        if self._name:
            return self._name
        options = {
            "effort": self._effort or "",
            "findings": "yes" if self._findings else "",
            "image_size": "" if self._image_size == LONG_EDGE else str(self._image_size),
            "language": "" if self._wording.language == "en" else self._wording.language,
            "max_output_tokens": str(self._room or ""),
            "prompts": self._wording.version,
            "scale": "" if self._scale == (0, 10) else f"{self._scale[0]}..{self._scale[1]}",
            "scoring": "" if self._scoring is Scoring.AUTO else str(self._scoring),
            "seed": "" if self._seed is None else str(self._seed),
        }
        base = self._calls.name
        said = "&".join(f"{key}={value}" for key, value in options.items() if value)
        self._name = f"{base}{'&' if '?' in base else '?'}{said}"
        return self._name

    async def compare(self, request: CompareRequest) -> Verdict:
        """Which image is better; ``basis.scoring`` says in which way it was asked."""
        ids = _ids(request.dimensions)
        inquiry = await self._inquiry()
        mode = resolve(self._scoring, inquiry.profile, self._calls.name, findings=self._findings)
        try:
            shown = await self._shown(inquiry, (request.first, request.second), request.sources)
            if mode is Scoring.DECISION:
                return await decide_pair(inquiry, request, shown)
            if mode is Scoring.LOGPROB:
                return await probe_pair(inquiry, request, shown, findings=self._findings)
            prompt = compare_prompt(request, shown, self._wording, _form(inquiry.profile))
            read = await self._read(inquiry, prompt, partial(read_verdict, criteria=ids), len(ids))
        except Ended as end:
            return Verdict(end.outcome, detail=end.detail, usage=inquiry.usage, basis=inquiry.basis(mode))
        outcome = Outcome.TIE if read.preferred is None else Outcome.OK
        detail = ""
        blind = [finding.answer is Answer.CANNOT_TELL for finding in read.findings]
        if outcome is Outcome.TIE and blind and all(blind):
            outcome, detail = Outcome.ABSTAIN, "the judge could tell nothing of any criterion"
        return Verdict(
            outcome, read.preferred, read.findings, read.rationale, detail, inquiry.usage, inquiry.basis(mode)
        )

    async def score(self, request: ScoreRequest) -> Scores:
        """How well one image meets each criterion: P(yes), or a generated score as a share of the scale."""
        ids = _ids(request.dimensions)
        if not ids:
            return Scores(Outcome.ABSTAIN, detail="there is no criterion to score by")
        inquiry = await self._inquiry()
        mode = resolve(self._scoring, inquiry.profile, self._calls.name)
        try:
            shown = await self._shown(inquiry, (request.image,), request.sources)
            if mode is Scoring.DECISION:
                return await decide_scores(inquiry, request, shown)
            if mode is Scoring.LOGPROB:
                return await probe_scores(inquiry, request, shown)
            low, high = self._scale
            form = _form(inquiry.profile)
            prompt = score_prompt(request, shown, self._wording, form, scale=self._scale)
            reader = partial(read_scores, criteria=ids, low=low, high=high)
            scores = await self._read(inquiry, prompt, reader, len(ids))
        except Ended as end:
            return Scores(end.outcome, detail=end.detail, usage=inquiry.usage, basis=inquiry.basis(mode))
        if all(each.score is None for each in scores):
            detail = "the judge could tell nothing of any criterion"
            return Scores(Outcome.ABSTAIN, detail=detail, usage=inquiry.usage, basis=inquiry.basis(mode))
        return Scores(Outcome.OK, scores, usage=inquiry.usage, basis=inquiry.basis(mode))

    async def rank(self, request: RankRequest) -> Ranking:
        """3 to 8 images in order; always generated."""
        ids = _ids(request.dimensions)
        inquiry = await self._inquiry()
        try:
            shown = await self._shown(inquiry, request.candidates, request.sources)
            prompt = rank_prompt(request, shown, self._wording, _form(inquiry.profile))
            reader = partial(read_ranking, criteria=ids, candidates=len(request.candidates))
            read = await self._read(inquiry, prompt, reader, len(ids))
        except Ended as end:
            basis = inquiry.basis(Scoring.GENERATE)
            return Ranking(end.outcome, detail=end.detail, usage=inquiry.usage, basis=basis)
        return Ranking(
            Outcome.OK,
            read.ranks,
            read.findings,
            read.rationale,
            usage=inquiry.usage,
            basis=inquiry.basis(Scoring.GENERATE),
        )

    async def propose(self, request: ProposeRequest) -> Proposal:
        """Criteria that explain a known preference."""
        candidates = (request.first, request.second)
        build = partial(propose_prompt, request)
        return await self._proposal(build, candidates, request.sources, request.count)

    async def refine(self, request: RefineRequest) -> Proposal:
        """Better criteria, after the judge has seen how these failed."""
        proposed = request.proposed
        candidates = (proposed.first, proposed.second)
        build = partial(refine_prompt, request)
        return await self._proposal(build, candidates, proposed.sources, proposed.count)

    async def zero_shot(self, request: ZeroShotRequest) -> Proposal:
        """Criteria for a prompt before any of its images is seen."""
        return await self._proposal(
            lambda _, wording, form: zero_shot_prompt(request, wording, form), (), (), request.count
        )

    async def checklist(self, request: ChecklistRequest) -> Proposal:
        """Items to tick off on one image for a prompt, before any is seen."""
        return await self._proposal(
            lambda _, wording, form: checklist_prompt(request, wording, form), (), (), request.count
        )

    async def plan(self, request: PlanRequest) -> Proposal:
        """Points on which two images differ in ways that matter, perhaps none."""
        candidates = (request.first, request.second)
        build = partial(plan_prompt, request)
        return await self._proposal(build, candidates, request.sources, request.count, read_plan)

    async def explain(self, request: ExplainRequest) -> Proposal:
        """Statements of general use that explain a known preference, extracted from an explanation."""
        asked = request.proposed
        build = partial(explain_prompt, request)
        return await self._proposal(
            build, (asked.first, asked.second), asked.sources, asked.count, read_explanation
        )

    async def diagnose(self, request: DiagnoseRequest) -> Proposal:
        """What a rubric that ranks a pair wrongly misses, as one draft."""
        asked = request.proposed
        build = partial(diagnose_prompt, request)
        return await self._proposal(
            build, (asked.first, asked.second), asked.sources, 1, lambda text, _: read_diagnosis(text)
        )

    async def extract(self, request: ExtractRequest) -> Proposal:
        """Statements of general use for what a diagnosis names."""
        asked = request.proposed
        build = partial(extract_prompt, request)
        return await self._proposal(build, (asked.first, asked.second), asked.sources, asked.count)

    async def structure(self, request: StructureRequest) -> Structure:
        """Drafts gathered into dimensions, in rounds where there are many (:mod:`arrkit.judge.pooling`)."""
        inquiry = await self._inquiry()
        form = _form(inquiry.profile)

        async def ask_one(pool: tuple[Draft, ...]) -> Dimensions:
            prompt = structure_prompt(replace(request, pool=pool), self._wording, form)
            reader = partial(read_structure, pool=len(pool), max_dimensions=request.max_dimensions)
            return await self._read(inquiry, prompt, reader, len(pool))

        async def ask(pools: tuple[tuple[Draft, ...], ...]) -> Sequence[Dimensions]:
            return await together(ask_one(pool) for pool in pools)

        try:
            dimensions = await structure_pool(
                request.pool, ask, most=request.max_dimensions, further=self._wording.further
            )
        except Ended as end:
            basis = inquiry.basis(Scoring.GENERATE)
            return Structure(end.outcome, detail=end.detail, usage=inquiry.usage, basis=basis)
        basis = inquiry.basis(Scoring.GENERATE)
        return Structure(Outcome.OK, dimensions, usage=inquiry.usage, basis=basis)

    async def aclose(self) -> None:
        """Let go of connections and the cache."""
        await self._calls.aclose()

    async def _proposal(
        self,
        build: Callable[[Shown, Wording, Form], Prompt],
        candidates: Sequence[Candidate],
        sources: Sequence[Picture],
        count: int,
        read: Callable[[str, int], tuple[Draft, ...]] = read_proposal,
    ) -> Proposal:
        inquiry = await self._inquiry()
        try:
            shown = await self._shown(inquiry, candidates, sources)
            prompt = build(shown, self._wording, _form(inquiry.profile))
            drafts = await self._read(inquiry, prompt, lambda text: read(text, count), count)
        except Ended as end:
            basis = inquiry.basis(Scoring.GENERATE)
            return Proposal(end.outcome, detail=end.detail, usage=inquiry.usage, basis=basis)
        basis = inquiry.basis(Scoring.GENERATE)
        return Proposal(Outcome.OK, drafts, usage=inquiry.usage, basis=basis)

    async def _inquiry(self) -> Inquiry:
        return Inquiry(self._calls, await self._calls.profile(), self._wording)

    async def _read(self, inquiry: Inquiry, prompt: Prompt, reader: Callable[[str], T], items: int) -> T:
        if self._effort and self._effort not in inquiry.profile.effort:
            known = ", ".join(inquiry.profile.effort)
            raise InputError(
                f'{self._calls.name} takes no effort "{self._effort}"',
                hint=f"Choose one of: {known}." if known else "Leave the option out.",
            )
        sampling = sampling_for(
            inquiry.profile, items=items, effort=self._effort, seed=self._seed, room=self._room
        )
        return await inquiry.read(prompt, sampling, reader)

    async def _shown(
        self, inquiry: Inquiry, candidates: Sequence[Candidate], sources: Sequence[Picture]
    ) -> Shown:
        pictures = [picture for candidate in candidates for picture in pictures_of(candidate)]
        wanted = len(pictures) + len(sources)
        if wanted > inquiry.profile.images:
            said = (
                f"{self._calls.name} takes {inquiry.profile.images} images at once, and {wanted} are needed"
            )
            if wanted > len(candidates) + 1:
                # As many as this pair happens to have; others may have fewer.
                raise Ended(Outcome.FAILED, said)
            raise InputError(said, hint="Choose a judge that takes more.")
        encoded = await together(self._encoded(picture, inquiry.profile) for picture in (*pictures, *sources))
        parts = iter(encoded)
        contents: list[Content] = []
        for candidate in candidates:
            if isinstance(candidate, Picture):
                contents.append(next(parts))
            else:
                contents.append(
                    tuple(part if isinstance(part, str) else next(parts) for part in candidate.parts)
                )
        return Shown(tuple(contents), tuple(parts))

    async def prepare(self, pictures: Sequence[Picture]) -> None:
        """Encode ``pictures`` ahead of the requests that will show them; see :class:`PreparingJudge`."""
        await together(self._encode(picture) for picture in pictures)

    async def _encode(self, picture: Picture) -> Encoded:
        encoded = await encode(picture, self._image_size)
        # The pixels have done their part, and would be most of what a pair under way holds in memory.
        picture.release()
        return encoded

    async def _encoded(self, picture: Picture, profile: ModelProfile) -> ImagePart:
        encoded = await self._encode(picture)
        check_size(encoded, profile.max_image_bytes, picture.name)
        return ImagePart(encoded.data, encoded.mime, encoded.width, encoded.height, encoded.digest)


def _form(profile: ModelProfile) -> Form:
    return Form.OBJECT if profile.structured == "schema" else Form.SKELETON


def _ids(dimensions: Sequence[Dimension]) -> list[str]:
    ids = [criterion.id for dimension in dimensions for criterion in dimension.criteria]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise InputError(
            f'criterion id "{twice[0]}" stands twice in the rubric',
            hint="Give each criterion its own id; arrkit rubric verify lists such slips.",
        )
    return ids
