"""The cohort engine: a compiled parallel loop over patients who share nothing."""

from __future__ import annotations

import numpy as np
from numba import prange

from crlm_sim.care.policy import as_values, no_rules
from crlm_sim.compiled import compiled, compiled_parallel, is_in_cache, threads_of
from crlm_sim.disease.onset import begin
from crlm_sim.disease.patient import PATIENT, new_patients
from crlm_sim.engines.steps import ACTIVITY, ACTIVITY_LOG, carry_out, plan

LOG_ROWS = 256
"""Rows a patient's log is given at first; if anybody needs more, all are lived once more."""


@compiled
def live(patient, params, settings, values, policy, rules, horizon, log):
    """One patient from diagnosis to death or horizon; returns the activities begun."""
    begin(patient, params)
    now = 0
    rows = 0
    going = True
    while going:
        kind, activity, service, start, end, event = plan(patient, params, settings, now, horizon)
        if kind == ACTIVITY:
            if rows < log.shape[0]:
                row = log[rows]
                row.patient = patient.patient
                row.activity = activity
                row.service = service
                row.start = start
                row.end = end
                row.regimen = patient.course_regimen
            rows += 1
        going = carry_out(
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
        )
        now = end
    return rows


@compiled_parallel
def _live_all(patients, params, settings, values, policy, rules, horizon, log, rows):
    for i in prange(patients.shape[0]):
        rows[i] = live(
            patients[i],
            params[0],
            settings[i],
            values[i],
            policy,
            rules[0],
            horizon,
            log[i],
        )


def own_settings(policy: np.ndarray, patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(settings, the same as numbers, the policy's numbers): each patient's own, as the policy's.

    Shapes (patients,) of dtype POLICY, (patients, settings), (settings,).
    """
    settings = np.repeat(policy, patients)
    return settings, as_values(settings), as_values(policy)[0].copy()


def blank_patients(
    first: int, size: int, seed: int, draw: int = 0, replicate: int = 0, policy: int = 0
) -> np.ndarray:
    """Records for patients `first` … `first + size − 1`, to be lived by an engine."""
    return blank_records(np.arange(first, first + size), seed, draw, replicate, policy)


def blank_records(
    numbers: np.ndarray, seed: int, draw: int = 0, replicate: int = 0, policy: int = 0
) -> np.ndarray:
    """As `blank_patients`, for the patients of these numbers."""
    patients = new_patients(len(numbers))
    patients["seed"] = seed
    patients["draw"] = draw
    patients["replicate"] = replicate
    patients["policy"] = policy
    patients["patient"] = numbers
    return patients


def check_blank(patients: np.ndarray) -> None:
    """Raise ValueError unless these are records nobody has lived yet."""
    if patients.dtype != PATIENT or patients["clones"].any():
        raise ValueError("expected blank patient records; make new ones with `blank_patients`")


def simulate(
    patients: np.ndarray,
    params: np.ndarray,
    policy: np.ndarray,
    horizon_minutes: int,
    threads: int | None = None,
    keep_log: bool = False,
    rules: np.ndarray | None = None,
) -> np.ndarray | None:
    """Live all `patients` (dtype PATIENT, in place) under one packed policy and its rules.

    Returns the activity log (dtype ACTIVITY_LOG, by patient and time) if `keep_log`, else None.
    """
    check_blank(patients)
    own = own_settings(policy, len(patients))
    rules = no_rules() if rules is None else rules
    with threads_of(threads):
        if not keep_log:
            _live_with_log(patients, params, own, rules, horizon_minutes, 0)
            return None
        blank = patients.copy()
        log, rows = _live_with_log(patients, params, own, rules, horizon_minutes, LOG_ROWS)
        longest = int(rows.max(initial=0))
        if longest > LOG_ROWS:
            patients[:] = blank
            own = own_settings(policy, len(patients))
            log, rows = _live_with_log(patients, params, own, rules, horizon_minutes, longest)
    return log[np.arange(log.shape[1])[None, :] < rows[:, None]]


def _live_with_log(
    patients: np.ndarray,
    params: np.ndarray,
    own: tuple[np.ndarray, np.ndarray, np.ndarray],
    rules: np.ndarray,
    horizon_minutes: int,
    capacity: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Live everybody; (log of `capacity` rows a patient, rows each would have needed)."""
    log = np.zeros((len(patients), capacity), ACTIVITY_LOG)
    rows = np.zeros(len(patients), np.int64)
    _live_all(patients, params, *own, rules, horizon_minutes, log, rows)
    return log, rows


def is_compiled() -> bool:
    """Whether the loop's machine code is in the cache; if not, the first run takes a while."""
    return is_in_cache("_live_all")
