"""Drugs: courses of cycles, what they do to clones and liver, toxicity."""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.care.imaging import choose_targets
from crlm_sim.compiled import compiled
from crlm_sim.disease.growth import forget_safety, grow
from crlm_sim.disease.liver import add_injury
from crlm_sim.disease.patient import (
    BRAF_MUTANT,
    LINES,
    MINUTES_PER_DAY,
    NEVER,
    RIGHT_COLON,
    TOXIC,
    WILD_TYPE,
)

NO_COURSE, PREOPERATIVE, LINE, ADJUVANT, MAINTENANCE, ARTERIAL = range(6)
COURSES = ("none", "preoperative", "line", "adjuvant", "maintenance", "through the hepatic artery")


@compiled
def days(value):
    """Days as whole minutes."""
    return int(value * MINUTES_PER_DAY)


@compiled
def begin_course(patient, params, policy, course, regimen, cycles, minute):
    """Start a course: baseline from the last scan, first cycle as soon as it can be."""
    patient.course = course
    patient.course_regimen = regimen
    patient.course_limit = cycles
    patient.course_cycles = 0
    patient.next_cycle_minute = minute
    patient.evaluation_minute = NEVER
    patient.progressed = 0
    if course == LINE:
        own_limit = params.regimen_most_cycles[regimen]
        if own_limit > 0.0:
            patient.course_limit = int(own_limit)
    if course in (LINE, ARTERIAL):
        patient.lines_received = max(patient.lines_received, patient.line)
    choose_targets(patient, params)
    if course in (LINE, ARTERIAL) and 1 <= patient.line <= LINES:
        line = patient.line - 1
        if patient.line_minute[line] == NEVER:
            patient.line_minute[line] = minute
            patient.line_measurable[line] = patient.baseline_sum_mm > 0.0


@compiled
def end_course(patient, minute):
    """No more cycles; what was given still acts until its cycle is over."""
    patient.course = NO_COURSE
    patient.evaluation_minute = NEVER
    patient.next_cycle_minute = minute


@compiled
def stop_drug(patient, params, minute):
    """Drug effect ends now (an operation cannot wait for the cycle to be over); immunity stays."""
    grow(patient, params, minute)
    if minute < patient.drug_until < NEVER:
        patient.drug_until = minute
        forget_safety(patient)


@compiled
def _anti_egfr_log_kill(patient, params):
    """What an EGFR antibody adds to the log kill, by mutation and side of the primary."""
    if patient.mutation != WILD_TYPE:
        return params.anti_egfr_log_kill_mutant
    if patient.primary_site == RIGHT_COLON:
        return params.anti_egfr_log_kill_right
    return params.anti_egfr_log_kill_left


@compiled
def kill_rates(patient, params, regimen):
    """Kill (1/day) of the sensitive and the resistant parts by a regimen in the present line.

    Checkpoint inhibition is a mixture: in MSI-high disease a durable response that knows no
    resistant part, or none at all; it does nothing in other disease. Encorafenib acts in BRAF
    mutant disease only.
    """
    kill = params.regimen_kill_per_day[regimen] * patient.sensitivity
    if params.regimen_checkpoint_response[regimen] > 0.0:
        kill = kill if _is_immune(patient, params, regimen) else 0.0
        return kill, kill
    line = patient.line if patient.course in (LINE, MAINTENANCE) else 0
    kill *= params.line_kill_factor[line]
    share = params.line_resistant_share[line]
    if params.regimen_braf_targeted[regimen] > 0.0 and patient.mutation != BRAF_MUTANT:
        kill = 0.0
    backbone = params.backbone_kill_per_day * patient.sensitivity * params.line_kill_factor[line]
    breadth = params.added_kill_breadth
    if params.regimen_anti_egfr[regimen] > 0.0:
        kill *= math.exp(_anti_egfr_log_kill(patient, params))
        if line == 0:
            share = params.anti_egfr_perioperative_resistant_share
            breadth = share
    added = max(kill - backbone, 0.0)
    return kill, (kill - added) * share + added * breadth


@compiled
def _is_immune(patient, params, regimen):
    """Whether a checkpoint inhibitor brings this patient the durable response of MSI-high disease.

    It outlasts the drug: with nivolumab and ipilimumab, given for two years at most, 72 % were
    without progression at two years and half still at four and a half (CM8HW_pfs24_ni,
    CM8HW_pfs_1L_med).
    """
    durable = params.regimen_checkpoint_response[regimen]
    return patient.msi_high and streams.uniform(patient, streams.IMMUNITY, 0) < durable


@compiled
def _set_kill(patient, params, regimen, minute):
    """Kill of this regimen in this line; grows the disease first if the kill is another."""
    sensitive, resistant = kill_rates(patient, params, regimen)
    changed = sensitive != patient.kill_sensitive or resistant != patient.kill_resistant
    if changed or patient.drug_until < minute:
        grow(patient, params, minute)
    cut_short = changed and patient.drug_until > minute
    if cut_short or min(sensitive, resistant) < 0.0:
        forget_safety(patient)
    patient.kill_sensitive = sensitive
    patient.kill_resistant = resistant


@compiled
def give_cycle(patient, params, policy, start):
    """One cycle given from `start`: kill until the next is due, injury, toxicity."""
    regimen = patient.course_regimen
    immune = patient.drug_until == NEVER
    if not immune:
        _set_kill(patient, params, regimen, start)
    if patient.course_cycles == 0:
        patient.course_start = start
        patient.evaluation_minute = start + days(policy.first_reevaluation_days)
        if patient.course == ADJUVANT:
            next_visit = patient.disease_free_minute + days(policy.surveillance_days)
            patient.evaluation_minute = max(next_visit, start)
        if patient.first_chemotherapy_minute == NEVER:
            patient.first_chemotherapy_minute = start
    patient.next_cycle_minute = start + days(params.regimen_cycle_days[regimen])
    patient.drug_until = patient.next_cycle_minute
    if immune or _is_immune(patient, params, regimen):
        patient.drug_until = NEVER
    patient.last_cycle_minute = start
    patient.course_cycles += 1
    patient.cycles += 1
    if patient.course == MAINTENANCE:
        patient.maintained = 1
    add_injury(patient, params, regimen, start)
    _toxicity(patient, params, regimen, start)


@compiled
def _toxicity(patient, params, regimen, start):
    u, v = streams.uniform_pair(patient, streams.TOXICITY, patient.cycles)
    death = params.regimen_death_per_cycle[regimen]
    minute = start + days(params.toxic_death_delay_days)
    if u < death and minute < patient.treatment_death_minute:
        patient.treatment_death_minute = minute
        patient.treatment_death_cause = TOXIC
    elif u < death + params.regimen_severe_toxicity_per_cycle[regimen]:
        patient.severe_toxicity = 1
    if v < params.regimen_stop_per_cycle[regimen]:
        patient.course_limit = patient.course_cycles
    elif v > 1.0 - params.regimen_delay_per_cycle[regimen]:
        patient.dose_delayed = 1
        patient.next_cycle_minute += days(params.dose_delay_days)
