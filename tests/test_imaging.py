"""What a scan shows, and RECIST 1.1 categories worked by hand (Eisenhauer 2009, EJC 45:228).

Detection is held to the logistic curve of its parameters and to van Kessel 2012 (80.5 % a lesion
before chemotherapy, 69.9 % after).
"""

import math

import numpy as np
import pytest
from helpers import DAY, add_lesion, diagnosed, known_parameters, patient_by_hand
from scipy import special

from crlm_sim.care.imaging import (
    COMPLETE,
    PARTIAL,
    PROGRESSION,
    STABLE,
    choose_targets,
    look_closer,
    response,
    scan,
    seen_anything,
    seen_outside_liver,
)
from crlm_sim.disease.growth import log_volume_of, remove
from crlm_sim.disease.patient import LUNG, NODE, PERITONEUM, PORTAL_NODE
from crlm_sim.engines import cohort, screening
from crlm_sim.evidence import MODALITIES, pack

PARAMS = known_parameters()
M = PARAMS[0]


def course(*diameters, sites=None):
    """A patient whose last scan showed these diameters, with targets chosen."""
    patients = patient_by_hand()
    for k, diameter in enumerate(diameters):
        add_lesion(patients, sites[k] if sites else k % 8, diameter)
    choose_targets(patients[0], M)
    return patients[0]


def shown(patient, *diameters, new=0):
    """The next scan's diameters, and the category it is given."""
    patient["diameter_mm"][: len(diameters)] = diameters
    patient["new_lesion"] = new
    return response(patient, M)


# RECIST ------------------------------------------------------------------------------------------


def test_two_targets_an_organ_the_largest_first():
    patient = course(12.0, 30.0, 25.0, 20.0)
    assert list(np.flatnonzero(patient["target"])) == [1, 2]
    assert patient["baseline_sum_mm"] == patient["nadir_sum_mm"] == 55.0


def test_five_targets_in_all_and_none_below_10_mm_or_in_the_peritoneum():
    sites = [0, 1, 2, LUNG, LUNG, NODE, PORTAL_NODE, PERITONEUM]
    patient = course(40.0, 30.0, 20.0, 15.0, 9.9, 11.0, 12.0, 50.0, sites=sites)
    assert list(np.flatnonzero(patient["target"])) == [0, 1, 3, 5, 6]
    assert patient["baseline_sum_mm"] == pytest.approx(40 + 30 + 15 + 11 + 12)


@pytest.mark.parametrize(
    ("diameters", "category"),
    [
        ((35.0, 21.0), PARTIAL),  # 56 of 80 is 70 %
        ((35.0, 21.1), STABLE),
        ((50.0, 30.0), STABLE),
        ((56.0, 39.9), STABLE),  # 95.9 of 80: below 120 %
        ((56.0, 40.1), PROGRESSION),
        ((0.0, 0.0), COMPLETE),
        ((0.0, 2.0), PARTIAL),
    ],
)
def test_categories_by_hand_from_a_baseline_of_80_mm(diameters, category):
    assert shown(course(50.0, 30.0), *diameters) == category


def test_progression_needs_five_millimetres():
    assert shown(course(12.0), 16.0) == STABLE  # 133 %, yet 4 mm
    assert shown(course(12.0), 17.0) == PROGRESSION


def test_progression_is_from_the_nadir_and_response_from_baseline():
    patient = course(50.0, 50.0)
    assert shown(patient, 30.0, 30.0) == PARTIAL
    assert patient["nadir_sum_mm"] == 60.0
    assert shown(patient, 35.0, 35.0) == PARTIAL  # 117 % of the nadir, 70 % of baseline
    assert shown(patient, 37.0, 37.0) == PROGRESSION  # 123 % of the nadir, 74 % of baseline
    assert patient["nadir_sum_mm"] == 60.0


def test_a_new_lesion_is_progression_whatever_the_sum():
    assert shown(course(50.0), 10.0, new=1) == PROGRESSION
    assert shown(course(50.0), 0.0, new=1) == PROGRESSION


def test_what_is_no_target_keeps_a_response_from_being_complete():
    patient = course(50.0, 40.0, 30.0)
    assert shown(patient, 0.0, 0.0, 8.0) == PARTIAL
    assert shown(patient, 0.0, 0.0, 0.0) == COMPLETE


def test_a_target_that_comes_back_is_progression():
    patient = course(20.0)
    assert shown(patient, 0.0) == COMPLETE
    assert shown(patient, 6.0) == PROGRESSION


# Seeing ------------------------------------------------------------------------------------------


def test_without_error_a_lesion_is_measured_as_it_is():
    patients = patient_by_hand(scans=1)
    add_lesion(patients, 5, 20.0)
    scan(patients[0], M, 0)
    assert patients[0]["diameter_mm"][0] == pytest.approx(20.0)
    scan(patients[0], M, 100 * DAY)
    assert patients[0]["diameter_mm"][0] > 20.0
    assert patients[0]["scans"] == 3
    assert patients[0]["last_scan_minute"] == 100 * DAY


def test_a_lesion_is_new_once():
    patients = patient_by_hand(scans=1)
    k = add_lesion(patients, 5, 20.0)
    patients[0]["known"][k] = 0
    scan(patients[0], M, 0)
    assert patients[0]["new_lesion"] == 1
    scan(patients[0], M, DAY)
    assert patients[0]["new_lesion"] == 0


def test_what_is_gone_or_inconspicuous_or_tiny_is_not_seen():
    patients = patient_by_hand(scans=1)
    gone = add_lesion(patients, 5, 20.0)
    remove(patients[0], gone)
    add_lesion(patients, 5, 30.0, seen=False)
    add_lesion(patients, 5, 1.9)
    scan(patients[0], M, 0)
    assert not seen_anything(patients[0])
    assert not seen_outside_liver(patients[0])


