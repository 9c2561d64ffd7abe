"""From tallies to results: levels, paired differences, and what several draws say.

Levels have the interval of their kind: Wilson for proportions, Greenwood for survival (log-log)
and restricted means, Brookmeyer–Crowley for medians, Student's t for means.

Paired differences have a delete-one-group jackknife interval. Patients are in the same group under
every policy and every policy is recomputed without the same group, so what the policies share
cancels: SE² = (g − 1)/g Σ (δ₍ᵢ₎ − δ̄)², with t on g − 1 degrees of freedom, g the groups that are
not empty. The median of a step function cannot be recomputed so: its replicates are the survival
without each group at the median of all, turned into months by the slope that the median's own
Brookmeyer–Crowley interval implies, (upper − lower) / (2 z SE of survival), after Price & Bonett
2001. In simulations of 100 to 2,000 patients its 95 % interval covers 95 to 96 %, and 97 to 98 %
where one policy stretches every life by the same factor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crlm_sim.outcomes import definitions as what
from crlm_sim.outcomes import survival as km

if TYPE_CHECKING:
    from crlm_sim.outcomes.tally import Tally

Floats = NDArray[np.float64]
Entry = dict[str, float | str | None]
Entries = dict[str, dict[str, Entry]]
Summary = dict[str, Entries]
Numbers = dict[str, Floats]

DIFFERENCE = "difference_"
_ONE = ("estimate", "lower", "upper", "error")
NUMBERS = (*_ONE, *(DIFFERENCE + name for name in _ONE))
"""What one draw says of an outcome: the level, and the difference from the reference policy."""
POOLED = ("estimate", "lower", "upper", "simulation_lower", "simulation_upper")
"""What several draws say of a level or of a difference."""

_DUST = 1e-12
_Z95 = NormalDist().inv_cdf(0.975)


def summarise(
    tally: Tally, reference: str, outcomes: Sequence[what.Outcome] = what.OUTCOMES
) -> Summary:
    """Levels and paired differences of one tally; see `Tally.summary`."""
    found = over_draws([numbers(tally, reference, outcomes)])
    return entries(found, tally.policies, reference, outcomes)


def summarise_draws(tallies: Iterable[Tally], reference: str) -> Summary:
    """Results over draws of the parameters, each draw its own tally of independent patients.

    See `over_draws`. A result that some draw cannot estimate is None. One draw gives its own
    summary. Tallies are used one at a time, so a generator keeps memory small. Raises ValueError
    without tallies or if they differ in policies or horizon.
    """
    first: Tally | None = None
    draws: list[Numbers] = []
    for tally in tallies:
        first = first or tally
        if (tally.policies, tally.horizon_minutes) != (first.policies, first.horizon_minutes):
            raise ValueError("every draw needs the same policies and horizon")
        draws.append(numbers(tally, reference))
    if first is None:
        raise ValueError("there is no draw to summarise")
    return entries(over_draws(draws), first.policies, reference)


def numbers(
    tally: Tally, reference: str, outcomes: Sequence[what.Outcome] = what.OUTCOMES
) -> Numbers:
    """One tally's results by the names of `NUMBERS`, each of shape (P, outcomes).

    Levels and paired differences with the 95 % interval of simulation and, as `error`, the
    jackknife's standard error. What cannot be estimated is nan, as is the reference's difference.
    """
    base = _reference_index(tally, reference)
    found = {name: np.full((len(tally.policies), len(outcomes)), np.nan) for name in NUMBERS}
    for k, outcome in enumerate(outcomes):
        values = _all_replicates(tally, outcome)
        levels = [_level(tally, p, outcome) for p in range(len(tally.policies))]
        errors = _pair_errors(tally, outcome, base, values)
        for p, level in enumerate(levels):
            _put(found, "", (p, k), level, _jackknife_error(values[p]))
            if p != base:
                change = _interval(tally, level.estimate - levels[base].estimate, errors[p])
                _put(found, DIFFERENCE, (p, k), change, errors[p])
    return found


def _put(
    found: Numbers, before: str, place: tuple[int, int], one: km.Estimate, error: float
) -> None:
    for name, value in zip(_ONE, (one.estimate, one.lower, one.upper, error), strict=True):
        found[before + name][place] = value


def over_draws(draws: Sequence[Numbers]) -> Numbers:
    """What the `numbers` of several draws say together, each of shape (P, outcomes).

    Estimates are means over draws. With several draws `lower` and `upper` hold the central 95 % of
    the draws' results, drawn together by as much as the draws' own simulation errors have spread
    them, √(1 − V_simulation / V_total), as in O'Hagan, Stevenson and Madan (Health Econ 2007); they
    are nan where that leaves nothing. `simulation_lower` and `simulation_upper` then hold the
    simulation error of the mean, z √(Σ SE²) / draws. One draw has its own interval of simulation.
    """
    if len(draws) == 1:
        found = {name: values for name, values in draws[0].items() if not name.endswith("error")}
        return _without_dust(found)
    found = {}
    for before in ("", DIFFERENCE):
        estimates = np.stack([draw[f"{before}estimate"] for draw in draws], axis=-1)
        errors = np.stack([draw[f"{before}error"] for draw in draws], axis=-1)
        found |= {before + name: values for name, values in _pooled(estimates, errors).items()}
    return _without_dust(found)


def _without_dust(found: Numbers) -> Numbers:
    """Dust of rounding around zero is zero."""
    return {name: np.where(np.abs(values) < _DUST, 0.0, values) for name, values in found.items()}


def _pooled(estimates: Floats, errors: Floats) -> Numbers:
    """Several draws' estimates and simulation errors, each of shape (P, outcomes, draws)."""
    mean = estimates.mean(axis=-1)
    half = _Z95 * np.sqrt((errors**2).sum(axis=-1)) / errors.shape[-1]
    total, simulation = estimates.var(axis=-1, ddof=1), (errors**2).mean(axis=-1)
    share = np.divide(simulation, total, out=np.ones_like(total), where=total > 0.0)
    kept = np.sqrt(np.maximum(1.0 - share, 0.0))
    around = mean[..., None] + kept[..., None] * (estimates - mean[..., None])
    lower, upper = np.quantile(around, (0.025, 0.975), axis=-1)
    untold = (kept == 0.0) & (total > 0.0)  # the draws differ by no more than chance
    return {
        "estimate": mean,
        "lower": np.where(untold, np.nan, lower),
        "upper": np.where(untold, np.nan, upper),
        "simulation_lower": mean - half,
        "simulation_upper": mean + half,
    }


