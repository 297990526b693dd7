"""``arrkit rubric``: learn, check, merge and convert rubrics."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from arrkit.cli.bind import bind
from arrkit.commands.options import (
    BuildOptions,
    DiffOptions,
    ExportOptions,
    ImportOptions,
    MergeOptions,
    SealOptions,
    ShowOptions,
    VerifyOptions,
)

if TYPE_CHECKING:
    from arrkit.commands.build import BuildReport
    from arrkit.commands.selecting import SelectionReport
    from arrkit.commands.verify import VerifyReport

app = typer.Typer(help="Learn, check, merge and convert rubrics.", no_args_is_help=True)


@bind(app, "rubric", "build", BuildOptions, example="arrkit rubric build --task edit")
def build(options: BuildOptions, as_json: bool) -> None:
    """Learn a rubric from preference pairs, and measure it on pairs held back.

    For each pair a judge proposes criteria that explain the human choice; those that recover it in a blind
    comparison are kept, the others refined or discarded; the kept ones are structured into dimensions.
    With --method sparse every candidate is scored on every image instead, and those whose scores tell the
    preferred image from the other get weights. Without --pairs or --dataset, the embedded pairs and the
    embedded judge serve.
    """
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.build import build_rubric, forecast_build

    if options.dry_run:
        draw.forecast(draw.console(), options.judge, forecast_build(options), as_json=as_json)
        return

    with watching() as watch:
        report = build_rubric(options, watch=watch)
    if as_json:
        draw.print_json(report)
    else:
        _draw_build(report)
    _remark_build(report, options)


def _draw_build(report: BuildReport) -> None:
    from arrkit.cli import draw
    from arrkit.commands.pages import left_out_note, notes, verdict_sentences
    from arrkit.commands.sparse_page import learning_sentences

    out = draw.console()
    draw.rubric(out, report.rubric)
    if report.rubric.learning is not None:
        if report.chosen:
            out.print(report.chosen, markup=False)
        for sentence in learning_sentences(report.rubric.learning):
            out.print(sentence, markup=False)
    counts = report.rubric.provenance.counts
    if counts is not None:
        postponed = (
            f", {counts.postponed} left out since an image or an answer was missing"
            if counts.postponed
            else ""
        )
        if report.chosen:
            out.print(report.chosen, markup=False)
        ties = f"; {report.ties} more are ties, which explain nothing" if report.ties else ""
        out.print(
            f"Learned from {counts.seen} pairs: {counts.passed} explained at once, {counts.refined} after "
            f"refinement, {counts.discarded} discarded{postponed}{ties}"
        )
    for note in left_out_note(report.left_out):
        out.print(note, markup=False)
    if report.selection is not None:
        _draw_selection(report.selection)
    if report.held_out is not None:
        out.print(f"\n[bold]On {report.held_out.dataset.pairs} pairs held back[/bold]")
        out.print(draw.accuracy_table(report.held_out))
        for sentence in verdict_sentences(report.held_out):
            out.print(f"[bold]{sentence}[/bold]")
        for note in notes(report.held_out):
            out.print(f"[dim]{note}[/dim]")


def _draw_selection(selection: SelectionReport) -> None:
    from arrkit.cli import draw
    from arrkit.commands.selecting import selection_notes

    out = draw.console()
    rows = [
        (
            f"{each.criteria}{' *' if each.criteria == selection.kept else ''}",
            draw.percent(each.seen),
            draw.percent(each.held_out),
            draw.percent(each.both_right),
            draw.percent(each.support),
        )
        for each in selection.rows
    ]
    out.print("\n[bold]Accuracy against the number of criteria[/bold] (* kept)")
    out.print(draw.table(("criteria", "selection %", "held out %", "right twice %", "by support %"), rows))
    for note in selection_notes(selection):
        out.print(note, style="dim", markup=False)


def _remark_build(report: BuildReport, options: BuildOptions) -> None:
    from arrkit.cli import draw

    err = draw.messages()
    draw.skipped_lines(err, report.skipped, report.run)
    if report.replayed:
        err.print(f"{report.replayed} answers were already in the run, {report.asked} were asked for now")
    err.print(f"report: {report.run}/report.html", markup=False)
    err.print(f"rubric: {report.path}", markup=False)
    own = f" --pairs FILE --judge {shlex.quote(options.judge)}" if options.pairs is not None else ""
    err.print(f"next:   arrkit judge bias --rubric {report.path}{own}", markup=False)


@bind(
    app, "rubric", "verify", VerifyOptions, example="arrkit rubric verify my.json --dataset shapes-edit:test"
)
def verify(options: VerifyOptions, as_json: bool) -> int:
    """Check a rubric file, and with pairs whether a judge does better under it.

    The file must be valid and sealed; criteria that a judge could not check are pointed out. With --pairs or
    --dataset the same judge is measured with and without the rubric.
    """
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.verify import forecast_verify, verify_rubric

    if options.dry_run:
        draw.forecast(draw.console(), options.judge, forecast_verify(options), as_json=as_json)
        return 0
    with watching() as watch:
        report = verify_rubric(options, watch=watch)
    if as_json:
        draw.print_json(report)
        if report.measured is not None:
            draw.remarks(report.measured)
    else:
        _draw_verify(report, options)
    return 0 if report.passed else 1


def _draw_verify(report: VerifyReport, options: VerifyOptions) -> None:
    from arrkit.cli import draw
    from arrkit.commands.pages import notes, verdict_sentences

    out = draw.console()
    rubric = report.rubric
    out.print(
        f"{options.rubric}: a valid, sealed rubric ({rubric.name} {rubric.version}, task {rubric.task}, "
        f"{len(rubric)} criteria, {report.digest[:19]}...)",
        markup=False,
    )
    for finding in report.findings:
        at = f":{finding.line}" if finding.line else ""
        out.print(f"{options.rubric}{at}: {finding.severity}: {finding.message}", markup=False)
        out.print(f"  {finding.hint}", markup=False)
    if report.measured is None:
        out.print("Not measured on pairs: add --pairs FILE or --dataset SPEC.")
    else:
        out.print(draw.accuracy_table(report.measured))
        for sentence in verdict_sentences(report.measured):
            out.print(f"[bold]{sentence}[/bold]")
        for note in notes(report.measured):
            out.print(f"[dim]{note}[/dim]")
        draw.remarks(report.measured)
    for reason in report.failures:
        out.print(f"[bold red]Not passed:[/bold red] {reason}.")


@bind(app, "rubric", "merge", MergeOptions, example="arrkit rubric merge a.json b.json --out c.json")
def merge(options: MergeOptions, as_json: bool) -> None:
    """Merge rubrics of one task: duplicates fold, parents are recorded, metrics are dropped.

    Criteria that say the same in other words are folded by the judge that --judge names.
    """
    from arrkit.cli import draw
    from arrkit.commands.rubrics import merge_rubrics

    merged = merge_rubrics(options)
    if as_json:
        draw.print_rubric_json(merged)
        return
    out = draw.console()
    draw.rubric(out, merged)
    err = draw.messages()
    err.print(f"rubric: {options.out}", markup=False)
    if not options.judge:
        err.print("Only exact duplicates were folded; name a --judge to fold criteria that say the same.")
    err.print(f"Not measured yet: arrkit rubric verify {options.out} --pairs FILE", markup=False)


@bind(app, "rubric", "show", ShowOptions, example="arrkit rubric show edit-general")
def show(options: ShowOptions, as_json: bool) -> None:
    """Print a rubric: its criteria, where they came from, how well they did."""
    from arrkit.cli import draw
    from arrkit.rubric.files import read_rubric

    rubric = read_rubric(options.rubric)
    if as_json:
        draw.print_rubric_json(rubric)
        return
    draw.rubric(draw.console(), rubric, full=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """``arrkit rubric list`` has no options of its own."""


@bind(app, "rubric", "list", ListOptions, example="arrkit rubric list")
def list_(options: ListOptions, as_json: bool) -> None:  # noqa: ARG001  every command takes both
    """List the rubrics that ship with arrkit; a bare name works wherever a rubric file does."""
    import json

    from arrkit.cli import draw
    from arrkit.rubric.files import list_rubrics, rubric_to_json

    rubrics = list_rubrics()
    if as_json:
        draw.write(json.dumps([rubric_to_json(each) for each in rubrics], indent=2) + "\n")
        return
    rows = [
        (
            each.name,
            str(each.task),
            each.version,
            str(len(each)),
            each.provenance.method,
            draw.points(each.metrics.difference) if each.metrics else "not measured",
        )
        for each in rubrics
    ]
    headers = ("name", "task", "version", "criteria", "made by", "held-out change")
    draw.console().print(draw.table(headers, rows, left=3))


@bind(app, "rubric", "diff", DiffOptions, example="arrkit rubric diff old.json new.json")
def diff(options: DiffOptions, as_json: bool) -> None:
    """Show which criteria were added, removed, reworded or re-weighted."""
    import json

    from arrkit.cli import draw
    from arrkit.rubric.diff import diff_rubrics
    from arrkit.rubric.files import read_rubric

    changes = diff_rubrics(read_rubric(options.old), read_rubric(options.new))
    if as_json:
        draw.write(json.dumps(changes.to_json(), indent=2, ensure_ascii=False) + "\n")
        return
    draw.rubric_diff(draw.console(), changes)


@bind(app, "rubric", "seal", SealOptions, example="arrkit rubric seal my.json --bump minor")
def seal(options: SealOptions, as_json: bool) -> None:
    """Give an edited rubric file its new digest and version."""
    from arrkit.cli import draw
    from arrkit.rubric.seal import seal_rubric

    sealed = seal_rubric(options.rubric, options.bump.value)
    if as_json:
        draw.print_rubric_json(sealed.rubric)
        return
    for message in sealed.messages:
        draw.console().print(message, markup=False)


@bind(
    app,
    "rubric",
    "export",
    ExportOptions,
    example="arrkit rubric export edit-general --format text --out edit.txt",
)
def export(options: ExportOptions, as_json: bool) -> None:
    """Write a rubric as the Theme/Tip text of the Auto-Rubric-as-Reward tool."""
    from arrkit.cli import draw
    from arrkit.commands.rubrics import export_rubric

    text = export_rubric(options)
    if as_json:
        draw.print_json({"text": text})
    elif options.out is None:
        draw.write(text)
    else:
        draw.messages().print(f"text: {options.out}", markup=False)


@bind(
    app,
    "rubric",
    "import",
    ImportOptions,
    example="arrkit rubric import rubrics.txt --task t2i --out my.json",
)
def import_(options: ImportOptions, as_json: bool) -> None:
    """Read the Theme/Tip text of the Auto-Rubric-as-Reward tool and write a rubric file."""
    from arrkit.cli import draw
    from arrkit.commands.rubrics import import_rubric

    rubric = import_rubric(options)
    if as_json:
        draw.print_rubric_json(rubric)
        return
    draw.rubric(draw.console(), rubric)
    draw.messages().print(f"rubric: {options.out}", markup=False)
