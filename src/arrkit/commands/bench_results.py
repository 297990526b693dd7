"""From units to what a run leaves behind: the table, ``report.json``, and the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from arrkit.bench.cells import differences
from arrkit.bench.judged import in_all
from arrkit.bench.model import PairedBenchmark, Unit
from arrkit.bench.units import Scored, UnitFile
from arrkit.commands.bench_inputs import Chosen
from arrkit.commands.bench_judging import AtWork, Table
from arrkit.commands.bench_page import write_page
from arrkit.commands.bench_report import BenchPage, BenchReport, Column, gallery
from arrkit.errors import Problem
from arrkit.runs.folder import RunFolder
from arrkit.serial import to_json

BASE, TRAINED = "base", "trained"

UNITS = "units.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """By whom images were painted; all empty where nobody says."""

    policy: str = ""
    lora: str = ""
    steps: int = 0
    seed: int = 0
    problems: tuple[Problem, ...] = ()


@contextmanager
def open_tables(run: RunFolder, chosen: Chosen, folders: Mapping[str, Path]) -> Iterator[dict[str, Table]]:
    """The tables of a run: one for each model, or a single one where two models are held together.

    Units of another run, whose folder this one has taken over, are removed.
    """
    with ExitStack() as stack:

        def opened(name: str, *images: Path) -> Table:
            return Table(images, stack.enter_context(fresh_units(run, name)))

        if isinstance(chosen.benchmark, PairedBenchmark):
            yield {"": opened("", *folders.values())}
        else:
            yield {name: opened(name, folder) for name, folder in folders.items()}


def units_file(run: Path, name: str) -> Path:
    """Where the units of a model's table stand in a run folder."""
    return run / name / UNITS


def fresh_units(run: RunFolder, name: str) -> UnitFile:
    """The units of a model's table, without those of another run."""
    file = units_file(run.path, name)
    if not run.resumed:
        file.unlink(missing_ok=True)
    return UnitFile(file)


def keep_units(run: RunFolder, units: Sequence[Unit]) -> None:
    """Write units that were read elsewhere into a run folder."""
    by_item: dict[str, list[Unit]] = {}
    for unit in units:
        by_item.setdefault(unit.item, []).append(unit)
    with fresh_units(run, "") as kept:
        for item, held in by_item.items():
            if kept.find(item, ()) is None:
                kept.add(Scored(item, (), tuple(held)))


def make_report(
    chosen: Chosen,
    units: Mapping[str, Sequence[Unit]],
    *,
    painted: Painted | None = None,
    judge: str = "",
    work: AtWork | None = None,
    tables: Iterable[Table] = (),
    run: Path | None = None,
) -> BenchReport:
    """The numbers of each model's units, and where there are two, how the second differs from the first."""
    painted = painted or Painted()
    benchmark, items = chosen.benchmark, chosen.items
    columns = tuple(
        Column(name=name, scores=benchmark.aggregate(items, each)) for name, each in units.items()
    )
    compared = [benchmark.tallies(items, each) for each in units.values()] if len(units) == 2 else []
    return BenchReport(
        benchmark=benchmark.name,
        spec=chosen.spec,
        metric=benchmark.metric,
        prompts=len(items),
        of=chosen.of,
        items=tuple(chosen.ids),
        note=chosen.note,
        policy=painted.policy,
        lora=painted.lora,
        steps=painted.steps,
        seed=painted.seed,
        judge=judge,
        judged_by=in_all((part for table in tables for part in table.units.by), work.record())
        if work is not None
        else {},
        identity=chosen.identity,
        columns=columns,
        differences=differences(*compared) if compared else (),
        problems=painted.problems,
        remarks=work.remarks() if work is not None else (),
        calls=work.totals if work is not None else None,
        run=str(run or ""),
    )


def write_report(
    run: RunFolder,
    command: str,
    chosen: Chosen,
    report: BenchReport,
    folders: Mapping[str, Path],
    units: Mapping[str, Sequence[Unit]],
) -> None:
    """Write ``report.json`` and ``report.html`` into a run folder."""
    run.write_json("report.json", to_json(report, defaults=True))
    shown = {name or BASE: folder for name, folder in folders.items()}
    page = BenchPage(
        report=report,
        command=command,
        started_at=run.started_at,
        gallery=gallery(
            chosen,
            shown,
            {name or (TRAINED if TRAINED in shown else BASE): each for name, each in units.items()},
        ),
    )
    write_page(run.path / "report.html", page)
