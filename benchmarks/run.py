"""All benchmarks, and a table of their ratios against the bars; ``make bench`` runs this.

python benchmarks/run.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from common import ROOT_ENVIRONMENT, Bar, Result, heading

BENCHMARKS = (
    "help_startup",
    "shapes_judge",
    "journal_overhead",
    "call_overhead",
    "eval_memory",
    "judge_throughput",
    "data_scale",
    "bench_scale",
    "sparse_speed",
    "rpo_forwards",
    "rpo_overlap",
    "rpo_bytes",
)


def results_of(name: str) -> list[Result]:
    """Run one benchmark in a process of its own; an empty list where it failed."""
    script = Path(__file__).with_name(f"{name}.py")
    done = subprocess.run(
        [sys.executable, script, "--json"],
        env=ROOT_ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    values = [json.loads(line) for line in done.stdout.splitlines()]
    return [Result(**{**value, "side": Bar(value["side"])}) for value in values]


def main() -> int:
    """Run all and print the table; 1 where a benchmark failed or a bar does not hold."""
    out = Console(width=None if sys.stdout.isatty() else 140)
    table = Table("what", "ratio", "bar", "", "measured", title=heading(), title_justify="left")
    good = True
    for name in BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results = results_of(name)
        good &= bool(results) and all(result.held for result in results)
        for result in results:
            verdict = "[green]held[/]" if result.held else "[bold red]NOT HELD[/]"
            bar = f"{result.side} {result.bar:g}"
            if result.side is Bar.NOTED:
                verdict, bar = "", str(result.side)
            table.add_row(result.name, f"{result.ratio:.3g}", bar, verdict, result.detail)
        if not results:
            table.add_row(name, "", "", "[bold red]FAILED[/]", "see the error above")
    out.print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
