"""What a judge is: five operations on immutable requests.

A judge is a frozen evaluator. It is asked to

- ``compare`` two images under criteria (or without any),
- ``score`` one image criterion by criterion,
- ``propose`` criteria that explain a known preference,
- ``refine`` proposed criteria after they failed to recover it,
- ``structure`` a pool of verified criteria into dimensions.

Four more operations are offered by judges that can: ``rank`` several images at once
(:class:`ListwiseJudge`), ``zero_shot`` criteria from a prompt alone (:class:`ZeroShotJudge`), a ``checklist``
of what one prompt asks for (:class:`ChecklistJudge`), and a ``plan`` of what to compare two images by
(:class:`PlanningJudge`).

Requests are values with a digest (:func:`request_key`), so that an answer can be kept and never asked for
twice. A judge reports trouble as an :class:`Outcome`, it does not raise: what it raises all
the same becomes ``failed`` in :class:`~arrkit.judge.session.JudgeSession`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from arrkit.canonical import Json, digest
from arrkit.data.pairs import Candidate, Picture, PreferencePair, Task
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.rubric.model import Criterion, Dimension, slug


class Outcome(StrEnum):
    """How a judge call ended. Exactly one of these, always.

    ``ok`` and ``tie`` enter accuracy; with ``abstain`` they are the answers that are kept for a later run.
    All seven enter the coverage line. An outage is never a zero, a tie or a wrong answer.
    """

    OK = "ok"
    TIE = "tie"
    ABSTAIN = "abstain"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    UNPARSED = "unparsed"
    FAILED = "failed"

    @property
    def settled(self) -> bool:
        """Whether the judge has spoken, so that asking again would only pay twice."""
        return self in (Outcome.OK, Outcome.TIE, Outcome.ABSTAIN)

    @property
    def decided(self) -> bool:
        """Whether the answer enters accuracy."""
        return self in (Outcome.OK, Outcome.TIE)


class Side(StrEnum):
    """A place in one presentation: the image shown first, or the one shown second."""

    FIRST = "first"
    SECOND = "second"

    @property
    def other(self) -> Side:
        return Side.SECOND if self is Side.FIRST else Side.FIRST


class Order(StrEnum):
    """The presentation of a pair: A first, or B first. It says nothing of which one people preferred."""

    AB = "ab"
    BA = "ba"


class Answer(StrEnum):
    """What a judge says of one criterion: which side meets it better, both alike, or it cannot tell."""

    FIRST = "first"
    SECOND = "second"
    EQUAL = "equal"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost. None is "unknown", never zero. Tokens are counts; ``seconds`` is wall time."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    seconds: float | None = None


LOW_MASS = 0.5
"""Below this label mass a model meant to say something else: its probabilities are unreliable."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer of a remote judge rests on; empty for a judge that has nothing to say here.

    ``scoring`` is ``decision``, ``logprob`` or ``generate``. ``first``, ``second`` and ``tie`` are the
    probabilities of the three choices where the endpoint gave any; they sum to 1. ``mass`` is the lowest
    label mass among the requests, in [0, 1]. ``model`` is the name that the endpoint resolved. ``requests``
    counts what was sent, retries included, ``cached`` the answers that came from the cache, ``repairs`` the
    questions that were asked again since their first answer could not be used.

    ``whole`` is what all the answers used when they were first given, and ``cost`` their price in dollars by
    the lists, those from the cache included: what the question takes, whoever paid for it.
    """

    scoring: str = ""
    first: float | None = None
    second: float | None = None
    tie: float | None = None
    mass: float | None = None
    model: str = ""
    requests: int = 0
    cached: int = 0
    repairs: int = 0
    whole: Usage = Usage()
    cost: float | None = None

    @property
    def low_mass(self) -> bool:
        """Whether the probabilities are unreliable."""
        return self.mass is not None and self.mass < LOW_MASS


@dataclass(frozen=True, slots=True)
class Finding:
    """What a judge found for one criterion; ``first`` and ``second`` are scores in [0, 1] or None."""

    criterion: str
    answer: Answer
    first: float | None = None
    second: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one presentation of one pair.

    ``preferred`` is set exactly when ``outcome`` is ok. ``detail`` says why there is no answer, for every
    outcome but ok and tie.
    """

    outcome: Outcome
    preferred: Side | None = None
    findings: tuple[Finding, ...] = ()
    rationale: str = ""
    detail: str = ""
    usage: Usage = Usage()
    basis: Basis = Basis()

    def __post_init__(self) -> None:
        if (self.preferred is not None) != (self.outcome is Outcome.OK):
            raise ValueError(f"a verdict with outcome {self.outcome} and preferred {self.preferred}")


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """Which of two images is better? It has no field for a label.

    ``dimensions`` is the rubric to judge under, empty for none. ``sources`` are the images that were edited.
    """

    task: Task
    prompt: str
    first: Candidate
    second: Candidate
    sources: tuple[Picture, ...] = ()
    dimensions: tuple[Dimension, ...] = ()

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            "op": "compare",
            "task": self.task,
            "prompt": self.prompt,
            "images": [self.first.digest, self.second.digest],
            "sources": [source.digest for source in self.sources],
            "dimensions": criteria_content(self.dimensions),
        }


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """How well does one image meet each criterion?"""

    task: Task
    prompt: str
    image: Candidate
    dimensions: tuple[Dimension, ...]
    sources: tuple[Picture, ...] = ()

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            "op": "score",
            "task": self.task,
            "prompt": self.prompt,
            "images": [self.image.digest],
            "sources": [source.digest for source in self.sources],
            "dimensions": criteria_content(self.dimensions),
        }


