"""From a model's words to values: schema first, then what no schema can say.

Every reader takes the raw text and raises :class:`~arrkit.judge.answers.extract.Unreadable` with a message
that tells a model how to mend its answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from arrkit.canonical import Json
from arrkit.judge.answers.extract import JsonObject, Unreadable, read_json
from arrkit.judge.answers.schemas import (
    LETTERS,
    diagnosis_schema,
    explanation_schema,
    plan_schema,
    proposal_schema,
    ranking_schema,
    scores_schema,
    structure_schema,
    verdict_schema,
)
from arrkit.judge.protocol import (
    Answer,
    CriterionScore,
    Draft,
    Finding,
    RankFinding,
    Side,
    StructuredCriterion,
    StructuredDimension,
)
from arrkit.rubric.lint import mentions_position
from arrkit.rubric.model import normalised

PARSER = "1"
"""The version of these readers, part of the cache's key: raise it when reading changes."""

SIDES: Mapping[str, Side | None] = {"A": Side.FIRST, "B": Side.SECOND, "tie": None}
ANSWERS: Mapping[str, Answer] = {
    "A": Answer.FIRST,
    "B": Answer.SECOND,
    "equal": Answer.EQUAL,
    "cannot_tell": Answer.CANNOT_TELL,
}

# What mentions_position, which reads English, does not see.
_CHINESE_POSITION = re.compile(
    r"[图圖](?:像|片)?\s*[AB甲乙](?![A-Za-z])|第[一二](?:张|幅|个)?[图圖]|[左右][图圖]"
)


@dataclass(frozen=True, slots=True)
class ReadVerdict:
    """A pairwise verdict as written; ``preferred`` is None for a tie, ``findings`` in the rubric's order."""

    preferred: Side | None
    findings: tuple[Finding, ...]
    rationale: str


@dataclass(frozen=True, slots=True)
class ReadRanking:
    """A listwise verdict as written; ``ranks[i]`` is the rank of candidate ``i``, 1 for the best."""

    ranks: tuple[int, ...]
    findings: tuple[RankFinding, ...]
    rationale: str


def read_verdict(text: str, criteria: Sequence[str]) -> ReadVerdict:
    """A pairwise verdict under the criteria with these ids (none for a judgment without a rubric).

    Beside the schema: each id is answered exactly once, and a choice against every criterion that names an
    image says why.
    """
    record = read_json(text, verdict_schema(criteria))
    entries = _once_each(record, criteria)
    findings = tuple(
        Finding(name, ANSWERS[str(entry["answer"])], note=_words(entry["evidence"]))
        for name, entry in entries.items()
    )
    preferred = SIDES[str(record["verdict"])]
    override = _words(record.get("override", ""))
    named = {finding.answer for finding in findings} & {Answer.FIRST, Answer.SECOND}
    against = preferred is None or Answer(preferred) not in named
    if len(named) == 1 and against and not override:
        (side,) = named
        raise Unreadable(
            f'every criterion that names an image names {_letter(side)}, but "verdict" is '
            f'"{record["verdict"]}" and "override" does not say why'
        )
    reasoning = _words(record["reasoning"])
    return ReadVerdict(preferred, findings, f"{reasoning} {override}".strip() if against else reasoning)


def read_ranking(text: str, criteria: Sequence[str], candidates: int) -> ReadRanking:
    """A listwise verdict over ``candidates`` images. The ranking must be a permutation of all of them."""
    record = read_json(text, ranking_schema(criteria, candidates))
    letters = [str(letter) for letter in _list(record["ranking"])]
    twice = sorted(letter for letter, count in Counter(letters).items() if count > 1)
    if twice:
        missing = [letter for letter in LETTERS[:candidates] if letter not in letters]
        raise Unreadable(
            f'"ranking" must name every image once; it repeats {", ".join(twice)} '
            f"and leaves out {', '.join(missing)}"
        )
    findings = tuple(
        RankFinding(
            name,
            LETTERS.index(str(entry["best"])) if str(entry["best"]) in LETTERS else None,
            _words(entry["evidence"]),
        )
        for name, entry in _once_each(record, criteria).items()
    )
    ranks = tuple(letters.index(letter) + 1 for letter in LETTERS[:candidates])
    return ReadRanking(ranks, findings, _words(record["reasoning"]))


def read_scores(text: str, criteria: Sequence[str], low: int, high: int) -> tuple[CriterionScore, ...]:
    """One image's scores, in the rubric's order: ``low`` is 0, ``high`` is 1, null is None."""
    record = read_json(text, scores_schema(criteria, low, high))
    return tuple(
        CriterionScore(name, _share(entry["score"], low, high), _words(entry["evidence"]))
        for name, entry in _once_each(record, criteria).items()
    )


