"""Operations: what is taken and left, risks worked out from their log odds, stay and recovery."""

import math

import numpy as np
import pytest
from helpers import DAY, add_lesion, known_parameters, patient_by_hand, policy
from scipy import special

from crlm_sim.care.activities import (
    COLORECTAL_RESECTION,
    EMERGENCY_COLORECTAL_RESECTION,
    FIRST_STAGE_HEPATECTOMY,
    MAJOR_LIVER_RESECTION,
    MINOR_LIVER_RESECTION,
    SIMULTANEOUS_RESECTION,
)
from crlm_sim.care.operations import operate, takes_liver
from crlm_sim.care.policy import EMBOLISE
from crlm_sim.care.resectability import plan_operation
from crlm_sim.disease.growth import is_viable, log_volume
from crlm_sim.disease.liver import RIGHT_MASK
from crlm_sim.disease.patient import (
    LUNG,
    NEVER,
    POSTOPERATIVE,
    PRIMARY_COMPLICATION,
    RAS_MUTANT,
)
from crlm_sim.evidence import ACTIVITIES, LOCAL_THERAPIES

RFA = LOCAL_THERAPIES.index("rfa")

OPERATIONS = [name for name in ACTIVITIES if name.endswith(("resection", "hepatectomy"))]
NEVER_ODDS, CERTAIN = -1e3, 1e3
NO_DEATH = {f"{name}.death_logit": NEVER_ODDS for name in OPERATIONS}
NO_COMPLICATION = {f"{name}.complication_logit": NEVER_ODDS for name in OPERATIONS}
CLEAN = {
    **NO_DEATH,
    **NO_COMPLICATION,
    "margin_positive_logit": NEVER_ODDS,
    "rfa.failure_logit": NEVER_ODDS,
    "rfa.failure_per_mm": 0.0,
    "liver_failure_logit": NEVER_ODDS,
    "stay_sd": 0.0,
    "intraoperative_sensitivity": 1.0,
    "intraoperative_floor_mm": 4.0,
}
RULES = policy(most_lesions=8, ablation=RFA, two_stage=EMBOLISE, operation_gap_days=28.0)


def params(**changes):
    return known_parameters(**{**CLEAN, **changes})


def operated(patients, operation, parameters=None, start=10 * DAY, end=10 * DAY + 180):
    parameters = params() if parameters is None else parameters
    plan_operation(patients[0], parameters[0], RULES[0], start)
    operate(patients[0], parameters[0], RULES[0], operation, start, end)
    return patients[0]


def one_lesion(diameter=20.0, **traits):
    patients = patient_by_hand()
    add_lesion(patients, 5, diameter, **traits)
    return patients


# What is taken -----------------------------------------------------------------------------------


def test_a_wedge_takes_the_lesion_and_no_segment():
    patient = operated(one_lesion(), MINOR_LIVER_RESECTION)
    assert not is_viable(patient, 0)
    assert patient["removed_segments"] == 0
    assert patient["liver_operations"] == patient["operations_done"] == 1
    assert patient["major_hepatectomy"] == 0
    assert patient["primary_in_place"] == 1
    assert patient["theatre_minutes"] == 180


def test_a_right_hepatectomy_takes_everything_in_it():
    patients = one_lesion(25.0, deep=True, near_vessel=True)
    unseen = add_lesion(patients, 7, 3.0, seen=False)
    left = add_lesion(patients, 1, 3.0, seen=False)
    patient = operated(patients, MAJOR_LIVER_RESECTION)
    assert patient["removed_segments"] == RIGHT_MASK
    assert patient["major_hepatectomy"] == 1
    assert not is_viable(patient, 0)
    assert not is_viable(patient, unseen)
    assert is_viable(patient, left)  # 3 mm, never seen: below what is felt in theatre


def test_lesions_unseen_before_are_found_in_theatre_if_large_or_known():
    patients = one_lesion()
    large = add_lesion(patients, 1, 6.0, seen=False)
    small = add_lesion(patients, 1, 3.0, seen=False)
    known = add_lesion(patients, 2, 3.0, seen=False)
    patients[0]["known"][known] = 1
    lung = add_lesion(patients, LUNG, 6.0, seen=False)
    patient = operated(patients, MINOR_LIVER_RESECTION)
    assert [is_viable(patient, k) for k in (0, large, small, known, lung)] == [
        False, False, True, False, True,
    ]  # fmt: skip


def test_nothing_is_found_by_a_blind_surgeon():
    patients = one_lesion()
    large = add_lesion(patients, 1, 6.0, seen=False)
    patient = operated(patients, MINOR_LIVER_RESECTION, params(intraoperative_sensitivity=0.0))
    assert is_viable(patient, large)


