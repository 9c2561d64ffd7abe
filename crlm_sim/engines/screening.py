"""Patients on the day of diagnosis: who meets a condition, and what tests show of their lesions."""

from __future__ import annotations

import numpy as np
from numba import prange

from crlm_sim.care.imaging import look_closer, scan
from crlm_sim.care.resectability import plan_operation
from crlm_sim.care.rules import holds
from crlm_sim.compiled import compiled, compiled_parallel
from crlm_sim.disease.onset import begin
from crlm_sim.evidence import MODALITIES


@compiled_parallel
def _screen(patients, params, policies, programs, met):
    for i in prange(patients.shape[0]):
        policy = policies[0]
        rules = programs[0]
        patient = patients[i]
        begin(patient, params[0])
        scan(patient, params[0], 0)
        plan_operation(patient, params[0], policy, 0)
        for r in range(rules.count):
            met[i, r] = holds(
                patient,
                params[0],
                rules.operations,
                rules.arguments,
                rules.starts[r],
                rules.starts[r + 1],
                0,
            )


def conditions_met(
    patients: np.ndarray, params: np.ndarray, policy: np.ndarray, rules: np.ndarray
) -> np.ndarray:
    """Which conditions each of blank `patients` meets on the day of diagnosis, bool (n, rules).

    A condition sees a CT of that day and the plan made of it under the packed `policy`; the records
    are used up. `rules` (dtype RULES, shape (1,)) holds the conditions' programs.
    """
    found = np.zeros((len(patients), int(rules[0]["count"])), np.bool_)
    _screen(patients, params, policy, rules, found)
    return found


def eligible(
    patients: np.ndarray, params: np.ndarray, policy: np.ndarray, rules: np.ndarray
) -> np.ndarray:
    """Which of blank `patients` meet the one condition of `rules`, bool (n,)."""
    return conditions_met(patients, params, policy, rules)[:, 0]


@compiled
def _look(patients, params, modality, cycles, seen, lesions):
    for i in range(patients.shape[0]):
        patient = patients[i]
        begin(patient, params)
        patient.cycles = cycles
        if modality < 0:
            scan(patient, params, 0)
        else:
            look_closer(patient, params, modality, 0)
        lesions[i] = patient.lesions
        for k in range(patient.lesions):
            seen[i] += patient.diameter_mm[k] > 0.0


def lesions_seen(
    patients: np.ndarray, params: np.ndarray, test: str, after_drugs: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(overt liver lesions that a test shows, how many there are) of blank patients, int64 (n,).

    `test` is "ct" or a row of `modalities.toml`, each read alone; `after_drugs` dulls it as a
    first cycle does, sizes being those at diagnosis.
    """
    seen = np.zeros(len(patients), np.int64)
    lesions = np.zeros(len(patients), np.int64)
    modality = -1 if test == "ct" else MODALITIES.index(test)
    _look(patients, params[0], modality, int(after_drugs), seen, lesions)
    return seen, lesions


@compiled
def _begin_all(patients, params):
    for i in range(patients.shape[0]):
        begin(patients[i], params)


def at_diagnosis(patients: np.ndarray, params: np.ndarray) -> np.ndarray:
    """Blank patients as they are on the day of diagnosis, in place."""
    _begin_all(patients, params[0])
    return patients
