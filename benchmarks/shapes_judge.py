"""How many pairs a CPU second (what one core does) the embedded judge compares in both orders.

The pairs are drawn before the clock starts. Each judge is fresh, so that every image is analysed once and
nothing is remembered from an earlier run.

python benchmarks/shapes_judge.py
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time

from arrkit.backends.registry import make_dataset, make_judge
from arrkit.data.pairs import PreferencePair
from arrkit.judge.protocol import Order, compare_request
from arrkit.rubric.model import Dimension
from common import Bar, Result, main, shipped_dimensions

PAIRS = 200
RUNS = 5
BAR = 100.0
"""Pairs a CPU second."""


async def rate(pairs: list[PreferencePair], dimensions: tuple[Dimension, ...]) -> float:
    """Pairs a CPU second of one fresh judge, both orders."""
    judge = make_judge("shapes")
    start = time.process_time()
    for pair in pairs:
        for order in Order:
            await judge.compare(compare_request(pair, order, dimensions))
    seconds = time.process_time() - start
    await judge.aclose()
    return len(pairs) / seconds


def measure() -> list[Result]:
    """Both tasks, without a rubric and under the one shipped for the shapes world."""
    one_core()
    results = []
    for task in ("t2i", "edit"):
        pairs = list(make_dataset(f"shapes-{task}:test?n={PAIRS}"))
        for pair in pairs:
            for picture in pair.pictures:
                picture.load()
        under: dict[str, tuple[Dimension, ...]] = {"no rubric": ()}
        if dimensions := shipped_dimensions(f"shapes-{task}"):
            under[f"rubric shapes-{task}"] = dimensions
        for shown, criteria in under.items():
            rates = [asyncio.run(rate(pairs, criteria)) for _ in range(RUNS)]
            median = statistics.median(rates)
            detail = f"{median:.0f} pairs/s in both orders / {BAR:.0f}, median of {RUNS}"
            results.append(Result(f"shapes judge, {task}, {shown}", median / BAR, 1.0, Bar.AT_LEAST, detail))
    return results


def one_core() -> None:
    """Keep this process on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    sys.exit(main(measure))
