"""What a schema cannot see: criteria that a judge could not check, or that depend on the presentation.

The rules look at words alone and are tuned to stay silent rather than to cry wolf. An *error* makes
judgments wrong whatever the judge; a *warning* is for a person to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from arrkit.canonical import Json
from arrkit.rubric.model import Criterion, Rubric, normalised


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One thing to mend in a rubric.

    ``rule`` is the rule's short name, ``subject`` the id of the criterion or dimension, ``line`` its line in
    the file where that is known, ``hint`` what to do.
    """

    severity: Severity
    rule: str
    subject: str
    message: str
    hint: str
    line: int | None = None

    def to_json(self) -> dict[str, Json]:
        """The finding as plain data."""
        return {
            "severity": self.severity.value,
            "rule": self.rule,
            "subject": self.subject,
            "line": self.line,
            "message": self.message,
            "hint": self.hint,
        }


MOST_WORDS = 60
"""Above this many words a statement hardly is one thing to check."""

_IMAGE = r"(?:image|picture|photo(?:graph)?|candidate|output|option|response|render(?:ing)?)"
# "the left image edge" speaks of one image; so does "the other image regions".
_PART = (
    r"(?![- ](?:edges?|borders?|half|halves|sides?|corners?|margins?|regions?|areas?|parts?|contents?"
    r"|elements?|details?|frames?|quarters?|thirds?|planes?|boundar(?:y|ies)|pixels?|colou?rs?)\b)"
)
_PLACE = r"first|second|1st|2nd|left|right|left-hand|right-hand|top|bottom|upper|lower|former|latter"
_POSITION = re.compile(
    rf"\b(?:{_PLACE})\s+{_IMAGE}\b{_PART}"
    rf"|\b{_IMAGE}[\s_#-]*(?:number\s+)?(?:[12]\b(?![:.]\d)|one\b(?=\s+(?:is|has|shows|and|or|over|than)\b|[.,;]|$))"
    rf"|\b{_IMAGE}[\s_]+(?-i:\(?[AB]\b\)?)"
    rf"|\b{_IMAGE}\s+(?:on|to)\s+the\s+(?:left|right)\b"
    rf"|\b{_IMAGE}\s+(?:shown|presented|listed|given)\s+(?:first|second|last)\b",
    re.IGNORECASE,
)
_COMPARISON = re.compile(
    rf"\b(?:other|preferred|rejected|winning|losing|chosen|competing|alternative)\s+{_IMAGE}\b{_PART}"
    rf"|\b(?:both|either|neither|the\s+two|these\s+two|two\s+candidate)\s+(?:of\s+the\s+)?(?:two\s+)?{_IMAGE}s?\b{_PART}",
    re.IGNORECASE,
)

_VERB = r"(?:is|are|has|have|must|should|shows?|remains?|stays?|matche?s?|looks?|appears?|fits?|reads?)"
_SECOND_CLAUSE = re.compile(
    rf"\b{_VERB}\b[^.;]*[,\s]and\s+(?:the|all|every|each|no|there|it|its|their|they)\b[^.;,]*\b{_VERB}\b",
    re.IGNORECASE,
)
_ADDITION = re.compile(
    r"\band\s+also\b|;\s*(?:and|also)\b|\b(?:additionally|moreover|furthermore|in\s+addition)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bvs)[.!?]\s+(?=[A-Z])")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EMPTY_WORDS = _words(
    """
    a an the this that it its is are be been being was were has have must should shall will can of in on to
    for from with by as and or not no any all every each more most very really quite rather than overall image
    images picture pictures photo photos result results output outputs edit edited generated one there which
    what when where how prompt user people viewer someone would make makes made get gets aspect aspects way
    ways term terms respect sense general generally
    """
)
_VAGUE_WORDS = _words(
    """
    good better best nice nicer great excellent superior high higher quality looks look looking appear appears
    appearance beautiful pretty pleasing pleasant appealing attractive aesthetic aesthetics aesthetically
    visual visually well done fine perfect amazing impressive professional acceptable proper properly correct
    correctly right appropriate appropriately suitable satisfying convincing preferable desirable real
    realistic natural level standard score
    """
)
_NEGATIONS = _words("no not never without none cannot isn't aren't doesn't don't hasn't haven't")
_FILLERS = _words("a an the is are be must should has have does do any it its that")
_OPPOSITES = {
    word: pair
    for number, pair in enumerate(
        (
            "left right",
            "above below",
            "more fewer less",
            "larger smaller",
            "brighter darker",
            "present absent",
        )
    )
    for word in pair.split()
}


def lint_rubric(rubric: Rubric, lines: Mapping[str, int] | None = None) -> tuple[LintFinding, ...]:
    """All findings, in the order of the criteria.

    ``lines`` are the criteria's lines by id (:func:`arrkit.rubric.files.criterion_lines`).
    """
    known = lines or {}
    findings = [
        *_ids(rubric),
        *_alike(rubric),
        *(found for criterion in rubric.criteria() for found in _wording(criterion)),
        *_dimensions(rubric),
    ]
    placed = [
        LintFinding(f.severity, f.rule, f.subject, f.message, f.hint, known.get(f.subject)) for f in findings
    ]
    order = {criterion.id: index for index, criterion in enumerate(rubric.criteria())}
    return tuple(sorted(placed, key=lambda finding: order.get(finding.subject, len(order))))


