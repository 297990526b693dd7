"""One row of the native format: from plain values to a preference pair, or to all that is wrong with it.

Pure but for one thing: nothing is opened, paths are only joined. The keys are listed in
:mod:`arrkit.data.native`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from arrkit.data.fields import Named, RowFields, kind_of
from arrkit.data.images import picture_from_data_url, picture_from_path, picture_from_url
from arrkit.data.pairs import Candidate, Passage, Picture, PreferencePair, Task
from arrkit.errors import Problem


@dataclass(frozen=True, slots=True)
class Row:
    """An element of a dataset file as it was read: its number and line (both from 1) and its plain value.

    ``repeated`` are the keys that stand more than once in it.
    """

    number: int
    line: int
    value: object
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """An element that could not be read at all. ``last`` says that nothing after it could be read either."""

    number: int
    line: int
    what: str
    hint: str = ""
    last: bool = False


def place_of(row: Row | BrokenRow) -> str:
    """Where a row begins: its line, and where lines do not tell rows apart, as in an array on one line, its
    number too: ``1 (row 7)``."""
    return str(row.line) if row.number <= row.line else f"{row.line} (row {row.number})"


@dataclass(frozen=True, slots=True)
class RowRules:
    """How rows are read.

    ``name`` is what the file is called in messages; ``task`` is that of rows which do not name one; ``root``
    is what relative paths start from.
    """

    name: str
    path: Path
    root: Path
    task: Task | None = None
    allow_remote: bool = False


class NotAPair(StrEnum):
    """A sound row that is no pair."""

    POINTWISE = "pointwise"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """What a row came to: a pair, or problems, or neither (``kind``) where it is not a pair at all.

    ``files`` are the local images of the pair; ``task`` is set wherever it could be told.
    """

    pair: PreferencePair | None = None
    problems: tuple[Problem, ...] = ()
    kind: NotAPair | None = None
    task: Task | None = None
    files: tuple[Path, ...] = ()


def row_id(row: Row) -> str:
    """The id that the row gives, or ``row-N`` where it gives none that can be used."""
    value = row.value.get("id") if isinstance(row.value, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else f"row-{row.number}"


def parse_row(row: Row | BrokenRow, rules: RowRules) -> ParsedRow:
    """Read one row; never raises for what the row holds."""
    where = f"{rules.name}:{place_of(row)}"
    if isinstance(row, BrokenRow):
        return ParsedRow(problems=(Problem(row.what, where, row.hint),))
    if not isinstance(row.value, Mapping):
        what = f"a row is {kind_of(row.value)}, not an object with keys such as prompt"
        return ParsedRow(problems=(Problem(what, where),))
    fields = RowFields(row.value, where)
    try:
        if not fields.encodable():
            return ParsedRow(problems=tuple(fields.problems))
        for key in row.repeated:
            fields.problem(f'key "{key}" stands twice', hint="Keep one of them.")
        return _parse(row, fields, rules)
    except RecursionError:
        return ParsedRow(problems=(Problem("the row is nested too deeply", where),))


def _parse(row: Row, fields: RowFields, rules: RowRules) -> ParsedRow:
    task = fields.task(rules.task)
    if task is None or (rules.task is not None and task is not rules.task):
        return ParsedRow(problems=tuple(fields.problems), task=task)
    metadata = fields.metadata()
    prompt = fields.prompt()
    sources, candidates = fields.images(task)
    if kind := _not_a_pair(fields, candidates):
        return ParsedRow(problems=tuple(fields.problems), kind=kind, task=task)
    label = fields.label(len(candidates))
    fields.check_id()
    group, votes, confidence = fields.group(), fields.votes(), fields.confidence()
    files: list[Path] = []
    made = [_candidate(fields, place, each, rules, files) for place, each in enumerate(candidates, start=1)]
    pictures = [_picture(fields, "source image", text, rules, files) for text in sources]
    if len(candidates) == 2 and _same(candidates, rules.root):
        fields.problem("both candidates are the same image")
    if fields.problems or label is None:
        return ParsedRow(problems=tuple(fields.problems), task=task)
    a, b = (candidate for candidate in made if candidate is not None)
    pair = PreferencePair(
        id=row_id(row),
        task=task,
        prompt=prompt,
        a=a,
        b=b,
        label=label,
        sources=tuple(picture for picture in pictures if picture is not None),
        metadata=metadata,
        origin=fields.where,
        group=group,
        votes=votes,
        confidence=confidence,
    )
    return ParsedRow(pair, task=task, files=tuple(files))


def _candidate(
    fields: RowFields, place: int, named: Named, rules: RowRules, files: list[Path]
) -> Candidate | None:
    name = f"image {place}"
    if isinstance(named, str):
        return _picture(fields, name, named, rules, files)
    parts = [
        text if kind == "text" else _picture(fields, f"{name}, part {number}", text, rules, files)
        for number, (kind, text) in enumerate(named, start=1)
    ]
    return Passage(tuple(part for part in parts if part is not None))


def _not_a_pair(fields: RowFields, candidates: Sequence[Named]) -> NotAPair | None:
    if fields.pointwise:
        return NotAPair.POINTWISE
    return NotAPair.GROUP if len(candidates) > 2 and not fields.problems else None


def _picture(fields: RowFields, name: str, text: str, rules: RowRules, files: list[Path]) -> Picture | None:
    """The picture at a path or URL, its path added to ``files``; None and a problem where it may not be."""
    scheme, mark, _ = text.partition(":")
    scheme = scheme.lower()
    if mark and scheme == "data":
        return picture_from_data_url(text, f"{fields.where}, {name}")
    if mark and scheme in ("http", "https"):
        if rules.allow_remote:
            return picture_from_url(text)
        fields.problem(
            f"{name} stands at a URL, and nothing is fetched from the network unasked",
            hint="Pass --allow-remote to fetch it.",
        )
        return None
    if "://" in text:
        fields.problem(f"images cannot be read from {scheme}:// URLs")
        return None
    path = resolve(text, rules.root)
    files.append(path)
    return picture_from_path(path)


def resolve(text: str, root: Path) -> Path:
    """The file that a path in a row names: ``~`` expanded, a relative one starting from ``root``."""
    if text.startswith("~"):
        text = os.path.expanduser(text)  # noqa: PTH111 - leaves an unknown user as it is, Path raises
    return root / text


def _same(candidates: Sequence[Named], root: Path) -> bool:
    first, second = candidates
    if not isinstance(first, str) or not isinstance(second, str):
        return False  # two models may give the same answer in words
    if first == second:
        return True
    if ":" in first or ":" in second:
        return False
    return os.path.normpath(resolve(first, root)) == os.path.normpath(resolve(second, root))
