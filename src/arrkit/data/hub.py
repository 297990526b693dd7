"""The files of a dataset repository on the Hugging Face hub: its cache on this machine first.

Needs ``huggingface_hub`` (extra ``arrkit[data]``), which also knows the token, the cache and the endpoint
(``HF_TOKEN``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``). Its error messages are not passed on: they hold URLs, and a
signed URL is a secret.
"""

from __future__ import annotations

import io
import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from arrkit.data.files import LocalFiles, inside
from arrkit.progress import Progress, Watch, unwatched

if TYPE_CHECKING:
    from huggingface_hub import HfFileSystem

_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOCK = 1 << 20
"""Bytes fetched at once: an image and a half."""


class Trouble(StrEnum):
    """Why a repository cannot be read; the value is how a sentence about the repository ends."""

    NO_LIBRARY = "cannot be read without huggingface_hub"
    NOT_CACHED = "is not in the cache of the hub on this machine"
    OFFLINE = "is not in the cache, and HF_HUB_OFFLINE is set"
    GATED = "is gated: its terms must be accepted first"
    NOT_FOUND = "is not on the hub, or is private"
    NO_REVISION = "has no such revision"
    UNREACHABLE = "cannot be reached"


class HubError(OSError):
    """A repository cannot be read. ``trouble`` says why, ``detail`` more of it where there is more."""

    def __init__(self, repo: str, trouble: Trouble, detail: str = "") -> None:
        self.repo, self.trouble, self.detail = repo, trouble, detail
        super().__init__(f"{repo} {trouble}{f' ({detail})' if detail else ''}")


class HubFiles:
    """The files of one commit of a dataset repository.

    Args:
        repo: the repository's id, such as ``MizzenAI/HPDv3``.
        revision: a branch, tag or commit; the default branch where empty.
        stream: whether files that are not in the cache are read from the hub, in byte ranges. Otherwise
            there are only those in the cache, and nothing is asked over the network.

    A branch or tag means the commit that it meant when its files were cached; only where there is none is the
    hub asked (with ``stream``). Raises :class:`HubError`.
    """

    def __init__(self, repo: str, revision: str = "", *, stream: bool = False) -> None:
        self.name = repo
        self.stream = stream
        folder = cache_folder(repo)
        commit = cached_commit(folder, revision)
        if commit is None:
            if not stream:
                raise HubError(repo, Trouble.NOT_CACHED)
            commit = _asked_commit(repo, revision)
        self.revision = commit
        self._cached = LocalFiles(folder / "snapshots" / commit)

    def has(self, path: str) -> bool:
        return self._cached.has(path) or (self.stream and inside(path) and path in self._listing)

    def names(self, prefix: str = "") -> list[str]:
        if not self.stream:
            return self._cached.names(prefix)
        return sorted(name for name in self._listing if name.startswith(prefix))

    def open(self, path: str) -> BinaryIO:
        if self._cached.has(path):
            return self._cached.open(path)
        if not self.stream or not inside(path):
            raise FileNotFoundError(f"{path} is not among the cached files of {self.name}")
        with _told(self.name):
            system = _file_system()
            stream = system.open(f"datasets/{self.name}@{self.revision}/{path}", "rb", block_size=_BLOCK)
        return cast(BinaryIO, _Ranges(self.name, stream))

    def stamp(self, path: str) -> str:
        return f"{self.name}@{self.revision}/{path}"

    @cached_property
    def _listing(self) -> frozenset[str]:
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        with _told(self.name):
            tree = HfApi().list_repo_tree(
                self.name, recursive=True, revision=self.revision, repo_type="dataset"
            )
            return frozenset(entry.path for entry in tree if isinstance(entry, RepoFile))


def cache_folder(repo: str) -> Path:
    """Where the hub's cache keeps the repository, whether it is there or not. Raises :class:`HubError`."""
    try:
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name
    except ImportError:
        raise HubError(repo, Trouble.NO_LIBRARY) from None
    with _told(repo):
        return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="dataset")


