"""How many replications a mean needs: Student's half-width, and when it is narrow enough to stop.

Replications are added until the half-width of the mean lies within what was asked and stays there
for some more, since one narrow interval may be chance (Hoad, Robinson and Davies, J Oper Res Soc
2010;61:1632-44). Values are one number a replication, in their order; nan where it cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from crlm_sim.outcomes.survival import t_quantile

LEVEL = 0.95
_LEAST = 3
"""Replications before a half-width is looked at."""
_LOOK_AHEAD = 5
"""Replications for which it must stay, of every 100 and at least (kLimit)."""
_MOST_NEEDED = 10**9

Floats = NDArray[np.float64]
Asked = tuple[Floats, float, bool]
"""Values, the half-width that is wide enough, and whether that is a share of their mean."""


@cache
def _t(number: int) -> float:
    return t_quantile(0.5 + LEVEL / 2.0, number - 1)


def half_width(values: Floats) -> float:
    """Half of Student's 95 % interval of the mean of what is known; nan below two values."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return math.nan
    return _t(len(known)) * float(known.std(ddof=1)) / math.sqrt(len(known))


def allowed(values: Floats, amount: float, relative: bool) -> float:
    """The half-width asked for: `amount`, or that share of the mean of what is known."""
    known = values[np.isfinite(values)]
    if not relative:
        return amount
    return amount * abs(float(known.mean())) if len(known) else math.nan


def look_ahead(number: int) -> int:
    """For how many replications a precision must be kept that is met after so many (kLimit)."""
    return _LOOK_AHEAD * max(number, 100) // 100


def required(series: Sequence[Asked], least: int, most: int) -> tuple[int, bool]:
    """(replications, whether settled): at which to stop, else the fewest that could settle it.

    It is settled after at least `least` replications, when everything asked for has been met for
    long enough at once; nothing is looked at beyond `most`.
    """
    done = min(len(values) for values, _, _ in series)
    kept = 0
    for number in range(_LEAST, min(done, most) + 1):
        kept = kept + 1 if all(_met(one, number) for one in series) else 0
        if kept > look_ahead(number) and number >= least:
            return number, True
    ahead = max(done, _LEAST - 1) + look_ahead(done) + 1 - kept
    return min(max(ahead, least, done + 1), most), False


def _met(asked: Asked, number: int) -> bool:
    values, amount, relative = asked[0][:number], *asked[1:]
    enough = int(np.isfinite(values).sum()) >= _LEAST
    return enough and half_width(values) <= allowed(values, amount, relative)


def expected(values: Floats, amount: float, relative: bool) -> int | None:
    """Replications after which the half-width would be within what is asked, if they vary so.

    None below two values, or if nothing would do: a share of a mean of nothing.
    """
    known = values[np.isfinite(values)]
    wanted = allowed(known, amount, relative)
    if len(known) < 2:
        return None
    spread = float(known.std(ddof=1))
    if spread == 0.0:
        return 2
    if wanted <= spread / math.sqrt(_MOST_NEEDED):
        return None
    normal = NormalDist().inv_cdf(0.5 + LEVEL / 2.0)
    number = max(2, math.ceil((normal * spread / wanted) ** 2))
    while _t(number) * spread > wanted * math.sqrt(number):
        number += 1
    return number
