"""Regimens by mutation and side: who gains, who is harmed, who is not touched."""

from __future__ import annotations

import numpy as np
import pytest

from crlm_sim.disease.patient import BRAF_MUTANT, RIGHT_COLON, WILD_TYPE
from crlm_sim.evidence import REGIMENS, pack
from crlm_sim.experiments.simulate import simulate_block
from crlm_sim.scenario import loads

PATIENTS = 6_000


def lived(regimen: str, **shares: float) -> np.ndarray:
    """Patients of a population under a policy that gives `regimen` in every first line."""
    population = "".join(f"{name} = {value}\n" for name, value in shares.items())
    scenario = loads(
        f'title = "one"\n[population]\n{population}\n[[policy]]\nname = "one"\n'
        f'base = "liver_first"\nconversion_regimen = "{regimen}"\n'
        f'first_line_regimen = "{regimen}"\ntiming = "upfront"\nadjuvant_cycles = 0\n'
    )
    params = pack(changes=scenario.changes)
    return simulate_block(scenario, "one", np.arange(PATIENTS), params=params).patients


def response(patients: np.ndarray, who: np.ndarray) -> float:
    """Objective response among the evaluable of `who`."""
    evaluable = who & (patients["first_line_evaluable"] == 1)
    return float(patients["objective_response"][evaluable].mean())


def test_every_regimen_has_what_a_cycle_needs():
    packed = pack()[0]
    for place, name in enumerate(REGIMENS):
        for field in ("kill_per_day", "cycle_days", "death_per_cycle"):
            assert packed[f"regimen_{field}"][place] > 0.0, (name, field)


def test_an_egfr_antibody_helps_the_left_wild_type_most_and_no_mutant():
    plain, with_antibody = lived("folfiri"), lived("folfiri_cetuximab")
    wild = plain["mutation"] == WILD_TYPE
    right = plain["primary_site"] == RIGHT_COLON
    gains = {
        "left": response(with_antibody, wild & ~right) - response(plain, wild & ~right),
        "right": response(with_antibody, wild & right) - response(plain, wild & right),
        "mutant": response(with_antibody, ~wild) - response(plain, ~wild),
    }
    assert gains["left"] > gains["right"] > gains["mutant"]
    assert gains["left"] > 0.05
    assert gains["mutant"] < 0.0


def test_an_egfr_antibody_around_surgery_harms():
    """As in New EPOC: resected patients live shorter with the antibody than without."""

    def survival(regimen: str) -> np.ndarray:
        scenario = loads(
            'title = "one"\n[population]\nras_share_left = 0.0\nras_share_right = 0.0\n'
            f'[[policy]]\nname = "one"\nbase = "liver_first"\nperioperative_regimen = "{regimen}"\n'
        )
        params = pack(changes=scenario.changes)
        return simulate_block(scenario, "one", np.arange(20_000), params=params).patients[
            "end_minute"
        ]

    difference = (survival("folfox_cetuximab") - survival("folfox")) / 525_960
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert difference.mean() < -3 * error


def test_encorafenib_touches_only_braf_mutants():
    patients = lived("encorafenib_cetuximab")
    mutant = patients["mutation"] == BRAF_MUTANT
    assert response(patients, mutant) > 0.2
    assert response(patients, ~mutant) < 0.03


@pytest.mark.parametrize("regimen", ["pembrolizumab", "nivolumab", "nivolumab_ipilimumab"])
def test_checkpoint_inhibition_is_a_mixture_in_msi_high_and_nothing_else(regimen):
    """Of MSI-high patients at most the durable share responds, and most of it; no other.

    A durable response need not be an objective one: slow shrinkage is stable disease at first.
    """
    everybody = lived(regimen, msi_share=0.99, msi_share_braf=0.99)
    durable = pack()[0]["regimen_checkpoint_response"][REGIMENS.index(regimen)]
    high = everybody["msi_high"] == 1
    evaluable = high & (everybody["first_line_evaluable"] == 1)
    error = np.sqrt(durable * (1 - durable) / evaluable.sum())
    assert 0.8 * durable < response(everybody, high) < durable + 4 * error + 0.01
    assert response(everybody, ~high) < 0.05


def test_xelox_injures_the_liver_as_folfox_does():
    """One and a half times the dose a cycle in cycles one and a half times as long."""
    packed = pack()[0]
    rate = packed["regimen_oxaliplatin"] / packed["regimen_cycle_days"]
    assert rate[REGIMENS.index("xelox")] == rate[REGIMENS.index("folfox")]
