"""Forward-equivalents a pair: the recommended preset beside the published code's layout, on a small FLUX.

Counted is what really went through the transformer, a sample each; a backward pass counts as one forward, and
recomputed activations as another. The published layout samples and trains one image at a time over 8 steps,
trains all but the last, and asks the reference model for each of them; nothing is shared in a pair.

Both are also timed, in turns, with recomputed activations. The time has more in it than the count: batches
instead of single images on one side, and what Python does around so small a model on both.

python benchmarks/rpo_forwards.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from arrkit.rpo.kernel import take, transitions
from arrkit.rpo.learner import Learner, Sums
from arrkit.rpo.policy import Condition
from arrkit.rpo.recipe import PRESETS, Divergence, Preset, Recipe
from arrkit.rpo.rollout import Rollout, Trained, draw_window, first_latents, grid_for, roll_out
from common import Bar, Result, main, median_ratio
from rpo_models import conditions, loaded

PAIRS = 4
SIDE = 192
TEXT = 32
RUNS = 3
MOST, PUBLISHED = 31, 72
CPU = torch.device("cpu")
RECOMMENDED = PRESETS[Preset.RECOMMENDED]
PAPER = replace(PRESETS[Preset.PAPER], divergence=Divergence.GAUSSIAN, beta=0.01)

Counted = tuple[float, float]
"""Forward-equivalents and seconds, of one pair each."""


def one_by_one(policy: Any, conditions: Sequence[Condition], seed: int) -> Rollout:
    """The pairs sampled image by image, every step of every image by itself."""
    recipe, names = PAPER, [f"{seed}/{number}" for number in range(len(conditions))]
    both = [*conditions, *conditions]
    grid = grid_for(policy, recipe, conditions[0])
    steps = transitions(grid, draw_window(recipe, seed, 0), recipe.noise, recipe.level)
    generator = torch.Generator().manual_seed(seed)
    made: list[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = [[] for _ in steps]
    finished = []
    with torch.no_grad():
        for start, condition in zip(
            first_latents(policy, conditions, names, recipe, seed), both, strict=True
        ):
            x, batch = start[None], policy.collate([condition])
            for step in steps:
                v = policy.velocity(x, grid.timesteps[step.index], batch)
                eps = torch.randn(x.shape, generator=generator)
                made[step.index].append((x, eps, v))
                x = take(x, v, step, eps)
            finished.append(x)
    trained = [
        Trained(step, grid.timesteps[step.index], *(torch.cat(each) for each in zip(*kept, strict=True)))
        for step, kept in zip(steps, made, strict=True)
        if step.stochastic
    ]
    forwards = sum(map(len, made))
    return Rollout(tuple(conditions), torch.cat(finished), tuple(trained), forwards)


def counted(policy: Any, recipe: Recipe, batch: int, sample: Callable[[], Rollout]) -> Counted:
    """Sample pairs and back-propagate all of them."""
    learner, sums = Learner(policy, recipe, device=CPU, batch=batch), Sums()
    began = time.perf_counter()
    rollout = sample()
    learner.learn(rollout, [(recipe.win, recipe.lose)] * rollout.pairs, sums)
    seconds = time.perf_counter() - began
    policy.transformer.zero_grad(set_to_none=True)
    return (rollout.forwards + sums.forwards + 2 * sums.terms) / rollout.pairs, seconds / rollout.pairs


def measure() -> list[Result]:
    """The count and the time, each as a ratio."""
    torch.set_num_threads(1)
    # Which windows there are; each comes as often as any other.
    windows = sorted({draw_window(RECOMMENDED, 0, update) for update in range(1000)})
    with tempfile.TemporaryDirectory() as folder:
        policy = loaded(
            "flux", Path(folder), RECOMMENDED, CPU, tiny=True, side=SIDE, text=TEXT, checkpointing=True
        )
        given = conditions(policy, PAIRS, SIDE, [TEXT])
        names = [str(number) for number in range(PAIRS)]

        def ours(window: Sequence[int]) -> Counted:
            def sample() -> Rollout:
                return roll_out(policy, given, names, RECOMMENDED, window, seed=0, device=CPU)

            return counted(policy, RECOMMENDED, 2 * PAIRS, sample)

        def theirs() -> Counted:
            return counted(policy, PAPER, 1, lambda: one_by_one(policy, given[:1], 0))

        each = {window: ours(window)[0] for window in windows}
        published = theirs()[0]
        ratio, fast, slow = median_ratio(
            lambda: sum(ours(window)[1] for window in windows) / len(windows), lambda: theirs()[1], RUNS
        )
    assert published == PUBLISHED, published
    mean = sum(each.values()) / len(each)
    listed = ", ".join(
        f"{count:g} with steps {window[0] + 1}-{window[-1] + 1}" for window, count in each.items()
    )
    return [
        Result(
            "rpo, forward-equivalents a pair, recommended / published layout",
            mean / published,
            MOST / PUBLISHED,
            Bar.AT_MOST,
            f"{mean:g} / {published:g}; the mean of {listed}, of {RECOMMENDED.steps}",
        ),
        Result(
            "the same, seconds a pair on a small FLUX",
            ratio,
            MOST / PUBLISHED,
            Bar.AT_MOST,
            f"{fast:.2f} s / {slow:.2f} s, batches of {2 * PAIRS} images / single images",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main(measure))
