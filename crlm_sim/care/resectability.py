"""Can the liver be cleared? Computed from the lesions last seen, as a surgeon would plan it.

A lesion that is small and superficial gets a wedge; deep and small, an ablation; deep and near a
large vessel, its half of the liver; otherwise its segment. Segments round up to the anatomical
operation. What is left must be large enough for the liver's condition, in at least two segments.
Disease seen elsewhere rules surgery out unless the policy resects it there and it is little.
"""

from __future__ import annotations

import math

from crlm_sim.care.imaging import seen_at, seen_outside_liver
from crlm_sim.care.policy import ABLATE_SMALL, ANATOMIC, EMBOLISE, NO_STAGES
from crlm_sim.compiled import compiled
from crlm_sim.disease.liver import (
    ALL_SEGMENTS,
    LEFT_MASK,
    LEFT_SEGMENTS,
    RIGHT_MASK,
    count_segments,
    left_after_growth_ml,
    regrow,
    remnant_ml,
)
from crlm_sim.disease.patient import (
    LUNG,
    NODE,
    PELVIS,
    PERITONEUM,
    PORTAL_NODE,
    SEGMENTS,
)

CLEAR, ONE_STAGE, TWO_STAGE, UNRESECTABLE, BEYOND_SURGERY = range(5)
PLANS = ("nothing seen", "resectable", "resectable in two stages", "unresectable", "beyond surgery")
WEDGE, ABLATE, TAKE_SEGMENT, TAKE_SIDE = 1, 2, 3, 4
MAJOR_SEGMENTS, EXTENDED_SEGMENTS = 3, 5
"""Major is three segments or more, extended five or more (Brisbane 2000 terms)."""


@compiled
def can_be_destroyed(patient, params, therapy, k):
    """Whether a row of the local therapies reaches a lesion: by size, vessel and bile duct."""
    if patient.diameter_mm[k] > params.local_most_mm[therapy]:
        return False
    if patient.near_vessel[k] and params.local_avoids_vessel[therapy] > 0.0:
        return False
    return not (patient.near_duct[k] and params.local_avoids_duct[therapy] > 0.0)


@compiled
def _choose_treatment(patient, params, policy, k):
    size = patient.diameter_mm[k]
    deep = patient.deep[k] != 0
    therapy = int(policy.ablation)
    ablatable = therapy >= 0 and can_be_destroyed(patient, params, therapy, k)
    if ablatable and policy.small_lesions == ABLATE_SMALL:
        return ABLATE
    if size <= params.wedge_most_mm and not deep:
        return TAKE_SEGMENT if policy.resection == ANATOMIC else WEDGE
    if ablatable:
        return ABLATE
    if patient.near_vessel[k] and (deep or size > params.large_lesion_mm):
        return TAKE_SIDE
    return TAKE_SEGMENT


@compiled
def _anatomical(removed):
    """Round a mask of segments up to the operation that takes them."""
    if count_segments(removed & RIGHT_MASK) >= MAJOR_SEGMENTS:
        removed |= RIGHT_MASK
    return removed


@compiled
def _parenchyma_lost_ml(patient, policy, removed):
    """What wedges and ablations outside the removed segments cost in functional volume."""
    lost = 0.0
    for k in range(patient.clones):
        treatment = patient.treatment[k]
        if treatment not in (WEDGE, ABLATE) or (removed >> int(patient.site[k])) & 1:
            continue
        outer = patient.diameter_mm[k] + 2.0 * policy.margin_mm
        shell = outer**3 - patient.diameter_mm[k] ** 3
        lost += math.pi / 6.0 * shell / 1000.0
    return lost


@compiled
def injured_by_history(patient, params):
    """Whether the clinic must reckon with an injured liver: more than three months of drugs."""
    return patient.cycles >= params.injured_after_cycles


@compiled
def remnant_needed_ml(patient, params, policy):
    """The smallest remnant accepted: a share of the liver or of body weight, the easier one."""
    if injured_by_history(patient, params):
        return policy.flr_least_injured * patient.liver_ml
    by_weight = policy.remnant_to_body_weight_least * patient.weight_kg * 1000.0
    return min(policy.flr_least * patient.liver_ml, by_weight)


