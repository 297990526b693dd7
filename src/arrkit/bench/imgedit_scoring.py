"""ImgEdit-Bench: who asks the judge, and the units of what it says, now or in an official result file."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from arrkit.bench.imgedit_marks import marks_of, read_marks, read_score
from arrkit.bench.imgedit_table import TYPE
from arrkit.bench.imgedit_words import KINDS, Words
from arrkit.bench.model import Asker, Item, Status, Unit
from arrkit.bench.sources import json_object
from arrkit.data.pairs import Picture
from arrkit.errors import InputError, Problem


class BasicScorer:
    """Asks a judge for three marks of each edit, in words of its type."""

    def __init__(self, asker: Asker, told: Words) -> None:
        self._asker = asker
        self._told = told

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """One unit for each criterion, of which the first keeps what the judge said.

        Where marks are lost although they were asked for again, those that were found count.
        """
        edited = images[0] if images else None
        if edited is None:
            return _lost(item, Status.MISSING, "there is no image")
        kind = item.groups[TYPE]
        status, _, said = await self._asker.ask(
            self._told.about(kind, item.prompt),
            [*item.sources, edited],
            partial(read_marks, names=KINDS[kind].names),
            system=self._told.roles[kind],
            temperature=self._told.temperature,
        )
        if status in (Status.SCORED, Status.UNPARSED):
            return _marked(item, said)
        return _lost(item, status, said)


class UgeScorer:
    """Asks a judge for one mark of each edit."""

    def __init__(self, asker: Asker, told: Words) -> None:
        self._asker = asker
        self._told = told

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """One unit."""
        edited = images[0] if images else None
        if edited is None:
            return [Unit(item=item.id, status=Status.MISSING, answer="there is no image")]
        status, mark, said = await self._asker.ask(
            self._told.about("", item.prompt),
            [*item.sources, edited],
            read_score,
            system=self._told.roles[""],
            temperature=self._told.temperature,
        )
        value = float(mark) if status is Status.SCORED and isinstance(mark, int) else None
        return [Unit(item=item.id, value=value, status=status, answer=said)]


def read_basic(file: Path, items: Sequence[Item]) -> list[Unit]:
    """The units in a ``result.json`` of the basic part. Raises :class:`~arrkit.errors.InputError`."""
    known = {item.id: item for item in items}
    units: list[Unit] = []
    for key, said in _results(file, known).items():
        units += _lost(known[key], Status.FAILED, "") if said is None else _marked(known[key], said)
    return units


def read_uge(file: Path, items: Sequence[Item]) -> list[Unit]:
    """The units in a ``result.json`` of UGE, by arrkit's rule. Raises :class:`~arrkit.errors.InputError`."""
    units = []
    for key, said in _results(file, {item.id for item in items}).items():
        mark = None
        with suppress(ValueError):
            mark = float(read_score(said or ""))
        lacking = Status.FAILED if said is None else Status.UNPARSED
        units.append(
            Unit(item=key, value=mark, status=lacking if mark is None else Status.SCORED, answer=said)
        )
    return units


def _marked(item: Item, said: str) -> list[Unit]:
    """The units of an edit from what a judge said of it."""
    names = KINDS[item.groups[TYPE]].names
    return [
        Unit(
            item=item.id,
            question=name,
            value=None if mark is None else float(mark),
            status=Status.UNPARSED if mark is None else Status.SCORED,
            answer=said if place == 0 else None,
        )
        for place, (name, mark) in enumerate(zip(names, marks_of(said, names), strict=True))
    ]


def _lost(item: Item, status: Status, why: str) -> list[Unit]:
    """The units of an edit of which nothing was said."""
    return [
        Unit(item=item.id, question=name, status=status, answer=why if place == 0 else None)
        for place, name in enumerate(KINDS[item.groups[TYPE]].names)
    ]


def _results(file: Path, known: Container[str]) -> dict[str, str | None]:
    """What the judge said of each key in a ``result.json``, None where the call had failed."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise InputError(Problem("the file is not UTF-8 text", str(file))) from None
    found: dict[str, str | None] = {}
    for key, said in json_object(text, str(file)).items():
        if key not in known:
            raise InputError(
                Problem(f'there is an answer for "{key}", which is no edit of the set', str(file))
            )
        if not isinstance(said, str) and not (isinstance(said, Mapping) and "error" in said):
            raise InputError(Problem(f'"{key}" is neither an answer nor an error', str(file)))
        found[key] = said if isinstance(said, str) else None
    return found
