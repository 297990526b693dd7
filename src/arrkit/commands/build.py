"""``rubric build``: from preference pairs to a verified, versioned rubric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from arrkit import __version__
from arrkit.backends.spec import Spec
from arrkit.canonical import digest
from arrkit.commands.evaluate import measure
from arrkit.commands.inputs import LEARNING, NamedRubric, contenders, open_dataset, open_judge
from arrkit.commands.judges import Bench
from arrkit.commands.made import Made
from arrkit.commands.options import BuildOptions, Method, Seeds, Select, VerifyOrders
from arrkit.commands.pages import build_page
from arrkit.commands.runs import open_run
from arrkit.commands.seeds import Split, choose_split
from arrkit.commands.selecting import Selection, SelectionReport, divide_build, forecast_selection
from arrkit.commands.sparse import SEED_PAIRS, ask_sparse, make_sparse
from arrkit.concurrency import run_bounded, run_sync
from arrkit.data.filters import left_out
from arrkit.data.pairs import ImageUnreadable, PairDataset, PreferencePair, Task
from arrkit.errors import InputError
from arrkit.judge.calls.dry import Forecast
from arrkit.judge.choices import Orders
from arrkit.judge.evaluate import Contender, Evaluation, Skipped, judge_pairs
from arrkit.judge.paper import PaperSession, stand_ins
from arrkit.judge.protocol import Judge, Order, StructureRequest, compare_request, draft_dimensions
from arrkit.judge.report import JudgeReport
from arrkit.judge.tally import TIE_CREDIT
from arrkit.options import identity
from arrkit.progress import Progress, Watch, unwatched
from arrkit.rubric.build import CANDIDATES, LearnedRubric, Recipe, learn_rubric, propose_request
from arrkit.rubric.files import rubric_digest, write_rubric
from arrkit.rubric.model import DatasetRef, Metrics, Provenance, Rubric, slug
from arrkit.runs.folder import RunFolder, run_path
from arrkit.runs.page import write_page
from arrkit.serial import to_json


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What ``rubric build`` made: the rubric, where it is, and how it did on the pairs held back.

    ``held_out`` is None where no pairs that people decided were held back. ``skipped`` are the pairs with an
    image that could not be read. ``ties`` pairs were left out, since a tie gives nothing to explain.
    ``chosen`` says how the pairs were chosen, where not all were taken; ``left_out`` counts the rows and
    pairs of the dataset that were out before that, by reason. ``selection`` says how criteria were chosen
    from the verified ones, where not all were taken.
    """

    rubric: Rubric
    digest: str
    path: str
    held_out: JudgeReport | None
    ties: int
    skipped: tuple[Skipped, ...]
    asked: int
    replayed: int
    run: str
    chosen: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    selection: SelectionReport | None = None


def build_rubric(
    options: BuildOptions,
    *,
    judge: Judge | None = None,
    pairs: PairDataset | None = None,
    watch: Watch = unwatched,
) -> BuildReport:
    """Learn a rubric from preference pairs, and measure it on pairs held back.

    Args:
        options: what to build from and how; see each field.
        judge, pairs: ready-made ones, instead of those that the options name.
        watch: is told of the progress.

    Raises:
        InputError: something that the options name cannot be used. Nothing was sent to a judge.
        RunError: the judge gave no criteria that recover the human choice.
    """
    options = _settled(options)
    chosen = open_judge(options, ready=judge, findings=_findings(options))
    dataset = pairs if pairs is not None else _pairs(options)
    task = _task(options, dataset)
    out = options.out or Path(f"rubric-{task}.json")
    name = options.name or _name(options, dataset)
    known = identity(options) | {
        "judge": chosen.name,
        "dataset": dataset.name,
        "task": str(task),
        "name": name,
    }
    _refuse_other(out, run_path("rubric build", known), force=options.force)
    with open_run("rubric build", known, None) as run, chosen.at_work(run) as bench:
        split = choose_split(dataset, task, options)
        if not split.build:
            raise _nothing_to_learn_from(dataset, split)
        divide_build(options, task, split)
        return run_sync(_build(options, bench, dataset, task, split, out, run, watch))


