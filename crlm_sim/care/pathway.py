"""The one place where the next step is decided.

Two protocols bind care to the engines, and only these:

- `next_activity(patient, …)` says what should happen next: which activity, with which service, how
  soon at the earliest and for how long; `next_clinical_event` says what may come before it;
- `complete(patient, …, activity, start, end)` applies an activity and what the disease did
  meanwhile, `interrupt(patient, …, event, minute)` applies a clinical event.

The steps of the pathway:

    staging CT → (MRI, PET) → MDT meeting → one of
      operation → ward stay → CT → MDT meeting …        until liver and primary are clear
      chemotherapy cycles → CT (→ MDT meeting) …        until resectable, progressing or complete
      surveillance visits → (recurrence) MDT meeting …
      best supportive care
"""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.care import activities as act
from crlm_sim.care import policy as pol
from crlm_sim.care.imaging import (
    COMPLETE,
    PARTIAL,
    PROGRESSION,
    look_closer,
    response,
    scan,
    seen_anything,
    seen_outside_liver,
)
from crlm_sim.care.operations import liver_operation, operate, takes_liver
from crlm_sim.care.resectability import (
    BEYOND_SURGERY,
    CLEAR,
    MAJOR_SEGMENTS,
    ONE_STAGE,
    TWO_STAGE,
    plan_operation,
)
from crlm_sim.care.systemic import (
    ADJUVANT,
    LINE,
    PREOPERATIVE,
    begin_course,
    days,
    end_course,
    give_cycle,
    stop_drug,
)
from crlm_sim.compiled import compiled
from crlm_sim.disease.death import die, next_death
from crlm_sim.disease.growth import grow, is_viable
from crlm_sim.disease.liver import count_segments, embolise_right
from crlm_sim.disease.patient import (
    LUNG,
    NEVER,
    PRIMARY_COMPLICATION,
    SEGMENTS,
)
from crlm_sim.evidence import MODALITIES

(
    STAGING,
    CLOSER_LOOK,
    MEETING,
    OPERATION,
    EMBOLISATION,
    CYCLE,
    REEVALUATION,
    SURVEILLANCE,
    SUPPORT,
) = range(9)
STEPS = (
    "staging",
    "further staging test",
    "meeting",
    "operation",
    "embolisation",
    "chemotherapy cycle",
    "re-evaluation",
    "surveillance",
    "supportive care",
)
PRIMARY_EVENT = -1
"""The clinical event that is not a death: an acute complication of the primary in place."""

MRI = MODALITIES.index("mri")
PET_CT = MODALITIES.index("pet_ct")
PET_MR = MODALITIES.index("pet_mr")

_KINDS_PER_COUNT = 65536
_MINUTES_PER_YEAR = 365.25 * 24 * 60


@compiled
def _go_to(patient, step, minute):
    patient.step = step
    patient.step_minute = minute


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
    if step == OPERATION:
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
    """Whether the date stands already: cycles after the first, and scans that follow them."""
    if activity == act.CHEMOTHERAPY_CYCLE:
        return patient.course_cycles > 0
    if activity == act.CT_SCAN:
        return patient.step == REEVALUATION
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
        return activity, service, patient.last_operation_minute, patient.stay_minutes
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
    _go_to(patient, OPERATION, minute)
    return True


@compiled
def finish(patient, params, minute):
    """End of follow-up with the patient alive."""
    grow(patient, params, minute)
    patient.end_minute = minute
    _close(patient)


@compiled
def _close(patient):
    patient.cured = patient.resected
    for k in range(patient.clones):
        if is_viable(patient, k):
            patient.cured = 0


# What an activity does ---------------------------------------------------------------------------


@compiled
def complete(patient, params, policy, activity, start, end):
    """Apply an activity that lasted from `start` to `end` and decide the next step."""
    patient.times_done[activity] += 1
    if activity == act.CHEMOTHERAPY_CYCLE:
        give_cycle(patient, params, policy, start)
        _after_cycle(patient, params)
    elif activity == act.CT_SCAN:
        scan(patient, params, end)
        _after_scan(patient, params, policy, end)
    elif activity == act.MDT_MEETING:
        decide(patient, params, policy, end)
    elif activity == act.SURVEILLANCE_VISIT:
        scan(patient, params, end)
        _after_surveillance(patient, params, policy, end)
    elif activity == act.WARD_STAY:
        patient.bed_minutes += end - start
        patient.stay_minutes = 0
    elif activity == act.PORTAL_VEIN_EMBOLISATION:
        embolise_right(patient, params, end)
        patient.embolised = 1
        patient.two_stage_started = 1
        _go_to(patient, STAGING, end + days(params.embolisation_wait_days))
    elif activity == act.BEST_SUPPORTIVE_CARE:
        _go_to(patient, SUPPORT, NEVER)
    elif activity in (act.MRI_SCAN, act.PET_CT_SCAN, act.PET_MR_SCAN):
        _after_staging_test(patient, params, policy, activity, end)
    else:
        operate(patient, params, policy, activity, start, end)
        _after_operation(patient, params, policy, activity)


