"""Group-sequential boundaries, and how often they are crossed.

The statistics Z of the looks are jointly normal with covariance √(t_j / t_k) for j ≤ k, t being
information fractions (Scharfstein, Tsiatis & Robins 1997), and means drift · √t, the drift being
the mean of the last Z. The density of Z among trials still running is carried from look to look by
numerical integration (Armitage, McPherson & Rowe 1969), here on Gauss–Legendre nodes between the
two bounds. A trial stops for efficacy at or above the upper bound and for futility below the lower
one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from crlm_sim.trials.spending import Floats, Spending

_REACH = 9.5
"""Normal densities are cut this many standard deviations out, where 1e-21 remains."""
_NODES = 48
_NODES_PER_SD = 4.0
"""Nodes per standard deviation of the step between two looks, on top of `_NODES`."""
_LARGEST_Z = 38.0
"""A normal has probability 1e-316 above it; what is spent below that has no bound."""


@dataclass(frozen=True)
class Crossing:
    """Probabilities of stopping at each look, each of shape (looks,)."""

    upper: Floats
    lower: Floats

    @property
    def power(self) -> float:
        """Probability of ever crossing the upper bound."""
        return float(self.upper.sum())

    def expected(self, at_look: ArrayLike) -> float:
        """Mean at stopping of a quantity with these values at the looks (information, months …)."""
        values = np.asarray(at_look, dtype=np.float64)
        stopped = (self.upper + self.lower)[:-1]
        return float(stopped @ values[:-1] + (1.0 - stopped.sum()) * values[-1])


@dataclass(frozen=True)
class Bounds:
    """Bounds of z, shape (looks,); `lower` is −∞ where there is no futility look.

    `drift` is the mean of the last z for which they have the wished power; the information of the
    trial is that of a fixed one times `inflation`. Both are nan if no power was asked for.
    """

    fractions: Floats
    upper: Floats
    lower: Floats
    drift: float = math.nan
    inflation: float = math.nan


@dataclass(frozen=True)
class _Running:
    """Trials still running after a look: weights × density of z at its nodes."""

    fraction: float
    mean: float
    nodes: Floats
    mass: Floats


def check_fractions(fractions: ArrayLike) -> Floats:
    """The information fractions as an array; ValueError unless they rise above 0 and end at 1."""
    values = np.atleast_1d(np.asarray(fractions, dtype=np.float64))
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError("information fractions are a list of numbers, one for each look")
    if values[0] <= 0.0 or (np.diff(values) <= 0.0).any():
        raise ValueError(
            f"information fractions rise from above 0, each above the last (got {_list(values)})"
        )
    if values[-1] != 1.0:
        raise ValueError(f"the last information fraction is 1 (got {values[-1]:g})")
    return values


def check_error(error: float, what: str) -> None:
    """ValueError unless 0 < error < 1."""
    if not 0.0 < error < 1.0:
        raise ValueError(f"{what} is between 0 and 1 (got {error:g})")


def _list(values: Floats) -> str:
    return ", ".join(f"{value:g}" for value in values)


@lru_cache(maxsize=64)
def _legendre(number: int) -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(number)


def _step(before: _Running | None, fraction: float, mean: float) -> tuple[Floats, Floats, float]:
    """(mass, centre, sd) of z at the next look, from each node of this one."""
    if before is None:
        return np.ones(1), np.array([mean]), 1.0
    ratio = before.fraction / fraction
    centre = mean + (before.nodes - before.mean) * math.sqrt(ratio)
    return before.mass, centre, math.sqrt(1.0 - ratio)


def _above(before: _Running | None, fraction: float, mean: float, bound: float) -> float:
    """Probability that the trial still ran and z of the next look is at or above the bound."""
    from scipy.special import ndtr

    mass, centre, sd = _step(before, fraction, mean)
    return float(mass @ ndtr((centre - bound) / sd))


def _below(before: _Running | None, fraction: float, mean: float, bound: float) -> float:
    from scipy.special import ndtr

    mass, centre, sd = _step(before, fraction, mean)
    return float(mass @ ndtr((bound - centre) / sd))


def _go_on(
    before: _Running | None, fraction: float, mean: float, lower: float, upper: float
) -> _Running:
    """Trials that run on between the two bounds."""
    mass, centre, sd = _step(before, fraction, mean)
    low, high = max(lower, mean - _REACH), min(upper, mean + _REACH)
    if low >= high:
        return _Running(fraction, mean, np.zeros(1), np.zeros(1))
    number = _NODES + math.ceil(_NODES_PER_SD * (high - low) / sd)
    points, weights = _legendre(number)
    nodes = 0.5 * (low + high) + 0.5 * (high - low) * points
    apart = (nodes[:, None] - centre) / sd
    density = np.exp(-0.5 * apart**2) @ mass / (sd * math.sqrt(2.0 * math.pi))
    return _Running(fraction, mean, nodes, 0.5 * (high - low) * weights * density)


def crossing(
    fractions: ArrayLike, upper: ArrayLike, lower: ArrayLike | None, means: ArrayLike
) -> Crossing:
    """Probabilities of stopping at each look, for bounds and means of z of shape (looks,).

    `lower` may be None. Fractions need only rise: with hazards that are not proportional the means
    are not drift · √t, and the fractions are those of the variance under that truth.
    """
    times = np.atleast_1d(np.asarray(fractions, dtype=np.float64))
    tops = np.atleast_1d(np.asarray(upper, dtype=np.float64))
    bottoms = np.full(len(times), -np.inf) if lower is None else np.atleast_1d(lower)
    centres = np.broadcast_to(np.asarray(means, dtype=np.float64), times.shape)
    if not len(times) == len(tops) == len(bottoms):
        raise ValueError("there is one bound for each look")
    if (bottoms > tops).any():
        raise ValueError("a lower bound is not above the upper bound of its look")
    running: _Running | None = None
    up, down = np.empty(len(times)), np.empty(len(times))
    for k, (fraction, mean) in enumerate(zip(times, centres, strict=True)):
        up[k] = _above(running, fraction, mean, tops[k])
        down[k] = _below(running, fraction, mean, bottoms[k])
        running = _go_on(running, fraction, mean, bottoms[k], tops[k])
    return Crossing(up, down)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-13, rtol=1e-14))


def _upper_bound(before: _Running | None, fraction: float, error: float) -> float:
    """The bound that a trial without effect crosses now with probability `error`.

    −∞ if fewer trials than that still run, as when a binding futility bound has stopped them all.
    """
    if error <= 0.0 or _above(before, fraction, 0.0, _LARGEST_Z) >= error:
        return math.inf
    if _above(before, fraction, 0.0, -_LARGEST_Z) <= error:
        return -math.inf
    return _root(lambda z: _above(before, fraction, 0.0, z) - error, -_LARGEST_Z, _LARGEST_Z)


def _lower_bound(before: _Running | None, fraction: float, mean: float, error: float) -> float:
    """The bound below which a trial with this mean of z falls now with probability `error`."""
    if error <= 0.0 or _below(before, fraction, mean, -_LARGEST_Z) >= error:
        return -math.inf
    if _below(before, fraction, mean, _LARGEST_Z) <= error:
        return math.inf
    return _root(lambda z: _below(before, fraction, mean, z) - error, -_LARGEST_Z, _LARGEST_Z)


def _spent(spending: Spending, fractions: Floats, total: float) -> Floats:
    """What each look may spend."""
    spent = spending(fractions, total)
    if abs(spent[-1] - total) > 1e-9 * total:
        raise ValueError(f"spending ends at {spent[-1]:g} and not at the error rate, {total:g}")
    return np.diff(spent, prepend=0.0)


def efficacy_bounds(fractions: ArrayLike, alpha: float, spending: Spending) -> Floats:
    """Upper bounds of z, shape (looks,), that spend the one-sided alpha whatever futility says."""
    check_error(alpha, "alpha")
    times = check_fractions(fractions)
    return _bounds_at(times, _spent(spending, times, alpha), None, 0.0, binding=False)[0]


def _bounds_at(
    times: Floats, alphas: Floats, betas: Floats | None, drift: float, binding: bool
) -> tuple[Floats, Floats, float]:
    """(upper, lower, error at the last look) at a drift, spending alphas and betas at the looks.

    The error is the probability of the last look's z below the last upper bound in a trial with
    this drift. A lower bound stops at the upper one. Where it is binding, upper bounds count on it.
    """
    upper, lower = np.empty(len(times)), np.full(len(times), -np.inf)
    null: _Running | None = None
    other: _Running | None = None
    missed = math.nan
    for k, fraction in enumerate(times):
        mean = drift * math.sqrt(fraction)
        upper[k] = _upper_bound(null, fraction, alphas[k])
        if betas is not None:
            lower[k] = min(_lower_bound(other, fraction, mean, betas[k]), upper[k])
            missed = _below(other, fraction, mean, upper[k])
            other = _go_on(other, fraction, mean, lower[k], upper[k])
        null = _go_on(null, fraction, 0.0, lower[k] if binding else -np.inf, upper[k])
    return upper, lower, missed


def design_bounds(
    fractions: ArrayLike,
    alpha: float,
    beta: float,
    spending: Spending,
    beta_spending: Spending | None = None,
    binding: bool = False,
) -> Bounds:
    """Bounds and drift of a trial with one-sided error alpha and power 1 − beta.

    With `beta_spending` futility bounds spend beta at that drift and meet the upper bound at the
    last look. Upper bounds keep alpha even if futility is ignored, unless `binding`.
    """
    check_error(alpha, "alpha")
    check_error(beta, "beta")
    if alpha + beta >= 1.0:
        raise ValueError("alpha and beta together are below 1, or there is nothing to test")
    times = check_fractions(fractions)
    alphas = _spent(spending, times, alpha)
    if beta_spending is None:
        upper, lower, _ = _bounds_at(times, alphas, None, 0.0, binding=False)
        drift = drift_for_power(times, upper, None, 1.0 - beta)
    else:
        betas = _spent(beta_spending, times, beta)
        drift = _root(
            lambda d: _bounds_at(times, alphas, betas, d, binding)[2] - betas[-1],
            1e-6,
            2.0 * _REACH,
        )
        upper, lower, _ = _bounds_at(times, alphas, betas, drift, binding)
        lower[-1] = upper[-1]
    return Bounds(times, upper, lower, drift, (drift / fixed_drift(alpha, beta)) ** 2)


def fixed_drift(alpha: float, beta: float) -> float:
    """Mean of z of a trial with one look: z of 1 − alpha plus z of 1 − beta."""
    from scipy.special import ndtri

    return float(ndtri(1.0 - alpha) + ndtri(1.0 - beta))


def drift_for_power(
    fractions: ArrayLike, upper: ArrayLike, lower: ArrayLike | None, power: float
) -> float:
    """Mean of the last z for which the upper bounds are crossed with this probability."""
    times = check_fractions(fractions)
    roots = np.sqrt(times)
    least = crossing(times, upper, lower, 0.0).power
    if not least < power < 1.0:
        raise ValueError(
            f"power is between {least:.4g}, that without effect, and 1 (got {power:g})"
        )
    return _root(
        lambda drift: crossing(times, upper, lower, drift * roots).power - power, 0.0, 2.0 * _REACH
    )


def classical_bounds(looks: int, alpha: float, exponent: float) -> Floats:
    """Bounds c · t^(exponent − 1/2) at equally spaced looks, shape (looks,).

    Exponent 0 is O'Brien & Fleming 1979, 1/2 Pocock 1977, others Wang & Tsiatis 1987.
    """
    check_error(alpha, "alpha")
    if looks < 1:
        raise ValueError(f"a trial has at least one look (got {looks})")
    times = np.arange(1, looks + 1) / looks
    shape = times ** (exponent - 0.5)
    factor = _root(lambda c: crossing(times, c * shape, None, 0.0).power - alpha, 0.0, 10.0)
    return factor * shape
