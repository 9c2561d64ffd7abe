"""Sizes and powers of two proportions, or two means, compared when everybody has been assessed.

z is taken to be normal. It is standardised by the error it has under the null, and its spread is
the error under the truth: for the score tests these differ, for Wald's they are one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crlm_sim.trials.boundaries import Bounds, Crossing, check_error, crossing
from crlm_sim.trials.comparisons import farrington_manning

_LARGE = 1e9
"""Patients of a control arm so large that the score's error per root patient has settled."""


@dataclass(frozen=True)
class Contrast:
    """An effect above its null and the errors of its estimate, times the root of all patients.

    `null_error` is the one z is standardised by, `error` the spread under the truth.
    """

    effect: float
    null_error: float
    error: float

    def patients(self, alpha: float, beta: float) -> float:
        """Patients in both arms for power 1 − beta at one look, not rounded.

        ((z₁₋α σ₀ + z₁₋β σ) / effect)²; ValueError unless there is an effect.
        """
        from scipy.special import ndtri

        check_error(alpha, "alpha")
        check_error(beta, "beta")
        if self.effect <= 0.0:
            raise ValueError("the effect is above its null, or no size shows it")
        reach = -ndtri(alpha) * self.null_error - ndtri(beta) * self.error
        return float((reach / self.effect) ** 2)

    def power(self, alpha: float, patients: float) -> float:
        """Power of one look at so many patients in both arms."""
        from scipy.special import ndtr, ndtri

        drift = self.effect * math.sqrt(patients)
        return float(ndtr((drift + ndtri(alpha) * self.null_error) / self.error))

    def crossing(self, bounds: Bounds, patients: float) -> Crossing:
        """Where a trial of so many patients stops if its looks have these bounds."""
        scale = self.null_error / self.error
        drift = self.effect * math.sqrt(patients) / self.error
        means = drift * np.sqrt(bounds.fractions)
        return crossing(bounds.fractions, bounds.upper * scale, bounds.lower * scale, means)


def two_proportions(
    control: float, other: float, allocation: float = 1.0, margin: float = 0.0, score: bool = True
) -> Contrast:
    """The difference of two proportions that are better high, above −margin.

    `allocation` is experimental patients to one of the control. With `score` z is Farrington &
    Manning's (1990), which without a margin is the pooled test, else Wald's. Raises ValueError for
    proportions that never vary.
    """
    for share in (control, other):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a proportion is between 0 and 1 (got {share:g})")
    variance = control * (1.0 - control) + other * (1.0 - other) / allocation
    if variance == 0.0:
        raise ValueError("proportions of 0 and 1 never vary: there is nothing to test")
    error = math.sqrt((1.0 + allocation) * variance)
    effect = other - control + margin
    if not score or effect == 0.0:
        return Contrast(effect, error, error)
    sizes = _LARGE, _LARGE * allocation
    z = farrington_manning(control * sizes[0], sizes[0], other * sizes[1], sizes[1], -margin)
    return Contrast(effect, effect / float(z) * math.sqrt(sum(sizes)), error)


def two_means(
    difference: float,
    control_sd: float,
    other_sd: float,
    allocation: float = 1.0,
    margin: float = 0.0,
) -> Contrast:
    """The difference of two means that are better high, above −margin, from standard deviations."""
    variance = control_sd**2 + other_sd**2 / allocation
    if variance <= 0.0:
        raise ValueError("means that never vary: there is nothing to test")
    error = math.sqrt((1.0 + allocation) * variance)
    return Contrast(difference + margin, error, error)
