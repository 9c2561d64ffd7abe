"""The way through the clinic, one step after another.

Two protocols bind care to the engines, and only these:

- `next_activity(patient, …)` says what should happen next: which activity, with which service, how
  soon at the earliest and for how long; `next_clinical_event` says what may come before it;
- `complete(patient, …, activity, start, end)` applies an activity and what the disease did
  meanwhile, `go_on(…)` decides the next step, `interrupt(patient, …, event, minute)` applies a
  clinical event. Where `asks_rules`, the policy's rules are settled between the first two.

The steps of the pathway:

    staging CT → (MRI, PET) → MDT meeting → one of
      operation → ward stay → CT → MDT meeting …        until liver and primary are clear
      chemotherapy cycles → CT (→ MDT meeting) …        until resectable, progressing or complete
      ablation, radiotherapy, arterial sessions …       where surgery or drugs alone will not do
      surveillance visits → (recurrence) MDT meeting …
      best supportive care
"""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.care import activities as act
from crlm_sim.care import policy as pol
from crlm_sim.care.arterial import fill_pump, treat_arterially
from crlm_sim.care.follow_up import (
    after_surveillance,
    book_surveillance,
    complete_sequence,
    read_reevaluation,
    read_staging_scan,
    read_surveillance,
    start_surveillance,
)
from crlm_sim.care.imaging import scan
from crlm_sim.care.local import treat_locally
from crlm_sim.care.meeting import decide, lung_due
from crlm_sim.care.operations import (
    operate,
    starts_by_keyhole,
    takes_liver,
)
from crlm_sim.care.staging import do_staging_test, is_staging_test, next_staging_test
from crlm_sim.care.steps import (
    ARTERIAL_SESSION,
    CLOSER_LOOK,
    CYCLE,
    EMBOLISATION,
    LOCAL_TREATMENT,
    MEETING,
    OPERATION,
    RADIOTHERAPY,
    REEVALUATION,
    STAGING,
    SUPPORT,
    SURVEILLANCE,
    go_to,
)
from crlm_sim.care.systemic import ADJUVANT, ARTERIAL, days, give_cycle, stop_drug
from crlm_sim.compiled import compiled
from crlm_sim.disease.death import die, next_death
from crlm_sim.disease.growth import grow, is_viable
from crlm_sim.disease.liver import occlude_right, regrow
from crlm_sim.disease.patient import NEVER, PELVIS, PRIMARY_COMPLICATION, SEGMENTS

PRIMARY_EVENT = -1
"""The clinical event that is not a death: an acute complication of the primary in place."""

_KINDS_PER_COUNT = 65536


# What happens next -------------------------------------------------------------------------------


@compiled
def _activity_of_step(patient):
    if patient.stay_minutes > 0:
        return act.WARD_STAY
    step = patient.step
    if step in (STAGING, REEVALUATION):
        return act.CT_SCAN
    if step == MEETING:
        return act.MDT_MEETING
    if step in (OPERATION, LOCAL_TREATMENT, RADIOTHERAPY, ARTERIAL_SESSION):
        return patient.operation
    if step == EMBOLISATION:
        return act.PORTAL_VEIN_EMBOLISATION
    if step == CYCLE:
        return act.CHEMOTHERAPY_CYCLE
    if step == SURVEILLANCE:
        return act.SURVEILLANCE_VISIT
    if step == CLOSER_LOOK:
        return patient.staging_test
    return act.BEST_SUPPORTIVE_CARE


@compiled
def _log_normal(patient, purpose, activity, mean, cv):
    """Log-normal by mean and coefficient of variation, of this occasion of this activity."""
    if cv <= 0.0 or mean <= 0.0:
        return mean
    variance = math.log1p(cv * cv)
    occasion = activity * _KINDS_PER_COUNT + patient.times_done[activity]
    z = streams.normal(patient, purpose, occasion)
    return mean * math.exp(math.sqrt(variance) * z - 0.5 * variance)


