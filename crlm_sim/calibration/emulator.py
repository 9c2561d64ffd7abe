"""A fast stand-in for the simulator: a quadratic of the parameters for every figure.

Ridge regression (scikit-learn) on every parameter, its square, and the products of any two of the
first, which are those that matter most; penalty chosen and error measured by leaving one point out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PENALTIES = np.logspace(-1, 4, 11)
_FEWEST = 50


def features(z: Floats, paired: int) -> Floats:
    """1, the n coordinates, their squares, and products of two of the first `paired`.

    Shape (points, 1 + 2 n + p (p − 1) / 2) with p = min(paired, n).
    """
    left, right = np.triu_indices(min(paired, z.shape[1]), 1)
    return np.hstack([np.ones((len(z), 1)), z, z**2, z[:, left] * z[:, right]])


@dataclass(frozen=True)
class Emulator:
    """Coefficients (features, targets), leave-one-out error (targets,), coordinates in products."""

    coefficients: Floats
    error: Floats
    paired: int

    def predict(self, z: Floats) -> Floats:
        """Figures on their scales at points z, shape (points, targets)."""
        return features(z, self.paired) @ self.coefficients

    def slopes(self, z: Floats) -> Floats:
        """Derivative of every figure by every coordinate at a point, shape (n, targets)."""
        step = 0.25
        ends = np.vstack([z + step * np.eye(len(z)), z - step * np.eye(len(z))])
        found = self.predict(ends)
        return (found[: len(z)] - found[len(z) :]) / (2.0 * step)


def fit(z: Floats, figures: Floats, paired: int) -> Emulator:
    """An emulator of simulated figures (points, targets) at points z.

    A figure that some points could not tell (nan) is learned from the others; one that fewer than
    fifty could tell raises ValueError.
    """
    columns = features(z, paired)
    coefficients = np.zeros((columns.shape[1], figures.shape[1]))
    errors = np.zeros(figures.shape[1])
    told = np.isfinite(figures)
    groups: dict[bytes, list[int]] = {}
    for place in range(figures.shape[1]):
        groups.setdefault(told[:, place].tobytes(), []).append(place)
    for places in groups.values():
        rows = told[:, places[0]]
        if rows.sum() < _FEWEST:
            raise ValueError(f"figure {places[0]} could be told at {rows.sum()} points only")
        part = _ridge(columns[rows], figures[rows][:, places])
        coefficients[:, places], errors[places] = part
    return Emulator(coefficients, errors, paired)


def _ridge(columns: Floats, figures: Floats) -> tuple[Floats, Floats]:
    """(coefficients, leave-one-out error) of figures that the same points could tell."""
    from sklearn.linear_model import RidgeCV

    centre, scale = figures.mean(axis=0), figures.std(axis=0) + 1e-9
    model = RidgeCV(_PENALTIES, fit_intercept=False, store_cv_results=True, alpha_per_target=True)
    model.fit(columns, (figures - centre) / scale)
    squared = model.cv_results_.reshape(len(columns), -1, len(_PENALTIES)).mean(axis=0)
    found = np.atleast_2d(model.coef_).T * scale
    found[0] += centre
    return found, np.sqrt(squared.min(axis=1)) * scale
