"""A study's figures, read off its simulated patients as the published ones were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.calibration import scales
from crlm_sim.calibration.study import (
    COUNTED,
    DEFINED,
    LINES_RECEIVED,
    RESTRICTED,
    Figure,
    Study,
)
from crlm_sim.disease.growth import LOG_ML_OF_MM3
from crlm_sim.disease.patient import NEVER
from crlm_sim.engines import cohort, screening
from crlm_sim.outcomes import survival
from crlm_sim.outcomes.clocks import CLOCKS, curve_of, reached, times
from crlm_sim.outcomes.definitions import (
    CONDITIONS,
    DAYS_PER_MONTH,
    measure,
    spans,
)
from crlm_sim.outcomes.definitions import CURVES as OWN_CURVES
from crlm_sim.outcomes.hazards import concordance, log_hazard_ratio
from crlm_sim.scenario.packing import packed_rules

MINUTES_PER_DAY = 1440
_OF_THE_RESECTION = {
    "major_complication": "resection_complication",
    "mortality_90d": "resection_mortality_90d",
}
"""What is counted of the liver resection alone if the study's clock starts with it."""
_PAIRED = 0.5
"""Share of a contrast's variance left when both arms hold the same patients; an upper guess."""


@dataclass(frozen=True)
class Read:
    """A simulated figure on its scale and its simulation error there; nan if it cannot be told."""

    value: float
    error: float


@dataclass(frozen=True)
class Lived:
    """An arm's patients: their numbers, the parameters they lived under, their lived records."""

    study: Study
    arm: str
    params: np.ndarray
    patients: np.ndarray

    def blank(self) -> np.ndarray:
        """The same patients before they have lived."""
        return cohort.blank_records(self.patients["patient"], int(self.patients["seed"][0]))


def read(figure: Figure, study: Study, lived: Mapping[str, Lived]) -> Read:
    """One figure of a study from its lived arms."""
    arms = [lived[name] for name in study.names_of(figure)]
    if figure.measure == "hr":
        return _hazard_ratio(figure, study, arms[0], arms[1])
    found = [_level(figure, study, arm) for arm in arms]
    if len(found) == 1:
        return _told(figure.scale, *found[0])
    return _compared(figure, *found[0], *found[1])


def _told(scale: str, value: float, number: float) -> Read:
    """A level on its scale with its error; half a patient is added to either side of a share."""
    if math.isnan(value) or number <= 0:
        return Read(math.nan, math.nan)
    return Read(*scales.from_number(scale, value, max(round(number), 1)))


def _compared(figure: Figure, one: float, n: float, other: float, m: float) -> Read:
    """A difference, risk ratio or odds ratio of two shares; difference or ratio of two amounts."""
    if math.isnan(one) or math.isnan(other) or min(n, m) < 1:
        return Read(math.nan, math.nan)
    if figure.is_amount:
        return _amounts_compared(figure, one, n, other, m)
    variance = _PAIRED * (one * (1 - one) / n + other * (1 - other) / m)
    if figure.measure == "difference":
        return Read(one - other, math.sqrt(variance))
    scale = scales.LOGIT if figure.measure == "or" else scales.LOG
    least = 0.5 / max(n, m)
    ends = [min(max(share, least), 1.0 - least) for share in (one, other)]
    value = scales.to_scale(scale, ends[0]) - scales.to_scale(scale, ends[1])
    slopes = [1 / s if scale == scales.LOG else 1 / (s * (1 - s)) for s in ends]
    parts = [k * k * s * (1 - s) / q for k, s, q in zip(slopes, ends, (n, m), strict=True)]
    return Read(value, math.sqrt(_PAIRED * sum(parts)))


def _amounts_compared(figure: Figure, one: float, n: float, other: float, m: float) -> Read:
    """A difference or ratio of two means or medians, whose errors are relative."""
    errors = [
        scales.from_number(scales.LOG, max(value, 1e-9), max(round(number), 1))[1]
        for value, number in ((one, n), (other, m))
    ]
    if figure.measure == "difference":
        spread = math.hypot(errors[0] * one, errors[1] * other)
        return Read(one - other, math.sqrt(_PAIRED) * spread)
    ratio = scales.to_scale(scales.LOG, one) - scales.to_scale(scales.LOG, other)
    return Read(ratio, math.sqrt(_PAIRED) * math.hypot(*errors))


# Levels ------------------------------------------------------------------------------------------


def _level(figure: Figure, study: Study, arm: Lived) -> tuple[float, float]:
    """(value, patients it rests on) of one arm."""
    base = figure.base
    if base == "share":
        return _share_at_diagnosis(figure, arm)
    if base.startswith("sensitivity_"):
        return _sensitivity(base.removeprefix("sensitivity_"), arm)
    if base.startswith("doubling_time"):
        return _doubling_time(base, arm)
    if figure.curve:
        return _from_curve(figure, study, arm)
    if base in DEFINED or base in RESTRICTED:
        return _defined(base, study.clock_of(figure), arm)
    patients = arm.patients
    clock = study.clock_of(figure)
    patients = patients[reached(patients, clock)]
    if clock == "liver_resection":
        base = _OF_THE_RESECTION.get(base, base)
    if base in LINES_RECEIVED:
        return _share(patients["line_minute"][:, LINES_RECEIVED[base] - 1] < NEVER)
    if base == "remnant_growth":
        grown = patients["remnant_growth"][patients["remnant_growth"] > 0.0]
        return (float(grown.mean()), len(grown)) if len(grown) else (math.nan, 0)
    if base == "fong_c_index":
        return _fong(arm, study)
    if base == "objective_response" and CLOCKS[clock].line:
        line = CLOCKS[clock].line - 1
        among = patients["line_measurable"][:, line] > 0
        return _share(patients["line_response"][among, line] > 0)
    return _counted(base, patients)


