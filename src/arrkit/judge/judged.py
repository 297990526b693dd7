"""What a judge said of one pair under one rubric, in both orders, and how far apart it saw the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arrkit.data.pairs import Label
from arrkit.judge.protocol import Answer, Finding, Order, Verdict
from arrkit.judge.tally import chosen
from arrkit.rubric.model import Dimension

_LEADS = {Answer.FIRST: 1.0, Answer.SECOND: -1.0, Answer.EQUAL: 0.0}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge said of one pair under one contender: with A shown first, and with B shown first.

    None stands for an order in which the pair was not shown. ``dimensions`` are the criteria that it was
    judged under.

    Of several judges, ``stages`` holds what each of them said, None for one that was not asked, and
    ``settled`` is the place of the one whose word a cascade took; it is None otherwise.
    """

    ab: Verdict | None = None
    ba: Verdict | None = None
    dimensions: tuple[Dimension, ...] = ()
    stages: tuple[Judged | None, ...] = ()
    settled: int | None = None

    @property
    def shown(self) -> tuple[tuple[Order, Verdict], ...]:
        """The presentations that took place."""
        both = ((Order.AB, self.ab), (Order.BA, self.ba))
        return tuple((order, verdict) for order, verdict in both if verdict is not None)

    @property
    def choices(self) -> set[Label | None]:
        """What was chosen in the pair's own terms, None for a presentation that decided nothing."""
        return {chosen(order, verdict) for order, verdict in self.shown}

    @property
    def margin(self) -> float | None:
        """How far A is ahead of B, in [-1, 1]: the mean :func:`lead` over the orders that have one."""
        leads = [
            value if order is Order.AB else -value
            for order, verdict in self.shown
            if (value := lead(verdict, self.dimensions)) is not None
        ]
        return sum(leads) / len(leads) if leads else None


def lead(verdict: Verdict, dimensions: Sequence[Dimension] = ()) -> float | None:
    """How far the first image is ahead of the second, in [-1, 1]; None where the verdict does not say.

    The difference of the two probabilities where the endpoint gave any. Else the mean over the criteria that
    something was found of, weighted as in ``dimensions`` (1 for a criterion that stands in none): the
    difference of the two scores, or 1, 0 or -1 where only the better side was named.
    """
    if not verdict.outcome.decided:
        return None
    if verdict.basis.first is not None and verdict.basis.second is not None:
        return verdict.basis.first - verdict.basis.second
    weights = {each.id: each.weight for dimension in dimensions for each in dimension.criteria}
    total = ahead = 0.0
    for finding in verdict.findings:
        difference = finding_lead(finding)
        if difference is not None:
            weight = weights.get(finding.criterion, 1.0)
            total += weight
            ahead += weight * difference
    return ahead / total if total else None


def finding_lead(finding: Finding) -> float | None:
    """How far the first image is ahead by one criterion, in [-1, 1]; None where the judge could not tell."""
    if finding.first is not None and finding.second is not None:
        return finding.first - finding.second
    return _LEADS.get(finding.answer)
