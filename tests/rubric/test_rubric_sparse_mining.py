"""Hard pairs: the buckets, the curriculum, and how often a pair may be looked at."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arrkit.rubric.sparse.mining import MOST_MINED, Bucket, bucket_pairs, bucket_shares, mine_pairs


def world(seed=0, pairs=400):
    dice = np.random.default_rng(seed)
    return dice.random(pairs), dice.random(pairs)


def test_each_wrongly_ranked_pair_is_in_one_bucket_and_no_other_pair_is():
    preferred, other = world()
    found = bucket_pairs(preferred, other)
    assert set(found) == set(np.flatnonzero(preferred <= other).tolist())
    margins = np.abs(preferred - other)
    largest = {bucket: max(margins[row] for row in found if found[row] is bucket) for bucket in Bucket}
    least = min(margins[row] for row in found if found[row] is Bucket.LARGE)
    assert largest[Bucket.SMALL] <= least
    low = [min(preferred[row], other[row]) for row in found if found[row] is Bucket.HIGH]
    assert min(low) > np.median([*preferred, *other])


def test_a_tie_is_wrong_and_rewards_of_nothing_are_not_high():
    assert bucket_pairs(np.zeros(3), np.zeros(3)) == dict.fromkeys(range(3), Bucket.SMALL)
    assert bucket_pairs(np.ones(3), np.zeros(3)) == {}


def test_the_curriculum_moves_from_large_margins_to_high_rewards():
    shares = [bucket_shares(number, 5) for number in range(5)]
    assert all(abs(sum(each.values()) - 1) < 1e-9 for each in shares)
    large, high = ([each[bucket] for each in shares] for bucket in (Bucket.LARGE, Bucket.HIGH))
    assert large == sorted(large, reverse=True)
    assert high == sorted(high)
    assert max(shares[0], key=shares[0].__getitem__) is Bucket.LARGE
    assert max(shares[-1], key=shares[-1].__getitem__) is Bucket.HIGH
    assert bucket_shares(0, 1) == shares[0]

    def mined(number):
        drawn = mine_pairs(*world(), {}, count=20, round_=number, rounds=5, seed=0)
        return Counter(each.bucket for each in drawn)

    assert mined(0) == {Bucket.LARGE: 12, Bucket.SMALL: 6, Bucket.HIGH: 2}
    assert mined(4) == {Bucket.LARGE: 2, Bucket.SMALL: 6, Bucket.HIGH: 12}


def test_a_pair_is_looked_at_four_times_at_the_most():
    preferred, other = np.zeros(6), np.ones(6)
    counted: Counter[int] = Counter()
    for number in range(10):
        chosen = mine_pairs(preferred, other, counted, count=4, round_=number, rounds=10, seed=1)
        counted.update(each.row for each in chosen)
    assert counted == dict.fromkeys(range(6), MOST_MINED)
    assert MOST_MINED == 4


def test_the_draw_hangs_on_the_seed_alone_and_prefers_pairs_not_yet_looked_at():
    def rows(seed, mined=()):
        drawn = mine_pairs(*world(), dict.fromkeys(mined, 1), count=20, round_=1, rounds=4, seed=seed)
        return [each.row for each in drawn]

    assert rows(0) == rows(0) != rows(1)
    assert not set(rows(0, rows(0))) & set(rows(0))


@given(st.integers(0, 1000), st.integers(0, 40), st.integers(0, 6))
def test_never_more_than_asked_for_and_as_many_as_there_are(seed, pairs, count):
    preferred, other = world(seed, pairs)
    chosen = mine_pairs(preferred, other, {}, count=count, round_=0, rounds=3, seed=seed)
    wrong = int((preferred <= other).sum())
    assert len(chosen) == len({each.row for each in chosen}) == min(count, wrong)
