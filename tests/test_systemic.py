"""Courses of drugs: when cycles are due, what they do, and their toxicity."""

import numpy as np
import pytest
from helpers import DAY, add_lesion, known_parameters, lived, patient_by_hand, policy
from hypothesis import given
from hypothesis import strategies as st

from crlm_sim.care.systemic import (
    ADJUVANT,
    LINE,
    NO_COURSE,
    PREOPERATIVE,
    begin_course,
    end_course,
    give_cycle,
    stop_drug,
)
from crlm_sim.disease.growth import grow, log_volume, tumour_death_minute
from crlm_sim.disease.patient import NEVER, TOXIC
from crlm_sim.evidence import REGIMENS

FOLFOX = REGIMENS.index("folfox")
FOLFIRI = REGIMENS.index("folfiri")
SAFE = {
    f"{name}.{what}": 0.0 for name in REGIMENS for what in ("death_per_cycle", "stop_per_cycle")
}
PARAMS = known_parameters(
    **SAFE,
    **{"folfox.kill_per_day": 0.02, "folfox.cycle_days": 14.0, "folfiri.kill_per_day": 0.01},
    line_kill_factor=(1.0, 0.9, 0.5, 0.25),
    line_resistant_share=(0.1, 0.2, 0.3, 0.4),
)
M = PARAMS[0]
RULES = policy(first_reevaluation_days=56.0, reevaluation_days=56.0)


def treated(course=PREOPERATIVE, line=0, cycles=6, regimen=FOLFOX):
    patients = patient_by_hand(line=line)
    add_lesion(patients, 5, 40.0, resistant=-3.0)
    begin_course(patients[0], M, RULES[0], course, regimen, cycles, 5 * DAY)
    return patients


def test_a_course_begins_with_its_baseline():
    patient = treated()[0]
    assert patient["baseline_sum_mm"] == patient["nadir_sum_mm"] == 40.0
    assert patient["course_limit"] == 6
    assert patient["course_cycles"] == 0
    assert patient["evaluation_minute"] == NEVER


def test_the_first_scan_is_due_eight_weeks_after_the_first_cycle():
    patient = treated()[0]
    give_cycle(patient, M, RULES[0], 20 * DAY)
    assert patient["evaluation_minute"] == (20 + 56) * DAY
    assert patient["first_chemotherapy_minute"] == 20 * DAY
    give_cycle(patient, M, RULES[0], 34 * DAY)
    assert patient["evaluation_minute"] == (20 + 56) * DAY
    assert patient["first_chemotherapy_minute"] == 20 * DAY


def test_the_first_scan_during_adjuvant_drugs_is_the_next_visit():
    patient = treated(ADJUVANT)[0]
    patient["disease_free_minute"] = 2 * DAY
    give_cycle(patient, M, policy(surveillance_days=91.0)[0], 20 * DAY)
    assert patient["evaluation_minute"] == 93 * DAY


def test_a_cycle_acts_until_the_next_is_due():
    patient = treated()[0]
    give_cycle(patient, M, RULES[0], 20 * DAY)
    assert patient["drug_until"] == patient["next_cycle_minute"] == 34 * DAY
    assert patient["cycles"] == patient["course_cycles"] == 1
    assert patient["last_cycle_minute"] == 20 * DAY


@pytest.mark.parametrize(
    ("course", "line", "factor", "resistant"),
    [(PREOPERATIVE, 0, 1.0, 0.1), (LINE, 1, 0.9, 0.2), (LINE, 2, 0.5, 0.3), (LINE, 3, 0.25, 0.4),
     (ADJUVANT, 2, 1.0, 0.1)],
)  # fmt: skip
def test_the_kill_is_that_of_the_line(course, line, factor, resistant):
    patients = treated(course, line)
    patients["sensitivity"] = 1.5
    give_cycle(patients[0], M, RULES[0], 20 * DAY)
    assert patients[0]["kill_sensitive"] == pytest.approx(0.02 * 1.5 * factor)
    assert patients[0]["kill_resistant"] == pytest.approx(0.02 * 1.5 * factor * resistant)


def test_a_change_of_drug_does_not_change_what_was():
    """Ten days of one drug, then another: the past is grown under the first."""
    patients = treated()
    give_cycle(patients[0], M, RULES[0], 0)
    patients["course_regimen"] = FOLFIRI
    expected = patients.copy()
    grow(expected[0], M, 10 * DAY)
    give_cycle(patients[0], M, RULES[0], 10 * DAY)
    assert patients[0]["grown_until"] == 10 * DAY
    assert log_volume(patients[0], 0) == log_volume(expected[0], 0)
    assert patients[0]["kill_sensitive"] == pytest.approx(0.01)