@dataclass(frozen=True, slots=True)
class RankRequest:
    """In which order do these 3 to 8 images stand, the best one first?"""

    task: Task
    prompt: str
    candidates: tuple[Candidate, ...]
    sources: tuple[Picture, ...] = ()
    dimensions: tuple[Dimension, ...] = ()

    def __post_init__(self) -> None:
        if not 3 <= len(self.candidates) <= 8:
            raise ValueError(f"3 to 8 candidates can be ranked at once, not {len(self.candidates)}")

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            "op": "rank",
            "task": self.task,
            "prompt": self.prompt,
            "images": [picture.digest for picture in self.candidates],
            "sources": [source.digest for source in self.sources],
            "dimensions": criteria_content(self.dimensions),
        }


@dataclass(frozen=True, slots=True)
class RankFinding:
    """Which candidate meets one criterion best: its index, or None where none stands out."""

    criterion: str
    best: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer to a :class:`RankRequest`.

    ``ranks[i]`` is the rank of candidate ``i``, 1 for the best: a permutation, empty unless ``outcome``
    is ok.
    """

    outcome: Outcome
    ranks: tuple[int, ...] = ()
    findings: tuple[RankFinding, ...] = ()
    rationale: str = ""
    detail: str = ""
    usage: Usage = Usage()
    basis: Basis = Basis()


@dataclass(frozen=True, slots=True)
class CriterionScore:
    """How well one criterion is met: a probability in [0, 1], or None where the judge cannot tell."""

    criterion: str
    score: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scores:
    """The answer to a :class:`ScoreRequest`; ``scores`` is empty unless ``outcome`` is ok."""

    outcome: Outcome
    scores: tuple[CriterionScore, ...] = ()
    detail: str = ""
    usage: Usage = Usage()
    basis: Basis = Basis()


@dataclass(frozen=True, slots=True)
class Draft:
    """A criterion as a judge words it, before it has an id. ``dimension`` is a hint, or empty."""

    statement: str
    guidance: str = ""
    dimension: str = ""


@dataclass(frozen=True, slots=True)
class ProposeRequest:
    """Why do people prefer this image? Give at most ``count`` criteria that tell the two apart.

    Beside :class:`RefineRequest` the only request that carries a known preference.
    """

    task: Task
    prompt: str
    first: Candidate
    second: Candidate
    preferred: Side
    count: int
    sources: tuple[Picture, ...] = ()

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            "op": "propose",
            "task": self.task,
            "prompt": self.prompt,
            "images": [self.first.digest, self.second.digest],
            "sources": [source.digest for source in self.sources],
            "preferred": self.preferred,
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class ZeroShotRequest:
    """By what should images for this prompt be judged? Give ``count`` criteria before any image is seen."""

    task: Task
    prompt: str
    count: int

    def content(self) -> dict[str, Json]:
        """All that the judge is told."""
        return {"op": "zero_shot", "task": self.task, "prompt": self.prompt, "count": self.count}


@dataclass(frozen=True, slots=True)
class RefineRequest:
    """These criteria, given to ``proposed``, failed to recover the preference: give better ones."""

    proposed: ProposeRequest
    drafts: tuple[Draft, ...]
    critique: str

    def content(self) -> dict[str, Json]:
        """All that the judge is told, images by their digests. Reads the images."""
        return {
            **self.proposed.content(),
            "op": "refine",
            "drafts": [asdict(draft) for draft in self.drafts],
            "critique": self.critique,
        }


@dataclass(frozen=True, slots=True)
class Proposal:
    """The answer to ``propose``, ``refine``, ``zero_shot``, ``checklist`` and ``plan``.

    ``drafts`` is empty unless ``ok``; that of a plan also where nothing that matters differs.
    """

    outcome: Outcome
    drafts: tuple[Draft, ...] = ()
    detail: str = ""
    usage: Usage = Usage()
    basis: Basis = Basis()


@dataclass(frozen=True, slots=True)
class StructureRequest:
    """Group these verified criteria into at most ``max_dimensions`` dimensions, folding duplicates."""

    task: Task
    pool: tuple[Draft, ...]
    max_dimensions: int

    def content(self) -> dict[str, Json]:
        """All that the judge is told."""
        return {
            "op": "structure",
            "task": self.task,
            "pool": [asdict(draft) for draft in self.pool],
            "max_dimensions": self.max_dimensions,
        }


@dataclass(frozen=True, slots=True)
class StructuredCriterion:
    """A criterion of the structured rubric; ``members`` are indices into the request's pool, at least one."""

    statement: str
    members: tuple[int, ...]
    guidance: str = ""


