"""The runs behind a grid: which commands fill which cells, and what each of them finds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from arrkit.backends.listing import Group, find_plugin
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.bench.grid_table import Found, Place
from arrkit.bench.published import NO_RUBRIC, Grid
from arrkit.bench.reproduce import BUILD, NONE, ZERO_SHOT, Plan, row_of
from arrkit.canonical import Json, digest
from arrkit.commands.build import build_rubric
from arrkit.commands.evaluate import evaluate_judge, measure_bias
from arrkit.commands.inputs import open_dataset, open_judge
from arrkit.commands.options import BiasOptions, BuildOptions, EvalOptions, JudgingOptions
from arrkit.data.pairs import Task
from arrkit.errors import InputError, Problem
from arrkit.judge.report import JudgeReport, Row
from arrkit.options import declared
from arrkit.progress import Watch
from arrkit.rubric.files import read_rubric, rubric_digest
from arrkit.rubric.model import Rate, slug

Work = Callable[[Watch], Mapping[Place, Found]]

HOW_TO_EDIT = "To leave rows or columns out: --write-config FILE, edit it, arrkit bench reproduce FILE."


@dataclass(frozen=True, slots=True)
class Job:
    """One run: the ``command`` that does the same, the cells that it fills, and what to do.

    ``leaves`` are files that later runs need: where one is gone, the run is done again.
    """

    command: str
    places: tuple[Place, ...]
    identity: Json
    work: Work
    leaves: tuple[Path, ...] = ()

    @property
    def fills(self) -> str:
        """The cells in words."""
        return ", ".join(f"{place.row} / {place.column}" for place in self.places)


def jobs_of(plan: Plan, folder: Path) -> tuple[Job, ...]:
    """The runs of a plan, in an order in which each finds what it needs; their folders lie in ``folder``."""
    if plan.grid is Grid.GENERATION:
        from arrkit.commands.grid_models import model_jobs

        return tuple(model_jobs(plan, folder))
    return tuple(_Judging(plan, folder).jobs())


def check_plan(plan: Plan) -> None:
    """Raise :class:`InputError` with all that a plan names and that cannot be used. Nothing is asked."""
    problems: list[Problem] = []

    def check(where: str, look: Callable[[], object]) -> None:
        try:
            look()
        except InputError as error:
            problems.extend(replace(each, where=each.where or where) for each in error.problems)

    if plan.grid is Grid.GENERATION:
        from arrkit.commands.grid_models import check_models

        check_models(plan, check)
    else:
        _check_judging(plan, check)
    if problems:
        raise InputError(problems, closing=f"Nothing was run. {HOW_TO_EDIT}")


def _check_judging(plan: Plan, check: Callable[[str, Callable[[], object]], None]) -> None:
    for table, names in (("judges", plan.judges), ("datasets", plan.datasets)):
        check(table, lambda table=table, names=names: _some(table, names))  # type: ignore[misc]
    for name, spec in {**plan.judges, **plan.generators}.items():
        options = JudgingOptions(judge=spec)
        check(f"judges.{name}", lambda options=options: open_judge(options))  # type: ignore[misc]
    for name, spec in plan.datasets.items():
        taken = EvalOptions(dataset=spec)
        check(f"datasets.{name}", lambda taken=taken: open_dataset(taken, task=None, split="test"))  # type: ignore[misc]
        if _learns(plan):
            check(f"build for {name}", lambda spec=spec: _learned_from(plan, spec))  # type: ignore[misc]
    for mode, rubric in plan.rubrics.items():
        if rubric not in (NONE, ZERO_SHOT, BUILD):
            check(f"rubrics.{mode}", lambda rubric=rubric: read_rubric(rubric))  # type: ignore[misc]


def _some(table: str, names: Mapping[str, str]) -> None:
    if not names:
        raise InputError(f"the plan has no {table}")


def _learns(plan: Plan) -> bool:
    return plan.grid is Grid.TRANSFER or BUILD in plan.rubrics.values()


def _learned_from(plan: Plan, dataset: str) -> str:
    """The dataset that rubrics for the pairs of another are learned from."""
    task = task_of(dataset)
    source = plan.build.edit if task is Task.EDIT else plan.build.t2i
    if not source:
        raise InputError(
            f"no dataset is named to learn a rubric for {task} from",
            hint=f'Add {task} = "..." under [build].',
        )
    open_dataset(BuildOptions(dataset=source), task=task, split="train")
    return source


def task_of(dataset: str) -> Task:
    """The task of a dataset's pairs, as far as its name and its plug-in say."""
    spec = Spec.parse(dataset)
    record = find_plugin(Group.DATASETS, spec.name).record
    tasks = record.tasks if isinstance(record, DatasetPlugin) else ()
    if len(tasks) == 1:
        return tasks[0]
    return Task.EDIT if "edit" in spec.model else Task.T2I


