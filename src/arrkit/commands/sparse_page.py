"""The page of ``rubric build --method sparse``: the weights, the path, the rounds, the hard pairs."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from arrkit import __version__
from arrkit.commands.cards import case_card, in_threads
from arrkit.commands.pages import (
    accuracy_chart,
    accuracy_table,
    bias_table,
    left_out_note,
    notes,
    rubric_view,
    verdict_sentences,
)
from arrkit.judge.evaluate import Contender, Evaluation
from arrkit.judge.report import JudgeReport
from arrkit.rubric.model import Learning, Rate, Rubric
from arrkit.rubric.sparse.learn import LearnedSparse
from arrkit.rubric.sparse.mining import Bucket
from arrkit.runs.view import Column, ColumnKind, Curve, CurvePlot, Page, Table

if TYPE_CHECKING:
    from arrkit.commands.build import BuildReport

MOST_CURVES = 5
"""Weights that the path is drawn for, the heaviest of the rubric."""
MOST_HARD = 100
"""Hard pairs that the page lists; the run's journal holds all."""

BUCKETS = {
    Bucket.LARGE: "wrong by a large margin",
    Bucket.SMALL: "wrong by a small margin",
    Bucket.HIGH: "wrong at high rewards",
}


def learning_sentences(learning: Learning) -> list[str]:
    """What learning came to: what was kept of what, and how the weighted score did on held-out pairs."""
    last = len(learning.rounds)
    rounds = f"{last} round{'s' if last != 1 else ''}"
    kept = f"Kept {len(learning.weights)} of {learning.candidates} candidates after {rounds}"
    said = [f"{kept} (C = {learning.c:.3g})."]
    best = max((each.validation for each in learning.rounds if each.validation), key=_value, default=None)
    if best is not None:
        said.append(
            f"The weighted score ranks {best.value * 100:.1f} % of {best.n} validation pairs as people did "
            f"(95 % interval {best.low * 100:.1f} to {best.high * 100:.1f})."
        )
    held = learning.held_out
    if held is not None:
        rate, gain = held.accuracy, held.difference
        said.append(
            f"On {rate.n} pairs held back it is {rate.value * 100:.1f} % (95 % interval "
            f"{rate.low * 100:.1f} to {rate.high * 100:.1f}), {gain.value * 100:+.1f} points against equal "
            f"weights ({gain.low * 100:+.1f} to {gain.high * 100:+.1f})."
        )
    return said


def sparse_page(
    learned: LearnedSparse,
    result: BuildReport,
    report: JudgeReport | None,
    evaluation: Evaluation | None,
    started_at: str,
) -> Page:
    """The page of one build."""
    rubric = result.rubric
    learning = rubric.learning or learned.learning
    tried = [Contender("none"), Contender(rubric.name, rubric.dimensions, result.digest)]
    held_card = partial(case_card, tried=tried, state="held out")
    return Page(
        title=f"The rubric {rubric.name}",
        command="rubric build",
        summary=" ".join([*learning_sentences(learning), *(verdict_sentences(report) if report else [])]),
        generated_at=started_at,
        arrkit_version=__version__,
        facts=(
            ("Task", str(rubric.task)),
            ("Method", "sparse"),
            ("Judge", learning.judge),
            *((("Pairs", result.chosen),) if result.chosen else ()),
            ("Rubric file", result.path),
            ("Digest", result.digest),
        ),
        tables=(
            *_held_tables(learning),
            *((accuracy_table(report), bias_table(report)) if report else ()),
            _rounds_table(learning),
            _hard_table(learned),
        ),
        charts=(accuracy_chart(report.rows),) if report else (),
        curves=_plots(rubric, learning),
        rubrics=(rubric_view(rubric, result.digest),),
        pairs=in_threads(held_card, evaluation.cases) if evaluation else (),
        pairs_total=evaluation.pairs if evaluation else 0,
        notes=(*left_out_note(result.left_out), *(notes(report) if report else ())),
    )


def _held_tables(learning: Learning) -> tuple[Table, ...]:
    held = learning.held_out
    if held is None:
        return ()
    return (
        Table(
            "The weighted score on pairs held back",
            (
                Column("Weights"),
                Column("Accuracy", ColumnKind.RATE, "pairs whose preferred image has the higher score"),
                Column("Change", ColumnKind.DIFFERENCE, "paired difference, bootstrap over pairs"),
            ),
            (("equal", held.uniform, None), ("learned", held.accuracy, held.difference)),
        ),
    )


def _rounds_table(learning: Learning) -> Table:
    return Table(
        "Rounds of learning",
        (
            Column("Round", ColumnKind.NUMBER),
            Column("Candidates", ColumnKind.NUMBER),
            Column("Kept", ColumnKind.NUMBER),
            Column("Training", ColumnKind.RATE, "training pairs ranked as people did"),
            Column("Validation", ColumnKind.RATE, "validation pairs ranked as people did"),
            Column("Loss", ColumnKind.NUMBER, "mean logistic loss on validation pairs"),
            *(Column(said.capitalize(), ColumnKind.NUMBER, "pairs looked at") for said in BUCKETS.values()),
            Column("New candidates", ColumnKind.NUMBER),
        ),
        tuple(
            (
                each.round,
                each.candidates,
                each.kept,
                each.train,
                each.validation,
                round(each.loss, 3),
                *(each.mined.get(str(bucket), 0) for bucket in BUCKETS),
                each.fresh,
            )
            for each in learning.rounds
        ),
    )


def _hard_table(learned: LearnedSparse) -> Table:
    return Table(
        "Hard pairs, and what the rubric was found to miss on them",
        (Column("Pair"), Column("Why"), Column("What is missing")),
        tuple(
            (heard.pair.id, BUCKETS[bucket], heard.diagnosis or heard.trouble)
            for bucket, heard in learned.mined[:MOST_HARD]
        ),
    )


def _plots(rubric: Rubric, learning: Learning) -> tuple[CurvePlot, ...]:
    heaviest = sorted(learning.weights, key=lambda name: -learning.weights[name])[:MOST_CURVES]
    words = {criterion.id: criterion.statement for criterion in rubric.criteria()}
    path = CurvePlot(
        "Weights along the path",
        tuple(
            Curve(
                words.get(name, name),
                tuple((math.log10(step.c), step.weights.get(name, 0.0)) for step in learning.path),
            )
            for name in heaviest
        ),
        across="log10 C: the penalty weakens to the right",
    )
    curves = []
    for label, field in (("training", "train"), ("validation", "validation")):
        rates: list[tuple[int, Rate]] = [
            (each.round, rate) for each in learning.rounds if (rate := getattr(each, field)) is not None
        ]
        curves.append(
            Curve(
                label,
                tuple((float(number), rate.value) for number, rate in rates),
                tuple((rate.low, rate.high) for _, rate in rates),
            )
        )
    rounds = CurvePlot("Accuracy by round", tuple(curves), ColumnKind.RATE, across="round", reference=0.5)
    return (path, rounds)


def _value(rate: Rate) -> float:
    return rate.value
