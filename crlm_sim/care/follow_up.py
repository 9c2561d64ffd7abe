"""After treatment: what scans show of the disease, adjuvant drugs, surveillance."""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.care import policy as pol
from crlm_sim.care.imaging import (
    COMPLETE,
    PARTIAL,
    PROGRESSION,
    liver_progressed,
    note_regrowth,
    response,
    seen_anything,
    seen_in_liver,
)
from crlm_sim.care.steps import CYCLE, MEETING, SURVEILLANCE, go_to
from crlm_sim.care.systemic import (
    ADJUVANT,
    LINE,
    PREOPERATIVE,
    begin_course,
    days,
    end_course,
)
from crlm_sim.compiled import compiled
from crlm_sim.disease.growth import forget_safety
from crlm_sim.disease.patient import LINES, LUNG, NEVER, SEGMENTS

_MINUTES_PER_YEAR = 365.25 * 24 * 60


# What a scan means -------------------------------------------------------------------------------


@compiled
def read_staging_scan(patient, minute):
    """A new lesion on a second staging scan is progression, whatever was done in between."""
    if patient.new_lesion and patient.scans > 1 and patient.progression_minute == NEVER:
        patient.progression_minute = minute
    if patient.new_liver_lesion and patient.scans > 1:
        _note_liver_progression(patient, minute)
    _note_regrowth(patient, minute)


@compiled
def read_reevaluation(patient, params, minute):
    """Response or progression by RECIST, of all the disease and in the liver."""
    category = response(patient, params)
    _note_response(patient, category)
    if category == PROGRESSION:
        _note_progression(patient, params, minute)
    if _liver_is_watched(patient) and liver_progressed(patient, params):
        _note_liver_progression(patient, minute)
    _note_regrowth(patient, minute)


@compiled
def read_surveillance(patient, params, minute):
    """Whether the disease has come back, and where."""
    if not seen_anything(patient):
        return
    _note_progression(patient, params, minute)
    _note_regrowth(patient, minute)
    if seen_in_liver(patient):
        _note_liver_progression(patient, minute)
    if patient.recurrence_minute != NEVER or patient.cleared_minute == NEVER:
        return
    patient.recurrence_minute = minute
    for k in range(patient.clones):
        if patient.diameter_mm[k] > 0.0:
            if patient.site[k] < SEGMENTS:
                patient.recurrence_liver = 1
            elif patient.site[k] == LUNG:
                patient.recurrence_lung = 1
            else:
                patient.recurrence_elsewhere = 1


@compiled
def _note_response(patient, category):
    """Best response to the first drugs given for measurable disease."""
    before_surgery = patient.course == PREOPERATIVE and patient.line == 0
    first_line = patient.course == LINE and patient.line == 1 and not patient.preoperative_done
    first = before_surgery or (first_line and not patient.reintroduced)
    if first and patient.baseline_sum_mm > 0.0:
        patient.first_line_evaluable = 1
        patient.objective_response |= category in (COMPLETE, PARTIAL)
    line = _line_place(patient)
    if line >= 0 and patient.line_measurable[line] and patient.course != PREOPERATIVE:
        patient.line_response[line] |= category in (COMPLETE, PARTIAL)


@compiled
def _line_place(patient):
    """The place of the present line of drugs among those whose course is kept, −1 if in none."""
    if 1 <= patient.line <= LINES and patient.line_minute[patient.line - 1] != NEVER:
        return patient.line - 1
    return -1


@compiled
def _liver_is_watched(patient):
    """Whether a progression in the liver would be the first ever, or the first in this line."""
    line = _line_place(patient)
    if line >= 0 and patient.line_liver_progression_minute[line] == NEVER:
        return True
    return patient.liver_progression_minute == NEVER


@compiled
def _note_progression(patient, params, minute):
    """What has withstood a line of drugs grows at another rate than before."""
    patient.progressed = 1
    patient.progression_minute = min(patient.progression_minute, minute)
    line = _line_place(patient)
    if line >= 0 and patient.line_progression_minute[line] == NEVER:
        patient.line_progression_minute[line] = minute
        patient.growth_rate *= math.exp(params.progression_log_growth)
        forget_safety(patient)


@compiled
def _note_liver_progression(patient, minute):
    patient.liver_progression_minute = min(patient.liver_progression_minute, minute)
    line = _line_place(patient)
    if line >= 0:
        first = min(patient.line_liver_progression_minute[line], minute)
        patient.line_liver_progression_minute[line] = first


@compiled
def _note_regrowth(patient, minute):
    if patient.local_treatment_minute != NEVER or patient.disappeared_left:
        note_regrowth(patient, minute)


# When all is cleared -----------------------------------------------------------------------------


@compiled
def start_surveillance(patient, minute):
    """No more drugs; the first visit is due at once."""
    end_course(patient, minute)
    go_to(patient, SURVEILLANCE, minute)


@compiled
def book_surveillance(patient, policy, minute):
    """The next visit at the pace of the time since the disease was cleared."""
    years = (minute - patient.disease_free_minute) / _MINUTES_PER_YEAR
    if years >= policy.surveillance_years:
        go_to(patient, SURVEILLANCE, NEVER)
    elif years >= policy.early_surveillance_years:
        go_to(patient, SURVEILLANCE, minute + days(policy.late_surveillance_days))
    else:
        go_to(patient, SURVEILLANCE, minute + days(policy.surveillance_days))


@compiled
def after_surveillance(patient, policy, minute):
    """A meeting if anything was seen, else the next adjuvant cycle or the next visit."""
    if seen_anything(patient):
        go_to(patient, MEETING, minute)
    elif patient.course == ADJUVANT:
        patient.evaluation_minute = minute + days(policy.surveillance_days)
        go_to(patient, CYCLE, patient.next_cycle_minute)
    else:
        book_surveillance(patient, policy, minute)


@compiled
def _postoperative_cycles(patient, params, policy):
    """Cycles due after surgery: adjuvant, or what is left of the time for perioperative drugs."""
    if policy.timing != pol.PERIOPERATIVE and patient.line == 0:
        return int(policy.adjuvant_cycles)
    regimen = int(policy.perioperative_regimen)
    if regimen == pol.NO_REGIMEN:
        return int(policy.postoperative_cycles)
    in_all = int(policy.perioperative_total_days / params.regimen_cycle_days[regimen])
    return min(int(policy.postoperative_cycles), max(in_all - patient.cycles, 0))


@compiled
def complete_sequence(patient, params, policy, minute):
    """Liver and primary are clear: adjuvant drugs if they are due and possible, then follow-up."""
    first = patient.cleared_minute == NEVER
    patient.disease_free_minute = patient.last_operation_minute
    end_course(patient, minute)
    if first:
        patient.cleared_minute = patient.last_operation_minute
        patient.sequence_completed = patient.sequence_started
        cycles = _postoperative_cycles(patient, params, policy)
        if cycles > 0:
            patient.adjuvant_due = 1
            lost = params.adjuvant_lost
            if patient.last_operation_major_complication:
                lost = params.adjuvant_lost_after_complication
            u = streams.uniform(patient, streams.ADJUVANT, 0)
            if u >= lost:
                patient.adjuvant_started = 1
                regimen = int(policy.perioperative_regimen)
                begin_course(patient, params, policy, ADJUVANT, regimen, cycles, minute)
                go_to(patient, CYCLE, minute)
                return
    book_surveillance(patient, policy, minute)