class _Judging:
    """The runs of a grid of judges."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.built: dict[tuple[str, str], Path] = {}

    def jobs(self) -> Iterator[Job]:
        plan = self.plan
        for dataset in plan.datasets:
            if plan.grid is Grid.CARDINALITY:
                yield from self._cardinality(dataset)
            elif plan.grid is Grid.TRANSFER:
                yield from self._transfer(dataset)
            else:
                for judge in plan.judges:
                    if BUILD in plan.rubrics.values():
                        yield from self._build(judge, plan.judges[judge], dataset)
                    yield self._measure(judge, dataset)

    def _build(self, name: str, judge: str, dataset: str) -> Iterator[Job]:
        """Learn a rubric for the dataset's task, unless one of this judge's is there already."""
        plan = self.plan
        task = task_of(plan.datasets[dataset])
        if (name, task) in self.built:
            return
        out = self.folder / "rubrics" / f"{slug(name)}-{task}.json"
        self.built[name, task] = out
        options = BuildOptions(
            judge=judge,
            dataset=plan.build.edit if task is Task.EDIT else plan.build.t2i,
            task=task,
            limit=plan.build.limit,
            criteria=plan.criteria[0],
            seed=plan.seed,
            out=out,
            force=True,
            concurrency=plan.concurrency,
            max_cost=plan.max_cost,
        )

        def work(watch: Watch) -> Mapping[Place, Found]:
            build_rubric(options, watch=watch)
            return {}

        yield Job(spelled("rubric build", options), (), named_identity("rubric build", options), work, (out,))

    def _measure(self, judge: str, dataset: str) -> Job:
        """One judge on one dataset, under all rubrics of the plan."""
        plan = self.plan
        bias = plan.grid is Grid.BIAS
        part = dataset if bias else ""
        tried: dict[str, list[tuple[str, str]]] = {}  # the rubric's option, and the cells of its row
        for mode, rubric in plan.rubrics.items():
            named = str(self.built[judge, task_of(plan.datasets[dataset])]) if rubric == BUILD else rubric
            tried.setdefault(named, []).append((row_of(judge, mode), dataset))
        kind = BiasOptions if bias else EvalOptions
        options = self._options(kind, plan.judges[judge], dataset, tuple(tried), judge)

        def read(row: Row, option: str) -> Iterator[tuple[Place, Found]]:
            for name, column in tried[option]:
                if not bias:
                    yield from _one(Place(part, name, column), row.stats.accuracy)
                    continue
                stats = row.stats
                yield from _one(Place(part, name, "Forward"), stats.forward)
                yield from _one(Place(part, name, "Reverse"), stats.reverse)
                yield from _one(Place(part, name, "Avg"), stats.mean)
                yield from _one(Place(part, name, "Gap"), stats.gap)

        columns = ("Forward", "Reverse", "Avg", "Gap") if bias else (dataset,)
        rows = [name for names in tried.values() for name, _ in names]
        places = tuple(Place(part, row, column) for row in rows for column in columns)
        return self._job(options, places, read)

    def _transfer(self, dataset: str) -> Iterator[Job]:
        plan = self.plan
        task = task_of(plan.datasets[dataset])
        for name, spec in plan.generators.items():
            yield from self._build(name, spec, dataset)
        by_option = {str(self.built[name, task]): name for name in plan.generators}
        for judge, spec in plan.judges.items():
            options = self._options(EvalOptions, spec, dataset, (NONE, *by_option), judge)

            def read(row: Row, option: str, judge: str = judge) -> Iterator[tuple[Place, Found]]:
                name = by_option.get(option, NO_RUBRIC)
                yield from _one(Place(dataset, name, judge), row.stats.accuracy)

            places = tuple(Place(dataset, row, judge) for row in (NO_RUBRIC, *plan.generators))
            yield self._job(options, places, read)

    def _cardinality(self, dataset: str) -> Iterator[Job]:
        for judge, spec in self.plan.judges.items():
            for count in self.plan.criteria:
                place = Place(dataset, str(count), judge)
                named = f"{judge} {count}"
                options = self._options(EvalOptions, spec, dataset, (ZERO_SHOT,), named, criteria=count)

                def read(row: Row, _: str, place: Place = place) -> Iterator[tuple[Place, Found]]:
                    yield from _one(place, row.stats.accuracy)

                yield self._job(options, (place,), read)

    def _options(
        self,
        kind: type[EvalOptions] | type[BiasOptions],
        judge: str,
        dataset: str,
        rubrics: Sequence[str],
        name: str,
        *,
        criteria: int = 0,
    ) -> EvalOptions | BiasOptions:
        plan = self.plan
        options = kind(
            judge=(judge,),
            dataset=plan.datasets[dataset],
            rubric=tuple(rubrics),
            baseline=NONE in rubrics,
            criteria=criteria or plan.criteria[0],
            sample=plan.limit,
            seed=plan.seed,
            concurrency=plan.concurrency,
            max_cost=plan.max_cost,
        )
        return replace(options, out=cell_folder(self.folder, named_identity("", options), name, dataset))

    def _job(
        self,
        options: EvalOptions | BiasOptions,
        places: tuple[Place, ...],
        read: Callable[[Row, str], Iterator[tuple[Place, Found]]],
    ) -> Job:
        bias = isinstance(options, BiasOptions)
        command = "judge bias" if bias else "judge eval"
        order = sorted(options.rubric, key=lambda name: (name != NONE, name != ZERO_SHOT))

        def work(watch: Watch) -> Mapping[Place, Found]:
            report: JudgeReport
            if isinstance(options, BiasOptions):
                report = measure_bias(options, watch=watch)
            else:
                report = evaluate_judge(options, watch=watch)
            return dict(
                entry for row, option in zip(report.rows, order, strict=True) for entry in read(row, option)
            )

        return Job(spelled(command, options), places, named_identity(command, options), work)


def _one(place: Place, rate: Rate | None) -> Iterator[tuple[Place, Found]]:
    if rate is not None:
        yield place, Found(100 * rate.value, 100 * rate.low, 100 * rate.high, rate.n)


def cell_folder(folder: Path, identity: Json, *names: str) -> Path:
    """Where a run of a grid lies: what it is called, and a digest that tells an edited plan's apart."""
    return folder / "cells" / "-".join([*(slug(name) for name in names), digest(identity)[:6]])


