"""Whether a liver can be cleared, on patients made and answers worked by hand.

The liver holds 1500 mL (segments 1–8: 2, 7, 9, 17, 13, 12, 16, 24 %) in a patient of 75 kg, so that
375 mL must be left (0.5 % of body weight), or 450 mL (30 %) after long chemotherapy.
"""

import math

import pytest
from helpers import DAY, add_lesion, known_parameters, patient_by_hand, policy
from hypothesis import given
from hypothesis import strategies as st

from crlm_sim.care.activities import (
    EXTENDED_LIVER_RESECTION,
    MAJOR_LIVER_RESECTION,
    MINOR_LIVER_RESECTION,
    SECOND_STAGE_HEPATECTOMY,
)
from crlm_sim.care.operations import liver_operation
from crlm_sim.care.policy import EMBOLISE, NO_STAGES, NO_THERAPY
from crlm_sim.care.resectability import (
    ABLATE,
    BEYOND_SURGERY,
    CLEAR,
    ONE_STAGE,
    TAKE_SEGMENT,
    TAKE_SIDE,
    TWO_STAGE,
    UNRESECTABLE,
    WEDGE,
    plan_operation,
    remnant_needed_ml,
)
from crlm_sim.disease.liver import LEFT_MASK, RIGHT_MASK, occlude_right, remnant_ml
from crlm_sim.disease.patient import LUNG
from crlm_sim.evidence import LOCAL_THERAPIES

RFA = LOCAL_THERAPIES.index("rfa")

PARAMS = known_parameters()
M = PARAMS[0]
RULES = policy(
    most_lesions=8,
    flr_least=0.3,
    flr_least_injured=0.3,
    remnant_to_body_weight_least=0.005,
    ablation=RFA,
    two_stage=EMBOLISE,
)


def planned(patients, rules=RULES, params=PARAMS, minute=0):
    return plan_operation(patients[0], params[0], rules[0], minute)


def with_lesions(*lesions, **fields):
    """Lesions as (segment 1–8, diameter, traits …)."""
    patients = patient_by_hand(**fields)
    for segment, diameter, *traits in lesions:
        add_lesion(patients, segment - 1, diameter, **dict.fromkeys(traits, True))
    return patients


# The parenchyma a lesion takes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lesion", "treatment", "segments"),
    [
        ((6, 20.0), WEDGE, 0),
        ((6, 40.0), WEDGE, 0),
        ((6, 40.1), TAKE_SEGMENT, 1 << 5),
        ((6, 30.0, "deep"), ABLATE, 0),
        ((6, 30.1, "deep"), TAKE_SEGMENT, 1 << 5),
        ((6, 20.0, "deep", "near_duct"), TAKE_SEGMENT, 1 << 5),
        ((6, 20.0, "near_vessel"), WEDGE, 0),
        ((6, 20.0, "deep", "near_vessel"), TAKE_SIDE, RIGHT_MASK),
        ((6, 51.0, "near_vessel"), TAKE_SIDE, RIGHT_MASK),
        ((6, 49.0, "near_vessel"), TAKE_SEGMENT, 1 << 5),
        ((2, 20.0, "deep", "near_vessel"), TAKE_SIDE, LEFT_MASK),
    ],
)
def test_one_lesion(lesion, treatment, segments):
    patients = with_lesions(lesion)
    assert planned(patients) == ONE_STAGE
    assert patients[0]["treatment"][0] == treatment
    assert patients[0]["planned_segments"] == segments


def test_one_small_superficial_lesion_in_segment_6_is_a_minor_resection():
    patients = with_lesions((6, 20.0))
    assert planned(patients) == ONE_STAGE
    assert liver_operation(patients[0]) == MINOR_LIVER_RESECTION


def test_a_deep_lesion_near_a_vessel_on_the_right_is_a_right_hepatectomy():
    """It leaves 525 of 1500 mL, above the 375 mL needed."""
    patients = with_lesions((7, 25.0, "deep", "near_vessel"))
    assert planned(patients) == ONE_STAGE
    assert remnant_ml(patients[0], int(patients[0]["planned_segments"])) == pytest.approx(525.0)
    assert liver_operation(patients[0]) == MAJOR_LIVER_RESECTION


