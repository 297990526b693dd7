"""``bench reproduce``: the grid behind a table of the paper, run cell by cell, and printed as there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arrkit.bench.grid_table import Found, GridTable, Place, fill
from arrkit.bench.published import CITATION, Grid
from arrkit.bench.reproduce import Plan, ReproduceOptions, plan_of
from arrkit.canonical import Json, digest
from arrkit.commands.grid_jobs import Job, check_plan, jobs_of
from arrkit.commands.grid_page import grid_page
from arrkit.commands.runs import open_run
from arrkit.errors import ArrkitError, RunError
from arrkit.progress import Progress, Watch, unwatched
from arrkit.runs.folder import RunFolder
from arrkit.runs.page import write_page
from arrkit.serial import from_json, to_json

COMMAND = "bench reproduce"

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridReport:
    """What a grid came to. ``troubles`` say which runs came to nothing, and why."""

    grid: Grid
    source: str
    tables: tuple[GridTable, ...]
    runs: int
    replayed: int = 0
    troubles: tuple[str, ...] = ()
    run: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a grid, as a command; ``fills`` are the cells that it gives, none where it prepares."""

    command: str
    fills: str = ""


def steps_of(options: ReproduceOptions) -> tuple[Step, ...]:
    """What :func:`reproduce_grid` would run. Nothing is looked for, nobody is asked."""
    plan = plan_of(options)
    folder = options.out or Path("runs") / COMMAND.replace(" ", "-")
    return tuple(Step(job.command, job.fills) for job in jobs_of(plan, folder))


def write_config(options: ReproduceOptions, path: Path) -> Plan:
    """Write what would be run as a file to be edited."""
    from arrkit.bench.plan_file import write_plan

    plan = plan_of(options)
    write_plan(plan, path)
    return plan


def reproduce_grid(
    options: ReproduceOptions, *, watch: Watch = unwatched, notice: Notice = lambda _: None
) -> GridReport:
    """Run a grid, cell by cell; the same command run again goes on where it stopped.

    A run that comes to nothing leaves its cells empty and does not stop the others.

    Raises:
        InputError: there is no such grid, or something that its plan names cannot be used: all of it is
            listed, and nothing was run.
    """
    plan = plan_of(options)
    check_plan(plan)
    found: dict[Place, Found] = {}
    empty: dict[Place, str] = {}
    troubles: list[str] = []
    replayed = 0
    with open_run(COMMAND, {"plan": plan.identity}, options.out, force=options.force) as run:
        jobs = jobs_of(plan, run.path)
        for number, job in enumerate(jobs, start=1):
            kept = _kept(run, job)
            if kept is not None:
                replayed += 1
                found |= kept
                continue
            notice(f"{number} of {len(jobs)}: {job.command}")
            try:
                made = job.work(_named(watch, f"{number} of {len(jobs)}"))
            except ArrkitError as error:
                what = error.problems[0].what
                troubles.append(f"{job.command}: {what}")
                empty |= dict.fromkeys(job.places, what)
                continue
            _keep(run, job, made)
            found |= made
        report = GridReport(
            grid=plan.grid,
            source=CITATION,
            tables=fill(plan, found, empty),
            runs=len(jobs),
            replayed=replayed,
            troubles=tuple(troubles),
            run=str(run.path),
        )
        run.write_json("report.json", to_json(report, defaults=True))
        write_page(grid_page(report.tables, plan, troubles, run.started_at), run.path / "report.html")
    if troubles and not found:
        raise RunError(f"none of the {len(jobs)} runs came to anything", hint=f"The first: {troubles[0]}")
    return report


def _named(watch: Watch, name: str) -> Watch:
    def told(progress: Progress) -> None:
        watch(replace(progress, stage=f"{name}: {progress.stage}"))

    return told


def _key(job: Job) -> str:
    return digest({"job": job.identity})


def _kept(run: RunFolder, job: Job) -> Mapping[Place, Found] | None:
    """What an earlier start found in this job, if what it left is still there."""
    record = run.journal.get(_key(job))
    if record is None or not all(path.exists() for path in job.leaves):
        return None
    cells = record.get("cells")
    assert isinstance(cells, Sequence)
    return {
        from_json(Place, each["place"]): from_json(Found, each["found"])
        for each in cells
        if isinstance(each, Mapping)
    }


def _keep(run: RunFolder, job: Job, made: Mapping[Place, Found]) -> None:
    cells: list[Json] = [
        {"place": to_json(place, defaults=True), "found": to_json(found, defaults=True)}
        for place, found in made.items()
    ]
    run.journal.append({"key": _key(job), "command": job.command, "cells": cells})
