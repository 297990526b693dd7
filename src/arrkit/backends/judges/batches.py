"""OpenAI's batch files: lines of requests, lines of answers. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.errors import from_status
from arrkit.backends.judges.reading import rows, table, words
from arrkit.backends.judges.wire import Answered
from arrkit.canonical import Json
from arrkit.judge.transport import ErrorKind, GenerateRequest, Reply, TransportError

MOST_LINES = 50_000
MOST_BYTES = 200_000_000
FINAL = frozenset({"completed", "failed", "expired", "cancelled"})

# Answers come back by id alone and perhaps to another process, which must know which words were scored.
_LABELS = "#labels="


def batch_lines(
    requests: Mapping[str, GenerateRequest], path: str, body: Callable[[GenerateRequest], Mapping[str, Json]]
) -> bytes:
    """One JSON line a request. Raises ``TransportError`` (too large) before the file passes a limit."""
    if len(requests) > MOST_LINES:
        raise _over(f"{len(requests)} requests, and a batch takes {MOST_LINES}", len(requests))
    file = bytearray()
    for done, (identifier, request) in enumerate(requests.items()):
        marked = f"{identifier}{_LABELS}{json.dumps(request.labels)}" if request.labels else identifier
        line = {"custom_id": marked, "method": "POST", "url": path, "body": body(request)}
        file += json.dumps(line, ensure_ascii=False).encode() + b"\n"
        if len(file) > MOST_BYTES:
            raise _over(
                f"{done + 1} of {len(requests)} requests pass the {MOST_BYTES // 1_000_000} MB of a batch",
                done + 1,
            )
    return bytes(file)


def _over(what: str, reached: int) -> TransportError:
    most = min(MOST_LINES, max(1, reached - 1))
    return TransportError(
        ErrorKind.TOO_LARGE,
        f"the batch is too large: {what}",
        remedy=f"Split it into batches of at most {most} requests (--limit), or send smaller images.",
    )


def batch_replies(
    files: Iterable[bytes],
    endpoint: Endpoint,
    read: Callable[[Answered, tuple[str, ...]], Reply],
) -> dict[str, Reply | TransportError]:
    """What the output and error files say, by id, whatever the order and whichever file a line is in.

    ``read`` makes a reply of one answer and the labels that its request asked for.
    """
    found: dict[str, Reply | TransportError] = {}
    for file in files:
        for line in _objects(file):
            identifier, _, labels = words(line.get("custom_id")).partition(_LABELS)
            asked = tuple(words(label) for label in rows(json.loads(labels))) if labels else ()
            response = table(line.get("response"))
            status = response.get("status_code")
            body = table(response.get("body"))
            request_id = words(response.get("request_id"))
            if isinstance(status, int) and status < 400:
                try:
                    found[identifier] = read(Answered(body, request_id, None), asked)
                except TransportError as error:
                    found[identifier] = error
            elif isinstance(status, int):
                found[identifier] = from_status(status, body, endpoint, request_id=request_id)
            else:
                found[identifier] = _unanswered(line.get("error"), endpoint)
    return found


def _objects(file: bytes) -> Iterator[Mapping[str, Json]]:
    for line in file.splitlines():
        if line.strip():
            try:
                yield table(json.loads(line))
            except ValueError:
                raise TransportError(
                    ErrorKind.TRANSIENT, "a file of the batch's answers holds a line that is not JSON"
                ) from None


def _unanswered(error: Json, endpoint: Endpoint) -> TransportError:
    code = words(table(error).get("code"))
    said = endpoint.clean(words(table(error).get("message")))
    # What expired or was cancelled was never worked on: it may simply be asked again.
    kind = ErrorKind.TRANSIENT if code in ("batch_expired", "batch_cancelled") else ErrorKind.REJECTED
    return TransportError(kind, f"the batch left this request without an answer: {said or code}")


def failed_batch(batch: str, about: Mapping[str, Json], endpoint: Endpoint) -> TransportError:
    """Why a batch failed as a whole. ``about`` has ``errors`` as the API lists them."""
    listed = [table(error) for error in rows(table(about.get("errors")).get("data"))]
    codes = {words(error.get("code")) for error in listed}
    said = "; ".join(dict.fromkeys(words(error.get("message")) for error in listed[:3]))
    full = "token_limit_exceeded" in codes
    return TransportError(
        # Looking again would not help, so this is no rate limit: the queue for batches is used up.
        ErrorKind.EXHAUSTED if full else ErrorKind.REJECTED,
        f"batch {batch} failed: {endpoint.clean(said) or 'the endpoint does not say why'}",
        remedy="Wait until other batches of this model are done." if full else "",
        # Gone: nothing of it was worked on or will be paid, and it may be handed in anew.
        status=410,
    )
