"""The parameters that are learned, as independent standard normals under their prior.

The prior of a parameter is its law in `evidence/`: the value is the median, and z standard normals
away from it is the same move that a draw makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crlm_sim.evidence import parameters
from crlm_sim.evidence.parameters import moved

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coordinate:
    """One uncertain number: a parameter, or one place of a list, as `name[2]`."""

    name: str
    law: str
    value: float
    lower: float
    upper: float

    def at(self, z: float) -> float:
        """Its value z prior standard deviations from the median."""
        return moved(self.law, self.value, self.lower, self.upper, z)


def every_coordinate() -> list[Coordinate]:
    """Every number of the evidence that is not certain, in the order of the tables."""
    found = []
    for name, parameter in parameters().items():
        if parameter.law == "fixed" or parameter.lower is None or parameter.upper is None:
            continue
        ends = zip(parameter.value, parameter.lower, parameter.upper, strict=True)
        for place, (value, lower, upper) in enumerate(ends):
            if lower < upper:
                full = name if parameter.is_scalar else f"{name}[{place}]"
                found.append(Coordinate(full, parameter.law, value, lower, upper))
    return found


def coordinates(names: Sequence[str]) -> list[Coordinate]:
    """The coordinates of these names, in their order. Raises KeyError for an unknown one."""
    known = {one.name: one for one in every_coordinate()}
    return [known[name] for name in names]


def values_at(space: Sequence[Coordinate], z: Floats) -> dict[str, float]:
    """Parameter values at a point of standard normals, shape (coordinates,)."""
    return {one.name: one.at(float(number)) for one, number in zip(space, z, strict=True)}
