"""A model that says what it is told to, behind the contract that a VLM judge asks through."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from arrkit.judge.calling import Called
from arrkit.judge.transport import (
    Finish,
    ModelProfile,
    Reply,
    TextPart,
    TransportError,
    TransportRequest,
)

Answer = str | dict | Reply | TransportError | Called
"""A text, an object to be written as JSON, a whole reply, or an error."""

GENERATES = ModelProfile(images=9, structured="schema")
PROBES = ModelProfile(images=9, structured="schema", logprobs=20)
DECIDES = ModelProfile(images=9, structured="schema", questions=64)


def called(answer: Answer) -> Called:
    """``answer`` as the outcome of one call that took one request."""
    if isinstance(answer, Called):
        return answer
    if isinstance(answer, TransportError):
        return Called(None, answer, attempts=1)
    if isinstance(answer, Reply):
        return Called(answer, attempts=1)
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return Called(Reply(Finish.STOP, text, model="scripted-1"), attempts=1)


def words(request: TransportRequest) -> str:
    """All that a request says, images left out."""
    return "\n".join([request.system, *(part.text for part in request.parts if isinstance(part, TextPart))])


@dataclass
class FakeCalls:
    """Answers from a list, in order, or by a function of the request; remembers all it was given."""

    script: Sequence[Answer] | Callable[[TransportRequest], Answer]
    model: ModelProfile = GENERATES
    name: str = "fake:model"
    requests: list[TransportRequest] = field(default_factory=list)
    kept: list[tuple[TransportRequest, Reply]] = field(default_factory=list)
    closed: bool = False

    async def profile(self) -> ModelProfile:
        return self.model

    async def call(self, request: TransportRequest, *, parser: str) -> Called:
        assert parser
        self.requests.append(request)
        if callable(self.script):
            return called(self.script(request))
        return called(self.script[len(self.requests) - 1])

    async def keep(self, request: TransportRequest, reply: Reply, *, parser: str) -> None:
        assert parser
        self.kept.append((request, reply))

    async def aclose(self) -> None:
        self.closed = True
