"""The one layer for cache, limits, retries and money between a judge's operations and a transport."""

from __future__ import annotations

import asyncio
import random

from arrkit.errors import RunError
from arrkit.judge.calling import Called
from arrkit.judge.calls.cache import AnswerCache, answer_key
from arrkit.judge.calls.estimate import Ratio
from arrkit.judge.calls.health import Health, Outage, stop
from arrkit.judge.calls.ledger import Bound, Ledger
from arrkit.judge.calls.limiter import Lane, Ticket, lane
from arrkit.judge.calls.money import Budget, PriceList, load_prices
from arrkit.judge.calls.retry import LONGEST_HINT, Act, Step, next_step
from arrkit.judge.calls.totals import CallTotals
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import (
    ErrorKind,
    GenerateRequest,
    ModelProfile,
    Reply,
    Transport,
    TransportError,
    TransportRequest,
)


class Caller:
    """One model with everything that stands between an operation and the wire; implements
    :class:`~arrkit.judge.calling.Calls`.

    All times are those of the event loop's clock. Callers of the same endpoint and model in one loop share
    their limits.

    Args:
        transport: who is asked; closed with the caller.
        cache: where good answers are kept, or None. Closed by whoever opened it.
        concurrency: the most requests under way at once; how many there are adapts below it.
        rpm, tpm: requests and tokens a minute, None for no limit of ours.
        max_cost: dollars this caller may spend, None for no limit.
        budget: what is shared with other callers, with ``max_cost`` as its limit.
        prices: what models cost; None reads the lists (:func:`~arrkit.judge.calls.money.load_prices`).
        wide: start with the whole concurrency instead of growing into it. For batches.
        seed: makes the back-off's jitter repeatable.

    Raises:
        InputError: ``max_cost`` without a known price, or a price list that cannot be read.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        cache: AnswerCache | None = None,
        concurrency: int = 8,
        rpm: int | None = None,
        tpm: int | None = None,
        max_cost: float | None = None,
        budget: Budget | None = None,
        prices: PriceList | None = None,
        wide: bool = False,
        seed: int = 0,
    ) -> None:
        self._transport = transport
        self._name = transport.name
        self._cache = cache
        self._limits = (concurrency, rpm, tpm)
        self._wide = wide
        self._random = random.Random(seed)  # noqa: S311  spreads waits, hides nothing
        self._ledger = Ledger(
            transport,
            load_prices() if prices is None else prices,
            max_cost=max_cost,
            budget=budget,
            forecast=tpm is not None,
        )
        self._health = Health(self._name)
        self._stopped: RunError | None = None
        self._profile: ModelProfile | None = None
        self._learning = asyncio.Lock()
        self._flying: dict[str, asyncio.Future[Called]] = {}
        self._lane: Lane | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def totals(self) -> CallTotals:
        """What was measured so far."""
        return self._ledger.totals

    @property
    def ratio(self) -> Ratio:
        """How measured input tokens compare with the estimates."""
        return self._ledger.ratio

    async def profile(self) -> ModelProfile:
        """What the model can do. Nothing can be asked without it, so trouble that lasts stops the run."""
        if self._profile is None:
            async with self._learning:
                if self._stopped is not None:
                    raise self._stopped
                if self._profile is None:
                    self._profile = await self._learned()
        return self._profile

    async def call(self, request: TransportRequest, *, parser: str) -> Called:
        """See :meth:`arrkit.judge.calling.Calls.call`. With a cache, equal calls under way are sent once."""
        if self._stopped is not None:
            raise self._stopped
        if self._cache is None:
            return await self._send(request)
        key = answer_key(self._name, request, parser)
        while True:
            kept = self._cache.get(key)
            if kept is not None:
                self.totals.cached += 1
                return Called(kept, cached=True, cost=self._ledger.price(kept))
            flying = self._flying.get(key)
            if flying is None:
                break
            try:
                first = await asyncio.shield(flying)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not flying.cancelled() or (task is not None and task.cancelling()):
                    raise
                continue  # whoever was first has left: ask ourselves
            self.totals.cached += first.reply is not None
            return Called(first.reply, first.error, cached=first.reply is not None, cost=first.cost)
        return await self._lead(key, request)

    async def keep(self, request: TransportRequest, reply: Reply, *, parser: str) -> None:
        """See :meth:`~arrkit.judge.calling.Calls.keep`. A reply that is no answer is a ``ValueError``."""
        if self._cache is not None:
            await self._cache.put(answer_key(self._name, request, parser), self._name, reply)

    def revive(self) -> None:
        """Ask again after an :class:`~arrkit.judge.calls.health.Outage`; other reasons to stop stand."""
        if isinstance(self._stopped, Outage):
            self._stopped = None
            self._health.forgive()

    async def aclose(self) -> None:
        """Close the transport. The cache stays open for whoever opened it."""
        await self._transport.aclose()

    async def _learned(self) -> ModelProfile:
        failures = dict.fromkeys(ErrorKind, 0)
        waited = 0.0
        while True:
            try:
                return await self._transport.profile()
            except TransportError as error:
                failures[error.kind] += 1
                step = next_step(
                    error.kind,
                    failures[error.kind],
                    hint=error.retry_after,
                    waited=waited,
                    jitter=self._random.random(),
                )
                if step.act is not Act.WAIT:
                    self._stopped = stop(self._name, str(error), error.remedy)
                    raise self._stopped from error
            waited += step.seconds
            await asyncio.sleep(step.seconds)

    async def _lead(self, key: str, request: TransportRequest) -> Called:
        flying = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            called = await self._send(request)
        except BaseException as error:
            if isinstance(error, RunError):
                flying.set_exception(error)
                flying.exception()  # nobody may be waiting for it
            else:
                flying.cancel()
            raise
        else:
            flying.set_result(called)
            return called
        finally:
            del self._flying[key]

    async def _send(self, request: TransportRequest) -> Called:
        now = asyncio.get_running_loop().time
        way = self._way()
        bound = self._ledger.bound(request)
        failures = dict.fromkeys(ErrorKind, 0)
        waited = patience = 0.0
        attempts = 0
        while True:
            began = now()
            ticket = await way.enter(bound.tokens, again=attempts > 0)
            waited += now() - began
            attempts += 1
            outcome = await self._once(request, way, ticket, bound)
            if isinstance(outcome, Reply):
                self._end(waited, attempts, self._health.answered(outcome))
                cost = self._ledger.price(outcome)
                return Called(outcome, attempts=attempts, waited=waited, cost=cost)
            failures[outcome.kind] += 1
            step = next_step(
                outcome.kind,
                failures[outcome.kind],
                hint=outcome.retry_after,
                waited=patience,
                jitter=self._random.random(),
            )
            if step.pause:
                way.pause(step.seconds)
            way.leave(ticket, throttled=step.shrink)
            if step.act is Act.GIVE_UP:
                self._end(waited, attempts, self._health.failed(outcome))
                return Called(None, outcome, attempts, waited=waited)
            if step.act is Act.STOP:
                self._end(waited, attempts, self._exhausted(outcome, step))
            patience += step.seconds
            if not step.pause:
                waited += step.seconds
                await asyncio.sleep(step.seconds)

    async def _once(
        self, request: TransportRequest, way: Lane, ticket: Ticket, bound: Bound
    ) -> Reply | TransportError:
        """Send one request. A reply leaves the lane; after an error its ticket is still held."""
        try:
            if self._stopped is not None:
                raise self._stopped
            await self._ledger.budget.reserve(bound.dollars)
        except RunError as error:
            way.leave(ticket)
            self._stopped = error
            raise
        except BaseException:
            way.leave(ticket)
            raise
        spent = 0.0
        try:
            if isinstance(request, GenerateRequest):
                reply = await self._transport.generate(request)
            else:
                reply = await self._transport.decide(request)
        except TransportError as error:
            spent = self._ledger.failed(request, error, bound)
            return error
        except BaseException:
            # It may have been answered and billed all the same; a transport that breaks its contract too.
            way.leave(ticket)
            spent = self._ledger.doubt(request)
            raise
        else:
            spent = self._ledger.answered(reply, bound)
            used = _sum(reply.usage)
            if used is not None:
                way.correct(ticket, used)
            way.leave(ticket, healthy=True)
            return reply
        finally:
            self._ledger.budget.settle(bound.dollars, spent)

    def _end(self, waited: float, attempts: int, stopped: RunError | None) -> None:
        self.totals.waited += waited
        self.totals.retries += attempts - 1
        if stopped is not None:
            self._stopped = stopped
            raise stopped

    def _exhausted(self, error: TransportError, step: Step) -> RunError:
        if error.kind is ErrorKind.RATE_LIMIT:
            return stop(
                self._name,
                f"it asks for a wait of {step.seconds:.0f} s, and arrkit waits {LONGEST_HINT:.0f} s at most: "
                f"{error}",
                error.remedy,
            )
        return stop(self._name, f"the quota is used up: {error}", error.remedy)

    def _way(self) -> Lane:
        loop = asyncio.get_running_loop()
        if self._lane is None or self._loop is not loop:
            cap, rpm, tpm = self._limits
            # Batches have a queue and limits of their own.
            model = f"{self._transport.model} in batches" if self._wide else self._transport.model
            self._lane = lane(self._transport.endpoint, model, cap=cap, rpm=rpm, tpm=tpm)
            if self._wide:
                self._lane.open_wide()
            self._loop = loop
        return self._lane


def _sum(usage: Usage) -> int | None:
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens
