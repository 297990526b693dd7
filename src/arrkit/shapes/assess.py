"""What a request means for the pixels: prompt and instruction turned into what should be seen."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image

from arrkit.data.pairs import Task
from arrkit.shapes.checker import Asked, PromptAssessment
from arrkit.shapes.edit_checker import EditAssessment, Goal, Plan
from arrkit.shapes.edits import Edit, EditKind, Ref, parse_instruction
from arrkit.shapes.grammar import parse_prompt
from arrkit.shapes.look import Look, look_at
from arrkit.shapes.objects import Seen
from arrkit.shapes.phrases import Phrase, Subject

Assessment = PromptAssessment | EditAssessment


def assess(task: Task, prompt: str, look: Look, source: Look | None = None) -> Assessment:
    """What an image, seen as ``look``, is worth for ``prompt``; an edit is held against its ``source``."""
    if task is Task.T2I:
        return PromptAssessment(look, read_prompt(prompt))
    if source is None:
        return PromptAssessment(look, None)
    edit = read_instruction(prompt)
    return EditAssessment(look, source, None if edit is None else plan_edit(edit, source), edit)


def is_correct(task: Task, prompt: str, image: Image.Image, source: Image.Image | None = None) -> bool:
    """The strict checker: all that was asked is seen, nothing more, whole; and an edit changed nothing else.

    An image that is not of the shapes world, or a prompt that is not of its grammar, is not correct.
    """
    look, before = look_at(image), None if source is None else look_at(source)
    if look.world or (before is not None and before.world):
        return False
    return assess(task, prompt, look, before).correct


@lru_cache(maxsize=4096)
def read_prompt(prompt: str) -> Asked | None:
    """What a prompt asks, or None where it is not understood."""
    wants = parse_prompt(prompt)
    if wants is None:
        return None
    phrases = tuple(Phrase(want.shape, want.colour, want.count) for want in wants.groups)
    return Asked(Subject(phrases, wants.side), wants.background)


@lru_cache(maxsize=4096)
def read_instruction(instruction: str) -> Edit | None:
    """The edit that an instruction asks for, or None where it is not understood."""
    return parse_instruction(instruction)


def plan_edit(edit: Edit, source: Look) -> Plan | None:
    """What ``edit`` means for the objects seen in the source; None where it names one that is not."""
    objects = source.objects
    target, anchor = _find(edit.target, objects), _find(edit.anchor, objects)
    if (edit.target is not None and target is None) or (edit.anchor is not None and anchor is None):
        return None
    kept = tuple(seen for seen in objects if seen is not target)
    new = edit.new
    match edit.kind:
        case EditKind.RECOLOUR if target is not None:
            return Plan(kept, (Goal(target.shape, edit.colour, place=target),))
        case EditKind.REMOVE if target is not None:
            return Plan(kept, gone=(target,))
        case EditKind.ADD if new is not None:
            return Plan(kept, (Goal(new.shape, new.colour, side=edit.side, anchor=anchor),))
        case EditKind.REPLACE if target is not None and new is not None:
            return Plan(kept, (Goal(new.shape, new.colour, place=target),))
        case EditKind.MOVE if target is not None:
            goal = Goal(target.shape, target.colour, side=edit.side, anchor=anchor)
            return Plan(kept, (goal,), gone=(target,))
        case EditKind.BACKGROUND:
            return Plan(kept, background=edit.background)
        case _:
            return None


def _find(ref: Ref | None, objects: tuple[Seen, ...]) -> Seen | None:
    """The one object that is meant; where several look like it, none is."""
    if ref is None:
        return None
    found = [seen for seen in objects if seen.colour is ref.colour and seen.shape is ref.shape]
    return found[0] if len(found) == 1 else None
