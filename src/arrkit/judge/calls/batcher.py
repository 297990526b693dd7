"""Half the price for waiting: requests that are handed in together through an endpoint's batch interface.

A :class:`Batcher` is a transport around a transport, so that cache, retries and money stay where they are:
``Caller(Batcher(transport, path), wide=True, concurrency=...)``. A request waits in a queue; when the
queue has been quiet for a moment, or is full, it becomes a batch. A batch's id and keys stand in a file
before the endpoint is asked about it, so that a later start collects what an earlier one has paid for.

How many calls wait at once is up to who calls: the larger ``concurrency``, the fewer batches.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from arrkit.canonical import digest
from arrkit.errors import RunError
from arrkit.judge.calls.health import stop
from arrkit.judge.transport import (
    BatchStatus,
    DecideRequest,
    ErrorKind,
    GenerateRequest,
    ImagePart,
    ModelProfile,
    Reply,
    Transport,
    TransportError,
)
from arrkit.runs.journal import Journal, read_records

MOST_REQUESTS = 10_000
MOST_BYTES = 120_000_000
"""Image bytes in one batch: in base64 and with their text they stay below OpenAI's 200 MB for a file."""

MOST_BATCHES = 4
"""Batches under way at once; endpoints limit the tokens that wait in their queues."""

FIRST_POLL, LONGEST_POLL = 5.0, 300.0
"""Seconds between looks at a batch: they grow by half each time."""

PATIENT_POLLS = 50
"""Looks in a row that may fail before the run stops: about four hours."""

_PASSING = (ErrorKind.TRANSIENT, ErrorKind.RATE_LIMIT)
_Answers = Mapping[str, Reply | TransportError]


@dataclass(slots=True)
class _Entry:
    """One request, and whoever waits for its reply."""

    key: str
    request: GenerateRequest
    reply: asyncio.Future[Reply]

    @property
    def size(self) -> int:
        return sum(len(part.data) for part in self.request.parts if isinstance(part, ImagePart))


