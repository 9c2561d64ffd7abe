"""What a course cost and what its days were worth: money, life-years and QALYs of each patient.

Prices and utilities are parameters, so that a draw of the parameters draws them too. Everything is
reckoned from the activity log and the record, after the engines: other prices need no other
courses. Each patient's sums become whole pounds and days, which add exactly.

A price falls due when its activity begins, and a day in bed as it is spent; money and years after
t years count (1 + rate)^−t, continuously in t.

The utility of a moment is that of the state known in the clinic: supportive care, else free of seen
disease (from the first clearance to the first recurrence), else the latest line of drugs; less in
the three months from an operation. It is taken relative to the norm of the patients it comes from,
times the norm of the patient's own age (at the start of each year) and sex, and at most that.
Severe toxicity takes its disutility for its days, by its chance in each cycle.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from crlm_sim.care.activities import CHEMOTHERAPY_CYCLE, PERCUTANEOUS_ABLATION, WARD_STAY
from crlm_sim.compiled import compiled, compiled_parallel, threads_of
from crlm_sim.disease.patient import MALE, MINUTES_PER_DAY, NEVER, OTHER

WRITTEN = (
    "cost_pounds",
    "drugs_pounds",
    "procedures_pounds",
    "beds_pounds",
    "counted_days",
    "quality_days",
    "net_benefit_pounds",
)
"""The fields of the record that are written here, zero until then."""
_MINUTES_PER_YEAR = 525_960.0
_MINUTES_PER_MONTH = 43_830
_TINY = 1e-12
"""Below this the exponential's limit is taken."""
_CHANGES = 9
"""Minutes of the record at which the utility may change."""


@compiled
def _weight(minute, force):
    """What a pound or a year after so many minutes counts now; `force` is log(1 + yearly rate)."""
    return math.exp(-force * minute / _MINUTES_PER_YEAR)


@compiled
def _counted(start, end, force):
    """Discounted minutes between two minutes."""
    if force < _TINY:
        return float(end - start)
    years = (end - start) / _MINUTES_PER_YEAR
    return _weight(start, force) * -math.expm1(-force * years) * _MINUTES_PER_YEAR / force


@compiled
def _cost(patient, m, log, force):
    """(pounds in all, for drugs and giving them, for other activities, for beds) of a patient."""
    drugs, procedures, beds = 0.0, 0.0, 0.0
    for row in log:
        price = m.activity_price[row.activity]
        weight = _weight(row.start, force)
        if row.activity == CHEMOTHERAPY_CYCLE:
            toxicity = m.regimen_severe_toxicity_per_cycle[row.regimen] * m.toxicity_price
            drugs += weight * (price + m.regimen_price[row.regimen] + toxicity)
        elif row.activity == WARD_STAY:
            days = _counted(row.start, row.end, force) / MINUTES_PER_DAY
            beds += days * m.ward_day_price
        else:
            procedures += weight * price
    other = 0.0
    if patient.support_minute < patient.end_minute:
        months = _counted(patient.support_minute, patient.end_minute, force) / _MINUTES_PER_MONTH
        other += months * m.supportive_care_month_price
    if patient.death_minute != NEVER and patient.cause_of_death != OTHER:
        other += _weight(patient.death_minute, force) * m.end_of_life_price
    return drugs + procedures + beds + other, drugs, procedures, beds


@compiled
def _of_state(patient, m, minute):
    """Utility of the state at a minute, operations apart."""
    if minute >= patient.support_minute:
        return m.utility_supportive_care
    free_for = minute - patient.cleared_minute
    if free_for >= 0 and minute < patient.recurrence_minute:
        late = free_for >= m.remission_months * _MINUTES_PER_MONTH
        return m.utility_remission if late else m.utility_disease_free
    if minute >= patient.line_minute[2]:
        return m.utility_third_line
    if minute >= patient.line_minute[1]:
        return m.utility_second_line
    if minute >= patient.first_chemotherapy_minute:
        return m.utility_first_line
    return m.utility_untreated


@compiled
def _after_operations(m, log, minute):
    """The most that operations before a minute leave of utility."""
    most = 1.0
    for row in log:
        if m.activity_in_theatre[row.activity] == 0.0 and row.activity != PERCUTANEOUS_ABLATION:
            continue
        since = minute - row.start
        ablated = row.activity == PERCUTANEOUS_ABLATION
        if 0 <= since < m.operation_months * _MINUTES_PER_MONTH:
            most = min(most, m.utility_ablation if ablated else m.utility_operation)
        elif 0 <= since < m.recovery_months * _MINUTES_PER_MONTH:
            most = min(most, 1.0 if ablated else m.utility_after_operation)
    return most


