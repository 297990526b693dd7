"""Several judges that decide as one: each pair is judged by all of them, or by one after the other.

``majority`` takes the choice that most judges made, ``mean`` the side that is ahead on average, ``cascade``
the word of the first judge that is sure (:func:`unsure`), else that of the last. Judges vote on each
presentation, so that what is measured of one judge (bias, consistency, coverage) is measured of several too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from arrkit.concurrency import together
from arrkit.data.pairs import Picture
from arrkit.judge.asking import total_usage
from arrkit.judge.choices import Ensemble
from arrkit.judge.judged import Judged, lead
from arrkit.judge.meter import Meter
from arrkit.judge.protocol import Answer, Basis, Finding, Outcome, Side, Usage, Verdict
from arrkit.judge.session import JudgeSession
from arrkit.rubric.model import Dimension

SURE_MARGIN = 0.1
"""The margin from which a cascade takes a judge's word, unless it is told otherwise."""

EVEN = 1e-9
"""A mean lead below this differs from 0 by rounding only."""


class Ask(Protocol):
    """Has one pair judged by one judge; ``meter`` counts what it takes."""

    def __call__(self, session: JudgeSession, /, *, meter: Meter) -> Coroutine[Any, Any, Judged]: ...


@dataclass(frozen=True, slots=True)
class Panel:
    """Judges that are asked as one; one judge alone is a panel too, and ``rule`` is then None.

    ``names`` are what people call them, ``margin`` is in [0, 1] and for a cascade. Counts are over all of
    them.
    """

    sessions: tuple[JudgeSession, ...]
    names: tuple[str, ...] = ()
    rule: Ensemble | None = None
    margin: float = SURE_MARGIN

    @property
    def name(self) -> str:
        """The judge's name, or how several decide and their names."""
        names = [session.judge.name for session in self.sessions]
        return panel_name(self.rule, names) if self.rule is not None else names[0]

    @property
    def asked(self) -> int:
        return sum(session.asked for session in self.sessions)

    @property
    def replayed(self) -> int:
        return sum(session.replayed for session in self.sessions)

    @property
    def outcomes(self) -> Counter[Outcome]:
        return sum((session.outcomes for session in self.sessions), Counter())

    @property
    def scorings(self) -> Counter[str]:
        return sum((session.scorings for session in self.sessions), Counter())

    @property
    def low_mass(self) -> int:
        return sum(session.low_mass for session in self.sessions)

    async def prepare(self, pictures: Sequence[Picture]) -> None:
        """Read ``pictures`` ahead of those who are asked of them in any case.

        Raises :class:`~arrkit.data.pairs.ImageUnreadable`.
        """
        first = self.sessions[:1] if self.rule is Ensemble.CASCADE else self.sessions
        for session in first:
            await session.prepare(pictures)

    async def judge(self, ask: Ask, meters: Sequence[Meter]) -> Judged:
        """One pair judged by all of them, as the rule says; there is a meter for each."""
        asked = list(zip(self.sessions, meters, strict=True))
        if self.rule is None:
            return await ask(self.sessions[0], meter=meters[0])
        if self.rule is Ensemble.CASCADE:
            return await self._cascade(ask, asked)
        stages = await together(ask(session, meter=meter) for session, meter in asked)
        return combine_judged(self.rule, stages, self.names)

    async def _cascade(self, ask: Ask, asked: Sequence[tuple[JudgeSession, Meter]]) -> Judged:
        stages: list[Judged] = []
        for session, meter in asked:
            stages.append(await ask(session, meter=meter))
            if not unsure(stages[-1], self.margin):
                break
        last = stages[-1]
        left = len(self.sessions) - len(stages)
        return Judged(
            _of_all([stage.ab for stage in stages]),
            _of_all([stage.ba for stage in stages]),
            last.dimensions,
            (*stages, *[None] * left),
            len(stages) - 1,
        )

    async def aclose(self) -> None:
        """Let go of all connections."""
        for session in self.sessions:
            await session.judge.aclose()


def panel_name(rule: Ensemble, names: Sequence[str]) -> str:
    """What several judges are called together."""
    return f"{rule} of {(', then ' if rule is Ensemble.CASCADE else ', ').join(names)}"


def unsure(judged: Judged, margin: float) -> str:
    """Why a cascade asks the next judge as well, in a word or two; empty where it need not.

    A judge is sure where it names the same image in each order in which it was asked, and is ahead by
    ``margin`` where it says by how much. One that gives no margin is taken at its word.
    """
    choices = judged.choices
    if None in choices:
        return "no decision"
    if len(choices) > 1:
        return "its orders disagree"
    if not all(choice.decided for choice in choices if choice is not None):
        return "a tie"
    own = judged.margin
    return "a small margin" if own is not None and abs(own) < margin else ""


def combine_judged(rule: Ensemble, stages: Sequence[Judged], names: Sequence[str]) -> Judged:
    """What several judges come to on one pair by ``majority`` or ``mean``.

    Findings are kept where all were asked under the same criteria.
    """
    dimensions = stages[0].dimensions
    shared = all(stage.dimensions == dimensions for stage in stages)
    criteria = [stage.dimensions for stage in stages]

    def joined(shown: Sequence[Verdict | None]) -> Verdict | None:
        verdicts = [verdict for verdict in shown if verdict is not None]
        if len(verdicts) < len(stages):
            return None
        verdict = combine(rule, verdicts, criteria, names)
        return verdict if shared else replace(verdict, findings=())

    return Judged(
        joined([stage.ab for stage in stages]),
        joined([stage.ba for stage in stages]),
        dimensions if shared else (),
        tuple(stages),
    )


