"""Sampling candidates for each prompt, and what training needs to remember of it.

A rollout keeps, for each stochastic step, the latents as they were fed, the injected noise and the velocity:
the difference form of :mod:`arrkit.rpo.kernel` needs neither the next latents nor a log-probability.

Whatever is drawn comes from named seeds (:func:`seed_of`), never from a global generator: a pair's images do
not depend on the batch, on the number of processes or on whether the run was interrupted.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arrkit.errors import RunError
from arrkit.rpo.kernel import Transition, take, transitions
from arrkit.rpo.policy import Condition, Grid, Policy
from arrkit.rpo.recipe import GridKind, Recipe, Window

SHIFT = 3.0
"""The shift of the published code's grid."""


PAIR = (0, 1)
"""The two candidates of a pair."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A stochastic step of a batch: everything that its loss needs. Tensors are float32.

    ``eps`` is (group x pairs, ...). ``x`` and ``v_old`` are the same, or (pairs, ...) where the candidates
    of a prompt are still one image: sample ``i`` is row ``i % len(x)``.
    """

    step: Transition
    timestep: Tensor
    x: Tensor
    eps: Tensor
    v_old: Tensor


@dataclass(frozen=True, slots=True)
class Rollout:
    """Two candidates for each of a few prompts, or a group of them, or some of a group.

    The batch holds the first candidates of all prompts, then the second ones, and so on. ``latents`` are
    clean, (group x pairs, ...), float32; ``conditions`` has one entry a prompt; ``forwards`` counts the
    samples that went through the transformer.
    """

    conditions: tuple[Condition, ...]
    latents: Tensor
    trained: tuple[Trained, ...]
    forwards: int

    @property
    def pairs(self) -> int:
        """How many prompts there are."""
        return len(self.conditions)

    @property
    def group(self) -> int:
        """How many candidates each prompt has here."""
        return len(self.latents) // len(self.conditions)


class AstrayError(RunError):
    """The policy gives numbers that are not finite: its adapter is not worth keeping."""


def require_finite(latents: Tensor, names: Sequence[str]) -> None:
    """Raise :class:`AstrayError` unless all images of ``names``, in turn, have latents (batch, ...) that are.

    Decoded, they would be pictures of nothing, which a judge ranks all the same.
    """
    bad = (~torch.isfinite(latents).flatten(1).all(1)).nonzero().flatten().tolist()
    if bad:
        first = names[bad[0] % len(names)]
        raise AstrayError(
            f"{len(bad)} of {len(latents)} images came out of the model with numbers that are not finite, "
            f"first that of {first}",
            hint="An adapter has grown too large, or the precision is too low: begin anew with a lower "
            "--learning-rate or with --precision fp32.",
            resumable=False,
        )


def seed_of(*parts: str | int) -> int:
    """A seed of 63 bits for what the parts name."""
    name = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1


def draw_window(recipe: Recipe, seed: int, update: int) -> tuple[int, ...]:
    """The stochastic steps of an update, the same for all pairs and processes; indices from 0, rising.

    The last step is never among them: it ends at the clean latents.
    """
    last = recipe.steps - 1
    if recipe.window is Window.ALL_BUT_LAST:
        return tuple(range(last))
    within = max(1, min(recipe.window_range, last))
    size = min(recipe.window_size, within)
    rng = random.Random(seed_of(seed, "window", update))
    if recipe.window is Window.EARLY:
        first = rng.randint(0, within - size)
        return tuple(range(first, first + size))
    return tuple(sorted(rng.sample(range(within), size)))


def grid_for(policy: Policy, recipe: Recipe, condition: Condition) -> Grid:
    """The noise levels of a recipe: the scheduler's, or evenly spaced ones shifted by 3."""
    own = policy.grid(recipe.steps, condition)
    if recipe.grid is GridKind.SCHEDULER:
        return own
    even = torch.linspace(1, 0, recipe.steps + 1, dtype=torch.float64)
    sigmas = SHIFT * even / (1 + (SHIFT - 1) * even)
    # The unit of time (1 or 1000 for pure noise) is the policy's.
    unit = float(own.timesteps[0] / own.sigmas[0])
    return Grid(sigmas.float(), (sigmas[:-1] * unit).float())


def first_latents(
    policy: Policy,
    conditions: Sequence[Condition],
    ids: Sequence[str],
    recipe: Recipe,
    seed: int,
    candidates: Sequence[int] = PAIR,
) -> Tensor:
    """The noise that candidates begin from, (candidates x pairs, ...) on the CPU; see
    ``Recipe.shared_start``."""
    made = []
    for candidate in candidates:
        shared = side(0 if recipe.shared_start else candidate)
        for condition, name in zip(conditions, ids, strict=True):
            made.append(policy.noise(condition, _generator(seed_of(seed, "start", name, shared))))
    return torch.stack(made)


@torch.no_grad()
def roll_out(
    policy: Policy,
    conditions: Sequence[Condition],
    ids: Sequence[str],
    recipe: Recipe,
    window: Sequence[int],
    *,
    seed: int,
    device: torch.device,
    candidates: Sequence[int] = PAIR,
) -> Rollout:
    """Sample candidates for each condition.

    Args:
        conditions: one for each pair, all of one size.
        ids: names the pairs for their seeds; unique within the run.
        window: indices of the stochastic steps.
        seed: the run's.
        candidates: their numbers; what is drawn for one does not depend on which others there are.
    """
    grid = grid_for(policy, recipe, conditions[0])
    steps = transitions(grid, window, recipe.noise, recipe.level)
    pairs = len(conditions)
    times = len(candidates)
    # With one start for all, the candidates are one image until noise comes in: the velocity of the first
    # stochastic step is still the same for all.
    alone = recipe.shared_start and bool(window)
    every = [*conditions] * times
    x = first_latents(policy, conditions, ids, recipe, seed, candidates).to(device)
    x = x[:pairs] if alone else x
    batch = policy.collate(conditions if alone else every)
    draws = {
        index: [_generator(seed_of(seed, "step", name, side(n), index)) for n in candidates for name in ids]
        for index in window
    }
    trained = []
    forwards = 0
    for step in steps:
        timestep = grid.timesteps[step.index].to(device)
        v = policy.velocity(x, timestep, batch)
        forwards += len(x)
        eps = None
        if step.stochastic:
            eps = torch.stack([torch.randn(x.shape[1:], generator=g) for g in draws[step.index]]).to(device)
            trained.append(Trained(step, timestep, x, eps, v))
            if alone:
                alone = False
                x, v, batch = torch.cat([x] * times), torch.cat([v] * times), policy.collate(every)
        x = take(x, v, step, eps)
    return Rollout(tuple(conditions), x, tuple(trained), forwards)


def side(candidate: int) -> str:
    """The name of a candidate in seeds and beside its answers: a, b, and from the third on its number."""
    return "ab"[candidate] if candidate < 2 else str(candidate + 1)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
