"""What :class:`~arrkit.judge.vlm.VLMJudge` asks through: the contract between operations and the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from arrkit.judge.transport import ModelProfile, Reply, TransportError, TransportRequest


@dataclass(frozen=True, slots=True)
class Called:
    """How one call went: a reply, or the error that was left when patience ended.

    ``attempts`` counts requests sent, 0 where the cache had the answer (``cached``); ``waited`` is the
    seconds spent waiting for limits and retries. ``cost`` is what the reply costs in dollars by the lists,
    one from the cache too; None where no price is known.
    """

    reply: Reply | None
    error: TransportError | None = None
    attempts: int = 0
    cached: bool = False
    waited: float = 0.0
    cost: float | None = None


class Calls(Protocol):
    """One model with everything that stands between an operation and the wire."""

    @property
    def name(self) -> str:
        """The transport's canonical spec."""
        ...

    async def profile(self) -> ModelProfile: ...

    async def call(self, request: TransportRequest, *, parser: str) -> Called:
        """Answer ``request`` from the cache or the endpoint.

        ``parser`` names the version of whatever reads the answer; it is part of the cache's key. Raises
        :class:`~arrkit.errors.RunError` where the run must stop: quota or budget used up, a wrong key, or the
        first calls all failing alike.
        """
        ...

    async def keep(self, request: TransportRequest, reply: Reply, *, parser: str) -> None:
        """Store an answer that was found good. Only the reader knows, so nothing is stored before that."""
        ...

    async def aclose(self) -> None: ...
