"""Looks at accumulating data: when each is held, what it sees, when the trial stops, what that
costs.

Every function works on many trials at once, one row each, and a row depends on nothing beside it: a
large number of trials may be worked on in blocks and joined afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crlm_sim.outcomes.survival import Estimate, t_quantile, wilson
from crlm_sim.trials.comparisons import Trials, arrange, hazard_ratio, log_rank
from crlm_sim.trials.spending import Floats
from crlm_sim.trials.timing import Look


@dataclass(frozen=True)
class Patients:
    """What would happen to the patients of each trial, arrays of shape (trials, patients).

    `enrolment` is calendar time, infinite for a place that is never filled; `event` and `dropout`
    are times from enrolment, infinite if they never come; `stratum` may be None.
    """

    enrolment: NDArray
    event: NDArray
    dropout: NDArray
    arm: NDArray
    stratum: NDArray | None = None

    @property
    def event_date(self) -> Floats:
        """Calendar time of the event, infinite if drop-out comes first or it never comes."""
        seen = self.event <= self.dropout
        return np.asarray(np.where(seen, self.enrolment + self.event, np.inf))


def dates(patients: Patients, looks: Sequence[Look]) -> Floats:
    """Calendar time of each look in each trial, (trials, looks).

    The k-th event decides where events are stated; if so many never come, the time at which nobody
    is left in follow-up. A look is never before the one before it.
    """
    if not looks:
        raise ValueError("a trial has at least one look")
    size = patients.enrolment.shape[1]
    happened = np.sort(patients.event_date, axis=1)
    filled = np.where(np.isfinite(patients.enrolment), patients.enrolment, 0.0)
    left = filled + np.where(
        np.isfinite(patients.enrolment), np.minimum(patients.event, patients.dropout), 0.0
    )
    held = np.empty((len(happened), len(looks)))
    for i, look in enumerate(looks):
        if look.events > size:
            raise ValueError(f"a look waits for {look.events:g} events of {size} patients")
        if look.events > 0.0:
            needed = happened[:, math.ceil(look.events) - 1]
            held[:, i] = np.minimum(needed, left.max(axis=1))
        else:
            held[:, i] = 0.0
        held[:, i] = np.maximum(held[:, i], look.calendar)
        if not math.isnan(look.follow_up):
            held[:, i] = np.maximum(held[:, i], filled.max(axis=1) + look.follow_up)
        held[:, i] = np.minimum(held[:, i], look.latest)
        never = int(np.isinf(held[:, i]).sum())
        if never:
            raise ValueError(
                f"look {i + 1} is never held in {never} of {len(held)} trials: too few patients"
                " have the event; state the latest time of the look"
            )
    return np.maximum.accumulate(held, axis=1)


def cut(patients: Patients, date: ArrayLike) -> Trials:
    """The data known at the date of each trial (trials,), sorted for comparisons."""
    known = np.asarray(date, dtype=np.float64)[:, None]
    seen = patients.event_date <= known
    followed = np.minimum(patients.dropout, known - patients.enrolment)
    time = np.where(seen, patients.event, followed)
    time = np.where(patients.enrolment <= known, time, math.nan)
    return arrange(time, seen, patients.arm, patients.stratum)


@dataclass(frozen=True)
class Analyses:
    """What each look of each trial found: arrays of shape (trials, looks)."""

    date: Floats
    events: NDArray[np.int64]
    enrolled: NDArray[np.int64]
    z: Floats
    estimate: Floats


def log_rank_z(trials: Trials) -> Floats:
    """z of the log-rank test (trials,)."""
    return log_rank(trials).z[:, 0]


def log_hazard_ratio(trials: Trials) -> Floats:
    """Log hazard ratio by Cox's model (trials,)."""
    return hazard_ratio(trials)[0]


def analyse(
    patients: Patients,
    looks: Sequence[Look],
    test: Callable[[Trials], Floats] = log_rank_z,
    estimate: Callable[[Trials], Floats] = log_hazard_ratio,
) -> Analyses:
    """Hold every look in every trial, as if none had stopped.

    `test` gives z (trials,), positive if it favours the experimental arm, and `estimate` the
    effect.
    """
    held = dates(patients, looks)
    z, effect = np.empty(held.shape), np.empty(held.shape)
    for i in range(len(looks)):
        data = cut(patients, held[:, i])
        z[:, i], effect[:, i] = test(data), estimate(data)
    happened = patients.event_date[:, None] <= held[..., None]
    present = patients.enrolment[:, None] <= held[..., None]
    return Analyses(held, happened.sum(-1), present.sum(-1), z, effect)


@dataclass(frozen=True)
class Stops:
    """The look (from 0) at which each trial ends and whether it shows an effect, (trials,)."""

    look: NDArray[np.int64]
    shown: NDArray[np.bool_]


def stop(z: Floats, upper: ArrayLike, lower: ArrayLike | None = None) -> Stops:
    """End trials at the first z (trials, looks) at or above `upper` or below `lower`.

    Bounds are (looks,), or (trials, looks) if they follow each trial's own information. A trial
    that crosses neither ends at the last look; a z of nan crosses nothing.
    """
    for bound in (upper, lower):
        if bound is not None and np.asarray(bound).shape not in (z.shape[1:], z.shape):
            raise ValueError(f"there is one bound for each of the {z.shape[1]} looks")
    above = z >= np.asarray(upper)
    below = np.zeros_like(above) if lower is None else z < np.asarray(lower)
    ended = above | below
    ended[:, -1] = True
    look = ended.argmax(axis=1)
    return Stops(look, above[np.arange(len(z)), look])


@dataclass(frozen=True)
class Characteristics:
    """How trials of one design fare under one truth; intervals are of the simulation alone.

    `efficacy` and `futility` are the shares of trials that end at each look for it, (looks,); a
    trial that ends at the last look without an effect counts as futile. `estimate` is the mean
    effect at the end, `estimate_if_shown` that of the trials that show one: how far these are from
    the truth is the bias of stopping early.
    """

    power: Estimate
    efficacy: Floats
    futility: Floats
    duration: Estimate
    events: Estimate
    patients: Estimate
    estimate: Estimate
    estimate_if_shown: Estimate


def characteristics(analyses: Analyses, stops: Stops, level: float = 0.95) -> Characteristics:
    """Shares and means over the trials, with their simulation intervals."""
    number, looks = analyses.z.shape
    row = np.arange(number)

    def at_end(values: NDArray) -> NDArray:
        return np.asarray(values[row, stops.look])

    effect = at_end(analyses.estimate)
    return Characteristics(
        wilson(int(stops.shown.sum()), number, level),
        np.bincount(stops.look[stops.shown], minlength=looks) / number,
        np.bincount(stops.look[~stops.shown], minlength=looks) / number,
        *(
            mean_of(values, level)
            for values in (
                at_end(analyses.date),
                at_end(analyses.events),
                at_end(analyses.enrolled),
                effect,
                effect[stops.shown],
            )
        ),
    )


def mean_of(values: NDArray, level: float = 0.95) -> Estimate:
    """Mean of the values that are known, with Student's interval."""
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return Estimate(float(known.mean()) if len(known) else math.nan)
    middle = float(known.mean())
    error = float(known.std(ddof=1)) / math.sqrt(len(known))
    half = t_quantile(0.5 + level / 2.0, len(known) - 1) * error
    return Estimate(middle, middle - half, middle + half)
