"""What a run would send and cost, with nothing sent."""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.judge.calling import Called
from arrkit.judge.calls.cache import AnswerCache, answer_key
from arrkit.judge.calls.estimate import CHARACTERS, TYPICAL_OUTPUT
from arrkit.judge.calls.ledger import Ledger
from arrkit.judge.calls.money import PriceList, load_prices
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import ErrorKind, ModelProfile, Reply, Transport, TransportError, TransportRequest

NOT_SENT = "not sent: this is a dry run"

BASIS = (
    f"Estimates: {CHARACTERS} characters of text a token, images by the rules of the model's family, "
    f"{TYPICAL_OUTPUT} output tokens a verdict; no retries, repairs or refinements, and no "
    "prompt caching. Criteria that are still to be written are taken to be of the usual length. A cascade is "
    "taken to go on to the next judge wherever an answer is not known yet."
)
"""What the numbers of a forecast rest on, in one sentence."""


@dataclass(slots=True)
class Forecast:
    """What would be sent: estimates, to be shown as such (:data:`BASIS`).

    ``cached`` calls would be answered without a request. ``cost`` in US dollars is the typical case and
    ``most_cost`` the worst, with every answer as long as it may be; None where no price is known. Calls that
    depend on answers (repairs, refinements) are not foreseen. ``unknown`` says that the model is not known:
    what it can do was guessed, and finding out takes some ten small requests more.
    """

    requests: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0
    most_cost: float | None = 0.0
    unknown: bool = False

    def add(self, usage: Usage, cost: float | None, most: float | None) -> None:
        """One request."""
        self.requests += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.cost = None if cost is None or self.cost is None else self.cost + cost
        self.most_cost = None if most is None or self.most_cost is None else self.most_cost + most


class DryCaller:
    """A caller that sends nothing: it implements :class:`~arrkit.judge.calling.Calls` and counts.

    Calls that the cache has are answered from it; all others end with the error :data:`NOT_SENT`. Equal calls
    are counted once, in ``forecast`` where one is given. Raises :class:`~arrkit.errors.InputError` for a
    price list that cannot be read.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        cache: AnswerCache | None = None,
        prices: PriceList | None = None,
        forecast: Forecast | None = None,
    ) -> None:
        self.forecast = Forecast() if forecast is None else forecast
        self._transport = transport
        self._cache = cache
        self._ledger = Ledger(transport, load_prices() if prices is None else prices)
        self._seen: set[str] = set()

    @property
    def name(self) -> str:
        return self._transport.name

    async def profile(self) -> ModelProfile:
        """What the model is known or hoped to do; a model that is not known is not asked."""
        expected = self._transport.expected()
        self.forecast.unknown |= expected.known == "hope"
        return expected

    async def call(self, request: TransportRequest, *, parser: str) -> Called:
        """The cache's answer, or the error that says that nothing was sent."""
        key = answer_key(self.name, request, parser)
        kept = self._cache.get(key) if self._cache is not None else None
        if key not in self._seen:
            self._seen.add(key)
            if kept is not None:
                self.forecast.cached += 1
            else:
                usage = self._ledger.typical(request)
                self.forecast.add(usage, self._ledger.cost(usage), self._ledger.dearest(request))
        if kept is not None:
            return Called(kept, cached=True)
        return Called(None, TransportError(ErrorKind.REJECTED, NOT_SENT))

    async def keep(self, request: TransportRequest, reply: Reply, *, parser: str) -> None:
        """There is nothing to keep."""

    async def aclose(self) -> None:
        await self._transport.aclose()
