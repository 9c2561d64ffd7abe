"""Gompertz growth with a constant kill, and the volumes and diameters that follow from it.

A subclone's log volume x obeys dx/dt = a (x_max − x) − k, so between two events

    x(t) = x* + (x₀ − x*) exp(−a t),   x* = x_max − k / a,

exactly. Growth slows with size, as untreated metastases do (Finlay 1988). The growth rate a is the
patient's; the kill k acts on all clones while a drug is given, less on the resistant part. A
subclone below the volume of one cell does not exist: its log volume is −inf and stays so.
"""

from __future__ import annotations

import math

from crlm_sim.compiled import compiled
from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER, SEGMENTS

EXTINCT = -math.inf
RESOLUTION_MINUTES = 24 * 60
"""How closely the minute of a death from tumour is searched for; numerical, not clinical."""
LOG_ML_OF_MM3 = math.log(math.pi / 6.0 / 1000.0)
"""Log volume (mL) of a sphere 1 mm across."""


@compiled
def log_volume(patient, clone):
    """Log volume (mL) of a clone: its sensitive and resistant parts together."""
    s = patient.log_sensitive[clone]
    r = patient.log_resistant[clone]
    if s < r:
        s, r = r, s
    if r == EXTINCT:
        return s
    return s + math.log1p(math.exp(r - s))


@compiled
def diameter_mm(log_ml):
    """Diameter (mm) of a sphere of this log volume (mL)."""
    return math.exp((log_ml - LOG_ML_OF_MM3) / 3.0)


@compiled
def log_volume_of(diameter):
    """Log volume (mL) of a sphere of this diameter (mm); the inverse of `diameter_mm`."""
    return 3.0 * math.log(diameter) + LOG_ML_OF_MM3


@compiled
def is_viable(patient, clone):
    """Whether any living cell is left of a clone."""
    return patient.log_sensitive[clone] > EXTINCT or patient.log_resistant[clone] > EXTINCT


@compiled
def remove(patient, clone):
    """Take a clone away, wholly."""
    patient.log_sensitive[clone] = EXTINCT
    patient.log_resistant[clone] = EXTINCT
    patient.diameter_mm[clone] = 0.0


@compiled
def shrink(patient, params, clone, log_fraction):
    """Leave exp(`log_fraction`) of a clone; a part smaller than one cell is gone."""
    s = patient.log_sensitive[clone] + log_fraction
    r = patient.log_resistant[clone] + log_fraction
    cell = params.log_cell_ml
    patient.log_sensitive[clone] = s if s >= cell else EXTINCT
    patient.log_resistant[clone] = r if r >= cell else EXTINCT
    patient.diameter_mm[clone] = 0.0


@compiled
def _flow(patient, params, minutes, kill_sensitive, kill_resistant):
    a = patient.growth_rate
    decay = math.exp(-a * (minutes / MINUTES_PER_DAY))
    to_sensitive = (params.log_capacity_ml - kill_sensitive / a) * (1.0 - decay)
    to_resistant = (params.log_capacity_ml - kill_resistant / a) * (1.0 - decay)
    cell = params.log_cell_ml
    for k in range(patient.clones):
        s = patient.log_sensitive[k] * decay + to_sensitive
        r = patient.log_resistant[k] * decay + to_resistant
        patient.log_sensitive[k] = s if s >= cell else EXTINCT
        patient.log_resistant[k] = r if r >= cell else EXTINCT


@compiled
def grow(patient, params, minute):
    """Let the disease go on to `minute`: under the drug as long as it lasts, then without."""
    start = patient.grown_until
    if minute <= start:
        return
    treated = min(minute, patient.drug_until)
    if treated > start:
        _flow(patient, params, treated - start, patient.kill_sensitive, patient.kill_resistant)
        start = treated
    if minute > start:
        _flow(patient, params, minute - start, 0.0, 0.0)
    patient.grown_until = minute


