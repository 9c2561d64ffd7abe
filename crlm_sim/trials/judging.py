"""What is judged of patients when a trial's window is over.

The course is lived to the end of the window and no further: what the record then shows is what is
known then. QALYs are those up to that minute, less those up to randomisation.
"""

from __future__ import annotations

import numpy as np

from crlm_sim.disease.patient import new_patients
from crlm_sim.experiments.simulate import put_costs
from crlm_sim.scenario import quantities
from crlm_sim.trials.endpoints import JUDGED
from crlm_sim.trials.entry import Whole, live_until
from crlm_sim.trials.file import DIAGNOSIS, Trial
from crlm_sim.trials.spending import Floats

MINUTES_PER_MONTH = quantities.DAYS_PER_MONTH * quantities.MINUTES_PER_DAY
_MINUTES_PER_YEAR = 12.0 * MINUTES_PER_MONTH


def judged(
    trial: Trial,
    policy: str,
    numbers: np.ndarray,
    starts: Whole,
    params: np.ndarray,
    draw: int,
) -> Floats:
    """The answers of these patients under a policy, randomised at these minutes, (patients,).

    QALYs are discounted from randomisation on.
    """
    endpoint = JUDGED[trial.endpoint.outcome]
    window = round(trial.endpoint.window * MINUTES_PER_MONTH)
    end = _seen_at(trial, policy, numbers, starts + window, params, draw)
    if trial.randomisation.at == DIAGNOSIS:
        start = new_patients(len(numbers))
    else:
        start = _seen_at(trial, policy, numbers, starts + 1, params, draw)
    values = endpoint.read(end, start)
    if endpoint.share:
        return values
    rate = trial.scenario.economics.discount_effects
    return np.asarray(values * (1.0 + rate) ** (starts / _MINUTES_PER_YEAR))


def _seen_at(
    trial: Trial,
    policy: str,
    numbers: np.ndarray,
    minutes: Whole,
    params: np.ndarray,
    draw: int,
) -> np.ndarray:
    """The records at these minutes, with what each course was worth if that is asked."""
    priced = not JUDGED[trial.endpoint.outcome].share
    patients, log = live_until(trial, policy, numbers, params, draw, minutes, keep_log=priced)
    if priced:
        put_costs(trial.scenario, patients, log, params)
    return patients
