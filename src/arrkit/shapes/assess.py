"""What a request means for the pixels: prompt and instruction turned into what should be seen."""

from __future__ import annotations

from functools import lru_cache

from arrkit.data.pairs import Task
from arrkit.shapes.checker import Asked, PromptAssessment
from arrkit.shapes.edit_checker import EditAssessment, Plan
from arrkit.shapes.look import Look
from arrkit.shapes.phrases import find_named

Assessment = PromptAssessment | EditAssessment


def assess(task: Task, prompt: str, look: Look, source: Look | None = None) -> Assessment:
    """What an image, seen as ``look``, is worth for ``prompt``; an edit is held against its ``source``."""
    if task is Task.T2I or source is None:
        return PromptAssessment(look, read_prompt(prompt) if task is Task.T2I else None)
    return EditAssessment(look, source, read_instruction(prompt, source))


@lru_cache(maxsize=4096)
def read_prompt(prompt: str) -> Asked | None:
    """What a prompt asks, or None where it is not understood."""
    named = find_named(prompt.lower())
    return None if named is None else Asked(named.subject)


def read_instruction(instruction: str, source: Look) -> Plan | None:
    return None
