"""Counting what a judge said, in memory that does not grow with the number of pairs.

One pair under one rubric falls into one of 48 cells: the human label (A, B, neither) x what the judge chose
with A shown first (A, B, tie, none) x what it chose with B shown first. What the counts say, and by which
rules, is :mod:`arrkit.judge.measures`.
"""

from __future__ import annotations

from collections import Counter

from arrkit.data.pairs import Label
from arrkit.judge.measures import (
    CELLS,
    NONE,
    TIE_CREDIT,
    A,
    B,
    JudgeStats,
    PairedStats,
    accuracy_rule,
    judge_stats,
    paired_stats,
)
from arrkit.judge.measures import TIE as TIED
from arrkit.judge.protocol import Order, Outcome, Side, Verdict
from arrkit.judge.stats import RESAMPLES

__all__ = ["TIE_CREDIT", "JudgeStats", "PairedStats", "PairedTally", "Tally", "accuracy_rule", "chosen"]

_LABELS: dict[Label, int] = {Label.A: A, Label.B: B, Label.TIE: TIED, Label.BOTH_BAD: TIED}
_CHOICES: tuple[Label | None, ...] = (Label.A, Label.B, Label.TIE, None)


def _code(order: Order, verdict: Verdict | None) -> int:
    if verdict is None:
        return NONE
    if verdict.outcome is Outcome.OK:
        return A if (verdict.preferred is Side.FIRST) is (order is Order.AB) else B
    return TIED if verdict.outcome is Outcome.TIE else NONE


def chosen(order: Order, verdict: Verdict | None) -> Label | None:
    """The image that a verdict names, whatever place it stood in; None where the judge decided nothing."""
    return _CHOICES[_code(order, verdict)]


class Tally:
    """Counts of one judge under one rubric. Small, mergeable; pairs may come in any order.

    ``cells`` counts pairs, ``outcomes`` how presentations ended, ``expected`` those called for.
    """

    __slots__ = ("cells", "expected", "outcomes")

    def __init__(self) -> None:
        self.cells: list[int] = [0] * CELLS
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.expected = 0

    def add(
        self,
        label: Label,
        ab: Verdict | None = None,
        ba: Verdict | None = None,
        *,
        expected: int | None = None,
    ) -> int:
        """Count one pair and return its cell, which is what :meth:`PairedTally.add` takes.

        Args:
            label: what people said.
            ab: the verdict with A shown first, None where there is none.
            ba: the verdict with B shown first, None where there is none.
            expected: how many verdicts were called for, where fewer came (an unreadable image).

        Raises ``ValueError`` where more verdicts came than were expected.
        """
        shown = 0
        if ab is not None:
            shown += 1
            self.outcomes[ab.outcome] += 1
        if ba is not None:
            shown += 1
            self.outcomes[ba.outcome] += 1
        if expected is not None and expected < shown:
            raise ValueError(f"{shown} verdicts where {expected} were expected")
        self.expected += shown if expected is None else expected
        cell = _LABELS[label] * 16 + _code(Order.AB, ab) * 4 + _code(Order.BA, ba)
        self.cells[cell] += 1
        return cell

    def merge(self, other: Tally) -> None:
        """Add all that ``other`` counted."""
        self.cells = [mine + theirs for mine, theirs in zip(self.cells, other.cells, strict=True)]
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] += count
        self.expected += other.expected

    @property
    def pairs(self) -> int:
        """How many pairs were added."""
        return sum(self.cells)

    def stats(
        self, *, tie_credit: float = TIE_CREDIT, resamples: int = RESAMPLES, seed: int = 0
    ) -> JudgeStats:
        """What the counts say: :func:`~arrkit.judge.measures.judge_stats`."""
        return judge_stats(
            self.cells, self.outcomes, self.expected, tie_credit=tie_credit, resamples=resamples, seed=seed
        )


class PairedTally:
    """Joint counts of one judge on the same pairs under a baseline and under a rubric. Small, mergeable."""

    __slots__ = ("cells",)

    def __init__(self) -> None:
        self.cells: Counter[int] = Counter()

    def add(self, baseline: int, treated: int) -> None:
        """Count one pair by the two cells that :meth:`Tally.add` returned for it."""
        self.cells[baseline * CELLS + treated] += 1

    def merge(self, other: PairedTally) -> None:
        """Add all that ``other`` counted."""
        self.cells.update(other.cells)

    def stats(
        self, *, tie_credit: float = TIE_CREDIT, resamples: int = RESAMPLES, seed: int = 0
    ) -> PairedStats:
        """What the counts say: :func:`~arrkit.judge.measures.paired_stats`."""
        return paired_stats(self.cells, tie_credit=tie_credit, resamples=resamples, seed=seed)