@compiled
def _after_cycle(patient, params):
    last = patient.course_cycles >= patient.course_limit
    if last and patient.course == ADJUVANT:
        _start_surveillance(patient, patient.next_cycle_minute)
    elif last or patient.next_cycle_minute >= patient.evaluation_minute:
        scan_minute = patient.last_cycle_minute + days(params.scan_after_cycle_days)
        _go_to(patient, REEVALUATION, scan_minute)
    else:
        _go_to(patient, CYCLE, patient.next_cycle_minute)


@compiled
def _after_scan(patient, params, policy, minute):
    if patient.step == STAGING:
        if patient.new_lesion and patient.scans > 1 and patient.progression_minute == NEVER:
            patient.progression_minute = minute
        patient.staging_tests = 0
        _next_staging_test(patient, params, policy, minute)
        return
    category = response(patient, params)
    if patient.course != PREOPERATIVE or patient.line == 0:
        _note_response(patient, category)
    if category == PROGRESSION:
        _note_progression(patient, minute)
    patient.evaluation_minute = minute + days(policy.reevaluation_days)
    _go_to(patient, MEETING, minute)


@compiled
def _next_staging_test(patient, params, policy, minute):
    """The next test the policy wants before local treatment is planned, else the meeting.

    Further tests are for those whose liver might be cleared: disease beyond surgery gets none.
    """
    _go_to(patient, MEETING, minute)
    if not (policy.mri or policy.pet_ct or policy.pet_mr):
        return
    if plan_operation(patient, params, policy, minute) == BEYOND_SURGERY:
        return
    for wanted, test in (
        (policy.mri, act.MRI_SCAN),
        (policy.pet_ct, act.PET_CT_SCAN),
        (policy.pet_mr, act.PET_MR_SCAN),
    ):
        if wanted and not (patient.staging_tests >> test) & 1:
            patient.staging_test = test
            _go_to(patient, CLOSER_LOOK, minute)
            return


@compiled
def _after_staging_test(patient, params, policy, test, minute):
    """What a further test shows, and whether the plan is another for it."""
    plan = plan_operation(patient, params, policy, minute)
    segments = patient.planned_segments
    treated = _lesions_treated(patient)
    modality = MRI if test == act.MRI_SCAN else PET_CT if test == act.PET_CT_SCAN else PET_MR
    look_closer(patient, params, modality, minute)
    patient.staging_tests |= 1 << test
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
    _next_staging_test(patient, params, policy, minute)


@compiled
def _lesions_treated(patient):
    number = 0
    for k in range(patient.clones):
        number += patient.treatment[k] != 0
    return number


@compiled
def _note_response(patient, category):
    """Best response to the first drugs given for measurable disease."""
    first = patient.course == PREOPERATIVE or (patient.line == 1 and patient.preoperative_done == 0)
    if first and patient.baseline_sum_mm > 0.0:
        patient.first_line_evaluable = 1
        patient.objective_response |= category in (COMPLETE, PARTIAL)


@compiled
def _note_progression(patient, minute):
    patient.progressed = 1
    if patient.progression_minute == NEVER:
        patient.progression_minute = minute


@compiled
def _after_surveillance(patient, params, policy, minute):
    if seen_anything(patient):
        _note_progression(patient, minute)
        if patient.recurrence_minute == NEVER:
            patient.recurrence_minute = minute
            for k in range(patient.clones):
                if patient.diameter_mm[k] > 0.0:
                    if patient.site[k] < SEGMENTS:
                        patient.recurrence_liver = 1
                    elif patient.site[k] == LUNG:
                        patient.recurrence_lung = 1
                    else:
                        patient.recurrence_elsewhere = 1
        _go_to(patient, MEETING, minute)
    else:
        _book_surveillance(patient, policy, minute)


@compiled
def _start_surveillance(patient, minute):
    end_course(patient, minute)
    _go_to(patient, SURVEILLANCE, minute)


