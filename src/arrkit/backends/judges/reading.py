"""Reading JSON that a server sent: each function takes what has the right type and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arrkit.canonical import Json


def table(value: Json) -> Mapping[str, Json]:
    """``value`` where it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def rows(value: Json) -> Sequence[Json]:
    """``value`` where it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def words(value: Json) -> str:
    """``value`` where it is text, else empty text."""
    return value if isinstance(value, str) else ""


def count(value: Json) -> int | None:
    """``value`` where it is a whole number that can count something, else None, which means unknown."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def number(value: Json) -> float | None:
    """``value`` where it is a number, else None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
