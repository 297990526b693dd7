"""Progress for people: a live bar on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from arrkit.progress import Progress, Watch

LINE_SECONDS = 5.0
"""Without a terminal, one line at most in this time."""


@contextmanager
def watching() -> Iterator[Watch]:
    """A watcher that draws what it is told, until the block ends."""
    if sys.stderr.isatty():
        with _bar() as watch:
            yield watch
    else:
        yield _Lines()


class _Lines:
    """Plain lines, for logs: one when a stage begins or ends, and one every few seconds."""

    def __init__(self) -> None:
        self._stage = ""
        self._started = self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._started, self._last = progress.stage, now, now
            if progress.done != progress.total:
                return
        if progress.done != progress.total and now - self._last < LINE_SECONDS:
            return
        self._last = now
        typer.echo(f"{progress.stage}: {_state(progress, now - self._started)}", err=True)


def _state(progress: Progress, seconds: float) -> str:
    of = "" if progress.total is None else f"/{progress.total}"
    rate = _rate(progress, seconds)
    parts = [f"{progress.done}{of}", _ends(progress, rate)]
    if rate and progress.total is not None and progress.done < progress.total:
        parts.append(f"{(progress.total - progress.done) / rate:.0f} s left")
    return ", ".join(part for part in parts if part)


def _rate(progress: Progress, seconds: float) -> float:
    """Steps a second; 0 in the first half second, when it would say nothing."""
    return progress.done / seconds if seconds > 0.5 else 0.0


def _ends(progress: Progress, rate: float) -> str:
    """What became of the steps, and how fast."""
    counts = [f"{count} {name}" for name, count in progress.counts.items() if count]
    return ", ".join([*counts, f"{rate:.1f}/s"] if rate else counts)


@contextmanager
def _bar() -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("{task.fields[ends]}"),
        TimeRemainingColumn(compact=True),
    )
    with Bar(*columns, console=Console(stderr=True, emoji=False), transient=True) as bar:
        stage, started = "", 0.0
        task: TaskID | None = None

        # One stage at a time: what an earlier one came to stands in the report.
        def watch(progress: Progress) -> None:
            nonlocal stage, task, started
            now = time.monotonic()
            if task is None or progress.stage != stage:
                if task is not None:
                    bar.remove_task(task)
                stage, started = progress.stage, now
                task = bar.add_task(stage, total=progress.total, ends="")
            ends = _ends(progress, _rate(progress, now - started))
            bar.update(task, completed=progress.done, total=progress.total, ends=ends)

        yield watch
