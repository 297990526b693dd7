"""From rulings to gradients: which transitions are trained, in what batches, and what is noted of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from arrkit.errors import RunError
from arrkit.rpo.kernel import Transition, log_ratio
from arrkit.rpo.lora import reference
from arrkit.rpo.objective import Terms, needs_reference, terms
from arrkit.rpo.policy import Policy
from arrkit.rpo.recipe import Recipe
from arrkit.rpo.rollout import Rollout, Trained

Advantages = Sequence[Sequence[float | None] | None]
"""For each prompt of a rollout the advantages of its candidates; None for what is left out."""

SAME_KERNEL = 1e-6
OTHER_KERNEL = 1e-5
"""How far the log-ratio of an unchanged policy may be from 0, a dimension: with the same attention kernel in
sampling and training (always on a CPU), and across kernels (a GPU may take another one for gradients).
"""
CAUSES = """One of these differs between the two passes:
  dropout or batch statistics     the transformer is not in eval mode
  data type                       autocast in one of the passes alone, latents kept in bf16
  batch layout                    another batch size, padding or order of prompts
  attention kernel                another backend is chosen when gradients are on
  guidance or conditions          computed anew instead of taken from the rollout
  compiled blocks                 try without --compile
The first pass is the policy's velocity() without gradients, the second the same call with them."""


@dataclass(slots=True)
class Sums:
    """What was summed over the transitions of an update; ``terms`` is their number."""

    terms: int = 0
    loss: float = 0.0
    divergence: float = 0.0
    clipped_low: int = 0
    clipped_high: int = 0
    log_ratio: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    by_step: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    forwards: int = 0

    def add(self, step: int, found: Terms) -> None:
        """Count the terms of one batch; ``step`` is the index of their step."""
        count = len(found.loss)
        self.terms += count
        self.loss += float(found.loss.detach().sum())
        self.divergence += float(found.divergence.sum())
        self.clipped_low += int(found.clipped_low.sum())
        self.clipped_high += int(found.clipped_high.sum())
        self.log_ratio[step] += float(found.log_ratio.sum())
        self.by_step[step] += count

    def join(self, other: Sums) -> None:
        """Add what ``other`` counted."""
        self.terms += other.terms
        self.loss += other.loss
        self.divergence += other.divergence
        self.clipped_low += other.clipped_low
        self.clipped_high += other.clipped_high
        self.forwards += other.forwards
        for step, count in other.by_step.items():
            self.by_step[step] += count
            self.log_ratio[step] += other.log_ratio[step]


@dataclass(frozen=True, slots=True)
class Looked:
    """Velocities of samples that all took ``step``, under the policy as it is and under the others."""

    step: Transition
    recipe: Recipe
    v: Tensor
    v_old: Tensor
    eps: Tensor
    v_ref: Tensor | None

    def terms(self, advantages: Tensor) -> Terms:
        """Their terms for advantages of the shape (batch,)."""
        return terms(self.v, self.v_old, self.eps, advantages, self.step, self.recipe, self.v_ref)


class Learner:
    """Computes gradients of the adapter. Gradients are summed, not averaged: whoever steps divides.

    Args:
        policy: with its transformer loaded and its adapter in.
        batch: how many samples go through the transformer at once.
    """

    def __init__(self, policy: Policy, recipe: Recipe, *, device: torch.device, batch: int) -> None:
        self.policy = policy
        self.recipe = recipe
        self.device = device
        self.batch = batch

    def check_ratio(self, rollout: Rollout) -> float:
        """Recompute a rollout of the policy as it is, with gradients on, in the batches that sampled it.

        Returns:
            The largest absolute log-ratio, a dimension. It is 0 or nearly so.

        Raises:
            RunError: it is not. Sampling and training disagree on what the policy is.
        """
        found = []
        for trained in rollout.trained:
            times = len(trained.eps) // len(trained.x)
            batch = self.policy.collate([*rollout.conditions] * (rollout.group // times))
            with torch.enable_grad():
                v = self.policy.velocity(trained.x, trained.timestep, batch).detach()
            v, v_old = torch.cat([v] * times), torch.cat([trained.v_old] * times)
            found.append(log_ratio(v, v_old, trained.eps, trained.step).abs().max())
        worst = float(torch.stack(found).max()) if found else 0.0  # NaN where one is, unlike Python's max
        limit = SAME_KERNEL if self.device.type == "cpu" else OTHER_KERNEL
        if not worst <= limit:  # NaN is refused too
            raise RunError(
                f"sampling and training disagree: the log-ratio of an unchanged policy is {worst:.1e} a "
                f"dimension, where at most {limit:.0e} is rounding",
                hint=CAUSES,
            )
        return worst

    def learn(self, rollout: Rollout, advantages: Advantages, sums: Sums) -> None:
        """Add the gradient of all transitions of the candidates that have advantages to the adapter's."""
        worth = {
            pair + candidate * rollout.pairs: each
            for pair, given in enumerate(advantages)
            for candidate, each in enumerate(given or ())
            if each is not None
        }
        samples = sorted(worth)
        weights = [worth[sample] for sample in samples]
        for trained in rollout.trained:
            for start in range(0, len(samples), self.batch):
                part = samples[start : start + self.batch]
                given = torch.tensor(weights[start : start + self.batch], device=self.device)
                found = self.look(rollout, trained, part).terms(given)
                torch.autograd.backward(found.loss.sum())
                sums.add(trained.step.index, found)
                sums.forwards += len(part) * (2 if needs_reference(self.recipe) else 1)

    def look(self, rollout: Rollout, trained: Trained, samples: Sequence[int]) -> Looked:
        """The velocities of some samples of a rollout at one of its steps, with their gradient."""
        index = torch.tensor(samples, device=self.device)
        batch = self.policy.collate([rollout.conditions[sample % rollout.pairs] for sample in samples])
        x, v_old = (each[index % len(each)] for each in (trained.x, trained.v_old))
        eps = trained.eps[index]
        v_ref = None
        if needs_reference(self.recipe):
            with torch.no_grad(), reference(self.policy.transformer):
                v_ref = self.policy.velocity(x, trained.timestep, batch)
        v = self.policy.velocity(x, trained.timestep, batch)
        return Looked(trained.step, self.recipe, v, v_old, eps, v_ref)
