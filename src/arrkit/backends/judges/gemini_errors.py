"""What went wrong with Gemini, as :class:`~arrkit.judge.transport.TransportError`.

Google's errors have an HTTP status, a name for it (``RESOURCE_EXHAUSTED``) and details, each with a type: how
long to wait is in a ``RetryInfo``, which quota is used up in a ``QuotaFailure``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence

import httpx2
import pydantic
from google.genai import errors

from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.hints import seconds, wait_hint
from arrkit.backends.judges.reading import rows, table, words
from arrkit.canonical import Json
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import ErrorKind, TransportError

# What waiting a minute does not mend. "Check your billing details" is no sign of it: every 429 says that.
_USED_UP = re.compile(
    r"limit: 0\b(?!\.)|credits? (?:is|are|has been|have been) (?:depleted|exhausted)"
    r"|spend(?:ing)? (?:cap|limit)|per day",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(
    r"payload size exceeds|exceeds the (?:maximum|limit)|too (?:large|many (?:images|tokens))|size limit",
    re.IGNORECASE,
)
_TRANSIENT = frozenset({408, 409, 425, 499})

# Lines of a batch carry the codes of gRPC (google.rpc.Code), not of HTTP.
_HTTP = {
    1: 499,
    2: 500,
    3: 400,
    4: 504,
    5: 404,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    12: 501,
    13: 500,
    14: 503,
    16: 401,
}


def from_exception(error: Exception, endpoint: Endpoint, texts: Sequence[str] = ()) -> TransportError:
    """What an exception of the SDK, or of the HTTP client beneath it, calls for.

    Three families come through: ``google.genai.errors`` from most calls, a second tree of status errors from
    the decision endpoint, and ``httpx2`` as it is. The second has no public name; its response tells.
    """
    for each in _causes(error):
        if isinstance(each, errors.APIError):
            headers = getattr(each.response, "headers", None)
            return from_status(each.code, each.details, endpoint, headers=headers, texts=texts)
        response = getattr(each, "response", None) or getattr(each, "raw_response", None)
        if isinstance(response, httpx2.Response):
            return from_status(
                response.status_code, body_of(response.text), endpoint, headers=response.headers, texts=texts
            )
        if isinstance(each, TimeoutError | httpx2.TimeoutException):
            return TransportError(
                ErrorKind.TRANSIENT,
                f"{endpoint.host} did not answer in time",
                remedy="Give it longer: ?timeout=SECONDS in the judge's spec.",
            )
        if isinstance(each, httpx2.TransportError):
            why = endpoint.clean(str(each)) or type(each).__name__
            return TransportError(
                ErrorKind.TRANSIENT, f"no connection to {endpoint.host}, or it broke: {why}"
            )
    if isinstance(error, ValueError | KeyError) and not isinstance(error, pydantic.ValidationError):
        return TransportError(ErrorKind.TRANSIENT, f"{endpoint.host} sent something that cannot be read")
    return TransportError(
        ErrorKind.REJECTED, endpoint.clean(f"{type(error).__name__}: {error}", texts) or type(error).__name__
    )


def from_status(
    status: int,
    body: Json,
    endpoint: Endpoint,
    *,
    headers: Mapping[str, str] | None = None,
    request_id: str = "",
    texts: Sequence[str] = (),
    usage: Usage | None = None,
) -> TransportError:
    """What a failed answer calls for. ``body`` is the error's JSON, or the text that came in its stead.

    ``status`` is an HTTP status, or a gRPC code where it is below 100.
    """
    status = _HTTP.get(status, status)
    if isinstance(body, list | tuple) and len(body) == 1:
        body = body[0]
    about = table(table(body).get("error")) or table(body)
    name = words(about.get("status"))
    said = words(about.get("message")) or words(body)
    details = [table(detail) for detail in rows(about.get("details"))]
    hint = _hint(details, headers if headers is not None else {}, said)
    kind = _kind(status, name, said, details, hint)
    message = f"{endpoint.host} answered {status}"
    if name.isupper():
        message += f" ({endpoint.clean(name)})"
    if told := endpoint.clean(said, texts):
        message += f": {told}"
    if _wrong_key(details):
        # Google says 400 for it, which elsewhere means that the model cannot do what the request wants.
        status = 401
    return TransportError(
        kind,
        message,
        retry_after=hint if kind in (ErrorKind.RATE_LIMIT, ErrorKind.TRANSIENT) else None,
        remedy=_remedy(kind, status, details, endpoint),
        status=status,
        request_id=request_id,
        usage=usage,
    )


def body_of(text: str) -> Json:
    """The JSON in ``text``, or ``text`` itself where it is none."""
    try:
        read: Json = json.loads(text)
    except ValueError:
        return text
    return read


def _causes(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__


def _hint(details: Sequence[Mapping[str, Json]], headers: Mapping[str, str], said: str) -> float | None:
    """The wait in seconds that was asked for: in a detail, in a header, or in words."""
    for detail in details:
        if words(detail.get("@type")).endswith("RetryInfo"):
            wait = seconds(words(detail.get("retryDelay")))
            if wait is not None:
                return wait
    return wait_hint(headers, said, now=time.time())


def _kind(
    status: int, name: str, said: str, details: Sequence[Mapping[str, Json]], hint: float | None
) -> ErrorKind:
    if status == 402:
        return ErrorKind.EXHAUSTED
    if status == 429 or (status == 503 and (name == "RESOURCE_EXHAUSTED" or hint is not None)):
        return ErrorKind.EXHAUSTED if _used_up(said, details) else ErrorKind.RATE_LIMIT
    if status == 413 or (status == 400 and _TOO_LARGE.search(said)):
        return ErrorKind.TOO_LARGE
    if status in _TRANSIENT or (status >= 500 and status != 501):
        return ErrorKind.TRANSIENT
    return ErrorKind.REJECTED


def _used_up(said: str, details: Sequence[Mapping[str, Json]]) -> bool:
    violations = [table(each) for detail in details for each in rows(detail.get("violations"))]
    return bool(_USED_UP.search(said)) or any(
        "PerDay" in words(each.get("quotaId")) or each.get("quotaValue") == "0" for each in violations
    )


def _wrong_key(details: Sequence[Mapping[str, Json]]) -> bool:
    return any(words(detail.get("reason")) in ("API_KEY_INVALID", "API_KEY_EXPIRED") for detail in details)


def _remedy(kind: ErrorKind, status: int, details: Sequence[Mapping[str, Json]], endpoint: Endpoint) -> str:
    if kind is ErrorKind.EXHAUSTED:
        return "Wait until the quota is renewed, or raise it for the project."
    if kind is ErrorKind.TOO_LARGE:
        return "Send smaller images (--image-size), or fewer."
    if kind is not ErrorKind.REJECTED:
        return ""
    if status == 401 or _wrong_key(details):
        return f"Set {endpoint.key} to a key that is valid there."
    if status == 403:
        return f"Check that the project behind {endpoint.key} may use {endpoint.model}."
    if status == 404:
        return f'Check the base_url and the model\'s name, "{endpoint.model}".'
    return ""
