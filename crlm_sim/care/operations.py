"""Operations: what is taken, what is left behind, complications, death, length of stay."""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.care.activities import (
    ALPPS_FIRST_STAGE,
    ALPPS_SECOND_STAGE,
    COLORECTAL_RESECTION,
    EMERGENCY_COLORECTAL_RESECTION,
    EXTENDED_LIVER_RESECTION,
    FIRST_STAGE_HEPATECTOMY,
    LUNG_RESECTION,
    MAJOR_LIVER_RESECTION,
    MINOR_LIVER_RESECTION,
    PERCUTANEOUS_ABLATION,
    SECOND_STAGE_HEPATECTOMY,
    SIMULTANEOUS_RESECTION,
)
from crlm_sim.care.local import destroy_lesion
from crlm_sim.care.policy import LAPAROSCOPIC, RESECT_BLIND
from crlm_sim.care.resectability import (
    ABLATE,
    EXTENDED_SEGMENTS,
    MAJOR_SEGMENTS,
    WEDGE,
    injured_by_history,
)
from crlm_sim.care.systemic import days, stop_drug
from crlm_sim.compiled import compiled
from crlm_sim.disease.growth import (
    EXTINCT,
    diameter_mm,
    forget_safety,
    is_viable,
    log_volume,
    remove,
    shrink,
)
from crlm_sim.disease.liver import (
    count_segments,
    fade_injury,
    occlude_right,
    remnant_ml,
    take_segments,
)
from crlm_sim.disease.onset import add_clone, logistic
from crlm_sim.disease.patient import (
    CLONES,
    LUNG,
    NEVER,
    PELVIS,
    PERITONEUM,
    PORTAL_NODE,
    POSTOPERATIVE,
    PRIMARY_COMPLICATION,
    RAS_MUTANT,
    RECTUM,
    SEGMENTS,
)


@compiled
def liver_operation(patient):
    """Which operation the plan makes; lesions that all can be reached through the skin need none.

    Near the dome or the lower edge of the liver, heat would reach diaphragm or bowel.
    """
    segments = count_segments(patient.planned_segments)
    if patient.partitioned:
        return ALPPS_SECOND_STAGE
    if patient.embolised:
        return SECOND_STAGE_HEPATECTOMY
    if segments >= EXTENDED_SEGMENTS:
        return EXTENDED_LIVER_RESECTION
    if segments >= MAJOR_SEGMENTS:
        return MAJOR_LIVER_RESECTION
    if segments == 0 and _all_through_the_skin(patient):
        return PERCUTANEOUS_ABLATION
    return MINOR_LIVER_RESECTION


@compiled
def _all_through_the_skin(patient):
    for k in range(patient.clones):
        outside = patient.site[k] >= SEGMENTS and patient.diameter_mm[k] > 0.0
        if outside or patient.treatment[k] not in (0, ABLATE):
            return False
        if patient.treatment[k] == ABLATE and patient.near_edge[k]:
            return False
    return True


@compiled
def takes_liver(operation):
    """Whether an operation treats liver lesions."""
    return operation not in (
        COLORECTAL_RESECTION,
        EMERGENCY_COLORECTAL_RESECTION,
        LUNG_RESECTION,
    )


@compiled
def takes_bowel_alone(operation):
    """Whether an operation takes the primary and nothing else."""
    return operation in (COLORECTAL_RESECTION, EMERGENCY_COLORECTAL_RESECTION)


@compiled
def is_first_of_two(operation):
    """Whether the liver is to be operated on again once it has grown."""
    return operation in (FIRST_STAGE_HEPATECTOMY, ALPPS_FIRST_STAGE)


@compiled
def takes_primary(patient, operation):
    """Whether an operation takes the primary, alone or together with liver lesions."""
    alone = takes_bowel_alone(operation)
    return alone or operation == SIMULTANEOUS_RESECTION or patient.takes_primary != 0


@compiled
def _find_unseen(patient, params, policy):
    """Lesions the last scan did not show get a wedge if they are found in theatre.

    Ultrasound and palpation find small ones; the place of a lesion that disappeared under drugs is
    looked for from the first scan, and resected blind where the policy says so.
    """
    for k in range(patient.clones):
        if patient.site[k] >= SEGMENTS or patient.treatment[k]:
            continue
        known = patient.known[k] != 0
        viable = is_viable(patient, k)
        if known:
            patient.disappeared = 1
        elif not viable or diameter_mm(log_volume(patient, k)) < params.intraoperative_floor_mm:
            continue
        u = streams.uniform(patient, streams.INTRAOPERATIVE, patient.liver_operations * CLONES + k)
        found = viable and u < params.intraoperative_sensitivity
        if found or (known and policy.disappearing == RESECT_BLIND):
            patient.treatment[k] = WEDGE
            patient.known[k] = 1


