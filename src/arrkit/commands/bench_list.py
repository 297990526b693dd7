"""``bench list``: which benchmarks are installed, and what each asks, costs and allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from arrkit.backends.listing import Group, list_plugins
from arrkit.backends.plugin import BenchmarkPlugin
from arrkit.commands.bench_options import BenchListOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One benchmark. ``items`` and ``images`` are 0 where they depend on its options or files."""

    name: str
    status: str
    summary: str = ""
    tasks: tuple[str, ...] = ()
    items: int = 0
    images: int = 0
    judged: bool = False
    license: str = ""
    source: str = ""
    size: str = ""
    options: tuple[str, ...] = ()
    distribution: str = ""
    reason: str = ""
    mend: str = ""


def list_benchmarks(options: BenchListOptions) -> tuple[Listed, ...]:
    """All installed benchmarks by name. None of their modules is imported, no file is looked for."""
    del options
    found = []
    for each in list_plugins(Group.BENCHMARKS):
        state = Listed(
            name=each.name,
            status=str(each.status),
            distribution=each.distribution,
            reason=each.reason,
            mend=each.mend,
        )
        if isinstance(record := each.record, BenchmarkPlugin):
            state = replace(
                state,
                summary=record.summary,
                tasks=tuple(str(task) for task in record.tasks),
                items=record.items,
                images=record.images,
                judged=record.judged,
                license=record.license,
                source=record.source,
                size=record.size,
                options=tuple(record.parameters),
            )
        found.append(state)
    return tuple(found)
