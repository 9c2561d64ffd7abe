"""The liver: segments and their volumes, regrowth, and injury by chemotherapy.

Volumes are functional, without tumour. Segments 1–4 (left) and 5–8 (right) each share one scale
that moves along a saturating curve to a target: after a resection both regrow, after closure of
the right portal vein (embolised, or tied with the liver parted as in ALPPS, which is faster) the
left grows and the right shrinks. Injury slows growth.

Oxaliplatin adds to a sinusoidal dose and irinotecan to a steatohepatitis dose, each cycle times
the patient's own susceptibility; a dose of one or more is the histological injury (sinusoidal
dilatation of grade 2–3; steatohepatitis score ≥ 4). Both fade exponentially once drugs stop.
"""

from __future__ import annotations

import math

from crlm_sim.compiled import compiled
from crlm_sim.disease.patient import MINUTES_PER_DAY, SEGMENTS

LEFT_SEGMENTS = 4
ALL_SEGMENTS = (1 << SEGMENTS) - 1
LEFT_MASK = (1 << LEFT_SEGMENTS) - 1
RIGHT_MASK = ALL_SEGMENTS ^ LEFT_MASK


@compiled
def count_segments(mask):
    """How many segments a bit mask holds."""
    n = 0
    for segment in range(SEGMENTS):
        n += (mask >> segment) & 1
    return n


@compiled
def fade_injury(patient, params, minute):
    """Recovery of both injuries up to `minute`."""
    days = (minute - patient.injury_updated) / MINUTES_PER_DAY
    if days <= 0.0:
        return
    if patient.sinusoidal_dose > 0.0:
        patient.sinusoidal_dose *= math.exp2(-days / params.sinusoidal_half_life_days)
    if patient.steatohepatitis_dose > 0.0:
        patient.steatohepatitis_dose *= math.exp2(-days / params.steatohepatitis_half_life_days)
    patient.injury_updated = minute


@compiled
def steatohepatitis_now(patient, params, minute):
    """Whether the liver has steatohepatitis at `minute`; the record stays as it is."""
    if patient.steatohepatitis_dose < 1.0:
        return False
    days = (minute - patient.injury_updated) / MINUTES_PER_DAY
    faded = math.exp2(-days / params.steatohepatitis_half_life_days)
    return patient.steatohepatitis_dose * faded >= 1.0


@compiled
def add_injury(patient, params, regimen, minute):
    """One cycle's dose of injury, bevacizumab protecting against the sinusoidal one."""
    fade_injury(patient, params, minute)
    oxaliplatin = params.regimen_oxaliplatin[regimen]
    if oxaliplatin > 0.0:
        protection = 1.0
        if params.regimen_bevacizumab[regimen] > 0.0:
            protection = params.bevacizumab_sinusoidal_protection
        patient.sinusoidal_dose += oxaliplatin * patient.sinusoidal_susceptibility * protection
    irinotecan = params.regimen_irinotecan[regimen]
    if irinotecan > 0.0:
        patient.steatohepatitis_dose += irinotecan * patient.steatohepatitis_susceptibility


@compiled
def regrow(patient, params, minute):
    """Bring the segments' scales to `minute`."""
    days = (minute - patient.liver_updated) / MINUTES_PER_DAY
    if days <= 0.0:
        return
    patient.liver_updated = minute
    if patient.left_scale == patient.left_target and patient.right_scale == patient.right_target:
        return
    fade_injury(patient, params, minute)
    injured = patient.sinusoidal_dose >= 1.0 or patient.steatohepatitis_dose >= 1.0
    time_days = params.partition_time_days if patient.partitioned else params.regrowth_time_days
    if injured:
        time_days *= params.regrowth_injury_slowing
    left = math.exp(-days / time_days)
    patient.left_scale = patient.left_target + (patient.left_scale - patient.left_target) * left
    patient.right_scale = patient.right_target + (patient.right_scale - patient.right_target) * left


@compiled
def segment_volume(patient, segment):
    """Functional volume (mL) of one segment now, 0 if it was removed."""
    if (patient.removed_segments >> segment) & 1:
        return 0.0
    scale = patient.left_scale if segment < LEFT_SEGMENTS else patient.right_scale
    return patient.segment_ml[segment] * scale


@compiled
def remnant_ml(patient, removed):
    """Functional volume (mL) left if the segments of the mask `removed` were taken now."""
    total = 0.0
    for segment in range(SEGMENTS):
        if not (removed >> segment) & 1:
            total += segment_volume(patient, segment)
    return total


@compiled
def left_after_growth_ml(patient, removed, gain):
    """What `remnant_ml` may be expected to become when the left liver has grown by `gain`."""
    total = 0.0
    for segment in range(LEFT_SEGMENTS):
        if not (removed >> segment) & 1:
            total += segment_volume(patient, segment)
    return total * (1.0 + gain)


@compiled
def occlude_right(patient, params, gain, minute):
    """Right portal vein closed: from now the left grows by `gain` and the right shrinks."""
    regrow(patient, params, minute)
    patient.left_target = patient.left_scale * (1.0 + gain * patient.hypertrophy_factor)
    patient.right_target = patient.right_scale * (1.0 - params.embolisation_atrophy)


@compiled
def take_segments(patient, params, removed, minute):
    """Remove the segments of a mask; what stays regrows towards a share of the first volume."""
    regrow(patient, params, minute)
    patient.removed_segments |= removed
    volume = remnant_ml(patient, 0)
    if volume <= 0.0:
        return
    ratio = max(params.regrowth_share * patient.liver_ml / volume, 1.0)
    patient.left_target = patient.left_scale * ratio
    patient.right_target = patient.right_scale * ratio
