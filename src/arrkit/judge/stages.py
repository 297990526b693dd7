"""What each of several judges did: how right it was on the pairs that it was asked of, and what it took."""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.data.pairs import Label
from arrkit.judge.judged import Judged
from arrkit.judge.stats import wilson
from arrkit.judge.tally import JudgeStats, Tally
from arrkit.rubric.model import Rate


@dataclass(frozen=True, slots=True)
class Stage:
    """One of several judges under one rubric.

    ``stats`` are of the pairs that it was asked of, ``share`` of all. Of these a cascade took its word on
    ``settled``, None for an ensemble in which all are asked; ``settled_accuracy`` is its accuracy on those.

    ``requests`` were sent or answered from the cache, for all its judgments. ``tokens`` are what the answers
    used when they were first given, None where an endpoint did not say. ``cost`` in US dollars is their price
    by the lists, whoever paid for it, None where none is known. All are 0 for a judge that sends nothing.
    """

    judge: str
    stats: JudgeStats
    share: Rate | None
    settled: Rate | None
    settled_accuracy: Rate | None
    requests: int
    tokens: int | None
    cost: float | None


class StageTally:
    """Counts of one of several judges under one rubric."""

    __slots__ = ("_asked", "_cost", "_passed", "_requests", "_settled", "_tokens")

    def __init__(self) -> None:
        self._asked, self._settled = Tally(), Tally()
        self._passed = 0
        self._requests = 0
        self._tokens: int | None = 0
        self._cost: list[float | None] = []

    def add(self, label: Label, judged: Judged | None, *, settled: bool) -> None:
        """Count one pair: None for what the judge said where it was not asked."""
        if judged is None:
            self._passed += 1
            return
        self._asked.add(label, judged.ab, judged.ba)
        if settled:
            self._settled.add(label, judged.ab, judged.ba)
        for _, verdict in judged.shown:
            basis = verdict.basis
            if not basis.requests and not basis.cached:
                continue
            self._requests += basis.requests + basis.cached
            self._cost.append(basis.cost)
            read, written = basis.whole.input_tokens, basis.whole.output_tokens
            if self._tokens is None or read is None or written is None:
                self._tokens = None
            else:
                self._tokens += read + written

    def stage(self, judge: str, *, cascade: bool, tie_credit: float, seed: int) -> Stage:
        """What the counts say; ``tie_credit`` and ``seed`` as for :meth:`~arrkit.judge.tally.Tally.stats`."""
        stats = self._asked.stats(tie_credit=tie_credit, seed=seed)
        settled = self._settled.stats(tie_credit=tie_credit, seed=seed) if cascade else None
        known = [cost for cost in self._cost if cost is not None]
        return Stage(
            judge,
            stats,
            wilson(stats.pairs, stats.pairs + self._passed),
            wilson(settled.pairs, stats.pairs) if settled is not None else None,
            settled.accuracy if settled is not None else None,
            self._requests,
            self._tokens,
            # A sum of what is rounded to a millionth of a cent does not hang on the order of the pairs.
            round(sum(sorted(known)), 8) if len(known) == len(self._cost) else None,
        )
