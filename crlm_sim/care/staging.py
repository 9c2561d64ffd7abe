"""Tests that follow the staging CT, and whether they change the plan."""

from __future__ import annotations

from crlm_sim.care import activities as act
from crlm_sim.care.imaging import look_closer
from crlm_sim.care.resectability import ONE_STAGE, TWO_STAGE, beyond_surgery, plan_operation
from crlm_sim.care.steps import CLOSER_LOOK, MEETING, go_to
from crlm_sim.compiled import compiled
from crlm_sim.evidence import MODALITIES

MRI = MODALITIES.index("mri")
PET_CT = MODALITIES.index("pet_ct")
PET_MR = MODALITIES.index("pet_mr")


@compiled
def next_staging_test(patient, params, policy, minute):
    """The next test the policy wants before local treatment is planned, else the meeting.

    Further tests are for those whose liver might be cleared: disease beyond surgery gets none, nor
    do those about whom the liver unit is not asked.
    """
    go_to(patient, MEETING, minute)
    if not (policy.mri or policy.pet_ct or policy.pet_mr) or not policy.refer_to_liver_unit:
        return
    if beyond_surgery(patient, params, policy):
        return
    for wanted, test in (
        (policy.mri, act.MRI_SCAN),
        (policy.pet_ct, act.PET_CT_SCAN),
        (policy.pet_mr, act.PET_MR_SCAN),
    ):
        if wanted and not (patient.staging_tests >> test) & 1:
            patient.staging_test = test
            go_to(patient, CLOSER_LOOK, minute)
            return


@compiled
def is_staging_test(activity):
    """Whether an activity is one of these tests."""
    return activity in (act.MRI_SCAN, act.PET_CT_SCAN, act.PET_MR_SCAN)


@compiled
def do_staging_test(patient, params, policy, test, minute):
    """What a further test shows, and whether the plan is another for it."""
    plan = plan_operation(patient, params, policy, minute)
    segments = patient.planned_segments
    treated = _lesions_treated(patient)
    _look_with(patient, params, test, minute)
    changed = plan_operation(patient, params, policy, minute) != plan
    changed = changed or patient.planned_segments != segments
    changed = changed or _lesions_treated(patient) != treated
    could_be_treated = plan in (ONE_STAGE, TWO_STAGE)
    if test == act.MRI_SCAN:
        patient.mri_done |= could_be_treated
        patient.plan_changed_by_mri |= changed and could_be_treated
    else:
        patient.pet_done |= could_be_treated
        patient.plan_changed_by_pet |= changed and could_be_treated


@compiled
def _look_with(patient, params, test, minute):
    modality = MRI if test == act.MRI_SCAN else PET_CT if test == act.PET_CT_SCAN else PET_MR
    look_closer(patient, params, modality, minute)
    patient.staging_tests |= 1 << test


@compiled
def repeat_staging_tests(patient, params, tests, minute):
    """Those of an earlier staging, a set of bits, done again after a new CT."""
    for test in (act.MRI_SCAN, act.PET_CT_SCAN, act.PET_MR_SCAN):
        if (tests >> test) & 1:
            _look_with(patient, params, test, minute)
            patient.times_done[test] += 1


@compiled
def _lesions_treated(patient):
    number = 0
    for k in range(patient.clones):
        number += patient.treatment[k] != 0
    return number
