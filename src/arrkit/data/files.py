"""Where the files of a dataset are, and how one of them is opened: a folder, or a repository on the hub.

A reader is given :class:`Files` and a path such as ``images/a.png``, and does not learn which of the two it
has. Nothing is opened before it is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from arrkit.data.images import picture_from_stream
from arrkit.data.pairs import Picture

MAX_IMAGE_BYTES = 64 * 2**20
"""The longest file that is read as an image, as for images from URLs."""

_SIGNS = re.compile(r"[*?\[]")


class Files(Protocol):
    """Files under names with ``/`` between folders, such as ``images/a.png``."""

    @property
    def name(self) -> str:
        """What the place is called in messages: the folder, or the repository's id."""
        ...

    @property
    def revision(self) -> str:
        """The commit that the files are of; empty for a folder, which has none."""
        ...

    def has(self, path: str) -> bool:
        """Whether there is such a file. A path that leads out of the place is not in it."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """All paths that begin with ``prefix``, in alphabetical order. Reads the listing, no file."""
        ...

    def open(self, path: str) -> BinaryIO:
        """The file, for reading, seekable. Raises ``OSError``, of which ``FileNotFoundError`` is one."""
        ...

    def stamp(self, path: str) -> str:
        """A text that is another one when the file is another one. Raises ``OSError``."""
        ...


class LocalFiles:
    """The files in a folder; ``~`` is the home folder."""

    revision = ""

    def __init__(self, folder: str | Path) -> None:
        self.name = str(folder)
        self.folder = Path(folder).expanduser()

    def path(self, path: str) -> Path:
        """Where the file is on this machine, whether it exists or not."""
        if not inside(path):
            raise FileNotFoundError(f"{path} leads out of {self.name}")
        return self.folder / path

    def has(self, path: str) -> bool:
        return inside(path) and os.path.isfile(os.path.join(self.folder, path))  # noqa: PTH113, PTH118 - twice as fast

    def names(self, prefix: str = "") -> list[str]:
        return sorted(self.walk(prefix))

    def walk(self, prefix: str = "") -> Iterator[str]:
        """As :meth:`names`, in no order; only folders that can hold such a path are looked into."""
        for folder, folders, files in os.walk(self.folder):
            base = Path(folder).relative_to(self.folder).as_posix()
            head = "" if base == "." else f"{base}/"
            folders[:] = [name for name in folders if _may_hold(f"{head}{name}/", prefix)]
            yield from (name for file in files if (name := head + file).startswith(prefix))

    def open(self, path: str) -> BinaryIO:
        return self.path(path).open("rb")

    def stamp(self, path: str) -> str:
        file = self.path(path).resolve()
        state = file.stat()
        return f"{file} {state.st_size} {state.st_mtime_ns}"


def inside(path: str) -> bool:
    """Whether a path stays in the place that it starts from: relative, without ``..``, and not empty."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and "\0" not in path


def matching(files: Files, pattern: str) -> list[str]:
    """The paths that a pattern fits, in alphabetical order.

    ``*``, ``?`` and ``[...]`` are as in the shell, but ``*`` also covers ``/``, as on the hub.
    """
    if pattern == (prefix := _plain_start(pattern)):
        return [pattern] if files.has(pattern) else []
    return [name for name in files.names(prefix) if fnmatchcase(name, pattern)]


def any_matching(files: Files, pattern: str) -> bool:
    """Whether there is a path that the pattern fits; a folder of a million files is not gone through."""
    prefix = _plain_start(pattern)
    if isinstance(files, LocalFiles) and prefix != pattern:
        return any(fnmatchcase(name, pattern) for name in files.walk(prefix))
    return bool(matching(files, pattern))


def picture_in(files: Files, path: str) -> Picture:
    """The image in one of the files; opened at the first look."""
    return picture_from_stream(lambda: files.open(path), f"{files.name}/{path}", MAX_IMAGE_BYTES)


def _plain_start(pattern: str) -> str:
    return _SIGNS.split(pattern, maxsplit=1)[0]


def _may_hold(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)
