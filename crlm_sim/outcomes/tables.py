"""Tables for people: one row per patient and policy, and the event log in vidigi's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
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
from crlm_sim.evidence import ACTIVITIES, SERVICES

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


@dataclass(frozen=True)
class Queues:
    """Who waited where: `waits` has the columns of `engines.network.WAITS`."""

    waits: np.ndarray
    stations: Sequence[str]
    """Names of the stations, by number."""


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
    queues: Queues | None = None,
) -> pandas.DataFrame:
    """One policy's activity log in vidigi's columns plus `policy`, by patient, time and order.

    `log` has fields patient, activity, service, start and end, in minutes from diagnosis;
    `patients` (dtype PATIENT) says who there is, who died and when. `arrival_minutes`, shape
    (patients,), puts each on the calendar; without it everybody is diagnosed at minute 0. Times
    are minutes. Everybody arrives at diagnosis and departs by dying: who is alive at the end has no
    departure.

    The log holds no waiting, so without `queues` each activity queues in the minute it starts. With
    them it queues when the patient joins the list; lists that were left in vain are queued for too;
    `resource_id` is a place of the station, counted from 1; and a column `station` says which, or
    which service if it has room for everybody.
    """
    import pandas

    order = np.argsort(patients["patient"], kind="stable")
    people = np.ascontiguousarray(patients["patient"][order])
    arrival = np.zeros(len(people), np.int64)
    if arrival_minutes is not None:
        arrival = np.asarray(arrival_minutes, np.int64)[order]
    offset = arrival[np.searchsorted(people, log["patient"])]
    rows = _from_log(log, offset) if queues is None else _with_queues(log, offset, queues.waits)
    rows = rows[np.lexsort((rows["start"], rows["patient"]))]
    used = rows["used"]
    place_at = np.ones(len(rows), np.int64) if queues is None else _places_at(rows)
    died = patients["death_minute"][order] < NEVER
    death = arrival[died] + patients["death_minute"][order][died]
    # An activity's three events follow one another, and the next activity's follow those.
    order_of = 3 * np.arange(len(rows))
    after = 3 * len(rows)
    # The row of the log, or the one after all where there is none.
    row_of = np.arange(len(rows))
    nowhere = len(rows)
    done, at = rows[used], row_of[used]
    begun, left = order_of[used] + 1, order_of[used] + 2
    parts = [
        _events(people, _ARRIVAL_DEPARTURE, _ARRIVAL, arrival, -1, nowhere),
        _events(rows["patient"], _QUEUE, rows["activity"], rows["queued"], order_of, row_of),
        _events(done["patient"], _USE, done["activity"], done["start"], begun, at),
        _events(done["patient"], _USE_END, done["activity"], done["end"], left, at),
        _events(people[died], _ARRIVAL_DEPARTURE, _DEPARTURE, death, after, nowhere),
    ]
    entity, kind, event, time, sequence, row = np.concatenate(parts, axis=1)
    sort = np.lexsort((sequence, time, entity))
    kind, row = kind[sort], row[sort]
    policy = _words((policy_name,), np.zeros(len(sort), np.int64))
    frame = {
        "entity_id": entity[sort],
        "pathway": policy,
        "event_type": _words(_EVENT_TYPES, kind),
        "event": _words(_EVENTS, event[sort]),
        "time": time[sort],
        "resource_id": pandas.arrays.IntegerArray(np.append(place_at, 0)[row], kind < _USE),
        "run_number": np.full(len(sort), run_number),
        "policy": policy,
    }
    if queues is None:
        return pandas.DataFrame(frame, columns=list(EVENT_COLUMNS))
    names = (*queues.stations, *SERVICES, "")
    service = np.append(len(queues.stations) + rows["service"], len(names) - 1)
    station = np.where(np.append(rows["station"], -1) < 0, service, np.append(rows["station"], -1))
    frame["station"] = _words(names, station[row])
    return pandas.DataFrame(frame, columns=[*EVENT_COLUMNS, "station"])


_ROWS = np.dtype(
    [
        ("patient", "i8"),
        ("activity", "i8"),
        ("service", "i8"),
        ("station", "i8"),
        ("queued", "i8"),
        ("start", "i8"),
        ("end", "i8"),
        ("used", "?"),
    ]
)
"""An activity, or a wait for one that was left in vain (not `used`), in minutes of the run."""


def _from_log(log: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The activities of a log without queues."""
    rows = np.zeros(len(log), _ROWS)
    for name in ("patient", "activity", "service"):
        rows[name] = log[name]
    rows["start"] = rows["queued"] = offset + log["start"]
    rows["end"] = offset + log["end"]
    rows["station"], rows["used"] = -1, True
    return rows


def _with_queues(log: np.ndarray, offset: np.ndarray, waits: np.ndarray) -> np.ndarray:
    """The activities, each with the wait that ended as it began, and the waits left in vain."""
    rows = _from_log(log, offset)
    row_at = {
        (patient, service, start): row
        for row, (patient, service, start) in enumerate(
            zip(*(rows[name].tolist() for name in ("patient", "service", "start")), strict=True)
        )
    }
    in_vain = []
    for wait in waits:
        row = row_at.get((int(wait["patient"]), int(wait["service"]), int(wait["left"])))
        if row is None:
            in_vain.append(wait)
        else:
            rows["queued"][row], rows["station"][row] = wait["ready"], wait["station"]
    more = np.zeros(len(in_vain), _ROWS)
    for place, wait in enumerate(in_vain):
        for name in ("patient", "activity", "service", "station"):
            more[name][place] = wait[name]
        more["queued"][place] = wait["ready"]
        more["start"][place] = more["end"][place] = wait["left"]
    return np.concatenate([rows, more])


def _places_at(rows: np.ndarray) -> np.ndarray:
    """The place each activity takes: the first free of its station, or of its service."""
    found = np.zeros(len(rows), np.int64)
    where = np.where(rows["station"] < 0, -1 - rows["service"], rows["station"])
    for station in np.unique(where[rows["used"]]):
        own = np.flatnonzero((where == station) & rows["used"])
        free: list[int] = []
        taken: list[tuple[int, int]] = []
        for row in own[np.argsort(rows["start"][own], kind="stable")]:
            while taken and taken[0][0] <= rows["start"][row]:
                heappush(free, heappop(taken)[1])
            found[row] = heappop(free) if free else len(taken) + 1
            heappush(taken, (int(rows["end"][row]), int(found[row])))
    return found


def _events(
    entity: np.ndarray,
    kind: int,
    event: np.ndarray | int,
    time: np.ndarray,
    sequence: np.ndarray | int,
    row: np.ndarray | int,
) -> np.ndarray:
    """(entity, type, event, minute, order within the minute, row), shape (6, events)."""
    return np.stack(np.broadcast_arrays(entity, kind, event, time, sequence, row)).astype(np.int64)


def _words(names: Sequence[str], codes: np.ndarray) -> pandas.api.extensions.ExtensionArray:
    import pandas

    return pandas.array(np.array(names, object)[codes], dtype="string")