def test_a_colorectal_resection_takes_the_primary_and_no_metastasis():
    patients = one_lesion()
    patients["primary_complication_minute"] = 100 * DAY
    patient = operated(patients, COLORECTAL_RESECTION)
    assert is_viable(patient, 0)
    assert patient["primary_in_place"] == 0
    assert patient["primary_complication_minute"] == NEVER
    assert patient["primary_resection_minute"] == 10 * DAY
    assert patient["liver_operations"] == 0


def test_a_simultaneous_resection_takes_both():
    patient = operated(one_lesion(), SIMULTANEOUS_RESECTION)
    assert not is_viable(patient, 0)
    assert patient["primary_in_place"] == 0


def test_only_operations_on_the_bowel_leave_the_liver():
    for name in OPERATIONS:
        elsewhere = name in (
            "colorectal_resection",
            "emergency_colorectal_resection",
            "lung_resection",
        )
        assert takes_liver(ACTIVITIES.index(name)) != elsewhere


def test_a_first_stage_clears_the_left_and_leaves_the_right():
    patients = patient_by_hand(weight_kg=70.0)
    add_lesion(patients, 6, 25.0, deep=True, near_vessel=True)
    add_lesion(patients, 3, 45.0)
    add_lesion(patients, 2, 5.0)
    patient = operated(patients, FIRST_STAGE_HEPATECTOMY)
    assert [is_viable(patient, k) for k in range(3)] == [True, True, False]
    assert patient["removed_segments"] == 0


def test_a_positive_margin_leaves_its_share():
    failing = params(margin_positive_logit=CERTAIN, residual_log_fraction=-9.0)
    patients = one_lesion()
    before = log_volume(patients[0], 0)
    patient = operated(patients, MINOR_LIVER_RESECTION, failing, start=0, end=100)
    assert patient["margin_positive"] == 1
    assert log_volume(patient, 0) == pytest.approx(before - 9.0)


def test_a_failed_ablation_is_no_positive_margin():
    failing = params(**{"rfa.failure_logit": CERTAIN, "rfa.residual_log_fraction": -9.0})
    patient = operated(one_lesion(deep=True), MINOR_LIVER_RESECTION, failing)
    assert patient["margin_positive"] == 0
    assert patient["ablated_lesions"] == 1
    assert is_viable(patient, 0)


# Risks -------------------------------------------------------------------------------------------

SIZE = 3000


def share(field, parameters, operation=COLORECTAL_RESECTION, **fields):
    """Share of 3,000 patients with the same body and different luck."""
    found = 0
    for number in range(SIZE):
        patients = patient_by_hand(patient=number, **fields)
        operate(patients[0], parameters[0], RULES[0], operation, 10 * DAY, 10 * DAY + 100)
        value = patients[0][field]
        found += value < NEVER if field == "treatment_death_minute" else value > 0
    return found / SIZE


def assert_odds(found, logit):
    expected = special.expit(logit)
    slack = 4.5 * math.sqrt(expected * (1.0 - expected) / SIZE)
    assert found == pytest.approx(expected, abs=slack)


RISKS = {
    "age_mean_years": 65.0,
    "colorectal_resection.complication_logit": -1.5,
    "complication_age": 0.2,
    "complication_performance_status": 0.4,
    "complication_short_gap": 0.9,
    "colorectal_resection.death_logit": -2.5,
    "death_age": 0.5,
    "death_performance_status": 0.6,
    "death_complication": 0.0,
}


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({}, 0.0),
        ({"age_years": 85.0}, 0.4),
        ({"performance_status": 2}, 0.8),
        ({"cycles": 3, "last_cycle_minute": 0}, 0.9),
        ({"cycles": 3, "last_cycle_minute": -18 * DAY}, 0.0),
    ],
)
def test_complications_follow_their_log_odds(fields, more):
    assert_odds(share("major_complication", params(**RISKS), **fields), -1.5 + more)


@pytest.mark.parametrize(
    ("fields", "more"), [({}, 0.0), ({"age_years": 85.0}, 1.0), ({"performance_status": 2}, 1.2)]
)
def test_deaths_follow_their_log_odds(fields, more):
    assert_odds(share("treatment_death_minute", params(**RISKS), **fields), -2.5 + more)


def test_a_complication_raises_the_odds_of_death():
    certain = {"colorectal_resection.complication_logit": CERTAIN, "death_complication": 1.6}
    assert_odds(share("treatment_death_minute", params(**{**RISKS, **certain})), -2.5 + 1.6)


