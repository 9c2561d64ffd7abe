"""Seeing: what a scan shows, and response by RECIST 1.1 from what it shows."""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.compiled import compiled
from crlm_sim.disease.growth import (
    LOG_ML_OF_MM3,
    diameter_mm,
    grow,
    is_viable,
    log_volume,
    log_volume_of,
)
from crlm_sim.disease.liver import steatohepatitis_now
from crlm_sim.disease.patient import (
    CLONES,
    LUNG,
    NEVER,
    NODE,
    PERITONEUM,
    SEGMENTS,
    TARGETS,
)

COMPLETE, PARTIAL, STABLE, PROGRESSION = 0, 1, 2, 3
_LOG_2 = math.log(2.0)
_ORGANS = ((0, SEGMENTS), (LUNG, PERITONEUM), (NODE, NODE + 2))
"""Organs with measurable disease as ranges of sites; peritoneal deposits are not measured."""


@compiled
def scan(patient, params, minute):
    """One CT: every viable clone is seen with a measured diameter, or missed (diameter 0).

    Detection is logistic in log diameter over lesions, and fixed for a lesion: its conspicuity (a
    logistic variate) does not change from scan to scan, so a lesion once missed is shown only when
    it has grown, and is not taken for a new one because a second scan was luckier. Sets
    `new_lesion` when a clone is seen for the first time, and marks it as known. Further tests of an
    earlier staging no longer count.
    """
    patient.staging_tests = 0
    grow(patient, params, minute)
    patient.new_lesion = 0
    patient.new_liver_lesion = 0
    logit = params.ct_logit
    if patient.cycles > 0:
        logit += params.ct_after_chemotherapy
    # In a fatty liver metastases stand out less; elsewhere they do not.
    in_liver = logit
    if steatohepatitis_now(patient, params, minute):
        in_liver += params.ct_in_steatosis
    per_log_ml = 3.0 / params.ct_per_log_mm
    floor = log_volume_of(params.scan_floor_mm)
    for k in range(patient.clones):
        patient.diameter_mm[k] = 0.0
        shown_by = in_liver if patient.site[k] < SEGMENTS else logit
        least = max(floor, (patient.conspicuity[k] - shown_by) * per_log_ml + LOG_ML_OF_MM3)
        larger_part = max(patient.log_sensitive[k], patient.log_resistant[k])
        if larger_part + _LOG_2 < least:
            continue
        volume = log_volume(patient, k)
        if volume < least:
            continue
        z = streams.normal(patient, streams.SCAN, patient.scans * CLONES + k)
        measured = diameter_mm(volume) * (1.0 + params.measurement_error_sd * z)
        patient.diameter_mm[k] = max(measured, params.scan_floor_mm)
        if not patient.known[k]:
            patient.known[k] = 1
            patient.new_lesion = 1
            if patient.site[k] < SEGMENTS:
                patient.new_liver_lesion = 1
    patient.scans += 1
    patient.last_scan_minute = minute


@compiled
def look_closer(patient, params, modality, minute):
    """A further test of the same staging: adds what it shows of lesions the CT has missed.

    Conspicuity is the lesion's own, so a more sensitive test shows all that a less sensitive one
    does, and more.
    """
    grow(patient, params, minute)
    floor = log_volume_of(params.scan_floor_mm)
    in_liver = params.modality_logit[modality]
    if patient.cycles > 0:
        in_liver += params.modality_after_chemotherapy[modality]
    elsewhere = in_liver + params.modality_elsewhere_log_odds[modality]
    if steatohepatitis_now(patient, params, minute):
        in_liver += params.modality_in_steatosis[modality]
    looks_elsewhere = params.modality_elsewhere[modality] > 0.0
    for k in range(patient.clones):
        outside = patient.site[k] >= SEGMENTS
        if patient.diameter_mm[k] > 0.0 or (outside and not looks_elsewhere):
            continue
        if not is_viable(patient, k):
            continue
        logit = elsewhere if outside else in_liver
        least = (patient.conspicuity[k] - logit) / params.modality_per_log_mm[modality]
        volume = log_volume(patient, k)
        if volume < max(floor, 3.0 * least + LOG_ML_OF_MM3):
            continue
        _, v = streams.uniform_pair(patient, streams.SCAN, patient.scans * CLONES + k)
        z = streams.normal_quantile(v)
        measured = diameter_mm(volume) * (1.0 + params.measurement_error_sd * z)
        patient.diameter_mm[k] = max(measured, params.scan_floor_mm)
        patient.known[k] = 1


