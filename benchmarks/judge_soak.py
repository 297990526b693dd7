"""``judge eval`` through an endpoint that fails one request in five, in eight ways; then the books.

The faults are rate limits with and without a hint, 500 and 503, connections reset in mid-answer, answers that
never come (cut by a short timeout), answers that break off within their JSON, and refusals; which request
meets which is drawn from a seed. The run takes the real path: pairs file, SDK, retries, limiter, cache,
journal, report. Images are tiny and answers quick, so that endurance is tested and not speed.

Held afterwards:

- every pair is in the report, and the ends of its judgments sum up to two a pair;
- the journal holds one line for each (pair, order), none twice, with the ends that the report counts;
- no fault but a refusal costs a judgment that the retries should have saved;
- the endpoint saw as many requests as the run says it sent;
- the same command again asks for nothing but what had failed.

python benchmarks/judge_soak.py [--requests 20000] [--faults 0.2] [--concurrency 32]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

import arrkit
from arrkit.judge.report import JudgeReport
from common import heading, write_photo_pairs
from endpoint import FAULTS, Endpoint
from judge_throughput import PROFILE, RUBRIC, verdict

SIDE = 16
DELAY = 0.005
HANG = 30.0
TIMEOUT = 1
SENT_AGAIN = 7 / 8
"""The share of the faults after which a request is sent again: all but refusals."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold: what it is, what was found, what it should be."""

    name: str
    found: object
    wanted: object

    @property
    def held(self) -> bool:
        return self.found == self.wanted


def evaluate(folder: Path, url: str, options: argparse.Namespace) -> JudgeReport:
    """One start of the command."""
    return arrkit.evaluate_judge(
        arrkit.EvalOptions(
            pairs=folder / "pairs.jsonl",
            judge=f"vllm:bench?base_url={url}&timeout={TIMEOUT}",
            rubric=(RUBRIC,),
            baseline=False,
            concurrency=options.concurrency,
            cache=folder / "cache",
            seed=options.seed,
            out=folder / "run",
        )
    )


def journal(folder: Path) -> list[dict[str, object]]:
    """The records of the run's journal."""
    lines = (folder / "run" / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def ends(records: Iterable[Mapping[str, object]]) -> Counter[str]:
    """How the judgments of a journal ended."""
    return Counter(str(record["response"]["outcome"]) for record in records)  # type: ignore[index]


def counted(report: JudgeReport) -> Counter[str]:
    """The ends that the report's one row counts."""
    (row,) = report.rows
    return Counter({str(end): count for end, count in row.stats.outcomes.items() if count})


def checks_of_first(
    report: JudgeReport, records: Sequence[Mapping[str, object]], served: Counter[str], pairs: int
) -> list[Check]:
    """What must hold after the start under faults."""
    shown = Counter((record["pair"], record["order"]) for record in records)
    found = counted(report)
    sent = Counter(report.calls.outcomes if report.calls else {})
    throttled = ("429 with a hint", "429 without one", "503")
    stumbled = ("500", "reset in mid-answer", "hang")
    return [
        Check("pairs in the report", report.rows[0].stats.pairs, pairs),
        Check("ends of judgments, summed", found.total(), 2 * pairs),
        Check("ends beside ok, refused and unparsed", sorted(set(found) - {"ok", "refused", "unparsed"}), []),
        Check("judgments refused / refusals served", found["refused"], served["refusal"]),
        Check("lines in the journal", len(records), 2 * pairs),
        Check("keys that stand twice", len(records) - len({record["key"] for record in records}), 0),
        Check("(pair, order) that stand twice", sum(count > 1 for count in shown.values()), 0),
        Check("ends in the journal", dict(ends(records)), dict(found)),
        Check("requests that the run counts / that arrived", sent.total(), served.total()),
        Check("waits for limits / served", sent["rate_limit"], sum(served[name] for name in throttled)),
        Check("stumbles / served", sent["transient"], sum(served[name] for name in stumbled)),
    ]


def checks_of_second(
    report: JudgeReport, records: Sequence[Mapping[str, object]], served: Counter[str], pairs: int, left: int
) -> list[Check]:
    """What must hold after the same command again, with nothing failing any more."""
    last = {str(record["key"]): record for record in records}
    return [
        Check("second start: judgments asked for", report.asked, left),
        Check("second start: judgments from the journal", report.replayed, 2 * pairs - left),
        Check("second start: requests that arrived", served.total(), left),
        Check("in the end: ends of judgments", dict(counted(report)), {"ok": 2 * pairs}),
        Check("in the end: ends in the journal, by key", dict(ends(last.values())), {"ok": 2 * pairs}),
    ]


def soak(folder: Path, options: argparse.Namespace) -> bool:
    """Both starts, the table, and whether all held."""
    pairs = math.ceil(options.requests * (1 - options.faults * SENT_AGAIN) / 2)
    write_photo_pairs(folder, pairs, SIDE)
    text = verdict()
    start = time.perf_counter()
    with Endpoint(text, delay=DELAY, faults=options.faults, hang=HANG, seed=options.seed) as first:
        report = evaluate(folder, first.url, options)
    seconds = time.perf_counter() - start
    records = journal(folder)
    checks = checks_of_first(report, records, first.counts, pairs)
    left = 2 * pairs - counted(report)["ok"]
    with Endpoint(text, port=first.port) as second:
        again = evaluate(folder, second.url, options)
    checks += checks_of_second(again, journal(folder), second.counts, pairs, left)

    title = f"{heading()}: {first.counts.total():,} requests, {pairs:,} pairs, {seconds:.0f} s"
    table = Table("what the endpoint did", "times")
    for name in ("answer", *FAULTS):
        table.add_row(name, f"{first.counts[name]:,}")
    ended = Table("how judgments ended", "first start", "after the second")
    for name in sorted(counted(report) | counted(again)):
        ended.add_row(name, f"{counted(report)[name]:,}", f"{counted(again)[name]:,}")
    held = Table("what must hold", "found", "wanted", "")
    for check in checks:
        verdict_of = "[green]held[/]" if check.held else "[bold red]NOT HELD[/]"
        held.add_row(check.name, str(check.found), str(check.wanted), verdict_of)
    out = Console(width=None if sys.stdout.isatty() else 140)
    for each in (title, table, ended, held):
        out.print(each)
    return all(check.held for check in checks)


def main() -> int:
    """The exit status: 1 where something does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000, help="about how many are sent")
    parser.add_argument("--faults", type=float, default=0.2, help="the share that fails")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            os.environ[variable] = str(folder / variable.lower())
        settings = folder / "xdg_config_home" / "arrkit"
        settings.mkdir(parents=True)
        (settings / "models.toml").write_text(PROFILE)
        return 0 if soak(folder, options) else 1


if __name__ == "__main__":
    sys.exit(main())
