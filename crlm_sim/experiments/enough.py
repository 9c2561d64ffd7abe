"""Whether a run with queues is repeated often enough and begins to count late enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crlm_sim.disease.patient import MINUTES_PER_DAY
from crlm_sim.engines.diary import DAYS_PER_WEEK
from crlm_sim.experiments.replications import Found
from crlm_sim.outcomes.planning import Planned, Window
from crlm_sim.outcomes.precision import allowed, expected, half_width, required
from crlm_sim.outcomes.warm_up import LEAST_WEEKS, mser
from crlm_sim.scenario.kinds import Precision

MAIN_OUTCOMES = ("wait_liver_theatre_mean_days", "resected")
"""What a precision is about if it names nothing."""
_USUAL = Precision(5.0, "%")
"""The precision for which the number of replications is told if none is asked for."""
_LEAST_QUEUE = 0.1
"""A queue of fewer patients on average is hardly ever there, and says nothing of the warm-up."""


# How often ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Precise:
    """The precision asked of each outcome, and the fewest and most replications for it."""

    asked: Mapping[str, Precision]
    least: int
    most: int


def needed(found: Found, arms: int, precise: Precise) -> tuple[int, bool]:
    """(replications there have to be as far as is known, whether they are precise enough).

    Every outcome asked for must be precise under every arm.
    """
    if not precise.asked:
        return precise.least, True
    series = [
        (values, one.size, one.relative)
        for name, one in precise.asked.items()
        for values in values_of(found, name, arms)
    ]
    return required(series, precise.least, precise.most)


def values_of(found: Found, name: str, arms: int) -> np.ndarray:
    """One outcome, shape (arms, replications); nan where it cannot be told."""
    number = len(found) // arms
    said = [[found[arm, r]["outcomes"].get(name) for r in range(number)] for arm in range(arms)]
    return np.array(said, dtype=float).reshape(arms, number)


def precision_of(
    found: Found, arms: Sequence[str], about: Mapping[str, Planned], precise: Precise
) -> dict[str, Any]:
    """How precise the means are that matter, and how many replications would do, by arm.

    For those that are asked for; else for the usual ones. Half-widths are in the outcome's unit.
    """
    asked = precise.asked or {name: _USUAL for name in MAIN_OUTCOMES if name in about}
    values = {name: values_of(found, name, len(arms)) for name in asked}
    return {
        "asked": bool(precise.asked),
        "reached": needed(found, len(arms), precise)[1] if precise.asked else None,
        "outcomes": {
            name: {
                "precision": str(one),
                "arms": {
                    arm: _how_precise(values[name][place], one) for place, arm in enumerate(arms)
                },
            }
            for name, one in asked.items()
        },
    }


def _how_precise(values: np.ndarray, asked: Precision) -> dict[str, float | int | None]:
    half = half_width(values)
    wanted = allowed(values, asked.size, asked.relative)
    return {
        "half_width": half if np.isfinite(half) else None,
        "wanted": wanted if np.isfinite(wanted) else None,
        "replications_needed": expected(values, asked.size, asked.relative),
    }


# How late -----------------------------------------------------------------------------------------


def warm_up_of(found: Found, arms: Sequence[str], window: Window) -> dict[str, Any]:
    """The warm-up stated and those that the queues suggest, in weeks, by arm and service.

    From mean queues by week over replications until nothing counts any more. None for a queue
    that finds no steady state, and for all of them in a run too short to tell.
    """
    start, end = (minute / (DAYS_PER_WEEK * MINUTES_PER_DAY) for minute in window)
    by_arm = {
        arm: _suggested([one["weeks"] for (n, _), one in found.items() if n == place], int(end))
        for place, arm in enumerate(arms)
    }
    known = [weeks for one in by_arm.values() for weeks in one.values() if weeks is not None]
    return {
        "stated_weeks": start,
        "suggested_weeks": max(known, default=None),
        "services": by_arm,
    }


def _suggested(weeks: Sequence[Mapping[str, Any]], end: int) -> dict[str, int | None]:
    """Of one arm, the warm-up that each service suggests whose queue is worth the name."""
    queues = {
        name: np.mean([one[name]["queue"][:end] for one in weeks], axis=0) for name in weeks[0]
    }
    return {
        name: mser(queue)
        for name, queue in queues.items()
        if len(queue) >= LEAST_WEEKS and queue.mean() >= _LEAST_QUEUE
    }
