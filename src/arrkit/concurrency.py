"""Bounded concurrency, and asynchronous work from synchronous code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar, cast

from arrkit.errors import RunError

T = TypeVar("T")


GRACE = 30.0
"""Seconds that work under way has to come to its end after a run was stopped in good order."""


async def run_bounded(jobs: Iterable[Coroutine[Any, Any, None]], window: int) -> None:
    """Run every job, at most ``window`` at a time, taking the next one from ``jobs`` only when there is room.

    The first exception ends the work and is raised. Where it is a :class:`~arrkit.errors.RunError`, the jobs
    under way have :data:`GRACE` seconds to come to their end: what they wait for may be paid for. After any
    other they are cancelled at once.
    """
    running: set[asyncio.Task[None]] = set()
    try:
        for job in jobs:
            running.add(asyncio.create_task(job))
            if len(running) >= window:
                running = await _harvest(running)
        while running:
            running = await _harvest(running)
    except RunError:
        if running:
            await asyncio.wait(running, timeout=GRACE)
        raise
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _harvest(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, left = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    # All finished ones are looked at, or asyncio would warn of exceptions that were never retrieved. One that
    # was cancelled waited for the answer of another, whose exception says more.
    failures = [error for task in done if not task.cancelled() and (error := task.exception()) is not None]
    if failures:
        raise next((error for error in failures if isinstance(error, RunError)), failures[0])
    for task in done:
        task.result()
    return left


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results, in order. The first failure is raised once all are through: none runs on unwatched."""
    results = await asyncio.gather(*work, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in failures:
        # One that was cancelled waited for the answer of another, whose exception says more.
        if not isinstance(failure, asyncio.CancelledError) or failure is failures[-1]:
            raise failure
    return cast("list[T]", results)


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end from synchronous code, also in a notebook, whose loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    result: list[T] = []
    failure: list[BaseException] = []
    stop: list[Callable[[], object]] = []

    async def stoppable() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await task

    def target() -> None:
        try:
            result.append(asyncio.run(stoppable()))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=target, name="arrkit")
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C reaches this thread alone, and must end the work in the other one
        with suppress(RuntimeError):  # the work has ended just now, and its loop with it
            for cancel in stop:
                cancel()
        thread.join()
        raise
    if failure:
        raise failure[0]
    return result[0]
