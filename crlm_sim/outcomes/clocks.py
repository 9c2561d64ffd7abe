"""When a study's clock starts, and the time from there to what it counts.

A run follows everybody from diagnosis; published studies count from a line of drugs, an operation,
supportive care. A `Clock` says from which minute of the record, and which fields then hold a
progression or recurrence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crlm_sim.disease.patient import LINES, NEVER
from crlm_sim.outcomes import survival
from crlm_sim.outcomes.definitions import Flags, Whole, whole_days

Records = np.ndarray
"""Lived patients, dtype PATIENT."""


@dataclass(frozen=True)
class Clock:
    """From when time is counted, and for which line of drugs (0: none in particular)."""

    label: str
    start: Callable[[Records], Whole]
    line: int = 0


def _line(number: int) -> Callable[[Records], Whole]:
    return lambda c: c["line_minute"][:, number - 1]


CLOCKS: dict[str, Clock] = {
    "diagnosis": Clock("diagnosis", lambda c: np.zeros_like(c["end_minute"])),
    "first_line": Clock("the first line of drugs", _line(1), 1),
    "second_line": Clock("the second line of drugs", _line(2), 2),
    "third_line": Clock("the third line of drugs", _line(3), 3),
    "maintenance": Clock("the end of the first drugs", lambda c: c["induction_end_minute"], 1),
    "support": Clock("supportive care", lambda c: c["support_minute"]),
    "liver_resection": Clock("liver resection", lambda c: c["first_liver_resection_minute"]),
    "repeat_resection": Clock("the second resection", lambda c: c["repeat_resection_minute"]),
    "clearance": Clock("the last operation of the sequence", lambda c: c["cleared_minute"]),
    "local_treatment": Clock(
        "ablation or radiation of a lesion", lambda c: c["local_treatment_minute"]
    ),
}

CURVES = ("os", "pfs", "dfs", "liver_pfs", "liver_control", "local_control")
"""What may be followed from a clock; in the last two a death only ends follow-up."""
_DEATH_IS_NO_EVENT = ("liver_control", "local_control")
DEFAULT_CLOCK = {"dfs": "clearance", "local_control": "local_treatment"}
"""Curves that are not counted from the diagnosis if nothing is said."""


def reached(patients: Records, clock: str) -> Flags:
    """Who reaches the start of a clock, shape (patients,)."""
    start = CLOCKS[clock].start(patients)
    return (start < NEVER) & (start < np.maximum(patients["end_minute"], 1))


def _first_after(start: Whole, *minutes: Whole) -> Whole:
    """The earliest of some minutes that come after the start."""
    later = [np.where(one > start, one, NEVER) for one in minutes]
    return np.min(later, axis=0)


def _progression(patients: Records, start: Whole, liver: bool) -> Whole:
    """The first progression or recurrence after the start, wherever it was noted."""
    by_line = patients["line_liver_progression_minute" if liver else "line_progression_minute"]
    found = [by_line[:, line] for line in range(LINES)]
    if liver:
        return _first_after(start, patients["liver_progression_minute"], *found)
    any_line = (patients["progression_minute"], patients["recurrence_minute"])
    return _first_after(start, *any_line, *found)


def times(
    patients: Records, clock: str, curve: str, most_minutes: int = NEVER
) -> tuple[Whole, Flags, Flags]:
    """(minutes followed, whether that ended in the event, who counts) from a clock's start.

    The first two are of the shape of those who count; follow-up ends `most_minutes` after the
    start at the latest. Raises KeyError for an unknown clock.
    """
    who = reached(patients, clock)
    chosen = CLOCKS[clock]
    patients = patients[who]
    start = chosen.start(patients)
    event = np.full_like(start, NEVER)
    if curve in ("pfs", "dfs"):
        event = _progression(patients, start, liver=False)
    elif curve in ("liver_pfs", "liver_control"):
        event = _progression(patients, start, liver=True)
    elif curve == "local_control":
        event = _first_after(start, patients["local_progression_minute"])
    if curve not in _DEATH_IS_NO_EVENT:
        event = np.minimum(event, patients["death_minute"])
    until = event - start
    followed = np.minimum(patients["end_minute"] - start, most_minutes)
    happened = until <= followed
    return np.where(happened, until, followed), happened, who


def curve_of(minutes: Whole, happened: Flags) -> survival.Curve:
    """The daily Kaplan–Meier curve of times in minutes."""
    days = whole_days(minutes)
    size = int(days.max(initial=0)) + 2
    events = np.bincount(days[happened], minlength=size)
    return survival.kaplan_meier(events, np.bincount(days[~happened], minlength=size))
