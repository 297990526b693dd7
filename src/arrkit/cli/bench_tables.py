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
    """``+12.4 [+8.1, +17.0]`` in points, or on its own scale; a star where the interval leaves out none."""
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return ""
    star = " *" if difference.certain else "  "
    if difference.top in (1, 100):
        scale = 100 / difference.top
        ends = f"[{difference.low * scale:+.1f}, {difference.high * scale:+.1f}]"
        return f"{difference.value * scale:+.1f} {ends}{star}"
    return f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]{star}"


def score_tables(report: BenchReport) -> Iterator[Table]:
    """One table for both modes where they agree in every number, else one for each."""
    modes = [
        mode
        for mode in Mode
        if any(score.mode is mode for column in report.columns for score in column.scores)
    ]
    if len(modes) == 2 and _agree(report):
        yield _scores(report, Mode.STRICT, "official and strict agree: all that was expected is scored")
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
    several = len(columns) > 1
    headers = ["metric", *(f"{column.name or 'value'}{unit}" for column in report.columns)]
    headers += ["change"] if several else []
    headers += ["scored/expected", "missing", "unparsed"]
    rows = []
    for name in names:
        scores = [held.get(name) for held in columns]
        row = [name, *(number(score) for score in scores)]
        row += [change(apart.get(name))] if several else []
        there = [score for score in scores if score is not None]
        row += [
            _alike(f"{score.scored}/{score.expected}" for score in there),
            _alike(str(score.missing) for score in there),
            _alike(str(score.unparsed) for score in there),
        ]
        rows.append(row)
    return draw.table(headers, rows, title=title)


def _alike(texts: Iterable[str]) -> str:
    """One text where all columns have the same, else each."""
    return ", ".join(dict.fromkeys(texts))


def runs_table(shown: TableOf) -> Table:
    """Runs and models of one metric, each against the first."""
    rows = [
        (
            row.run,
            row.model,
            row.policy,
            row.judge,
            number(row.official),
            change(row.official_difference),
            number(row.strict),
            change(row.strict_difference),
            f"{row.strict.scored}/{row.strict.expected}" if row.strict else "",
        )
        for row in shown.rows
    ]
    headers = ["run", "model", "policy", "judge", "official", "change", "strict", "change", "scored"]
    empty = [place for place in (1, 2, 3, 5, 7) if not any(row[place] for row in rows)]
    kept = [place for place in range(len(headers)) if place not in empty]
    return draw.table(
        [headers[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        title=shown.metric,
        left=sum(place < 4 for place in kept),
    )
