"""Checks that money and quality of life follow from prices, utilities and rates as they must.

Prices change no course, so that the same courses are costed again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crlm_sim.evidence import prices_and_utilities
from crlm_sim.experiments.simulate import packed_parameters, put_costs
from crlm_sim.experiments.verifying.subject import Changes, Finding, Subject, of_all
from crlm_sim.outcomes.definitions import whole_days

_TIMES = 2


def _costed(subject: Subject, changes: Changes, **economics: Any) -> dict[str, np.ndarray]:
    """The patients of each policy, costed with other prices, utilities or rates."""
    scenario = subject.scenario
    told = scenario.economics.model_copy(update=economics)
    other = scenario.model_copy(
        update={"parameters": scenario.parameters | changes, "economics": told}
    )
    params = packed_parameters(other, 0)
    found = {}
    for name, block in subject.lives.items():
        assert block.log is not None
        patients = block.patients.copy()
        put_costs(other, patients, block.log, params)
        found[name] = patients
    return found


def _prices(subject: Subject, times: float) -> Changes:
    """Every price so many times as high."""
    own = subject.scenario.changes
    return {
        name: tuple(times * value for value in own.get(name, one.value))
        for name, one in prices_and_utilities().items()
        if one.unit.startswith("GBP")
    }


def cost_follows_prices(subject: Subject) -> Finding:
    """With every price twice as high each patient costs twice as much, but for a rounded pound."""
    dearer = _costed(subject, _prices(subject, _TIMES))
    before = _costed(subject, _prices(subject, 1.0))
    wrong = {
        name: np.abs(patients["cost_pounds"] - _TIMES * before[name]["cost_pounds"]) > 1
        for name, patients in dearer.items()
    }
    return of_all(
        "cost follows prices",
        "with all prices twice as high everybody costs twice as much",
        subject.lives,
        wrong,
        "costing something else",
    )


def care_for_nothing(subject: Subject) -> Finding:
    """With all prices zero nobody costs anything."""
    free = _costed(subject, _prices(subject, 0.0))
    wrong = {name: patients["cost_pounds"] != 0 for name, patients in free.items()}
    return of_all(
        "care for nothing",
        "with all prices zero nobody costs anything",
        subject.lives,
        wrong,
        "costing something",
    )


FULL_HEALTH: Changes = {
    **{
        name: (1.0,)
        for name, one in prices_and_utilities().items()
        if one.unit == "utility" and one.name.startswith("utility_")
    },
    "toxicity_disutility": (0.0,),
    "norm_intercept": (1.0,),
    "norm_male": (0.0,),
    "norm_age": (0.0,),
    "norm_age_squared": (0.0,),
}
"""Every state as good as full health."""


def full_health(subject: Subject, changes: Changes = FULL_HEALTH) -> Finding:
    """If every state is as good as full health, QALYs are life-years, exactly."""
    healthy = _costed(subject, changes)
    wrong = {
        name: patients["quality_days"] != patients["counted_days"]
        for name, patients in healthy.items()
    }
    return of_all(
        "full health",
        "with all utilities one QALYs equal life-years exactly",
        subject.lives,
        wrong,
        "with other QALYs",
    )


def no_discount(subject: Subject) -> Finding:
    """Without discounting, the life-years counted are those lived, and nothing is worth less."""
    plain = _costed(subject, {}, discount_costs=0.0, discount_effects=0.0)
    wrong = {
        name: (patients["counted_days"] != whole_days(patients["end_minute"]))
        | (patients["cost_pounds"] < subject.lives[name].patients["cost_pounds"])
        for name, patients in plain.items()
    }
    return of_all(
        "no discount",
        "with discount rates of zero every year lived counts, and no cost less than before",
        subject.lives,
        wrong,
        "counted otherwise",
    )
