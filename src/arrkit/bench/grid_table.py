"""The paper's tables with our numbers beside its own: rows and columns of a plan, laid out as printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from arrkit.bench.published import NO_RUBRIC, PUBLISHED, Grid, Number, PaperTable
from arrkit.bench.reproduce import Plan, rows_of

PAPERS_DATASET = "HPDv3"
"""What the paper's tables of one dataset are measured on."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of a grid: ``part`` tells its tables apart (a dataset, or a task)."""

    part: str
    row: str
    column: str


@dataclass(frozen=True, slots=True)
class Found:
    """A number of ours in the paper's unit, with its 95 % interval and the units it stands on.

    ``strict`` is the same where everything that was expected counts; ``change`` is the difference to the base
    model's with its interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    metric: str = ""
    strict: float | None = None
    change: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """Ours and the paper's; each may be None. ``trouble`` says why a number of ours is lacking.

    ``digits`` are the decimals of the column.
    """

    column: str
    ours: Found | None = None
    paper: Number | None = None
    trouble: str = ""
    digits: int = 1

    @property
    def gap(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.ours is None or self.paper is None else self.ours.value - self.paper.value


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row of a table."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class GridTable:
    """One table as it is printed; ``first`` is the header over its rows' names."""

    title: str
    first: str
    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def published(self) -> bool:
        """Whether there is a number of the paper in it."""
        return any(cell.paper is not None for row in self.rows for cell in row.cells)


@dataclass(frozen=True, slots=True)
class Part:
    """A table of a plan before it is filled: what stands in it, and which table of the paper it is."""

    name: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    paper: PaperTable
    compared: bool


def parts_of(plan: Plan) -> Iterator[Part]:
    """The tables of a plan."""
    papers = PUBLISHED[plan.grid]
    if plan.grid is Grid.TABLE1:
        yield _part("", papers[0], rows_of(plan), tuple(plan.datasets))
        return
    if plan.grid is Grid.GENERATION:
        for name, models, paper in (("t2i", plan.t2i, papers[0]), ("edit", plan.edit, papers[1])):
            if models.policies and models.benchmarks:
                yield _part(name, paper, tuple(models.policies), tuple(models.benchmarks))
        return
    rows, columns = {
        Grid.BIAS: (rows_of(plan), papers[0].columns),
        Grid.TRANSFER: ((NO_RUBRIC, *plan.generators), tuple(plan.judges)),
        Grid.CARDINALITY: (tuple(map(str, plan.criteria)), tuple(plan.judges)),
    }[plan.grid]
    for dataset in plan.datasets:
        title = papers[0].title if dataset == PAPERS_DATASET else f"{papers[0].title}, {dataset}"
        yield _part(dataset, papers[0], rows, columns, title=title, compared=dataset == PAPERS_DATASET)


def _part(
    name: str,
    paper: PaperTable,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "",
    compared: bool = True,
) -> Part:
    compared = (
        compared and any(row in paper.rows for row in rows) and any(c in paper.columns for c in columns)
    )
    return Part(name, title or paper.title, tuple(rows), tuple(columns), paper, compared)


def fill(plan: Plan, found: Mapping[Place, Found], troubles: Mapping[Place, str]) -> tuple[GridTable, ...]:
    """The tables with what was found.

    Where a table is one of the paper's (a row and a column are called as there), all rows and columns of the
    paper are in it, in the paper's order, and rows of one's own below them.
    """
    return tuple(_filled(part, found, troubles) for part in parts_of(plan))


def _filled(part: Part, found: Mapping[Place, Found], troubles: Mapping[Place, str]) -> GridTable:
    rows, columns = part.rows, part.columns
    if part.compared:
        rows = tuple(dict.fromkeys((*part.paper.rows, *rows)))
        columns = tuple(dict.fromkeys((*part.paper.columns, *columns)))
    made = []
    for row in rows:
        cells = []
        for column in columns:
            place = Place(part.name, row, column)
            paper = part.paper.number(row, column) if part.compared else None
            ours = found.get(place)
            known = part.compared and column in part.paper.columns
            digits = part.paper.digits(column) if known else 2 if ours and abs(ours.value) < 10 else 1
            cells.append(Cell(column, ours, paper, troubles.get(place, ""), digits))
        made.append(GridRow(row, tuple(cells)))
    notes = part.paper.notes if part.compared else ()
    return GridTable(part.title, part.paper.first, columns, tuple(made), notes)
