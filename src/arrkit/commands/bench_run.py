"""``bench run``: paint a benchmark with a model, and with its adapter, score both, and compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from arrkit.bench.model import Item, PairedBenchmark
from arrkit.canonical import Json
from arrkit.commands.bench_generate import all_problems, begin_images, choose_brush, painted_by, painter
from arrkit.commands.bench_inputs import Chosen, choose_benchmark
from arrkit.commands.bench_judging import AtWork, Background, Table, judge_name, scoring
from arrkit.commands.bench_options import BenchRunOptions
from arrkit.commands.bench_paint import image_files
from arrkit.commands.bench_report import BenchReport
from arrkit.commands.bench_results import BASE, TRAINED, Painted, make_report, open_tables, write_report
from arrkit.commands.runs import going_on, open_run
from arrkit.errors import InputError
from arrkit.progress import Progress, Watch, unwatched
from arrkit.runs.folder import RunFolder, run_path

LOOK_SECONDS = 2.0
"""How often the first of several processes looks for what the others have painted."""


def run_benchmark(options: BenchRunOptions, *, watch: Watch = unwatched) -> BenchReport | None:
    """Paint all images with the base model and, where an adapter is named, with it too; score and compare.

    Both are painted from the same noise. Images are scored while others are painted. The same command run
    again goes on where it stopped, and comes to the same result as without a stop.

    Returns the report, or None in a process that is not the first of several.

    Raises:
        InputError: benchmark, policy, adapter, judge or run folder cannot be used; found before any weights
            are loaded.
    """
    chosen = choose_benchmark(options)
    brush = choose_brush(options, chosen)
    judge = judge_name(chosen, options)
    if isinstance(chosen.benchmark, PairedBenchmark) and brush.lora is None:
        raise InputError(
            f"{chosen.benchmark.name} compares a trained model with its base", hint="Name it with --lora."
        )
    names = (BASE, TRAINED) if brush.lora is not None else (BASE,)
    with ExitStack() as stack:
        with painter(options, brush) as made:
            by = {name: painted_by(brush, made, trained=name == TRAINED) for name in names}
            identity: dict[str, Json] = {**chosen.identity, **by, "judge": judge}
            if judge:
                identity["image_size"] = options.image_size
            path = options.out or run_path("bench run", identity)
            stack.enter_context(going_on(path))
            folders = {name: path / name / "images" for name in names}
            desks: list[_Desk] = []

            def begin() -> None:
                run = stack.enter_context(open_run("bench run", identity, options.out, force=options.force))
                work = stack.enter_context(scoring(chosen, options, run))
                tables = stack.enter_context(open_tables(run, chosen, folders))
                for name, folder in folders.items():
                    begin_images(folder, chosen, by[name], force=options.force)
                background = stack.enter_context(Background(work, chosen.items))
                desks.append(_Desk(run, work, tables, background, chosen, made.processes.world))

            made.processes.on_main(begin)
            for name, folder in folders.items():
                made.paint(
                    chosen.items,
                    folder,
                    lora=brush.lora if name == TRAINED else None,
                    watch=desks[0].watched(watch, f"paint {name}") if desks else unwatched,
                    painted=desks[0].feed(name) if desks else _unheard,
                )
            problems = all_problems(made.processes, made.problems)
        if not desks:
            return None
        for folder in folders.values():
            chosen.benchmark.lay_out(folder)
        painted = Painted(
            policy=brush.policy.name,
            lora=str(brush.lora or ""),
            steps=made.steps,
            seed=made.seed,
            problems=problems,
        )
        return desks[0].finish(folders, painted, judge, watch)


def _unheard(_: Item) -> None:
    """What a process that scores nothing does with an item that is painted."""


class _Desk:
    """The first process's part: it gives painted items to the scoring, those of the others too."""

    def __init__(
        self,
        run: RunFolder,
        work: AtWork,
        tables: Mapping[str, Table],
        background: Background,
        chosen: Chosen,
        processes: int,
    ) -> None:
        self._run = run
        self._work = work
        self._tables = tables
        self._background = background
        self._chosen = chosen
        self._several = processes > 1
        self._waiting = {name: {item.id: item for item in chosen.items} for name in tables}
        self._looked = time.monotonic()

    def feed(self, name: str) -> Callable[[Item], None]:
        """What hears of each item that ``name`` has painted."""
        # Where two models are held together, an item is ready once the second has painted it.
        table = name if name in self._tables else "" if name == TRAINED else None

        def painted(item: Item) -> None:
            if table is not None:
                self._give(table, item)

        return painted

    def watched(self, watch: Watch, stage: str) -> Watch:
        """A watcher of the painting that tells of the scoring too, and looks for what others have painted."""

        def told(progress: Progress) -> None:
            now = time.monotonic()
            if self._several and now - self._looked > LOOK_SECONDS:
                self._looked = now
                self._look()
            counts = {**progress.counts, "scored": self._background.done}
            name = stage if progress.stage == "paint" else progress.stage
            watch(replace(progress, stage=name, counts=counts))

        return told

    def finish(self, folders: Mapping[str, Path], painted: Painted, judge: str, watch: Watch) -> BenchReport:
        """Have all else scored, what could not be painted too, and write the report."""
        for name, items in self._waiting.items():
            for item in list(items.values()):
                self._give(name, item)
        self._background.finish(watch)
        chosen = self._chosen
        units = {name: table.units.units(chosen.ids) for name, table in self._tables.items()}
        report = make_report(
            chosen,
            units,
            painted=painted,
            judge=judge,
            work=self._work,
            tables=self._tables.values(),
            run=self._run.path,
        )
        write_report(self._run, "bench run", chosen, report, folders, units)
        return report

    def _look(self) -> None:
        for name, items in self._waiting.items():
            for item in list(items.values()):
                files = [file for each in self._tables[name].folders for file in image_files(each, item)]
                if all(file.exists() for file in files):
                    self._give(name, item)

    def _give(self, name: str, item: Item) -> None:
        if self._waiting[name].pop(item.id, None) is not None:
            self._background.put(self._tables[name], item)
