"""The scales on which published figures are compared, and the errors of figures there.

Shares and survival on the logit, ratios, times and means on the logarithm, differences as they are:
there their sampling errors are near normal.
"""

from __future__ import annotations

import math
from statistics import NormalDist

LOGIT, LOG, PLAIN = "logit", "log", "plain"
LIMITS = {LOGIT: (0.0, 1.0), LOG: (1e-12, math.inf), PLAIN: (-math.inf, math.inf)}
_CLOSE = 1e-4
"""A share this close to 0 or 1 is taken for this."""
_MEDIAN_SPREAD, _RATIO_SPREAD, _WITH_EVENT = 1.25, 2.0, 0.7
"""On the logarithm a median's error is about 1.25 / √events and a ratio's of two equal groups
2 / √events; of n patients some 70 % are taken to have one."""


def to_scale(scale: str, value: float) -> float:
    """A figure on its scale; nan stays nan."""
    if math.isnan(value) or scale == PLAIN:
        return value
    if scale == LOG:
        return math.log(max(value, 1e-12))
    share = min(max(value, _CLOSE), 1.0 - _CLOSE)
    return math.log(share / (1.0 - share))


def from_scale(scale: str, number: float) -> float:
    """The figure back from its scale."""
    if math.isnan(number) or scale == PLAIN:
        return number
    if scale == LOG:
        return math.exp(number)
    return 1.0 / (1.0 + math.exp(-number))


def centre_and_error(
    scale: str, value: float, lower: float, upper: float, level: float
) -> tuple[float, float]:
    """(value, standard error) on the scale, of a figure with an interval of this level."""
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    low, high = to_scale(scale, lower), to_scale(scale, upper)
    return to_scale(scale, value), (high - low) / (2.0 * z)


def from_number(scale: str, value: float, n: int, compares: bool = False) -> tuple[float, float]:
    """(value, standard error) on the scale, of a figure known to come from n patients.

    Shares as binomial (half a patient added to either side), times as medians. A ratio
    (`compares`) or difference is of two groups of n / 2, as if with a share of a half.
    """
    if scale == LOGIT:
        hits = value * n
        share = (hits + 0.5) / (n + 1.0)
        error = 1.0 / math.sqrt((n + 1.0) * share * (1.0 - share))
        return to_scale(scale, share), error
    if scale == LOG:
        spread = _RATIO_SPREAD if compares else _MEDIAN_SPREAD
        return to_scale(scale, value), spread / math.sqrt(_WITH_EVENT * n)
    return value, 1.0 / math.sqrt(n)