def read_proposal(text: str, count: int) -> tuple[Draft, ...]:
    """One to ``count`` drafts.

    A draft that repeats another, says nothing, or names an image by its place is left out, since a rubric
    cannot hold it; where none is left the answer is unreadable.
    """
    return _drafts(read_json(text, proposal_schema(count)))


def read_explanation(text: str, count: int) -> tuple[Draft, ...]:
    """One to ``count`` drafts, as :func:`read_proposal`, from behind an inspection and an explanation."""
    return _drafts(read_json(text, explanation_schema(count)))


def _drafts(record: JsonObject) -> tuple[Draft, ...]:
    drafts = _usable(
        Draft(_words(entry["statement"]), _words(entry["guidance"]), _words(entry["dimension"]))
        for entry in _records(record["criteria"])
    )
    if not drafts:
        raise Unreadable(_NONE_USABLE)
    return drafts


def read_diagnosis(text: str) -> tuple[Draft, ...]:
    """What a rubric misses, as one draft: ``guidance`` is the reasoning that led to it."""
    record = read_json(text, diagnosis_schema())
    missing = _words(record["missing"])
    if not missing:
        raise Unreadable('"missing" is empty')
    return (Draft(missing, _words(record["reasoning"]), _words(record["dimension"])),)


def read_plan(text: str, count: int) -> tuple[Draft, ...]:
    """At most ``count`` points, none where nothing that matters differs.

    A point is left out as a draft of :func:`read_proposal` is: one that names an image by its place gives
    away what the judge is to find out.
    """
    points = _records(read_json(text, plan_schema(count))["points"])
    drafts = _usable(Draft(_words(entry["statement"]), _words(entry["guidance"])) for entry in points)
    if points and not drafts:
        raise Unreadable(_NONE_USABLE)
    return drafts


def read_structure(text: str, pool: int, max_dimensions: int) -> tuple[StructuredDimension, ...]:
    """Dimensions over a pool of drafts. Members become indices from 0, each used once at most."""
    record = read_json(text, structure_schema(pool, max_dimensions))
    dimensions = tuple(
        StructuredDimension(
            _words(entry["name"]),
            tuple(
                StructuredCriterion(
                    _words(criterion["statement"]),
                    # A number that stands twice within one criterion says nothing wrong.
                    tuple(
                        dict.fromkeys(int(cast(int, number)) - 1 for number in _list(criterion["members"]))
                    ),
                    _words(criterion["guidance"]),
                )
                for criterion in _records(entry["criteria"])
            ),
            _words(entry["description"]),
        )
        for entry in _records(record["dimensions"])
    )
    criteria = [criterion for dimension in dimensions for criterion in dimension.criteria]
    if not all(dimension.name for dimension in dimensions) or not all(each.statement for each in criteria):
        raise Unreadable("every dimension needs a name, and every criterion a statement")
    uses = Counter(member for criterion in criteria for member in criterion.members)
    twice = sorted(member + 1 for member, count in uses.items() if count > 1)
    if twice:
        raise Unreadable(
            f"a number may stand in one criterion only; {', '.join(map(str, twice))} "
            f"{'stands' if len(twice) == 1 else 'stand'} in several"
        )
    return dimensions


def readable(text: str) -> str:
    """``text`` without half surrogate pairs, which JSON escapes can smuggle in and no file can hold."""
    return text.encode("utf-8", "replace").decode()


_NONE_USABLE = "every statement is empty or speaks of an image by its place, such as Image A"


def _usable(drafts: Iterable[Draft]) -> tuple[Draft, ...]:
    """The drafts that a rubric can hold, each once."""
    kept: dict[str, Draft] = {}
    for draft in drafts:
        key = normalised(draft.statement)
        said = f"{draft.statement}\n{draft.guidance}"
        if key and not mentions_position(said) and not _CHINESE_POSITION.search(said):
            kept.setdefault(key, draft)
    return tuple(kept.values())


def _once_each(record: JsonObject, criteria: Sequence[str]) -> dict[str, JsonObject]:
    # By id, in the rubric's order.
    if not criteria:
        return {}
    entries = _records(record["criteria"])
    counts = Counter(str(entry["id"]) for entry in entries)
    wrong = [f'"{name}" {counts[name]} times' for name in criteria if counts[name] != 1]
    if wrong:
        raise Unreadable(f"every criterion must be answered once; found {', '.join(wrong)}")
    by_id = {str(entry["id"]): entry for entry in entries}
    return {name: by_id[name] for name in criteria}


def _letter(answer: Answer) -> str:
    return "Image A" if answer is Answer.FIRST else "Image B"


def _share(score: Json, low: int, high: int) -> float | None:
    return (float(score) - low) / (high - low) if isinstance(score, int | float) else None


def _words(value: Json) -> str:
    return readable(str(value)).strip()


def _list(value: Json) -> Sequence[Json]:
    return cast(Sequence[Json], value)


def _records(value: Json) -> Sequence[JsonObject]:
    return cast(Sequence[JsonObject], value)
