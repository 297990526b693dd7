"""``bench score``: look at images that are there, or count answers that were given elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from arrkit.bench.model import PairedBenchmark
from arrkit.bench.units import is_unit_file, read_units
from arrkit.canonical import Json
from arrkit.commands.bench_inputs import Chosen, choose_benchmark
from arrkit.commands.bench_judging import Background, judge_name, scoring
from arrkit.commands.bench_options import BenchScoreOptions
from arrkit.commands.bench_paint import MANIFEST
from arrkit.commands.bench_report import BenchReport
from arrkit.commands.bench_results import (
    BASE,
    TRAINED,
    Painted,
    keep_units,
    make_report,
    open_tables,
    write_report,
)
from arrkit.commands.runs import going_on, open_run
from arrkit.errors import InputError
from arrkit.progress import Watch, unwatched
from arrkit.runs.folder import run_path


def score_benchmark(options: BenchScoreOptions, *, watch: Watch = unwatched) -> BenchReport:
    """Look at the images of a folder, or count answers of a file, and make the table.

    With ``images`` the run folder keeps each answer, and the same command run again goes on where it stopped.
    With ``answers`` nothing is looked at and nobody is asked; a run folder is made where ``out`` names one.

    Raises:
        InputError: the benchmark, the judge, the folder or the file cannot be used.
    """
    if (options.images is None) == (options.answers is None):
        both = "are both given" if options.images is not None else "are both missing"
        raise InputError(f"--images and --answers {both}", hint="Give one of them.")
    if options.answers is not None and not options.answers.exists():
        raise InputError(
            f"--answers: {options.answers} does not exist",
            hint="Name a result file of the official script, or units.jsonl of a run.",
        )
    chosen = choose_benchmark(options)
    if options.answers is not None:
        return _score_answers(options, options.answers, chosen)
    assert options.images is not None
    folders = _folders(options, options.images, chosen)
    judge = judge_name(chosen, options)
    identity: dict[str, Json] = {
        **chosen.identity,
        "judge": judge,
        "image_size": options.image_size,
        "folders": {name: str(folder.absolute()) for name, folder in folders.items()},
    }
    with (
        going_on(options.out or run_path("bench score", identity)),
        open_run("bench score", identity, options.out, force=options.force) as run,
        scoring(chosen, options, run) as work,
        open_tables(run, chosen, folders) as tables,
        Background(work, chosen.items) as background,
    ):
        for table in tables.values():
            for item in chosen.items:
                background.put(table, item)
        background.finish(watch)
        units = {name: table.units.units(chosen.ids) for name, table in tables.items()}
        painted = _painted(options.images)
        report = make_report(
            chosen,
            units,
            painted=painted,
            judge=judge,
            work=work,
            tables=tables.values(),
            run=run.path,
        )
        write_report(run, "bench score", chosen, report, folders, units)
        return report


def _score_answers(options: BenchScoreOptions, file: Path, chosen: Chosen) -> BenchReport:
    if options.judge:
        raise InputError("--answers are given, so no judge is asked", hint="Leave out --judge.")
    found = read_units(file) if is_unit_file(file) else chosen.benchmark.read_answers(file)
    units = {"": chosen.taken(found)}
    if options.out is None:
        return make_report(chosen, units)
    identity: dict[str, Json] = {**chosen.identity, "answers": str(file.absolute())}
    with open_run("bench score", identity, options.out, force=options.force) as run:
        keep_units(run, units[""])
        report = make_report(chosen, units, run=run.path)
        write_report(run, "bench score", chosen, report, {}, units)
        return report


def _folders(options: BenchScoreOptions, images: Path, chosen: Chosen) -> dict[str, Path]:
    base = options.base_images
    found = {"": images} if base is None else {BASE: base, TRAINED: images}
    for folder in found.values():
        if not folder.is_dir():
            raise InputError(
                f"{folder} is no folder", hint=f"Paint with arrkit bench generate {chosen.spec}."
            )
        if not any((folder / file).exists() for item in chosen.items for file in item.files):
            first = chosen.items[0].files[0] if chosen.items else ""
            raise InputError(f"{folder} holds no image of {chosen.benchmark.name}", hint=f"One is {first}.")
    if isinstance(chosen.benchmark, PairedBenchmark) and len(found) < 2:
        raise InputError(
            f"{chosen.benchmark.name} compares two models", hint="Name the base model's with --base-images."
        )
    return found


def _painted(folder: Path) -> Painted:
    try:
        by = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["by"]
        return Painted(
            policy=str(by["policy"]),
            lora=str(by["lora"])[:12],
            steps=int(by["steps"]),
            seed=int(by["seed"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Painted()
