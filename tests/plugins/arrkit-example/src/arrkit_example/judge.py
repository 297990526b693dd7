"""A judge of two measures: how bright an image is, and how strong its colours are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import ImageStat

from arrkit.backends.spec import Spec
from arrkit.data.pairs import Candidate, pictures_of
from arrkit.judge.protocol import (
    Answer,
    CompareRequest,
    CriterionScore,
    Draft,
    Finding,
    Judge,
    Outcome,
    Proposal,
    ProposeRequest,
    RefineRequest,
    ScoreRequest,
    Scores,
    Side,
    Structure,
    StructuredCriterion,
    StructuredDimension,
    StructureRequest,
    Verdict,
)
from arrkit.rubric.model import Criterion, Dimension


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that can be read off the pixels, and how it is worded.

    ``channel`` is the channel of HSV whose mean is taken; ``words`` give away that a criterion means it.
    """

    name: str
    channel: int
    words: tuple[str, ...]
    statement: str

    def of(self, candidate: Candidate) -> float:
        """The mean of the channel over the candidate's images, in [0, 1]; 0 where it has none."""
        means = [
            ImageStat.Stat(picture.load().convert("HSV")).mean[self.channel] / 255
            for picture in pictures_of(candidate)
        ]
        return sum(means) / len(means) if means else 0.0


COLOUR = Measure("Colour", 1, ("colour", "vivid", "saturat"), "The colours are strong and vivid.")
LIGHT = Measure("Light", 2, ("bright", "light"), "The image is bright.")
MEASURES = (COLOUR, LIGHT)


def understood(criterion: Criterion | Draft) -> Measure | None:
    """The measure that a criterion seems to mean, by a few words; the sentence is not read."""
    text = criterion.statement.lower()
    return next((measure for measure in MEASURES if any(word in text for word in measure.words)), None)


class VividJudge:
    """Prefers the brighter and more colourful image, whatever the prompt.

    An example and no more: it looks at two means over the pixels and never at the prompt or the source
    image. Under a rubric it checks the criteria that speak of brightness or colour, cannot tell the others,
    and abstains where it understands none.

    Args:
        name: the spec that made it.
        margin: differences of at most this much, in [0, 1], are a tie.
    """

    def __init__(self, name: str, margin: float) -> None:
        self.name = name
        self.margin = margin

    async def compare(self, request: CompareRequest) -> Verdict:
        """Which image does better by the weighted mean difference of the measures."""
        if not request.dimensions:
            gaps = [(1.0, measure.of(request.first) - measure.of(request.second)) for measure in MEASURES]
            return self._verdict(gaps, ())
        gaps, findings = [], []
        for criterion in _criteria(request.dimensions):
            measure = understood(criterion)
            if measure is None:
                findings.append(Finding(criterion.id, Answer.CANNOT_TELL))
                continue
            first, second = measure.of(request.first), measure.of(request.second)
            gaps.append((criterion.weight, first - second))
            findings.append(Finding(criterion.id, self._answer(first - second), first, second))
        return self._verdict(gaps, tuple(findings))

    async def score(self, request: ScoreRequest) -> Scores:
        """Each criterion's measure, or None where the judge does not understand it."""
        scores = []
        for criterion in _criteria(request.dimensions):
            measure = understood(criterion)
            scores.append(CriterionScore(criterion.id, measure.of(request.image) if measure else None))
        if all(each.score is None for each in scores):
            return Scores(Outcome.ABSTAIN, detail="no criterion speaks of brightness or colour")
        return Scores(Outcome.OK, tuple(scores))

    async def propose(self, request: ProposeRequest) -> Proposal:
        """The measures by which the preferred image is ahead, the clearest first."""
        sign = 1 if request.preferred is Side.FIRST else -1
        ahead = {
            measure: sign * (measure.of(request.first) - measure.of(request.second)) for measure in MEASURES
        }
        best = sorted(MEASURES, key=lambda measure: -ahead[measure])
        drafts = [
            Draft(measure.statement, dimension=measure.name)
            for measure in best
            if ahead[measure] > self.margin
        ]
        if not drafts:
            return Proposal(Outcome.ABSTAIN, detail="the preferred image is neither brighter nor more vivid")
        return Proposal(Outcome.OK, tuple(drafts[: request.count]))

    async def refine(self, request: RefineRequest) -> Proposal:
        """The clearest measure alone: criteria that fail together may hold one by one."""
        proposal = await self.propose(request.proposed)
        return Proposal(proposal.outcome, proposal.drafts[:1], proposal.detail)

    async def structure(self, request: StructureRequest) -> Structure:
        """One dimension for each measure, and in it one criterion; what is not understood is dropped."""
        dimensions = []
        for measure in MEASURES:
            members = tuple(index for index, draft in enumerate(request.pool) if understood(draft) is measure)
            if members:
                criterion = StructuredCriterion(measure.statement, members)
                dimensions.append(StructuredDimension(measure.name, (criterion,)))
        if not dimensions:
            return Structure(Outcome.ABSTAIN, detail="no criterion speaks of brightness or colour")
        return Structure(Outcome.OK, tuple(dimensions[: request.max_dimensions]))

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _answer(self, gap: float) -> Answer:
        if abs(gap) <= self.margin:
            return Answer.EQUAL
        return Answer.FIRST if gap > 0 else Answer.SECOND

    def _verdict(self, gaps: list[tuple[float, float]], findings: tuple[Finding, ...]) -> Verdict:
        if not gaps:
            detail = "no criterion speaks of brightness or colour"
            return Verdict(Outcome.ABSTAIN, findings=findings, detail=detail)
        gap = sum(weight * each for weight, each in gaps) / sum(weight for weight, _ in gaps)
        if abs(gap) <= self.margin:
            return Verdict(Outcome.TIE, findings=findings, rationale="both are alike")
        side = Side.FIRST if gap > 0 else Side.SECOND
        return Verdict(Outcome.OK, side, findings, f"ahead by {abs(gap):.3f}")


def _criteria(dimensions: tuple[Dimension, ...]) -> Iterator[Criterion]:
    for dimension in dimensions:
        yield from dimension.criteria


def make_judge(spec: Spec, margin: float) -> Judge:
    """The factory that the record names: the parsed spec, and one argument for each parameter."""
    return VividJudge(str(spec), margin)
