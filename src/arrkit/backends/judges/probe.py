"""Asking a model what it can do, with a few tiny requests.

Each question is a request that only succeeds, or is only answered in a certain way, where the model can do
the thing. What is refused as wrong is what it cannot do; anything else (a wrong key, no connection, no
credit) says nothing of the model and ends the asking.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from arrkit.canonical import Json
from arrkit.judge.transport import (
    ErrorKind,
    GenerateRequest,
    ImagePart,
    ModelProfile,
    Reply,
    Sampling,
    TextPart,
    TransportError,
)

Ask = Callable[[GenerateRequest, ModelProfile], Awaitable[Reply]]
"""Send a request to a model that is believed to have a profile."""

_SYSTEM = "You name colours. This is a check of the connection."
# Words that no model writes by itself: an answer that has them was held to the schema.
_SWATCHES = ("rust-2", "teal-7")
_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"swatch": {"type": "string", "enum": list(_SWATCHES)}},
    "required": ["swatch"],
    "additionalProperties": False,
}
_ROOM = 1024
_LITTLE = 16
# The most that arrkit ever shows: eight candidates and a source; then what servers are limited to.
_IMAGES = (9, 4, 3, 2)
_NOT_THE_MODEL = frozenset({401, 403, 404})


async def probe(ask: Ask, unknown: Collection[str], known: ModelProfile) -> ModelProfile:
    """``known`` with its ``unknown`` fields (of :data:`~arrkit.backends.judges.profiles.PROBED`) found out.

    Raises ``TransportError`` where the model cannot be reached, or takes no image at all.
    """
    found = replace(known, known="probe")
    if "structured" in unknown:
        found = replace(found, structured=await _structured(ask))
    if "images" in unknown:
        found = replace(found, images=await _images(ask))
    if "logprobs" in unknown:
        found = await _logprobs(ask, found)
    if "temperature" in unknown or "seed" in unknown:
        temperature = await _takes(ask, found, Sampling(temperature=0.0, max_output_tokens=_LITTLE))
        seed = await _takes(ask, found, Sampling(seed=1, max_output_tokens=_LITTLE))
        found = replace(
            found,
            temperature=temperature if "temperature" in unknown else found.temperature,
            seed=seed if "seed" in unknown else found.seed,
        )
    return found


async def _structured(ask: Ask) -> str:
    request = _question(1, "Which swatch is this? Answer in JSON.", Sampling(max_output_tokens=_ROOM))
    request = replace(request, schema=_SCHEMA, schema_name="swatch")
    last: TransportError | None = None
    for dialect in ("schema", "json", "none"):
        try:
            reply = await ask(request, ModelProfile(structured=dialect))
        except TransportError as error:
            last = _cannot(error)
            continue
        try:
            answer = json.loads(reply.text)
        except ValueError:
            answer = None
        if dialect == "schema" and not (isinstance(answer, dict) and answer.get("swatch") in _SWATCHES):
            continue
        if dialect == "json" and not isinstance(answer, dict):
            continue
        return dialect
    # Even the plainest request with one image was refused: whatever it is, it is not the schema.
    raise last or TransportError(ErrorKind.REJECTED, "the model answers no request that holds an image")


async def _images(ask: Ask) -> int:
    for number in _IMAGES:
        request = _question(number, "How many pictures are there?", Sampling(max_output_tokens=_LITTLE))
        if await _succeeds(ask, request, ModelProfile(images=number)):
            return number
    return 1


async def _logprobs(ask: Ask, found: ModelProfile) -> ModelProfile:
    request = replace(
        _question(0, "Is grass green? Answer Yes or No.", Sampling(max_output_tokens=1)), labels=("Yes", "No")
    )
    efforts = [found.effort] if found.effort else [(), ("none",)]
    for effort in efforts:
        for number in (20, 5):
            trial = replace(found, logprobs=number, effort=effort)
            if await _succeeds(ask, request, trial):
                return trial
    return replace(found, logprobs=0)


async def _takes(ask: Ask, found: ModelProfile, sampling: Sampling) -> bool:
    trial = replace(found, temperature=True, seed=True)
    return await _succeeds(ask, _question(0, "Name a colour.", sampling), trial)


async def _succeeds(ask: Ask, request: GenerateRequest, profile: ModelProfile) -> bool:
    try:
        await ask(request, profile)
    except TransportError as error:
        _cannot(error)
        return False
    return True


def _cannot(error: TransportError) -> TransportError:
    """``error`` where it says that the model cannot do what was asked; raised where it says otherwise."""
    if error.kind in (ErrorKind.REJECTED, ErrorKind.TOO_LARGE) and error.status not in _NOT_THE_MODEL:
        return error
    raise error


def _question(images: int, text: str, sampling: Sampling) -> GenerateRequest:
    return GenerateRequest(_SYSTEM, (*[_swatch()] * images, TextPart(text)), sampling=sampling)


def _swatch(side: int = 64) -> ImagePart:
    """A teal square as PNG, of the least size that every vision tower takes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x00\x80\x80" * side) * side
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return ImagePart(data, "image/png", side, side)
