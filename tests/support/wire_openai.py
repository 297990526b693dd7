"""A loopback server that speaks the wire formats of OpenAI and of vLLM, and says what a test tells it to.

    with Wire() as wire:                                        # fills in whatever schema it is sent
        wire.script(throttled(retry_after="10"), chat("hello"))  # the next two answers
        wire.respond = lambda seen: chat('{"overall": "A"}')     # every answer after these
        spec = f"vllm:Qwen/Qwen3-VL-8B-Instruct?base_url={wire.base_url}"

``requests`` are those that a test cares for, in order of arrival. What a transport asks beside them is
answered by the server itself: canaries (``wire.can`` says what the model can do; they are kept in
``canaries``), token ids, files and batches, whose lines are answered by ``respond``.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from loopback import Action, Loopback, Seen, as_json

CANARY = "This is a check of the connection."
UNLIKELY = -9999.0

USAGE = {
    "prompt_tokens": 900,
    "completion_tokens": 40,
    "total_tokens": 940,
    "prompt_tokens_details": {"cached_tokens": 512},
    "completion_tokens_details": {"reasoning_tokens": 8},
}
TOKEN_USAGE = {
    "input_tokens": 900,
    "input_tokens_details": {"cached_tokens": 512, "cache_write_tokens": 0},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 940,
}


def system_of(seen: Seen) -> str:
    """The static text of a chat, responses, decisions or systemone request."""
    body = seen.body
    for message in body.get("messages") or body.get("input") or []:
        if isinstance(message, dict) and message["role"] in ("system", "developer"):
            content = message["content"]
            return content if isinstance(content, str) else "".join(part["text"] for part in content)
    return body.get("state", "") if isinstance(body.get("state"), str) else ""


def parts_of(seen: Seen) -> list[dict[str, Any]]:
    """The parts of the user's message, in order."""
    body = seen.body
    last = (body.get("messages") or body.get("input"))[-1]
    return (
        [{"type": "text", "text": last["content"]}] if isinstance(last["content"], str) else last["content"]
    )


def texts_of(seen: Seen) -> list[str]:
    return [part["text"] for part in parts_of(seen) if "text" in part]


def images_of(seen: Seen) -> list[bytes]:
    """The images of a request, decoded, in order."""
    urls = []
    for part in parts_of(seen):
        url = part.get("image_url")
        if url is not None:
            urls.append(url if isinstance(url, str) else url["url"])
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


def schema_of(seen: Seen) -> Any:
    """The JSON Schema that the answer must follow, or None."""
    body = seen.body
    given = (body.get("response_format") or {}).get("json_schema") or (body.get("text") or {}).get("format")
    return (given or {}).get("schema")


def filled(schema: Mapping[str, Any]) -> Any:
    """The least value that a schema of arrkit's dialect allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return filled(schema["anyOf"][0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: filled(each) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [filled(schema["items"]) for _ in range(schema.get("minItems", 1))]
    return {"integer": schema.get("minimum", 0), "number": schema.get("minimum", 0.0), "boolean": True}.get(
        kind, "because"
    )


def chat(
    text: str | None = "",
    *,
    finish: str = "stop",
    refusal: str | None = None,
    tokens: Mapping[str, float] | None = None,
    usage: object = USAGE,
    **fields: object,
) -> Action:
    """A chat completion. ``tokens`` are probabilities of the first token's alternatives, as written."""
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, "refusal": refusal},
        "logprobs": None,
    }
    if tokens is not None:
        first, *_ = listed = _logprobs(tokens)
        choice["logprobs"] = {"content": [{**first, "top_logprobs": listed}], "refusal": None}
    payload = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "resolved-model",
        "service_tier": "default",
        "choices": [choice],
        "usage": usage,
        **fields,
    }
    return as_json(payload, x_request_id="req-1")


def response(
    text: str | None = "",
    *,
    status: str = "completed",
    reason: str | None = None,
    refusal: str | None = None,
    error: Mapping[str, str] | None = None,
    tokens: Mapping[str, float] | None = None,
    usage: object = TOKEN_USAGE,
) -> Action:
    """An answer of the Responses API, after some reasoning."""
    content: list[dict[str, Any]] = []
    if refusal is not None:
        content.append({"type": "refusal", "refusal": refusal})
    elif text is not None:
        content.append({"type": "output_text", "text": text, "annotations": []})
        if tokens is not None:
            first, *_ = listed = _logprobs(tokens)
            content[0]["logprobs"] = [{**first, "top_logprobs": listed}]
    message = {"type": "message", "id": "msg-1", "role": "assistant", "status": status, "content": content}
    payload = {
        "id": "resp-1",
        "object": "response",
        "model": "resolved-model",
        "status": status,
        "error": error,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [{"type": "reasoning", "id": "rs-1", "summary": []}, *([message] if content else [])],
        "service_tier": "default",
        "usage": usage,
    }
    return as_json(payload, x_request_id="req-1")


