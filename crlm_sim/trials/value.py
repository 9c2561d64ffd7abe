"""What a trial's result would be worth to the choice between its arms, and whether it pays.

Each draw of the parameters gives both arms a mean cost and mean QALYs, and its replicates what the
trial would report if that draw were true. The report changes the choice where it speaks clearly
enough; what that gains on average is the expected value of the trial's information (EVSI). It
reaches the patients who come after the trial has ended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crlm_sim.experiments.run import described_economics
from crlm_sim.experiments.simulate import packed_parameters, patient_numbers, simulate_block
from crlm_sim.outcomes import decision, information
from crlm_sim.outcomes.definitions import DAYS_PER_YEAR
from crlm_sim.trials.file import MODEL, Trial, Value
from crlm_sim.trials.looks import Analyses, Stops
from crlm_sim.trials.spending import Floats

LEAST_DRAWS = 50
"""A regression through fewer says nothing."""
_OTHERS = 1
"""Replication of the patients who say what an arm costs and gives: not those of the trial, whose
chance would seem to be information."""
_BLOCK = 5_000


def is_asked(trial: Trial) -> bool:
    """Whether there is a value to reckon: it is stated, and the truth is uncertain."""
    uncertain = len(trial.scenario.run.draw_numbers) >= LEAST_DRAWS
    return trial.value is not None and uncertain and trial.head.truth == MODEL


def cost_and_effect(trial: Trial, draw: int) -> Floats:
    """(pounds, QALYs) of a patient of each arm under one draw, shape (2, arms)."""
    scenario = trial.scenario
    params = packed_parameters(scenario, draw)
    sums, size = np.zeros((2, 2), np.int64), 0
    for numbers in patient_numbers(scenario, _BLOCK, params=params, draw=draw, replicate=_OTHERS):
        size += len(numbers)
        for arm, policy in enumerate(trial.policies):
            lived = simulate_block(
                scenario, policy, numbers, params=params, draw=draw, replicate=_OTHERS
            ).patients
            sums[:, arm] += lived["cost_pounds"].sum(), lived["quality_days"].sum()
    return sums / size / np.array([[1.0], [DAYS_PER_YEAR]])


def worth(
    trial: Trial, means: Sequence[Floats], every: Analyses, stops: Stops, duration_months: float
) -> dict[str, Any]:
    """EVSI of a trial for one patient and for all it is for, and what is left after its costs.

    `means` are those of each draw, as `cost_and_effect`; the rows of `every` are replicates, as
    many for each draw. The report is the effect and the month at which the trial ends.
    """
    assert trial.value is not None
    said, threshold = trial.value, trial.scenario.economics.threshold
    cost, effect = (np.stack([one[i] for one in means]) for i in (0, 1))
    draws = decision.draws_of([arm.name for arm in trial.arms], cost, effect)
    ends = np.arange(len(stops.look)), stops.look
    report = np.column_stack([every.estimate[ends], every.date[ends]])
    told = information.evsi(draws, threshold, report.reshape(len(means), -1, 2))
    perfect = information.evpi(draws, threshold)
    benefit = decision.net_monetary_benefit(draws, threshold)[0]
    more = benefit[:, 1] - benefit[:, 0]
    shown = stops.shown.reshape(len(means), -1).mean(axis=1)
    by_test = more * shown - max(float(more.mean()), 0.0)
    found: dict[str, Any] = {
        "draws": len(means),
        "threshold": threshold,
        "cost": cost.mean(axis=0).tolist(),
        "qaly": effect.mean(axis=0).tolist(),
        "best_now": draws.policies[int(more.mean() > 0.0)],
        "probability_best": float(np.mean((more > 0.0) == (more.mean() > 0.0))),
        "evpi": float(perfect.value[0]),
        "evsi": float(told.value[0]),
        "evsi_standard_error": float(told.standard_error[0]),
        "by_test": float(by_test.mean()),
        "by_test_standard_error": float(by_test.std(ddof=1)) / math.sqrt(len(means)),
        "economics": described_economics(trial.scenario),
        "trial_cost": _cost(said, every, stops),
    }
    return found | _of_all(trial, found, duration_months)


def _cost(said: Value, every: Analyses, stops: Stops) -> float | None:
    """Pounds that the trial costs on average, None if that is not stated."""
    if said.cost is None:
        return None
    enrolled = float(every.enrolled[np.arange(len(stops.look)), stops.look].mean())
    return said.cost + said.cost_per_patient * enrolled


def _of_all(trial: Trial, one: dict[str, Any], duration_months: float) -> dict[str, Any]:
    """The same for all who come between the end of the trial and that of the choice."""
    said = trial.scenario.economics
    if not (said.patients_a_year and said.decision_years):
        return {"patients": None, "evsi_population": None, "net": None}
    years = said.decision_years / DAYS_PER_YEAR
    waited = min(duration_months / 12.0, years)
    rate = said.discount_costs
    patients = information.patients_affected(said.patients_a_year, years, rate)
    patients -= information.patients_affected(said.patients_a_year, waited, rate)
    whole = one["evsi"] * patients
    net = None if one["trial_cost"] is None else whole - one["trial_cost"]
    return {"patients": patients, "evsi_population": whole, "net": net}
