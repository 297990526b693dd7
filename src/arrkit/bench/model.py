"""What a generation benchmark is: what to paint, where images go, what is asked of them, what it adds up to.

A run has two stages that may take place on different machines. *Generation* paints every image of every item
into the layout that the benchmark's own evaluator expects. *Scoring* looks at the images and gives
:class:`Unit` values, one for each thing that is asked of an image; aggregation is a pure function of items
and units and gives :class:`Score` values, in two modes. ``official`` does what the benchmark's own script
does, with its defects, so that papers can be compared with; ``strict`` counts everything that was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from arrkit.canonical import Json
from arrkit.data.pairs import Picture, Task

if TYPE_CHECKING:
    from arrkit.bench.cells import Tally
    from arrkit.judge.session import JudgeSession


class Mode(StrEnum):
    """By whose rules a score is made."""

    OFFICIAL = "official"
    STRICT = "strict"


class Status(StrEnum):
    """What became of one question about one image.

    ``missing``: there is no readable image; ``unparsed``: the answer could not be used; ``failed``: there was
    no answer (an outage, a refusal). Never a random mark, never a silent zero.
    """

    SCORED = "scored"
    MISSING = "missing"
    UNPARSED = "unparsed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One prompt of a benchmark, with its images' places.

    Args:
        id: unique in the benchmark; noise is drawn from it, so an image does not depend on its batch, on the
            number of processes or on the items beside it.
        prompt: what the model is told: the prompt, or the instruction of an edit.
        files: the images' paths below the image folder, one for each image to paint.
        groups: what results are broken down by, such as ``{"task": "position"}`` or ``{"language": "en"}``.
        facts: what the scorer needs beside that (classes and counts, questions, test points).
        before: the id of the item whose first image is this one's source, in place of ``sources``: the turns
            of an edit in several turns.
    """

    id: str
    task: Task
    prompt: str
    files: tuple[str, ...]
    sources: tuple[Picture, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The answer to one question about one image of one item.

    ``question`` tells the questions about an image apart and is empty where there is one. ``value`` is None
    unless the status is ``scored``. ``answer`` is what was seen or said, for people and for scoring again.
    """

    item: str
    image: int = 0
    question: str = ""
    value: float | None = None
    status: Status = Status.SCORED
    answer: Json = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.status is Status.SCORED):
            raise ValueError(f"a unit that is {self.status} with the value {self.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number of a benchmark's table.

    ``name`` is the metric with what sets it apart from the published one in brackets, such as
    ``gedit[arrkit-prompt]/G_O``. ``value`` is in [0, ``top``] (beyond it only where an
    official script takes such values), None where nothing was scored; ``low`` and
    ``high`` are the 95 % interval over items. ``expected`` units were called for, of which ``scored`` have a
    value, ``missing`` lack their image and ``unparsed`` (with those that failed) an answer. ``how`` says in
    one clause how it is made.
    """

    name: str
    mode: Mode
    value: float | None
    low: float | None
    high: float | None
    expected: int
    scored: int
    missing: int
    unparsed: int
    top: float = 1.0
    how: str = ""
    headline: bool = False


class Asker(Protocol):
    """A vision-language model that answers questions in words: what most benchmarks are scored by."""

    @property
    def name(self) -> str:
        """The judge's canonical spec."""
        ...

    async def ask(
        self,
        text: str,
        images: Sequence[Picture],
        read: Callable[[str], Json],
        *,
        system: str = "",
        text_first: bool = True,
        attempts: int = 3,
        temperature: float | None = 0.0,
        room: int = 2048,
    ) -> tuple[Status, Json, str]:
        """The answer as ``read`` understands it, its status, and the last raw text.

        ``read`` raises ``ValueError`` for an answer that cannot be used, which is then asked for again, at
        most ``attempts`` times in all: at temperature 0 with what was wrong with it, else in the same words.
        ``system`` is the static part. Nothing that was answered well is asked twice, in this run or in
        another. ``temperature`` None is the endpoint's default, which is also taken where the model refuses
        all others; ``room`` is the length of an answer in tokens, beside reasoning. The status is ``missing``
        where an image cannot be read, with the reason in place of the text.
        """
        ...


class Scorer(Protocol):
    """Gives the units of items whose images are there."""

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """The units of one item, all that are expected: of an image that is None they are ``missing``."""
        ...


class Benchmark(Protocol):
    """What a plug-in in ``arrkit.benchmarks`` returns: prompts, layout, scorer, aggregation."""

    @property
    def name(self) -> str:
        """The canonical spec, such as ``geneval`` or ``gedit?languages=en,cn``."""
        ...

    @property
    def metric(self) -> str:
        """The name that its numbers are published under, with a bracket where they are made otherwise."""
        ...

    @property
    def identity(self) -> Mapping[str, Json]:
        """All that decides the numbers: digests of prompts and of the judge's instructions, revisions."""
        ...

    def items(self) -> Sequence[Item]:
        """All items in order. Raises :class:`~arrkit.errors.InputError` where the prompt set is not there."""
        ...

    def lay_out(self, folder: Path) -> None:
        """Write what the official evaluator expects beside the images (metadata, sources, grids).

        Called before painting and after it; writes only what can be written by then, each file whole.
        """
        ...

    def scorer(self, asker: Asker | None) -> Scorer:
        """What scores the images; ``asker`` is None where no judge was named.

        Raises :class:`~arrkit.errors.InputError` where one is needed, or a model's packages are missing.
        """
        ...

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """What each item adds to each number of the table, headline first: what two runs are compared by.

        A pure function. The order of units plays no part; none stands twice.
        """
        ...

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table, headline first: :func:`arrkit.bench.cells.scores` of the tallies."""
        ...

    def read_answers(self, file: Path) -> list[Unit]:
        """Units from a result file in the form that the official scripts write."""
        ...


class PairScorer(Protocol):
    """Gives the units of items by holding one model's images against another's."""

    async def score(
        self, item: Item, images: Sequence[Picture | None], base: Sequence[Picture | None]
    ) -> list[Unit]:
        """The units of one item, all that are expected: ``missing`` for a pair that lacks an image."""
        ...


@runtime_checkable
class PairedBenchmark(Benchmark, Protocol):
    """A benchmark whose numbers say how one model does against its base: a run has one table, not two.

    Its ``scorer`` refuses, since images of one model alone say nothing.
    """

    def pair_scorer(self, session: JudgeSession) -> PairScorer:
        """What compares the images; ``session`` is the judge at work, of any kind, embedded ones too."""
        ...
