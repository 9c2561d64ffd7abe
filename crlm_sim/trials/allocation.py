"""Who gets which arm: simple, permuted blocks by stratum, minimisation.

Every function gives arms of shape (trials, patients), patients in the order of enrolment. `trials`
are the numbers of the trials, shape (trials,): a draw belongs to a patient of a trial, so that it
does not matter in which blocks the trials are worked on. `ratio` has a share for each arm, the
control first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from crlm_sim.compiled import compiled, compiled_parallel
from crlm_sim.streams import ALLOCATION, uniform_pair_at

Integers = NDArray[np.int64]

_EQUAL = 1e-9
"""Imbalances closer than this are the same: with unequal ratios they are sums of fractions."""


def _check_ratio(ratio: Sequence[int]) -> Integers:
    parts = np.asarray(ratio)
    if parts.ndim != 1 or len(parts) < 2 or (parts < 1).any() or (parts != np.floor(parts)).any():
        raise ValueError("a ratio has a whole number above 0 for each of two or more arms")
    return parts.astype(np.int64)


def _check_levels(levels: ArrayLike, trials: Integers, axes: int, what: str) -> Integers:
    values = np.asarray(levels)
    if values.ndim != axes or values.shape[0] != len(trials):
        shape = "(trials, patients)" if axes == 2 else "(trials, patients, factors)"
        raise ValueError(f"{what} have shape {shape}, with {len(trials)} trials")
    if values.size and values.min() < 0:
        raise ValueError(f"{what} are numbered from 0")
    return np.ascontiguousarray(values, dtype=np.int64)


@compiled
def _pick(weights, u):
    """The index that u in (0, 1) falls upon, with these weights."""
    rest = u * np.sum(weights)
    last = 0
    for i in range(len(weights)):
        if weights[i] > 0:
            last = i
            if rest < weights[i]:
                return i
            rest -= weights[i]
    return last


def simple(
    seed: int, draw: int, trials: ArrayLike, patients: int, ratio: Sequence[int] = (1, 1)
) -> Integers:
    """Each patient by a coin of the ratio."""
    numbers = np.asarray(trials, dtype=np.int64)
    return _simple(seed, draw, numbers, patients, _check_ratio(ratio))


@compiled_parallel
def _simple(seed, draw, trials, patients, ratio):
    arms = np.empty((len(trials), patients), np.int64)
    for trial in numba.prange(len(trials)):
        for patient in range(patients):
            u, _ = uniform_pair_at(seed, draw, patient, trials[trial], ALLOCATION, 0)
            arms[trial, patient] = _pick(ratio, u)
    return arms


def permuted_blocks(
    seed: int,
    draw: int,
    trials: ArrayLike,
    strata: ArrayLike,
    sizes: Sequence[int] = (4,),
    ratio: Sequence[int] = (1, 1),
) -> Integers:
    """Blocks within strata (trials, patients), each of a size drawn from `sizes`, in exact ratio.

    A patient is drawn from what is left of the block, which makes every order of it equally likely.
    """
    numbers = np.asarray(trials, dtype=np.int64)
    parts = _check_ratio(ratio)
    lengths = np.asarray(sizes)
    if not lengths.size or (lengths < 1).any() or (lengths % parts.sum() != 0).any():
        raise ValueError(f"sizes of blocks are multiples of {parts.sum()}, the sum of the ratio")
    places = _check_levels(strata, numbers, 2, "strata")
    return _permuted_blocks(seed, draw, numbers, places, lengths.astype(np.int64), parts)


@compiled_parallel
def _permuted_blocks(seed, draw, trials, strata, sizes, ratio):
    arms = np.empty(strata.shape, np.int64)
    number = 1 + np.max(strata) if strata.size else 0
    for trial in numba.prange(len(trials)):
        left = np.zeros((number, len(ratio)), np.int64)
        for patient in range(strata.shape[1]):
            block = left[strata[trial, patient]]
            u, v = uniform_pair_at(seed, draw, patient, trials[trial], ALLOCATION, 0)
            if np.sum(block) == 0:
                size = sizes[int(v * len(sizes))]
                block[:] = ratio * (size // np.sum(ratio))
            arm = _pick(block, u)
            block[arm] -= 1
            arms[trial, patient] = arm
    return arms


def minimisation(
    seed: int,
    draw: int,
    trials: ArrayLike,
    factors: ArrayLike,
    probability: float = 0.8,
    ratio: Sequence[int] = (1, 1),
) -> Integers:
    """Pocock & Simon 1975: the arm that leaves the smallest imbalance, with this probability.

    `factors` holds the level of each patient in each factor, (trials, patients, factors). The
    imbalance is the sum over factors of the range over arms of (patients of that level / the arm's
    share of the ratio). Among equal arms, and among the others, the ratio decides.
    """
    numbers = np.asarray(trials, dtype=np.int64)
    parts = _check_ratio(ratio)
    if not 0.5 <= probability <= 1.0:
        raise ValueError(
            f"minimisation is followed with probability 0.5 to 1 (got {probability:g})"
        )
    levels = _check_levels(factors, numbers, 3, "levels of factors")
    return _minimisation(seed, draw, numbers, levels, probability, parts)


@compiled_parallel
def _minimisation(seed, draw, trials, levels, probability, ratio):
    _, patients, factors = levels.shape
    number = 1 + np.max(levels) if levels.size else 0
    arms = np.empty((len(trials), patients), np.int64)
    for trial in numba.prange(len(trials)):
        counts = np.zeros((factors, number, len(ratio)), np.int64)
        for patient in range(patients):
            imbalance = _imbalances(counts, levels[trial, patient], ratio)
            best = imbalance <= np.min(imbalance) + _EQUAL
            u, v = uniform_pair_at(seed, draw, patient, trials[trial], ALLOCATION, 0)
            if u >= probability and not np.all(best):
                best = ~best
            arm = _pick(ratio * best, v)
            for factor in range(factors):
                counts[factor, levels[trial, patient, factor], arm] += 1
            arms[trial, patient] = arm
    return arms


@compiled
def _imbalances(counts, level, ratio):
    """What the imbalance would be with the next patient in each arm."""
    total = np.zeros(len(ratio))
    for arm in range(len(ratio)):
        for factor in range(len(level)):
            so_far = counts[factor, level[factor]]
            least, most = np.inf, -np.inf
            for other in range(len(ratio)):
                share = (so_far[other] + (other == arm)) / ratio[other]
                least, most = min(least, share), max(most, share)
            total[arm] += most - least
    return total
