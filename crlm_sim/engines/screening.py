"""Who of those diagnosed meets a scenario's eligibility, as a clinic would judge at diagnosis."""

from __future__ import annotations

import numpy as np

from crlm_sim.care.imaging import scan
from crlm_sim.care.resectability import plan_operation
from crlm_sim.care.rules import holds
from crlm_sim.compiled import compiled
from crlm_sim.disease.onset import begin


@compiled
def _screen(patients, params, policy, rules, eligible):
    for i in range(patients.shape[0]):
        patient = patients[i]
        begin(patient, params)
        scan(patient, params, 0)
        plan_operation(patient, params, policy, 0)
        eligible[i] = holds(
            patient,
            params,
            rules.operations,
            rules.arguments,
            rules.starts[0],
            rules.starts[1],
            0,
        )


def eligible(
    patients: np.ndarray, params: np.ndarray, policy: np.ndarray, rules: np.ndarray
) -> np.ndarray:
    """Which of blank `patients` meet the condition of `rules` on the day of diagnosis, bool (n,).

    The condition sees a CT of that day and the plan made of it under the packed `policy`; the
    records are used up. `rules` (dtype RULES, shape (1,)) holds one program.
    """
    found = np.zeros(len(patients), np.bool_)
    _screen(patients, params[0], policy[0], rules[0], found)
    return found
