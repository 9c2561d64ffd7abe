"""Probability that several correlated normals are all below their limits.

A product of Gauss–Legendre rules over all but the last variable, in the order of the Cholesky
factor (Genz 1992 conditions in the same way). Unlike scipy's it draws no random numbers and runs
inside compiled loops over trials.
"""

from __future__ import annotations

import math

import numpy as np

from crlm_sim.compiled import compiled

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_REACH = 7.0
"""Normals are cut here; 1e-12 of them is further out."""
_SMALLEST = 1e-4
"""Two statistics are never taken to be closer than this conditional standard deviation."""


@compiled
def normal_below(z):
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@compiled
def cholesky(matrix):
    """Lower factor of a correlation matrix; what others determine keeps a tiny spread."""
    size = len(matrix)
    factor = np.zeros((size, size))
    for i in range(size):
        for j in range(i + 1):
            left = matrix[i, j]
            for k in range(j):
                left -= factor[i, k] * factor[j, k]
            if i == j:
                factor[i, i] = math.sqrt(max(left, _SMALLEST**2))
            else:
                factor[i, j] = left / factor[j, j]
    return factor


@compiled
def _product(factor, values, row):
    total = 0.0
    for k in range(row):
        total += factor[row, k] * values[k]
    return total


@compiled
def all_below(limits, correlation):
    """P(every normal is below its limit): limits (n,), correlation (n, n), n from 1 to 4."""
    factor = cholesky(correlation)
    last = len(limits) - 1
    values = np.zeros(last + 1)
    total = 0.0
    for point in range(len(_POINTS) ** last):
        weight = 1.0
        rest = point
        for i in range(last + 1):
            limit = (limits[i] - _product(factor, values, i)) / factor[i, i]
            if i == last:
                total += weight * normal_below(limit)
            else:
                half = max(0.5 * (min(limit, _REACH) + _REACH), 0.0)
                values[i] = half * (_POINTS[rest % len(_POINTS)] + 1.0) - _REACH
                density = math.exp(-0.5 * values[i] * values[i]) / math.sqrt(2.0 * math.pi)
                weight *= half * _WEIGHTS[rest % len(_POINTS)] * density
                rest //= len(_POINTS)
    return total
