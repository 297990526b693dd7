"""Commands in processes of their own, which can be killed, without the seconds that torch takes to import.

A nursery is a process that has imported all that the ``rpo`` commands need and has done nothing with it; it
forks one process for each command. The tests' own process cannot: libraries have started threads in it, which
a forked one waits for in vain.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADAPTER = "pytorch_lora_weights.safetensors"

MODULES = (
    *("torch", "peft", "accelerate", "arrkit.cli.app", "arrkit.commands.rpo_train", "arrkit.rpo.job"),
    *("arrkit.commands.rpo_results", "arrkit.shapes.judge", "arrkit.shapes.policy.policy"),
    *("arrkit.backends.policies.kontext", "arrkit.backends.policies.sd35", "arrkit.backends.policies.bagel"),
    *("arrkit.backends.policies.qwen_edit", "transformers.models.clip.modeling_clip"),
    *("transformers.models.t5.modeling_t5", "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl"),
)


class Nursery:
    """Starts processes; :meth:`close` ends it."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(
        self, arguments: Sequence[str], said: Path, *, before: str, variables: dict[str, str]
    ) -> Forked:
        """Run ``arrkit ARGUMENTS`` in the working directory and environment of the caller.

        What it says goes to the file ``said``; ``before`` is Python, executed there first.
        """
        environment = {**os.environ, **variables}
        order = {"arguments": list(arguments), "said": str(said), "before": before, "folder": str(Path.cwd())}
        return Forked(self, int(self.ask({**order, "environment": environment, "path": sys.path})), said)

    def ask(self, order: dict[str, Any]) -> Any:
        """What the nursery answers."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def close(self) -> None:
        """End it; processes that it has started go on."""
        self._server.kill()
        self._server.communicate()


@dataclass
class Forked:
    """A process that runs one command; what it says is in ``said``."""

    nursery: Nursery
    pid: int
    said: Path
    _status: int | None = None

    @property
    def running(self) -> bool:
        """Whether it is."""
        if self._status is None:
            self._status = self.nursery.ask({"status": self.pid})
        return self._status is None

    def wait(self, seconds: float = 60.0) -> int:
        """Its exit status; of one that was killed, the signal's number below 0."""
        until = time.monotonic() + seconds
        while self.running:
            assert time.monotonic() < until, f"it still runs, and has said:\n{self.said.read_text()}"
            time.sleep(0.01)
        assert self._status is not None
        return self._status

    def kill(self) -> None:
        """Kill -9."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def until(self, path: Path) -> None:
        """Wait until ``path`` is there."""
        while not path.exists():
            assert self.running, self.said.read_text()
            time.sleep(0.002)


def rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def adapter_of(folder: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """Settings and numbers of the adapter in a folder, byte for byte."""
    from safetensors import safe_open

    with safe_open(folder / ADAPTER, framework="np") as opened:
        numbers = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
        return dict(opened.metadata()), {name: each.tobytes() for name, each in numbers.items()}


def _serve() -> None:
    for module in MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        if "status" in order:
            pid, status = os.waitpid(order["status"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                _run(**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _run(
    arguments: list[str], said: str, before: str, folder: str, environment: dict[str, str], path: list[str]
) -> None:
    status = 99
    try:
        os.chdir(folder)
        for number, file in enumerate((os.devnull, said, said)):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            os.dup2(os.open(file, flags), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        importlib.invalidate_caches()
        exec(before, {})
        from arrkit.cli.app import app

        try:
            app(arguments)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        sys.stdout.flush()
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
    finally:
        os._exit(status)


if __name__ == "__main__":
    _serve()
