"""What a judge's two verdicts on a pair of candidates come to, and what follows for training.

The rule stands here and nowhere else. A pair is shown in both orders; only where both name the same image is
that image preferred. Two orders that disagree, or agree on a tie, are a tie. Where an order gave no verdict
there is no ruling. Ties and pairs without a ruling are masked out of training: neither is ever a zero.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from arrkit.data.pairs import Label
from arrkit.data.prompts import Prompt
from arrkit.errors import RunError
from arrkit.judge.calls.totals import CallTotals
from arrkit.judge.protocol import Answer, Order, Outcome, Side, Verdict
from arrkit.judge.tally import chosen

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW = 64
"""How many of the last pairs a :class:`FailureBudget` looks at."""

FEWEST = 8
"""So many pairs are seen before it says anything: the first one alone is no share."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Two images for one prompt. ``id`` says where they come from; it is written beside their verdicts."""

    id: str
    prompt: Prompt
    a: Image
    b: Image


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judge's two verdicts come to.

    Args:
        preferred: the image that both orders name, ``tie`` where they disagree or see a tie, None where an
            order gave no verdict.
        consistent: whether both orders said the same; None where an order gave no verdict.
        first_slot: how many answers named the image shown first,
        presentations: of those that named an image.
        findings: by criterion, the mean over both orders of +1 (A meets it better), -1 (B) and 0 (alike);
            without criteria that the judge could not tell. Empty where each prompt has criteria of its own.
        outcome: ok, tie, or how the order ended that gave no verdict; ``detail`` says why.
        seconds: from the first request to the last answer, without the wait for a turn.
    """

    preferred: Label | None
    consistent: bool | None = None
    first_slot: int = 0
    presentations: int = 0
    findings: Mapping[str, float] = field(default_factory=dict)
    outcome: Outcome = Outcome.OK
    detail: str = ""
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether there is a ruling, be it a tie."""
        return self.preferred is not None


class Answered(Protocol):
    """Whatever a judge was asked for in training: a ruling on a pair, or the scores of an image."""

    @property
    def answered(self) -> bool: ...

    @property
    def outcome(self) -> Outcome: ...

    @property
    def detail(self) -> str: ...


def rule(ab: Verdict, ba: Verdict, *, findings: bool = True, seconds: float = 0.0) -> Ruling:
    """The ruling on a pair from the verdict with A shown first and the one with B shown first."""
    one, two = chosen(Order.AB, ab), chosen(Order.BA, ba)
    named = [verdict.preferred for verdict in (ab, ba) if verdict.preferred is not None]
    counts = {"first_slot": named.count(Side.FIRST), "presentations": len(named), "seconds": seconds}
    if one is None or two is None:
        trouble = _trouble(ab, ba)
        return Ruling(None, outcome=trouble.outcome, detail=trouble.detail, **counts)  # type: ignore[arg-type]
    preferred = one if one is two else Label.TIE
    return Ruling(
        preferred,
        consistent=one is two,
        findings=_findings(ab, ba) if findings else {},
        outcome=Outcome.TIE if preferred is Label.TIE else Outcome.OK,
        **counts,  # type: ignore[arg-type]
    )


def no_ruling(detail: str, *, outcome: Outcome = Outcome.FAILED, seconds: float = 0.0) -> Ruling:
    """A pair that was never shown, and why."""
    return Ruling(None, outcome=outcome, detail=detail, seconds=seconds)


def advantages(ruling: Ruling, win: float, lose: float) -> tuple[float, float] | None:
    """What the two candidates are worth to the objective; None where the pair is masked out.

    ``(win, lose)`` where A is preferred, ``(lose, win)`` where B is; RPO's paper has +1 and -0.1.
    """
    if ruling.preferred is Label.A:
        return win, lose
    if ruling.preferred is Label.B:
        return lose, win
    return None


