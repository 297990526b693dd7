"""A loopback server that speaks Gemini's wire format, and says what a test tells it to.

    with Wire() as wire:                                              # fills in whatever schema it is sent
        wire.script(throttled(delay="17s"), answer("hello"))          # the next two answers
        wire.respond = lambda seen: answer('{"overall": "A"}')        # every answer after these
        spec = f"gemini:gemini-3.8-flash?base_url={wire.url}"

``requests`` are those that a test cares for, in order of arrival. What a transport asks beside them is
answered by the server itself: canaries (``wire.can`` says what the model can do; they are kept in
``canaries``), files and batches, whose lines are answered by ``respond``.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loopback import Action, Loopback, Seen, as_json
from wire_openai import CANARY, filled

USAGE = {
    "promptTokenCount": 900,
    "cachedContentTokenCount": 512,
    "candidatesTokenCount": 32,
    "thoughtsTokenCount": 8,
    "totalTokenCount": 940,
}
DECISION_USAGE = {"total_input_tokens": 900, "total_cached_tokens": 512, "total_output_tokens": 2}


def camel(value: Any) -> Any:
    """A body with its keys as Google's documentation writes them; the SDK leaves some in snake case.

    The server takes either, in ``responseJsonSchema`` and in the questions of a decision as they stand.
    """
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub(r"_([a-z])", lambda found: found[1].upper(), key): each for key, each in value.items()}
    return {key: each if key == "responseJsonSchema" else camel(each) for key, each in named.items()}


def system_of(seen: Seen) -> str:
    """The static text of a generate or decision request."""
    if seen.path.endswith("/decisions"):
        first = seen.body["input"][0]
        return str(first.get("text", ""))
    return "".join(part["text"] for part in (seen.body.get("systemInstruction") or {}).get("parts", []))


def parts_of(seen: Seen) -> list[dict[str, Any]]:
    (content,) = camel(seen.body)["contents"]
    parts: list[dict[str, Any]] = content["parts"]
    return parts


def images_of(seen: Seen) -> list[bytes]:
    """The images of a generate request, decoded, in order."""
    return [
        base64.urlsafe_b64decode(part["inlineData"]["data"])
        for part in parts_of(seen)
        if "inlineData" in part
    ]


def config_of(seen: Seen) -> dict[str, Any]:
    config: dict[str, Any] = camel(seen.body).get("generationConfig", {})
    return config


def candidate(
    text: str | None,
    *,
    finish: str | None = "STOP",
    tokens: Mapping[str, float] | None = None,
    thought: str = "",
    **fields: object,
) -> dict[str, Any]:
    """One candidate; without text it has no parts at all. ``tokens`` are probabilities of the first token."""
    made: dict[str, Any] = {"index": 0, "content": {"role": "model"}, **fields}
    if text is not None:
        parts = [{"text": thought, "thought": True}] if thought else []
        made["content"]["parts"] = [*parts, {"text": text}]
    if finish is not None:
        made["finishReason"] = finish
    if tokens is not None:
        listed = [
            {"token": token, "logProbability": math.log(share), "tokenId": number}
            for number, (token, share) in enumerate(sorted(tokens.items(), key=lambda item: -item[1]))
        ]
        made["logprobsResult"] = {"topCandidates": [{"candidates": listed}], "chosenCandidates": listed[:1]}
    return made


def response(*candidates: Mapping[str, Any], usage: object = USAGE, **fields: object) -> Action:
    """A ``GenerateContentResponse``. Zero counts and empty lists are left out, as Google's JSON does."""
    payload = {
        "candidates": list(candidates),
        "usageMetadata": usage,
        "modelVersion": "resolved-model",
        "responseId": "resp-1",
        **fields,
    }
    present = {name: value for name, value in payload.items() if value not in (None, [], {})}
    return as_json(present, x_gemini_service_tier="standard")


def answer(text: str | None = "", *, usage: object = USAGE, **about: Any) -> Action:
    """An answer with one candidate, as :func:`candidate` makes it."""
    return response(candidate(text, **about), usage=usage)


