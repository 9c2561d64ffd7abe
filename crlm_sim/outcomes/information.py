"""What it would be worth to know more before choosing a policy.

A decision under uncertainty is sometimes wrong. Perfect information on the parameters would avoid
that; what it would gain on average is the most that research can be worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crlm_sim.outcomes.decision import (
    Draws,
    best_policy,
    checked_thresholds,
    mean_of,
    net_monetary_benefit,
)
from crlm_sim.outcomes.regression import checked_parameters, surface

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Information:
    """Value of information for one decision, in money, with its standard error; (thresholds,).

    The standard error is of the number of draws: how far another set of as many would give
    something else.
    """

    value: Floats
    standard_error: Floats

    def scaled(self, patients: float) -> Information:
        """The same for so many decisions."""
        return Information(self.value * patients, self.standard_error * patients)


def evpi(draws: Draws, thresholds: ArrayLike) -> Information:
    """Expected value of perfect information on everything uncertain, never negative.

    E[max NB] − max E[NB] (Raiffa & Schlaifer 1961; Claxton, J Health Econ 1999; 18: 341), the
    means over draws. Noise of too few patients in a draw counts as uncertainty here, though no
    study of parameters would remove it: use many patients, or `evppi` of all parameters.
    """
    benefit = net_monetary_benefit(draws, thresholds)
    return _gain(draws, benefit, benefit, best_policy(draws, thresholds))


def evppi(
    draws: Draws,
    thresholds: ArrayLike,
    names: Sequence[str],
    parameters: ArrayLike,
    group: Sequence[str],
) -> Information:
    """Expected value of perfect information on a group of parameters only, never negative.

    `parameters` has shape (draws, parameters), with `names`; `group` are some of those.
    E[max E[NB | group]] − max E[NB], where net benefit given the group is regressed on it (Strong,
    Oakley & Brennan, Med Decis Making 2014; 34: 311). ValueError on a name that is not there.
    """
    values = checked_parameters(draws, names, parameters)
    unknown = [name for name in group if name not in names]
    if unknown or not group:
        raise ValueError(
            f"no parameter '{', '.join(unknown)}'" if unknown else "no parameter named"
        )
    columns = values[:, [list(names).index(name) for name in group]]
    cost, effect = surface(draws, columns)(columns)
    expected = checked_thresholds(thresholds)[:, None, None] * effect - cost
    best = mean_of(draws, expected).argmax(axis=1)
    return _gain(draws, expected, net_monetary_benefit(draws, thresholds), best)


def evsi(draws: Draws, thresholds: ArrayLike, statistics: ArrayLike) -> Information:
    """Expected value of the information in a study, never negative.

    `statistics` are what the study reports, simulated from the parameters of each draw several
    times, shape (draws, studies, statistics). E[max E[NB | statistics]] − max E[NB], net benefit
    being regressed on them (Strong, Oakley, Brennan & Breeze, Med Decis Making 2015; 35: 570). Cost
    and effect of a draw must come from other patients than its studies, or chance that both share
    is taken for something the study tells. ValueError if there are fewer than fifty draws.
    """
    told = np.array(statistics, np.float64)
    if told.ndim != 3 or len(told) != len(draws.weights):
        raise ValueError(
            f"statistics must have shape ({len(draws.weights)}, studies, statistics), "
            f"got {told.shape}"
        )
    each = told.shape[1]
    rows = Draws(
        draws.policies,
        np.repeat(draws.cost, each, axis=0),
        np.repeat(draws.effect, each, axis=0),
        np.repeat(draws.weights / each, each),
    )
    names = [f"statistic {number}" for number in range(1, told.shape[2] + 1)]
    for study in range(each):
        checked_parameters(draws, names, told[:, study])
    told = told.reshape(-1, told.shape[2])
    cost, effect = surface(rows, told)(told)
    expected = checked_thresholds(thresholds)[:, None, None] * effect - cost
    best = mean_of(rows, expected).argmax(axis=1)
    return _gain(rows, expected, net_monetary_benefit(rows, thresholds), best, each)


def _gain(
    draws: Draws, known: Floats, benefit: Floats, best: NDArray[np.int64], each: int = 1
) -> Information:
    """Gain of choosing by what is known, of shape (thresholds, draws, policies), over `best`.

    The standard error is that of the mean of what the choice gains in each draw, benefit of the
    policy chosen there less that of the best on average. By the envelope theorem errors of the
    regression move the choice but not, to first order, what it is worth. `each` rows that follow
    one another belong to one draw.
    """
    chosen = known.argmax(axis=2)[:, :, None]
    always = best[:, None, None]

    def more(values: Floats) -> Floats:
        gained = np.take_along_axis(values, chosen, 2) - np.take_along_axis(values, always, 2)
        return gained[:, :, 0]

    value = np.maximum(more(known) @ draws.weights, 0.0)
    gains = more(benefit)
    about_mean = (gains - (gains @ draws.weights)[:, None]) * draws.weights
    of_draws = about_mean.reshape(len(value), -1, each).sum(axis=2)
    return Information(value, np.sqrt((of_draws**2).sum(axis=1)))


def patients_affected(per_year: float, years: float, discount_rate: float) -> float:
    """Discounted number of patients a decision is for, to scale one patient's value by.

    `per_year` come evenly through each of `years`, discounted by (1 + rate)^−t: the integral
    per_year (1 − (1 + rate)^−years) / ln(1 + rate). Sums over whole years, at their beginnings or
    their ends, lie on either side. ValueError if a number is negative or not finite.
    """
    numbers = {"patients a year": per_year, "years": years, "discount rate": discount_rate}
    for what, number in numbers.items():
        if not (math.isfinite(number) and number >= 0.0):
            raise ValueError(f"{what} must be finite and not negative, got {number}")
    force = math.log1p(discount_rate)
    return per_year * (years if force == 0.0 else -math.expm1(-force * years) / force)
