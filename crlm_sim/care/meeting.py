"""What the MDT meeting decides, from what has been seen: surgery, local treatment, drugs."""

from __future__ import annotations

from crlm_sim import streams
from crlm_sim.care import activities as act
from crlm_sim.care import policy as pol
from crlm_sim.care.arterial import arterial_activity, arterial_due
from crlm_sim.care.follow_up import complete_sequence
from crlm_sim.care.imaging import seen_at, seen_outside_liver
from crlm_sim.care.local import can_be_treated_locally, is_radiotherapy
from crlm_sim.care.operations import liver_operation, takes_liver
from crlm_sim.care.resectability import (
    CLEAR,
    MAJOR_SEGMENTS,
    ONE_STAGE,
    TWO_STAGE,
    UNRESECTABLE,
    plan_operation,
)
from crlm_sim.care.steps import (
    ARTERIAL_SESSION,
    CYCLE,
    EMBOLISATION,
    LOCAL_TREATMENT,
    OPERATION,
    RADIOTHERAPY,
    REEVALUATION,
    SUPPORT,
    go_to,
)
from crlm_sim.care.systemic import (
    ADJUVANT,
    ARTERIAL,
    LINE,
    MAINTENANCE,
    NO_COURSE,
    PREOPERATIVE,
    begin_course,
    end_course,
)
from crlm_sim.compiled import compiled
from crlm_sim.disease.liver import count_segments
from crlm_sim.disease.patient import LUNG, NEVER, RECTUM


@compiled
def decide(patient, params, policy, minute):
    """What the meeting decides next."""
    patient.takes_primary = 0
    if patient.performance_status > params.surgery_performance_status_most:
        patient.unfit = 1
    plan = plan_operation(patient, params, policy, minute)
    if patient.times_done[act.MDT_MEETING] == 1:
        patient.resectable_at_diagnosis = plan == ONE_STAGE
    if asks_liver_unit(patient, policy):
        patient.referred = 1
    elif plan in (ONE_STAGE, TWO_STAGE):
        plan = UNRESECTABLE  # for all the local team would do
    if _primary_comes_first(patient, policy, plan):
        _operate(patient, act.COLORECTAL_RESECTION, minute)
    elif plan in (ONE_STAGE, TWO_STAGE):
        _treat_with_intent(patient, params, policy, minute)
    elif plan == CLEAR and patient.liver_cleared:
        _treat_clear(patient, params, policy, minute)
    else:
        _treat_unresectable(patient, params, policy, minute)


@compiled
def asks_liver_unit(patient, policy):
    """Whether the liver unit has a say; it keeps whom it has begun to operate on in two stages."""
    begun = patient.stage_one_done or patient.embolised or patient.partitioned
    return policy.refer_to_liver_unit != 0.0 or begun != 0


@compiled
def _primary_comes_first(patient, policy, plan):
    """A primary with symptoms, or one resected although the liver cannot be cleared."""
    if not patient.primary_in_place or patient.unfit:
        return False
    if patient.symptomatic_primary:
        return True
    hopeless = plan not in (ONE_STAGE, TWO_STAGE, CLEAR)
    return hopeless and policy.primary_when_unresectable == pol.RESECT and patient.line == 0


# Surgery -----------------------------------------------------------------------------------------


@compiled
def _operate(patient, operation, minute):
    patient.operation = operation
    go_to(patient, OPERATION, minute)


@compiled
def lung_due(patient, policy):
    """Whether the lung is to be cleared next: the plan has allowed what is seen there."""
    return policy.lung_resection > 0.0 and seen_at(patient, LUNG) > 0


@compiled
def _treat_clear(patient, params, policy, minute):
    """Nothing seen in a liver that was cleared: the primary is next, the lung, or follow-up."""
    if not patient.primary_in_place and not lung_due(patient, policy):
        complete_sequence(patient, params, policy, minute)
    elif _declines(patient, params):
        patient.unfit = 1
        _treat_unresectable(patient, params, policy, minute)
    elif not patient.primary_in_place:
        _operate(patient, act.LUNG_RESECTION, minute)
    elif _radiotherapy_due(patient, policy, act.COLORECTAL_RESECTION):
        _irradiate_rectum(patient, policy, minute)
    else:
        _operate(patient, act.COLORECTAL_RESECTION, minute)


