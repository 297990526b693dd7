"""The page of ``bench reproduce``: the paper's tables, ours and published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from arrkit import __version__
from arrkit.bench.grid_table import Cell, GridTable
from arrkit.bench.published import CITATION
from arrkit.bench.reproduce import Plan
from arrkit.runs.view import Cell as Shown
from arrkit.runs.view import Column, ColumnKind, Interval, Page, Table

DASH = "–"


def grid_page(tables: Sequence[GridTable], plan: Plan, troubles: Sequence[str], started_at: str) -> Page:
    """The page of a grid, whole or with cells still empty."""
    return Page(
        title=f"{plan.grid}, reproduced",
        command="bench reproduce",
        summary=" ".join(summary(tables)),
        generated_at=started_at,
        arrkit_version=__version__,
        facts=(
            ("Paper", CITATION),
            ("Of each set", "all" if plan.limit is None else f"{plan.limit} pairs or prompts"),
            ("Seed", str(plan.seed)),
        ),
        tables=tuple(_table(each) for each in tables),
        notes=tuple(dict.fromkeys([*(note for each in tables for note in each.notes), *troubles])),
    )


def summary(tables: Sequence[GridTable]) -> Iterable[str]:
    """How many cells are filled, and how far ours lie from the paper's."""
    cells = [cell for table in tables for row in table.rows for cell in row.cells]
    ours = [cell for cell in cells if cell.ours is not None]
    yield "1 number of ours." if len(ours) == 1 else f"{len(ours)} numbers of ours."
    gaps = [cell.gap for cell in ours if cell.gap is not None]
    within = [
        cell
        for cell in ours
        if cell.paper is not None
        and cell.ours is not None
        and cell.ours.low is not None
        and cell.ours.high is not None
        and cell.ours.low <= cell.paper.value <= cell.ours.high
    ]
    if gaps:
        yield f"The paper has {len(gaps)} of them too, and {len(within)} of its lie in our 95 % intervals."
    lacking = sum(bool(cell.trouble) for cell in cells)
    if lacking:
        yield f"Cells whose runs came to nothing: {lacking}."


def _table(table: GridTable) -> Table:
    """Each column as ours, the paper's, or both, as far as there are numbers."""
    columns = [Column(table.first)]
    rows: list[list[Shown]] = [[row.name] for row in table.rows]
    for place, name in enumerate(table.columns):
        cells = [row.cells[place] for row in table.rows]
        papers = any(cell.paper is not None for cell in cells)
        if any(cell.ours is not None for cell in cells) or not papers:
            columns.append(Column(name, ColumnKind.NUMBER, "ours, with its 95 % interval and n"))
            for row, cell in zip(rows, cells, strict=True):
                row.append(_ours(cell))
        if papers:
            columns.append(Column(f"{name}, paper", ColumnKind.TEXT, "as published"))
            for row, cell in zip(rows, cells, strict=True):
                row.append(paper_text(cell))
    return Table(table.title, tuple(columns), tuple(map(tuple, rows)))


def _ours(cell: Cell) -> Shown:
    ours = cell.ours
    if ours is None:
        return None
    if ours.low is None or ours.high is None:
        return ours.value
    return Interval(ours.value, ours.low, ours.high, ours.n)


def paper_text(cell: Cell) -> str:
    """The published number with its spread, and how far ours lies from it."""
    if cell.paper is None:
        return DASH
    text = f"{cell.paper.value:.{cell.digits}f}"
    if cell.paper.spread is not None:
        text += f" ± {cell.paper.spread:g}"
    return text if cell.gap is None else f"{text} ({cell.gap:+.{cell.digits}f})"


def our_text(cell: Cell) -> str:
    """Our number with its interval and, of a trained model, how far it lies above its base."""
    ours = cell.ours
    if ours is None:
        return DASH
    digits = cell.digits
    text = f"{ours.value:.{digits}f}"
    if ours.low is not None and ours.high is not None:
        text += f" [{ours.low:.{digits}f}, {ours.high:.{digits}f}]"
    if ours.change is not None:
        text += f" ({ours.change[0]:+.{digits}f})"
    return text
