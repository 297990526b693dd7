"""``--launch N``: start the same command in N processes, and end all when one fails.

Done here rather than through ``accelerate launch``, which starts one process on a CPU whatever it is told,
and rather than through ``torchrun``, which answers every failure with status 1 and a page of its own
traceback. Both work as well, for several machines for example. Nothing heavy is imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import IO

from arrkit.errors import RunError

PROMISE = "ARRKIT_PROCESSES"
"""Environment variable: how many processes the launcher has started."""

LOST = 69
"""Exit status of a process that ended because another had: EX_UNAVAILABLE of sysexits.h."""

_PARENT = "ARRKIT_LAUNCHER"
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def launch(
    arguments: Sequence[str],
    processes: int,
    *,
    grace: float = 30.0,
    notice: float = 3.0,
    program: Sequence[str] = ("-m", "arrkit"),
) -> int:
    """Run ``arrkit ARGUMENTS`` in ``processes`` processes of this machine, and wait for them.

    ``program`` is what Python runs instead of arrkit, such as a script of the user's own.

    The first process has the terminal; what another one wrote is shown if it was the first to fail. When one
    fails, the rest have ``notice`` seconds to say what they saw and are then ended. Ctrl-C is passed on, and
    all have ``grace`` seconds to save; a second one ends them.

    Returns the exit status of the one that was the cause, 130 after Ctrl-C, or 0.

    Raises:
        RunError: a process was killed from outside.
    """
    with ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(processes)]
        group = _Group([*program, *arguments], processes, errors)
        try:
            return group.wait(notice)
        except KeyboardInterrupt:
            group.send(signal.SIGINT)
            group.end(grace)
            return 130
        finally:
            group.end(0.0)


class _Group:
    def __init__(self, arguments: Sequence[str], count: int, errors: Sequence[IO[bytes]]) -> None:
        port = _free_port()
        self._errors = errors
        self._children: list[subprocess.Popen[bytes]] = []
        for rank in range(count):
            environment = {
                **os.environ,
                PROMISE: str(count),
                _PARENT: str(os.getpid()),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            # Processes that share cores through thread pools are slower together than one thread each.
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
            self._children.append(
                subprocess.Popen(  # noqa: S603 - this interpreter, with the user's own arguments
                    [sys.executable, *arguments],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=None if rank == 0 else subprocess.DEVNULL,
                    stderr=None if rank == 0 else errors[rank],
                    # In the terminal's own group Ctrl-C would reach them twice: from it, and from here.
                    process_group=0,
                )
            )

    def wait(self, notice: float) -> int:
        """Wait until all have ended well, or one has not; the status of that one."""
        failed = None
        while failed is None:
            statuses = [child.poll() for child in self._children]
            failed = next((rank for rank, status in enumerate(statuses) if status), None)
            if failed is None:
                if all(status == 0 for status in statuses):
                    return 0
                time.sleep(0.05)
        self._settle(notice)
        # The cause is who did not merely lose the others; what the first process says is on the terminal.
        statuses = [child.poll() for child in self._children]
        causes = [rank for rank, status in enumerate(statuses) if status not in (None, 0, LOST)] or [failed]
        # What was given wrong is found by all alike.
        said = statuses[0] == 2
        self._show([rank for rank in causes if rank and not (said and statuses[rank] == 2)])
        spoke = 0 in causes and (statuses[0] or 0) > 0
        cause = 0 if spoke else failed if failed in causes else causes[0]
        status = self._children[cause].returncode
        if status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
            raise RunError(
                f"process {cause} of {len(self._children)} was ended by {name}",
                hint="SIGKILL is often the system, out of memory. --resume goes on from the last checkpoint.",
            )
        return 1 if status == LOST else status

    def _show(self, ranks: Sequence[int]) -> None:
        """Write what these processes wrote on standard error; the same text once."""
        texts: dict[str, int] = {}
        for rank in ranks:
            stream = self._errors[rank]
            stream.seek(0)
            texts.setdefault(stream.read().decode(errors="replace")[-8000:], rank)
        for text, rank in texts.items():
            sys.stderr.write(f"process {rank} of {len(self._children)}:\n{text}")
        sys.stderr.flush()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all that still run."""
        for child in self._children:
            if child.poll() is None:
                with suppress(ProcessLookupError):
                    child.send_signal(number)

    def end(self, grace: float) -> None:
        """See all ended within about ``grace`` and five more seconds."""
        with suppress(KeyboardInterrupt):
            self._settle(grace)
        with suppress(KeyboardInterrupt):
            self.send(signal.SIGTERM)
            self._settle(5.0)
        self.send(signal.SIGKILL)
        for child in self._children:
            child.wait()

    def _settle(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while any(child.poll() is None for child in self._children) and time.monotonic() < until:
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_with_parent() -> None:
    """Where :func:`launch` started this process: end when it ends, even by SIGKILL.

    Processes that outlived it would hold the GPUs and the run folder, unseen. Linux only; elsewhere nothing
    happens.
    """
    parent = os.environ.get(_PARENT)
    if not parent or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGTERM))
    if os.getppid() != int(parent):  # it ended before the system was told
        os.kill(os.getpid(), signal.SIGTERM)
