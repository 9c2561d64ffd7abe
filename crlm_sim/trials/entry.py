"""When patients are randomised: on the day of diagnosis, or at a later clock of `outcomes.clocks`.

Whoever is randomised later has lived the same life under both policies until then. Common random
numbers see to it as long as the policies agree; if they differ before, there is no common moment
and no fair comparison, and the trial is refused. The moment is one at which the record already
shows that it has come: who is only known afterwards to have been cleared is not randomised.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import prange
from numpy.typing import NDArray

from crlm_sim.care.resectability import plan_operation
from crlm_sim.care.rules import holds
from crlm_sim.compiled import compiled_parallel
from crlm_sim.disease.patient import TABLE_COLUMNS
from crlm_sim.engines import cohort
from crlm_sim.engines.screening import conditions_met
from crlm_sim.engines.steps import ACTIVITY_LOG
from crlm_sim.experiments.simulate import EmptyPopulation, patient_numbers
from crlm_sim.outcomes.clocks import CLOCKS, reached
from crlm_sim.scenario.packing import packed_rules
from crlm_sim.trials.file import DIAGNOSIS, NULL, Trial

Whole = NDArray[np.int64]

_BLOCK = 5_000
"""Patients simulated at a time: whole records are large."""
_MOST_SCREENED = 1_000
"""Eligible patients lived for each who comes to randomisation, at the most."""
_ENDLESS = 2**40
_DECIDED = ("policy", "adjuvant_due", "adjuvant_started")
"""Fields that say what comes next, which is for the arms to differ in."""
_TUMOUR = ("log_sensitive", "log_resistant", "diameter_mm")
_HISTORY = (*(name for name in TABLE_COLUMNS if name not in _DECIDED), *_TUMOUR)


def policies_of(trial: Trial) -> tuple[str, str]:
    """The policy of each arm: the control's in both if there is to be no effect."""
    control, other = trial.policies
    return (control, control) if trial.head.truth == NULL else (control, other)


def randomised(
    trial: Trial, params: np.ndarray, draw: int
) -> Iterator[tuple[NDArray[np.int64], Whole]]:
    """(numbers, minutes of randomisation) of a trial's people, a block at a time.

    They are the first who come to it, as many as [run] says. Raises ScenarioError if hardly anybody
    does, or if the arms' policies differ before.
    """
    if trial.randomisation.at == DIAGNOSIS:
        for numbers in _eligible(trial, trial.scenario.run.patients, params, draw):
            yield numbers, np.zeros(len(numbers), np.int64)
        return
    wanted = trial.scenario.run.patients
    found = lived = 0
    for numbers in _eligible(trial, _ENDLESS, params, draw):
        who, starts = _come(trial, numbers, params, draw)
        lived += len(numbers)
        who, starts = who[: wanted - found], starts[: wanted - found]
        found += len(who)
        if lived > _MOST_SCREENED * max(found, 1):
            text = f"of the first {lived:,} eligible patients {found} come to randomisation"
            raise trial.refuse(("randomisation",), text)
        if len(who):
            yield who, starts
        if found == wanted:
            return


def _eligible(trial: Trial, wanted: int, params: np.ndarray, draw: int) -> Iterator[np.ndarray]:
    """The numbers of those eligible at diagnosis, a block at a time."""
    run = trial.scenario.run.model_copy(update={"patients": wanted})
    scenario = trial.scenario.model_copy(update={"run": run})
    try:
        yield from patient_numbers(scenario, _BLOCK, params=params, draw=draw)
    except EmptyPopulation as error:
        raise trial.refuse(("population", "eligible"), str(error)) from None


def _come(
    trial: Trial, numbers: np.ndarray, params: np.ndarray, draw: int
) -> tuple[np.ndarray, Whole]:
    """(numbers, minutes) of those of these patients who are randomised."""
    clock = trial.randomisation.at
    control, other = policies_of(trial)
    horizon = np.full(len(numbers), trial.scenario.horizon_minutes)
    lives = [live_until(trial, one, numbers, params, draw, horizon)[0] for one in (control, other)]
    starts, others = (np.where(reached(one, clock), _start(one, clock), -1) for one in lives)
    _check_common(trial, starts != others)
    come = starts >= 0
    numbers, starts = numbers[come], starts[come]
    then = [
        live_until(trial, one, numbers, params, draw, starts + 1)[0] for one in (control, other)
    ]
    _check_common(trial, ~_same_history(*then))
    shown = _start(then[0], clock) == starts
    if trial.randomisation.eligible is not None:
        condition = packed_rules([(trial.randomisation.eligible, {})])
        shown &= _met(trial, then[0], params, starts, condition)[:, 0]
    return numbers[shown], starts[shown]


