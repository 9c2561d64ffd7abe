"""Survival estimates from integer counts on a grid of whole days, and intervals of proportions.

Counts come as two arrays: events and censorings on day 0, 1, 2, … Within a day events come before
censorings. The last axis is always the day; leading axes, where allowed, are separate samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]

_ROUNDING = 1e-10
"""A survival this close to a half is a half: products of many ratios are not exact."""
_EXACT_DF = 200


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; nan where the data cannot tell."""

    estimate: float
    lower: float = math.nan
    upper: float = math.nan


@dataclass(frozen=True)
class Curve:
    """A Kaplan–Meier curve; every array has shape (..., days).

    `survival` is the probability of no event up to and including the day, `at_risk` the number
    still followed when the day begins, `variance_sum` Greenwood's sum d / (n (n − d)) so far.
    """

    survival: Floats
    at_risk: NDArray[np.int64]
    events: NDArray[np.int64]
    variance_sum: Floats

    @property
    def standard_error(self) -> Floats:
        """Greenwood's standard error of the survival, shape (..., days)."""
        return self.survival * np.sqrt(self.variance_sum)


def kaplan_meier(events: Integers, censored: Integers) -> Curve:
    """Kaplan–Meier curve(s) of event and censoring counts, each of shape (..., days).

    Greenwood's term of a day on which everybody left has the event is taken as 0, as survRM2 does;
    survival is then 0 and has no interval.
    """
    leaving = events.astype(np.int64) + censored
    at_risk = np.flip(np.cumsum(np.flip(leaving, -1), axis=-1), -1)
    left = at_risk - events
    survival: Floats = np.cumprod(_ratio(left, at_risk, empty=1.0), axis=-1, dtype=np.float64)
    terms = _ratio(events, at_risk.astype(np.float64) * left, empty=0.0)
    return Curve(survival, at_risk, events.astype(np.int64), np.cumsum(terms, axis=-1))


def _ratio(top: NDArray, bottom: NDArray, empty: float) -> Floats:
    """top / bottom, and `empty` where bottom is 0."""
    return np.divide(top, bottom, out=np.full(np.shape(bottom), empty), where=bottom > 0)


def log_log_interval(curve: Curve, level: float = 0.95) -> tuple[Floats, Floats]:
    """Pointwise complementary log-log interval of the survival, shapes (..., days).

    exp(−exp(log(−log S) ± z σ / log S)), Kalbfleisch & Prentice 1980. It is [1, 1] before the
    first event and nan once survival is 0.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    inside = (curve.survival > 0.0) & (curve.survival < 1.0)
    log_survival = np.log(np.where(inside, curve.survival, 0.5))
    shift = z * np.sqrt(curve.variance_sum) / log_survival
    outside = np.where(curve.survival >= 1.0, 1.0, np.nan)
    lower = np.where(inside, np.exp(log_survival * np.exp(-shift)), outside)
    upper = np.where(inside, np.exp(log_survival * np.exp(shift)), outside)
    return lower, upper


def followed_to(curve: Curve, day: float) -> bool:
    """Whether one sample's curve is known on `day`: somebody is followed so far, or nobody left."""
    last = int(day)
    if last < curve.at_risk.shape[-1] and curve.at_risk[last] > 0:
        return True
    return bool(curve.at_risk[0] > 0 and curve.survival[-1] == 0.0)


def survival_at(curve: Curve, day: float, level: float = 0.95) -> Estimate:
    """Survival of one sample on `day` with its log-log interval.

    Where survival is still 1 or already 0 Greenwood's variance is 0; the interval is then
    Wilson's, of all or none of those at risk on that day or on day 0.
    """
    if not followed_to(curve, day):
        return Estimate(math.nan)
    place = min(int(day), curve.survival.shape[-1] - 1)
    value = float(curve.survival[place])
    if value == 1.0:
        number = int(curve.at_risk[place])
        return wilson(number, number, level)
    if value == 0.0:
        return wilson(0, int(curve.at_risk[0]), level)
    lower, upper = log_log_interval(curve, level)
    return Estimate(value, float(lower[place]), float(upper[place]))


