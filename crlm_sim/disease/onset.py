"""A patient at diagnosis: who they are, their tumour and their liver, drawn from the population.

One joint distribution. Age shapes fitness; the primary's side shapes RAS, BRAF and MSI; number,
size, CEA, nodes, mutation and an unseen aggressiveness together shape the occult disease that
decides whether surgery cures. Each draw has its own purpose, so changing one margin changes
nothing else about the same patient.
"""

from __future__ import annotations

import math

from crlm_sim import streams
from crlm_sim.compiled import compiled
from crlm_sim.disease.death import other_cause_minute
from crlm_sim.disease.growth import EXTINCT, burden_at, log_volume_of
from crlm_sim.disease.liver import LEFT_SEGMENTS
from crlm_sim.disease.patient import (
    BRAF_MUTANT,
    CLONES,
    FEMALE,
    LEFT_COLON,
    LINES,
    LUNG,
    MALE,
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


@compiled
def logistic(x):
    """1 / (1 + e^−x)."""
    return 1.0 / (1.0 + math.exp(-x))


@compiled
def _draw_person(p, m):
    if p.age_years == 0.0:  # else age and sex are those with which a region has counted them
        u, v = streams.uniform_pair(p, streams.AGE, 0)
        p.sex = FEMALE if v < m.female_share else MALE
        age = m.age_mean_years + m.age_sd_years * streams.normal_quantile(u)
        p.age_years = min(max(age, m.age_youngest_years), m.age_oldest_years)
    z_height, z_weight = streams.normal_pair(p, streams.BODY, 0)
    height_cm = m.height_cm[p.sex] + m.height_sd_cm * z_height
    p.weight_kg = max(m.weight_kg[p.sex] + m.weight_sd_kg * z_weight, m.weight_lowest_kg)
    surface_m2 = math.sqrt(height_cm * p.weight_kg / 3600.0)
    p.liver_ml = m.liver_ml_intercept + m.liver_ml_per_m2 * surface_m2


@compiled
def _draw_primary(p, m):
    u, v = streams.uniform_pair(p, streams.PRIMARY, 0)
    if u < m.rectum_share:
        p.primary_site = RECTUM
    elif u < m.rectum_share + m.right_colon_share:
        p.primary_site = RIGHT_COLON
    else:
        p.primary_site = LEFT_COLON
    major = m.major_rectal_share if p.primary_site == RECTUM else m.major_colon_share
    p.major_primary = v < major
    u, v = streams.uniform_pair(p, streams.SYMPTOMS, 0)
    p.symptomatic_primary = u < m.symptomatic_primary_share
    p.node_positive = v < m.node_positive_share
    p.primary_in_place = 1
    p.primary_complication_minute = NEVER
    if m.primary_complication_rate_per_day > 0.0:
        u = streams.uniform(p, streams.PRIMARY_COMPLICATION, 0)
        days = -math.log(u) / m.primary_complication_rate_per_day
        p.primary_complication_minute = int(days * MINUTES_PER_DAY)
    u, v = streams.uniform_pair(p, streams.MUTATION, 0)
    right = p.primary_site == RIGHT_COLON
    braf = m.braf_share_right if right else m.braf_share_left
    ras = m.ras_share_right if right else m.ras_share_left
    p.mutation = BRAF_MUTANT if u < braf else RAS_MUTANT if u < braf + ras else WILD_TYPE
    msi = m.msi_share_braf if p.mutation == BRAF_MUTANT else m.msi_share
    p.msi_high = v < msi


@compiled
def _draw_liver(p, m):
    total = 0.0
    for pair in range(SEGMENTS // 2):
        z0, z1 = streams.normal_pair(p, streams.LIVER_SHAPE, pair)
        for segment, z in ((2 * pair, z0), (2 * pair + 1, z1)):
            share = m.segment_share[segment] * math.exp(m.segment_share_sd * z)
            p.segment_ml[segment] = share
            total += share
    for segment in range(SEGMENTS):
        p.segment_ml[segment] *= p.liver_ml / total
    p.left_scale = p.right_scale = p.left_target = p.right_target = 1.0
    z0, z1 = streams.normal_pair(p, streams.SUSCEPTIBILITY, 0)
    p.sinusoidal_susceptibility = math.exp(
        m.sinusoidal_log_susceptibility + m.sinusoidal_susceptibility_sd * z0
    )
    p.steatohepatitis_susceptibility = math.exp(
        m.steatohepatitis_log_susceptibility + m.steatohepatitis_susceptibility_sd * z1
    )
    u, v = streams.uniform_pair(p, streams.SUSCEPTIBILITY, 1)
    if u < m.sinusoidal_background:
        p.sinusoidal_dose = m.background_injury_dose
    if v < m.steatohepatitis_background:
        p.steatohepatitis_dose = m.background_injury_dose
    z0, z1 = streams.normal_pair(p, streams.HYPERTROPHY, 0)
    p.hypertrophy_factor = math.exp(m.hypertrophy_sd * z0)


@compiled
def _draw_biology(p, m):
    z_growth, z_sensitive = streams.normal_pair(p, streams.BIOLOGY, 0)
    correlation = m.growth_sensitivity_correlation
    z_sensitive = correlation * z_growth + math.sqrt(1.0 - correlation**2) * z_sensitive
    rate = math.log(m.growth_rate_per_day) + m.growth_rate_sd * z_growth
    sensitivity = m.sensitivity_sd * z_sensitive
    z_resistant = streams.normal(p, streams.RESISTANCE, 0)
    resistant = m.resistant_log_fraction + m.resistant_log_fraction_sd * z_resistant
    if p.mutation == BRAF_MUTANT:
        rate += m.braf_log_growth
        sensitivity += m.braf_log_sensitivity
    elif p.mutation == RAS_MUTANT:
        rate += m.ras_log_growth
        sensitivity += m.ras_log_sensitivity
    if p.node_positive:
        rate += m.node_log_growth
    if p.primary_site == RIGHT_COLON:
        rate += m.right_log_growth
        sensitivity += m.right_log_sensitivity
    if p.msi_high:
        sensitivity += m.msi_log_sensitivity
    p.growth_rate = math.exp(rate)
    p.sensitivity = math.exp(sensitivity)
    p.resistant_log_fraction = min(resistant, m.resistant_log_fraction_most)


@compiled
def add_clone(p, m, site, log_ml):
    """One more clone of this log volume (mL) at this site."""
    k = p.clones
    p.site[k] = site
    p.log_sensitive[k] = log_ml
    resistant = log_ml + p.resistant_log_fraction
    p.log_resistant[k] = resistant if resistant >= m.log_cell_ml else EXTINCT
    u = streams.uniform(p, streams.CONSPICUITY, k)
    p.conspicuity[k] = math.log(u / (1.0 - u))
    p.clones = k + 1


@compiled
def _segment(p, u):
    """The segment where a uniform falls, by volume."""
    left = u * p.liver_ml
    for segment in range(SEGMENTS - 1):
        left -= p.segment_ml[segment]
        if left < 0.0:
            return segment
    return SEGMENTS - 1


@compiled
def _segment_of_side(p, u, right):
    """As `_segment`, within the left (1–4) or right (5–8) liver."""
    first = LEFT_SEGMENTS if right else 0
    side = 0.0
    for segment in range(first, first + LEFT_SEGMENTS):
        side += p.segment_ml[segment]
    left = u * side
    for segment in range(first, first + LEFT_SEGMENTS - 1):
        left -= p.segment_ml[segment]
        if left < 0.0:
            return segment
    return first + LEFT_SEGMENTS - 1


@compiled
def _place_traits(p, m, k):
    u, v = streams.uniform_pair(p, streams.LESION_DEPTH, k)
    p.deep[k] = u < m.deep_share
    p.near_vessel[k] = v < m.near_vessel_share
    p.near_duct[k] = v > 1.0 - m.near_duct_share
    p.near_edge[k] = u > 1.0 - m.near_edge_share


@compiled
def _draw_liver_lesions(p, m):
    u, v = streams.uniform_pair(p, streams.BURDEN, 0)
    p.diffuse = u < m.diffuse_share
    if p.diffuse:
        spread = m.diffuse_lesions_most - m.diffuse_lesions_least + 1.0
        p.lesions = int(m.diffuse_lesions_least + v * spread)
    else:
        p.lesions = 1 + int(math.log(v) / math.log(1.0 - m.lesion_stop_probability))
        p.lesions = min(p.lesions, int(m.lesions_most))
    z_size, _z_spread = streams.normal_pair(p, streams.BURDEN, 1)
    log_largest = math.log(m.largest_lesion_mm) + m.largest_lesion_sd * z_size
    log_largest += m.largest_lesion_per_log_number * math.log(p.lesions)
    log_most = math.log(m.largest_lesion_most_mm)
    if log_largest > log_most:
        log_largest = log_most
    p.largest_mm = math.exp(log_largest)
    u, v = streams.uniform_pair(p, streams.BURDEN, 2)
    one_sided = (not p.diffuse) and u < m.unilobar_share
    right = v < m.right_liver_share
    left_seen = right_seen = False
    for k in range(p.lesions):
        u, v = streams.uniform_pair(p, streams.LESION_PLACE, k)
        segment = _segment_of_side(p, v, right) if one_sided else _segment(p, v)
        if segment < LEFT_SEGMENTS:
            left_seen = True
        else:
            right_seen = True
        smaller = 0.0 if k == 0 else m.smaller_lesion_log_range * u
        size = max(log_largest - smaller, math.log(m.smallest_overt_mm))
        _place_traits(p, m, k)
        add_clone(p, m, segment, log_volume_of(math.exp(size)))
    # The diagnosis was made on the largest: CT shows it, also after chemotherapy and in steatosis.
    blunted = min(m.ct_after_chemotherapy, 0.0) + min(m.ct_in_steatosis, 0.0)
    shown = m.ct_logit + blunted + m.ct_per_log_mm * log_largest
    p.conspicuity[0] = min(p.conspicuity[0], shown)
    p.bilobar = left_seen and right_seen


@compiled
def _draw_extrahepatic(p, m):
    p.extrahepatic = 0
    worse = m.extrahepatic_diffuse_log_odds if p.diffuse else 0.0
    for place in range(4):
        site = LUNG + place
        u, v = streams.uniform_pair(p, streams.EXTRAHEPATIC, place)
        if u < logistic(m.extrahepatic_logit[place] + worse):
            p.extrahepatic = 1
            lesions = 1 + int(v * m.extrahepatic_lesions_most)
            for n in range(lesions):
                if p.clones >= CLONES:
                    break
                z = streams.normal(p, streams.EXTRAHEPATIC, 4 + CLONES * place + n)
                size = m.extrahepatic_mm * math.exp(m.extrahepatic_mm_sd * z)
                add_clone(p, m, site, log_volume_of(max(size, m.smallest_overt_mm)))


@compiled
def _draw_cea(p, m):
    z = streams.normal(p, streams.CEA, 0)
    log_burden = math.log(p.lesions) + 3.0 * math.log(p.largest_mm / m.largest_lesion_mm)
    p.cea_ng_ml = math.exp(m.cea_log_median + m.cea_per_log_burden * log_burden + m.cea_sd * z)


@compiled
def _draw_occult(p, m):
    u, v = streams.uniform_pair(p, streams.OCCULT_COUNT, 0)
    log_mean = (
        m.occult_log_mean
        + m.occult_per_log_lesions * math.log(p.lesions)
        + m.occult_per_log_size * math.log(p.largest_mm / m.largest_lesion_mm)
        + m.occult_per_log_cea * (math.log(p.cea_ng_ml) - m.cea_log_median)
        + m.occult_aggressiveness_sd * streams.normal_quantile(v)
    )
    if p.extrahepatic:
        log_mean += m.occult_extrahepatic
    if p.node_positive:
        log_mean += m.occult_node_positive
    if p.mutation == RAS_MUTANT:
        log_mean += m.occult_ras
    elif p.mutation == BRAF_MUTANT:
        log_mean += m.occult_braf
    mean = min(math.exp(log_mean), float(CLONES))
    count = streams.poisson_quantile(u, mean, CLONES - p.clones)
    span = m.occult_log_largest_ml - m.occult_log_smallest_ml
    for n in range(count):
        u, v = streams.uniform_pair(p, streams.OCCULT_PLACE, n)
        site = SEGMENTS + 3
        if u < m.occult_liver_share:
            site = _segment(p, v)
        else:
            rest = u - m.occult_liver_share
            for place, other in ((0, LUNG), (1, PERITONEUM), (2, NODE)):
                rest -= m.occult_elsewhere_share[place]
                if rest < 0.0:
                    site = other
                    break
            else:
                site = PORTAL_NODE
        k = p.clones
        if site < SEGMENTS:
            _place_traits(p, m, k)
        size = streams.uniform(p, streams.OCCULT_SIZE, n)
        add_clone(p, m, site, m.occult_log_smallest_ml + span * size)


@compiled
def _size_tells_growth(p, m):
    """Of metastases found at the same time, the larger are more often the faster growing."""
    p.growth_rate *= math.exp(m.size_log_growth * math.log(p.largest_mm / m.largest_lesion_mm))


@compiled
def _draw_lethal_burden(p, m):
    """What the patient survives: log-normal, given that the burden at diagnosis is survived."""
    p.log_lethal_liver_ml = math.log(m.lethal_liver_ml)
    p.log_lethal_elsewhere_ml = math.log(m.lethal_elsewhere_ml)
    at_diagnosis = math.log(burden_at(p, m, 0)) / m.lethal_burden_sd
    above = 0.5 * math.erfc(at_diagnosis / math.sqrt(2.0))
    u = streams.uniform(p, streams.LETHAL_BURDEN, 0)
    rest = (1.0 - u) * above
    z = -streams.normal_quantile(rest) if rest > 0.0 else at_diagnosis
    z = max(z, at_diagnosis)
    p.log_lethal_liver_ml += m.lethal_burden_sd * z
    p.log_lethal_elsewhere_ml += m.lethal_burden_sd * z


@compiled
def _draw_fitness(p, m):
    """Performance status, worse with age and with disease near what the patient survives."""
    u = streams.uniform(p, streams.FITNESS, 0)
    worse = m.fitness_age_effect * (p.age_years - m.age_mean_years) / 10.0
    worse += m.fitness_burden_effect * burden_at(p, m, 0)
    p.performance_status = 0
    for status in range(3):
        if u < logistic(m.performance_status_logit[status] + worse):
            p.performance_status = status + 1
    p.other_death_minute = other_cause_minute(
        m,
        p.sex,
        p.age_years,
        m.other_cause_hazard_ratio[p.performance_status],
        streams.uniform(p, streams.OTHER_CAUSE_DEATH, 0),
    )


@compiled
def _fong_score(p, m):
    """Fong's clinical risk score (Ann Surg 1999); synchronous disease scores the interval."""
    return (
        1
        + (p.lesions > 1)
        + (p.largest_mm > m.fong_size_mm)
        + (p.node_positive != 0)
        + (p.cea_ng_ml > m.fong_cea_ng_ml)
    )


@compiled
def begin(patient, params):
    """Draw the patient whose stream fields are set, and age and sex if they are known already.

    All other fields must be zero.
    """
    patient.death_minute = NEVER
    patient.treatment_death_minute = NEVER
    patient.progression_minute = NEVER
    patient.recurrence_minute = NEVER
    patient.liver_progression_minute = NEVER
    patient.local_treatment_minute = NEVER
    patient.local_progression_minute = NEVER
    patient.cleared_minute = NEVER
    patient.first_liver_resection_minute = NEVER
    patient.primary_resection_minute = NEVER
    patient.first_chemotherapy_minute = NEVER
    patient.disease_free_minute = NEVER
    patient.induction_end_minute = NEVER
    patient.support_minute = NEVER
    patient.repeat_resection_minute = NEVER
    for line in range(LINES):
        patient.line_minute[line] = NEVER
        patient.line_progression_minute[line] = NEVER
        patient.line_liver_progression_minute[line] = NEVER
    patient.last_operation_minute = NEVER
    _draw_person(patient, params)
    _draw_primary(patient, params)
    _draw_liver(patient, params)
    _draw_biology(patient, params)
    _draw_liver_lesions(patient, params)
    _size_tells_growth(patient, params)
    _draw_extrahepatic(patient, params)
    _draw_cea(patient, params)
    _draw_occult(patient, params)
    _draw_lethal_burden(patient, params)
    _draw_fitness(patient, params)
    patient.fong_score = _fong_score(patient, params)
