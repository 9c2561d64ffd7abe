"""Counts the random draws, exponentials and logarithms the cohort engine spends on a patient.

Run as a program with NUMBA_DISABLE_JIT=1: the same functions then run as plain Python, with
counters around the random numbers and the elementary functions. Prints one JSON object of means.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections import Counter

import numpy as np

COUNTED = {"exp": "exponentials", "exp2": "exponentials", "log": "logarithms"}
COUNTED |= {"log1p": "logarithms", "sqrt": "roots"}


def count(patients: int) -> dict[str, float]:
    """Mean counts per patient under the first policy of the main scenario."""
    from crlm_sim import streams
    from crlm_sim.engines import cohort, steps
    from crlm_sim.evidence import pack
    from crlm_sim.scenario import load

    scenario = load("scenarios/sequencing.toml")
    records = cohort.blank_patients(0, patients, scenario.run.seed).view(np.recarray)
    params = pack().view(np.recarray)[0]
    packed = scenario.packed_policy(scenario.policy_names[0])
    settings, values, policy = cohort.own_settings(packed, patients)
    settings = settings.view(np.recarray)
    rules = scenario.packed_rules(scenario.policy_names[0]).view(np.recarray)[0]
    log = np.zeros(0, steps.ACTIVITY_LOG)
    spent: Counter[str] = Counter()

    def counting(function, name):
        def counted(*arguments):
            spent[name] += 1
            return function(*arguments)

        return counted

    for function, name in COUNTED.items():
        setattr(math, function, counting(getattr(math, function), name))
    streams.philox = counting(streams.philox, "draws")
    for record, own, numbers in zip(records, settings, values, strict=True):
        spent["activities"] += cohort.live(
            record, params, own, numbers, policy, rules, scenario.horizon_minutes, log
        )
    return {name: total / patients for name, total in spent.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    print(json.dumps(count(int(sys.argv[1]))))
