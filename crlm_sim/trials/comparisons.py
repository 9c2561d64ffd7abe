"""Two-arm analyses of many trials at once.

`arrange` sorts the patients of every trial once; each comparison then reads its life tables, one
trial per thread. Estimates are signed as the field writes them (a log hazard ratio below 0 favours
the experimental arm); the scores of log-rank tests are positive if they favour it. A trial too
small for a comparison gives nan, and no test of nan rejects.

`outcomes.survival` reckons curves of whole days from counts; here times are real numbers and each
trial is small. Both have the same estimators, and a test holds them together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from crlm_sim.compiled import compiled, compiled_parallel
from crlm_sim.outcomes.hazards import cox, life_table
from crlm_sim.outcomes.survival import Estimate, wilson
from crlm_sim.trials.nonproportional import Weight
from crlm_sim.trials.normal import all_below
from crlm_sim.trials.spending import Floats

Integers = NDArray[np.int64]

LOG_RANK: tuple[Weight, ...] = ((0.0, 0.0),)


class Trials(NamedTuple):
    """Patients of each trial by stratum and time, the absent last: arrays (trials, patients)."""

    time: Floats
    event: Integers
    arm: Integers
    stratum: Integers
    number: Integers
    """Patients in the data, shape (trials,)."""
    strata: int


def arrange(
    time: ArrayLike, event: ArrayLike, arm: ArrayLike, stratum: ArrayLike | None = None
) -> Trials:
    """Sort the patients of each trial; arrays are (trials, patients), or (patients,) for one trial.

    A patient whose time is nan is not in the data. `arm` is 0 or 1; strata are whole numbers from
    0.
    """
    times = np.atleast_2d(np.asarray(time, dtype=np.float64))
    events, arms = np.asarray(event), np.asarray(arm)
    strata = np.zeros(times.shape, np.int64) if stratum is None else np.asarray(stratum)
    try:
        columns = [np.broadcast_to(column, times.shape) for column in (events, arms, strata)]
    except ValueError:
        raise ValueError("times, events, arms and strata have the same shape") from None
    if times.size == 0:
        raise ValueError("there are no patients to compare")
    if not ((arms == 0) | (arms == 1)).all():
        raise ValueError("arms are 0, the control, and 1")
    if (times < 0.0).any():
        raise ValueError("times are not below 0")
    if strata.min() < 0:
        raise ValueError("strata are numbered from 0")
    whole = [np.ascontiguousarray(column, dtype=np.int64) for column in columns]
    return _arrange(times, whole[0], whole[1], whole[2], int(strata.max()) + 1)


@compiled_parallel
def _arrange(time, event, arm, stratum, strata):
    trials, patients = time.shape
    number = np.empty(trials, np.int64)
    sorted_time = np.empty((trials, patients))
    columns = np.empty((3, trials, patients), np.int64)
    for trial in numba.prange(trials):
        order = np.argsort(time[trial])
        start = np.zeros(strata + 2, np.int64)
        for i in range(patients):
            place = strata if math.isnan(time[trial, i]) else stratum[trial, i]
            start[place + 1] += 1
        start = np.cumsum(start)
        number[trial] = start[strata]
        for i in order:
            place = strata if math.isnan(time[trial, i]) else stratum[trial, i]
            to = start[place]
            start[place] += 1
            sorted_time[trial, to] = time[trial, i]
            columns[0, trial, to] = event[trial, i]
            columns[1, trial, to] = arm[trial, i]
            columns[2, trial, to] = stratum[trial, i]
    return Trials(sorted_time, columns[0], columns[1], columns[2], number, strata)


@compiled
def _life_table(trials, trial):
    n = trials.number[trial]
    return life_table(
        trials.time[trial, :n],
        trials.event[trial, :n],
        trials.arm[trial, :n],
        trials.stratum[trial, :n],
    )


class LogRank(NamedTuple):
    """Weighted scores (trials, weights) and their covariance (trials, weights, weights)."""

    score: Floats
    covariance: Floats

    @property
    def z(self) -> Floats:
        """Standardised scores (trials, weights), nan where there was nothing to compare."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2)
        known = variance > 0.0
        return np.where(known, self.score / np.sqrt(np.where(known, variance, 1.0)), math.nan)


def log_rank(trials: Trials, weights: Sequence[Weight] = LOG_RANK) -> LogRank:
    """Fleming & Harrington's weighted log-rank statistics, stratified if the trials are.

    Weights use the pooled Kaplan–Meier curve of the stratum just before the event. The variance is
    the hypergeometric one; between weights the covariance is that of Karrison (2016).
    """
    powers = np.asarray(weights, dtype=np.float64).reshape(-1, 2)
    if (powers < 0.0).any():
        raise ValueError("the powers rho and gamma of a weight are not below 0")
    return LogRank(*_log_rank(trials, powers))


