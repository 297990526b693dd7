"""``arrkit judge``: measure a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from arrkit.cli.bind import bind
from arrkit.commands.options import BiasOptions, CompareOptions, EvalOptions, ScoreOptions

if TYPE_CHECKING:
    from arrkit.judge.report import JudgeReport

app = typer.Typer(help="Measure a judge: how right it is, and how biased.", no_args_is_help=True)


@bind(
    app,
    "judge",
    "eval",
    EvalOptions,
    example="arrkit judge eval --rubric rubric-edit.json --by category",
)
def eval_(options: EvalOptions, as_json: bool) -> None:
    """Measure how often a judge agrees with people, with and without a rubric.

    Without --pairs or --dataset, the embedded pairs and the embedded judge serve.
    """
    from arrkit.cli.progress import watching
    from arrkit.commands.evaluate import evaluate_judge

    if options.dry_run:
        _foresee(options, as_json)
        return
    with watching() as watch:
        report = evaluate_judge(options, watch=watch)
    _draw(report, as_json, bias=False)


@bind(
    app,
    "judge",
    "bias",
    BiasOptions,
    example="arrkit judge bias --rubric rubric-edit.json",
)
def bias(options: BiasOptions, as_json: bool) -> None:
    """Measure how much a judge's choice depends on which image it sees first.

    Each pair is shown twice: forward, with the image that people preferred first, and reverse. Without
    --pairs or --dataset, the embedded pairs and the embedded judge serve.
    """
    from arrkit.cli.progress import watching
    from arrkit.commands.evaluate import measure_bias

    if options.dry_run:
        _foresee(options, as_json)
        return
    with watching() as watch:
        report = measure_bias(options, watch=watch)
    _draw(report, as_json, bias=True)


@bind(
    app,
    "judge",
    "score",
    ScoreOptions,
    example="arrkit judge score --judgments answers.jsonl --pairs pairs.jsonl --metric strict-pair",
)
def score(options: ScoreOptions, as_json: bool) -> None:
    """Count answers that were made elsewhere by each metric: answers in, table out.

    No judge is asked and no image is opened. Without --dataset or --pairs the labels must stand in the file.
    """
    from arrkit.cli import draw
    from arrkit.commands.metrics import metric_notes
    from arrkit.commands.score import score_judgments, troubles

    report = score_judgments(options)
    if as_json:
        draw.print_json(report)
    else:
        out = draw.console()
        on = f" on {report.dataset}" if report.dataset else ""
        out.print(f"{report.judgments}{on}: {report.rows[0].pairs} pairs\n", markup=False)
        out.print(draw.metric_table((row.rubric, row.metrics) for row in report.rows))
        for note in dict.fromkeys(note for row in report.rows for note in metric_notes(row.metrics)):
            out.print(note, style="dim", markup=False)
        if report.placed:
            out.print("The answers have no ids and were put to the pairs by their place.", style="dim")
    for trouble in troubles(report):
        draw.messages().print(trouble, style="yellow", markup=False)


@bind(
    app,
    "judge",
    "compare",
    CompareOptions,
    example='arrkit judge compare a.png b.png --prompt "a red circle" --judge shapes',
)
def compare(options: CompareOptions, as_json: bool) -> None:
    """Ask a judge which of two images is better, and why, in both orders.

    With --source the two are edits of that image, and the prompt is the instruction.
    """
    from arrkit.cli import draw
    from arrkit.commands.compare import compare_images
    from arrkit.serial import to_json

    comparison = compare_images(options)
    if as_json:
        draw.print_json(
            {
                "judge": comparison.judge,
                "rubric": comparison.rubric.name if comparison.rubric else None,
                "preferred": comparison.preferred,
                "a_first": to_json(comparison.ab, defaults=True),
                "b_first": to_json(comparison.ba, defaults=True),
            }
        )
        return
    draw.comparison(draw.console(), comparison)


def _foresee(options: EvalOptions | BiasOptions, as_json: bool) -> None:
    from arrkit.cli import draw
    from arrkit.commands.evaluate import forecast_judge

    draw.forecast(draw.console(), ", ".join(options.judge), forecast_judge(options), as_json=as_json)


def _draw(report: JudgeReport, as_json: bool, *, bias: bool) -> None:
    from arrkit.cli import draw
    from arrkit.cli.draw_panel import panel_tables
    from arrkit.commands.pages import notes, verdict_sentences

    if as_json:
        draw.print_json(report)
        draw.remarks(report)
        return
    out = draw.console()
    out.print(f"[bold]{report.judge}[/bold] on {report.dataset.name}: {report.dataset.pairs} pairs\n")
    out.print(draw.bias_table(report) if bias else draw.accuracy_table(report))
    if any(row.metrics for row in report.rows):
        out.print(draw.metric_table((row.rubric, row.metrics) for row in report.rows))
    if not bias:
        for each in (*panel_tables(report), *draw.group_tables(report)):
            out.print(each)
    out.print(draw.coverage_line(report))
    for sentence in verdict_sentences(report):
        out.print(f"[bold]{sentence}[/bold]")
    for note in notes(report):
        out.print(f"[dim]{note}[/dim]")
    draw.remarks(report)
