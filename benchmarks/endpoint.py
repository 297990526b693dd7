"""An endpoint of OpenAI's wire format that costs next to nothing: one answer, a delay, and faults on demand.

It runs in a process of its own, so that what is measured in another one is not its work::

    with Endpoint("{...}", delay=0.2) as endpoint:
        ...  # endpoint.url

Requests are read and dropped unless ``keep`` names a folder. Every answer is a chat completion whose text is
the one given. Faults are drawn from a seed, so many in a hundred requests, whatever the request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

FAULTS = (
    "429 with a hint",
    "429 without one",
    "500",
    "503",
    "reset in mid-answer",
    "hang",
    "cut JSON",
    "refusal",
)
HINT_SECONDS = 0.05
_BUFFER = 1 << 18


class Endpoint:
    """The server's process, from the parent's side. ``counts`` and ``cpu`` are known once it has stopped.

    Args:
        text: the message of every good answer.
        delay: seconds from a request's last byte to its answer.
        faults: the share of requests that are answered with one of :data:`FAULTS`, all alike often.
        hang: seconds that a hang lasts, if the client waits for so long.
        keep: a folder for the bodies of requests, one file each.
        port: where to listen, 0 for any free port.
    """

    def __init__(
        self,
        text: str,
        *,
        delay: float = 0.0,
        faults: float = 0.0,
        hang: float = 60.0,
        seed: int = 0,
        keep: Path | None = None,
        port: int = 0,
    ) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self.cpu = 0.0
        options = {
            "--delay": delay,
            "--faults": faults,
            "--hang": hang,
            "--seed": seed,
            "--keep": keep or "",
            "--port": port,
        }
        self._command = [sys.executable, __file__, text]
        self._command += [f"{name}={value}" for name, value in options.items()]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    @property
    def url(self) -> str:
        """What a client calls its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        said = json.loads(self._process.communicate(timeout=10)[0])
        self.counts = Counter(said["counts"])
        self.cpu = said["cpu"]


def completion(text: str | None, refusal: str | None = None) -> bytes:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "resolved-model",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 2400, "completion_tokens": 400, "total_tokens": 2800},
    }
    return json.dumps(body).encode()


def http(body: bytes, status: int = 200, extra: str = "") -> bytes:
    """A whole answer, head and body."""
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\nx-request-id: req-1\r\n"
    return f"{head}content-length: {len(body)}\r\n{extra}\r\n".encode() + body


def failure(status: int, message: str, extra: str = "") -> bytes:
    """An error in OpenAI's form."""
    return http(json.dumps({"error": {"message": message, "code": None}}).encode(), status, extra)


class Answers:
    """What is answered to whom: the good answer, or a fault that was drawn."""

    def __init__(self, text: str, options: argparse.Namespace) -> None:
        self.counts: Counter[str] = Counter()
        self.delay: float = options.delay
        self.keep = Path(options.keep) if options.keep else None
        self._faults: float = options.faults
        self._hang: float = options.hang
        self._draw = random.Random(options.seed)
        good = http(completion(text))
        cut = http(completion(text[: len(text) // 2]))
        self._good = good
        self._bad: dict[str, tuple[float, bytes, bool]] = {  # seconds, bytes, whether it hangs up
            "429 with a hint": (0.0, failure(429, "Slow down.", f"retry-after: {HINT_SECONDS}\r\n"), False),
            "429 without one": (0.0, failure(429, "Slow down."), False),
            "500": (self.delay, failure(500, "Something broke."), False),
            "503": (0.0, failure(503, "Too busy."), False),
            "reset in mid-answer": (self.delay, good[:-50], True),
            "hang": (self._hang, b"", True),
            "cut JSON": (self.delay, cut, False),
            "refusal": (self.delay, http(completion(None, "I would rather not.")), False),
        }

    def next(self) -> tuple[float, bytes, bool]:
        """Seconds to wait, bytes to send, and whether to hang up then."""
        if self._faults and self._draw.random() < self._faults:
            fault = self._draw.choice(FAULTS)
            self.counts[fault] += 1
            return self._bad[fault]
        self.counts["answer"] += 1
        return self.delay, self._good, False


class Connection(asyncio.BufferedProtocol):
    """Reads requests into one buffer, without copying what it drops."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._buffer = memoryview(bytearray(_BUFFER))
        self._head = b""
        self._left = 0
        self._kept: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        start = 0
        if not self._left:
            self._head += bytes(self._buffer[:nbytes])
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            fields = self._head[:end].lower().partition(b"content-length:")[2]
            self._left = int(fields.split(b"\r\n", 1)[0] or 0)
            start = nbytes - (len(self._head) - end - 4)
            self._head = b""
        self._left -= nbytes - start
        if self._answers.keep is not None:
            self._kept.append(bytes(self._buffer[start:nbytes]))
        if self._left <= 0:
            self._left = 0
            if self._answers.keep is not None:
                number = sum(self._answers.counts.values())
                (self._answers.keep / f"{number}.json").write_bytes(b"".join(self._kept))
                self._kept.clear()
            seconds, answer, last = self._answers.next()
            asyncio.get_running_loop().call_later(seconds, self._send, answer, last)

    def _send(self, answer: bytes, last: bool) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if last:
            # Aborted a moment later: at once, the bytes before the reset would be lost with it.
            asyncio.get_running_loop().call_later(0.005, self._transport.abort)


async def serve(answers: Answers, port: int, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", port, backlog=1024)
    ready(server.sockets[0].getsockname()[1])
    await stopped.wait()
    server.close()


def main() -> None:
    """Say the port, serve, and at the end say what was done and what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--delay", type=float)
    parser.add_argument("--faults", type=float)
    parser.add_argument("--hang", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    answers = Answers(options.text, options)
    asyncio.run(serve(answers, options.port, lambda port: print(port, flush=True)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"counts": answers.counts, "cpu": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main()
