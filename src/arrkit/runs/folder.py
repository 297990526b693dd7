"""The folder of a run: what was asked for, all that was answered, and the report.

    runs/judge-eval-3f9c01ab/
      config.json      the command, its resolved options, when it first started
      journal.jsonl    one line for each answer, append-only
      report.json      the numbers
      report.html      the same for people

The same command run again finds its folder and goes on where it stopped.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO

from arrkit import __version__
from arrkit.canonical import Json, digest, pretty_json, utc_now, write_atomic
from arrkit.errors import InputError
from arrkit.runs.journal import Journal


class RunFolder:
    """An open run folder, locked against a second process until it is closed.

    Args:
        command: the command's name, such as ``judge eval``.
        identity: all that decides the results (options, digests of inputs), without secrets. The same
            identity is the same run.
        path: the folder, or None for ``runs/COMMAND-DIGEST`` below the working directory.
        force: take over a folder that holds another run. Its journal stays: answers are kept under what was
            asked, so none can be taken for the answer to something else.

    Raises:
        InputError: the folder belongs to another run or is not a run folder, or another process is using it.
    """

    def __init__(
        self, command: str, identity: Mapping[str, Json], *, path: Path | None = None, force: bool = False
    ) -> None:
        self.command = command
        self.identity = _identity(command, identity)
        self.path = path or run_path(command, identity)
        self.resumed = False
        previous = self._claim(force)
        self._lock = self._take_lock()
        try:
            self._begin(previous, identity)
        except BaseException:
            self._lock.close()
            raise

    def _begin(self, previous: Mapping[str, Json] | None, identity: Mapping[str, Json]) -> None:
        for torn in self.path.glob(".*.tmp"):  # of a start that was killed while it wrote
            if not torn.is_dir():  # folders belong to whoever fills them, such as checkpoints
                torn.unlink()
        if previous is not None and previous.get("identity") == self.identity:
            self.resumed = True
            self.started_at = str(previous["started_at"])
        else:
            self.started_at = utc_now()
            self.write_json(
                "config.json",
                {
                    "command": self.command,
                    "arrkit": __version__,
                    "identity": self.identity,
                    "started_at": self.started_at,
                    **identity,
                },
            )
        self.journal = Journal(self.path / "journal.jsonl")

    def _claim(self, force: bool) -> Mapping[str, Json] | None:
        config = self.path / "config.json"
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file", hint="Give a folder for the run with --out.")
        if not config.exists():
            # A start that was killed before it wrote config.json has left hidden files at the most.
            if self.path.exists() and any(_visible(self.path)) and not force:
                raise InputError(
                    f"{self.path} is not empty and holds no run",
                    hint="Give another folder with --out, or pass --force to use this one.",
                )
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot make {self.path}: {error.strerror or error}") from error
            return None
        try:
            previous = json.loads(config.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            previous = {}
        if not isinstance(previous, dict):
            previous = {}
        if previous.get("identity") != self.identity and not force:
            raise InputError(
                f"{self.path} holds another run ({previous.get('command', 'unreadable config.json')})",
                hint="Give another folder with --out, or pass --force to reuse it; answers in it are kept.",
            )
        return previous

    def _take_lock(self) -> TextIO:
        stream = (self.path / ".lock").open("w")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            raise InputError(
                f"another process is working in {self.path}", hint="Wait for it, or give another --out."
            ) from None
        return stream

    def write_json(self, name: str, value: Json) -> Path:
        """Write ``name`` in the folder, whole or not at all."""
        return self.write_text(name, pretty_json(value))

    def write_text(self, name: str, text: str) -> Path:
        """Write ``name`` in the folder, whole or not at all."""
        write_atomic(self.path / name, text)
        return self.path / name

    def close(self) -> None:
        """Close the journal and let the folder go."""
        self.journal.close()
        self._lock.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_path(command: str, identity: Mapping[str, Json]) -> Path:
    """Where a run keeps its folder unless it is told otherwise."""
    return Path("runs") / f"{command.replace(' ', '-')}-{_identity(command, identity)[:8]}"


def _identity(command: str, identity: Mapping[str, Json]) -> str:
    return digest({"command": command, **identity})


def _visible(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))
