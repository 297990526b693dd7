"""The page of ``bench run`` and ``bench score``: is it better, at what, and what do the images look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from arrkit import __version__
from arrkit.bench.cells import Difference
from arrkit.bench.model import Mode, Score
from arrkit.commands.bench_report import BenchPage, BenchReport, Shown
from arrkit.commands.bench_report import Column as Numbers
from arrkit.commands.cards import in_threads
from arrkit.commands.painting import ADAPTER
from arrkit.judge.calls.totals import spent
from arrkit.runs import page
from arrkit.runs.pictures import thumbnail
from arrkit.runs.view import (
    Cell,
    Chart,
    ChartRow,
    Column,
    ColumnKind,
    Gallery,
    GalleryImage,
    GalleryRow,
    Interval,
    Page,
    Table,
)

WIN_RATE = "win-rate"
"""How a number is called that says how often one model's images are preferred to another's."""

MOST_BARS = 40
"""A chart of more groups than that is a wall; the table holds them all."""

FIRST_PROBLEMS = 3

_DASH = "–"


def write_page(path: Path, content: BenchPage) -> None:
    """Write ``report.html``, whole or not at all."""
    page.write_page(bench_page(content), path)


def bench_page(content: BenchPage) -> Page:
    """The page of a run, or of answers that were counted."""
    report = content.report
    return Page(
        title=f"{report.metric} of {_subject(report)}",
        command=content.command,
        summary=" ".join(verdict(report)),
        generated_at=content.started_at,
        arrkit_version=__version__,
        facts=tuple(_facts(report)),
        tables=(*_number_tables(report), _counts(report)),
        charts=tuple(_charts(report)),
        galleries=tuple(_gallery(report, content.gallery)),
        notes=tuple(_notes(report)),
        numbers_first=True,
    )


def verdict(report: BenchReport) -> list[str]:
    """What the headline comes to, in a sentence or two: by the strict rules where there are such."""
    said = [*_headline(report)]
    if report.incomplete:
        said.append(_sentence(report.incomplete))
    if report.note:
        said.append(report.note)
    return said or ["Nothing was scored."]


def _headline(report: BenchReport) -> Iterable[str]:
    first = next((score for column in report.columns for score in column.scores if score.headline), None)
    if first is None:
        return
    strict = _find(report.columns[0].scores, first.name, Mode.STRICT) or first
    if strict.name.endswith(WIN_RATE):
        yield _won(strict)
        return
    name = _short(strict.name, report)
    if len(report.columns) < 2:
        whose = report.columns[0].name or "the model"
        yield f"{_sentence(f'{name} of {whose} is {_reading(strict)}')}"
        return
    change = next(
        (each for each in report.differences if (each.name, each.mode) == (strict.name, strict.mode)), None
    )
    base, other = report.columns[0].name, report.columns[1].name
    if change is None or change.value is None or change.low is None or change.high is None:
        yield f"{name} of the two models cannot be compared: one of them has no number."
        return
    told = (
        f"{name} {_value(change.base, change.top)} → {_value(change.other, change.top)}, "
        f"{_signed(change.value, change.top)}{_unit(change.top)} (95 % interval "
        f"{_signed(change.low, change.top)} to {_signed(change.high, change.top)}, {change.items} prompts)"
    )
    if not change.certain:
        yield f"Whether {other} is better than {base} cannot be told: {told}."
    else:
        yield f"{other.capitalize()} is {'better' if change.value > 0 else 'worse'} than {base}: {told}."


def _won(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return "The judge has ruled on no pair of images."
    told = (
        f"its images are preferred to the base model's in {_reading(score)}, ties half "
        f"({score.scored} of {score.expected} pairs ruled)"
    )
    if score.low > 0.5:
        return f"The trained model beats its base: {told}."
    if score.high < 0.5:
        return f"The trained model is worse than its base: {told}."
    return f"Whether the trained model is better than its base cannot be told: {told}."


def _subject(report: BenchReport) -> str:
    if not report.policy:
        return "images" if not report.columns else "given answers"
    if len(report.columns) > 1:
        return f"{report.policy}, base and trained"
    return f"{report.policy} trained" if report.lora else report.policy


def _facts(report: BenchReport) -> Iterable[tuple[str, str]]:
    yield "Benchmark", report.spec or report.benchmark
    if report.policy:
        yield "Policy", report.policy
    if report.lora:
        yield "Adapter", report.lora.removesuffix(f"/{ADAPTER}")
    if report.judge:
        yield "Judge", report.judge
    yield (
        "Prompts",
        f"{report.prompts:,}" if report.prompts == report.of else f"{report.prompts} of {report.of}",
    )
    if report.steps:
        yield "Steps", str(report.steps)
        yield "Seed", str(report.seed)


def _number_tables(report: BenchReport) -> Iterable[Table]:
    """One table for each scale: shares, and marks up to some greatest one."""
    tops = dict.fromkeys(score.top for column in report.columns for score in column.scores)
    for top in tops:
        rows = [*_rows(report, top)]
        models = [column.name or "Value" for column in report.columns]
        kind = ColumnKind.RATE if top == 1 else ColumnKind.NUMBER
        columns = [
            Column("Number"),
            Column(
                "Rules", help="official: as the benchmark's own script counts; strict: all that is expected"
            ),
            *(Column(_title(name), kind) for name in models),
        ]
        if report.differences:
            column = Column("Difference", _difference_kind(top), "paired bootstrap over prompts")
            columns.append(column)
        columns.append(Column("Scored", help="units with a value, of those expected"))
        caption = "Numbers" if len(tops) == 1 else "Shares" if top == 1 else f"Marks up to {top:g}"
        note = "" if top == 1 else f"The greatest value is {top:g}."
        yield Table(caption, tuple(columns), tuple(rows), note)


def _rows(report: BenchReport, top: float) -> Iterable[tuple[Cell, ...]]:
    """One row for each number, two where the two sets of rules differ."""
    names = dict.fromkeys(
        score.name for column in report.columns for score in column.scores if score.top == top
    )
    for name in names:
        modes = [mode for mode in Mode if any(_find(column.scores, name, mode) for column in report.columns)]
        alike = len(modes) == 2 and all(_alike(column, name) for column in report.columns)
        for mode in modes[:1] if alike else modes:
            found = [_find(column.scores, name, mode) for column in report.columns]
            row: list[Cell] = [_short(name, report), "both" if alike else str(mode)]
            row += [_cell(score) for score in found]
            if report.differences:
                row.append(_change(report.differences, name, mode))
            scored = [f"{each.scored:,} of {each.expected:,}" if each else _DASH for each in found]
            row.append(" · ".join(dict.fromkeys(scored)))
            yield tuple(row)


def _alike(column: Numbers, name: str) -> bool:
    one, two = (_find(column.scores, name, mode) for mode in Mode)
    return (
        one is not None
        and two is not None
        and (one.value, one.low, one.high) == (two.value, two.low, two.high)
    )


def _find(scores: Sequence[Score], name: str, mode: Mode) -> Score | None:
    return next((score for score in scores if score.name == name and score.mode is mode), None)


def _cell(score: Score | None) -> Cell:
    if score is None or score.value is None:
        return None
    if score.low is None or score.high is None:
        return score.value
    return Interval(score.value, score.low, score.high, score.scored)


def _change(differences: Sequence[Difference], name: str, mode: Mode) -> Cell:
    found = next((each for each in differences if each.name == name and each.mode is mode), None)
    if found is None or found.value is None or found.low is None or found.high is None:
        return None
    return Interval(found.value, found.low, found.high, found.items)


def _difference_kind(top: float) -> ColumnKind:
    return ColumnKind.DIFFERENCE if top == 1 else ColumnKind.NUMBER


def _counts(report: BenchReport) -> Table:
    """What became of what was expected, for the number that the benchmark is known by."""
    rows: list[tuple[Cell, ...]] = []
    for column in report.columns:
        for score in column.scores[:1]:
            rows.append(
                (
                    _title(column.name or "Images"),
                    score.expected,
                    score.scored,
                    score.missing,
                    score.unparsed,
                )
            )
    kinds = ("Expected", "Scored", "Image missing", "Unreadable or failed")
    columns = (Column("Of"), *(Column(kind, ColumnKind.NUMBER) for kind in kinds))
    return Table("What was counted", columns, tuple(rows))


def _charts(report: BenchReport) -> Iterable[Chart]:
    """Bars by group: numbers whose names differ in their last part alone."""
    families: dict[str, list[str]] = {}
    tops: dict[str, float] = {}
    for column in report.columns:
        for score in column.scores:
            family, slash, _ = score.name.rpartition("/")
            if slash and not score.headline:
                names = families.setdefault(family, [])
                names += [] if score.name in names else [score.name]
                tops[score.name] = score.top
    for family, names in families.items():
        top = tops[names[0]]
        shown = [name for name in names if tops[name] == top]
        if not 2 <= len(shown) <= MOST_BARS:
            continue
        rows = [row for name in shown for row in _bars(report, name)]
        won = report.columns[0].scores[0].name.endswith(WIN_RATE)
        if rows:
            yield Chart(
                _short(family, report) or report.metric,
                tuple(rows),
                reference=0.5 if won else None,
                reference_label="no better",
                note="" if top == 1 else f"In per cent of the greatest mark, {top:g}.",
            )


def _bars(report: BenchReport, name: str) -> Iterable[ChartRow]:
    for number, column in enumerate(report.columns):
        score = _find(column.scores, name, Mode.STRICT) or _find(column.scores, name, Mode.OFFICIAL)
        if score is None or score.value is None or score.low is None or score.high is None:
            continue
        label = _statement(score) or name.rpartition("/")[2].replace("_", " ")
        label += f" · {column.name}" if len(report.columns) > 1 else ""
        top = score.top
        rate = Interval(score.value / top, score.low / top, score.high / top, score.scored)
        yield ChartRow(label, rate, muted=len(report.columns) > 1 and number == 0)


def _statement(score: Score) -> str:
    """The words of a criterion, which is known by a short name elsewhere; empty for other numbers."""
    return score.how.partition(": ")[2] if "/criterion/" in score.name else ""


def _gallery(report: BenchReport, shown: Sequence[Shown]) -> Iterable[Gallery]:
    rows = in_threads(partial(_gallery_row, marked=_marking(report)), shown)
    drawn = tuple(row for row in rows if row.images)
    if drawn:
        many = f"{len(drawn)} of {report.prompts:,} prompts, " if len(drawn) < report.prompts else ""
        differ = "first those where the models differ most" if len(report.columns) > 1 else "from all groups"
        yield Gallery("Images", drawn, note=f"{many}{differ}.".capitalize())


def _gallery_row(shown: Shown, *, marked: Callable[[float], str]) -> GalleryRow:
    images = []
    for name, path, value in (
        ("source", shown.source, None),
        ("base", shown.base, shown.base_value),
        ("trained", shown.trained, shown.trained_value),
    ):
        if path is None or (data := _thumbnail(path)) is None:
            continue
        images.append(GalleryImage(f"{name}: {marked(value)}" if value is not None else name, data))
    verdicts = (("base", shown.base_verdict), ("trained", shown.trained_verdict))
    said = [f"{name}: {words}" for name, words in verdicts if words]
    return GalleryRow(shown.prompt, tuple(images), "; ".join([*filter(None, [shown.group]), *said]))


def _thumbnail(path: Path) -> bytes | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return thumbnail(image)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def _marking(report: BenchReport) -> Callable[[float], str]:
    """What the mean value of an image is called: of two models that are compared, who is better."""
    head = next((score for column in report.columns for score in column.scores if score.headline), None)
    if head is not None and head.name.endswith(WIN_RATE):
        return lambda value: "better" if value > 0.5 else "worse" if value < 0.5 else "a tie"
    if head is None or head.top not in (1, 100):
        return lambda value: f"{value:.3g}"
    words = {0.0: "wrong", 1.0: "right"}
    return lambda value: words.get(value, f"{100 * value:.0f} %")


def _notes(report: BenchReport) -> Iterable[str]:
    yield (
        "Official numbers are counted as the benchmark's own script counts, its defects included; strict "
        "ones count everything that was expected, and what is missing as 0."
    )
    yield (
        "Intervals draw the prompts anew; those of differences draw the same prompts for both models, which "
        "painted them from the same noise."
    )
    for score in report.columns[0].scores if report.columns else ():
        if score.headline and score.how:
            yield _sentence(f"{_short(score.name, report)}, {score.mode}: {score.how}")
    if report.judged_by:
        yield _sentence(f"Judged by {_told(report)}")
    if report.calls is not None:
        yield f"This start: {spent(report.calls)}"
    for problem in report.problems[:FIRST_PROBLEMS]:
        yield _sentence(f"{problem.where}: {problem.what}" if problem.where else problem.what)
    if len(report.problems) > FIRST_PROBLEMS:
        yield f"{len(report.problems) - FIRST_PROBLEMS} more prompts could not be painted."
    yield from report.remarks


def _told(report: BenchReport) -> str:
    snapshots = report.judged_by.get("snapshots")
    parts = [str(report.judged_by.get("judge", report.judge))]
    if isinstance(snapshots, dict) and snapshots:
        parts.append("answers by " + ", ".join(f"{name} ({count})" for name, count in snapshots.items()))
    temperatures = report.judged_by.get("temperatures")
    if isinstance(temperatures, list) and temperatures:
        said = ", ".join("the endpoint's own" if each is None else f"{each:g}" for each in temperatures)
        parts.append(f"temperature {said}")
    return ", ".join(parts)


def _short(name: str, report: BenchReport) -> str:
    """A number's name without the benchmark's, unless nothing is left then; ``G_O`` is written so."""
    return re.sub(r"(?<!\bG)_", " ", name.removeprefix(report.metric).removeprefix("/")) or name


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _reading(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return "not known"
    ends = f"{_value(score.low, score.top)} to {_value(score.high, score.top)}"
    return f"{_value(score.value, score.top)} (95 % interval {ends})"


def _value(value: float | None, top: float) -> str:
    if value is None:
        return _DASH
    return f"{100 * value:.1f} %" if top == 1 else f"{value:.2f}"


def _signed(value: float, top: float) -> str:
    return f"{100 * value:+.1f}" if top == 1 else f"{value:+.2f}"


def _unit(top: float) -> str:
    return " points" if top == 1 else ""
