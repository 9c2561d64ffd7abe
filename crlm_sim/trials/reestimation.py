"""Sample-size re-estimation on blinded events: more patients if the events would come too late.

When a share of the planned patients is in, the events and the time at risk of both arms together
give one constant hazard, and those who left another. From these and the expected recruitment
follows how many events to expect by a date, and the smallest number of patients, up to a cap, with
whom there are enough. Nobody looks at the arms, so the error of the test is kept.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crlm_sim.trials.enrolment import Recruitment
from crlm_sim.trials.file import Trial
from crlm_sim.trials.looks import Patients
from crlm_sim.trials.spending import Floats


class Resized(NamedTuple):
    """What the blinded look of each trial found and decided, every array (trials,).

    `date` and `events` are of the look, infinite and 0 where it is never held; `size` is the number
    of patients from then on. `in_time` says whether the events came by the date, `as_planned`
    whether they would have with the planned patients.
    """

    size: NDArray[np.int64]
    date: Floats
    events: NDArray[np.int64]
    in_time: NDArray[np.bool_]
    as_planned: NDArray[np.bool_]


def resized(
    trial: Trial, patients: Patients, coming: Recruitment
) -> tuple[Patients, Resized | None]:
    """The patients with places beyond each trial's size never filled, and how that was decided.

    Both are as given if the trial re-estimates nothing; else `patients` has places up to the cap.
    """
    said, planned = trial.reestimation, trial.accrual.patients
    if said is None:
        return patients, None
    enrolled = math.ceil(said.enrolled * planned - 1e-9)
    date = patients.enrolment[:, enrolled - 1]
    event, left, at_risk, time = _seen(patients, date)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazards = event / time, left / time
    size = _size(trial, coming, enrolled, date, event, at_risk, hazards)
    size = np.where(np.isfinite(date), size, planned)
    place = np.arange(patients.enrolment.shape[1])
    filled = np.where(place < size[:, None], patients.enrolment, np.inf)
    after = replace(patients, enrolment=filled)
    happened = patients.event_date <= trial.events_by
    found = Resized(
        size,
        date,
        event,
        (after.event_date <= trial.events_by).sum(axis=1) >= trial.events,
        happened[:, :planned].sum(axis=1) >= trial.events,
    )
    return after, found


def _seen(
    patients: Patients, date: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Floats]:
    """(events, patients who left, patients at risk, time at risk) known at the date of each trial.

    All are of both arms together. Without a date nothing is known.
    """
    known = np.where(np.isfinite(date), date, -np.inf)[:, None]
    until = np.minimum(patients.event, patients.dropout)
    present = patients.enrolment <= known
    over = present & (patients.enrolment + until <= known)
    event = over & (patients.event <= patients.dropout)
    with np.errstate(invalid="ignore"):
        time = np.where(present, np.minimum(until, known - patients.enrolment), 0.0)
    counts = [one.sum(axis=1) for one in (event, over & ~event, present & ~over)]
    return counts[0], counts[1], counts[2], time.sum(axis=1)


def _size(
    trial: Trial,
    coming: Recruitment,
    enrolled: int,
    date: Floats,
    events: NDArray[np.int64],
    at_risk: NDArray[np.int64],
    hazards: tuple[Floats, Floats],
) -> NDArray[np.int64]:
    """The fewest patients, from those planned to the cap, who are expected to have the events."""
    planned, most = trial.accrual.patients, trial.most_patients
    due = coming.dates(np.arange(enrolled, most + 1, dtype=np.float64))
    never = np.full(most - enrolled, np.inf)
    wait = np.subtract(due[1:], due[0], out=never, where=np.isfinite(due[1:]))
    to_go = trial.events_by - date
    happening, leaving = (hazard[:, None] for hazard in hazards)
    all_ends = happening + leaving

    def expected(time: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            ended = -np.expm1(-all_ends * np.maximum(time, 0.0))
            return np.where(all_ends > 0.0, happening / all_ends * ended, 0.0)

    known = events + at_risk * expected(to_go[:, None])[:, 0]
    more = np.cumsum(expected(to_go[:, None] - wait), axis=1)
    by_size = known[:, None] + np.column_stack([np.zeros(len(known)), more])
    enough = by_size[:, planned - enrolled :] >= trial.events
    return planned + np.where(enough.any(axis=1), enough.argmax(axis=1), most - planned)


def told(trial: Trial, found: list[Resized]) -> dict[str, Any]:
    """The distribution of the size, and how often the events come in time."""
    size, date, events, in_time, as_planned = (
        np.concatenate(column) for column in zip(*found, strict=True)
    )
    held = np.isfinite(date)
    low, middle, high = np.quantile(size, [0.05, 0.5, 0.95])
    return {
        "by": trial.events_by,
        "most": trial.most_patients,
        "held": float(held.mean()),
        "months": float(date[held].mean()) if held.any() else None,
        "events_seen": float(events[held].mean()) if held.any() else None,
        "size": {
            "mean": float(size.mean()),
            "p05": float(low),
            "median": float(middle),
            "p95": float(high),
        },
        "increased": float((size > trial.accrual.patients).mean()),
        "at_most": float((size == trial.most_patients).mean()),
        "events_in_time": float(in_time.mean()),
        "events_in_time_as_planned": float(as_planned.mean()),
    }
