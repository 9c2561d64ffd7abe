"""Lesions destroyed in place: ablation with heat or cold, stereotactic radiotherapy."""

from __future__ import annotations

from crlm_sim import streams
from crlm_sim.care.policy import ABLATIONS
from crlm_sim.care.resectability import can_be_destroyed
from crlm_sim.care.systemic import days, stop_drug
from crlm_sim.compiled import compiled
from crlm_sim.disease.growth import remove, shrink
from crlm_sim.disease.onset import logistic
from crlm_sim.disease.patient import CLONES, NEVER, SEGMENTS, TOXIC

_ABLATIONS = len(ABLATIONS)


@compiled
def destroy_lesion(patient, params, therapy, k, minute):
    """One lesion ablated or irradiated: gone, or a failure by size and place leaves some."""
    logit = params.local_failure_logit[therapy] + params.local_failure_per_mm[therapy] * (
        patient.diameter_mm[k] - params.local_reference_mm
    )
    if patient.near_vessel[k]:
        logit += params.local_near_vessel_log_odds[therapy]
    if patient.local_treatment_minute == NEVER:
        patient.local_treatment_minute = minute
    patient.treated_locally[k] = 1
    occasion = patient.liver_operations + patient.local_treatments
    u = streams.uniform(patient, streams.ABLATION, occasion * CLONES + k)
    if u < logistic(logit):
        shrink(patient, params, k, params.local_residual_log_fraction[therapy])
    else:
        remove(patient, k)


@compiled
def is_radiotherapy(therapy):
    """Whether a row of the local therapies is radiotherapy and not ablation."""
    return therapy >= _ABLATIONS


@compiled
def can_be_treated_locally(patient, params, therapy):
    """Whether every lesion seen can be destroyed without an operation: few, small, in reach."""
    lesions = 0
    for k in range(patient.clones):
        if patient.diameter_mm[k] <= 0.0:
            continue
        if patient.site[k] >= SEGMENTS or not can_be_destroyed(patient, params, therapy, k):
            return False
        if patient.near_edge[k] and params.local_avoids_edge[therapy] > 0.0:
            return False
        lesions += 1
    return 0 < lesions <= params.local_most_lesions[therapy]


@compiled
def treat_locally(patient, params, therapy, activity, start, end):
    """Destroy every lesion seen without an operation, ablated through the skin or irradiated."""
    stop_drug(patient, params, start)
    duct = False
    for k in range(patient.clones):
        if patient.diameter_mm[k] > 0.0 and patient.site[k] < SEGMENTS:
            duct = duct or patient.near_duct[k] != 0
            destroy_lesion(patient, params, therapy, k, start)
            if is_radiotherapy(therapy):
                patient.irradiated_lesions += 1
            else:
                patient.ablated_lesions += 1
    patient.local_treatments += 1
    n = patient.operations_done
    logit = params.activity_complication_logit[activity]
    if duct:
        logit += params.local_duct_complication[therapy]
    u, v = streams.uniform_pair(patient, streams.AFTER_ABLATION, n)
    if not is_radiotherapy(therapy):
        patient.percutaneous = 1
        patient.post_ablation_syndrome |= u < params.local_syndrome[therapy]
    u, w = streams.uniform_pair(patient, streams.COMPLICATION, n)
    major = u < logistic(logit)
    patient.ablation_complication |= major
    if v < logistic(params.activity_death_logit[activity]):
        minute = end + days(params.postoperative_death_window_days * w * w)
        if minute < patient.treatment_death_minute:
            patient.treatment_death_minute = minute
            patient.treatment_death_cause = TOXIC
    patient.stay_minutes = days(params.activity_stay_days[activity])
    recovery = params.activity_elapsed_days[activity] + params.activity_recovery_days[activity]
    if major:
        recovery += params.complication_recovery_days
    patient.recovered_minute = end + patient.stay_minutes + days(recovery)
    patient.operations_done += 1