@compiled
def _margin_is_positive(patient, params, policy, treatment, u):
    logit = params.margin_positive_logit + params.margin_positive_per_mm * (
        policy.margin_mm - params.margin_reference_mm
    )
    if patient.mutation == RAS_MUTANT:
        logit += params.margin_positive_ras
    if treatment == WEDGE:
        logit += params.margin_positive_wedge
    return u < logistic(logit)


@compiled
def _treat_lesion(patient, params, policy, k, removed, minute):
    """One lesion resected or ablated; a positive margin or a failed ablation leaves some."""
    treatment = patient.treatment[k]
    if treatment == ABLATE and not (removed >> int(patient.site[k])) & 1:
        destroy_lesion(patient, params, int(policy.ablation), k, minute)
        patient.ablated_lesions += 1
        return
    u = streams.uniform(patient, streams.MARGIN, patient.liver_operations * CLONES + k)
    if not is_viable(patient, k):
        remove(patient, k)
    elif _margin_is_positive(patient, params, policy, treatment, u):
        patient.margin_positive = 1
        shrink(patient, params, k, params.residual_log_fraction)
    else:
        remove(patient, k)


@compiled
def _operate_on_liver(patient, params, policy, operation, minute):
    if operation != PERCUTANEOUS_ABLATION:
        _find_unseen(patient, params, policy)
    removed = 0 if is_first_of_two(operation) else patient.planned_segments
    for k in range(patient.clones):
        if patient.site[k] >= SEGMENTS:
            continue
        in_plan = (patient.planned_segments >> int(patient.site[k])) & 1
        if is_first_of_two(operation) and in_plan:
            patient.treatment[k] = 0  # waits for the second stage
        elif patient.treatment[k]:
            _treat_lesion(patient, params, policy, k, removed, minute)
        elif in_plan:
            remove(patient, k)  # unseen, and taken with its segment
        elif patient.known[k]:
            patient.left_unseen[k] = 1
            patient.disappeared = 1
            patient.disappeared_left = 1
    take_segments(patient, params, removed, minute)
    if operation == ALPPS_FIRST_STAGE:
        patient.partitioned = 1
        patient.embolised = 1
        patient.alpps = 1
        occlude_right(patient, params, params.partition_hypertrophy, minute)
    elif operation == ALPPS_SECOND_STAGE:
        patient.partitioned = 0
    patient.liver_operations += 1
    if count_segments(removed) >= MAJOR_SEGMENTS:
        patient.major_hepatectomy = 1


@compiled
def _clear_sites(patient, params, first, last):
    """Resect the lesions seen at the sites `first` to before `last`; some are not cleared."""
    cleared = 0
    for k in range(patient.clones):
        if patient.diameter_mm[k] <= 0.0 or not first <= patient.site[k] < last:
            continue
        cleared = 1
        u = streams.uniform(patient, streams.ELSEWHERE, patient.operations_done * CLONES + k)
        if u < logistic(params.elsewhere_failure_logit):
            shrink(patient, params, k, params.residual_log_fraction)
        else:
            remove(patient, k)
    return cleared


@compiled
def _clear_with_liver(patient, params):
    """Peritoneal and nodal disease taken in an operation on the liver; what that adds to risk."""
    complication = 0.0
    for site in range(PERITONEUM, PORTAL_NODE + 1):
        if _clear_sites(patient, params, site, site + 1):
            complication += params.complication_elsewhere[site - LUNG]
            if site == PERITONEUM:
                patient.peritoneum_resected = 1
            else:
                patient.nodes_resected = 1
    return complication


@compiled
def _assess_injury(patient, params, minute):
    """The pathologist's look at the removed liver."""
    fade_injury(patient, params, minute)
    patient.injury_assessed = 1
    patient.sinusoidal_injury |= patient.sinusoidal_dose >= 1.0
    patient.steatohepatitis |= patient.steatohepatitis_dose >= 1.0


@compiled
def _general_risk(patient, params, operation, minute):
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
    recent = minute - patient.last_cycle_minute < days(params.short_gap_days)
    if patient.cycles > 0 and recent:
        complication += params.complication_short_gap
    return complication, death


@compiled
def _ablation_risk(patient, params, policy):
    """What a lesion near a bile duct adds to the log odds of a complication."""
    for k in range(patient.clones):
        if patient.treatment[k] == ABLATE and patient.near_duct[k]:
            return params.local_duct_complication[int(policy.ablation)]
    return 0.0


@compiled
def _liver_risk(patient, params, policy, operation):
    """What liver injury and a major resection with the primary add to the two log odds."""
    complication = death = 0.0
    if operation == PERCUTANEOUS_ABLATION:
        return _ablation_risk(patient, params, policy), death
    if patient.cycles > 0:
        complication += params.complication_after_drugs
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
def _reference_remnant_ml(patient, params):
    """The remnant the odds of liver failure are stated for: the liver does not ask the policy."""
    if injured_by_history(patient, params):
        return params.remnant_reference[1] * patient.liver_ml
    by_weight = params.remnant_reference_to_weight * patient.weight_kg * 1000.0
    return min(params.remnant_reference[0] * patient.liver_ml, by_weight)