def cached_commit(folder: Path, revision: str = "") -> str | None:
    """The commit that a revision means in the cache, or None where none of its files are there."""
    if not _COMMIT.fullmatch(revision):
        if not inside(revision or "main"):
            return None
        try:
            revision = (folder / "refs" / (revision or "main")).read_text().strip()
        except OSError:
            return None
    return revision if (folder / "snapshots" / revision).is_dir() else None


def pull(
    repo: str, revision: str = "", patterns: Sequence[str] = (), *, watch: Watch = unwatched
) -> HubFiles:
    """Download the files of a repository that fit ``patterns`` (without any: all) to the hub's cache.

    Files that are there already are not fetched again, and half a file is gone on with. ``watch`` is told of
    the bytes, from the threads that fetch. Raises :class:`HubError`; what was fetched until then stays.
    """
    cache_folder(repo)
    from huggingface_hub import snapshot_download

    with _told(repo), _quiet():
        folder = snapshot_download(
            repo,
            repo_type="dataset",
            revision=revision or None,
            allow_patterns=list(patterns) or None,
            tqdm_class=_bars(watch),
        )
    return HubFiles(repo, Path(folder).name)


def _asked_commit(repo: str, revision: str) -> str:
    from huggingface_hub import HfApi

    with _told(repo):
        api = HfApi()
        commit = str(api.dataset_info(repo, revision=revision or None).sha)
        # What a gated repository holds is public, so only this tells before the first file is opened.
        api.auth_check(repo, repo_type="dataset")
        return commit


def _file_system() -> HfFileSystem:
    from huggingface_hub import HfFileSystem, constants

    # One for each thread, kept by the class itself: its listings are not made to be shared.
    return HfFileSystem(endpoint=constants.ENDPOINT)


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into :class:`HubError`."""
    from huggingface_hub import errors

    try:
        yield
    except HubError:
        raise
    except errors.GatedRepoError:
        raise HubError(repo, Trouble.GATED) from None
    except errors.RepositoryNotFoundError:
        raise HubError(repo, Trouble.NOT_FOUND) from None
    except errors.RevisionNotFoundError:
        raise HubError(repo, Trouble.NO_REVISION) from None
    except errors.OfflineModeIsEnabled:
        raise HubError(repo, Trouble.OFFLINE) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        trouble = Trouble.GATED if status in (401, 403) else Trouble.UNREACHABLE
        raise HubError(repo, trouble, f"the hub answered {status}") from None
    except errors.LocalEntryNotFoundError as error:
        if isinstance(error.__cause__, errors.OfflineModeIsEnabled):
            raise HubError(repo, Trouble.OFFLINE) from None
        raise HubError(repo, Trouble.UNREACHABLE, "no connection") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no such file in {repo}") from None
    except errors.HFValidationError:
        raise HubError(repo, Trouble.NOT_FOUND, "not an id of a repository") from None
    except OSError as error:
        raise HubError(repo, Trouble.UNREACHABLE, error.strerror or type(error).__name__) from None
    except Exception as error:  # the client's transport has a family of errors of its own
        raise HubError(repo, Trouble.UNREACHABLE, type(error).__name__) from None


class _Ranges(io.RawIOBase):
    """A file on the hub; each read that leaves the fetched block is one request."""

    def __init__(self, repo: str, stream: Any) -> None:
        self._repo, self._stream = repo, stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._stream.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return int(self._stream.seek(offset, whence))

    def read(self, size: int | None = -1, /) -> bytes:
        with _told(self._repo):
            return bytes(self._stream.read(-1 if size is None else size))

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of the client meanwhile: they hold the URLs that it was sent to, which may be signed."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _bars(watch: Watch) -> type:
    """A class of progress bars that draw nothing and tell ``watch`` of the bytes that arrived."""
    from huggingface_hub import utils

    quiet: Any = utils
    lock = threading.Lock()

    class Bar(quiet.tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            self.bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            with lock:
                self.n += n or 0
                if self.bytes:
                    watch(Progress("bytes", int(self.n), int(self.total) if self.total else None))

    return Bar
