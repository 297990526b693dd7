"""Drawing pairs at random so that neither the order of a file nor its length decides which.

What is drawn hangs on the seed and on names alone: each name has a mark, and the smallest marks win. A pair
added to a file changes at most one other; the same pairs in another order give the same draw.
"""

from __future__ import annotations

import heapq
from hashlib import blake2b

from arrkit.data.pairs import PreferencePair


def mark_of(name: str, seed: int) -> int:
    """A number of 64 bits that looks random, the same for the same name and seed."""
    return int.from_bytes(blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())


def group_mark(pair: PreferencePair, seed: int) -> int:
    """The mark of the pair's group, or of the pair where it is in none."""
    return mark_of(f"group/{pair.group}" if pair.group else f"pair/{pair.id}", seed)


def pair_mark(pair: PreferencePair, seed: int) -> int:
    """The mark of the pair, whatever its group."""
    return mark_of(f"pair/{pair.id}", seed)


class Draw:
    """A draw of about ``count`` pairs, whole groups at a time, since metrics over groups need all of one.

    Every pair is offered once by its group's mark; then :attr:`highest` tells the drawn from the others.
    Where the next group would not fit there are fewer pairs than ``count``, and more only where the first
    group alone is larger. Memory grows with ``count`` and not with what is offered.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pairs: dict[int, int] = {}  # pairs offered, by mark
        self._marks: list[int] = []  # the same marks, negated: the largest first
        self._total = 0
        self._refused = 1 << 64  # the smallest mark that is out

    def offer(self, mark: int) -> None:
        if mark >= self._refused:
            return
        if mark not in self._pairs:
            self._pairs[mark] = 0
            heapq.heappush(self._marks, -mark)
        self._pairs[mark] += 1
        self._total += 1
        # A group goes when those before it suffice. They only grow, so that it would go later as well, and
        # the order of what is offered plays no part.
        while self._total - self._pairs[-self._marks[0]] >= self._count:
            self._drop()

    def close(self) -> None:
        """Drop the last group where it does not fit; to be called once all are offered."""
        if self._total > self._count and len(self._marks) > 1:
            self._drop()

    def _drop(self) -> None:
        self._refused = -heapq.heappop(self._marks)
        self._total -= self._pairs.pop(self._refused)

    @property
    def highest(self) -> int:
        """The largest mark that is drawn; -1 where nothing was offered."""
        return -self._marks[0] if self._marks else -1

    @property
    def total(self) -> int:
        """How many pairs are drawn."""
        return self._total
