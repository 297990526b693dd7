"""What is trained on: prompts with their conditions, in an order that only the seed decides."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from arrkit.data.prompts import Prompt
from arrkit.rpo.policy import Condition
from arrkit.rpo.rollout import seed_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt of one rollout; ``name`` is unique within the run and names what is drawn for it."""

    name: str
    prompt: Prompt
    condition: Condition


class Feed:
    """Prompts, each of which comes once before any comes again.

    Args:
        prompts: at least one.
        condition: the condition of a prompt, from memory or from disk.
        seed: decides the order.
    """

    def __init__(
        self, prompts: Sequence[Prompt], condition: Callable[[Prompt], Condition], *, seed: int
    ) -> None:
        self._prompts = prompts
        self._condition = condition
        self._seed = seed
        self._epoch = -1
        self._order: list[int] = []

    def __len__(self) -> int:
        return len(self._prompts)

    def draw(self, rollout: int, pairs: int, numbers: Sequence[int]) -> list[Asked]:
        """Those of the ``pairs`` pairs of a rollout (counted from 0) whose number is in ``numbers``."""
        asked = []
        for number in numbers:
            prompt = self._prompts[self._at(rollout * pairs + number)]
            asked.append(Asked(f"{rollout}/{number}", prompt, self._condition(prompt)))
        return asked

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, len(self._prompts))
        if epoch != self._epoch:
            self._order = list(range(len(self._prompts)))
            random.Random(seed_of(self._seed, "order", epoch)).shuffle(self._order)
            self._epoch = epoch
        return self._order[place]


def batches(asked: Sequence[Asked], size: int) -> Iterator[list[Asked]]:
    """``asked`` in batches of at most ``size``, each of images of one size."""
    groups: dict[tuple[int, int], list[Asked]] = defaultdict(list)
    for each in asked:
        groups[each.condition.width, each.condition.height].append(each)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]
