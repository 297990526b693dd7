"""UniGenBench++: test points under ten primary dimensions, in four sets (en, en_long, zh, zh_long).

Files: ``data/test_prompts_{en,en_long,zh,zh_long}.csv`` of https://github.com/CodeGoat24/UniGenBench (CC BY
4.0), 600 prompts each. Row 509 of en_long lacks a comma between two test points; exactly that is mended, and
said.

Images lie where its ``eval`` scripts look for them: ``<set>/arrkit/<index>_<image>.png`` below ``eval_data``.

With ``prompt_dir`` (a copy of that repository) the judge is asked in the words of
``eval/src/eval_common.py``, and the numbers are called ``unigenbench``; without, in our own and under
``unigenbench[arrkit-prompt]``. The judge decides the level: published numbers are those of gemini-2.5-pro.

Arithmetic (``calculate_scores`` there): a dimension's score is the share of its test points with the score 1,
pooled over all images, with four decimals. The script prints no overall; two are given under their names:
``macro``, the mean of the ten primary dimensions, which published tables seem to use, and ``micro``, the
share of all test points. The sets differ in their mix of test points, so ``micro`` does not compare from set
to set. ``official`` leaves out what has no answer; as the script does, it counts a quoted "1" as wrong and
loses images with a ``True`` among their scores. ``strict`` takes both as what they mean and counts every
test point.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
    read_text,
    text_at,
    texts_at,
)
from arrkit.bench.unigenbench_words import (
    BY_NAME,
    DIMENSIONS,
    PRIMARIES,
    Words,
    mark,
    official_words,
    read_checks,
)
from arrkit.canonical import Json
from arrkit.concurrency import together
from arrkit.data.files import Files
from arrkit.data.pairs import Picture, Task
from arrkit.errors import InputError, Problem
from arrkit.judge.stats import Floats

HOME = Home(
    name="UniGenBench++",
    files="prompts and test points",
    license="CC BY 4.0",
    url="https://github.com/CodeGoat24/UniGenBench",
    folders=("data", ""),
)
SETS = ("en", "en_long", "zh", "zh_long")
FOLDER = "arrkit"
"""The folder that stands for the model in the layout."""

_KEYS = {"en": ("Testpoints", "Testpoint Description"), "zh": ("考点", "考点对应描述")}
_BROKEN = ("en_long", "509", '"Grammar - Negation" "Attribute - Color"')
_MENDED = '"Grammar - Negation", "Attribute - Color"'
_MOST_TEXT = 2000


class UniGenBenchmark:
    """A :class:`~arrkit.bench.model.Benchmark`; see :func:`make`."""

    def __init__(self, name: str, *, data: str, sets: Sequence[str], images: int, words: Words) -> None:
        self.name = name
        self.metric = "unigenbench" if words.official else "unigenbench[arrkit-prompt]"
        self._data = data
        self._sets = tuple(sets)
        self._images = images
        self._words = words

    @property
    def identity(self) -> Mapping[str, Json]:
        """The sets, the images, what was mended, and the digests of prompts and instructions."""
        return {
            "benchmark": self.metric,
            "sets": list(self._sets),
            "images": self._images,
            "prompts": items_digest(self.items()),
            "mended": list(self.remarks),
            "instructions": self._words.digest,
        }

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should hear of the files."""
        return self._read[1]

    def items(self) -> Sequence[Item]:
        """The prompts of each set, in the order of its file."""
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[tuple[Item, ...], tuple[str, ...]]:
        files = find_files(HOME, [f"test_prompts_{name}.csv" for name in self._sets], data=self._data)
        items: list[Item] = []
        remarks: list[str] = []
        for name in self._sets:
            items += _rows(files, name, self._images, remarks)
        return tuple(items), tuple(remarks)

    def lay_out(self, folder: Path) -> None:
        """Nothing belongs beside the images."""

    def scorer(self, asker: Asker | None) -> UniGenScorer:
        """Asks the judge about all test points of an image at once."""
        if asker is None:
            raise InputError("UniGenBench++ is scored by a judge", hint="Name one: --judge gemini:MODEL.")
        return UniGenScorer(asker, self._words)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """Of each set the macro mean, the micro mean, the primary dimensions, and those below them."""
        answers = gather(items, units, test_points)
        made: list[Tally] = []
        details: list[Tally] = []
        for name in self._sets:
            part = answers.of_group("set", name)
            if part.units:
                heads, rest = _tallies(f"{self.metric}/{name}", part)
                made += heads
                details += rest
        return tuple(made + details)

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def read_answers(self, file: Path) -> list[Unit]:
        """Units from the CSV (``<model>_<set>.csv``) that the official scripts write, or from the JSON lines
        that they write on the way there.
        """
        name = self._set_of(file)
        known = {item.id: item for item in self.items()}
        try:
            with file.open(encoding="utf-8-sig", newline="") as stream:
                if file.suffix == ".csv":
                    rows = [
                        (f"{file}: row {number}", row) for number, row in enumerate(csv.DictReader(stream), 1)
                    ]
                else:
                    rows = [
                        (f"{file}:{number}", dict(json_object(line, f"{file}:{number}")))
                        for number, line in enumerate(stream, 1)
                        if line.strip()
                    ]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"cannot read {file}: {error}") from error
        return list(chain.from_iterable(_recorded(row, where, name, known) for where, row in rows))

    def _set_of(self, file: Path) -> str:
        stem = file.name.split(".")[0]
        named = [name for name in self._sets if stem.endswith(f"_{name}")]
        if named or len(self._sets) == 1:
            return named[0] if named else self._sets[0]
        raise InputError(
            f"{file.name} does not say which set it is of",
            hint=f"Let its name end in one of: {', '.join(f'_{name}' for name in self._sets)}.",
        )


