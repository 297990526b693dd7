"""How the shapes judge reads a criterion: from plain English to checks.

A statement is matched by word stems and a few patterns, with negations ("no smears", "nothing else has
changed") taken into account. A statement that names objects ("exactly three red circles") is read
literally: what it names is looked for, whatever the prompt asks. What the vocabulary does not cover
(anatomy, lettering, light, style) is not guessed at: such a statement has no readings, and the judge
cannot tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from arrkit.data.pairs import Task
from arrkit.shapes.checks import Check
from arrkit.shapes.phrases import Named, Subject, find_named
from arrkit.shapes.vocabulary import (
    ALL_OTHERS_WORD,
    FALLBACK,
    FOREIGN,
    NEGATION,
    OTHERS,
    OTHERS_WORD,
    RULES,
    THING,
    Rule,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing that a statement asks.

    ``inverted`` says that the statement describes the flaw ("objects are smeared"), so that its truth is one
    minus the check. ``subject`` is what the statement names literally, None for what the prompt asks.
    """

    check: Check
    inverted: bool = False
    subject: Subject | None = None


# A negation reaches to the end of its clause, over a list ("no smears, cuts or stray objects").
_CLAUSE = re.compile(
    r"[;:.!?]+\s*|\bbut\b|\bwhile\b|\band yet\b"
    r"|(?:, |, and )(?=(?:the|each|every|all|it|they|its|nothing|no|without|with)\b)"
)
_CLOSE = re.compile(r"^\W*(?:\w+\W+){0,2}$")

# Kinds of question that an object named in the statement makes more exact.
_NAMEABLE = (Check.OBJECTS, Check.FIDELITY, Check.COUNT, Check.COLOUR, Check.BINDING, Check.RELATION)
_COLOURED = (Check.COLOUR, Check.BINDING)


@lru_cache(maxsize=8192)
def read_statement(statement: str, task: Task) -> tuple[Reading, ...]:
    """What ``statement`` asks, in the order of its words and without repetition; empty if not understood."""
    text = re.sub(r"\s+", " ", statement.lower().replace("’", "'")).strip()
    text = re.sub(r"\b(?:text|written|user'?s?) (prompt|description|instruction)", r"\1", text)
    if FOREIGN.search(text):
        return ()
    named = find_named(text)
    text = OTHERS.sub(_leave_out, text)
    clauses = [clause for clause in _CLAUSE.split(text) if clause.strip()]
    found = [hit for clause in clauses for hit in _hear(clause, task, RULES)]
    if not found:
        found = [hit for clause in clauses for hit in _hear(clause, task, FALLBACK)]
    literal = None if named is None else _literal(named, {reading.check for reading in found})
    if literal is not None:
        return (literal,)
    unique: dict[Check, Reading] = {}
    for reading in found:
        unique.setdefault(reading.check, reading)
    return tuple(unique.values())


def _leave_out(match: re.Match[str]) -> str:
    none = match["none"] or match[0].startswith(("no ", "nothing "))
    word = OTHERS_WORD if THING.search(match[0]) else ALL_OTHERS_WORD
    return f"no {word}" if none else word


def _hear(clause: str, task: Task, rules: tuple[Rule, ...]) -> list[Reading]:
    """What one clause asks, by the place of the words."""
    heard: list[tuple[int, Reading]] = []
    for rule in rules:
        if rule.task not in (None, task):
            continue
        while (match := rule.pattern.search(clause)) is not None:
            negated = _negated(clause, match, near=not rule.flaw)
            heard += [(match.start(), Reading(check, rule.flaw != negated)) for check in rule.checks]
            clause = clause[: match.start()] + "~" * len(match[0]) + clause[match.end() :]
    return [reading for _, reading in sorted(heard, key=lambda item: item[0])]


def _negated(clause: str, match: re.Match[str], *, near: bool) -> bool:
    """Whether ``match`` is denied: by a word in it or before it (``near``: right before) or by "-free"."""
    if NEGATION.search(match[0]) or re.match(r"[- ]free\b", clause[match.end() :]):
        return True
    before = clause[: match.start()]
    last = None
    for last in NEGATION.finditer(before):  # noqa: B007
        pass
    if last is None:
        return False
    gap = before[last.end() :]
    return bool(_CLOSE.match(gap)) and " and " not in gap and "," not in gap if near else True


def _literal(named: Named, heard: set[Check]) -> Reading | None:
    """The literal reading of a statement that names objects, unless its words ask something else of them."""
    if not heard or heard <= {Check.OBJECTS, Check.FIDELITY}:
        return Reading(named.check, False, named.subject)
    if heard <= set(_NAMEABLE) and (
        named.check in heard or (named.check in _COLOURED and heard & set(_COLOURED))
    ):
        return Reading(named.check, False, named.subject)
    return None