@compiled
def _declines(patient, params):
    """Whether a further operation is refused or the patient has become unfit for it.

    Not between the stages of ALPPS, which are a stay in hospital apart.
    """
    if patient.operations_done == 0 or patient.partitioned:
        return False
    u = streams.uniform(patient, streams.NEXT_OPERATION, patient.operations_done)
    chance = params.next_operation_lost
    if patient.last_operation_major_complication:
        chance = params.next_operation_lost_after_complication
    return u < chance


@compiled
def _treat_with_intent(patient, params, policy, minute):
    """Liver disease that can be cleared: drugs first if the policy says so, else an operation."""
    again = patient.liver_cleared and patient.cleared_minute != NEVER
    if again and not policy.repeat_resection:
        _treat_unresectable(patient, params, policy, minute)
        return
    cycles_left = patient.course_cycles < patient.course_limit
    if patient.course == PREOPERATIVE and not patient.progressed and cycles_left:
        go_to(patient, CYCLE, minute)
        return
    operation = _next_operation(patient, policy)
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
        go_to(patient, CYCLE, minute)
        return
    if _declines(patient, params):
        patient.unfit = 1
        _treat_unresectable(patient, params, policy, minute)
        return
    if not patient.sequence_started:
        patient.sequence_started = 1
    both_at_once = operation == act.SIMULTANEOUS_RESECTION or patient.takes_primary
    if patient.primary_in_place and not both_at_once and not patient.liver_cleared:
        patient.staged_started = 1
    if patient.course != PREOPERATIVE or takes_liver(operation):
        end_course(patient, minute)
    if _radiotherapy_due(patient, policy, operation):
        _irradiate_rectum(patient, policy, minute)
    elif operation == act.PORTAL_VEIN_EMBOLISATION:
        go_to(patient, EMBOLISATION, minute)
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
def _radiotherapy_due(patient, policy, operation):
    """Whether a rectal primary is to be irradiated before this operation takes it."""
    takes_it = (
        operation in (act.COLORECTAL_RESECTION, act.SIMULTANEOUS_RESECTION)
        or patient.takes_primary != 0
    )
    wanted = policy.rectal_radiotherapy != pol.NO_RADIOTHERAPY
    return wanted and takes_it and patient.primary_site == RECTUM and not patient.radiotherapy


@compiled
def _irradiate_rectum(patient, policy, minute):
    patient.takes_primary = 0
    patient.operation = act.SHORT_COURSE_RADIOTHERAPY
    if policy.rectal_radiotherapy == pol.LONG_COURSE:
        patient.operation = act.CHEMORADIOTHERAPY
    go_to(patient, RADIOTHERAPY, minute)


@compiled
def _next_operation(patient, policy):
    """Which operation the sequence puts next for a liver that can be cleared."""
    if not patient.primary_in_place or policy.sequence == pol.LIVER_FIRST:
        return _liver_step(patient, policy)
    if policy.sequence == pol.COLORECTAL_FIRST:
        return act.COLORECTAL_RESECTION
    major_liver = count_segments(patient.planned_segments) >= MAJOR_SEGMENTS
    if policy.staged_when_both_major and patient.major_primary and major_liver:
        return act.COLORECTAL_RESECTION
    if patient.plan == TWO_STAGE:
        step = _liver_step(patient, policy)
        patient.takes_primary = step == act.FIRST_STAGE_HEPATECTOMY
        return step
    if patient.embolised:
        return _liver_step(patient, policy)
    return act.SIMULTANEOUS_RESECTION


@compiled
def _liver_step(patient, policy):
    if patient.plan == TWO_STAGE:
        if policy.two_stage == pol.PARTITION:
            return act.ALPPS_FIRST_STAGE
        if patient.needs_first_stage:
            return act.FIRST_STAGE_HEPATECTOMY
        return act.PORTAL_VEIN_EMBOLISATION
    return liver_operation(patient)


# Without surgery ---------------------------------------------------------------------------------


@compiled
def _treat_unresectable(patient, params, policy, minute):
    """Disease that no operation clears now: destroyed in place if it can be, else drugs."""
    patient.partitioned = 0
    if _local_therapy_due(patient, params, policy):
        end_course(patient, minute)
        patient.operation = act.PERCUTANEOUS_ABLATION
        if is_radiotherapy(int(policy.local_therapy)):
            patient.operation = act.STEREOTACTIC_RADIOTHERAPY
        go_to(patient, LOCAL_TREATMENT, minute)
    else:
        _treat_with_drugs(patient, params, policy, minute)


