"""How long ``arrkit --help`` takes, against a bare ``python -c "import typer, rich"``.

python benchmarks/help_startup.py
"""

from __future__ import annotations

import subprocess
import sys
import time

from common import ROOT_ENVIRONMENT, Bar, Result, main, median_ratio

RUNS = 21


def seconds(*arguments: str) -> float:
    """Wall time of one start of this Python."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=ROOT_ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure() -> list[Result]:
    """The ratio of the two starts."""
    ratio, ours, bare = median_ratio(
        lambda: seconds("-m", "arrkit", "--help"), lambda: seconds("-c", "import typer, rich"), RUNS
    )
    detail = f"{ours * 1000:.0f} ms / {bare * 1000:.0f} ms, medians of {RUNS}"
    return [Result("arrkit --help / import typer, rich", ratio, 2.0, Bar.AT_MOST, detail)]


if __name__ == "__main__":
    sys.exit(main(measure))
