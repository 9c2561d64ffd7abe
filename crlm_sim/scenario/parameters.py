"""Values a scenario gives to parameters of the evidence tables: which names, which numbers."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from crlm_sim.disease.patient import CLONES
from crlm_sim.evidence import Parameter, parameters
from crlm_sim.scenario import quantities
from crlm_sim.scenario.messages import Wrong, shown

_PROBABILITY = "probability"
_MEASURES = {
    "1/day",
    "1/year",
    "cm",
    "cycles",
    "days",
    "dose",
    "doses per cycle",
    "hazard ratio",
    "kg",
    "lesions",
    "mL",
    "minutes",
    "mm",
    "ng/mL",
    "ratio",
    "segments",
    "share of liver",
    "years",
}
"""Units of things that cannot be less than nothing."""
_NEVER_ZERO = {
    "growth_rate_per_day",
    "lesion_stop_probability",
    "regrowth_injury_slowing",
    "regrowth_time_days",
    "segment_share",
    "sinusoidal_half_life_days",
    "steatohepatitis_half_life_days",
}
"""Parameters the model divides by; a very small number does where none at all is meant."""
_LOGARITHMS = ("log ", "SD of log ")
_LARGEST_LOGARITHM = 50.0
"""Beyond it numbers overflow; nothing alive differs by a factor of exp(50)."""
_LOGARITHM_TAKEN = {"hazard ratio", "mL", "mm"}
"""Units of log-normal parameters that the model divides by or takes the logarithm of."""
_MOST = {
    "days": quantities.LONGEST_DAYS,
    "lesions": float(CLONES),
    "minutes": quantities.LONGEST_DAYS * quantities.MINUTES_PER_DAY,
}


@cache
def population_names() -> tuple[str, ...]:
    """Parameters that describe who is diagnosed."""
    text = resources.files("crlm_sim.evidence").joinpath("population.toml").read_text("utf-8")
    return tuple(name for group in tomllib.loads(text).values() for name in group)


@cache
def all_names() -> tuple[str, ...]:
    """Every parameter a scenario may set."""
    return tuple(parameters())


def read_values(name: str, value: object) -> tuple[float, ...]:
    """The numbers a scenario gives to a parameter; raises `Wrong` with the fix."""
    parameter = parameters()[name]
    wanted = len(parameter.value)
    items = value if isinstance(value, list) else [value]
    if len(items) != wanted or isinstance(value, list) == parameter.is_scalar:
        form = "one number" if parameter.is_scalar else f"a list of {wanted} numbers"
        example = [f"{number:g}" for number in parameter.value]
        hint = f"such as {example[0]}" if parameter.is_scalar else f"such as [{', '.join(example)}]"
        raise Wrong(f"must be {form} (got {shown(value)})", hint)
    return tuple(_read_number(parameter, item) for item in items)


def least_and_most(parameter: Parameter) -> tuple[float | None, float | None]:
    """The range of a parameter's numbers, where it has one."""
    if parameter.unit == _PROBABILITY or parameter.law == "logitnormal":
        return 0.0, 1.0
    least = 0.0 if _cannot_be_negative(parameter) else None
    most = _MOST.get(parameter.unit)
    if parameter.unit.startswith(_LOGARITHMS):
        most = _LARGEST_LOGARITHM
        least = -most if least is None else least
    return least, most


def _cannot_be_negative(parameter: Parameter) -> bool:
    spread = parameter.unit.startswith("SD of") or parameter.unit == "relative SD"
    measure = parameter.unit in _MEASURES and min(parameter.value) >= 0.0
    return parameter.law == "lognormal" or spread or measure


def takes_percent(parameter: Parameter) -> bool:
    """Whether '30 %' makes sense for the parameter."""
    return parameter.unit == _PROBABILITY or parameter.law == "logitnormal"


def _read_number(parameter: Parameter, value: object) -> float:
    number = _in_unit(parameter, value)
    least, most = least_and_most(parameter)
    if least is not None and number < least:
        if least < 0.0:
            raise Wrong(f"must be at least {least:g} (got {shown(value)})")
        what = "a rate " if parameter.unit.startswith("1/") else ""
        raise Wrong(f"{what}must not be negative (got {shown(value)})")
    if number == 0.0 and _cannot_be_zero(parameter):
        raise Wrong(f"must be above zero (got {shown(value)})", "use a very small number, as 1e-9")
    if most is not None and number > most:
        unit = f" {parameter.unit}" if parameter.unit in _MOST else ""
        raise Wrong(f"must be at most {most:g}{unit} (got {shown(value)})")
    return number


def _in_unit(parameter: Parameter, value: object) -> float:
    """The number in the parameter's unit, whatever it was written in."""
    if takes_percent(parameter):
        return quantities.share(value)
    if parameter.unit == "days" and isinstance(value, str):
        return quantities.days(value)
    return quantities.finite(value)


def _cannot_be_zero(parameter: Parameter) -> bool:
    logarithm = parameter.law == "lognormal" and parameter.unit in _LOGARITHM_TAKEN
    return logarithm or parameter.name in _NEVER_ZERO
