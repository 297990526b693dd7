"""The journal of a run: an append-only file of answers, each under the key of what was asked.

A line is written in one system call when its answer arrives, so that a killed process loses at most the
requests in flight. A torn last line (from a full disk or a lost machine) is cut off at the next start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from arrkit.canonical import Json
from arrkit.errors import RunError


class Journal:
    """Answers of earlier starts of this run, and the place where new ones go.

    What earlier starts wrote is indexed by file offset. What this one writes is not, unless ``recall`` is
    set: a fresh run holds nothing in memory, whatever its length. Where a key was written twice, the later
    line counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recall = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._offsets: dict[bytes, int] = {}
        if path.exists():
            self._index()
        self._file: BinaryIO = path.open("ab", buffering=0)

    def _index(self) -> None:
        end = 0
        with self.path.open("rb") as stream:
            for line in stream:
                record = _parse(line)
                if record is None:
                    if line.endswith(b"\n"):
                        raise RunError(
                            f"{self.path} has a line at byte {end} that is not a record of arrkit",
                            hint="Remove the line, or start again with another --out.",
                        )
                    break
                key = record.get("key")
                if isinstance(key, str):
                    self._offsets[bytes.fromhex(key)] = end
                end += len(line)
        if end < self.path.stat().st_size:
            os.truncate(self.path, end)

    def __len__(self) -> int:
        """How many keys are indexed: those of earlier starts, and with ``recall`` new ones."""
        return len(self._offsets)

    def get(self, key: str) -> Mapping[str, Json] | None:
        """The record written under ``key`` (64 hexadecimal characters) that is indexed, if any."""
        offset = self._offsets.get(bytes.fromhex(key))
        if offset is None:
            return None
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return _parse(stream.readline())

    def append(self, record: Mapping[str, Json]) -> None:
        """Write one record, which holds its ``key``."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        start = self._file.tell() if self.recall else 0
        try:
            written = self._file.write(line)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error
        if written != len(line):
            # Answers still under way may be written before the run stops: no part of a line may stand there.
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - written)
            raise RunError(f"cannot write {self.path}: the disk is full")
        key = record.get("key")
        if self.recall and isinstance(key, str):
            self._offsets[bytes.fromhex(key)] = start

    def close(self) -> None:
        """Let the file go. Every record is in it already."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_records(path: Path) -> Iterator[Mapping[str, Json]]:
    """The records of a journal that may still be written to, in file order; a torn last line is left out."""
    with path.open("rb") as stream:
        for line in stream:
            record = _parse(line)
            if record is not None:
                yield record


def _parse(line: bytes) -> Mapping[str, Json] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
