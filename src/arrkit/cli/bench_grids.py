"""``arrkit bench reproduce`` on a terminal: what would be run, and the paper's tables with our numbers."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from arrkit.bench.grid_table import Cell, GridTable
from arrkit.bench.reproduce import ReproduceOptions
from arrkit.cli import draw
from arrkit.cli.progress import watching
from arrkit.commands.bench_reproduce import reproduce_grid, steps_of, write_config
from arrkit.commands.grid_page import our_text, paper_text, summary


def reproduce(options: ReproduceOptions, as_json: bool) -> int:
    """Run, list or write a grid, and say what it came to; the exit code."""
    out = draw.console()
    if options.write_config is not None:
        plan = write_config(options, options.write_config)
        typer.echo(f"{plan.grid} is written to {options.write_config}: edit it, then", err=True)
        typer.echo(f"  arrkit bench reproduce {options.write_config}", err=True)
        return 0
    if options.dry_run:
        steps = steps_of(options)
        if as_json:
            draw.print_json(steps)
        for step in () if as_json else steps:
            out.print(step.command, markup=False, soft_wrap=True)
            out.print(f"  for {step.fills}" if step.fills else "  for later ones", style="dim", markup=False)
        return 0
    with watching() as watch:
        report = reproduce_grid(options, watch=watch, notice=lambda text: typer.echo(text, err=True))
    if as_json:
        draw.print_json(report)
    else:
        for table in report.tables:
            out.print(grid_table(table))
        for note in dict.fromkeys(note for table in report.tables for note in table.notes):
            out.print(note, style="dim", markup=False)
        for sentence in summary(report.tables):
            out.print(sentence, style="bold", markup=False)
    err = draw.messages()
    for trouble in report.troubles:
        err.print(f"came to nothing: {trouble}", style="yellow", markup=False, soft_wrap=True)
    err.print(f"report: {report.run}/report.html", markup=False, soft_wrap=True)
    return 1 if report.troubles else 0


def grid_table(shown: GridTable) -> Table:
    """A table as the paper prints it; a number of the paper stands below ours, or alone."""
    rows = [[escape(row.name), *(_cell(cell) for cell in row.cells)] for row in shown.rows]
    title = f"{shown.title}: ours, and the paper's" if shown.published else shown.title
    return draw.table([shown.first, *shown.columns], rows, title=escape(title))


def _cell(cell: Cell) -> str:
    lines = [] if cell.ours is None and not cell.trouble else ["failed" if cell.trouble else our_text(cell)]
    if cell.paper is not None:
        lines.append(f"paper {paper_text(cell)}")
    return escape("\n".join(lines or [our_text(cell)]))
