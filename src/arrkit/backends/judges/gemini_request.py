"""Requests in Gemini's terms. Pure.

``generateContent`` takes the static text as system instruction and the parts in order as one user turn, with
images inline; ``decisions`` takes the same parts in another shape. A line of a batch file is derived from
what a live request would send, so that both ask the same.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from google.genai import types

from arrkit.backends.judges.reading import table, words
from arrkit.canonical import Json
from arrkit.judge.transport import (
    DecideRequest,
    GenerateRequest,
    ImagePart,
    ModelProfile,
    Part,
    Question,
    Sampling,
)

# What response_json_schema lists; anything else is an error or, worse, silently dropped.
_KEYWORDS = frozenset(
    {
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
    }
    | {"minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties"}
    | {"required", "propertyOrdering"}
)
# Their values map names of the user's choosing to schemas, so their keys are no keywords.
_NAMED = frozenset({"properties", "$defs"})

# Pictures to be judged may show what a chat would not. OFF filters less than BLOCK_NONE; what is prohibited
# altogether is blocked all the same.
_SAFETY = [
    types.SafetySetting(category=category, threshold=types.HarmBlockThreshold.OFF)
    for category in (
        types.HarmCategory.HARM_CATEGORY_HARASSMENT,
        types.HarmCategory.HARM_CATEGORY_HATE_SPEECH,
        types.HarmCategory.HARM_CATEGORY_SEXUALLY_EXPLICIT,
        types.HarmCategory.HARM_CATEGORY_DANGEROUS_CONTENT,
    )
]

# Tokens of thought for models that take a budget and no level, as Google maps OpenAI's words to them.
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}

# In a request's body these stand beside generationConfig, everything else within it.
_BESIDE = frozenset({"systemInstruction", "safetySettings"})
_SDK_ONLY = frozenset({"automaticContinuation", "automaticFunctionCalling", "shouldReturnHttpResponse"})


def dialect(schema: Json) -> Json:
    """``schema`` with only the keywords that Gemini lists. ``const`` becomes an ``enum`` of one."""
    if isinstance(schema, list | tuple):
        return [dialect(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept: dict[str, Json] = {}
    for keyword, value in schema.items():
        if keyword in _NAMED:
            kept[keyword] = {name: dialect(each) for name, each in table(value).items()}
        elif keyword in ("enum", "required"):
            kept[keyword] = value
        elif keyword in _KEYWORDS:
            kept[keyword] = dialect(value)
        elif keyword == "const":
            kept["enum"] = [value]
    # A node that refers elsewhere may say nothing else.
    return {"$ref": kept["$ref"]} if "$ref" in kept else kept


def contents(parts: tuple[Part, ...], *, resolution: str = "") -> list[types.Content]:
    """The parts in order as one turn of the user; ``ultra_high`` resolution is asked for image by image."""
    # Only the highest resolution is not among those that hold for a whole request.
    level = types.PartMediaResolutionLevel.MEDIA_RESOLUTION_ULTRA_HIGH if resolution == "ultra_high" else None
    turn: list[types.Part] = []
    for part in parts:
        if isinstance(part, ImagePart):
            turn.append(types.Part.from_bytes(data=part.data, mime_type=part.mime, media_resolution=level))
        else:
            turn.append(types.Part(text=part.text))
    return [types.Content(role="user", parts=turn)]


def config(
    request: GenerateRequest,
    sampling: Sampling,
    profile: ModelProfile,
    *,
    thinking: str = "",
    resolution: str = "",
) -> types.GenerateContentConfig:
    """Everything of ``request`` but its parts, drawn as ``sampling`` says.

    ``thinking`` is how the model is told its effort: ``level``, ``budget``, or not at all.
    """
    made = types.GenerateContentConfig(
        system_instruction=types.Content(parts=[types.Part(text=request.system)]) if request.system else None,
        max_output_tokens=1 if request.labels else sampling.max_output_tokens,
        temperature=sampling.temperature,
        seed=sampling.seed,
        safety_settings=_SAFETY,
        # The SDK would send on an unfinished answer, and look for functions to call, of its own accord.
        automatic_continuation=False,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        should_return_http_response=True,
    )
    if sampling.effort and thinking == "level":
        made.thinking_config = types.ThinkingConfig(
            thinking_level=types.ThinkingLevel("minimal" if sampling.effort == "none" else sampling.effort)
        )
    elif sampling.effort and thinking == "budget":
        made.thinking_config = types.ThinkingConfig(thinking_budget=_BUDGETS.get(sampling.effort, -1))
    if resolution in ("low", "medium", "high"):
        made.media_resolution = types.MediaResolution(f"MEDIA_RESOLUTION_{resolution.upper()}")
    if request.labels:
        made.response_logprobs = True
        made.logprobs = min(20, profile.logprobs or 20)
    elif request.schema is not None and profile.structured in ("schema", "json"):
        made.response_mime_type = "application/json"
        if profile.structured == "schema":
            made.response_json_schema = dialect(request.schema)
    return made


def batch_request(turns: list[types.Content], settings: types.GenerateContentConfig) -> dict[str, Json]:
    """The ``GenerateContentRequest`` of a batch file that asks what a live request with the same would."""
    fields: dict[str, Any] = settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    body: dict[str, Json] = {
        "contents": [turn.model_dump(mode="json", by_alias=True, exclude_none=True) for turn in turns]
    }
    body |= {name: value for name, value in fields.items() if name in _BESIDE}
    body["generationConfig"] = {
        name: value for name, value in fields.items() if name not in _BESIDE | _SDK_ONLY
    }
    return body


def decision_input(request: DecideRequest, *, resolution: str = "") -> list[dict[str, str]]:
    """The shared input of a decision request: the static text, then the parts in order."""
    blocks = [{"type": "text", "text": request.system}] if request.system else []
    for part in request.parts:
        if isinstance(part, ImagePart):
            image = {"type": "image", "data": b64encode(part.data).decode(), "mime_type": part.mime}
            blocks.append(image | ({"resolution": resolution} if resolution else {}))
        else:
            blocks.append({"type": "text", "text": part.text})
    return blocks


def decision_questions(questions: tuple[Question, ...]) -> dict[str, dict[str, Any]]:
    """Each question by its id: ``noul`` for yes or no, ``choice`` for one of the options."""
    return {
        question.id: {
            "type": "choice",
            "instructions": question.text,
            "criteria": {option: option for option in question.options},
        }
        if question.options
        else {"type": "noul", "instructions": question.text}
        for question in questions
    }


def model_path(model: str) -> str:
    """``models/NAME``, as the decision endpoint wants it."""
    return words(model) if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