@compiled
def plan_operation(patient, params, policy, minute):
    """Write the plan of the operation on the liver as last seen, and return its kind.

    Sets `plan`, `planned_segments`, `needs_first_stage` and each seen lesion's `treatment`.
    """
    regrow(patient, params, minute)
    gone = patient.removed_segments
    removed = 0
    lesions = 0
    ablations = 0
    for k in range(patient.clones):
        patient.treatment[k] = 0
        if patient.diameter_mm[k] <= 0.0 or patient.site[k] >= SEGMENTS:
            continue
        lesions += 1
        treatment = _choose_treatment(patient, params, policy, k)
        if treatment == ABLATE:
            ablations += 1
            if ablations > params.local_most_lesions[int(policy.ablation)]:
                treatment = TAKE_SEGMENT
        patient.treatment[k] = treatment
        if treatment == TAKE_SEGMENT:
            removed |= 1 << int(patient.site[k])
        elif treatment == TAKE_SIDE:
            removed |= LEFT_MASK if patient.site[k] < LEFT_SEGMENTS else RIGHT_MASK
    removed = _anatomical(removed) & ~gone
    patient.planned_segments = removed
    patient.needs_first_stage = 0
    patient.plan = _judge(patient, params, policy, lesions, removed)
    return patient.plan


@compiled
def hypertrophy(params, policy):
    """How much the left liver is expected to grow between two stages, relative to what it is."""
    if policy.two_stage == EMBOLISE:
        return params.embolisation_hypertrophy
    return params.partition_hypertrophy


@compiled
def _resects_at(policy, site):
    if site == LUNG:
        return policy.lung_resection
    if site == PERITONEUM:
        return policy.peritoneal_resection
    if site == NODE:
        return policy.distant_node_resection
    if site == PORTAL_NODE:
        return policy.portal_node_resection
    return 0.0


@compiled
def _blocked_elsewhere(patient, params, policy, lesions):
    """Whether disease seen outside the liver rules surgery out.

    Nodes and peritoneum are cleared in the operation on the liver, the lung in one of its own: so
    without a liver lesion only the lung can be.
    """
    if not seen_outside_liver(patient):
        return False
    for site in range(LUNG, PELVIS + 1):
        seen = seen_at(patient, site)
        if seen == 0:
            continue
        if not _resects_at(policy, site) or seen > params.elsewhere_most[site - LUNG]:
            return True
        if lesions == 0 and site != LUNG:
            return True
    return False


@compiled
def beyond_surgery(patient, params, policy):
    """Whether the plan would be `BEYOND_SURGERY`; asking plans nothing and changes nothing."""
    lesions = 0
    for k in range(patient.clones):
        lesions += patient.diameter_mm[k] > 0.0 and patient.site[k] < SEGMENTS
    return patient.unfit != 0 or _blocked_elsewhere(patient, params, policy, lesions)


@compiled
def _judge(patient, params, policy, lesions, removed):
    if patient.unfit or _blocked_elsewhere(patient, params, policy, lesions):
        return BEYOND_SURGERY
    if lesions == 0:
        return CLEAR
    if lesions > policy.most_lesions:
        return UNRESECTABLE
    left = ALL_SEGMENTS & ~(patient.removed_segments | removed)
    if count_segments(left) < params.spared_segments_least:
        return UNRESECTABLE
    lost = _parenchyma_lost_ml(patient, policy, removed)
    needed = remnant_needed_ml(patient, params, policy)
    if remnant_ml(patient, removed) - lost >= needed:
        return ONE_STAGE
    grows = policy.two_stage != NO_STAGES and not patient.embolised and (removed & RIGHT_MASK) != 0
    gain = hypertrophy(params, policy)
    if grows and left_after_growth_ml(patient, removed, gain) - lost >= needed:
        patient.needs_first_stage = _has_lesion_in(patient, ~removed)
        return TWO_STAGE
    return UNRESECTABLE


@compiled
def _has_lesion_in(patient, segments):
    for k in range(patient.clones):
        if patient.treatment[k] != 0 and (segments >> int(patient.site[k])) & 1:
            return 1
    return 0
