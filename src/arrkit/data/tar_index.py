"""Where the members of a tar file begin: read from its headers once, kept in arrkit's cache.

The index is a small database in ``$XDG_CACHE_HOME/arrkit/archives``; for a tar.gz a second file beside it
holds places at which unpacking can begin (32 KiB each, some three thousand of them at most). Both grow with
each look that goes further, are made anew when the archive is another one, and may be deleted at any time.

tar.gz files need ``indexed_gzip`` (extra ``arrkit[data]``).
"""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import tarfile
import threading
import weakref
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from arrkit.data.files import Files
from arrkit.data.streams import Joined, Piece
from arrkit.errors import InputError
from arrkit.progress import Progress, Watch, unwatched

_DAMAGED = (tarfile.TarError, EOFError, zlib.error, ValueError)
_GZIP = b"\x1f\x8b"
_BATCH = 1000  # members between two writes
_PLACES = 3000  # at which unpacking can begin
_LEAST_SPACING = 4 * 2**20  # bytes between two of them
_AT_ONCE = 64 * 2**20  # the longest packed member that is unpacked into memory
_LONGEST_HEADER = 2**20  # a longer one is no header of a file's name, and could be made to fill the memory
_TABLES = """
CREATE TABLE IF NOT EXISTS members (start INTEGER PRIMARY KEY, size INTEGER, name TEXT, base TEXT);
CREATE INDEX IF NOT EXISTS members_by_base ON members (base);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value)
"""


