"""Power and size where hazards need not be proportional.

Two roads. The average hazard ratio (Kalbfleisch & Prentice 1981, as used by Mukhopadhyay et al.
2020) keeps the formulas of the ordinary log-rank test. Yung & Liu (Biometrics 2020) give the large-
sample mean and variance of weighted log-rank statistics, of the restricted mean and of survival at
a landmark from the probabilities of being at risk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from crlm_sim.trials.boundaries import (
    Crossing,
    check_error,
    crossing,
    efficacy_bounds,
)
from crlm_sim.trials.spending import Floats, Spending
from crlm_sim.trials.timing import (
    Accrual,
    Arm,
    Truth,
    cumulative,
    events_by_interval,
)

Weight = tuple[float, float]
"""Fleming & Harrington's (rho, gamma): S^rho (1 − S)^gamma, S the pooled survival just before."""

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(40)


def _common_cuts(truth: Truth) -> tuple[Arm, Arm]:
    """Both arms on the intervals of both."""
    starts = np.union1d(truth.control.starts, truth.experimental.starts)
    refined = []
    for group in (truth.control, truth.experimental):
        place = np.searchsorted(group.starts, starts, side="right") - 1
        refined.append(Arm(starts, group.event[place], group.dropout[place]))
    return refined[0], refined[1]


@dataclass(frozen=True)
class Average:
    """At each analysis, arrays of shape (analyses,).

    The estimated log hazard ratio has mean log `hazard_ratio` and variance 1 / `information`; the
    test takes its variance as 1 / `null_information`.
    """

    events: Floats
    hazard_ratio: Floats
    information: Floats
    null_information: Floats

    def scaled(self, factor: float) -> Average:
        """With this many times the patients."""
        return Average(
            self.events * factor,
            self.hazard_ratio,
            self.information * factor,
            self.null_information * factor,
        )


def average_hazard_ratio(truth: Truth, times: ArrayLike) -> Average:
    """Events and their average hazard ratio at calendar times, shape (analyses,).

    The log ratio is the mean over intervals of constant hazards, weighted by their events; the
    information is the sum over intervals of 1 / (1/events of one arm + 1/events of the other).
    """
    first, second = _common_cuts(truth)
    if (second.event <= 0.0).any() or (first.event <= 0.0).any():
        raise ValueError("an average hazard ratio needs hazards above 0 in both arms")
    parts = truth.shares
    when = np.atleast_1d(np.asarray(times, dtype=np.float64))
    of_control = parts[0] * events_by_interval(truth.accrual, first, when)
    of_experimental = parts[1] * events_by_interval(truth.accrual, second, when)
    both = of_control + of_experimental
    events = both.sum(-1)
    if (events <= 0.0).any():
        raise ValueError("no events are expected by the first analysis")
    log_ratio = both @ np.log(second.event / first.event) / events
    product = of_control * of_experimental
    information = np.divide(product, both, out=np.zeros_like(both), where=both > 0.0).sum(-1)
    return Average(events, np.exp(log_ratio), information, events * parts[0] * parts[1])


def average_crossing(average: Average, upper: ArrayLike, null: float = 1.0) -> Crossing:
    """Probabilities of crossing the upper bounds (analyses,) of the log-rank test."""
    ratio = np.sqrt(average.information / average.null_information)
    means = np.log(null / average.hazard_ratio) * np.sqrt(average.information)
    return crossing(average.information, np.asarray(upper) * ratio, None, means)


def average_design(
    average: Average, alpha: float, beta: float, spending: Spending, null: float = 1.0
) -> tuple[float, Floats]:
    """(how many times the patients, upper bounds) that give power 1 − beta at the last analysis."""
    check_error(beta, "beta")
    upper = efficacy_bounds(
        average.null_information / average.null_information[-1], alpha, spending
    )
    return _factor(lambda k: average_crossing(average.scaled(k), upper, null).power, beta), upper


def _factor(power: Callable[[float], float], beta: float) -> float:
    """The multiple of patients for which power is 1 − beta; ValueError if none is."""
    from scipy.optimize import brentq

    low, high = 1e-6, 1e6
    if power(high) < 1.0 - beta or power(low) > 1.0 - beta:
        raise ValueError(
            "no number of patients gives this power: is there an effect, the right way?"
        )
    found = brentq(lambda x: power(math.exp(x)) - (1.0 - beta), math.log(low), math.log(high),
                   xtol=1e-13, rtol=1e-14)  # fmt: skip
    return math.exp(found)


