"""What the run journal costs: ``judge eval`` in the embedded world with a journal, against the same without.

The judge works under the shipped rubric, whose findings make up most of a journal's line.

Times are processor time of this process (user and system), which other work on the machine disturbs least.

python benchmarks/journal_overhead.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from arrkit.backends.registry import make_dataset, make_judge
from arrkit.data.pairs import PairDataset
from arrkit.judge.evaluate import Contender, judge_pairs
from arrkit.judge.session import JudgeSession
from arrkit.runs.journal import Journal
from common import Bar, Result, main, median_ratio, shipped_dimensions

PAIRS = 150
RUNS = 9


def seconds(pairs: PairDataset, contender: Contender, journal: Journal | None) -> float:
    """Processor time of one evaluation by a fresh judge."""

    async def evaluation() -> None:
        session = JudgeSession(make_judge("shapes"), journal)
        await judge_pairs(session, pairs, [contender])
        await session.judge.aclose()

    start = time.process_time()
    asyncio.run(evaluation())
    return time.process_time() - start


def measure() -> list[Result]:
    """The ratio of the times."""
    contender = Contender("shapes-edit", shipped_dimensions("shapes-edit"))
    pairs = make_dataset(f"shapes-edit:test?n={PAIRS}")
    with tempfile.TemporaryDirectory() as temporary:
        names = count()

        def journalled() -> float:
            journal = Journal(Path(temporary) / f"{next(names)}.jsonl")
            try:
                return seconds(pairs, contender, journal)
            finally:
                journal.close()

        ratio, ours, bare = median_ratio(journalled, lambda: seconds(pairs, contender, None), RUNS)
    detail = f"{ours * 1000:.0f} ms with / {bare * 1000:.0f} ms without, {PAIRS} pairs, medians of {RUNS}"
    return [Result("judge eval with the run journal / without", ratio, 1.05, Bar.AT_MOST, detail)]


if __name__ == "__main__":
    sys.exit(main(measure))