@compiled
def burden_and_slope_at(patient, params, minute):
    """Share of the lethal burden reached at `minute` ≥ `grown_until`, and its growth per day.

    Reckoned from the current clones under the current drug. Liver and other volumes count against
    their own lethal volumes; 1 is death.
    """
    a = patient.growth_rate
    start = patient.grown_until
    treated = min(minute, patient.drug_until)
    under = max(treated - start, 0) / MINUTES_PER_DAY
    after = (minute - start) / MINUTES_PER_DAY - under
    d1 = math.exp(-a * under)
    d2 = math.exp(-a * after)
    capacity = params.log_capacity_ml
    keep = d1 * d2
    to_sensitive = (capacity - patient.kill_sensitive / a) * (1.0 - d1) * d2
    to_resistant = (capacity - patient.kill_resistant / a) * (1.0 - d1) * d2
    free = capacity * (1.0 - d2)
    treated_now = 1.0 if minute < patient.drug_until else 0.0
    in_liver = math.exp(-patient.log_lethal_liver_ml)
    elsewhere = math.exp(-patient.log_lethal_elsewhere_ml)
    burden = 0.0
    slope = 0.0
    for k in range(patient.clones):
        s = patient.log_sensitive[k] * keep + to_sensitive + free
        r = patient.log_resistant[k] * keep + to_resistant + free
        weight = in_liver if patient.site[k] < SEGMENTS else elsewhere
        if s > EXTINCT:
            volume = weight * math.exp(s)
            burden += volume
            slope += volume * (a * (capacity - s) - treated_now * patient.kill_sensitive)
        if r > EXTINCT:
            volume = weight * math.exp(r)
            burden += volume
            slope += volume * (a * (capacity - r) - treated_now * patient.kill_resistant)
    return burden, slope


@compiled
def burden_at(patient, params, minute):
    """Share of the patient's lethal burden reached at `minute`, if all goes on."""
    return burden_and_slope_at(patient, params, minute)[0]


@compiled
def _safe_until(patient, params, minute, burden):
    """Until when a burden below 1 at `minute` cannot become lethal, even if no drug is given.

    With weights w = 1 / lethal volume, burden b = Σ w V and E = exp(−a t), Hölder's inequality
    bounds an untreated burden by b(t) ≤ b₀^E (Σ w · capacity)^(1 − E), as if all were one clone.
    """
    in_liver = math.exp(-patient.log_lethal_liver_ml)
    elsewhere = math.exp(-patient.log_lethal_elsewhere_ml)
    weights = 0.0
    for k in range(patient.clones):
        parts = (patient.log_sensitive[k] > EXTINCT) + (patient.log_resistant[k] > EXTINCT)
        weights += parts * (in_liver if patient.site[k] < SEGMENTS else elsewhere)
    if burden <= 0.0:
        return NEVER
    log_most = params.log_capacity_ml + math.log(weights)
    if log_most <= 0.0:
        return NEVER
    days = math.log((log_most - math.log(burden)) / log_most) / patient.growth_rate
    return minute + int(days * MINUTES_PER_DAY)


@compiled
def tumour_death_minute(patient, params, until):
    """The minute ≤ `until` at which the burden becomes lethal, `NEVER` if it does not.

    The burden is that of the current clones under the current drug; the minute is found to within
    `RESOLUTION_MINUTES`. `safe_until` keeps in mind up to when there is no need to look: less
    disease or more treatment than reckoned with only makes it safer, and whoever cuts treatment
    short (`forget_safety`) clears it.
    """
    if until <= patient.safe_until:
        return NEVER
    until = max(until, patient.grown_until)
    burden = burden_at(patient, params, until)
    if burden < 1.0:
        patient.safe_until = _safe_until(patient, params, until, burden)
        return NEVER
    return _crossing(patient, params, patient.grown_until, until)


@compiled
def _crossing(patient, params, low, high):
    """The minute in [low, high] where the burden passes 1: Newton on its logarithm, bracketed."""
    minute = max(low, min(patient.safe_until, high))
    while high - low > RESOLUTION_MINUTES:
        burden, slope = burden_and_slope_at(patient, params, minute)
        if burden >= 1.0:
            high = minute
        else:
            low = minute
        guess = low
        if slope > 0.0:
            guess = minute - int(math.log(burden) * burden / slope * MINUTES_PER_DAY)
        if not low < guess < high:
            guess = (low + high) // 2
        elif abs(guess - minute) < RESOLUTION_MINUTES // 2:
            return guess
        minute = guess
    return high


@compiled
def forget_safety(patient):
    """To be called when a drug stops acting earlier than it was reckoned with."""
    patient.safe_until = patient.grown_until
