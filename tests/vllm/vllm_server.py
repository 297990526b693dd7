"""A real vLLM server on this machine's CPU: started, waited for, and stopped with all its processes.

By hand, to try something against it (Ctrl-C stops it):

    .venv/bin/python tests/vllm/vllm_server.py .venv-vllm/bin/python
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MODEL = "tiny-judge"
# A prompt of ours is five thousand tokens to the tiny model, which spells most words in bytes.
MOST_TOKENS = 32_768
MOST_IMAGES = 4
START_SECONDS = 300.0
STOP_SECONDS = 15.0
_TAIL = 4000


class ServerError(Exception):
    """The server did not come up; the message ends with what it wrote last."""


@dataclass(frozen=True)
class Server:
    """A server that answers. ``group`` is its process group, 0 for a server that someone else runs."""

    url: str
    group: int = 0

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def kill(self) -> None:
        """End all its processes at once, as a crash of the machine would."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)


def build_model(python: Path, folder: Path) -> Path:
    """The tiny model, written below ``folder``. Raises :class:`ServerError`."""
    model = folder / "model"
    done = subprocess.run(
        [python, HERE / "tiny_model.py", model], env=_environment(folder), capture_output=True, text=True
    )
    if done.returncode:
        raise ServerError(f"the model could not be built\n{done.stderr[-_TAIL:]}")
    return model


@contextmanager
def served(python: Path, model: Path, folder: Path, *options: str, key: str = "") -> Iterator[Server]:
    """``model`` on a server run by the vLLM of ``python``, with its log and its caches in ``folder``.

    ``options`` are more of ``vllm serve``; with ``key`` it answers only to those who send it. Raises
    :class:`ServerError`, also where no answer comes in time.
    """
    environment = _environment(folder) | ({"VLLM_API_KEY": key} if key else {})
    log = folder / "server.log"
    port = _free_port()
    with log.open("wb") as out:
        # A session of its own: vLLM starts processes that outlive it where only their parent is killed.
        process = subprocess.Popen(
            [*_command(python, model, port), *options],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        server = Server(f"http://127.0.0.1:{port}", process.pid)
        _wait_for(server, process, log)
        yield server
    finally:
        _stop(process)


def _command(python: Path, model: Path, port: int) -> list[str | Path]:
    return [
        python.parent / "vllm",
        *("serve", model, "--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--enforce-eager", "--distributed-executor-backend", "uni"),
        *("--max-model-len", str(MOST_TOKENS), "--max-num-seqs", "16", "--max-logprobs", "20"),
        *("--kv-cache-memory-bytes", str(128 * 2**20)),
        # A prompt that is read in several steps takes the engine down on a CPU where its request has a seed:
        # "CPU Generator does not use offset".
        *("--no-enable-chunked-prefill", "--max-num-batched-tokens", str(MOST_TOKENS)),
        *("--limit-mm-per-prompt", json.dumps({"image": MOST_IMAGES, "video": 0})),
    ]


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("VLLM_", "HF_"))},
        "PYTHONPATH": str(HERE / "shim"),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # Compiling a kernel takes longer than all that the tiny model ever computes, and needs a compiler.
        "TORCHDYNAMO_DISABLE": "1",
        # Two threads that share two busy cores wait for each other most of the time.
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    # The proxy that the environment may name is not on the way to this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"vLLM ended with {process.returncode}\n{_tail(log)}")
        with suppress(OSError), opener.open(f"{server.url}/health", timeout=5):
            return
        time.sleep(0.25)
    raise ServerError(f"vLLM did not answer within {START_SECONDS:.0f} s\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            break
    # What the server started may not have heard of its end.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_TAIL:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as place, suppress(KeyboardInterrupt):
        interpreter, here = Path(sys.argv[1]), Path(place)
        with served(interpreter, build_model(interpreter, here), here) as running:
            sys.stdout.write(f"{running.base_url}\n")
            sys.stdout.flush()
            signal.pause()
