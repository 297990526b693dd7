"""What the layer before the wire costs: calls through it, against the same calls to the transport itself.

The transport answers at once, so all that is measured is ours. Times are processor time of this process (user
and system), which other work on the machine disturbs least.

python benchmarks/call_overhead.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path

from arrkit.judge.calls.cache import AnswerCache
from arrkit.judge.calls.caller import Caller
from arrkit.judge.calls.money import PriceList
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import (
    BatchStatus,
    DecideRequest,
    Finish,
    GenerateRequest,
    ImagePart,
    ModelProfile,
    Reply,
    TextPart,
)
from common import Bar, Result, main

CALLS = 5000
RUNS = 5
CONCURRENCY = 32
MICROSECONDS = 150.0
"""What a call may cost without the cache."""
CACHED_MICROSECONDS = 500.0
"""What a call may cost when its answer is looked for, not found, and kept."""

REQUESTS = count()
IMAGES = tuple(ImagePart(bytes([number]) * 200_000, "image/jpeg", 768, 768) for number in range(8))
REPLY = Reply(Finish.STOP, "x" * 800, usage=Usage(2000, 1500, 200, 0), model="instant")


class Instant:
    """A transport that answers at once."""

    name = "instant:instant"
    endpoint = "localhost"
    model = "instant"

    async def profile(self) -> ModelProfile:
        return ModelProfile()

    async def generate(self, request: GenerateRequest) -> Reply:  # noqa: ARG002
        await asyncio.sleep(0)
        return REPLY

    async def decide(self, request: DecideRequest) -> Reply:
        raise NotImplementedError

    async def submit(self, requests: Mapping[str, GenerateRequest]) -> str:
        raise NotImplementedError

    async def collect(self, batch: str) -> BatchStatus:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def request() -> GenerateRequest:
    """A new request with two images, as large as a judge's."""
    number = next(REQUESTS)
    images = IMAGES[number % 8], IMAGES[(number + 1) % 8]
    return GenerateRequest("rubric " * 300, (TextPart(f"pair {number}"), *images), schema={"type": "object"})


async def spend(one: Callable[[GenerateRequest], Awaitable[object]]) -> float:
    """Processor microseconds for each of many calls, some of which are always under way."""
    requests = iter([request() for _ in range(CALLS)])

    async def worker() -> None:
        for each in requests:
            await one(each)

    start = time.process_time()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return (time.process_time() - start) / CALLS * 1e6


def bare() -> float:
    """The transport itself."""
    transport = Instant()
    return asyncio.run(spend(transport.generate))


def through(cache: AnswerCache | None = None) -> float:
    """The same through a caller; with a cache every answer is looked for and then kept."""
    caller = Caller(Instant(), cache=cache, concurrency=CONCURRENCY, prices=PriceList({}))

    async def one(each: GenerateRequest) -> None:
        called = await caller.call(each, parser="1")
        if cache is not None and called.reply is not None:
            await caller.keep(each, called.reply, parser="1")

    return asyncio.run(spend(one))


def measure() -> list[Result]:
    """The overheads, as shares of what they may be."""
    with tempfile.TemporaryDirectory() as temporary:
        cache = AnswerCache(Path(temporary))
        direct = min(bare() for _ in range(RUNS))
        plain = min(through() for _ in range(RUNS)) - direct
        kept = min(through(cache) for _ in range(RUNS)) - direct
        cache.close()
    return [
        Result(
            "a judge call's way to the wire / its allowance",
            plain / MICROSECONDS,
            1.0,
            Bar.AT_MOST,
            f"{plain:.0f} µs / {MICROSECONDS:.0f} µs a call, {CALLS} calls, best of {RUNS}",
        ),
        Result(
            "the same with every answer kept / its allowance",
            kept / CACHED_MICROSECONDS,
            1.0,
            Bar.AT_MOST,
            f"{kept:.0f} µs / {CACHED_MICROSECONDS:.0f} µs a call, two images of 200 kB",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main(measure))
