"""Rows of JSON arrays, JSONL and YAML files, one at a time.

A reader holds one row in memory, whatever the size of the file, and knows the line where each begins. What it
cannot read it yields as a :class:`~arrkit.data.rows.BrokenRow` and goes on with the next row where it can.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import IO, cast

from arrkit.data.files import Files
from arrkit.data.json_array import ArrayText, NotAnArray
from arrkit.data.rows import BrokenRow, Row

ROW_LIMIT = 256 * 2**20
"""The longest row, in bytes of JSONL or characters of a JSON array: room for images in data URLs, and an end
to a file with a quote left open."""

_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)  # what reading a damaged gzip file raises

_CHUNK = 1 << 16


def read_rows(path: Path) -> Iterator[Row | BrokenRow]:
    """The rows of a file: ``.jsonl`` by line, ``.yaml`` and ``.yml`` as YAML, all else as one JSON array.

    With ``.gz`` behind the suffix the file is unpacked while it is read. Raises ``OSError`` where the file
    cannot be opened.
    """
    with path.open("rb") as stream:
        yield from stream_rows(stream, path.name)


def rows_in(files: Files, path: str, *, key: str = "") -> Iterator[Row | BrokenRow]:
    """As :func:`read_rows`, of one of the files of a set; ``key`` as in :func:`read_json`."""
    with files.open(path) as stream:
        yield from stream_rows(stream, path, key=key)


def stream_rows(stream: IO[bytes], name: str, *, key: str = "") -> Iterator[Row | BrokenRow]:
    """The rows of an open file that is called ``name``."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    if suffixes[-1:] == [".gz"]:
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=stream))
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".jsonl", ".ndjson"):
        yield from read_jsonl(stream)
    elif suffix in (".yaml", ".yml"):
        from arrkit.data.yaml_rows import read_yaml

        yield from read_yaml(stream)
    else:
        yield from read_json(stream, key=key)


def read_jsonl(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """One JSON value a line; blank lines are passed over."""
    number = line = 0
    parser = _Parser()
    while True:
        try:
            raw = stream.readline(ROW_LIMIT)
        except _DAMAGED as error:
            yield _not_unpacked(error, number + 1, line + 1)
            return
        if not raw:
            return
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
        yield parser.row(text.rstrip("\r\n"), number, line)


def read_json(stream: IO[bytes], *, key: str = "", chunk: int = _CHUNK) -> Iterator[Row | BrokenRow]:
    """The elements of one JSON array, reading ``chunk`` bytes at a time.

    With ``key`` the file holds an object and the array stands under that key. As fast as :func:`json.load`,
    with one row in memory.
    """
    number, line = 0, 1
    parser = _Parser()
    repeated = parser.repeated
    try:
        text = ArrayText(_texts(stream, chunk), ROW_LIMIT, key)
        for number, (line, value, broken) in enumerate(text.elements(parser.decoder.raw_decode), start=1):
            if broken is None and not repeated:
                yield Row(number, line, value)
            elif broken is None:
                yield Row(number, line, value, parser.taken())
            else:
                yield parser.row(broken, number, line)
    except NotAnArray as error:
        yield BrokenRow(number + 1, error.line, error.what, error.hint, last=True)
    except UnicodeDecodeError as error:
        yield BrokenRow(number + 1, line, f"{_not_utf8(error)} in this row or after it", last=True)
    except _DAMAGED as error:
        yield _not_unpacked(error, number + 1, line)


def _texts(stream: IO[bytes], chunk: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    while data := stream.read(chunk):
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)


class _Parser:
    """A JSON decoder that notes keys that stand twice in an object."""

    def __init__(self) -> None:
        self.repeated: list[str] = []
        self.decoder = json.JSONDecoder(object_pairs_hook=self.gather)

    def gather(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self.repeated.append(key)
                seen.add(key)
        return found

    def taken(self) -> tuple[str, ...]:
        """The keys noted since the last call."""
        found = tuple(dict.fromkeys(self.repeated))
        self.repeated.clear()
        return found

    def row(self, text: str, number: int, line: int) -> Row | BrokenRow:
        self.repeated.clear()
        try:
            value = self.decoder.decode(text)
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
        return Row(number, line, value, self.taken() if self.repeated else ())


def _json_hint(text: str) -> str:
    if text.startswith("{'"):
        return "JSON wants double quotes."
    return ""


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"the text is not UTF-8 (byte 0x{error.object[error.start]:02x})"


def _not_unpacked(error: BaseException, number: int, line: int) -> BrokenRow:
    return BrokenRow(number, line, f"the file cannot be unpacked: {error}", last=True)
