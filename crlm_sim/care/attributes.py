"""What a rule may ask about a patient, and how the clinic would answer at that moment.

`ATTRIBUTES` is the one table of names; `attribute()` gives the value of one of them. Nothing here
looks at the true state of the disease: lesions are those of the last scan, the plan is the one last
made, injury is judged by history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from crlm_sim.care.imaging import seen_outside_liver
from crlm_sim.care.resectability import (
    BEYOND_SURGERY,
    ONE_STAGE,
    TWO_STAGE,
    UNRESECTABLE,
    injured_by_history,
)
from crlm_sim.care.systemic import ARTERIAL, MAINTENANCE
from crlm_sim.care.systemic import LINE as LINE_COURSE
from crlm_sim.compiled import compiled
from crlm_sim.disease.liver import LEFT_SEGMENTS, remnant_ml
from crlm_sim.disease.patient import (
    BRAF_MUTANT,
    CLONES,
    LUNG,
    MINUTES_PER_DAY,
    NEVER,
    NODE,
    PERITONEUM,
    PORTAL_NODE,
    RAS_MUTANT,
    RECTUM,
    RIGHT_COLON,
    SEGMENTS,
    WILD_TYPE,
)

NUMBER: Final = "number"
FLAG: Final = "flag"
CHOICE: Final = "choice"
SHARE: Final = "share"
YEARS: Final = "years"
MONTHS: Final = "months"
MM: Final = "mm"
NG_ML: Final = "ng/mL"

_MINUTES_PER_YEAR = 365.25 * MINUTES_PER_DAY
_MINUTES_PER_MONTH = _MINUTES_PER_YEAR / 12.0

(
    AGE,
    SEX,
    PERFORMANCE_STATUS,
    PRIMARY,
    RIGHT_SIDED,
    LEFT_SIDED,
    RECTAL,
    SYMPTOMATIC_PRIMARY,
    PRIMARY_IN_PLACE,
    NODE_POSITIVE,
    MUTATION,
    RAS,
    BRAF,
    NO_MUTATION,
    MSI_HIGH,
    CEA,
    FONG_SCORE,
    SEEN_LESIONS,
    LARGEST_MM,
    BILOBAR,
    SEEN_EXTRAHEPATIC,
    SEEN_LUNG,
    SEEN_PERITONEUM,
    SEEN_NODES,
    SEEN_PORTAL_NODES,
    LIVER_ONLY,
    FLR,
    INJURED,
    RESECTABLE,
    IN_TWO_STAGES,
    NOT_RESECTABLE,
    NOT_OPERABLE,
    LINE,
    CYCLES,
    PROGRESSED,
    RESPONDED,
    RESECTED,
    RECURRENT,
    UNFIT,
    MONTHS_SINCE_DIAGNOSIS,
) = range(40)
"""The code of each attribute: its place in `ATTRIBUTES`."""


@dataclass(frozen=True)
class Attribute:
    """One thing a rule may ask about, with the scale it is measured on."""

    code: int
    name: str
    kind: Literal["number", "flag", "choice"]
    description: str
    unit: str = ""
    lowest: float = 0.0
    highest: float = 1.0
    whole: bool = False
    choices: tuple[str, ...] = ()


def _flag(code: int, name: str, description: str) -> Attribute:
    return Attribute(code, name, FLAG, description)


def _choice(code: int, name: str, description: str, *choices: str) -> Attribute:
    return Attribute(code, name, CHOICE, description, highest=len(choices) - 1.0, choices=choices)


def _count(code: int, name: str, description: str, highest: float) -> Attribute:
    return Attribute(code, name, NUMBER, description, highest=highest, whole=True)


def _number(code: int, name: str, description: str, unit: str, highest: float) -> Attribute:
    return Attribute(code, name, NUMBER, description, unit, highest=highest)


ATTRIBUTES = (
    _number(AGE, "age", "Age now.", YEARS, 120.0),
    _choice(SEX, "sex", "Sex.", "male", "female"),
    _count(PERFORMANCE_STATUS, "performance_status", "WHO performance status at diagnosis.", 4),
    _choice(PRIMARY, "primary", "Where the primary is or was.", "right", "left", "rectum"),
    _flag(RIGHT_SIDED, "right_sided", "Primary in the right colon."),
    _flag(LEFT_SIDED, "left_sided", "Primary in the left colon or the rectum."),
    _flag(RECTAL, "rectal", "Primary in the rectum."),
    _flag(SYMPTOMATIC_PRIMARY, "symptomatic_primary", "The primary gave symptoms at diagnosis."),
    _flag(PRIMARY_IN_PLACE, "primary_in_place", "The primary has not been removed."),
    _flag(NODE_POSITIVE, "node_positive", "Lymph nodes of the primary are involved."),
    _choice(MUTATION, "mutation", "RAS and BRAF status of the tumour.", "wild_type", "ras", "braf"),
    _flag(RAS, "ras_mutant", "RAS is mutated."),
    _flag(BRAF, "braf_mutant", "BRAF is mutated."),
    _flag(NO_MUTATION, "wild_type", "Neither RAS nor BRAF is mutated."),
    _flag(MSI_HIGH, "msi_high", "Microsatellite instability is high."),
    _number(CEA, "cea", "Carcinoembryonic antigen at diagnosis.", NG_ML, 10_000.0),
    _count(FONG_SCORE, "fong_score", "Clinical risk score of Fong at diagnosis.", 5),
    _count(SEEN_LESIONS, "seen_lesions", "Liver lesions on the last scan.", CLONES),
    _number(LARGEST_MM, "largest_mm", "Largest liver lesion on the last scan.", MM, 300.0),
    _flag(BILOBAR, "bilobar", "The last scan showed lesions in both halves of the liver."),
    _flag(SEEN_EXTRAHEPATIC, "seen_extrahepatic", "The last scan showed disease elsewhere."),
    _flag(SEEN_LUNG, "seen_lung", "The last scan showed lung metastases."),
    _flag(SEEN_PERITONEUM, "seen_peritoneum", "The last scan showed peritoneal metastases."),
    _flag(SEEN_NODES, "seen_nodes", "The last scan showed distant lymph node metastases."),
    _flag(SEEN_PORTAL_NODES, "seen_portal_nodes", "The last scan showed portal lymph nodes."),
    _flag(LIVER_ONLY, "liver_only", "The last scan showed no disease outside the liver."),
    _number(
        FLR, "flr", "Future liver remnant of the plan as a share of the first liver.", SHARE, 1.0
    ),
    _flag(INJURED, "injured", "So many cycles that the liver is taken for injured."),
    _flag(RESECTABLE, "resectable", "Last judged resectable in one operation."),
    _flag(IN_TWO_STAGES, "two_stage", "Last judged resectable in two stages."),
    _flag(NOT_RESECTABLE, "unresectable", "Last judged not resectable, liver disease alone."),
    _flag(NOT_OPERABLE, "beyond_surgery", "Last judged unfit, or with disease elsewhere."),
    _count(LINE, "line", "Line of drugs given now, or to be decided on now.", 4),
    _count(CYCLES, "cycles", "Cycles of drugs received so far.", 100),
    _flag(PROGRESSED, "progressed", "Progression since the present course of drugs began."),
    _flag(RESPONDED, "responded", "The first drugs brought an objective response."),
    _flag(RESECTED, "resected", "The liver has been cleared before."),
    _flag(RECURRENT, "recurrent", "The disease has come back after it was cleared."),
    _flag(UNFIT, "unfit", "Found unfit for surgery, or declined it."),
    _number(
        MONTHS_SINCE_DIAGNOSIS, "months_since_diagnosis", "Time since diagnosis.", MONTHS, 480.0
    ),
)
"""Everything a rule may ask about, in the order of the codes."""

BY_NAME = {entry.name: entry for entry in ATTRIBUTES}


@compiled
def _one_if(condition):
    return 1.0 if condition else 0.0


@compiled
def attribute(patient, params, code, minute):
    """One attribute as the clinic knows it at `minute`: flags 0 or 1, choices their place."""
    if code <= MSI_HIGH:
        return _of_person(patient, code, minute)
    if code <= LIVER_ONLY:
        return _of_disease(patient, code)
    return _of_course(patient, params, code, minute)


@compiled
def _of_person(patient, code, minute):
    if code == AGE:
        return patient.age_years + minute / _MINUTES_PER_YEAR
    if code == SEX:
        return float(patient.sex)
    if code == PERFORMANCE_STATUS:
        return float(patient.performance_status)
    if code <= RECTAL:
        return _of_site(patient.primary_site, code)
    if code == SYMPTOMATIC_PRIMARY:
        return _one_if(patient.symptomatic_primary != 0)
    if code == PRIMARY_IN_PLACE:
        return _one_if(patient.primary_in_place != 0)
    if code == NODE_POSITIVE:
        return _one_if(patient.node_positive != 0)
    if code <= NO_MUTATION:
        return _of_mutation(patient.mutation, code)
    return _one_if(patient.msi_high != 0)


@compiled
def _of_site(site, code):
    if code == PRIMARY:
        return float(site)
    if code == RIGHT_SIDED:
        return _one_if(site == RIGHT_COLON)
    if code == LEFT_SIDED:
        return _one_if(site != RIGHT_COLON)
    return _one_if(site == RECTUM)


@compiled
def _of_mutation(mutation, code):
    if code == MUTATION:
        return float(mutation)
    if code == RAS:
        return _one_if(mutation == RAS_MUTANT)
    if code == BRAF:
        return _one_if(mutation == BRAF_MUTANT)
    return _one_if(mutation == WILD_TYPE)


@compiled
def _of_disease(patient, code):
    if code == CEA:
        return patient.cea_ng_ml
    if code == FONG_SCORE:
        return float(patient.fong_score)
    if code == SEEN_LESIONS:
        return _count_seen(patient, 0, SEGMENTS)
    if code == LARGEST_MM:
        return _largest_seen(patient)
    if code == BILOBAR:
        left = _count_seen(patient, 0, LEFT_SEGMENTS)
        return _one_if(left > 0.0 and _count_seen(patient, LEFT_SEGMENTS, SEGMENTS) > 0.0)
    if code == SEEN_EXTRAHEPATIC:
        return _one_if(seen_outside_liver(patient))
    if code == SEEN_LUNG:
        return _one_if(_count_seen(patient, LUNG, LUNG + 1) > 0.0)
    if code == SEEN_PERITONEUM:
        return _one_if(_count_seen(patient, PERITONEUM, PERITONEUM + 1) > 0.0)
    if code == SEEN_NODES:
        return _one_if(_count_seen(patient, NODE, NODE + 1) > 0.0)
    if code == SEEN_PORTAL_NODES:
        return _one_if(_count_seen(patient, PORTAL_NODE, PORTAL_NODE + 1) > 0.0)
    return _one_if(not seen_outside_liver(patient))


@compiled
def _count_seen(patient, first, last):
    """Lesions of the last scan at the sites from `first` to before `last`."""
    seen = 0.0
    for k in range(patient.clones):
        if patient.diameter_mm[k] > 0.0 and first <= patient.site[k] < last:
            seen += 1.0
    return seen


@compiled
def _largest_seen(patient):
    largest = 0.0
    for k in range(patient.clones):
        if patient.site[k] < SEGMENTS:
            largest = max(largest, patient.diameter_mm[k])
    return largest


@compiled
def _line(patient):
    """The line now given, or the one that would be decided on if drugs were chosen now."""
    on_a_line = patient.course in (LINE_COURSE, MAINTENANCE, ARTERIAL)
    going_on = on_a_line and not patient.progressed
    return patient.line if going_on else patient.line + 1


@compiled
def _of_course(patient, params, code, minute):
    if code == FLR:
        return _planned_remnant(patient)
    if code == INJURED:
        return _one_if(injured_by_history(patient, params))
    if code <= NOT_OPERABLE:
        return _of_plan(patient.plan, code)
    if code == LINE:
        return float(_line(patient))
    if code == CYCLES:
        return float(patient.cycles)
    if code == PROGRESSED:
        return _one_if(patient.progressed != 0)
    if code == RESPONDED:
        return _one_if(patient.objective_response != 0)
    if code == RESECTED:
        return _one_if(patient.liver_cleared != 0)
    if code == RECURRENT:
        return _one_if(patient.recurrence_minute < NEVER)
    if code == UNFIT:
        return _one_if(patient.unfit != 0)
    if code == MONTHS_SINCE_DIAGNOSIS:
        return minute / _MINUTES_PER_MONTH
    return math.nan


@compiled
def _planned_remnant(patient):
    """What the plan leaves as a share of the liver at diagnosis; all of it without a plan."""
    if patient.planned_segments == 0:
        return 1.0
    return min(remnant_ml(patient, patient.planned_segments) / patient.liver_ml, 1.0)


@compiled
def _of_plan(plan, code):
    if code == RESECTABLE:
        return _one_if(plan == ONE_STAGE)
    if code == IN_TWO_STAGES:
        return _one_if(plan == TWO_STAGE)
    if code == NOT_RESECTABLE:
        return _one_if(plan == UNRESECTABLE)
    return _one_if(plan == BEYOND_SURGERY)
