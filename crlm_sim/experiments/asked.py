"""What precision is asked of which outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crlm_sim.scenario.kinds import MAIN, POINTS, Precision
from crlm_sim.scenario.messages import nearest

_SHARES = ("share", "proportion")


class UnknownOutcome(ValueError):
    """A precision is asked of something that no arm reports, or in another unit."""


def asked_of(
    precision: Mapping[str, Precision], units: Mapping[str, str], main: Sequence[str]
) -> dict[str, Precision]:
    """The precision of each outcome named, those of `main` if it is asked of the main ones.

    `units` are those of all outcomes there are. Raises UnknownOutcome.
    """
    found = {name: precision[MAIN] for name in main if MAIN in precision and name in units}
    found |= {name: one for name, one in precision.items() if name != MAIN}
    for name, one in found.items():
        if name not in units:
            hint = nearest(name, list(units))
            raise UnknownOutcome(f"run.precision: no outcome is called '{name}'; {hint}")
        unit = POINTS if units[name] in _SHARES else units[name]
        if not (one.relative or unit.startswith(one.unit.removesuffix("s"))):
            raise UnknownOutcome(
                f"run.precision.{name}: must be in per cent of its mean, such as '5 %', or in its "
                f"unit, such as '2 {unit}' (got '{one}')"
            )
    return found