def forecast_build(options: BuildOptions) -> Forecast:
    """What :func:`build_rubric` would send and cost if every first proposal passed. Nothing is sent.

    Each refinement, at most ``max_refine`` for a pair, sends up to three more requests. Of the method
    ``sparse`` it is the first round, see :func:`~arrkit.commands.sparse.ask_sparse`.

    Raises:
        InputError: something that the options name cannot be used, or the judge sends nothing anyway.
    """
    options = _settled(options)
    chosen = open_judge(options, findings=_findings(options))
    dataset = _pairs(options)
    task = _task(options, dataset)
    split = choose_split(dataset, task, options)
    recipe = _recipe(options)
    imagined = stand_ins(options.criteria)

    async def ask(session: PaperSession, pair: PreferencePair) -> None:
        try:
            proposal = await session.propose(propose_request(pair, recipe))
            dimensions = draft_dimensions(CANDIDATES, proposal.drafts[: recipe.criteria])
            for order in recipe.orders:
                await session.compare(compare_request(pair, order, dimensions))
        except ImageUnreadable:
            pass  # the build itself will count it
        finally:
            pair.release()

    async def count(session: PaperSession) -> None:
        try:
            if options.method is Method.SPARSE:
                await ask_sparse(session, options, task, split)
            else:
                learning, deciding = divide_build(options, task, split)
                await run_bounded((ask(session, pair) for pair in learning), 16)
                pool = imagined * len(learning)
                if options.select is not Select.NONE:
                    await forecast_selection(session, deciding, split.held_out, len(pool), options)
                    pool = pool[: options.top]
                await session.structure(StructureRequest(task, pool, options.dimensions))
            tried = [Contender("none"), Contender("imagined", draft_dimensions("Imagined", imagined))]
            await judge_pairs(session, split.held_out, tried, orders=Orders.BOTH, seed=options.seed)
        finally:
            await session.judge.aclose()

    with chosen.on_paper() as (session, forecast):
        run_sync(count(session))
        return forecast


def _settled(options: BuildOptions) -> BuildOptions:
    """The options with the defaults that hang on the method.

    Raises :class:`InputError` where ``select`` is asked of a method that chooses by weights.
    """
    sparse = options.method is Method.SPARSE
    if sparse and options.select is not Select.NONE:
        raise InputError(
            f"--select {options.select} chooses among the verified criteria of --method arr",
            hint="Leave it out: --method sparse keeps the heaviest by itself, --top of them at the most.",
        )
    seeds = options.seeds or (Seeds.DIVERSE if sparse else Seeds.RANDOM)
    return replace(options, seeds=seeds, limit=options.limit or (SEED_PAIRS if sparse else None))


def _findings(options: BuildOptions) -> bool:
    """Whether comparisons must say something of each criterion: ``arr`` keeps or drops them one by one."""
    return options.method is Method.ARR


def _pairs(options: BuildOptions) -> PairDataset:
    """All pairs that the options name; how many of them are taken is for :func:`choose_split` to say."""
    return open_dataset(options, task=options.task, split=LEARNING, limit=False)


async def _build(
    options: BuildOptions,
    bench: Bench,
    dataset: PairDataset,
    task: Task,
    split: Split,
    out: Path,
    run: RunFolder,
    watch: Watch,
) -> BuildReport:
    run.journal.recall = True  # a postponed pair is tried again, and must not pay for its first answers twice
    session = bench.session
    if options.method is Method.SPARSE:
        made = await make_sparse(options, bench, dataset.name, task, split, run, watch)
    else:
        made = await _make_arr(options, bench, dataset, task, split, watch)
    rubric = Rubric(
        name=options.name or _name(options, dataset),
        task=task,
        dimensions=made.dimensions,
        description=made.description,
        provenance=_provenance(options, session.judge.name, dataset, split, made, run.started_at),
        learning=made.learning,
    )
    report: JudgeReport | None = None
    evaluation: Evaluation | None = None
    # Written before it is measured: whatever happens to the held-out pairs, what was learned is kept.
    write_rubric(rubric, run.path / "rubric.json", force=True)
    write_rubric(rubric, out, force=True)
    selection = await made.selection.measure() if made.selection else None
    if any(pair.label.decided for pair in split.held_out):
        if rubric.learning is not None:
            rubric = replace(rubric, learning=replace(rubric.learning, held_out=await made.weigh()))
        named = NamedRubric(rubric.name, rubric, rubric_digest(rubric))
        report, evaluation = await measure(
            bench,
            _Held(f"{dataset.name} (held out)", task, split.held_out),
            contenders([named], baseline=True),
            options,
            orders=Orders.BOTH,
            tie_credit=TIE_CREDIT,
            watch=watch,
            run=run,
            stage="measuring on held-out pairs",
        )
        rubric = _with_metrics(rubric, report)
    else:
        await session.judge.aclose()
    sealed = rubric_digest(rubric)
    write_rubric(rubric, run.path / "rubric.json", force=True)
    write_rubric(rubric, out, force=True)
    result = BuildReport(
        rubric,
        sealed,
        str(out),
        report,
        split.ties,
        made.skipped + (report.skipped if report else ()),
        session.asked,
        session.replayed,
        str(run.path),
        split.chosen,
        left_out(dataset),
        selection,
    )
    run.write_json("report.json", to_json(result, defaults=True))
    write_page(made.draw(result, report, evaluation, run.started_at), run.path / "report.html")
    return result


