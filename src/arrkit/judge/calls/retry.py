"""What to do after a request that failed: one table, pure, for every endpoint.

=============  ==================================================================  ====================
kind           next                                                                concurrency
=============  ==================================================================  ====================
rate_limit     wait as told, else back off; give up when patience ends             shrinks
transient      back off, at most :data:`MOST_ATTEMPTS` requests for one call       stays
exhausted      stop the run                                                        --
refused        give up                                                             stays
too_large      give up                                                             stays
rejected       give up (:mod:`~arrkit.judge.calls.health` may stop the run)         stays
=============  ==================================================================  ====================

A wait that an endpoint asks for is kept to the second. One beyond :data:`LONGEST_HINT` is no wait but an
exhausted quota: the run stops cleanly instead of sleeping through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from arrkit.judge.transport import ErrorKind

MOST_ATTEMPTS = 6
"""Requests sent for one call whose endpoint stumbles. Counted apart from rate limits, which are no fault."""

MOST_THROTTLED = 30
"""Rate-limited requests for one call, a backstop behind patience."""

PATIENCE = 900.0
"""Seconds one call may spend waiting between its own requests. The hint that crosses it is still kept."""

LONGEST_HINT = 600.0
"""The longest wait, in seconds, that an endpoint may ask for before the run stops instead."""

_FIRST = {ErrorKind.RATE_LIMIT: 1.0, ErrorKind.TRANSIENT: 0.5}
_LONGEST = {ErrorKind.RATE_LIMIT: 60.0, ErrorKind.TRANSIENT: 30.0}


class Act(StrEnum):
    """What happens to the call."""

    WAIT = "wait"
    GIVE_UP = "give_up"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Step:
    """The decision. ``seconds`` is the wait before the next request; ``pause`` asks that nobody else sends
    in that time either, and ``shrink`` that fewer are sent at once."""

    act: Act
    seconds: float = 0.0
    pause: bool = False
    shrink: bool = False


def next_step(
    kind: ErrorKind,
    attempt: int,
    *,
    hint: float | None = None,
    waited: float = 0.0,
    jitter: float = 0.0,
) -> Step:
    """What follows the ``attempt``-th failure (from 1) of this ``kind`` in one call.

    Args:
        hint: the wait in seconds that the endpoint asked for.
        waited: seconds this call has waited between its requests so far.
        jitter: a draw from [0, 1); back-off waits are shortened by up to half with it, so that calls which
            failed together do not come back together.
    """
    if kind is ErrorKind.EXHAUSTED:
        return Step(Act.STOP)
    if kind not in _FIRST:
        return Step(Act.GIVE_UP)
    throttled = kind is ErrorKind.RATE_LIMIT
    if hint is not None and hint > LONGEST_HINT:
        return Step(Act.STOP, hint) if throttled else Step(Act.GIVE_UP, hint)
    if attempt >= (MOST_THROTTLED if throttled else MOST_ATTEMPTS) or waited >= PATIENCE:
        return Step(Act.GIVE_UP, shrink=throttled)
    backed_off = min(_LONGEST[kind], _FIRST[kind] * 2.0 ** (attempt - 1)) * (1 - jitter / 2)
    if hint is not None and hint >= 0:
        return Step(Act.WAIT, hint if throttled else max(hint, backed_off), pause=True, shrink=throttled)
    return Step(Act.WAIT, backed_off, shrink=throttled)
