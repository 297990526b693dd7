"""DPG-Bench's propositions and arithmetic: pure functions.

Sources: ``dpg_bench/dpg_bench.csv`` and ``dpg_bench/compute_dpg_bench.py`` of TencentQQGYLab/ELLA
(Apache-2.0). A prompt is taken apart into propositions, each with a yes/no question. Some depend on others:
who does not see a car cannot see that it is red.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from arrkit.bench.cells import Answers, Tally, gather, tally
from arrkit.bench.model import Item, Mode, Status, Unit
from arrkit.canonical import Json
from arrkit.errors import InputError, Problem

COLUMNS = ("item_id", "text", "proposition_id", "dependency", "tuple", "question_natural_language")

TOP = 100.0


@dataclass(frozen=True, slots=True)
class Proposition:
    """One thing that a prompt says.

    ``parents`` are the propositions that it depends on. ``category`` is such as ``attribute - color``.
    ``official`` is False for one that the official script loses by the way in which it reads its file.
    """

    id: int
    parents: tuple[int, ...]
    category: str
    question: str
    official: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt and its propositions, in the order of the file."""

    text: str
    propositions: tuple[Proposition, ...]


def read_questions(text: str, where: str) -> dict[str, Asked]:
    """The propositions of each prompt, by the prompt's id, from the text of the CSV file.

    The official script loses the first data row, and of a prompt whose rows do not stand together all but the
    last block. Of two rows with one number the later counts, as there.

    Raises:
        InputError: columns are missing, or rows cannot be used; all of them are named.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    held: dict[str, dict[int, Proposition]] = {}
    texts: dict[str, str] = {}
    problems = []
    previous = ""
    try:
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
            raise InputError(Problem(f"the columns {', '.join(missing)} are missing", where))
        for number, row in enumerate(rows):
            item = row["item_id"]
            try:
                proposition = _proposition(row, official=number > 0)
            except ValueError as error:
                problems.append(Problem(str(error), f"{where}:{rows.line_num}"))
                continue
            block = held.setdefault(item, {})
            if item != previous:
                block.update({each.id: replace(each, official=False) for each in block.values()})
            block[proposition.id] = proposition
            texts.setdefault(item, row["text"])
            previous = item
    except csv.Error as error:
        raise InputError(Problem(f"this is no CSV: {error}", f"{where}:{rows.line_num}")) from None
    if problems:
        raise InputError(problems)
    return {item: Asked(texts[item].strip(), tuple(block.values())) for item, block in held.items()}


def facts_of(asked: Asked, images: int) -> dict[str, Json]:
    """The propositions, and the number of images that they are asked of, as an item keeps them."""
    return {
        "images": images,
        "propositions": [
            {
                "id": each.id,
                "parents": list(each.parents),
                "category": each.category,
                "question": each.question,
                "official": each.official,
            }
            for each in asked.propositions
        ],
    }


def propositions_of(item: Item) -> tuple[Proposition, ...]:
    """What :func:`facts_of` kept."""
    rows = item.facts["propositions"]
    assert isinstance(rows, Sequence)
    found = []
    for row in rows:
        assert isinstance(row, Mapping)
        assert isinstance(row["parents"], Sequence)
        found.append(
            Proposition(
                int(str(row["id"])),
                tuple(int(str(parent)) for parent in row["parents"]),
                str(row["category"]),
                str(row["question"]),
                bool(row["official"]),
            )
        )
    return tuple(found)


def gated_in_order(propositions: Sequence[Proposition], scores: Mapping[int, float]) -> list[float]:
    """Scores in which one whose parent has none now is 0, gone through in the order of the file.

    Now: where a parent stands later in the file, what it loses itself plays no part yet. Raises ``KeyError``
    for a parent that is not there, unless one before it settles the matter; the official script then drops
    the file.
    """
    now = dict(scores)
    for each in propositions:
        if any(now[parent] == 0 for parent in each.parents):
            now[each.id] = 0.0
    return [now[each.id] for each in propositions]


def gated(propositions: Sequence[Proposition], scores: Mapping[int, float]) -> list[float]:
    """Scores in which one is 0 where any that it depends on, however far away, is 0, whatever the order.

    A parent that is not there stops nothing.
    """
    parents = {each.id: each.parents for each in propositions}

    def stands(start: int) -> bool:
        seen, todo = {start}, [start]
        while todo:
            for parent in parents.get(todo.pop(), ()):
                if scores.get(parent, 1.0) == 0:
                    return False
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return True

    return [scores[each.id] if stands(each.id) else 0.0 for each in propositions]


@dataclass(frozen=True, slots=True)
class Marked:
    """What one prompt comes to: the mean over its images in [0, 1], and scores that go into categories."""

    score: float
    categories: tuple[tuple[Proposition, float], ...]


def mark_officially(
    propositions: Sequence[Proposition], images: Sequence[Mapping[int, Unit]]
) -> Marked | None:
    """As the official script, from the units of each image by proposition; None where it drops the prompt.

    It does so at any error: an image that is not there, a question without an answer. An answer that is
    something else than yes counts as no. Categories take the last image alone, and take no heed of parents.
    """
    asked = [each for each in propositions if each.official]
    means = []
    scores: dict[int, float] = {}
    for units in images:
        if any(units[each.id].status in (Status.MISSING, Status.FAILED) for each in asked):
            return None
        scores = {each.id: units[each.id].value or 0.0 for each in asked}
        try:
            means.append(_mean(gated_in_order(asked, scores)))
        except KeyError:
            return None
    if not asked or not means:
        return None
    return Marked(_mean(means), tuple((each, scores[each.id]) for each in asked))


def mark_strictly(propositions: Sequence[Proposition], images: Sequence[Mapping[int, Unit]]) -> Marked:
    """Every proposition of every image counts, gated; one without an answer is 0."""
    means = []
    held: list[tuple[Proposition, float]] = []
    for units in images:
        scores = gated(propositions, {each.id: units[each.id].value or 0.0 for each in propositions})
        means.append(_mean(scores))
        held += zip(propositions, scores, strict=True)
    return Marked(_mean(means), tuple(held))


def tallies(metric: str, items: Sequence[Item], units: Iterable[Unit]) -> tuple[Tally, ...]:
    """The score in both modes, then the broad categories, then the narrow ones."""
    answers = gather(items, units, questions)
    by_item: list[list[dict[int, Unit]]] = [[{} for _ in range(images_of(item))] for item in items]
    for at, unit in zip(answers.at.tolist(), answers.units, strict=True):
        by_item[at][unit.image][int(unit.question)] = unit
    asked = [propositions_of(item) for item in items]
    pairs = list(zip(asked, by_item, strict=True))
    marked: dict[Mode, list[Marked | None]] = {
        Mode.OFFICIAL: [mark_officially(*pair) for pair in pairs],
        Mode.STRICT: [mark_strictly(*pair) for pair in pairs],
    }
    dropped = sum(each is None for each in marked[Mode.OFFICIAL])
    hows = {
        Mode.OFFICIAL: f"mean over prompts, {dropped} of {len(items)} dropped; the file's first row left out",
        Mode.STRICT: "mean over prompts, their images and all questions; what has no answer is 0",
    }
    made = [_overall(f"{metric}/overall", mode, answers, marked[mode], hows[mode]) for mode in Mode]
    category = {
        (item.id, str(each.id)): each for item, held in zip(items, asked, strict=True) for each in held
    }
    for prefix, called in ((metric, _broad), (f"{metric}/by-type", _narrow)):
        for name in sorted({called(each) for each in category.values()}):
            wanted = {key for key, each in category.items() if called(each) == name}
            part = _about(answers, wanted)
            made += [_category(f"{prefix}/{name}", mode, part, marked[mode], called, name) for mode in Mode]
    return tuple(made)


def questions(item: Item) -> list[tuple[int, str]]:
    """The (image, question) of each unit of an item: questions are called by the proposition's number."""
    asked = [str(each.id) for each in propositions_of(item)]
    return [(image, each) for image in range(images_of(item)) for each in asked]


