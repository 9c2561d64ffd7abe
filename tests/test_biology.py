"""What the calibration had to change in the model: each does what it says, and nothing else."""

import math

import numpy as np
import pytest
from helpers import DAY, HORIZON, add_lesion, known_parameters, lived, patient_by_hand, policy

from crlm_sim.care.activities import CHEMOTHERAPY_CYCLE, SURVEILLANCE_VISIT
from crlm_sim.care.systemic import LINE, begin_course, give_cycle, kill_rates, stop_drug
from crlm_sim.disease.growth import grow, log_volume
from crlm_sim.disease.patient import NEVER
from crlm_sim.engines import cohort
from crlm_sim.engines.screening import at_diagnosis
from crlm_sim.evidence import REGIMENS, pack, parameters

SIZE = 3_000
IMMUNE = REGIMENS.index("nivolumab_ipilimumab")
TRIPLET = REGIMENS.index("folfoxiri_bevacizumab")
DOUBLET = REGIMENS.index("folfox")
SAFE = {
    f"{name}.{what}": 0.0 for name in REGIMENS for what in ("death_per_cycle", "stop_per_cycle")
}


def changed(**values):
    """All parameters at their values but these."""
    table = {name: (value,) if np.isscalar(value) else value for name, value in values.items()}
    return pack(changes=table)


def immune_patient(msi_high=1):
    params = known_parameters(**SAFE, **{"nivolumab_ipilimumab.checkpoint_response": 0.999999})
    patients = patient_by_hand(line=1, msi_high=msi_high, seed=3)
    add_lesion(patients, 5, 40.0, resistant=-1.0)
    begin_course(patients[0], params[0], policy()[0], LINE, IMMUNE, 8, 0)
    give_cycle(patients[0], params[0], policy()[0], 0)
    return patients, params


def test_immunity_outlasts_the_last_cycle_and_an_operation():
    patients, params = immune_patient()
    assert patients["drug_until"][0] == NEVER
    assert patients["next_cycle_minute"][0] < 60 * DAY
    grow(patients[0], params[0], 300 * DAY)
    after_months = log_volume(patients[0], 0)
    stop_drug(patients[0], params[0], 310 * DAY)
    grow(patients[0], params[0], 700 * DAY)
    assert log_volume(patients[0], 0) < after_months


def test_other_disease_gains_nothing_by_it():
    patients, params = immune_patient(msi_high=0)
    assert patients["drug_until"][0] < NEVER
    before = log_volume(patients[0], 0)
    grow(patients[0], params[0], 300 * DAY)
    assert log_volume(patients[0], 0) > before


def test_what_a_regimen_has_beyond_a_doublet_acts_on_resistant_cells():
    params = known_parameters(
        backbone_kill_per_day=0.02,
        added_kill_breadth=0.4,
        line_kill_factor=(1.0, 1.0, 1.0, 1.0),
        line_resistant_share=(0.1, 0.1, 0.1, 0.1),
        **{"folfox.kill_per_day": 0.02, "folfoxiri_bevacizumab.kill_per_day": 0.05},
    )
    patients = patient_by_hand(line=1, course=LINE)
    assert kill_rates(patients[0], params[0], DOUBLET) == pytest.approx((0.02, 0.002))
    strong = kill_rates(patients[0], params[0], TRIPLET)
    assert strong == pytest.approx((0.05, 0.02 * 0.1 + 0.03 * 0.4))


def test_disease_grows_faster_after_each_line_it_has_withstood_and_nobody_else_is_touched():
    step = 0.3
    plain = lived(SIZE, policy(), changed(progression_log_growth=0.0))
    faster = lived(SIZE, policy(), changed(progression_log_growth=step))
    times = np.round(np.log(faster["growth_rate"] / plain["growth_rate"]) / step).astype(int)
    withstood = (faster["line_progression_minute"] < NEVER).sum(axis=1)
    assert np.array_equal(times, withstood)
    assert set(times.tolist()) == {0, 1, 2, 3}
    never = withstood == 0
    assert plain[never].tobytes() == faster[never].tobytes()


def test_visits_go_on_during_adjuvant_drugs_if_they_are_due():
    def visits_among_cycles(days):
        patients = cohort.blank_patients(0, 1_500, 1)
        rules = policy("upfront_adjuvant", surveillance_days=days)
        log = cohort.simulate(patients, pack(), rules, HORIZON, keep_log=True)
        found = 0
        for number in np.flatnonzero(patients["adjuvant_started"] > 0)[:100]:
            rows = log[log["patient"] == number]
            start = int(patients["cleared_minute"][number])
            end = int(patients["recurrence_minute"][number])
            cycles = rows[(rows["activity"] == CHEMOTHERAPY_CYCLE) & (rows["start"] > start)]
            cycles = cycles[cycles["start"] < end]
            visits = rows[rows["activity"] == SURVEILLANCE_VISIT]["start"]
            if len(cycles):
                inside = (visits > cycles["start"].min()) & (visits < cycles["start"].max())
                found += int(inside.sum())
        return found

    assert visits_among_cycles(91.0) > 20
    assert visits_among_cycles(360.0) == 0


def test_people_near_the_burden_that_kills_are_less_fit():
    def status(effect):
        patients = cohort.blank_patients(0, SIZE, 1)
        return at_diagnosis(patients, changed(fitness_burden_effect=effect))["performance_status"]

    without, with_it = status(0.0), status(4.0)
    assert (with_it >= without).all()
    assert (with_it > without).mean() > 0.1


def test_nodes_and_size_tell_of_growth():
    def rates(**values):
        return at_diagnosis(cohort.blank_patients(0, SIZE, 1), changed(**values))

    neither = rates(node_log_growth=0.0, size_log_growth=0.0)
    both = rates(node_log_growth=0.2, size_log_growth=0.3)
    middle = parameters()["largest_lesion_mm"].value[0]
    expected = 0.2 * (neither["node_positive"] > 0) + 0.3 * np.log(neither["largest_mm"] / middle)
    found = np.log(both["growth_rate"] / neither["growth_rate"])
    assert found == pytest.approx(expected, abs=1e-9)
    assert math.isclose(float(np.median(expected)), float(np.median(found)), abs_tol=1e-9)
