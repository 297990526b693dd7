"""Gradients before rulings: for judges that are slower than the backward pass.

For one update on policy the gradient of a pair is linear in its advantages (a, b): ``a Ga + b Gb + G0``, with
the penalty's gradient ``G0``. So it can be computed while the judge still looks, and be signed afterwards. A
pair that waits costs one buffer of the adapter's size where advantages are centred (b = -a), two where they
are not, and one more with a penalty; a pair without a ruling was computed for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arrkit.rpo.learner import Learner, Sums
from arrkit.rpo.lora import adapter_parameters
from arrkit.rpo.objective import needs_reference
from arrkit.rpo.recipe import Algorithm, Recipe, Trust
from arrkit.rpo.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The parts of one pair's gradient; ``second`` is None where advantages are centred."""

    parameters: list[nn.Parameter]
    first: list[Tensor]
    second: list[Tensor] | None
    penalty: list[Tensor] | None
    sums: Sums

    def settle(self, advantages: Sequence[float | None], sums: Sums) -> None:
        """Add the gradient for these advantages to the adapter's, and the pair's counts to ``sums``."""
        one, other = (each or 0.0 for each in advantages)
        for index, parameter in enumerate(self.parameters):
            gradient = one * self.first[index]
            if self.second is not None:
                gradient += other * self.second[index]
            if self.penalty is not None:
                gradient += self.penalty[index]
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        sums.join(self.sums)


def can_foresee(recipe: Recipe) -> bool:
    """Whether a recipe's gradient is linear in the advantages of pairs."""
    return recipe.trust is Trust.NONE and recipe.updates == 1 and recipe.algorithm is Algorithm.RPO


def foresee(learner: Learner, rollout: Rollout, pair: int) -> Foreseen:
    """The gradient of one pair of a rollout, in parts. Adds nothing to the adapter's gradient."""
    recipe = learner.recipe
    parameters = list(adapter_parameters(learner.policy.transformer).values())
    centred = recipe.win == -recipe.lose
    kept = needs_reference(recipe)
    totals: list[list[Tensor]] = [[] for _ in range(3)]
    sums = Sums()
    for trained in rollout.trained:
        looked = learner.look(rollout, trained, [pair, pair + rollout.pairs])
        one, other, nobody = (
            looked.terms(torch.tensor(given, device=learner.device)).loss.sum()
            for given in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
        )
        losses = [one - other] if centred else [one - nobody, other - nobody]
        if kept:
            losses.append(nobody)
        for number, loss in enumerate(losses):
            more = torch.autograd.grad(loss, parameters, retain_graph=number + 1 < len(losses))
            so_far = totals[number] or [torch.zeros_like(each) for each in more]
            totals[number] = [a + b for a, b in zip(so_far, more, strict=True)]
        sums.add(trained.step.index, looked.terms(torch.zeros(2, device=learner.device)))
        sums.forwards += 2 * (2 if kept else 1)
    second = None if centred else totals[1]
    penalty = totals[1 if centred else 2] if kept else None
    return Foreseen(parameters, totals[0], second, penalty, sums)
