"""``arrkit bench``: the field's benchmarks for image generation, before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from arrkit.bench.reproduce import ReproduceOptions
from arrkit.cli.bind import bind
from arrkit.cli.several import start_processes, starts_processes
from arrkit.commands.bench_options import (
    BenchGenerateOptions,
    BenchListOptions,
    BenchRunOptions,
    BenchScoreOptions,
    BenchTableOptions,
)

if TYPE_CHECKING:
    from arrkit.commands.bench_report import BenchReport
    from arrkit.errors import Problem

app = typer.Typer(help="Measure image models on generation benchmarks.", no_args_is_help=True)


@bind(
    app,
    "bench",
    "run",
    BenchRunOptions,
    example="arrkit bench run shapes --policy shapes --limit 12 --out runs/quick",
)
def run(options: BenchRunOptions, as_json: bool) -> int:
    """Paint a benchmark with a model and, with --lora, with its trained adapter too; score and compare.

    Images are scored while others are painted. The same command run again goes on where it stopped.
    """
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.bench_run import run_benchmark

    if starts_processes(options.launch):
        return start_processes("bench run", options, as_json)
    with watching() as watch:
        report = run_benchmark(options, watch=watch)
    if report is None:  # another process has the last word
        return 0
    if as_json:
        draw.print_json(report)
    else:
        _draw(report)
    _remarks(report)
    return 1 if report.problems else 0


@bind(
    app,
    "bench",
    "generate",
    BenchGenerateOptions,
    example="arrkit bench generate shapes --policy shapes --limit 12 --out images",
)
def generate(options: BenchGenerateOptions, as_json: bool) -> int:
    """Paint the images of a benchmark, laid out as its own evaluator expects them.

    Images that are there are left as they are, so the same command run again goes on where it stopped.
    Base and trained model paint from the same noise. In several processes: --launch N, or accelerate launch.
    """
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.bench_generate import generate_images

    if starts_processes(options.launch):
        return start_processes("bench generate", options, as_json)
    with watching() as watch:
        made = generate_images(options, watch=watch)
    if not made.main:
        return 0
    if as_json:
        draw.print_json(made)
    else:
        out = draw.console()
        by = f"{made.policy} with {made.lora}" if made.lora else made.policy
        out.print(
            f"{made.benchmark}: {made.painted} of {made.images} images painted now, by {by}: {made.out}",
            markup=False,
        )
        if made.note:
            out.print(made.note, markup=False)
    _problems(made.problems)
    return 1 if made.problems else 0


@bind(
    app,
    "bench",
    "score",
    BenchScoreOptions,
    example="arrkit bench score shapes --images images --limit 12",
)
def score(options: BenchScoreOptions, as_json: bool) -> None:
    """Score images that are there, or count answers that were given elsewhere.

    With --answers nothing is looked at and nobody is asked: a result file in, a table out.
    """
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.bench_score import score_benchmark

    with watching() as watch:
        report = score_benchmark(options, watch=watch)
    if as_json:
        draw.print_json(report)
    else:
        _draw(report)
    _remarks(report)


@bind(app, "bench", "table", BenchTableOptions, example="arrkit bench table runs/quick")
def table(options: BenchTableOptions, as_json: bool) -> None:
    """Put runs side by side: one table for each headline number, differences paired by prompt."""
    from arrkit.cli import draw
    from arrkit.cli.bench_tables import runs_table
    from arrkit.commands.bench_table import table_of_runs

    tables = table_of_runs(options)
    if as_json:
        draw.print_json(tables)
        return
    out = draw.console()
    for each in tables:
        out.print(runs_table(each))
        for note in dict.fromkeys(row.note for row in each.rows if row.note):
            out.print(note, style="dim", markup=False)
    for remark in dict.fromkeys(remark for each in tables for remark in each.remarks):
        draw.messages().print(remark, style="yellow", markup=False)


@bind(
    app,
    "bench",
    "reproduce",
    ReproduceOptions,
    example="arrkit bench reproduce arr-cardinality --judge shapes --limit 40 --out runs/grid",
)
def reproduce(options: ReproduceOptions, as_json: bool) -> int:
    """Run the grid behind a table of the paper Auto-Rubric as Reward, and print it with the paper's numbers.

    Each cell is a run of its own; the same command run again goes on where it stopped. With --judge shapes
    the grid runs in the embedded world, without a download or a key.
    """
    from arrkit.cli import bench_grids

    return bench_grids.reproduce(options, as_json)


@bind(app, "bench", "list", BenchListOptions, example="arrkit bench list --json")
def list_(options: BenchListOptions, as_json: bool) -> None:
    """List the benchmarks that are installed, with what each asks, costs and allows."""
    from arrkit.cli import draw
    from arrkit.commands.bench_list import list_benchmarks

    found = list_benchmarks(options)
    if as_json:
        draw.print_json(found)
        return
    rows = [
        (
            each.name,
            each.status,
            ", ".join(each.tasks),
            str(each.items or "–"),
            str(each.images or "–"),
            "a judge" if each.judged else "no judge",
            each.license,
            each.size or "–",
        )
        for each in found
    ]
    out = draw.console()
    headers = ("name", "status", "task", "prompts", "images", "scored by", "licence", "size")
    out.print(draw.table(headers, rows, left=3))
    for each in found:
        out.print(f"{each.name}: {each.summary}", markup=False)
        if each.source:
            out.print(f"  from {each.source}", style="dim", markup=False)
        if each.reason:
            out.print(f"  {each.reason}\n  {each.mend}", markup=False)


def _draw(report: BenchReport) -> None:
    from rich.markup import escape

    from arrkit.cli import draw
    from arrkit.cli.bench_tables import score_tables
    from arrkit.commands.bench_page import verdict

    out = draw.console()
    by = f" by {report.policy}" if report.policy else ""
    prompts = f"{report.prompts} of {report.of} prompts"
    out.print(f"[bold]{escape(report.metric)}[/bold]{escape(by)}: {prompts}\n")
    for each in score_tables(report):
        out.print(each)
    for sentence in verdict(report):
        out.print(sentence, style="bold", markup=False)


def _remarks(report: BenchReport) -> None:
    from arrkit.cli import draw

    err = draw.messages()
    _problems(report.problems)
    for remark in report.remarks:
        err.print(remark, markup=False)
    if report.run:
        err.print(f"report: {report.run}/report.html", markup=False)


def _problems(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    lines = [f"not painted: {problem}" for problem in problems[:10]]
    if len(problems) > 10:
        lines.append(f"... and {len(problems) - 10} more")
    typer.echo("\n".join(lines), err=True)
