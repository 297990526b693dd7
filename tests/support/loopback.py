"""A small HTTP/1.1 server on loopback that can answer, dawdle, hang, drip and hang up; one thread."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; ``at`` is monotonic time, ``headers`` have lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> Any:
        """The JSON body."""
        return json.loads(self.raw)


@dataclass(frozen=True)
class Action:
    """What the server does with a request.

    After ``delay`` seconds it sends the head and ``body``; with ``keep`` only so many bytes of the body, and
    then it hangs up, or, with ``stall``, says nothing more for so many seconds. ``drip`` sends the body
    byte by byte, with so many seconds between. ``silent`` hangs up without a word.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    keep: int | None = None
    stall: float = 0.0
    drip: float = 0.0
    silent: bool = False

    def after(self, seconds: float) -> Action:
        return replace(self, delay=seconds)

    def cut(self, keep: int) -> Action:
        """The same, but the connection is reset after ``keep`` bytes of the body."""
        return replace(self, keep=keep)

    def stalled(self, seconds: float, keep: int = 1) -> Action:
        """The same, but after ``keep`` bytes of the body nothing comes for ``seconds``."""
        return replace(self, keep=keep, stall=seconds)

    def dripped(self, seconds: float) -> Action:
        return replace(self, drip=seconds)

    def with_headers(self, **headers: str) -> Action:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


def as_json(payload: object, status: int = 200, **headers: str) -> Action:
    return Action(status, json.dumps(payload).encode(), {"content-type": "application/json"}).with_headers(
        **headers
    )


HANG_UP = Action(silent=True)


class Loopback:
    """Serves ``react(seen)`` for each request, while it is entered as a context.

    ``react`` runs in the server's thread, one request at a time, and must be quick.
    """

    def __init__(self, react: Callable[[Seen], Action]) -> None:
        self.react = react
        self.port = 0
        self.connections = 0
        self.in_flight = 0
        self.peak = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the loopback server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (seen := await _read(reader)) is not None:
                self.in_flight += 1
                self.peak = max(self.peak, self.in_flight)
                try:
                    alive = await _write(writer, self.react(seen))
                finally:
                    self.in_flight -= 1
                if not alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the server is being stopped
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        raw = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            raw += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(method, target.partition("?")[0], headers, raw, time.monotonic())


async def _write(writer: asyncio.StreamWriter, action: Action) -> bool:
    """Do ``action``; whether the connection may be used again."""
    if action.delay:
        await asyncio.sleep(action.delay)
    if action.silent:
        writer.transport.abort()
        return False
    lines = [f"HTTP/1.1 {action.status} Whatever", f"content-length: {len(action.body)}"]
    lines += [f"{name}: {value}" for name, value in action.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    body = action.body if action.keep is None else action.body[: action.keep]
    if action.drip:
        for byte in body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(action.drip)
    else:
        writer.write(body)
    await writer.drain()
    if action.keep is not None:
        await asyncio.sleep(action.stall)
        writer.transport.abort()
        return False
    return True
