"""Gemini's batch files: lines of requests, lines of answers, each with its key. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.gemini_errors import from_status
from arrkit.backends.judges.reading import count, rows, table, words
from arrkit.canonical import Json
from arrkit.judge.transport import ErrorKind, GenerateRequest, Reply, TransportError

MOST_BYTES = 2_000_000_000
# The SDK's own word for "has ended" leaves out the one that is partly done.
FINAL = frozenset(
    f"JOB_STATE_{state}" for state in ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
)

# Answers come back by key alone and perhaps to another process, which must know which words were scored.
_LABELS = "#labels="


def batch_lines(
    requests: Mapping[str, GenerateRequest], body: Callable[[GenerateRequest], Mapping[str, Json]]
) -> bytes:
    """One JSON line a request. Raises ``TransportError`` (too large) before the file passes the limit."""
    file = bytearray()
    for done, (identifier, request) in enumerate(requests.items()):
        key = f"{identifier}{_LABELS}{json.dumps(request.labels)}" if request.labels else identifier
        file += json.dumps({"key": key, "request": body(request)}, ensure_ascii=False).encode() + b"\n"
        if len(file) > MOST_BYTES:
            raise TransportError(
                ErrorKind.TOO_LARGE,
                f"the batch is too large: {done + 1} of {len(requests)} requests pass the "
                f"{MOST_BYTES // 1_000_000_000} GB of a batch",
                remedy=f"Split it into batches of at most {max(1, done)} requests (--limit), "
                "or send smaller images.",
            )
    return bytes(file)


def batch_replies(
    file: bytes,
    endpoint: Endpoint,
    read: Callable[[Mapping[str, Json], tuple[str, ...]], Reply],
) -> dict[str, Reply | TransportError]:
    """What the answers say, by key. ``read`` makes a reply of one answer and the labels asked for."""
    found: dict[str, Reply | TransportError] = {}
    for text in file.splitlines():
        if not text.strip():
            continue
        try:
            line = table(json.loads(text))
        except ValueError:
            raise TransportError(
                ErrorKind.TRANSIENT, "the file of the batch's answers holds a line that is not JSON"
            ) from None
        identifier, _, labels = words(line.get("key")).partition(_LABELS)
        asked = tuple(words(label) for label in rows(json.loads(labels))) if labels else ()
        response = line.get("response")
        if isinstance(response, Mapping):
            try:
                found[identifier] = read(response, asked)
            except TransportError as error:
                found[identifier] = error
        else:
            error_ = table(line.get("error"))
            found[identifier] = from_status(count(error_.get("code")) or 500, error_, endpoint)
    return found


def failed_batch(batch: str, endpoint: Endpoint) -> TransportError:
    """The error for a batch that failed as a whole. The SDK drops what the endpoint says of it."""
    return TransportError(
        ErrorKind.REJECTED,
        f"{endpoint.host} gave up on {batch} as a whole",
        remedy="Run the same command without --batch to see what it says of a single request.",
    )
