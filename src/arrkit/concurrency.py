"""Bounded concurrency, and asynchronous work from synchronous code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def run_bounded(jobs: Iterable[Coroutine[Any, Any, None]], window: int) -> None:
    """Run every job, at most ``window`` at a time, taking the next one from ``jobs`` only when there is room.

    The first exception cancels the jobs under way and is raised.
    """
    running: set[asyncio.Task[None]] = set()
    try:
        for job in jobs:
            running.add(asyncio.create_task(job))
            if len(running) >= window:
                running = await _harvest(running)
        while running:
            running = await _harvest(running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _harvest(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, left = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if task.exception() is not None:
            # The other finished ones must be looked at too, or asyncio warns of exceptions never retrieved.
            await asyncio.gather(*done, *_cancelled(left), return_exceptions=True)
        task.result()
    return left


def _cancelled(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    for task in tasks:
        task.cancel()
    return tasks


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