async def _make_arr(
    options: BuildOptions, bench: Bench, dataset: PairDataset, task: Task, split: Split, watch: Watch
) -> Made:
    session = bench.session
    learning, deciding = divide_build(options, task, split)
    selection = None
    if options.select is not Select.NONE:
        selection = Selection(options, bench, deciding, split.held_out, watch)

    def tell(done: int, fates: Mapping[str, int]) -> None:
        watch(Progress("learning criteria", done, len(learning), fates))

    learned = await learn_rubric(
        session,
        session,
        learning,
        task,
        _recipe(options),
        window=bench.window,
        strict=options.strict,
        on_pair=tell,
        on_stage=lambda stage: watch(Progress(stage, 0, 1)),
        select=selection.choose if selection else None,
    )
    if selection:
        shaped = dict.fromkeys((*learned.build_pairs, *selection.shaped))
        learned = replace(learned, build_pairs=tuple(shaped))
    unreadable = (each for each in learned.learned if each.unreadable)
    return Made(
        learned.dimensions,
        _description(learned, dataset),
        learned.counts,
        learned.build_pairs,
        tuple(Skipped(each.pair.origin or each.pair.id, each.trouble) for each in unreadable),
        {
            "criteria": options.criteria,
            "verify_orders": str(options.verify_orders),
            "max_refine": options.max_refine,
            "dimensions": options.dimensions,
        },
        partial(build_page, learned),
        selection=selection,
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """The pairs held back, as a dataset."""

    name: str
    task: Task | None
    pairs: Sequence[PreferencePair]

    def __iter__(self) -> Iterator[PreferencePair]:
        return iter(self.pairs)

    def size(self) -> int:
        return len(self.pairs)


def _nothing_to_learn_from(dataset: PairDataset, split: Split) -> InputError:
    if split.held_out and not split.ties:
        return InputError(
            f"all {len(split.held_out)} pairs of {dataset.name} have one prompt, and stay together",
            hint="Give pairs of several prompts, or pass --holdout 0 to hold none back.",
        )
    ties = f": all {split.ties} that are not held back are ties" if split.ties else ""
    return InputError(
        f"{dataset.name} holds no pair to learn from{ties}",
        hint="A tie gives nothing to explain; give pairs with a preferred image.",
    )


def _task(options: BuildOptions, dataset: PairDataset) -> Task:
    task = options.task or dataset.task
    if task is None:
        raise InputError(
            f"{dataset.name} holds pairs of more than one task",
            hint="Choose one with --task t2i or --task edit.",
        )
    return task


def _recipe(options: BuildOptions) -> Recipe:
    return Recipe(
        criteria=options.criteria,
        orders=tuple(Order) if options.verify_orders is VerifyOrders.BOTH else (Order.AB,),
        max_refine=options.max_refine,
        dimensions=options.dimensions,
        seed=options.seed,
    )


def _name(options: BuildOptions, dataset: PairDataset) -> str:
    """The rubric's name where none is given: that of the file to write, or of the pairs."""
    if options.out is not None:
        return slug(options.out.stem)
    return slug(options.pairs.stem if options.pairs is not None else Spec.parse(dataset.name).name)


def _refuse_other(out: Path, run: Path, *, force: bool) -> None:
    """Refuse an output file, unless the run whose folder is ``run`` has written it."""
    if force or not out.exists():
        return
    mine = run / "rubric.json"
    if mine.exists() and mine.read_bytes() == out.read_bytes():
        return
    raise InputError(f"{out} exists already", hint="Pass --force to replace it, or another --out.")


def _provenance(
    options: BuildOptions, judge: str, dataset: PairDataset, split: Split, made: Made, time: str
) -> Provenance:
    return Provenance(
        method=str(options.method),
        arrkit_version=__version__,
        created_at=time,
        generator=judge,
        verifier=judge,
        dataset=_reference(dataset.name, split.build),
        counts=made.counts,
        options={
            "seed": options.seed,
            "holdout": options.holdout,
            **made.options,
            **({"limit": options.limit, "seeds": str(options.seeds)} if split.chosen else {}),
            **(
                {"select": str(options.select), "top": options.top}
                if options.select is not Select.NONE
                else {}
            ),
        },
        build_pairs=made.build_pairs,
    )


def _reference(name: str, pairs: Sequence[PreferencePair]) -> DatasetRef:
    digests = []
    for pair in pairs:
        try:
            digests.append(pair.digest)
        except ImageUnreadable:
            continue
        finally:
            pair.release()
    return DatasetRef(name, f"sha256:{digest(digests)}", len(digests))


def _with_metrics(rubric: Rubric, report: JudgeReport) -> Rubric:
    baseline, row = report.rows
    change = row.change.difference if row.change else None
    rates = (row.stats.accuracy, baseline.stats.accuracy, change, row.stats.consistency)
    accuracy, bare, difference, consistency = rates
    if accuracy is None or bare is None or difference is None or consistency is None:
        return rubric
    return replace(
        rubric,
        metrics=Metrics(
            judge=report.judge,
            dataset=report.dataset,
            n=accuracy.n,
            accuracy=accuracy,
            baseline=bare,
            difference=difference,
            consistency=consistency,
        ),
    )


def _description(learned: LearnedRubric, dataset: PairDataset) -> str:
    counts = learned.counts
    return (
        f"Learned from {counts.seen} preference pairs of {dataset.name}: {counts.passed} explained at once, "
        f"{counts.refined} after refinement, {counts.discarded} discarded."
    )
