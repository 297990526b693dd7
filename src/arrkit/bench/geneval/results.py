"""Result files of GenEval's own evaluator: one JSON line for each image, with the boxes that it saw.

Every verdict in which colours play no part can be given again from the boxes, and a wrong one where too few
boxes were found also where they do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

from arrkit.bench.geneval.items import Demand, demand_of, make_item
from arrkit.bench.geneval.rules import Box, judge
from arrkit.bench.model import Item, Unit
from arrkit.canonical import Json, canonical_json
from arrkit.errors import InputError, Problem

_PLACE = re.compile(r"(?:(\d+)[/\\]samples[/\\])?(\d+)\.png[^/\\]*$")


@dataclass(frozen=True, slots=True)
class Result:
    """One line: what was asked, where the image stood (None where the name does not say), and the verdict.

    ``retested`` is the verdict by the rules from the saved boxes, None where they cannot tell. ``detector``
    is empty unless the line names another than the official one.
    """

    metadata: Mapping[str, Json]
    folder: int | None
    image: int | None
    correct: bool
    retested: bool | None
    reason: str
    detector: str


def is_result_file(path: Path) -> bool:
    """Whether a file begins as the official evaluator writes it."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        try:
            line = json.loads(stream.readline(1 << 20))
        except ValueError:
            return False
    return isinstance(line, dict) and "metadata" in line and "correct" in line


def read_results(file: Path) -> list[Result]:
    """The lines of a result file.

    Raises:
        InputError: the file cannot be read, or lines of it cannot be used; all of them are named.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    results, problems = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            results.append(_result(json.loads(line)))
        except ValueError as error:
            problems.append(Problem(f"this is no result of GenEval: {error}", f"{file.name}:{number}"))
    if problems:
        raise InputError(problems)
    if not results:
        raise InputError(f"{file} holds no results")
    return results


def items_of(results: Sequence[Result], images: int) -> tuple[Item, ...]:
    """The prompts that a result file is about, in the order in which they appear."""
    held: dict[bytes, Mapping[str, Json]] = {}
    for result in results:
        held.setdefault(canonical_json(result.metadata), result.metadata)
    return tuple(make_item(number, metadata, images) for number, metadata in enumerate(held.values()))


def units_of(results: Sequence[Result], items: Sequence[Item], name: str) -> list[Unit]:
    """The results as units of ``items``: they are matched by the metadata, as the official summary does.

    Of several items with the same metadata (some files hold every prompt four times) that of the folder's
    number is taken, else the first that has no such image yet.

    Raises:
        InputError: a result is about none of the items, or about an image that another result is about.
            ``name`` is the file's, for the message.
    """
    places: dict[bytes, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(canonical_json(item.facts), []).append(place)
    taken: list[set[int]] = [set() for _ in items]
    units = []
    for result in results:
        alike = places.get(canonical_json(result.metadata))
        if alike is None:
            raise InputError(
                f'{name} has a result for "{result.metadata.get("prompt")}", which is not in the prompt set',
                hint="Name the folder with the prompt file that the images were made from: --data DIR",
            )
        if result.folder is not None and result.folder in alike:
            place = result.folder
        else:
            place = next((each for each in alike if result.image not in taken[each]), alike[0])
        image = result.image
        if image is None:
            image = next(number for number in count() if number not in taken[place])
        if image in taken[place]:
            raise InputError(f'{name} has two results for image {image} of "{items[place].prompt}"')
        taken[place].add(image)
        units.append(_unit(result, items[place], image))
    return units


def _unit(result: Result, item: Item, image: int) -> Unit:
    answer: dict[str, Json] = {"correct": result.correct, "reason": result.reason}
    if result.retested is not None:
        answer["retested"] = result.retested
    if result.detector:
        answer["detector"] = result.detector
    return Unit(item=item.id, image=image, value=float(result.correct), answer=answer)


def _result(line: object) -> Result:
    if not isinstance(line, Mapping):
        raise ValueError("it is not an object")
    metadata = _parsed(line.get("metadata"))
    demand = demand_of(metadata)
    correct = line.get("correct")
    if correct not in (True, False):
        raise ValueError(f"correct is {correct!r}, not true or false")
    place = _PLACE.search(str(line.get("filename", "")))
    folder, image = place.groups() if place is not None else (None, None)
    return Result(
        metadata=cast("Mapping[str, Json]", metadata),
        folder=None if folder is None else int(folder),
        image=None if image is None else int(image),
        correct=bool(correct),
        retested=_retested(demand, line.get("details")),
        reason=str(line.get("reason") or ""),
        detector=str(line.get("detector") or ""),
    )


def _retested(demand: Demand, details: object) -> bool | None:
    """The verdict from the saved boxes. Those saved are those that counted: no limit is applied again."""
    if details is None:
        return None
    found = _parsed(details)
    if not isinstance(found, Mapping):
        raise ValueError("details are not an object of classes and boxes")
    try:
        boxes = {
            str(name): sorted((Box(*map(float, box)) for box in held), key=lambda box: -box.score)
            for name, held in found.items()
        }
    except TypeError:
        raise ValueError("details hold a box that is not five numbers") from None
    return judge(demand, boxes, None).correct


def _parsed(value: object) -> object:
    """A JSON value that stands as text in JSON, as the official evaluator writes it, or plain."""
    return json.loads(value) if isinstance(value, str) else value