class FailureBudget:
    """Ends a run in which too many pairs get no ruling, or images no score.

    Args:
        max_share: the share of the last ``window`` that may be without one; 1 never ends a run.
        window: how many of them are looked at.
    """

    def __init__(self, max_share: float, window: int = WINDOW) -> None:
        self.max_share = max_share
        self._last: deque[Answered] = deque(maxlen=window)

    def add(self, answers: Iterable[Answered]) -> None:
        """Count more pairs, or images."""
        self._last.extend(answers)

    @property
    def share(self) -> float:
        """The share of the last pairs and images that have no answer, in [0, 1]."""
        return sum(not each.answered for each in self._last) / max(1, len(self._last))

    def check(self) -> None:
        """Raise a resumable :class:`~arrkit.errors.RunError` where the budget is overspent."""
        if len(self._last) < min(FEWEST, self._last.maxlen or FEWEST) or self.share <= self.max_share:
            return
        failed = [each for each in self._last if not each.answered]
        kinds = {isinstance(each, Ruling) for each in self._last}
        asked = "pairs got no ruling" if kinds == {True} else "images got no score"
        asked = "questions got no answer" if len(kinds) > 1 else asked
        ends = ", ".join(f"{count} {end}" for end, count in Counter(e.outcome for e in failed).most_common())
        last = next((each.detail for each in reversed(failed) if each.detail), "no reason was given")
        raise RunError(
            f"{len(failed)} of the last {len(self._last)} {asked} from the judge ({ends}); "
            f"{self.max_share:.0%} are allowed",
            hint=f"The last reason: {last.splitlines()[0]}. Mend the judge, then go on with --resume.",
        )


def judging_metrics(rulings: Sequence[Ruling]) -> dict[str, float]:
    """How judging went for some pairs, as flat numbers for the log. Rates without a base are left out.

    ``judge/pairs`` were shown, ``judge/failures`` of them without a ruling; of those with one,
    ``judge/tie_rate`` and ``judge/consistency`` (shares in [0, 1]); ``judge/first_rate`` of the answers that
    name an image name the one shown first; ``judge/latency`` is the mean of a pair's seconds.
    """
    ruled = [each for each in rulings if each.preferred is not None]
    both = [each.consistent for each in ruled if each.consistent is not None]
    named = sum(each.presentations for each in rulings)
    metrics: dict[str, float] = {"judge/pairs": len(rulings), "judge/failures": len(rulings) - len(ruled)}
    if ruled:
        metrics["judge/tie_rate"] = sum(each.preferred is Label.TIE for each in ruled) / len(ruled)
    if both:
        metrics["judge/consistency"] = sum(both) / len(both)
    if named:
        metrics["judge/first_rate"] = sum(each.first_slot for each in rulings) / named
    if rulings:
        metrics["judge/latency"] = sum(each.seconds for each in rulings) / len(rulings)
    return metrics


def spending_metrics(totals: CallTotals) -> dict[str, float]:
    """What a judge's calls came to since the start of this process, as flat numbers for the log.

    ``judge/requests`` were sent, ``judge/cached`` more came from the cache. A sum of tokens is left out where
    a request did not report them; ``judge/dollars`` is the part of the cost that is known.
    """
    metrics: dict[str, float] = {"judge/requests": totals.requests, "judge/cached": totals.cached}
    for name, several in (("input", (totals.fresh, totals.cached_input)), ("output", (totals.output,))):
        if totals.requests and not any(each.unknown for each in several[:1]):
            metrics[f"judge/{name}_tokens"] = sum(each.tokens for each in several)
    if totals.cost is not None or totals.known_cost:
        metrics["judge/dollars"] = totals.known_cost
    return metrics


def _trouble(ab: Verdict, ba: Verdict) -> Verdict:
    """The verdict that says why there is no ruling: an outage first, since it may pass."""
    undecided = [verdict for verdict in (ab, ba) if not verdict.outcome.decided]
    return next((each for each in undecided if each.outcome is Outcome.FAILED), undecided[0])


def _findings(ab: Verdict, ba: Verdict) -> dict[str, float]:
    said: dict[str, list[int]] = {}
    for verdict, sign in ((ab, 1), (ba, -1)):
        for finding in verdict.findings:
            worth = {Answer.FIRST: sign, Answer.SECOND: -sign, Answer.EQUAL: 0}.get(finding.answer)
            if worth is not None:
                said.setdefault(finding.criterion, []).append(worth)
    return {criterion: sum(each) / len(each) for criterion, each in said.items()}
