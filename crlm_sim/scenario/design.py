"""Designs of experiments: from the keys that vary and how, to the points at which to simulate.

A point gives every key one TOML value, which the scenario then reads as if it stood in its file.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crlm_sim.scenario import quantities
from crlm_sim.scenario.messages import Wrong, nearest, shown

GRID, LATIN_HYPERCUBE, SOBOL = METHODS = ("grid", "latin_hypercube", "sobol")
MOST_POINTS = 10_000
RANGE = ("low", "high")
_DIGITS = 6
"""Significant digits of drawn values: they are read by people, and the digits are the value."""


@dataclass(frozen=True)
class Range:
    """Every value between two, both in the same unit ("" for plain numbers)."""

    low: float
    high: float
    unit: str

    def at(self, share: float) -> Any:
        """The value at a share of the way, as a scenario file writes it."""
        value = float(f"{self.low + share * (self.high - self.low):.{_DIGITS}g}")
        return f"{value!r} {self.unit}" if self.unit else value


Levels = tuple[Any, ...] | Range
Values = dict[str, Any]
"""A point: TOML values by key of the scenario."""


def read_levels(value: object) -> Levels:
    """A list of values, or `{ low, high }`. Raises Wrong for anything else."""
    if isinstance(value, list):
        if not value:
            raise Wrong("the list of values is empty", "leave the key out, or give it values")
        if any(value.count(one) > 1 for one in value):
            raise Wrong("a value is given twice")
        return tuple(value)
    if isinstance(value, dict):
        return _read_range(value)
    raise Wrong(f"must be a list of values (got {shown(value)})", f"write [{shown(value)}]")


def _read_range(value: Mapping[str, Any]) -> Range:
    unknown = [key for key in value if key not in RANGE]
    if unknown:
        raise Wrong(f"unknown key '{unknown[0]}'", nearest(unknown[0], RANGE))
    missing = [key for key in RANGE if key not in value]
    if missing:
        raise Wrong(f"{missing[0]} is missing", "a range is written { low = …, high = … }")
    (low, unit), (high, other) = (_number_and_unit(value[key]) for key in RANGE)
    if unit != other:
        text = f"low and high differ in unit ({shown(value['low'])}, {shown(value['high'])})"
        raise Wrong(text, "write both in the same")
    if low >= high:
        raise Wrong(f"low must be below high (got {shown(value['low'])}, {shown(value['high'])})")
    return Range(low, high, unit)


def _number_and_unit(value: object) -> tuple[float, str]:
    if isinstance(value, str):
        number, unit = quantities.number_and_unit(value, "a number, or one with its unit")
        return number, unit if unit == "%" else f"{unit.removesuffix('s')}s"
    return quantities.finite(value), ""


def points(method: str, keys: Mapping[str, Levels], number: int, seed: int) -> list[Values]:
    """The points of a design, in a fixed order.

    "grid" takes every combination of the lists, the last key changing fastest. The others spread
    `number` points over ranges and lists (scipy.stats.qmc), each value of a list equally often; a
    `seed` gives the same points with the same version of scipy.
    """
    if method == GRID:
        lists = [levels for levels in keys.values() if isinstance(levels, tuple)]
        return [dict(zip(keys, values, strict=True)) for values in itertools.product(*lists)]
    return [
        {
            key: _level(levels, float(share))
            for (key, levels), share in zip(keys.items(), row, strict=True)
        }
        for row in _shares(method, number, len(keys), seed)
    ]


def _shares(method: str, number: int, size: int, seed: int) -> Any:
    from scipy.stats import qmc

    if method == SOBOL:
        return qmc.Sobol(size, scramble=True, seed=seed).random(number)
    return qmc.LatinHypercube(size, seed=seed).random(number)


def _level(levels: Levels, share: float) -> Any:
    if isinstance(levels, Range):
        return levels.at(share)
    return levels[int(share * len(levels))]


def check_number(method: str, number: int | None) -> None:
    """Raise Wrong unless a design of this method can have so many points."""
    if method == GRID and number is not None:
        raise Wrong("a grid has as many points as its lists make", "leave points out")
    if method != GRID and number is None:
        raise Wrong("is missing", "say how many, such as points = 64")
    if method == SOBOL and number and number & (number - 1):
        near = 2 ** round(math.log2(number))
        raise Wrong(f"a Sobol design needs a power of two (got {number})", f"such as {near}")


def check_levels(method: str, levels: Levels) -> None:
    """Raise Wrong for a range in a grid."""
    if method == GRID and isinstance(levels, Range):
        raise Wrong("a grid needs a list of values", f'or method = "{LATIN_HYPERCUBE}"')


def size_of(keys: Sequence[Levels]) -> int:
    """How many points a grid of these lists has."""
    return math.prod(len(levels) for levels in keys if isinstance(levels, tuple))
