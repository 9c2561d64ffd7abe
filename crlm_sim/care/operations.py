"""Operations: what is taken, what is left behind, complications, death, length of stay."""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.care.activities import (
    COLORECTAL_RESECTION,
    EMERGENCY_COLORECTAL_RESECTION,
    EXTENDED_LIVER_RESECTION,
    FIRST_STAGE_HEPATECTOMY,
    MAJOR_LIVER_RESECTION,
    MINOR_LIVER_RESECTION,
    SECOND_STAGE_HEPATECTOMY,
    SIMULTANEOUS_RESECTION,
)
from crlm_sim.care.resectability import (
    ABLATE,
    EXTENDED_SEGMENTS,
    MAJOR_SEGMENTS,
    WEDGE,
    remnant_needed_ml,
)
from crlm_sim.care.systemic import days, stop_drug
from crlm_sim.compiled import compiled
from crlm_sim.disease.growth import (
    EXTINCT,
    diameter_mm,
    is_viable,
    log_volume,
    remove,
    shrink,
)
from crlm_sim.disease.liver import (
    count_segments,
    fade_injury,
    remnant_ml,
    take_segments,
)
from crlm_sim.disease.onset import logistic
from crlm_sim.disease.patient import (
    CLONES,
    NEVER,
    POSTOPERATIVE,
    PRIMARY_COMPLICATION,
    RAS_MUTANT,
    SEGMENTS,
)


@compiled
def liver_operation(patient):
    """Which resection the planned segments make."""
    segments = count_segments(patient.planned_segments)
    if patient.embolised:
        return SECOND_STAGE_HEPATECTOMY
    if segments >= EXTENDED_SEGMENTS:
        return EXTENDED_LIVER_RESECTION
    if segments >= MAJOR_SEGMENTS:
        return MAJOR_LIVER_RESECTION
    return MINOR_LIVER_RESECTION


@compiled
def takes_liver(operation):
    """Whether an operation treats liver lesions."""
    return operation not in (COLORECTAL_RESECTION, EMERGENCY_COLORECTAL_RESECTION)


@compiled
def takes_primary(patient, operation):
    """Whether an operation takes the primary, alone or together with liver lesions."""
    alone = not takes_liver(operation)
    return alone or operation == SIMULTANEOUS_RESECTION or patient.takes_primary != 0


@compiled
def _find_unseen(patient, params):
    """Lesions the last scan did not show get a wedge if they are found in theatre.

    Ultrasound and palpation find small ones; the place of a lesion that disappeared under drugs is
    looked for from the first scan.
    """
    for k in range(patient.clones):
        if patient.site[k] >= SEGMENTS or patient.treatment[k] or not is_viable(patient, k):
            continue
        if not patient.known[k] and (
            diameter_mm(log_volume(patient, k)) < params.intraoperative_floor_mm
        ):
            continue
        u = streams.uniform(patient, streams.INTRAOPERATIVE, patient.liver_operations * CLONES + k)
        if u < params.intraoperative_sensitivity:
            patient.treatment[k] = WEDGE
            patient.known[k] = 1


@compiled
def _treat_lesion(patient, params, k, removed):
    """One lesion resected or ablated; a positive margin or a failed ablation leaves some."""
    treatment = patient.treatment[k]
    u = streams.uniform(patient, streams.MARGIN, patient.liver_operations * CLONES + k)
    if treatment == ABLATE and not (removed >> int(patient.site[k])) & 1:
        patient.ablated_lesions += 1
        logit = params.ablation_failure_logit + params.ablation_failure_per_mm * (
            patient.diameter_mm[k] - params.ablation_reference_mm
        )
        failed = u < logistic(logit)
    else:
        logit = params.margin_positive_logit
        if patient.mutation == RAS_MUTANT:
            logit += params.margin_positive_ras
        if treatment == WEDGE:
            logit += params.margin_positive_wedge
        failed = u < logistic(logit)
        if failed:
            patient.margin_positive = 1
    if failed:
        shrink(patient, params, k, params.residual_log_fraction)
    else:
        remove(patient, k)


@compiled
def _operate_on_liver(patient, params, operation, minute):
    _find_unseen(patient, params)
    first_stage = operation == FIRST_STAGE_HEPATECTOMY
    removed = 0 if first_stage else patient.planned_segments
    for k in range(patient.clones):
        if patient.site[k] >= SEGMENTS:
            continue
        if first_stage and (patient.planned_segments >> int(patient.site[k])) & 1:
            patient.treatment[k] = 0  # waits for the second stage
        elif patient.treatment[k]:
            _treat_lesion(patient, params, k, removed)
        elif (removed >> int(patient.site[k])) & 1:
            remove(patient, k)  # unseen, and taken with its segment
    take_segments(patient, params, removed, minute)
    patient.liver_operations += 1
    if count_segments(removed) >= MAJOR_SEGMENTS:
        patient.major_hepatectomy = 1