def test_stopping_ends_the_effect_at_once():
    patients = treated()
    give_cycle(patients[0], M, RULES[0], 0)
    untreated = patients.copy()
    stop_drug(patients[0], M, 4 * DAY)
    assert patients[0]["drug_until"] == 4 * DAY
    stop_drug(untreated[0], M, 14 * DAY)
    assert log_volume(patients[0], 0) > log_volume(untreated[0], 0)
    grow(patients[0], M, 14 * DAY)
    assert log_volume(patients[0], 0) > log_volume(untreated[0], 0)


def test_the_end_of_a_course_lets_the_last_cycle_act():
    patient = treated()[0]
    give_cycle(patient, M, RULES[0], 0)
    end_course(patient, 10 * DAY)
    assert patient["course"] == NO_COURSE
    assert patient["drug_until"] == 14 * DAY
    assert patient["evaluation_minute"] == NEVER


@given(st.integers(0, 30))
def test_cycles_on_time_are_one_long_exposure(cycles):
    patients = treated()
    steady = patients.copy()
    for cycle in range(cycles):
        give_cycle(patients[0], M, RULES[0], cycle * 14 * DAY)
    grow(patients[0], M, cycles * 14 * DAY)
    if cycles:
        give_cycle(steady[0], M, RULES[0], 0)
        steady["drug_until"] = cycles * 14 * DAY
    grow(steady[0], M, cycles * 14 * DAY)
    assert log_volume(patients[0], 0) == pytest.approx(log_volume(steady[0], 0), rel=1e-9)


def certain(what):
    params = known_parameters(**{**SAFE, f"folfox.{what}": 1.0}, toxic_death_delay_days=10.0)
    patients = treated()
    give_cycle(patients[0], params[0], RULES[0], 20 * DAY)
    return patients[0]


def test_toxicity():
    assert certain("severe_toxicity_per_cycle")["severe_toxicity"] == 1
    stopped = certain("stop_per_cycle")
    assert stopped["course_limit"] == stopped["course_cycles"] == 1
    dead = certain("death_per_cycle")
    assert dead["treatment_death_minute"] == 30 * DAY
    assert dead["treatment_death_cause"] == TOXIC
    assert treated()[0]["treatment_death_minute"] == NEVER


def test_without_any_kill_drugs_change_no_volume():
    params = known_parameters(**SAFE, **{"folfox.kill_per_day": 1e-300})
    patients = treated()
    alone = patients.copy()
    for cycle in range(5):
        give_cycle(patients[0], params[0], RULES[0], cycle * 14 * DAY)
    grow(patients[0], params[0], 200 * DAY)
    grow(alone[0], params[0], 200 * DAY)
    assert log_volume(patients[0], 0) == pytest.approx(log_volume(alone[0], 0), rel=1e-12)


def test_cycles_are_never_closer_than_their_interval():
    """In 500 courses: no cycle starts before the last one's interval is over."""
    from crlm_sim.care.activities import CHEMOTHERAPY_CYCLE
    from crlm_sim.engines import cohort

    patients = cohort.blank_patients(0, 500, 1)
    log = cohort.simulate(patients, PARAMS, policy(), 5 * 525_960, keep_log=True)
    cycles = log[log["activity"] == CHEMOTHERAPY_CYCLE]
    same = cycles["patient"][1:] == cycles["patient"][:-1]
    gaps = np.diff(cycles["start"])[same]
    assert len(gaps) > 1000
    assert gaps.min() >= 14 * DAY
    counted = np.bincount(cycles["patient"], minlength=500)
    # A death during the last one, or the end of follow-up, leaves a cycle begun and not counted.
    assert (counted - patients["cycles"]).min() >= 0
    assert (counted - patients["cycles"]).max() <= 1


def test_no_lines_means_no_drugs_for_those_never_resectable():
    none = lived(500, policy(lines=0, timing=0, adjuvant_cycles=0, postoperative_cycles=0), PARAMS)
    assert none["cycles"].sum() == 0


def test_stopping_forgets_the_safety_the_drug_would_have_given():
    """Half a year of a strong drug was reckoned with; stopped on day 5, the tumour kills in it."""
    patients = patient_by_hand(growth_rate=5e-3, kill_sensitive=0.1, drug_until=400 * DAY)
    add_lesion(patients, 5, 80.0)
    assert tumour_death_minute(patients[0], M, 390 * DAY) == NEVER
    stop_drug(patients[0], M, 5 * DAY)
    found = tumour_death_minute(patients[0], M, 390 * DAY)
    assert 5 * DAY < found < 390 * DAY
