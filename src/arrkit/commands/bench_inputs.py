"""From the options that name a benchmark to the benchmark, and to those of its items that are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from arrkit.backends.listing import Group, find_plugin
from arrkit.backends.plugin import BenchmarkPlugin, Plugin
from arrkit.backends.registry import make_benchmark
from arrkit.backends.spec import Spec
from arrkit.bench.choosing import spread
from arrkit.bench.model import Benchmark, Item, Unit
from arrkit.bench.units import is_unit_file
from arrkit.canonical import Json, digest
from arrkit.commands.bench_options import BenchOptions, BenchScoreOptions
from arrkit.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class Chosen:
    """A benchmark and the items that are taken: all ``of``, unless the user wants a quick look."""

    benchmark: Benchmark
    spec: str
    items: Sequence[Item]
    of: int
    judged: bool

    @property
    def note(self) -> str:
        """A sentence where not all items are taken; empty where they are."""
        if len(self.items) == self.of:
            return ""
        return (
            f"A quick look at {len(self.items)} of {self.of} prompts, spread over all groups: "
            f"not a result of {self.benchmark.metric}."
        )

    @property
    def ids(self) -> list[str]:
        """The ids of the items, in order."""
        return [item.id for item in self.items]

    def taken(self, units: Sequence[Unit]) -> list[Unit]:
        """Those of all the benchmark's units that are of the items taken."""
        if len(self.items) == self.of:
            return list(units)
        ids = set(self.ids)
        return [unit for unit in units if unit.item in ids]

    @property
    def identity(self) -> dict[str, Json]:
        """What decides the numbers: the benchmark's own identity, and which items are taken."""
        taken: Json = digest(self.ids)
        return {"benchmark": self.benchmark.name, "made": dict(self.benchmark.identity), "items": taken}

    @property
    def images(self) -> int:
        """How many images the items have."""
        return sum(len(item.files) for item in self.items)


def choose_benchmark(options: BenchOptions) -> Chosen:
    """The benchmark that the options name.

    Raises:
        InputError: no such benchmark, its prompts are not there, or an option is not for it.
    """
    spec = Spec.parse(options.benchmark)
    record = find_plugin(Group.BENCHMARKS, spec.name).record
    given = {
        "data": options.data or _prompts_in_answers(options, record),
        "prompt_dir": options.prompt_dir,
        "languages": options.languages,
        "rubric": options.rubric,
    }
    problems = []
    for key, value in given.items():
        flag = "--" + key.replace("_", "-")
        if not value:
            continue
        if record is not None and key not in record.parameters:
            problems.append(Problem(f"{spec.name} has no use for it", flag, f"Leave {flag} out."))
        elif spec.options.get(key, value) != value:
            problems.append(Problem(f"{options.benchmark} says otherwise", flag, "Give one of them."))
        spec = replace(spec, options={**spec.options, key: value})
    if problems:
        raise InputError(problems)
    benchmark = cast("Benchmark", make_benchmark(spec))
    items = benchmark.items()
    judged = isinstance(record, BenchmarkPlugin) and record.judged
    return Chosen(benchmark, str(spec), spread(items, options.limit), len(items), judged)


def _prompts_in_answers(options: BenchOptions, record: Plugin | None) -> str:
    """The result file that is scored, where it names its prompts itself and stands for a prompt file."""
    file = options.answers if isinstance(options, BenchScoreOptions) else None
    if file is None or not isinstance(record, BenchmarkPlugin) or not record.prompts_in_answers:
        return ""
    return "" if is_unit_file(file) else str(file)


def open_chosen(text: str, ids: Sequence[str]) -> Chosen:
    """The benchmark of a spec with the items of these ids, to count with.

    Raises as :func:`choose_benchmark`.
    """
    benchmark = cast("Benchmark", make_benchmark(text))
    items, taken = benchmark.items(), set(ids)
    chosen = [item for item in items if item.id in taken]
    return Chosen(benchmark, text, chosen, len(items), judged=False)