def images_of(item: Item) -> int:
    """How many images the questions are asked of: four, where they lie in one file too."""
    return int(str(item.facts["images"]))


def _overall(name: str, mode: Mode, answers: Answers, marked: Sequence[Marked | None], how: str) -> Tally:
    values = np.array([np.nan if each is None else TOP * each.score for each in marked], np.float64)
    at = np.arange(len(marked), dtype=np.int64)
    return tally(name, mode, answers, values=values, at=at, top=TOP, how=how, headline=True)


def _about(answers: Answers, wanted: set[tuple[str, str]]) -> Answers:
    """The units of these (item, question)."""
    return answers.only(lambda item, unit: (item.id, unit.question) in wanted)


def _category(
    name: str,
    mode: Mode,
    answers: Answers,
    marked: Sequence[Marked | None],
    called: Callable[[Proposition], str],
    category: str,
) -> Tally:
    addends = [
        (place, TOP * score)
        for place, mark in enumerate(marked)
        for each, score in (mark.categories if mark is not None else ())
        if called(each) == category
    ]
    official = mode is Mode.OFFICIAL
    return tally(
        name,
        mode,
        answers,
        values=np.array([score for _, score in addends], np.float64),
        at=np.array([place for place, _ in addends], np.int64),
        top=TOP,
        how="answers about each prompt's last image, parents ignored" if official else "all images, gated",
    )


def _broad(proposition: Proposition) -> str:
    """The category's first part, such as ``attribute``."""
    return proposition.category.split("-")[0].strip()


def _narrow(proposition: Proposition) -> str:
    return proposition.category


def _proposition(row: Mapping[str, str | None], *, official: bool) -> Proposition:
    cells = {name: row.get(name) for name in COLUMNS}
    if lacking := [name for name, cell in cells.items() if cell is None]:
        raise ValueError(f"the row ends before {lacking[0]}")
    item, question = cells["item_id"] or "", (cells["question_natural_language"] or "").strip()
    if not item.strip() or not question:
        raise ValueError("the row has no item_id, or asks nothing")
    try:
        number = int(cells["proposition_id"] or "")
        parents = [int(part) for part in (cells["dependency"] or "0").split(",")]
    except ValueError:
        raise ValueError(
            f'"{cells["proposition_id"]}" or one of "{cells["dependency"]}" is no number of a proposition'
        ) from None
    category = (cells["tuple"] or "").split("(")[0].strip()
    return Proposition(number, tuple(each for each in parents if each != 0), category, question, official)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