@compiled
def _local_therapy_due(patient, params, policy):
    """In reach, and either no surgery is possible or drugs have done what they could."""
    therapy = int(policy.local_therapy)
    if not asks_liver_unit(patient, policy):
        return False
    if therapy == pol.NO_THERAPY or patient.local_treatments >= params.local_treatments_most:
        return False
    drugs_given = patient.lines_received > 0 and patient.course_cycles >= patient.course_limit
    if not (patient.unfit or patient.liver_cleared or drugs_given):
        return False
    return can_be_treated_locally(patient, params, therapy)


@compiled
def _treat_with_drugs(patient, params, policy, minute):
    """Go on with the course, the maintenance or the pause after it, the next line, or support."""
    if patient.course in (NO_COURSE, ADJUVANT):
        _next_line(patient, params, policy, minute)
        return
    cycles_left = patient.course_cycles < patient.course_limit
    if not patient.progressed:
        if not cycles_left and patient.course == LINE and patient.line == 1:
            patient.induction_end_minute = min(patient.induction_end_minute, minute)
        if cycles_left:
            _go_on_with_course(patient, minute)
        elif _maintenance_due(patient, policy):
            regimen = int(policy.maintenance_regimen)
            most = int(params.maintenance_cycles_most)
            begin_course(patient, params, policy, MAINTENANCE, regimen, most, minute)
            go_to(patient, CYCLE, minute)
        else:
            go_to(patient, REEVALUATION, patient.evaluation_minute)
        return
    if _reintroduction_due(patient, policy, cycles_left):
        patient.reintroduced = 1
        regimen = int(patient.line_regimen)
        begin_course(patient, params, policy, LINE, regimen, int(policy.line_cycles), minute)
        go_to(patient, CYCLE, minute)
        return
    if patient.course == PREOPERATIVE and patient.line == 0:
        patient.line = 1
    _next_line(patient, params, policy, minute)


@compiled
def _go_on_with_course(patient, minute):
    if patient.course == ARTERIAL:
        _go_through_artery(patient, patient.arterial_therapy, minute)
    else:
        go_to(patient, CYCLE, minute)


@compiled
def _go_through_artery(patient, therapy, minute):
    patient.arterial_therapy = therapy
    patient.operation = arterial_activity(therapy)
    go_to(patient, ARTERIAL_SESSION, minute)


@compiled
def _maintenance_due(patient, policy):
    after_induction = patient.course == LINE and patient.line == 1 and not patient.reintroduced
    return after_induction and policy.maintenance_regimen != pol.NO_REGIMEN


@compiled
def _reintroduction_due(patient, policy, cycles_left):
    """Progression while off the first drugs, under maintenance or without any."""
    if not policy.reintroduction or patient.reintroduced or patient.line != 1:
        return False
    return patient.course == MAINTENANCE or (patient.course == LINE and not cycles_left)


@compiled
def _next_line(patient, params, policy, minute):
    line = patient.line + 1
    fit = patient.performance_status <= params.chemotherapy_performance_status_most
    u = streams.uniform(patient, streams.NEXT_LINE, line)
    received = fit and u < params.line_received[min(line, 3)]
    arterial = received and asks_liver_unit(patient, policy)
    arterial = arterial and arterial_due(patient, params, policy, line)
    therapy = int(policy.arterial_therapy)
    if arterial and params.arterial_alone[therapy] > 0.0:
        _start_arterial_line(patient, params, policy, therapy, line, minute)
        return
    regimen = _regimen_of_line(patient, policy, line)
    if regimen == pol.NO_REGIMEN or line > policy.lines or not received:
        end_course(patient, minute)
        patient.support_minute = min(patient.support_minute, minute)
        go_to(patient, SUPPORT, minute)
        return
    patient.line = line
    patient.line_regimen = regimen
    begin_course(patient, params, policy, LINE, int(regimen), int(policy.line_cycles), minute)
    if arterial:
        _go_through_artery(patient, therapy, minute)
    else:
        go_to(patient, CYCLE, minute)


@compiled
def _regimen_of_line(patient, policy, line):
    if line == 1:
        if not seen_outside_liver(patient) and not patient.unfit:
            return policy.conversion_regimen
        return policy.first_line_regimen
    if line == 2:
        return policy.second_line_regimen
    if line == 3:
        return policy.third_line_regimen
    return float(pol.NO_REGIMEN)


@compiled
def _start_arterial_line(patient, params, policy, therapy, line, minute):
    """Treatment through the artery instead of a line of drugs."""
    patient.line = line
    sessions = int(params.arterial_sessions[therapy])
    begin_course(patient, params, policy, ARTERIAL, pol.NO_REGIMEN, sessions, minute)
    _go_through_artery(patient, therapy, minute)
