"""Train the weights of the embedded policy from scratch: a few minutes for each task, on one core.

    python scripts/shapes_weights.py                 both tasks, into src/arrkit/shapes/policy/weights
    python scripts/shapes_weights.py --task t2i --steps 50 --out try

The model learns flow matching on drawn scenes. Some of its captions lie, as captions of crawled images do;
LIES says how often, for each kind of request. What the model paints wrongly for that reason is the head-room
that training against a judge can fill. Training stops where the strict checker finds the share GOAL of the
pictures for held-out requests right. The same seed gives the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from arrkit.data.pairs import Task
from arrkit.shapes.assess import is_correct
from arrkit.shapes.dataset import ShapesDataset, split_prompts
from arrkit.shapes.edits import EditKind, apply, instruction_for, sample_edit
from arrkit.shapes.flaws import EDIT_FLAWS, PROMPT_FLAWS
from arrkit.shapes.grammar import Family, Wants, parse_prompt, sample_prompt
from arrkit.shapes.layout import clear, realise
from arrkit.shapes.look import look_at
from arrkit.shapes.policy.model import TextEncoder, image_ids, new_transformer, predict
from arrkit.shapes.policy.slots import decode_scene, encode_scene
from arrkit.shapes.policy.text import tokens_of
from arrkit.shapes.render import render
from arrkit.shapes.scene import Scene, Thing

GOAL = {Task.T2I: 0.66, Task.EDIT: 0.66}
SEED = 7
BATCH = 256
RATE, WARMUP = 4e-3, 50
DECAY = 0.99
"""Of the moving average of the weights, which is what is measured and saved."""
FIRST_LOOK, LOOK_EVERY = 500, 100
STEPS = 8

HARD = (Family.POSITION, Family.ATTRIBUTION)
"""Families that are drawn twice as often as the others."""

LEAST_SIZE, SIZE_SPREAD = 0.2, 0.25
"""Sizes of things, and how far they spread, as a share of what the embedded pairs have.

With the pairs' own spread, training against a judge who likes a well filled frame made things twice as large
and half of the pictures wrong.
"""

LIES: dict[str, tuple[float, tuple[str, ...]]] = {
    Family.SINGLE_OBJECT: (0.02, ("wrong_shape",)),
    Family.TWO_OBJECTS: (0.20, ("wrong_shape", "missing_object", "extra_object")),
    Family.COUNTING: (0.35, ("missing_object", "extra_object")),
    Family.COLOURS: (0.10, ("wrong_colour", "wrong_shape")),
    Family.POSITION: (0.40, ("wrong_side",)),
    Family.ATTRIBUTION: (0.45, ("swapped_colours", "swapped_colours", "wrong_colour")),
    EditKind.RECOLOUR: (0.3, ("nothing_done", "wrong_target", "wrong_result")),
    EditKind.REMOVE: (0.3, ("nothing_done", "wrong_target", "bystander_gone")),
    EditKind.ADD: (0.3, ("nothing_done", "wrong_result")),
    EditKind.REPLACE: (0.3, ("nothing_done", "wrong_target", "wrong_result")),
    EditKind.MOVE: (0.3, ("nothing_done", "wrong_target", "wrong_result")),
    EditKind.BACKGROUND: (0.2, ("nothing_done", "wrong_result")),
}
"""How often a caption lies, and which flaws its picture may have, drawn evenly."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request and what its picture shows, as the model sees them."""

    tokens: list[int]
    target: np.ndarray
    source: np.ndarray | None = None


def samples(task: Task, seed: int) -> Iterator[Sample]:
    """Samples without end, families and kinds taking turns."""
    rng = random.Random(f"{task}/{seed}")
    yield from (_painted(rng) if task is Task.T2I else _edited(rng))


def _painted(rng: random.Random) -> Iterator[Sample]:
    held_out = {prompt for family in Family for prompt in split_prompts(family, "test")}
    while True:
        for family in (*Family, *HARD):
            prompt = sample_prompt(rng, family)
            while prompt in held_out:
                prompt = sample_prompt(rng, family)
            wants = parse_prompt(prompt)
            assert wants is not None
            scene = _evened(wants, rng)
            share, flaws = LIES[family]
            if rng.random() < share:
                scene = PROMPT_FLAWS[rng.choice(flaws)].spoil(scene, wants, rng) or scene
            yield Sample(tokens_of(prompt), encode_scene(scene.things, scene.background))


def _evened(wants: Wants, rng: random.Random) -> Scene:
    """A scene of what is wanted, with things of nearly equal sizes."""
    while True:
        scene = realise(wants, rng)
        things = tuple(
            replace(thing, size=LEAST_SIZE + SIZE_SPREAD * (thing.size - 0.18)) for thing in scene.things
        )
        if all(clear(one, other) for one, other in combinations(things, 2)):
            return replace(scene, things=things)


SOURCES = 6000


