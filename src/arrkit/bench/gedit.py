"""GEdit-Bench: edits of real photos in eleven groups, each marked for what was done and for how it looks.

A judge is asked twice about each edit and gives two marks each time; the lower one counts. ``G_SC`` and
``G_PQ`` are the means over the groups' means of these, ``G_O`` that of the root of their product, taken for
each edit. Without a mark for both there is no edit in ``official`` numbers, as in the official script, which
also has no mean where a group is empty; ``strict`` numbers take 0 for what is missing or unread.

Source: stepfun-ai/Step1X-Edit, GEdit-Bench/ (EVAL.md, test_gedit_score.py, calculate_statistics.py). Its
tables offer the language ``zh`` where the data say ``cn``: here both languages have numbers. The judge that
"gpt4o" means there is gpt-4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from PIL import Image

from arrkit.backends.spec import Spec
from arrkit.bench.cells import Tally, scores
from arrkit.bench.gedit_marks import GROUPS, LANGUAGES, QUALITY, SEMANTICS, item_id, read_marks, read_table
from arrkit.bench.gedit_table import QUESTIONS, gedit_tallies
from arrkit.bench.gedit_words import HOME, Words, words
from arrkit.bench.images import write_image
from arrkit.bench.model import Asker, Item, Score, Scorer, Status, Unit
from arrkit.bench.sources import canonical_name, find_files, items_digest
from arrkit.canonical import Json, digest
from arrkit.concurrency import together
from arrkit.data.files import matching
from arrkit.data.pairs import Picture, Task
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

ROOM = 1400
"""Tokens for an answer, as the official script allows."""

_FILES = "*.parquet"
_COLUMNS = ("task_type", "key", "instruction", "instruction_language", "Intersection_exist", "input_image")
_RAW = "input_image_raw"


class GEditBenchmark:
    """A :class:`~arrkit.bench.model.Benchmark`. See :func:`make`."""

    def __init__(self, name: str, languages: Sequence[str], *, data: str, revision: str, told: Words) -> None:
        self.name = name
        self.metric = "gedit" if told.official else "gedit[arrkit-prompt]"
        self._languages = tuple(languages)
        self._data = data
        self._revision = revision
        self._words = told

    @property
    def identity(self) -> Mapping[str, Json]:
        """Languages, revision, and the digests of the instructions and of the words to the judge."""
        told = self._words
        said = [told.semantics_role, told.semantics, told.quality_role, told.quality]
        return {
            "benchmark": "gedit",
            "languages": list(self._languages),
            "revision": self._table.files.revision,
            "prompts": items_digest(self.items()),
            "judge_prompt": digest(said),
            "judge_prompt_official": told.official,
        }

    def items(self) -> Sequence[Item]:
        """The edits in the order of the data; their sources are the original photos."""
        return [item for item, _ in self._samples]

    @cached_property
    def _table(self) -> Table:
        files = find_files(HOME, [_FILES], data=self._data, revision=self._revision)
        return Table(files, matching(files, _FILES))

    @cached_property
    def _samples(self) -> tuple[tuple[Item, Picture], ...]:
        """Each item with the picture that its edit is held against."""
        return tuple(_samples(self._table, self._languages))

    @cached_property
    def _shown(self) -> dict[str, Picture]:
        return {item.id: shown for item, shown in self._samples}

    def lay_out(self, folder: Path) -> None:
        """Beside each edited image that is there, its source as ``<key>_SRCIMG.png``.

        The official script takes the folder as that of a method.
        """
        for item, shown in self._samples:
            edited = folder / item.files[0]
            source = edited.with_name(f"{edited.stem}_SRCIMG.png")
            if edited.exists() and not source.exists():
                write_image(shown, source)

    def scorer(self, asker: Asker | None) -> Scorer:
        """Two questions to a judge about each edit."""
        if asker is None:
            raise InputError("GEdit-Bench is marked by a judge", hint="Name one: --judge openai:gpt-4.1")
        return GEditScorer(asker, self._words, self._shown)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """For each language G_O, G_SC and G_PQ; then the subset ``intersection`` and each group."""
        return gedit_tallies(self.metric, self._languages, items, units)

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def read_answers(self, file: Path) -> list[Unit]:
        """The official ``*_gpt_score.csv`` of one group, or a folder with those of all.

        Marks that the official script drew at random cannot be told from others in it.
        """
        return read_table(file, self._languages)


class GEditScorer:
    """Asks a judge about edits.

    Args:
        asker: the judge.
        told: what it is told.
        shown: the source that the edit of each item is held against.
    """

    def __init__(self, asker: Asker, told: Words, shown: Mapping[str, Picture]) -> None:
        self._asker = asker
        self._told = told
        self._shown = shown

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """One unit for semantics and one for quality; the edit is resized to the source, as officially."""
        edited = images[0] if images else None
        if edited is None:
            return [
                Unit(item=item.id, question=each, status=Status.MISSING, answer="there is no image")
                for each in QUESTIONS
            ]
        source = self._shown[item.id]
        fitted = _fitted(edited, source)
        told = self._told
        try:
            return await together(
                [
                    self._ask(
                        item, SEMANTICS, told.about(item.prompt), told.semantics_role, [source, fitted]
                    ),
                    self._ask(item, QUALITY, told.quality, told.quality_role, [fitted]),
                ]
            )
        finally:
            source.release()
            fitted.release()

    async def _ask(
        self, item: Item, question: str, text: str, role: str, pictures: Sequence[Picture]
    ) -> Unit:
        status, marks, said = await self._asker.ask(
            text, pictures, read_marks, system=role, temperature=self._told.temperature, room=ROOM
        )
        if status is not Status.SCORED or not isinstance(marks, Sequence):
            return Unit(item=item.id, question=question, status=status, answer=said)
        value = min(float(mark) for mark in marks if isinstance(mark, int | float))
        return Unit(item=item.id, question=question, value=value, answer={"marks": marks, "said": said})


def _fitted(edited: Picture, source: Picture) -> Picture:
    """The edit at the size of its source, by Pillow's default filter for ``resize``, as officially."""

    def load() -> Image.Image:
        size = source.load().size
        image = edited.load()
        fitted = image if image.size == size else image.resize(size)
        edited.release()
        return fitted

    return Picture(edited.name, load)


