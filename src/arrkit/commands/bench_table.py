"""``bench table``: the headline numbers of several runs side by side, and how they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arrkit.bench.cells import Difference, differences
from arrkit.bench.model import Mode, Score, Unit
from arrkit.bench.units import read_units
from arrkit.commands.bench_inputs import Chosen, open_chosen
from arrkit.commands.bench_options import BenchTableOptions
from arrkit.commands.bench_report import BenchReport, Column
from arrkit.commands.bench_results import units_file
from arrkit.errors import ArrkitError, InputError, Problem
from arrkit.serial import from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One model's numbers of one metric in one run. ``difference`` is to the first row of the metric's."""

    run: str
    model: str
    policy: str
    lora: str
    judge: str
    note: str
    official: Score | None
    strict: Score | None
    official_difference: Difference | None = None
    strict_difference: Difference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOf:
    """The rows of one metric. ``remarks`` say why some of them are not compared with the first."""

    metric: str
    rows: tuple[TableRow, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    folder: Path
    report: BenchReport


def table_of_runs(options: BenchTableOptions) -> tuple[TableOf, ...]:
    """One table for each headline number, a row for each run and model; differences are paired by item.

    Runs of different prompts, or judged by different judges, are shown and not compared.

    Raises:
        InputError: a folder holds no run of ``bench run`` or ``bench score``; all of them are listed.
    """
    problems: list[Problem] = []
    read: list[_Read] = []
    for folder in options.runs:
        try:
            record = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            report = from_json(BenchReport, record)
            if not report.metric:
                raise ValueError("it has no metric")
            read.append(_Read(folder, report))
        except (OSError, ValueError, TypeError, KeyError):
            hint = "Give folders of arrkit bench run and bench score, finished ones."
            problems.append(Problem(f"{folder} holds no finished run of arrkit bench", hint=hint))
    if problems:
        raise InputError(problems)
    benchmarks = list(dict.fromkeys(each.report.benchmark for each in read))
    tables: list[TableOf] = []
    for benchmark in benchmarks:
        tables += _tables([each for each in read if each.report.benchmark == benchmark])
    return tuple(tables)


def _tables(read: Sequence[_Read]) -> list[TableOf]:
    """A table for each headline of one benchmark."""
    first = read[0]
    remarks: list[str] = []
    chosen = _reopened(first, remarks)
    base = _units(first, first.report.columns[0]) if first.report.columns else []
    names = dict.fromkeys(
        score.name
        for each in read
        for column in each.report.columns
        for score in column.scores
        if score.headline
    )
    rows: dict[str, list[TableRow]] = {name: [] for name in names}
    for each in read:
        why = _incomparable(first.report, each.report)
        if why:
            remarks.append(f"{each.folder} is not compared with {first.folder}: {why}.")
        for place, column in enumerate(each.report.columns):
            apart: dict[tuple[str, Mode], Difference] = {}
            if chosen is not None and not why and (each is not first or place):
                units = _units(each, column)
                held = differences(
                    chosen.benchmark.tallies(chosen.items, base),
                    chosen.benchmark.tallies(chosen.items, units),
                )
                apart = {(one.name, one.mode): one for one in held}
            for name in names:
                rows[name].append(_row(each, column, name, apart))
    return [TableOf(metric=name, rows=tuple(each), remarks=tuple(remarks)) for name, each in rows.items()]


def _row(read: _Read, column: Column, name: str, apart: dict[tuple[str, Mode], Difference]) -> TableRow:
    held = {score.mode: score for score in column.scores if score.name == name}
    report = read.report
    return TableRow(
        run=str(read.folder),
        model=column.name,
        policy=report.policy,
        lora="" if column.name == "base" else report.lora,
        judge=report.judge,
        note=report.note,
        official=held.get(Mode.OFFICIAL),
        strict=held.get(Mode.STRICT),
        official_difference=apart.get((name, Mode.OFFICIAL)),
        strict_difference=apart.get((name, Mode.STRICT)),
    )


def _reopened(read: _Read, remarks: list[str]) -> Chosen | None:
    """The benchmark of a run with the items that it took; None, with a remark, where it cannot be opened."""
    try:
        chosen = open_chosen(read.report.spec, read.report.items)
    except ArrkitError as error:
        remarks.append(f"No differences: {str(error).splitlines()[0]}.")
        return None
    if dict(chosen.identity) != dict(read.report.identity):
        remarks.append(f"No differences: the prompts of {read.report.benchmark} are not those of the run.")
        return None
    return chosen


def _incomparable(first: BenchReport, other: BenchReport) -> str:
    if first is other:
        return ""
    if first.identity != other.identity:
        return "its prompts are others, or not the same part of them"
    if first.judge != other.judge:
        return f"its judge is {other.judge or 'none'}"
    return ""


def _units(read: _Read, column: Column) -> list[Unit]:
    file = units_file(read.folder, column.name)
    taken = set(read.report.items)
    return [unit for unit in read_units(file) if unit.item in taken] if file.exists() else []
