"""Several judges, and how sure a judge is, as tables of a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from arrkit.cli.draw import percent, points, table

if TYPE_CHECKING:
    from rich.table import Table

    from arrkit.judge.report import JudgeReport


def panel_tables(report: JudgeReport) -> Iterator[Table]:
    """What each of several judges did, and how far from people what they say is, where they say it."""
    if report.ensemble is not None:
        yield _stages(report)
    held = [(row.rubric, each) for row in report.rows for each in row.calibration]
    if held:
        yield table(
            ("rubric", "calibration of", "expected error %", "too sure by", "pairs"),
            [
                (rubric, str(each.kind), percent(each.error), points(each.excess), str(each.pairs))
                for rubric, each in held
            ],
            left=2,
        )


def _stages(report: JudgeReport) -> Table:
    from arrkit.judge.choices import Ensemble

    cascade = report.ensemble is Ensemble.CASCADE
    rows = []
    for row in report.rows:
        for stage in row.stages:
            rows.append(
                (
                    row.rubric,
                    stage.judge,
                    str(stage.stats.pairs),
                    percent(stage.stats.accuracy),
                    *((percent(stage.settled), percent(stage.settled_accuracy)) if cascade else ()),
                    "–" if stage.cost is None else str(stage.cost),
                )
            )
    settled = ("settled %", "right there %") if cascade else ()
    headers = ("rubric", "judge", "pairs", "accuracy %", *settled, "per pair")
    return table(headers, rows, left=2)