@compiled_parallel
def _log_rank(trials, powers):
    size = len(powers)
    score = np.zeros((len(trials.time), size))
    covariance = np.zeros((len(trials.time), size, size))
    for trial in numba.prange(len(trials.time)):
        _, strata, counts = _life_table(trials, trial)
        weight = np.empty(size)
        survival = 1.0
        for row in range(len(counts)):
            if row == 0 or strata[row] != strata[row - 1]:
                survival = 1.0
            dead = counts[row, 0] + counts[row, 1]
            at_risk = counts[row, 2] + counts[row, 3]
            share = counts[row, 3] / at_risk
            excess = dead * share - counts[row, 1]
            variance = 0.0
            if at_risk > 1:
                variance = dead * share * (1.0 - share) * (at_risk - dead) / (at_risk - 1)
            for i in range(size):
                weight[i] = survival ** powers[i, 0] * (1.0 - survival) ** powers[i, 1]
                score[trial, i] += weight[i] * excess
                for j in range(i + 1):
                    covariance[trial, i, j] += weight[i] * weight[j] * variance
            survival *= (at_risk - dead) / at_risk
        for i in range(size):
            for j in range(i):
                covariance[trial, j, i] = covariance[trial, i, j]
    return score, covariance


def max_combo(statistics: LogRank) -> Floats:
    """One-sided p of the largest of up to four weighted statistics, shape (trials,).

    The probability that the largest of normals with their estimated correlation is at least as
    large. nan where a statistic has no variance.
    """
    if statistics.score.shape[1] > 4:
        raise ValueError("MaxCombo takes at most four weights")
    return _max_combo(statistics.z, statistics.covariance)


@compiled_parallel
def _max_combo(z, covariance):
    trials, size = z.shape
    p = np.full(trials, math.nan)
    for trial in numba.prange(trials):
        largest = np.max(z[trial])
        if math.isnan(np.sum(z[trial])):
            continue
        correlation = np.empty((size, size))
        for i in range(size):
            for j in range(size):
                product = covariance[trial, i, i] * covariance[trial, j, j]
                correlation[i, j] = covariance[trial, i, j] / math.sqrt(product)
        p[trial] = 1.0 - all_below(np.full(size, largest), correlation)
    return p


def hazard_ratio(trials: Trials) -> tuple[Floats, Floats]:
    """(log hazard ratio, standard error) by Cox's model, stratified if the trials are.

    Both (trials,), ties by Efron. nan where one arm has no event.
    """
    return _hazard_ratio(trials)


@compiled_parallel
def _hazard_ratio(trials):
    value = np.empty(len(trials.time))
    error = np.empty(len(trials.time))
    for trial in numba.prange(len(trials.time)):
        value[trial], error[trial] = cox(_life_table(trials, trial)[2])
    return value, error


def restricted_mean_difference(
    trials: Trials, tau: float, corrected: bool = False
) -> tuple[Floats, Floats]:
    """(difference of the mean time lived up to tau, standard error), without strata.

    Both (trials,). Greenwood's variance as in survRM2; `corrected` multiplies an arm's by m / (m −
    1), m its events up to tau, as `outcomes.survival.restricted_mean` does. nan unless both arms
    are followed to tau.
    """
    _check_landmark(trials, tau)
    return _difference(trials, float(tau), True, corrected)


def survival_difference(trials: Trials, tau: float) -> tuple[Floats, Floats]:
    """(difference of Kaplan–Meier survival at tau, Greenwood's standard error), without strata.

    Both (trials,). nan unless both arms are followed to tau.
    """
    _check_landmark(trials, tau)
    return _difference(trials, float(tau), False, False)


def _check_landmark(trials: Trials, tau: float) -> None:
    if trials.strata > 1:
        raise ValueError("restricted means and landmarks are compared without strata")
    if tau <= 0.0:
        raise ValueError(f"tau is above 0 (got {tau:g})")


@compiled_parallel
def _difference(trials, tau, mean, corrected):
    value = np.empty(len(trials.time))
    error = np.empty(len(trials.time))
    for trial in numba.prange(len(trials.time)):
        n = trials.number[trial]
        when, _, counts = _life_table(trials, trial)
        last = np.zeros(2)
        for i in range(n):
            last[trials.arm[trial, i]] = trials.time[trial, i]
        value_0, variance_0 = _of_arm(when, counts, 0, last[0], tau, mean, corrected)
        value_1, variance_1 = _of_arm(when, counts, 1, last[1], tau, mean, corrected)
        value[trial] = value_1 - value_0
        error[trial] = math.sqrt(variance_0 + variance_1)
    return value, error


