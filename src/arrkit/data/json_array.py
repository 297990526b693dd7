"""The elements of a JSON array that arrives in pieces, one at a time.

The interpreter's own decoder reads an element where it stands in the buffer, which is nearly all of them.
Where that fails (the element goes on in the next piece, or is not JSON) its end is looked for by counting
quotes and brackets, so that an element that is not JSON does not spoil the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

_TOP = re.compile(r'["\[\]{},:]')
_NESTED = re.compile(r'["\[\]{}]')
_STRING = re.compile(r'["\\]')
_BETWEEN = re.compile(r"[ \t\r\n]*([,\]])[ \t\r\n]*")
_GAP = re.compile(r"[ \t\r\n]*")
_SPACE = " \t\r\n"

_IN_ARRAY, _NAME, _IN_OBJECT = ",]", ":}", ",}"  # where an element, a member's name and its value end

Decode = Callable[[str, int], tuple[object, int]]
"""As :meth:`json.JSONDecoder.raw_decode`: the value that begins at a place, and where it ends."""


class NotAnArray(Exception):
    """The text is not the one array that it should be: from ``line`` on nothing can be read."""

    def __init__(self, line: int, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.line, self.what, self.hint = line, what, hint


class ArrayText:
    """A JSON array in pieces of text; with ``key``, the array under that key of an object.

    No element may be longer than ``limit`` characters. Lines count from 1.
    """

    def __init__(self, chunks: Iterable[str], limit: int, key: str = "") -> None:
        self.chunks = iter(chunks)
        self.limit = limit
        self.key = key
        self.buffer = ""
        self.at = 0
        self.line = 1  # of the character at `at`

    def elements(self, decode: Decode) -> Iterator[tuple[int, object, str | None]]:
        """Each element as (line, value, None), or where ``decode`` cannot read it as (line, None, text).

        The text is that between two commas of the array, whatever it is; the line is that of the element's
        first character. ``decode`` may fail with any error of a JSON decoder. Raises :class:`NotAnArray`.
        """
        if not self.opening():
            return
        sign, first = ",", True
        while sign == ",":
            buffer, at = self.buffer, self.at
            try:
                value, end = decode(buffer, at)
                between = _BETWEEN.match(buffer, end)
            except (ValueError, RecursionError):
                between = None
            if between is None:
                line, text, sign = self.element(_IN_ARRAY)
                if text or sign == "," or not first:
                    yield line, None, text
                self.skip()
            else:
                line = self.line
                self.at = between.end()
                self.line += buffer.count("\n", at, self.at)
                sign = between[1]
                yield line, value, None
            first = False
        if self.key:
            self.rest_of_object()
        if self.peek():
            raise NotAnArray(self.line, "there is more behind the closing bracket of the array")

    def opening(self) -> bool:
        """Go behind the array's bracket; whether there is any text at all."""
        sign = self.peek()
        if not sign:
            return False
        if self.key:
            self.find_key()
        elif sign != "[":
            hint = "For one object on each line, name the file .jsonl." if sign == "{" else ""
            raise NotAnArray(self.line, "a JSON file must hold one array of rows", hint)
        self.at += 1
        self.peek()
        return True

    def find_key(self) -> None:
        """Go to the bracket of the array under the key, past the members that stand before it."""
        line = self.line
        sign = "," if self.peek() == "{" else ""
        self.at += 1
        while sign == ",":
            line, name, sign = self.element(_NAME)
            if name == f'"{self.key}"' and sign == ":" and self.peek() == "[":
                return
            if sign == ":":
                _, _, sign = self.element(_IN_OBJECT)
        raise NotAnArray(line, f'the file must hold an object with an array "{self.key}"')

    def rest_of_object(self) -> None:
        sign = self.peek()
        if sign not in (",", "}"):
            raise NotAnArray(self.line, "the object around the array is not closed")
        self.at += 1
        while sign == ",":
            _, _, sign = self.element(_IN_OBJECT)

    def element(self, ends: str) -> tuple[int, str, str]:
        """The text up to the next of the two signs ``ends`` at this depth: its line, itself, and the sign."""
        pieces: list[str] = []
        depth = 0
        in_string = escaped = False
        while True:
            buffer, at = self.buffer, self.at
            while at < len(buffer):
                if escaped:
                    escaped = False
                    at += 1
                    continue
                pattern = _STRING if in_string else _TOP if depth == 0 else _NESTED
                match = pattern.search(buffer, at)
                if match is None:
                    break
                at = match.end()
                sign = match[0]
                if sign == '"':
                    in_string = not in_string
                elif sign == "\\":
                    escaped = True
                elif sign in "[{":
                    depth += 1
                elif depth > 0:
                    depth -= 1
                elif sign in ends:
                    line, text = self.taken(pieces, buffer[self.at : match.start()])
                    self.at = at
                    return line, text, sign
            pieces.append(buffer[self.at :])
            if not self.more():
                line, _ = self.taken(pieces, "")
                name = "array" if ends == _IN_ARRAY else "object"
                what = "a string is not closed" if in_string else f"the {name} is not closed"
                raise NotAnArray(line, f"the file ends in the middle of a row: {what}")
            if sum(map(len, pieces)) > self.limit:
                self.too_long()

    def taken(self, pieces: list[str], last: str) -> tuple[int, str]:
        """The gathered text without the space around it, and the line where it begins."""
        text = "".join([*pieces, last])
        if len(text) > self.limit:
            self.too_long()
        bare = text.lstrip(_SPACE)
        line = self.line + text.count("\n", 0, len(text) - len(bare))
        self.line += text.count("\n")
        return line, bare.rstrip(_SPACE)

    def too_long(self) -> None:
        raise NotAnArray(self.line, f"the row is longer than {self.limit // 2**20} Mi characters")

    def peek(self) -> str:
        """The next character that is not space, which the place goes to; empty at the end."""
        self.skip()
        while self.at == len(self.buffer):
            if not self.more():
                return ""
            self.skip()
        return self.buffer[self.at]

    def skip(self) -> None:
        """Pass the space that stands here in the buffer."""
        gap = _GAP.match(self.buffer, self.at)
        end = gap.end() if gap else self.at
        self.line += self.buffer.count("\n", self.at, end)
        self.at = end

    def more(self) -> bool:
        """Put the next piece in the place of the one that has been read; False at the end."""
        self.buffer, self.at = next(filter(None, self.chunks), ""), 0
        return bool(self.buffer)
