"""Checks on one replication of a scenario with queues; `verify` adds them to its table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crlm_sim.disease.patient import NEVER
from crlm_sim.outcomes.planning import Played

Fault = tuple[str, str, int, int]
"""Name of a check, what was checked, how many things were looked at, how many were wrong."""


def everybody_is_accounted_for(played: Played) -> Fault:
    """Each of those diagnosed is dead or followed to the horizon or the end of the run."""
    patients = played.patients
    dead = patients["death_minute"] < NEVER
    last = played.network.end - played.arrivals
    ended = np.where(dead, patients["end_minute"] == patients["death_minute"], True)
    kept = ended & (patients["end_minute"] <= np.maximum(last, 0)) & (patients["end_minute"] >= 0)
    checked = "all who are diagnosed die once or are followed to the end of the run"
    return "queues lose nobody", checked, len(patients), int((~kept).sum())


def time_runs_forwards(played: Played) -> Fault:
    """A patient asks, is ready, and then leaves a list, within the run and their life."""
    waits = played.diaries.waits
    order = np.argsort(played.patients["patient"])
    place = order[np.searchsorted(played.patients["patient"][order], waits["patient"])]
    end = played.arrivals[place] + played.patients["end_minute"][place]
    if played.stands_still:
        stood = np.zeros(len(played.patients), np.int64)
        np.add.at(stood, place, waits["left"] - waits["ready"])
        end += stood[place]
    fine = (waits["asked"] <= waits["ready"]) & (waits["ready"] <= waits["left"])
    fine &= (waits["left"] <= end) & (waits["asked"] >= played.arrivals[place])
    checked = "nobody leaves a list before being ready, nor waits after death or the end"
    return "waits run forwards", checked, len(waits), int((~fine).sum())


def nobody_waits_twice_at_once(played: Played) -> Fault:
    """One patient's waits do not overlap: nobody stands on two lists."""
    waits = np.sort(played.diaries.waits, order=["patient", "ready", "left"])
    same = waits["patient"][1:] == waits["patient"][:-1]
    overlap = same & (waits["ready"][1:] < waits["left"][:-1])
    checked = "nobody is on two waiting lists at a time"
    return "one list at a time", checked, len(waits), int(overlap.sum())


def sessions_hold_what_they_can(played: Played) -> Fault:
    """Within a session no more than its places are used: utilisation is at most 1."""
    sessions = played.diaries.sessions
    within = sessions["used"] - sessions["overrun"]
    most = (sessions["end"] - sessions["start"]) * sessions["places"]
    wrong = (within > most) | (within < 0)
    checked = "no session is used for more than its time"
    return "utilisation is at most 1", checked, len(sessions), int(wrong.sum())


def beds_hold_one_each(played: Played) -> Fault:
    """No more beds are taken than there are, but by emergencies that wait for none."""
    changes = played.diaries.beds
    wrong = 0
    for hospital, plan in played.network.beds.items():
        for kind, limit in enumerate((plan.ward, plan.high_dependency)):
            own = changes[(changes["hospital"] == hospital) & (changes["kind"] == kind)]
            most = np.inf if limit is None else limit
            wrong += int(((own["taken"] > most) | (own["taken"] < 0)).sum())
    checked = "no more beds are taken than there are"
    return "beds are not shared", checked, len(changes), wrong


QUEUE_CHECKS: tuple[Callable[[Played], Fault], ...] = (
    everybody_is_accounted_for,
    time_runs_forwards,
    nobody_waits_twice_at_once,
    sessions_hold_what_they_can,
    beds_hold_one_each,
)
"""Every check, in the order of the table."""
