"""What a run's draws say about which policy is worth its cost, as plain values for its summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.evidence import place_of, prices_and_utilities, shipped_posterior
from crlm_sim.experiments.plain import plain
from crlm_sim.experiments.simulate import packed_parameters
from crlm_sim.outcomes import decision, information, sensitivity
from crlm_sim.outcomes.definitions import COUNTED, DAYS_PER_YEAR
from crlm_sim.outcomes.tally import Tally
from crlm_sim.scenario import Scenario

Floats = NDArray[np.float64]

STEPS = 50
"""Thresholds of the curves, from nothing to twice the scenario's own."""
LEAST_DRAWS = 200
"""With fewer draws nothing is said of single parameters: regressions need more."""
_SHOWN = 12


def means_of(tally: Tally) -> Floats:
    """(cost, QALYs) of each policy of a tally, shape (2, policies)."""
    found = []
    for name in ("cost", "qaly"):
        place, outcome = next((n, one) for n, one in enumerate(COUNTED) if one.name == name)
        totals = tally.numerators[:, place].sum(axis=1)
        found.append(outcome.scale * totals / tally.denominators[:, place].sum(axis=1))
    return np.stack(found)


def appraise(scenario: Scenario, means: Sequence[Floats]) -> dict[str, Any]:
    """Frontier, plane, acceptability and value of information of a run of several policies.

    `means` are those of each draw, as `means_of`. One draw gives a frontier without intervals, and
    no more; fewer than `LEAST_DRAWS` nothing of single parameters.
    """
    cost, effect = np.stack([one[0] for one in means]), np.stack([one[1] for one in means])
    draws = decision.draws_of(scenario.policy_names, cost, effect)
    found: dict[str, Any] = {
        "draws": {
            name: {"cost": cost[:, p].tolist(), "qaly": effect[:, p].tolist()}
            for p, name in enumerate(scenario.policy_names)
        },
        "frontier": [_row(row) for row in decision.icer_table(draws)],
    }
    if len(means) > 1:
        found |= _curves(scenario, draws)
    if len(means) >= LEAST_DRAWS:
        found |= _what_matters(scenario, draws)
    told: dict[str, Any] = plain(found)
    return told


def _row(row: decision.FrontierRow) -> dict[str, Any]:
    """A row of the frontier; ends of an ICER that are no prices are told in words."""
    found = asdict(row)
    if row.icer is not None and not math.isnan(row.icer.lower + row.icer.upper):
        ends = {"lower": row.icer.lower, "upper": row.icer.upper}
        found["icer"] |= {key: _price(end) for key, end in ends.items()}
    return found


def _price(end: float) -> float | str:
    if math.isinf(end):
        return "no price" if end > 0.0 else "any price"
    return end


def _curves(scenario: Scenario, draws: decision.Draws) -> dict[str, Any]:
    """What depends on the threshold, and the plane."""
    said = scenario.economics
    thresholds = np.linspace(0.0, 2.0 * max(said.threshold, 1.0), STEPS + 1)
    names = draws.policies
    best, sure = decision.acceptability_frontier(draws, thresholds)
    perfect = information.evpi(draws, thresholds)
    plane = decision.plane(draws, scenario.reference)
    found: dict[str, Any] = {
        "thresholds": thresholds.tolist(),
        "acceptability": _by_policy(names, decision.acceptability(draws, thresholds)),
        "expected_loss": _by_policy(names, decision.expected_loss(draws, thresholds)),
        "chosen": [names[place] for place in best],
        "chosen_probability": sure.tolist(),
        "evpi": perfect.value.tolist(),
        "evpi_standard_error": perfect.standard_error.tolist(),
        "plane": {
            name: {
                "cost": plane.cost[:, p].tolist(),
                "qaly": plane.effect[:, p].tolist(),
                "shares": dict(zip(decision.QUADRANTS, plane.shares[p].tolist(), strict=True)),
            }
            for p, name in enumerate(plane.policies)
        },
    }
    if said.patients_a_year and said.decision_years:
        years = said.decision_years / DAYS_PER_YEAR
        patients = information.patients_affected(said.patients_a_year, years, said.discount_costs)
        found["patients"] = patients
        found["evpi_population"] = perfect.scaled(patients).value.tolist()
    return found


def _by_policy(names: Sequence[str], values: Floats) -> dict[str, list[float]]:
    return {name: values[:, p].tolist() for p, name in enumerate(names)}


# What single parameters and groups of them are worth knowing --------------------------------------


def _what_matters(scenario: Scenario, draws: decision.Draws) -> dict[str, Any]:
    """EVPPI of groups and of single parameters, and a tornado for each policy.

    Numbers that no study has taught and that are no prices or utilities vary too, in no group.
    """
    groups = {name: members for name, members in _groups(scenario).items() if members}
    names = [name for members in groups.values() for name in members]
    values = _drawn(scenario, names)
    threshold = scenario.economics.threshold

    def worth(members: Sequence[str]) -> dict[str, float]:
        found = information.evppi(draws, threshold, names, values, members)
        return {"evppi": float(found.value[0]), "standard_error": float(found.standard_error[0])}

    single = [(name, worth([name])) for name in names]
    single.sort(key=lambda one: -one[1]["evppi"])
    tornado = {}
    for name in draws.policies:
        if name != scenario.reference:
            middle, bars = sensitivity.tornado(
                draws, threshold, names, values, name, scenario.reference
            )
            tornado[name] = {"expected": middle, "bars": [asdict(bar) for bar in bars[:_SHOWN]]}
    return {
        "evppi": [
            {"name": name, "parameters": len(members), **worth(members)}
            for name, members in {**groups, "all of these": names}.items()
        ],
        "evppi_single": [
            {"name": name, **one} for name, one in single[:_SHOWN] if one["evppi"] > 0.0
        ],
        "tornado": tornado,
    }


def _groups(scenario: Scenario) -> dict[str, list[str]]:
    """Uncertain numbers by what would have to be studied to know them."""
    posterior = shipped_posterior()
    held = scenario.changes
    priced = {
        name: one
        for name, one in prices_and_utilities().items()
        if one.law != "fixed" and name not in held
    }
    return {
        "what studies have taught": [
            name
            for name in (posterior.names if posterior else ())
            if name.partition("[")[0] not in held
        ],
        "prices": [name for name, one in priced.items() if one.unit.startswith("GBP")],
        "utilities": [name for name, one in priced.items() if not one.unit.startswith("GBP")],
    }


def _drawn(scenario: Scenario, names: Sequence[str]) -> Floats:
    """The numbers of these names in every draw of a run, shape (draws, names)."""
    places = [place_of(name) for name in names]
    rows = []
    for draw in scenario.run.draw_numbers:
        record = packed_parameters(scenario, draw)[0]
        rows.append(
            [
                float(record[field]) if place is None else float(record[field][place])
                for field, place in places
            ]
        )
    return np.array(rows)
