"""Metrics by name: which ones a command was asked for, and what saved judgments come to under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from arrkit.backends.listing import Group, find_plugin
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.commands.options import DataOptions, EvalOptions
from arrkit.errors import InputError
from arrkit.judge.answered import read_judgments
from arrkit.judge.metrics import OFFICIAL, Metric, find_metrics
from arrkit.judge.report import JudgeReport


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
