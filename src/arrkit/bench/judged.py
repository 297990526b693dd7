"""What a hosted judge tells of itself, kept in parts so that a run of several starts knows all of it.

A record has ``snapshots`` (answers by each name that the endpoint resolved), ``temperatures`` (that were
asked for, null for the endpoint's own), ``repeats`` (answers that were asked for again), and what never
changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from arrkit.canonical import Json

SNAPSHOTS, TEMPERATURES, REPEATS = "snapshots", "temperatures", "repeats"


def news(before: Mapping[str, Json], now: Mapping[str, Json]) -> dict[str, Json]:
    """What ``now`` tells beyond ``before``; empty where nothing has changed."""
    told: dict[str, Json] = {}
    if more := _counts(now) - _counts(before):
        told[SNAPSHOTS] = dict(sorted(more.items()))
    if new := [each for each in _temperatures(now) if each not in _temperatures(before)]:
        told[TEMPERATURES] = list(new)
    if repeats := _repeats(now) - _repeats(before):
        told[REPEATS] = repeats
    return told


def in_all(parts: Iterable[Mapping[str, Json]], now: Mapping[str, Json]) -> dict[str, Json]:
    """The sum of ``parts``, with what never changes from ``now``."""
    counts: Counter[str] = Counter()
    temperatures: dict[float | None, None] = {}
    repeats = 0
    for part in parts:
        counts += _counts(part)
        temperatures |= dict.fromkeys(_temperatures(part))
        repeats += _repeats(part)
    told = dict(now)
    if SNAPSHOTS in told:
        told[SNAPSHOTS] = dict(sorted(counts.items()))
        told[TEMPERATURES] = sorted(temperatures, key=lambda each: (each is not None, each or 0.0))
        told[REPEATS] = repeats
    return told


def _counts(record: Mapping[str, Json]) -> Counter[str]:
    held = record.get(SNAPSHOTS)
    if not isinstance(held, Mapping):
        return Counter()
    return Counter({name: count for name, count in held.items() if isinstance(count, int)})


def _temperatures(record: Mapping[str, Json]) -> list[float | None]:
    held = record.get(TEMPERATURES)
    if not isinstance(held, list | tuple):
        return []
    return [each for each in held if each is None or isinstance(each, int | float)]


def _repeats(record: Mapping[str, Json]) -> int:
    held = record.get(REPEATS)
    return held if isinstance(held, int) else 0
