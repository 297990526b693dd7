"""What goes wrong in rejected pictures: the flaws, what each costs, and how it is done to a scene.

A flaw takes a scene that is right and returns one that is wrong in just that way, or None where it does not
apply (a single object cannot be on the wrong side). The cost is what the flaw takes from the picture's
utility; the candidate with the greater utility is the one that people are said to prefer. The costs are
ours: what was asked and is wrong costs more than what looks broken, and that more than a wrong setting.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from arrkit.shapes.edits import Edit, EditKind, Ref, another, apply
from arrkit.shapes.grammar import Wants
from arrkit.shapes.layout import asked_things, far, fitted, place, with_thing
from arrkit.shapes.scene import (
    MAX_THINGS,
    RADIUS,
    Background,
    Colour,
    Scene,
    Shape,
    Slice,
    Smear,
    Texture,
    TextureKind,
    Thing,
)

SMEAR_LENGTH, SMEAR_MARGIN = 0.9, 0.05
"""How far a smear drags its thing, and how far beyond the thing it reaches, in diameters."""

CUT_SPREAD = 0.08
"""A cut passes the centroid of its thing at most so far off, in diameters: about half of it is gone."""

CENTROID = {Shape.TRIANGLE: 0.14, Shape.STAR: 0.05}
"""How far the centroid lies below the centre of the bounding box, in diameters; 0 for the other shapes."""

TEXTURE_STRENGTH = (0.05, 0.09)
"""How much darker a disturbed background gets at most; below about 0.03 people would not see it."""


@dataclass(frozen=True, slots=True)
class PromptFlaw:
    """A flaw of a generated picture.

    ``spoil(scene, wants, rng)`` does it to a scene that shows just what is wanted, its things in the order of
    :func:`~arrkit.shapes.layout.asked_things`.
    """

    cost: float
    spoil: Callable[[Scene, Wants, random.Random], Scene | None]


@dataclass(frozen=True, slots=True)
class EditFlaw:
    """A flaw of an edited picture; ``spoil(edited, source, edit, rng)`` does it to a right result."""

    cost: float
    spoil: Callable[[Scene, Scene, Edit, random.Random], Scene | None]


def utility(names: Iterable[str], flaws: Mapping[str, PromptFlaw] | Mapping[str, EditFlaw]) -> float:
    """How good a picture with these flaws is: 1 for none, less by the cost of each."""
    return 1 - math.fsum(flaws[name].cost for name in names)


def _wrong_colour(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    coloured = [i for i, (_, colour) in enumerate(asked_things(wants)) if colour]
    free = [colour for colour in Colour if colour not in {thing.colour for thing in scene.things}]
    if not coloured or not free:
        return None
    return _recoloured(scene, rng.choice(coloured), rng.choice(free))


def _swapped_colours(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    if not _two_kinds(wants):
        return None
    here, there = scene.things[0], scene.things[wants.groups[0].count]
    if None in (want.colour for want in wants.groups) or here.colour is there.colour:
        return None
    swapped = _recoloured(scene, 0, there.colour)
    return _recoloured(swapped, wants.groups[0].count, here.colour)


def _wrong_shape(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    index = rng.randrange(len(scene.things))
    asked = {want.shape for want in wants.groups}
    other = rng.choice([shape for shape in Shape if shape not in asked])
    others = [*scene.things[:index], *scene.things[index + 1 :]]
    return with_thing(scene, index, fitted(replace(scene.things[index], shape=other), others))


def _missing(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    # A picture of nothing is no honest attempt at a single object.
    if len(scene.things) < 2:
        return None
    return with_thing(scene, rng.randrange(len(scene.things)), None)


def _extra(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    if len(scene.things) >= MAX_THINGS:
        return None
    # A second one of what was asked is at least as likely as something else.
    shape = rng.choice([*(want.shape for want in wants.groups), rng.choice(list(Shape))])
    thing = place(rng, list(scene.things), shape, rng.choice(list(Colour)), least=0.16, most=0.24)
    return None if thing is None else replace(scene, things=(*scene.things, thing))


def _wrong_side(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    if wants.side is None or not _two_kinds(wants):
        return None
    # Mirror images of the picture in an axis and in both diagonals keep the things apart and in the frame.
    turns: list[Callable[[Thing], Thing]] = [
        lambda thing: replace(thing, x=thing.y, y=thing.x),
        lambda thing: replace(thing, x=round(1 - thing.y, 4), y=round(1 - thing.x, 4)),
        (lambda thing: replace(thing, x=round(1 - thing.x, 4)))
        if wants.side.step[0]
        else (lambda thing: replace(thing, y=round(1 - thing.y, 4))),
    ]
    turn = rng.choice(turns)
    return replace(scene, things=tuple(turn(thing) for thing in scene.things))


def _two_kinds(wants: Wants) -> bool:
    """Whether two groups are asked for that are told apart by their shape."""
    return len(wants.groups) == 2 and wants.groups[0].shape is not wants.groups[1].shape


def _wrong_background(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    if wants.background is None:
        return None
    return replace(scene, background=_another_background(rng, scene.background))


def _smeared(scene: Scene, rng: random.Random) -> Scene | None:
    if not scene.things:
        return None
    thing = rng.choice(scene.things)
    smear = Smear(
        thing.x,
        thing.y,
        round(2 * (RADIUS[thing.shape] + SMEAR_MARGIN) * thing.size, 4),
        round(rng.uniform(0, math.pi), 3),
        round(SMEAR_LENGTH * thing.size, 4),
    )
    return replace(scene, damage=(*scene.damage, smear))


def _cut(scene: Scene, rng: random.Random) -> Scene | None:
    if not scene.things:
        return None
    thing = rng.choice(scene.things)
    angle = rng.uniform(-math.pi, math.pi)
    if thing.shape is Shape.TRIANGLE:
        # A cut along a side leaves a whole triangle again. Towards a corner, 40 degrees off, it shows.
        angle = rng.choice([-1 / 2, 1 / 6, 5 / 6]) * math.pi + rng.uniform(-0.7, 0.7)
    offset = round(thing.size * rng.uniform(-CUT_SPREAD, CUT_SPREAD), 4)
    middle = round(thing.y + CENTROID.get(thing.shape, 0) * thing.size, 4)
    return replace(scene, damage=(*scene.damage, Slice(thing.x, middle, thing.size, round(angle, 3), offset)))


def _recoloured(scene: Scene, index: int, colour: Colour) -> Scene:
    return with_thing(scene, index, replace(scene.things[index], colour=colour))


def _another_background(rng: random.Random, *taken: Background) -> Background:
    return rng.choice([each for each in Background if each not in taken])


PROMPT_FLAWS: Mapping[str, PromptFlaw] = {
    "wrong_shape": PromptFlaw(1.0, _wrong_shape),
    "missing_object": PromptFlaw(1.0, _missing),
    "wrong_side": PromptFlaw(0.9, _wrong_side),
    "wrong_colour": PromptFlaw(0.8, _wrong_colour),
    "swapped_colours": PromptFlaw(0.8, _swapped_colours),
    "extra_object": PromptFlaw(0.7, _extra),
    "smeared": PromptFlaw(0.6, lambda scene, wants, rng: _smeared(scene, rng)),
    "wrong_background": PromptFlaw(0.5, _wrong_background),
    "cut": PromptFlaw(0.5, lambda scene, wants, rng: _cut(scene, rng)),
}
"""The flaws of generated pictures, by name, dearest first."""


def _nothing_done(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    return source if source != edited else None


def _wrong_target(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    """The instruction carried out on another object, one on which it shows."""
    if edit.target is None:
        return None
    others = [ref for ref in _looks(source) if ref not in (edit.target, edit.anchor)]
    if edit.kind is EditKind.RECOLOUR:
        others = [ref for ref in others if ref.colour is not edit.colour]
    return apply(replace(edit, target=rng.choice(others)), source, rng) if others else None


def _wrong_result(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    """The right object changed, but to another colour, thing, side or background than was asked."""
    looks = _looks(source) + _looks(edited)
    if edit.kind is EditKind.RECOLOUR and edit.target:
        free = [colour for colour in Colour if Ref(colour, edit.target.shape) not in looks]
        return apply(replace(edit, colour=rng.choice(free)), source, rng) if free else None
    if edit.kind in (EditKind.ADD, EditKind.REPLACE):
        return apply(replace(edit, new=another(rng, looks)), source, rng)
    if edit.kind is EditKind.MOVE and edit.side:
        return apply(replace(edit, side=edit.side.opposite), source, rng)
    if edit.kind is EditKind.BACKGROUND:
        return replace(source, background=_another_background(rng, edited.background, source.background))
    return None


def _looks(scene: Scene) -> list[Ref]:
    return [Ref(thing.colour, thing.shape) for thing in scene.things]


def _bystander(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> int | None:
    """The index of a thing that the edit neither changes nor mentions; None where there is none.

    Without what it mentions ("left of the red star") nobody could say whether it was carried out.
    """
    found = [
        index
        for index, thing in enumerate(edited.things)
        if thing in source.things and Ref(thing.colour, thing.shape) not in (edit.target, edit.anchor)
    ]
    return rng.choice(found) if found else None


def _bystander_recoloured(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    index = _bystander(edited, source, edit, rng)
    if index is None:
        return None
    # Nor like anything that was there before: it would look as if the edit had not been done.
    looks = _looks(edited) + _looks(source)
    free = [colour for colour in Colour if Ref(colour, edited.things[index].shape) not in looks]
    return _recoloured(edited, index, rng.choice(free)) if free else None


def _bystander_gone(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    index = _bystander(edited, source, edit, rng)
    return None if index is None else with_thing(edited, index, None)


def _bystander_moved(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    index = _bystander(edited, source, edit, rng)
    if index is None:
        return None
    thing = edited.things[index]
    others = [*edited.things[:index], *edited.things[index + 1 :]]
    for _ in range(20):
        moved = place(rng, others, thing.shape, thing.colour, least=thing.size, most=thing.size)
        if moved is not None and far(moved, thing):
            return with_thing(edited, index, moved)
    return None


def _background_changed(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    if edit.kind is EditKind.BACKGROUND:
        return None
    if rng.random() < 0.5:
        return replace(edited, background=_another_background(rng, edited.background))
    kind: TextureKind = "stripes" if rng.random() < 0.5 else "blotches"
    texture = Texture(kind, round(rng.uniform(*TEXTURE_STRENGTH), 3), rng.randrange(1000))
    return replace(edited, damage=(*edited.damage, texture))


EDIT_FLAWS: Mapping[str, EditFlaw] = {
    "nothing_done": EditFlaw(1.0, _nothing_done),
    "wrong_target": EditFlaw(1.0, _wrong_target),
    "wrong_result": EditFlaw(0.9, _wrong_result),
    "bystander_gone": EditFlaw(0.8, _bystander_gone),
    "bystander_recoloured": EditFlaw(0.7, _bystander_recoloured),
    "bystander_moved": EditFlaw(0.6, _bystander_moved),
    "smeared": EditFlaw(0.6, lambda edited, source, edit, rng: _smeared(edited, rng)),
    "background_changed": EditFlaw(0.5, _background_changed),
    "cut": EditFlaw(0.5, lambda edited, source, edit, rng: _cut(edited, rng)),
}
"""The flaws of edited pictures, by name, dearest first."""