def plain(name: str) -> str:
    """A member's name as a path: no leading ``./`` or ``/``."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def same(member: str, path: str) -> bool:
    """Whether a member is what ``path`` means: the same, but for folders before one of the two."""
    return member == path or member.endswith(f"/{path}") or path.endswith(f"/{member}")


class TarArchive:
    """The members of a tar or tar.gz file, which may be split into ``parts``.

    Members are only read; their names are never used as paths. Links are no members.
    """

    def __init__(self, files: Files, parts: Sequence[str]) -> None:
        self.name = f"{files.name}/{parts[0]}"
        self.files, self.parts = files, parts
        self._lock = threading.RLock()
        self._opened_index: _Index | None = None
        self._opened: Any = None
        self._places = 0  # at which unpacking can begin, in the cache

    @property
    def trouble(self) -> str:
        """What is known to be wrong with the archive, as the rest of a sentence that begins with its name."""
        with self._lock:
            return self._index.end or ""

    @cached_property
    def packed(self) -> bool:
        """Whether it is a tar.gz, whatever it is called: parts are at times named for the tar file alone."""
        with self.files.open(self.parts[0]) as stream:
            return stream.read(len(_GZIP)) == _GZIP

    def has(self, path: str) -> bool:
        return self._find(path) is not None

    def lacks(self, path: str) -> bool:
        with self._lock:
            return self._index.end is not None and self._index.find(path) is None

    def names(self) -> Iterator[str]:
        self.index()
        with self._lock:
            yield from self._index.names()

    def open(self, path: str) -> BinaryIO:
        found = self._find(path)
        if found is None:
            raise FileNotFoundError(f"there is no {path} in {self.name}")
        start, size = found
        if not self.packed:
            return Piece(self._fresh(), start, size).buffered()
        if size > _AT_ONCE:
            return Piece(self._unpacked, start, size, self._lock, self).buffered(_AT_ONCE)
        with self._lock:
            self._unpacked.seek(start)
            return io.BytesIO(self._unpacked.read(size))

    def index(self, watch: Watch = unwatched) -> None:
        """Read the archive through, from where the last look ended; ``watch`` is told of its bytes."""
        with self._lock:
            if self._index.end is None:
                self._scan(None, watch)

    def _find(self, path: str) -> tuple[int, int] | None:
        with self._lock:
            found = self._index.find(path)
            if found is None and self._index.end is None:
                self._scan(path, unwatched)
                found = self._index.find(path)
            return found

    def _scan(self, wanted: str | None, watch: Watch) -> None:
        """Read headers until the member ``wanted`` has been passed, or to the end."""
        index = self._index
        members: list[tuple[int, int, str, str]] = []
        try:
            with self._ahead() as stream:
                stream.seek(index.next)
                tar: Any = tarfile.TarFile(fileobj=cast(BinaryIO, _Headers(stream)), mode="r")
                while (member := tar.next()) is not None:
                    tar.members.clear()  # kept for the whole archive otherwise: a kilobyte each
                    name = plain(member.name)
                    if member.isreg():
                        members.append((member.offset_data, member.size, name, PurePosixPath(name).name))
                    found = wanted is not None and member.isreg() and same(name, wanted)
                    if found or len(members) >= _BATCH:
                        index.add(members, tar.offset)
                        members.clear()
                        watch(Progress("bytes", tar.offset))
                    if found:
                        break
                else:
                    index.add(members, tar.offset, end=_ending(stream, tar.offset))
                    watch(Progress("bytes", tar.offset))
        except _DAMAGED as error:
            index.add(members, index.next, end=f"is damaged: {error}")
        self._keep_places()

    @contextlib.contextmanager
    def _ahead(self) -> Iterator[BinaryIO]:
        """The tar file, unpacked, for reading on and on."""
        if not self.packed:
            with self._fresh() as stream:
                yield stream
            return
        # Each read begins to unpack at the last place before it: from header to header that would be the same
        # bytes a hundred times.
        reader = io.BufferedReader(self._unpacked, 2 * self._unpacked.spacing)
        try:
            yield cast(BinaryIO, reader)
        finally:
            reader.detach()

    @property
    def _index(self) -> _Index:
        if self._opened_index is None:
            stamps = "\n".join(self.files.stamp(part) for part in self.parts)
            index = _Index(_folder() / f"{sha256(stamps.encode()).hexdigest()[:32]}.sqlite")
            weakref.finalize(self, index.base.close)
            self._opened_index = index
        return self._opened_index

    @property
    def _unpacked(self) -> Any:
        """What unpacks the tar file, for one at a time; a read unpacks from the last place before it."""
        if self._opened is None:
            self._opened = self._unpacker()
        return self._opened

    def _unpacker(self) -> Any:
        try:
            from indexed_gzip import IndexedGzipFile
        except ImportError:
            raise InputError(
                f"{self.name} cannot be read in place without indexed-gzip",
                hint='pip install "arrkit[data]", or unpack the archive where it stands.',
            ) from None
        # Not the file itself, of whose descriptor the library would make a C stream that nobody closes.
        stream = Joined(self.files, self.parts).buffered(1 << 20)
        weakref.finalize(self, stream.close)
        spacing = max(_LEAST_SPACING, stream.seek(0, os.SEEK_END) // _PLACES)
        stream.seek(0)
        opened = IndexedGzipFile(fileobj=stream, spacing=spacing, buffer_size=1)
        weakref.finalize(self, opened.close)
        if (places := self._index.places) and places.exists():
            with contextlib.suppress(Exception):  # whatever is wrong with it: it is made anew
                opened.import_index(filename=str(places))
        self._places = opened.raw.npoints
        return opened.raw

    def _fresh(self) -> BinaryIO:
        if len(self.parts) == 1:
            return self.files.open(self.parts[0])
        return Joined(self.files, self.parts).buffered()

    def _keep_places(self) -> None:
        file = self._index.places
        if not self.packed or file is None:
            return
        # Not after each look: the file may be a hundred megabytes.
        if self._index.end is not None or self._unpacked.npoints > self._places * 1.2:
            new = file.with_suffix(f".{os.getpid()}.tmp")
            with contextlib.suppress(OSError):
                self._unpacked.export_index(filename=str(new))
                new.replace(file)
                self._places = self._unpacked.npoints


class _Index:
    """The members that have been seen, in the order in which they stand.

    ``next`` is where the first begins that has not been seen. ``end`` is None until all have been, then what
    is wrong with the archive, or empty. Without a place on the disk the index is kept in memory.
    """

    def __init__(self, file: Path) -> None:
        self.places: Path | None = file.with_suffix(".places")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.base = _database(str(file))
        except (OSError, sqlite3.Error):
            self.places = None
            self.base = _database(":memory:")
        state = dict(self.base.execute("SELECT key, value FROM state"))
        self.next = int(state.get("next", 0))
        self.end: str | None = state.get("end")

    def add(
        self, members: Sequence[tuple[int, int, str, str]], following: int, end: str | None = None
    ) -> None:
        self.next, self.end = following, end
        with self.base:
            self.base.executemany("INSERT OR IGNORE INTO members VALUES (?, ?, ?, ?)", members)
            state = [("next", following), *([("end", end)] if end is not None else [])]
            self.base.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", state)

    def find(self, path: str) -> tuple[int, int] | None:
        query = "SELECT start, size, name FROM members WHERE base = ? ORDER BY start"
        rows = self.base.execute(query, (PurePosixPath(path).name,))
        return next(((start, size) for start, size, name in rows if same(name, path)), None)

    def names(self) -> Iterator[str]:
        yield from (name for (name,) in self.base.execute("SELECT name FROM members ORDER BY start"))


class _Headers:
    """What the tar reader is given: reads of a header's length, and no more."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self.stream.read(size)


def _database(name: str) -> sqlite3.Connection:
    base = sqlite3.connect(name, check_same_thread=False, timeout=30)
    try:
        # Nothing here is worth waiting for the disk: it can be read again from the archive.
        base.execute("PRAGMA synchronous=OFF")
        base.executescript(_TABLES)
    except sqlite3.Error:
        base.close()
        raise
    return base


def _ending(stream: BinaryIO, offset: int) -> str:
    """How a tar file ends whose reader found no further header at ``offset``: empty where it ends well."""
    stream.seek(offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if len(block) == tarfile.BLOCKSIZE and not any(block):
        return ""
    return "ends in the middle" if len(block) < tarfile.BLOCKSIZE else "is damaged"


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "arrkit" / "archives"
