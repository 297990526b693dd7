"""GenEval's prompts: what each asks of an image, read from its metadata lines.

The form is that of ``prompts/evaluation_metadata.jsonl`` of djghosh13/geneval (MIT): one object a line with
``tag``, ``prompt``, ``include`` and, for counting, ``exclude``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from arrkit.bench.model import Item
from arrkit.bench.sources import read_jsonl
from arrkit.canonical import Json, canonical_json, digest
from arrkit.data.files import Files
from arrkit.data.pairs import Task
from arrkit.errors import InputError, Problem, nearest

IMAGES = 4
"""Images for each prompt in the official evaluation."""

TASKS: Mapping[str, int] = {
    "single_object": 80,
    "two_object": 99,
    "counting": 80,
    "colors": 94,
    "position": 100,
    "color_attr": 100,
}
"""The tasks in the official order, and how many prompts the official set has of each."""

OFFICIAL = "c10f29f476ef8be86b13d83091c2baeccbe554d902fc3fef96ccb6842f88bfb5"
"""What :func:`prompts_digest` gives for the official set."""

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""The colours that are told apart, in the order that decides between equal ones."""

RELATIONS = ("left of", "right of", "above", "below")

# COCO's classes in the order of a detector's outputs (evaluation/object_names.txt). Three have other names
# than in COCO: computer mouse, tv remote, computer keyboard.
OBJECTS = tuple(
    """
    person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign
    |parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag
    |tie|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard
    |tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot
    |hot dog|pizza|donut|cake|chair|couch|potted plant|bed|dining table|toilet|tv|laptop|computer mouse
    |tv remote|computer keyboard|cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors
    |teddy bear|hair drier|toothbrush
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
"""The name of each of the detector's classes, by its index."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry of ``include`` or ``exclude``: ``count`` objects of a class.

    ``colour`` is empty where any will do. ``relation`` is where they must lie as seen from the objects of
    entry number ``target`` (from 0, an earlier one); empty where that plays no part.
    """

    name: str
    count: int
    colour: str = ""
    relation: str = ""
    target: int = 0


@dataclass(frozen=True, slots=True)
class Demand:
    """All that is asked of an image: ``include`` entries must be there, ``exclude`` entries must not."""

    tag: str
    include: tuple[Wanted, ...]
    exclude: tuple[Wanted, ...] = ()


def demand_of(metadata: object) -> Demand:
    """What a metadata line asks. Raises ``ValueError`` that says what is wrong with it."""
    if not isinstance(metadata, Mapping):
        raise ValueError("it is not an object with tag, prompt and include")
    tag, prompt = metadata.get("tag"), metadata.get("prompt")
    if not isinstance(tag, str) or not tag:
        raise ValueError("it has no tag")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError("it has no prompt")
    include = tuple(_wanted(entry, place) for place, entry in enumerate(_list(metadata, "include")))
    exclude = tuple(_wanted(entry, 0) for entry in _list(metadata, "exclude"))
    if not include and not exclude:
        raise ValueError("it asks for nothing: include is empty")
    return Demand(tag, include, exclude)


def read_prompts(files: Files, path: str, images: int = IMAGES) -> tuple[Item, ...]:
    """The items of a metadata file, one for each line that is not blank, with ``images`` images each.

    Raises:
        InputError: the file cannot be read, or lines of it cannot be used; all of them are named.
    """
    items: list[Item] = []
    problems: list[Problem] = []
    for where, metadata in read_jsonl(files, path):
        try:
            items.append(make_item(len(items), metadata, images))
        except ValueError as error:
            problems.append(Problem(f"this line asks for no image: {error}", where))
    if problems:
        raise InputError(problems)
    if not items:
        raise InputError(f"{files.name}/{path} holds no prompts")
    return tuple(items)


def make_item(number: int, metadata: object, images: int = IMAGES) -> Item:
    """The item of a metadata line; ``number`` is its place in the file, from 0.

    Raises ``ValueError`` where the line cannot be used.
    """
    demand = demand_of(metadata)
    facts = cast("Mapping[str, Json]", metadata)
    return Item(
        id=f"{number:05}",
        task=Task.T2I,
        prompt=str(facts["prompt"]),
        files=tuple(f"{number:05}/samples/{image:05}.png" for image in range(images)),
        groups={"task": demand.tag},
        facts=facts,
    )


def prompts_digest(items: Sequence[Item]) -> str:
    """SHA-256 over all metadata, whatever its order and however often a prompt stands in the file."""
    return digest(sorted({canonical_json(item.facts).decode() for item in items}))


def task_names(items: Sequence[Item]) -> tuple[str, ...]:
    """The tasks that the items have, official ones first and in their order."""
    held = dict.fromkeys(item.groups["task"] for item in items)
    return (*(tag for tag in TASKS if tag in held), *(tag for tag in held if tag not in TASKS))


def _list(metadata: Mapping[str, object], key: str) -> Sequence[object]:
    value = metadata.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list")
    return value


def _wanted(entry: object, place: int) -> Wanted:
    """``place`` is the number of entries before it, to one of which a position may refer."""
    if not isinstance(entry, Mapping):
        raise ValueError("an entry is not an object with class and count")
    name, count, colour = entry.get("class"), entry.get("count"), entry.get("color", "")
    if name not in OBJECTS:
        raise ValueError(f'"{name}" is not among the 80 classes{nearest(str(name), OBJECTS)}')
    if type(count) is not int or count < 1:
        raise ValueError(f'the count of "{name}" is {count!r}, not a whole number from 1')
    if colour and colour not in COLOURS:
        raise ValueError(f'"{colour}" is not among the ten colours{nearest(str(colour), COLOURS)}')
    if (position := entry.get("position")) is None:
        return Wanted(name, count, colour)
    if not isinstance(position, list) or len(position) != 2:
        raise ValueError(f"the position {position!r} is not a relation and the number of an entry")
    relation, target = position
    if relation not in RELATIONS:
        raise ValueError(f'"{relation}" is not among {", ".join(RELATIONS)}')
    if type(target) is not int or not 0 <= target < place:
        raise ValueError(f"the position of entry {place} refers to {target!r}, which is no earlier entry")
    return Wanted(name, count, colour, relation, target)
