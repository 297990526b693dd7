"""Answers that were made elsewhere: read from a file, in the forms that judges' tools write.

======================================================================  =====================================
one row or entry                                                        written by
======================================================================  =====================================
``{"id", "label", "ab", "ba", "rubric", ...}``                          arrkit: ``judgments.jsonl``
``{ID: {"forward": [{"judgement": "A"}], "reverse": [{...}]}}``         MMRB2: one JSON object; its answers
                                                                        name a place, not a candidate
``{"idx": 0, "human_vote": "leftvote", "model_vote": "[[A>B]]"}``       GenAI-Bench; ``idx`` is the place in
                                                                        the dataset, from 0
``{"id": "p1", "choice": "A"}``                                         anyone; A was shown first
``{"id": "p1", "score_a": 0.7, "score_b": 0.1}``                        scorers of single images
``{"id": "g1", "scores": [0.3, 0.9, 0.1]}``                             the same, for a pair or for a group
======================================================================  =====================================

The answer may also be called ``judgement``, ``judgment``, ``vote``, ``model_vote``, ``prediction``,
``answer``, ``verdict`` or ``better_response``, the id ``pair_id``, and the human label may stand beside it as
``label``, ``human_vote``, ``vote_type``, ``ranking`` or ``chosen``. Rows without any id go by their place in
the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from arrkit.data.pairs import Label
from arrkit.data.readers import read_rows
from arrkit.data.rows import BrokenRow, place_of
from arrkit.errors import InputError, Problem
from arrkit.judge.answered import Answered, Choice
from arrkit.serial import from_json

MOST_PROBLEMS = 1000
"""After so many problems the rest of a file is not looked at."""

IDS = ("id", "pair_id")
PLACES = ("idx", "index")
CHOICES = (
    "choice",
    "judgement",
    "judgment",
    "model_vote",
    "vote",
    "prediction",
    "answer",
    "verdict",
    "better_response",
)
LABELS = ("label", "human_vote", "vote_type", "ranking", "chosen")

_WORDS = {
    Choice.A: ("a", "a>b", "a>>b", "left", "left>right", "leftvote"),
    Choice.B: ("b", "b>a", "b>>a", "right", "right>left", "rightvote"),
    Choice.TIE: ("tie", "a=b", "left=right", "tievote"),
    Choice.BOTH_GOOD: ("both_good", "bothgood", "a=b=good"),
    Choice.BOTH_BAD: ("both_bad", "bothbad", "a=b=bad", "bothbad_vote"),
}
_MEANT = {word: choice for choice, words in _WORDS.items() for word in words}
_MEANT |= {choice.value: choice for choice in (Choice.OTHER, Choice.UNPARSED, Choice.REFUSED, Choice.FAILED)}
_GREEDY = re.compile(r"\[\[(.*)\]\]")
_LETTERS = re.compile(r"\s*([A-Z])\s*vs\.?\s*([A-Z])\s*")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as a file has it: the choice in each order, scores of the images, and the label if it is
    there.

    ``own`` is the whole judgment where arrkit wrote it.
    """

    where: str
    ab: Choice = Choice.NOT_ASKED
    ba: Choice = Choice.NOT_ASKED
    scores: tuple[float | None, ...] = ()
    margin: float | None = None
    label: Label | None = None
    own: Answered | None = None

    def same(self, other: Reply) -> bool:
        """Whether both say the same, wherever they stand."""
        mine, theirs = ((each.ab, each.ba, each.scores, each.margin, each.label) for each in (self, other))
        return mine == theirs


@dataclass(slots=True)
class Replies:
    """All answers of a file: ``by_rubric[rubric][key]``, the rubric empty where the file knows none.

    A key is the id of a pair or group, or, where ``placed``, the place of a pair in its dataset from 0.
    ``repeated`` are the places in the file of rows that say again what another row says.
    """

    name: str
    by_rubric: dict[str, dict[str | int, Reply]] = field(default_factory=dict)
    placed: bool = False
    repeated: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        """Whether each answer is one pair's, with its human label beside it."""
        each = (reply for replies in self.by_rubric.values() for reply in replies.values())
        return all(reply.label is not None and len(reply.scores) <= 2 for reply in each)


