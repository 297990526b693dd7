"""Rates, tables and consoles, as the commands draw them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from arrkit.serial import to_json

if TYPE_CHECKING:
    from arrkit.commands.compare import Comparison
    from arrkit.judge.calls.dry import Forecast
    from arrkit.judge.evaluate import Skipped
    from arrkit.judge.metrics import MetricValue
    from arrkit.judge.protocol import Finding, Order
    from arrkit.judge.report import JudgeReport
    from arrkit.rubric.diff import RubricDiff
    from arrkit.rubric.model import Rate, Rubric


class _Output(Console):
    """A console that lets a command end as it would have where its reader (head, less) has gone."""

    def on_broken_pipe(self) -> None:
        discard_output()


def discard_output() -> None:
    """Send standard output nowhere from here on; a second error at the interpreter's exit would be noise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(text: str) -> None:
    """Write data to standard output; no error where its reader has gone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


def console() -> Console:
    """Standard output, for data that people read. Without a terminal it is as wide as its content needs.

    What stands between two colons is a dataset's split, never an emoji.
    """
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 150
    return _Output(width=width, highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def messages() -> Console:
    """Standard error, for progress and remarks."""
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def print_json(value: object) -> None:
    """Print a value as JSON on standard output, every field included."""
    write(json.dumps(to_json(value, defaults=True), indent=2, ensure_ascii=False) + "\n")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", left: int = 1) -> Table:
    """A plain table; the first ``left`` columns are left-aligned. Brackets in it are no markup."""
    drawn = Table(
        title=escape(title) or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for index, header in enumerate(headers):
        drawn.add_column(escape(header), justify="left" if index < left else "right", no_wrap=index < 1)
    for row in rows:
        drawn.add_row(*map(escape, row))
    return drawn


def percent(rate: Rate | None, n: int | None = None, *, digits: int = 1) -> str:
    """``83.1 [79, 87]`` in per cent, or a dash; with the rate's own n where that is not ``n``.

    The ends are whole: a table of these must fit a terminal.
    """
    if rate is None:
        return "–"
    own = f" n={rate.n}" if n is not None and rate.n != n else ""
    return f"{rate.value * 100:.{digits}f} [{rate.low * 100:.0f}, {rate.high * 100:.0f}]{own}"


def _n(rate: Rate | None) -> int | None:
    return None if rate is None else rate.n


def points(rate: Rate | None) -> str:
    """``+12.4 [+8, +17]`` in percentage points, or a dash."""
    if rate is None:
        return "–"
    return f"{rate.value * 100:+.1f} [{rate.low * 100:+.0f}, {rate.high * 100:+.0f}]"


def number(rate: Rate | None) -> str:
    """``0.61 [0.55, 0.67]`` on its own scale, or a dash."""
    return "–" if rate is None else f"{rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}]"


def accuracy_table(report: JudgeReport) -> Table:
    """How right the judge is under each rubric."""
    rows = [
        (
            row.rubric,
            percent(row.stats.accuracy),
            points(row.change.difference) if row.change else "",
            percent(row.stats.both_right, _n(row.stats.accuracy)),
            percent(row.stats.consistency, _n(row.stats.accuracy)),
            number(row.stats.kappa),
            str(row.stats.accuracy.n if row.stats.accuracy else 0),
            "–" if row.cost is None else str(row.cost),
        )
        for row in report.rows
    ]
    headers = ("rubric", "accuracy %", "change", "right twice %", "consistent %", "kappa", "n", "per pair")
    return table(headers, rows)


def metric_table(rows: Iterable[tuple[str, Sequence[MetricValue]]]) -> Table:
    """Metrics by name for each rubric, with the counts of their judgments; the rubric only where it tells.

    Values have two digits, as papers print them: they are read beside those.
    """
    from arrkit.commands.metrics import counted, with_parts

    held = list(rows)
    several = len(held) > 1
    drawn = [
        (
            *((rubric,) if several else ()),
            name,
            percent(value.rate, digits=2),
            counted(value),
            *(str(count) for count in (value.expected, value.judged, value.missing, value.unparsed)),
        )
        for rubric, metrics in held
        for name, value in with_parts(metrics)
    ]
    headers = ("metric", "value %", "n", "expected", "judged", "missing", "unparsed")
    return table(("rubric", *headers) if several else headers, drawn, left=2 if several else 1)


def bias_table(report: JudgeReport) -> Table:
    """The position-bias table of the literature: forward, reverse, their mean and gap."""
    rows = [
        (
            row.rubric,
            percent(row.stats.forward, _n(row.stats.mean)),
            percent(row.stats.reverse, _n(row.stats.mean)),
            percent(row.stats.mean),
            points(row.stats.gap),
            percent(row.stats.consistency, _n(row.stats.mean)),
            percent(row.stats.first_rate, _n(row.stats.mean)),
            str(row.stats.mean.n if row.stats.mean else 0),
        )
        for row in report.rows
    ]
    headers = ("rubric", "forward %", "reverse %", "avg %", "gap", "consistent %", "first %", "n")
    return table(headers, rows)


def group_tables(report: JudgeReport) -> Iterator[Table]:
    """Accuracy by each metadata field asked for."""
    for name in report.rows[0].groups:
        rows = [
            (
                value,
                *(percent(row.groups[name][value].accuracy) for row in report.rows),
                str(_n(report.rows[-1].groups[name][value].accuracy) or 0),
            )
            for value in report.rows[0].groups[name]
        ]
        yield table((name, *(f"{row.rubric} %" for row in report.rows), "n"), rows)


def coverage_line(report: JudgeReport) -> str:
    """How the judgments ended, over all rows."""
    expected = sum(row.stats.expected for row in report.rows)
    decided = sum(row.stats.decided for row in report.rows)
    ends = {
        outcome: sum(row.stats.outcomes[outcome] for row in report.rows)
        for outcome in report.rows[0].stats.outcomes
    }
    told = ", ".join(f"{count} {outcome}" for outcome, count in ends.items() if count)
    return f"coverage {decided}/{expected} judgments ({told})"


def forecast(out: Console, judge: str, foreseen: Forecast, *, as_json: bool) -> None:
    """Draw what a run would send and cost, or print it as JSON."""
    from arrkit.judge.calls.dry import BASIS

    if as_json:
        print_json(foreseen)
        return
    out.print(f"{judge}: nothing was sent", markup=False)
    out.print(f"requests       {foreseen.requests} ({foreseen.cached} more are in the cache)")
    out.print(f"input tokens   about {foreseen.input_tokens:,}")
    out.print(f"output tokens  about {foreseen.output_tokens:,}")
    if foreseen.cost is None:
        out.print("cost           unknown: no price is listed for the model")
    else:
        most = "" if foreseen.most_cost is None else f", at most ${foreseen.most_cost:.2f}"
        out.print(f"cost           about ${foreseen.cost:.2f}{most}")
    if foreseen.unknown:
        out.print("The model is not known: finding out what it can do takes some ten small requests more.")
    out.print(BASIS, style="dim", markup=False)


def skipped_lines(err: Console, skipped: Sequence[Skipped], run: str) -> None:
    """One line for each pair left out since an image could not be read, the first ten."""
    for each in skipped[:10]:
        err.print(f"skipped {each.origin}: {each.reason}", markup=False)
    if len(skipped) > 10:
        err.print(f"... and {len(skipped) - 10} more skipped pairs, all in {run}/report.json", markup=False)


def remarks(report: JudgeReport) -> None:
    """Where the run is, what was skipped and what was not paid for again, on standard error."""
    from arrkit.judge.report import undecided

    err = messages()
    if undecided(report):
        err.print(undecided(report), style="yellow", markup=False)
    skipped_lines(err, report.skipped, report.run)
    for remark in report.remarks:
        err.print(remark, markup=False)
    if report.replayed:
        err.print(f"{report.replayed} judgments were already in the run, {report.asked} were asked for now")
    err.print(f"report: {report.run}/report.html", markup=False)


def print_rubric_json(rubric: Rubric) -> None:
    """Print a rubric as it stands in a file."""
    from arrkit.canonical import pretty_json
    from arrkit.rubric.files import rubric_to_json

    write(pretty_json(rubric_to_json(rubric)))


def rubric(out: Console, shown: Rubric, *, full: bool = False) -> None:
    """Draw a rubric; ``full`` adds guidance, provenance and metrics."""
    out.print(f"[bold]{escape(shown.name)}[/bold] {shown.version} · {shown.task} · {len(shown)} criteria")
    if shown.description:
        out.print(escape(shown.description))
    for dimension in shown.dimensions:
        out.print(f"\n[bold]{escape(dimension.name)}[/bold]")
        for each in dimension.criteria:
            count = len(each.source_pairs)
            sources = f" · from {count} {'pair' if count == 1 else 'pairs'}" if count else ""
            out.print(f"  • {escape(each.statement)} [dim](weight {each.weight:g}{sources})[/dim]")
            if full and each.guidance:
                out.print(f"    [dim]{escape(each.guidance)}[/dim]")
    out.print()
    if not full:
        return
    from arrkit.rubric.files import rubric_digest

    made = shown.provenance
    out.print(f"made by  {made.method}, arrkit {made.arrkit_version}, {made.created_at}", markup=False)
    if made.generator:
        out.print(f"judges   {made.generator} proposed, {made.verifier or 'nobody'} verified", markup=False)
    if made.dataset is not None:
        out.print(f"pairs    {made.dataset.pairs} of {made.dataset.name}", markup=False)
    for parent in made.parents:
        out.print(f"parent   {parent.name} {parent.version} {parent.digest[:19]}...", markup=False)
    if shown.metrics is not None:
        held = shown.metrics
        out.print(
            f"held out {percent(held.accuracy)} % under it, {percent(held.baseline)} % without, "
            f"{points(held.difference)} points (n = {held.n}, judge {held.judge})",
            markup=False,
        )
    else:
        out.print("held out not measured", markup=False)
    out.print(f"digest   {rubric_digest(shown)}", markup=False)


def rubric_diff(out: Console, changes: RubricDiff) -> None:
    """Draw what changed between two rubrics."""
    out.print(f"{changes.old} → {changes.new}", markup=False)
    if changes.empty:
        out.print("No difference.")
        return
    for added in changes.added:
        out.print(f"[green]+ {escape(added.statement)}[/green] [dim]({escape(added.id)})[/dim]")
    for removed in changes.removed:
        out.print(f"[red]- {escape(removed.statement)}[/red] [dim]({escape(removed.id)})[/dim]")
    kinds = ("renamed", "reworded", "reweighted", "moved", "guidance", "sources", "dimensions", "metadata")
    for kind in kinds:
        for change in getattr(changes, kind):
            if any(
                isinstance(side, Mapping | Sequence) and not isinstance(side, str)
                for side in (change.old, change.new)
            ):
                out.print(f"~ {kind} {change.subject} (see --json)", markup=False)
                continue
            out.print(f"~ {kind} {change.subject}: {change.old} → {change.new}", markup=False)
    if changes.reordered:
        out.print("~ reordered")


def comparison(out: Console, shown: Comparison) -> None:
    """Draw what a judge says of one pair: the outcome, each criterion in both orders, its reasons."""
    from arrkit.data.pairs import Label
    from arrkit.judge.protocol import Order

    orders = ((Order.AB, shown.ab), (Order.BA, shown.ba))
    if shown.preferred is None:
        out.print("[bold]The judge did not decide.[/bold]")
    elif shown.preferred is not Label.TIE:
        out.print(f"[bold]{shown.preferred} is better, in both orders.[/bold]")
    elif {verdict.outcome for _, verdict in orders} == {"tie"}:
        out.print("[bold]A tie, in both orders.[/bold]")
    else:
        out.print("[bold]The two orders disagree, which counts as a tie.[/bold]")
    findings = [{each.criterion: each for each in verdict.findings} for _, verdict in orders]
    criteria = list(shown.rubric.criteria()) if shown.rubric else []
    rows = [
        (
            *(_answer(found.get(each.id), order) for found, (order, _) in zip(findings, orders, strict=True)),
            each.statement,
        )
        for each in criteria
    ]
    if rows:
        out.print(table(("A first", "B first", "criterion (scores are A : B)"), rows, left=3))
    for order, verdict in orders:
        first = "A first" if order is Order.AB else "B first"
        out.print(f"{first}: {verdict.outcome}. {verdict.rationale or verdict.detail}", markup=False)


def _answer(finding: Finding | None, order: Order) -> str:
    from arrkit.judge.protocol import Answer, Order

    if finding is None or finding.answer is Answer.CANNOT_TELL:
        return "cannot tell"
    straight = order is Order.AB
    if finding.answer is Answer.EQUAL:
        named = "equal"
    else:
        named = "A" if (finding.answer is Answer.FIRST) == straight else "B"
    if finding.first is None or finding.second is None:
        return named
    a, b = (finding.first, finding.second) if straight else (finding.second, finding.first)
    return f"{named} ({a:.2f} : {b:.2f})"
