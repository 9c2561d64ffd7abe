"""The patients that a trial draws from: those eligible, simulated once under each arm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crlm_sim.engines import cohort
from crlm_sim.experiments.simulate import packed_parameters
from crlm_sim.outcomes.clocks import curve_of, times
from crlm_sim.outcomes.survival import median
from crlm_sim.scenario import quantities
from crlm_sim.trials.comparisons import arrange, hazard_ratio
from crlm_sim.trials.crossover import Afterwards, afterwards
from crlm_sim.trials.endpoints import TIMES
from crlm_sim.trials.entry import Whole, conditions_then, policies_of, randomised
from crlm_sim.trials.file import Trial, packed_conditions
from crlm_sim.trials.judging import judged
from crlm_sim.trials.spending import Floats

MINUTES_PER_MONTH = quantities.DAYS_PER_MONTH * quantities.MINUTES_PER_DAY
_PARTS = 40
"""Parts in which the error of a hazard ratio is looked for."""


@dataclass(frozen=True)
class People:
    """Eligible patients with what would happen to each in either arm, times in months.

    `event` is infinite if it never comes before `followed` ends; both are (2, patients), the
    control first. `levels` is the level of each patient in each factor, (patients, factors), and
    `members` whether each is in each subgroup, (patients, subgroups). `crossed` is the life of each
    who crosses over, None if nobody does. Of an endpoint judged in a window `values` are the
    answers, (2, patients), and the event is that they are known.
    """

    event: Floats
    followed: Floats
    levels: NDArray[np.int64]
    members: NDArray[np.bool_]
    eligible_share: float
    crossed: Afterwards | None = None
    values: Floats | None = None

    @property
    def stratum(self) -> NDArray[np.int64]:
        """The combination of all factors' levels, numbered from 0."""
        stratum = np.zeros(len(self.levels), np.int64)
        for column in self.levels.T:
            stratum = stratum * (1 + column.max(initial=0)) + column
        return stratum

    def medians(self) -> list[float | None]:
        """Median months of each arm, None where fewer than half have the event."""
        found = []
        for event, followed in zip(self.event, self.followed, strict=True):
            minutes = np.minimum(event, followed) * MINUTES_PER_MONTH
            curve = curve_of(np.round(minutes).astype(np.int64), np.isfinite(event))
            days = median(curve).estimate
            found.append(None if math.isnan(days) else days / quantities.DAYS_PER_MONTH)
        return found

    def log_hazard_ratio(self, until: float) -> float:
        """Log hazard ratio of all of them, followed for so many months; nan without events."""
        return float(self._log_hazard_ratios(until, 1)[0])

    def error_of_log_hazard_ratio(self, until: float) -> float:
        """Its standard error, from parts of the patients: who is in one arm is in the other."""
        found = self._log_hazard_ratios(until, _PARTS)
        return float(np.nanstd(found, ddof=1)) / math.sqrt(_PARTS)

    def _log_hazard_ratios(self, until: float, parts: int) -> Floats:
        size = self.event.shape[1] // parts
        last = np.minimum(self.followed, until)[:, : size * parts].reshape(2, parts, size)
        event = self.event[:, : size * parts].reshape(2, parts, size)
        time = np.concatenate(np.minimum(event, last), axis=1)
        arms = np.repeat([0, 1], size)
        return hazard_ratio(arrange(time, np.concatenate(event <= last, axis=1), arms))[0]


