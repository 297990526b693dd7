"""Rows of JSON arrays, JSONL and YAML files, one at a time.

A reader holds one row in memory, whatever the size of the file, and knows the line where each begins. What it
cannot read it yields as a :class:`~arrkit.data.rows.BrokenRow` and goes on with the next row where it can.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from arrkit.data.rows import BrokenRow, Row

ROW_LIMIT = 256 * 2**20
"""The longest row, in bytes of JSONL or characters of a JSON array: room for images in data URLs, and an end
to a file with a quote left open."""

_CHUNK = 1 << 16
_TOP = re.compile(r'["\[\]{},]')
_NESTED = re.compile(r'["\[\]{}]')
_STRING = re.compile(r'["\\]')


def read_rows(path: Path) -> Iterator[Row | BrokenRow]:
    """The rows of a file: ``.jsonl`` by line, ``.yaml`` and ``.yml`` as YAML, all else as one JSON array.

    Raises ``OSError`` where the file cannot be opened.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        if suffix in (".jsonl", ".ndjson"):
            yield from read_jsonl(stream)
        elif suffix in (".yaml", ".yml"):
            from arrkit.data.yaml_rows import read_yaml

            yield from read_yaml(stream)
        else:
            yield from read_json(stream)


def read_jsonl(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """One JSON value a line; blank lines are passed over."""
    number = line = 0
    while raw := stream.readline(ROW_LIMIT):
        line += 1
        if line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if not raw.strip():
            continue
        number += 1
        if len(raw) == ROW_LIMIT and not raw.endswith(b"\n"):
            yield BrokenRow(number, line, f"the line is longer than {ROW_LIMIT // 2**20} MiB", last=True)
            return
        if number == 1 and (raw.strip() == b"[" or raw.lstrip().startswith(b"[{")):
            yield BrokenRow(
                number,
                line,
                "a JSONL file holds one object on each line, and this one begins an array",
                "Name a file that holds one JSON array .json.",
                last=True,
            )
            return
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            yield BrokenRow(number, line, _not_utf8(error))
            continue
        yield _parsed(text.rstrip("\r\n"), number, line)


def read_json(stream: IO[bytes], *, chunk: int = _CHUNK) -> Iterator[Row | BrokenRow]:
    """The elements of one JSON array, reading ``chunk`` bytes at a time."""
    number = 0
    line = 1
    try:
        for number, (line, text) in enumerate(iter_array(_texts(stream, chunk)), start=1):
            row = _parsed(text, number, line)
            yield row
    except _NoArrayError as error:
        yield BrokenRow(number + 1, error.line, error.what, error.hint, last=True)
    except UnicodeDecodeError as error:
        yield BrokenRow(number + 1, line, f"{_not_utf8(error)} in this row or after it", last=True)


class _NoArrayError(Exception):
    def __init__(self, line: int, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.line, self.what, self.hint = line, what, hint


def iter_array(chunks: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The elements of a JSON array that arrives in pieces, as (line, text).

    The text is that between two commas of the array, whatever it is: an element that is not JSON does not
    spoil the next. Lines count from 1 and are where the element's first character stands.
    """
    scanner = _ArrayScanner()
    for chunk in chunks:
        yield from scanner.feed(chunk)
    scanner.finish()


class _ArrayScanner:
    """Finds the commas of the outer array; strings are skipped, brackets within an element are counted."""

    def __init__(self) -> None:
        self.line = 1  # of the first character in `pieces`
        self.pieces: list[str] = []
        self.size = 0
        self.depth = -1  # -1 before the array, 0 in it, -2 behind it
        self.in_string = self.escaped = False
        self.elements = 0

    def feed(self, chunk: str) -> Iterator[tuple[int, str]]:
        start = at = 0
        if self.depth == -1:
            at = start = self.opening(chunk)
        while self.depth >= 0 and at < len(chunk):
            if self.escaped:
                self.escaped = False
                at += 1
                continue
            pattern = _STRING if self.in_string else _TOP if self.depth == 0 else _NESTED
            match = pattern.search(chunk, at)
            if match is None:
                break
            at = match.end()
            sign = match[0]
            if sign == '"':
                self.in_string = not self.in_string
            elif sign == "\\":
                self.escaped = True
            elif sign in "[{":
                self.depth += 1
            elif self.depth > 0:
                self.depth -= 1
            elif sign != "}":  # a comma or the closing bracket of the array itself
                self.keep(chunk[start : match.start()])
                start = at
                yield from self.element(closing=sign == "]")
        if self.depth == -2:
            self.behind(chunk[start:])
        elif self.depth >= 0:
            self.keep(chunk[start:])

    def opening(self, chunk: str) -> int:
        """Where the array begins in the chunk; its length where it does not yet."""
        rest = chunk.lstrip(" \t\r\n")
        skipped = len(chunk) - len(rest)
        self.line += chunk.count("\n", 0, skipped)
        if not rest:
            return len(chunk)
        if rest[0] != "[":
            hint = "For one object on each line, name the file .jsonl." if rest[0] == "{" else ""
            raise _NoArrayError(self.line, "a JSON file must hold one array of rows", hint)
        self.depth = 0
        return skipped + 1

    def keep(self, text: str) -> None:
        self.pieces.append(text)
        self.size += len(text)
        if self.size > ROW_LIMIT:
            raise _NoArrayError(self.line, f"the row is longer than {ROW_LIMIT // 2**20} Mi characters")

    def element(self, *, closing: bool) -> Iterator[tuple[int, str]]:
        text = "".join(self.pieces)
        bare = text.lstrip(" \t\r\n")
        line = self.line + text.count("\n", 0, len(text) - len(bare))
        self.line += text.count("\n")
        self.pieces.clear()
        self.size = 0
        if closing:
            self.depth = -2
        if bare or not closing or self.elements:
            self.elements += 1
            yield line, bare.rstrip(" \t\r\n")

    def behind(self, text: str) -> None:
        bare = text.lstrip(" \t\r\n")
        self.line += text.count("\n", 0, len(text) - len(bare))
        if bare:
            raise _NoArrayError(self.line, "there is more behind the closing bracket of the array")

    def finish(self) -> None:
        if self.depth >= 0:
            what = "a string is not closed" if self.in_string else "the array is not closed"
            text = "".join(self.pieces)
            line = self.line + text.count("\n", 0, len(text) - len(text.lstrip(" \t\r\n")))
            raise _NoArrayError(line, f"the file ends in the middle of a row: {what}")


def _texts(stream: IO[bytes], chunk: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    while data := stream.read(chunk):
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)


def _parsed(text: str, number: int, line: int) -> Row | BrokenRow:
    repeated: list[str] = []

    def gather(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    repeated.append(key)
                seen.add(key)
        return found

    try:
        value = json.loads(text, object_pairs_hook=gather)
    except json.JSONDecodeError as error:
        if not text:
            return BrokenRow(number, line, "a row is missing: there is a comma too many")
        at = line + error.lineno - 1
        return BrokenRow(
            number, at, f"not JSON: {error.msg.lower()} at column {error.colno}", _json_hint(text)
        )
    except RecursionError:
        return BrokenRow(number, line, "the row is nested too deeply")
    except ValueError:
        return BrokenRow(number, line, "a number in the row has too many digits")
    return Row(number, line, value, tuple(dict.fromkeys(repeated)))


def _json_hint(text: str) -> str:
    if text.startswith("{'"):
        return "JSON wants double quotes."
    return ""


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"the text is not UTF-8 (byte 0x{error.object[error.start]:02x})"
