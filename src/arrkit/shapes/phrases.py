"""Objects named in plain English: "exactly three red circles", "the star is left of the blue square"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from arrkit.shapes.checks import Check
from arrkit.shapes.scene import Colour, Shape, Side

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
_WORDS = {word: number for number, word in enumerate(_NUMBERS)} | {str(n): n for n in range(9)}
_WORDS |= {"a": 1, "an": 1, "single": 1, "pair of": 2, "no": 0}

_SHAPE_WORDS = {str(shape): shape for shape in Shape} | {
    "disc": Shape.CIRCLE,
    "disk": Shape.CIRCLE,
    "ball": Shape.CIRCLE,
    "box": Shape.SQUARE,
}
_COLOUR_WORDS = {str(colour): colour for colour in Colour} | {"violet": Colour.PURPLE}

_ANY_NUMBER, _ANY_COLOUR, _ANY_SHAPE = "|".join(_WORDS), "|".join(_COLOUR_WORDS), "|".join(_SHAPE_WORDS)
_PHRASE = re.compile(
    rf"\b(?:(?P<exact>exactly|only|just|precisely) )?(?:the )?(?:(?P<number>{_ANY_NUMBER}) )?"
    rf"(?:(?:\w+ly )?(?P<colour>{_ANY_COLOUR}) )?(?P<shape>{_ANY_SHAPE})(?:s|es)?\b"
)
_COLOUR = re.compile(rf"\b(?P<colour>{_ANY_COLOUR})\b")
_RELATION = re.compile(
    r"\b(?:(?P<left>(?:to the |on the )?left (?:side )?of)|(?P<right>(?:to the |on the )?right (?:side )?of)"
    r"|(?P<above>above|over|on top of|higher than)|(?P<below>below|under|underneath|beneath|lower than))\b"
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Some objects: how many of which colour and shape. None is "not said"."""

    shape: Shape
    colour: Colour | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement names; ``side`` says where the first object lies as seen from the second."""

    phrases: tuple[Phrase, ...]
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A subject and the kind of question a statement puts to it."""

    check: Check
    subject: Subject


def find_named(text: str) -> Named | None:
    """What ``text`` (lower case) names, or None where it names no shape.

    A relation between two objects outweighs a number, a number outweighs a colour.
    """
    matches = list(_PHRASE.finditer(text))
    if not matches:
        return None
    phrases = tuple(
        Phrase(
            _SHAPE_WORDS[match["shape"]],
            _COLOUR_WORDS.get(match["colour"] or ""),
            _WORDS[match["number"]] if match["number"] else 1 if match["exact"] else None,
        )
        for match in matches
    )
    relation = _RELATION.search(text, matches[0].end())
    if relation is not None and len(phrases) > 1 and relation.end() <= matches[-1].start() + 1:
        before = sum(match.end() <= relation.start() for match in matches)
        pair = (phrases[before - 1], phrases[before])
        return Named(Check.RELATION, Subject(pair, Side(str(relation.lastgroup))))
    counted = any(
        match["exact"] or (match["number"] and match["number"] not in ("a", "an")) for match in matches
    )
    if counted:
        return Named(Check.COUNT, Subject(phrases))
    if len(phrases) == 1 and phrases[0].colour is None:
        # "the circle is red": the colour stands after the shape.
        colour = _COLOUR.search(text, matches[0].end())
        if colour is not None:
            phrase = Phrase(phrases[0].shape, _COLOUR_WORDS[colour["colour"]], phrases[0].number)
            return Named(Check.COLOUR, Subject((phrase,)))
    coloured = sum(phrase.colour is not None for phrase in phrases)
    if coloured > 1:
        return Named(Check.BINDING, Subject(phrases))
    return Named(Check.COLOUR if coloured else Check.OBJECTS, Subject(phrases))