@compiled
def _book_surveillance(patient, policy, minute):
    years = (minute - patient.disease_free_minute) / _MINUTES_PER_YEAR
    if years >= policy.surveillance_years:
        _go_to(patient, SURVEILLANCE, NEVER)
    elif years >= policy.early_surveillance_years:
        _go_to(patient, SURVEILLANCE, minute + days(policy.late_surveillance_days))
    else:
        _go_to(patient, SURVEILLANCE, minute + days(policy.surveillance_days))


@compiled
def _after_operation(patient, params, policy, operation):
    """Where the patient goes from theatre: further steps, further drugs, or follow-up."""
    minute = patient.recovered_minute
    if takes_liver(operation):
        patient.preoperative_done = 1
    finished = patient.primary_in_place == 0 and takes_liver(operation)
    if operation == act.FIRST_STAGE_HEPATECTOMY:
        patient.stage_one_done = 1
        patient.two_stage_started = 1
        _go_to(patient, EMBOLISATION, patient.last_operation_minute)
        return
    if takes_liver(operation):
        _liver_cleared(patient)
    elif patient.resected and operation == act.COLORECTAL_RESECTION:
        finished = True
    if finished:
        _complete_sequence(patient, params, policy, minute)
    else:
        _go_to(patient, STAGING, minute)


@compiled
def _liver_cleared(patient):
    if patient.resected:
        patient.repeat_resections += 1
    else:
        patient.first_liver_resection_minute = patient.last_operation_minute
        patient.converted = not patient.resectable_at_diagnosis and patient.line > 0
    patient.resected = 1
    if patient.embolised:
        patient.two_stage_completed = 1
        patient.embolised = 0
        patient.stage_one_done = 0
    for k in range(patient.clones):
        if patient.site[k] < SEGMENTS:
            patient.diameter_mm[k] = 0.0


@compiled
def _complete_sequence(patient, params, policy, minute):
    """Liver and primary are clear: adjuvant drugs if they are due and possible, then follow-up."""
    first = patient.cleared_minute == NEVER
    patient.disease_free_minute = patient.last_operation_minute
    end_course(patient, minute)
    if first:
        patient.cleared_minute = patient.last_operation_minute
        patient.sequence_completed = patient.sequence_started
        cycles = policy.adjuvant_cycles
        if policy.timing == pol.PERIOPERATIVE or patient.line > 0:
            cycles = policy.postoperative_cycles
        if cycles > 0:
            patient.adjuvant_due = 1
            lost = params.adjuvant_lost
            if patient.last_operation_major_complication:
                lost = params.adjuvant_lost_after_complication
            u = streams.uniform(patient, streams.ADJUVANT, 0)
            if u >= lost:
                patient.adjuvant_started = 1
                regimen = int(policy.perioperative_regimen)
                begin_course(patient, params, policy, ADJUVANT, regimen, int(cycles), minute)
                _go_to(patient, CYCLE, minute)
                return
    _book_surveillance(patient, policy, minute)


# Decisions ---------------------------------------------------------------------------------------


@compiled
def decide(patient, params, policy, minute):
    """What the MDT meeting decides, from what has been seen."""
    patient.takes_primary = 0
    if patient.performance_status > params.surgery_performance_status_most:
        patient.unfit = 1
    plan = plan_operation(patient, params, policy, minute)
    if patient.times_done[act.MDT_MEETING] == 1:
        patient.resectable_at_diagnosis = plan == ONE_STAGE
    if patient.symptomatic_primary and patient.primary_in_place and not patient.unfit:
        _operate(patient, act.COLORECTAL_RESECTION, minute)
    elif plan in (ONE_STAGE, TWO_STAGE):
        _treat_with_intent(patient, params, policy, minute)
    elif plan == CLEAR and patient.resected:
        _treat_clear(patient, params, policy, minute)
    else:
        _treat_with_drugs(patient, params, policy, minute)


@compiled
def _operate(patient, operation, minute):
    patient.operation = operation
    _go_to(patient, OPERATION, minute)


@compiled
def _treat_clear(patient, params, policy, minute):
    """Nothing seen in the liver after its resection: the primary is next, or follow-up."""
    if patient.primary_in_place:
        if _declines(patient, params):
            patient.unfit = 1
            _treat_with_drugs(patient, params, policy, minute)
        else:
            _operate(patient, act.COLORECTAL_RESECTION, minute)
    else:
        _complete_sequence(patient, params, policy, minute)


@compiled
def _declines(patient, params):
    """Whether a further operation is refused or the patient has become unfit for it."""
    if patient.operations_done == 0:
        return False
    u = streams.uniform(patient, streams.NEXT_OPERATION, patient.operations_done)
    chance = params.next_operation_lost
    if patient.last_operation_major_complication:
        chance = params.next_operation_lost_after_complication
    return u < chance