def test_the_lesion_of_the_diagnosis_is_always_seen():
    patients = diagnosed(2_000, pack())
    for patient in patients:
        scan(patient, M, 0)
        assert patient["diameter_mm"][0] > 0.0


def test_disease_outside_the_liver_is_told_apart():
    patients = patient_by_hand(scans=1)
    add_lesion(patients, 7, 20.0)
    assert not seen_outside_liver(patients[0])
    add_lesion(patients, LUNG, 20.0)
    scan(patients[0], M, 0)
    assert seen_outside_liver(patients[0])


def test_a_second_scan_is_no_second_chance():
    """Seen or missed is the lesion's own: the next day's scan shows the same lesions."""
    patients = diagnosed(300, pack())
    for patient in patients:
        scan(patient, M, 0)
        patient["diameter_mm"][0] = 0.0  # always seen the first time
        first = patient["diameter_mm"] > 0.0
        scan(patient, M, 0)
        assert np.array_equal((patient["diameter_mm"] > 0.0)[1:], first[1:])


@pytest.mark.parametrize("cycles", [0, 6])
@pytest.mark.parametrize("diameter", [5.0, 10.0, 20.0, 40.0])
def test_the_share_seen_is_logistic_in_log_diameter(cycles, diameter):
    """Over 4,000 lesions; limits of 4.5 standard errors."""
    m = pack()[0]
    size = 4000
    conspicuity = special.logit((np.arange(size) + 0.5) / size)
    patients = patient_by_hand(scans=1, cycles=cycles)
    k = add_lesion(patients, 5, diameter)
    seen = 0
    for value in conspicuity:
        patients[0]["conspicuity"][k] = value
        scan(patients[0], m, 0)
        seen += patients[0]["diameter_mm"][k] > 0.0
    logit = m["ct_logit"] + m["ct_per_log_mm"] * math.log(diameter)
    logit += m["ct_after_chemotherapy"] if cycles else 0.0
    assert seen / size == pytest.approx(special.expit(logit), abs=1.5 / size)


def sees(params, site, dose, days_ago, test):
    """Whether one test shows a 10 mm lesion of middling conspicuity in a liver with this dose."""
    patients = patient_by_hand(scans=1, steatohepatitis_dose=dose, injury_updated=-days_ago * 1440)
    k = add_lesion(patients, site, 10.0)
    patients[0]["conspicuity"][k] = params["ct_logit"] + params["ct_per_log_mm"] * math.log(10.0)
    patients[0]["conspicuity"][k] -= 0.1
    patients[0]["diameter_mm"][k] = 0.0
    if test == "ct":
        scan(patients[0], params, 0)
    else:
        look_closer(patients[0], params, MODALITIES.index(test), 0)
    return patients[0]["diameter_mm"][k] > 0.0


@pytest.mark.parametrize(
    ("site", "dose", "days_ago", "seen"),
    [(5, 0.0, 0, True), (5, 1.1, 0, False), (LUNG, 1.1, 0, True), (5, 1.1, 60, True)],
)
def test_ct_misses_more_in_a_fatty_liver_and_there_alone(site, dose, days_ago, seen):
    """The lesion is shown by a log odds of 0.1, fat takes 0.6; the dose halves in 150 d."""
    assert sees(pack()[0], site, dose, days_ago, "ct") == seen


def test_fat_hides_from_mri_what_it_takes_from_mri():
    for effect, seen in ((0.0, True), (-9.0, False)):
        params = known_parameters(**{"mri.in_steatosis": effect})[0]
        assert sees(params, 5, 1.1, 0, "mri") == seen
        assert sees(params, 5, 0.9, 0, "mri")


def test_a_further_test_is_read_without_the_ct():
    """PET-CT, less sensitive than CT in the liver, shows fewer lesions when read alone."""
    blank = cohort.blank_records(np.arange(3000), 1)
    by_test = {}
    for test in ("ct", "mri", "pet_ct"):
        seen, lesions = screening.lesions_seen(blank.copy(), pack(), test)
        by_test[test] = seen.sum() / lesions.sum()
    assert by_test["pet_ct"] < by_test["ct"] < by_test["mri"]


def test_sensitivity_is_near_van_kessel():
    """80.5 % a lesion before and 69.9 % after chemotherapy, ± 8 points, over overt lesions."""
    m = pack()[0]
    patients = diagnosed(4000, pack())
    patients = patients[patients["diffuse"] == 0]
    number = np.arange(patients["site"].shape[1])[None, :]
    overt = number < patients["lesions"][:, None]
    floor = log_volume_of(float(m["scan_floor_mm"]))
    volume = patients["log_sensitive"][overt]
    log_mm = np.log(m["scan_floor_mm"]) + (volume - floor) / 3.0
    logit = m["ct_logit"] + m["ct_per_log_mm"] * log_mm
    assert np.mean(special.expit(logit)) == pytest.approx(0.805, abs=0.08)
    after = special.expit(logit + m["ct_after_chemotherapy"])
    assert np.mean(after) == pytest.approx(0.699, abs=0.10)


def test_measurement_error_has_its_standard_deviation():
    params = known_parameters(measurement_error_sd=0.07)
    patients = patient_by_hand(scans=1)
    k = add_lesion(patients, 5, 30.0)
    measured = []
    for _ in range(3000):
        scan(patients[0], params[0], 0)
        measured.append(patients[0]["diameter_mm"][k] / 30.0)
    assert np.mean(measured) == pytest.approx(1.0, abs=4.5 * 0.07 / math.sqrt(3000))
    assert np.std(measured) == pytest.approx(0.07, rel=4.5 / math.sqrt(6000))
