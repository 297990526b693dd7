"""What goes wrong in rejected pictures: the flaws, what each costs, and how it is done to a scene.

A flaw takes a scene that is right and returns one that is wrong in just that way, or None where it does not
apply (a single object cannot be on the wrong side). The cost is what the flaw takes from the picture's
utility; the candidate with the greater utility is the one that people are said to prefer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from arrkit.shapes.edits import Edit, EditKind, Ref, another, apply
from arrkit.shapes.grammar import Wants
from arrkit.shapes.layout import far, fitted, lies_to, place, with_thing
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
)


@dataclass(frozen=True, slots=True)
class PromptFlaw:
    """A flaw of a generated picture; ``spoil(scene, wants, rng)`` does it."""

    cost: float
    spoil: Callable[[Scene, Wants, random.Random], Scene | None]


@dataclass(frozen=True, slots=True)
class EditFlaw:
    """A flaw of an edited picture; ``spoil(edited, source, edit, rng)`` does it."""

    cost: float
    spoil: Callable[[Scene, Scene, Edit, random.Random], Scene | None]


def _wrong_colour(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    if not any(want.colour for want in wants.groups):
        return None
    index = rng.randrange(len(scene.things))
    taken = {thing.colour for thing in scene.things}
    return _recoloured(scene, index, rng.choice([colour for colour in Colour if colour not in taken]))


def _swapped_colours(scene: Scene, wants: Wants, _rng: random.Random) -> Scene | None:
    if len(wants.groups) < 2 or not all(want.colour for want in wants.groups):
        return None
    one, two = scene.things[:2]
    return replace(
        scene, things=(replace(one, colour=two.colour), replace(two, colour=one.colour), *scene.things[2:])
    )


def _wrong_shape(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    index = rng.randrange(len(scene.things))
    asked = {want.shape for want in wants.groups}
    other = rng.choice([shape for shape in Shape if shape not in asked])
    thing = scene.things[index]
    others = [*scene.things[:index], *scene.things[index + 1 :]]
    return with_thing(scene, index, fitted(replace(thing, shape=other), others))


def _missing(scene: Scene, _wants: Wants, rng: random.Random) -> Scene | None:
    if len(scene.things) < 2:
        return None
    return with_thing(scene, rng.randrange(len(scene.things)), None)


def _extra(scene: Scene, wants: Wants, rng: random.Random) -> Scene | None:
    if len(scene.things) >= MAX_THINGS:
        return None
    # A second one of what was asked is as likely as something else.
    shapes = [want.shape for want in wants.groups] + [rng.choice(list(Shape))]
    thing = place(
        rng, list(scene.things), rng.choice(shapes), rng.choice(list(Colour)), least=0.16, most=0.24
    )
    return None if thing is None else replace(scene, things=(*scene.things, thing))


def _wrong_side(scene: Scene, wants: Wants, _rng: random.Random) -> Scene | None:
    if wants.side is None:
        return None
    one, two = scene.things[:2]
    size = min(one.size, two.size)
    there, here = replace(one, x=two.x, y=two.y, size=size), replace(two, x=one.x, y=one.y, size=size)
    swapped = fitted(there, [here]), fitted(here, [there])
    if lies_to(swapped[0], wants.side, swapped[1]):
        return None
    return replace(scene, things=(*swapped, *scene.things[2:]))


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
        round(thing.size * 1.25, 4),
        round(rng.uniform(0, math.pi), 3),
        round(thing.size * 0.9, 4),
    )
    return replace(scene, damage=(*scene.damage, smear))


def _cut(scene: Scene, rng: random.Random) -> Scene | None:
    if not scene.things:
        return None
    thing = rng.choice(scene.things)
    cut = Slice(
        thing.x,
        thing.y,
        round(2 * (RADIUS[thing.shape] + 0.11) * thing.size, 4),  # the shadow reaches 0.11 further
        round(rng.uniform(-math.pi, math.pi), 3),
        round(thing.size * rng.uniform(-0.08, 0.08), 4),
    )
    return replace(scene, damage=(*scene.damage, cut))


def _recoloured(scene: Scene, index: int, colour: Colour) -> Scene:
    return with_thing(scene, index, replace(scene.things[index], colour=colour))


def _another_background(rng: random.Random, background: Background) -> Background:
    return rng.choice([each for each in Background if each is not background])


PROMPT_FLAWS: Mapping[str, PromptFlaw] = {
    "wrong_shape": PromptFlaw(1.0, _wrong_shape),
    "missing_object": PromptFlaw(1.0, _missing),
    "wrong_side": PromptFlaw(0.9, _wrong_side),
    "wrong_colour": PromptFlaw(0.8, _wrong_colour),
    "swapped_colours": PromptFlaw(0.8, _swapped_colours),
    "extra_object": PromptFlaw(0.7, _extra),
    "smeared": PromptFlaw(0.6, lambda scene, _, rng: _smeared(scene, rng)),
    "wrong_background": PromptFlaw(0.5, _wrong_background),
    "cut": PromptFlaw(0.5, lambda scene, _, rng: _cut(scene, rng)),
}
"""The flaws of generated pictures, by name, dearest first."""


def _nothing_done(_edited: Scene, source: Scene, _edit: Edit, _rng: random.Random) -> Scene | None:
    return source


def _wrong_target(_edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    if edit.target is None:
        return None
    refs = [Ref(each.colour, each.shape) for each in source.things]
    others = [ref for ref in refs if ref not in (edit.target, edit.anchor)]
    return apply(replace(edit, target=rng.choice(others)), source, rng) if others else None


def _wrong_result(edited: Scene, source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    refs = [Ref(each.colour, each.shape) for each in (*source.things, *edited.things)]
    if edit.kind is EditKind.RECOLOUR and edit.target:
        colours = [c for c in Colour if c not in (edit.colour, edit.target.colour)]
        free = [c for c in colours if Ref(c, edit.target.shape) not in refs]
        return apply(replace(edit, colour=rng.choice(free)), source, rng)
    if edit.kind in (EditKind.ADD, EditKind.REPLACE):
        return apply(replace(edit, new=another(rng, refs)), source, rng)
    if edit.kind is EditKind.MOVE and edit.side:
        return apply(replace(edit, side=edit.side.opposite), source, rng)
    if edit.kind is EditKind.BACKGROUND and edit.background:
        ground = [each for each in Background if each not in (edit.background, source.background)]
        return apply(replace(edit, background=rng.choice(ground)), source, rng)
    return None


def _bystanders(edited: Scene, source: Scene) -> list[int]:
    """The indices of the things that the edit left as they were."""
    return [index for index, thing in enumerate(edited.things) if thing in source.things]


def _bystander_recoloured(edited: Scene, source: Scene, _edit: Edit, rng: random.Random) -> Scene | None:
    bystanders = _bystanders(edited, source)
    if not bystanders:
        return None
    index = rng.choice(bystanders)
    thing = edited.things[index]
    taken = {each.colour for each in edited.things if each.shape is thing.shape} | {thing.colour}
    return _recoloured(edited, index, rng.choice([colour for colour in Colour if colour not in taken]))


def _bystander_gone(edited: Scene, source: Scene, _edit: Edit, rng: random.Random) -> Scene | None:
    bystanders = _bystanders(edited, source)
    return with_thing(edited, rng.choice(bystanders), None) if bystanders else None


def _bystander_moved(edited: Scene, source: Scene, _edit: Edit, rng: random.Random) -> Scene | None:
    bystanders = _bystanders(edited, source)
    if not bystanders:
        return None
    index = rng.choice(bystanders)
    thing = edited.things[index]
    others = [each for i, each in enumerate(edited.things) if i != index]
    for _ in range(20):
        moved = place(rng, others, thing.shape, thing.colour, least=thing.size, most=thing.size)
        if moved is not None and far(moved, thing):
            return with_thing(edited, index, moved)
    return None


def _background_changed(edited: Scene, _source: Scene, edit: Edit, rng: random.Random) -> Scene | None:
    if edit.kind is EditKind.BACKGROUND:
        return None
    if rng.random() < 0.5:
        return replace(edited, background=_another_background(rng, edited.background))
    texture = Texture(
        rng.choice(["stripes", "blotches"]), round(rng.uniform(0.05, 0.09), 3), rng.randrange(1000)
    )
    return replace(edited, damage=(*edited.damage, texture))


EDIT_FLAWS: Mapping[str, EditFlaw] = {
    "nothing_done": EditFlaw(1.0, _nothing_done),
    "wrong_target": EditFlaw(1.0, _wrong_target),
    "wrong_result": EditFlaw(0.9, _wrong_result),
    "bystander_gone": EditFlaw(0.8, _bystander_gone),
    "bystander_recoloured": EditFlaw(0.7, _bystander_recoloured),
    "bystander_moved": EditFlaw(0.6, _bystander_moved),
    "smeared": EditFlaw(0.6, lambda edited, _source, _edit, rng: _smeared(edited, rng)),
    "background_changed": EditFlaw(0.5, _background_changed),
    "cut": EditFlaw(0.5, lambda edited, _source, _edit, rng: _cut(edited, rng)),
}
"""The flaws of edited pictures, by name, dearest first."""
