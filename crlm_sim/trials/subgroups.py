"""Subgroups tested after the trial as a whole, without more than alpha of false claims.

They are looked at once in each trial: at the look that ends it, if that shows an effect in all
patients. A subgroup at a share 1/j of alpha has the bound of that look that spends at each look 1/j
of what the trial spends, so that ending early does not help it (Maurer & Bretz, Stat Biopharm Res
2013). Within the family claims are made by Holm's or Hochberg's procedure or in the order of the
file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crlm_sim.outcomes.survival import wilson
from crlm_sim.trials import spending
from crlm_sim.trials.boundaries import efficacy_bounds
from crlm_sim.trials.comparisons import Trials
from crlm_sim.trials.file import Design, Trial
from crlm_sim.trials.looks import Patients, Stops, cut, log_hazard_ratio, mean_of
from crlm_sim.trials.people import People
from crlm_sim.trials.spending import Floats

Flags = NDArray[np.bool_]


class Found(NamedTuple):
    """z and log hazard ratio of each subgroup where each trial ends, and how many are in it.

    All are (trials, subgroups).
    """

    z: Floats
    estimate: Floats
    patients: NDArray[np.int64]


def look_into(
    patients: Patients, members: Flags, date: Floats, test: Callable[[Trials], Floats]
) -> Found:
    """The subgroups of `members` (trials, patients, subgroups) at the date of each trial."""
    z, estimate, present = [], [], []
    for number in range(members.shape[2]):
        # To a subgroup everybody else is somebody who never comes.
        enrolment = np.where(members[:, :, number], patients.enrolment, np.inf)
        data = cut(replace(patients, enrolment=enrolment), date)
        z.append(test(data))
        estimate.append(log_hazard_ratio(data))
        present.append(data.number)
    return Found(np.column_stack(z), np.column_stack(estimate), np.column_stack(present))


def bounds_of_shares(design: Design, most: int) -> Floats:
    """Bounds of z at each look for alpha, alpha / 2, … alpha / most: (looks, most)."""
    how = spending.stated(design.spending)
    columns = []
    for parts in range(1, most + 1):

        def spent(fractions: Floats, total: float, parts: int = parts) -> Floats:
            return how(fractions, total * parts) / parts

        columns.append(efficacy_bounds(design.looks, design.alpha / parts, spent))
    return np.column_stack(columns)


def claims(z: Floats, bounds: Floats, how: str) -> Flags:
    """Which subgroups are claimed, (trials, subgroups) like z.

    `bounds` (trials, subgroups) has in column j that of a share 1 / (j + 1) of alpha. `how` is
    "holm" (Holm 1979), "hochberg" (Hochberg 1988: subgroups must not overlap, or be positively
    dependent) or "fixed_sequence", each at full alpha as long as those before it are claimed.
    """
    if how == "fixed_sequence":
        return np.logical_and.accumulate(z >= bounds[:, :1], axis=1)
    order = np.argsort(-z, axis=1, kind="stable")
    passed = np.take_along_axis(z, order, axis=1) >= bounds[:, ::-1]
    if how == "holm":
        passed = np.logical_and.accumulate(passed, axis=1)
    else:
        passed = np.logical_or.accumulate(passed[:, ::-1], axis=1)[:, ::-1]
    found = np.empty_like(passed)
    np.put_along_axis(found, order, passed, axis=1)
    return found


def told(trial: Trial, parts: list[Found], stops: Stops, people: list[People]) -> dict[str, Any]:
    """How often each subgroup is claimed and what is estimated in it, over all replicates."""
    found = Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    bounds = bounds_of_shares(trial.design, len(trial.subgroups))[stops.look]
    claimed = claims(found.z, bounds, trial.design.multiplicity) & stops.shown[:, None]
    alone = found.z >= bounds[:, :1]
    each = []
    for number, said in enumerate(trial.subgroups):
        estimate = found.estimate[:, number]
        each.append(
            {
                "name": said.name,
                "when": said.when,
                "share": float(np.mean([one.members[:, number].mean() for one in people])),
                "patients": float(found.patients[:, number].mean()),
                "power": _share(claimed[:, number]),
                "power_alone": _share(alone[:, number]),
                "hazard_ratio": _ratio(estimate),
                "hazard_ratio_if_claimed": _ratio(estimate[claimed[:, number]]),
            }
        )
    return {
        "multiplicity": trial.design.multiplicity,
        "each": each,
        "any": _share(np.asarray(claimed.any(axis=1))),
        "any_alone": _share(np.asarray(alone.any(axis=1))),
    }


def _share(happened: Flags) -> dict[str, float]:
    share = wilson(int(happened.sum()), len(happened))
    return {"estimate": share.estimate, "lower": share.lower, "upper": share.upper}


def _ratio(logs: Floats) -> float | None:
    """The mean log hazard ratio as a ratio; None if there is none."""
    mean = mean_of(np.where(np.isfinite(logs), logs, math.nan)).estimate
    return None if math.isnan(mean) else math.exp(mean)
