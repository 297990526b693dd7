"""The tables of ``arrkit bench`` on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table

from arrkit.bench.cells import Difference
from arrkit.bench.model import Mode, Score
from arrkit.cli import draw
from arrkit.commands.bench_report import BenchReport
from arrkit.commands.bench_table import TableOf


def number(score: Score | None) -> str:
    """``83.14 [79, 87]``: in per cent where 1 is the top, else on its own scale; or a dash."""
    if score is None or score.value is None or score.low is None or score.high is None:
        return "–"
    if score.top in (1, 100):
        scale = 100 / score.top
        return f"{score.value * scale:.2f} [{score.low * scale:.0f}, {score.high * scale:.0f}]"
    return f"{score.value:.3f} [{score.low:.2f}, {score.high:.2f}]"


def change(difference: Difference | None) -> str:
    """``+12.4 [+8.1, +17.0]`` in points, or on its own scale; a star before it where the interval leaves
    out none.
    """
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return ""
    star = "* " if difference.certain else ""
    if difference.top in (1, 100):
        scale = 100 / difference.top
        ends = f"[{difference.low * scale:+.1f}, {difference.high * scale:+.1f}]"
        return f"{star}{difference.value * scale:+.1f} {ends}"
    return f"{star}{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"


def score_tables(report: BenchReport) -> Iterator[Table]:
    """One table for both modes where they agree in every number, else one for each."""
    modes = [
        mode
        for mode in Mode
        if any(score.mode is mode for column in report.columns for score in column.scores)
    ]
    if len(modes) == 2 and _agree(report):
        title = "official and strict agree: all that was expected is scored"
        yield _scores(report, Mode.STRICT, f"{title}, none missing, none unparsed")
        return
    for mode in modes:
        rule = "what is missing is left out" if mode is Mode.OFFICIAL else "what is missing counts as 0"
        yield _scores(report, mode, f"{mode}: {rule}" if _lacking(report) else str(mode))


def _agree(report: BenchReport) -> bool:
    for column in report.columns:
        held = {mode: {s.name: s.value for s in column.scores if s.mode is mode} for mode in Mode}
        if held[Mode.OFFICIAL] != held[Mode.STRICT]:
            return False
    return not _lacking(report)


def _lacking(report: BenchReport) -> bool:
    return any(score.scored < score.expected for column in report.columns for score in column.scores)


def _scores(report: BenchReport, mode: Mode, title: str) -> Table:
    columns = [
        {score.name: score for score in column.scores if score.mode is mode} for column in report.columns
    ]
    apart = {each.name: each for each in report.differences if each.mode is mode}
    unit = "" if any(score.top not in (1, 100) for held in columns for score in held.values()) else " %"
    names = dict.fromkeys(name for held in columns for name in held)
    several, lacking = len(columns) > 1, _lacking(report)
    headers = ["metric", *(f"{column.name or 'value'}{unit}" for column in report.columns)]
    headers += ["change"] if several else []
    headers += ["scored/expected", "missing", "unparsed"] if lacking else ["scored"]
    rows = []
    for name in names:
        held = [each.get(name) for each in columns]
        there = [score for score in held if score is not None]
        row = [name.removeprefix(f"{report.metric}/"), *(number(score) for score in held)]
        row += [change(apart.get(name))] if several else []
        row += [_alike(f"{score.scored}/{score.expected}" for score in there)]
        if lacking:
            row += [_alike(str(score.missing) for score in there)]
            row += [_alike(str(score.unparsed) for score in there)]
        rows.append(row)
    return draw.table(headers, rows, title=title)


def _alike(texts: Iterable[str]) -> str:
    """One text where all columns have the same, else each."""
    return ", ".join(dict.fromkeys(texts))


def runs_table(shown: TableOf) -> Table:
    """Runs and models of one metric, each against the first; what is the same in all stands in the title."""
    agree = all(_same(row.official, row.strict) for row in shown.rows)
    columns = {
        "run": [row.run for row in shown.rows],
        "model": [row.model for row in shown.rows],
        "policy": [row.policy for row in shown.rows],
        "judge": [row.judge for row in shown.rows],
        "official": [number(row.official) for row in shown.rows],
        "change": [change(row.official_difference) for row in shown.rows],
        "strict": [number(row.strict) for row in shown.rows],
        "strict change": [change(row.strict_difference) for row in shown.rows],
        "scored": [f"{row.strict.scored}/{row.strict.expected}" if row.strict else "" for row in shown.rows],
    }
    title = [shown.metric]
    for name in ("policy", "judge"):
        if len(set(columns[name])) == 1:
            title += [f"{name} {columns[name][0]}"] if columns[name][0] else []
            del columns[name]
    if agree:
        title.append("official and strict agree")
        columns["value"] = columns.pop("official")
        columns["change"], columns["scored"] = columns.pop("change"), columns.pop("scored")
        del columns["strict"], columns["strict change"]
    kept = {name: column for name, column in columns.items() if any(column)}
    left = sum(name in ("run", "model", "policy", "judge") for name in kept)
    return draw.table([*kept], [*zip(*kept.values(), strict=True)], title=", ".join(title), left=left)


def _same(official: Score | None, strict: Score | None) -> bool:
    return official is not None and strict is not None and official.value == strict.value