def median(curve: Curve, level: float = 0.95) -> Estimate:
    """Median day of one sample: the first with survival ≤ 1/2; nan if there is none.

    The interval is Brookmeyer & Crowley's (1982) from the log-log bands: the first days on which
    the lower and the upper band are ≤ 1/2.
    """
    lower, upper = log_log_interval(curve, level)
    return Estimate(_first_half(curve.survival), _first_half(lower), _first_half(upper))


def _first_half(values: Floats) -> float:
    reached = values <= 0.5 + _ROUNDING
    return float(np.argmax(reached)) if reached.any() else math.nan


def restricted_mean(
    curve: Curve, tau: float, level: float = 0.95, corrected: bool = False
) -> tuple[Estimate, float]:
    """(mean days lived up to day `tau` with its interval, standard error) of one sample.

    The area under the curve; the variance is Greenwood's, the sum over days of events of
    (area from there to tau)² · d / (n (n − d)), as in survRM2. `corrected` multiplies it by
    m / (m − 1), m the events up to tau, for small samples. nan unless followed to tau.
    """
    if not followed_to(curve, tau):
        return Estimate(math.nan), math.nan
    days = np.arange(curve.survival.shape[-1])
    width = np.clip(tau - days, 0.0, 1.0)
    area_left = np.flip(np.cumsum(np.flip(curve.survival * width)))
    terms = np.diff(curve.variance_sum, prepend=0.0)
    variance = float(np.sum(area_left**2 * terms))
    events = int(curve.events[days <= tau].sum())
    if corrected and events > 1:
        variance *= events / (events - 1)
    error = math.sqrt(variance)
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    mean = float(area_left[0])
    return Estimate(mean, mean - z * error, mean + z * error), error


def wilson(successes: int, trials: int, level: float = 0.95) -> Estimate:
    """A proportion with Wilson's (1927) score interval; nan if there are no trials."""
    if trials == 0:
        return Estimate(math.nan)
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1.0 - share) / trials + z * z / (4 * trials * trials))
    scale = 1.0 + z * z / trials
    lower = 0.0 if successes == 0 else (centre - half) / scale
    upper = 1.0 if successes == trials else (centre + half) / scale
    return Estimate(share, lower, upper)


def mean_interval(total: int, squares: int, number: int, level: float = 0.95) -> Estimate:
    """Mean ± t · SD / √n from integer sums of values and of their squares."""
    if number == 0:
        return Estimate(math.nan)
    mean = total / number
    if number == 1:
        return Estimate(mean)
    variance = (number * squares - total * total) / (number * (number - 1))
    half = t_quantile(0.5 + level / 2.0, number - 1) * math.sqrt(variance / number)
    return Estimate(mean, mean - half, mean + half)


@lru_cache
def t_quantile(probability: float, df: int) -> float:
    """Quantile (probability ≥ 1/2) of Student's t with `df` ≥ 1 degrees of freedom.

    Up to 200 degrees it inverts the finite series of Abramowitz & Stegun 26.7.3 and 26.7.4 by
    bisection; above, the expansion 26.7.5 in 1/df. Relative error below 1e-9 up to probability
    0.9995.
    """
    if df > _EXACT_DF:
        return _t_expansion(NormalDist().inv_cdf(probability), df)
    low, high = 0.0, math.pi / 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _t_central(middle, df) < 2.0 * probability - 1.0:
            low = middle
        else:
            high = middle
    return math.sqrt(df) * math.tan(low)


def _t_central(angle: float, df: int) -> float:
    """P(|T| ≤ √df tan(angle)), Abramowitz & Stegun 26.7.3 (odd df) and 26.7.4 (even df)."""
    cosine = math.cos(angle)
    term = cosine if df % 2 else 1.0
    total = 0.0
    for k in range(1 + df % 2, df, 2):
        total += term
        term *= k / (k + 1) * cosine * cosine
    if df % 2:
        return 2.0 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def _t_expansion(z: float, df: int) -> float:
    """Abramowitz & Stegun 26.7.5 to the fourth power of 1/df."""
    terms = (
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
        (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0,
    )
    return z + sum(term / float(df) ** power for power, term in enumerate(terms, start=1))
