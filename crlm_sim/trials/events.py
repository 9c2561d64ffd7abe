"""How many events a trial needs, what power it has, and which hazard ratio it can show.

The drift of a trial is the mean of its z: the root of the events times a `signal` of the hazard
ratio, Schoenfeld's or Freedman's. `allocation` is experimental patients to one control patient.
Superiority has null 1; non-inferiority has the margin as null, above the true ratio.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from crlm_sim.trials.boundaries import check_error, fixed_drift

Signal = Callable[[float, float, float], float]
"""(hazard ratio, allocation, null) → drift per root event."""


def schoenfeld(hazard_ratio: float, allocation: float, null: float) -> float:
    """√r / (1 + r) · (ln null − ln ratio): Schoenfeld, Biometrika 1981."""
    return math.sqrt(allocation) / (1.0 + allocation) * math.log(null / hazard_ratio)


def freedman(hazard_ratio: float, allocation: float, null: float) -> float:
    """√r (1 − ratio) / (1 + r · ratio): Freedman, Stat Med 1982; for superiority alone."""
    if null != 1.0:
        raise ValueError("Freedman's formula has no margin: take Schoenfeld's for non-inferiority")
    return math.sqrt(allocation) * (1.0 - hazard_ratio) / (1.0 + allocation * hazard_ratio)


def _signal(signal: Signal, hazard_ratio: float, allocation: float, null: float) -> float:
    if allocation <= 0.0:
        raise ValueError(f"allocation is above 0 (got {allocation:g})")
    if not 0.0 < hazard_ratio < null:
        raise ValueError(
            f"the hazard ratio is above 0 and below the null, {null:g} (got {hazard_ratio:g})"
        )
    return signal(hazard_ratio, allocation, null)


def events_needed(
    hazard_ratio: float,
    alpha: float,
    beta: float,
    allocation: float = 1.0,
    null: float = 1.0,
    signal: Signal = schoenfeld,
) -> float:
    """Events of a trial with one look, one-sided error alpha and power 1 − beta; not rounded."""
    check_error(alpha, "alpha")
    check_error(beta, "beta")
    return (fixed_drift(alpha, beta) / _signal(signal, hazard_ratio, allocation, null)) ** 2


def power_of_events(
    events: float,
    hazard_ratio: float,
    alpha: float,
    allocation: float = 1.0,
    null: float = 1.0,
    signal: Signal = schoenfeld,
) -> float:
    """Power of a trial with one look at this many events."""
    from scipy.special import ndtr, ndtri

    check_error(alpha, "alpha")
    if events <= 0.0:
        raise ValueError(f"a trial has events (got {events:g})")
    drift = math.sqrt(events) * _signal(signal, hazard_ratio, allocation, null)
    return float(ndtr(drift + ndtri(alpha)))


def detectable_hazard_ratio(
    events: float,
    alpha: float,
    beta: float,
    allocation: float = 1.0,
    null: float = 1.0,
    signal: Signal = schoenfeld,
) -> float:
    """The hazard ratio that this many events show with power 1 − beta; ValueError if none is."""
    from scipy.optimize import brentq

    def excess(log_ratio: float) -> float:
        ratio = null * math.exp(log_ratio)
        return events_needed(ratio, alpha, beta, allocation, null, signal) - events

    lowest, highest = -20.0, -1e-6
    if excess(lowest) > 0.0:
        raise ValueError(f"{events:g} events are too few to show any hazard ratio with this power")
    if excess(highest) < 0.0:
        raise ValueError(f"{events:g} events show a hazard ratio that is one to six digits")
    return null * math.exp(brentq(excess, lowest, highest, xtol=1e-14, rtol=1e-14))


def hazard_ratio_at(z: float, events: float, allocation: float = 1.0, null: float = 1.0) -> float:
    """The hazard ratio whose log-rank z after these events is z, by Schoenfeld: a bound's ratio."""
    return null * math.exp(-z * (1.0 + allocation) / math.sqrt(allocation * events))
