"""How fast one model may be asked: adaptive concurrency, requests and tokens a minute, and pauses.

There is one :class:`Lane` for each (endpoint, model) in an event loop, whoever asks. Its width follows the
additive-increase, multiplicative-decrease rule of TCP (RFC 5681): it doubles with each round of answers until
the endpoint first throttles, halves when it throttles, and then grows by one a round.

All times are the event loop's clock, in seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import weakref
from dataclasses import dataclass

FIRST_WIDTH = 8
"""Requests under way at once before anything is known of the endpoint."""

_MINUTE = 60.0


class Bucket:
    """At most ``per_minute`` units in any 60 s, spread over them: a token bucket with a small burst.

    A bucket that holds ``burst`` and refills at ``r`` a second gives ``burst + 60 r`` in the worst minute, so
    ``r`` is what keeps that sum at the limit. A request larger than the burst waits until the bucket holds it
    whole.
    """

    def __init__(self, per_minute: float, now: float, *, unit: float = 0.0) -> None:
        """``unit`` is the size of one request where all are alike (1 for requests), else 0."""
        self._limit = per_minute
        self._unit = unit
        self._burst = max(1.0, per_minute // _MINUTE)
        self._level = self._burst
        self._at = now
        self._untouched = True

    @property
    def _rate(self) -> float:
        # A large request must not bring the flow to a stop: half the limit is kept for the refill.
        return max(self._limit / 2, self._limit + self._unit - self._burst) / _MINUTE

    def wait(self, units: float, now: float) -> float:
        """Seconds until ``units`` may be taken."""
        if units > self._burst:
            self._burst = units
            if self._untouched:
                self._level = units
        self._fill(now)
        return max(0.0, (units - self._level) / self._rate)

    def take(self, units: float, now: float) -> None:
        """Take ``units``, or give back a negative number of them. The level may fall below zero."""
        self._fill(now)
        self._untouched = False
        self._level = min(self._burst, self._level - units)

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now


@dataclass(slots=True)
class Ticket:
    """The right to send one request of about ``tokens`` tokens; given back with :meth:`Lane.leave`."""

    tokens: float
    sent: float = 0.0


class Lane:
    """The one way to one model; all methods belong to one event loop.

    Args:
        cap: the most requests under way at once.
        rpm: requests a minute, None for no limit.
        tpm: tokens a minute, None for no limit.
    """

    def __init__(self, cap: int, *, rpm: float | None = None, tpm: float | None = None) -> None:
        now = _now()
        self.cap = cap
        self.width = float(min(cap, FIRST_WIDTH))
        self.running = 0
        self._rpm = rpm
        self._tpm = tpm
        self._requests = None if rpm is None else Bucket(rpm, now, unit=1.0)
        self._tokens = None if tpm is None else Bucket(tpm, now)
        self._paused_until = -math.inf
        self._shrunk_at = -math.inf
        self._starting = True
        self._queue: list[tuple[bool, int, float, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, cap: int, *, rpm: float | None = None, tpm: float | None = None) -> None:
        """Another caller shares the lane: the larger cap and the stricter limits hold."""
        self.cap = max(self.cap, cap)
        now = _now()
        if rpm is not None and (self._rpm is None or rpm < self._rpm):
            self._rpm, self._requests = rpm, Bucket(rpm, now, unit=1.0)
        if tpm is not None and (self._tpm is None or tpm < self._tpm):
            self._tpm, self._tokens = tpm, Bucket(tpm, now)

    def open_wide(self) -> None:
        """Use the whole cap from the start: for queues, where waiting together is the point."""
        self.width = float(self.cap)
        self._starting = False

    async def enter(self, tokens: float = 0.0, *, again: bool = False) -> Ticket:
        """Wait for the right to send a request; ``again`` goes before those that were never sent."""
        if self._queue or self._delay(tokens) is not None:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._arrivals += 1
            heapq.heappush(self._queue, (not again, self._arrivals, tokens, place))
            self._pump()
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self.running -= 1
                self._pump()
                raise
        else:
            self._grant(tokens)
        return Ticket(tokens, _now())

    def leave(self, ticket: Ticket, *, healthy: bool = False, throttled: bool = False) -> None:
        """The request has ended: with an answer, throttled, or neither."""
        self.running -= 1
        if throttled:
            # Those sent before the last shrink were sent under the width that has been corrected already.
            if ticket.sent >= self._shrunk_at:
                self.width = max(1.0, self.width / 2)
                self._shrunk_at = _now()
                self._starting = False
        elif healthy and self.running + 1 >= int(self.width):
            self.width = min(float(self.cap), self.width + (1.0 if self._starting else 1.0 / self.width))
        if self._queue:
            self._pump()

    def pause(self, seconds: float) -> None:
        """Nobody sends for ``seconds``."""
        self._paused_until = max(self._paused_until, _now() + seconds)

    def correct(self, ticket: Ticket, tokens: float) -> None:
        """The request of ``ticket`` took ``tokens`` tokens, which is now known."""
        if self._tokens is not None:
            self._tokens.take(tokens - ticket.tokens, _now())

    def _delay(self, tokens: float) -> float | None:
        """None when a request may be sent now, infinity when one must end first, else seconds to wait."""
        if self.running >= int(self.width):
            return math.inf
        if self._requests is None and self._tokens is None and self._paused_until == -math.inf:
            return None
        now = _now()
        wait = self._paused_until - now
        if self._requests is not None:
            wait = max(wait, self._requests.wait(1.0, now))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens, now))
        # Less than the loop's resolution is nothing, or a timer could fire again and again for a rounding.
        return wait if wait > 1e-6 else None

    def _grant(self, tokens: float) -> None:
        self.running += 1
        if self._requests is not None or self._tokens is not None:
            now = _now()
            if self._requests is not None:
                self._requests.take(1.0, now)
            if self._tokens is not None:
                self._tokens.take(tokens, now)

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            _, _, tokens, place = self._queue[0]
            if place.done():
                heapq.heappop(self._queue)
                continue
            wait = self._delay(tokens)
            if wait is None:
                heapq.heappop(self._queue)
                self._grant(tokens)
                place.set_result(None)
                continue
            if wait < math.inf:
                self._timer = asyncio.get_running_loop().call_later(wait, self._pump)
            return


def _now() -> float:
    return asyncio.get_running_loop().time()


# A lane holds no reference to its loop: the table would keep both alive for ever.
_Lanes = dict[tuple[str, str], Lane]
_lanes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Lanes] = weakref.WeakKeyDictionary()


def lane(endpoint: str, model: str, *, cap: int, rpm: float | None = None, tpm: float | None = None) -> Lane:
    """The lane of (``endpoint``, ``model``) in the running loop, made or joined with these limits."""
    lanes = _lanes.setdefault(asyncio.get_running_loop(), {})
    found = lanes.get((endpoint, model))
    if found is None:
        found = lanes[endpoint, model] = Lane(cap, rpm=rpm, tpm=tpm)
    else:
        found.join(cap, rpm=rpm, tpm=tpm)
    return found
