"""The prompts and instructions that come with the shapes world, for training and for testing."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt
from arrkit.shapes.dataset import ShapesDataset, split_prompts
from arrkit.shapes.grammar import Family

TEST_PROMPTS = 80
"""How many prompts of each family, and instructions of each kind, are for testing."""

TRAIN_PROMPTS: Mapping[Family, int] = {
    Family.SINGLE_OBJECT: 100,
    Family.TWO_OBJECTS: 380,
    Family.COUNTING: 380,
    Family.COLOURS: 150,
    Family.POSITION: 480,
    Family.ATTRIBUTION: 480,
}
"""How many are for training: few where nearly every picture is right, since those teach nothing."""

TRAIN_EDITS = 360
"""How many instructions of each kind are for training."""

EDIT_SEED = 4
"""Draws the sources and instructions."""


@cache
def embedded_prompts(task: Task, split: str, size: int) -> tuple[Prompt, ...]:
    """The prompts of ``split``, train or test, or instructions for sources of ``size`` pixels.

    The metadata ``category`` holds the family of a prompt or the kind of an edit.
    """
    if task is Task.EDIT:
        count = TEST_PROMPTS if split == "test" else TRAIN_EDITS
        pairs = ShapesDataset(Task.EDIT, split, n=count * 6, seed=EDIT_SEED, size=size)
        return tuple(
            Prompt(pair.id, task, pair.prompt, pair.sources, {"category": pair.metadata["category"]})
            for pair in pairs
        )
    rng = random.Random(f"shapes/{split}")
    prompts = []
    for family in Family:
        texts = split_prompts(family, split)
        count = TEST_PROMPTS if split == "test" else TRAIN_PROMPTS[family]
        prompts += [
            Prompt(f"{split}-{family}-{index}", task, text, metadata={"category": str(family)})
            for index, text in enumerate(rng.sample(texts, min(count, len(texts))))
        ]
    # Mixed, so that any first few of them hold all families.
    rng.shuffle(prompts)
    return tuple(prompts)
