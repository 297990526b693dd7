"""What each of several judges did: how right it was on the pairs that it was asked of, and what it took."""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.data.pairs import Label
from arrkit.judge.judged import Judged
from arrkit.judge.meter import Meter, PairCost
from arrkit.judge.stats import wilson
from arrkit.judge.tally import JudgeStats, Tally
from arrkit.rubric.model import Rate


@dataclass(frozen=True, slots=True)
class Stage:
    """One of several judges under one rubric.

    ``stats`` are of the pairs that it was asked of, ``share`` of all. Of these a cascade took its word on
    ``settled``, None for an ensemble in which all are asked; ``settled_accuracy`` is its accuracy on those.

    ``cost`` is what it took, shared out among all pairs, so that the stages' costs sum to that of the whole.
    """

    judge: str
    stats: JudgeStats
    share: Rate | None
    settled: Rate | None
    settled_accuracy: Rate | None
    cost: PairCost | None


class StageTally:
    """Counts of one of several judges under one rubric; what it takes ``whole`` counts too."""

    __slots__ = ("_asked", "_passed", "_settled", "meter")

    def __init__(self, whole: Meter) -> None:
        self.meter = Meter(whole)
        self._asked, self._settled = Tally(), Tally()
        self._passed = 0

    def add(self, label: Label, judged: Judged | None, *, settled: bool) -> None:
        """Count one pair: None for what the judge said where it was not asked."""
        if judged is None:
            self._passed += 1
            return
        self._asked.add(label, judged.ab, judged.ba)
        if settled:
            self._settled.add(label, judged.ab, judged.ba)

    def stage(self, judge: str, *, cascade: bool, tie_credit: float, seed: int) -> Stage:
        """What the counts say; ``tie_credit`` and ``seed`` as for :meth:`~arrkit.judge.tally.Tally.stats`."""
        stats = self._asked.stats(tie_credit=tie_credit, seed=seed)
        settled = self._settled.stats(tie_credit=tie_credit, seed=seed) if cascade else None
        return Stage(
            judge,
            stats,
            wilson(stats.pairs, stats.pairs + self._passed),
            wilson(settled.pairs, stats.pairs) if settled is not None else None,
            settled.accuracy if settled is not None else None,
            self.meter.per_pair(stats.pairs + self._passed),
        )