@compiled
def _norm(patient, m, minute):
    """Utility of the public at the patient's age and sex (Ara and Brazier 2010)."""
    age = patient.age_years + minute / _MINUTES_PER_YEAR
    male = m.norm_male if patient.sex == MALE else 0.0
    return m.norm_intercept + male + age * (m.norm_age + age * m.norm_age_squared)


@compiled
def _times(patient, m, log):
    """The minutes at which the utility may change, in order."""
    end = patient.end_minute
    years = int(end / _MINUTES_PER_YEAR)
    times = np.empty(_CHANGES + years + 3 * len(log), np.int64)
    remission = patient.cleared_minute
    if remission != NEVER:
        remission += int(m.remission_months * _MINUTES_PER_MONTH)
    n = 0
    for minute in (
        0,
        end,
        patient.support_minute,
        patient.cleared_minute,
        remission,
        patient.recurrence_minute,
        patient.first_chemotherapy_minute,
        patient.line_minute[1],
        patient.line_minute[2],
    ):
        if minute <= end:
            times[n] = minute
            n += 1
    for year in range(1, years + 1):
        times[n] = int(year * _MINUTES_PER_YEAR)
        n += 1
    for row in log:
        if m.activity_in_theatre[row.activity] > 0.0 or row.activity == PERCUTANEOUS_ABLATION:
            for months in (0.0, m.operation_months, m.recovery_months):
                minute = row.start + int(months * _MINUTES_PER_MONTH)
                if minute <= end:
                    times[n] = minute
                    n += 1
    times = times[:n]
    times.sort()
    return times


@compiled
def _life(patient, m, log, force):
    """(discounted minutes lived, the same weighted by utility)."""
    times = _times(patient, m, log)
    lived, worth = 0.0, 0.0
    for i in range(len(times) - 1):
        start, end = times[i], times[i + 1]
        if start == end:
            continue
        minutes = _counted(start, end, force)
        utility = min(_of_state(patient, m, start), _after_operations(m, log, start))
        lived += minutes
        if utility < 1.0:  # one is full health, whoever has it
            utility = min(utility / m.norm_reference, 1.0) * _norm(patient, m, start)
        worth += minutes * utility
    for row in log:
        if row.activity == CHEMOTHERAPY_CYCLE:
            until = min(row.start + int(m.toxicity_days * MINUTES_PER_DAY), patient.end_minute)
            chance = m.regimen_severe_toxicity_per_cycle[row.regimen]
            worth -= chance * m.toxicity_disutility * _counted(row.start, until, force)
    return lived, worth


@compiled
def _whole_days(minutes):
    """Rounded half a day up, as every time of the tally."""
    return int((minutes + MINUTES_PER_DAY // 2) // MINUTES_PER_DAY)


@compiled
def _cost_one(patient, m, log, force_costs, force_effects, threshold):
    total, drugs, procedures, beds = _cost(patient, m, log, force_costs)
    lived, worth = _life(patient, m, log, force_effects)
    patient.cost_pounds = round(total)
    patient.drugs_pounds = round(drugs)
    patient.procedures_pounds = round(procedures)
    patient.beds_pounds = round(beds)
    patient.counted_days = _whole_days(lived)
    patient.quality_days = _whole_days(worth)
    patient.net_benefit_pounds = round(worth / _MINUTES_PER_YEAR * threshold - total)


@compiled_parallel
def _cost_all(patients, params, log, first, last, force_costs, force_effects, threshold):
    for i in prange(patients.shape[0]):
        own = log[first[i] : last[i]]
        _cost_one(patients[i], params[0], own, force_costs, force_effects, threshold)


def cost_courses(
    patients: np.ndarray,
    log: np.ndarray,
    params: np.ndarray,
    discount_costs: float,
    discount_effects: float,
    threshold: float,
    threads: int | None = None,
) -> None:
    """Write cost, years, QALYs and net benefit into finished records (dtype PATIENT, in place).

    `log` holds their activities (dtype ACTIVITY_LOG), those of a patient by time; `params` is the
    packed record they were lived with. Rates are per year; the threshold is in pounds a QALY.
    """
    numbers = log["patient"]
    if len(log) and (numbers[1:] < numbers[:-1]).any():
        log = log[np.argsort(numbers, kind="stable")]
        numbers = log["patient"]
    first = np.searchsorted(numbers, patients["patient"], "left")
    last = np.searchsorted(numbers, patients["patient"], "right")
    forces = math.log1p(discount_costs), math.log1p(discount_effects)
    with threads_of(threads):
        _cost_all(patients, params, log, first, last, *forces, threshold)
