"""What went wrong on the wire, as :class:`~arrkit.judge.transport.TransportError`.

One table for OpenAI, for the endpoints that imitate it, and for vLLM: by the error's code where it has one
that means something, then by the HTTP status.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import httpx2
import openai

from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.hints import wait_hint
from arrkit.backends.judges.reading import table, words
from arrkit.canonical import Json
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import ErrorKind, TransportError

_KINDS = {
    ErrorKind.EXHAUSTED: (
        "insufficient_quota",
        "credit_balance_exhausted",
        "billing_hard_limit_reached",
        "billing_not_active",
    ),
    ErrorKind.REFUSED: (
        "content_policy_violation",
        "image_content_policy_violation",
        "content_filter",
        "invalid_prompt",
        "bio_policy",
        "misalignment_policy_violation",
    ),
    ErrorKind.TOO_LARGE: (
        "image_too_large",
        "image_file_too_large",
        "context_length_exceeded",
        "string_above_max_length",
        "request_too_large",
    ),
    ErrorKind.RATE_LIMIT: ("rate_limit_exceeded", "slow_down", "token_limit_exceeded"),
    ErrorKind.TRANSIENT: ("server_error", "vector_store_timeout", "failed_to_download_image"),
}
_BY_CODE = {code: kind for kind, codes in _KINDS.items() for code in codes}
_TRANSIENT = frozenset({408, 409, 425})
# Parameters that vLLM names when a prompt, or the number of images in it, is over the server's limit.
_VLLM_LIMITS = frozenset({"input_tokens", "image"})


def from_exception(error: Exception, endpoint: Endpoint, texts: Sequence[str] = ()) -> TransportError:
    """What an exception of the SDK, or of the HTTP client beneath it, calls for."""
    if isinstance(error, openai.APIStatusError):
        return from_status(
            error.status_code,
            error.body if isinstance(error.body, dict | str) else None,
            endpoint,
            headers=error.response.headers,
            request_id=error.request_id or "",
            texts=texts,
        )
    if isinstance(error, openai.APITimeoutError | TimeoutError | httpx2.TimeoutException):
        return TransportError(
            ErrorKind.TRANSIENT,
            f"{endpoint.host} did not answer in time",
            remedy="Give it longer: ?timeout=SECONDS in the judge's spec.",
        )
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError):
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
        why = endpoint.clean(str(cause or "")) or type(cause or error).__name__
        remedy = f"Start the server: {endpoint.serve}" if endpoint.serve else ""
        return TransportError(
            ErrorKind.TRANSIENT, f"no connection to {endpoint.host}, or it broke: {why}", remedy=remedy
        )
    if isinstance(error, openai.APIResponseValidationError | ValueError):
        return TransportError(ErrorKind.TRANSIENT, f"{endpoint.host} sent something that is not JSON")
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
    """What a failed answer calls for. ``body`` is the error object, or the text that came in its stead."""
    headers = headers if headers is not None else {}
    body = table(body).get("error") or body
    about = table(body)
    code = words(about.get("code")) or words(about.get("type"))
    if _BY_CODE.get(code) is None and words(about.get("type")) in _BY_CODE:
        code = words(about.get("type"))
    parameter = words(about.get("param"))
    said = words(about.get("message")) or words(about.get("detail")) or words(body)
    if said.lstrip().startswith("<"):
        said = ""  # a proxy's error page
    kind = _kind(status, code, parameter, headers, endpoint)
    message = f"{endpoint.host} answered {status}"
    if code and not code.isdigit():
        message += f" ({endpoint.clean(code)})"
    if said := endpoint.clean(said, texts):
        message += f": {said}"
    hint = wait_hint(headers, said, now=time.time())
    return TransportError(
        kind,
        message,
        retry_after=hint if kind in (ErrorKind.RATE_LIMIT, ErrorKind.TRANSIENT) else None,
        remedy=_remedy(kind, status, parameter, endpoint),
        status=status,
        request_id=request_id,
        usage=usage,
    )


def _kind(
    status: int, code: str, parameter: str, headers: Mapping[str, str], endpoint: Endpoint
) -> ErrorKind:
    if (known := _BY_CODE.get(code)) is not None:
        return known
    if status == 402:
        return ErrorKind.EXHAUSTED
    if status == 413 or (status == 400 and endpoint.serve and parameter in _VLLM_LIMITS):
        return ErrorKind.TOO_LARGE
    if status == 429:
        return ErrorKind.RATE_LIMIT
    # vLLM has no 429: it says 503 when its queue is full or paused. Others mean it where they name a wait.
    if status == 503 and (endpoint.serve or wait_hint(headers, "", now=time.time()) is not None):
        return ErrorKind.RATE_LIMIT
    if status in _TRANSIENT or (status >= 500 and status != 501):
        return ErrorKind.REJECTED if headers.get("x-should-retry") == "false" else ErrorKind.TRANSIENT
    return ErrorKind.REJECTED


def _remedy(kind: ErrorKind, status: int, parameter: str, endpoint: Endpoint) -> str:
    if kind is ErrorKind.EXHAUSTED:
        return "Add credit to the account, or raise its limit."
    if kind is ErrorKind.TOO_LARGE:
        return "Send smaller images (--image-size), or fewer."
    if kind is not ErrorKind.REJECTED:
        return ""
    if status == 401:
        return f"Set {endpoint.key} to a key that is valid there." if endpoint.key else ""
    if status == 403:
        return f"Check that the account behind {endpoint.key or 'the key'} may use {endpoint.model}."
    if status == 404:
        return (
            f"Serve it: {endpoint.serve}"
            if endpoint.serve
            else f'Check the base_url and the model\'s name, "{endpoint.model}".'
        )
    if parameter in ("temperature", "seed", "reasoning_effort", "reasoning.effort"):
        return f"Leave {parameter.partition('.')[0].removesuffix('_effort')} out of the judge's spec."
    return ""