def _start(patients: np.ndarray, clock: str) -> Whole:
    return CLOCKS[clock].start(patients)


def _same_history(one: np.ndarray, other: np.ndarray) -> NDArray[np.bool_]:
    """Whose records agree in all that has happened."""
    same = np.ones(len(one), np.bool_)
    for name in _HISTORY:
        agree = one[name] == other[name]
        same &= agree.reshape(len(one), -1).all(axis=1)
    return same


def _check_common(trial: Trial, apart: NDArray[np.bool_]) -> None:
    if apart.any():
        text = (
            f"the arms' policies differ before '{trial.randomisation.at}': {apart.mean():.1%} of "
            "patients have lived differently by then"
        )
        hint = "randomise earlier, or let the policies differ only in what comes after"
        raise trial.refuse(("randomisation", "at"), text, hint)


def conditions_then(
    trial: Trial,
    numbers: np.ndarray,
    starts: Whole,
    params: np.ndarray,
    draw: int,
    conditions: np.ndarray,
) -> NDArray[np.bool_]:
    """Which conditions these patients meet at randomisation, (patients, conditions).

    On the day of diagnosis a CT of that day is seen, later what the last scan showed.
    """
    scenario = trial.scenario
    if trial.randomisation.at == DIAGNOSIS:
        blank = cohort.blank_records(numbers, scenario.run.seed, draw)
        policy = scenario.packed_policy(scenario.reference)
        return conditions_met(blank, params, policy, conditions)
    then, _ = live_until(trial, trial.policies[0], numbers, params, draw, starts + 1)
    return _met(trial, then, params, starts, conditions)


def _met(
    trial: Trial, patients: np.ndarray, params: np.ndarray, minutes: Whole, conditions: np.ndarray
) -> NDArray[np.bool_]:
    """Which conditions records meet at these minutes; the records are used up."""
    met = np.zeros((len(patients), int(conditions[0]["count"])), np.bool_)
    policy = trial.scenario.packed_policy(trial.policies[0])
    _judge(patients, params, policy, conditions, minutes, met)
    return met


@compiled_parallel
def _judge(patients, params, policies, programs, minutes, met):
    for i in prange(patients.shape[0]):
        rules = programs[0]
        plan_operation(patients[i], params[0], policies[0], minutes[i])
        for r in range(rules.count):
            met[i, r] = holds(
                patients[i],
                params[0],
                rules.operations,
                rules.arguments,
                rules.starts[r],
                rules.starts[r + 1],
                minutes[i],
            )


# Lives of different length ------------------------------------------------------------------------


def live_until(
    trial: Trial,
    policy: str,
    numbers: np.ndarray,
    params: np.ndarray,
    draw: int,
    ends: Whole,
    keep_log: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Patients under a policy, each lived to a minute of its own; (records, activity log).

    What happens does not depend on when a life is to end, but for the minutes within which a death
    of the tumour is found. The log (dtype ACTIVITY_LOG) is empty unless `keep_log`.
    """
    patients, log, rows = _lived(
        trial, policy, numbers, params, draw, ends, cohort.LOG_ROWS * keep_log
    )
    longest = int(rows.max(initial=0))
    if keep_log and longest > cohort.LOG_ROWS:
        patients, log, rows = _lived(trial, policy, numbers, params, draw, ends, longest)
    return patients, log[np.arange(log.shape[1])[None, :] < rows[:, None]]


def _lived(
    trial: Trial,
    policy: str,
    numbers: np.ndarray,
    params: np.ndarray,
    draw: int,
    ends: Whole,
    capacity: int,
) -> tuple[np.ndarray, np.ndarray, Whole]:
    """(records, log of `capacity` rows a patient, rows each would have needed)."""
    scenario = trial.scenario
    place = scenario.policy_names.index(policy)
    patients = cohort.blank_records(numbers, scenario.run.seed, draw, policy=place)
    own = cohort.own_settings(scenario.packed_policy(policy), len(numbers))
    log = np.zeros((len(numbers), capacity), ACTIVITY_LOG)
    rows = np.zeros(len(numbers), np.int64)
    _live_each(patients, params, *own, scenario.packed_rules(policy), ends, log, rows)
    return patients, log, rows


@compiled_parallel
def _live_each(patients, params, settings, values, policy, rules, ends, log, rows):
    for i in prange(patients.shape[0]):
        rows[i] = cohort.live(
            patients[i],
            params[0],
            settings[i],
            values[i],
            policy,
            rules[0],
            ends[i],
            log[i],
        )
