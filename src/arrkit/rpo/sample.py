"""Images of a policy without injected noise: what its own pipeline would paint, in float32.

Each image has a seed of its own, which names its prompt and its number: it does not depend on the batch that
it is made in.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from arrkit.rpo.kernel import take, transitions
from arrkit.rpo.policy import Condition, Policy
from arrkit.rpo.recipe import Noise
from arrkit.rpo.rollout import require_finite, seed_of

if TYPE_CHECKING:
    from PIL.Image import Image

USUAL_STEPS = 8
"""Sampling steps of a policy that says nothing of its own."""


def usual_steps(policy: Policy) -> int:
    """How many steps the model's own pipeline takes unless it is told otherwise.

    A policy says it in ``usual_steps``; for one over a diffusers pipeline (``pipeline_class``) it is the
    default of the pipeline's call. Loads nothing.
    """
    if own := getattr(policy, "usual_steps", None):
        return int(own)
    pipeline = getattr(policy, "pipeline_class", None)
    if pipeline is None:
        return USUAL_STEPS
    known = inspect.signature(pipeline.__call__).parameters.get("num_inference_steps")
    return int(known.default) if known is not None else USUAL_STEPS


@torch.no_grad()
def sample_latents(policy: Policy, conditions: Sequence[Condition], noise: Tensor, steps: int) -> Tensor:
    """Clean latents (batch, ...), float32, on the device of the policy's transformer.

    Euler's method on the grid of the policy's own scheduler: ``x + (sigma' - sigma) v``.

    Args:
        conditions: one for each image, all of one size.
        noise: the first latents, (batch, ...), float32, on any device.
        steps: how often the transformer is asked.
    """
    grid = policy.grid(steps, conditions[0])
    device = next(policy.transformer.parameters()).device
    batch = policy.collate(conditions)
    x = noise.to(device)
    for step in transitions(grid, (), Noise.CPS, 0.0):
        timestep = grid.timesteps[step.index].to(device)
        x = take(x, policy.velocity(x, timestep, batch), step)
    return x


def first_noise(policy: Policy, condition: Condition, seed: int, prompt: int | str, image: int) -> Tensor:
    """The first latents of one image, without a batch dimension, on the CPU; see :func:`sample_images`."""
    generator = torch.Generator().manual_seed(seed_of(seed, "sample", prompt, image))
    return policy.noise(condition, generator)


def sample_images(
    policy: Policy,
    conditions: Sequence[Condition],
    wanted: Sequence[tuple[int, int]],
    *,
    steps: int,
    seed: int,
    batch: int,
    names: Sequence[str] = (),
) -> Iterator[tuple[tuple[int, int], Image]]:
    """The images ``wanted``, as (index of the condition, number of the image), in batches of one size.

    Needs the transformer and the decoder. The noise of an image is drawn from (seed, index, number) alone;
    with ``names``, one for each condition, from (seed, name, number).
    """
    by_size: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for prompt, image in wanted:
        by_size.setdefault(layout_of(conditions[prompt]), []).append((prompt, image))
    for group in by_size.values():
        for start in range(0, len(group), batch):
            part = group[start : start + batch]
            chosen = [conditions[prompt] for prompt, _ in part]
            called = [names[prompt] if names else prompt for prompt, _ in part]
            noise = torch.stack(
                [
                    first_noise(policy, conditions[prompt], seed, name, image)
                    for (prompt, image), name in zip(part, called, strict=True)
                ]
            )
            latents = sample_latents(policy, chosen, noise, steps)
            require_finite(latents, [f"prompt {n + 1}" if isinstance(n, int) else n for n in called])
            with torch.no_grad():
                images = policy.decode(latents, chosen)
            yield from zip(part, images, strict=True)


def layout_of(condition: Condition) -> tuple[int, int]:
    """What the conditions of one batch must have in common."""
    return condition.width, condition.height
