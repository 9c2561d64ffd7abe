"""The cohort engine: a compiled parallel loop over patients who share nothing."""

from __future__ import annotations

import numba
import numpy as np
from numba import prange

from crlm_sim.compiled import compiled, compiled_parallel, is_in_cache
from crlm_sim.disease.onset import begin
from crlm_sim.disease.patient import PATIENT, new_patients
from crlm_sim.engines.steps import ACTIVITY, ACTIVITY_LOG, carry_out, plan

LOG_ROWS = 512
"""Most activities one patient's log can hold; more is an error, never a silent loss."""


@compiled
def live(patient, params, policy, horizon, log):
    """One patient from diagnosis to death or horizon; returns the activities begun."""
    begin(patient, params)
    now = 0
    rows = 0
    going = True
    while going:
        kind, activity, service, start, end, event = plan(patient, params, policy, now, horizon)
        if kind == ACTIVITY:
            if rows < log.shape[0]:
                row = log[rows]
                row.patient = patient.patient
                row.activity = activity
                row.service = service
                row.start = start
                row.end = end
            rows += 1
        going = carry_out(patient, params, policy, kind, activity, start, end, event, horizon)
        now = end
    return rows


@compiled_parallel
def _live_all(patients, params, policy, horizon, log, rows):
    for i in prange(patients.shape[0]):
        rows[i] = live(patients[i], params[0], policy[0], horizon, log[i])


def blank_patients(
    first: int, size: int, seed: int, draw: int = 0, replicate: int = 0, policy: int = 0
) -> np.ndarray:
    """Records for patients `first` … `first + size − 1`, to be lived by an engine."""
    patients = new_patients(size)
    patients["seed"] = seed
    patients["draw"] = draw
    patients["replicate"] = replicate
    patients["policy"] = policy
    patients["patient"] = np.arange(first, first + size)
    return patients


def simulate(
    patients: np.ndarray,
    params: np.ndarray,
    policy: np.ndarray,
    horizon_minutes: int,
    threads: int | None = None,
    keep_log: bool = False,
) -> np.ndarray | None:
    """Live all `patients` (dtype PATIENT, in place) under one packed policy.

    Returns the activity log (dtype ACTIVITY_LOG, by patient and time) if `keep_log`, else None.
    Raises RuntimeError if a patient has more activities than a log holds.
    """
    assert patients.dtype == PATIENT
    size = len(patients)
    log = np.zeros((size, LOG_ROWS if keep_log else 0), ACTIVITY_LOG)
    rows = np.zeros(size, np.int64)
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads or before, before))
    try:
        _live_all(patients, params, policy, horizon_minutes, log, rows)
    finally:
        numba.set_num_threads(before)
    if not keep_log:
        return None
    if rows.max(initial=0) > LOG_ROWS:
        raise RuntimeError(f"a patient had {rows.max()} activities; the log holds {LOG_ROWS}")
    return log[np.arange(LOG_ROWS)[None, :] < rows[:, None]]


def is_compiled() -> bool:
    """Whether the loop's machine code is in the cache; if not, the first run takes a while."""
    return is_in_cache("_live_all")
