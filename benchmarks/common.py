"""What the benchmarks share: results that are ratios, and how they are shown."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import arrkit
from arrkit.rubric.files import read_rubric
from arrkit.rubric.library import shipped_names
from arrkit.rubric.model import Dimension

ROOT_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
"""The environment of child processes: they see the same modules as this one."""


class Bar(StrEnum):
    """Which side of the bar is good; with ``no bar`` the ratio is only told."""

    AT_MOST = "at most"
    AT_LEAST = "at least"
    NOTED = "no bar"


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
        if self.side is Bar.NOTED:
            return True
        return self.ratio <= self.bar if self.side is Bar.AT_MOST else self.ratio >= self.bar

    def __str__(self) -> str:
        if self.side is Bar.NOTED:
            return f"{self.name}: {self.ratio:.3g} (no bar)  {self.detail}"
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


def peak_kib() -> int:
    """The most memory that this process ever held, in KiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike ru_maxrss, VmHWM begins anew at exec and so knows nothing of the parent.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def write_photo_pairs(folder: Path, count: int, side: int) -> Path:
    """``pairs.jsonl`` with ``count`` pairs of two photos of ``side`` px, JPEG files beside it; all differ.

    What makes them photos is what costs an encoder time: detail at every scale, and grain. A few are made,
    and the others are these, shifted.
    """
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    made = []
    for _ in range(12):
        layers = np.zeros((side, side, 3))
        for power in range(1, 9):
            cells = draw.integers(0, 256, (min(side, 2**power),) * 2 + (3,), dtype=np.uint8)
            layer = Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)
            layers += np.asarray(layer, float) * 0.62**power
        layers = 255 * (layers - layers.min()) / np.ptp(layers) + draw.normal(0, 3, layers.shape)
        made.append(layers.clip(0, 255).astype(np.uint8))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pairs.jsonl").open("w") as stream:
        for pair in range(count):
            names = []
            for place in range(2):
                number = 2 * pair + place
                shift = (number // len(made) * 7 % side, number // len(made) * 11 // side)
                photo = Image.fromarray(np.roll(made[number % len(made)], shift, (0, 1)))
                names.append(f"{number}.jpg")
                photo.save(folder / names[-1], "JPEG", quality=90)
            row = {"id": f"pair-{pair}", "task": "t2i", "query": f"A photo of scene {pair}, at noon."}
            stream.write(json.dumps(row | {"response": names, "label_rank": [1, 2]}) + "\n")
    return folder / "pairs.jsonl"


def shipped_dimensions(name: str) -> tuple[Dimension, ...]:
    """The dimensions of a shipped rubric, none where no rubric of that name is shipped."""
    return read_rubric(name).dimensions if name in shipped_names() else ()


def heading() -> str:
    """What was measured on what, without naming the machine."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"arrkit {arrkit.__version__}, Python {python}, {os.cpu_count()} cores"
