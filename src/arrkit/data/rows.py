"""One row of the native format: from plain values to a preference pair, or to all that is wrong with it.

Pure but for one thing: nothing is opened, paths are only joined. The keys are listed in
:mod:`arrkit.data.native`.
"""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from arrkit.data import keys
from arrkit.data.images import picture_from_data_url, picture_from_path, picture_from_url
from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.errors import Problem

Scalar = str | int | float | bool


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
    where = f"{rules.name}:{row.line}"
    if isinstance(row, BrokenRow):
        return ParsedRow(problems=(Problem(row.what, where, row.hint),))
    if not isinstance(row.value, Mapping):
        return ParsedRow(
            problems=(
                Problem(f"a row is {kind_of(row.value)}, not an object with keys such as prompt", where),
            )
        )
    return _Parser(row, row.value, where, rules).parse()


def split_source(
    images: Sequence[str], *, ranks: int | None, labelled: bool, scored: bool, includes_base: bool
) -> tuple[str | None, list[str]]:
    """Which image of an unmarked list is the source of an edit, and which are its results.

    Args:
        images: the list, in order.
        ranks: how many ranks ``label_rank`` has, or None where it is not a list.
        labelled: whether ``label`` names the better one, in which case ``label_score`` says nothing.
        scored: whether there is a ``label_score``.
        includes_base: whether ``response_includes_base`` is true.

    The rules, in order: (a) with ranks, the first image is the source exactly if there is one image more than
    ranks; (b) with a score and two images, the first is; (c) with ``response_includes_base`` and at least two
    images, the first is; (d) of three or more images the first is; (e) else there is no source.
    """
    if ranks is not None:
        first = len(images) == ranks + 1
    elif scored and not labelled and len(images) == 2:
        first = True
    else:
        first = (includes_base and len(images) >= 2) or len(images) >= 3
    return (images[0], list(images[1:])) if first else (None, list(images))