class UniGenScorer:
    """Asks a judge about the test points of an image, all in one request."""

    def __init__(self, asker: Asker, words: Words) -> None:
        self._asker = asker
        self._words = words

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """1 for each test point that is met. An answer holds the score as written, and the analysis."""
        scored = await together(self._image(item, at, picture) for at, picture in enumerate(images))
        return list(chain.from_iterable(scored))

    async def _image(self, item: Item, at: int, picture: Picture | None) -> list[Unit]:
        points = _list(item, "points")
        if picture is None:
            return _all(item, at, Status.MISSING, "there is no image")
        language = item.groups["language"]
        status, value, said = await self._asker.ask(
            self._words.text(language, item.prompt, points, _list(item, "descriptions")),
            [picture],
            lambda answer: read_checks(answer, len(points)),
            system=self._words.system(language),
            attempts=self._words.attempts,
            temperature=self._words.temperature,
            room=self._words.room,
        )
        if status is not Status.SCORED or not isinstance(value, list):
            return _all(item, at, status, said[:_MOST_TEXT])
        return [_unit(item, at, number, each) for number, each in enumerate(value)]


def test_points(item: Item) -> Iterator[tuple[int, str]]:
    """The (image, question) of each unit: test points are called by their number from 0."""
    count = len(_list(item, "points"))
    return ((image, str(number)) for image in range(len(item.files)) for number in range(count))


def _rows(files: Files, name: str, images: int, remarks: list[str]) -> Iterator[Item]:
    """The items of one set; adds to ``remarks`` what was mended."""
    path = f"test_prompts_{name}.csv"
    language = name.removesuffix("_long")
    points_key, descriptions_key = _KEYS[language]
    seen = set()
    reader = csv.DictReader(io.StringIO(read_text(files, path), newline=""))
    for row in reader:
        index = str(row.get("index") or "")
        where = f"{files.name}/{path}: index {index}"
        if not index.isdigit() or index in seen:
            raise InputError(Problem("every row needs an index of its own, a number", where))
        seen.add(index)
        record, mended = _parsed(row.get(f"sub_dims_{language}") or "", name, index, where)
        if mended:
            remarks.append(f"{path}: a comma was put between two test points of index {index}")
        points, said = texts_at(record, points_key, where), texts_at(record, descriptions_key, where)
        unknown = [point for point in points if point not in BY_NAME]
        if unknown:
            raise InputError(Problem(f'"{unknown[0]}" is none of the {len(DIMENSIONS)} dimensions', where))
        if len(points) != len(said) or not points:
            raise InputError(Problem(f"{len(points)} test points with {len(said)} descriptions", where))
        yield Item(
            id=f"{name}/{index}",
            task=Task.T2I,
            prompt=text_at(row, f"prompt_{language}", where),
            files=tuple(f"{name}/{FOLDER}/{index}_{image}.png" for image in range(images)),
            groups={"set": name, "language": language},
            facts={"points": points, "descriptions": said},
        )


def _parsed(text: str, name: str, index: str, where: str) -> tuple[Mapping[str, Json], bool]:
    """The object of a row, and whether it had to be mended."""
    broken_set, broken_index, broken = _BROKEN
    if (name, index) == (broken_set, broken_index) and text.count(broken) == 1:
        return json_object(text.replace(broken, _MENDED), where), True
    return json_object(text, where), False


def _tallies(prefix: str, answers: Answers) -> tuple[list[Tally], list[Tally]]:
    """The tallies of one set: overall and primary dimensions, then those below."""
    dimensions = [
        _dimension(answers.items[at], unit) for at, unit in zip(answers.at, answers.units, strict=True)
    ]
    modes = ((Mode.OFFICIAL, _official_values(answers)), (Mode.STRICT, answers.values))
    primary = [PRIMARY_OF[each] for each in dimensions]
    gaps = {Mode.OFFICIAL: ", gaps left out", Mode.STRICT: ""}
    exact = {Mode.OFFICIAL: ", rounded to 4 decimals", Mode.STRICT: ""}
    heads = [
        tally(
            f"{prefix}/macro",
            mode,
            answers,
            values=values,
            cells=primary,
            how=f"mean of the primary dimensions{gaps[mode]}; no official script prints it",
            headline=True,
        )
        for mode, values in modes
    ]
    heads += [
        tally(
            f"{prefix}/micro",
            mode,
            answers,
            values=values,
            how=f"share of all test points{gaps[mode]}; no official script prints it",
        )
        for mode, values in modes
    ]
    rest: list[Tally] = []
    for names, wanted, into in ((primary, PRIMARIES, heads), (dimensions, _BELOW, rest)):
        column = np.array(names)
        for each in wanted:
            mask = column == each
            if not mask.any():
                continue
            part = answers.where(mask)
            for mode, values in modes:
                into.append(
                    tally(
                        f"{prefix}/{each}",
                        mode,
                        part,
                        values=values[mask],
                        combine=_FOUR_DECIMALS if mode is Mode.OFFICIAL else mean_of_cells,
                        how=f"share of test points{gaps[mode]}{exact[mode]}",
                    )
                )
    return heads, rest


