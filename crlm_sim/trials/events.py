"""How many events a trial needs, what power it has, and which hazard ratio it can show.

The drift of a trial is the mean of its z: the root of the events times a `signal` of the hazard
ratio, Schoenfeld's or Freedman's. `allocation` is experimental patients to one control patient.
Superiority has null 1; non-inferiority has the margin as null, above the true ratio.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class LogRankTest:
    """A one-sided log-rank test at one look: what links events, power and hazard ratio."""

    alpha: float
    allocation: float = 1.0
    null: float = 1.0
    signal: Signal = schoenfeld

    def drift_of_one(self, hazard_ratio: float) -> float:
        """Drift per root event; ValueError unless the ratio is below the null."""
        check_error(self.alpha, "alpha")
        if self.allocation <= 0.0:
            raise ValueError(f"allocation is above 0 (got {self.allocation:g})")
        if not 0.0 < hazard_ratio < self.null:
            raise ValueError(
                f"the hazard ratio is above 0 and below the null, {self.null:g}"
                f" (got {hazard_ratio:g})"
            )
        return self.signal(hazard_ratio, self.allocation, self.null)

    def events(self, hazard_ratio: float, beta: float) -> float:
        """Events for power 1 − beta, not rounded."""
        check_error(beta, "beta")
        return (fixed_drift(self.alpha, beta) / self.drift_of_one(hazard_ratio)) ** 2

    def power(self, events: float, hazard_ratio: float) -> float:
        """Power after this many events."""
        from scipy.special import ndtr, ndtri

        if events <= 0.0:
            raise ValueError(f"a trial has events (got {events:g})")
        drift = math.sqrt(events) * self.drift_of_one(hazard_ratio)
        return float(ndtr(drift + ndtri(self.alpha)))

    def hazard_ratio(self, events: float, beta: float) -> float:
        """The ratio that this many events show with power 1 − beta; ValueError if none is."""
        from scipy.optimize import brentq

        def excess(log_ratio: float) -> float:
            return self.events(self.null * math.exp(log_ratio), beta) - events

        lowest, highest = -20.0, -1e-6
        if excess(lowest) > 0.0:
            raise ValueError(f"{events:g} events are too few to show any ratio with this power")
        if excess(highest) < 0.0:
            raise ValueError(f"{events:g} events show a ratio that equals the null to six digits")
        return self.null * math.exp(brentq(excess, lowest, highest, xtol=1e-14, rtol=1e-14))


def hazard_ratio_at(z: float, events: float, allocation: float = 1.0, null: float = 1.0) -> float:
    """The hazard ratio whose log-rank z after these events is z, by Schoenfeld: a bound's ratio."""
    return null * math.exp(-z * (1.0 + allocation) / math.sqrt(allocation * events))