@compiled
def _assess_injury(patient, params, minute):
    """The pathologist's look at the removed liver."""
    fade_injury(patient, params, minute)
    patient.injury_assessed = 1
    patient.sinusoidal_injury |= patient.sinusoidal_dose >= 1.0
    patient.steatohepatitis |= patient.steatohepatitis_dose >= 1.0


@compiled
def _general_risk(patient, params, policy, operation, minute):
    """Log odds of a major complication and of death within 90 days, liver apart."""
    older = (patient.age_years - params.age_mean_years) / 10.0
    worse = patient.performance_status
    complication = (
        params.activity_complication_logit[operation]
        + params.complication_age * older
        + params.complication_performance_status * worse
    )
    death = (
        params.activity_death_logit[operation]
        + params.death_age * older
        + params.death_performance_status * worse
    )
    recent = minute - patient.last_cycle_minute < days(policy.operation_gap_days)
    if patient.cycles > 0 and recent:
        complication += params.complication_short_gap
    return complication, death


@compiled
def _liver_risk(patient, params, operation):
    """What liver injury and a major resection with the primary add to the two log odds."""
    complication = death = 0.0
    if patient.sinusoidal_dose >= 1.0:
        complication += params.complication_sinusoidal
    if patient.steatohepatitis_dose >= 1.0:
        complication += params.complication_steatohepatitis
        death += params.death_steatohepatitis
    major = count_segments(patient.planned_segments) >= MAJOR_SEGMENTS
    if operation == SIMULTANEOUS_RESECTION and major:
        complication += params.complication_simultaneous_major
        death += params.death_simultaneous_major
    return complication, death


@compiled
def _liver_failure_logit(patient, params, policy, operation):
    """Log odds of liver failure after a major resection, −inf after any other operation."""
    removed = patient.planned_segments
    if operation == FIRST_STAGE_HEPATECTOMY or count_segments(removed) < MAJOR_SEGMENTS:
        return EXTINCT
    spare = remnant_ml(patient, removed) / remnant_needed_ml(patient, params, policy) - 1.0
    logit = params.liver_failure_logit - params.liver_failure_per_spare * spare
    if patient.sinusoidal_dose >= 1.0 or patient.steatohepatitis_dose >= 1.0:
        logit += params.liver_failure_injured
    return logit


@compiled
def _postoperative_course(patient, params, policy, operation, complication, death, failure, end):
    """Complication, liver failure, death, stay and recovery after an operation that ended."""
    n = patient.operations_done
    u, v = streams.uniform_pair(patient, streams.COMPLICATION, n)
    failed = failure > EXTINCT and v < logistic(failure)
    major = u < logistic(complication) or failed
    patient.last_operation_major_complication = major
    if operation != EMERGENCY_COLORECTAL_RESECTION:
        patient.major_complication |= major
    patient.liver_failure |= failed
    if failed:
        death += params.death_liver_failure
    if major:
        death += params.death_complication
    u, v = streams.uniform_pair(patient, streams.POSTOPERATIVE_DEATH, n)
    if u < logistic(death):
        minute = end + days(params.postoperative_death_window_days * v * v)
        if minute < patient.treatment_death_minute:
            emergency = operation == EMERGENCY_COLORECTAL_RESECTION
            patient.treatment_death_minute = minute
            patient.treatment_death_cause = PRIMARY_COMPLICATION if emergency else POSTOPERATIVE
    z = streams.normal(patient, streams.STAY, n)
    stay = params.activity_stay_days[operation] * math.exp(params.stay_sd * z)
    if major:
        stay += params.complication_stay_days
    patient.stay_minutes = days(stay)
    recovery = params.activity_recovery_days[operation]
    if major:
        recovery += params.complication_recovery_days
    patient.recovered_minute = end + patient.stay_minutes + days(recovery)


@compiled
def operate(patient, params, policy, operation, start, end):
    """An operation from `start` to `end`: what it does to tumour and liver, and its course."""
    stop_drug(patient, params, start)
    complication, death = _general_risk(patient, params, policy, operation, start)
    failure = EXTINCT
    if takes_liver(operation):
        _assess_injury(patient, params, start)
        more_complication, more_death = _liver_risk(patient, params, operation)
        complication += more_complication
        death += more_death
        failure = _liver_failure_logit(patient, params, policy, operation)
        _operate_on_liver(patient, params, operation, start)
    if operation == FIRST_STAGE_HEPATECTOMY and patient.takes_primary:
        complication += params.complication_with_primary
        death += params.death_with_primary
    if takes_primary(patient, operation):
        patient.primary_in_place = 0
        patient.primary_complication_minute = NEVER
        patient.primary_resection_minute = start
    patient.takes_primary = 0
    _postoperative_course(patient, params, policy, operation, complication, death, failure, end)
    if operation != EMERGENCY_COLORECTAL_RESECTION:
        patient.operated = 1
        patient.last_planned_operation_minute = end
    patient.operations_done += 1
    patient.last_operation = operation
    patient.last_operation_minute = end
    patient.theatre_minutes += end - start
