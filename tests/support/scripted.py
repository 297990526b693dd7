"""Pairs of flat pictures, and a judge that says what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image

from arrkit.data.pairs import ImageUnreadable, Label, Picture, PreferencePair, Task
from arrkit.judge.protocol import (
    CompareRequest,
    Draft,
    Outcome,
    Proposal,
    ProposeRequest,
    RefineRequest,
    Request,
    ScoreRequest,
    Scores,
    Side,
    Structure,
    StructuredCriterion,
    StructuredDimension,
    StructureRequest,
    Verdict,
)

FIRST = Verdict(Outcome.OK, Side.FIRST)
SECOND = Verdict(Outcome.OK, Side.SECOND)
TIE = Verdict(Outcome.TIE)
FAILED = Verdict(Outcome.FAILED, detail="the judge is out")


def flat(*colour: int) -> Picture:
    """A small picture of one colour."""
    return Picture(f"flat-{colour}", lambda: Image.new("RGB", (4, 4), colour))


def unreadable(name: str = "gone.png") -> Picture:
    """A picture that cannot be opened."""

    def load() -> Image.Image:
        raise ImageUnreadable(f"{name} does not exist")

    return Picture(name, load)


def pair(number: int, label: Label = Label.A, **changes: object) -> PreferencePair:
    """A pair whose A is brighter than its B; every number gives other pixels and another prompt."""
    values: dict[str, object] = {
        "id": f"pair-{number}",
        "task": Task.T2I,
        "prompt": f"picture {number}",
        "a": flat(200, number // 256, number % 256),
        "b": flat(50, number // 256, number % 256),
        "label": label,
        "origin": f"pairs.jsonl:{number + 1}",
    }
    return PreferencePair(**(values | changes))  # type: ignore[arg-type]


@dataclass
class Pairs:
    """A list of pairs as a dataset."""

    pairs: Sequence[PreferencePair]
    name: str = "test pairs"
    task: Task | None = Task.T2I

    def __iter__(self):
        return iter(self.pairs)

    def size(self) -> int:
        return len(self.pairs)


def bright(request: CompareRequest) -> Verdict:
    """Prefers the brighter image, whatever place it stands in."""
    first, second = (picture.load().getpixel((0, 0))[0] for picture in (request.first, request.second))
    return FIRST if first > second else SECOND if second > first else TIE


@dataclass
class ScriptedJudge:
    """Answers by functions, and remembers every request it got."""

    compares: Callable[[CompareRequest], Verdict] = bright
    proposes: Callable[[ProposeRequest], Proposal] = lambda request: Proposal(
        Outcome.OK, (Draft("The image is bright.", dimension="Light"),)
    )
    refines: Callable[[RefineRequest], Proposal] = lambda request: Proposal(
        Outcome.OK, (Draft("The image is brighter than a cellar.", dimension="Light"),)
    )
    structures: Callable[[StructureRequest], Structure] = lambda request: Structure(
        Outcome.OK,
        tuple(
            StructuredDimension(draft.dimension or "Other", (StructuredCriterion(draft.statement, (index,)),))
            for index, draft in enumerate(request.pool)
        ),
    )
    name: str = "scripted"
    requests: list[Request] = field(default_factory=list)
    closed: bool = False

    async def compare(self, request: CompareRequest) -> Verdict:
        self.requests.append(request)
        return self.compares(request)

    async def score(self, request: ScoreRequest) -> Scores:
        self.requests.append(request)
        return Scores(Outcome.ABSTAIN, detail="it only compares")

    async def propose(self, request: ProposeRequest) -> Proposal:
        self.requests.append(request)
        return self.proposes(request)

    async def refine(self, request: RefineRequest) -> Proposal:
        self.requests.append(request)
        return self.refines(request)

    async def structure(self, request: StructureRequest) -> Structure:
        self.requests.append(request)
        return self.structures(request)

    async def aclose(self) -> None:
        self.closed = True
