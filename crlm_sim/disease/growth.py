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
RESOLUTION_MINUTES = 6 * 60
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
def _set_safe_until(patient, params):
    """Until when the burden cannot be lethal, even if nothing were given: no need to look."""
    largest = EXTINCT
    parts = 0
    for k in range(patient.clones):
        s = patient.log_sensitive[k]
        r = patient.log_resistant[k]
        if s > largest:
            largest = s
        if r > largest:
            largest = r
        parts += (s > EXTINCT) + (r > EXTINCT)
    if parts == 0:
        patient.safe_until = NEVER
        return
    lethal = min(patient.log_lethal_liver_ml, patient.log_lethal_elsewhere_ml) - math.log(parts)
    capacity = params.log_capacity_ml
    if lethal >= capacity:
        patient.safe_until = NEVER
        return
    if lethal <= largest:
        patient.safe_until = patient.grown_until
        return
    days = math.log((capacity - largest) / (capacity - lethal)) / patient.growth_rate
    patient.safe_until = patient.grown_until + int(days * MINUTES_PER_DAY)


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
    _set_safe_until(patient, params)


@compiled
def settle(patient, params):
    """Renew what `grow` keeps in mind; to be called after clones were added, removed or cut."""
    _set_safe_until(patient, params)


@compiled
def burden_at(patient, params, minute):
    """Share of the patient's lethal burden reached at `minute` ≥ `grown_until`, if all goes on.

    Liver and other volumes count against their own lethal volumes; 1 is death.
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
    liver = 0.0
    elsewhere = 0.0
    for k in range(patient.clones):
        volume = math.exp(patient.log_sensitive[k] * keep + to_sensitive + free) + math.exp(
            patient.log_resistant[k] * keep + to_resistant + free
        )
        if patient.site[k] < SEGMENTS:
            liver += volume
        else:
            elsewhere += volume
    return liver / math.exp(patient.log_lethal_liver_ml) + elsewhere / math.exp(
        patient.log_lethal_elsewhere_ml
    )


@compiled
def tumour_death_minute(patient, params, until):
    """The minute ≤ `until` at which the burden becomes lethal, `NEVER` if it does not.

    The burden is that of the current clones under the current drug; found to within
    `RESOLUTION_MINUTES`.
    """
    if until <= patient.safe_until:
        return NEVER
    low = max(patient.grown_until, patient.safe_until)
    if until <= low:
        until = low
    if burden_at(patient, params, until) < 1.0:
        return NEVER
    high = until
    if low < high and burden_at(patient, params, low) >= 1.0:
        return low
    while high - low > RESOLUTION_MINUTES:
        middle = (low + high) // 2
        if burden_at(patient, params, middle) >= 1.0:
            high = middle
        else:
            low = middle
    return high
