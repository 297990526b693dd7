"""An event loop in a thread of its own, for work that goes on while something else computes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from arrkit.errors import RunError

T = TypeVar("T")

FAREWELL = 5.0
"""Seconds that work given up, and the farewell after it, may take before nobody waits for them any more."""


class Background:
    """Runs coroutines in one event loop in one daemon thread, which starts with the first of them.

    Every future that :meth:`run` gives ends, whatever becomes of the loop. Safe to be called from any thread.

    Args:
        name: of the thread.
        farewell: awaited in the loop when everything else has ended.
    """

    def __init__(self, name: str, farewell: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._farewell = farewell
        self._guard = threading.Lock()
        self._pending: set[Future[Any]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Have ``make()`` run in the loop; returns at once. It cannot be cancelled one by one.

        Raises :class:`~arrkit.errors.RunError` after :meth:`close`.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody but the loop ends it
        with self._guard:
            if self._closed:
                raise RunError(f"{self._name} has ended")
            if self._thread is None:
                self._start()
            assert self._loop is not None
            self._pending.add(future)
            self._loop.call_soon_threadsafe(self._begin, make, future)
        return future

    def close(self) -> None:
        """End the thread. What is under way is given up, and its futures end with an error."""
        with self._guard:
            self._closed = True
            loop, stop, thread = self._loop, self._stop, self._thread
        if loop is None or stop is None or thread is None:
            return
        with suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(stop.set)
        # Work that blocks the thread cannot be stopped; a daemon dies with its process.
        thread.join(3 * FAREWELL)
        self._give_up()

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._live, args=(ready,), name=self._name, daemon=True)
        self._thread.start()
        ready.wait()

    def _live(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        finally:
            with self._guard:
                self._closed = True
            self._give_up()

    async def _serve(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        ready.set()
        await self._stop.wait()
        for task in (under_way := list(self._tasks)):
            task.cancel()
        if under_way:
            await asyncio.wait(under_way, timeout=FAREWELL)
        with suppress(Exception):  # all is over: who cannot say goodbye changes nothing
            async with asyncio.timeout(FAREWELL):
                await self._farewell()

    def _begin(self, make: Callable[[], Coroutine[Any, Any, T]], future: Future[T]) -> None:
        task = asyncio.get_running_loop().create_task(self._finish(make, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, make: Callable[[], Coroutine[Any, Any, T]], future: Future[T]) -> None:
        result: list[T] = []
        failure: Exception = RunError(f"{self._name} was closed with work under way")
        try:
            result.append(await make())
        except Exception as error:
            failure = error
        finally:
            with self._guard:
                mine = future in self._pending
                self._pending.discard(future)
            if mine and result:
                future.set_result(result[0])
            elif mine:
                future.set_exception(failure)

    def _give_up(self) -> None:
        with self._guard:
            left, self._pending = self._pending, set()
        for future in left:
            future.set_exception(RunError(f"{self._name} was closed with work under way"))
