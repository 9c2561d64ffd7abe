"""The best of several policies with a stated probability, simulating no more than it takes.

The fully sequential procedure of Kim and Nelson (ACM TOMACS 2001), which may be used with common
random numbers: after a first stage of n₀ observations of every policy, one more is made of each
that is still in the race, and a policy is dropped once its sum has fallen too far behind another's.
The policy left is the best with probability at least 1 − α whenever it is better than all others by
the indifference δ or more; else it is within δ of the best.

An observation is the outcome of one block of new patients under every policy in the race, with the
same tumours and the same luck, so that means of blocks may be taken as normal. With parameter draws
each block has a draw of its own, the same for every policy: the best is then the best on average
over what is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.experiments.run import described_economics
from crlm_sim.experiments.simulate import packed_parameters, patient_numbers, simulate_block
from crlm_sim.outcomes.definitions import OUTCOMES, Outcome
from crlm_sim.outcomes.summary import summarise
from crlm_sim.outcomes.tally import Tally
from crlm_sim.scenario import Scenario
from crlm_sim.scenario.messages import Wrong, nearest

FIRST_STAGE = 20
"""Observations of every policy before any is dropped."""

Observe = Callable[[Sequence[int], int], NDArray[np.float64]]
"""One more observation, by its number, of the systems at these places; more is better."""


@dataclass(frozen=True)
class Race:
    """Who won, and of every system its mean and how many observations it took."""

    best: int
    means: NDArray[np.float64]
    observations: NDArray[np.int64]


def select_best(observe: Observe, systems: int, alpha: float, indifference: float) -> Race:
    """The system with the largest mean with probability 1 − `alpha` (Kim and Nelson 2001).

    η = ½ ((2 α / (k − 1))^(−2 / (n₀ − 1)) − 1), h² = 2 η (n₀ − 1); system i is dropped after r
    observations if, for some l, its sum is behind by more than δ/2 (h² S²ᵢₗ / δ² − r) ≥ 0, S²ᵢₗ
    being the variance of the first stage's differences. Raises ValueError for fewer than two
    systems, or unless 0 < α < 1 − 1/k and δ > 0.
    """
    if systems < 2 or not 0.0 < alpha < 1.0 - 1.0 / systems or indifference <= 0.0:
        raise ValueError("two systems, an error between 0 and 1 − 1/k and an indifference above 0")
    first = np.stack([observe(range(systems), j) for j in range(FIRST_STAGE)])
    eta = 0.5 * ((2.0 * alpha / (systems - 1)) ** (-2.0 / (FIRST_STAGE - 1)) - 1.0)
    h_squared = 2.0 * eta * (FIRST_STAGE - 1)
    differences = first[:, :, None] - first[:, None, :]
    reach = h_squared * differences.var(axis=0, ddof=1) / indifference**2
    sums = first.sum(axis=0)
    made = np.full(systems, FIRST_STAGE)
    racing = list(range(systems))
    most = math.floor(reach.max())
    r = FIRST_STAGE
    while True:
        slack = indifference / 2.0 * np.maximum(reach - r, 0.0)
        racing = [i for i in racing if all(sums[i] >= sums[k] - slack[i, k] for k in racing)]
        if len(racing) == 1 or r > most:
            break
        sums[racing] += observe(racing, r)
        made[racing] += 1
        r += 1
    best = max(racing, key=lambda i: sums[i])
    return Race(best, sums / made, made)


def outcome_named(name: str) -> Outcome:
    """The outcome of that name, if it is known which way is better. Raises Wrong otherwise."""
    able = {one.name: one for one in OUTCOMES if one.higher_is_better is not None}
    if name not in able:
        raise Wrong(
            f"no outcome '{name}' of which more or less is better", nearest(name, tuple(able))
        )
    return able[name]


def best_policy(
    scenario: Scenario,
    outcome: Outcome,
    indifference: float,
    *,
    alpha: float = 0.05,
    block_patients: int = 1_000,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Which policy of a scenario has the best outcome, as plain values.

    `indifference` is in the outcome's unit (a proportion, months, pounds). `progress` is called
    with policies dropped so far and policies to be dropped at most. Raises ValueError as
    `select_best`, and if a block cannot tell the outcome, as a median that half do not reach.
    """
    names = scenario.policy_names
    sign = 1.0 if outcome.higher_is_better else -1.0
    several = scenario.run.draws != "mean"
    blocked = scenario.run.model_copy(update={"patients": block_patients})
    small = scenario.model_copy(update={"run": blocked})

    def observe(places: Sequence[int], number: int) -> NDArray[np.float64]:
        if progress:
            progress(len(names) - len(places), len(names) - 1)
        draw = number + 1 if several else 0
        params = packed_parameters(scenario, draw)
        tally = Tally.empty([names[p] for p in places], scenario.horizon_minutes)
        found = patient_numbers(small, block_patients, params=params, draw=draw, replicate=number)
        for numbers in found:
            for place, system in enumerate(places):
                block = simulate_block(
                    scenario,
                    names[system],
                    numbers,
                    params=params,
                    draw=draw,
                    replicate=number,
                    threads=threads,
                )
                tally.add(place, block.patients)
        levels = summarise(tally, tally.policies[0], [outcome])["policies"]
        values = [levels[name][outcome.name]["estimate"] for name in tally.policies]
        if None in values:
            text = f"{outcome.name} cannot be told of {block_patients:,} patients"
            raise ValueError(f"{text}: take larger blocks or another outcome")
        return sign * np.array(values, float)

    race = select_best(observe, len(names), alpha, indifference)
    return {
        "title": scenario.title,
        "seed": scenario.run.seed,
        "draws": "one for each block" if several else "mean",
        "outcome": outcome.name,
        "label": outcome.label,
        "unit": outcome.unit,
        "indifference": indifference,
        "probability": 1.0 - alpha,
        "block_patients": block_patients,
        "economics": described_economics(scenario),
        "best": names[race.best],
        "labels": {policy.name: policy.label for policy in scenario.policies},
        "policies": {
            name: {
                "mean": sign * float(race.means[place]),
                "patients": int(race.observations[place]) * block_patients,
            }
            for place, name in enumerate(names)
        },
    }
