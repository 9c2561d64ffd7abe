"""Numbers and estimates as `crlm trial --json` writes them: None where there is no number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crlm_sim.outcomes.survival import Estimate
from crlm_sim.trials.looks import mean_of
from crlm_sim.trials.spending import Floats


def number(value: float) -> float | None:
    """The number, None unless it is finite."""
    return float(value) if math.isfinite(value) else None


def entry(value: Estimate) -> dict[str, float | None]:
    """An estimate with its interval."""
    return {
        "estimate": number(value.estimate),
        "lower": number(value.lower),
        "upper": number(value.upper),
    }


def known_mean(values: Floats) -> Estimate:
    """Mean of the finite values with its simulation interval."""
    return mean_of(np.where(np.isfinite(values), values, math.nan))


def spread(powers: Floats) -> dict[str, Any]:
    """Quantiles of the powers of draws, and all of them."""
    low, middle, high = np.quantile(powers, [0.05, 0.5, 0.95])
    return {"p05": float(low), "median": float(middle), "p95": float(high), "all": powers.tolist()}