def test_margins_follow_mutation():
    chances = params(margin_positive_logit=-2.0, margin_positive_ras=0.8, margin_positive_wedge=0.3)
    for mutation, logit in ((0, -1.7), (RAS_MUTANT, -0.9)):
        found = 0
        for number in range(SIZE):
            patients = one_lesion()
            patients["patient"] = number
            patients["mutation"] = mutation
            found += operated(patients, MINOR_LIVER_RESECTION, chances)["margin_positive"]
        assert_odds(found / SIZE, logit)


def test_liver_failure_needs_a_major_resection():
    certain = params(liver_failure_logit=CERTAIN)
    assert operated(one_lesion(), MINOR_LIVER_RESECTION, certain)["liver_failure"] == 0
    major = one_lesion(25.0, deep=True, near_vessel=True)
    patient = operated(major, MAJOR_LIVER_RESECTION, certain)
    assert patient["liver_failure"] == patient["major_complication"] == 1


def test_liver_failure_by_spare_remnant():
    """525 mL stay of 375 needed: 0.4 of a multiple to spare."""
    chances = params(
        liver_failure_logit=-1.0, liver_failure_per_spare=2.0, liver_failure_injured=0.6
    )
    for dose, logit in ((0.0, -1.8), (50.0, -1.2)):
        found = 0
        for number in range(SIZE):
            patients = one_lesion(25.0, deep=True, near_vessel=True)
            patients["patient"] = number
            patients["sinusoidal_dose"] = dose
            found += operated(patients, MAJOR_LIVER_RESECTION, chances)["liver_failure"]
        assert_odds(found / SIZE, logit)


def test_injury_is_what_the_pathologist_finds_that_day():
    patients = one_lesion()
    patients["sinusoidal_dose"], patients["steatohepatitis_dose"] = 1.9, 2.1
    patient = operated(patients, MINOR_LIVER_RESECTION, start=150 * DAY, end=150 * DAY + 60)
    assert patient["injury_assessed"] == 1
    assert patient["sinusoidal_injury"] == 0  # 1.9 / 2 after one half-life of 150 days
    assert patient["steatohepatitis"] == 0  # 2.1 × 2^(−150 / 120) = 0.88
    assert operated(one_lesion(), COLORECTAL_RESECTION)["injury_assessed"] == 0


# Afterwards --------------------------------------------------------------------------------------

TIMES = {
    "minor_liver_resection.stay_days": 4.0,
    "minor_liver_resection.recovery_days": 28.0,
    "complication_stay_days": 9.0,
    "complication_recovery_days": 21.0,
}


def test_stay_and_recovery():
    patient = operated(one_lesion(), MINOR_LIVER_RESECTION, params(**TIMES))
    assert patient["stay_minutes"] == 4 * DAY
    assert patient["recovered_minute"] == 10 * DAY + 180 + (4 + 28) * DAY
    worse = params(**{**TIMES, "minor_liver_resection.complication_logit": CERTAIN})
    patient = operated(one_lesion(), MINOR_LIVER_RESECTION, worse)
    assert patient["stay_minutes"] == 13 * DAY
    assert patient["recovered_minute"] == 10 * DAY + 180 + (13 + 28 + 21) * DAY


@pytest.mark.parametrize(
    ("operation", "cause"),
    [(COLORECTAL_RESECTION, POSTOPERATIVE), (EMERGENCY_COLORECTAL_RESECTION, PRIMARY_COMPLICATION)],
)
def test_postoperative_deaths_come_within_the_window(operation, cause):
    certain = params(**{f"{ACTIVITIES[operation]}.death_logit": CERTAIN}, death_complication=0.0)
    minutes = []
    for number in range(500):
        patients = patient_by_hand(patient=number)
        operate(patients[0], certain[0], RULES[0], operation, 10 * DAY, 10 * DAY + 100)
        assert patients[0]["treatment_death_cause"] == cause
        minutes.append(int(patients[0]["treatment_death_minute"]) - 10 * DAY - 100)
    assert min(minutes) >= 0
    assert max(minutes) <= 90 * DAY
    assert np.median(minutes) < 45 * DAY  # most soon after


def test_the_same_patient_has_the_same_luck_in_the_same_operation():
    first, second = (patient_by_hand(patient=7) for _ in range(2))
    for patients, start in ((first, 10 * DAY), (second, 300 * DAY)):
        operate(patients[0], params(**RISKS)[0], RULES[0], COLORECTAL_RESECTION, start, start + 100)
    for field in ("major_complication", "stay_minutes"):
        assert first[0][field] == second[0][field]


def test_operations_end_the_drug():
    patients = one_lesion()
    patients["drug_until"] = 30 * DAY
    patients["kill_sensitive"] = 0.01
    assert operated(patients, MINOR_LIVER_RESECTION)["drug_until"] == 10 * DAY
