"""Rates, tests and resampling, against values known from elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from arrkit.judge.stats import (
    Floats,
    bootstrap,
    bootstrap_rate,
    cohens_kappa,
    mcnemar_exact,
    resample,
    wilson,
    wilson_bounds,
)


def mean_of(values: list[float]):
    """The mean as a statistic over cells that stand for these values."""

    def statistic(samples: Floats) -> Floats:
        return samples @ np.array(values) / samples.sum(axis=1)

    return statistic


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes, n, low, high):
    rate = wilson(successes, n)
    assert rate.value == successes / n
    assert rate.n == n
    assert rate.low == pytest.approx(low, abs=5e-5)
    assert rate.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_wilson_holds_its_share_and_stays_a_share(n, share):
    rate = wilson(share * n, n)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    mirrored = wilson(n - share * n, n)
    assert mirrored.low == pytest.approx(1 - rate.high, abs=1e-9)
    # It is the set of shares p that a normal test with p's own variance does not reject.
    for end in (rate.low, rate.high):
        if 1e-9 < end < 1 - 1e-9:
            assert abs(rate.value - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, abs=1e-4)


def test_a_rate_of_nothing_does_not_exist():
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, -1)])
def test_more_successes_than_trials_are_refused(successes, n):
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, n)


def test_an_effective_sample_may_be_fractional():
    low, high = wilson_bounds(0.5, 10.5)
    assert wilson_bounds(0.5, 10)[0] < low < wilson_bounds(0.5, 11)[0]
    assert low + high == pytest.approx(1)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_binomial_test(b, c):
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


def test_mcnemar_bears_large_counts():
    assert mcnemar_exact(50_000, 50_300) == pytest.approx(binomtest(50_000, 100_300).pvalue, rel=1e-6)
    assert mcnemar_exact(0, 100_000) == 0.0


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(ValueError, match="-1"):
        mcnemar_exact(-1, 3)


def test_kappa_of_a_table_worked_by_hand():
    # Observed agreement 0.7, chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    assert cohens_kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([[5, 0, 0], [0, 3, 0], [0, 0, 2]], 1.0),
        ([[0, 5], [5, 0]], -1.0),
        ([[4, 6], [4, 6]], 0.0),
        ([[7, 0], [0, 0]], None),
        ([[0, 0], [0, 0]], None),
    ],
)
def test_kappa_at_its_ends(table, kappa):
    assert cohens_kappa(table) == (None if kappa is None else pytest.approx(kappa, abs=1e-12))


@pytest.mark.parametrize("table", [[[1, 2, 3], [4, 5, 6]], [1, 2], [[1, -1], [0, 2]]])
def test_kappa_refuses_what_is_no_square_of_counts(table):
    with pytest.raises(ValueError, match="square"):
        cohens_kappa(table)


@given(st.lists(st.integers(0, 50), min_size=9, max_size=9), st.permutations(range(3)))
def test_kappa_does_not_depend_on_the_names_of_categories(cells, order):
    table = np.array(cells).reshape(3, 3)
    renamed = cohens_kappa(table[np.ix_(order, order)])
    kappa = cohens_kappa(table)
    if kappa is None:
        assert renamed is None
    else:
        assert -1 <= kappa <= 1 + 1e-12
        assert renamed == pytest.approx(kappa, abs=1e-9)
        assert cohens_kappa(table.T) == pytest.approx(kappa, abs=1e-9)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), st.integers(0, 5))
@settings(max_examples=30)
def test_a_resample_has_as_many_pairs_in_cells_that_were_seen(counts, seed):
    draws = resample(counts, 50, seed)
    assert draws.shape == (50, len(counts))
    assert (draws.sum(axis=1) == sum(counts)).all()
    assert (draws[:, np.array(counts) == 0] == 0).all()


def test_bootstrap_is_decided_by_its_seed():
    statistic = mean_of([0.0, 0.5, 1.0])
    counts = [3001, 2003, 4999]
    one = bootstrap(counts, statistic, seed=1)
    assert one == bootstrap(counts, statistic, seed=1)
    assert one != bootstrap(counts, statistic, seed=2)


def test_bootstrap_over_cells_agrees_with_resampling_every_pair():
    values = np.repeat([0.0, 0.5, 1.0], [30, 20, 50])
    drawn = np.random.default_rng(0).choice(values, (20_000, 100)).mean(axis=1)
    low, high = bootstrap([30, 20, 50], mean_of([0.0, 0.5, 1.0]), resamples=20_000)
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=0.01)


def test_bootstrap_approaches_the_normal_interval_of_a_mean():
    low, high = bootstrap([4000, 6000], mean_of([0.0, 1.0]), resamples=20_000)
    half = 1.96 * math.sqrt(0.24 / 10_000)
    assert low == pytest.approx(0.6 - half, abs=half * 0.05)
    assert high == pytest.approx(0.6 + half, abs=half * 0.05)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    truth, covered, trials = 0.1 * -1 + 0.3 * 1, 0, 400
    for trial in range(trials):
        counts = rng.multinomial(200, (0.1, 0.6, 0.3))
        low, high = bootstrap(counts, mean_of([-1.0, 0.0, 1.0]), resamples=500, seed=trial)
        covered += low <= truth <= high
    assert 0.91 <= covered / trials <= 0.985


def test_bootstrap_leaves_out_resamples_without_a_value():
    def sometimes(samples: Floats) -> Floats:
        return np.where(samples[:, 0] > 1, 0.25, np.nan)

    assert bootstrap([2, 2], sometimes) == (0.25, 0.25)
    with pytest.raises(ValueError, match="no resample"):
        bootstrap([2, 2], lambda samples: np.full(len(samples), np.nan))


@given(st.floats(-1, 1), st.integers(1, 10_000))
def test_pairs_that_are_all_alike_still_leave_doubt(value, n):
    rate = bootstrap_rate(value, np.full(10, value), n, floor=-1.0)
    assert -1 <= rate.low <= rate.value <= rate.high <= 1
    # No share of other pairs above the 97.5 % (Wilson) bound is ruled out by n alike pairs.
    assert rate.high - rate.low == pytest.approx(2 * wilson(0, n).high, abs=1e-9)


def test_a_statistic_that_does_not_exist_has_no_rate():
    assert bootstrap_rate(math.nan, np.full(3, math.nan), 5, floor=0.0) is None
