"""Hard pairs: which of the pairs that the current weights rank wrongly are looked at again, and when.

Section 4.2.3 of arXiv 2605.17602 divides them into three buckets and moves from one to another over the
rounds; the shares and the percentiles here are arrkit's own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from arrkit.rubric.sparse.refiner import Floats

MOST_MINED = 4
"""A pair is looked at so often at the most: what was not explained by then is noise or not to be learned."""
SMALL_PERCENTILE = 50.0
"""Among wrongly ranked pairs, a margin up to this percentile of the absolute margins is small."""
HIGH_PERCENTILE = 60.0
"""A reward from this percentile of all rewards on is high."""


class Bucket(StrEnum):
    """How a pair is ranked wrongly."""

    LARGE = "large"
    """By a large margin: the criteria contradict people with confidence, so something major is missing."""
    SMALL = "small"
    """By a small margin: a subtle distinction is missing."""
    HIGH = "high"
    """Although both images have a high reward: a finer distinction is missing."""


_FIRST = {Bucket.LARGE: 0.6, Bucket.SMALL: 0.3, Bucket.HIGH: 0.1}
_LAST = {Bucket.LARGE: 0.1, Bucket.SMALL: 0.3, Bucket.HIGH: 0.6}


@dataclass(frozen=True, slots=True)
class Mined:
    """A pair to look at again: its row, and why."""

    row: int
    bucket: Bucket


def bucket_pairs(preferred: Floats, other: Floats) -> dict[int, Bucket]:
    """The wrongly ranked pairs by row, each in one bucket; a pair of high rewards is in that one.

    A pair is ranked wrongly where the preferred image's reward is not above the other's.

    Args:
        preferred, other: rewards of both images, shape (pairs,).
    """
    margins = preferred - other
    wrong = np.flatnonzero(margins <= 0)
    if not len(wrong):
        return {}
    high = float(np.percentile(np.concatenate([preferred, other]), HIGH_PERCENTILE))
    small = float(np.percentile(np.abs(margins[wrong]), SMALL_PERCENTILE))
    found = {}
    for row in wrong.tolist():
        if min(preferred[row], other[row]) >= high and high > 0:
            found[row] = Bucket.HIGH
        else:
            found[row] = Bucket.SMALL if abs(margins[row]) <= small else Bucket.LARGE
    return found


def bucket_shares(round_: int, rounds: int) -> dict[Bucket, float]:
    """What share of a round's hard pairs each bucket gives: from large margins first to high rewards last.

    ``round_`` counts from 0; the last round that mines is ``rounds - 1``.
    """
    progress = round_ / (rounds - 1) if rounds > 1 else 0.0
    return {bucket: (1 - progress) * _FIRST[bucket] + progress * _LAST[bucket] for bucket in Bucket}


def mine_pairs(
    preferred: Floats,
    other: Floats,
    mined: Mapping[int, int],
    *,
    count: int,
    round_: int,
    rounds: int,
    seed: int,
) -> tuple[Mined, ...]:
    """At most ``count`` hard pairs of a round, drawn by ``seed`` within each bucket, in the order of rows.

    What a bucket cannot give the others make up for, in the order of their shares.

    Args:
        preferred, other: as for :func:`bucket_pairs`.
        mined: how often each row was mined before; those at :data:`MOST_MINED` are left out.
        count: how many pairs to look at.
        round_, rounds: as for :func:`bucket_shares`.
        seed: decides which pairs are drawn.
    """
    buckets: dict[Bucket, list[int]] = {bucket: [] for bucket in Bucket}
    for row, bucket in bucket_pairs(preferred, other).items():
        if mined.get(row, 0) < MOST_MINED:
            buckets[bucket].append(row)
    dice = random.Random(f"hard pairs/{seed}/{round_}")  # noqa: S311  a seeded draw, no secret
    for rows in buckets.values():
        dice.shuffle(rows)
        rows.sort(key=lambda row: mined.get(row, 0))  # those not yet looked at first
    shares = bucket_shares(round_, rounds)
    taken: dict[Bucket, int] = {
        bucket: min(len(rows), round(shares[bucket] * count)) for bucket, rows in buckets.items()
    }
    for bucket in sorted(Bucket, key=lambda each: -shares[each]):
        free = count - sum(taken.values())
        taken[bucket] += max(min(free, len(buckets[bucket]) - taken[bucket]), -taken[bucket])
    chosen = [Mined(row, bucket) for bucket, rows in buckets.items() for row in rows[: taken[bucket]]]
    return tuple(sorted(chosen, key=lambda each: each.row))
