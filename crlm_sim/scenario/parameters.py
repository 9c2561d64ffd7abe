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
    measure = parameter.unit in _MEASURES and min(parameter.value) >= 0.0
    least = 0.0 if parameter.law == "lognormal" or measure else None
    return least, _MOST.get(parameter.unit)


def takes_percent(parameter: Parameter) -> bool:
    """Whether '30 %' makes sense for the parameter."""
    return parameter.unit == _PROBABILITY or parameter.law == "logitnormal"


def _read_number(parameter: Parameter, value: object) -> float:
    if takes_percent(parameter):
        return quantities.share(value)
    if parameter.unit == "days" and isinstance(value, str):
        return quantities.days(value)
    number = quantities.finite(value)
    least, most = least_and_most(parameter)
    if least is not None and number < least:
        rate = "a rate" if parameter.unit.startswith("1/") else f"a number of {parameter.unit}"
        noun = "it" if parameter.unit not in _MEASURES else rate
        raise Wrong(f"{noun} must not be negative (got {shown(value)})")
    if number == 0.0 and parameter.law == "lognormal" and parameter.unit in _LOGARITHM_TAKEN:
        raise Wrong(f"must be above zero (got {shown(value)})")
    if most is not None and number > most:
        raise Wrong(f"must be at most {most:g} {parameter.unit} (got {shown(value)})")
    return number