@compiled
def _is_booked(patient, activity):
    """Whether the date stands already.

    Cycles after the first and scans that follow them, further arterial sessions, and all that
    happens between the two stages of ALPPS, for which the patient stays in hospital.
    """
    if activity == act.CHEMOTHERAPY_CYCLE:
        return patient.course_cycles > 0
    if activity == act.CT_SCAN:
        return patient.step == REEVALUATION or patient.partitioned != 0
    if patient.step == ARTERIAL_SESSION:
        return patient.course == ARTERIAL and patient.course_cycles > 0
    if patient.partitioned and activity in (act.MDT_MEETING, act.ALPPS_SECOND_STAGE):
        return True
    return activity == act.SURVEILLANCE_VISIT or activity == act.WARD_STAY


@compiled
def next_activity(patient, params, policy):
    """(activity, service, earliest start, duration in minutes) of the patient's next step.

    Asking twice gives the same answer: nothing is drawn or changed.
    """
    activity = _activity_of_step(patient)
    service = params.activity_service[activity]
    ready = patient.step_minute
    if activity == act.WARD_STAY:
        return activity, service, 0, patient.stay_minutes
    if not _is_booked(patient, activity):
        ready += days(params.activity_lead_days[activity])
        wait = _log_normal(
            patient,
            streams.WAIT,
            activity,
            params.service_wait_days[service],
            params.service_wait_cv[service],
        )
        ready += days(wait)
    if patient.step == OPERATION:
        if patient.cycles > 0 and activity != act.EMERGENCY_COLORECTAL_RESECTION:
            gap = patient.last_cycle_minute + days(policy.operation_gap_days)
            ready = max(ready, gap)
    elif patient.step == CYCLE:
        ready = max(ready, patient.next_cycle_minute)
    minutes = _log_normal(
        patient,
        streams.DURATION,
        activity,
        params.activity_minutes[activity],
        params.activity_minutes_cv[activity],
    )
    if starts_by_keyhole(params, policy, activity):
        minutes *= params.laparoscopic_minutes
    return activity, service, ready, max(int(minutes), 1)


@compiled
def next_clinical_event(patient, params, until):
    """(minute, event) of what comes first by itself up to `until`: a death or the primary.

    The event is a cause of death, `PRIMARY_EVENT`, or `ALIVE` with minute `NEVER`.
    """
    minute, event = next_death(patient, params, until)
    primary = patient.primary_complication_minute
    if primary <= until and primary < minute:
        return primary, PRIMARY_EVENT
    return minute, event


@compiled
def interrupt(patient, params, event, minute):
    """Apply a clinical event at `minute`. Returns whether the patient is still alive."""
    if event == PRIMARY_EVENT:
        return _primary_complication(patient, params, minute)
    grow(patient, params, minute)
    if patient.operated:
        window = days(params.postoperative_death_window_days)
        patient.mortality_90d = minute - patient.last_planned_operation_minute <= window
    die(patient, minute, event)
    _close(patient)
    return False


@compiled
def _primary_complication(patient, params, minute):
    patient.primary_complication_minute = NEVER
    patient.emergency_primary = 1
    if patient.step == SUPPORT:
        u = streams.uniform(patient, streams.PRIMARY_COMPLICATION, 1)
        if u >= params.primary_complication_fatal_in_support:
            return True
        grow(patient, params, minute)
        die(patient, minute, PRIMARY_COMPLICATION)
        _close(patient)
        return False
    stop_drug(patient, params, minute)
    patient.operation = act.EMERGENCY_COLORECTAL_RESECTION
    patient.stay_minutes = 0
    go_to(patient, OPERATION, minute)
    return True


@compiled
def finish(patient, params, minute):
    """End of follow-up with the patient alive."""
    grow(patient, params, minute)
    patient.end_minute = minute
    _close(patient)


@compiled
def _close(patient):
    patient.cured = patient.liver_cleared
    for k in range(patient.clones):
        if is_viable(patient, k):
            patient.cured = 0
            if patient.site[k] == PELVIS:
                patient.pelvic_recurrence = 1


# What an activity does ---------------------------------------------------------------------------