@dataclass(frozen=True)
class Weighted:
    """Weighted log-rank statistics for each patient of both arms.

    n patients give statistics with means n `mean` (weights,) and covariance n `covariance`
    (weights, weights). `null_variance` (weights,) holds if both arms had the mean of their hazards.
    `events` is the probability that a patient has one.
    """

    mean: Floats
    covariance: Floats
    null_variance: Floats
    events: float

    @property
    def drift(self) -> Floats:
        """Mean of each z for one patient, (weights,): times the root of the patients."""
        return self.mean / np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Floats:
        """Correlation of the statistics, (weights, weights)."""
        deviations = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.outer(deviations, deviations)


def _nodes(breaks: Sequence[float]) -> tuple[Floats, Floats]:
    """Gauss–Legendre nodes and weights between the breaks, which need not be in order."""
    edges = np.unique(np.asarray(breaks, dtype=np.float64))
    half = 0.5 * np.diff(edges)[:, None]
    middle = 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (middle + half * _POINTS).ravel(), (half * _WEIGHTS).ravel()


def _hazard(group: Arm, time: Floats) -> Floats:
    return group.event[np.searchsorted(group.starts, time, side="right") - 1]


def _survival(group: Arm, time: Floats) -> Floats:
    return np.asarray(np.exp(-cumulative(group.event, group.starts, time)))


def _followed(plan: Accrual, group: Arm, time: Floats, calendar: float) -> Floats:
    """Probability that neither drop-out nor the cut at `calendar` has ended follow-up by `time`."""
    stayed = np.exp(-cumulative(group.dropout, group.starts, time))
    enrolled = plan.enrolled(calendar - time) / float(plan.enrolled(calendar))
    return np.asarray(stayed * enrolled)


def _breaks(plan: Accrual, calendar: float, until: float, *groups: Arm) -> list[float]:
    """Follow-up times up to `until` at which an integrand has a kink."""
    kinks = [*(calendar - plan.starts), *(calendar - plan.ends)]
    for group in groups:
        kinks += list(group.starts)
    return [0.0, until, *(kink for kink in kinks if 0.0 < kink < until)]


def weighted_log_rank(
    truth: Truth, time: float, weights: Sequence[Weight] = ((0.0, 0.0),)
) -> Weighted:
    """Means and covariance of weighted log-rank statistics analysed at calendar time `time`."""
    mean, covariance, events = _moments(truth, time, weights)
    first, second = _common_cuts(truth)
    middle = truth.shares @ np.array([first.event, second.event])
    nulls = [Arm(first.starts, middle, group.dropout) for group in (first, second)]
    same = replace(truth, control=nulls[0], experimental=nulls[1])
    null = _moments(same, time, weights)[1]
    return Weighted(mean, covariance, np.diag(null).copy(), events)


def _moments(truth: Truth, time: float, weights: Sequence[Weight]) -> tuple[Floats, Floats, float]:
    plan, parts = truth.accrual, truth.shares
    groups = (truth.control, truth.experimental)
    when, step = _nodes(_breaks(plan, time, time, *groups))
    hazard = np.array([_hazard(group, when) for group in groups])
    alive = np.array([_survival(group, when) for group in groups])
    followed = np.array([_followed(plan, group, when, time) for group in groups])
    at_risk = parts[:, None] * alive * followed
    pooled = parts @ alive
    weight = np.array([pooled**rho * (1.0 - pooled) ** gamma for rho, gamma in weights])
    both = at_risk.sum(axis=0)
    overlap = np.divide(at_risk[0] * at_risk[1], both, out=np.zeros_like(both), where=both > 0.0)
    dying = (at_risk * hazard).sum(axis=0)
    mean = weight @ (step * overlap * (hazard[0] - hazard[1]))
    share = np.divide(overlap, both, out=np.zeros_like(both), where=both > 0.0)
    covariance = (weight * (step * share * dying)) @ weight.T
    return mean, covariance, float(step @ dying)


def weighted_power(weighted: Weighted, patients: float, alpha: float) -> Floats:
    """Power of each weighted log-rank test alone, shape (weights,)."""
    from scipy.special import ndtr, ndtri

    check_error(alpha, "alpha")
    return np.asarray(ndtr(math.sqrt(patients) * weighted.drift + ndtri(alpha)))


