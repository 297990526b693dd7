"""What the benchmarks share: results that are ratios, and how they are shown."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import arrkit
from arrkit.rubric.files import read_rubric
from arrkit.rubric.library import shipped_names
from arrkit.rubric.model import Dimension

ROOT_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
"""The environment of child processes: they see the same modules as this one."""


class Bar(StrEnum):
    """Which side of the bar is good."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Result:
    """One measured ratio and the bar it is held to; ``detail`` says what was divided by what."""

    name: str
    ratio: float
    bar: float
    side: Bar
    detail: str

    @property
    def held(self) -> bool:
        return self.ratio <= self.bar if self.side is Bar.AT_MOST else self.ratio >= self.bar

    def __str__(self) -> str:
        verdict = "held" if self.held else "NOT HELD"
        return f"{self.name}: {self.ratio:.3g} ({self.side} {self.bar:g}: {verdict})  {self.detail}"


def median_ratio(
    measured: Callable[[], float], reference: Callable[[], float], runs: int
) -> tuple[float, float, float]:
    """The ratio of the medians of two measurements taken in turns, and the two medians.

    Taking turns lets what else the machine does fall on both alike; one of each goes before, uncounted, to
    warm caches.
    """
    measured()
    reference()
    pairs = [(measured(), reference()) for _ in range(runs)]
    ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
    return ours / theirs, ours, theirs


def main(measure: Callable[[], Sequence[Result]]) -> int:
    """Run a benchmark as a script and give its exit status: 1 where a bar does not hold.

    Prints the results for people, or with ``--json`` one JSON object a line.
    """
    results = measure()
    for result in results:
        print(json.dumps(dataclasses.asdict(result)) if "--json" in sys.argv else result, flush=True)
    return 0 if all(result.held for result in results) else 1


def shipped_dimensions(name: str) -> tuple[Dimension, ...]:
    """The dimensions of a shipped rubric, none where no rubric of that name is shipped."""
    return read_rubric(name).dimensions if name in shipped_names() else ()


def heading() -> str:
    """What was measured on what, without naming the machine."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"arrkit {arrkit.__version__}, Python {python}, {os.cpu_count()} cores"