def blocked(reason: str) -> Action:
    """A prompt that was blocked: no candidates at all."""
    return response(promptFeedback={"blockReason": reason}, usage={"promptTokenCount": 900})


def decision(answers: Mapping[str, Mapping[str, Any]], *, usage: object = DECISION_USAGE) -> Action:
    return as_json({"answers": answers, "usage": usage}, x_request_id="req-1")


def failure(
    status: int, name: str, message: str = "it broke", *details: Mapping[str, Any], **headers: str
) -> Action:
    """An error in Google's shape; header names with ``_`` for ``-``."""
    error: dict[str, Any] = {"code": status, "message": message, "status": name}
    if details:
        error["details"] = list(details)
    return as_json({"error": error}, status, **headers)


def throttled(
    *, delay: str | None = None, quota: str = "GenerateRequestsPerMinutePerProjectPerModel", **headers: str
) -> Action:
    """A 429, with a RetryInfo where ``delay`` (such as ``17s``) is given."""
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}
    ]
    if delay:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    message = "You exceeded your current quota, please check your plan and billing details."
    return failure(429, "RESOURCE_EXHAUSTED", message, *details, **headers)


@dataclass
class Can:
    """What the model behind the server can do, as its canaries find out."""

    schema: bool = True
    json: bool = True
    images: int = 9
    logprobs: int = 20
    temperature: bool = True
    seed: bool = True
    efforts: tuple[str, ...] = ("low", "high")
    decisions: bool = False


