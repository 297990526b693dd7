"""Files in archives, in place: members of zip, tar and tar.gz, also where an archive is split into parts.

Nothing is unpacked to disk. A zip file has a directory of its own. A tar file has none: it is read through
once, as far as the member that is looked for, and what was seen on the way is kept in arrkit's cache, so that
the next look, also that of another run, begins there. A tar.gz can be entered at thousands of places once it
has been read through; until then a member in its middle costs unpacking (not storing) all before it: some ten
minutes for the 141 GB of HPDv3. Unpacked files beside the archive are used first.
"""

from __future__ import annotations

import re
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from arrkit.data.files import Files, inside, matching
from arrkit.data.streams import Joined, Told
from arrkit.data.tar_index import TarArchive, plain, same
from arrkit.errors import InputError
from arrkit.progress import Watch, unwatched

_KIND = re.compile(
    r"(?P<kind>\.zip|\.tar\.gz|\.tgz|\.tar(?!\.gz))(?P<part>[._-]?(part[._-]?)?(\d+|[a-z]{2,3}))?$"
)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)


class Archive(Protocol):
    """One archive, whatever it is made of."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def has(self, path: str) -> bool:
        """Whether there is such a member; may read the archive through."""
        ...

    def lacks(self, path: str) -> bool:
        """Whether it is known by now that there is no such member; reads no more than a directory."""
        ...

    def names(self) -> Iterator[str]:
        """All members; reads the archive through where it has no directory."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A member. Raises ``OSError``."""
        ...

    def index(self, watch: Watch) -> None:
        """Read through what must be, once."""
        ...

    @property
    def trouble(self) -> str:
        """What is known to be wrong with it, as the rest of a sentence that begins with its name."""
        ...


class Unpacked:
    """:class:`~arrkit.data.files.Files` as they would be with their archives unpacked where they stand.

    Args:
        files: where the archives are.
        archives: their names or patterns of them, such as ``images.tar.gz.*`` or ``images/test/*.zip``. Parts
            (``.00``, ``.01``, ``.aa``) are put together.

    A member is found by its path; also where the archive has it in another folder or without folders:
    ``images/a.png`` is the member ``./images/a.png``, ``data/images/a.png`` or ``a.png``, whichever comes
    first. Raises :class:`~arrkit.errors.InputError` where a part is missing.
    """

    def __init__(self, files: Files, archives: Sequence[str]) -> None:
        self.files = files
        self.name = files.name
        self.revision = files.revision
        names = [name for pattern in archives for name in matching(files, pattern)]
        self.archives = [_archive(files, parts) for parts in _together(dict.fromkeys(names), files.name)]

    def has(self, path: str) -> bool:
        """Whether there is such a file. May read an archive through: :meth:`lacks` does not."""
        return self.files.has(path) or any(archive.has(path) for archive in self.archives)

    def lacks(self, path: str) -> bool:
        """Whether it is known that there is no such file; False where only reading an archive would tell."""
        return not self.files.has(path) and all(archive.lacks(path) for archive in self.archives)

    def names(self, prefix: str = "") -> list[str]:
        found = set(self.files.names(prefix))
        for archive in self.archives:
            found.update(name for name in archive.names() if name.startswith(prefix))
        return sorted(found)

    def open(self, path: str) -> BinaryIO:
        if not inside(path):
            raise FileNotFoundError(f"{path} leads out of {self.name}")
        if self.files.has(path):
            return self.files.open(path)
        for archive in self.archives:
            if archive.has(path):
                return archive.open(path)
        for archive in self.archives:
            if archive.trouble:
                raise OSError(f"there is no {path}, but {archive.name} {archive.trouble}")
        raise FileNotFoundError(f"there is no {path} in {self.name}")

    def stamp(self, path: str) -> str:
        if self.files.has(path):
            return self.files.stamp(path)
        return "\n".join([path, *(archive.name for archive in self.archives)])

    def index(self, watch: Watch = unwatched) -> None:
        """Read through once what has no directory; ``watch`` is told of the bytes."""
        for archive in self.archives:
            archive.index(watch)


class ZipArchive:
    """A zip file; its directory is read at the first question."""

    trouble = ""

    def __init__(self, files: Files, parts: Sequence[str]) -> None:
        self.name = f"{files.name}/{parts[0]}"
        self.files, self.parts = files, parts
        self._lock = threading.Lock()
        self._zip: zipfile.ZipFile | None = None
        self._by_base: dict[str, list[zipfile.ZipInfo]] = {}

    def has(self, path: str) -> bool:
        return self._find(path) is not None

    def lacks(self, path: str) -> bool:
        return not self.has(path)

    def names(self) -> Iterator[str]:
        self._directory()
        for entries in self._by_base.values():
            yield from (plain(entry.filename) for entry in entries)

    def open(self, path: str) -> BinaryIO:
        entry = self._find(path)
        if entry is None:
            raise FileNotFoundError(f"there is no {path} in {self.name}")
        try:
            member = self._directory().open(entry)
        except _DAMAGED as error:
            raise OSError(f"{self.name} is damaged: {error}") from error
        return Told(member, entry.file_size, _DAMAGED, f"{self.name} is damaged", self).buffered()

    def index(self, watch: Watch) -> None:  # noqa: ARG002 - the directory is short
        self._directory()

    def _find(self, path: str) -> zipfile.ZipInfo | None:
        self._directory()
        entries = self._by_base.get(PurePosixPath(path).name, [])
        return next((entry for entry in entries if same(plain(entry.filename), path)), None)

    def _directory(self) -> zipfile.ZipFile:
        with self._lock:
            if self._zip is None:
                parts = self.parts
                stream = (
                    self.files.open(parts[0]) if len(parts) == 1 else Joined(self.files, parts).buffered()
                )
                weakref.finalize(self, stream.close)
                try:
                    opened = zipfile.ZipFile(stream)
                except _DAMAGED as error:
                    raise OSError(f"{self.name} is damaged: {error}") from error
                for entry in opened.infolist():
                    if not entry.is_dir():
                        self._by_base.setdefault(PurePosixPath(entry.filename).name, []).append(entry)
                self._zip = opened
            return self._zip


def _archive(files: Files, parts: Sequence[str]) -> Archive:
    kind = _KIND.search(parts[0].lower())
    if kind is None:
        raise InputError(f"{files.name}/{parts[0]} is no archive that can be read: zip, tar or tar.gz")
    if kind["kind"] == ".zip":
        return ZipArchive(files, parts)
    return TarArchive(files, parts)


def _together(names: Iterable[str], place: str) -> list[list[str]]:
    """Names of archives, the parts of one archive together and in order."""
    found: dict[str, list[str]] = {}
    for name in names:
        kind = _KIND.search(name.lower())
        stem = name[: kind.start("part")] if kind and kind["part"] else name
        found.setdefault(stem, []).append(name)
    for stem, parts in found.items():
        parts.sort(key=lambda name: (len(name), name))
        _require_all(stem, parts, place)
    return list(found.values())


def _require_all(stem: str, parts: Sequence[str], place: str) -> None:
    numbers = [re.sub(r"^\D*", "", part[len(stem) :]) for part in parts]
    if len(parts) < 2 or not all(number.isdigit() for number in numbers):
        return
    first = int(numbers[0])
    for expected, number in enumerate(numbers, start=first):
        if int(number) != expected or first > 1:
            wanted = 0 if first > 1 else expected
            raise InputError(
                f"part {wanted:0{len(number)}d} of {place}/{stem} is missing",
                hint="All parts of a split archive are needed.",
            )