def simulate_people(trial: Trial, draw: int, progress: Callable[[int], None]) -> People:
    """The first who are randomised, as many as [run] says, under both policies and one draw.

    Raises ScenarioError if hardly anybody is eligible, or somebody meets no level of a factor or
    two.
    """
    scenario = trial.scenario
    params = packed_parameters(scenario, draw)
    conditions = packed_conditions(trial)
    lives, met, crossed = [], [], []
    last = done = 0
    for numbers, starts in randomised(trial, params, draw):
        if conditions[0]["count"]:
            met.append(conditions_then(trial, numbers, starts, params, draw, conditions))
        pair = [_live(trial, one, numbers, starts, params, draw) for one in policies_of(trial)]
        lives.append(np.array(pair))
        life = afterwards(trial, numbers, params, draw)
        crossed += [life] if life else []
        last, done = int(numbers[-1]) + 1, done + len(numbers)
        progress(done)
    share = done / last
    event, followed, values = np.concatenate(lives, axis=2).swapaxes(0, 1)
    every = np.concatenate(met) if met else np.zeros((done, 0), np.bool_)
    found = People(
        event,
        followed,
        _levels(trial, every),
        _members(trial, every),
        share,
        Afterwards(*(np.concatenate(part) for part in zip(*crossed, strict=True)))
        if crossed
        else None,
        None if trial.judged is None else values,
    )
    return _imposed(found, trial.head.truth) if isinstance(trial.head.truth, float) else found


def _live(
    trial: Trial,
    policy: str,
    numbers: np.ndarray,
    starts: Whole,
    params: np.ndarray,
    draw: int,
) -> Floats:
    """Months to the event, months followed and what was judged, (3, patients), from these minutes.

    The answer of an endpoint judged in a window is known when the window is over.
    """
    scenario = trial.scenario
    if trial.judged is not None:
        values = judged(trial, policy, numbers, starts, params, draw)
        window = np.full(len(numbers), trial.endpoint.window)
        return np.array([window, window, values])
    place = scenario.policy_names.index(policy)
    patients = cohort.blank_records(numbers, scenario.run.seed, draw, policy=place)
    packed, rules = scenario.packed_policy(policy), scenario.packed_rules(policy)
    cohort.simulate(patients, params, packed, scenario.horizon_minutes, rules=rules)
    clock, curve = trial.randomisation.at, TIMES[trial.endpoint.outcome]
    minutes, happened, _ = times(patients, clock, curve)
    months = minutes / MINUTES_PER_MONTH
    end = (patients["end_minute"] - starts) / MINUTES_PER_MONTH
    return np.array([np.where(happened, months, math.inf), end, np.zeros(len(numbers))])


def _levels(trial: Trial, met: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The level each patient has in each factor, from all conditions met."""
    columns, first = [], 0
    for name, levels in trial.allocation.factors.items():
        own = met[:, first : first + len(levels)]
        first += len(levels)
        counts = own.sum(axis=1)
        path = ("allocation", "factors", name)
        if (counts > 1).any():
            pair = np.flatnonzero(own[counts.argmax()])[:2]
            both = " and ".join(f"'{levels[i]}'" for i in pair)
            share = 100.0 * float((counts > 1).mean())
            raise trial.refuse(path, f"levels overlap: {share:.1f} % of patients meet {both}")
        if (counts == 0).any():
            share = 100.0 * float((counts == 0).mean())
            raise trial.refuse(path, f"levels leave somebody out: {share:.1f} % of patients")
        columns.append(own.argmax(axis=1))
    return np.array(columns, np.int64).T.reshape(len(met), len(columns))


def _members(trial: Trial, met: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Who is in each subgroup, whose conditions come last of all conditions met."""
    found = met[:, met.shape[1] - len(trial.subgroups) :]
    for number in np.flatnonzero(~found.any(axis=0)):
        path = ("subgroup", int(number), "when")
        raise trial.refuse(path, f"the subgroup is empty: none of {len(met):,} people is in it")
    return found


def _imposed(people: People, ratio: float) -> People:
    """The same patients, the experimental arm's survival being the control's to the power `ratio`.

    A patient at the share u of the control's events is at 1 − (1 − u)^(1/ratio) in the other arm.
    """
    event = people.event[0]
    order = np.argsort(event, kind="stable")
    size = len(event)
    share = (np.arange(size) + 0.5) / size
    place = np.floor(size * -np.expm1(np.log1p(-share) / ratio)).astype(np.int64)
    other = np.empty(size)
    other[order] = event[order][np.minimum(place, size - 1)]
    longest = np.full(size, people.followed.max())
    return replace(people, event=np.array([event, other]), followed=np.array([longest, longest]))
