"""How a long command tells whoever runs it how far it is, without printing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """One state of a long command.

    ``done`` of ``total`` steps of ``stage`` are finished (``total`` is None where it is not known);
    ``counts`` says what became of them, such as ``{"passed": 12, "refined": 3}``.
    """

    stage: str
    done: int
    total: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


Watch = Callable[[Progress], None]
"""Called with each new state, from the thread that runs the command; must return quickly."""


def unwatched(progress: Progress) -> None:
    """The watcher that does not look."""
