"""When a run should stop instead of failing one call after the other."""

from __future__ import annotations

from arrkit.errors import RunError
from arrkit.judge.transport import ErrorKind, Finish, Reply, TransportError

FIRST_ALIKE = 20
"""Calls that fail the same way, from the start or in a row, before the run stops."""

FIRST_REJECTED = 3
"""Rejected calls, and no other ending before them, that show the request itself to be wrong."""

_KEY_OR_NAME = frozenset({401, 403, 404})
# Refused or too large inputs may stand together in the data: in a row they say nothing of the endpoint.
_ENDPOINT = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.TRANSIENT, ErrorKind.REJECTED})

_PASSING = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.TRANSIENT})

RESUME = "What was answered is kept: run the same command again to go on from here."


class Outage(RunError):
    """An endpoint does not answer, and may answer later: whoever has time can wait for it."""


def stop(name: str, what: str, remedy: str = "", *, kind: type[RunError] = RunError) -> RunError:
    """The error that stops a run, with what to do about it and how to go on."""
    return kind(f"{name}: {what}", hint=" ".join(filter(None, (_sentence(remedy), RESUME))))


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


class Health:
    """Watches how calls end; says when going on is pointless.

    Args:
        name: the transport's spec, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._answered = False
        self._mixed = False
        self._way = ""
        self._streak = 0

    def answered(self, reply: Reply) -> RunError | None:
        """A reply came. Refusals count as one way to fail, but only from the start."""
        if reply.finish in (Finish.REFUSAL, Finish.FILTER):
            return self._failed(
                f"the model refused ({reply.finish})",
                "See what its prompts and images hold, or ask another model.",
                endpoint=False,
            )
        self._answered = self._mixed = True
        self._way, self._streak = "", 0
        return None

    def forgive(self) -> None:
        """Forget the failures in a row: the endpoint gets another chance."""
        self._way, self._streak = "", 0

    def failed(self, error: TransportError) -> RunError | None:
        """A call ended with ``error``, its retries used up."""
        hopeless = error.kind is ErrorKind.REJECTED and (
            error.status == 401 or (error.status in _KEY_OR_NAME and not self._answered)
        )
        if hopeless:
            return stop(self._name, str(error), error.remedy)
        way = f"{error.kind} {error.status or ''}".strip()
        stopped = self._failed(
            way,
            error.remedy,
            endpoint=error.kind in _ENDPOINT,
            last=str(error),
            kind=Outage if error.kind in _PASSING else RunError,
        )
        early = error.kind is ErrorKind.REJECTED and not self._mixed and self._streak >= FIRST_REJECTED
        if early and stopped is None:
            return stop(self._name, f"the first {self._streak} requests were rejected: {error}", error.remedy)
        return stopped

    def _failed(
        self, way: str, remedy: str, *, endpoint: bool, last: str = "", kind: type[RunError] = RunError
    ) -> RunError | None:
        if way != self._way:
            self._mixed = self._mixed or bool(self._way)
            self._way, self._streak = way, 0
        self._streak += 1
        if self._streak < FIRST_ALIKE or (self._mixed and not endpoint):
            return None
        where = "in a row" if self._mixed else "from the start"
        said = f"{way}: {last}" if last else way
        what = f"{self._streak} calls failed the same way {where} ({said})"
        return stop(self._name, what, remedy, kind=kind)
