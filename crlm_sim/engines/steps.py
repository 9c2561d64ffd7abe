"""What both engines ask of care, in the order they must ask it.

`plan` says what comes next for a patient who is at minute `now`; `carry_out` does it. The cohort
engine calls them in a loop; the agents engine lets the clock and the services come between.
"""

from __future__ import annotations

import numpy as np

from crlm_sim.care.pathway import (
    PRIMARY_EVENT,
    asks_rules,
    complete,
    finish,
    go_on,
    interrupt,
    next_activity,
    next_clinical_event,
)
from crlm_sim.care.rules import settle
from crlm_sim.care.waiting import (
    look_again,
    look_again_minute,
    priority,
)
from crlm_sim.compiled import compiled
from crlm_sim.disease.death import next_death
from crlm_sim.disease.onset import begin
from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER

ACTIVITY, EVENT, END = 0, 1, 2
LOOK_AGAIN = -2
"""What ends a wait besides clinical events: the scan is too old."""

ACTIVITY_LOG = np.dtype(
    [
        ("patient", "i8"),
        ("activity", "i8"),
        ("service", "i8"),
        ("start", "i8"),
        ("end", "i8"),
        ("regimen", "i8"),
    ]
)
"""One row for every activity begun; minutes from the patient's diagnosis. The regimen is that of
the course under way, which a cycle is given of."""


@compiled
def plan(patient, params, policy, now, horizon):
    """(kind, activity, service, start, end, event) of the next thing to happen, from `now` on.

    An `ACTIVITY` lasts from start to end; if `event` is then a death, it is cut short by it. An
    `EVENT` happens at start = end before any activity could begin. `END` is the horizon.
    """
    activity, service, ready, minutes = next_activity(patient, params, policy)
    start = min(max(ready, now), horizon)
    end = min(start + minutes, horizon)
    minute, event = next_clinical_event(patient, params, end)
    if minute != NEVER:
        minute = max(minute, now)
        if minute <= start:
            return EVENT, activity, service, minute, minute, event
        if event == PRIMARY_EVENT:  # it waits for the activity to end, a death does not
            minute, event = next_death(patient, params, end)
        if minute != NEVER:
            return ACTIVITY, activity, service, start, minute, event
    if start >= horizon:
        return END, activity, service, horizon, horizon, 0
    return ACTIVITY, activity, service, start, end, 0


@compiled
def carry_out(
    patient,
    params,
    settings,
    values,
    policy,
    rules,
    kind,
    activity,
    start,
    end,
    event,
    horizon,
):
    """Do what was planned. Returns whether the patient goes on.

    `settings` are the patient's own and `values` the same memory as numbers; rules may change them
    where the pathway asks for it, between what an activity shows and what it leads to.
    """
    if kind == EVENT:
        return interrupt(patient, params, event, start)
    if kind == END or end >= horizon:
        if event > 0:
            return interrupt(patient, params, event, end)
        finish(patient, params, end)
        return False
    if event > 0:
        return interrupt(patient, params, event, end)
    complete(patient, params, settings, activity, start, end)
    if rules.count > 0 and asks_rules(patient, activity):
        settle(patient, params, settings, values, policy, rules, end)
    go_on(patient, params, settings, activity, end)
    return True


@compiled
def first_step(patients, place, params, settings, horizon):
    """Draw the patient at a place of the array and plan their first step; returns as `plan`.

    Here and below whole arrays cross from Python: a record costs forty times as much to pass.
    """
    begin(patients[place], params[0])
    return plan(patients[place], params[0], settings[place], 0, horizon)


@compiled
def next_step(
    patients,
    place,
    params,
    settings,
    values,
    policy,
    rules,
    kind,
    activity,
    start,
    end,
    event,
    horizon,
):
    """Carry out a step, then `plan` from its end if the patient goes on: one call from Python.

    Returns (goes on, then as `plan`).
    """
    patient = patients[place]
    own = settings[place]
    if not carry_out(
        patient,
        params[0],
        own,
        values[place],
        policy,
        rules[0],
        kind,
        activity,
        start,
        end,
        event,
        horizon,
    ):
        return False, END, activity, 0, end, end, 0
    kind, activity, service, start, end, event = plan(patient, params[0], own, end, horizon)
    return True, kind, activity, service, start, end, event


# Where a patient may have to wait for a place ----------------------------------------------------


@compiled
def waits_until(patients, place, params, activity, now, horizon):
    """(minute, event) until which a patient ready at minute `now` may wait for an activity.

    That is the first of a clinical event, the end of follow-up (`ALIVE`) and the day on which the
    scan that the activity rests on is too old (`LOOK_AGAIN`), at the earliest a day from now. Who
    is called at once was planned for as alive. Looking ahead changes nothing in the record: the
    minute of a death from tumour depends, within a day, on where the search for it begins.
    """
    patient = patients[place]
    safe_until = patient.safe_until
    minute, event = next_clinical_event(patient, params[0], horizon)
    patient.safe_until = safe_until
    minute = max(min(minute, horizon), now + 1)
    look = max(look_again_minute(patient, params[0], activity), now + MINUTES_PER_DAY)
    if look < minute:
        return look, LOOK_AGAIN
    return minute, event


@compiled
def plan_called(patients, place, params, settings, now, horizon):
    """As `plan`, for a patient called from a waiting list at minute `now`."""
    return plan(patients[place], params[0], settings[place], now, horizon)


@compiled
def scan_again(patients, place, params, settings, now, horizon):
    """A new scan for a waiting patient: the plan it leads to (`care.resectability`), and `plan`."""
    patient = patients[place]
    own = settings[place]
    found = look_again(patient, params[0], own, now)
    kind, activity, service, start, end, event = plan(patient, params[0], own, now, horizon)
    return found, kind, activity, service, start, end, event


@compiled
def priority_of(patients, place, activity):
    """The class in which a patient waits for an activity (`care.waiting`)."""
    return priority(patients[place], activity)
