"""TIIF-Bench: instruction following in 39 dimensions, each prompt in a short and a long wording.

Files: ``data/{testmini,test}_prompts/*_prompts.jsonl`` and ``data/{testmini,test}_eval_prompts/
*_eval_prompts.jsonl`` of https://github.com/A113N-W3I/TIIF-Bench; line N of one belongs to line N of the
other, and the same questions are asked of both wordings. The repository states no licence.

Images lie where its ``eval/eval_with_vlm.py`` looks for them with ``--eval_model arrkit``:
``<dimension>/arrkit/{short,long}_description/<line>.png``, lines counted from 0.

With ``prompt_dir`` (a copy of that repository) the judge is asked as ``eval/eval_with_vlm.py`` asks it
(:mod:`arrkit.bench.tiif_words`), and the numbers are called ``tiif`` (``tiif-full`` for all prompts);
without, in our own words and under ``tiif[arrkit-prompt]``. Unlike there, repeats are bounded, and answers
that stay unusable are counted as such.

Arithmetic (``eval/summary_results.py``, ``eval/summary_dimension_results.py``): a cell is one dimension in
one length, its score the share of questions answered as expected, with four decimals; a group is the mean of
its cells; the headline is the mean of the nine groups, for short and long apart. Cells without answers drop
out, and with them their groups. The extras for rendered text (GNED, recall), which need an OCR engine, are
not computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from arrkit.backends.spec import Spec
from arrkit.bench.cells import Answers, Combine, Tally, gather, mean_of_cells, scores, tally
from arrkit.bench.model import Asker, Item, Mode, Score, Status, Unit
from arrkit.bench.rounding import rounded
from arrkit.bench.sources import (
    Home,
    canonical_name,
    find_files,
    items_digest,
    json_object,
    read_jsonl,
    text_at,
    texts_at,
)
from arrkit.bench.tiif_words import Words, official_words, own_words
from arrkit.canonical import Json
from arrkit.data.files import Files
from arrkit.data.pairs import Picture, Task
from arrkit.errors import InputError, Problem
from arrkit.judge.stats import Floats

HOME = Home(
    name="TIIF-Bench",
    files="prompts and questions",
    license="no licence stated",
    url="https://github.com/A113N-W3I/TIIF-Bench",
    folders=("data", ""),
)

LENGTHS = ("short", "long")

_REASONING = ("numeracy", "comparison", "differentiation", "negation")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "basic/attribute": ("shape+color", "color+texture", "texture+color", "shape+texture"),
    "basic/relation": ("2d_spatial_relation", "3d_spatial_relation", "action+2d", "action+3d"),
    "basic/reasoning": _REASONING,
    "advanced/attribute+relation": (
        "action+color",
        "action+texture",
        *(f"{what}+{where}" for what in ("color", "shape", "texture") for where in ("2d", "3d")),
    ),
    "advanced/attribute+reasoning": tuple(
        f"{how}+{what}" for how in _REASONING for what in ("color", "texture")
    ),
    "advanced/relation+reasoning": tuple(f"{how}+{where}" for how in _REASONING for where in ("2d", "3d")),
    "text": ("text",),
    "style": ("style",),
    "real-world": ("real_world",),
}
"""The nine groups and the dimensions of each."""

_DIMENSIONS = tuple(chain.from_iterable(GROUPS.values()))
_BASIC = tuple(chain.from_iterable(GROUPS[name] for name in GROUPS if name.startswith("basic/")))
_ADVANCED = (
    *chain.from_iterable(GROUPS[name] for name in GROUPS if name.startswith("advanced/")),
    "text",
    "style",
)

FOLDER = "arrkit"
"""The folder that stands for the model in the layout."""

_MOST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class _Entry:
    dimension: str
    line: int
    prompts: Mapping[str, str]
    questions: tuple[str, ...]
    answers: tuple[str, ...]


class TiifBenchmark:
    """A :class:`~arrkit.bench.model.Benchmark`; see :func:`make`."""

    def __init__(
        self, name: str, *, data: str, split: str, lengths: Sequence[str], words: Words, seed: int
    ) -> None:
        self.name = name
        self.metric = (
            f"tiif{'' if split == 'testmini' else '-full'}{'' if words.official else '[arrkit-prompt]'}"
        )
        self._data = data
        self._split = split
        self._lengths = tuple(lengths)
        self._words = words
        self._seed = seed

    @property
    def identity(self) -> Mapping[str, Json]:
        """The split, the lengths, and the digests of the questions and of the judge's instructions."""
        return {
            "benchmark": self.metric,
            "split": self._split,
            "lengths": list(self._lengths),
            "prompts": items_digest(self.items()),
            "instructions": self._words.digest,
            "seed": self._seed,
        }

    def items(self) -> Sequence[Item]:
        """One item for each prompt and length: all short ones, then all long ones."""
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        prompts = f"{self._split}_prompts"
        files = find_files(
            HOME, [f"{prompts}/*_prompts.jsonl", f"{self._split}_eval_prompts/*.jsonl"], data=self._data
        )
        held: dict[str, list[_Entry]] = {}
        for path in files.names(f"{prompts}/"):
            if path.endswith("_prompts.jsonl"):
                entries = _entries(files, path, path.replace("_prompts", "_eval_prompts"))
                held.setdefault(entries[0].dimension, []).extend(entries)
        missing = [name for name in _DIMENSIONS if name not in held]
        if missing:
            raise InputError(
                f"{files.name}/{prompts} lacks {len(missing)} of {len(_DIMENSIONS)} dimensions: "
                f"{', '.join(missing)}",
                hint=f"Get a whole copy of {HOME.url}.",
            )
        return tuple(
            self._item(entry, length)
            for length in self._lengths
            for dimension in _DIMENSIONS
            for entry in held[dimension]
        )

    def _item(self, entry: _Entry, length: str) -> Item:
        return Item(
            id=f"{length}/{entry.dimension}/{entry.line}",
            task=Task.T2I,
            prompt=entry.prompts[length],
            files=(f"{entry.dimension}/{FOLDER}/{length}_description/{entry.line}.png",),
            groups={"length": length, "dimension": entry.dimension, "group": _GROUP_OF[entry.dimension]},
            facts={"questions": list(entry.questions), "answers": list(entry.answers)},
        )

    def lay_out(self, folder: Path) -> None:
        """Nothing belongs beside the images."""

    def scorer(self, asker: Asker | None) -> TiifScorer:
        """Asks the judge all questions about an image at once."""
        if asker is None:
            raise InputError("TIIF-Bench is scored by a judge", hint="Name one: --judge openai:MODEL.")
        return TiifScorer(asker, self._words, self._seed)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """For each length the mean of the nine groups, the groups, and what else the scripts print."""
        answers = gather(items, units, questions)
        lengths = [
            length for length in self._lengths if any(item.groups["length"] == length for item in items)
        ]
        parts = {length: answers.of_group("length", length) for length in lengths}
        made = [
            _mean(f"{self.metric}/overall-{length}", mode, part, GROUPS, headline=True)
            for mode in Mode
            for length, part in parts.items()
        ]
        for length, part in parts.items():
            for name, dimensions in GROUPS.items():
                made += [
                    _mean(f"{self.metric}/{length}/{name}", mode, part, {name: dimensions}) for mode in Mode
                ]
            for name, dimensions in (("basic", _BASIC), ("advanced", _ADVANCED)):
                made += [
                    _mean(f"{self.metric}/{length}/{name}-by-dimensions", mode, part, {name: dimensions})
                    for mode in Mode
                ]
        cells = [
            f"{each}/{length}" for each, length in zip(*(answers.group(key) for key in _CELL), strict=True)
        ]
        how = "mean of all dimensions, each length a cell of its own"
        made += [tally(f"{self.metric}/by-cells", mode, answers, cells=cells, how=how) for mode in Mode]
        return tuple(made)

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def read_answers(self, file: Path) -> list[Unit]:
        """Units from what ``eval/eval_with_vlm.py`` writes: its folder ``<model>``, which holds
        ``<dimension>/{short,long}/<line>.json``, or those objects in one JSONL file.
        """
        known = {item.id: item for item in self.items()}
        if file.is_dir():
            records = [
                (str(path), json_object(path.read_text("utf-8"), str(path)))
                for path in sorted(file.glob("*/*/*.json"))
            ]
        else:
            lines = file.read_text("utf-8").split("\n")
            places = [(f"{file}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]
            records = [(where, json_object(line, where)) for where, line in places]
        return list(chain.from_iterable(_recorded(record, where, known) for where, record in records))


_GROUP_OF = {dimension: name for name, dimensions in GROUPS.items() for dimension in dimensions}
_CELL = ("dimension", "length")


def questions(item: Item) -> Iterable[tuple[int, str]]:
    """The (image, question) of each unit: questions are called by their number from 0."""
    return ((0, str(number)) for number in range(len(_list(item, "questions"))))


class TiifScorer:
    """Asks a judge the yes/no questions of an item, all in one request."""

    def __init__(self, asker: Asker, words: Words, seed: int) -> None:
        self._asker = asker
        self._words = words
        self._seed = seed

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """1 for each question that is answered as expected.

        An answer holds the judge's line and the number of the template that was asked in.
        """
        asked, expected = _list(item, "questions"), _list(item, "answers")
        if images[0] is None:
            return _all(item, Status.MISSING, "there is no image")
        template = self._words.draw(self._seed, item.id)
        status, value, said = await self._asker.ask(
            self._words.fill(template, asked),
            [images[0]],
            lambda answer: self._words.read(answer, len(asked)),
            system=self._words.system,
            attempts=self._words.attempts,
            temperature=self._words.temperature,
        )
        if status is not Status.SCORED or not isinstance(value, list):
            return _all(item, status, said[:_MOST_TEXT])
        return [
            Unit(
                item=item.id,
                question=str(number),
                value=float(_yes_no(line) == right),
                answer={"said": line, "template": template},
            )
            for number, (line, right) in enumerate(zip(value, expected, strict=True))
        ]


def _entries(files: Files, prompts: str, asked: str) -> list[_Entry]:
    """The lines of a file of prompts with those of its file of questions."""
    rows, questions = read_jsonl(files, prompts), read_jsonl(files, asked)
    if len(rows) != len(questions) or not rows:
        raise InputError(
            f"{files.name}/{prompts} has {len(rows)} lines, and its questions in {asked} {len(questions)}",
            hint=f"Get a whole copy of {HOME.url}.",
        )
    # The type of the first line names the dimension, as in the official script.
    dimension = text_at(rows[0][1], "type", rows[0][0])
    if dimension not in _GROUP_OF:
        raise InputError(Problem(f'"{dimension}" is none of the 39 dimensions', rows[0][0]))
    entries = []
    for line, ((where, row), (place, question)) in enumerate(zip(rows, questions, strict=True)):
        words = {length: text_at(row, f"{length}_description", where) for length in LENGTHS}
        asks = texts_at(question, "yn_question_list", place)
        answers = [answer.strip().lower() for answer in texts_at(question, "yn_answer_list", place)]
        if len(asks) != len(answers) or not asks or not {*answers} <= {"yes", "no"}:
            raise InputError(Problem("the questions and the yes or no to each do not match", place))
        stripped = tuple(each.strip() for each in asks)
        entries.append(_Entry(dimension, line, words, stripped, tuple(answers)))
    return entries


def _mean(
    name: str,
    mode: Mode,
    answers: Answers,
    groups: Mapping[str, tuple[str, ...]],
    *,
    headline: bool = False,
) -> Tally:
    """The mean over groups of the mean over their dimensions; a dimension is a cell."""
    group_of = {dimension: group for group, dimensions in groups.items() for dimension in dimensions}
    part = answers.only(lambda item, _: item.groups["dimension"] in group_of)
    cells = part.group("dimension")
    what = "mean of nine groups, each the mean of its dimensions" if len(groups) > 1 else "mean of dimensions"
    official = mode is Mode.OFFICIAL
    return tally(
        name,
        mode,
        part,
        cells=cells,
        combine=_combine(list(dict.fromkeys(cells)), group_of, official=official),
        how=f"{what}, dimensions rounded to 4 decimals, gaps left out" if official else what,
        headline=headline,
    )


def _combine(cells: Sequence[str], group_of: Mapping[str, str], *, official: bool) -> Combine:
    groups = dict.fromkeys(group_of[cell] for cell in cells)
    columns = [[at for at, cell in enumerate(cells) if group_of[cell] == group] for group in groups]

    def combine(means: Floats) -> Floats:
        if official:
            means = rounded(means, 4)
        if not columns:
            return mean_of_cells(means)
        return mean_of_cells(np.stack([mean_of_cells(means[:, part]) for part in columns], axis=-1))

    return combine


def _recorded(record: Mapping[str, Json], where: str, known: Mapping[str, Item]) -> list[Unit]:
    """The units in one file of the official script."""
    length = text_at(record, "desc", where).removesuffix("_description")
    name = f"{length}/{text_at(record, 'attribute', where)}/{record.get('line_idx')}"
    item = known.get(name)
    if item is None:
        raise InputError(Problem(f'there is no prompt "{name}" in {HOME.name}', where))
    said, expected = texts_at(record, "model_pred", where), texts_at(record, "gt_answers", where)
    if not len(said) == len(expected) == len(_list(item, "questions")):
        raise InputError(
            Problem(f"{len(said)} answers to {len(_list(item, 'questions'))} questions of {name}", where)
        )
    return [
        Unit(
            item=item.id,
            question=str(number),
            value=float(answer.strip().lower() == right.strip().lower()),
            answer={"said": answer},
        )
        for number, (answer, right) in enumerate(zip(said, expected, strict=True))
    ]


def _yes_no(line: Json) -> str:
    return "yes" if str(line).lower().startswith("yes") else "no"


def _all(item: Item, status: Status, answer: Json) -> list[Unit]:
    return [
        Unit(item=item.id, image=image, question=question, status=status, answer=answer)
        for image, question in questions(item)
    ]


def _list(item: Item, key: str) -> list[str]:
    value = item.facts[key]
    assert isinstance(value, list)
    return value


def make(
    spec: Spec,
    *,
    data: str = "",
    prompt_dir: str = "",
    split: str = "testmini",
    length: str = "both",
    seed: int = 0,
) -> TiifBenchmark:
    """The factory behind ``tiif``.

    Args:
        spec: the name, which keeps all options but folders.
        data: folder of a copy of the repository, or its ``data``.
        prompt_dir: a copy of the repository, for the official words to the judge.
        split: ``testmini`` (277 prompts) or ``test`` (2,538).
        length: ``short``, ``long`` or ``both``.
        seed: draws the official template for each image.

    Raises:
        InputError: the official words are not where they should be.
    """
    words = official_words(prompt_dir, HOME) if prompt_dir else own_words()
    lengths = LENGTHS if length == "both" else (length,)
    return TiifBenchmark(
        canonical_name(spec), data=data, split=split, lengths=lengths, words=words, seed=seed
    )
