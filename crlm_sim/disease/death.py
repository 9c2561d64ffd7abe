"""The first of the ways to die, and death from other causes by the national life table."""

from __future__ import annotations

import math

from crlm_sim.compiled import compiled
from crlm_sim.disease.growth import tumour_death_minute
from crlm_sim.disease.patient import (
    ALIVE,
    MINUTES_PER_DAY,
    NEVER,
    OTHER,
    TUMOUR,
)

DAYS_PER_YEAR = 365.25


@compiled
def other_cause_minute(params, sex, age_years, hazard_ratio, u):
    """Minute of death from other causes for a person of this age, by inversion.

    The life table's yearly hazards −ln(1 − q) are constant within a year of age and multiplied by
    `hazard_ratio`; beyond its last age the last hazard goes on. `u` is uniform on (0, 1).
    """
    wanted = -math.log(u) / hazard_ratio
    last = params.life_table_hazard.shape[1] - 1
    year = min(int(age_years), last)
    lived = 0.0
    rest = int(age_years) + 1.0 - age_years
    while year < last and wanted > params.life_table_hazard[sex, year] * rest:
        wanted -= params.life_table_hazard[sex, year] * rest
        lived += rest
        rest = 1.0
        year += 1
    lived += wanted / params.life_table_hazard[sex, year]
    return int(lived * DAYS_PER_YEAR * MINUTES_PER_DAY)


@compiled
def next_death(patient, params, until):
    """(minute, cause) of the first death at or before `until`; (`NEVER`, `ALIVE`) if none.

    Deaths are the tumour's, the treatment's (postoperative, toxic, an operated complication of
    the primary) and other causes'. A minute is never before what has already been lived through.
    """
    minute, cause = NEVER, ALIVE
    if patient.other_death_minute <= until:
        minute, cause = patient.other_death_minute, OTHER
    if patient.treatment_death_minute <= until and patient.treatment_death_minute < minute:
        minute, cause = patient.treatment_death_minute, patient.treatment_death_cause
    tumour = tumour_death_minute(patient, params, min(until, minute))
    if tumour < minute:
        minute, cause = tumour, TUMOUR
    return minute, cause


@compiled
def die(patient, minute, cause):
    """Write a death into the record."""
    patient.death_minute = minute
    patient.cause_of_death = cause
    patient.end_minute = minute
