"""Several judges, and how sure a judge is, as tables and curves of a report page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from arrkit.judge.calibration import Calibration, Kind
from arrkit.judge.choices import Ensemble
from arrkit.judge.meter import PairCost
from arrkit.judge.report import JudgeReport, Row
from arrkit.runs.view import Column, ColumnKind, Curve, CurvePlot, Table

READS = {
    Kind.MARGIN: "How sure of the image ahead",
    Kind.YES: "P(yes) for each criterion and image",
}
"""What a reading of a judge is called."""

_RULES = {
    Kind.MARGIN: (
        "A margin m is read as the probability (1 + |m|) / 2 that the image ahead is better; observed is the "
        "share of people who prefer it."
    ),
    Kind.YES: (
        "Observed is the share of people who prefer the image of which the yes was said. They were not asked "
        "for criteria: this tells how well a yes foretells the preference, not whether it is true."
    ),
}

ENSEMBLES = {
    Ensemble.MAJORITY: "The choice that most judges made counts; a tie where two choices lead together.",
    Ensemble.MEAN: "The side counts that is ahead on average of the judges' margins.",
    Ensemble.CASCADE: (
        "The next judge is asked where the one before it was not sure: its two orders disagree, it decides "
        "nothing or a tie, or its margin is small."
    ),
}
"""How several judges decide, in a sentence."""


def calibration_rule(kind: Kind) -> str:
    """How a reading is compared with people, in a sentence or two."""
    return _RULES[kind]


def stage_tables(report: JudgeReport) -> Iterable[Table]:
    """What each of several judges did; none for a judge alone."""
    if report.ensemble is None:
        return
    cascade = report.ensemble is Ensemble.CASCADE
    yield Table(
        f"The judges of the {report.ensemble}",
        (
            Column("Rubric"),
            Column("Judge"),
            *(
                (
                    Column("Asked", ColumnKind.RATE, "share of all pairs that it was asked of"),
                    Column("Settled", ColumnKind.RATE, "share of these on which its word was taken"),
                )
                if cascade
                else ()
            ),
            Column("Accuracy", ColumnKind.RATE, "on the pairs that it was asked of"),
            *(
                (Column("Where settled", ColumnKind.RATE, "accuracy where its word was taken"),)
                if cascade
                else ()
            ),
            Column("Questions a pair", ColumnKind.TEXT, "shared out among all pairs"),
            Column("Tokens a pair", ColumnKind.TEXT, "in and out, shared out among all pairs"),
            Column("Cost a pair", ColumnKind.TEXT, "by the price lists, shared out among all pairs"),
        ),
        tuple(
            (
                row.rubric,
                stage.judge,
                *((stage.share, stage.settled) if cascade else ()),
                stage.stats.accuracy,
                *((stage.settled_accuracy,) if cascade else ()),
                *cost_cells(stage.cost),
            )
            for row in report.rows
            for stage in row.stages
        ),
        note=ENSEMBLES[report.ensemble],
    )


def cost_cells(cost: PairCost | None) -> tuple[str | None, str | None, str | None]:
    """Questions, tokens in and out, and dollars a pair, for people; None for what is not known."""
    if cost is None:
        return None, None, None
    read, written, dollars = cost.input_tokens, cost.output_tokens, cost.dollars
    tokens = None if read is None or written is None else f"{read + written:,.0f}"
    return f"{cost.calls:.2f}", tokens, None if dollars is None else f"${dollars:.5f}" if dollars else "$0"


def calibration_tables(rows: Sequence[Row]) -> Iterable[Table]:
    """How far from people each reading of the judge is; none where it gives no margins or scores."""
    held = [(row.rubric, each) for row in rows for each in row.calibration]
    if not held:
        return
    kinds = [kind for kind in Kind if any(each.kind is kind for _, each in held)]
    yield Table(
        "Calibration",
        (
            Column("Rubric"),
            Column("Read"),
            Column("Expected error", ColumnKind.RATE, "expected calibration error over ten bins; 0 is best"),
            Column(
                "Too sure by", ColumnKind.DIFFERENCE, "mean stated minus mean observed; below 0 too modest"
            ),
            Column("Stated", ColumnKind.NUMBER, "probabilities that were compared"),
        ),
        tuple((rubric, str(each.kind), each.error, each.excess, each.n) for rubric, each in held),
        note=" ".join(f"{kind}: {_RULES[kind]}" for kind in kinds),
    )


def reliability_plots(rows: Sequence[Row]) -> Iterable[CurvePlot]:
    """A reliability diagram for each reading, with a curve for each rubric."""
    for kind in Kind:
        curves = [_curve(row.rubric, each) for row in rows for each in row.calibration if each.kind is kind]
        if curves:
            yield CurvePlot(
                READS[kind],
                tuple(curves),
                ColumnKind.RATE,
                across="stated, %",
                low=0.0,
                high=1.0,
                line=((100 * kind.lowest, kind.lowest), (100.0, 1.0)),
                note="Observed against stated, in ten bins; on the dashed line a judge is as right as it is "
                "sure, below it too sure.",
            )


def _curve(rubric: str, found: Calibration) -> Curve:
    return Curve(
        f"{rubric}: expected error {100 * found.error.value:.1f} %",
        tuple((100 * each.stated, each.observed.value) for each in found.bins),
        tuple((each.observed.low, each.observed.high) for each in found.bins),
    )
