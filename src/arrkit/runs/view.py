"""What a report page shows, as plain values: any command can fill them, none is known here.

A page speaks of candidates (A and B), never of presentation sides: whoever fills it translates "the image
shown first" into the candidate that stood there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class RateLike(Protocol):
    """Anything with a value, a 95 % interval and its n, such as :class:`arrkit.rubric.model.Rate`."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Interval:
    """A :class:`RateLike` for those who have no type of their own."""

    value: float
    low: float
    high: float
    n: int


Cell = str | int | float | RateLike | None
"""What stands in a table: None (and NaN) is drawn as a dash, "not known"."""


class ColumnKind(StrEnum):
    """How a column is drawn.

    ``rate`` takes shares in [0, 1] and draws per cent with a bar; ``difference`` takes differences of shares
    in [-1, 1] and draws signed percentage points with a bar around zero; ``number`` takes plain numbers, or a
    :class:`RateLike` on a scale of its own (a kappa), drawn without a bar. A bare float is drawn without
    interval.
    """

    TEXT = "text"
    NUMBER = "number"
    RATE = "rate"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column. ``help`` is shown when the pointer rests on the header."""

    header: str
    kind: ColumnKind = ColumnKind.TEXT
    help: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; every row has one cell for each column, the first cell names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f'table "{self.caption}": a row of {len(row)} for {len(self.columns)} columns'
                )


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One line of an interval plot."""

    label: str
    rate: RateLike
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A horizontal interval plot (forest plot) of shares.

    ``low`` and ``high`` bound the axis, as shares; ``reference`` is a dashed line such as chance at 0.5.
    """

    title: str
    rows: tuple[ChartRow, ...]
    low: float = 0.0
    high: float = 1.0
    reference: float | None = 0.5
    reference_label: str = "chance"
    note: str = ""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f'chart "{self.title}": the axis runs from {self.low} to {self.high}')


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a :class:`CurvePlot`: ``points`` are (x, y), x rising.

    ``band`` holds an interval (low, high) for each point, or is empty.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.band and len(self.band) != len(self.points):
            raise ValueError(
                f'curve "{self.label}": {len(self.band)} intervals for {len(self.points)} points'
            )


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """Curves over a common axis, such as the updates of a training run.

    ``kind`` says how values are written: shares for ``rate`` and ``difference``. ``low`` and ``high`` bound
    the axis where they are given, and widen to hold what lies outside; ``reference`` is a dashed line;
    ``across`` says what the horizontal axis counts. ``line`` is another dashed line, through these points,
    such as a diagonal; the axes hold it too.
    """

    title: str
    curves: tuple[Curve, ...]
    kind: ColumnKind = ColumnKind.NUMBER
    across: str = ""
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    note: str = ""
    line: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class GalleryImage:
    """An image with its caption; ``data`` is a WebP, PNG or JPEG file."""

    caption: str
    data: bytes


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """Images that belong together, such as those of one prompt; ``note`` is a word below the title."""

    title: str
    images: tuple[GalleryImage, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Rows of images."""

    title: str
    rows: tuple[GalleryRow, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class CriterionView:
    """A criterion with how many pairs it was learned from and, as ``stats``, what was measured of it."""

    statement: str
    guidance: str = ""
    weight: float = 1.0
    sources: int = 0
    stats: tuple[tuple[str, Cell], ...] = ()


@dataclass(frozen=True, slots=True)
class DimensionView:
    """A named group of criteria."""

    name: str
    criteria: tuple[CriterionView, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class RubricView:
    """A rubric as a reader sees it."""

    name: str
    version: str
    digest: str
    task: str
    dimensions: tuple[DimensionView, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class PairImage:
    """One image of a pair: ``role`` is ``A``, ``B`` or ``source``, ``data`` a WebP, PNG or JPEG file.

    ``data`` is empty where the image could not be read; ``alt`` then says why.
    """

    role: str
    data: bytes
    alt: str


@dataclass(frozen=True, slots=True)
class FindingView:
    """What was found for one criterion: ``answer`` is ``A``, ``B``, ``equal`` or ``cannot tell``.

    ``a`` and ``b`` are the candidates' scores in [0, 1], or None.
    """

    criterion: str
    answer: str
    a: float | None = None
    b: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judgment:
    """One verdict: under which rubric, in which order, how it ended.

    ``order`` is a column's text such as ``A first``. ``outcome`` is an outcome of a judge call.
    ``preferred`` is ``A``, ``B``, ``tie`` or empty; ``right`` is None where it cannot be right or wrong (no
    answer, or people saw a tie). ``detail`` says why there is no answer.
    """

    rubric: str
    order: str
    outcome: str
    preferred: str = ""
    right: bool | None = None
    rationale: str = ""
    detail: str = ""
    findings: tuple[FindingView, ...] = ()


class Flag(StrEnum):
    """What a pair can be filtered by; a pair may carry several.

    ``wrong``: an order ended on the side that people did not prefer. ``flipped``: two orders were decided and
    disagree. ``failed``: an order was refused, truncated, unparsed or failed. ``abstained``: the judge said
    that it cannot tell. ``right``: every order is right.
    """

    WRONG = "wrong"
    FLIPPED = "flipped"
    FAILED = "failed"
    ABSTAINED = "abstained"
    RIGHT = "right"


DECIDED = frozenset({"ok", "tie"})
NO_ANSWER = frozenset({"refused", "truncated", "unparsed", "failed"})


def flags_of(judgments: Iterable[Judgment]) -> frozenset[Flag]:
    """The flags of the judgments of one pair under one rubric."""
    judgments = tuple(judgments)
    flags: set[Flag] = set()
    if any(judgment.right is False for judgment in judgments):
        flags.add(Flag.WRONG)
    if len({judgment.preferred for judgment in judgments if judgment.outcome in DECIDED}) > 1:
        flags.add(Flag.FLIPPED)
    if any(judgment.outcome in NO_ANSWER for judgment in judgments):
        flags.add(Flag.FAILED)
    if any(judgment.outcome == "abstain" for judgment in judgments):
        flags.add(Flag.ABSTAINED)
    if judgments and all(judgment.right for judgment in judgments):
        flags.add(Flag.RIGHT)
    return frozenset(flags)


@dataclass(frozen=True, slots=True)
class PairCard:
    """One preference pair with all that was judged of it.

    ``label`` is ``A``, ``B`` or ``tie``. ``category`` feeds a filter; so does ``state``, a word of the
    command's own (a build says ``refined`` or ``discarded``). ``notes`` are sentences shown on the card.
    """

    id: str
    prompt: str
    label: str
    images: tuple[PairImage, ...]
    judgments: tuple[Judgment, ...] = ()
    category: str = ""
    state: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def rubrics(self) -> tuple[str, ...]:
        """The rubrics it was judged under, in the order of the judgments."""
        return tuple(dict.fromkeys(judgment.rubric for judgment in self.judgments))

    def flags(self, rubric: str | None = None) -> frozenset[Flag]:
        """The flags under one rubric. Without one: a flag under any rubric counts, but right means all."""
        if rubric is not None:
            return flags_of(judgment for judgment in self.judgments if judgment.rubric == rubric)
        each = [self.flags(name) for name in self.rubrics()]
        found = frozenset[Flag]().union(*each)
        return found if all(Flag.RIGHT in flags for flags in each) else found - {Flag.RIGHT}


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report.

    ``command`` is how it was made (``judge bias``), ``summary`` the verdict in a sentence or two, ``facts``
    short label-and-value pairs for the head. ``pairs`` are the pairs shown, ``pairs_total`` how many the run
    has (0 means: all are shown). ``generated_at`` is ISO 8601. With ``numbers_first`` the galleries stand
    below charts and tables.
    """

    title: str
    command: str
    summary: str
    generated_at: str
    arrkit_version: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    curves: tuple[CurvePlot, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    rubrics: tuple[RubricView, ...] = ()
    pairs: tuple[PairCard, ...] = ()
    pairs_total: int = 0
    notes: tuple[str, ...] = ()
    numbers_first: bool = False
