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
source (edit)        ``source_images``: all of a list; else ``source_image``, ``base_image``,
                     ``original_image``, ``input_image``, ``reference_image``, ``ref_image``: of a list, the
                     first
candidates (edit)    ``edited_image(s)``, ``target_image(s)``, ``output_image(s)``, ``result_image(s)``; else
                     ``response``, ``responses``, ``images``, ``image_paths``, ``image``
candidates (any)     ``candidates``, before all other keys: a list of two, each the path of an image or an
                     answer of parts, ``[{"text": "First, "}, {"image": "a.png"}]``
label                ``label_rank``: ``[1, 2]`` (1 is the better one) or ``[2, 1]``;
                     ``label``: ``A``, ``B``, ``tie``, ``both_bad``
task                 ``task``: ``t2i``, ``text_to_image``, ``text2image``, ``image_generation``, ``gen``;
                     ``edit``, ``image_edit``, ``image_editing``, ``i2i``, ``image_to_image``;
                     ``interleaved``, with ``candidates``, and the prompt's images in ``source_images``
group                ``group``: text or a whole number, the same for all pairs of one question
votes                ``votes``: how many people chose A and how many B, ``[7, 2]``
confidence           ``confidence``: from 0 to 1, how far the label is to be trusted
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

from collections.abc import Iterator
from pathlib import Path

from arrkit.data.checking import CheckRules, FileCheck, PairCheck, not_a_pair
from arrkit.data.pairs import PreferencePair, Task
from arrkit.data.readers import read_rows
from arrkit.data.rows import BrokenRow, ParsedRow, Row, RowRules, parse_row, place_of
from arrkit.errors import InputError


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
                raise InputError(not_a_pair(parsed.kind, f"{self.name}:{place_of(row)}", 1))
            if parsed.pair is not None:
                yield parsed.pair

    @property
    def left_out(self) -> dict[str, int]:
        """How many rows are left out, by reason; checks the file, if nobody has."""
        other = self._check().other_task
        return {"names another task": other} if other else {}

    def check(self, rules: CheckRules | None = None) -> PairCheck:
        """See :func:`check_pairs`. The result is kept, and gives the length."""
        self._require_files()
        self._checked = FileCheck(self._rules, rules or CheckRules()).run(self._parsed())
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
    pairs.check(CheckRules(strict=strict))
    return pairs


def check_pairs(
    path: str | Path,
    *,
    task: Task | None = None,
    image_root: str | Path | None = None,
    allow_remote: bool = False,
    rules: CheckRules | None = None,
) -> PairCheck:
    """Go through a file once and report all that is wrong with it, by line.

    Args:
        path: a ``.jsonl`` (or ``.ndjson``) file, ``.yaml`` or ``.yml``, or a JSON array under any other name.
        task: the task of rows that name none; rows that name another are left out.
        image_root: the folder that relative image paths start from, by default that of the file.
        allow_remote: whether images may be fetched over http(s).
        rules: how hard to look. Without them images are not opened, that a file exists is all that is looked
            at, and a missing one is only counted.

    Raises :class:`~arrkit.errors.InputError` with every problem (up to
    :data:`~arrkit.data.checking.MOST_PROBLEMS`), and also where there is no pair at all or every pair is a
    tie.
    """
    return NativePairs(path, task, image_root, allow_remote).check(rules)