def read_choice(text: str) -> Choice | None:
    """The choice that a vote or a whole reply names; None where there is none in it.

    In a reply it stands in double square brackets; as in GenAI-Bench, all from the first opening to the last
    closing pair of a line is taken, so that two different verdicts are none.
    """
    found = _MEANT.get(_plain(text))
    if found is None and (bracketed := _GREEDY.search(text)) is not None:
        found = _MEANT.get(_plain(bracketed[1]))
    return found


def read_label(text: str) -> Label | None:
    """The human label that a vote names, None for anything else."""
    choice = read_choice(text)
    if choice is None or not choice.decided:
        return None
    return Label.TIE if choice is Choice.BOTH_GOOD else Label(choice.value)


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text).lower()


def read_replies(path: Path) -> Replies:
    """The answers of a file, in any of the forms above.

    Raises :class:`~arrkit.errors.InputError` with all that is wrong: a file that cannot be read, a row
    without an answer, two rows that answer for the same pair differently.
    """
    reader = _Reader(path)
    try:
        if _is_object(path):
            reader.predictions()
        else:
            reader.rows()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if reader.problems:
        raise InputError(reader.problems, closing="Nothing was scored.")
    if not reader.found.by_rubric:
        raise InputError(f"{path} holds no answers")
    return reader.found


