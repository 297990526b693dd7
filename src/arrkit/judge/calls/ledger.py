"""The books of one caller: what requests are expected to take, what they took, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from arrkit.errors import InputError
from arrkit.judge.calls.estimate import Ratio, image_rule, input_tokens, output_tokens
from arrkit.judge.calls.money import Budget, Price, PriceList, user_prices
from arrkit.judge.calls.totals import CallTotals
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import ErrorKind, Reply, Transport, TransportError, TransportRequest

LEARNING_CALLS = 100
"""Calls whose estimates are compared with what is measured, where nothing else needs an estimate."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What one request is expected to take: input tokens, all tokens, and dollars at the most; 0 where
    nothing needed to be estimated."""

    input: int = 0
    tokens: float = 0.0
    dollars: float = 0.0


class Ledger:
    """Totals, budget and the ratio of measured to estimated tokens, for one transport.

    Args:
        transport: whose requests are booked. ``tier`` is the service tier it asks for, where it has one.
        prices: what models cost.
        max_cost: dollars that may be spent, None for no limit.
        budget: what is shared with other ledgers, with ``max_cost`` as its limit.
        forecast: whether tokens are needed before each request.

    Raises:
        InputError: ``max_cost`` without a known price.
    """

    def __init__(
        self,
        transport: Transport,
        prices: PriceList,
        *,
        max_cost: float | None = None,
        budget: Budget | None = None,
        forecast: bool = False,
    ) -> None:
        self.totals = CallTotals()
        self.ratio = Ratio()
        self.budget = Budget(max_cost, transport.name) if budget is None else budget
        self._prices = prices
        self._endpoint = transport.endpoint
        self._tier = str(getattr(transport, "tier", ""))
        self._price = prices.find(transport.model, transport.endpoint)
        self._rule = image_rule(transport.model, transport.name.partition(":")[0])
        self._forecast = forecast
        if max_cost is not None and self.most(Usage(1, 0, 1)) is None:
            tier = f" in the {self._tier} tier" if self._tier else ""
            raise InputError(
                f"--max-cost needs a price, and that of {transport.model} at {transport.endpoint}{tier} is "
                "not known",
                hint=f"Write it into {user_prices()}, or leave --max-cost out.",
            )

    def bound(self, request: TransportRequest) -> Bound:
        """Estimates, made only where a limit needs them or there is still something to learn."""
        limited = self.budget.limit is not None
        if not (limited or self._forecast or self.ratio.calls < LEARNING_CALLS):
            return Bound()
        inputs = input_tokens(request, self._rule)
        tokens = inputs * self.ratio.mean + output_tokens(request)[0]
        return Bound(inputs, tokens, (self.dearest(request, inputs) or 0.0) if limited else 0.0)

    def most(self, usage: Usage, model: str = "", tier: str = "") -> float | None:
        """An upper bound of what ``usage`` costs, or None."""
        price = self._find(model)
        return None if price is None else price.most(usage, tier or self._tier)

    def cost(self, usage: Usage, model: str = "", tier: str = "") -> float | None:
        """What ``usage`` costs, or None. An unlisted resolved ``model`` is charged as the one asked for."""
        price = self._find(model)
        return None if price is None else price.of(usage, tier or self._tier)

    def price(self, reply: Reply) -> float | None:
        """What ``reply`` costs, or None, whether it was paid for now or came from a cache."""
        return self.cost(reply.usage, reply.model, reply.tier)

    def answered(self, reply: Reply, bound: Bound) -> float:
        """Book a reply; the dollars to settle its reservation with."""
        totals = self.totals
        totals.count(str(reply.finish))
        totals.bill(reply.usage, self.price(reply))
        if bound.input:
            self.ratio.add(bound.input, reply.usage.input_tokens)
        if self.budget.limit is None:
            return 0.0
        most = self.most(reply.usage, reply.model, reply.tier)
        return bound.dollars if most is None else most

    def failed(self, request: TransportRequest, error: TransportError, bound: Bound) -> float:
        """Book an error; the dollars to settle its reservation with."""
        self.totals.count(str(error.kind))
        if error.usage.input_tokens is not None or error.usage.output_tokens is not None:
            self.totals.bill(error.usage, self.cost(error.usage))
            most = self.most(error.usage)
            return bound.dollars if most is None else most
        if error.kind is ErrorKind.TRANSIENT and error.status is None:
            # No word from the endpoint: a request that timed out may have been answered, and billed.
            return self.doubt(request)
        return 0.0

    def doubt(self, request: TransportRequest) -> float:
        """Book a request that got no answer and may have been billed; the dollars to settle with."""
        dollars = self.dearest(request)
        self.totals.doubt(dollars)
        return dollars or 0.0

    def typical(self, request: TransportRequest) -> Usage:
        """The tokens that a request will typically take."""
        return Usage(round(input_tokens(request, self._rule) * self.ratio.mean), 0, output_tokens(request)[0])

    def dearest(self, request: TransportRequest, inputs: int | None = None) -> float | None:
        """The most a request may cost, or None. ``inputs`` is its estimate of input tokens, where known."""
        if inputs is None:
            inputs = input_tokens(request, self._rule)
        return self.most(Usage(math.ceil(inputs * self.ratio.most), 0, output_tokens(request)[1]))

    def _find(self, model: str) -> Price | None:
        return (self._prices.find(model, self._endpoint) if model else None) or self._price
