"""When a trial's patients enrol and when events are to be expected.

Accrual is piecewise uniform, hazards of the event and of drop-out are piecewise constant from
enrolment, and everything is an expectation: a patient enrolled at u has follow-up T − u at calendar
time T. Time 0 is the first enrolment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crlm_sim.trials.spending import Floats


@dataclass(frozen=True)
class Accrual:
    """Periods from `starts` to `ends` with `rates` patients per time, each of shape (periods,)."""

    starts: Floats
    ends: Floats
    rates: Floats

    @property
    def patients(self) -> float:
        """All patients enrolled."""
        return float(self.rates @ (self.ends - self.starts))

    @property
    def end(self) -> float:
        """Calendar time of the last enrolment."""
        return float(self.ends[-1])

    def enrolled(self, time: ArrayLike) -> Floats:
        """Patients enrolled by calendar times of any shape."""
        open_for = np.clip(np.asarray(time)[..., None], self.starts, self.ends) - self.starts
        return np.asarray(open_for @ self.rates)

    def enrolment_times(self) -> Floats:
        """Time of each whole patient, (patients,): the k-th comes when k are to be enrolled."""
        reached = np.append(0.0, np.cumsum(self.rates * (self.ends - self.starts)))
        count = np.arange(1, math.floor(self.patients + 1e-9) + 1)
        period = np.minimum(np.searchsorted(reached, count - 1e-9) - 1, len(self.rates) - 1)
        return np.asarray(self.starts[period] + (count - reached[period]) / self.rates[period])

    def scaled(self, factor: float) -> Accrual:
        """The same periods with this many times the patients."""
        return Accrual(self.starts, self.ends, self.rates * factor)


def accrual(
    rates: ArrayLike, durations: ArrayLike, patients: float | None = None, end: float | None = None
) -> Accrual:
    """Accrual at `rates` for `durations`, both (periods,).

    With `patients` or `end` the last period lasts until that many are enrolled or until that time,
    and its own duration is not looked at (it may be left out).
    """
    speed = np.atleast_1d(np.asarray(rates, dtype=np.float64))
    lasts = np.atleast_1d(np.asarray(durations, dtype=np.float64))
    stretched = patients is not None or end is not None
    if stretched:
        lasts = np.append(lasts[: len(speed) - 1], math.nan)
    if len(speed) != len(lasts) or not len(speed):
        raise ValueError("accrual has one duration for each rate")
    if patients is not None:
        lasts[-1] = (patients - speed[:-1] @ lasts[:-1]) / speed[-1] if speed[-1] > 0.0 else -1.0
    elif end is not None:
        lasts[-1] = end - lasts[:-1].sum()
    if (speed < 0.0).any() or not speed.any():
        raise ValueError("accrual rates are not below 0, nor all 0")
    if not (lasts > 0.0).all():
        raise ValueError(
            "accrual periods last longer than 0: the last one would end before it began"
        )
    ends = np.cumsum(lasts)
    return Accrual(np.append(0.0, ends[:-1]), ends, speed)


@dataclass(frozen=True)
class Arm:
    """Constant hazards of the event and of drop-out in intervals of time since enrolment.

    `starts` is (intervals,) and begins with 0; the last interval does not end.
    """

    starts: Floats
    event: Floats
    dropout: Floats

    @property
    def lengths(self) -> Floats:
        """Lengths of the intervals, the last without end."""
        return np.diff(self.starts, append=np.inf)


def arm(event: ArrayLike, dropout: ArrayLike = 0.0, cuts: Sequence[float] = ()) -> Arm:
    """Hazards between the `cuts` (times since enrolment); a single hazard holds throughout."""
    starts = np.append(0.0, np.asarray(cuts, dtype=np.float64))
    if (np.diff(starts) <= 0.0).any():
        raise ValueError("cuts between hazards rise from above 0")
    try:
        happening = np.broadcast_to(np.asarray(event, dtype=np.float64), starts.shape)
        leaving = np.broadcast_to(np.asarray(dropout, dtype=np.float64), starts.shape)
    except ValueError:
        raise ValueError(
            f"{len(starts) - 1} cuts need {len(starts)} hazards, or one for all"
        ) from None
    if not (np.isfinite(happening) & np.isfinite(leaving)).all():
        raise ValueError("hazards are finite")
    if (happening < 0.0).any() or (leaving < 0.0).any():
        raise ValueError("hazards are not below 0")
    return Arm(starts, happening, leaving)


def cumulative(hazards: Floats, starts: Floats, time: ArrayLike) -> Floats:
    """Cumulative hazard at times since enrolment, of any shape."""
    lengths = np.diff(starts, append=np.inf)
    within = np.clip(np.asarray(time)[..., None] - starts, 0.0, lengths)
    return np.asarray(within @ hazards)


def _event_areas(group: Arm, follow_up: ArrayLike) -> Floats:
    """∫ P(event within x, in each interval) dx from 0 to the follow-up: shape (..., intervals)."""
    total = group.event + group.dropout
    followed = np.exp(-cumulative(total, group.starts, group.starts))
    share = np.divide(group.event, total, out=np.zeros_like(total), where=total > 0.0) * followed
    past = np.maximum(np.asarray(follow_up)[..., None] - group.starts, 0.0)
    inside = np.minimum(past, group.lengths)
    left = -np.expm1(-total * inside)
    mean_left = np.divide(left, total, out=np.zeros_like(left), where=total > 0.0)
    return share * (inside - mean_left + (past - inside) * left)


def events_by_interval(plan: Accrual, group: Arm, time: ArrayLike) -> Floats:
    """Expected events by calendar times if all patients were of this arm: (..., intervals)."""
    calendar = np.asarray(time, dtype=np.float64)[..., None]
    longest = np.maximum(calendar - plan.starts, 0.0)
    shortest = np.maximum(calendar - plan.ends, 0.0)
    areas = _event_areas(group, longest) - _event_areas(group, shortest)
    return np.asarray(np.einsum("p,...pi->...i", plan.rates, areas))


@dataclass(frozen=True)
class Truth:
    """What a trial is planned for; `allocation` is experimental patients to one control patient."""

    accrual: Accrual
    control: Arm
    experimental: Arm
    allocation: float = 1.0

    @property
    def shares(self) -> Floats:
        """Shares of (control, experimental) patients."""
        if self.allocation <= 0.0:
            raise ValueError(f"allocation is above 0 (got {self.allocation:g})")
        return np.array([1.0, self.allocation]) / (1.0 + self.allocation)


def expected_events(truth: Truth, time: ArrayLike) -> Floats:
    """Expected events of both arms by calendar times of any shape."""
    parts = truth.shares
    return np.asarray(
        parts[0] * events_by_interval(truth.accrual, truth.control, time).sum(-1)
        + parts[1] * events_by_interval(truth.accrual, truth.experimental, time).sum(-1)
    )


def time_of_events(truth: Truth, events: float) -> float:
    """Calendar time by which this many events are expected; ValueError if they never are."""
    from scipy.optimize import brentq

    def excess(time: float) -> float:
        return float(expected_events(truth, time)) - events

    plan = truth.accrual
    if not 0.0 < events <= plan.patients:
        raise ValueError(
            f"{events:g} events are asked for and {plan.patients:g} patients are enrolled:"
            " there is at most one event for each"
        )
    latest = plan.end
    while excess(latest) < 0.0:
        if latest > 1e6 * plan.end:
            raise ValueError(
                f"{events:g} events never come: drop-out or cure leave"
                f" {events + excess(latest):g} of {plan.patients:g} patients"
            )
        latest *= 2.0
    return float(brentq(excess, 0.0, latest, xtol=1e-11, rtol=1e-14))


@dataclass(frozen=True)
class Look:
    """An analysis held as soon as everything stated here has come about, or at `latest`.

    `events` have happened, `calendar` time has passed, and the last patient was enrolled
    `follow_up` ago (nan: no follow-up is asked for).
    """

    events: float = 0.0
    calendar: float = 0.0
    follow_up: float = math.nan
    latest: float = math.inf


def time_of_look(look: Look, truth: Truth) -> float:
    """Calendar time at which a look is expected."""
    if math.isfinite(look.latest) and look.events > expected_events(truth, look.latest):
        return look.latest
    times = [look.calendar]
    if not math.isnan(look.follow_up):
        times.append(truth.accrual.end + look.follow_up)
    if look.events > 0.0:
        times.append(time_of_events(truth, look.events))
    return min(max(times), look.latest)


def patients_for_events(truth: Truth, events: float, time: float) -> float:
    """Patients that give this many events by calendar time `time`, all enrolled in proportion."""
    expected = float(expected_events(truth, time))
    if expected <= 0.0:
        raise ValueError(f"no events are expected by time {time:g}")
    return events / expected * truth.accrual.patients


def lachin_foulkes(
    plan: Accrual,
    control: Arm,
    hazard_ratio: float,
    time: float,
    alpha: float,
    beta: float,
    allocation: float = 1.0,
    null: float = 1.0,
) -> tuple[float, float]:
    """(patients, events) of a trial with one look at calendar time `time`, hazards proportional.

    Lachin & Foulkes, Biometrics 1986, for the log hazard ratio: the variances under the null and
    the alternative differ. Under the null the hazards keep the mean of both arms. Patients enrol as
    `plan` in proportion.
    """
    from scipy.special import ndtri

    experimental = Arm(control.starts, control.event * hazard_ratio, control.dropout)
    parts = Truth(plan, control, experimental, allocation).shares
    middle = (parts @ np.array([control.event, experimental.event])) / (
        parts @ np.array([1.0, null])
    )
    nulls = [Arm(control.starts, middle * ratio, control.dropout) for ratio in (1.0, null)]
    seen = np.array(
        [
            [events_by_interval(plan, group, time).sum() / plan.patients for group in pair]
            for pair in (nulls, [control, experimental])
        ]
    )
    if (seen <= 0.0).any():
        raise ValueError(f"no events are expected by time {time:g}")
    deviations = np.sqrt((1.0 / (seen * parts)).sum(axis=1))
    quantiles = ndtri([1.0 - alpha, 1.0 - beta])
    patients = (float(quantiles @ deviations) / math.log(hazard_ratio / null)) ** 2
    return patients, patients * float(seen[1] @ parts)
