"""Treatment through the hepatic artery: infusion pump, radioembolisation, chemoembolisation.

Tumour takes its blood from the artery and the liver mostly from the portal vein, so what is given
there reaches clones in the liver and nothing else. It acts on top of drugs given through a vein.
"""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.care.activities import CHEMOEMBOLISATION, PUMP_IMPLANTATION, RADIOEMBOLISATION
from crlm_sim.care.imaging import seen_in_liver, seen_outside_liver
from crlm_sim.care.policy import NO_THERAPY
from crlm_sim.care.systemic import days
from crlm_sim.compiled import compiled
from crlm_sim.disease.death import DAYS_PER_YEAR
from crlm_sim.disease.growth import forget_safety, grow
from crlm_sim.disease.patient import TOXIC
from crlm_sim.evidence import ARTERIAL_THERAPIES

PUMP = ARTERIAL_THERAPIES.index("pump")
SIRT = ARTERIAL_THERAPIES.index("sirt")

_PAIRS, _MOST_SESSIONS = 2, 64
"""Pairs of uniforms a session takes; sessions are numbered below 64, cycles of the pump above."""


@compiled
def arterial_activity(therapy):
    """The activity that gives a row of the arterial therapies."""
    if therapy == PUMP:
        return PUMP_IMPLANTATION
    if therapy == SIRT:
        return RADIOEMBOLISATION
    return CHEMOEMBOLISATION


@compiled
def arterial_due(patient, params, policy, line):
    """Whether the policy's arterial therapy comes with this line of drugs, or instead of it."""
    if policy.arterial_therapy == NO_THERAPY or line != policy.arterial_line:
        return False
    if patient.arterial_treated or not seen_in_liver(patient):
        return False
    if policy.arterial_liver_only and seen_outside_liver(patient):
        return False
    return patient.performance_status <= params.arterial_performance_status_most


@compiled
def _act_on_liver(patient, params, therapy, minute, until):
    """Kill in the liver from `minute` up to `until`."""
    grow(patient, params, minute)
    kill = params.arterial_kill_per_day[therapy]
    if params.arterial_is_drug[therapy] > 0.0:
        kill *= patient.sensitivity
    patient.liver_kill = kill
    patient.liver_drug_until = until
    forget_safety(patient)


@compiled
def _harm(patient, params, therapy, occasion, end):
    """Complication, death, functional liver lost."""
    u, v = streams.uniform_pair(patient, streams.ARTERIAL, occasion)
    if u < params.arterial_complication[therapy]:
        patient.arterial_complication = 1
        patient.recovered_minute += days(params.arterial_complication_days)
    if v < params.arterial_death[therapy]:
        minute = end + days(params.toxic_death_delay_days)
        if minute < patient.treatment_death_minute:
            patient.treatment_death_minute = minute
            patient.treatment_death_cause = TOXIC
    patient.log_lethal_liver_ml -= params.arterial_reserve_lost[therapy]
    forget_safety(patient)


@compiled
def _leaks(patient, params, therapy, v):
    """What the liver does not hold back reaches the body, and may be toxic there."""
    if v < params.arterial_toxicity[therapy] * (1.0 - params.arterial_extraction[therapy]):
        patient.severe_toxicity = 1


@compiled
def treat_arterially(patient, params, therapy, activity, start, end):
    """One session; the pump is put in, and acts with the cycles of drugs that follow.

    Sometimes the work-up or the operation shows that it cannot be delivered.
    """
    grow(patient, params, end)
    patient.arterial_treated = 1
    patient.stay_minutes = days(params.activity_stay_days[activity])
    recovery = days(params.activity_recovery_days[activity])
    patient.recovered_minute = end + patient.stay_minutes + recovery
    if params.activity_in_theatre[activity] > 0.0:
        patient.theatre_minutes += end - start
    occasion = _PAIRS * patient.arterial_sessions
    patient.arterial_sessions += 1
    _harm(patient, params, therapy, occasion, end)
    u, v = streams.uniform_pair(patient, streams.ARTERIAL, occasion + 1)
    if u >= params.arterial_delivered[therapy]:
        return
    if therapy == PUMP:
        years = -math.log(v) / params.arterial_failure_per_year[therapy]
        patient.pump_until = end + days(years * DAYS_PER_YEAR)
        return
    _act_on_liver(patient, params, therapy, end, end + days(params.arterial_window_days[therapy]))
    _leaks(patient, params, therapy, v)


@compiled
def fill_pump(patient, params, start):
    """A cycle of infusion together with the cycle of drugs given from `start`."""
    if patient.pump_until <= start:
        return
    _act_on_liver(
        patient,
        params,
        PUMP,
        start,
        min(patient.drug_until, patient.next_cycle_minute, patient.pump_until),
    )
    occasion = _PAIRS * (_MOST_SESSIONS + patient.cycles)
    u, v = streams.uniform_pair(patient, streams.ARTERIAL, occasion)
    _leaks(patient, params, PUMP, v)
    if u < params.arterial_biliary_per_cycle[PUMP]:
        patient.arterial_complication = 1
        patient.pump_until = start