@compiled
def _treat_with_intent(patient, params, policy, minute):
    """Liver disease that can be cleared: drugs first if the policy says so, else an operation."""
    if patient.resected and patient.cleared_minute != NEVER and not policy.repeat_resection:
        _treat_with_drugs(patient, params, policy, minute)
        return
    cycles_left = patient.course_cycles < patient.course_limit
    if patient.course == PREOPERATIVE and not patient.progressed and cycles_left:
        _go_to(patient, CYCLE, minute)
        return
    operation = _next_operation(patient, params, policy)
    if takes_liver(operation) and _preoperative_due(patient, policy):
        begin_course(
            patient,
            params,
            policy,
            PREOPERATIVE,
            int(policy.perioperative_regimen),
            int(policy.preoperative_cycles),
            minute,
        )
        patient.preoperative_done = 1
        _go_to(patient, CYCLE, minute)
        return
    if _declines(patient, params):
        patient.unfit = 1
        _treat_with_drugs(patient, params, policy, minute)
        return
    if not patient.sequence_started:
        patient.sequence_started = 1
    both_at_once = operation == act.SIMULTANEOUS_RESECTION or patient.takes_primary
    if patient.primary_in_place and not both_at_once and not patient.resected:
        patient.staged_started = 1
    if patient.course != PREOPERATIVE or takes_liver(operation):
        end_course(patient, minute)
    if operation == act.PORTAL_VEIN_EMBOLISATION:
        _go_to(patient, EMBOLISATION, minute)
    else:
        _operate(patient, operation, minute)


@compiled
def _preoperative_due(patient, policy):
    return (
        policy.timing == pol.PERIOPERATIVE
        and policy.preoperative_cycles > 0
        and not patient.preoperative_done
        and patient.line == 0
    )


@compiled
def _next_operation(patient, params, policy):
    """Which operation the sequence puts next for a liver that can be cleared."""
    if not patient.primary_in_place or policy.sequence == pol.LIVER_FIRST:
        return _liver_step(patient)
    if policy.sequence == pol.COLORECTAL_FIRST:
        return act.COLORECTAL_RESECTION
    major_liver = count_segments(patient.planned_segments) >= MAJOR_SEGMENTS
    if policy.staged_when_both_major and patient.major_primary and major_liver:
        return act.COLORECTAL_RESECTION
    if patient.plan == TWO_STAGE:
        step = _liver_step(patient)
        patient.takes_primary = step == act.FIRST_STAGE_HEPATECTOMY
        return step
    if patient.embolised:
        return _liver_step(patient)
    return act.SIMULTANEOUS_RESECTION


@compiled
def _liver_step(patient):
    if patient.plan == TWO_STAGE:
        if patient.needs_first_stage:
            return act.FIRST_STAGE_HEPATECTOMY
        return act.PORTAL_VEIN_EMBOLISATION
    return liver_operation(patient)


@compiled
def _treat_with_drugs(patient, params, policy, minute):
    """Liver disease that cannot be cleared now: go on with the line, the next line, or support."""
    on_drugs = patient.course == LINE or patient.course == PREOPERATIVE
    if on_drugs and not patient.progressed:
        if patient.course_cycles < patient.course_limit:
            _go_to(patient, CYCLE, minute)
        else:
            _go_to(patient, REEVALUATION, patient.evaluation_minute)
        return
    if patient.course == PREOPERATIVE and patient.line == 0:
        patient.line = 1
    _next_line(patient, params, policy, minute)


@compiled
def _next_line(patient, params, policy, minute):
    line = patient.line + 1
    regimen = float(pol.NO_REGIMEN)
    if line == 1:
        regimen = policy.first_line_regimen
        if not seen_outside_liver(patient) and not patient.unfit:
            regimen = policy.conversion_regimen
    elif line == 2:
        regimen = policy.second_line_regimen
    elif line == 3:
        regimen = policy.third_line_regimen
    u = streams.uniform(patient, streams.NEXT_LINE, line)
    fit = patient.performance_status <= params.chemotherapy_performance_status_most
    chance = params.line_received[min(line, 3)]
    if regimen == pol.NO_REGIMEN or line > policy.lines or not fit or u >= chance:
        end_course(patient, minute)
        _go_to(patient, SUPPORT, minute)
        return
    patient.line = line
    cycles = int(policy.line_cycles)
    begin_course(patient, params, policy, LINE, int(regimen), cycles, minute)
    _go_to(patient, CYCLE, minute)
