"""What a method of ``rubric build`` hands back, whichever it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrkit.judge.evaluate import Evaluation, Skipped
from arrkit.judge.report import JudgeReport
from arrkit.rubric.model import Counts, Dimension, Learning, WeighedRates
from arrkit.runs.view import Page

if TYPE_CHECKING:
    from arrkit.commands.build import BuildReport
    from arrkit.commands.selecting import Selection

Draw = Callable[["BuildReport", JudgeReport | None, Evaluation | None, str], Page]
"""Makes the page of the report, the measurement on held-out pairs, its cases, and when the run began."""


async def _unweighed() -> WeighedRates | None:
    return None


@dataclass(frozen=True, slots=True)
class Made:
    """A learned rubric before it is measured.

    ``options`` are those that provenance names beside the common ones; ``build_pairs`` the short digests of
    the pairs seen. ``weigh`` measures the learned weights on held-out pairs, where there are both;
    ``selection`` is the choice of criteria, where not all were taken, still to be measured.
    """

    dimensions: tuple[Dimension, ...]
    description: str
    counts: Counts | None
    build_pairs: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    options: Mapping[str, str | int | float | bool | None]
    draw: Draw
    learning: Learning | None = None
    weigh: Callable[[], Awaitable[WeighedRates | None]] = _unweighed
    selection: Selection | None = None
