"""What one way of judging takes: each question counted once, however many pairs share its answer."""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.judge.protocol import Basis


@dataclass(frozen=True, slots=True)
class PairCost:
    """What judging a pair takes on average, as if no answer had been there before.

    ``calls`` are questions to the judge, ``requests`` what a hosted judge made of them (0 for one that sends
    nothing). Tokens and ``dollars`` are None where an endpoint did not count, or no price is listed; 0 for a
    judge that sends nothing. An answer that serves several pairs (a checklist, the scores of an image) is
    shared out among them.
    """

    calls: float
    requests: float = 0.0
    input_tokens: float | None = 0.0
    output_tokens: float | None = 0.0
    dollars: float | None = 0.0

    def __str__(self) -> str:
        """For people: dollars where they are known, else requests and tokens, else calls."""
        if not self.requests:
            return f"{self.calls:.1f} calls"
        if self.dollars is not None:
            return f"${self.dollars:.5f}"
        sent = f"{self.requests:.1f} requests"
        if self.input_tokens is None or self.output_tokens is None:
            return sent
        return f"{sent}, {self.input_tokens + self.output_tokens:,.0f} tokens"


class Meter:
    """Sums over distinct questions. It remembers eight bytes of each.

    What a part counts, such as one of several judges, the ``whole`` counts too.
    """

    __slots__ = ("_costs", "_inputs", "_outputs", "_requests", "_seen", "_whole")

    def __init__(self, whole: Meter | None = None) -> None:
        self._whole = whole
        self._seen: set[int] = set()
        self._requests = 0
        self._inputs: int | None = 0
        self._outputs: int | None = 0
        self._costs: float | None = 0.0

    def add(self, key: str, basis: Basis) -> None:
        """Count the answer to the question ``key`` (a hexadecimal digest), unless that was counted."""
        if self._whole is not None:
            self._whole.add(key, basis)
        short = int(key[:16], 16)
        if short in self._seen:
            return
        self._seen.add(short)
        sent = basis.requests + basis.cached
        if not sent:
            return
        self._requests += sent
        self._inputs = _plus(self._inputs, basis.whole.input_tokens)
        self._outputs = _plus(self._outputs, basis.whole.output_tokens)
        if basis.cost is None or self._costs is None:
            self._costs = None
        else:
            self._costs += basis.cost

    def per_pair(self, pairs: int) -> PairCost | None:
        """The sums shared out among ``pairs``; None where there are none."""
        if not pairs:
            return None
        inputs, outputs, costs = (
            None if total is None else total / pairs for total in (self._inputs, self._outputs, self._costs)
        )
        return PairCost(len(self._seen) / pairs, self._requests / pairs, inputs, outputs, costs)


def _plus(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more
