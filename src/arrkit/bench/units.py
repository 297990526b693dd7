"""Units in a file: one line for each item, written when its images have been looked at.

    {"key": "9f2c...", "item": "00017", "images": ["51aa...", null], "units": [{"value": 1.0}, ...]}

``images`` are the SHA-256 of the image files that were looked at, null for one that was not there: an image
that was painted anew since is looked at again. Each unit has ``image`` (0 where it is left out), ``question``
(empty), ``status`` (scored), ``value`` and ``answer``. ``by`` says what a hosted judge told of itself since
the line before: over all lines, however many starts wrote them, that is all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from arrkit.bench.model import Status, Unit
from arrkit.canonical import Json, digest
from arrkit.errors import InputError, Problem
from arrkit.runs.journal import Journal, read_records


@dataclass(frozen=True, slots=True)
class Scored:
    """The units of one item, and the digests of the image files that they are of."""

    item: str
    images: tuple[str | None, ...]
    units: tuple[Unit, ...]

    @property
    def failed(self) -> bool:
        """Whether an answer is lacking that may come another time."""
        return any(unit.status is Status.FAILED for unit in self.units)


class UnitFile:
    """The units of a run, those of earlier starts among them; append-only.

    An item may stand in the file twice only where an answer of its failed, or its images are others now; the
    later line counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal = Journal(path)  # cuts off a line that a killed process left unfinished
        self._held: dict[str, Scored] = {}
        self._by: list[Mapping[str, Json]] = []
        for number, record in enumerate(read_records(path), start=1):
            _take(self._held, record, f"{path}:{number}")
            self._note(record.get("by"))

    def find(self, item: str, images: Sequence[str | None]) -> Scored | None:
        """What is known of an item with these images; None where it has to be looked at (again)."""
        held = self._held.get(item)
        return held if held is not None and held.images == tuple(images) and not held.failed else None

    @property
    def by(self) -> Sequence[Mapping[str, Json]]:
        """What the judge told of itself, in parts; see :mod:`arrkit.bench.judged`."""
        return self._by

    def add(self, scored: Scored, by: Mapping[str, Json] | None = None) -> None:
        """Write the units of an item down. Raises ``ValueError`` for units of others, and for duplicates."""
        if self.find(scored.item, scored.images) is not None:
            raise ValueError(f'"{scored.item}" is scored already')
        keys = {(unit.image, unit.question) for unit in scored.units}
        if len(keys) < len(scored.units) or any(unit.item != scored.item for unit in scored.units):
            raise ValueError(f'the units of "{scored.item}" repeat each other, or are of another item')
        self._journal.append({**_record(scored), **({"by": by} if by else {})})
        self._held[scored.item] = scored
        self._note(by)

    def _note(self, by: Json) -> None:
        if isinstance(by, Mapping) and by:
            self._by.append(by)

    def units(self, items: Iterable[str]) -> list[Unit]:
        """The units of ``items``, in their order; items that were not scored have none."""
        return [unit for item in items if item in self._held for unit in self._held[item].units]

    def close(self) -> None:
        """Let the file go. Everything is in it already."""
        self._journal.close()

    def __enter__(self) -> UnitFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_unit_file(path: Path) -> bool:
    """Whether a file begins as :class:`UnitFile` writes it."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        line = stream.readline(1 << 20)
    return line.startswith(b'{"key":') and b'"units":' in line


def read_units(path: Path) -> list[Unit]:
    """The units of a file that :class:`UnitFile` wrote, items in the order of their first lines.

    Raises:
        InputError: the file cannot be read, or a line is not one of its.
    """
    held: dict[str, Scored] = {}
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise _useless(error, f"{path}:{number}") from error
        _take(held, record, f"{path}:{number}")
    return [unit for scored in held.values() for unit in scored.units]


def item_key(item: str) -> str:
    """The journal's key of an item."""
    return digest({"item": item})


def _take(held: dict[str, Scored], record: Mapping[str, Json], where: str) -> None:
    try:
        scored = _scored(record)
    except (ValueError, KeyError, TypeError) as error:
        raise _useless(error, where) from error
    before = held.get(scored.item)
    if before is not None and before.images == scored.images and not before.failed:
        what = f'"{scored.item}" stands in the file already, with the same images'
        raise InputError(Problem(what, where, "Remove one of the two lines."))
    held[scored.item] = scored


def _useless(error: Exception, where: str) -> InputError:
    return InputError(Problem(f"this is no line of units: {error}", where, "Remove the line."))


def _record(scored: Scored) -> dict[str, Json]:
    return {
        "key": item_key(scored.item),
        "item": scored.item,
        "images": list(scored.images),
        "units": [_unit_json(unit) for unit in scored.units],
    }


def _unit_json(unit: Unit) -> dict[str, Json]:
    record: dict[str, Json] = {}
    if unit.image:
        record["image"] = unit.image
    if unit.question:
        record["question"] = unit.question
    if unit.status is not Status.SCORED:
        record["status"] = unit.status.value
    if unit.value is not None:
        record["value"] = unit.value
    if unit.answer is not None:
        record["answer"] = unit.answer
    return record


def _scored(record: Mapping[str, Json]) -> Scored:
    item, images, units = record["item"], record.get("images", ()), record["units"]
    if not isinstance(item, str) or not isinstance(images, list | tuple) or not isinstance(units, list):
        raise ValueError("it names no item, or holds no list of units")
    return Scored(
        item,
        tuple(None if each is None else str(each) for each in images),
        tuple(_unit(item, each) for each in units),
    )


def _unit(item: str, record: Json) -> Unit:
    if not isinstance(record, dict):
        raise ValueError("a unit is not an object")
    value = record.get("value")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("a value is not a number")
    image = record.get("image", 0)
    if isinstance(image, bool) or not isinstance(image, int):
        raise ValueError("the number of an image is not a whole number")
    return Unit(
        item=item,
        image=image,
        question=str(record.get("question", "")),
        value=None if value is None else float(value),
        status=Status(record.get("status", "scored")),
        answer=record.get("answer"),
    )
