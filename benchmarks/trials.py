"""Replicates of a trial against the same analyses looped through lifelines, in one run.

The trial is EORTC 40983 with 300 patients and three looks by events. Ours is all that a replicate
takes once the people are simulated: who comes when, minimisation, the looks, log-rank tests and
Cox's hazard ratio. Through lifelines go the analyses alone, of the same patients drawn by us and
cut at the same dates by numpy; both must find the same z and ratios.
`python benchmarks/trials.py` prints the figures of the documentation.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.statistics import logrank_test

from crlm_sim.trials.enrolment import Recruitment, recruitment
from crlm_sim.trials.file import Trial, load_trial
from crlm_sim.trials.looks import Analyses, Patients, analyse, dates, log_hazard_ratio
from crlm_sim.trials.operating import draw_patients, looks_of
from crlm_sim.trials.people import People, simulate_people

FILE = Path(__file__).parent.parent / "scenarios" / "trials" / "eortc_40983.toml"
SETTINGS = ("accrual.patients=300", "design.events=230", "design.looks=[0.5, 0.75, 1.0]")
MANY, FEW, BLOCK, ROUNDS = 10_000, 50, 800, 5

Both = tuple[np.ndarray, np.ndarray]
"""(z, log hazard ratio) of each look of each trial."""


def prepare() -> tuple[Trial, People, Recruitment]:
    """The trial and the people it draws from."""
    trial = load_trial(FILE, [*SETTINGS, "run.patients=5000"])
    people = simulate_people(trial, 0, lambda done: None)
    return trial, people, recruitment(trial, people.eligible_share)


def drawn(given: tuple[Trial, People, Recruitment], trials: np.ndarray) -> Patients:
    """The patients of these replicates."""
    return draw_patients(*given, trials, 0)


def ours(given: tuple[Trial, People, Recruitment], number: int, cox: bool = True) -> list[Analyses]:
    """Draw and analyse so many replicates, a block at a time."""
    looks = looks_of(given[0])
    estimate = log_hazard_ratio if cox else lambda data: np.zeros(len(data.time))
    blocks = np.split(np.arange(number), range(BLOCK, number, BLOCK))
    return [analyse(drawn(given, block), looks, estimate=estimate) for block in blocks]


def through_lifelines(patients: Patients, held: np.ndarray, cox: bool) -> Both:
    """The looks of these patients at these dates (trials, looks), one after the other."""
    z, effect = np.empty(held.shape), np.full(held.shape, np.nan)
    for row, look in np.ndindex(held.shape):
        known = held[row, look] - patients.enrolment[row]
        present = known >= 0.0
        followed = np.minimum(patients.dropout[row], known)
        happened = patients.event_date[row] <= held[row, look]
        time_seen = np.where(happened, patients.event[row], followed)[present]
        happened, arm = happened[present], patients.arm[row][present]
        other = arm == 1
        found = logrank_test(time_seen[~other], time_seen[other], happened[~other], happened[other])
        z[row, look] = np.sqrt(found.test_statistic)
        if cox:
            table = pd.DataFrame({"time": time_seen, "event": happened, "arm": arm})
            effect[row, look] = CoxPHFitter().fit(table, "time", "event").params_["arm"]
    return z, effect


def least(do: Callable[[], object], clock: Callable[[], float], rounds: int = ROUNDS) -> float:
    """Least time of several rounds."""
    found = []
    for _ in range(rounds):
        start = clock()
        do()
        found.append(clock() - start)
    return min(found)


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    given = prepare()
    ours(given, 2)
    few = drawn(given, np.arange(FEW))
    held = dates(few, looks_of(given[0]))
    z, effect = through_lifelines(few, held, cox=True)
    same = analyse(few, looks_of(given[0]))
    np.testing.assert_allclose(np.abs(same.z), z, rtol=1e-6)
    np.testing.assert_allclose(same.estimate, effect, rtol=1e-3, atol=1e-4)
    print("| 10,000 trials of 300 patients, three looks | measured | bar |\n|---|---|---|")
    for cox in (False, True):
        name = "log-rank and Cox" if cox else "log-rank"
        wall = least(lambda cox=cox: ours(given, MANY, cox), time.perf_counter)
        own = least(lambda cox=cox: ours(given, MANY, cox), time.process_time) / MANY
        looped = least(
            lambda cox=cox: through_lifelines(few, held, cox), time.process_time, rounds=3
        )
        print(f"| {name}: seconds on two threads | {wall:.1f} | < 20 |")
        print(f"| {name}: lifelines / ours, CPU time | {looped / FEW / own:.0f} | ≥ 50 |")


if __name__ == "__main__":
    main()
