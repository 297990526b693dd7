"""The runs behind ``arr-generation``: adapters that are trained first, images, and what they score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from arrkit.bench.cells import differences
from arrkit.bench.grid_table import Found, Place
from arrkit.bench.model import Mode, PairedBenchmark, Score
from arrkit.bench.reproduce import Column, Models, Painter, Plan, Training
from arrkit.bench.units import read_units
from arrkit.canonical import digest
from arrkit.commands.bench_generate import generate_images
from arrkit.commands.bench_inputs import choose_benchmark
from arrkit.commands.bench_judging import judge_name
from arrkit.commands.bench_options import BenchGenerateOptions, BenchRunOptions, BenchScoreOptions
from arrkit.commands.bench_report import BenchReport
from arrkit.commands.bench_results import units_file
from arrkit.commands.bench_score import score_benchmark
from arrkit.commands.grid_jobs import Job, cell_folder, named_identity, spelled
from arrkit.commands.painting import ADAPTER
from arrkit.commands.rpo_policies import choose_policy
from arrkit.commands.rpo_train import train_policy
from arrkit.errors import InputError
from arrkit.progress import Watch
from arrkit.rpo.options import TrainOptions
from arrkit.rubric.model import slug

NO_COMPARISON = 0
"""A run that is trained only to be benchmarked compares nothing by itself."""


def check_models(plan: Plan, check: Callable[[str, Callable[[], object]], None]) -> None:
    """Have every policy, adapter, benchmark and judge of a plan looked at. Nothing is loaded or asked."""
    if not any(models.policies and models.benchmarks for models in (plan.t2i, plan.edit)):
        check("t2i.policies", _nothing_to_paint)
    for task, models in (("t2i", plan.t2i), ("edit", plan.edit)):
        for name, column in models.benchmarks.items():
            check(f"{task}.benchmarks.{name}", lambda column=column: _benchmark(column))  # type: ignore[misc]
        for name, painter in models.policies.items():
            check(f"{task}.policies.{name}", lambda painter=painter: _policy(painter))  # type: ignore[misc]


def _nothing_to_paint() -> None:
    raise InputError("the plan has no policies, or no benchmarks")


def _benchmark(column: Column) -> None:
    options = BenchRunOptions(benchmark=column.benchmark, policy="", judge=column.judge)
    chosen = choose_benchmark(options)
    if isinstance(chosen.benchmark, PairedBenchmark):
        raise InputError(f"{chosen.benchmark.name} compares two models and has no number for one")
    judge_name(chosen, options)


def _policy(painter: Painter) -> None:
    choose_policy(painter.policy)
    if painter.lora and not Path(painter.lora).exists():
        raise InputError(f"{painter.lora} does not exist", hint="Give lora the folder of an rpo train run.")


def model_jobs(plan: Plan, folder: Path) -> Iterator[Job]:
    """The runs: all trainings, then for each column the images and scores of each row."""
    for task, models in (("t2i", plan.t2i), ("edit", plan.edit)):
        if models.policies and models.benchmarks:
            yield from _Models(plan, folder, task, models).jobs()


@dataclass(frozen=True, slots=True)
class _Models:
    plan: Plan
    folder: Path
    task: str
    models: Models

    def jobs(self) -> Iterator[Job]:
        for name, painter in self.models.policies.items():
            if painter.train is not None:
                yield self._train(name, painter, painter.train)
        for column, wanted in self.models.benchmarks.items():
            for name, painter in self.models.policies.items():
                yield from self._cell(name, painter, column, wanted)

    def _train(self, name: str, painter: Painter, training: Training) -> Job:
        out = self._trained(name)
        options = TrainOptions(
            policy=painter.policy,
            judge=training.judge,
            rubric=training.rubric,
            max_steps=training.max_steps,
            pairs=training.pairs,
            seed=self.plan.seed,
            concurrency=self.plan.concurrency,
            max_cost=self.plan.max_cost,
            eval_every=NO_COMPARISON,
            out=out,
            resume=out.exists(),
        )

        def work(watch: Watch) -> Mapping[Place, Found]:
            train_policy(options, watch=watch)
            return {}

        command = spelled("rpo train", options)
        return Job(command, (), named_identity("rpo train", options), work, (out / ADAPTER,))

    def _trained(self, name: str) -> Path:
        return self.folder / "trained" / f"{self.task}-{slug(name)}"

    def _adapter(self, name: str, painter: Painter) -> Path | None:
        if painter.train is not None:
            return self._trained(name)
        return Path(painter.lora) if painter.lora else None

    def _cell(self, name: str, painter: Painter, column: str, wanted: Column) -> Iterator[Job]:
        plan = self.plan
        at = self._at(name, painter, column, wanted)
        paint = BenchGenerateOptions(
            benchmark=wanted.benchmark,
            policy=painter.policy,
            lora=self._adapter(name, painter),
            limit=plan.limit,
            seed=plan.seed,
            out=at / "images",
        )
        score = BenchScoreOptions(
            benchmark=wanted.benchmark,
            judge=wanted.judge,
            limit=plan.limit,
            images=paint.out,
            out=at / "scores",
            concurrency=plan.concurrency,
            max_cost=plan.max_cost,
        )
        place = Place(self.task, name, column)

        def painted(watch: Watch) -> Mapping[Place, Found]:
            generate_images(paint, watch=watch)
            return {}

        def scored(watch: Watch) -> Mapping[Place, Found]:
            report = score_benchmark(score, watch=watch)
            found = found_in(report, wanted.scale)
            if found is None:
                return {}
            base = self._base(name, painter)
            if base is not None:
                before = self._at(base, self.models.policies[base], column, wanted) / "scores"
                found = _against(found, wanted, score, before)
            return {place: found}

        images = Job(
            spelled("bench generate", paint),
            (),
            named_identity("bench generate", paint),
            painted,
            (paint.out,),
        )
        yield images
        command = spelled("bench score", score)
        known = {"images": images.identity, "score": named_identity("bench score", score)}
        yield Job(command, (place,), known, scored)

    def _base(self, name: str, painter: Painter) -> str | None:
        """The row of the same policy without an adapter, which a trained one is compared with."""
        if painter.train is None and not painter.lora:
            return None
        return next(
            (
                other
                for other, each in self.models.policies.items()
                if other != name and each == Painter(policy=painter.policy)
            ),
            None,
        )

    def _at(self, name: str, painter: Painter, column: str, wanted: Column) -> Path:
        known = [name, painter.policy, painter.lora, wanted.benchmark, wanted.judge, self.plan.limit]
        return cell_folder(self.folder, digest([*known, self.plan.seed]), self.task, name, column)


def found_in(report: BenchReport, scale: float) -> Found | None:
    """The headline of a report by the official rules, which the paper's numbers are made by."""
    scores = report.columns[0].scores if report.columns else ()
    heads = [score for score in scores if score.headline]
    official = next((score for score in heads if score.mode is Mode.OFFICIAL), None)
    head = official or (heads[0] if heads else None)
    if head is None or head.value is None:
        return None
    strict = next((each for each in heads if each.name == head.name and each.mode is Mode.STRICT), None)
    return Found(
        head.value * scale,
        _scaled(head.low, scale),
        _scaled(head.high, scale),
        head.scored,
        metric=head.name,
        strict=_scaled(strict.value, scale) if isinstance(strict, Score) else None,
    )


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _against(found: Found, wanted: Column, options: BenchScoreOptions, base: Path) -> Found:
    """The same with the paired difference to the base model's scores, where these are there."""
    assert options.out is not None
    files = [units_file(base, ""), units_file(options.out, "")]
    if not all(file.exists() for file in files):
        return found
    chosen = choose_benchmark(options)
    tallies = [chosen.benchmark.tallies(chosen.items, chosen.taken(read_units(file))) for file in files]
    for each in differences(*tallies):
        if each.name == found.metric and each.mode is Mode.OFFICIAL:
            if each.value is None or each.low is None or each.high is None:
                break
            ends = (each.value * wanted.scale, each.low * wanted.scale, each.high * wanted.scale)
            return replace(found, change=ends)
    return found
