"""Answers that were paid for, kept in one SQLite file for all runs and processes of a user.

The key is a digest over all that decides an answer, so an entry is never wrong, only unused. What is kept is
what came back (text, probabilities, usage), never a key, an image or a request.

Reading happens on the caller's thread: by key, without locks (write-ahead log), some 20 microseconds.
Writing may wait for another process and happens on a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from arrkit.canonical import digest
from arrkit.errors import InputError
from arrkit.judge.transport import Finish, Reply, TransportRequest
from arrkit.serial import from_json, to_json

FILE = "answers.sqlite"
BUSY_SECONDS = 30.0
"""How long a write waits for other processes before its answer is left out of the cache."""

_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, model TEXT NOT NULL, written REAL NOT NULL, reply TEXT NOT NULL
)
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
T = TypeVar("T")


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/arrkit``, or ``~/.cache/arrkit``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "arrkit"


@contextmanager
def opened_cache(folder: Path | None = None) -> Iterator[AnswerCache]:
    """The cache in ``folder`` (None: the user's own), closed at the end."""
    cache = AnswerCache(folder)
    try:
        yield cache
    finally:
        cache.close()


def answer_key(name: str, request: TransportRequest, parser: str) -> str:
    """SHA-256 over the transport's name, all that the endpoint is told, and the version of the reader."""
    return digest({"transport": name, "request": request.content(), "parser": parser})


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What a cache holds. ``bytes`` is the size on disk; times are ISO 8601 in UTC, empty without entries."""

    path: str
    entries: int
    bytes: int
    models: dict[str, int]
    oldest: str = ""
    newest: str = ""


class AnswerCache:
    """The answers under one folder. Safe for several processes and threads.

    Args:
        folder: where the file lies; made if missing.

    ``remarks`` collects what a person should hear: a damaged file moved aside, answers that were not kept.

    Raises:
        InputError: the folder cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or default_folder()) / FILE
        self.remarks: list[str] = []
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="arrkit-cache")
        self._rows: deque[tuple[bytes, str, float, str]] = deque()
        self._working = True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise InputError(
                f"cannot use the cache {self.path}: {error}", hint="Name another folder with --cache DIR."
            ) from error

    def get(self, key: str) -> Reply | None:
        """The answer kept under ``key``, if any."""
        if not self._working:
            return None
        try:
            row = (
                self._connection()
                .execute("SELECT reply FROM answers WHERE key = ?", (bytes.fromhex(key),))
                .fetchone()
            )
            return None if row is None else from_json(Reply, json.loads(row[0]))
        except sqlite3.Error as error:
            self._trouble(error)
        except (ValueError, TypeError, KeyError):
            self.remarks.append(f"an answer in {self.path} could not be read and is asked for again")
        return None

    async def put(self, key: str, model: str, reply: Reply) -> None:
        """Keep an answer. One that cannot be written is left out with a remark: the run matters more.

        Raises ``ValueError`` for a reply that is no answer (refused, filtered or cut).
        """
        row = self._row(key, model, reply)
        self._rows.append(row)
        await asyncio.get_running_loop().run_in_executor(self._writer, self._write)

    def put_now(self, key: str, model: str, reply: Reply) -> None:
        """:meth:`put` for synchronous code."""
        self._rows.append(self._row(key, model, reply))
        self._writer.submit(self._write).result()

    def info(self) -> CacheInfo:
        """Counts, sizes and ages."""
        rows = self._ask(
            "SELECT model, COUNT(*), MIN(written), MAX(written) FROM answers GROUP BY model ORDER BY model"
        )
        files = (self.path, *_companions(self.path))
        return CacheInfo(
            path=str(self.path),
            entries=sum(row[1] for row in rows),
            bytes=sum(file.stat().st_size for file in files if file.exists()),
            models={row[0]: row[1] for row in rows},
            oldest=_iso(min(row[2] for row in rows)) if rows else "",
            newest=_iso(max(row[3] for row in rows)) if rows else "",
        )

    def clear(self, *, model: str = "", older_than: timedelta | None = None) -> int:
        """Delete all answers, or those of one model, or those older than an age; how many there were."""
        before = time.time() - older_than.total_seconds() if older_than is not None else None

        def delete() -> int:
            connection = self._connection()
            done = connection.execute(
                "DELETE FROM answers WHERE (?1 = '' OR model = ?1) AND (?2 IS NULL OR written < ?2)",
                (model, before),
            )
            with suppress(sqlite3.OperationalError):  # another process reads: the file shrinks another time
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return done.rowcount

        return self._reported(lambda: self._writer.submit(delete).result())

    def close(self) -> None:
        """Finish the writes under way and let the file go."""
        self._writer.shutdown(wait=True)
        self._working = False
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def _row(self, key: str, model: str, reply: Reply) -> tuple[bytes, str, float, str]:
        if reply.finish is not Finish.STOP:
            raise ValueError(f"a reply that ended with {reply.finish} is not kept")
        text = json.dumps(to_json(reply), ensure_ascii=False, separators=(",", ":"))
        return bytes.fromhex(key), model, time.time(), text

    def _write(self) -> None:
        # Whatever waits is one transaction, whole or absent whenever the process dies: answers come in
        # bursts, and a commit costs as much for ten rows as for one. A call may find its row written.
        rows = []
        with suppress(IndexError):
            while True:
                rows.append(self._rows.popleft())
        if not rows or not self._working:
            return
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            self._trouble(error)

    def _trouble(self, error: sqlite3.Error) -> None:
        if _code(error) in _BUSY:
            self.remarks.append(f"{self.path} was busy for {BUSY_SECONDS:.0f} s: answers were not kept")
            return
        self._working = False
        self.remarks.append(f"the cache {self.path} failed ({error}) and is not used for the rest of the run")

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            # Each thread uses its own; another one only closes it.
            found = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._local.connection = found
            with self._guard:
                self._open.append(found)
            # A lost machine may lose the last answers, a lost process none, and the file stays whole.
            found.execute("PRAGMA synchronous = NORMAL")
        return found

    def _prepare(self) -> None:
        for _ in range(2):
            before = _identity(self.path)
            try:
                self._create()
                return
            except sqlite3.DatabaseError as error:
                if _code(error) not in _DAMAGED:
                    raise
                self._forget()
                self._move_aside(before)
        self._create()

    def _create(self) -> None:
        connection = self._connection()
        for attempt in range(50):
            try:
                # The switch to a write-ahead log does not wait for others by itself.
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) not in _BUSY or attempt == 49:
                    raise
                time.sleep(0.02)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise sqlite3.NotSupportedError("it was written by a newer arrkit")
        if version < _VERSION:
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("SELECT key, model, written, reply FROM answers LIMIT 1").fetchone()

    def _forget(self) -> None:
        connection = self._local.connection
        with self._guard:
            self._open.remove(connection)
        connection.close()
        del self._local.connection

    def _move_aside(self, damaged: tuple[int, int] | None) -> None:
        if damaged is None or _identity(self.path) != damaged:
            return  # another process has moved it already
        aside = self.path.with_name(f"{FILE}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        for companion in _companions(self.path):
            companion.unlink(missing_ok=True)
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return
        self.remarks.append(f"the cache {self.path} was damaged: moved to {aside.name}, started a new one")

    def _ask(self, sql: str) -> list[tuple[str, int, float, float]]:
        return self._reported(lambda: self._connection().execute(sql).fetchall())

    def _reported(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as error:
            raise InputError(f"cannot use the cache {self.path}: {error}") from error


def _companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _code(error: sqlite3.Error) -> int:
    # The low byte is the primary code; errors of the Python module itself carry none.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