@dataclass(frozen=True, slots=True)
class StructuredDimension:
    """A dimension of the structured rubric."""

    name: str
    criteria: tuple[StructuredCriterion, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Structure:
    """The answer to a :class:`StructureRequest`; ``dimensions`` is empty unless ``outcome`` is ok.

    Every index of the pool stands in at most one criterion; an index that stands in none was dropped.
    """

    outcome: Outcome
    dimensions: tuple[StructuredDimension, ...] = ()
    detail: str = ""
    usage: Usage = Usage()
    basis: Basis = Basis()


Request = (
    CompareRequest
    | ScoreRequest
    | RankRequest
    | ProposeRequest
    | ZeroShotRequest
    | RefineRequest
    | StructureRequest
    | ChecklistRequest
    | PlanRequest
)
Response = Verdict | Scores | Ranking | Proposal | Structure


class Judge(Protocol):
    """A frozen evaluator. Safe for concurrent calls from one event loop."""

    @property
    def name(self) -> str:
        """The canonical spec, without secrets: two judges of one name answer alike."""
        ...

    async def compare(self, request: CompareRequest) -> Verdict: ...

    async def score(self, request: ScoreRequest) -> Scores: ...

    async def propose(self, request: ProposeRequest) -> Proposal: ...

    async def refine(self, request: RefineRequest) -> Proposal: ...

    async def structure(self, request: StructureRequest) -> Structure: ...

    async def aclose(self) -> None:
        """Let go of connections. Called once, after the last request."""
        ...


@runtime_checkable
class ListwiseJudge(Judge, Protocol):
    """A judge that can also put several images in order."""

    async def rank(self, request: RankRequest) -> Ranking: ...


@runtime_checkable
class ZeroShotJudge(Judge, Protocol):
    """A judge that can also name criteria from the prompt alone."""

    async def zero_shot(self, request: ZeroShotRequest) -> Proposal: ...


@runtime_checkable
class ChecklistJudge(Judge, Protocol):
    """A judge that can also break a prompt down into items to tick off."""

    async def checklist(self, request: ChecklistRequest) -> Proposal: ...


@runtime_checkable
class PlanningJudge(Judge, Protocol):
    """A judge that can also say where two images differ in ways that matter, without judging them."""

    async def plan(self, request: PlanRequest) -> Proposal: ...


@runtime_checkable
class PreparingJudge(Judge, Protocol):
    """A judge that can make images ready ahead of the requests that show them."""

    async def prepare(self, pictures: Sequence[Picture]) -> None:
        """Find out the digests of ``pictures``, and do what else is to be done with their pixels.

        Raises :class:`~arrkit.data.pairs.ImageUnreadable`.
        """
        ...


def compare_request(pair: PreferencePair, order: Order, dimensions: tuple[Dimension, ...]) -> CompareRequest:
    """The request that shows ``pair`` in ``order``. The label does not enter it."""
    first, second = (pair.a, pair.b) if order is Order.AB else (pair.b, pair.a)
    return CompareRequest(pair.task, pair.prompt, first, second, pair.sources, dimensions)


def draft_dimensions(name: str, drafts: Sequence[Draft]) -> tuple[Dimension, ...]:
    """Drafts as one dimension to judge under; their ids are ``c1``, ``c2`` and so on."""
    criteria = tuple(
        Criterion(f"c{i}", draft.statement, guidance=draft.guidance)
        for i, draft in enumerate(drafts, start=1)
    )
    return (Dimension(slug(name), name, criteria),)


def criteria_content(dimensions: tuple[Dimension, ...]) -> Json:
    """What a judge is told of a rubric: names, statements, guidance and weights, not where they came from."""
    return [
        {
            "name": dimension.name,
            "description": dimension.description,
            "criteria": [
                {
                    "id": criterion.id,
                    "statement": criterion.statement,
                    "weight": criterion.weight,
                    "guidance": criterion.guidance,
                }
                for criterion in dimension.criteria
            ],
        }
        for dimension in dimensions
    ]


class Asked(Protocol):
    """Any request: what it comes to is what the judge is told."""

    def content(self) -> dict[str, Json]: ...


def request_key(judge: str, request: Asked) -> str:
    """SHA-256 over the judge's name and all that it is told: what an answer is kept under."""
    return digest({"judge": judge, "request": request.content()})
