"""A judge that likes bright images, and one that likes whichever it sees first."""

from __future__ import annotations

import asyncio

from arrkit.judge.protocol import CompareRequest, Outcome, Side, Verdict
from arrkit.judge.session import JudgeSession
from arrkit.rpo.reward import Referee


class BrightJudge:
    """Prefers the brighter image; ``slot`` makes it prefer the image in that place, ``seconds`` slow."""

    def __init__(self, *, slot: Side | None = None, seconds: float = 0.0) -> None:
        self.name = "bright"
        self.slot = slot
        self.seconds = seconds
        self.asked = 0

    async def compare(self, request: CompareRequest) -> Verdict:
        self.asked += 1
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.slot is not None:
            return Verdict(Outcome.OK, self.slot)
        first, second = (sum(each.load().getpixel((0, 0))) for each in (request.first, request.second))
        if first == second:
            return Verdict(Outcome.TIE)
        return Verdict(Outcome.OK, Side.FIRST if first > second else Side.SECOND)

    async def aclose(self) -> None:
        pass


def referee_of(judge: object, *, window: int = 16) -> Referee:
    """A referee that asks ``judge``."""
    return Referee(JudgeSession(judge, concurrency=2 * window), window=window)
