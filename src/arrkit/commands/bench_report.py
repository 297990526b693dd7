"""What ``bench run`` and ``bench score`` come to: the value behind the table, the report and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arrkit.bench.cells import Difference
from arrkit.bench.model import Item, Mode, Score, Status, Unit
from arrkit.canonical import Json
from arrkit.commands.bench_inputs import Chosen
from arrkit.errors import Problem
from arrkit.judge.calls.totals import CallTotals

GALLERY = 60
"""How many prompts a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One model's numbers. ``name`` is ``base`` or ``trained``, or empty where there is one alone."""

    name: str
    scores: tuple[Score, ...]
    images: str = ""
    units: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """What a run came to: ``report.json``.

    ``prompts`` of ``of`` were taken: fewer only for a quick look, and ``note`` says so then;
    ``items`` are their ids. ``judge`` is the
    one that was named, ``judged_by`` all that it said of itself (snapshots, temperature). ``differences`` are
    those of the second column to the first. ``problems`` are prompts that could not be painted.
    """

    benchmark: str
    spec: str
    metric: str
    prompts: int
    of: int
    items: tuple[str, ...] = ()
    note: str = ""
    policy: str = ""
    lora: str = ""
    steps: int = 0
    seed: int = 0
    judge: str = ""
    judged_by: Mapping[str, Json] = field(default_factory=dict)
    identity: Mapping[str, Json] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    differences: tuple[Difference, ...] = ()
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()
    calls: CallTotals | None = None
    run: str = ""

    @property
    def incomplete(self) -> str:
        """A sentence where not all that was expected is scored; empty where it is."""
        said = []
        for column in self.columns:
            strict = [score for score in column.scores if score.mode is Mode.STRICT]
            if not strict or strict[0].scored == strict[0].expected:
                continue
            first = strict[0]
            of = f" of {column.name}" if column.name else ""
            said.append(
                f"{first.expected - first.scored} of {first.expected} answers{of} are lacking "
                f"({first.missing} without an image, {first.unparsed} unreadable or failed)"
            )
        return f"{'; '.join(said)}: strict counts them as 0, official leaves them out." if said else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One prompt of a page's gallery.

    Images are paths, None where there is none. ``*_value`` is the mean of the units' values, ``*_verdict``
    what was said or seen, in words; both empty or None where nothing is known.
    """

    item: str
    prompt: str
    group: str = ""
    source: Path | None = None
    base: Path | None = None
    trained: Path | None = None
    base_value: float | None = None
    trained_value: float | None = None
    base_verdict: str = ""
    trained_verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPage:
    """All that a page shows: the report, and images with what was said of them.

    In a run of one model its images are ``trained`` where it has an adapter, else ``base``.
    """

    report: BenchReport
    command: str
    started_at: str
    gallery: tuple[Shown, ...] = ()


def gallery(
    chosen: Chosen, folders: Mapping[str, Path], units: Mapping[str, Sequence[Unit]]
) -> tuple[Shown, ...]:
    """Prompts spread over all groups, first those where the two models differ most.

    Args:
        chosen: the benchmark.
        folders: the images of ``base`` and ``trained``, or of one of them.
        units: what was said of them, under the same names.
    """
    by_item = {name: _by_item(each) for name, each in units.items()}
    shown = []
    for item in chosen.items:
        values = {name: _mean(by_item.get(name, {}).get(item.id, ())) for name in folders}
        words = {name: _words(by_item.get(name, {}).get(item.id, ())) for name in folders}
        files = {name: folder / item.files[0] for name, folder in folders.items()}
        there = {name: file for name, file in files.items() if file.exists()}
        if there:
            shown.append(
                Shown(
                    item=item.id,
                    prompt=item.prompt,
                    group=", ".join(item.groups.values()),
                    source=_source(item),
                    base=there.get("base"),
                    trained=there.get("trained"),
                    base_value=values.get("base"),
                    trained_value=values.get("trained"),
                    base_verdict=words.get("base", ""),
                    trained_verdict=words.get("trained", ""),
                )
            )
    return _telling(shown)


def _telling(shown: Sequence[Shown]) -> tuple[Shown, ...]:
    """At most :data:`GALLERY`, of each group in turn those first where the models differ most."""
    groups: dict[str, list[Shown]] = {}
    for each in shown:
        groups.setdefault(each.group, []).append(each)
    for group in groups.values():
        group.sort(key=lambda each: -abs((each.trained_value or 0.0) - (each.base_value or 0.0)))
    turns = [
        (place, name, each) for name, group in groups.items() for place, each in enumerate(group[:GALLERY])
    ]
    turns.sort(key=lambda turn: turn[0])
    return tuple(each for _, _, each in turns[:GALLERY])


def _source(item: Item) -> Path | None:
    path = Path(item.sources[0].name) if item.sources else None
    return path if path is not None and path.is_file() else None


def _by_item(units: Sequence[Unit]) -> dict[str, list[Unit]]:
    held: dict[str, list[Unit]] = {}
    for unit in units:
        if unit.image == 0:
            held.setdefault(unit.item, []).append(unit)
    return held


def _mean(units: Sequence[Unit]) -> float | None:
    values = [unit.value for unit in units if unit.value is not None]
    return sum(values) / len(values) if values else None


def _words(units: Sequence[Unit]) -> str:
    said = []
    for unit in units:
        if unit.status is not Status.SCORED:
            verdict = str(unit.status)
        elif isinstance(unit.answer, str):
            verdict = unit.answer
        else:
            verdict = f"{unit.value:g}"
        said.append(f"{unit.question}: {verdict}" if unit.question else verdict)
    return "; ".join(said)
