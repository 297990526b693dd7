"""Seekable streams made of others: parts in a row, a piece of a file, one whose errors are those of files."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, BinaryIO, cast

from arrkit.data.files import Files


class Stream(io.RawIOBase):
    """What the streams here share: a place, an end, and :meth:`take`, which reads from the place on."""

    def __init__(self, size: int, owner: object = None) -> None:
        self.size = size
        self.at = 0
        self.owner = owner  # who closes what is read when nobody needs it any more

    def take(self, length: int) -> bytes:
        """Up to ``length`` bytes from the place on, at least one before the end; moves the place."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        self.at = max(0, start + offset)
        return self.at

    def readinto(self, buffer: Any, /) -> int:
        data = self.take(min(len(buffer), self.size - self.at)) if self.at < self.size else b""
        buffer[: len(data)] = data
        return len(data)

    def buffered(self, size: int = 1 << 16) -> BinaryIO:
        """The same with a buffer, so that a read is as long as was asked for."""
        return cast(BinaryIO, io.BufferedReader(self, size))


class Joined(Stream):
    """The parts of a file that was split, as the one file that it was; one part is open at a time."""

    def __init__(self, files: Files, parts: Sequence[str]) -> None:
        self.files, self.parts = files, parts
        self.starts = [0]
        for part in parts:
            with files.open(part) as stream:
                self.starts.append(self.starts[-1] + stream.seek(0, os.SEEK_END))
        super().__init__(self.starts[-1])
        self._part = -1
        self._stream: BinaryIO | None = None

    def take(self, length: int) -> bytes:
        part = next(part for part, end in enumerate(self.starts[1:]) if self.at < end)
        if self._stream is None or part != self._part:
            self._let_go()
            self._stream, self._part = self.files.open(self.parts[part]), part
        self._stream.seek(self.at - self.starts[part])
        data = self._stream.read(min(length, self.starts[part + 1] - self.at))
        self.at += len(data)
        return data

    def close(self) -> None:
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class Piece(Stream):
    """``size`` bytes of a stream from ``start`` on.

    A stream that several pieces share is passed with its lock; without one it belongs to the piece, and is
    closed with it.
    """

    def __init__(
        self,
        stream: BinaryIO,
        start: int,
        size: int,
        lock: AbstractContextManager[Any] | None = None,
        owner: object = None,
    ) -> None:
        super().__init__(size, owner)
        self.stream, self.start, self.lock = stream, start, lock

    def take(self, length: int) -> bytes:
        with self.lock or nullcontext():
            self.stream.seek(self.start + self.at)
            data = self.stream.read(length)
        self.at += len(data)
        return data

    def close(self) -> None:
        if self.lock is None:
            self.stream.close()
        super().close()


class Told(Stream):
    """A stream whose ``errors`` become ``OSError`` with ``what`` before them."""

    def __init__(
        self, stream: Any, size: int, errors: tuple[type[Exception], ...], what: str, owner: object = None
    ) -> None:
        super().__init__(size, owner)
        self.stream, self.errors, self.what = stream, errors, what

    def take(self, length: int) -> bytes:
        try:
            if self.stream.tell() != self.at:
                self.stream.seek(self.at)
            data = bytes(self.stream.read(length))
        except self.errors as error:
            raise OSError(f"{self.what}: {error}") from error
        self.at += len(data)
        return data

    def close(self) -> None:
        self.stream.close()
        super().close()