def entries(
    found: Numbers,
    policies: Sequence[str],
    reference: str,
    outcomes: Sequence[what.Outcome] = what.OUTCOMES,
) -> Summary:
    """The numbers of `over_draws` as plain data; see `Tally.summary`."""
    names = [name for name in POOLED if name in found]
    kind = {"interval": "parameter" if len(names) == len(POOLED) else "simulation"}

    def row(p: int, before: str) -> dict[str, Entry]:
        return {
            outcome.name: {n: _number(float(found[before + n][p, k])) for n in names} | kind
            for k, outcome in enumerate(outcomes)
        }

    levels = {name: row(p, "") for p, name in enumerate(policies)}
    changes = {n: row(p, DIFFERENCE) for p, n in enumerate(policies) if n != reference}
    return {"policies": levels, "differences": changes}


def _reference_index(tally: Tally, reference: str) -> int:
    """Place of the reference policy. Raises ValueError unless all policies had equal groups."""
    if reference not in tally.policies:
        raise ValueError(f"the reference '{reference}' is not one of {list(tally.policies)}")
    if (tally.patients != tally.patients[0]).any():
        raise ValueError("every policy must be given the same patients")
    return tally.policies.index(reference)


def _number(value: float) -> float | None:
    """A plain number, None if there is none."""
    return value if math.isfinite(value) else None


# Levels ------------------------------------------------------------------------------------------


def curve(tally: Tally, policy: int, name: str) -> km.Curve:
    """The daily Kaplan–Meier curve of one endpoint of `CURVES` under one policy."""
    events, censored = tally.daily[policy, list(what.CURVES).index(name)]
    return km.kaplan_meier(events, censored)


def _level(tally: Tally, policy: int, outcome: what.Outcome) -> km.Estimate:
    if outcome.kind in ("proportion", "mean"):
        return _counted_level(tally, policy, outcome)
    if outcome.months * what.MINUTES_PER_MONTH > tally.horizon_minutes:
        return km.Estimate(math.nan)
    found = curve(tally, policy, outcome.source)
    if outcome.kind == "survival":
        return km.survival_at(found, what.landmark_day(outcome.months))
    if outcome.kind == "median":
        return _scaled(km.median(found), 1.0 / what.DAYS_PER_MONTH)
    tau = outcome.months * what.DAYS_PER_MONTH
    return _scaled(km.restricted_mean(found, tau)[0], 1.0 / what.DAYS_PER_MONTH)


def _counted_level(tally: Tally, policy: int, outcome: what.Outcome) -> km.Estimate:
    place = what.COUNTED.index(outcome)
    total = int(tally.numerators[policy, place].sum())
    number = int(tally.denominators[policy, place].sum())
    if outcome.kind == "proportion":
        return km.wilson(total, number)
    squares = sum(int(part) for part in tally.squares[policy, place])
    return _scaled(km.mean_interval(total, squares, number), outcome.scale)


def _scaled(found: km.Estimate, scale: float) -> km.Estimate:
    return km.Estimate(found.estimate * scale, found.lower * scale, found.upper * scale)


# Differences -------------------------------------------------------------------------------------


def _interval(tally: Tally, change: float, error: float) -> km.Estimate:
    """A difference ± t times its jackknife error; without an interval for a single group."""
    groups = int((tally.patients[0] > 0).sum())
    if groups < 2:
        return km.Estimate(change)
    half = km.t_quantile(0.975, groups - 1) * error
    return km.Estimate(change, change - half, change + half)


