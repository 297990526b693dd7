"""ImgEdit-Bench: the marks in a judge's answer, by the rule of the official scripts and by one for UGE.

The official rule (PKU-YuanGroup/ImgEdit: Benchmark/Basic/step1_get_avgscore.py): a line gives a mark where
colon and blank split it into exactly two parts, of which the second is all digits. "4/5", "4." and "**4**"
are no marks. That a mark lies between 1 and 5 is not looked at there, but is for all other numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from arrkit.canonical import Json

LOWEST, TOP = 1, 5

_SCORE = re.compile(r"\bscore\b[*_\s]*:[*_\s]*(\d+)(?![\d.]*\d)(?!\s*/\s*(?!5\b))", re.IGNORECASE)


def marked_lines(text: str) -> list[tuple[str, int]]:
    """What the official rule finds, in range or not: the marks in order, each with what stands before it."""
    found = []
    for line in text.splitlines():
        parts = line.strip().split(": ")
        if len(parts) == 2 and parts[1].isdecimal():
            found.append((parts[0], int(parts[1])))
    return found


def marks_of(text: str, names: Sequence[str]) -> list[int | None]:
    """The mark of each criterion of ``names``, None for one that is lost or contradicted.

    Marks go by their names; where a judge uses others, by their order, if there are as many as there should.
    """
    found = [(name, mark) for name, mark in marked_lines(text) if LOWEST <= mark <= TOP]
    said: dict[str, set[int]] = {}
    for name, mark in found:
        said.setdefault(_plain(name), set()).add(mark)
    if not any(_plain(name) in said for name in names):
        return [mark for _, mark in found] if len(found) == len(names) else [None] * len(names)
    held = [said.get(_plain(name), set()) for name in names]
    return [next(iter(marks)) if len(marks) == 1 else None for marks in held]


def read_marks(text: str, names: Sequence[str]) -> list[Json]:
    """As :func:`marks_of`, all of them. Raises ``ValueError`` that says which are lost."""
    marks = marks_of(text, names)
    if lost := [name for name, mark in zip(names, marks, strict=True) if mark is None]:
        raise ValueError(
            f'the answer has no line "{lost[0]}: N" with a whole number N from {LOWEST} to {TOP}'
            + (f", and none for {', '.join(lost[1:])}" if lost[1:] else "")
        )
    return list(marks)


def read_score(text: str) -> int:
    """The one mark of an answer that says ``Score: N``, on a line of its own or not.

    The official rule cannot read what the official prompt leads a judge to write: reasoning and score on one
    line have two colons. Raises ``ValueError`` where no mark or more than one is named.
    """
    marks = {int(number) for number in _SCORE.findall(text)}
    if len(marks) != 1:
        raise ValueError(
            "the answer names different scores" if marks else 'the answer has no line "Score: N"'
        )
    mark = marks.pop()
    if not LOWEST <= mark <= TOP:
        raise ValueError(f"the score {mark} is not between {LOWEST} and {TOP}")
    return mark


def _plain(name: str) -> str:
    return name.strip().casefold()
