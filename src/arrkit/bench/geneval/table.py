"""GenEval's numbers: the mean of the tasks, the shares of right images and of right prompts, each task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from arrkit.bench.cells import Answers, Tally, gather, tally
from arrkit.bench.geneval.items import TASKS, task_names
from arrkit.bench.model import Item, Mode, Status, Unit
from arrkit.canonical import canonical_json
from arrkit.judge.stats import Floats


def tallies(metric: str, items: Sequence[Item], units: Iterable[Unit]) -> tuple[Tally, ...]:
    """All numbers in both modes, the overall score first.

    ``official`` is what ``evaluation/summary_scores.py`` prints: images that are not there play no part, and
    a task without any leaves the mean. ``strict`` counts them as wrong, and takes the verdict that the boxes
    give where a result file contradicts its own boxes.
    """
    units = list(units)
    beyond: dict[str, set[int]] = {}
    for unit in units:
        beyond.setdefault(unit.item, set()).add(unit.image)

    def expected(item: Item) -> Iterable[tuple[int, str]]:
        # The official summary knows no number of images: whatever stands in a result file counts.
        images = range(len(item.files))
        more = sorted(beyond.get(item.id, set()).difference(images))
        return ((image, "") for image in (*images, *more))

    answers = gather(items, units, expected)
    contradicted = sum(_retested(unit) not in (None, unit.value) for unit in answers.units)
    values = {
        Mode.OFFICIAL: answers.values,
        Mode.STRICT: np.array([_strict(unit) for unit in answers.units], np.float64),
    }
    note = f"; {contradicted} verdicts are contradicted by their boxes" if contradicted else ""
    made: list[Tally] = []
    for mode in Mode:
        made.append(
            tally(
                f"{metric}/overall",
                mode,
                answers,
                values=values[mode],
                cells=answers.group("task"),
                how=f"mean of the tasks' shares of right images{_absent(answers, mode)}{note}",
                headline=True,
            )
        )
    for mode in Mode:
        how = "share of right images"
        made.append(tally(f"{metric}/images", mode, answers, values=values[mode], how=how))
    for mode in Mode:
        made.append(_by_prompt(f"{metric}/prompts", mode, answers, values[mode]))
    for task in task_names(items):
        part = answers.of_group("task", task)
        held = np.array([name == task for name in answers.group("task")], bool)
        for mode in Mode:
            how = f"share of right images of {task}"
            made.append(tally(f"{metric}/{task}", mode, part, values=values[mode][held], how=how))
    return tuple(made)


def _by_prompt(name: str, mode: Mode, answers: Answers, values: Floats) -> Tally:
    """The share of prompts with a right image; items with the same metadata are one prompt."""
    first: dict[bytes, int] = {}
    prompt = [first.setdefault(canonical_json(item.facts), at) for at, item in enumerate(answers.items)]
    best: dict[int, float] = {}
    for at, value in zip(answers.at.tolist(), values.tolist(), strict=True):
        # fmax: an image that has no verdict does not hide one that has.
        best[prompt[at]] = float(np.fmax(best.get(prompt[at], np.nan), value))
    return tally(
        name,
        mode,
        answers,
        values=np.array(list(best.values()), np.float64),
        at=np.array(list(best), np.int64),
        how="share of prompts of which at least one image is right",
    )


def _strict(unit: Unit) -> float:
    retested = _retested(unit)
    if unit.value is None:
        return float("nan")
    return unit.value if retested is None else float(retested)


def _retested(unit: Unit) -> bool | None:
    """The verdict that the boxes of a result file give, None where there is none."""
    value = unit.answer.get("retested") if isinstance(unit.answer, Mapping) else None
    return value if isinstance(value, bool) else None


def _absent(answers: Answers, mode: Mode) -> str:
    """A clause that names the official tasks that the mean lacks: strict, only those that have no prompt."""
    held = {
        name
        for name, unit in zip(answers.group("task"), answers.units, strict=True)
        if unit.status is Status.SCORED or mode is Mode.STRICT
    }
    absent = [name for name in TASKS if name not in held]
    return f", without {', '.join(absent)}" if absent and held else ""