def test_three_right_segments_become_the_right_liver():
    patients = with_lesions((5, 45.0), (6, 45.0), (8, 45.0))
    planned(patients)
    assert patients[0]["planned_segments"] == RIGHT_MASK


def test_two_right_segments_stay_two():
    patients = with_lesions((5, 45.0), (6, 45.0))
    assert planned(patients) == ONE_STAGE
    assert patients[0]["planned_segments"] == 0b0011_0000
    assert liver_operation(patients[0]) == MINOR_LIVER_RESECTION


def test_right_liver_and_segment_4_is_extended():
    """Segments 1–3 are left: 18 % or 270 mL, enough only for somebody small."""
    patients = with_lesions((7, 25.0, "deep", "near_vessel"), (4, 45.0), weight_kg=50.0)
    assert planned(patients) == ONE_STAGE
    assert liver_operation(patients[0]) == EXTENDED_LIVER_RESECTION


def test_a_fourth_ablation_takes_the_segment():
    lesions = [(segment, 20.0, "deep") for segment in (5, 6, 7, 8)]
    patients = with_lesions(*lesions)
    planned(patients)
    assert list(patients[0]["treatment"][:4]) == [ABLATE, ABLATE, ABLATE, TAKE_SEGMENT]
    assert patients[0]["planned_segments"] == 1 << 7


# What must be left -------------------------------------------------------------------------------


def test_the_remnant_needed():
    assert remnant_needed_ml(patient_by_hand()[0], M, RULES[0]) == pytest.approx(375.0)
    heavy = patient_by_hand(weight_kg=110.0)
    assert remnant_needed_ml(heavy[0], M, RULES[0]) == pytest.approx(450.0)
    injured = patient_by_hand(cycles=7)
    assert remnant_needed_ml(injured[0], M, RULES[0]) == pytest.approx(450.0)
    assert remnant_needed_ml(patient_by_hand(cycles=6)[0], M, RULES[0]) == pytest.approx(375.0)


def test_seven_deep_lesions_in_both_lobes_are_unresectable():
    lesions = [(segment, 45.0, "deep") for segment in (2, 3, 4, 5, 6, 7, 8)]
    patients = with_lesions(*lesions)
    assert planned(patients) == UNRESECTABLE


def test_two_segments_must_be_spared():
    """Right liver with 2 and 3 leaves 1 and 4; with 4 as well only the caudate."""
    tiny = 10.0  # so that volume is no obstacle
    right = (7, 25.0, "deep", "near_vessel")
    spared = with_lesions(right, (2, 45.0), (3, 45.0), weight_kg=tiny)
    assert planned(spared) == ONE_STAGE
    none = with_lesions(right, (2, 45.0), (3, 45.0), (4, 45.0), weight_kg=tiny)
    assert planned(none) == UNRESECTABLE


def test_wedges_cost_their_margins():
    """Around a 20 mm lesion 10 mm more: π / 6 (40³ − 20³) = 29.3 mL."""
    right = (7, 25.0, "deep", "near_vessel")
    shell = math.pi / 6.0 * (40.0**3 - 20.0**3) / 1000.0
    by_weight = policy(flr_least=0.9, remnant_to_body_weight_least=0.005, most_lesions=8)
    for spare, plan in ((shell + 0.1, ONE_STAGE), (shell - 0.1, TWO_STAGE)):
        patients = with_lesions(right, (3, 20.0), weight_kg=(525.0 - spare) / 5.0)
        assert planned(patients, rules=by_weight) == plan


def test_too_many_lesions():
    few = with_lesions(*[(6, 10.0)] * 8)
    assert planned(few) == ONE_STAGE
    many = with_lesions(*[(6, 10.0)] * 9)
    assert planned(many) == UNRESECTABLE


# Two stages --------------------------------------------------------------------------------------


def too_small(*more):
    """Right liver and segment 4 to go: 270 mL stay, 378 mL after growth by 40 %."""
    return with_lesions((7, 25.0, "deep", "near_vessel"), (4, 45.0), *more)


def test_a_remnant_too_small_is_resected_in_two_stages():
    patients = too_small()
    assert planned(patients) == TWO_STAGE
    assert patients[0]["needs_first_stage"] == 0