def kind_of(value: object) -> str:
    """A value's type in words of the file formats."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"


@dataclass(slots=True)
class _Parser:
    row: Row
    value: Mapping[object, object]
    where: str
    rules: RowRules
    problems: list[Problem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def parse(self) -> ParsedRow:
        for key in self.row.repeated:
            self.problem(f'key "{key}" stands twice', hint="Keep one of them.")
        task = self.task()
        if task is None:
            return ParsedRow(problems=tuple(self.problems))
        if self.rules.task is not None and task is not self.rules.task:
            return ParsedRow(problems=tuple(self.problems), task=task)
        metadata = self.metadata()
        prompt = self.prompt()
        source, candidates = self.images(task)
        if kind := self.not_a_pair(candidates):
            return ParsedRow(problems=tuple(self.problems), kind=kind, task=task)
        label = self.label(len(candidates))
        self.check_id()
        if len(candidates) == 1:
            self.problem("one candidate image, and a pair needs two")
        elif not candidates and not self.problems:
            self.missing_images(task)
        pictures = [self.picture(text, i) for i, text in enumerate(candidates)]
        if len(pictures) == 2 and _same(candidates, self.rules.root):
            self.problem("both candidates are the same image")
        base = None if source is None else self.picture(source, -1)
        if self.problems or label is None:
            return ParsedRow(problems=tuple(self.problems), task=task)
        a, b = pictures
        assert a is not None
        assert b is not None
        pair = PreferencePair(row_id(self.row), task, prompt, a, b, label, base, metadata, self.where)
        return ParsedRow(pair, task=task, files=tuple(self.files))

    def problem(self, what: str, *, hint: str = "") -> None:
        self.problems.append(Problem(what, self.where, hint))

    def task(self) -> Task | None:
        """The row's own task, else the one asked for, else edit for a row with keys that only an edit has."""
        named = self.value.get("task")
        if named is not None:
            if not isinstance(named, str):
                self.problem(f"task is {kind_of(named)}, not text", hint=keys.TASK_HINT)
                return None
            task = keys.task_named(named)
            if task is None:
                self.problem(f'unknown task "{named}"{keys.task_hint(named)}', hint=keys.TASK_HINT)
            return task
        if self.rules.task is not None:
            return self.rules.task
        edit = any(self.value.get(key) for key in (*keys.SOURCE, *keys.EDIT_IMAGES))
        return Task.EDIT if edit else Task.T2I

    def check_id(self) -> None:
        value = self.value.get("id")
        if value is not None and row_id(self.row) != str(value):
            self.problem(f"id is {kind_of(value) if not isinstance(value, str) else 'empty'}, not a name")

    def prompt(self) -> str:
        for key in keys.PROMPT:
            value = self.value.get(key)
            if value is None or value == "":
                continue
            if not isinstance(value, str):
                self.problem(f"{key} is {kind_of(value)}, not text", hint="Put it in quotes.")
                return ""
            if value.strip():
                return value
        self.problem(
            f"no prompt{self.near_miss(keys.PROMPT)}",
            hint=f"Give the instruction under {_either(keys.PROMPT)}.",
        )
        return ""

    def images(self, task: Task) -> tuple[str | None, list[str]]:
        """The source image, where there is one, and the candidates."""
        if task is Task.T2I:
            for key in (*keys.SOURCE, *keys.EDIT_IMAGES):
                if self.value.get(key):
                    self.problem(
                        f"{key} belongs to an edit, and the task of the row is t2i",
                        hint='Say "task": "edit" in the row, or pass --task edit.',
                    )
            return None, self.first_list(keys.T2I_IMAGES)
        sources = self.first_list(keys.SOURCE)
        explicit = self.first_list(keys.EDIT_IMAGES)
        if sources or explicit:
            return (sources[0] if sources else None), explicit or self.first_list(keys.EDIT_FALLBACK)
        ranks = self.value.get("label_rank")
        return split_source(
            self.first_list(keys.EDIT_FALLBACK),
            ranks=len(ranks) if isinstance(ranks, (list, tuple)) else None,
            labelled=self.value.get("label") is not None,
            scored=self.value.get("label_score") is not None,
            includes_base=bool(self.value.get("response_includes_base")),
        )

    def first_list(self, names: Sequence[str]) -> list[str]:
        """The images of the first key that gives any; text is a list of one, null entries are absent."""
        for key in names:
            value = self.value.get(key)
            if value is None or value == "":
                continue
            entries = list(value) if isinstance(value, (list, tuple)) else [value]
            entries = [entry for entry in entries if entry is not None]
            wrong = next((entry for entry in entries if not isinstance(entry, str)), None)
            if wrong is not None:
                self.problem(f"{key} holds {kind_of(wrong)} where the path or URL of an image should be")
                return []
            if any(not entry.strip() for entry in entries if isinstance(entry, str)):
                self.problem(f"{key} holds an empty path")
                return []
            if entries:
                return [entry for entry in entries if isinstance(entry, str)]
        return []

    def missing_images(self, task: Task) -> None:
        names = keys.T2I_IMAGES if task is Task.T2I else (*keys.EDIT_IMAGES, *keys.EDIT_FALLBACK)
        usual = ("image_paths", "response", "images") if task is Task.T2I else ("edited_images", "response")
        self.problem(
            f"no candidate images{self.near_miss(names)}", hint=f"Give the two paths under {_either(usual)}."
        )

    def near_miss(self, names: Sequence[str]) -> str:
        """``(did you mean ...)`` for an unknown key that resembles one of ``names``, or an empty string."""
        for key in self.value:
            if isinstance(key, str) and key not in keys.KNOWN and keys.slip_of(key) is None:
                meant = keys.resembles(key, names)
                if meant is not None:
                    return f', but a key "{key}" (did you mean "{meant}"?)'
        return ""

    def not_a_pair(self, candidates: Sequence[str]) -> NotAPair | None:
        if self.value.get("label_rank") is None and self.value.get("label") is None:
            if self.value.get("label_score") is not None:
                return NotAPair.POINTWISE
            if isinstance(self.value.get("label_scores"), list):
                return None
        return NotAPair.GROUP if len(candidates) > 2 else None

    def label(self, candidates: int) -> Label | None:
        """The label from ``label_rank`` and ``label``; a problem where they clash or there is neither."""
        named, ranks = self.value.get("label"), self.value.get("label_rank")
        if named is None and ranks is None:
            self.problem(
                f"no label{self.near_miss(keys.LABELS)}",
                hint='Give "label_rank": [1, 2] (1 is the better one), or "label": "A", "B" or "tie".',
            )
            return None
        by_name = None if named is None else self.named_label(named)
        if ranks is None:
            return by_name
        by_rank = self.ranked_label(ranks, candidates, tie=by_name is Label.TIE)
        if by_name is not None and by_rank is not None and by_name is not by_rank:
            self.problem(f'label "{named}" and label_rank {_shown(ranks)} contradict each other')
        return by_rank if named is None else by_name

    def named_label(self, named: object) -> Label | None:
        if isinstance(named, str):
            for label in Label:
                if named.strip().lower() == label.lower():
                    return label
        shown = f'"{named}"' if isinstance(named, str) else _shown(named)
        self.problem(f"unknown label {shown}", hint='The labels are "A", "B" and "tie".')
        return None

    def ranked_label(self, ranks: object, candidates: int, *, tie: bool) -> Label | None:
        whole = isinstance(ranks, (list, tuple)) and all(type(rank) is int for rank in ranks)
        if not whole or not isinstance(ranks, (list, tuple)):
            self.problem(f"label_rank {_shown(ranks)} is not a list of whole numbers")
            return None
        if candidates == 2 and len(ranks) != 2:
            self.problem(f"label_rank {_shown(ranks)} has {len(ranks)} ranks for 2 candidates")
            return None
        if len(ranks) != 2:
            return None  # the number of candidates is the problem, and is said
        if ranks[0] == ranks[1]:
            if tie:
                return Label.TIE
            self.problem(
                f"label_rank {_shown(ranks)} does not order the two images",
                hint='Give ranks 1 and 2, or mark the pair as a tie with "label": "tie".',
            )
            return None
        if sorted(ranks) != [1, 2]:
            self.problem(
                f"label_rank {_shown(ranks)} is not made of the ranks 1 and 2",
                hint="Give 1 to the better image and 2 to the other.",
            )
            return None
        return Label.A if ranks[0] == 1 else Label.B

    def metadata(self) -> dict[str, Scalar]:
        """The ``metadata`` object and all keys of the user's own; problems for likely slips of the pen."""
        found: dict[str, Scalar] = {}
        given = self.value.get("metadata")
        if given is not None and not isinstance(given, Mapping):
            self.problem(f"metadata is {kind_of(given)}, not an object")
            given = None
        own = [(key, value) for key, value in self.value.items() if key not in keys.KNOWN]
        for key, _ in own:
            slip = keys.slip_of(key) if isinstance(key, str) else None
            if slip is not None:
                self.problem(f'unknown key "{key}" (did you mean "{slip}"?)', hint=_keep_hint(str(key)))
        for key, value in (*own, *(given or {}).items()):
            if not isinstance(key, str):
                self.problem(f"key {_shown(key)} is {kind_of(key)}, not text", hint="Put it in quotes.")
            elif value is None:
                continue
            elif key in found:
                self.problem(f'"{key}" stands both in the row and in its metadata', hint="Keep one of them.")
            elif isinstance(value, float) and not math.isfinite(value):
                self.problem(f"{key} is not a finite number")
            else:
                found[key] = value if isinstance(value, (str, int, float, bool)) else _text(value)
        return found

    def picture(self, text: str, index: int) -> Picture | None:
        """The picture at a path or URL; ``index`` is 0 or 1 for a candidate, -1 for the source."""
        scheme, mark, _ = text.partition(":")
        scheme = scheme.lower()
        if mark and scheme == "data":
            part = "source image" if index < 0 else f"image {index + 1}"
            return picture_from_data_url(text, f"{self.where}, {part}")
        if mark and scheme in ("http", "https"):
            if not self.rules.allow_remote:
                self.problem(
                    "an image stands at a URL, and nothing is fetched from the network unasked",
                    hint="Pass --allow-remote to fetch it.",
                )
                return None
            return picture_from_url(text)
        if "://" in text:
            self.problem(f"images cannot be read from {scheme}:// URLs")
            return None
        path = resolve(text, self.rules.root)
        self.files.append(path)
        return picture_from_path(path)


def resolve(text: str, root: Path) -> Path:
    """The file that a path in a row names: ``~`` expanded, a relative one starting from ``root``."""
    if text.startswith("~"):
        text = os.path.expanduser(text)  # noqa: PTH111 - leaves an unknown user as it is, Path raises
    return root / text


def _same(candidates: Sequence[str], root: Path) -> bool:
    first, second = candidates
    if first == second:
        return True
    if ":" in first or ":" in second:
        return False
    return os.path.normpath(resolve(first, root)) == os.path.normpath(resolve(second, root))


def _keep_hint(key: str) -> str:
    return f'If you mean your own "{key}", put it under "metadata".'


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]])


def _shown(value: object) -> str:
    text = _text(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(value: object) -> str:
    """A value as JSON text, dates in ISO 8601."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False, default=str)
