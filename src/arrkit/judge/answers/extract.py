"""The one JSON object in an answer, whatever stands around it.

Endpoints that enforce a schema send a bare object, others put it into a fence or between sentences, and
some do so although they were asked not to. What is ambiguous is refused, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from jsonschema import Draft202012Validator

from arrkit.canonical import Json
from arrkit.judge.answers.fits import fits

JsonObject = Mapping[str, Json]

MOST_ERRORS = 3
"""How many schema errors a message names; the rest follows from the first ones more often than not."""

# What a model without a reasoning parser thinks before it answers may hold drafts of the answer.
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_OPENING = re.compile(r'\{\s*(?:"|\})')


class Unreadable(Exception):
    """An answer cannot be used; the message tells the model (and a person) why, in a few sentences."""


def spoken(text: str) -> str:
    """An answer without what its model thought aloud before it."""
    return _THOUGHTS.sub("", text).strip()


def read_json(text: str, schema: JsonObject) -> JsonObject:
    """The object in ``text``, valid under ``schema``. Raises :class:`Unreadable`."""
    found = extract_object(text)
    if fits(found, schema):
        return found
    errors = sorted(
        Draft202012Validator(schema).iter_errors(found), key=lambda error: [str(key) for key in error.path]
    )
    if errors:
        named = [f"{_path(error.absolute_path)}: {_shortened(error.message)}" for error in errors]
        more = f" (and {len(named) - MOST_ERRORS} more)" if len(named) > MOST_ERRORS else ""
        raise Unreadable("; ".join(named[:MOST_ERRORS]) + more)
    return found


def extract_object(text: str) -> JsonObject:
    """The JSON object that ``text`` is, or the only one in the prose or fence around it.

    Raises :class:`Unreadable` where there is none, where it is cut or malformed, where a key or the whole
    object stands twice with different values, or where the text is JSON but no object.
    """
    text = spoken(text)
    if not text:
        raise Unreadable("the answer is empty")
    try:
        whole = _DECODER.decode(text)
    except json.JSONDecodeError:
        pass
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    else:
        if not isinstance(whole, dict):
            raise Unreadable("the answer must be a JSON object")
        return whole
    found: list[JsonObject] = []
    place = 0
    while opening := _OPENING.search(text, place):
        try:
            value, place = _DECODER.raw_decode(text, opening.start())
        except json.JSONDecodeError as error:
            # Going on inside of it could take a part of a cut answer for the answer.
            raise Unreadable(f"the JSON breaks off or is malformed at character {error.pos}") from None
        except RecursionError:
            raise Unreadable("the JSON is nested too deeply") from None
        if value not in found:
            found.append(value)
    if not found:
        raise Unreadable("the answer holds no JSON object")
    if len(found) > 1:
        raise Unreadable(f"the answer holds {len(found)} different JSON objects")
    return found[0]


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    record: dict[str, Json] = {}
    for key, value in pairs:
        if key in record and record[key] != value:
            raise Unreadable(f'key "{key}" stands twice with different values')
        record[key] = value
    return record


def _no_constant(name: str) -> Json:
    raise Unreadable(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, strict=False)


def _path(keys: Iterable[str | int]) -> str:
    way = ".".join(str(key) for key in keys)
    return way or "the answer"


def _shortened(message: str, most: int = 200) -> str:
    return message if len(message) <= most else message[: most - 3] + "..."
