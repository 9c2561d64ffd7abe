"""What costs and effects are on average, given some of the parameters.

One smooth regression serves the value of information and the tornado: a straight line for every
parameter, and bends about it (cubic splines of every parameter, products of every two of a small
group) under a ridge penalty chosen by leaving one draw out (scikit-learn). A Gaussian process was
hardly more exact and at 500 draws 25 times slower or more; docs/economics.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crlm_sim.outcomes.decision import Draws

Floats = NDArray[np.float64]
Surface = Callable[[Floats], tuple[Floats, Floats]]
"""From parameters (points, group) to expected cost and effect (points, policies)."""

_FEWEST = 50
"""A smooth curve through fewer draws says nothing."""
_KNOTS = 5
_MOST_PAIRED = 10
"""Products of two parameters are in the regression up to a group of this size."""
_PENALTIES = np.logspace(-3, 6, 19)
_FREE = 1000.0
"""Columns scaled up so much escape the penalty, which would flatten the lines with the bends."""
_DRAWS_A_LINE = 100
"""With fewer draws for each parameter lines are penalised as well: free, they would fit noise."""


def checked_parameters(draws: Draws, names: Sequence[str], parameters: ArrayLike) -> Floats:
    """Parameters as an array (draws, parameters).

    ValueError if they do not fit the draws, are not finite, or the draws are fewer than fifty.
    """
    values = np.array(parameters, np.float64)
    if len(draws.weights) < _FEWEST:
        raise ValueError(f"a regression needs {_FEWEST} draws or more, got {len(draws.weights)}")
    expected = (len(draws.weights), len(names))
    if values.shape != expected:
        raise ValueError(f"parameters must have shape {expected}, got {values.shape}")
    if len(set(names)) < len(names):
        raise ValueError("parameters must have different names")
    if not np.isfinite(values).all():
        column = int(np.argwhere(~np.isfinite(values))[0, 1])
        raise ValueError(f"parameters must be finite, '{names[column]}' is not in every draw")
    return values


def surface(draws: Draws, group: Floats) -> Surface:
    """Expected cost and effect of every policy as a function of parameters (draws, group).

    Differences from the first policy are regressed, where what all policies share has gone; the
    first policy itself is zero in what the function returns.
    """
    varying = np.ptp(group, axis=0) > 0.0
    increments = np.hstack(
        [values[:, 1:] - values[:, [0]] for values in (draws.cost, draws.effect)]
    )
    predict = _regression(draws.weights, group[:, varying], increments)

    def expected(points: Floats) -> tuple[Floats, Floats]:
        cost, effect = np.split(predict(points[:, varying]), 2, axis=1)
        zero = np.zeros((len(points), 1))
        return np.hstack([zero, cost]), np.hstack([zero, effect])

    return expected


def _regression(weights: Floats, group: Floats, targets: Floats) -> Callable[[Floats], Floats]:
    """The fitted function from points (points, group) to targets (points, targets)."""
    mean = weights @ targets
    spread = np.sqrt(weights @ (targets - mean) ** 2)
    learned = spread > 0.0
    if not group.shape[1] or not learned.any():
        return lambda points: np.tile(mean, (len(points), 1))
    model = _model(group)
    scaled = (targets[:, learned] - mean[learned]) / spread[learned]
    model.fit(group, scaled, ridgecv__sample_weight=weights * len(weights))

    def predict(points: Floats) -> Floats:
        found = np.tile(mean, (len(points), 1))
        smooth = np.reshape(model.predict(points), (len(points), -1))
        found[:, learned] += smooth * spread[learned]
        return found

    return predict


def _model(group: Floats):  # type: ignore[no-untyped-def]  # scikit-learn has no types
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler

    bends = [
        (
            "splines",
            SplineTransformer(_KNOTS, knots="quantile", include_bias=False, extrapolation="linear"),
        )
    ]
    if 1 < group.shape[1] <= _MOST_PAIRED:
        products = PolynomialFeatures((2, 2), interaction_only=True, include_bias=False)
        bends.append(("products", products))
    few = _DRAWS_A_LINE * group.shape[1] <= len(group)
    parts = [
        ("lines", "passthrough"),
        ("bends", make_pipeline(FeatureUnion(bends), StandardScaler())),
    ]
    return make_pipeline(
        StandardScaler(),
        FeatureUnion(parts, transformer_weights={"lines": _FREE if few else 1.0}),
        RidgeCV(_PENALTIES, alpha_per_target=True),
    )
