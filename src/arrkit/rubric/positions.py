"""Where in a JSON text each value stands, so that a problem can name its line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from arrkit.canonical import Json
from arrkit.errors import Problem

Pointer = tuple[str | int, ...]
"""The way from the top of a document to a value: keys and indices, empty for the top itself."""

DEEPEST = 100
"""No artifact nests deeper; what does would only exhaust the stack of whoever checks it."""

_SIGN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\n', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Positions:
    """The line (from 1) of every value: of its key where it is an object's member, else of its first sign.

    ``repeated`` lists each key that stands again in its object: its pointer, its line, its first line.
    """

    lines: Mapping[Pointer, int] = field(default_factory=dict)
    repeated: tuple[tuple[Pointer, int, int], ...] = ()

    def line(self, pointer: Sequence[str | int]) -> int:
        """The line of the value at ``pointer``, or of the nearest enclosing value that has one."""
        way = tuple(pointer)
        while way and way not in self.lines:
            way = way[:-1]
        return self.lines.get(way, 1)


def find_positions(text: str) -> Positions:
    """Go once through ``text``, which must be well-formed JSON."""
    lines: dict[Pointer, int] = {}
    repeated: list[tuple[Pointer, int, int]] = []
    line = 1
    # One entry for each open object (a str, the key now being read) or array (an int, the index).
    way: list[str | int] = []
    expects_key = False
    for sign in _SIGN.findall(text):
        if sign == "\n":
            line += 1
        elif sign in "{[":
            lines.setdefault(tuple(way), line)
            expects_key = sign == "{"
            way.append("" if expects_key else 0)
        elif sign in "}]":
            way.pop()
            expects_key = False
        elif sign == ",":
            last = way[-1]
            if isinstance(last, int):
                way[-1] = last + 1
            else:
                expects_key = True
        elif sign == ":":
            expects_key = False
        elif expects_key:
            way[-1] = json.loads(sign)
            pointer = tuple(way)
            if pointer in lines:
                repeated.append((pointer, line, lines[pointer]))
            lines[pointer] = line
        else:
            lines.setdefault(tuple(way), line)
    return Positions(lines, tuple(repeated))


def parse_json(text: str, name: str) -> tuple[Json, Positions, list[Problem]]:
    """Read a JSON text strictly; problems carry ``name:line``.

    Beside malformed JSON, a repeated key, a number that is no finite float and half a surrogate pair are
    problems: the first would be dropped without a word, the others have no canonical form. After a problem
    the value may be None.
    """
    try:
        value: Json = json.loads(text)
        positions = find_positions(text)
        if any(len(pointer) > DEEPEST for pointer in positions.lines):
            raise RecursionError
        unusable = list(_unusable(value, ()))
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        return None, Positions(), [Problem(what, f"{name}:{error.lineno}")]
    except RecursionError:
        return None, Positions(), [Problem("not usable: nested too deeply", name)]
    except ValueError as error:  # an integer of more digits than Python reads
        return None, Positions(), [Problem(f"not usable: {error}", name)]
    problems = [
        Problem(f"key {json.dumps(pointer[-1])} stands twice, first on line {first}", f"{name}:{line}")
        for pointer, line, first in positions.repeated
    ]
    problems += [Problem(what, f"{name}:{positions.line(pointer)}") for pointer, what in unusable]
    return value, positions, problems


def _unusable(value: Json, way: Pointer) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, str):
        if re.search("[\ud800-\udfff]", value):
            yield way, "text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"
    elif isinstance(value, int | float):
        if not abs(value) <= sys.float_info.max:
            yield way, "the number is too large or not finite"
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _unusable(key, (*way, key))
            yield from _unusable(member, (*way, key))
    elif isinstance(value, Sequence):
        for index, member in enumerate(value):
            yield from _unusable(member, (*way, index))
