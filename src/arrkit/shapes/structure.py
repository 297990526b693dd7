"""How the shapes judge gathers verified criteria into a rubric: by the check that each stands for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from arrkit.data.pairs import Task
from arrkit.judge.protocol import Draft, StructuredCriterion, StructuredDimension
from arrkit.shapes.checks import Check
from arrkit.shapes.criteria import read_statement
from arrkit.shapes.wording import general

OTHER = "Other criteria"

_DIMENSIONS = {
    Task.T2I: {
        "Semantic fidelity": (Check.FIDELITY, Check.OBJECTS, Check.BACKGROUND),
        "Counts and attributes": (Check.COUNT, Check.COLOUR, Check.BINDING, Check.EXTRA),
        "Spatial consistency": (Check.RELATION,),
        "Artifacts": (Check.WHOLE, Check.CLEAN),
        "Visual appeal": (Check.CONTRAST, Check.COVERAGE, Check.SMOOTHNESS, Check.VIVIDNESS),
    },
    Task.EDIT: {
        "Edit faithfulness": (Check.FIDELITY, Check.EXECUTED, Check.COLOUR, Check.BINDING, Check.RELATION),
        "Preservation": (Check.PRESERVED, Check.BACKGROUND_KEPT),
        "Objects and counts": (Check.OBJECTS, Check.COUNT, Check.EXTRA, Check.BACKGROUND),
        "Artifacts": (Check.WHOLE, Check.CLEAN),
        "Visual appeal": (Check.CONTRAST, Check.COVERAGE, Check.SMOOTHNESS, Check.VIVIDNESS),
    },
}
_DESCRIPTIONS = {
    "Semantic fidelity": "What the prompt names is in the image.",
    "Counts and attributes": "How many objects there are, and whose colour is whose.",
    "Spatial consistency": "Where objects stand to each other.",
    "Artifacts": "Damage to the objects.",
    "Visual appeal": "How the image looks, whatever was asked.",
    "Edit faithfulness": "What the instruction asks has been done.",
    "Preservation": "What the instruction does not ask has been left alone.",
    "Objects and counts": "Which objects the edited image holds.",
    OTHER: "Criteria that stand for themselves.",
}


def structure_drafts(
    pool: Sequence[Draft], task: Task, max_dimensions: int
) -> tuple[StructuredDimension, ...]:
    """At most ``max_dimensions`` dimensions, best supported first, with one general statement for each check.

    A draft goes with the first check that it asks. Drafts not understood, or that ask for a flaw, are
    kept word for word, equal ones folded. Nothing is dropped: where there are more dimensions than wanted,
    the least supported ones are merged into the last.
    """
    members: dict[Check, list[int]] = defaultdict(list)
    verbatim: dict[str, list[int]] = defaultdict(list)
    for index, draft in enumerate(pool):
        readings = read_statement(draft.statement, task)
        if readings and not readings[0].inverted:
            members[readings[0].check].append(index)
        else:
            verbatim[_normalised(draft.statement)].append(index)
    groups: list[tuple[str, list[StructuredCriterion]]] = []
    for name, checks in _DIMENSIONS.get(task, {}).items():
        criteria = [
            StructuredCriterion(general(check, task), tuple(members.pop(check)))
            for check in checks
            if check in members
        ]
        if criteria:
            groups.append((name, criteria))
    kept = [
        StructuredCriterion(pool[indices[0]].statement, tuple(indices), pool[indices[0]].guidance)
        for indices in verbatim.values()
    ]
    if kept:
        groups.append((OTHER, kept))
    groups.sort(key=lambda group: -_support(group[1]))
    return tuple(_dimension(names, criteria) for names, criteria in _merged(groups, max_dimensions))


def _merged(
    groups: list[tuple[str, list[StructuredCriterion]]], most: int
) -> list[tuple[list[str], list[StructuredCriterion]]]:
    most = max(most, 1)
    merged = [([name], criteria) for name, criteria in groups[:most]]
    for name, criteria in groups[most:]:
        merged[-1][0].append(name)
        merged[-1][1].extend(criteria)
    return merged


def _dimension(names: list[str], criteria: list[StructuredCriterion]) -> StructuredDimension:
    name = names[0] + "".join(f", {each[0].lower()}{each[1:]}" for each in names[1:])
    by_support = tuple(sorted(criteria, key=lambda criterion: -len(criterion.members)))
    return StructuredDimension(name, by_support, " ".join(_DESCRIPTIONS[each] for each in names))


def _support(criteria: Sequence[StructuredCriterion]) -> int:
    return sum(len(criterion.members) for criterion in criteria)


def _normalised(statement: str) -> str:
    return re.sub(r"\s+", " ", statement).strip().rstrip(".").casefold()
