"""Questions to a hosted judge in words, over the one layer of cache, limits and money."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakValueDictionary

from arrkit.bench.model import Status
from arrkit.canonical import Json, digest
from arrkit.concurrency import together
from arrkit.data.encode import LONG_EDGE, check_size, encode
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError
from arrkit.judge.answers.extract import Unreadable, spoken
from arrkit.judge.asking import Ended, Inquiry
from arrkit.judge.calling import Calls
from arrkit.judge.prompts.english import ENGLISH
from arrkit.judge.prompts.parts import Prompt
from arrkit.judge.protocol import Outcome
from arrkit.judge.transport import ImagePart, ModelProfile, Sampling, TextPart

PARSER = "bench-1"
"""The version of the benchmarks' readers: part of the cache's keys."""

REASONING_ROOM = 4096
"""Tokens beside the answer for a model that reasons before it."""

_ENDS = {Outcome.UNPARSED: Status.UNPARSED, Outcome.TRUNCATED: Status.UNPARSED}


class JudgeAsker:
    """An :class:`~arrkit.bench.model.Asker` over :class:`~arrkit.judge.calling.Calls`.

    Args:
        calls: who is asked; closed by :meth:`aclose`. Retries after errors are theirs alone.
        image_size: the largest long edge of the images sent, in pixels.
        effort: how much a reasoning model should reason; low by default.
        concurrency: how many questions may be under way at once, their images held in memory.
        met: called with the name that the endpoint resolved, at the first answer that bears it.

    ``snapshots`` counts the answers of each resolved name, ``outcomes`` how questions ended; ``temperatures``
    are those that were asked for, None for the endpoint's own; ``repeats`` counts answers that could not be
    used and were asked for again.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        image_size: int = LONG_EDGE,
        effort: str = "low",
        concurrency: int = 16,
        met: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.snapshots: Counter[str] = Counter()
        self.outcomes: Counter[Status] = Counter()
        self.temperatures: set[float | None] = set()
        self.repeats = 0
        self._calls = calls
        self._image_size = image_size
        self._effort = effort
        self._slots = asyncio.Semaphore(concurrency)
        self._met = met
        self._equal: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def name(self) -> str:
        """The transport's name, and the size of the images where it is not the usual one."""
        base = self._calls.name
        if self._image_size == LONG_EDGE:
            return base
        return f"{base}{'&' if '?' in base else '?'}image_size={self._image_size}"

    @property
    def record(self) -> Mapping[str, Json]:
        """What belongs beside the numbers: the judge, its snapshots, the temperatures."""
        numbers = sorted(each for each in self.temperatures if each is not None)
        return {
            "judge": self.name,
            "snapshots": dict(sorted(self.snapshots.items())),
            "temperatures": [*((None,) if None in self.temperatures else ()), *numbers],
            "image_size": self._image_size,
            "repeats": self.repeats,
        }

    async def ask(
        self,
        text: str,
        images: Sequence[Picture],
        read: Callable[[str], Json],
        *,
        system: str = "",
        text_first: bool = True,
        attempts: int = 3,
        temperature: float | None = 0.0,
        room: int = 2048,
    ) -> tuple[Status, Json, str]:
        """See :meth:`arrkit.bench.model.Asker.ask`.

        Raises :class:`~arrkit.errors.RunError` where the run must stop, and
        :class:`~arrkit.errors.InputError` for more images than the model takes.
        """
        async with self._slots:
            profile = await self._calls.profile()
            inquiry = Inquiry(self._calls, profile, ENGLISH, parser=PARSER)
            try:
                parts = await self._encoded(images, profile)
            except ImageUnreadable as error:
                self.outcomes[Status.MISSING] += 1
                return Status.MISSING, None, str(error)
            said = TextPart(text)
            prompt = Prompt(system, (said, *parts) if text_first else (*parts, said))
            sampling = self._sampling(profile, temperature, room)
            self.temperatures.add(sampling.temperature)
            status, value, detail = Status.SCORED, None, ""
            key = digest([system, *(part.content() for part in prompt.parts), temperature])
            try:
                # An answer is kept a little after it has come; an equal question waits for that.
                async with self._equal.setdefault(key, asyncio.Lock()):
                    value = await inquiry.read(
                        prompt,
                        sampling,
                        _reader(read),
                        attempts=attempts,
                        # Equal words at temperature 0 would get an equal answer.
                        repair=temperature == 0,
                    )
            except Ended as end:
                status, detail = _ENDS.get(end.outcome, Status.FAILED), end.detail
        self.outcomes[status] += 1
        self.repeats += inquiry.repairs
        if inquiry.model:
            if inquiry.model not in self.snapshots:
                self._met(inquiry.model)
            self.snapshots[inquiry.model] += 1
        return status, value, inquiry.text or detail

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._calls.aclose()

    async def _encoded(self, images: Sequence[Picture], profile: ModelProfile) -> list[ImagePart]:
        if len(images) > profile.images:
            raise InputError(
                f"{self._calls.name} takes {profile.images} images at once, and {len(images)} are needed",
                hint="Choose a judge that takes more.",
            )
        return await together(self._image(picture, profile) for picture in images)

    async def _image(self, picture: Picture, profile: ModelProfile) -> ImagePart:
        encoded = await encode(picture, self._image_size)
        picture.release()
        check_size(encoded, profile.max_image_bytes, picture.name)
        return ImagePart(encoded.data, encoded.mime, encoded.width, encoded.height, encoded.digest)

    def _sampling(self, profile: ModelProfile, temperature: float | None, room: int) -> Sampling:
        return Sampling(
            temperature=temperature if profile.temperature else None,
            max_output_tokens=room + (REASONING_ROOM if profile.effort else 0),
            effort=self._effort if self._effort in profile.effort else None,
        )


def _reader(read: Callable[[str], Json]) -> Callable[[str], Json]:
    def reader(text: str) -> Json:
        try:
            return read(spoken(text))
        except ValueError as error:
            raise Unreadable(str(error)) from None

    return reader


def refuse_wordless(name: str) -> InputError:
    """The error for a judge that compares images and answers no questions in words, such as ``shapes``."""
    return InputError(
        f"{name} compares images but answers no questions in words, which this benchmark asks",
        hint="Name a hosted model: --judge openai:MODEL, gemini:MODEL or vllm:MODEL.",
    )
