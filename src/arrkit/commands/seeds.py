"""Which pairs a rubric is learned from, and which are held back to measure it.

With ``--limit`` a dataset is gone through once to choose, and as far as the last chosen pair once more to
take them. What is held of the others is a line each, and of no more than :data:`POOL` of them.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from arrkit.commands.options import BuildOptions, Seeds
from arrkit.data.diversity import Choice, Trait, choose_diverse, trait_of
from arrkit.data.pairs import PairDataset, PreferencePair, Task
from arrkit.data.sampling import pair_mark
from arrkit.errors import InputError

POOL = 20_000
"""Pairs that are looked at to choose diverse ones; of a larger dataset so many are drawn first."""


@dataclass(frozen=True, slots=True)
class Split:
    """Pairs to learn from and pairs held back; a prompt is on one side only.

    ``ties`` pairs on the side to learn from were left out. ``chosen`` says in a sentence how the pairs were
    chosen; it is empty where all were taken.
    """

    build: tuple[PreferencePair, ...]
    held_out: tuple[PreferencePair, ...]
    ties: int
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a pair until it is chosen: its place in the dataset, and what speaks for it."""

    position: int
    decided: bool
    trait: Trait


def choose_split(dataset: PairDataset, task: Task, options: BuildOptions) -> Split:
    """The pairs of ``task`` to learn from and to hold back, as the options say.

    Without ``limit`` all pairs are taken. With it, ``random`` draws so many and then divides them;
    ``diverse`` divides the dataset first, chooses its share of pairs to learn from, and draws those to hold
    back, so that the rubric is not measured on clear pairs alone.

    Raises:
        InputError: diverse pairs are asked for, and not how many.
    """
    limit, holdout, seed = options.limit, options.holdout, options.seed
    if limit is None:
        if options.seeds is Seeds.DIVERSE:
            raise InputError(
                "--seeds diverse chooses some of the pairs, and nothing says how many",
                hint="Give --limit as well, such as --limit 200.",
            )
        return split_pairs(dataset, task, holdout=holdout, seed=seed)
    diverse = options.seeds is Seeds.DIVERSE
    seen, total = _look_through(dataset, task, seed, max(POOL, limit) if diverse else limit)
    if total <= limit:
        return split_pairs(dataset, task, holdout=holdout, seed=seed)
    if not diverse:
        split = split_pairs(_at(dataset, seen), task, holdout=holdout, seed=seed)
        return replace(split, chosen=f"{limit:,} of {total:,} pairs, drawn at random.")
    return _diverse_split(dataset, seen, total, limit, holdout, seed)


def _diverse_split(
    dataset: PairDataset, seen: Sequence[_Seen], total: int, limit: int, holdout: float, seed: int
) -> Split:
    held_back = set(_divide(Counter(each.trait.prompt for each in seen), holdout, seed)[0])
    held = [each for each in seen if each.trait.prompt in held_back]
    rest = [each for each in seen if each.trait.prompt not in held_back]
    drawn = sorted(held, key=lambda each: each.trait.mark)[: round(holdout * limit)]
    candidates = [each for each in rest if each.decided]
    choice = choose_diverse([each.trait for each in candidates], limit - len(drawn), seed=seed)
    taken = [candidates[index] for index in choice.indices]
    return Split(
        tuple(_at(dataset, taken)),
        tuple(_at(dataset, drawn)),
        len(rest) - len(candidates),
        _said(choice, len(candidates), len(seen), total, len(drawn)),
    )


def _said(choice: Choice, candidates: int, pool: int, total: int, held: int) -> str:
    margins = ", ".join(f"{source} {count:,}" for source, count in choice.margins.items())
    pooled = f" They are of {pool:,} pairs drawn from {total:,}." if pool < total else ""
    return (
        f"{len(choice.indices):,} of {candidates:,} pairs, chosen for clear labels (by {margins}) and for "
        f"prompts of many kinds ({choice.clusters:,} clusters, by {choice.space}); {held:,} others, drawn at "
        f"random, are held back.{pooled}"
    )


def _look_through(dataset: PairDataset, task: Task, seed: int, most: int) -> tuple[list[_Seen], int]:
    """At most ``most`` pairs of a task, drawn, in their order; and how many pairs there are."""
    total = 0
    heap: list[tuple[int, int, _Seen]] = []  # the largest mark first
    for position, pair in enumerate(dataset):
        if pair.task is not task:
            continue
        total += 1
        mark = pair_mark(pair, seed)
        if len(heap) == most and -mark < heap[0][0]:
            continue
        entry = (-mark, -position, _Seen(position, pair.label.decided, trait_of(pair, mark)))
        if len(heap) == most:
            heapq.heapreplace(heap, entry)
        else:
            heapq.heappush(heap, entry)
    return sorted((each for _, _, each in heap), key=lambda each: each.position), total


def _at(dataset: PairDataset, wanted: Sequence[_Seen]) -> list[PreferencePair]:
    """The pairs that were seen, in the order of the dataset."""
    positions = {each.position for each in wanted}
    last = max(positions, default=-1)
    found: list[PreferencePair] = []
    for position, pair in enumerate(dataset if wanted else ()):
        if position in positions:
            found.append(pair)
        if position == last:
            break
    return found


def split_pairs(pairs: Iterable[PreferencePair], task: Task, *, holdout: float, seed: int) -> Split:
    """Divide pairs into those to learn from and those held back, before anything else looks at them.

    Pairs of one prompt stay together, so that the held-out share asks for things the rubric has not seen.
    Whole prompts, in an order drawn from ``seed``, are held back until their pairs make up ``holdout`` of
    all. Ties are left out of what is learned from.
    """
    prompts: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        if pair.task is task:
            prompts.setdefault(pair.prompt, []).append(pair)
    sides = _divide({prompt: len(group) for prompt, group in prompts.items()}, holdout, seed)
    held, build = ([pair for prompt in side for pair in prompts[prompt]] for side in sides)
    decided = tuple(pair for pair in build if pair.label.decided)
    return Split(decided, tuple(held), len(build) - len(decided))


def _divide(prompts: Mapping[str, int], holdout: float, seed: int) -> tuple[list[str], list[str]]:
    """The prompts held back and the others, in the order drawn, given how many pairs each has."""
    order = sorted(prompts)
    random.Random(seed).shuffle(order)  # noqa: S311  a seeded split, no secret
    wanted = round(holdout * sum(prompts.values()))
    held = 0
    for place, prompt in enumerate(order):
        if held >= wanted:
            return order[:place], order[place:]
        held += prompts[prompt]
    return order, []
