"""Tables for people: one row per patient and policy, and the event log in vidigi's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crlm_sim.disease.patient import (
    CAUSES,
    MINUTE_COLUMNS,
    MUTATIONS,
    NEVER,
    PRIMARY_SITES,
    TABLE_COLUMNS,
)
from crlm_sim.evidence import ACTIVITIES

if TYPE_CHECKING:
    import pandas

_WORDS: dict[str, tuple[str, ...]] = {
    "sex": ("male", "female"),
    "primary_site": PRIMARY_SITES,
    "mutation": MUTATIONS,
    "cause_of_death": CAUSES,
}
EVENT_COLUMNS = (
    "entity_id",
    "pathway",
    "event_type",
    "event",
    "time",
    "resource_id",
    "run_number",
    "policy",
)
_EVENT_TYPES = ("arrival_departure", "queue", "resource_use", "resource_use_end")
_ARRIVAL_DEPARTURE, _QUEUE, _USE, _USE_END = range(4)
_EVENTS = (*ACTIVITIES, "arrival", "depart")
_ARRIVAL, _DEPARTURE = len(ACTIVITIES), len(ACTIVITIES) + 1


def patient_frame(patients: np.ndarray, policy_name: str) -> pandas.DataFrame:
    """Finished patients (dtype PATIENT) as a table with `TABLE_COLUMNS`, sorted by patient.

    Minutes from diagnosis are nullable integers, <NA> for what never happened; codes are words.
    """
    import pandas

    ordered = patients[np.argsort(patients["patient"], kind="stable")]
    columns: dict[str, object] = {}
    for name in TABLE_COLUMNS:
        values = np.ascontiguousarray(ordered[name])
        if name == "policy":
            columns[name] = _words((policy_name,), np.zeros(len(ordered), np.int64))
        elif name in _WORDS:
            columns[name] = _words(_WORDS[name], values)
        elif name in MINUTE_COLUMNS:
            columns[name] = pandas.arrays.IntegerArray(values, values == NEVER)
        else:
            columns[name] = values
    return pandas.DataFrame(columns)


def event_frame(
    log: np.ndarray,
    policy_name: str,
    run_number: int,
    patients: np.ndarray,
    arrival_minutes: np.ndarray | None = None,
) -> pandas.DataFrame:
    """One policy's activity log in vidigi's columns plus `policy`, by patient, time and order.

    `log` has fields patient, activity, service, start and end, in minutes from diagnosis;
    `patients` (dtype PATIENT) says who there is, who died and when. `arrival_minutes`, shape
    (patients,), puts each on the calendar; without it everybody is diagnosed at minute 0. Times
    are minutes. The log holds no waiting, so each activity queues in the minute it starts.
    Everybody arrives at diagnosis and departs by dying: who is alive at the end has no departure.
    """
    import pandas

    order = np.argsort(patients["patient"], kind="stable")
    people = np.ascontiguousarray(patients["patient"][order])
    arrival = np.zeros(len(people), np.int64)
    if arrival_minutes is not None:
        arrival = np.asarray(arrival_minutes, np.int64)[order]
    rows = log[np.lexsort((log["start"], log["patient"]))]
    offset = arrival[np.searchsorted(people, rows["patient"])]
    died = patients["death_minute"][order] < NEVER
    death = arrival[died] + patients["death_minute"][order][died]
    # An activity's three events follow one another, and the next activity's follow those.
    place = 3 * np.arange(len(rows))
    after = 3 * len(rows)
    parts = [
        _events(people, _ARRIVAL_DEPARTURE, _ARRIVAL, arrival, -1),
        _events(rows["patient"], _QUEUE, rows["activity"], offset + rows["start"], place),
        _events(rows["patient"], _USE, rows["activity"], offset + rows["start"], place + 1),
        _events(rows["patient"], _USE_END, rows["activity"], offset + rows["end"], place + 2),
        _events(people[died], _ARRIVAL_DEPARTURE, _DEPARTURE, death, after),
    ]
    entity, kind, event, time, sequence = np.concatenate(parts, axis=1)
    sort = np.lexsort((sequence, time, entity))
    kind = kind[sort]
    policy = _words((policy_name,), np.zeros(len(sort), np.int64))
    frame = {
        "entity_id": entity[sort],
        "pathway": policy,
        "event_type": _words(_EVENT_TYPES, kind),
        "event": _words(_EVENTS, event[sort]),
        "time": time[sort],
        "resource_id": pandas.arrays.IntegerArray(np.ones_like(kind), kind < _USE),
        "run_number": np.full(len(sort), run_number),
        "policy": policy,
    }
    return pandas.DataFrame(frame, columns=list(EVENT_COLUMNS))


def _events(
    entity: np.ndarray,
    kind: int,
    event: np.ndarray | int,
    time: np.ndarray,
    sequence: np.ndarray | int,
) -> np.ndarray:
    """Rows (entity, type, event, minute, order within the minute), shape (5, events)."""
    return np.stack(np.broadcast_arrays(entity, kind, event, time, sequence)).astype(np.int64)


def _words(names: Sequence[str], codes: np.ndarray) -> pandas.api.extensions.ExtensionArray:
    import pandas

    return pandas.array(np.array(names, object)[codes], dtype="string")