def _edited(rng: random.Random) -> Iterator[Sample]:
    # Sources are seen as the policy will see them: rendered, and read from their pixels.
    pairs = ShapesDataset(Task.EDIT, "train", n=SOURCES, seed=rng.randrange(2**31))
    sources = []
    for pair in pairs:
        assert pair.source is not None
        look = look_at(pair.source.load())
        things = tuple(Thing(seen.shape, seen.colour, seen.x, seen.y, seen.size) for seen in look.objects)
        if len({(thing.shape, thing.colour) for thing in things}) == len(things) >= 2:
            sources.append(Scene(things, look.background))
    while True:
        for kind in EditKind:
            source = rng.choice(sources)
            edit = sample_edit(rng, source, kind)
            result = apply(edit, source, rng)
            share, flaws = LIES[kind]
            if result is not None and rng.random() < share:
                result = EDIT_FLAWS[rng.choice(flaws)].spoil(result, source, edit, rng) or result
            if result is not None:
                yield Sample(
                    tokens_of(instruction_for(edit, rng.randrange(3))),
                    encode_scene(_in_place(source, result), result.background),
                    encode_scene(source.things, source.background),
                )


def _in_place(source: Scene, result: Scene) -> list[Thing | None]:
    """The things of ``result``, each in the slot of what it was in the source; new ones after these."""
    if len(result.things) >= len(source.things):
        return list(result.things)
    kept = set(result.things)
    return [thing if thing in kept else None for thing in source.things]


class Model(nn.Module):
    """Both networks, trained together."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.transformer = new_transformer()
        self.text_encoder = TextEncoder()
        self.ids = image_ids(task)

    def forward(self, latents: Tensor, sigma: Tensor, tokens: Tensor, source: Tensor | None) -> Tensor:
        """The velocity at noise level ``sigma`` (batch,)."""
        return predict(self.transformer, latents, sigma, *self.text_encoder(tokens), source, self.ids)


def batches(task: Task, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Tokens, targets and sources of BATCH samples."""
    stream = samples(task, seed)
    while True:
        drawn = [next(stream) for _ in range(BATCH)]
        source = [each.source for each in drawn if each.source is not None]
        yield (
            torch.tensor([each.tokens for each in drawn]),
            torch.from_numpy(np.stack([each.target for each in drawn])),
            torch.from_numpy(np.stack(source)) if source else None,
        )


@torch.no_grad()
def accuracy(model: Model, task: Task, seed: int, rounds: int = 4) -> dict[str, float]:
    """The share of right pictures for held-out requests, by family, in STEPS steps without injected noise."""
    from arrkit.shapes.policy.policy import ShapesPolicy, _read_source

    prompts = ShapesPolicy("shapes", task=task, size=96).prompts("test")
    tokens = torch.tensor([tokens_of(prompt.text) for prompt in prompts])
    source = torch.stack([_read_source(prompt) for prompt in prompts]) if task is Task.EDIT else None
    right: dict[str, list[bool]] = defaultdict(list)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(rounds):
        latents = torch.randn(len(prompts), *sample_shape(), generator=generator)
        for step in range(STEPS):
            sigma = torch.full((len(prompts),), 1 - step / STEPS)
            latents = latents - model(latents, sigma, tokens, source) / STEPS
        for prompt, each in zip(prompts, latents.numpy(), strict=True):
            image = render(decode_scene(each))
            original = prompt.sources[0].load() if prompt.sources else None
            right[str(prompt.metadata["category"])].append(is_correct(task, prompt.text, image, original))
    return {name: sum(values) / len(values) for name, values in right.items()}


def sample_shape() -> tuple[int, int]:
    from arrkit.shapes.policy.slots import CHANNELS, SLOTS

    return SLOTS, CHANNELS


def train(task: Task, steps: int, seed: int, goal: float) -> Model:
    """Train until the goal is reached, for at most ``steps`` steps; returns the average of the weights."""
    torch.manual_seed(seed)
    model, mean = Model(task), Model(task)
    mean.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.0)
    began = time.process_time()
    for step, (tokens, target, source) in enumerate(batches(task, seed), start=1):
        rate = RATE * min(step / WARMUP, 1) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        sigma = torch.rand(len(target))
        noise = torch.randn_like(target)
        level = sigma[:, None, None]
        loss = (
            (model((1 - level) * target + level * noise, sigma, tokens, source) - (noise - target))
            .square()
            .mean()
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            decay = min(DECAY, step / (step + 10))
            for average, weight in zip(mean.parameters(), model.parameters(), strict=True):
                average.lerp_(weight, 1 - decay)
        last = step == steps
        if last or (step >= FIRST_LOOK and (step - FIRST_LOOK) % LOOK_EVERY == 0):
            by_family = accuracy(mean, task, seed)
            overall = sum(by_family.values()) / len(by_family)
            parts = " ".join(f"{name[:5]} {value:.2f}" for name, value in by_family.items())
            print(
                f"{task} {step:5d} {time.process_time() - began:4.0f} s  loss {loss.item():.3f}  "
                f"right {overall:.3f}  {parts}",
                file=sys.stderr,
                flush=True,
            )
            if overall >= goal or last:
                return mean
    raise AssertionError("the batches have no end")


def save(model: Model, file: Path) -> None:
    """Write both networks as float32."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, file)


def main() -> None:
    """Read the options and train."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--task", choices=[str(task) for task in Task], action="append")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--goal", type=float)
    parser.add_argument("--out", type=Path, default=root / "src/arrkit/shapes/policy/weights")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for task in map(Task, given.task or list(Task)):
        goal = GOAL[task] if given.goal is None else given.goal
        save(train(task, given.steps, given.seed, goal), given.out / f"{task}.safetensors")


if __name__ == "__main__":
    main()
