"""Durations, shares and counts as people write them, and back.

Each reader takes a TOML value and gives the number the model uses, or raises `Wrong` with the fix.
"""

from __future__ import annotations

import math
import re

from crlm_sim.scenario.messages import Wrong, nearest, shown

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12.0
MINUTES_PER_DAY = 24 * 60
LONGEST_YEARS = 40
LONGEST_DAYS = LONGEST_YEARS * DAYS_PER_YEAR

_UNITS = {
    "year": DAYS_PER_YEAR,
    "month": DAYS_PER_MONTH,
    "week": 7.0,
    "day": 1.0,
    "hour": 1.0 / 24.0,
    "minute": 1.0 / MINUTES_PER_DAY,
}
_WRITTEN_UNITS = ("year", "month", "week")
_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(\D*?)\s*")

DURATION_PATTERN = r"^\s*\d+(\.\d+)?([eE][+-]?\d+)?\s*(minute|hour|day|week|month|year)s?\s*$"
PRECISION_PATTERN = r"^\s*\d+(\.\d+)?([eE][+-]?\d+)?\s*\D+$"
PERCENT_PATTERN = r"^\s*\d+(\.\d+)?([eE][+-]?\d+)?\s*%\s*$"


def is_number(value: object) -> bool:
    """Whether a TOML value is a number (true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(value: object) -> float:
    """Any number but infinity and not-a-number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Wrong(f"must be a number (got {shown(value)})", _unquoted(value))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Wrong(f"must be a finite number (got {shown(value)})")
    return number


def at_least_zero(value: object) -> float:
    """A number that is not negative."""
    number = finite(value)
    if number < 0.0:
        raise Wrong(f"must not be negative (got {shown(value)})")
    return number


def whole(value: object) -> int:
    """A whole number; `1e5` is one too."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Wrong(f"must be a whole number (got {shown(value)})", _unquoted(value))


def days(value: object) -> float:
    """A duration such as '8 weeks', in days."""
    if is_number(value):
        raise Wrong(f"add the unit: {_with_units(finite(value))} (got {shown(value)})")
    number, unit = number_and_unit(value, "a duration such as '8 weeks'")
    if not unit:
        raise Wrong(f"add the unit: {_with_units(number)} (got {shown(value)})")
    if unit == "%":
        raise Wrong(f"must be a duration such as '8 weeks', not a percentage (got {shown(value)})")
    length = _UNITS.get(unit.removesuffix("s"))
    if length is None:
        names = [f"{name}s" for name in _UNITS]
        raise Wrong(f"unknown unit '{unit}' of time (got {shown(value)})", nearest(unit, names))
    if number < 0.0:
        raise Wrong(f"must not be negative (got {shown(value)})")
    if number * length > LONGEST_DAYS:
        raise Wrong(f"must be at most '{LONGEST_YEARS} years' (got {shown(value)})")
    return number * length


def interval(value: object) -> float:
    """A duration of at least one day: what comes again cannot come again at once."""
    length = days(value)
    if length < 1.0:
        raise Wrong(f"must be at least '1 day' (got {shown(value)})")
    return length


def share(value: object) -> float:
    """A share such as '30 %' or 0.3, between 0 and 1."""
    if is_number(value):
        number = finite(value)
        hint = f"did you mean '{number:g} %'?" if 2.0 <= number <= 100.0 else ""
        return _within_one(number, value, hint)
    number, unit = number_and_unit(value, "a share such as '30 %' or 0.3")
    if not unit:
        raise Wrong(f"must be a share such as '30 %' or 0.3 without quotes (got {shown(value)})")
    if unit != "%":
        raise Wrong(f"must be a share such as '30 %', not '{unit}' (got {shown(value)})")
    return _within_one(number / 100.0, value, "")


def positive_share(value: object) -> float:
    """A share above nothing."""
    number = share(value)
    if number == 0.0:
        raise Wrong(f"must be above '0 %' (got {shown(value)})", "a very small share will do")
    return number


def precision(value: object) -> tuple[float, str]:
    """Number and unit of a half-width such as '5 %' (of the mean) or '2 days'."""
    number, unit = number_and_unit(value, "a precision such as '5 %' of the mean or '2 days'")
    if not unit:
        raise Wrong(f"add the unit: '{number:g} %' of the mean, or that of the outcome")
    if number <= 0.0:
        raise Wrong(f"must be above 0 (got {shown(value)})")
    return number, unit


def _within_one(number: float, value: object, hint: str) -> float:
    if not 0.0 <= number <= 1.0:
        raise Wrong(
            f"must lie between 0 and 1, that is '0 %' and '100 %' (got {shown(value)})", hint
        )
    return number


def number_and_unit(value: object, wanted: str) -> tuple[float, str]:
    """Number and unit of a text. Raises Wrong, naming what is `wanted`, for another value."""
    found = _NUMBER_AND_UNIT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Wrong(f"must be {wanted} (got {shown(value)})")
    return finite(float(found[1])), found[2].casefold()


def _with_units(number: float) -> str:
    """What a bare number may have meant: that many days, or of any unit when there are few."""
    if number < _UNITS["month"]:
        choices = [_counted(number, unit) for unit in ("day", "week", "month")]
    else:
        units = [unit for unit in ("day", "week", "month", "year") if number >= 0.9 * _UNITS[unit]]
        choices = [_counted(max(round(number / _UNITS[unit]), 1), unit) for unit in units]
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _counted(number: float, unit: str) -> str:
    return f"'{number:g} {unit}'" if number == 1 else f"'{number:.12g} {unit}s'"


def _unquoted(value: object) -> str:
    """The advice to leave out the quotes, if the text is a number."""
    if (
        isinstance(value, str)
        and _NUMBER_AND_UNIT.fullmatch(value)
        and not number_and_unit(value, "")[1]
    ):
        return f"write {value.strip()} without quotes"
    return ""


def write_days(length: float) -> str:
    """A duration as text that `days` reads back to the very same number."""
    for unit in _WRITTEN_UNITS:
        number = round(length / _UNITS[unit])
        if number > 0 and number * _UNITS[unit] == length:
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    number_text = str(int(length)) if length.is_integer() else repr(length)
    return f"{number_text} day" if number_text == "1" else f"{number_text} days"
