"""Spending functions: how much of an error rate may be used up by a fraction of the information.

A spending function takes the information fractions of the looks, shape (looks,), and the total
error to spend, and returns what is spent by each look, shape (looks,). Those with a parameter are
made by a function of that parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Spending = Callable[[Floats, float], Floats]
Said = str | tuple[float, ...] | dict[str, float]
"""How a file states spending: a name, a name with its number, or what is spent by each look."""

_ROUNDING = 1e-12
_LARGEST = 50.0
"""Beyond this a number of a spending function only moves all to the first look or the last."""


def obrien_fleming(fractions: Floats, total: float) -> Floats:
    """2 − 2 Φ(z / √t), z the (1 − total/2) quantile: Lan & DeMets 1983, O'Brien–Fleming-like."""
    from scipy.special import ndtr, ndtri

    return np.asarray(2.0 * ndtr(ndtri(total / 2.0) / np.sqrt(fractions)))


def pocock(fractions: Floats, total: float) -> Floats:
    """total · ln(1 + (e − 1) t): Lan & DeMets 1983, Pocock-like."""
    return total * np.log1p((math.e - 1.0) * fractions)


def kim_demets(power: float) -> Spending:
    """total · t^power, power > 0: Kim & DeMets 1987."""
    if not 0.0 < power <= _LARGEST:
        text = f"the power of a spending function is above 0 and at most {_LARGEST:g}"
        raise ValueError(f"{text} (got {power:g})")

    def spent(fractions: Floats, total: float) -> Floats:
        return total * fractions**power

    return spent


def hwang_shih_decani(gamma: float) -> Spending:
    """total · (1 − e^(−gamma t)) / (1 − e^(−gamma)), and total · t at 0: Hwang et al. 1990."""
    if not abs(gamma) <= _LARGEST:
        text = f"the gamma of a spending function is from {-_LARGEST:g} to {_LARGEST:g}"
        raise ValueError(f"{text} (got {gamma:g})")

    def spent(fractions: Floats, total: float) -> Floats:
        if gamma == 0.0:
            return total * fractions
        return total * np.expm1(-gamma * fractions) / math.expm1(-gamma)

    return spent


def given(spent_by_look: Sequence[float]) -> Spending:
    """What is spent by each look, stated by hand: it rises and ends at the total."""
    stated = np.asarray(spent_by_look, dtype=np.float64)

    def spent(fractions: Floats, total: float) -> Floats:
        if len(stated) != len(fractions):
            raise ValueError(
                f"spending is stated for {len(stated)} looks and there are {len(fractions)}"
            )
        if stated[0] < 0.0 or (np.diff(stated) < 0.0).any():
            raise ValueError(
                "what is spent by each look is cumulative: it never falls or is below 0"
            )
        if abs(stated[-1] - total) > _ROUNDING:
            raise ValueError(
                f"spending ends at {stated[-1]:g} and not at the error rate to be spent, {total:g}"
            )
        return stated

    return spent


NAMED: dict[str, Spending] = {"obrien_fleming": obrien_fleming, "pocock": pocock}
NUMBERED: dict[str, Callable[[float], Spending]] = {
    "kim_demets": kim_demets,
    "hwang_shih_decani": hwang_shih_decani,
}


def stated(how: Said) -> Spending:
    """The spending function that is stated in one of these ways. KeyError for an unknown name."""
    if isinstance(how, str):
        return NAMED[how]
    if isinstance(how, dict):
        ((name, number),) = how.items()
        return NUMBERED[name](number)
    return given(how)
