"""Whether the liver unit is asked: what the local team does without it, and when it is asked."""

import numpy as np
from helpers import DAY, HORIZON, add_lesion, known_parameters, lived, patient_by_hand, policy

from crlm_sim.care import activities as act
from crlm_sim.care.meeting import decide
from crlm_sim.care.steps import CYCLE, OPERATION
from crlm_sim.engines import agents, cohort
from crlm_sim.evidence import LOCAL_THERAPIES, pack
from crlm_sim.evidence.parameters import ARTERIAL_THERAPIES
from crlm_sim.scenario import loads

PARAMS = known_parameters()
PATIENTS = 1_500
PLANNED = {
    "resectable_at_diagnosis",
    "referred",
    "plan",
    "planned_segments",
    "needs_first_stage",
    "treatment",
}
"""What the plan of an operation leaves in the record of who is not operated on."""

BY_RESPONSE = """\
title = "Asked after a response"
[[policy]]
name = "everybody"
[[policy]]
name = "after_response"
refer_to_liver_unit = false
[[policy.rule]]
when = "responded"
do = { refer_to_liver_unit = true }
"""


def small(**fields):
    """One superficial lesion that a wedge removes."""
    patients = patient_by_hand(**fields)
    patients[0]["times_done"][act.MDT_MEETING] = 1
    add_lesion(patients, 5, 20.0)
    return patients


def decided(patients, rules):
    decide(patients[0], PARAMS[0], rules[0], 10 * DAY)
    return patients[0]


def test_who_is_not_referred_gets_drugs_for_what_could_be_resected():
    first = {"timing": 0.0, "sequence": 2.0}
    there = decided(small(), policy(**first))
    assert (there["step"], there["referred"], there["resectable_at_diagnosis"]) == (OPERATION, 1, 1)
    here = decided(small(), policy(refer_to_liver_unit=0.0, **first))
    assert (here["step"], here["referred"], here["resectable_at_diagnosis"]) == (CYCLE, 0, 1)
    assert here["line"] == 1


def test_without_referral_care_is_that_of_disease_which_no_operation_clears():
    """The same course, to the last bit, as where no liver lesion is operated on."""
    params = pack()
    never = lived(PATIENTS, policy(refer_to_liver_unit=0.0), params)
    nothing = lived(PATIENTS, policy(most_lesions=0.0), params)
    for field in set(never.dtype.names) - PLANNED:
        assert np.array_equal(never[field], nothing[field]), field
    assert not never["referred"].any()
    assert never["resectable_at_diagnosis"].mean() > 0.1 > nothing["resectable_at_diagnosis"].mean()


def test_nothing_is_done_to_the_liver_without_the_liver_unit():
    more = {
        "local_therapy": float(LOCAL_THERAPIES.index("mwa")),
        "arterial_therapy": float(ARTERIAL_THERAPIES.index("sirt")),
        "mri": 1.0,
    }
    params = pack()
    there = lived(PATIENTS, policy(**more), params)
    here = lived(PATIENTS, policy(refer_to_liver_unit=0.0, **more), params)
    for field in ("liver_operations", "local_treatments", "arterial_treated", "mri_done"):
        assert there[field].any(), field
        assert not here[field].any(), field
    assert here["cycles"].any()
    assert here["primary_resection_minute"].min() < HORIZON


def test_the_liver_unit_keeps_whom_it_has_begun_to_operate_on():
    begun = small(embolised=1, stage_one_done=1, primary_in_place=0, preoperative_done=1)
    found = decided(begun, policy(refer_to_liver_unit=0.0))
    assert found["step"] == OPERATION
    assert found["referred"] == 1


def test_a_response_can_lead_to_the_liver_unit():
    """Asked anew at each meeting: only responders are referred, and some of them resected."""
    scenario = loads(BY_RESPONSE)
    params = pack()

    def live(name, engine=cohort, number=PATIENTS):
        patients = cohort.blank_patients(0, number, 1)
        rules = scenario.packed_rules(name)
        engine.simulate(patients, params, scenario.packed_policy(name), HORIZON, rules=rules)
        return patients

    found, everybody = live("after_response"), live("everybody")
    assert (found["objective_response"][found["referred"] > 0] == 1).all()
    assert (found["referred"][found["resected"] > 0] == 1).all()
    assert 0 < found["resected"].sum() < everybody["resected"].sum()
    asked = everybody["times_done"][:, act.MDT_MEETING] > 0
    assert np.array_equal(everybody["referred"] > 0, asked)
    alike = live("after_response", agents, 150)
    assert alike.tobytes() == found[:150].tobytes()