def mentions_position(text: str) -> bool:
    """Whether ``text`` names an image by its place in a presentation ("the first image", "Image B")."""
    return _POSITION.search(text) is not None


def _ids(rubric: Rubric) -> Iterator[LintFinding]:
    first: dict[str, Criterion] = {}
    for criterion in rubric.criteria():
        earlier = first.setdefault(criterion.id, criterion)
        if earlier is criterion:
            continue
        same = normalised(earlier.statement) == normalised(criterion.statement)
        yield LintFinding(
            Severity.ERROR,
            "duplicate-id" if same else "contradictory-id",
            criterion.id,
            f'id "{criterion.id}" stands twice' + ("" if same else ", for two different statements"),
            "Remove one of the two." if same else "Give each statement its own id.",
        )


def _alike(rubric: Rubric) -> Iterator[LintFinding]:
    said: dict[str, Criterion] = {}
    meant: dict[str, tuple[Criterion, tuple[str, ...]]] = {}
    for criterion in rubric.criteria():
        same = said.setdefault(normalised(criterion.statement), criterion)
        if same is not criterion:
            if same.id != criterion.id:
                yield LintFinding(
                    Severity.ERROR,
                    "duplicate-statement",
                    criterion.id,
                    f'says the same as "{same.id}", so it counts twice',
                    "Remove one of the two, and give the other the weight that is meant.",
                )
            continue
        core, turn = _core(criterion.statement)
        other, other_turn = meant.setdefault(core, (criterion, turn))
        if core and other is not criterion and turn != other_turn:
            yield LintFinding(
                Severity.ERROR,
                "contradiction",
                criterion.id,
                f'contradicts "{other.id}": {_quoted(other.statement)}',
                "No image can meet both. Remove one, or say when each holds.",
            )


def _core(statement: str) -> tuple[str, tuple[str, ...]]:
    # A statement without what could turn it into its opposite, and those turning words.
    words = re.findall(r"[^\W_]+(?:'[a-z]+)?", normalised(statement))
    core, turn = [], []
    for word in words:
        if word in _NEGATIONS:
            turn.append("not")
        elif word in _OPPOSITES:
            core.append(_OPPOSITES[word])
            turn.append(word)
        elif word not in _FILLERS:
            core.append(word)
    return " ".join(core), tuple(turn)


def _wording(criterion: Criterion) -> Iterator[LintFinding]:
    statement = criterion.statement
    words = re.findall(r"[^\W_]+(?:['-][^\W_]+)*", statement.casefold())
    telling = [word for word in words if word not in _EMPTY_WORDS]
    if not words:
        yield LintFinding(
            Severity.ERROR,
            "empty",
            criterion.id,
            "the statement says nothing",
            "Write what is true of a good image, or remove the criterion.",
        )
    elif not [word for word in telling if word not in _VAGUE_WORDS]:
        yield LintFinding(
            Severity.ERROR,
            "vague",
            criterion.id,
            f"{_quoted(statement)} names nothing that could be checked in pixels",
            "Say which part of the image to look at, and what is to be seen there.",
        )
    for part, text in (("statement", statement), ("guidance", criterion.guidance)):
        yield from _presentation(criterion.id, part, text)
    if len(words) > MOST_WORDS:
        yield LintFinding(
            Severity.WARNING,
            "long",
            criterion.id,
            f"the statement has {len(words)} words, more than {MOST_WORDS}",
            "Keep one checkable sentence; move the rest to its guidance.",
        )
    if _ADDITION.search(statement) or _SECOND_CLAUSE.search(statement) or _SENTENCE_END.search(statement):
        yield LintFinding(
            Severity.WARNING,
            "two-in-one",
            criterion.id,
            f"{_quoted(statement)} seems to hold two criteria",
            "Split it, so that each can be met or missed alone.",
        )


def _dimensions(rubric: Rubric) -> Iterator[LintFinding]:
    for dimension in rubric.dimensions:
        yield from _presentation(dimension.id, "dimension's name", dimension.name)
        yield from _presentation(dimension.id, "dimension's description", dimension.description)


def _presentation(subject: str, part: str, text: str) -> Iterator[LintFinding]:
    position, comparison = _POSITION.search(text), _COMPARISON.search(text)
    if position:
        yield LintFinding(
            Severity.ERROR,
            "position",
            subject,
            f"the {part} speaks of {_quoted(position[0])}, a place in the presentation",
            "Say what is true of a good image, wherever it is shown.",
        )
    elif comparison:
        yield LintFinding(
            Severity.WARNING,
            "comparison",
            subject,
            f"the {part} speaks of {_quoted(comparison[0])}, so it cannot be checked on one image",
            "Say what is true of a good image by itself.",
        )


def _quoted(text: str) -> str:
    return f'"{text}"' if len(text) <= 80 else f'"{text[:77]}..."'
