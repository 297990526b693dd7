"""Preference pairs in which the brighter image was preferred, made on the spot."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from PIL import Image

from arrkit.backends.spec import Spec
from arrkit.data.pairs import Label, PairDataset, Picture, PreferencePair, Task

SUBJECTS = ("a beach at noon", "a field of sunflowers", "a snowy hill", "a white cat")


@dataclass(frozen=True, slots=True)
class BrightDark:
    """``count`` pairs of one bright and one dark image. The same arguments give the same pairs.

    ``ties`` is the share of pairs whose two images are alike and whose label is a tie.
    """

    name: str
    split: str
    count: int
    ties: float
    seed: int
    task: Task = Task.T2I

    def size(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[PreferencePair]:
        for number in range(self.count):
            yield self._pair(number)

    def _pair(self, number: int) -> PreferencePair:
        rng = random.Random(f"{self.split} {self.seed} {number}")
        bright, dark = rng.randint(150, 230), rng.randint(20, 110)
        hue, prompt = rng.randrange(256), rng.choice(SUBJECTS)
        label = rng.choice((Label.A, Label.B))
        if rng.random() < self.ties:
            label, dark = Label.TIE, bright
        values = (dark, bright) if label is Label.B else (bright, dark)
        pair = f"{self.split}-{number:04d}"
        a, b = (
            Picture(f"{pair}-{side}", partial(_paint, hue, value))
            for side, value in zip("ab", values, strict=True)
        )
        return PreferencePair(pair, self.task, prompt, a, b, label, origin=f"{self.name} pair {number}")


def _paint(hue: int, value: int) -> Image.Image:
    return Image.new("HSV", (32, 32), (hue, 120, value)).convert("RGB")


def make_dataset(spec: Spec, count: int, ties: float, seed: int) -> PairDataset:
    """The factory that the record names; the spec's model part is the split."""
    return BrightDark(str(spec), spec.model, count, ties, seed)
