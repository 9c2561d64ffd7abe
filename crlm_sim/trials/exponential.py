"""Patients with piecewise constant hazards: what formulas assume, to check them against."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike

from crlm_sim.compiled import compiled, compiled_parallel
from crlm_sim.streams import TRIAL_PATIENT, uniform_pair_at
from crlm_sim.trials.looks import Patients
from crlm_sim.trials.timing import Truth


def simulate(seed: int, draw: int, trials: ArrayLike, arms: ArrayLike, truth: Truth) -> Patients:
    """Patients of the trials with these numbers (trials,), with arms (trials, patients) given.

    They enrol when they are due, and those with the same numbers have the same luck in either arm.
    """
    allocated = np.ascontiguousarray(arms, dtype=np.int64)
    enrolment = truth.accrual.enrolment_times()
    if allocated.shape[-1] != len(enrolment):
        raise ValueError(
            f"arms are given for {allocated.shape[-1]} patients and {len(enrolment)} are enrolled"
        )
    numbers = np.asarray(trials, dtype=np.int64)
    groups = [
        (group.starts, group.event, group.dropout) for group in (truth.control, truth.experimental)
    ]
    event, dropout = _simulate(seed, draw, numbers, allocated, groups[0], groups[1])
    return Patients(np.broadcast_to(enrolment, allocated.shape), event, dropout, allocated)


@compiled_parallel
def _simulate(seed, draw, trials, arms, control, experimental):
    event = np.empty(arms.shape)
    dropout = np.empty(arms.shape)
    for trial in numba.prange(len(trials)):
        for patient in range(arms.shape[1]):
            u, v = uniform_pair_at(seed, draw, patient, trials[trial], TRIAL_PATIENT, 0)
            starts, happening, leaving = experimental if arms[trial, patient] else control
            event[trial, patient] = _time_at(-math.log(u), starts, happening)
            dropout[trial, patient] = _time_at(-math.log(v), starts, leaving)
    return event, dropout


@compiled
def _time_at(total, starts, hazards):
    """When the cumulative hazard reaches this total; infinity if it never does."""
    for i in range(len(starts)):
        length = starts[i + 1] - starts[i] if i + 1 < len(starts) else math.inf
        if hazards[i] > 0.0 and total <= hazards[i] * length:
            return starts[i] + total / hazards[i]
        if hazards[i] > 0.0:
            total -= hazards[i] * length
    return math.inf
