"""GEdit-Bench: from marks to the numbers of the table, in official and in strict arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np

from arrkit.bench.cells import Answers, Tally, gather, mean_of_cells, tally
from arrkit.bench.gedit_marks import GROUPS, QUALITY, SEMANTICS, TOP
from arrkit.bench.model import Item, Mode, Unit
from arrkit.judge.stats import Floats

QUESTIONS = (SEMANTICS, QUALITY)
OVERALL = "O"


def gedit_tallies(
    metric: str, languages: Sequence[str], items: Sequence[Item], units: Sequence[Unit]
) -> tuple[Tally, ...]:
    """For each language G_O, G_SC and G_PQ; then the subset ``intersection`` and each group."""
    answers = gather(items, units, _expected)
    samples = gather(items, _overall(answers))
    made: list[Tally] = []
    for language in languages:
        part = _Part(f"{metric}/{language}", samples, answers).of("language", language)
        if not part.samples.units:
            continue
        made += part.tallies("G_")
        common = part.of("intersection", "yes", "intersection")
        made += common.tallies("G_") if common.samples.units else []
        groups = [part.of("group", group).tallies("", f"/{group}") for group in part.groups]
        made += [each for numbers in zip(*groups, strict=True) for each in numbers]
    return tuple(sorted(made, key=lambda each: not each.headline))


class _Part:
    """Some of the edits of one language: their samples, and the two answers about each."""

    def __init__(self, name: str, samples: Answers, answers: Answers) -> None:
        self.name = name
        self.samples = samples
        self.answers = answers

    @property
    def groups(self) -> list[str]:
        """The groups that are there, in the order of the official tables."""
        held = set(self.samples.group("group"))
        return [group for group in GROUPS if group in held]

    def of(self, key: str, value: str, name: str = "") -> _Part:
        """Those whose group ``key`` is ``value``."""
        called = f"{self.name}/{name}" if name else self.name
        return _Part(called, self.samples.of_group(key, value), self.answers.of_group(key, value))

    def tallies(self, prefix: str, suffix: str = "") -> list[Tally]:
        """O, SC and PQ in both modes; with the prefix ``G_`` they are means over groups."""
        both = np.isfinite(self.samples.values)
        by_question = self.answers.values.reshape(-1, len(QUESTIONS)).T
        cells = self.samples.group("group") if prefix else None
        made = []
        for metric in (OVERALL, *QUESTIONS):
            if metric == OVERALL:
                values, counted = self.samples.values, self.samples
                what = "mean of the root of SC * PQ"
            else:
                values, counted = by_question[QUESTIONS.index(metric)], self._asked(metric)
                what = f"mean of the lower {metric} mark"
            called = f"{prefix}{metric}{suffix}"
            official = np.where(both, values, np.nan)
            made.append(self._tally(Mode.OFFICIAL, called, self.samples, official, cells, what))
            made.append(self._tally(Mode.STRICT, called, counted, values, cells, what))
        return made

    def _asked(self, question: str) -> Answers:
        return self.answers.only(lambda _, unit: unit.question == question)

    def _tally(
        self, mode: Mode, metric: str, answers: Answers, values: Floats, cells: list[str] | None, what: str
    ) -> Tally:
        combine = mean_of_cells
        if cells is not None:
            counts = np.isfinite(values).tolist() if mode is Mode.OFFICIAL else repeat(True)
            held = {cell for cell, counted in zip(cells, counts, strict=False) if counted}
            empty = [group for group in GROUPS if group not in held]
            what = f"mean over {len(held)} of {len(GROUPS)} groups of the {what}"
            what += f"; without {', '.join(empty)}" if empty else ""
            combine = _nowhere if empty and mode is Mode.OFFICIAL else mean_of_cells
        return tally(
            f"{self.name}/{metric}",
            mode,
            answers,
            values=values,
            at=self.samples.at,
            cells=cells,
            combine=combine,
            top=TOP,
            how=what,
            headline=cells is not None and self.name.count("/") == 1,
        )


def _nowhere(means: Floats) -> Floats:
    """No number: with a group empty the official script has NaN, or fails."""
    return np.full(means.shape[:-1], np.nan)


def _expected(_: Item) -> Iterator[tuple[int, str]]:
    return ((0, question) for question in QUESTIONS)


def _overall(answers: Answers) -> Iterator[Unit]:
    """One unit for each sample, made of the two about it; its status is that of the first that lacks."""
    for semantics, quality in zip(answers.units[::2], answers.units[1::2], strict=True):
        if semantics.value is not None and quality.value is not None:
            yield Unit(item=semantics.item, value=math.sqrt(semantics.value * quality.value))
        else:
            yield Unit(item=semantics.item, status=(semantics if semantics.value is None else quality).status)
