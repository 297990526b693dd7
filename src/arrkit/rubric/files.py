"""Rubric files: read, check and write them.

A rubric file is JSON that validates against ``schemas/rubric.v1.schema.json`` and whose digest fits its
content. Wherever a path is taken, the bare name of a shipped rubric serves as well.
"""

from __future__ import annotations

from pathlib import Path

from arrkit.canonical import Json, pretty_json, refuse_existing, write_atomic
from arrkit.data.pairs import Task
from arrkit.errors import InputError, Problem
from arrkit.rubric.checking import check_document
from arrkit.rubric.codec import criteria_digest, rubric_digest, rubric_to_json
from arrkit.rubric.library import find_rubric, shipped_names
from arrkit.rubric.model import Rubric
from arrkit.rubric.positions import parse_json

__all__ = [
    "check_rubric",
    "criteria_digest",
    "criterion_lines",
    "list_rubrics",
    "parse_rubric",
    "read_rubric",
    "require_task",
    "rubric_digest",
    "rubric_from_json",
    "rubric_to_json",
    "write_rubric",
]


def read_rubric(path_or_name: str | Path) -> Rubric:
    """The rubric in a file, or the shipped one of that name.

    Raises :class:`InputError` with every problem of the file at once.
    """
    found = find_rubric(path_or_name)
    return parse_rubric(found.text, found.name)


def parse_rubric(text: str, name: str) -> Rubric:
    """The rubric in a text; ``name`` is what its problems call the file. Raises as :func:`read_rubric`."""
    rubric, problems = _examine(text, name)
    if rubric is None:
        raise InputError(problems)
    return rubric


def check_rubric(text: str, name: str) -> list[Problem]:
    """Every problem of a rubric file's text, each with ``name:line``; empty for a valid, sealed rubric."""
    return _examine(text, name)[1]


def rubric_from_json(value: Json, name: str = "") -> Rubric:
    """The rubric of a JSON value, such as one kept in a run folder; problems name its fields."""
    rubric, problems = check_document(value, name)
    if rubric is None:
        raise InputError(problems)
    return rubric


def write_rubric(rubric: Rubric, path: Path, force: bool = False) -> None:
    """Write a sealed rubric file, whole or not at all.

    Raises :class:`InputError` when ``path`` exists and ``force`` is off, and for a rubric that could not be
    read back (an id twice, an empty statement, a weight of 0).
    """
    document = rubric_to_json(rubric)
    _, problems = check_document(document, rubric.name)
    if problems:
        raise InputError(problems, closing="Nothing was written.")
    refuse_existing(path, force=force)
    write_atomic(path, pretty_json(document))


def require_task(rubric: Rubric, task: Task, where: str = "") -> None:
    """Raise :class:`InputError` unless ``rubric`` is for ``task``; ``where`` is the file it came from."""
    if rubric.task is not task:
        what = f'rubric "{rubric.name}" is for the task {rubric.task}, the pairs are for {task}'
        fitting = [entry.name for entry in list_rubrics() if entry.task is task]
        hint = f"Name a rubric for {task}" + (f", such as {fitting[0]}" if fitting else "")
        raise InputError(Problem(what, where, f"{hint}, or build one: arrkit rubric build --task {task}"))


def list_rubrics() -> tuple[Rubric, ...]:
    """The rubrics that ship with arrkit, by name."""
    return tuple(read_rubric(name) for name in shipped_names())


def criterion_lines(text: str) -> dict[str, int]:
    """The line of each criterion in a valid rubric file's text, by criterion id."""
    value, positions, _ = parse_json(text, "")
    lines: dict[str, int] = {}
    rubric, _ = check_document(value, "", sealed=False)
    for i, dimension in enumerate(rubric.dimensions if rubric else ()):
        for j, criterion in enumerate(dimension.criteria):
            lines[criterion.id] = positions.line(("dimensions", i, "criteria", j))
    return lines


def _examine(text: str, name: str) -> tuple[Rubric | None, list[Problem]]:
    value, positions, problems = parse_json(text, name)
    if problems:
        return None, problems
    return check_document(value, name, positions)
