"""Numbers of trials as their tables write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DASH = "—"


def value(number: float | None, digits: int = 1) -> str:
    """A number, a dash if there is none."""
    return _DASH if number is None else f"{number:,.{digits}f}"


def percent(share: float) -> str:
    """A share with the sign."""
    return f"{100.0 * share:.1f} %"


def interval(entry: Mapping[str, float | None], digits: int = 1, factor: float = 1.0) -> str:
    """An estimate with its interval, all of them times `factor`."""
    low, middle, high = (entry[key] for key in ("lower", "estimate", "upper"))
    if middle is None:
        return _DASH
    text = f"{factor * middle:,.{digits}f}"
    if low is None or high is None or high - low < 1e-9:
        return text
    return f"{text} ({factor * low:,.{digits}f} to {factor * high:,.{digits}f})"


def people_note(found: Mapping[str, Any]) -> list[str]:
    """What the finite number of people drawn from adds to the error of the power."""
    if found["truth"] != "model":
        return []
    error = 100.0 * found["power_error_of_people"]
    return [
        "Intervals are of the replicates. That the people are so many adds a standard error of"
        f" {error:.1f} points of power (more: run.patients)."
    ]
