"""When patients come: the rate of all sites together, and dates drawn from it.

Patients come as a Poisson process whose rate follows the sites as they open, run up and close.
Months from the start of the trial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crlm_sim.trials import timing
from crlm_sim.trials.file import Trial
from crlm_sim.trials.spending import Floats

_STEP = 1.0 / 32.0
"""Months between the points at which the rate is looked at; it is straight between them."""
_LONGEST = 12.0 * 200.0
_PERIODS = 60


@dataclass(frozen=True)
class Recruitment:
    """Patients randomised by `months`, both (points,); after the last point at `last_rate`."""

    months: Floats
    expected: Floats
    last_rate: float

    def dates(self, counts: Floats) -> Floats:
        """When these counts are expected, of any shape; infinite if they never are."""
        found = np.interp(counts, self.expected, self.months)
        beyond = counts > self.expected[-1]
        if self.last_rate > 0.0:
            later = self.months[-1] + (counts - self.expected[-1]) / self.last_rate
        else:
            later = np.full(counts.shape, math.inf)
        return np.where(beyond, later, found)

    def in_periods(self, patients: int) -> timing.Accrual:
        """Pieces of constant rate that enrol these patients, or as many as ever come."""
        wanted = min(float(patients), math.inf if self.last_rate else self.expected[-1])
        end = float(self.dates(np.array(wanted)))
        edges = np.linspace(0.0, end, _PERIODS + 1)
        reached = np.interp(edges, self.months, self.expected)
        over = np.maximum(edges - self.months[-1], 0.0) * self.last_rate
        return timing.Accrual(edges[:-1], edges[1:], np.diff(reached + over) / np.diff(edges))


def recruitment(trial: Trial, eligible_share: float) -> Recruitment:
    """The patients a trial's sites randomise if this share of those screened is eligible."""
    if not trial.sites:
        return Recruitment(np.zeros(1), np.zeros(1), trial.accrual.per_month)
    settled, closed = 0.0, 0.0
    for site in trial.sites:
        full = site.opens + (site.sites - 1) * site.opening_every + site.ramp_up
        settled, closed = max(settled, full), max(closed, site.closes or 0.0)
    end = min(max(settled, closed) + 1.0, _LONGEST)
    months = np.arange(0.0, end + _STEP, _STEP)
    expected = np.zeros(len(months))
    last_rate = 0.0
    for site in trial.sites:
        rate = site.screened_per_month * site.consent * eligible_share
        for number in range(site.sites):
            start = site.opens + number * site.opening_every
            expected += rate * _open_months(months, start, site.closes, site.ramp_up)
        last_rate += rate * site.sites * (site.closes is None)
    return Recruitment(months, expected, last_rate)


def _open_months(months: Floats, start: float, closes: float | None, ramp_up: float) -> Floats:
    """Months at full rate that the time open so far is worth: half of those of the ramp."""
    open_for = np.maximum(np.minimum(months, math.inf if closes is None else closes) - start, 0.0)
    if ramp_up == 0.0:
        return open_for
    rising = np.minimum(open_for, ramp_up)
    return np.asarray(rising**2 / (2.0 * ramp_up) + open_for - rising)
