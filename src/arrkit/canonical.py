"""Canonical JSON, digests, times, and files that are never half-written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from arrkit.errors import InputError

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical_json(value: Json) -> bytes:
    """The one UTF-8 byte string of a JSON value: sorted keys, no spaces, no escapes beyond JSON's own.

    Floats are written by Python's shortest round-trip ``repr``. NaN and infinities are refused
    (``ValueError``), since they are not JSON.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON of ``value``, as 64 hexadecimal characters."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def pretty_json(value: Json) -> str:
    """JSON for people and for ``git diff``: two spaces, keys in the order given, one newline at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def refuse_existing(path: Path, *, force: bool, hint: str = "Pass --force to replace it.") -> None:
    """Raise :class:`InputError` when ``path`` exists and ``force`` is off."""
    if path.exists() and not force:
        raise InputError(f"{path} exists already", hint=hint)


def write_atomic(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader sees the old file or the whole new one, never a part.

    Parent folders are made. Raises :class:`InputError` where the folder cannot be written.
    """
    import tempfile  # not at the top: it would cost every --help 5 ms

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    # mkstemp makes files private (0600); a user's artifact should have the user's usual mode.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def utc_now() -> str:
    """The time, UTC, ISO 8601 to the second; ``SOURCE_DATE_EPOCH`` fixes it for reproducible artifacts."""
    from datetime import UTC, datetime

    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
