"""A judge that answers in words by a function, for benchmarks that ask one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from arrkit.bench.model import Status
from arrkit.canonical import Json
from arrkit.data.pairs import ImageUnreadable, Picture


@dataclass(frozen=True)
class Asked:
    """One question as it came, with the pixels of its images."""

    text: str
    system: str
    images: tuple[Image.Image, ...]
    options: Mapping[str, object]


@dataclass
class ScriptedAsker:
    """An :class:`~arrkit.bench.model.Asker`; ``reply`` gives the text, or a status where none comes back."""

    reply: Callable[[Asked], str | Status]
    asked: list[Asked] = field(default_factory=list)
    name: str = "scripted"

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
        options = {
            "text_first": text_first,
            "attempts": attempts,
            "temperature": temperature,
            "room": room,
        }
        try:
            seen = tuple(picture.load() for picture in images)
        except ImageUnreadable as error:
            return Status.MISSING, None, str(error)
        said: str | Status = ""
        for _ in range(attempts):
            self.asked.append(Asked(text, system, seen, options))
            said = self.reply(self.asked[-1])
            if isinstance(said, Status):
                return said, None, ""
            try:
                return Status.SCORED, read(said), said
            except ValueError:
                continue
        return Status.UNPARSED, None, str(said)
