"""From what a command measured to the page that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from arrkit import __version__
from arrkit.commands.cards import case_card, in_threads, learned_card
from arrkit.commands.costs import cost_table
from arrkit.commands.inputs import NamedRubric
from arrkit.commands.metrics import metric_notes, metric_tables
from arrkit.commands.panel_page import ENSEMBLES, calibration_tables, reliability_plots, stage_tables
from arrkit.commands.selecting import SelectionReport, selection_notes
from arrkit.data.filters import NO_VALUE
from arrkit.judge.calls.totals import spent
from arrkit.judge.choices import Orders
from arrkit.judge.evaluate import Contender, Evaluation
from arrkit.judge.report import JudgeReport, Row, bias_verdict, circumstance, subject, undecided
from arrkit.judge.tally import accuracy_rule
from arrkit.rubric.build import Fate, Learned, LearnedRubric
from arrkit.rubric.model import Rubric
from arrkit.runs.view import (
    Chart,
    ChartRow,
    Column,
    ColumnKind,
    CriterionView,
    DimensionView,
    Page,
    RubricView,
    Table,
)

if TYPE_CHECKING:
    from arrkit.commands.build import BuildReport

SIGNIFICANT = 0.05
"""Above this p-value of McNemar's test a change is not spoken of as one, whatever its interval."""

PAGE_PAIRS = 200
"""How many pairs a page shows, most telling first; the run's journal holds all."""


def judge_page(
    command: str,
    report: JudgeReport,
    evaluation: Evaluation,
    tried: Sequence[Contender],
    rubrics: Sequence[NamedRubric],
    *,
    started_at: str,
) -> Page:
    """The page of ``judge eval``, ``judge bias`` and ``rubric verify``."""
    return Page(
        title=f"{report.judge} on {report.dataset.name}",
        command=command,
        summary=" ".join([*filter(None, [undecided(report)]), *verdict_sentences(report)]),
        generated_at=started_at,
        arrkit_version=__version__,
        facts=(
            ("Judge", report.judge),
            ("Pairs", f"{report.dataset.name}, {report.dataset.pairs} judged"),
            ("Orders", str(report.orders)),
            ("Seed", str(report.seed)),
        ),
        tables=(
            accuracy_table(report),
            *metric_tables([(row.rubric, row.metrics) for row in report.rows]),
            cost_table(report),
            bias_table(report),
            *stage_tables(report),
            *calibration_tables(report.rows),
            coverage_table(report),
            *group_tables(report),
        ),
        charts=(accuracy_chart(report.rows),),
        curves=tuple(reliability_plots(report.rows)),
        rubrics=tuple(rubric_view(each.rubric, each.digest) for each in rubrics),
        pairs=in_threads(partial(case_card, tried=tried), evaluation.cases),
        pairs_total=evaluation.pairs,
        notes=notes(report),
    )


def build_page(
    learned: LearnedRubric,
    result: BuildReport,
    report: JudgeReport | None,
    evaluation: Evaluation | None,
    started_at: str,
) -> Page:
    """The page of ``rubric build``: the rubric, how it did, and what became of each pair."""
    counts = learned.counts
    rubric = result.rubric
    tried = [Contender("none"), Contender(rubric.name, rubric.dimensions, result.digest)]
    held_card = partial(case_card, tried=tried, state="held out")
    held = in_threads(held_card, evaluation.cases) if evaluation else ()
    explained = counts.passed + counts.refined
    learned_sentence = (
        f"{len(rubric)} criteria in {len(rubric.dimensions)} dimensions, learned from {counts.seen} pairs: "
        f"the criteria of {explained} recovered the human choice ({counts.passed} at once, "
        f"{counts.refined} after refinement), {counts.discarded} pairs were discarded."
    )
    return Page(
        title=f"The rubric {rubric.name}",
        command="rubric build",
        summary=" ".join(
            [
                learned_sentence,
                *(verdict_sentences(report) if report else ["No pairs were held back to measure it on."]),
            ]
        ),
        generated_at=started_at,
        arrkit_version=__version__,
        facts=(
            ("Task", str(rubric.task)),
            ("Generator", rubric.provenance.generator),
            ("Verifier", rubric.provenance.verifier),
            *((("Pairs", result.chosen),) if result.chosen else ()),
            ("Rubric file", result.path),
            ("Digest", result.digest),
        ),
        tables=(
            Table(
                "What became of the build pairs",
                (
                    Column("Fate"),
                    Column("Pairs", ColumnKind.NUMBER),
                ),
                (
                    ("explained at once", counts.passed),
                    ("explained after refinement", counts.refined),
                    ("discarded", counts.discarded),
                    ("postponed (judge trouble)", counts.postponed),
                    ("ties, left out", result.ties),
                ),
            ),
            *((accuracy_table(report), bias_table(report)) if report else ()),
            *((selection_table(result.selection),) if result.selection else ()),
        ),
        charts=(accuracy_chart(report.rows),) if report else (),
        rubrics=(rubric_view(rubric, result.digest),),
        pairs=in_threads(learned_card, sorted(learned.learned, key=_troublesome)[:PAGE_PAIRS]) + held,
        pairs_total=counts.seen + (evaluation.pairs if evaluation else 0),
        notes=(
            *(selection_notes(result.selection) if result.selection else ()),
            *left_out_note(result.left_out),
            *(notes(report) if report else ()),
        ),
    )


