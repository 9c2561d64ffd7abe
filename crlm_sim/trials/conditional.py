"""Conditional power: the probability that a trial still shows an effect, given what a look saw.

At the information fraction t a look has z, and the last z is z √t plus a normal of mean
drift · (1 − t) and variance 1 − t (Lan & Wittes, Biometrics 1988). Looks in between are not
counted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crlm_sim.trials.boundaries import Bounds
from crlm_sim.trials.looks import Stops
from crlm_sim.trials.spending import Floats


def conditional_power(z: Floats, fraction: float, bound: float, drift: float | Floats) -> Floats:
    """The probability that the last z is at or above `bound`, of the shape of z.

    `drift` is the mean of the last z: that of the plan, or z / √t to go on with what was seen.
    """
    from scipy.special import ndtr

    if not 0.0 < fraction < 1.0:
        raise ValueError(f"an interim look has some of the information (got {fraction:g})")
    left = 1.0 - fraction
    expected = z * math.sqrt(fraction) + np.asarray(drift) * left
    return np.asarray(ndtr((expected - bound) / math.sqrt(left)))


def told(z: Floats, stops: Stops, bounds: Bounds, look: int, drift: float) -> dict[str, Any] | None:
    """Conditional power of the trials that go on after a look, and what becomes of them.

    `planned` is at this drift, `trend` at the one seen: mean, median, central 90 %. `shown` is the
    share of these trials that show an effect in the end. None if no trial goes on.
    """
    on = stops.look > look
    seen = z[on, look]
    seen = seen[np.isfinite(seen)]
    if look == len(bounds.fractions) - 1 or not len(seen):
        return None
    fraction = float(bounds.fractions[look])
    drifts = {"planned": drift, "trend": seen / math.sqrt(fraction)}
    found: dict[str, Any] = {"shown": float(stops.shown[on].mean())}
    for name, mean in drifts.items():
        power = conditional_power(seen, fraction, float(bounds.upper[-1]), mean)
        low, middle, high = np.quantile(power, [0.05, 0.5, 0.95])
        found[name] = {
            "mean": float(power.mean()),
            "p05": float(low),
            "median": float(middle),
            "p95": float(high),
        }
    return found