def _pair_errors(tally: Tally, outcome: what.Outcome, base: int, values: Floats) -> Floats:
    """Jackknife standard error of each policy's difference from the reference, shape (P,).

    `values` are the replicates, shape (P, groups). Exactly 0 for equal records.
    """
    errors = np.zeros(len(values))
    for p in range(len(values)):
        if not _same_records(tally, p, base, outcome):
            errors[p] = _jackknife_error(values[p] - values[base])
    return errors


def _same_records(tally: Tally, policy: int, base: int, outcome: what.Outcome) -> bool:
    """Whether all that an outcome is made of is equal under two policies."""
    parts: tuple[NDArray[np.integer], ...]
    if outcome.kind in ("proportion", "mean"):
        place = what.COUNTED.index(outcome)
        parts = (tally.numerators[:, place], tally.denominators[:, place])
    else:
        place = list(what.CURVES).index(outcome.source)
        parts = (tally.monthly[:, place], tally.daily[:, place], tally.monthly_lost)
    return all(np.array_equal(part[policy], part[base]) for part in parts)


def _jackknife_error(values: Floats) -> float:
    """Standard error from delete-one-group replicates; nan if one of them is, or for one group."""
    size = len(values)
    if size < 2:
        return math.nan
    return math.sqrt((size - 1) / size * float(np.sum((values - values.mean()) ** 2)))


def _all_replicates(tally: Tally, outcome: what.Outcome) -> Floats:
    """Every policy's delete-one-group replicates, shape (P, groups that are not empty)."""
    return np.stack([replicates(tally, p, outcome) for p in range(len(tally.policies))])


def replicates(tally: Tally, policy: int, outcome: what.Outcome) -> Floats:
    """The outcome without each group in turn, shape (groups that are not empty,)."""
    present = tally.patients[policy] > 0
    if outcome.kind in ("proportion", "mean"):
        place = what.COUNTED.index(outcome)
        top = _without(tally.numerators[policy, place], present)
        bottom = _without(tally.denominators[policy, place], present)
        out = np.full(len(top), np.nan)
        return outcome.scale * np.divide(top, bottom, out=out, where=bottom > 0)
    if outcome.months * what.MINUTES_PER_MONTH > tally.horizon_minutes:
        return np.full(int(present.sum()), np.nan)
    events, censored = tally.monthly[policy, list(what.CURVES).index(outcome.source)]
    found = km.kaplan_meier(_without(events, present), _without(censored, present))
    if outcome.kind == "median":
        return _median_months(curve(tally, policy, outcome.source), found.survival)
    if outcome.kind == "survival":
        return found.survival[:, outcome.months - 1]
    lost = _without(tally.monthly_lost[policy], present)
    return _restricted_months(found, lost, outcome.months)


def _without(counts: NDArray[np.integer], present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Totals over groups (axis 0) less each present group in turn, shape (present, ...)."""
    whole = counts.astype(np.int64)
    return whole.sum(axis=0) - whole[present]


def _median_months(whole: km.Curve, survival: Floats) -> Floats:
    """Linearised medians of curves known at the ends of months, shape (groups, months) → (groups,).

    `whole` is the daily curve of all; nan if its median's interval is not known on both sides.
    """
    found = km.median(whole)
    if math.isnan(found.lower + found.upper):
        return np.full(len(survival), np.nan)
    error = float(whole.standard_error[int(found.estimate)])
    slope = (found.upper - found.lower) / what.DAYS_PER_MONTH / (2.0 * _Z95 * error)
    centre = found.estimate / what.DAYS_PER_MONTH
    values = np.concatenate([np.ones((len(survival), 1)), survival], axis=1)
    month = int(centre)
    part = centre - month
    there = (1.0 - part) * values[:, month] + part * values[:, month + 1]
    return centre + slope * (there - 0.5)


def _restricted_months(found: km.Curve, lost: NDArray[np.int64], months: int) -> Floats:
    """Area under each curve up to `months`, shape (groups,).

    Within a month the area is what those at risk at its start would live, less what the dying of
    that month lose of it: exact but for people censored within the month.
    """
    before = np.concatenate([np.ones((len(lost), 1)), found.survival[:, :-1]], axis=1)
    at_risk = np.maximum(found.at_risk, 1)
    lived = before * (1.0 - lost / (at_risk * what.MINUTES_PER_MONTH))
    return lived[:, :months].sum(axis=1)


# Flow --------------------------------------------------------------------------------------------


def flow(cells: NDArray[np.int64]) -> list[tuple[str, str, int]]:
    """The links of one policy's flow diagram from its cell counts, shape (FLOW_CELLS,)."""
    table = cells.reshape(2, 2, 2, len(what.FATES))
    by_start = (("not resectable at diagnosis", table[0]), ("resectable at diagnosis", table[1]))
    links = [("diagnosis", name, int(part.sum())) for name, part in reversed(by_start)]
    for name, part in reversed(by_start):
        links.append((name, "resected", int(part[1].sum())))
        links.append((name, "never resected", int(part[0].sum())))
    resected = table[:, 1].sum(axis=0)
    links.append(("resected", "sequence complete", int(resected[1].sum())))
    links.append(("resected", "sequence not complete", int(resected[0].sum())))
    for place, fate in enumerate(what.FATES):
        links.append(("sequence complete", fate, int(resected[1, place])))
    return links
