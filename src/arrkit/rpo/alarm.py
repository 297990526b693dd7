"""The alarm: signs that a policy has learned to please its judge instead of painting better.

Two rules, both on prompts that are not trained on, painted from the same noise at every evaluation:

**Parting.** The policy beats its base under the rubric that is trained on (the interval of its win-rate lies
above 1/2) and stands no lower there than at some earlier evaluation, while under the watched rubric it fell
since that evaluation: the 95 % interval of the difference lies below 0. The base itself, where both win-rates
are 1/2 by definition, counts as an evaluation. The earlier evaluation is the one that stood best under the
watched rubric.

**Drift.** The policy beats its base under the rubric that is trained on, and a statistic of its pictures
(:mod:`arrkit.rpo.looks`) left the base's by more than :data:`TOLERANCES` allow, with a 95 % interval that
excludes no change. This needs no second rubric. A drift may be wanted: whoever trains for vivid pictures will
hear of their saturation. The alarm says what moved; a person looks at the sheets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from arrkit.rpo.against import Evaluation
from arrkit.rpo.looks import Drift
from arrkit.rubric.model import Rate

TOLERANCES = {
    "coverage": (-0.15, 0.30),
    "thickness": (-0.10, 0.10),
    "saturation": (-0.25, 0.25),
    "sharpness": (-0.35, 0.50),
}
"""How far the mean of each statistic may leave the base's, as shares of it, down and up.

More may be covered than less, since a policy that learns to paint what it used to leave out covers more.
"""

EVEN = Rate(0.5, 0.5, 0.5, 0)
"""The win-rate of the base model against itself, which nobody needs to measure."""

_WORDS = {
    "coverage": ("what is painted covers {more} of the picture", "more", "less"),
    "thickness": ("things are {more}", "larger", "smaller"),
    "saturation": ("colours are {more} saturated", "more", "less"),
    "sharpness": ("pictures are {more} sharp", "more", "less"),
}


class AlarmKind(StrEnum):
    """Which rule went off."""

    PARTING = "parting"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One sign, seen after ``update`` updates. ``what`` is ``watched`` or the statistic that moved."""

    kind: AlarmKind
    update: int
    what: str
    message: str


def alarms(history: Sequence[Evaluation]) -> tuple[Alarm, ...]:
    """What the latest evaluation of ``history`` (oldest first) says in the light of the earlier ones."""
    if not history:
        return ()
    latest = history[-1]
    rate = latest.training.win_rate
    if rate is None or rate.low <= 0.5:
        return ()
    parting = _parting(history, rate)
    found = [parting] if parting is not None else []
    found += [
        Alarm(AlarmKind.DRIFT, latest.update, name, _drifted(name, drift, rate))
        for name, drift in latest.drifts.items()
        if _beyond(name, drift)
    ]
    return tuple(found)


def all_alarms(history: Sequence[Evaluation]) -> tuple[Alarm, ...]:
    """Every alarm that a run gave, in order; one that goes on is told once, when it went off."""
    told: list[Alarm] = []
    sounding: set[str] = set()
    for count in range(1, len(history) + 1):
        now = alarms(history[:count])
        told += [each for each in now if each.what not in sounding]
        sounding = {each.what for each in now}
    return tuple(told)


def difference(after: Rate, before: Rate) -> Rate:
    """``after - before`` with its interval, from those of the two.

    R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17 (1998), method 10. For the same prompts both times it is too wide, never too narrow, as long
    as what is good for a prompt at one time is not bad for it at the other.
    """
    value = after.value - before.value
    low = value - math.hypot(after.value - after.low, before.high - before.value)
    high = value + math.hypot(after.high - after.value, before.value - before.low)
    return Rate(value, max(-1.0, low), min(1.0, high), min(after.n, before.n) or after.n)


def gap(found: Evaluation) -> Rate | None:
    """How far the win-rate under the trained rubric is above that under the watched one; None without one.

    0 for the base model. Some of it is no hack: a rubric that ties more often ends nearer to 1/2.
    """
    watched = found.watched.win_rate if found.watched is not None else None
    if found.training.win_rate is None or watched is None:
        return None
    return difference(found.training.win_rate, watched)


def too_far_apart(history: Sequence[Evaluation], most: float) -> str:
    """In a sentence, that the latest :func:`gap` is surely above ``most``, or nothing.

    Surely: its 95 % interval lies above. The sentence names the evaluation that stood best under the watched
    rubric, whose checkpoint may be the one to keep.
    """
    latest = history[-1]
    found = gap(latest)
    if found is None or found.low <= most:
        return ""
    seen = [
        (each.watched.win_rate.value, each.update)
        for each in history
        if each.watched is not None and each.watched.win_rate is not None
    ]
    best, update = max(seen, key=lambda each: each[0])
    return (
        f"after update {latest.update} the win-rate under the rubric that is trained on is {found.value:.0%} "
        f"({found.low:.0%} to {found.high:.0%}) above that under the watched one, which stood best after "
        f"update {update} ({best:.0%})."
    )


def _parting(history: Sequence[Evaluation], rate: Rate) -> Alarm | None:
    latest = history[-1]
    if latest.watched is None or latest.watched.win_rate is None:
        return None
    watched = latest.watched.win_rate
    best, best_training, where = EVEN, EVEN, "the base model"
    for earlier in history[:-1]:
        seen = None if earlier.watched is None else earlier.watched.win_rate
        trained = earlier.training.win_rate
        if seen is not None and trained is not None and seen.value > best.value:
            best, best_training, where = seen, trained, f"update {earlier.update}"
    fall = difference(watched, best)
    if fall.high >= 0 or rate.value < best_training.value:
        return None
    return Alarm(
        AlarmKind.PARTING,
        latest.update,
        "watched",
        f"Under the rubric that is trained on the win-rate rose from {best_training.value:.0%} ({where}) to "
        f"{_told(rate)}; under the watched one it fell from {best.value:.0%} to {_told(watched)}.",
    )


def _beyond(name: str, drift: Drift) -> bool:
    least, most = TOLERANCES.get(name, (-math.inf, math.inf))
    return not least <= drift.change <= most and not drift.low <= 0 <= drift.high


def _drifted(name: str, drift: Drift, rate: Rate) -> str:
    sentence, more, less = _WORDS[name]
    said = sentence.format(more=more if drift.change > 0 else less)
    change, low, high = (f"{share:+.0%}".replace("-", "−") for share in (drift.change, drift.low, drift.high))
    return (
        f"While the win-rate rose to {_told(rate)}, {said} than in the base model's pictures: {name} "
        f"{change} ({low} to {high} over {drift.n} prompts, {drift.base:.3g} to {drift.trained:.3g})."
    )


def _told(rate: Rate) -> str:
    return f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%})"
