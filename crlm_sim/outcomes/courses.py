"""Where patients are on each day, for a picture that moves: a sample of one run with queues."""

from __future__ import annotations

from typing import Any

import numpy as np

from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER
from crlm_sim.engines.diary import DAYS_PER_WEEK
from crlm_sim.evidence import ACTIVITIES, SERVICES
from crlm_sim.outcomes.planning import Played

STAGES = (
    "at home, next step booked",
    "waiting for a scan",
    "waiting for a meeting",
    "waiting for drugs",
    "on drugs",
    "waiting for theatre",
    "waiting for other services",
    "in hospital",
    "followed up",
    "supportive care",
    "dead",
)
(
    HOME,
    FOR_SCAN,
    FOR_MEETING,
    FOR_DRUGS,
    ON_DRUGS,
    FOR_THEATRE,
    FOR_OTHERS,
    IN_HOSPITAL,
    FOLLOWED,
    SUPPORTED,
    DEAD,
) = range(len(STAGES))
_WAITING = {
    "ct": FOR_SCAN,
    "mri": FOR_SCAN,
    "pet": FOR_SCAN,
    "mdt": FOR_MEETING,
    "chemotherapy_chair": FOR_DRUGS,
    "interventional_radiology": FOR_OTHERS,
    "linac": FOR_OTHERS,
}
"""The stage of who waits for a service; all others are theatres."""
_LASTING = {
    "chemotherapy_cycle": ON_DRUGS,
    "surveillance_visit": FOLLOWED,
    "best_supportive_care": SUPPORTED,
}
"""Activities that leave a patient in a stage until something else happens."""
WEEKS, WEEKS_BEFORE, MOST_PATIENTS = 40, 26, 350

Change = tuple[int, int]
"""Minute of the run, and the stage from then on."""


def sample(played: Played, log: np.ndarray) -> dict[str, Any]:
    """Patients diagnosed after the warm-up or not long before, day by day over some weeks.

    `patients` holds for each a flat list day, stage, day, stage, … of the days of the run on which
    the stage changes; nobody is anywhere before the first of them.
    """
    first = -(-played.window[0] // MINUTES_PER_DAY)
    last = min(first + WEEKS * DAYS_PER_WEEK, played.network.end // MINUTES_PER_DAY)
    since = (first - WEEKS_BEFORE * DAYS_PER_WEEK) * MINUTES_PER_DAY
    chosen = (played.arrivals >= since) & (played.arrivals < last * MINUTES_PER_DAY)
    places = np.flatnonzero(chosen)[:MOST_PATIENTS]
    waits = played.diaries.waits
    patients = []
    for place in places.tolist():
        number = played.patients["patient"][place]
        changes = course(
            int(played.arrivals[place]),
            log[log["patient"] == number],
            waits[waits["patient"] == number],
            int(played.patients["death_minute"][place]),
        )
        patients.append(_daily(changes, last))
    return {"first": int(first), "days": int(last - first), "patients": patients}


def course(arrival: int, log: np.ndarray, waits: np.ndarray, death: int) -> list[Change]:
    """One patient's stages in the order of time; `death` and the log are from diagnosis."""
    found: list[Change] = [(arrival, HOME)]
    for row in waits[waits["left"] > waits["ready"]]:
        stage = _WAITING.get(SERVICES[row["service"]], FOR_THEATRE)
        found += [(int(row["ready"]), stage), (int(row["left"]), HOME)]
    for row in log:
        name = ACTIVITIES[row["activity"]]
        start, end = arrival + int(row["start"]), arrival + int(row["end"])
        if name in _LASTING:
            found.append((start, _LASTING[name]))
        elif name == "ward_stay":
            found += [(start, IN_HOSPITAL), (end, HOME)]
    found.sort(key=lambda change: (change[0], change[1] != HOME))
    if death < NEVER:
        found = [change for change in found if change[0] < arrival + death]
        found.append((arrival + death, DEAD))
    return found


def _daily(changes: list[Change], last: int) -> list[int]:
    """The stage at the end of each day on which it has changed: day, stage, day, stage, …"""
    by_day = {minute // MINUTES_PER_DAY: stage for minute, stage in changes}
    found: list[int] = []
    for day, stage in by_day.items():
        if day < last and (not found or found[-1] != stage):
            found += [day, stage]
    return found