@compiled
def _of_arm(when, counts, arm, last, tau, mean, corrected):
    """(restricted mean or survival, variance) of an arm followed to `last`, at tau."""
    rows = np.searchsorted(when, tau, "right")
    survival = np.ones(rows + 1)
    noise, events = 0.0, 0
    for row in range(rows):
        dead, at_risk = counts[row, arm], counts[row, 2 + arm]
        survival[row + 1] = survival[row] * (at_risk - dead) / at_risk if dead else survival[row]
        events += dead
        if at_risk > dead:
            noise += dead / (at_risk * (at_risk - dead))
    if last < tau and survival[rows] > 0.0:
        return math.nan, math.nan
    if not mean:
        return survival[rows], survival[rows] ** 2 * noise
    area, variance = 0.0, 0.0
    until = tau
    for row in range(rows - 1, -1, -1):
        area += survival[row + 1] * (until - when[row])
        until = when[row]
        dead, at_risk = counts[row, arm], counts[row, 2 + arm]
        if at_risk > dead:
            variance += area**2 * dead / (at_risk * (at_risk - dead))
    if corrected and events > 1:
        variance *= events / (events - 1)
    return area + until, variance


def risk_difference(
    control: ArrayLike, control_patients: ArrayLike, other: ArrayLike, other_patients: ArrayLike
) -> tuple[Floats, Floats]:
    """(difference of proportions, Wald's standard error) from counts of any common shape."""
    share_0, share_1, n_0, n_1 = _shares(control, control_patients, other, other_patients)
    variance = share_0 * (1.0 - share_0) / n_0 + share_1 * (1.0 - share_1) / n_1
    return share_1 - share_0, np.sqrt(variance)


def _shares(
    control: ArrayLike, control_patients: ArrayLike, other: ArrayLike, other_patients: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    x_0, n_0, x_1, n_1 = (
        np.asarray(count, dtype=np.float64)
        for count in (control, control_patients, other, other_patients)
    )
    if (n_0 <= 0.0).any() or (n_1 <= 0.0).any():
        raise ValueError("each arm has patients")
    if ((x_0 > n_0) | (x_1 > n_1)).any() or (x_0 < 0.0).any() or (x_1 < 0.0).any():
        raise ValueError("an arm has no more events than patients, and not fewer than 0")
    return x_0 / n_0, x_1 / n_1, n_0, n_1


def newcombe(
    control: int, control_patients: int, other: int, other_patients: int, level: float = 0.95
) -> Estimate:
    """Difference of proportions with Newcombe's hybrid score interval (method 10, 1998)."""
    low = wilson(control, control_patients, level)
    high = wilson(other, other_patients, level)
    value = high.estimate - low.estimate
    down = math.hypot(high.estimate - high.lower, low.upper - low.estimate)
    up = math.hypot(high.upper - high.estimate, low.estimate - low.lower)
    return Estimate(value, value - down, value + up)


def farrington_manning(
    control: ArrayLike,
    control_patients: ArrayLike,
    other: ArrayLike,
    other_patients: ArrayLike,
    null: float = 0.0,
) -> Floats:
    """z of the difference of proportions against the null difference, of any common shape.

    The variance is that of the most likely proportions whose difference is the null's (Farrington &
    Manning, Stat Med 1990). A non-inferiority margin of a proportion of successes is a null below
    0. nan where that variance is 0.
    """
    if not -1.0 < null < 1.0:
        raise ValueError(f"a null difference of proportions is between -1 and 1 (got {null:g})")
    share_0, share_1, n_0, n_1 = _shares(control, control_patients, other, other_patients)
    ratio = n_0 / n_1
    a = 1.0 + ratio
    b = -(1.0 + ratio + share_1 + ratio * share_0 + null * (ratio + 2.0)) / (3.0 * a)
    c = (null**2 + null * (2.0 * share_1 + ratio + 1.0) + share_1 + ratio * share_0) / a
    d = -share_1 * null * (1.0 + null) / a
    # The cubic x³ + 3 b x² + c x + d has three real roots; the middle one is the proportion.
    v = b**3 - b * c / 2.0 + d / 2.0
    u = np.where(v >= 0.0, 1.0, -1.0) * np.sqrt(np.maximum(b**2 - c / 3.0, 0.0))
    cosine = np.divide(v, u**3, out=np.ones_like(v), where=u != 0.0)
    angle = (math.pi + np.arccos(np.clip(cosine, -1.0, 1.0))) / 3.0
    likely_1 = np.clip(2.0 * u * np.cos(angle) - b, max(0.0, null), min(1.0, 1.0 + null))
    likely_0 = likely_1 - null
    variance = likely_1 * (1.0 - likely_1) / n_1 + likely_0 * (1.0 - likely_0) / n_0
    known = variance > 0.0
    excess = share_1 - share_0 - null
    return np.where(known, excess / np.sqrt(np.where(known, variance, 1.0)), math.nan)