def decision(*answers: Mapping[str, Any]) -> Action:
    """An answer of ``/v1/decisions``, in question order."""
    payload = {"model": "resolved-model", "answers": list(answers), "usage": TOKEN_USAGE}
    return as_json(payload, x_request_id="req-1")


def systemone(answers: Mapping[str, Mapping[str, Any]]) -> Action:
    """An answer of ``/v1/systemone``."""
    usage = {"input_tokens": 900, "output_tokens": 2}
    return as_json({"id": "dec-1", "model": "resolved-model", "answers": answers, "usage": usage})


def failure(
    status: int,
    message: str = "it broke",
    *,
    code: object = None,
    kind: str | None = None,
    param: str | None = None,
    **headers: str,
) -> Action:
    """An HTTP error in the shape that OpenAI and vLLM share; header names with ``_`` for ``-``."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return as_json({"error": error}, status, x_request_id="req-1", **headers)


def throttled(**headers: str) -> Action:
    """A 429: ``throttled(retry_after="10")``, ``throttled(retry_after_ms="300")``, ..."""
    return failure(429, "Rate limit reached", code="rate_limit_exceeded", kind="requests", **headers)


def page(status: int, html: str = "<html><body>Bad Gateway</body></html>") -> Action:
    """What a proxy says when nobody is behind it."""
    return Action(status, html.encode(), {"content-type": "text/html"})


def _logprobs(tokens: Mapping[str, float]) -> list[dict[str, Any]]:
    return [
        {
            "token": token,
            "logprob": math.log(share) if share > 0 else UNLIKELY,
            "bytes": list(token.encode()),
        }
        for token, share in sorted(tokens.items(), key=lambda item: -item[1])
    ]


@dataclass
class Can:
    """What the model behind the server can do, as its canaries find out."""

    schema: bool = True
    json: bool = True
    images: int = 9
    logprobs: int = 20
    logprobs_at_none: bool = False
    temperature: bool = True
    seed: bool = True
    decisions: bool = False


class Wire(Loopback):
    """The server.

    ``tokens`` is the vocabulary of ``/tokenize``, empty for a server that has no such path; ``token_ids`` is
    whether logprobs are given by id, as newer vLLM can. ``batch_states`` is what a batch goes through, look
    by look; ``batch_errors`` why it failed.
    """

    def __init__(self, respond: Callable[[Seen], Action] | None = None, *, latency: float = 0.0) -> None:
        super().__init__(self._react)
        self.respond = respond or fill
        self.latency = latency
        self.can = Can()
        self.requests: list[Seen] = []
        self.canaries: list[Seen] = []
        self.token_ids = True
        self.tokens = {"Yes": 1, " Yes": 2, "yes": 3, " yes": 4, "No": 5, " No": 6, "no": 7, " no": 8}
        self.batch_states: deque[str] = deque(["completed"])
        self.batch_errors: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self._batches: dict[str, dict[str, Any]] = {}
        self._script: deque[Action] = deque()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def script(self, *actions: Action) -> None:
        """The next answers, in order; after them ``respond`` has the word again."""
        self._script.extend(actions)

    def _react(self, seen: Seen) -> Action:
        if seen.path == "/health":
            return Action()
        if seen.path == "/tokenize":
            return self._tokenize(seen.body["prompt"])
        if seen.path.startswith(("/v1/files", "/v1/batches")):
            return self._file_or_batch(seen)
        if seen.path == "/v1/systemone" and list(seen.body["questions"]) == ["q"]:
            self.canaries.append(seen)
            return systemone({"q": {"type": "noul", "noul": 0.9}}) if self.can.decisions else _no_decisions()
        if seen.method == "POST" and CANARY in system_of(seen):
            self.canaries.append(seen)
            return self._canary(seen)
        self.requests.append(seen)
        action = self._script.popleft() if self._script else self.respond(seen)
        if self.token_ids and action.status == 200 and "chat" in seen.path:
            action = self._by_id(action, seen.body)
        return action.after(self.latency) if self.latency and not action.delay else action

    def _by_id(self, action: Action, asked: Mapping[str, Any]) -> Action:
        """The answer with the tokens asked for, and those only, named by their ids."""
        if not asked.get("logprob_token_ids") or action.keep is not None:
            return action
        payload = json.loads(action.body)
        for token in (payload["choices"][0]["logprobs"] or {}).get("content") or []:
            listed = {each["token"]: each for each in token["top_logprobs"]}
            token["token"] = f"token_id:{self.tokens.get(token['token'], 0)}"
            token["top_logprobs"] = [
                {**each, "token": f"token_id:{self.tokens[name]}"}
                for name, each in listed.items()
                if self.tokens.get(name) in asked["logprob_token_ids"]
            ]
        return replace(action, body=json.dumps(payload).encode())

    def _tokenize(self, prompt: str) -> Action:
        if not self.tokens:
            return as_json({"detail": "Not Found"}, 404)
        ids = [self.tokens[prompt]] if prompt in self.tokens else [1000 + ord(letter) for letter in prompt]
        return as_json({"tokens": ids, "count": len(ids), "max_model_len": 4096})

    def _canary(self, seen: Seen) -> Action:
        body, can = seen.body, self.can
        effort = body.get("reasoning_effort") or (body.get("reasoning") or {}).get("effort")
        wants = body.get("logprobs") or "top_logprobs" in body
        dialect = (body.get("response_format") or (body.get("text") or {}).get("format") or {}).get("type")
        if len(images_of(seen)) > can.images:
            return failure(400, f"At most {can.images} image(s) may be provided", param="image", code=400)
        if wants and (body["top_logprobs"] > can.logprobs or (can.logprobs_at_none and effort != "none")):
            return failure(400, "logprobs are not supported", code="unsupported_parameter", param="logprobs")
        for name, able in (("temperature", can.temperature), ("seed", can.seed)):
            if body.get(name) is not None and not able:
                return failure(400, f"{name} is not supported", code="unsupported_value", param=name)
        if dialect == "json_object" and not can.json:
            return failure(400, "json_object is not supported", code="unsupported_value")
        text = "teal"
        if dialect == "json_schema" and can.schema:
            text = json.dumps(filled(schema_of(seen)))
        elif dialect:  # a schema that is ignored in silence gets an answer of the model's own liking
            text = '{"colour": "teal"}'
        tokens = {"Yes": 0.9, "No": 0.1} if wants else None
        reply = response if seen.path.endswith("responses") else chat
        return reply(text, tokens=tokens)

    def _file_or_batch(self, seen: Seen) -> Action:
        parts = seen.path.strip("/").split("/")
        if seen.method == "POST" and parts[1] == "files":
            name = f"file-{len(self.files) + 1}"
            self.files[name] = _upload(seen)
            return as_json({"id": name, "object": "file", "bytes": 1, "created_at": 1, "purpose": "batch"})
        if seen.method == "POST":
            name = f"batch-{len(self._batches) + 1}"
            self._batches[name] = seen.body
            return as_json(self._batch(name, "validating"))
        if parts[1] == "files":
            return Action(200, self.files[parts[2]], {"content-type": "application/octet-stream"})
        if parts[2] not in self._batches:
            return failure(404, f"No batch {parts[2]}", code="not_found")
        state = self.batch_states.popleft() if len(self.batch_states) > 1 else self.batch_states[0]
        return as_json(self._batch(parts[2], state))

    def _batch(self, name: str, state: str) -> dict[str, Any]:
        asked = self._batches[name]
        about = {
            "id": name,
            "object": "batch",
            "status": state,
            "created_at": 1,
            **asked,
            "output_file_id": None,
            "error_file_id": None,
            "errors": {"object": "list", "data": self.batch_errors} if self.batch_errors else None,
        }
        if state in ("completed", "expired"):
            about |= self._answer_lines(asked["input_file_id"], finished=state == "completed")
        return about

    def _answer_lines(self, file: str, *, finished: bool) -> dict[str, str]:
        good, bad = [], []
        lines = [json.loads(line) for line in self.files[file].splitlines()]
        for number, line in enumerate(lines):
            entry: dict[str, Any] = {"id": f"line-{number}", "custom_id": line["custom_id"], "error": None}
            if not finished and number == len(lines) - 1:
                entry |= {"response": None, "error": {"code": "batch_expired", "message": "Too late."}}
                bad.append(entry)
                continue
            seen = Seen("POST", line["url"], {}, json.dumps(line["body"]).encode(), 0.0)
            action = self._script.popleft() if self._script else self.respond(seen)
            answer = {
                "status_code": action.status,
                "request_id": f"req-{number}",
                "body": json.loads(action.body),
            }
            (good if action.status < 400 else bad).append({**entry, "response": answer})
        made = {}
        for key, entries in (("output_file_id", good), ("error_file_id", bad)):
            if entries:
                made[key] = f"{file}-{key}"
                # Any order: nothing promises that answers come back as they were asked.
                self.files[made[key]] = b"".join(json.dumps(each).encode() + b"\n" for each in entries[::-1])
        return made


def fill(seen: Seen) -> Action:
    """An answer that follows what was asked for: the schema's least value, or Yes where words are scored."""
    schema = schema_of(seen)
    wants = seen.body.get("logprobs") or "top_logprobs" in seen.body
    text = json.dumps(filled(schema)) if schema else "Yes"
    reply = response if seen.path.endswith("responses") else chat
    return reply(text, tokens={"Yes": 0.9, "No": 0.1} if wants else None)


def _no_decisions() -> Action:
    return failure(501, "The model does not support the Decisions API", kind="NotImplementedError", code=501)


def _upload(seen: Seen) -> bytes:
    head = f"content-type: {seen.headers['content-type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + seen.raw, policy=email.policy.HTTP)
    for part in form.iter_parts():
        if part.get_filename():
            return part.get_payload(decode=True)
    raise AssertionError("an upload without a file")