def spelled(command: str, options: Any) -> str:  # Any: of whatever type the command's options are
    """The command line that these options would come from."""
    words = ["arrkit", *command.split()]
    for each in declared(type(options)):
        value = getattr(options, each.name)
        if value == each.default:
            continue
        if isinstance(value, bool):
            words.append(each.flag if value else f"--no-{each.flag.removeprefix('--')}")
            continue
        for item in value if isinstance(value, tuple) else (value,):
            text = str(item.value if isinstance(item, Enum) else item)
            words += [text] if each.opt.argument else [each.flag, text]
    return shlex.join(words)


def named_identity(command: str, options: Any) -> Json:  # Any: as above
    """What decides the results of a run, the rubrics that it is given among it, and not where it is kept."""
    from arrkit.options import identity

    known = identity(options)
    if rubrics := getattr(options, "rubric", ""):
        named = (rubrics,) if isinstance(rubrics, str) else rubrics
        known["rubric"] = [_rubric_mark(name) for name in named]
    return {"command": command, **known}


def _rubric_mark(name: str) -> str:
    if name in (NONE, ZERO_SHOT):
        return name
    if Path(name).parent.name == "rubrics":  # one that this grid learns: its build is a run of its own
        return Path(name).name
    return rubric_digest(read_rubric(name))