def _troublesome(learned: Learned) -> int:
    return [Fate.DISCARDED, Fate.POSTPONED, Fate.REFINED, Fate.PASSED].index(learned.fate)


def verdict_sentences(report: JudgeReport) -> list[str]:
    """What the report comes to: the change that each rubric makes or the accuracy without one, and the bias
    where both orders were shown.
    """
    sentences = []
    alone = report.rows[0].stats.accuracy
    if len(report.rows) == 1 and alone is not None:
        sentences.append(
            f"{circumstance(report.rows[0])} the judge agrees with people on {alone.value * 100:.1f} % of "
            f"the pairs (95 % interval {alone.low * 100:.1f} to {alone.high * 100:.1f}; chance is 50)."
        )
    first = report.rows[0]
    than = f" than under the rubric {first.rubric}" if first.digest else ""
    for row in report.rows:
        if row.change is None or row.change.difference is None:
            continue
        change, said = row.change.difference, subject(row)
        low, high = change.low * 100, change.high * 100
        size = f"{change.value * 100:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"
        if row.change.p > SIGNIFICANT or low <= 0 <= high:
            sentences.append(
                f"Whether {said[0].lower()}{said[1:]} helps cannot be told from these pairs ({size})."
            )
            continue
        often = "more" if low > 0 else "less"
        sentences.append(f"{said} makes the judge agree with people {often} often{than} ({size}).")
    sentences += [bias_verdict(row) for row in report.rows if row.stats.consistency is not None]
    return sentences


def notes(report: JudgeReport) -> tuple[str, ...]:
    """What a reader must know to trust the numbers."""
    said = [accuracy_rule(report.tie_credit)]
    if any(row.metrics for row in report.rows):
        said += dict.fromkeys(note for row in report.rows for note in metric_notes(row.metrics))
        if report.orders in (Orders.FORWARD, Orders.REVERSE):
            said.append(
                "The order of each pair was chosen by its label: no metric by name is what its authors mean."
            )
    if report.seen:
        said.append(
            f"{report.seen} of the {report.dataset.pairs} pairs shaped a rubric that is judged here: "
            "on these its accuracy is not held out."
        )
    for name, values in report.rows[0].groups.items():
        if set(values) == {NO_VALUE}:
            said.append(f'No pair has the metadata field "{name}".')
    said += left_out_note(report.left_out)
    if report.skipped:
        first = report.skipped[0]
        pairs = "1 pair was" if len(report.skipped) == 1 else f"{len(report.skipped)} pairs were"
        said.append(
            f"{pairs} skipped, since an image could not be read; the first: {first.origin}: {first.reason}"
        )
    if report.ensemble is not None:
        said.append(f"Judged by a {report.ensemble}. {ENSEMBLES[report.ensemble]}")
    if report.scoring:
        ways = ", ".join(f"{way} ({count})" for way, count in report.scoring.items())
        said.append(f"The judge was asked by {ways}.")
    if report.low_mass:
        said.append(
            f"{report.low_mass} answers are not to be relied on: the model gave little probability to "
            "the words that it was asked for."
        )
    if report.calls is not None:
        said.append(f"This start: {spent(report.calls)}")
    return tuple(said)


def left_out_note(left_out: Mapping[str, int]) -> list[str]:
    """One sentence on what was not taken of the dataset and why; none where all was."""
    said = ", ".join(f"{reason} ({count:,})" for reason, count in left_out.items())
    return [f"Left out of the dataset, with the reason: {said}."] if said else []