def _samples(table: Table, languages: Sequence[str]) -> Iterator[tuple[Item, Picture]]:
    columns = [*_COLUMNS, *([_RAW] if _RAW in table.columns else [])]
    seen: set[str] = set()
    for number, values in enumerate(table.rows(*columns), start=1):
        row = dict(zip(columns, values, strict=True))
        if row["instruction_language"] in LANGUAGES and row["instruction_language"] not in languages:
            continue
        try:
            item, shown = _sample(row)
            if item.id in seen:
                raise ValueError(f'key "{row["key"]}" stands twice in {row["task_type"]}')
        except ValueError as error:
            raise InputError(Problem(str(error), f"{table.files.name}/{table.where(number)}")) from None
        seen.add(item.id)
        yield item, shown


def _sample(row: Mapping[str, object]) -> tuple[Item, Picture]:
    """An item and the source that its edit is held against. Raises ``ValueError``."""
    group, language, key, instruction = (
        _text(row, name) for name in ("task_type", "instruction_language", "key", "instruction")
    )
    if group not in GROUPS:
        raise ValueError(f'task_type is "{group}", which is none of the eleven groups')
    if language not in LANGUAGES:
        raise ValueError(f'instruction_language is "{language}", neither en nor cn')
    if "/" in key or "\\" in key or key.startswith("."):
        raise ValueError(f'key "{key}" cannot be the name of a file')
    shown = row["input_image"]
    if not isinstance(shown, Picture):
        raise ValueError("input_image is empty")
    raw = row.get(_RAW)
    item = Item(
        id=item_id(group, language, key),
        task=Task.EDIT,
        prompt=instruction,
        files=(f"fullset/{group}/{language}/{key}.png",),
        sources=(raw if isinstance(raw, Picture) else shown,),
        groups={
            "language": language,
            "group": group,
            "intersection": "yes" if row["Intersection_exist"] else "no",
        },
    )
    return item, shown


def _text(row: Mapping[str, object], name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is empty")
    return value


def make(
    spec: Spec, *, data: str = "", revision: str = "", prompt_dir: str = "", languages: str = "en,cn"
) -> GEditBenchmark:
    """The factory behind ``gedit``.

    Args:
        spec: the name, which keeps all options but folders.
        data: folder with the parquet files of the set; the hub's cache where it is empty.
        revision: of the set on the hub.
        prompt_dir: a copy of the official repository, for its words to the judge.
        languages: of the instructions, separated by commas.

    Raises:
        InputError: there is no such language, or the official words are not where they should be.
    """
    wanted = [each.strip() for each in languages.split(",") if each.strip()]
    unknown = [each for each in wanted if each not in LANGUAGES]
    if unknown or not wanted:
        raise InputError(
            f'GEdit-Bench has instructions in en and cn, not in "{unknown[0] if unknown else languages}"',
            hint="Write languages=en, languages=cn or languages=en,cn.",
        )
    chosen = [each for each in LANGUAGES if each in wanted]
    return GEditBenchmark(canonical_name(spec), chosen, data=data, revision=revision, told=words(prompt_dir))
