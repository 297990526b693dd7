"""What a run's calls came to: measured, with the unknown kept apart from zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from arrkit.judge.protocol import Usage


@dataclass(slots=True)
class Measured:
    """Tokens that were reported, and how many billed requests did not report them."""

    tokens: int = 0
    unknown: int = 0

    def add(self, tokens: int | None) -> None:
        """Count one request."""
        if tokens is None:
            self.unknown += 1
        else:
            self.tokens += tokens


@dataclass(slots=True)
class CallTotals:
    """The sums over all calls through one :class:`~arrkit.judge.calls.caller.Caller`.

    ``requests`` were sent, ``retries`` of them again; ``cached`` calls were answered without one.

    ``fresh`` input tokens are those that no prompt cache of the endpoint had (all of them where it does not
    say), ``cached_input`` those it had; ``output`` includes ``reasoning``.

    ``cost`` in US dollars is None as soon as one billed request has no known price; ``known_cost`` is the
    part that is known. ``doubtful`` requests got no answer and may have been billed all the same, at most
    ``doubtful_cost`` on top, None where that is not known.

    ``waited`` is the sum of the calls' waits in seconds. ``outcomes`` counts how requests ended: a finish, or
    the kind of an error.
    """

    requests: int = 0
    retries: int = 0
    cached: int = 0
    waited: float = 0.0
    fresh: Measured = field(default_factory=Measured)
    cached_input: Measured = field(default_factory=Measured)
    output: Measured = field(default_factory=Measured)
    reasoning: Measured = field(default_factory=Measured)
    cost: float | None = 0.0
    known_cost: float = 0.0
    doubtful: int = 0
    doubtful_cost: float | None = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)

    def count(self, outcome: str) -> None:
        """A request has ended."""
        self.requests += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def bill(self, usage: Usage, cost: float | None) -> None:
        """A request that the endpoint charges for."""
        fresh = usage.input_tokens
        if fresh is not None and usage.cached_tokens is not None:
            fresh -= usage.cached_tokens
        self.fresh.add(fresh)
        self.cached_input.add(usage.cached_tokens)
        self.output.add(usage.output_tokens)
        self.reasoning.add(usage.reasoning_tokens)
        if cost is None:
            self.cost = None
            return
        self.known_cost += cost
        if self.cost is not None:
            self.cost += cost

    def doubt(self, most: float | None) -> None:
        """A request without an answer that may have been billed up to ``most`` dollars."""
        self.doubtful += 1
        if most is None or self.doubtful_cost is None:
            self.doubtful_cost = None
        else:
            self.doubtful_cost += most


def together(held: Sequence[CallTotals]) -> CallTotals:
    """The sums over several callers; a cost that one of them does not know is not known."""
    summed = CallTotals()
    for each in held:
        for name in ("requests", "retries", "cached", "waited", "known_cost", "doubtful"):
            setattr(summed, name, getattr(summed, name) + getattr(each, name))
        for name in ("fresh", "cached_input", "output", "reasoning"):
            mine, theirs = getattr(summed, name), getattr(each, name)
            setattr(summed, name, Measured(mine.tokens + theirs.tokens, mine.unknown + theirs.unknown))
        for name in ("cost", "doubtful_cost"):
            mine, theirs = getattr(summed, name), getattr(each, name)
            setattr(summed, name, None if mine is None or theirs is None else mine + theirs)
        for outcome, count in each.outcomes.items():
            summed.outcomes[outcome] = summed.outcomes.get(outcome, 0) + count
    return summed


def spent(totals: CallTotals) -> str:
    """Requests, tokens and money in a sentence for people; what is not known is said to be so."""

    def tokens(measured: Measured) -> str:
        missing = f" and an unknown number in {measured.unknown} requests" if measured.unknown else ""
        return f"{measured.tokens:,}{missing}"

    parts = [
        f"{totals.requests} requests ({totals.cached} more from the cache, {totals.retries} retries)",
        f"fresh input tokens {tokens(totals.fresh)}, cached ones {tokens(totals.cached_input)}",
        f"output tokens {tokens(totals.output)}",
    ]
    if totals.cost is not None:
        parts.append(f"cost ${totals.cost:.4f}")
    else:
        least = f", at least ${totals.known_cost:.4f}" if totals.known_cost else ""
        parts.append(f"cost unknown{least}, since no price is listed")
    if totals.doubtful:
        parts.append(f"{totals.doubtful} requests without an answer may have been billed")
    return "; ".join(parts) + "."
