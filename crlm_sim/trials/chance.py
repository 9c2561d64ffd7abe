"""Uniforms of the patients of trials: each belongs to a trial and a patient, whatever the block."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import ArrayLike

from crlm_sim.compiled import compiled_parallel
from crlm_sim.streams import TRIAL_PATIENT, uniform_pair_at
from crlm_sim.trials.spending import Floats


def uniforms(
    seed: int, draw: int, trials: ArrayLike, patients: int, occurrence: int
) -> tuple[Floats, Floats]:
    """Two independent uniforms in (0, 1) for each patient, both of shape (trials, patients)."""
    return _uniforms(seed, draw, np.asarray(trials, dtype=np.int64), patients, occurrence)


@compiled_parallel
def _uniforms(seed, draw, trials, patients, occurrence):
    first = np.empty((len(trials), patients))
    second = np.empty((len(trials), patients))
    for trial in numba.prange(len(trials)):
        for patient in range(patients):
            first[trial, patient], second[trial, patient] = uniform_pair_at(
                seed, draw, patient, trials[trial], TRIAL_PATIENT, occurrence
            )
    return first, second
