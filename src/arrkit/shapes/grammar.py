"""What can be asked of a picture: six families of prompts, as in GenEval (arXiv 2310.11513).

A prompt is a lead ("a photo of"), a body ("a red circle and a blue square") and, at times, a setting ("on a
mint background"). Every family holds over 200 prompts, so that some can be kept for testing. What is read
back is a little wider than what is written: groups may be mixed and colours left out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import permutations, product

from arrkit.shapes.scene import Background, Colour, Shape, Side

LEADS = ("", "a photo of ", "a picture of ", "an image of ", "a drawing of ", "an illustration of ")
NUMBERS = {2: "two", 3: "three", 4: "four"}
OPEN_SHARE = 0.5
"""The share of sampled prompts that leave the background open."""

SIDES = {
    Side.LEFT: "to the left of",
    Side.RIGHT: "to the right of",
    Side.ABOVE: "above",
    Side.BELOW: "below",
}


class Family(StrEnum):
    """The kinds of prompts."""

    SINGLE_OBJECT = "single_object"
    TWO_OBJECTS = "two_objects"
    COUNTING = "counting"
    COLOURS = "colours"
    POSITION = "position"
    ATTRIBUTION = "colour_attribution"


@dataclass(frozen=True, slots=True)
class Want:
    """A group of like objects: how many (1 to 4), of which shape, and of which colour (None: any)."""

    shape: Shape
    colour: Colour | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Wants:
    """What a prompt asks for.

    There are one or two groups, and nothing else is to be seen. ``side`` says where the first group's object
    lies as seen from the second's, None where that is not asked; ``background`` is None where any will do.
    """

    family: Family
    groups: tuple[Want, ...]
    side: Side | None = None
    background: Background | None = None


def prompt_for(wants: Wants, lead: str = "") -> str:
    """The prompt that asks for ``wants``, beginning with one of ``LEADS``."""
    names = [_name(want) for want in wants.groups]
    body = f" {SIDES[wants.side]} ".join(names) if wants.side else " and ".join(names)
    setting = f" on a {wants.background} background" if wants.background else ""
    return f"{lead}{body}{setting}"


def _name(want: Want) -> str:
    colour = f"{want.colour} " if want.colour else ""
    if want.count == 1:
        article = "an" if (colour or want.shape)[0] in "aeiou" else "a"
        return f"{article} {colour}{want.shape}"
    return f"{NUMBERS[want.count]} {colour}{want.shape}s"


@cache
def prompts(family: Family) -> tuple[str, ...]:
    """All prompts of a family, 216 (single objects) to 19,440 (attribution), always in the same order."""
    settings = (None, *Background)
    return tuple(
        prompt_for(Wants(family, groups, side, background), lead)
        for groups, side in _bodies(family)
        for lead, background in product(LEADS, settings)
    )


@cache
def _bodies(family: Family) -> tuple[tuple[tuple[Want, ...], Side | None], ...]:
    return tuple(_list_bodies(family))


def _list_bodies(family: Family) -> Iterator[tuple[tuple[Want, ...], Side | None]]:
    if family is Family.SINGLE_OBJECT:
        yield from (((Want(shape),), None) for shape in Shape)
    elif family is Family.TWO_OBJECTS:
        yield from (((Want(one), Want(two)), None) for one, two in permutations(Shape, 2))
    elif family is Family.COUNTING:
        yield from (((Want(shape, count=count),), None) for shape, count in product(Shape, NUMBERS))
    elif family is Family.COLOURS:
        yield from (((Want(shape, colour),), None) for shape, colour in product(Shape, Colour))
    elif family is Family.POSITION:
        pairs = product(permutations(Shape, 2), Side)
        yield from (((Want(one), Want(two)), side) for (one, two), side in pairs)
    else:
        coloured = product(permutations(Shape, 2), permutations(Colour, 2))
        yield from (((Want(a, red), Want(b, blue)), None) for (a, b), (red, blue) in coloured)


def sample_prompt(rng: random.Random, family: Family) -> str:
    """One of the prompts of ``family``; the share ``OPEN_SHARE`` leaves the background open."""
    groups, side = rng.choice(_bodies(family))
    background = None if rng.random() < OPEN_SHARE else rng.choice(list(Background))
    return prompt_for(Wants(family, groups, side, background), rng.choice(LEADS))


_NOUN = (
    r"(?:(?P<number{0}>an?|one|two|three|four) )?(?:(?P<colour{0}>{1}) )?(?P<shape{0}>{2})(?P<plural{0}>s)?"
)
_COLOURS, _SHAPES = "|".join(Colour), "|".join(Shape)
_JOIN = "|".join(["and", *SIDES.values()])
_PROMPT = re.compile(
    rf"(?:(?:an?|the) (?:photo|picture|image|drawing|illustration) of )?{_NOUN.format(1, _COLOURS, _SHAPES)}"
    rf"(?: (?P<join>{_JOIN}) {_NOUN.format(2, _COLOURS, _SHAPES)})?"
    rf"(?: on an? (?P<background>{'|'.join(Background)}) background)?\.?"
)
_COUNTS = {word: count for count, word in NUMBERS.items()}


def parse_prompt(text: str) -> Wants | None:
    """What a prompt of this grammar asks for, or None for any other text.

    Case, spaces, articles and a full stop at the end are as one likes; number and noun must agree.
    """
    match = _PROMPT.fullmatch(" ".join(text.lower().split()))
    if match is None:
        return None
    groups = [_want(match, index) for index in ("1", "2") if match[f"shape{index}"]]
    if any((want.count > 1) != bool(match[f"plural{index}"]) for index, want in enumerate(groups, start=1)):
        return None
    side = next((side for side, words in SIDES.items() if words == match["join"]), None)
    background = Background(match["background"]) if match["background"] else None
    return Wants(_family(groups, side), tuple(groups), side, background)


def _want(match: re.Match[str], index: str) -> Want:
    colour = match[f"colour{index}"]
    return Want(
        Shape(match[f"shape{index}"]),
        Colour(colour) if colour else None,
        _COUNTS.get(match[f"number{index}"] or "", 1),
    )


def _family(groups: list[Want], side: Side | None) -> Family:
    if side is not None:
        return Family.POSITION
    if len(groups) == 2:
        return Family.ATTRIBUTION if any(want.colour for want in groups) else Family.TWO_OBJECTS
    if groups[0].count > 1:
        return Family.COUNTING
    return Family.COLOURS if groups[0].colour else Family.SINGLE_OBJECT