def _is_object(path: Path) -> bool:
    if path.suffix.lower() in (".jsonl", ".ndjson", ".yaml", ".yml"):
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        return stream.read(4096).lstrip().startswith("{")


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = Replies(str(path))
        self.problems: list[Problem] = []

    def problem(self, what: str, where: str, hint: str = "") -> None:
        self.problems.append(Problem(what, where, hint))

    def predictions(self) -> None:
        """MMRB2's prediction object. Only the first answer of each list counts, as for its scorer."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise InputError(f"{self.path} is not JSON: {error}") from error
        for key, entry in content.items():
            where = f"{self.path}, {key}"
            if not isinstance(entry, Mapping) or not {"forward", "reverse"} & set(entry):
                self.problem(
                    "an entry of an object of predictions has forward and reverse",
                    where,
                    "For one answer on each line, name the file .jsonl.",
                )
                return
            ab = _first_answer(entry, "forward")
            ba = _first_answer(entry, "reverse").swapped
            self.keep("", str(key), Reply(where, ab, ba))

    def rows(self) -> None:
        placed: set[bool] = set()
        for row in read_rows(self.path):
            where = f"{self.path}:{place_of(row)}"
            if isinstance(row, BrokenRow):
                self.problem(row.what, where, row.hint)
            elif row.repeated:
                self.problem(f'the key "{row.repeated[0]}" stands twice', where)
            elif not isinstance(row.value, dict):
                self.problem("a row of answers is an object", where)
            else:
                key = _key(row.value, row.number)
                placed.add(isinstance(key, int))
                self.row(row.value, key, where)
            if len(self.problems) >= MOST_PROBLEMS:
                return
        if len(placed) == 2:
            self.problem("some rows have an id and some do not", str(self.path), "Give each row its id.")
        self.found.placed = True in placed

    def row(self, row: Mapping[str, object], key: str | int, where: str) -> None:
        try:
            if "ab" in row or "ba" in row:
                own = from_json(Answered, {"label": Label.TIE.value, **row, "id": str(key)})
                label = own.label if "label" in row else None
                reply = Reply(where, own.ab, own.ba, margin=own.margin, label=label, own=own)
                self.keep(own.rubric, key, reply)
                return
            reply = _reply(row, where)
        except (TypeError, ValueError) as error:
            self.problem(str(error), where)
            return
        rubric = row.get("rubric", "")
        self.keep(rubric if isinstance(rubric, str) else "", key, reply)

    def keep(self, rubric: str, key: str | int, reply: Reply) -> None:
        held = self.found.by_rubric.setdefault(rubric, {})
        before = held.get(key)
        if before is None:
            held[key] = reply
        elif before.same(reply):
            self.found.repeated.append(reply.where)
        else:
            self.problem(
                f'"{key}" is answered differently at {before.where}', reply.where, "Keep one of the two."
            )


def _key(row: Mapping[str, object], number: int) -> str | int:
    for name in IDS:
        given = row.get(name)
        if isinstance(given, str | int) and not isinstance(given, bool) and given != "":
            return str(given)
    for name in PLACES:
        given = row.get(name)
        if isinstance(given, int) and not isinstance(given, bool):
            return given
    return number - 1


def _first_answer(entry: Mapping[str, object], direction: str) -> Choice:
    if direction not in entry:
        return Choice.NOT_ASKED
    answers = entry[direction]
    first = answers[0] if isinstance(answers, list) and answers else None
    said = first.get("judgement", first.get("judgment")) if isinstance(first, Mapping) else None
    if not said:
        return Choice.MISSING
    if said in ("A", "B"):
        return Choice(said)
    meant = read_choice(str(said))
    # To its scorer a tie and any other word are answers, and wrong ones.
    return meant if meant is not None and meant.tied else Choice.OTHER


def _reply(row: Mapping[str, object], where: str) -> Reply:
    letters = _letters(row)
    label = None
    for name in LABELS:
        said = row.get(name)
        if isinstance(said, str):
            label = read_label(_renamed(said, letters))
            if label is None:
                raise ValueError(f'{name} "{said}" is no label')
            break
    scores = _scores(row)
    margin = row.get("margin")
    if margin is not None and not _is_number(margin):
        raise ValueError(f"margin {margin!r} is not a number")
    if isinstance(margin, int | float):
        return Reply(where, chosen_by(float(margin)), margin=float(margin), label=label)
    if scores is not None:
        return Reply(where, scores=scores, label=label)
    for name in CHOICES:
        if name not in row:
            continue
        said = row[name]
        if said is None or said == "":
            return Reply(where, Choice.MISSING, label=label)
        if not isinstance(said, str):
            raise ValueError(f"{name} is text, not {type(said).__name__}")
        return Reply(where, read_choice(_renamed(said, letters)) or Choice.UNPARSED, label=label)
    raise ValueError(f"a row without an answer: none of {', '.join(CHOICES)}, score_a and score_b, scores")


def _scores(row: Mapping[str, object]) -> tuple[float | None, ...] | None:
    scores = row.get("scores")
    if scores is None and "score_a" in row and "score_b" in row:
        scores = [row["score_a"], row["score_b"]]
    if scores is None:
        return None
    if not isinstance(scores, list) or len(scores) < 2 or not all(s is None or _is_number(s) for s in scores):
        raise ValueError("scores are two or more numbers, or null")
    return tuple(None if score is None else float(score) for score in scores)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _letters(row: Mapping[str, object]) -> tuple[str, str] | None:
    """The two letters that a pair of a group goes by, such as B and D for ``BvsD``."""
    named = row.get("comparison_type")
    match = _LETTERS.fullmatch(named) if isinstance(named, str) else None
    return (match[1], match[2]) if match and match.groups() != ("A", "B") else None


def _renamed(text: str, letters: tuple[str, str] | None) -> str:
    if letters is None:
        return text
    names = {letters[0]: "A", letters[1]: "B"}
    return re.sub(r"\b[A-Z]\b", lambda found: names.get(found[0], found[0]), text)


def chosen_by(margin: float) -> Choice:
    """What scores choose: the higher one, a tie where they are equal."""
    return Choice.A if margin > 0 else Choice.B if margin < 0 else Choice.TIE


def labelled_answers(replies: Replies, rubric: str) -> Iterator[Answered]:
    """The judgments of one rubric by the file alone, which has the labels; see :attr:`Replies.labelled`."""
    for key, reply in replies.by_rubric[rubric].items():
        if reply.own is not None:
            yield reply.own
        elif reply.label is not None:
            ab, ba, margin = reply.ab, reply.ba, reply.margin
            if reply.scores:
                ab, margin = scored(reply.scores[:2])
            yield Answered(str(key), reply.label, ab, ba, rubric, margin=margin)


def scored(scores: Iterable[float | None]) -> tuple[Choice, float | None]:
    """The choice and the margin of two scores; a missing choice where one is not known."""
    a, b = scores
    if a is None or b is None:
        return Choice.MISSING, None
    return chosen_by(a - b), a - b
