"""Crossover at progression: patients of the control who then get what the other arm has.

What they get is a third policy, which treats as the control's does until the disease progresses. It
is simulated for the same people, and a control patient who crosses over lives that life instead:
the same person with the same luck, so that nothing but the treatment afterwards differs. Whether
the two lives really are one until progression is looked at, activity by activity.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crlm_sim.disease.patient import NEVER
from crlm_sim.engines import cohort
from crlm_sim.outcomes.clocks import times
from crlm_sim.scenario import quantities
from crlm_sim.trials.chance import uniforms
from crlm_sim.trials.endpoints import TIMES
from crlm_sim.trials.file import MODEL, Trial
from crlm_sim.trials.looks import Patients
from crlm_sim.trials.spending import Floats

_MINUTES_PER_MONTH = quantities.DAYS_PER_MONTH * quantities.MINUTES_PER_DAY
_CROSSES = 2
"""The occurrence of a patient's uniforms that says who crosses over."""


class Afterwards(NamedTuple):
    """The control's progression of each person, and event and follow-up of who then crosses over.

    Months from randomisation, (people,); infinite if they never come.
    """

    progression: Floats
    event: Floats
    followed: Floats


def afterwards(
    trial: Trial, numbers: np.ndarray, params: np.ndarray, draw: int
) -> Afterwards | None:
    """The lives of these patients if they cross over; None if nobody does.

    Raises ScenarioError if the policy is another one before progression already.
    """
    if trial.crossing is None or trial.head.truth != MODEL:
        return None
    control, done = _live(trial, trial.policies[0], numbers, params, draw)
    other, done_too = _live(trial, trial.crossing, numbers, params, draw)
    progressed = _progression(control)
    apart = np.flatnonzero(
        (progressed != _progression(other))
        | _differ(numbers, progressed, done, done_too)
        | ((progressed == NEVER) & (control["end_minute"] != other["end_minute"]))
    )
    if len(apart):
        text = (
            f"treats {len(apart):,} of {len(numbers):,} patients in another way than"
            f" '{trial.arms[0].name}' before they progress"
        )
        hint = "take the control's policy and change what comes after progression alone"
        raise trial.refuse(("crossover", "policy"), text, hint)
    minutes, happened, _ = times(other, "diagnosis", TIMES[trial.endpoint.outcome])
    return Afterwards(
        np.where(progressed == NEVER, math.inf, progressed / _MINUTES_PER_MONTH),
        np.where(happened, minutes / _MINUTES_PER_MONTH, math.inf),
        other["end_minute"] / _MINUTES_PER_MONTH,
    )


def _live(
    trial: Trial, policy: str, numbers: np.ndarray, params: np.ndarray, draw: int
) -> tuple[np.ndarray, np.ndarray]:
    """(records, activity log) of these patients under a policy."""
    scenario = trial.scenario
    place = scenario.policy_names.index(policy)
    patients = cohort.blank_records(numbers, scenario.run.seed, draw, policy=place)
    log = cohort.simulate(
        patients,
        params,
        scenario.packed_policy(policy),
        scenario.horizon_minutes,
        keep_log=True,
        rules=scenario.packed_rules(policy),
    )
    assert log is not None
    return patients, log


def _progression(patients: np.ndarray) -> NDArray[np.int64]:
    """Minute of the first progression that is no death, or NEVER."""
    minutes, happened, _ = times(patients, "diagnosis", "pfs")
    return np.where(happened & (minutes < patients["death_minute"]), minutes, NEVER)


def _differ(
    numbers: np.ndarray, until: NDArray[np.int64], one: np.ndarray, other: np.ndarray
) -> NDArray[np.bool_]:
    """Whose activities begun before their minute `until` are not the same in both logs."""
    begun = (log["start"] < until[np.searchsorted(numbers, log["patient"])] for log in (one, other))
    early = [log[before] for log, before in zip((one, other), begun, strict=True)]
    return np.isin(numbers, np.setxor1d(early[0], early[1])["patient"])


def who(
    trial: Trial,
    life: Afterwards,
    person: np.ndarray,
    patients: Patients,
    trials: np.ndarray,
    draw: int,
) -> NDArray[np.bool_]:
    """Which patients of the trials cross over, (trials, patients), if they are followed so long."""
    said = trial.crossover
    assert said is not None
    chance, _ = uniforms(trial.scenario.run.seed, draw, trials, person.shape[1], _CROSSES)
    date = patients.enrolment + life.progression[person]
    late = np.isfinite(date) & (date >= said.opens)
    return (patients.arm == 0) & (chance < said.share) & late


def shares(
    life: Afterwards, crosses: NDArray[np.bool_], person: np.ndarray, known: Patients, date: Floats
) -> Floats:
    """Shares of the control who progressed and who crossed over by a date: (trials, 2)."""
    progression = life.progression[person]
    control = (known.arm == 0) & (known.enrolment <= date[:, None])
    seen = control & (progression <= known.dropout)
    seen &= known.enrolment + progression <= date[:, None]
    patients = np.maximum(control.sum(axis=1), 1)
    return np.column_stack([one.sum(axis=1) / patients for one in (seen, seen & crosses)])