def _share(flags: NDArray) -> tuple[float, float]:
    return (float(flags.mean()), len(flags)) if len(flags) else (math.nan, 0)


def _counted(base: str, patients: Any) -> tuple[float, float]:
    outcome = COUNTED[base]
    who = patients[CONDITIONS[outcome.among](patients)]
    if not len(who):
        return math.nan, 0
    value = float(measure(who, outcome).mean())
    return value * (outcome.scale if outcome.kind == "mean" else 1.0), len(who)


def _from_curve(figure: Figure, study: Study, arm: Lived) -> tuple[float, float]:
    clock = study.clock_of(figure)
    if figure.days is not None:
        return _survival(arm.patients, clock, figure.curve, figure.days, study)
    minutes, happened, _ = times(arm.patients, clock, figure.curve, _most_minutes(study))
    days = survival.median(curve_of(minutes, happened)).estimate
    return days / DAYS_PER_MONTH, len(minutes)


def _defined(base: str, clock: str, arm: Lived) -> tuple[float, float]:
    """An outcome that a run reads off a curve of its own, among those who reach the clock."""
    outcome = DEFINED.get(base) or RESTRICTED[base]
    patients: Any = arm.patients[reached(arm.patients, clock)]
    _, minutes, happened = spans(patients, OWN_CURVES[outcome.source])
    if not len(minutes):
        return math.nan, 0
    curve = curve_of(minutes, happened)
    if outcome.kind == "median":
        return survival.median(curve).estimate / DAYS_PER_MONTH, len(minutes)
    day = outcome.months * DAYS_PER_MONTH
    if outcome.kind == "rmst":
        return survival.restricted_mean(curve, day)[0].estimate / DAYS_PER_MONTH, len(minutes)
    return survival.survival_at(curve, round(day)).estimate, len(minutes)


def _most_minutes(study: Study) -> int:
    return round(study.followed_days * MINUTES_PER_DAY)


def _survival(
    patients: np.ndarray, clock: str, curve: str, day: float, study: Study
) -> tuple[float, float]:
    minutes, happened, _ = times(patients, clock, curve, _most_minutes(study))
    if not len(minutes):
        return math.nan, 0
    found = survival.survival_at(curve_of(minutes, happened), round(day))
    return found.estimate, len(minutes)


def _fong(arm: Lived, study: Study) -> tuple[float, float]:
    minutes, happened, who = times(arm.patients, "liver_resection", "os", _most_minutes(study))
    return concordance(minutes, happened, arm.patients["fong_score"][who]), len(minutes)


# On the day of diagnosis -------------------------------------------------------------------------


def _share_at_diagnosis(figure: Figure, arm: Lived) -> tuple[float, float]:
    condition = packed_rules([(figure.when or "true", {})])
    policy = arm.study.scenario.packed_policy(arm.arm)
    return _share(screening.eligible(arm.blank(), arm.params, policy, condition))


def _sensitivity(test: str, arm: Lived) -> tuple[float, float]:
    after = test.endswith("_after_drugs")
    name = test.removesuffix("_after_drugs")
    seen, lesions = screening.lesions_seen(arm.blank(), arm.params, name, after)
    return float(seen.sum() / lesions.sum()), len(seen)


def _doubling_time(base: str, arm: Lived) -> tuple[float, float]:
    """Median days to twice the volume under untreated Gompertz growth."""
    patients = screening.at_diagnosis(arm.blank(), arm.params)
    if base == "doubling_time_occult_days":
        mm = arm.params["recist_least_mm"]
    else:
        mm = patients["largest_mm"]
    below = arm.params["log_capacity_ml"] - (3.0 * np.log(mm) + LOG_ML_OF_MM3)
    left = below - math.log(2.0)
    doubles = left > 0.0
    ratio = np.divide(below, left, out=np.full_like(patients["growth_rate"], np.inf), where=doubles)
    return float(np.median(np.log(ratio) / patients["growth_rate"])), len(patients)


# Contrasts ---------------------------------------------------------------------------------------


def _hazard_ratio(figure: Figure, study: Study, one: Lived, other: Lived) -> Read:
    clock = study.clock_of(figure)
    found = [times(arm.patients, clock, figure.curve, _most_minutes(study)) for arm in (other, one)]
    minutes = np.concatenate([each[0] for each in found])
    happened = np.concatenate([each[1] for each in found])
    group = np.repeat([False, True], [len(each[0]) for each in found])
    value, error = log_hazard_ratio(minutes, happened, group)
    return Read(value, error * math.sqrt(_PAIRED))
