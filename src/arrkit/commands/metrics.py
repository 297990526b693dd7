"""Metrics by name: which ones a command was asked for, and what saved judgments come to under them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from arrkit.backends.listing import Group, find_plugin
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.commands.options import DataOptions, EvalOptions
from arrkit.errors import InputError
from arrkit.judge.answered import read_judgments
from arrkit.judge.metrics import OFFICIAL, Metric, MetricValue, find_metrics
from arrkit.judge.report import JudgeReport
from arrkit.runs.view import Column, ColumnKind, Table

MOST_PARTS = 30
"""A metric made of more values than this is shown alone; ``report.json`` has them all."""


def official_rule(options: DataOptions) -> str:
    """The name of the rule that the authors of the pairs count by; empty where none is known.

    A file of pairs is in the native format, which has a rule. A dataset has the rule of its name, else the
    one that its plug-in names.
    """
    if options.pairs is not None:
        return "native"
    if not options.dataset:
        return "shapes"
    name = Spec.parse(options.dataset).name
    record = find_plugin(Group.DATASETS, name).record
    if name in OFFICIAL or not isinstance(record, DatasetPlugin):
        return name if name in OFFICIAL else ""
    return record.official or ("shapes" if record.embedded else "")


def chosen_metrics(options: EvalOptions, *, ready: bool = False) -> tuple[Metric, ...]:
    """The metrics that the options name; the set's own beside ``strict-pair`` where they name none.

    ``ready`` says that the pairs were made elsewhere, so that their own rule is not known. Raises
    :class:`~arrkit.errors.InputError` for an unknown one.
    """
    return find_metrics(options.metric, official="" if ready else official_rule(options), seed=options.seed)


def with_metrics(report: JudgeReport, judgments: Path, metrics: Sequence[Metric]) -> JudgeReport:
    """The report with the metrics of each of its rows, counted from the saved judgments.

    Where the judgments cannot be counted (a dataset with an id that stands twice) the report stays as it is
    but for a remark: they are paid for.
    """
    try:
        rows = tuple(
            replace(row, metrics=tuple(metric(read_judgments(judgments, row.rubric)) for metric in metrics))
            for row in report.rows
        )
    except InputError as error:
        return replace(report, remarks=(*report.remarks, f"No metrics by name: {error.problems[0].what}."))
    return replace(report, rows=rows)


def metric_tables(rows: Sequence[tuple[str, Sequence[MetricValue]]]) -> Iterable[Table]:
    """The page's table of the metrics of each rubric, with the counts of judgments; none without any."""
    if not any(metrics for _, metrics in rows):
        return
    rules = {value.name: value.rule for _, metrics in rows for value in metrics}
    yield Table(
        "Metrics by name",
        (
            Column("Rubric"),
            Column("Metric"),
            Column("Value", ColumnKind.RATE, "by the metric's own rule, below"),
            Column("n", ColumnKind.TEXT, "what the metric counts"),
            Column("Expected", ColumnKind.NUMBER, "judgments that the metric called for"),
            Column("Judged", ColumnKind.NUMBER, "of these, decisions"),
            Column("Missing", ColumnKind.NUMBER, "of these, failed or never come"),
            Column(
                "Unparsed", ColumnKind.NUMBER, "of these, answers without a decision, refusals among them"
            ),
        ),
        tuple(
            (
                rubric,
                name,
                value.rate,
                counted(value),
                value.expected,
                value.judged,
                value.missing,
                value.unparsed,
            )
            for rubric, metrics in rows
            for name, value in with_parts(metrics)
        ),
        note=" ".join(f"{name}: {rule}" for name, rule in rules.items()),
    )


def with_parts(metrics: Iterable[MetricValue]) -> Iterable[tuple[str, MetricValue]]:
    """The metrics by the name to show, each followed by what it is made of where that is readable."""
    for value in metrics:
        yield value.name, value
        if len(value.parts) <= MOST_PARTS:
            yield from ((f"· {part.name}", part) for part in value.parts)


def counted(value: MetricValue) -> str:
    """The n of a metric with its unit, such as ``484 groups``."""
    return f"{value.rate.n if value.rate else 0} {value.unit}"


def metric_notes(metrics: Iterable[MetricValue]) -> list[str]:
    """What is peculiar to these values, one sentence for each that has anything."""
    said = []
    for value in metrics:
        said += [f"{value.name}: {value.note}"] if value.note else []
        if value.rate is not None:  # else the whole has said already that there is nothing
            said += [f"{name}: {part.note}" for name, part in list(with_parts([value]))[1:] if part.note]
    return said
