"""Allocation: exact balance where it is promised, chance where it is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from crlm_sim.trials.allocation import minimisation, permuted_blocks, simple

TRIALS = np.arange(200)
SEEDS = st.integers(0, 2**32 - 1)


def levels(trials, patients, numbers, seed=1):
    """Random levels of factors with these numbers of levels, (trials, patients, factors)."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, number, (trials, patients)) for number in numbers], axis=-1)


@given(SEEDS, st.sampled_from([(1, 1), (2, 1), (1, 2, 3)]), st.integers(1, 3))
def test_every_block_of_every_stratum_is_in_exact_ratio(seed, ratio, times):
    size = sum(ratio) * times
    strata = levels(3, 90, [3], seed)[..., 0]
    arms = permuted_blocks(seed, 0, np.arange(3), strata, [size], ratio)
    for trial in range(3):
        for stratum in range(3):
            mine = arms[trial, strata[trial] == stratum]
            for start in range(0, len(mine) - size + 1, size):
                counts = np.bincount(mine[start : start + size], minlength=len(ratio))
                assert (counts == np.array(ratio) * times).all()


@given(SEEDS)
def test_blocks_of_random_size_are_never_further_apart_than_half_the_largest(seed):
    arms = permuted_blocks(seed, 0, np.arange(2), np.zeros((2, 100), int), [2, 4, 6])
    apart = np.cumsum(2 * arms - 1, axis=1)
    assert np.abs(apart).max() <= 3
    assert len(np.unique(arms)) == 2


def test_every_order_of_a_block_is_equally_likely():
    # 20,000 blocks of six orders; p below 1e-4 for one seed in 10,000, and the seed is fixed.
    arms = permuted_blocks(1, 0, np.arange(20_000), np.zeros((20_000, 4), int))
    orders, counts = np.unique(arms @ [8, 4, 2, 1], return_counts=True)
    assert len(orders) == 6
    assert chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("ratio", [(1, 1), (2, 1), (1, 1, 2)])
def test_simple_allocation_keeps_the_ratio_by_chance_alone(ratio):
    arms = simple(2, 0, TRIALS, 200, ratio)
    expected = 40_000 * np.array(ratio) / sum(ratio)
    counts = np.bincount(arms.ravel())
    assert chisquare(counts, expected).pvalue > 1e-4
    # Totals of trials spread as those of a coin do: the variance to four errors of √(2/200).
    spread = (arms == 0).sum(axis=1).var(ddof=1)
    share = ratio[0] / sum(ratio)
    assert spread == pytest.approx(200 * share * (1 - share), rel=0.4)


@given(SEEDS, st.integers(1, 4))
def test_strict_minimisation_by_one_factor_keeps_every_level_within_one(seed, number):
    factor = levels(3, 80, [number], seed)
    arms = minimisation(seed, 0, np.arange(3), factor, probability=1.0)
    for trial in range(3):
        for level in range(number):
            signs = np.where(factor[trial, :, 0] == level, 2 * arms[trial] - 1, 0)
            assert np.abs(np.cumsum(signs)).max() <= 1


def imbalance(arms, factors):
    """Largest difference between two arms over all levels of all factors, mean over trials."""
    worst = [
        max(
            abs(int(np.sum((2 * arms[trial] - 1)[factors[trial, :, factor] == level])))
            for factor in range(factors.shape[2])
            for level in range(factors[..., factor].max() + 1)
        )
        for trial in range(len(arms))
    ]
    return np.mean(worst), np.max(worst)


def test_minimisation_by_four_factors_balances_them_all():
    factors = levels(200, 200, [2, 3, 2, 4])
    strict, worst = imbalance(minimisation(3, 0, TRIALS, factors, 1.0), factors)
    usual, _ = imbalance(minimisation(3, 0, TRIALS, factors, 0.8), factors)
    chance, _ = imbalance(simple(3, 0, TRIALS, 200), factors)
    assert worst <= 8
    assert strict < usual < 0.5 * chance


def test_minimisation_does_not_drift_apart_as_trials_grow():
    # The imbalance of a coin grows with the root of the patients; this one stays where it is.
    factors = levels(100, 1000, [2, 2, 3])
    arms = minimisation(4, 0, np.arange(100), factors)
    early = imbalance(arms[:, :250], factors[:, :250])[0]
    assert imbalance(arms, factors)[0] < 1.4 * early


def test_minimisation_follows_the_ratio():
    factors = levels(50, 300, [2, 2])
    arms = minimisation(5, 0, np.arange(50), factors, 0.9, (2, 1))
    totals = np.array([(arms == arm).sum(axis=1) for arm in (0, 1)])
    assert np.abs(totals[0] - 2 * totals[1]).max() <= 24
    assert totals[0].mean() == pytest.approx(200.0, abs=2.0)


def test_a_coin_of_a_half_makes_minimisation_a_coin():
    # Both arms are then equally likely whatever came before: 40,000 patients, p as above.
    arms = minimisation(6, 0, TRIALS, levels(200, 200, [2, 3]), 0.5)
    same = arms[:, 1:] == arms[:, :-1]
    assert same.mean() == pytest.approx(0.5, abs=4.0 * 0.5 / np.sqrt(same.size))


def test_a_trial_does_not_depend_on_the_trials_beside_it():
    strata = levels(20, 40, [3])
    for allocate in (
        lambda numbers: simple(7, 2, numbers, 40),
        lambda numbers: permuted_blocks(7, 2, numbers, strata[numbers, :, 0], [2, 4]),
        lambda numbers: minimisation(7, 2, numbers, strata[numbers]),
    ):
        np.testing.assert_array_equal(allocate(np.arange(20))[11:13], allocate(np.array([11, 12])))
        assert (allocate(np.arange(20))[0] != allocate(np.arange(20))[1]).any()


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: simple(1, 0, [0], 10, (1,)), "two or more arms"),
        (lambda: simple(1, 0, [0], 10, (1, 0)), "whole number above 0"),
        (
            lambda: permuted_blocks(1, 0, [0], np.zeros((1, 8), int), [5], (2, 1)),
            "multiples of 3",
        ),
        (lambda: permuted_blocks(1, 0, [0], np.zeros((2, 8), int)), "with 1 trials"),
        (lambda: permuted_blocks(1, 0, [0], -np.ones((1, 8), int)), "numbered from 0"),
        (lambda: minimisation(1, 0, [0], np.zeros((1, 8), int)), "trials, patients, factors"),
        (lambda: minimisation(1, 0, [0], np.zeros((1, 8, 1), int), 0.3), "probability 0.5 to 1"),
    ],
)
def test_what_cannot_be_allocated_is_refused_in_words(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()
