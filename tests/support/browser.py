"""A headless Chromium for tests of pages, spoken to over a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="NO BROWSER: report.html was not checked; install Debian's package chromium to check it",
    ),
]


class Browser:
    """A Chromium with one tab, driven by the DevTools protocol over file descriptors 3 and 4."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # 3 and 4 are set one after the other, so neither end may stand there beforehand.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (theirs_in, theirs_out)]
        quiet = os.open(os.devnull, os.O_RDWR)
        flags = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
            "--hide-scrollbars --disable-background-networking --disable-component-update "
            f"--disable-dev-shm-usage --remote-debugging-pipe --user-data-dir={folder}/profile"
        ).split()
        self.pid = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *flags],
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
                *((os.POSIX_SPAWN_DUP2, quiet, fd) for fd in (0, 1, 2)),
            ],
        )
        for fd in (theirs_in, theirs_out, *ends, quiet):
            os.close(fd)
        self._in, self._out = ours_in, ours_out
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.events: list[dict] = []

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict:
        deadline = time.monotonic() + 60
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium has not answered for a minute"
            got = os.read(self._in, 1 << 20)
            assert got, "Chromium ended"
            self._buffer += got
        head, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(head)

    def open(self, path: Path, fragment: str = "", *, width: int = 1200, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        # A mere change of the fragment would not load the page anew.
        self._load("about:blank")
        self._load(path.as_uri() + fragment)

    def _load(self, url: str) -> None:
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def js(self, expression: str) -> object:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def shown(self) -> list[str]:
        """The ids of the cards in the list, once it is settled."""
        self.js("new Promise((done) => setTimeout(done, 250))")
        ids = self.js("[...document.querySelectorAll('.pair')].map((card) => card.dataset.id)")
        assert isinstance(ids, list)
        return ids

    def complaints(self) -> list[dict]:
        """Errors of scripts, refusals of the content policy, and requests beyond the page itself."""
        bad = ("Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed")
        return [
            event
            for event in self.events
            if event.get("method") in bad
            or (
                event.get("method") == "Network.requestWillBeSent"
                and not event["params"]["request"]["url"].startswith(("file:", "data:"))
            )
        ]

    def close(self) -> None:
        """End the browser; the pipe's end alone would do, the signal is for one that hangs."""
        os.close(self._out)
        os.close(self._in)
        deadline = time.monotonic() + 10
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return
            time.sleep(0.05)


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its profile in ``folder``, until the block ends."""
    it = Browser(folder)
    try:
        it.attach()
        yield it
    finally:
        it.close()