class Wire(Loopback):
    """The server. ``batch_states`` is what a batch goes through, look by look."""

    def __init__(self, respond: Callable[[Seen], Action] | None = None, *, latency: float = 0.0) -> None:
        super().__init__(self._react)
        self.respond = respond or fill
        self.latency = latency
        self.can = Can()
        self.requests: list[Seen] = []
        self.canaries: list[Seen] = []
        self.batch_states: deque[str] = deque(["BATCH_STATE_SUCCEEDED"])
        self.files: dict[str, bytes] = {}
        self._batches: dict[str, dict[str, Any]] = {}
        self._script: deque[Action] = deque()

    def script(self, *actions: Action) -> None:
        """The next answers, in order; after them ``respond`` has the word again."""
        self._script.extend(actions)

    def _react(self, seen: Seen) -> Action:
        if seen.path.startswith("/upload/v1beta/files"):
            return self._upload(seen)
        if seen.path.endswith(":batchGenerateContent"):
            return self._submit(seen)
        if seen.method == "GET":
            return self._file(seen) if seen.path.endswith(":download") else self._batch(seen)
        if CANARY in system_of(seen):
            self.canaries.append(seen)
            return self._canary(seen)
        self.requests.append(seen)
        action = self._script.popleft() if self._script else self.respond(seen)
        return action.after(self.latency) if self.latency and not action.delay else action

    def _canary(self, seen: Seen) -> Action:
        can = self.can
        if seen.path.endswith("/decisions"):
            if not can.decisions:
                return failure(400, "INVALID_ARGUMENT", "This model does not decide.")
            return decision({"q": {"type": "noul", "noul": 0.9, "confidence": 0.9}})
        config = config_of(seen)
        level = (config.get("thinkingConfig") or {}).get("thinkingLevel")
        unable = {
            "too many images": len(images_of(seen)) > can.images,
            "Logprobs is not supported": config.get("logprobs", 0) > can.logprobs,
            "temperature is not supported": "temperature" in config and not can.temperature,
            "seed is not supported": "seed" in config and not can.seed,
            "JSON mode is not enabled": "responseMimeType" in config and not can.json,
            "this thinking level is not supported": level is not None and level.lower() not in can.efforts,
        }
        for message, wrong in unable.items():
            if wrong:
                return failure(400, "INVALID_ARGUMENT", message)
        text = "teal"
        if "responseMimeType" in config:
            schema = config.get("responseJsonSchema")
            text = json.dumps(filled(schema)) if schema and can.schema else '{"colour": "teal"}'
        return answer(text, tokens={"Yes": 0.9, "No": 0.1} if config.get("responseLogprobs") else None)

    def _upload(self, seen: Seen) -> Action:
        command = seen.headers.get("x-goog-upload-command", "")
        if command == "start":
            name = f"files/{len(self.files) + 1}"
            self.files[name] = b""
            return as_json({}, x_goog_upload_url=f"https://elsewhere.example{seen.path}/{name}")
        name = "/".join(seen.path.split("/")[-2:])
        self.files[name] += seen.raw
        if "finalize" not in command:
            return as_json({}, x_goog_upload_status="active")
        about = {"name": name, "mimeType": "application/jsonl", "state": "ACTIVE"}
        return as_json({"file": about}, x_goog_upload_status="final")

    def _submit(self, seen: Seen) -> Action:
        name = f"batches/{len(self._batches) + 1}"
        self._batches[name] = seen.body["batch"]
        return as_json({"name": name, "metadata": {"state": "BATCH_STATE_PENDING"}})

    def _batch(self, seen: Seen) -> Action:
        name = "/".join(seen.path.split("/")[-2:])
        if name not in self._batches:
            return failure(404, "NOT_FOUND", f"No batch {name}")
        state = self.batch_states.popleft() if len(self.batch_states) > 1 else self.batch_states[0]
        about: dict[str, Any] = {"state": state, "model": "models/resolved-model"}
        if state.endswith(("SUCCEEDED", "EXPIRED")):
            finished = state == "BATCH_STATE_SUCCEEDED"
            asked = self._batches[name]["inputConfig"]["fileName"]
            about["output"] = {"responsesFile": self._answer_lines(asked, finished=finished)}
        return as_json({"name": name, "metadata": about, "done": "output" in about})

    def _answer_lines(self, file: str, *, finished: bool) -> str:
        answers = []
        lines = [json.loads(line) for line in self.files[file].splitlines()]
        for number, line in enumerate(lines):
            entry: dict[str, Any] = {"key": line["key"]}
            if not finished and number == len(lines) - 1:
                # What had no time left is told in gRPC's codes.
                entry["error"] = {"code": 4, "message": "The batch expired."}
            else:
                raw = json.dumps(line["request"]).encode()
                seen = Seen("POST", "/v1beta/models/resolved-model:generateContent", {}, raw, 0.0)
                action = self._script.popleft() if self._script else self.respond(seen)
                payload = json.loads(action.body)
                entry |= {"response": payload} if action.status < 400 else {"error": payload["error"]}
            answers.append(entry)
        name = f"{file}-answers"
        # Another order than asked for: nothing but the key is relied on.
        self.files[name] = b"".join(json.dumps(each).encode() + b"\n" for each in answers[::-1])
        return name

    def _file(self, seen: Seen) -> Action:
        name = "/".join(seen.path.removesuffix(":download").split("/")[-2:])
        return Action(200, self.files[name], {"content-type": "application/octet-stream"})


def fill(seen: Seen) -> Action:
    """An answer that follows what was asked for: the schema's least value, or Yes where words are scored."""
    if seen.path.endswith("/decisions"):
        return decision(
            {
                identifier: {"type": "noul", "noul": 0.75, "confidence": 0.75}
                if question["type"] == "noul"
                else {
                    "type": "choice",
                    "choice": next(iter(question["criteria"])),
                    "confidence": 1 / len(question["criteria"]),
                    "probabilities": dict.fromkeys(question["criteria"], 1 / len(question["criteria"])),
                }
                for identifier, question in seen.body["questions"].items()
            }
        )
    config = config_of(seen)
    schema = config.get("responseJsonSchema")
    text = json.dumps(filled(schema)) if schema else "Yes"
    return answer(text, tokens={"Yes": 0.9, "No": 0.1} if config.get("responseLogprobs") else None)
