"""How numbers are written for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

SIMULATION, PARAMETER = "simulation", "parameter"
PERCENT = "proportion"
_MINUS, _SPACE = "−", "\u00a0"
_ROUNDING_ERROR = 1e-12
_MOST_DECIMALS, _MOST_LEVEL_DECIMALS = 4, 2


@dataclass(frozen=True)
class Estimate:
    """A result with its 95 % interval, and what kind of uncertainty the interval shows."""

    value: float
    lower: float | None = None
    upper: float | None = None
    interval: str = SIMULATION
    simulation_lower: float | None = None
    simulation_upper: float | None = None

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return self.lower is not None and self.upper is not None

    @property
    def is_nothing(self) -> bool:
        """Whether a difference is exactly zero with certainty: both policies do the same."""
        return self.value == 0 and self.lower == 0 and self.upper == 0

    @property
    def side(self) -> int:
        """−1 or 1 if the whole interval lies below or above zero, 0 if not or not known."""
        if self.lower is not None and self.lower > 0:
            return 1
        if self.upper is not None and self.upper < 0:
            return -1
        return 0


def _number(found: Any) -> float | None:
    if found is None or isinstance(found, bool):
        return None
    value = float(found)
    if not math.isfinite(value):
        return None
    return 0.0 if abs(value) < _ROUNDING_ERROR else value


def read_estimate(entry: Any, draws: int) -> Estimate | None:
    """An entry of the summary, or None where there is nothing to estimate.

    A run of one draw of the parameters can only show simulation error.
    """
    if not isinstance(entry, dict):
        return None
    value = _number(entry.get("estimate"))
    if value is None:
        return None
    return Estimate(
        value=value,
        lower=_number(entry.get("lower")),
        upper=_number(entry.get("upper")),
        interval=str(entry.get("interval") or (PARAMETER if draws > 1 else SIMULATION)),
        simulation_lower=_number(entry.get("simulation_lower")),
        simulation_upper=_number(entry.get("simulation_upper")),
    )


def scale_of(unit: str) -> float:
    """What a value is multiplied by before it is written."""
    return 100.0 if unit == PERCENT else 1.0


def _enough_decimals(numbers: list[float], width: float) -> int:
    """Decimals that show two figures of the interval's width and no non-zero end as zero."""
    decimals = 1 if width <= 0 else min(max(1 - math.floor(math.log10(width)), 0), 3)
    while decimals < _MOST_DECIMALS and any(n != 0 and round(n, decimals) == 0 for n in numbers):
        decimals += 1
    return decimals


def _write(number: float, decimals: int, signed: bool) -> str:
    text = f"{abs(number):,.{decimals}f}"
    if round(number, decimals) < 0:
        return _MINUS + text
    return "+" + text if signed and round(number, decimals) > 0 else text


def _written(estimate: Estimate, unit: str, signed: bool) -> tuple[str, str]:
    scale = scale_of(unit)
    if estimate.lower is None or estimate.upper is None:
        number = estimate.value * scale
        return _write(number, _enough_decimals([number], 0.0), signed), ""
    numbers = [n * scale for n in (estimate.value, estimate.lower, estimate.upper)]
    decimals = _enough_decimals(numbers if signed else [], numbers[2] - numbers[1])
    decimals = decimals if signed else min(decimals, _MOST_LEVEL_DECIMALS)
    value, lower, upper = (_write(n, decimals, signed) for n in numbers)
    return value, f"{lower} to {upper}"


def _suffix(unit: str, signed: bool) -> str:
    if unit == PERCENT:
        return f"{_SPACE}percentage points" if signed else f"{_SPACE}%"
    return f"{_SPACE}{unit}" if unit else ""


def level(estimate: Estimate | None, unit: str) -> str:
    """A level in a table, such as `31.2 % (29.8 to 32.5)`; a dash where not estimable."""
    if estimate is None:
        return "–"
    value, interval = _written(estimate, unit, signed=False)
    value += f"{_SPACE}%" if unit == PERCENT else ""
    return f"{value} ({interval})" if interval else value


def simulation_interval(estimate: Estimate | None, unit: str, signed: bool = False) -> str:
    """The interval of simulation error alone, where a run gives it besides the other."""
    if estimate is None or estimate.interval == SIMULATION:
        return ""
    if estimate.simulation_lower is None or estimate.simulation_upper is None:
        return ""
    alone = Estimate(estimate.value, estimate.simulation_lower, estimate.simulation_upper)
    return _written(alone, unit, signed)[1]


def level_in_words(estimate: Estimate, unit: str) -> str:
    """A level in a sentence, with its unit."""
    value, interval = _written(estimate, unit, signed=False)
    value += _suffix(unit, signed=False)
    return f"{value} (95{_SPACE}% interval {interval})" if interval else value


def difference(estimate: Estimate | None, unit: str) -> str:
    """A difference in a table, signed: `+1.3 (−0.2 to +2.8)`."""
    if estimate is None:
        return "–"
    value, interval = _written(estimate, unit, signed=True)
    return f"{value} ({interval})" if interval else value


def difference_in_words(estimate: Estimate, unit: str) -> str:
    """A difference in a sentence: `1.3 percentage points higher (95 % interval …)`."""
    value, interval = _written(estimate, unit, signed=True)
    way = "higher" if estimate.value > 0 else "lower"
    return (
        f"{value.lstrip('+' + _MINUS)}{_suffix(unit, signed=True)} {way} "
        f"(95{_SPACE}% interval {interval})"
    )


def signed_in_words(estimate: Estimate, unit: str) -> str:
    """A difference in brackets in a sentence: `−0.2 percentage points, 95 % interval …`."""
    value, interval = _written(estimate, unit, signed=True)
    return f"{value}{_suffix(unit, signed=True)}, 95{_SPACE}% interval {interval}"


def plain(value: Any) -> str:
    """Anything from a file, as a reader would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", _MINUS)
    if isinstance(value, int):
        return str(value).replace("-", _MINUS)
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {plain(item)}" for key, item in value.items())
    return str(value)