@compiled
def seen_outside_liver(patient):
    """Whether the last scan showed disease outside the liver."""
    for k in range(patient.clones):
        if patient.diameter_mm[k] > 0.0 and patient.site[k] >= SEGMENTS:
            return True
    return False


@compiled
def seen_anything(patient):
    """Whether the last scan showed any lesion."""
    return patient.diameter_mm[: patient.clones].max() > 0.0


@compiled
def choose_targets(patient, params):
    """RECIST targets from the last scan: up to two an organ, five in all, 10 mm or more."""
    for k in range(patient.clones):
        patient.target[k] = 0
    total = 0.0
    in_liver = 0.0
    chosen = 0
    for first, last in _ORGANS:
        for _ in range(2):
            best = -1
            size = params.recist_least_mm
            for k in range(patient.clones):
                if (
                    first <= patient.site[k] < last
                    and not patient.target[k]
                    and patient.diameter_mm[k] >= size
                ):
                    best = k
                    size = patient.diameter_mm[k]
            if best < 0 or chosen == TARGETS:
                break
            patient.target[best] = 1
            total += size
            if first < SEGMENTS:
                in_liver += size
            chosen += 1
    patient.baseline_sum_mm = total
    patient.nadir_sum_mm = total
    patient.liver_nadir_sum_mm = in_liver


@compiled
def _grown_too_much(params, total, nadir):
    """RECIST: a fifth more than at the smallest, and by 5 mm at least."""
    by_share = total >= params.recist_progression * nadir
    return by_share and total - nadir >= params.recist_progression_mm


@compiled
def liver_progressed(patient, params):
    """Whether the last scan shows progression in the liver, by RECIST on its targets there."""
    total = 0.0
    for k in range(patient.clones):
        if patient.target[k] and patient.site[k] < SEGMENTS:
            total += patient.diameter_mm[k]
    if patient.new_liver_lesion or _grown_too_much(params, total, patient.liver_nadir_sum_mm):
        return True
    patient.liver_nadir_sum_mm = min(total, patient.liver_nadir_sum_mm)
    return False


@compiled
def seen_in_liver(patient):
    """Whether the last scan showed any liver lesion."""
    for k in range(patient.clones):
        if patient.diameter_mm[k] > 0.0 and patient.site[k] < SEGMENTS:
            return True
    return False


@compiled
def seen_at(patient, site):
    """Lesions the last scan showed at one site."""
    seen = 0
    for k in range(patient.clones):
        seen += patient.diameter_mm[k] > 0.0 and patient.site[k] == site
    return seen


@compiled
def note_regrowth(patient, minute):
    """Lesions seen again where they were destroyed in place, or had vanished and been left."""
    for k in range(patient.clones):
        if patient.diameter_mm[k] > 0.0:
            if patient.treated_locally[k] and patient.local_progression_minute == NEVER:
                patient.local_progression_minute = minute
            if patient.left_unseen[k]:
                patient.regrown = 1


@compiled
def response(patient, params):
    """RECIST 1.1 category of the last scan against baseline and nadir of this course."""
    if patient.new_lesion:
        return PROGRESSION
    total = 0.0
    for k in range(patient.clones):
        if patient.target[k]:
            total += patient.diameter_mm[k]
    if _grown_too_much(params, total, patient.nadir_sum_mm):
        return PROGRESSION
    patient.nadir_sum_mm = min(total, patient.nadir_sum_mm)
    if not seen_anything(patient):
        return COMPLETE
    measurable = patient.baseline_sum_mm > 0.0
    if measurable and total <= params.recist_partial * patient.baseline_sum_mm:
        return PARTIAL
    return STABLE
