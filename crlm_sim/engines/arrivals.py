"""When patients arrive. In this version: everybody at minute zero, or evenly with jitter."""

from __future__ import annotations

import numpy as np

from crlm_sim import streams

MINUTES_PER_YEAR = 525_960


def arrival_minutes(patients: np.ndarray, per_year: float) -> np.ndarray:
    """Minute of diagnosis of each patient, int64, by patient number; all 0 if `per_year` is 0.

    Patient i arrives at a uniform moment of the i-th of equal intervals, so an arrival depends on
    nobody else's and blocks may be simulated in any order.
    """
    if per_year == 0:
        return np.zeros(len(patients), np.int64)
    interval = MINUTES_PER_YEAR / per_year
    jitter = [streams.uniform(patient, streams.ARRIVAL, 0) for patient in patients]
    return ((patients["patient"] + np.array(jitter)) * interval).astype(np.int64)