def weighted_patients(
    weighted: Weighted, alpha: float, beta: float, both_variances: bool = False
) -> Floats:
    """Patients for power 1 − beta of each test alone, shape (weights,).

    Yung & Liu take the variance under the truth throughout. With `both_variances` the bound is that
    of an estimate whose variance is the null's and its spread the truth's, as gsDesign2 does.
    """
    from scipy.special import ndtri

    check_error(alpha, "alpha")
    check_error(beta, "beta")
    if (weighted.mean <= 0.0).any():
        raise ValueError("no number of patients gives this power: the effect is not above 0")
    variance = np.diag(weighted.covariance)
    null = weighted.null_variance if both_variances else variance
    quantiles = ndtri(1.0 - beta) / np.sqrt(variance) + ndtri(1.0 - alpha) / np.sqrt(null)
    return np.asarray((quantiles * variance / weighted.mean) ** 2)


def max_combo_bound(correlation: Floats, alpha: float) -> float:
    """The bound that the largest statistic crosses with probability alpha under the null."""
    from scipy.optimize import brentq

    from crlm_sim.trials.normal import all_below

    check_error(alpha, "alpha")
    size = len(correlation)
    return float(
        brentq(lambda c: all_below(np.full(size, c), correlation) - (1.0 - alpha), -6.0, 10.0)
    )


def max_combo_power(weighted: Weighted, patients: float, alpha: float) -> float:
    """Power of the test by the largest of the weighted log-rank statistics."""
    from crlm_sim.trials.normal import all_below

    bound = max_combo_bound(weighted.correlation, alpha)
    return float(
        1.0 - all_below(bound - math.sqrt(patients) * weighted.drift, weighted.correlation)
    )


def max_combo_patients(weighted: Weighted, alpha: float, beta: float) -> float:
    """Patients for power 1 − beta of the test by the largest statistic."""
    check_error(beta, "beta")
    return _factor(lambda patients: max_combo_power(weighted, patients, alpha), beta)


@dataclass(frozen=True)
class Difference:
    """A difference between arms; the variance of its estimate is `variance` / all patients."""

    mean: float
    variance: float

    def power(self, patients: float, alpha: float) -> float:
        """Power of a test of no difference."""
        from scipy.special import ndtr, ndtri

        check_error(alpha, "alpha")
        return float(ndtr(self.mean * math.sqrt(patients / self.variance) + ndtri(alpha)))

    def patients(self, alpha: float, beta: float) -> float:
        """Patients for power 1 − beta."""
        from crlm_sim.trials.boundaries import fixed_drift

        check_error(alpha, "alpha")
        check_error(beta, "beta")
        if self.mean <= 0.0:
            raise ValueError(
                "no number of patients gives this power: the difference is not above 0"
            )
        return fixed_drift(alpha, beta) ** 2 * self.variance / self.mean**2


def restricted_mean_difference(truth: Truth, time: float, tau: float) -> Difference:
    """Difference of mean survival up to tau, analysed at calendar time `time` (Yung & Liu 2020).

    An arm's variance is ∫ (area from t to tau)² hazard / P(at risk) dt.
    """

    def of_arm(group: Arm) -> tuple[float, float]:
        when, step = _nodes(_breaks(truth.accrual, time, tau, group))
        area = np.array([_area(group, start, tau) for start in when])
        return _area(group, 0.0, tau), float(
            step @ (area**2 * _noise(truth.accrual, group, when, time))
        )

    return _difference(of_arm, truth, time, tau)


def survival_difference(truth: Truth, time: float, tau: float) -> Difference:
    """Difference of survival at tau, analysed at calendar time `time`: Greenwood's variance."""

    def of_arm(group: Arm) -> tuple[float, float]:
        when, step = _nodes(_breaks(truth.accrual, time, tau, group))
        alive = float(_survival(group, np.array(tau)))
        return alive, alive**2 * float(step @ _noise(truth.accrual, group, when, time))

    return _difference(of_arm, truth, time, tau)


def _difference(
    of_arm: Callable[[Arm], tuple[float, float]], truth: Truth, time: float, tau: float
) -> Difference:
    if not 0.0 < tau < time:
        raise ValueError(
            f"nobody can be followed to {tau:g} at an analysis at {time:g}: take an earlier tau"
        )
    parts = truth.shares
    mean_0, variance_0 = of_arm(truth.control)
    mean_1, variance_1 = of_arm(truth.experimental)
    return Difference(mean_1 - mean_0, variance_0 / parts[0] + variance_1 / parts[1])


def _area(group: Arm, start: float, tau: float) -> float:
    """Area under the survival curve from `start` to tau."""
    when, step = _nodes([start, tau, *(cut for cut in group.starts if start < cut < tau)])
    return float(step @ _survival(group, when))


def _noise(plan: Accrual, group: Arm, when: Floats, time: float) -> Floats:
    """Hazard over the probability of being at risk."""
    return _hazard(group, when) / (_survival(group, when) * _followed(plan, group, when, time))
