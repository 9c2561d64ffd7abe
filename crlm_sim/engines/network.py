"""What the agents engine is told about the hospitals: stations, beds and where patients go.

Plain descriptions, made from a scenario or by hand; nothing here knows a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from crlm_sim.disease.patient import MINUTES_PER_DAY
from crlm_sim.engines.diary import Session
from crlm_sim.evidence.capacity import due_days


@dataclass(frozen=True)
class OtherPatients:
    """Patients of other diseases: `per_day` of them on average, each for `minutes`.

    `pace` tells times of more and of fewer: pairs of a minute of the run and the minutes that would
    have brought as many by then at the average; a minute in between lies on the line between two.
    """

    per_day: float
    minutes: int
    pace: tuple[tuple[int, float], ...] = ()

    def minute_at(self, average: float) -> float:
        """The minute of the run by which as many have come as in `average` minutes on average."""
        if not self.pace:
            return average
        minutes, averages = zip(*self.pace, strict=True)
        return float(np.interp(average, averages, minutes))

    def expected(self, end: int) -> float:
        """How many come up to minute `end` of the run."""
        average = end if not self.pace else self.pace[-1][1]
        return self.per_day * average / MINUTES_PER_DAY


@dataclass(frozen=True)
class StationPlan:
    """One service at one place; `hospital` is the number of the place."""

    name: str
    hospital: int
    diary: tuple[Session, ...]
    turnaround: int = 0
    """Minutes a place stays taken after a patient has left it."""
    others: OtherPatients | None = None
    due_days: tuple[float, ...] = field(default_factory=due_days)
    """Days after which a patient is due, by class (`care.waiting`); the earliest comes first."""


@dataclass(frozen=True)
class BedPlan:
    """Beds of one hospital; None is as many as it takes."""

    ward: int | None = None
    high_dependency: int | None = None


@dataclass(frozen=True)
class Network:
    """Everything that can make a patient wait.

    `where[service, hospital]` are the stations that a patient of a hospital needs for a service,
    several if teams of each must come together; the first has the beds and the due dates. What is
    not in it has room for everybody. `end` is the minute at which the run stops, patients being
    followed no further. `travel[home, hospital]` are minutes one way, where there are any.
    """

    stations: tuple[StationPlan, ...]
    where: Mapping[tuple[int, int], tuple[int, ...]]
    end: int
    beds: Mapping[int, BedPlan] = field(default_factory=dict)
    travel: Mapping[tuple[int, int], int] = field(default_factory=dict)


SERVED, DEAD, EMERGENCY, PLAN_CHANGED, FOUND_UNRESECTABLE, STILL_WAITING = range(6)
OUTCOMES = (
    "served",
    "dead while waiting",
    "emergency while waiting",
    "plan changed while waiting",
    "found unresectable while waiting",
    "still waiting at the end",
)
"""How a wait ended."""

WAITS = np.dtype(
    [
        ("patient", "i8"),
        ("activity", "i8"),
        ("service", "i8"),
        ("station", "i8"),
        ("asked", "i8"),
        ("ready", "i8"),
        ("due", "i8"),
        ("left", "i8"),
        ("outcome", "i8"),
    ]
)
"""One row for every wait: minutes of the run at which it was asked for, at which the patient was
ready and due, and at which they were called or left the list."""

SESSIONS = np.dtype(
    [
        ("station", "i8"),
        ("start", "i8"),
        ("end", "i8"),
        ("places", "i8"),
        ("used", "i8"),
        ("overrun", "i8"),
        ("called_off", "i8"),
    ]
)
"""One row for every session begun: minutes of the run; minutes of places used, in all and beyond
the session's end, by those who have left it; operations called off for want of a bed, and not done
later in the session."""

BED_CHANGES = np.dtype([("hospital", "i8"), ("kind", "i8"), ("minute", "i8"), ("taken", "i8")])
"""One row for every change: how many beds of a kind are taken from this minute on."""


@dataclass(frozen=True)
class Diaries:
    """What happened to waiting lists, sessions and beds in one run."""

    waits: np.ndarray
    sessions: np.ndarray
    beds: np.ndarray
