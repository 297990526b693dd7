"""Chat Completions: from a request to a body, from a body to a reply. Pure.

This is the surface that OpenAI, vLLM and nearly everyone else share, and the only one with a seed and with
log-probabilities everywhere. Unlike the Responses API it never compresses images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from arrkit.backends.judges.bodies import data_url
from arrkit.backends.judges.labels import label_probabilities
from arrkit.backends.judges.reading import count, number, rows, table, words
from arrkit.backends.judges.wire import Answered
from arrkit.canonical import Json
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import (
    ErrorKind,
    Finish,
    GenerateRequest,
    ImagePart,
    ModelProfile,
    Reply,
    Sampling,
    TransportError,
)

PATH = "/chat/completions"
BATCH_PATH = "/v1/chat/completions"


def cache_key(model: str, system: str) -> str:
    """What requests that share a prefix have in common, to be sent to the machine that remembers it."""
    return sha256(f"{model}\n{system}".encode()).hexdigest()[:32]


def chat_body(
    model: str,
    request: GenerateRequest,
    sampling: Sampling,
    profile: ModelProfile,
    *,
    detail: str = "",
) -> dict[str, Json]:
    """The body for ``request``, drawn as ``sampling`` says, in the terms that every endpoint knows."""
    body: dict[str, Json] = {
        "model": model,
        "messages": messages(request, detail=detail, breakpoint=profile.cache_control),
        "max_completion_tokens": 1 if request.labels else sampling.max_output_tokens,
    }
    if profile.cache_control:
        # Only the static text is worth remembering: with an implicit breakpoint each image would be written
        # to the cache too, at 1.25 times the price of reading it.
        body["prompt_cache_options"] = {"mode": "explicit"}
        body["prompt_cache_key"] = cache_key(model, request.system)
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.effort is not None:
        body["reasoning_effort"] = sampling.effort
    if request.labels:
        body["logprobs"] = True
        body["top_logprobs"] = min(20, profile.logprobs or 20)
    elif request.schema is not None and profile.structured == "schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": request.schema_name, "strict": True, "schema": request.schema},
        }
    elif request.schema is not None and profile.structured == "json":
        body["response_format"] = {"type": "json_object"}
    return body


def messages(request: GenerateRequest, *, detail: str = "", breakpoint: bool = False) -> list[Json]:
    """The static text as system message, then the parts in order as one user message."""
    content: list[Json] = []
    for part in request.parts:
        if isinstance(part, ImagePart):
            image: dict[str, Json] = {"url": data_url(part)}
            if detail:
                image["detail"] = detail
            content.append({"type": "image_url", "image_url": image})
        else:
            content.append({"type": "text", "text": part.text})
    system: Json = request.system
    if breakpoint:
        system = [{"type": "text", "text": request.system, "prompt_cache_breakpoint": {"mode": "explicit"}}]
    lead: list[Json] = [{"role": "system", "content": system}] if request.system else []
    return [*lead, {"role": "user", "content": content}]


def chat_reply(
    answered: Answered, labels: Sequence[str], *, host: str, ids: Mapping[str, str] | None = None
) -> Reply:
    """What the endpoint said. Raises ``TransportError`` where it said nothing that is an answer."""
    body = answered.body
    usage = chat_usage(body, answered.seconds)
    choice = table(next(iter(rows(body.get("choices"))), None))
    message = table(choice.get("message"))
    reason = words(choice.get("finish_reason"))
    if not message or reason in ("error", "abort"):
        raise TransportError(
            ErrorKind.TRANSIENT,
            f"{host} answered without an answer in it",
            request_id=answered.request_id,
            usage=usage,
        )
    text = _text(message.get("content"))
    refusal = words(message.get("refusal"))
    finish = {"length": Finish.LENGTH, "content_filter": Finish.FILTER}.get(reason, Finish.STOP)
    if finish is Finish.FILTER:
        refusal = refusal or "content_filter"
    elif refusal:
        finish = Finish.REFUSAL
    shares: dict[str, float] = {}
    mass: float | None = None
    if labels and finish in (Finish.STOP, Finish.LENGTH):
        # One token was asked for, so running out of room after it is how such an answer ends.
        finish = Finish.STOP
        logprobs = choice.get("logprobs")
        if not isinstance(logprobs, Mapping):
            raise no_probabilities(host, words(body.get("model")), answered, usage)
        shares, mass = label_probabilities(labels, _alternatives(logprobs.get("content")), ids)
    return Reply(
        finish,
        text,
        refusal,
        shares,
        mass,
        usage=usage,
        model=words(body.get("model")),
        request_id=answered.request_id or words(body.get("id")),
        tier=words(body.get("service_tier")),
    )


def no_probabilities(host: str, model: str, answered: Answered, usage: Usage) -> TransportError:
    """The error for an answer that lacks the token probabilities it was asked for."""
    return TransportError(
        ErrorKind.REJECTED,
        f"{host} gave no token probabilities for {model or 'this model'}",
        remedy="Score by generated verdicts instead: --scoring generate.",
        request_id=answered.request_id,
        usage=usage,
    )


def chat_usage(body: Mapping[str, Json], seconds: float | None = None) -> Usage:
    """The tokens that a chat answer reports; what it does not report stays unknown."""
    usage = table(body.get("usage"))
    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        cached_tokens=count(table(usage.get("prompt_tokens_details")).get("cached_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        reasoning_tokens=count(table(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        seconds=seconds,
    )


def _text(content: Json) -> str:
    # Some endpoints answer in parts, as requests are written.
    if isinstance(content, str):
        return content
    return "".join(words(table(part).get("text")) for part in rows(content))


def _alternatives(content: Json) -> Iterator[tuple[str, float]]:
    first = table(next(iter(rows(content)), None))
    for entry in [*rows(first.get("top_logprobs")), first]:
        logprob = number(table(entry).get("logprob"))
        if logprob is not None:
            yield words(table(entry).get("token")), logprob
