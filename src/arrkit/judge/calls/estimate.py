"""How many tokens a request will come to, before it is sent. Estimates, corrected by what is measured.

Text is taken at :data:`CHARACTERS` characters a token, which suits English; Chinese, Japanese and Korean
characters count one token each. Images follow the rules in ``tokens.toml``.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from arrkit.judge.transport import DecideRequest, ImagePart, TextPart, TransportRequest

CHARACTERS = 4
"""Characters of text a token, roughly, in English."""

TYPICAL_OUTPUT = 400
"""Output tokens of a structured verdict with short reasons, roughly. Reasoning comes on top."""

MARGIN = 1.25
"""What an estimate of input tokens is multiplied by where it must be an upper bound."""

_WIDE = 0x2E80
"""The first character of the East Asian blocks of Unicode."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How an image becomes tokens; see ``tokens.toml``."""

    kind: str
    size: int = 32
    most: int | None = None
    factor: float = 1.0
    box: int = 0
    short: int = 0
    small: int = 0
    base: int = 0
    each: int = 0

    def tokens(self, width: int, height: int) -> int:
        """The tokens of an image of this many pixels."""
        if self.kind == "fixed":
            return self.each
        if self.kind == "tiles":
            if max(width, height) <= self.small:
                return self.each
            return self.each * _cells(width, height, self.size)
        if self.kind == "tile":
            scale = min(1.0, self.box / max(width, height))
            scale = min(scale, self.short / min(width, height))
            return self.base + self.each * _cells(width * scale, height * scale, self.size)
        cells = _cells(width, height, self.size)
        return math.ceil((cells if self.most is None else min(cells, self.most)) * self.factor)


def _cells(width: float, height: float, size: int) -> int:
    # A hair is taken off, or a side scaled to exactly 512 could round up to a second tile.
    return max(1, math.ceil(width / size - 1e-9)) * max(1, math.ceil(height / size - 1e-9))


@cache
def _rules() -> tuple[dict[str, Rule], dict[str, str], dict[str, str]]:
    table = tomllib.loads(Path(__file__).with_name("tokens.toml").read_text(encoding="utf-8"))
    return {name: Rule(**rule) for name, rule in table["rules"].items()}, table["models"], table["plugins"]


def image_rule(model: str, plugin: str = "") -> Rule:
    """The rule for a model by its exact name, else by its plug-in, else plain patches."""
    rules, models, plugins = _rules()
    return rules[models.get(model) or plugins.get(plugin) or "plain"]


def text_tokens(text: str) -> int:
    """The tokens of ``text``, estimated."""
    wide = 0 if text.isascii() else sum(character >= chr(_WIDE) for character in text)
    return wide + math.ceil((len(text) - wide) / CHARACTERS)


def input_tokens(request: TransportRequest, rule: Rule) -> int:
    """The input tokens of a request, estimated: system text, parts, and the schema or questions."""
    total = text_tokens(request.system)
    for part in request.parts:
        match part:
            case TextPart(text):
                total += text_tokens(text)
            case ImagePart():
                total += rule.tokens(part.width, part.height)
    if isinstance(request, DecideRequest):
        return total + sum(
            text_tokens(each.text) + sum(map(text_tokens, each.options)) for each in request.questions
        )
    if request.schema is not None:
        total += text_tokens(json.dumps(dict(request.schema)))
    return total


def output_tokens(request: TransportRequest) -> tuple[int, int]:
    """The output tokens of a request: what is typical, and the most there can be."""
    if isinstance(request, DecideRequest):
        return 0, 0
    if request.labels:
        return 1, request.sampling.max_output_tokens
    most = request.sampling.max_output_tokens
    return min(TYPICAL_OUTPUT, most), most


class Ratio:
    """How measured input tokens compare with the estimates, over the calls so far."""

    def __init__(self) -> None:
        self.calls = 0
        self.highest = 1.0
        self._estimated = 0
        self._measured = 0

    def add(self, estimated: int, measured: int | None) -> None:
        """One request's estimate, and what was reported for it."""
        if measured is None or estimated <= 0:
            return
        self.calls += 1
        self._estimated += estimated
        self._measured += measured
        self.highest = max(self.highest, measured / estimated)

    @property
    def mean(self) -> float:
        """Measured tokens for each estimated one; 1 while nothing was measured."""
        return self._measured / self._estimated if self._estimated and self._measured else 1.0

    @property
    def most(self) -> float:
        """What an estimate is multiplied by to bound the next request."""
        return self.highest * MARGIN
