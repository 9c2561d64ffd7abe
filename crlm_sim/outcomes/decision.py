"""Which policy is worth its cost, and how sure that is.

Costs and effects come as one number for each parameter draw and policy: the mean of the draw's
patients. Everything here is about decisions between policies under uncertain parameters, so an
interval says what the draws disagree on and not how much patients differ.

Cost is in any one currency, effect in years (QALYs or life-years), and a threshold is what one
more year is worth, in that currency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crlm_sim.outcomes.survival import Estimate

Floats = NDArray[np.float64]

QUADRANTS = (
    "more effective, more costly",
    "more effective, less costly",
    "less effective, less costly",
    "less effective, more costly",
)

_TIE = 8.0 * np.finfo(np.float64).eps
"""Net benefits this close, relative to what they are the difference of, are equal."""
_GRAIN = 2.0**50


@dataclass(frozen=True)
class Draws:
    """What every policy costs and gives in every parameter draw.

    `cost` and `effect` have shape (draws, policies); `weights` (draws,) sum to one.
    """

    policies: tuple[str, ...]
    cost: Floats
    effect: Floats
    weights: Floats


@dataclass(frozen=True)
class FrontierRow:
    """One policy of the table of incremental cost-effectiveness ratios (ICERs).

    `status` is "frontier", "dominated", "extendedly dominated" or "equal". `by` names who
    dominates it (one policy, or the two on either side) or equals it. `against` is the policy
    before it on the frontier; the increments and the ICER are against that one, and None off the
    frontier and for its first policy.
    """

    policy: str
    cost: Estimate
    effect: Estimate
    status: str
    by: tuple[str, ...] = ()
    against: str | None = None
    cost_increment: Estimate | None = None
    effect_increment: Estimate | None = None
    icer: Estimate | None = None


@dataclass(frozen=True)
class Plane:
    """The cost-effectiveness plane: differences from `reference` of every other policy.

    `cost` and `effect` have shape (draws, policies), `shares` (policies, 4) the weight of the
    draws in each of `QUADRANTS`, which sums to one.
    """

    reference: str
    policies: tuple[str, ...]
    cost: Floats
    effect: Floats
    shares: Floats


def draws_of(
    policies: Sequence[str], cost: ArrayLike, effect: ArrayLike, weights: ArrayLike | None = None
) -> Draws:
    """Checked draws, from arrays of shape (draws, policies) and weights (draws,), equal if None.

    ValueError if shapes differ, a number is not finite, there is no draw or fewer than two
    policies, names repeat, or weights are negative or all zero.
    """
    names = tuple(policies)
    costs, effects = np.array(cost, np.float64), np.array(effect, np.float64)
    if len(names) < 2:
        raise ValueError(f"a decision needs at least two policies, got {len(names)}")
    if len(set(names)) < len(names):
        raise ValueError(f"policies must have different names, got {', '.join(names)}")
    for what, array in (("cost", costs), ("effect", effects)):
        if array.ndim != 2 or array.shape[1] != len(names):
            raise ValueError(
                f"{what} must have shape (draws, {len(names)}), one column for each policy; "
                f"got {array.shape}"
            )
    if costs.shape != effects.shape:
        raise ValueError(
            f"cost and effect must come from the same draws, got {len(costs)} and {len(effects)}"
        )
    if not len(costs):
        raise ValueError("there must be at least one draw, got none")
    for what, array in (("cost", costs), ("effect", effects)):
        _refuse_not_finite(what, names, array)
    return Draws(names, costs, effects, _checked_weights(weights, len(costs)))


def _refuse_not_finite(what: str, names: tuple[str, ...], array: Floats) -> None:
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        draw, column = wrong[0]
        raise ValueError(
            f"{what} must be finite, got {array[draw, column]} in draw {draw} of '{names[column]}'"
        )


def _checked_weights(weights: ArrayLike | None, number: int) -> Floats:
    if weights is None:
        return np.full(number, 1.0 / number)
    values = np.array(weights, np.float64)
    if values.shape != (number,):
        raise ValueError(f"weights must have shape ({number},), got {values.shape}")
    if not np.isfinite(values).all() or (values < 0.0).any() or not values.sum() > 0.0:
        raise ValueError("weights must be finite, not negative, and not all zero")
    return values / values.sum()


def checked_thresholds(thresholds: ArrayLike) -> Floats:
    """Thresholds (a number or a rising row of them) as an array (thresholds,), or ValueError."""
    values = np.atleast_1d(np.array(thresholds, np.float64))
    if values.ndim != 1 or not values.size:
        raise ValueError("thresholds must be a number or a row of numbers")
    if not np.isfinite(values).all() or (values < 0.0).any():
        raise ValueError("thresholds must be finite and not negative")
    if (np.diff(values) <= 0.0).any():
        raise ValueError("thresholds must rise from each to the next")
    return values


def place_of(draws: Draws, policy: str) -> int:
    """The column of a policy, or ValueError with the names there are."""
    if policy not in draws.policies:
        raise ValueError(f"no policy '{policy}'; there are {', '.join(draws.policies)}")
    return draws.policies.index(policy)


def net_monetary_benefit(draws: Draws, thresholds: ArrayLike) -> Floats:
    """Threshold × effect − cost, shape (thresholds, draws, policies), in money.

    Stinnett & Mullahy, Med Decis Making 1998; 18: S68.
    """
    values = checked_thresholds(thresholds)
    return values[:, None, None] * draws.effect - draws.cost


def net_health_benefit(draws: Draws, thresholds: ArrayLike) -> Floats:
    """Effect − cost / threshold, shape (thresholds, draws, policies), in years.

    What is left after the years that the money would have bought elsewhere. ValueError at a
    threshold of zero.
    """
    values = checked_thresholds(thresholds)
    if values[0] == 0.0:
        raise ValueError("net health benefit needs thresholds above zero")
    return draws.effect - draws.cost / values[:, None, None]


def mean_of(draws: Draws, values: Floats) -> Floats:
    """Weighted mean over draws of values (…, draws, policies), shape (…, policies)."""
    means: Floats = np.einsum("d,...dp->...p", draws.weights, values)
    return means


def best_policy(draws: Draws, thresholds: ArrayLike) -> NDArray[np.int64]:
    """Column of the policy with the highest expected net benefit, (thresholds,).

    The first of those that tie.
    """
    means = mean_of(draws, net_monetary_benefit(draws, thresholds))
    scale = checked_thresholds(thresholds) * np.abs(draws.effect).max() + np.abs(draws.cost).max()
    tied = means >= means.max(axis=1, keepdims=True) - _TIE * scale[:, None]
    return np.argmax(tied, axis=1)


def acceptability(draws: Draws, thresholds: ArrayLike) -> Floats:
    """Probability that each policy has the highest net benefit, shape (thresholds, policies).

    The cost-effectiveness acceptability curves (van Hout et al., Health Econ 1994; 3: 309), of all
    policies at once. Policies that tie in a draw share it. Whole multiples of 2^-50, so that they
    add up to exactly one in any order.
    """
    benefit = net_monetary_benefit(draws, thresholds)
    sizes = checked_thresholds(thresholds)[:, None, None] * np.abs(draws.effect)
    scale = (sizes + np.abs(draws.cost)).max(axis=2, keepdims=True)
    tied = benefit >= benefit.max(axis=2, keepdims=True) - _TIE * scale
    shares = mean_of(draws, tied / tied.sum(axis=2, keepdims=True))
    return _adding_to_one(shares)


def _adding_to_one(shares: Floats) -> Floats:
    """Shares (rows, columns) rounded to 2^-50; the largest of a row takes what rounding left."""
    grains = np.rint(shares * _GRAIN).astype(np.int64)
    rows = np.arange(len(grains))
    grains[rows, grains.argmax(axis=1)] += int(_GRAIN) - grains.sum(axis=1)
    return grains / _GRAIN


def acceptability_frontier(draws: Draws, thresholds: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """(column, probability of being best) of the policy to choose, both (thresholds,).

    To be chosen is the policy with the highest expected net benefit, which need not be the one
    most often best (Fenwick, Claxton & Sculpher, Health Econ 2001; 10: 779).
    """
    best = best_policy(draws, thresholds)
    return best, acceptability(draws, thresholds)[np.arange(len(best)), best]


def expected_loss(draws: Draws, thresholds: ArrayLike) -> Floats:
    """Expected net benefit forgone by choosing each policy, (thresholds, policies), in money.

    Mean over draws of the best policy's net benefit less this one's (Alarid-Escudero et al.,
    Value Health 2019; 22: 611). The lowest is the expected value of perfect information.
    """
    benefit = net_monetary_benefit(draws, thresholds)
    return mean_of(draws, benefit.max(axis=2, keepdims=True) - benefit)


def plane(draws: Draws, reference: str) -> Plane:
    """Differences of every other policy from the reference in every draw.

    A draw on an axis is shared by the quadrants on either side.
    """
    at = place_of(draws, reference)
    others = [place for place in range(len(draws.policies)) if place != at]
    cost = draws.cost[:, others] - draws.cost[:, [at]]
    effect = draws.effect[:, others] - draws.effect[:, [at]]
    dearer, better = (np.sign(cost) + 1.0) / 2.0, (np.sign(effect) + 1.0) / 2.0
    parts = (
        better * dearer,
        better * (1.0 - dearer),
        (1.0 - better) * (1.0 - dearer),
        (1.0 - better) * dearer,
    )
    shares = _adding_to_one(np.stack([mean_of(draws, part) for part in parts], axis=1))
    return Plane(reference, tuple(draws.policies[p] for p in others), cost, effect, shares)


def quantiles(draws: Draws, values: Floats, probabilities: list[float]) -> Floats:
    """Quantiles over weighted draws of values (draws, …), shape (probabilities, …).

    The smallest value that at least this weight of the draws does not exceed.
    """
    found: Floats = np.quantile(
        values, probabilities, axis=0, weights=draws.weights, method="inverted_cdf"
    )
    return found


def icer_table(draws: Draws, level: float = 0.95) -> list[FrontierRow]:
    """Every policy in order of mean cost, who is dominated, and ICERs along the frontier.

    Dominance and ICERs are of means over draws. A policy is dominated if another costs no more and
    gives no less; extendedly dominated if its ICER is above that of a more effective one, so that
    a mixture of two others costs less and gives as much (Drummond et al., Methods for the Economic
    Evaluation of Health Care Programmes, 2015, chapter 4). Off the frontier there is no ICER.
    Intervals hold the middle `level` of the draws.
    """
    cost, effect = (
        np.array([_mean(draws, column) for column in values.T])
        for values in (draws.cost, draws.effect)
    )
    no_more = _TIE * np.abs(draws.effect).max()
    order = sorted(range(len(cost)), key=lambda p: (cost[p], -effect[p], p))
    frontier: list[int] = []
    removed: dict[int, tuple[str, tuple[int, ...]]] = {}
    for place in order:
        if frontier and effect[place] <= effect[frontier[-1]] + no_more:
            last = frontier[-1]
            equal = cost[place] == cost[last] and effect[place] >= effect[last] - no_more
            removed[place] = ("equal" if equal else "dominated", (last,))
            continue
        while len(frontier) > 1 and _bends_back(cost, effect, frontier[-2], frontier[-1], place):
            removed[frontier.pop()] = ("extendedly dominated", ())
        frontier.append(place)
    rows = []
    for place in order:
        if place in frontier:
            rows.append(_on_frontier(draws, frontier, place, level))
            continue
        status, by = removed[place]
        if status == "extendedly dominated":
            by = _neighbours(cost, frontier, place)
        names = tuple(draws.policies[p] for p in by)
        rows.append(
            FrontierRow(
                draws.policies[place],
                _over_draws(draws, draws.cost[:, place], level),
                _over_draws(draws, draws.effect[:, place], level),
                status,
                names,
            )
        )
    return rows


def _bends_back(cost: Floats, effect: Floats, first: int, middle: int, last: int) -> bool:
    """Whether the ICER of middle against first exceeds that of last against middle."""
    up = (cost[middle] - cost[first]) * (effect[last] - effect[middle])
    return bool(up > (cost[last] - cost[middle]) * (effect[middle] - effect[first]))


def _neighbours(cost: Floats, frontier: list[int], place: int) -> tuple[int, ...]:
    """The frontier's policies just cheaper and just dearer."""
    after = next(i for i, other in enumerate(frontier) if cost[other] > cost[place])
    return frontier[after - 1], frontier[after]


