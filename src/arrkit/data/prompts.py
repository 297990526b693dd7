"""Prompt sets: what a policy is asked to paint or to edit.

A set is a text file with one prompt a line (blank lines are passed over), or a file of rows: JSONL, a JSON
array, YAML or CSV. One row is one prompt:

    {"prompt": "A ceramic robot chef."}
    {"instruction": "Make it a sunset.", "source": "photos/7.png"}

================ ==========================================================================================
meaning          keys
================ ==========================================================================================
prompt           ``query``, ``prompt``, ``instruction``; else what the files of others call it, see
                 :mod:`arrkit.data.prompt_rows`
source (edit)    ``source``, ``sources``, ``source_image``, ``source_images``, ``base_image``,
                 ``original_image``, ``input_image``, ``reference_image``, ``ref_image``; in a row without a
                 label also ``image``, ``images``, ``image_paths``. One path or a list of them; relative
                 ones start from the file's folder or its ``images``, or are members of the archives
                 ``NAME_part_*.tar`` beside ``NAME.json``
id               ``id``: text or a whole number, unique in the file; ``row-N`` where there is none
task             ``task``: must be the policy's, where it is given
metadata         ``metadata``: an object; and every key of the user's own
================ ==========================================================================================

A file of preference pairs is a prompt set too: its candidates and labels are not looked at. Public sets are
known by name as well (:mod:`arrkit.data.prompt_sets`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.canonical import digest
from arrkit.data.pairs import Picture, Task
from arrkit.errors import InputError, Problem

if TYPE_CHECKING:
    from arrkit.data.fields import RowFields
    from arrkit.data.rows import BrokenRow, Row
    from arrkit.data.source_images import SourceImages

SOURCES = (
    "source",
    "sources",
    "source_image",
    "source_images",
    "base_image",
    "original_image",
    "input_image",
    "reference_image",
    "ref_image",
)
UNLABELLED_SOURCES = ("image", "images", "image_paths")

_ROWS = (".jsonl", ".ndjson", ".json", ".yaml", ".yml", ".csv")
_OWN = frozenset((*SOURCES, "prompt", "instruction", "instruction_cn"))


class PromptUnusable(Exception):
    """A prompt cannot be encoded; the message says why, in one line, without the prompt's place.

    Like :class:`~arrkit.data.pairs.ImageUnreadable` it spoils its row and not the command.
    """


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to a policy: a prompt, or an instruction with the images to be edited.

    ``id`` is unique in its set; ``origin`` is where it was read, such as ``prompts.txt:14``.
    """

    id: str
    task: Task
    text: str
    sources: tuple[Picture, ...] = ()
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    origin: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 over task, text and the digests of the sources: equal requests, equal digest."""
        sources = [picture.digest for picture in self.sources]
        return digest({"task": self.task, "text": self.text, "sources": sources})


@dataclass(frozen=True, slots=True)
class PromptScan:
    """What a file of prompts came to: the good ones in their order, and all that is wrong with the others."""

    name: str
    prompts: tuple[Prompt, ...]
    problems: tuple[Problem, ...]


def read_prompts(
    path: str | Path, *, task: Task, image_root: str | Path | None = None, limit: int | None = None
) -> tuple[Prompt, ...]:
    """The prompts of a file or public set for a policy of ``task``, at most the first ``limit``.

    Images are not opened.

    Raises:
        InputError: the file cannot be read or holds no prompt, or any row of it is wrong: all of them are
            listed with their lines.
    """
    scan = scan_prompts(path, task=task, image_root=image_root)
    if scan.problems:
        raise InputError(scan.problems)
    return scan.prompts[:limit]


def scan_prompts(path: str | Path, *, task: Task, image_root: str | Path | None = None) -> PromptScan:
    """Like :func:`read_prompts`, for whoever goes on without the bad rows; a row is good or a problem.

    Raises:
        InputError: the file cannot be read, holds nothing, or is text and the task is ``edit``.
    """
    from arrkit.data.prompt_sets import find_prompts
    from arrkit.data.source_images import SourceImages

    found = find_prompts(path, task)
    file, name = found.path, found.name
    reader = _Reader(name, task, SourceImages(file, image_root))
    try:
        if file.suffix.lower() in _ROWS:
            for row in _rows(file):
                reader.take(row)
        elif task is Task.EDIT:
            raise InputError(
                f"{name} is text, and an edit needs a source image for each prompt",
                hint='Give a .jsonl file with rows such as {"instruction": "Make it a sunset.", '
                '"source": "photos/7.png"}.',
            )
        else:
            with file.open("rb") as stream:
                for line, raw in enumerate(stream, start=1):
                    reader.take_line(line, raw)
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
    if not reader.prompts and not reader.problems:
        raise InputError(f"{name} holds no prompts", hint="Give at least one, on a line of its own.")
    return PromptScan(name, tuple(reader.prompts), tuple(reader.problems))


def _rows(file: Path) -> Iterator[Row | BrokenRow]:
    if file.suffix.lower() == ".csv":
        from arrkit.data.prompt_rows import read_csv

        with file.open("rb") as stream:
            yield from read_csv(stream)
    else:
        from arrkit.data.readers import read_rows

        yield from read_rows(file)


@dataclass(slots=True)
class _Reader:
    name: str
    task: Task
    images: SourceImages
    prompts: list[Prompt] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)  # where each id stands

    def take_line(self, line: int, raw: bytes) -> None:
        where = f"{self.name}:{line}"
        try:
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            self.problems.append(Problem("the line is not UTF-8 text", where))
            return
        if text:
            self.prompts.append(Prompt(f"row-{len(self.prompts) + 1}", self.task, text, origin=where))

    def take(self, row: Row | BrokenRow) -> None:
        from arrkit.data.fields import RowFields, kind_of
        from arrkit.data.rows import BrokenRow, place_of

        where = f"{self.name}:{place_of(row)}"
        if isinstance(row, BrokenRow):
            self.problems.append(Problem(row.what, where, row.hint))
            return
        if not isinstance(row.value, Mapping):
            what = f"a row is {kind_of(row.value)}, not an object with keys such as prompt"
            self.problems.append(Problem(what, where, "Name a file of plain prompts .txt."))
            return
        fields = RowFields(row.value, where)
        try:
            prompt = self.parse(row, fields) if fields.encodable() else None
        except RecursionError:
            fields.problem("the row is nested too deeply")
            prompt = None
        if fields.problems:
            self.problems += fields.problems
        elif prompt is not None:
            self.prompts.append(prompt)

    def parse(self, row: Row, fields: RowFields) -> Prompt:
        from arrkit.data.prompt_rows import foreign_prompt
        from arrkit.data.rows import row_id

        for key in row.repeated:
            fields.problem(f'key "{key}" stands twice', hint="Keep one of them.")
        named = None if fields.value.get("task") is None else fields.task(None)
        if named is not None and named is not self.task:
            fields.problem(
                f"the row is for the task {named}, and the policy's is {self.task}", hint="Leave it out."
            )
        foreign = foreign_prompt(fields.value)
        text = foreign[1] if foreign else fields.prompt()
        pictures = () if fields.problems else tuple(self.pictures(fields))
        fields.check_id()
        name = row_id(row)
        if name in self.seen:
            fields.problem(f'id "{name}" stands at {self.seen[name]} already')
        self.seen.setdefault(name, fields.where)
        metadata = self.metadata(fields, foreign[0] if foreign else "")
        return Prompt(name, self.task, text, pictures, metadata, fields.where)

    def pictures(self, fields: RowFields) -> Iterator[Picture]:
        """The images to be edited; a problem for each that is missing, and where there is none."""
        value = fields.value
        if self.task is Task.T2I:
            if key := next((key for key in SOURCES if value.get(key)), None):
                fields.problem(
                    f"{key} belongs to an edit, and the policy paints from text alone",
                    hint="Leave the key out, or name a policy that edits.",
                )
            return
        texts = fields.first_list(SOURCES)
        if not texts and value.get("label") is None and value.get("label_rank") is None:
            texts = fields.first_list(UNLABELLED_SOURCES)
        elif not texts:
            source, _ = fields.edit_images(sourced=False)
            texts = [source] if source else []
        if not texts and not fields.problems:
            fields.absent("no source image to be edited", SOURCES, 'Give its path under "source".')
        for text in texts:
            if "://" in text or text.lower().startswith("data:"):
                fields.problem("a source image stands at a URL", hint="Save it, and give the file's path.")
                continue
            picture = self.images.find(text)
            if picture is None:
                fields.problem(f"there is no image {self.images.place(text)}")
            else:
                yield picture

    def metadata(self, fields: RowFields, prompt_key: str) -> dict[str, str | int | float | bool]:
        from arrkit.data.fields import RowFields

        out = {*_OWN, prompt_key}
        rest = RowFields({key: value for key, value in fields.value.items() if key not in out}, fields.where)
        found = rest.metadata()
        fields.problems += rest.problems
        return found