def _four_decimals(means: Floats) -> Floats:
    return rounded(mean_of_cells(means), 4)


_FOUR_DECIMALS: Combine = _four_decimals
PRIMARY_OF = {each.en: each.primary for each in DIMENSIONS}
_BELOW = tuple(each.en for each in DIMENSIONS if each.en not in PRIMARIES)


def _dimension(item: Item, unit: Unit) -> str:
    return BY_NAME[_list(item, "points")[int(unit.question)]].en


def _official_values(answers: Answers) -> Floats:
    """The units' values as ``calculate_scores`` takes them."""
    values = answers.values.copy()
    lost = set()
    for at, unit in enumerate(answers.units):
        if unit.value is None or not isinstance(unit.answer, Mapping) or "score" not in unit.answer:
            continue
        score = unit.answer["score"]
        values[at] = float(isinstance(score, int | float) and score == 1)
        if isinstance(score, bool):
            # Rows are written as JSON and read as Python, which has no true.
            lost.add((unit.item, unit.image))
    if lost:
        gone = [(unit.item, unit.image) in lost for unit in answers.units]
        values[np.array(gone, bool)] = np.nan
    return values


def _recorded(row: Mapping[str, Json], where: str, name: str, known: Mapping[str, Item]) -> list[Unit]:
    """The units in one row of the official script."""
    item = known.get(f"{name}/{row.get('index')}")
    image = re.search(r"_(\d+)\.[A-Za-z]+$", str(row.get("img_path")))
    if item is None or image is None or int(image[1]) >= len(item.files):
        raise InputError(Problem(f'"{row.get("img_path")}" is no image of a prompt of {name}', where))
    points = _list(item, "points")
    try:
        named = ast.literal_eval(str(row.get("testpoint")))
        result = json.loads(str(row.get("result_json") or "null"))
    except (ValueError, SyntaxError, RecursionError):
        raise InputError(Problem("its test points or its result cannot be read", where)) from None
    if named != points:
        raise InputError(Problem("its test points are not those of the prompt", where))
    if not isinstance(result, dict):
        return _all(item, int(image[1]), Status.UNPARSED, str(row.get("output") or "")[:_MOST_TEXT])
    marks, said = result.get("score"), result.get("analysis")
    if not isinstance(marks, list) or len(marks) != len(points):
        raise InputError(Problem(f"there are {len(points)} test points, and not as many scores", where))
    notes = said if isinstance(said, list) and len(said) == len(points) else [""] * len(points)
    return [
        _unit(item, int(image[1]), number, {"score": score, "analysis": str(note)})
        for number, (score, note) in enumerate(zip(marks, notes, strict=True))
    ]


def _unit(item: Item, image: int, number: int, answer: Json) -> Unit:
    assert isinstance(answer, Mapping)
    # Only a 1 is right; a saved answer may hold anything else.
    value = mark(answer["score"]) or 0.0
    return Unit(item=item.id, image=image, question=str(number), value=value, answer=answer)


def _all(item: Item, image: int, status: Status, answer: Json) -> list[Unit]:
    return [
        Unit(item=item.id, image=image, question=str(number), status=status, answer=answer)
        for number in range(len(_list(item, "points")))
    ]


def _list(item: Item, key: str) -> list[str]:
    value = item.facts[key]
    assert isinstance(value, list)
    return value


def make(
    spec: Spec, *, data: str = "", prompt_dir: str = "", images: int = 4, sets: str = "en"
) -> UniGenBenchmark:
    """The factory behind ``unigenbench``.

    Args:
        spec: the name, which keeps all options but folders.
        data: folder of a copy of the repository, or its ``data``.
        prompt_dir: a copy of the repository, for the official words to the judge.
        images: how many for each prompt; 4 in the official protocol.
        sets: some of en, en_long, zh, zh_long, separated by commas.

    Raises:
        InputError: there is no such set, or the official words are not where they should be.
    """
    named = tuple(dict.fromkeys(each.strip() for each in sets.split(",") if each.strip()))
    unknown = [each for each in named if each not in SETS]
    if unknown or not named:
        raise InputError(
            f'UniGenBench++ has no set "{unknown[0] if unknown else sets}"',
            hint=f"Name some of: {', '.join(SETS)}.",
        )
    words = official_words(prompt_dir, HOME) if prompt_dir else Words()
    return UniGenBenchmark(canonical_name(spec), data=data, sets=named, images=images, words=words)
