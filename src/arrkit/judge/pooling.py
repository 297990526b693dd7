"""Structuring more drafts than one request should hold.

A pool above :data:`CHUNK` drafts is cut into chunks, drafts of one dimension next to each other; each chunk
is structured by itself, and the criteria that come out are the next pool, until it fits into one request.
Where a round folds hardly anything, going on would not end: its dimensions are joined by their names instead.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from arrkit.judge.protocol import Draft, StructuredCriterion, StructuredDimension
from arrkit.rubric.model import normalised

CHUNK = 150
"""How many drafts one request holds at most."""

SHRINKS = 0.8
"""A round that leaves more than this share of its pool is the last."""

Dimensions = tuple[StructuredDimension, ...]


async def structure_pool(
    pool: tuple[Draft, ...],
    ask: Callable[[tuple[tuple[Draft, ...], ...]], Awaitable[Sequence[Dimensions]]],
    *,
    most: int,
    further: str,
) -> Dimensions:
    """At most ``most`` dimensions over ``pool``.

    ``ask`` structures several pools by themselves. ``further`` names the dimension that takes a surplus.
    """
    origins: list[tuple[int, ...]] = [(index,) for index in range(len(pool))]
    while len(pool) > CHUNK:
        chunks = split(pool)
        parts = await ask(tuple(tuple(pool[index] for index in chunk) for chunk in chunks))
        expanded = [
            dimension
            for chunk, part in zip(chunks, parts, strict=True)
            for dimension in expand(part, [origins[index] for index in chunk])
        ]
        criteria = [(dimension.name, each) for dimension in expanded for each in dimension.criteria]
        if len(criteria) > SHRINKS * len(pool):
            return join(expanded, most, further)
        pool = tuple(Draft(each.statement, each.guidance, name) for name, each in criteria)
        origins = [each.members for _, each in criteria]
    (last,) = await ask((pool,))
    return tuple(expand(last, origins))


def split(pool: Sequence[Draft], most: int = CHUNK) -> list[list[int]]:
    """The indices of ``pool`` in as few chunks of at most ``most`` as possible, of nearly equal size."""
    order = sorted(range(len(pool)), key=lambda index: (normalised(pool[index].dimension), index))
    count = math.ceil(len(pool) / most)
    bounds = [round(part * len(pool) / count) for part in range(count + 1)]
    return [sorted(order[start:stop]) for start, stop in pairwise(bounds)]


def expand(dimensions: Dimensions, origins: Sequence[tuple[int, ...]]) -> list[StructuredDimension]:
    """The same dimensions with members that are what their members stood for."""
    return [
        replace(
            dimension,
            criteria=tuple(
                replace(each, members=tuple(index for member in each.members for index in origins[member]))
                for each in dimension.criteria
            ),
        )
        for dimension in dimensions
    ]


def join(dimensions: Sequence[StructuredDimension], most: int, further: str) -> Dimensions:
    """Dimensions of one name become one, the best supported first; a surplus goes to ``further``."""
    named: dict[str, StructuredDimension] = {}
    for dimension in dimensions:
        key = normalised(dimension.name)
        known = named.get(key)
        named[key] = replace(known, criteria=known.criteria + dimension.criteria) if known else dimension
    ordered = sorted(named.values(), key=lambda dimension: -_support(dimension.criteria))
    if len(ordered) <= most:
        return tuple(ordered)
    kept, surplus = ordered[: most - 1], ordered[most - 1 :]
    rest = tuple(criterion for dimension in surplus for criterion in dimension.criteria)
    return (*kept, StructuredDimension(further, rest))


def _support(criteria: Sequence[StructuredCriterion]) -> int:
    return sum(len(criterion.members) for criterion in criteria)
