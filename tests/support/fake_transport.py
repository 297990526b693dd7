"""A transport that answers from a script, and an event loop whose clock jumps instead of waiting."""

from __future__ import annotations

import asyncio
import inspect
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from arrkit.judge.protocol import Usage
from arrkit.judge.transport import (
    BatchStatus,
    DecideRequest,
    ErrorKind,
    Finish,
    GenerateRequest,
    ModelProfile,
    Reply,
    Sampling,
    TextPart,
    TransportError,
    TransportRequest,
)

T = TypeVar("T")
USAGE = Usage(input_tokens=100, cached_tokens=20, output_tokens=10, reasoning_tokens=4)
Answer = Reply | TransportError
Script = Callable[[TransportRequest, int], Answer | Awaitable[Answer]]


class _Jumping(selectors.DefaultSelector):
    """A selector that, instead of waiting, moves its loop's clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            ready = super().select(10)
            assert ready, "every task waits and nothing will ever happen"
            return ready
        ready = super().select(0)
        if not ready:
            self.now += max(timeout, 0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time: it begins at 0, and a sleep takes no time at all.

    Work on other threads is not waited for while a timer is pending.
    """

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def now() -> float:
    """The running loop's clock."""
    return asyncio.get_running_loop().time()


def ask(number: int, **changes: Any) -> GenerateRequest:
    """A request that differs from every other number's."""
    sampling = Sampling(max_output_tokens=changes.pop("most", 64))
    return GenerateRequest("rubric", (TextPart(f"item {number}"),), sampling=sampling, **changes)


def number_of(request: TransportRequest) -> int:
    """The number that :func:`ask` was given."""
    part = request.parts[0]
    assert isinstance(part, TextPart)
    return int(part.text.removeprefix("item "))


def answer(text: str = "fine", **changes: Any) -> Reply:
    """A good reply with usage."""
    return Reply(**({"finish": Finish.STOP, "text": text, "usage": USAGE} | changes))


def error(kind: ErrorKind, message: str = "no", **changes: Any) -> TransportError:
    """A failure."""
    return TransportError(kind, message, **changes)


def fine(request: TransportRequest, attempt: int) -> Answer:
    """Answers everything."""
    return answer(f"answer {number_of(request)}")


@dataclass
class FakeTransport:
    """Answers by ``script(request, attempt)``, where ``attempt`` counts from 1 for equal requests.

    ``sent`` holds (time, request), ``most`` is how many were under way at once. A batch takes
    ``batch_seconds`` of the loop's time; ``batches`` maps each id to its requests and when it was handed in.
    """

    script: Script = fine
    latency: float = 0.2
    name: str = "fake:model"
    endpoint: str = "fake.example"
    model: str = "model"
    batch_seconds: float = 100.0
    sent: list[tuple[float, TransportRequest]] = field(default_factory=list)
    most: int = 0
    closed: bool = False
    batches: dict[str, tuple[float, Mapping[str, GenerateRequest]]] = field(default_factory=dict)
    collected: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._running = 0
        self._attempts: dict[object, int] = {}

    @property
    def times(self) -> list[float]:
        """When requests were sent."""
        return [time for time, _ in self.sent]

    async def profile(self) -> ModelProfile:
        return ModelProfile(batch=True)

    def expected(self) -> ModelProfile:
        return ModelProfile(batch=True)

    async def generate(self, request: GenerateRequest) -> Reply:
        return await self._answer(request)

    async def decide(self, request: DecideRequest) -> Reply:
        return await self._answer(request)

    async def submit(self, requests: Mapping[str, GenerateRequest]) -> str:
        batch = f"batch-{len(self.batches)}"
        self.batches[batch] = now(), dict(requests)
        return batch

    async def collect(self, batch: str) -> BatchStatus:
        self.collected.append((now(), batch))
        began, requests = self.batches[batch]
        if now() < began + self.batch_seconds:
            return BatchStatus(False, "in_progress")
        replies = {key: await self._scripted(request) for key, request in requests.items()}
        return BatchStatus(True, "completed", replies)

    async def aclose(self) -> None:
        self.closed = True

    async def _scripted(self, request: TransportRequest) -> Answer:
        key = repr(request.content())
        self._attempts[key] = self._attempts.get(key, 0) + 1
        said = self.script(request, self._attempts[key])
        return await said if inspect.isawaitable(said) else said

    async def _answer(self, request: TransportRequest) -> Reply:
        self.sent.append((now(), request))
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            said = await self._scripted(request)
        finally:
            self._running -= 1
        if isinstance(said, TransportError):
            raise said
        return said