class Batcher:
    """A transport whose requests travel in batches; see the module.

    Args:
        transport: whose batch interface is used; closed with the batcher.
        path: the file that remembers batches, in the run's folder.
        quiet: seconds without a new request after which the queue becomes a batch.
        most_requests, most_bytes: what makes the queue full: requests, and bytes of images.

    Decision requests have no batch interface and are sent at once, at the full price.
    """

    tier = "batch"

    def __init__(
        self,
        transport: Transport,
        path: Path,
        *,
        quiet: float = 2.0,
        most_requests: int = MOST_REQUESTS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._transport = transport
        self._quiet = quiet
        self._most = (most_requests, most_bytes)
        self._entries: dict[str, _Entry] = {}
        self._queue: list[_Entry] = []
        self._queued_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MOST_BATCHES)
        self._path = path
        self._delivered: list[str] = []
        self._earlier = self._read() if path.exists() else {}
        self._looking: dict[str, asyncio.Task[_Answers]] = {}

    @property
    def name(self) -> str:
        return self._transport.name

    @property
    def endpoint(self) -> str:
        return self._transport.endpoint

    @property
    def model(self) -> str:
        return self._transport.model

    async def profile(self) -> ModelProfile:
        return await self._transport.profile()

    def expected(self) -> ModelProfile:
        return self._transport.expected()

    async def generate(self, request: GenerateRequest) -> Reply:
        """Wait for the reply, hours if need be. Raises :class:`TransportError` as the request's own ending,
        and :class:`RunError` where a batch that is paid for cannot be looked at."""
        key = digest({"transport": self.name, "request": request.content()})
        batch = self._earlier.pop(key, None)
        if batch is not None:
            found = (await self._earlier_answers(batch)).get(key)
            if isinstance(found, Reply):
                return replace(found, tier=self.tier)
        entry = self._entries.get(key)
        if entry is None:
            entry = _Entry(key, request, asyncio.get_running_loop().create_future())
            self._add(entry)
        return await asyncio.shield(entry.reply)

    async def decide(self, request: DecideRequest) -> Reply:
        reply = await self._transport.decide(request)
        return replace(reply, tier=reply.tier or "default")

    async def submit(self, requests: Mapping[str, GenerateRequest]) -> str:
        return await self._transport.submit(requests)

    async def collect(self, batch: str) -> BatchStatus:
        return await self._transport.collect(batch)

    async def aclose(self) -> None:
        """Let go of the batches under way, which a later start finds in the file, and close the transport."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = [*self._tasks, *self._looking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for entry in self._entries.values():
            entry.reply.cancel()
        # Their answers have reached who asked. What was not kept was not good, and is asked anew next time.
        for batch in self._delivered:
            self._write(batch, answered=True)
        await self._transport.aclose()

    def _read(self) -> dict[str, str]:
        """The keys that earlier starts handed in, each with its latest batch."""
        earlier: dict[str, str] = {}
        answered = set()
        for record in read_records(self._path):
            if record.get("transport") != self.name:
                continue
            batch, keys = str(record["batch"]), record.get("keys")
            if record.get("answered"):
                answered.add(batch)
            if isinstance(keys, Sequence):
                earlier.update((str(key), batch) for key in keys)
        return {key: batch for key, batch in earlier.items() if batch not in answered}

    def _write(self, batch: str, *, keys: Sequence[str] = (), answered: bool = False) -> None:
        about = {"answered": True} if answered else {"keys": list(keys)}
        with Journal(self._path) as journal:
            journal.append({"batch": batch, "transport": self.name, **about})
        with self._path.open("rb") as stream:
            os.fsync(stream.fileno())

    def _add(self, entry: _Entry) -> None:
        self._entries[entry.key] = entry
        self._queue.append(entry)
        self._queued_bytes += entry.size
        if self._timer is not None:
            self._timer.cancel()
        if len(self._queue) >= self._most[0] or self._queued_bytes >= self._most[1]:
            self._flush()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._quiet, self._flush)

    def _flush(self) -> None:
        entries, self._queue, self._queued_bytes, self._timer = self._queue, [], 0, None
        self._start(entries)

    def _start(self, entries: Sequence[_Entry]) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(entries))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, entries: Sequence[_Entry]) -> None:
        """Take one batch through its life, and give everyone in it an ending."""
        try:
            async with self._room:
                batch = await self._transport.submit({entry.key: entry.request for entry in entries})
                self._write(batch, keys=[entry.key for entry in entries])
                status = await self._finished(batch)
        except TransportError as error:
            if error.kind is ErrorKind.TOO_LARGE and len(entries) > 1:
                middle = len(entries) // 2
                self._start(entries[:middle])
                self._start(entries[middle:])
                return
            self._settle(entries, dict.fromkeys((entry.key for entry in entries), error))
        except Exception as error:
            for entry in entries:
                self._end(entry, error)
        else:
            self._settle(entries, status.replies, batch=batch, state=status.state)
            self._delivered.append(batch)

    async def _finished(self, batch: str) -> BatchStatus:
        """Look at a batch until it is done.

        Raises:
            RunError: it cannot be looked at. Handing it in again would be paying twice.
        """
        wait, troubles = FIRST_POLL, 0
        while True:
            try:
                status = await self._transport.collect(batch)
            except TransportError as error:
                troubles += 1
                if error.kind not in _PASSING or troubles >= PATIENT_POLLS:
                    raise stop(
                        self.name, f"batch {batch} cannot be collected: {error}", error.remedy
                    ) from error
                wait = max(wait, error.retry_after or 0.0)
            else:
                if status.done:
                    return status
                troubles = 0
            await asyncio.sleep(wait)
            wait = min(LONGEST_POLL, wait * 1.5)

    async def _earlier_answers(self, batch: str) -> _Answers:
        """What an earlier start's batch came to; nothing where the endpoint has forgotten it."""
        task = self._looking.get(batch)
        if task is None:
            task = self._looking[batch] = asyncio.get_running_loop().create_task(self._look_up(batch))
        return await asyncio.shield(task)

    async def _look_up(self, batch: str) -> _Answers:
        try:
            replies = (await self._finished(batch)).replies
        except RunError as error:
            cause = error.__cause__
            if isinstance(cause, TransportError) and (
                cause.status in (404, 410)
                or (cause.kind is ErrorKind.REJECTED and cause.status not in (401, 403))
            ):
                return {}  # it is gone, or failed as a whole: nothing of it was paid for
            raise
        self._delivered.append(batch)
        return replies

    def _settle(
        self, entries: Sequence[_Entry], answers: _Answers, *, batch: str = "", state: str = ""
    ) -> None:
        for entry in entries:
            found = answers.get(entry.key)
            if isinstance(found, Reply):
                del self._entries[entry.key]
                if not entry.reply.done():
                    entry.reply.set_result(replace(found, tier=self.tier))
            elif found is not None:
                self._end(entry, found)
            elif answers:
                # The status says that an answer came, if not to this one: it is not billed.
                late = f"batch {batch} ended ({state}) before this request was answered"
                self._end(entry, TransportError(ErrorKind.TRANSIENT, late, status=408))
            else:
                self._end(
                    entry,
                    TransportError(ErrorKind.REJECTED, f"batch {batch} ended ({state}) without answers"),
                )

    def _end(self, entry: _Entry, error: Exception) -> None:
        del self._entries[entry.key]
        if not entry.reply.done():
            entry.reply.set_exception(error)
            with suppress(asyncio.CancelledError):
                entry.reply.exception()  # whoever waited may have left
