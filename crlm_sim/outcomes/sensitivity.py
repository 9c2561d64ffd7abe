"""Which parameters matter: the tornado from the draws, and designs of their own through SALib.

The tornado and the value of information need nothing but the parameter draws of a run. Sobol's and
Morris's methods need runs at inputs that they choose themselves: ask for a design, simulate each of
its rows, and hand the outputs back. Inputs are uniform between their bounds, whatever is known of
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crlm_sim.outcomes.decision import Draws, checked_thresholds, place_of, quantiles
from crlm_sim.outcomes.regression import checked_parameters, surface
from crlm_sim.outcomes.survival import Estimate

Floats = NDArray[np.float64]
Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """One bar of a tornado: the expected incremental net benefit when a parameter is low or high.

    `low` and `high` are the parameter's values, `at_low` and `at_high` the ends of the bar.
    """

    parameter: str
    low: float
    high: float
    at_low: float
    at_high: float


@dataclass(frozen=True)
class Share:
    """Of the output's variance, what a parameter explains alone (`first`) and in all (`total`)."""

    parameter: str
    first: Estimate
    total: Estimate


@dataclass(frozen=True)
class Effect:
    """What crossing a parameter's range does to the output.

    `size` is the mean of absolute elementary effects (Morris's mu*), `spread` their standard
    deviation (sigma), which is zero if the output is linear in the parameter and in no other way
    depends on where it is.
    """

    parameter: str
    size: Estimate
    spread: float


def tornado(
    draws: Draws,
    threshold: float,
    names: Sequence[str],
    parameters: ArrayLike,
    policy: str,
    reference: str,
    level: float = 0.95,
) -> tuple[float, list[Bar]]:
    """(expected incremental net benefit, a bar for each parameter, widest first).

    The bar of a parameter is E[NB(policy) − NB(reference) | parameter] at the ends of its middle
    `level` over the draws, from the same regression as the value of information. All other
    parameters vary as they do when this one has that value, and so a correlated parameter takes
    part of the others' effect. `parameters` has shape (draws, parameters).
    """
    values = checked_parameters(draws, names, parameters)
    worth = float(checked_thresholds(threshold)[0])
    ours, theirs = place_of(draws, policy), place_of(draws, reference)
    ends = quantiles(draws, values, [0.5 - level / 2.0, 0.5 + level / 2.0])
    bars = []
    for place, name in enumerate(names):
        cost, effect = surface(draws, values[:, [place]])(ends[:, [place]])
        benefit = worth * effect - cost
        at_low, at_high = benefit[:, ours] - benefit[:, theirs]
        low, high = ends[:, place]
        bars.append(Bar(name, float(low), float(high), float(at_low), float(at_high)))
    bars.sort(key=lambda bar: -abs(bar.at_high - bar.at_low))
    benefit = worth * draws.effect - draws.cost
    return float(draws.weights @ (benefit[:, ours] - benefit[:, theirs])), bars


def sobol_design(bounds: Bounds, points: int, seed: int) -> Floats:
    """Inputs to simulate for `sobol_shares`, shape (points (parameters + 2), parameters).

    Saltelli's design on a scrambled Sobol sequence, so `points` must be a power of two.
    """
    from SALib.sample import sobol

    if points < 2 or points & (points - 1):
        raise ValueError(f"points must be a power of two, got {points}")
    design: Floats = sobol.sample(_problem(bounds), points, calc_second_order=False, seed=seed)
    return design


def sobol_shares(bounds: Bounds, outputs: ArrayLike, seed: int) -> list[Share]:
    """First-order and total Sobol indices from the outputs (rows,) of a `sobol_design`.

    Saltelli et al., Comput Phys Commun 2010; 181: 259. 95 % intervals from 1,000 resamples of the
    design's points, which `seed` chooses.
    """
    from SALib.analyze import sobol

    values = _checked_outputs(outputs, len(bounds) + 2)
    if np.ptp(values) == 0.0:
        raise ValueError("the outputs do not vary, so there is nothing to share out")
    # SALib takes a seed of 0 for no seed.
    found = sobol.analyze(
        _problem(bounds), values, calc_second_order=False, num_resamples=1000, seed=seed + 1
    )
    columns = zip(bounds, found["S1"], found["S1_conf"], found["ST"], found["ST_conf"], strict=True)
    return [Share(name, _about(s1, c1), _about(st, ct)) for name, s1, c1, st, ct in columns]


def morris_design(bounds: Bounds, trajectories: int, seed: int) -> Floats:
    """Inputs to simulate for `morris_effects`, (trajectories (parameters + 1), parameters).

    Each trajectory changes one parameter after the other on a grid of four levels.
    """
    from SALib.sample import morris

    if trajectories < 2:
        raise ValueError(f"there must be at least two trajectories, got {trajectories}")
    design: Floats = morris.sample(_problem(bounds), trajectories, seed=seed)
    return design


def morris_effects(bounds: Bounds, design: Floats, outputs: ArrayLike, seed: int) -> list[Effect]:
    """Elementary effects from the outputs (rows,) of a `morris_design`, in units of the output.

    Morris, Technometrics 1991; 33: 161, with mu* of Campolongo et al. 2007. The effect of a step is
    scaled to the whole range. 95 % intervals from 1,000 resamples of the trajectories.
    """
    from SALib.analyze import morris

    values = _checked_outputs(outputs, len(bounds) + 1)
    if design.shape != (len(values), len(bounds)):
        raise ValueError(f"{len(values)} outputs do not fit a design of shape {design.shape}")
    found = morris.analyze(_problem(bounds), design, values, num_resamples=1000, seed=seed)
    columns = zip(bounds, found["mu_star"], found["mu_star_conf"], found["sigma"], strict=True)
    return [Effect(name, _about(size, half), float(sd)) for name, size, half, sd in columns]


def _problem(bounds: Bounds) -> dict[str, Any]:
    for name, (low, high) in bounds.items():
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"bounds of '{name}' must be finite and rise, got {low} and {high}")
    return {
        "num_vars": len(bounds),
        "names": list(bounds),
        "bounds": [list(ends) for ends in bounds.values()],
    }


def _checked_outputs(outputs: ArrayLike, rows_of_a_point: int) -> Floats:
    values = np.array(outputs, np.float64)
    if values.ndim != 1 or not values.size or values.size % rows_of_a_point:
        raise ValueError(
            f"outputs must be one number for each row of the design, a multiple of "
            f"{rows_of_a_point}; got shape {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("outputs must be finite")
    return values


def _about(middle: float, half: float) -> Estimate:
    return Estimate(float(middle), float(middle - half), float(middle + half))
