"""One step of a rectified-flow sampler, stochastic or not: the one formula that sampling and training share.

With ``x = (1 - sigma) x0 + sigma n`` and the predicted velocity ``v``, the clean latent and the noise are
predicted as ``x0 = x - sigma v`` and ``n = x + (1 - sigma) v``. A step to ``sigma'`` is

    mean = (1 - sigma') x0 + kappa n,        x' = mean + s eps,        eps ~ N(0, I)

and its kinds differ in the injected noise ``s`` and in ``kappa`` alone (``dt = sigma' - sigma`` < 0):

==========  =============================================  ==========================  =====================
kind        s                                              kappa                       source
==========  =============================================  ==========================  =====================
``dance``   ``level sqrt(-dt)``                            ``sigma' - s^2/(2 sigma)``  DanceGRPO, RPO
``flow``    ``level sqrt(sigma/(1 - sigma)) sqrt(-dt)``    ``sigma' - s^2/(2 sigma)``  Flow-GRPO
``cps``     ``sigma' sin(level pi/2)``                     ``sqrt(sigma'^2 - s^2)``    arXiv 2509.05952
no noise    0                                              ``sigma'``                  Euler
==========  =============================================  ==========================  =====================

``flow`` divides by ``1 - sigma'`` where ``sigma`` is 1. As the mean is linear in ``v`` with the scalar slope
``g = dt - (sigma' - kappa)(1 - sigma)``, two policies at one state differ by ``g (v - v')``: ratios and
divergences follow from velocities, exactly and without the rounding of two nearly equal log-probabilities.

All tensors are float32, of the shape (batch, ...).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from arrkit.errors import InputError, Problem
from arrkit.rpo.policy import Grid
from arrkit.rpo.recipe import Noise

OVERSHOOT = 1.1
"""How far the total noise after a stochastic step may exceed the level that the grid asks for."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of the grid: from ``sigma`` to ``sigma_next``, with ``s``, ``kappa`` and ``g`` as above."""

    index: int
    sigma: float
    sigma_next: float
    s: float
    kappa: float
    g: float

    @property
    def stochastic(self) -> bool:
        """Whether noise is injected."""
        return self.s > 0

    @property
    def total(self) -> float:
        """The noise level after the step, ``sqrt(kappa^2 + s^2)``; ``sigma_next`` where the step is exact."""
        return math.hypot(self.kappa, self.s)


def transition(index: int, sigma: float, sigma_next: float, noise: Noise, level: float) -> Transition:
    """The step from ``sigma`` to ``sigma_next`` (0 <= sigma_next < sigma <= 1); without noise for level 0."""
    dt = sigma_next - sigma
    if noise is Noise.CPS:
        s = sigma_next * math.sin(level * math.pi / 2)
        kappa = math.sqrt(max(0.0, sigma_next**2 - s**2))
    else:
        rest = 1 - (sigma_next if sigma >= 1 else sigma)
        s = level * math.sqrt(-dt) * (1.0 if noise is Noise.DANCE else math.sqrt(sigma / rest))
        kappa = sigma_next - s**2 / (2 * sigma)
    return Transition(index, sigma, sigma_next, s, kappa, dt - (sigma_next - kappa) * (1 - sigma))


def transitions(
    grid: Grid, stochastic: Collection[int], noise: Noise, level: float
) -> tuple[Transition, ...]:
    """The steps of a sampling run; those whose index is in ``stochastic`` inject noise.

    Raises:
        InputError: a stochastic step overshoots its noise level (kappa < 0, or the total above 1.1 of what
            the grid asks for), which shows as noise in the images.
    """
    sigmas = [float(sigma) for sigma in grid.sigmas]
    steps = tuple(
        transition(index, here, there, noise, level if index in stochastic else 0.0)
        for index, (here, there) in enumerate(itertools.pairwise(sigmas))
    )
    problems = [
        Problem(
            f"step {step.index + 1} of {len(steps)} (noise level {step.sigma:.4f} to {step.sigma_next:.4f}) "
            f"would end at {step.total:.4f}, {_times(step)} what it should",
            f"noise {noise} {level:g}",
        )
        for step in steps
        if step.stochastic and (step.kappa < 0 or step.total > OVERSHOOT * step.sigma_next)
    ]
    if problems:
        problems[-1] = Problem(
            problems[-1].what,
            problems[-1].where,
            "Keep to earlier steps (--window early), lower --level, or use --noise cps, which is exact.",
        )
        raise InputError(problems)
    return steps


def _times(step: Transition) -> str:
    return "above" if step.sigma_next == 0 else f"{step.total / step.sigma_next:.2f} times"


def take(x: Tensor, v: Tensor, step: Transition, eps: Tensor | None = None) -> Tensor:
    """The next latents. ``eps`` is needed where the step is stochastic.

    Without noise this is ``x + dt v``, the numbers that the diffusers scheduler computes.
    """
    if not step.stochastic:
        dt = torch.tensor(step.sigma_next, dtype=torch.float32) - torch.tensor(
            step.sigma, dtype=torch.float32
        )
        return x + float(dt) * v
    assert eps is not None
    return mean_of(x, v, step) + step.s * eps


def mean_of(x: Tensor, v: Tensor, step: Transition) -> Tensor:
    """The mean of the transition."""
    return (1 - step.sigma_next) * (x - step.sigma * v) + step.kappa * (x + (1 - step.sigma) * v)


def log_ratio(v: Tensor, v_old: Tensor, eps: Tensor, step: Transition) -> Tensor:
    """``log pi(x') - log pi_old(x')`` a dimension, (batch,), where ``x' = mean_old + s eps``.

    In the difference form: ``<d, eps>/s - |d|^2/(2 s^2)`` with ``d = g (v - v_old)``, divided by the number
    of dimensions. It is exactly 0 where both velocities are equal.
    """
    d = step.g * (v - v_old)
    return _mean(d * eps) / step.s - _mean(d * d) / (2 * step.s**2)


def drift(v: Tensor, v_old: Tensor, eps: Tensor, step: Transition) -> Tensor:
    """``mean(d eps)``, (batch,): the log of RatioNorm's ratio (GRPO-Guard, arXiv 2510.22319)."""
    return step.g * _mean((v - v_old) * eps)


def gaussian_kl(v: Tensor, v_ref: Tensor, step: Transition) -> Tensor:
    """``KL(pi || pi_ref)`` of the transition a dimension, (batch,): ``mean(d^2)/(2 s^2)``."""
    return step.g**2 * _mean((v - v_ref).square()) / (2 * step.s**2)


def velocity_kl(v: Tensor, v_ref: Tensor) -> Tensor:
    """``mean((v - v_ref)^2)``, (batch,)."""
    return _mean((v - v_ref).square())


def nats(clip: float, dimensions: int) -> tuple[float, float]:
    """What a clip of the mean-reduced ratio allows of the true log-ratio, in nats: (below, above) zero."""
    return dimensions * math.log1p(-clip), dimensions * math.log1p(clip)


def _mean(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1)
