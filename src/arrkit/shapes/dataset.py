"""Preference pairs of the embedded world: procedural, seeded, of any size.

Each pair is drawn from its own seed, so that the n-th pair is the same however many are asked for, nothing is
stored, and pictures are rendered when they are looked at. For a prompt the two candidates are laid out
independently (other places, sizes, colours where they are open), so that general looks say little; for an
edit they share the source and differ in what was done to it.

A candidate's utility is 1 minus the costs of its flaws (:func:`arrkit.shapes.flaws.utility`). The better one
has no flaw, or at times a damage that the worse one has on top of its own flaw. The label names the better
one, but a declared share of the decided pairs (``noise``) is labelled the wrong way round, and a declared
share of all pairs (``ties``) has two different candidates of equal utility and is labelled a tie.
Metadata names the flaws of both candidates, so that the truth behind a label can be told.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from arrkit.backends.spec import Spec
from arrkit.data.pairs import Label, Picture, PreferencePair, Task
from arrkit.shapes.edits import Edit, EditKind, Ref, apply, instruction_for, sample_edit
from arrkit.shapes.flaws import EDIT_FLAWS, PROMPT_FLAWS
from arrkit.shapes.grammar import Family, parse_prompt, prompts, sample_prompt
from arrkit.shapes.layout import place, realise
from arrkit.shapes.plugin import (
    PAIRS_N,
    PAIRS_NOISE,
    PAIRS_SEED,
    PAIRS_SIZE,
    PAIRS_TIES,
    SPLITS,
)
from arrkit.shapes.scene import Background, Colour, Scene, Shape, Thing

if TYPE_CHECKING:
    from PIL.Image import Image

TEST_SHARE = 0.4
"""The share of all prompts that only the test split uses: over 60 in each family."""

CLEAN_SHARE = 0.7
"""How often the better candidate has no flaw at all."""

Candidate = tuple[Scene, tuple[str, ...]]
"""A scene and the names of its flaws."""


class ShapesDataset:
    """A :class:`~arrkit.data.pairs.PairDataset` of the embedded world.

    Args:
        task: t2i or edit.
        split: ``train`` or ``test``: other draws, and for t2i other prompts.
        n: number of pairs, at least 1. 200 by default: of these a build holds back 60, on which a change of
            20 points stands clear of its interval.
        seed: draws everything.
        noise: share of the decided pairs whose label is the wrong way round, in [0, 1].
        ties: share of the pairs whose candidates are equally good, in [0, 1].
        size: side of the pictures in pixels, 32 to 256.

    Prompt families and edit kinds take turns, so that any ``n`` holds about equally many of each. With the
    same seed, other ``noise`` changes labels only, and other ``ties`` only the pairs that become ties.

    Raises :class:`ValueError` for a split, number or share that cannot be.
    """

    def __init__(
        self,
        task: Task,
        split: str = SPLITS[0],
        *,
        n: int = PAIRS_N,
        seed: int = PAIRS_SEED,
        noise: float = PAIRS_NOISE,
        ties: float = PAIRS_TIES,
        size: int = PAIRS_SIZE,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split}")
        if n < 1 or not 0 <= noise <= 1 or not 0 <= ties <= 1:
            raise ValueError("n must be at least 1, noise and ties shares from 0 to 1")
        self._task = task
        self._split = split
        self._n = n
        self._seed = seed
        self._noise = noise
        self._ties = ties
        self._size = size
        options = {"n": str(n), "seed": str(seed)}
        unusual = {"noise": (noise, PAIRS_NOISE), "ties": (ties, PAIRS_TIES), "size": (size, PAIRS_SIZE)}
        options |= {
            key: str(value).removesuffix(".0") for key, (value, usual) in unusual.items() if value != usual
        }
        self._name = str(Spec(f"shapes-{task}", split, options))

    @property
    def name(self) -> str:
        """The canonical spec; shares and size only where they are not the usual ones."""
        return self._name

    @property
    def task(self) -> Task | None:
        """The task of all pairs."""
        return self._task

    def size(self) -> int:
        """As many as were asked for."""
        return self._n

    def __iter__(self) -> Iterator[PreferencePair]:
        return (self.pair(index) for index in range(self._n))

    def pair(self, index: int) -> PreferencePair:
        """The pair at ``index``, drawn anew each time; ``index`` may be ``n`` and beyond."""
        rng = random.Random(f"{self._task}/{self._split}/{self._seed}/{index}")
        tied, flipped, a_is_better = (rng.random() for _ in range(3))
        is_tie = tied < self._ties
        source: Scene | None = None
        if self._task is Task.T2I:
            category, prompt, better, worse = _generated(rng, self._split, index, is_tie)
        else:
            category, prompt, source, better, worse = _edited(rng, index, is_tie)
        a, b = (better, worse) if a_is_better < 0.5 else (worse, better)
        label = Label.A if a_is_better < 0.5 else Label.B
        if flipped < self._noise:
            label = label.swapped
        name = f"{self._task}-{self._split}-{self._seed}-{index}"
        return PreferencePair(
            id=name,
            task=self._task,
            prompt=prompt,
            a=self._picture(f"{name}/a", a[0]),
            b=self._picture(f"{name}/b", b[0]),
            label=Label.TIE if is_tie else label,
            sources=() if source is None else (self._picture(f"{name}/source", source),),
            metadata={
                "category": category,
                "flaws_a": ", ".join(a[1]) or "none",
                "flaws_b": ", ".join(b[1]) or "none",
            },
            origin=f"{self._name} pair {index}",
        )

    def _picture(self, name: str, scene: Scene) -> Picture:
        return Picture(name, partial(_render, scene, self._size))


def _render(scene: Scene, size: int) -> Image:
    from arrkit.shapes.render import render  # pulls in numpy, which listing pairs does without

    return render(scene, size)


def _is_test_prompt(prompt: str) -> bool:
    return sha256(prompt.encode()).digest()[0] < TEST_SHARE * 256


def split_prompts(family: Family, split: str) -> tuple[str, ...]:
    """All prompts of ``family`` that pairs of ``split`` (train or test) may use; none is in both."""
    return tuple(prompt for prompt in prompts(family) if _is_test_prompt(prompt) == (split == "test"))


def _prompt(rng: random.Random, family: Family, split: str) -> str:
    while True:
        prompt = sample_prompt(rng, family)
        if _is_test_prompt(prompt) == (split == "test"):
            return prompt


def _generated(
    rng: random.Random, split: str, index: int, is_tie: bool
) -> tuple[str, str, Candidate, Candidate]:
    """A prompt and two candidates for it, the better one first."""
    family = list(Family)[index % len(Family)]
    prompt = _prompt(rng, family, split)
    wants = parse_prompt(prompt)
    assert wants is not None, prompt

    def candidate(names: Sequence[str]) -> Candidate | None:
        scene: Scene | None = realise(wants, rng)
        for name in names:
            scene = PROMPT_FLAWS[name].spoil(scene, wants, rng) if scene else None
        return None if scene is None else (scene, tuple(names))

    while True:
        good, bad = _draw_flaws(rng, {name: flaw.cost for name, flaw in PROMPT_FLAWS.items()}, is_tie)
        better, worse = candidate(good), candidate(bad)
        if better is not None and worse is not None:
            return family.value, prompt, better, worse


def _edited(rng: random.Random, index: int, is_tie: bool) -> tuple[str, str, Scene, Candidate, Candidate]:
    """A source, an instruction and two results, the better one first."""
    kind = list(EditKind)[index % len(EditKind)]
    while True:
        source = _source(rng)
        edit = sample_edit(rng, source, kind)
        good, bad = _draw_flaws(rng, {name: flaw.cost for name, flaw in EDIT_FLAWS.items()}, is_tie)
        better, worse = _result(rng, source, edit, good), _result(rng, source, edit, bad)
        # A tie between two equal pictures would be no question at all.
        if better is not None and worse is not None and better[0] != worse[0]:
            return kind.value, instruction_for(edit, rng.randrange(3)), source, better, worse


def _result(rng: random.Random, source: Scene, edit: Edit, names: Sequence[str]) -> Candidate | None:
    scene = apply(edit, source, rng)
    for name in names:
        scene = EDIT_FLAWS[name].spoil(scene, source, edit, rng) if scene else None
    return None if scene is None else (scene, tuple(names))


def _source(rng: random.Random) -> Scene:
    """Three or four things that all look different, with room for one more."""
    count = rng.choice([3, 3, 4])
    looks = rng.sample([Ref(colour, shape) for colour in Colour for shape in Shape], count)
    background = rng.choice(list(Background))
    while True:
        things: list[Thing] = []
        for look in looks:
            thing = place(rng, things, look.shape, look.colour, least=0.18, most=0.28)
            if thing is not None:
                things.append(thing)
        if len(things) == count:
            return Scene(tuple(things), background)


def _draw_flaws(
    rng: random.Random, costs: dict[str, float], is_tie: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The flaws of the better and of the worse candidate, in the order in which they are done."""
    # Damage to pixels applies to any picture, the others only to some: drawn evenly it would outweigh them.
    names = [name for name in costs for _ in range(1 if name in ("smeared", "cut") else 4)]
    if is_tie:
        if rng.random() < 0.5:
            return (), ()
        one = rng.choice(names)
        return (one,), (rng.choice([name for name in names if costs[name] == costs[one]]),)
    fatal = rng.choice(names)
    damage = rng.choice(["smeared", "cut"])
    # Damage to pixels may follow any other flaw, so it is done last.
    shared = (damage,) if rng.random() >= CLEAN_SHARE and fatal != damage else ()
    return shared, (fatal, *shared)


def make_t2i(spec: Spec, *, n: int, seed: int, noise: float, ties: float, size: int) -> ShapesDataset:
    """The factory behind ``shapes-t2i``; the spec's model part is the split."""
    return ShapesDataset(Task.T2I, spec.model, n=n, seed=seed, noise=noise, ties=ties, size=size)


def make_edit(spec: Spec, *, n: int, seed: int, noise: float, ties: float, size: int) -> ShapesDataset:
    """The factory behind ``shapes-edit``; the spec's model part is the split."""
    return ShapesDataset(Task.EDIT, spec.model, n=n, seed=seed, noise=noise, ties=ties, size=size)