def test_a_lesion_in_the_remnant_needs_a_first_stage():
    """A wedge of a 5 mm lesion costs 8.1 mL more, so the patient is made a little lighter."""
    patients = too_small((3, 5.0))
    assert planned(patients) == UNRESECTABLE
    patients["weight_kg"] = 70.0
    assert planned(patients) == TWO_STAGE
    assert patients[0]["needs_first_stage"] == 1


def test_growth_that_does_not_suffice_is_no_plan():
    assert (
        planned(too_small(), params=known_parameters(embolisation_hypertrophy=0.35)) == UNRESECTABLE
    )


def test_without_two_stage_surgery_it_is_unresectable():
    assert planned(too_small(), rules=policy(two_stage=NO_STAGES, most_lesions=8)) == UNRESECTABLE


def test_after_embolisation_the_grown_remnant_counts():
    patients = too_small()
    occlude_right(patients[0], M, 0.4, 0)
    patients["embolised"] = 1
    assert (
        planned(patients, minute=DAY) == UNRESECTABLE
    )  # not grown yet, and no second embolisation
    assert planned(patients, minute=400 * DAY) == ONE_STAGE
    assert liver_operation(patients[0]) == SECOND_STAGE_HEPATECTOMY


# Whom surgery does not reach ---------------------------------------------------------------------


def test_disease_outside_the_liver_is_beyond_surgery():
    patients = with_lesions((6, 20.0))
    add_lesion(patients, LUNG, 12.0)
    assert planned(patients) == BEYOND_SURGERY


def test_unfit_patients_are_beyond_surgery():
    assert planned(with_lesions((6, 20.0), unfit=1)) == BEYOND_SURGERY


def test_nothing_seen_is_clear_whatever_is_there():
    patients = patient_by_hand()
    add_lesion(patients, 5, 60.0, seen=False)
    assert planned(patients) == CLEAR
    assert patients[0]["planned_segments"] == 0


def test_segments_gone_are_not_taken_again():
    patients = with_lesions((7, 25.0, "deep", "near_vessel"), removed_segments=0b0011_0000)
    planned(patients)
    assert patients[0]["planned_segments"] == RIGHT_MASK & ~0b0011_0000


LESIONS = st.lists(
    st.tuples(st.integers(1, 8), st.floats(3.0, 90.0), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=10,
)


def many(lesions):
    patients = patient_by_hand()
    for segment, diameter, deep, vessel, duct in lesions:
        add_lesion(patients, segment - 1, diameter, deep=deep, near_vessel=vessel, near_duct=duct)
    return patients


@given(LESIONS)
def test_a_plan_is_the_same_when_made_twice(lesions):
    patients = many(lesions)
    first = planned(patients)
    before = patients.tobytes()
    assert planned(patients) == first
    assert patients.tobytes() == before


@given(LESIONS)
def test_a_plan_of_one_stage_leaves_enough_and_reaches_every_lesion(lesions):
    patients = many(lesions)
    patient = patients[0]
    if planned(patients) != ONE_STAGE:
        return
    removed = int(patient["planned_segments"])
    assert remnant_ml(patient, removed) >= remnant_needed_ml(patient, M, RULES[0])
    for k in range(len(lesions)):
        treatment, site = patient["treatment"][k], int(patient["site"][k])
        assert treatment != 0
        assert treatment in (WEDGE, ABLATE) or (removed >> site) & 1


@given(LESIONS)
def test_stricter_rules_never_make_more_resectable(lesions):
    patients = many(lesions)
    strict = RULES.copy()
    strict["flr_least"] = strict["flr_least_injured"] = 0.4
    strict["remnant_to_body_weight_least"] = 0.008
    if planned(patients, rules=strict) == ONE_STAGE:
        assert planned(patients) == ONE_STAGE


@given(LESIONS)
def test_switching_ablation_off_is_never_ablating(lesions):
    off, absent = many(lesions), many(lesions)
    rules = RULES.copy()
    rules["ablation"] = NO_THERAPY
    planned(off, rules=rules)
    planned(absent, params=known_parameters(**{"rfa.most_mm": 0.0}))
    assert off.tobytes() == absent.tobytes()