@compiled
def complete(patient, params, policy, activity, start, end):
    """Apply an activity that lasted from `start` to `end`."""
    patient.times_done[activity] += 1
    if activity == act.CHEMOTHERAPY_CYCLE:
        give_cycle(patient, params, policy, start)
        fill_pump(patient, params, start)
    elif activity == act.CT_SCAN:
        scan(patient, params, end)
        if patient.step == STAGING:
            _note_growth_of_remnant(patient, params, end)
            read_staging_scan(patient, end)
        else:
            read_reevaluation(patient, params, end)
    elif activity == act.SURVEILLANCE_VISIT:
        scan(patient, params, end)
        read_surveillance(patient, params, end)
    elif activity == act.WARD_STAY:
        patient.bed_minutes += end - start
        patient.stay_minutes = 0
    elif activity == act.PORTAL_VEIN_EMBOLISATION:
        patient.scale_at_embolisation = patient.left_scale
        occlude_right(patient, params, params.embolisation_hypertrophy, end)
        patient.embolised = 1
        patient.two_stage_started = 1
    elif is_staging_test(activity):
        do_staging_test(patient, params, policy, activity, end)
    elif patient.step == OPERATION:
        operate(patient, params, policy, activity, start, end)
    elif patient.step == LOCAL_TREATMENT:
        treat_locally(patient, params, int(policy.local_therapy), activity, start, end)
    elif patient.step == ARTERIAL_SESSION:
        treat_arterially(patient, params, patient.arterial_therapy, activity, start, end)
    elif patient.step == RADIOTHERAPY:
        patient.radiotherapy = pol.SHORT_COURSE
        if activity == act.CHEMORADIOTHERAPY:
            patient.radiotherapy = pol.LONG_COURSE


@compiled
def _note_growth_of_remnant(patient, params, minute):
    """Growth of the liver to be left, as measured on the first scan after embolisation."""
    if patient.scale_at_embolisation > 0.0 and patient.remnant_growth == 0.0:
        regrow(patient, params, minute)
        patient.remnant_growth = patient.left_scale / patient.scale_at_embolisation - 1.0


@compiled
def asks_rules(patient, activity):
    """Whether the policy's rules are looked at anew once an activity is over.

    At meetings, and when a staging CT has been read: so that rules choose further tests too.
    """
    staged = activity == act.CT_SCAN and patient.step == STAGING
    return staged or activity == act.MDT_MEETING


# Where it leads ----------------------------------------------------------------------------------


@compiled
def go_on(patient, params, policy, activity, end):
    """Decide the next step after an activity that ended at `end`."""
    if activity == act.CHEMOTHERAPY_CYCLE:
        _after_cycle(patient, params)
    elif activity == act.CT_SCAN:
        if patient.step == STAGING:
            next_staging_test(patient, params, policy, end)
        else:
            patient.evaluation_minute = end + days(policy.reevaluation_days)
            go_to(patient, MEETING, end)
    elif activity == act.MDT_MEETING:
        decide(patient, params, policy, end)
    elif activity == act.SURVEILLANCE_VISIT:
        after_surveillance(patient, policy, end)
    elif activity == act.PORTAL_VEIN_EMBOLISATION:
        go_to(patient, STAGING, end + days(params.embolisation_wait_days))
    elif activity == act.BEST_SUPPORTIVE_CARE:
        go_to(patient, SUPPORT, NEVER)
    elif is_staging_test(activity):
        next_staging_test(patient, params, policy, end)
    elif activity == act.WARD_STAY:
        return
    elif patient.step == OPERATION:
        _after_operation(patient, params, policy, activity)
    elif patient.step == LOCAL_TREATMENT:
        _after_local_treatment(patient, policy, end)
    elif patient.step == ARTERIAL_SESSION:
        _after_arterial_session(patient, params, end)
    elif patient.step == RADIOTHERAPY:
        gap = params.activity_elapsed_days[activity] + params.activity_recovery_days[activity]
        go_to(patient, STAGING, end + days(gap))


