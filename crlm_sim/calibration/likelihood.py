"""How likely the published figures are, given simulated ones.

On its scale a published figure is the simulated one plus four errors: the study's own sampling,
simulation error, what the parameters left out of the fit could do, and a discrepancy between
studies that no parameter explains (other people, other clinics), whose size τ is learned. Survival
at several times in one arm shares patients and is correlated as Kaplan–Meier estimates are
(Greenwood); a study's survival figures share part of their discrepancy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crlm_sim.calibration import scales
from crlm_sim.calibration.simulate import Target

Floats = NDArray[np.float64]

_SHARED = 0.5
"""Share of a study's discrepancy that all its survival figures have in common."""
_WEIGHT = {scales.LOGIT: 1.0, scales.LOG: 0.5, scales.PLAIN: 0.1}
_CONTRAST_WEIGHT = 0.5
"""A discrepancy of τ on the logit of a share is half of that on the logarithm of a time or a
count, a tenth in a difference, and half as much again in a contrast, whose arms share it."""
_MOST_CORRELATED = 0.99
TAU_PRIOR_SD = 0.3
"""τ is half-normal with this standard deviation: 0.3 on the logit is 7 points at a half."""


def discrepancy_weights(targets: Sequence[Target]) -> Floats:
    """How much of τ a figure's discrepancy is, on its own scale, shape (targets,)."""
    found = []
    for target in targets:
        weight = _WEIGHT[target.figure.scale]
        if target.figure.measure and target.figure.scale != scales.PLAIN:
            weight *= _CONTRAST_WEIGHT
        found.append(weight)
    return np.array(found)


def published_covariance(targets: Sequence[Target]) -> Floats:
    """Sampling covariance of the published figures on their scales, shape (targets, targets)."""
    errors = np.array([target.error for target in targets])
    correlation = np.eye(len(targets))
    for i, one in enumerate(targets):
        for j in range(i):
            correlation[i, j] = correlation[j, i] = _correlation(one, targets[j])
    return correlation * np.outer(errors, errors)


def _correlation(one: Target, other: Target) -> float:
    """Correlation of two points of one Kaplan–Meier curve, √(V₁ / V₂) with V of log survival."""
    key = _curve_key(one)
    if key is None or key != _curve_key(other):
        return 0.0
    variances = sorted((_log_variance(one), _log_variance(other)))
    return min(math.sqrt(variances[0] / variances[1]), _MOST_CORRELATED)


def _curve_key(target: Target) -> tuple[str, ...] | None:
    figure = target.figure
    if figure.measure or figure.days is None or not figure.curve:
        return None
    names = target.study.names_of(figure)
    return (target.study.id, figure.curve, target.study.clock_of(figure), *names)


def _log_variance(target: Target) -> float:
    """Variance of the logarithm of a survival known on the logit."""
    return (target.error * (1.0 - scales.from_scale(scales.LOGIT, target.value))) ** 2


def discrepancy_covariance(targets: Sequence[Target]) -> Floats:
    """Covariance of the discrepancies for τ = 1, shape (targets, targets)."""
    weights = discrepancy_weights(targets)
    levels = [t.study.id if t.figure.curve and not t.figure.measure else "" for t in targets]
    shared = np.array([[_SHARED if a and a == b else 0.0 for b in levels] for a in levels])
    np.fill_diagonal(shared, 1.0)
    return shared * np.outer(weights, weights)


@dataclass(frozen=True)
class Likelihood:
    """The normal density of residuals, for any τ, by one simultaneous diagonalisation.

    `rotate` turns residuals into independent ones whose variance is 1 + τ² · `spread`.
    """

    rotate: Floats
    spread: Floats
    log_determinant: float

    @classmethod
    def of(cls, fixed: Floats, discrepancy: Floats) -> Likelihood:
        """From the covariance that is known and that of the discrepancies for τ = 1."""
        lower = np.linalg.cholesky(fixed)
        inverse = np.linalg.inv(lower)
        spread, vectors = np.linalg.eigh(inverse @ discrepancy @ inverse.T)
        determinant = 2.0 * float(np.log(np.diag(lower)).sum())
        return cls(vectors.T @ inverse, np.maximum(spread, 0.0), determinant)

    def log_density(self, residuals: Floats, tau: Floats) -> Floats:
        """Log density of residuals, shape (points, targets), under τ, shape (points,)."""
        rotated = residuals @ self.rotate.T
        variance = 1.0 + np.square(tau)[:, None] * self.spread
        return -0.5 * (
            np.sum(rotated**2 / variance + np.log(variance), axis=1) + self.log_determinant
        )


def log_prior(z: Floats, log_tau: Floats) -> Floats:
    """Standard normals, and a half-normal τ by its logarithm; shapes (points, n), (points,)."""
    tau = np.exp(log_tau)
    return -0.5 * np.sum(z**2, axis=1) - 0.5 * (tau / TAU_PRIOR_SD) ** 2 + log_tau
