"""Who a hospital serves: so many people, or men and women by age band."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from crlm_sim.scenario import quantities
from crlm_sim.scenario.messages import Wrong, shown

_BAND = re.compile(r"(\d+)\s*(?:[-–]\s*(\d+)|\+)")
_BAND_HINT = "such as '50-74', or '75+' for the last"
_PAIR_HINT = 'such as "50-74" = [81_000, 84_000]'
_LATEST = 90
"""The last band begins here at the latest: beyond, nobody says how people are spread."""

Bands = dict[str, tuple[float, float]]
"""Men and women by age band, the bands in order of age."""


def years_of(band: str) -> tuple[int, int | None]:
    """First year of age in a band, and the first beyond it; None for the last band."""
    found = _BAND.fullmatch(band.strip())
    if found is None:
        raise Wrong(f"is no age band (got {shown(band)})", _BAND_HINT)
    first, last = int(found[1]), None if found[2] is None else int(found[2]) + 1
    if last is not None and last <= first:
        raise Wrong(f"must end after it begins (got {shown(band)})", _BAND_HINT)
    return first, last


def _read_band(value: object) -> str:
    band = str(value)
    years_of(band)
    return band


def _read_pair(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise Wrong(f"must be two numbers, men and women (got {shown(value)})", _PAIR_HINT)
    men, women = (quantities.at_least_zero(number) for number in value)
    return men, women


_BANDS = TypeAdapter(
    dict[
        Annotated[str, BeforeValidator(_read_band)],
        Annotated[tuple[float, float], BeforeValidator(_read_pair)],
    ]
)


def _read_population(value: object) -> float | Bands:
    """A number of people, or a table in which every age is counted once."""
    if not isinstance(value, dict):
        return quantities.at_least_zero(value)
    bands = dict(sorted(_BANDS.validate_python(value).items(), key=lambda one: years_of(one[0])[0]))
    expected: int | None = 0
    for band in bands:
        first, last = years_of(band)
        if expected is None or first < expected:
            raise Wrong(f"'{band}' counts people that another age band counts too")
        if first > expected:
            raise Wrong(f"nobody is counted at the ages {expected} to {first - 1}", _BAND_HINT)
        expected = last
    if expected is not None:
        raise Wrong(f"nobody is counted from the age of {expected} on", f"add '{expected}+'")
    if first > _LATEST:
        raise Wrong(f"the last age band begins at {_LATEST} at the latest (got '{band}')")
    return bands


def people(population: float | Bands) -> float:
    """How many they are."""
    if isinstance(population, dict):
        return sum(sum(pair) for pair in population.values())
    return population


_PAIR = {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2, "maxItems": 2}
People = Annotated[
    float | Bands,
    BeforeValidator(_read_population),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "object", "additionalProperties": _PAIR},
            ]
        }
    ),
]
