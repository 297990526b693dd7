"""The JSON Schemas that answers are held to, in the dialect that all endpoints share.

Object root, every property required, no further properties, enums of strings, bounds on arrays and integers,
null by a union; no maps, patterns, lengths, ``const`` or combinations. Models write properties in the order
given, so what leads to a choice stands before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from arrkit.canonical import Json

Schema = dict[str, Json]

CRITERION_ANSWERS = ("A", "B", "equal", "cannot_tell")
CHOICES = ("A", "B", "tie")
LETTERS = "ABCDEFGH"
"""What images are called in a prompt, in the order shown."""

_TEXT: Schema = {"type": "string"}


def verdict_schema(criteria: Sequence[str]) -> Schema:
    """A pairwise verdict: reasoning, each criterion, why the choice departs from them, the choice."""
    if not criteria:
        return _object({"reasoning": _TEXT, "verdict": _one_of(CHOICES)})
    entry = _object({"id": _one_of(criteria), "evidence": _TEXT, "answer": _one_of(CRITERION_ANSWERS)})
    return _object(
        {
            "reasoning": _TEXT,
            "criteria": _array(entry, len(criteria), len(criteria)),
            "override": _TEXT,
            "verdict": _one_of(CHOICES),
        }
    )


def ranking_schema(criteria: Sequence[str], candidates: int) -> Schema:
    """A listwise verdict: reasoning, the best candidate by each criterion, all letters from best to worst."""
    letters = LETTERS[:candidates]
    ranking = _array(_one_of(letters), candidates, candidates)
    if not criteria:
        return _object({"reasoning": _TEXT, "ranking": ranking})
    best = _one_of((*letters, "equal", "cannot_tell"))
    entry = _object({"id": _one_of(criteria), "evidence": _TEXT, "best": best})
    return _object(
        {"reasoning": _TEXT, "criteria": _array(entry, len(criteria), len(criteria)), "ranking": ranking}
    )


def scores_schema(criteria: Sequence[str], low: int, high: int) -> Schema:
    """How well one image meets each criterion: an integer from ``low`` to ``high``, or null."""
    score: Schema = {"type": ["integer", "null"], "minimum": low, "maximum": high}
    entry = _object({"id": _one_of(criteria), "evidence": _TEXT, "score": score})
    return _object({"criteria": _array(entry, len(criteria), len(criteria))})


def proposal_schema(count: int) -> Schema:
    """One to ``count`` criteria, after the reasoning that led to them."""
    entry = _object({"statement": _TEXT, "guidance": _TEXT, "dimension": _TEXT})
    return _object({"reasoning": _TEXT, "criteria": _array(entry, 1, count)})


def plan_schema(count: int) -> Schema:
    """At most ``count`` points on which two images differ, perhaps none, after the differences seen."""
    entry = _object({"statement": _TEXT, "guidance": _TEXT})
    return _object({"reasoning": _TEXT, "points": _array(entry, 0, count)})


def explanation_schema(count: int) -> Schema:
    """One to ``count`` criteria, after an inspection and the explanation that they are extracted from."""
    entry = _object({"statement": _TEXT, "guidance": _TEXT, "dimension": _TEXT})
    return _object({"inspection": _TEXT, "explanation": _TEXT, "criteria": _array(entry, 1, count)})


def diagnosis_schema() -> Schema:
    """What a rubric misses, after the reasoning that led to it."""
    return _object({"reasoning": _TEXT, "missing": _TEXT, "dimension": _TEXT})


def structure_schema(pool: int, max_dimensions: int) -> Schema:
    """Dimensions of criteria, each with the numbers (from 1) of the drafts that it stands for."""
    number: Schema = {"type": "integer", "minimum": 1, "maximum": pool}
    criterion = _object({"statement": _TEXT, "guidance": _TEXT, "members": _array(number, 1, pool)})
    dimension = _object({"name": _TEXT, "description": _TEXT, "criteria": _array(criterion, 1, pool)})
    return _object({"dimensions": _array(dimension, 1, max_dimensions)})


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: Schema, least: int, most: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _one_of(words: Sequence[str]) -> Schema:
    return {"type": "string", "enum": list(words)}