@compiled
def _liver_failure_logit(patient, params, operation):
    """Log odds of liver failure after a major resection, −inf after any other operation."""
    removed = patient.planned_segments
    if is_first_of_two(operation) or count_segments(removed) < MAJOR_SEGMENTS:
        return EXTINCT
    spare = remnant_ml(patient, removed) / _reference_remnant_ml(patient, params) - 1.0
    logit = params.liver_failure_logit - params.liver_failure_per_spare * spare
    if patient.sinusoidal_dose >= 1.0 or patient.steatohepatitis_dose >= 1.0:
        logit += params.liver_failure_injured
    return logit


@compiled
def _postoperative_course(patient, params, operation, keyhole, complication, death, failure, end):
    """Complication, liver failure, death, stay and recovery; whether the complication was major."""
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
    recovery = params.activity_recovery_days[operation]
    if keyhole:
        stay *= params.laparoscopic_stay
        recovery *= params.laparoscopic_recovery
    if major:
        stay += params.complication_stay_days
        recovery += params.complication_recovery_days
    patient.stay_minutes = days(stay)
    patient.recovered_minute = end + patient.stay_minutes + days(recovery)
    return major


@compiled
def starts_by_keyhole(params, policy, operation):
    """Whether an operation is begun laparoscopically."""
    return policy.approach == LAPAROSCOPIC and params.activity_keyhole[operation] > 0.0


@compiled
def _done_by_keyhole(patient, params, policy, operation):
    """Whether it also ends so: some are converted to an open operation."""
    if not starts_by_keyhole(params, policy, operation):
        return False
    patient.laparoscopic = 1
    u = streams.uniform(patient, streams.APPROACH, patient.operations_done)
    if u < params.conversion_to_open:
        patient.converted_to_open = 1
        return False
    return True


@compiled
def _take_primary(patient, params, minute):
    """The primary resected; a rectal one may leave tumour in the pelvis, less if irradiated."""
    patient.primary_in_place = 0
    patient.primary_complication_minute = NEVER
    patient.primary_resection_minute = minute
    if patient.primary_site != RECTUM or patient.clones >= CLONES:
        return
    u = streams.uniform(patient, streams.PELVIC, 0)
    if u < params.pelvic_recurrence[patient.radiotherapy]:
        add_clone(patient, params, PELVIS, params.pelvic_log_ml)
        forget_safety(patient)


@compiled
def operate(patient, params, policy, operation, start, end):
    """An operation from `start` to `end`: what it does to tumour and liver, and its course."""
    stop_drug(patient, params, start)
    complication, death = _general_risk(patient, params, operation, start)
    failure = EXTINCT
    keyhole = _done_by_keyhole(patient, params, policy, operation)
    if keyhole:
        complication += params.laparoscopic_complication
    if takes_liver(operation):
        if operation != PERCUTANEOUS_ABLATION:
            _assess_injury(patient, params, start)
        more_complication, more_death = _liver_risk(patient, params, policy, operation)
        complication += more_complication + _clear_with_liver(patient, params)
        death += more_death
        failure = _liver_failure_logit(patient, params, operation)
        _operate_on_liver(patient, params, policy, operation, start)
    elif operation == LUNG_RESECTION:
        _clear_sites(patient, params, LUNG, PERITONEUM)
        patient.lung_resected = 1
    if is_first_of_two(operation) and patient.takes_primary:
        complication += params.complication_with_primary
        death += params.death_with_primary
    if takes_primary(patient, operation):
        if patient.radiotherapy:
            complication += params.complication_after_radiotherapy
        _take_primary(patient, params, start)
    patient.takes_primary = 0
    major = _postoperative_course(
        patient, params, operation, keyhole, complication, death, failure, end
    )
    if operation == PERCUTANEOUS_ABLATION:
        patient.percutaneous = 1
        patient.ablation_complication |= major
        _after_ablation(patient, params, int(policy.ablation))
    if operation != EMERGENCY_COLORECTAL_RESECTION:
        patient.operated = 1
        patient.last_planned_operation_minute = end
    patient.operations_done += 1
    patient.last_operation = operation
    patient.last_operation_minute = end
    if params.activity_in_theatre[operation] > 0.0:
        patient.theatre_minutes += end - start


@compiled
def _after_ablation(patient, params, therapy):
    """Post-ablation syndrome: fever and pain for about a week, at home."""
    u = streams.uniform(patient, streams.AFTER_ABLATION, patient.operations_done)
    if u < params.local_syndrome[therapy]:
        patient.post_ablation_syndrome = 1
        patient.recovered_minute += days(params.post_ablation_days)
