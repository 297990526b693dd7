"""``judge eval`` and ``judge bias``: measure a judge on pairs, with and without rubrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from arrkit.canonical import Json
from arrkit.commands.inputs import (
    NO_RUBRIC,
    ZERO_SHOT,
    NamedRubric,
    contenders,
    open_dataset,
    open_rubrics,
)
from arrkit.commands.judges import Bench, ChosenJudge
from arrkit.commands.metrics import chosen_metrics, with_metrics
from arrkit.commands.options import AskingOptions, BiasOptions, EvalOptions
from arrkit.commands.pages import PAGE_PAIRS, judge_page
from arrkit.commands.panels import ChosenPanel, PanelBench, open_panel
from arrkit.commands.runs import open_run
from arrkit.commands.sources import check_fields
from arrkit.concurrency import run_sync
from arrkit.data.filters import left_out
from arrkit.data.pairs import PairDataset
from arrkit.errors import InputError, RunError
from arrkit.judge.answered import JUDGMENTS, Answered, write_judgments
from arrkit.judge.calls.dry import Forecast
from arrkit.judge.choices import Orders
from arrkit.judge.ensemble import Panel
from arrkit.judge.evaluate import Contender, Evaluation, judge_pairs
from arrkit.judge.metrics import Metric
from arrkit.judge.protocol import Judge
from arrkit.judge.report import JudgeReport, make_rows
from arrkit.options import identity
from arrkit.progress import Progress, Watch, unwatched
from arrkit.rubric.model import DatasetRef
from arrkit.runs.folder import RunFolder
from arrkit.runs.page import write_page
from arrkit.serial import to_json


def evaluate_judge(
    options: EvalOptions,
    *,
    judge: Judge | None = None,
    pairs: PairDataset | None = None,
    watch: Watch = unwatched,
) -> JudgeReport:
    """Measure how often a judge agrees with people, under each rubric and without one.

    Args:
        options: what to measure; see each field.
        judge, pairs: ready-made ones, instead of those that the options name.
        watch: is told of the progress.

    Returns:
        The report, which the run folder also holds as ``report.json`` and ``report.html``.

    Raises:
        InputError: something that the options name cannot be used. Nothing was sent to a judge.
        RunError: no pair could be read, or the judge gave no answer at all.
    """
    return _measure("judge eval", options, options.orders, options.by, judge, pairs, watch)


def measure_bias(
    options: BiasOptions,
    *,
    judge: Judge | None = None,
    pairs: PairDataset | None = None,
    watch: Watch = unwatched,
) -> JudgeReport:
    """Measure how much a judge's choice depends on which image it sees first.

    Arguments, result and errors are those of :func:`evaluate_judge`; each pair is shown in both orders.
    """
    return _measure("judge bias", options, Orders.BOTH, (), judge, pairs, watch)


def _measure(
    command: str,
    options: EvalOptions | BiasOptions,
    orders: Orders,
    by: Sequence[str],
    judge: Judge | None,
    pairs: PairDataset | None,
    watch: Watch,
) -> JudgeReport:
    subject = _subject(options, judge, pairs)
    with (
        open_run(command, subject.known, options.out, force=options.force) as run,
        subject.judge.at_work(run) as bench,
    ):
        with write_judgments(run.path / JUDGMENTS) as save:
            report, evaluation = run_sync(
                measure(
                    bench,
                    subject.dataset,
                    subject.tried,
                    options,
                    orders=orders,
                    by=by,
                    tie_credit=options.tie_credit,
                    rubrics=subject.rubrics,
                    watch=watch,
                    run=run,
                    save=save,
                )
            )
        report = with_metrics(report, run.path / JUDGMENTS, subject.metrics)
        run.write_json("report.json", to_json(report, defaults=True))
        write_page(
            judge_page(
                command, report, evaluation, subject.tried, subject.rubrics, started_at=run.started_at
            ),
            run.path / "report.html",
        )
    return report


@dataclass(frozen=True, slots=True)
class _Subject:
    """All that a measurement is of, and what decides its results."""

    judge: ChosenJudge | ChosenPanel
    dataset: PairDataset
    rubrics: list[NamedRubric]
    tried: list[Contender]
    known: dict[str, Json]
    metrics: tuple[Metric, ...]


def _subject(options: EvalOptions | BiasOptions, judge: Judge | None, pairs: PairDataset | None) -> _Subject:
    rubrics = open_rubrics(options.rubric)
    chosen = open_panel(options, ready=judge)
    task = rubrics[0].rubric.task if rubrics else None
    dataset = pairs if pairs is not None else open_dataset(options, task=task, split="test")
    check_fields(dataset, options.by if isinstance(options, EvalOptions) else ())
    zero_shot = options.criteria if ZERO_SHOT in options.rubric else 0
    known = identity(options) | {
        "judge": chosen.name,
        "dataset": dataset.name,
        "rubric": [each.digest for each in rubrics] + [f"{ZERO_SHOT}:{zero_shot}"] * bool(zero_shot),
    }
    protocols = options.protocol if isinstance(options, EvalOptions) else ()
    tried = contenders(
        rubrics,
        baseline=options.baseline or NO_RUBRIC in options.rubric,
        zero_shot=zero_shot,
        protocols=protocols,
        items=options.criteria,
    )
    metrics = chosen_metrics(options, ready=pairs is not None) if isinstance(options, EvalOptions) else ()
    check_fields(dataset, [field for each in metrics for field in each.asked], "--metric")
    return _Subject(chosen, dataset, rubrics, tried, known, metrics)


def forecast_judge(options: EvalOptions | BiasOptions) -> Forecast:
    """What :func:`evaluate_judge` or :func:`measure_bias` would send and cost. Nothing is sent.

    Raises:
        InputError: something that the options name cannot be used, or the judge sends nothing anyway.
    """
    subject = _subject(options, None, None)
    orders = options.orders if isinstance(options, EvalOptions) else Orders.BOTH
    return foresee(subject.judge, subject.dataset, subject.tried, orders=orders, seed=options.seed)


def foresee(
    judge: ChosenJudge | ChosenPanel,
    dataset: PairDataset,
    tried: Sequence[Contender],
    *,
    orders: Orders,
    seed: int,
) -> Forecast:
    """What judging ``dataset`` would send and cost; ``InputError`` for a judge that sends nothing."""

    async def count() -> None:
        try:
            await judge_pairs(panel, dataset, tried, orders=orders, seed=seed)
        finally:
            await panel.aclose()

    with judge.on_paper() as (asked, forecast):
        panel = asked if isinstance(asked, Panel) else Panel((asked,))
        run_sync(count())
        return forecast


async def measure(
    bench: Bench | PanelBench,
    dataset: PairDataset,
    tried: Sequence[Contender],
    options: AskingOptions,
    *,
    orders: Orders,
    tie_credit: float,
    rubrics: Sequence[NamedRubric] = (),
    by: Sequence[str] = (),
    watch: Watch = unwatched,
    run: RunFolder | None = None,
    stage: str = "judging",
    save: Callable[[Answered], None] = lambda _: None,
) -> tuple[JudgeReport, Evaluation]:
    """Judge a dataset and make the report: what ``eval``, ``bias``, ``verify`` and ``build`` share.

    ``save`` is given each judgment, in the order of the data.
    """
    panel = bench.panel
    total = dataset.size()
    before = Counter(panel.outcomes)
    shaped = {digest for each in rubrics for digest in each.rubric.provenance.build_pairs}

    def tell(evaluation: Evaluation) -> None:
        done = evaluation.pairs + len(evaluation.skipped)
        ends = {str(outcome): count for outcome, count in (panel.outcomes - before).items()}
        watch(Progress(stage, done, total, ends))

    try:
        evaluation = await judge_pairs(
            panel,
            dataset,
            tried,
            orders=orders,
            by=by,
            seed=options.seed,
            window=bench.window,
            strict=options.strict,
            keep_cases=PAGE_PAIRS,
            shaped=shaped,
            on_pair=tell,
            on_saved=save,
        )
    finally:
        await panel.aclose()
    if evaluation.pairs == 0:
        first = evaluation.skipped[0]
        raise RunError(
            f"none of the {len(evaluation.skipped)} pairs of {dataset.name} could be read",
            hint=f"The first: {first.origin}: {first.reason}",
        )
    if not any(count for tally in evaluation.tallies for end, count in tally.outcomes.items() if end.settled):
        asked = sum(tally.expected for tally in evaluation.tallies)
        raise RunError(
            f"{panel.name} gave no answer in {asked} judgments",
            hint=f"The first ended as {evaluation.trouble}",
        )
    report = JudgeReport(
        judge=panel.name,
        dataset=DatasetRef(dataset.name, f"sha256:{evaluation.digest}", evaluation.pairs),
        orders=orders,
        tie_credit=tie_credit,
        seed=options.seed,
        rows=make_rows(evaluation, tried, panel, tie_credit=tie_credit, seed=options.seed),
        skipped=tuple(evaluation.skipped),
        left_out=left_out(dataset),
        seen=evaluation.shaped,
        trouble=evaluation.trouble,
        asked=panel.asked,
        replayed=panel.replayed,
        run=str(run.path) if run else "",
        scoring=dict(panel.scorings),
        low_mass=panel.low_mass,
        calls=bench.totals,
        remarks=bench.remarks,
        ensemble=panel.rule,
    )
    if all(row.stats.pairs == row.stats.ties for row in report.rows):
        raise InputError(
            f"people called every pair of {dataset.name} a tie, so no judge can be right or wrong on it"
        )
    return report, evaluation
