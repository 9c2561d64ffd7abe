"""What the clinic does about a patient who waits: who comes first, and when a plan is too old."""

from __future__ import annotations

from crlm_sim.care import activities as act
from crlm_sim.care.follow_up import read_staging_scan
from crlm_sim.care.imaging import scan
from crlm_sim.care.operations import liver_operation, takes_liver
from crlm_sim.care.resectability import (
    BEYOND_SURGERY,
    ONE_STAGE,
    UNRESECTABLE,
    plan_operation,
)
from crlm_sim.care.staging import repeat_staging_tests
from crlm_sim.care.steps import MEETING, OPERATION, go_to
from crlm_sim.care.systemic import days
from crlm_sim.compiled import compiled
from crlm_sim.disease.patient import NEVER

EMERGENCY, URGENT, SOON, OTHERS = range(4)
"""Classes of a waiting list, each due after its own time (`evidence/capacity.toml`)."""


@compiled
def priority(patient, activity):
    """The class in which a patient waits for an activity.

    Emergencies are due at once; then a primary with symptoms, as those who come as an emergency
    have, and the second of two stages, for which the liver was made to grow; then everybody else of
    the model. `OTHERS` are patients with other diseases.
    """
    if activity == act.EMERGENCY_COLORECTAL_RESECTION:
        return EMERGENCY
    if activity in (act.SECOND_STAGE_HEPATECTOMY, act.ALPPS_SECOND_STAGE):
        return URGENT
    if patient.symptomatic_primary and patient.primary_in_place:
        return URGENT
    return SOON


@compiled
def look_again_minute(patient, params, activity):
    """When the scan that a waiting liver operation rests on is too old; `NEVER` for all else.

    Not between the stages of ALPPS.
    """
    if patient.step != OPERATION or patient.partitioned or not takes_liver(activity):
        return NEVER
    return patient.last_scan_minute + days(params.scan_valid_days)


@compiled
def look_again(patient, params, policy, minute):
    """A new CT for a patient on the waiting list of the liver theatre. Returns the plan.

    The further tests that the plan rests on are repeated as well: what only they show would else
    seem gone. The booking stands if the same operation would do. Any other plan goes back to the
    meeting.
    """
    operation = patient.operation
    segments = patient.planned_segments
    plan = patient.plan
    tests = patient.staging_tests
    scan(patient, params, minute)
    patient.times_done[act.CT_SCAN] += 1
    read_staging_scan(patient, minute)
    repeat_staging_tests(patient, params, tests, minute)
    found = plan_operation(patient, params, policy, minute)
    same = found == plan and patient.planned_segments == segments
    if not same or (found == ONE_STAGE and _changes_kind(patient, operation)):
        go_to(patient, MEETING, minute)
    return found


@compiled
def _changes_kind(patient, operation):
    """Whether a liver operation on its own would now be another one."""
    alone = operation in (
        act.MINOR_LIVER_RESECTION,
        act.MAJOR_LIVER_RESECTION,
        act.EXTENDED_LIVER_RESECTION,
        act.PERCUTANEOUS_ABLATION,
    )
    return alone and liver_operation(patient) != operation


@compiled
def is_out_of_reach(plan):
    """Whether a plan says that no operation can clear the liver."""
    return plan in (UNRESECTABLE, BEYOND_SURGERY)


@compiled
def stands_still(params):
    """Whether a patient's clock stands still on a waiting list, to show what the waiting does."""
    return params.growth_while_waiting == 0.0
