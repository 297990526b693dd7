"""Editing instructions: six kinds, each about one object that its words name without doubt.

An instruction is written from a wording with blanks and read back by a pattern made of the same wording.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from enum import StrEnum

from arrkit.shapes.grammar import SIDES
from arrkit.shapes.layout import far, fitted, lies_to, place, with_thing
from arrkit.shapes.scene import MAX_THINGS, Background, Colour, Scene, Shape, Side, Thing


class EditKind(StrEnum):
    """What an instruction asks to be done."""

    RECOLOUR = "recolour"
    REMOVE = "remove"
    ADD = "add"
    REPLACE = "replace"
    MOVE = "move"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class Ref:
    """An object as words name it: "the red circle"."""

    colour: Colour
    shape: Shape

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"

    def find(self, scene: Scene) -> int | None:
        """The index of the one thing that is meant; None where there is none or more than one."""
        found = [
            i for i, each in enumerate(scene.things) if (each.colour, each.shape) == (self.colour, self.shape)
        ]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Edit:
    """One instruction.

    ``target`` is what is changed (None for add and background), ``new`` what comes instead or in addition,
    ``colour`` the new colour, ``side`` and ``anchor`` where to put it, ``background`` the new background.
    Fields that a kind does not need are None.
    """

    kind: EditKind
    target: Ref | None = None
    new: Ref | None = None
    colour: Colour | None = None
    side: Side | None = None
    anchor: Ref | None = None
    background: Background | None = None


_WORDINGS = {
    EditKind.RECOLOUR: (
        "make the {target} {colour}",
        "change the colour of the {target} to {colour}",
        "recolour the {target} {colour}",
    ),
    EditKind.REMOVE: ("remove the {target}", "delete the {target}", "take away the {target}"),
    EditKind.ADD: ("add {new}{where}", "put in {new}{where}", "draw {new}{where}"),
    EditKind.REPLACE: (
        "replace the {target} with {new}",
        "turn the {target} into {new}",
        "swap the {target} for {new}",
    ),
    EditKind.MOVE: ("move the {target}{where}", "shift the {target}{where}", "bring the {target}{where}"),
    EditKind.BACKGROUND: (
        "change the background to {background}",
        "make the background {background}",
        "put everything on a {background} background",
    ),
}


def instruction_for(edit: Edit, variant: int = 0) -> str:
    """The edit in words; each kind has three wordings, ``variant`` counts round them."""
    wordings = _WORDINGS[edit.kind]
    return wordings[variant % len(wordings)].format(
        target=edit.target,
        new=f"{'an' if edit.new.colour[0] in 'aeiou' else 'a'} {edit.new}" if edit.new else "",
        colour=edit.colour,
        where=f" {SIDES[edit.side]} the {edit.anchor}" if edit.side else "",
        background=edit.background,
    )


def _ref(name: str) -> str:
    """A pattern for "red circle" whose groups are called ``name`` and ``name_shape``."""
    return rf"(?P<{name}>{'|'.join(Colour)}) (?P<{name}_shape>{'|'.join(Shape)})"


def _pattern(kind: EditKind, wording: str) -> re.Pattern[str]:
    where = rf"(?: (?P<side>{'|'.join(SIDES.values())}) the {_ref('anchor')})"
    return re.compile(
        wording.format(
            target=_ref("target"),
            new=f"an? {_ref('new')}",
            colour=rf"(?P<colour>{'|'.join(Colour)})",
            where=f"{where}?" if kind is EditKind.ADD else where,
            background=rf"(?P<background>{'|'.join(Background)})",
        )
    )


_PATTERNS = [(kind, _pattern(kind, wording)) for kind, wordings in _WORDINGS.items() for wording in wordings]
_SIDE_OF = {words: side for side, words in SIDES.items()}


def parse_instruction(text: str) -> Edit | None:
    """The edit that an instruction of this grammar asks for, or None for any other text.

    Case, spaces, American spelling and a full stop at the end are as one likes.
    """
    words = " ".join(text.lower().split()).rstrip(".").replace("color", "colour")
    for kind, pattern in _PATTERNS:
        if match := pattern.fullmatch(words):
            edit = _read(kind, match.groupdict())
            # Nothing lies beside itself.
            return None if edit.target is not None and edit.target == edit.anchor else edit
    return None


def _read(kind: EditKind, found: dict[str, str | None]) -> Edit:
    def ref(name: str) -> Ref | None:
        colour, shape = found.get(name), found.get(f"{name}_shape")
        return Ref(Colour(colour), Shape(shape)) if colour and shape else None

    colour, side, background = found.get("colour"), found.get("side"), found.get("background")
    return Edit(
        kind,
        ref("target"),
        ref("new"),
        Colour(colour) if colour else None,
        _SIDE_OF[side] if side else None,
        ref("anchor"),
        Background(background) if background else None,
    )


def sample_edit(rng: random.Random, scene: Scene, kind: EditKind) -> Edit:
    """An edit of ``kind`` that changes ``scene``: two things or more, all of different looks."""
    refs = [Ref(each.colour, each.shape) for each in scene.things]
    target, anchor = rng.sample(refs, 2)
    if kind is EditKind.RECOLOUR:
        return Edit(kind, target, colour=_another_colour(rng, target, refs))
    if kind is EditKind.REMOVE:
        return Edit(kind, target)
    if kind is EditKind.ADD:
        where = (rng.choice(list(Side)), anchor) if rng.random() < 0.5 else (None, None)
        return Edit(kind, new=another(rng, refs), side=where[0], anchor=where[1])
    if kind is EditKind.REPLACE:
        return Edit(kind, target, another(rng, refs))
    if kind is EditKind.MOVE:
        here, there = (scene.things[refs.index(ref)] for ref in (target, anchor))
        # Of what is so already, nobody could say whether it was done.
        side = rng.choice([side for side in Side if not lies_to(here, side, there)])
        return Edit(kind, target, side=side, anchor=anchor)
    return Edit(kind, background=rng.choice([each for each in Background if each is not scene.background]))


def another(rng: random.Random, refs: list[Ref]) -> Ref:
    """An object that looks like none of ``refs``."""
    return rng.choice([ref for ref in (Ref(c, s) for c in Colour for s in Shape) if ref not in refs])


def _another_colour(rng: random.Random, target: Ref, refs: list[Ref]) -> Colour:
    return rng.choice([colour for colour in Colour if Ref(colour, target.shape) not in refs])


def apply(edit: Edit, scene: Scene, rng: random.Random) -> Scene | None:
    """The scene after the edit, or None where it cannot be carried out (nothing meant, no room).

    All that the instruction does not mention stays as it is. What it leaves open, such as where an added
    thing goes, is drawn; what is moved keeps its size and goes far enough to be seen to have moved.
    """
    if edit.kind is EditKind.BACKGROUND:
        return replace(scene, background=edit.background or scene.background)
    things = list(scene.things)
    if edit.kind is EditKind.ADD:
        new = _placed(edit, rng, things, scene, edit.new)
        return None if new is None else replace(scene, things=(*things, new))
    index = edit.target.find(scene) if edit.target else None
    if index is None:
        return None
    thing = things[index]
    others = things[:index] + things[index + 1 :]
    if edit.kind is EditKind.RECOLOUR and edit.colour:
        return with_thing(scene, index, replace(thing, colour=edit.colour))
    if edit.kind is EditKind.REMOVE:
        return with_thing(scene, index, None)
    if edit.kind is EditKind.REPLACE and edit.new:
        new = replace(thing, shape=edit.new.shape, colour=edit.new.colour)
        return with_thing(scene, index, fitted(new, others))
    for _ in range(4):
        moved = _placed(edit, rng, others, scene, edit.target, size=thing.size)
        if moved is not None and far(moved, thing):
            return with_thing(scene, index, moved)
    return None


def _placed(
    edit: Edit,
    rng: random.Random,
    others: list[Thing],
    scene: Scene,
    ref: Ref | None,
    size: float | None = None,
) -> Thing | None:
    if ref is None or len(others) >= MAX_THINGS:
        return None
    anchor = None
    if edit.anchor is not None:
        index = edit.anchor.find(scene)
        if index is None:
            return None
        anchor = scene.things[index]
    return place(
        rng,
        others,
        ref.shape,
        ref.colour,
        least=size or 0.18,
        most=size or 0.24,
        side=edit.side,
        anchor=anchor,
    )
