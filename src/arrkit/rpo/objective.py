"""The loss of one trained transition: advantage, trust region, divergence.

Signs: advantages are to be earned, so the loss falls where the log-ratio rises with a positive advantage.
Everything here is a pure function of velocities that were computed elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from arrkit.rpo.kernel import Transition, drift, gaussian_kl, log_ratio, velocity_kl
from arrkit.rpo.recipe import Divergence, Recipe, StepWeight, Trust


@dataclass(frozen=True, slots=True)
class Terms:
    """What a batch of transitions of one step comes to; all of the shape (batch,), one entry a transition.

    ``loss`` carries the gradient, the others are for the log: the mean log-ratio a dimension, the divergence
    from the reference policy, and whether the trust region held the term back from below or above.
    """

    loss: Tensor
    log_ratio: Tensor
    divergence: Tensor
    clipped_low: Tensor
    clipped_high: Tensor


def step_weight(step: Transition, recipe: Recipe) -> float:
    """How much the gradient of a step counts.

    A policy gradient weighs the velocity's gradient by ``|g|/s``, which grows late in the run although the
    first steps decide the composition; ``flat`` takes that factor out. RatioNorm has no ``1/s``; its loss is
    divided by ``-dt``, as GRPO-Guard does.
    """
    flat = recipe.step_weight is StepWeight.FLAT
    if recipe.trust is Trust.RATIO_NORM:
        return 1 / abs(step.g) if flat else 1 / (step.sigma - step.sigma_next)
    return step.s / abs(step.g) if flat else 1.0


def terms(
    v: Tensor,
    v_old: Tensor,
    eps: Tensor,
    advantages: Tensor,
    step: Transition,
    recipe: Recipe,
    v_ref: Tensor | None = None,
) -> Terms:
    """The terms of transitions that all took ``step``.

    Args:
        v: velocities under the policy as it is, with their gradient; (batch, ...).
        v_old: those of the policy that sampled; with ``trust`` none, ``v`` without its gradient serves.
        eps: the noise that was injected.
        advantages: (batch,).
        v_ref: velocities with the adapter off, needed unless the divergence is none or its weight 0.
    """
    nothing = torch.zeros_like(advantages)
    no_clip = torch.zeros_like(advantages, dtype=torch.bool)
    ratio_of = log_ratio(v, v_old, eps, step)
    low = high = no_clip
    if recipe.trust is Trust.NONE:
        gain = advantages * ratio_of
    else:
        log = drift(v, v_old, eps, step) if recipe.trust is Trust.RATIO_NORM else ratio_of
        ratio = torch.exp(log)
        within = torch.clamp(ratio, 1 - recipe.clip, 1 + recipe.clip)
        gain = torch.minimum(advantages * ratio, advantages * within)
        low = (ratio < 1 - recipe.clip) & (advantages < 0)
        high = (ratio > 1 + recipe.clip) & (advantages > 0)
    divergence = nothing
    if v_ref is not None and recipe.divergence is Divergence.GAUSSIAN:
        divergence = gaussian_kl(v, v_ref, step)
    elif v_ref is not None and recipe.divergence is Divergence.VELOCITY:
        divergence = velocity_kl(v, v_ref)
    loss = -step_weight(step, recipe) * gain + recipe.beta * divergence
    return Terms(loss, ratio_of.detach(), divergence.detach(), low, high)


def needs_reference(recipe: Recipe) -> bool:
    """Whether the adapter-off velocities are asked for at all: one forward more for each transition."""
    return recipe.divergence is not Divergence.NONE and recipe.beta > 0
