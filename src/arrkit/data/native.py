"""Preference pairs in the native format: JSON arrays, JSONL and YAML.

One row is one pair:

    {"prompt": "A ceramic robot chef.", "response": ["a.png", "b.png"], "label_rank": [1, 2]}
    {"query": "Make it a sunset.", "source_image": "s.png", "edited_images": ["a.png", "b.png"], "label": "B"}

The first key of a line that gives anything wins:

==================== ======================================================================================
meaning              keys
==================== ======================================================================================
instruction          ``query``, ``prompt``, ``instruction``
candidates (t2i)     ``image_paths``, ``response``, ``responses``, ``images``, ``image``,
                     ``generated_image``, ``generated_images``
source (edit)        ``source_image``, ``base_image``, ``original_image``, ``input_image``,
                     ``reference_image``, ``ref_image``; of a list, the first
candidates (edit)    ``edited_image(s)``, ``target_image(s)``, ``output_image(s)``, ``result_image(s)``; else
                     ``response``, ``responses``, ``images``, ``image_paths``, ``image``
label                ``label_rank``: ``[1, 2]`` (1 is the better one) or ``[2, 1]``;
                     ``label``: ``A``, ``B``, ``tie``
task                 ``task``: ``t2i``, ``text_to_image``, ``text2image``, ``image_generation``, ``gen``;
                     ``edit``, ``image_edit``, ``image_editing``, ``i2i``, ``image_to_image``
id                   ``id``: text or a whole number, unique in the file; ``row-N`` where there is none
source in the list   ``response_includes_base``, see :func:`~arrkit.data.fields.split_source`
metadata             ``metadata``: an object; and every other key of the row
==================== ======================================================================================

A row without a task has the one that was asked for, else it is an edit where it has a key that only an edit
has, else t2i. Rows that name another task than the one asked for are left out and counted. An unknown key
that looks like a slip of the pen (``imges``) is a problem; other unknown keys are metadata, lists and objects
among them as JSON text. A key that stands twice in an object is a problem.

An image is a path (relative ones start from the file's folder or from ``image_root``; ``~`` is the home
folder), a ``data:`` URL, or, with ``allow_remote``, an ``http`` or ``https`` URL.

JSON and JSONL are read at some 20,000 rows a second, YAML at 3,000.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from arrkit.data.pairs import Label, PreferencePair, Task
from arrkit.data.readers import read_rows
from arrkit.data.rows import BrokenRow, NotAPair, ParsedRow, Row, RowRules, parse_row, row_id
from arrkit.errors import InputError, Problem

MOST_PROBLEMS = 1000
"""After so many problems the rest of a file is not looked at."""

_CLOSING = "Nothing was sent to a judge."
_SHOWN_MISSING = 20


@dataclass(frozen=True, slots=True)
class PairCheck:
    """What one pass over a file found.

    ``other_task`` rows name another task than the one asked for. ``missing_pairs`` pairs have an image file
    that does not exist, and ``missing`` are the first twenty of these. ``metadata_keys`` are all keys that
    any pair may be grouped by, in alphabetical order. ``task`` is None where the tasks of the pairs differ.
    """

    pairs: int
    ties: int
    task: Task | None
    other_task: int = 0
    missing_pairs: int = 0
    missing: tuple[Problem, ...] = ()
    metadata_keys: tuple[str, ...] = ()


class NativePairs:
    """The pairs of a file; a :class:`~arrkit.data.pairs.PairDataset` that reads it anew on each pass.

    Memory does not grow with the file. :func:`open_pairs` also checks the file, which is what most want;
    without that, the first look at the length checks it, and going through the pairs stops at the first bad
    row with :class:`~arrkit.errors.InputError`.
    """

    def __init__(
        self,
        path: str | Path,
        task: Task | None = None,
        image_root: str | Path | None = None,
        allow_remote: bool = False,
    ) -> None:
        self.path = Path(path).expanduser()
        root = self.path.parent if image_root is None else Path(image_root).expanduser()
        self._rules = RowRules(str(path), self.path, root, task, allow_remote)
        self._checked: PairCheck | None = None

    @property
    def name(self) -> str:
        """The path as it was given."""
        return self._rules.name

    @property
    def task(self) -> Task | None:
        """The task of all pairs, or None where rows differ. Checks the file unless a task was asked for."""
        return self._rules.task or self._check().task

    def size(self) -> int:
        """How many pairs there are; checks the file, if nobody has."""
        return self._check().pairs

    def __iter__(self) -> Iterator[PreferencePair]:
        for row, parsed in self._parsed():
            if parsed.problems:
                raise InputError(parsed.problems)
            if parsed.kind is not None:
                raise InputError(_not_a_pair(parsed.kind, f"{self.name}:{row.line}", 1))
            if parsed.pair is not None:
                yield parsed.pair

    def check(self, *, strict: bool = False) -> PairCheck:
        """See :func:`check_pairs`. The result is kept, and gives the length."""
        self._require_files()
        self._checked = _Check(self._rules, strict).run(self._parsed())
        return self._checked

    def _check(self) -> PairCheck:
        return self.check() if self._checked is None else self._checked

    def _parsed(self) -> Iterator[tuple[Row | BrokenRow, ParsedRow]]:
        self._require_files()
        try:
            for row in read_rows(self.path):
                yield row, parse_row(row, self._rules)
        except OSError as error:
            raise InputError(f"cannot read {self.name}: {error.strerror or error}") from error

    def _require_files(self) -> None:
        if self.path.is_dir():
            raise InputError(
                f"{self.name} is a folder, not a file of pairs", hint="Name the .jsonl file in it."
            )
        if not self.path.is_file():
            raise InputError(f"{self.name} does not exist or is not a file")
        if not self._rules.root.is_dir():
            raise InputError(f"the image folder {self._rules.root} does not exist")


def open_pairs(
    path: str | Path,
    *,
    task: Task | None = None,
    image_root: str | Path | None = None,
    allow_remote: bool = False,
    strict: bool = False,
) -> NativePairs:
    """Check a file of preference pairs and give its pairs: the way in for commands and notebooks.

    Raises :class:`~arrkit.errors.InputError` as :func:`check_pairs` does.
    """
    pairs = NativePairs(path, task, image_root, allow_remote)
    pairs.check(strict=strict)
    return pairs


def check_pairs(
    path: str | Path,
    *,
    task: Task | None = None,
    image_root: str | Path | None = None,
    allow_remote: bool = False,
    strict: bool = False,
) -> PairCheck:
    """Go through a file once and report all that is wrong with it, by line.

    Args:
        path: a ``.jsonl`` (or ``.ndjson``) file, ``.yaml`` or ``.yml``, or a JSON array under any other name.
        task: the task of rows that name none; rows that name another are left out.
        image_root: the folder that relative image paths start from, by default that of the file.
        allow_remote: whether images may be fetched over http(s).
        strict: whether a missing image file is a problem, and not only counted.

    Images are not opened; that a file exists is all that is looked at. Raises
    :class:`~arrkit.errors.InputError` with every problem (up to :data:`MOST_PROBLEMS`), and also where there
    is no pair at all or every pair is a tie.
    """
    return NativePairs(path, task, image_root, allow_remote).check(strict=strict)


@dataclass(slots=True)
class _Check:
    rules: RowRules
    strict: bool
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    kinds: dict[NotAPair, tuple[int, int]] = field(default_factory=dict)  # the first line, and how many
    missing: list[Problem] = field(default_factory=list)
    missing_pairs: int = 0
    pairs: int = 0
    ties: int = 0
    other_task: int = 0
    tasks: set[Task] = field(default_factory=set)
    metadata: set[str] = field(default_factory=set)

    def run(self, rows: Iterator[tuple[Row | BrokenRow, ParsedRow]]) -> PairCheck:
        ids = array("q")
        for row, parsed in rows:
            self.take(row, parsed)
            if isinstance(row, Row):
                ids.append(hash(row_id(row)))
            if len(self.problems) >= MOST_PROBLEMS:
                self.problems.append((row.line + 1, Problem("the rest of the file was not checked")))
                break
        else:
            self.same_ids(ids)
        for kind, (line, count) in self.kinds.items():
            self.problems.append((line, _not_a_pair(kind, f"{self.rules.name}:{line}", count)))
        if self.problems:
            self.problems.sort(key=lambda entry: entry[0])
            raise InputError([problem for _, problem in self.problems], closing=_CLOSING)
        self.refuse_useless()
        return PairCheck(
            self.pairs,
            self.ties,
            self.tasks.pop() if len(self.tasks) == 1 else None,
            self.other_task,
            self.missing_pairs,
            tuple(self.missing),
            tuple(sorted(self.metadata)),
        )

    def take(self, row: Row | BrokenRow, parsed: ParsedRow) -> None:
        self.problems += [(row.line, problem) for problem in parsed.problems]
        pair = parsed.pair
        if parsed.kind is not None:
            line, count = self.kinds.get(parsed.kind, (row.line, 0))
            self.kinds[parsed.kind] = (line, count + 1)
        elif pair is not None:
            self.pairs += 1
            self.ties += pair.label is Label.TIE
            self.tasks.add(pair.task)
            self.metadata.update(pair.metadata)
            self.look_for(row.line, parsed)
        elif not parsed.problems:
            self.other_task += 1

    def look_for(self, line: int, parsed: ParsedRow) -> None:
        absent = [file for file in parsed.files if not os.path.isfile(file)]  # noqa: PTH113 - twice as fast
        if not absent:
            return
        self.missing_pairs += 1
        found = [Problem(f"there is no image {file}", f"{self.rules.name}:{line}") for file in absent]
        if self.strict:
            self.problems += [(line, problem) for problem in found]
        elif len(self.missing) < _SHOWN_MISSING:
            self.missing.append(found[0])

    def same_ids(self, hashes: array[int]) -> None:
        """Problems for ids that stand twice; the file is read again only where two hashes agree.

        Eight bytes a row are kept instead of the ids themselves.
        """
        import numpy as np

        values = np.sort(np.frombuffer(hashes, dtype=np.int64)) if hashes else np.empty(0, np.int64)
        twice = set(values[1:][values[1:] == values[:-1]].tolist())
        if not twice:
            return
        first: dict[str, int] = {}
        for row in read_rows(self.rules.path):
            if isinstance(row, BrokenRow) or hash(name := row_id(row)) not in twice:
                continue
            if name not in first:
                first[name] = row.line
            else:
                what = f'id "{name}" stands on line {first[name]} already'
                self.problems.append((row.line, Problem(what, f"{self.rules.name}:{row.line}")))
            if len(self.problems) > MOST_PROBLEMS:
                return

    def refuse_useless(self) -> None:
        name = self.rules.name
        if self.pairs == 0:
            if self.other_task:
                rows = "its one row names" if self.other_task == 1 else f"all {self.other_task} rows name"
                raise InputError(
                    f"{name} holds no pairs for the task {self.rules.task}: {rows} another task",
                    hint="Name a rubric for that task (arrkit rubric list shows some), or build one: "
                    f"arrkit rubric build --pairs {name}",
                )
            raise InputError(f"{name} holds no pairs", hint="Give at least one row.")
        if self.ties == self.pairs:
            what = "the only pair of" if self.pairs == 1 else f"all {self.pairs} pairs of"
            verb = "is a tie" if self.pairs == 1 else "are ties"
            raise InputError(f"{what} {name} {verb}, which says nothing about what people prefer")


def _not_a_pair(kind: NotAPair, where: str, count: int) -> Problem:
    more = "" if count == 1 else f" (and {count - 1} more such rows)"
    if kind is NotAPair.POINTWISE:
        return Problem(
            f"label_score rates one image, and arrkit learns from pairs{more}",
            where,
            "Give two candidates of one prompt and which is better: label_rank or label.",
        )
    return Problem(
        f"more than two candidates{more}", where, "Write one row for each two candidates that people ordered."
    )