def _on_frontier(draws: Draws, frontier: list[int], place: int, level: float) -> FrontierRow:
    cost = _over_draws(draws, draws.cost[:, place], level)
    effect = _over_draws(draws, draws.effect[:, place], level)
    at = frontier.index(place)
    if at == 0:
        return FrontierRow(draws.policies[place], cost, effect, "frontier")
    before = frontier[at - 1]
    more_cost = draws.cost[:, place] - draws.cost[:, before]
    more_effect = draws.effect[:, place] - draws.effect[:, before]
    return FrontierRow(
        draws.policies[place],
        cost,
        effect,
        "frontier",
        against=draws.policies[before],
        cost_increment=_over_draws(draws, more_cost, level),
        effect_increment=_over_draws(draws, more_effect, level),
        icer=_ratio(draws, more_cost, more_effect, level),
    )


def _mean(draws: Draws, values: Floats) -> float:
    """Weighted mean of values (draws,), its last digit the same beside whatever other policies."""
    return math.fsum(draws.weights * values)


def _over_draws(draws: Draws, values: Floats, level: float) -> Estimate:
    """Mean of values (draws,) and the bounds of the middle `level` of them; none for one draw."""
    if len(values) == 1:
        return Estimate(float(values[0]))
    lower, upper = quantiles(draws, values, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Estimate(_mean(draws, values), float(lower), float(upper))


def _ratio(draws: Draws, cost: Floats, effect: Floats, level: float) -> Estimate:
    """Ratio of means, with the thresholds at which the change is acceptable in few and most draws.

    A draw in which the change gives no more is acceptable at no threshold if it costs more, and at
    any if it does not. One that gives less and costs less is acceptable *below* its ratio; with
    such a draw the ratios have no order, and the interval is nan.
    """
    ratio = _mean(draws, cost) / _mean(draws, effect)
    disordered = (effect < 0.0) & (cost < 0.0) & (draws.weights > 0.0)
    if len(cost) == 1 or disordered.any():
        return Estimate(ratio)
    never = np.where(cost > 0.0, math.inf, -math.inf)
    accepted_from = np.divide(cost, effect, out=never, where=effect > 0.0)
    lower, upper = quantiles(draws, accepted_from, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Estimate(ratio, float(lower), float(upper))
