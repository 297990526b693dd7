"""Batches of images on their way through the judge: what was asked of them, and what has come back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from arrkit.data.prompts import Prompt
from arrkit.rpo.foresight import Foreseen
from arrkit.rpo.grading import Grade, Grading, Painted, duels
from arrkit.rpo.recipe import Recipe
from arrkit.rpo.reward import Referee
from arrkit.rpo.rollout import Rollout, side
from arrkit.rpo.ruling import Candidates, Ruling

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Pending:
    """The answers to come on the candidates of one prompt, in the order of :class:`Grading`."""

    grades: tuple[Future[Grade], ...] = ()
    rulings: tuple[Future[Ruling], ...] = ()

    @property
    def futures(self) -> tuple[Future[Grade] | Future[Ruling], ...]:
        """All of them."""
        return (*self.grades, *self.rulings)

    def result(self) -> Grading:
        """Wait for all. Raises what ended the judge where the run cannot go on."""
        return Grading(
            tuple(future.result() for future in self.grades),
            tuple(future.result() for future in self.rulings),
        )


@dataclass(slots=True)
class Judged:
    """A batch of prompts on its way: what was sampled for them, and what the judge says of it.

    The ``rollouts`` hold the candidates of all prompts one after another: one for pairs, several for groups
    that are larger than a batch. ``foreseen`` are gradients of the first pairs that were made ready before
    the answers.
    """

    names: tuple[str, ...]
    prompts: tuple[str, ...]
    rollouts: tuple[Rollout, ...]
    asked: list[Pending]
    foreseen: list[Foreseen] = field(default_factory=list)
    gradings: list[Grading] = field(default_factory=list)

    @property
    def futures(self) -> list[Future[Grade] | Future[Ruling]]:
        """All answers to come."""
        return [future for each in self.asked for future in each.futures]

    @property
    def ready(self) -> bool:
        """Whether all answers are in."""
        return all(future.done() for future in self.futures)


def ask_for(referee: Referee, recipe: Recipe, name: str, prompt: Prompt, images: Sequence[Image]) -> Pending:
    """Ask for what the recipe's reward needs to know of a prompt's candidates. Returns at once."""
    grades: list[Future[Grade]] = []
    rulings: list[Future[Ruling]] = []
    if recipe.reward.scores:
        grades = [
            referee.grade(Painted(f"{name}/{side(number)}", prompt, image))
            for number, image in enumerate(images)
        ]
    if recipe.reward.compares:
        for one, other in duels(len(images)):
            duel = name if len(images) == 2 else f"{name}/{side(one)}{side(other)}"
            rulings.append(referee.submit(Candidates(duel, prompt, images[one], images[other])))
    return Pending(tuple(grades), tuple(rulings))


def next_ready(waiting: list[Judged], *, in_order: bool) -> Judged:
    """Take a batch whose answers are in out of ``waiting``: the first one in, or the first in their order.

    Waits where there is none.
    """
    while not in_order:
        for index, judged in enumerate(waiting):
            if judged.ready:
                return waiting.pop(index)
        open_futures: list[Future[Any]] = [
            future for judged in waiting for future in judged.futures if not future.done()
        ]
        wait(open_futures, return_when=FIRST_COMPLETED)
    wait(cast("list[Future[Any]]", waiting[0].futures))
    return waiting.pop(0)