def combine(
    rule: Ensemble,
    verdicts: Sequence[Verdict],
    dimensions: Sequence[Sequence[Dimension]] = (),
    names: Sequence[str] = (),
) -> Verdict:
    """One verdict of several on one presentation, by ``majority`` or ``mean``; ``cascade`` raises ValueError.

    Judges that decided nothing have no vote. Where nobody decided, the outcome is abstain if all abstain,
    else that of the first whose call went wrong.

    - ``majority``: the choice (first, second, tie) that most made; a tie where two choices lead together.
      The shares of the votes stand in ``basis`` as probabilities.
    - ``mean``: the side whose mean :func:`~arrkit.judge.judged.lead` is ahead, where a judge that says no
      lead counts as 1, 0 or -1; a tie where that is 0. ``basis`` holds (1 + mean) / 2 and (1 - mean) / 2.
    """
    if rule is Ensemble.CASCADE:
        raise ValueError("a cascade asks one judge after the other")
    dimensions = dimensions or [()] * len(verdicts)
    names = names or [f"judge {number}" for number in range(1, len(verdicts) + 1)]
    usage, basis = _sums(verdicts)
    voices = [each for each in zip(verdicts, dimensions, strict=True) if each[0].outcome.decided]
    said = "; ".join(f"{name}: {_word(verdict)}" for name, verdict in zip(names, verdicts, strict=True))
    if not voices:
        wrong = next((each.outcome for each in verdicts if each.outcome is not Outcome.ABSTAIN), None)
        return Verdict(wrong or Outcome.ABSTAIN, detail=said, usage=usage, basis=basis)
    if rule is Ensemble.MAJORITY:
        votes = Counter(verdict.preferred for verdict, _ in voices)
        shares = {side: votes[side] / len(voices) for side in (Side.FIRST, Side.SECOND, None)}
        leaders = [side for side, count in votes.items() if count == max(votes.values())]
        preferred = leaders[0] if len(leaders) == 1 else None
    else:
        mean = sum(_voice(verdict, criteria) for verdict, criteria in voices) / len(voices)
        shares = {Side.FIRST: (1 + mean) / 2, Side.SECOND: (1 - mean) / 2, None: 0.0}
        preferred = None if abs(mean) < EVEN else Side.FIRST if mean > 0 else Side.SECOND
    basis = replace(basis, first=shares[Side.FIRST], second=shares[Side.SECOND], tie=shares[None])
    return Verdict(
        Outcome.TIE if preferred is None else Outcome.OK,
        preferred,
        _findings([verdict.findings for verdict, _ in voices]),
        f"By {said}.",
        usage=usage,
        basis=basis,
    )


def _voice(verdict: Verdict, dimensions: Sequence[Dimension]) -> float:
    said = lead(verdict, dimensions)
    if said is not None:
        return said
    return {Side.FIRST: 1.0, Side.SECOND: -1.0, None: 0.0}[verdict.preferred]


def _word(verdict: Verdict) -> str:
    if not verdict.outcome.decided:
        return f"{verdict.outcome} ({verdict.detail})" if verdict.detail else str(verdict.outcome)
    return "a tie" if verdict.preferred is None else f"the {verdict.preferred} image"


def _findings(held: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """Findings on the same criteria as one: the answer that most gave, the mean of the scores given."""
    by_criterion: dict[str, list[Finding]] = {}
    for findings in held:
        for finding in findings:
            by_criterion.setdefault(finding.criterion, []).append(finding)
    joined = []
    for criterion, findings in by_criterion.items():
        answers = Counter(each.answer for each in findings if each.answer is not Answer.CANNOT_TELL)
        leaders = [answer for answer, count in answers.items() if count == max(answers.values())]
        answer = leaders[0] if len(leaders) == 1 else Answer.EQUAL if leaders else Answer.CANNOT_TELL
        first, second = (
            _mean([getattr(each, side) for each in findings if getattr(each, side) is not None])
            for side in ("first", "second")
        )
        joined.append(Finding(criterion, answer, first, second))
    return tuple(joined)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _of_all(stages: Sequence[Verdict | None]) -> Verdict | None:
    """The last stage's verdict, with what all stages took for it."""
    last = stages[-1]
    if last is None or len(stages) == 1:
        return last
    usage, basis = _sums([each for each in stages if each is not None])
    own = last.basis
    basis = replace(basis, scoring=own.scoring, first=own.first, second=own.second, tie=own.tie)
    return replace(last, usage=usage, basis=basis)


def _sums(verdicts: Sequence[Verdict]) -> tuple[Usage, Basis]:
    """What verdicts took together. Judges that send nothing (and say nothing of it) take nothing."""
    sent = [verdict for verdict in verdicts if verdict.basis.requests or verdict.basis.cached]
    masses = [verdict.basis.mass for verdict in sent if verdict.basis.mass is not None]
    costs = [verdict.basis.cost for verdict in sent]
    known = [cost for cost in costs if cost is not None]
    return total_usage([verdict.usage for verdict in sent]), Basis(
        mass=min(masses) if masses else None,
        requests=sum(verdict.basis.requests for verdict in sent),
        cached=sum(verdict.basis.cached for verdict in sent),
        repairs=sum(verdict.basis.repairs for verdict in sent),
        whole=total_usage([verdict.basis.whole for verdict in sent]),
        cost=sum(known) if sent and len(known) == len(costs) else None,
    )
