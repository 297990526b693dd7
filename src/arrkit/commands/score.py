"""``judge score``: metrics of answers that were made elsewhere. No judge is asked and no image is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from arrkit.commands.inputs import open_dataset
from arrkit.commands.metrics import official_rule
from arrkit.commands.options import ScoreOptions
from arrkit.data.filters import left_out, unfiltered
from arrkit.data.pairs import PairDataset
from arrkit.errors import InputError, Problem
from arrkit.judge.matching import Matched, match_replies
from arrkit.judge.metrics import Metric, MetricValue, find_metrics
from arrkit.judge.replies import Replies, labelled_answers, read_replies

NAMED = 20
"""How many ids of a kind of trouble a report names."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """How many ids are of one kind, and the first of them."""

    count: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The answers under one rubric, whose name is empty where the file has none.

    ``missing`` pairs have no answer, ``unknown`` answers have no pair, and the label of ``relabelled`` pairs
    is not the one beside their answer: the dataset's counts.
    """

    rubric: str
    pairs: int
    metrics: tuple[MetricValue, ...]
    missing: Trouble = Trouble()
    unknown: Trouble = Trouble()
    relabelled: Trouble = Trouble()


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """What answers come to. ``dataset`` is empty where the file's own labels served.

    ``placed`` says that answers were put to pairs by their place; ``repeated`` rows say what an earlier row
    says.
    """

    judgments: str
    dataset: str
    rows: tuple[ScoreRow, ...]
    placed: bool = False
    repeated: Trouble = Trouble()


def score_judgments(options: ScoreOptions) -> ScoreReport:
    """Count the answers of a file by each metric.

    With ``--dataset`` or ``--pairs`` the pairs have the labels, and each without an answer is a missing one;
    without either the labels must stand in the file.

    Raises:
        InputError: the file or the pairs cannot be read, a metric is unknown, nothing fits; with ``strict``,
            a pair without an answer or an answer without a pair.
    """
    replies = read_replies(options.judgments.expanduser())
    named = options.pairs is not None or bool(options.dataset)
    metrics = find_metrics(
        options.metric,
        official=official_rule(options) if named else "",
        seed=options.seed,
        threshold=options.threshold,
    )
    if named:
        _refuse_moved(options, replies)
        # Whether images are there is nobody's concern here.
        dataset = open_dataset(replace(options, strict=False), task=None, split="test")
        fields = {field for metric in metrics for field in metric.fields}
        thinned = bool(options.where) or options.min_confidence is not None
        matched = match_replies(dataset, replies, fields=fields, thinned=thinned)
        _refuse_shifted(dataset, replies)
        if options.strict:
            _refuse(matched)
        rows = [_row(each, metrics) for each in matched]
        name = dataset.name
    else:
        rows, name = _unmatched(replies, metrics), ""
    return ScoreReport(
        str(options.judgments), name, tuple(rows), replies.placed and named, _trouble(replies.repeated)
    )


def _refuse_moved(options: ScoreOptions, replies: Replies) -> None:
    if replies.placed and (options.where or options.min_confidence is not None or options.sample is not None):
        raise InputError(
            f"{replies.name} has no ids, and its answers go by their place among all pairs",
            hint="Leave out --where, --min-confidence and --sample, which move the pairs.",
        )


def _refuse_shifted(dataset: PairDataset, replies: Replies) -> None:
    """A row that the dataset left out would shift all answers after it to the pair behind their own."""
    dataset = unfiltered(dataset)
    if replies.placed and (lost := sum(left_out(dataset).values())):
        rows = "1 row" if lost == 1 else f"{lost} rows"
        raise InputError(
            f"{replies.name} has no ids, and its answers go by their place among all pairs, of which "
            f"{dataset.name} leaves out {rows}",
            hint="Give each answer the id of its pair.",
        )


def _unmatched(replies: Replies, metrics: Sequence[Metric]) -> list[ScoreRow]:
    if not replies.labelled:
        raise InputError(
            f"{replies.name} does not say what people preferred",
            hint="Name the pairs that it answers for with --dataset or --pairs.",
        )
    rows = []
    for rubric in replies.by_rubric:
        answers = tuple(labelled_answers(replies, rubric))
        rows.append(_row(Matched(rubric, answers), metrics))
    return rows


def _row(matched: Matched, metrics: Sequence[Metric]) -> ScoreRow:
    return ScoreRow(
        matched.rubric,
        len(matched.answers),
        tuple(metric(matched.answers) for metric in metrics),
        _trouble(matched.missing),
        _trouble(matched.unknown),
        _trouble(matched.relabelled),
    )


def _trouble(ids: Iterable[str]) -> Trouble:
    held = tuple(ids)
    return Trouble(len(held), held[:NAMED])


def _refuse(matched: Iterable[Matched]) -> None:
    problems = [
        problem
        for each in matched
        for problem in (
            *(Problem(f'the pair "{name}" has no answer') for name in each.missing),
            *(Problem(f'"{name}" is the id of no pair') for name in each.unknown),
        )
    ]
    if problems:
        raise InputError(problems, closing="Nothing was scored.")


def troubles(report: ScoreReport) -> list[str]:
    """What does not fit, a sentence for each kind and rubric, with the first ids."""
    said = []
    for row in report.rows:
        under = f"{row.rubric}: " if row.rubric and len(report.rows) > 1 else ""
        kinds = (
            (row.missing, "without an answer"),
            (row.unknown, "in the file that is no pair's"),
            (row.relabelled, "with another label in the file; the dataset's counts"),
        )
        for trouble, what in kinds:
            if trouble.count:
                said.append(f"{under}{_these(trouble)} {what}: {_names(trouble)}")
    if report.repeated.count:
        said.append(f"{_these(report.repeated)} said twice, and counted once: {_names(report.repeated)}")
    return said


def _these(trouble: Trouble) -> str:
    return "1 id" if trouble.count == 1 else f"{trouble.count} ids"


def _names(trouble: Trouble) -> str:
    more = ", ..." if trouble.count > 5 else ""
    return ", ".join(trouble.first[:5]) + more