@compiled
def _after_cycle(patient, params):
    last = patient.course_cycles >= patient.course_limit
    scan_due = patient.next_cycle_minute >= patient.evaluation_minute
    if patient.course == ADJUVANT and last:
        start_surveillance(patient, patient.next_cycle_minute)
    elif patient.course == ADJUVANT and scan_due:
        visit = patient.last_cycle_minute + days(params.scan_after_cycle_days)
        go_to(patient, SURVEILLANCE, visit)
    elif last or scan_due:
        scan_minute = patient.last_cycle_minute + days(params.scan_after_cycle_days)
        go_to(patient, REEVALUATION, scan_minute)
    else:
        go_to(patient, CYCLE, patient.next_cycle_minute)


@compiled
def _after_operation(patient, params, policy, operation):
    """Where the patient goes from theatre: further steps, further drugs, or follow-up."""
    minute = patient.recovered_minute
    if operation == act.ALPPS_FIRST_STAGE:
        patient.two_stage_started = 1
        go_to(patient, STAGING, patient.last_operation_minute + days(params.partition_wait_days))
        return
    if takes_liver(operation):
        patient.preoperative_done = 1
    if operation == act.FIRST_STAGE_HEPATECTOMY:
        patient.stage_one_done = 1
        patient.two_stage_started = 1
        go_to(patient, EMBOLISATION, patient.last_operation_minute)
        return
    if takes_liver(operation):
        _liver_is_cleared(patient, operation)
    emergency = operation == act.EMERGENCY_COLORECTAL_RESECTION
    if emergency or patient.primary_in_place or not patient.liver_cleared:
        go_to(patient, STAGING, minute)
    elif lung_due(patient, policy):
        patient.operation = act.LUNG_RESECTION
        go_to(patient, OPERATION, minute)
    else:
        complete_sequence(patient, params, policy, minute)


@compiled
def _liver_is_cleared(patient, operation):
    resection = operation != act.PERCUTANEOUS_ABLATION
    if resection and patient.resected:
        patient.repeat_resections += 1
        if patient.repeat_resection_minute == NEVER:
            patient.repeat_resection_minute = patient.last_operation_minute
    elif resection:
        patient.resected = 1
        patient.first_liver_resection_minute = patient.last_operation_minute
        patient.resection_complication = patient.last_operation_major_complication
        patient.converted = not patient.resectable_at_diagnosis and patient.line > 0
    patient.liver_cleared = 1
    patient.complete_local_treatment = 1
    if patient.embolised:
        patient.two_stage_completed = 1
        patient.embolised = 0
        patient.stage_one_done = 0
    for k in range(patient.clones):
        if patient.site[k] < SEGMENTS:
            patient.diameter_mm[k] = 0.0


@compiled
def _after_local_treatment(patient, policy, end):
    """All that was seen in the liver is destroyed: the primary may be next, else visits follow."""
    minute = patient.recovered_minute
    patient.liver_cleared = 1
    patient.complete_local_treatment = 1
    if patient.primary_in_place and not patient.unfit:
        go_to(patient, STAGING, minute)
        return
    patient.disease_free_minute = end
    if not patient.primary_in_place:
        patient.cleared_minute = min(patient.cleared_minute, end)
    book_surveillance(patient, policy, minute)


@compiled
def _after_arterial_session(patient, params, end):
    """Further sessions and a scan if it stands for drugs, else the first cycle of drugs."""
    if patient.course != ARTERIAL:
        decided = patient.next_cycle_minute
        patient.next_cycle_minute = patient.recovered_minute
        go_to(patient, CYCLE, decided)
        return
    patient.course_cycles += 1
    if patient.course_cycles == 1:
        patient.course_start = end
    next_session = end + days(params.arterial_interval_days[patient.arterial_therapy])
    patient.next_cycle_minute = max(next_session, patient.recovered_minute)
    if patient.course_cycles >= patient.course_limit:
        go_to(patient, REEVALUATION, patient.next_cycle_minute)
    else:
        go_to(patient, ARTERIAL_SESSION, patient.next_cycle_minute)
