"""How the shapes judge takes a prompt apart into a checklist, and where it says that two images differ."""

from __future__ import annotations

from collections.abc import Iterator

from arrkit.data.pairs import Task
from arrkit.judge.protocol import Draft
from arrkit.shapes.assess import Assessment, read_instruction, read_prompt
from arrkit.shapes.checks import LOOKS, Check
from arrkit.shapes.phrases import Subject
from arrkit.shapes.wording import done, general, specific

_DIFFERENT = 0.02
"""Two images differ by a check where their scores do by at least this much."""


def checklist_drafts(task: Task, prompt: str, count: int) -> tuple[Draft, ...]:
    """At most ``count`` items by the names of what a prompt asks for; nothing where it is not understood."""
    items = _edit_items(prompt) if task is Task.EDIT else _image_items(prompt)
    return tuple(Draft(f"{item}.", dimension=part) for item, part in dict(items).items())[:count]


def _image_items(prompt: str) -> Iterator[tuple[str, str]]:
    asked = read_prompt(prompt)
    if asked is None:
        return
    for phrase in asked.subject.phrases:
        counted = specific(Check.COUNT, Subject((phrase,)))
        if counted is not None:
            yield counted, "Objects"
    relation = specific(Check.RELATION, asked.subject)
    if relation is not None:
        yield relation, "Places"
    if asked.background is not None:
        yield general(Check.BACKGROUND, Task.T2I), "Background"
    for check in (Check.EXTRA, Check.CLEAN, Check.WHOLE):
        yield general(check, Task.T2I), "Flaws"


def _edit_items(instruction: str) -> Iterator[tuple[str, str]]:
    edit = read_instruction(instruction)
    if edit is None:
        return
    yield done(edit), "Change"
    for check in (Check.PRESERVED, Check.BACKGROUND_KEPT):
        yield general(check, Task.EDIT), "Rest"
    for check in (Check.CLEAN, Check.WHOLE):
        yield general(check, Task.EDIT), "Flaws"


def plan_drafts(task: Task, first: Assessment, second: Assessment, count: int) -> tuple[Draft, ...]:
    """At most ``count`` points on which two images differ, widest first; which one is better is not said.

    What was asked for comes first: general looks are named only where nothing else differs. Nothing where
    nothing does.
    """

    def apart(check: Check) -> float:
        if check not in first.scores or check not in second.scores:
            return 0.0
        return abs(first.scores[check] - second.scores[check])

    different = sorted((check for check in Check if apart(check) >= _DIFFERENT), key=apart, reverse=True)
    # The summary differs wherever anything does, and says nothing of where.
    asked = [check for check in different if check not in LOOKS and check is not Check.FIDELITY]
    return tuple(Draft(f"{general(check, task)}.") for check in (asked or different)[:count])
