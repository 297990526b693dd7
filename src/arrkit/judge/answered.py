"""Saved judgments: what people said of a pair, and what a judge said of it in each order.

An :class:`Answered` holds all that a metric needs, in the pair's own terms, and no image. ``judge eval``
writes ``judgments.jsonl`` into its run folder, one line for each pair and rubric:

    {"id": "p7", "label": "A", "ab": "A", "ba": "tie", "rubric": "edit-general", "task": "edit"}

What is empty is left out; an order in which the pair was not shown stands in no key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from arrkit.data.pairs import Label, PreferencePair, Task
from arrkit.errors import RunError
from arrkit.judge.protocol import Order, Outcome, Side, Verdict
from arrkit.serial import from_json, to_json

JUDGMENTS = "judgments.jsonl"
"""The file's name in a run folder."""


class Choice(StrEnum):
    """How one presentation of a pair ended, in the pair's own terms: A is A, wherever it stood.

    The first five are decisions. ``tie`` is two alike without a word on how good they are; ``both_good`` and
    ``both_bad`` are ties that say it. ``other`` and ``unparsed`` are answers without a decision: one that
    names something else than was asked for (or says that it cannot tell), one in which nothing can be read.
    ``refused`` is the model's no. ``failed`` and ``missing`` are no answers: the call failed, or nobody knows
    of one. ``not_asked`` is an order in which the pair was not to be shown.
    """

    A = "A"
    B = "B"
    TIE = "tie"
    BOTH_GOOD = "both_good"
    BOTH_BAD = "both_bad"
    OTHER = "other"
    UNPARSED = "unparsed"
    REFUSED = "refused"
    FAILED = "failed"
    MISSING = "missing"
    NOT_ASKED = "not_asked"

    @property
    def decided(self) -> bool:
        """Whether it is a decision: a candidate, or neither over the other."""
        return self in _DECISIONS

    @property
    def tied(self) -> bool:
        """Whether it puts neither over the other."""
        return self in _TIES

    @property
    def came(self) -> bool:
        """Whether the judge said anything at all."""
        return self in _DECISIONS or self in _UNDECIDED

    @property
    def swapped(self) -> Choice:
        """The same with A and B exchanged."""
        return {Choice.A: Choice.B, Choice.B: Choice.A}.get(self, self)

    def agrees(self, label: Label) -> bool:
        """Whether people said the same; their ties and the judge's are all one here."""
        return self.tied if not label.decided else self.value == label.value


_TIES = frozenset({Choice.TIE, Choice.BOTH_GOOD, Choice.BOTH_BAD})
_DECISIONS = _TIES | {Choice.A, Choice.B}
_UNDECIDED = frozenset({Choice.OTHER, Choice.UNPARSED, Choice.REFUSED})


@dataclass(frozen=True, slots=True)
class Answered:
    """One pair under one rubric: what people said and what the judge chose with A and with B shown first.

    ``margin`` is the score of A minus that of B, on the judge's own scale, where it gives scores. A judge
    that scores each image by itself knows no order: its choice stands in ``ab``. ``group``, ``votes``,
    ``confidence`` and ``metadata`` are the pair's. Raises ``ValueError`` for a pair shown in no order.
    """

    id: str
    label: Label
    ab: Choice = Choice.NOT_ASKED
    ba: Choice = Choice.NOT_ASKED
    rubric: str = ""
    task: Task | None = None
    group: str = ""
    margin: float | None = None
    votes: tuple[int, int] | None = None
    confidence: float | None = None
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ab is Choice.NOT_ASKED and self.ba is Choice.NOT_ASKED:
            raise ValueError(f'the pair "{self.id}" was shown in no order')

    @property
    def shown(self) -> tuple[Choice, ...]:
        """How the presentations that were called for ended: one or two."""
        return tuple(choice for choice in (self.ab, self.ba) if choice is not Choice.NOT_ASKED)

    @property
    def stored(self) -> Choice:
        """With A shown first, as the dataset stores the pair; with B first where only that was called for."""
        return self.ba if self.ab is Choice.NOT_ASKED else self.ab

    @property
    def unit(self) -> tuple[bool, str]:
        """What the pair belongs to: its group, or itself where it has none."""
        return (True, self.group) if self.group else (False, self.id)

    @property
    def swapped(self) -> Answered:
        """The same pair with its candidates exchanged."""
        return Answered(
            self.id,
            self.label.swapped,
            self.ba.swapped,
            self.ab.swapped,
            self.rubric,
            self.task,
            self.group,
            None if self.margin is None else -self.margin,
            None if self.votes is None else self.votes[::-1],
            self.confidence,
            self.metadata,
        )


def choice_of(order: Order, verdict: Verdict | None) -> Choice:
    """What a verdict chose, in the pair's own terms; ``not_asked`` where there is none."""
    if verdict is None:
        return Choice.NOT_ASKED
    if verdict.outcome is Outcome.OK:
        return Choice.A if (verdict.preferred is Side.FIRST) is (order is Order.AB) else Choice.B
    return _ENDS[verdict.outcome]


_ENDS = {
    Outcome.TIE: Choice.TIE,
    Outcome.ABSTAIN: Choice.OTHER,
    Outcome.REFUSED: Choice.REFUSED,
    Outcome.TRUNCATED: Choice.UNPARSED,
    Outcome.UNPARSED: Choice.UNPARSED,
    Outcome.FAILED: Choice.FAILED,
}


def answered(
    pair: PreferencePair,
    ab: Choice = Choice.NOT_ASKED,
    ba: Choice = Choice.NOT_ASKED,
    *,
    rubric: str = "",
    margin: float | None = None,
) -> Answered:
    """What was chosen on ``pair``, with what the dataset says of it."""
    return Answered(
        pair.id,
        pair.label,
        ab,
        ba,
        rubric,
        pair.task,
        pair.group,
        margin,
        pair.votes,
        pair.confidence,
        pair.metadata,
    )


@contextmanager
def write_judgments(path: Path) -> Iterator[Callable[[Answered], None]]:
    """A function that writes one judgment; the file stands at ``path`` when all are written, or not at all.

    Raises :class:`~arrkit.errors.RunError` where the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")

    def write(judgment: Answered) -> None:
        line = json.dumps(to_json(judgment), allow_nan=False) + "\n"
        with _writing(path):
            stream.write(line)

    with _writing(path):
        stream = temporary.open("w", encoding="utf-8", newline="\n")
    try:
        with stream:
            yield write
            with _writing(path):
                stream.flush()
        with _writing(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def read_judgments(path: Path, rubric: str | None = None) -> Iterator[Answered]:
    """What :func:`write_judgments` wrote, in file order; of one ``rubric`` alone where that is given."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            judgment = from_json(Answered, json.loads(line))
            if rubric is None or judgment.rubric == rubric:
                yield judgment
