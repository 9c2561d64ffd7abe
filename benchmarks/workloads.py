"""What the benchmarks time: the two engines, and the bare loops they are held against."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import simpy
from numba import njit

from crlm_sim import streams
from crlm_sim.engines import agents, cohort
from crlm_sim.evidence import pack
from crlm_sim.scenario import load

SCENARIO = load("scenarios/sequencing.toml")
POLICY = SCENARIO.packed_policy(SCENARIO.policy_names[0])
HORIZON = SCENARIO.horizon_minutes
PARAMS = pack()


def counts(patients: int = 200) -> dict[str, float]:
    """Draws, exponentials, logarithms, roots and activities a patient, by `counting.py`."""
    program = Path(__file__).with_name("counting.py")
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, str(program), str(patients)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@njit(cache=True)
def _floor(patients, draws, exponentials, logarithms, roots):
    total = 0.0
    for i in range(patients):
        for j in range(draws):
            u, v = streams.uniform_pair_at(1, 0, i, 0, 3, j)
            total += u + v
        x = -2.0
        for _ in range(exponentials):
            x = 0.999 * x + 0.001
            total += math.exp(x)
        x = 3.0
        for _ in range(logarithms):
            x = 0.999 * x + 0.001
            total += math.log(x)
        for _ in range(roots):
            x = 0.999 * x + 0.001
            total += math.sqrt(x)
    return total


def floor(patients: int, spent: dict[str, float]) -> None:
    """A bare compiled loop making the same draws and elementary functions, and nothing else."""
    kinds = ("draws", "exponentials", "logarithms", "roots")
    _floor(patients, *(round(spent[kind]) for kind in kinds))


def cohort_engine(patients: int, threads: int) -> None:
    """The cohort engine without tables."""
    records = cohort.blank_patients(0, patients, 1)
    cohort.simulate(records, PARAMS, POLICY, HORIZON, threads)


def agents_engine(patients: int) -> int:
    """The agents engine without tables; everybody arrives at once."""
    records = cohort.blank_patients(0, patients, 1)
    agents.simulate(records, PARAMS, POLICY, HORIZON)
    return patients


def timetable(patients: int) -> list[list[tuple[int, int, int]]]:
    """For every patient the (delay, service, duration) of each activity, in minutes."""
    records = cohort.blank_patients(0, patients, 1)
    log = cohort.simulate(records, PARAMS, POLICY, HORIZON, keep_log=True)
    rows: list[list[tuple[int, int, int]]] = [[] for _ in range(patients)]
    before = np.zeros(patients, np.int64)
    for row in log:
        who = row["patient"]
        rows[who].append(
            (int(row["start"] - before[who]), int(row["service"]), int(row["end"] - row["start"]))
        )
        before[who] = row["end"]
    return rows


def bare_simpy(rows: list[list[tuple[int, int, int]]]) -> None:
    """A SimPy model with the same processes, requests and timeouts, and no clinical model."""
    env = simpy.Environment()
    services = [simpy.Resource(env, capacity=sys.maxsize) for _ in range(16)]

    def course(activities):
        for delay, service, minutes in activities:
            if delay > 0:
                yield env.timeout(delay)
            with services[service].request() as place:
                yield place
                yield env.timeout(minutes)

    for activities in rows:
        env.process(course(activities))
    env.run()
