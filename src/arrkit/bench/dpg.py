"""DPG-Bench: long prompts, asked about by yes/no questions that depend on each other.

Files: ``dpg_bench/prompts/*.txt`` and ``dpg_bench/dpg_bench.csv`` of https://github.com/TencentQQGYLab/ELLA
(Apache-2.0). The arithmetic is in :mod:`arrkit.bench.dpg_rules`; who answers, in
:mod:`arrkit.bench.dpg_answers`.

Four images are painted for each prompt, ``images/<id>/0.png`` to ``3.png``, and put together as
``grids/<id>.png``: give ``grids`` to the official script as ``--image-root-path``, with ``--pic-num 4`` and
the side of one image as ``--resolution``. Grids painted elsewhere are scored with ``?layout=grid``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from PIL import Image

from arrkit.backends.spec import Spec
from arrkit.bench import dpg_rules
from arrkit.bench.cells import Tally, scores
from arrkit.bench.dpg_answers import WORDS, AskedOfJudge, Mplug, Vqa
from arrkit.bench.dpg_rules import facts_of, images_of, propositions_of, read_questions
from arrkit.bench.model import Asker, Item, Score, Status, Unit
from arrkit.bench.sources import Home, canonical_name, find_files, items_digest, read_text
from arrkit.canonical import Json, digest
from arrkit.data.images import picture_from_path
from arrkit.data.pairs import ImageUnreadable, Picture, Task
from arrkit.errors import InputError, Problem

HOME = Home(
    name="DPG-Bench",
    files="1,065 prompts and their questions",
    license="Apache-2.0",
    url="https://github.com/TencentQQGYLab/ELLA",
    folders=("dpg_bench", ""),
)

QUESTIONS = "dpg_bench.csv"
PROMPTS = "prompts/"

GRID = 4
"""Images in a grid of the official layout: top left, top right, bottom left, bottom right."""

# Of the file that the official script calls *_results_detail.txt: image path, crop, question, answer.
_DETAIL = re.compile(r"^(.*?), \((\d+), (\d+), (\d+), (\d+)\), (.*)$")


class DpgBenchmark:
    """A :class:`~arrkit.bench.model.Benchmark`; see :func:`make`."""

    def __init__(self, name: str, *, data: str, images: int, layout: str, vqa: str, ask: str) -> None:
        self.name = name
        self._data = data
        self._images = GRID if layout == "grid" else images
        self._grid = layout == "grid"
        self._vqa = vqa
        self._together = ask == "together"
        self._mplug: Mplug | None = None
        self._who = "judge"

    @property
    def metric(self) -> str:
        """``dpg`` where the official model answers; else the judge's name stands in brackets.

        It is known after :meth:`scorer` or :meth:`read_answers`.
        """
        return "dpg" if self._vqa == "mplug" else _called(self._who)

    @property
    def identity(self) -> Mapping[str, Json]:
        """The digests of prompts and questions and of the words to a judge, and who answers."""
        made: dict[str, Json] = {"items": items_digest(self.items()), "vqa": self._vqa}
        if self._vqa == "judge":
            made |= {"together": self._together, "words": digest([*WORDS])}
        return made

    def items(self) -> Sequence[Item]:
        """One item a prompt that has questions, in the order of the questions' file.

        Raises:
            InputError: the files are not there, or rows of them cannot be used.
        """
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        files = find_files(HOME, (QUESTIONS,), data=self._data)
        held = set(files.names(PROMPTS))
        items = []
        for name, asked in read_questions(read_text(files, QUESTIONS), f"{files.name}/{QUESTIONS}").items():
            file = f"{PROMPTS}{name}.txt"
            text = read_text(files, file).strip() if file in held else asked.text
            kind = re.sub(r"\d+$", "", name) or "numbered"
            items.append(
                Item(
                    id=name,
                    task=Task.T2I,
                    prompt=text,
                    files=self._places(name),
                    groups={"source": kind},
                    facts=facts_of(asked, self._images),
                )
            )
        return tuple(items)

    def _places(self, name: str) -> tuple[str, ...]:
        if self._grid:
            return (f"{name}.png",)
        return tuple(f"images/{name}/{image}.png" for image in range(self._images))

    def lay_out(self, folder: Path) -> None:
        """Put together the grid of each prompt whose four images are there and newer than their grid.

        Raises:
            InputError: the images of one prompt have different sizes, or one that is there is unreadable;
                or grids were asked for by ``layout=grid``, which are scored and not painted.
        """
        if self._grid:
            raise InputError(
                "layout=grid is for grids that were painted elsewhere",
                hint=f"Leave it out: the grids are put together in {folder / 'grids'}.",
            )
        if self._images != GRID:
            return
        for item in self.items():
            parts = [folder / file for file in item.files]
            grid = folder / "grids" / f"{item.id}.png"
            if all(part.is_file() for part in parts) and not _newer(grid, parts):
                _put_together(parts, grid)

    def scorer(self, asker: Asker | None) -> DpgScorer:
        """Who looks at the images and answers.

        Raises:
            InputError: no judge is named and none is the official model, or both are.
        """
        if self._vqa == "mplug":
            if asker is not None:
                raise InputError("vqa=mplug answers, so no judge is asked", hint="Leave out --judge.")
            if self._mplug is None:
                self._mplug = Mplug()
            return DpgScorer(self._mplug)
        if asker is None:
            raise InputError(
                "DPG-Bench asks questions about images, and nobody is named who answers",
                hint='Name a judge: --judge openai:MODEL; or the official model: "dpg?vqa=mplug".',
            )
        asked = AskedOfJudge(asker, together=self._together)
        self._who = asked.name
        return DpgScorer(asked)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """See :func:`arrkit.bench.dpg_rules.tallies`; the name is that of who answered."""
        names = {_answered_by(unit) for unit in units if unit.status in (Status.SCORED, Status.UNPARSED)}
        who = " and ".join(sorted(names))
        metric = _called(who) if names else self.metric
        return dpg_rules.tallies(metric, items, units)

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def read_answers(self, file: Path) -> list[Unit]:
        """Units from the file that the official script calls ``*_results_detail.txt``.

        Raises:
            InputError: lines of it cannot be used; all of them are named.
        """
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} cannot be read: {error}") from error
        known = {item.id: item for item in self.items()}
        open_questions: dict[tuple[str, int], dict[str, list[int]]] = {}
        units: list[Unit] = []
        problems: list[Problem] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                units.append(_detail(line, known, open_questions))
            except ValueError as error:
                problems.append(Problem(str(error), f"{file.name}:{number}"))
        if problems:
            raise InputError(problems)
        self._who = ""
        return units


class DpgScorer:
    """Asks all questions about each image of a prompt."""

    def __init__(self, vqa: Vqa) -> None:
        self._vqa = vqa

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """1 for each yes, before what depends on what is looked at; the answer says who gave it."""
        if len(images) == 1 and images_of(item) == GRID:
            images = quarters(images[0])
        asked = propositions_of(item)
        units = []
        for number, picture in enumerate(images):
            if picture is None:
                found = [(Status.MISSING, "there is no image")] * len(asked)
            else:
                found = await self._vqa.answer(picture, [each.question for each in asked])
            for each, (status, said) in zip(asked, found, strict=True):
                units.append(
                    Unit(
                        item=item.id,
                        image=number,
                        question=str(each.id),
                        value=float(said == "yes") if status is Status.SCORED else None,
                        status=status,
                        answer={"said": said, "by": self._vqa.name} if self._vqa.name else said,
                    )
                )
        return units


def quarters(grid: Picture | None) -> list[Picture | None]:
    """The four images of a grid: top left, top right, bottom left, bottom right."""
    if grid is None:
        return [None] * GRID

    return [Picture(f"{grid.name}, image {place}", partial(_quarter, grid, place)) for place in range(GRID)]


def _quarter(grid: Picture, place: int) -> Image.Image:
    whole = grid.load()
    width, height = whole.width // 2, whole.height // 2
    if not width or not height:
        raise ImageUnreadable(f"{grid.name}: {whole.width} x {whole.height} pixels are no grid of four")
    left, top = place % 2 * width, place // 2 * height
    return whole.crop((left, top, left + width, top + height))


def _newer(grid: Path, parts: Iterable[Path]) -> bool:
    return grid.is_file() and grid.stat().st_mtime_ns >= max(part.stat().st_mtime_ns for part in parts)


def _put_together(parts: Sequence[Path], grid: Path) -> None:
    try:
        images = [picture_from_path(part).load() for part in parts]
        width, height = images[0].size
        if any(image.size != (width, height) for image in images):
            raise InputError(f"the images in {parts[0].parent} are not all of one size")
        whole = Image.new("RGB", (2 * width, 2 * height))
        for place, image in enumerate(images):
            whole.paste(image, (place % 2 * width, place // 2 * height))
        grid.parent.mkdir(parents=True, exist_ok=True)
        temporary = grid.with_name(f".{grid.name}.{os.getpid()}.tmp")
        # The lightest compression: the usual one takes a quarter of an hour for a thousand large grids.
        whole.save(temporary, "PNG", compress_level=1)
        temporary.replace(grid)
    except (OSError, ImageUnreadable) as error:
        raise InputError(f"{grid} cannot be put together: {error}") from error


def _called(who: str) -> str:
    """``dpg`` with who answers in brackets; empty is the official model."""
    return f"dpg[{who}]" if who else "dpg"


def _answered_by(unit: Unit) -> str:
    """Who an answer names; empty for the official model."""
    name = unit.answer.get("by", "") if isinstance(unit.answer, Mapping) else ""
    return name if isinstance(name, str) else ""


def _detail(
    line: str, known: Mapping[str, Item], open_questions: dict[tuple[str, int], dict[str, list[int]]]
) -> Unit:
    """The unit in a line of details. ``open_questions`` are those of each image that no line answered yet."""
    match = _DETAIL.match(line)
    if match is None:
        raise ValueError("this is no line of image path, crop, question and answer")
    path, left, top, _, _, rest = match.groups()
    name = re.split(r"[/\\]", path)[-1].split(".")[0]
    if name not in known:
        raise ValueError(f'"{name}" is no prompt of DPG-Bench')
    image = (int(left) > 0) + 2 * (int(top) > 0)
    if image >= images_of(known[name]):
        raise ValueError(f"there is an answer about image {image} of {images_of(known[name])}")
    if (name, image) not in open_questions:
        held: dict[str, list[int]] = {}
        for each in propositions_of(known[name]):
            held.setdefault(each.question, []).append(each.id)
        open_questions[name, image] = held
    waiting = open_questions[name, image]
    # Questions and answers may hold commas: the longest question that the line begins with is the one asked.
    fitting = [question for question in waiting if rest.lstrip().startswith(f"{question}, ")]
    if not fitting:
        raise ValueError(f'"{rest}" is no question about {name} with its answer')
    question = max(fitting, key=len)
    if not waiting[question]:
        raise ValueError(f'"{question}" is answered twice for image {image} of {name}')
    said = rest.lstrip()[len(question) + 2 :]
    return Unit(
        item=name,
        image=image,
        question=str(waiting[question].pop(0)),
        value=float(said == "yes"),
        answer=said,
    )


def make(
    spec: Spec,
    *,
    data: str = "",
    images: int = GRID,
    layout: str = "four",
    vqa: str = "judge",
    ask: str = "each",
) -> DpgBenchmark:
    """The factory behind ``dpg``.

    Args:
        spec: the name, which keeps all options but folders.
        data: a copy of the official repository, or its folder ``dpg_bench``.
        images: how many are painted for each prompt; only four make a grid.
        layout: ``four`` separate files, or a ``grid`` that was painted elsewhere (to be scored).
        vqa: who answers: the ``judge`` that is named, or the official ``mplug``.
        ask: whether a judge is asked each question alone, as the official model is, or all of an image
            together.
    """
    return DpgBenchmark(canonical_name(spec), data=data, images=images, layout=layout, vqa=vqa, ask=ask)
