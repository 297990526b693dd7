"""ImgEdit-Bench: from marks to the numbers of the table, in official and in strict arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from arrkit.bench.cells import Answers, Combine, Tally, gather, mean_of_cells, tally
from arrkit.bench.imgedit_marks import TOP, marked_lines
from arrkit.bench.imgedit_words import KINDS
from arrkit.bench.model import Item, Mode, Unit
from arrkit.bench.rounding import rounded
from arrkit.canonical import Json
from arrkit.judge.stats import Floats

TYPE = "type"
"""The group that the type of an edit stands under."""

MARKS = 3
"""How many marks an edit of the basic part is given."""


def basic_tallies(metric: str, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
    """The mean of the types, that of the edits, then each type.

    Official numbers take an edit's marks from what the judge said, where that stands with its first unit: all
    that the official rule finds count, be they fewer than three or more.
    """
    answers = gather(items, units, _criteria)
    marks = answers.values.reshape(-1, MARKS)
    said = [unit.answer for unit in answers.units[::MARKS]]
    by_mode = {
        Mode.OFFICIAL: rounded(np.array([*map(_official, said, marks)], np.float64), 2),
        Mode.STRICT: np.where(np.isfinite(marks), marks, 0.0).mean(axis=1),
    }
    made: list[Tally] = []

    def add(name: str, part: Answers, what: str, official: Combine, *, by_type: bool = False) -> None:
        edits = part.at[::MARKS]
        for mode, values in by_mode.items():
            marked = np.isfinite(values[edits]).tolist()
            held = {kind for kind, ok in zip(part.group(TYPE)[::MARKS], marked, strict=True) if ok}
            how = what
            if absent := [kind for kind in KINDS if by_type and kind not in held]:
                how += f": {len(held)} of {len(KINDS)}, without {', '.join(absent)}"
            made.append(
                tally(
                    f"{metric}/{name}",
                    mode,
                    part,
                    values=values[edits],
                    at=edits,
                    cells=part.group(TYPE)[::MARKS] if by_type else None,
                    combine=official if mode is Mode.OFFICIAL else mean_of_cells,
                    top=TOP,
                    how=how,
                    headline=name.startswith("overall"),
                )
            )

    add("overall_types", answers, "mean of the types", _of_types, by_type=True)
    add("overall_items", answers, "mean of all edits", _rounded)
    for kind in [kind for kind in KINDS if any(item.groups[TYPE] == kind for item in items)]:
        add(kind, answers.of_group(TYPE, kind), "mean of the type's edits", _rounded)
    return tuple(made)


def uge_tallies(metric: str, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
    """The mean of the marks."""
    answers = gather(items, units)
    return tuple(
        tally(
            metric,
            mode,
            answers,
            combine=_rounded if mode is Mode.OFFICIAL else mean_of_cells,
            top=TOP,
            how="mean of the marks" + (", two decimals" if mode is Mode.OFFICIAL else ""),
            headline=True,
        )
        for mode in Mode
    )


def _official(said: Json, marks: Floats) -> float:
    """An edit's score before it is rounded: the mean of all marks in the answer, NaN without any."""
    found = [mark for _, mark in marked_lines(said)] if isinstance(said, str) else marks[np.isfinite(marks)]
    return float(np.mean(found)) if len(found) else float("nan")


def _rounded(means: Floats) -> Floats:
    return rounded(mean_of_cells(means), 2)


def _of_types(means: Floats) -> Floats:
    return mean_of_cells(rounded(means, 2))


def _criteria(item: Item) -> Iterator[tuple[int, str]]:
    return ((0, name) for name in KINDS[item.groups[TYPE]].names)
