"""How published figures and their predictions are written for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crlm_sim.calibration import scales
from crlm_sim.calibration.study import AT_DIAGNOSIS
from crlm_sim.outcomes.clocks import CLOCKS
from crlm_sim.report.numbers import PERCENT, difference, level, read_estimate
from crlm_sim.report.topics import describe

if TYPE_CHECKING:
    from crlm_sim.calibration.study import Figure, PublishedCurve, Study
    from crlm_sim.calibration.validate import Judged

USES = {"fit": "fitted", "check": "never fitted"}
_SHARE_OF = {
    "os": "alive",
    "pfs": "alive without progression",
    "dfs": "alive without recurrence",
    "liver_pfs": "alive without progression in the liver",
    "liver_control": "no progression in the liver",
    "local_control": "no regrowth where destroyed",
}
_CURVE = {
    "os": "overall survival",
    "pfs": "progression-free survival",
    "dfs": "disease-free survival",
    "liver_pfs": "survival without progression in the liver",
    "liver_control": "control in the liver",
    "local_control": "control where destroyed",
}
_MEASURES = {
    "hr": "hazard ratio",
    "rr": "risk ratio",
    "or": "odds ratio",
    "difference": "difference",
}
_OTHERS = {
    "objective_response": "complete or partial response",
    "arterial_complication": "a complication of treatment through the hepatic artery",
    "doubling_time_days": "doubling time of the largest lesion",
    "doubling_time_occult_days": "doubling time of occult disease",
    "remnant_growth": "relative growth of the liver remnant",
    "fong_c_index": "c-index of the Fong score",
    "second_line_received": "second line of drugs received",
    "third_line_received": "third line of drugs received",
    "share": "share with",
}
_TESTS = {"ct": "CT", "mri": "MRI", "pet_ct": "PET-CT", "pet_mr": "PET-MRI"}


def spaced(name: str) -> str:
    """A name from a file as words."""
    return name.replace("_", " ")


def at_time(months: float | None) -> str:
    """`at 5 years`, `at 18 months`; nothing without a time."""
    if months is None:
        return ""
    years = months / 12.0
    if years >= 1.0 and math.isclose(years, round(years)):
        return f"at {round(years)} year{'s' if round(years) > 1 else ''}"
    return f"at {months:.3g} months"


def _sensitivity(base: str) -> str:
    name = base.removeprefix("sensitivity_")
    test = name.removesuffix("_after_drugs")
    after = " after drugs" if name != test else ""
    return f"lesions seen by {_TESTS.get(test, test)}{after}"


def _what(figure: Figure, months: float | None) -> str:
    base, curve = figure.base, figure.curve
    if curve and (figure.measure == "hr" or base.endswith("_median_months")):
        return _CURVE[curve] if figure.measure == "hr" else f"median {_CURVE[curve]}"
    if curve:
        return f"{_SHARE_OF[curve]} {at_time(months)}".rstrip()
    if base.startswith("sensitivity_"):
        return _sensitivity(base)
    return _OTHERS.get(base) or describe([base])[0].label


def unit_of(figure: Figure) -> str:
    """What a figure is counted in; a share or a difference of two is a `proportion`."""
    if figure.scale == scales.LOGIT:
        return PERCENT
    if figure.measure not in ("", "difference") or figure.base == "fong_c_index":
        return ""
    for unit in ("months", "days"):
        if figure.base.endswith(f"_{unit}"):
            return unit
    return PERCENT if figure.curve else describe([figure.base])[0].unit


def outcome_of(figure: Figure, months: float | None) -> str:
    """What a figure tells, with its unit; `months` is when its curve is read."""
    parts = [_what(figure, months)]
    parts += [_MEASURES[figure.measure]] if figure.measure else []
    unit = unit_of(figure)
    if unit == PERCENT:
        unit = "percentage points" if figure.measure else ""
    return ", ".join(parts) + (f" ({unit})" if unit else "")


def clock_words(study: Study, figure: Figure) -> str:
    """From when time is counted or who counts at all, where that is not the diagnosis."""
    clock = study.clock_of(figure)
    if figure.base in AT_DIAGNOSIS or (clock == "diagnosis" and not figure.clock):
        return ""
    return f"{'from' if figure.curve else 'of those who reach'} {CLOCKS[clock].label}"


def arms_of(study: Study, figure: Figure) -> str:
    """The arm a figure is of, or the two it compares; nothing where there is but one."""
    if len(study.arms) == 1:
        return ""
    return " against ".join(spaced(name) for name in study.names_of(figure))


def curve_words(curve: PublishedCurve) -> str:
    """What a published curve shows, and in whom."""
    return f"{spaced(curve.arm)}: {_CURVE.get(curve.outcome, spaced(curve.outcome))}"


def written(figure: Figure, value: float, lower: float, upper: float) -> str:
    """A figure with its interval; a dash where there is none."""
    estimate = read_estimate({"estimate": value, "lower": lower, "upper": upper}, 1)
    write = difference if figure.measure == "difference" else level
    return write(estimate, unit_of(figure))


def verdict(one: Judged) -> str:
    """Where the published figure lies."""
    if not math.isfinite(one.place):
        return "not predicted"
    if one.inside:
        return "inside"
    return "outside, above" if one.place > 0.5 else "outside, below"
