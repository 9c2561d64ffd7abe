"""Gompertz growth under a kill that rises with it, and the volumes and diameters that follow.

A subclone's log volume lies y = x_max − x below the capacity. It grows by a y, slower with size, as
untreated metastases do (Finlay 1988). A kill k is stated for a lesion of the reference size, y_ref
below the capacity; a share θ of it goes with growth (Norton and Simon 1977), so that small clones
lose more: k (1 − θ + θ y / y_ref). With b = a − k θ / y_ref and c = k (1 − θ), between two events

    dy/dt = −b y + c,   y(t) = y₀ exp(−b t) + c (1 − exp(−b t)) / b,

exactly. The growth rate a is the patient's; the kill acts on all clones while a drug is given, less
on the resistant part, and a further one on clones in the liver alone while treatment through the
hepatic artery acts. A subclone below the volume of one cell does not exist: its log volume is −inf
and stays so.
"""

from __future__ import annotations

import math

from crlm_sim.compiled import compiled
from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER, SEGMENTS

EXTINCT = -math.inf
RESOLUTION_MINUTES = 24 * 60
"""How closely the minute of a death from tumour is searched for; numerical, not clinical."""
_TINY = 1e-9
"""Below this the exponential's limit is taken."""
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
    patient.known[clone] = 0


@compiled
def shrink(patient, params, clone, log_fraction):
    """Leave exp(`log_fraction`) of a clone; a part smaller than one cell is gone.

    The rest is not known of: seen again, it is a new lesion.
    """
    s = patient.log_sensitive[clone] + log_fraction
    r = patient.log_resistant[clone] + log_fraction
    cell = params.log_cell_ml
    patient.log_sensitive[clone] = s if s >= cell else EXTINCT
    patient.log_resistant[clone] = r if r >= cell else EXTINCT
    patient.diameter_mm[clone] = 0.0
    patient.known[clone] = 0


@compiled
def _slow_and_cut(patient, params, kill):
    """(b, c) of the module's formula (1/day) under a kill (1/day)."""
    with_growth = kill * params.kill_with_growth
    slow = patient.growth_rate - with_growth / (
        params.log_capacity_ml - params.kill_reference_log_ml
    )
    return slow, kill - with_growth


@compiled
def _keep_and_add(patient, params, kill, days):
    """What is kept of y and what is added to it over `days` under a kill (1/day)."""
    slow, cut = _slow_and_cut(patient, params, kill)
    keep = math.exp(-slow * days)
    if abs(slow * days) < _TINY:
        return keep, cut * days
    return keep, cut * (1.0 - keep) / slow


@compiled
def _flow(patient, params, minutes, sensitive, resistant, in_liver):
    days = minutes / MINUTES_PER_DAY
    keep_s, add_s = _keep_and_add(patient, params, sensitive, days)
    keep_r, add_r = keep_s, add_s
    if resistant != sensitive:
        keep_r, add_r = _keep_and_add(patient, params, resistant, days)
    liver_s, more_s, liver_r, more_r = keep_s, add_s, keep_r, add_r
    if in_liver != 0.0:
        liver_s, more_s = _keep_and_add(patient, params, sensitive + in_liver, days)
        liver_r, more_r = _keep_and_add(patient, params, resistant + in_liver, days)
    capacity = params.log_capacity_ml
    cell = params.log_cell_ml
    for k in range(patient.clones):
        below_s = capacity - patient.log_sensitive[k]
        below_r = capacity - patient.log_resistant[k]
        if patient.site[k] < SEGMENTS:
            s = capacity - (below_s * liver_s + more_s)
            r = capacity - (below_r * liver_r + more_r)
        else:
            s = capacity - (below_s * keep_s + add_s)
            r = capacity - (below_r * keep_r + add_r)
        patient.log_sensitive[k] = s if s >= cell else EXTINCT
        patient.log_resistant[k] = r if r >= cell else EXTINCT


@compiled
def _treatment_until(patient, start, until):
    """Until when (at most `until`) what acts at minute `start` goes on unchanged."""
    end = until
    if start < patient.drug_until:
        end = min(end, patient.drug_until)
    if start < patient.liver_drug_until:
        end = min(end, patient.liver_drug_until)
    return end


@compiled
def _kill_at(patient, minute, resistant_part, liver_clone):
    """Kill (1/day) from `minute` on of one part of a clone, in the liver or elsewhere."""
    kill = 0.0
    if minute < patient.drug_until:
        kill = patient.kill_resistant if resistant_part else patient.kill_sensitive
    if liver_clone and minute < patient.liver_drug_until:
        kill += patient.liver_kill
    return kill


@compiled
def grow(patient, params, minute):
    """Let the disease go on to `minute`: under each treatment as long as it lasts."""
    start = patient.grown_until
    if minute <= start:
        return
    while start < minute:
        end = _treatment_until(patient, start, minute)
        sensitive = _kill_at(patient, start, False, False)
        resistant = _kill_at(patient, start, True, False)
        in_liver = patient.liver_kill if start < patient.liver_drug_until else 0.0
        _flow(patient, params, end - start, sensitive, resistant, in_liver)
        start = end
    patient.grown_until = minute


@compiled
def _through(patient, params, minute, resistant_part, liver_clone):
    """(keep, add) of y from `grown_until` to `minute` for a kind of subclone, and (b, c) there."""
    keep, add = 1.0, 0.0
    start = patient.grown_until
    while start < minute:
        end = _treatment_until(patient, start, minute)
        kill = _kill_at(patient, start, resistant_part, liver_clone)
        more_keep, more_add = _keep_and_add(patient, params, kill, (end - start) / MINUTES_PER_DAY)
        keep *= more_keep
        add = add * more_keep + more_add
        start = end
    kill = _kill_at(patient, minute, resistant_part, liver_clone)
    slow, cut = _slow_and_cut(patient, params, kill)
    return keep, add, slow, cut


@compiled
def burden_and_slope_at(patient, params, minute):
    """Share of the lethal burden reached at `minute` ≥ `grown_until`, and its growth per day.

    Reckoned from the current clones under the current treatment. Liver and other volumes count
    against their own lethal volumes; 1 is death.
    """
    capacity = params.log_capacity_ml
    sensitive = _through(patient, params, minute, False, False)
    resistant = _through(patient, params, minute, True, False)
    sensitive_liver, resistant_liver = sensitive, resistant
    if patient.grown_until < patient.liver_drug_until:
        sensitive_liver = _through(patient, params, minute, False, True)
        resistant_liver = _through(patient, params, minute, True, True)
    per_liver_ml = math.exp(-patient.log_lethal_liver_ml)
    per_ml_elsewhere = math.exp(-patient.log_lethal_elsewhere_ml)
    burden = 0.0
    slope = 0.0
    for k in range(patient.clones):
        weight = per_ml_elsewhere
        of_s, of_r = sensitive, resistant
        if patient.site[k] < SEGMENTS:
            weight = per_liver_ml
            of_s, of_r = sensitive_liver, resistant_liver
        if patient.log_sensitive[k] > EXTINCT:
            below = (capacity - patient.log_sensitive[k]) * of_s[0] + of_s[1]
            volume = weight * math.exp(capacity - below)
            burden += volume
            slope += volume * (of_s[2] * below - of_s[3])
        if patient.log_resistant[k] > EXTINCT:
            below = (capacity - patient.log_resistant[k]) * of_r[0] + of_r[1]
            volume = weight * math.exp(capacity - below)
            burden += volume
            slope += volume * (of_r[2] * below - of_r[3])
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
