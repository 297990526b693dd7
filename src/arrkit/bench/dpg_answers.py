"""Who answers DPG-Bench's questions about an image: the official model, or a judge under another name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from arrkit.backends.spec import Spec
from arrkit.bench.model import Asker, Status
from arrkit.canonical import Json
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError

MODEL = "damo/mplug_visual-question-answering_coco_large_en"
"""The official model, by its name on ModelScope."""

_SYSTEM = (
    "You look at one image and answer questions about it with yes or no. Go by what can be seen in the image "
    "alone. What is not there, or cannot be made out, is answered with no."
)
_EACH = "{question}\n\nAnswer with one word, yes or no."
_TOGETHER = (
    "Answer each of these questions by itself, whatever the answers to the others are:\n\n{questions}\n\n"
    "Write one line for each question and nothing else: its number, a colon, and yes or no. For example:\n"
    "1: yes\n2: no"
)
WORDS = (_SYSTEM, _EACH, _TOGETHER)
"""What a judge is told."""

_WORD = re.compile(r"[\W_]*(yes|no)\b", re.IGNORECASE)
_LINE = re.compile(r"[\W_]*(\d+)\s*[:.)-][\W_]*(yes|no)\b", re.IGNORECASE)

Answer = tuple[Status, str]
"""What became of a question, and the answer: ``yes``, ``no``, or what was said instead."""


class Vqa(Protocol):
    """A model that answers questions about an image."""

    @property
    def name(self) -> str:
        """What sets it apart from the official model: empty for that model itself."""
        ...

    async def answer(self, picture: Picture, questions: Sequence[str]) -> list[Answer]:
        """An answer to each question."""
        ...


class AskedOfJudge:
    """A judge answers: each question alone, or all of an image ``together``."""

    def __init__(self, asker: Asker, *, together: bool = False) -> None:
        self._asker = asker
        self._together = together

    @property
    def name(self) -> str:
        """The judge's, without the address of its server: two runs of one judge are to be compared."""
        spec = Spec.parse(self._asker.name)
        kept = {key: value for key, value in spec.options.items() if key != "base_url"}
        name = str(Spec(spec.name, spec.model, kept))
        return f"{name}, together" if self._together else name

    async def answer(self, picture: Picture, questions: Sequence[str]) -> list[Answer]:
        """See :meth:`Vqa.answer`."""
        if not self._together:
            return await asyncio.gather(*(self._one(picture, question) for question in questions))
        listed = "\n".join(f"{number}. {question}" for number, question in enumerate(questions, start=1))
        status, value, said = await self._asker.ask(
            _TOGETHER.format(questions=listed),
            [picture],
            lambda text: read_lines(text, len(questions)),
            system=_SYSTEM,
            text_first=False,
        )
        if status is not Status.SCORED or not isinstance(value, list):
            return [(status, said)] * len(questions)
        return [(status, str(each)) for each in value]

    async def _one(self, picture: Picture, question: str) -> Answer:
        status, value, said = await self._asker.ask(
            _EACH.format(question=question),
            [picture],
            read_word,
            system=_SYSTEM,
            text_first=False,
            room=256,
        )
        return status, str(value) if status is Status.SCORED else said


class Mplug:
    """The official model, through the ``modelscope`` package of the user's own.

    Raises:
        InputError: the package is not installed, or the model cannot be loaded. ModelScope keeps its weights
            as a pickle, which that package reads: it is loaded only where ``vqa=mplug`` asks for it.
    """

    name = ""

    def __init__(self) -> None:
        try:
            pipeline = import_module("modelscope.pipelines").pipeline
            task = import_module("modelscope.utils.constant").Tasks.visual_question_answering
        except ImportError as error:
            raise InputError(
                f"vqa=mplug needs the package modelscope: {error}",
                hint="Install it, or name a judge in place of vqa=mplug: --judge openai:MODEL.",
            ) from error
        try:
            self._pipeline: Any = pipeline(task, model=MODEL)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError) as error:
            line = " ".join(str(error).split())[:300]
            raise InputError(f"{MODEL} cannot be loaded by modelscope: {line}") from error
        self._turn = asyncio.Lock()

    async def answer(self, picture: Picture, questions: Sequence[str]) -> list[Answer]:
        """See :meth:`Vqa.answer`. Each question is asked alone; the answer is kept as the model gives it."""
        async with self._turn:
            return await asyncio.to_thread(self._answers, picture, questions)

    def _answers(self, picture: Picture, questions: Sequence[str]) -> list[Answer]:
        try:
            image = picture.load()
        except ImageUnreadable as error:
            return [(Status.MISSING, str(error))] * len(questions)
        asked = ({"image": image, "question": question} for question in questions)
        return [(Status.SCORED, str(self._pipeline(each)["text"])) for each in asked]


def read_word(text: str) -> Json:
    """``yes`` or ``no``, with which an answer must begin. Raises ``ValueError``."""
    match = _WORD.match(text)
    if match is None:
        raise ValueError("the answer begins with neither yes nor no")
    return match[1].lower()


def read_lines(text: str, count: int) -> Json:
    """``yes`` or ``no`` to each of ``count`` questions, from numbered lines. Raises ``ValueError``."""
    found: dict[int, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        number, word = int(match[1]), match[2].lower()
        if found.setdefault(number, word) != word:
            raise ValueError(f"question {number} is answered with both yes and no")
    lacking = [number for number in range(1, count + 1) if number not in found]
    if lacking:
        raise ValueError(f"there is no line for question {lacking[0]}")
    return [found[number] for number in range(1, count + 1)]
