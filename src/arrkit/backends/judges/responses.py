"""The Responses API: from a request to a body, from a body to a reply. Pure.

For the models that OpenAI serves nowhere else. It has no seed; it keeps answers for 30 days and may compress
images unless told otherwise, so it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from arrkit.backends.judges.bodies import data_url
from arrkit.backends.judges.chat import cache_key, no_probabilities
from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.errors import from_status
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
    Part,
    Reply,
    Sampling,
    TransportError,
)

PATH = "/responses"
BATCH_PATH = "/v1/responses"

# The API takes no smaller bound.
_FEWEST_TOKENS = 16


def responses_body(
    model: str, request: GenerateRequest, sampling: Sampling, profile: ModelProfile, *, detail: str = "auto"
) -> dict[str, Json]:
    """The body for ``request``, drawn as ``sampling`` says."""
    lead: dict[str, Json] = {"type": "input_text", "text": request.system}
    body: dict[str, Json] = {
        "model": model,
        "store": False,
        "max_output_tokens": _FEWEST_TOKENS if request.labels else sampling.max_output_tokens,
    }
    if profile.cache_control:
        lead["prompt_cache_breakpoint"] = {"mode": "explicit"}
        body["prompt_cache_options"] = {"mode": "explicit"}
        body["prompt_cache_key"] = cache_key(model, request.system)
    system: list[Json] = [{"role": "developer", "content": [lead]}] if request.system else []
    body["input"] = [*system, {"role": "user", "content": input_parts(request.parts, detail=detail)}]
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.effort is not None:
        body["reasoning"] = {"effort": sampling.effort}
    if request.labels:
        body["include"] = ["message.output_text.logprobs"]
        body["top_logprobs"] = min(20, profile.logprobs or 20)
    elif request.schema is not None and profile.structured == "schema":
        body["text"] = {
            "format": {
                "type": "json_schema",
                "name": request.schema_name,
                "strict": True,
                "schema": request.schema,
            }
        }
    elif request.schema is not None and profile.structured == "json":
        body["text"] = {"format": {"type": "json_object"}}
    return body


def input_parts(parts: Sequence[Part], *, detail: str) -> list[Json]:
    """Parts as the Responses and the Decisions API write them, in order."""
    return [
        {"type": "input_image", "image_url": data_url(part), "detail": detail or "auto"}
        if isinstance(part, ImagePart)
        else {"type": "input_text", "text": part.text}
        for part in parts
    ]


def responses_reply(
    answered: Answered, labels: Sequence[str], *, endpoint: Endpoint, texts: Sequence[str] = ()
) -> Reply:
    """What the endpoint said. Raises ``TransportError`` where the response failed or holds no answer."""
    body = answered.body
    usage = token_usage(body, answered.seconds)
    status = words(body.get("status"))
    if status == "failed":
        # A failure after HTTP 200; its codes are those of HTTP errors, and an unknown one is our fault.
        raise from_status(
            400,
            body.get("error"),
            endpoint,
            request_id=answered.request_id,
            texts=texts,
            usage=usage,
        )
    if status not in ("completed", "incomplete"):
        raise TransportError(
            ErrorKind.TRANSIENT,
            f"{endpoint.host} answered with a response that is {status or 'neither complete nor failed'}",
            request_id=answered.request_id,
            usage=usage,
        )
    parts = list(_parts(body))
    refusal = "".join(words(part.get("refusal")) for part in parts if part.get("type") == "refusal")
    finish = Finish.REFUSAL if refusal else Finish.STOP
    if status == "incomplete":
        reason = words(table(body.get("incomplete_details")).get("reason"))
        finish = Finish.FILTER if reason == "content_filter" else Finish.LENGTH
        refusal = refusal or (reason if finish is Finish.FILTER else "")
    shares: dict[str, float] = {}
    mass: float | None = None
    if labels and finish in (Finish.STOP, Finish.LENGTH):
        spoken = [part for part in parts if part.get("type") == "output_text"]
        if spoken:
            finish = Finish.STOP
            if not isinstance(spoken[0].get("logprobs"), list):
                raise no_probabilities(endpoint.host, words(body.get("model")), answered, usage)
            shares, mass = label_probabilities(labels, _alternatives(spoken[0].get("logprobs")))
    return Reply(
        finish,
        "".join(words(part.get("text")) for part in parts if part.get("type") == "output_text"),
        refusal,
        shares,
        mass,
        usage=usage,
        model=words(body.get("model")),
        request_id=answered.request_id or words(body.get("id")),
        tier=words(body.get("service_tier")),
    )


def token_usage(body: Mapping[str, Json], seconds: float | None = None) -> Usage:
    """The tokens that a response or a decision reports; what it does not report stays unknown."""
    usage = table(body.get("usage"))
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        cached_tokens=count(table(usage.get("input_tokens_details")).get("cached_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        reasoning_tokens=count(table(usage.get("output_tokens_details")).get("reasoning_tokens")),
        seconds=seconds,
    )


def _parts(body: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    for item in rows(body.get("output")):
        if table(item).get("type") == "message":
            for part in rows(table(item).get("content")):
                yield table(part)


def _alternatives(logprobs: Json) -> Iterator[tuple[str, float]]:
    first = table(next(iter(rows(logprobs)), None))
    for entry in [*rows(first.get("top_logprobs")), first]:
        logprob = number(table(entry).get("logprob"))
        if logprob is not None:
            yield words(table(entry).get("token")), logprob