def accuracy_table(report: JudgeReport) -> Table:
    """Accuracy of each row and what it changes against the first."""
    return Table(
        "Agreement with people",
        (
            Column("Rubric"),
            Column("Accuracy", ColumnKind.RATE, accuracy_rule(report.tie_credit)),
            Column(
                "Change", ColumnKind.DIFFERENCE, "paired difference to the first row, bootstrap over pairs"
            ),
            Column("p", ColumnKind.TEXT, "McNemar's exact test, two-sided"),
            Column("Right in both orders", ColumnKind.RATE),
            Column("Kappa", ColumnKind.NUMBER, "Cohen's kappa between judge and people"),
        ),
        tuple(
            (
                row.rubric,
                row.stats.accuracy,
                row.change.difference if row.change else None,
                _p_value(row.change.p) if row.change else None,
                row.stats.both_right,
                row.stats.kappa,
            )
            for row in report.rows
        ),
    )


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def bias_table(report: JudgeReport) -> Table:
    """The position-bias table of the literature."""
    return Table(
        "Position bias",
        (
            Column("Rubric"),
            Column("Forward", ColumnKind.RATE, "accuracy with the preferred image shown first"),
            Column("Reverse", ColumnKind.RATE, "accuracy with the preferred image shown second"),
            Column("Avg", ColumnKind.RATE, "mean of forward and reverse"),
            Column("Gap", ColumnKind.DIFFERENCE, "forward minus reverse; 0 is unbiased"),
            Column("Consistency", ColumnKind.RATE, "share of pairs where both orders name the same image"),
            Column(
                "First rate",
                ColumnKind.RATE,
                "share of answers that name the image shown first; 50 % is unbiased",
            ),
        ),
        tuple(
            (
                row.rubric,
                row.stats.forward,
                row.stats.reverse,
                row.stats.mean,
                row.stats.gap,
                row.stats.consistency,
                row.stats.first_rate,
            )
            for row in report.rows
        ),
    )


def coverage_table(report: JudgeReport) -> Table:
    """How every judgment ended."""
    outcomes = list(report.rows[0].stats.outcomes)
    return Table(
        "How the judgments ended",
        (
            Column("Rubric"),
            Column("Coverage", ColumnKind.RATE, "judgments that ended as ok or tie"),
            *(Column(str(outcome), ColumnKind.NUMBER) for outcome in outcomes),
        ),
        tuple(
            (row.rubric, row.stats.coverage, *(row.stats.outcomes[outcome] for outcome in outcomes))
            for row in report.rows
        ),
    )


def selection_table(selection: SelectionReport) -> Table:
    """Accuracy against the number of criteria kept."""
    return Table(
        "Accuracy against the number of criteria",
        (
            Column("Criteria", ColumnKind.NUMBER),
            Column("Selection pairs", ColumnKind.RATE, "accuracy on the pairs that the choice went by"),
            Column("Held out", ColumnKind.RATE, "accuracy on the pairs held back"),
            Column("Right in both orders", ColumnKind.RATE, "on the pairs held back"),
            Column("By support", ColumnKind.RATE, "accuracy held out of as many best supported criteria"),
        ),
        tuple(
            (
                f"{each.criteria} (kept)" if each.criteria == selection.kept else each.criteria,
                each.seen,
                each.held_out,
                each.both_right,
                each.support,
            )
            for each in selection.rows
        ),
    )


def group_tables(report: JudgeReport) -> Iterable[Table]:
    """Accuracy by each metadata field that was asked for."""
    for name in report.rows[0].groups:
        values = list(report.rows[0].groups[name])
        yield Table(
            f"Accuracy by {name}",
            (Column(name), *(Column(row.rubric, ColumnKind.RATE) for row in report.rows)),
            tuple((value, *(row.groups[name][value].accuracy for row in report.rows)) for value in values),
        )


def accuracy_chart(rows: Sequence[Row]) -> Chart:
    """Accuracy of each row with its interval, against chance."""
    return Chart(
        "Accuracy",
        tuple(
            ChartRow(row.rubric, row.stats.accuracy, muted=not row.digest and row.protocol.takes_rubrics)
            for row in rows
            if row.stats.accuracy is not None
        ),
    )


def rubric_view(rubric: Rubric, digest: str) -> RubricView:
    """A rubric as the page draws it."""
    return RubricView(
        rubric.name,
        rubric.version,
        digest,
        str(rubric.task),
        tuple(
            DimensionView(
                dimension.name,
                tuple(
                    CriterionView(each.statement, each.guidance, each.weight, len(each.source_pairs))
                    for each in dimension.criteria
                ),
                dimension.description,
            )
            for dimension in rubric.dimensions
        ),
        rubric.description,
    )
