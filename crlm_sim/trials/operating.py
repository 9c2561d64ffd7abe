"""Operating characteristics of a trial whose patients come from the disease model.

Eligible patients are simulated once under each arm. A replicate draws its patients from them, when
each comes and which arm each gets; every draw belongs to a replicate and a patient, so that results
do not depend on how replicates are cut into blocks. Beside what comes of it stands what formulas
say that assume proportional hazards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crlm_sim.outcomes.survival import Estimate, wilson
from crlm_sim.trials import (
    allocation,
    assessing,
    comparisons,
    conditional,
    crossover,
    reestimation,
    subgroups,
    timing,
    value,
)
from crlm_sim.trials.boundaries import Bounds, Crossing, crossing
from crlm_sim.trials.chance import uniforms
from crlm_sim.trials.enrolment import Recruitment, recruitment
from crlm_sim.trials.events import LogRankTest, hazard_ratio_at, schoenfeld
from crlm_sim.trials.file import MODEL, Design, Trial
from crlm_sim.trials.looks import (
    Analyses,
    Characteristics,
    Patients,
    Stops,
    analyse,
    characteristics,
    log_rank_z,
    mean_of,
    stop,
)
from crlm_sim.trials.people import People, simulate_people
from crlm_sim.trials.spending import Floats
from crlm_sim.trials.told import entry as _entry
from crlm_sim.trials.told import known_mean as _known_mean
from crlm_sim.trials.told import number as _number
from crlm_sim.trials.told import spread as _spread

Progress = Callable[[str, int, int], None]
_COMBINATION = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0))
"""Weights of MaxCombo: log-rank, late and early differences."""
_FOLLOWED = (12, 24, 36, 60)
"""Months after which the hazard ratio is told."""
_MOST_AT_ONCE = 250_000
"""Patients of all replicates of a block."""


def operating(
    trial: Trial, replicates: int, block: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """How a trial fares over this many replicates, as told by `crlm trial`.

    With draws of the posterior each draw has its own patients and its share of the replicates.
    Raises PosteriorError, and ScenarioError for what only the people show to be wrong.
    """
    draws = trial.scenario.run.draw_numbers
    each = max(replicates // len(draws), 1)
    size = block or max(_MOST_AT_ONCE // trial.most_patients, 1)
    wanted = trial.scenario.run.patients
    found, means = [], []
    for number, draw in enumerate(draws):

        def living(done: int, before: int = number * wanted) -> None:
            if progress:
                progress("patients", before + done, len(draws) * wanted)

        people = simulate_people(trial, draw, living)
        numbers = np.arange(number * each, (number + 1) * each)
        blocks = [numbers[start : start + size] for start in range(0, each, size)]
        found.append(_replicates(trial, people, draw, blocks))
        if value.is_asked(trial):
            means.append(value.cost_and_effect(trial, draw))
        if progress:
            progress("trials", (number + 1) * each, len(draws) * each)
    return _told(trial, found, means)


@dataclass(frozen=True)
class _Draw:
    """What the replicates of one draw of the parameters showed."""

    people: People
    coming: Recruitment
    analyses: Analyses
    last: Floats
    """When the last patient was enrolled in each replicate, infinite if that never was."""
    resized: list[reestimation.Resized]
    in_subgroups: list[subgroups.Found]
    crossed: list[Floats]
    """Shares of the control's patients who progressed and who crossed over, (trials, 2)."""


def looks_of(trial: Trial) -> list[timing.Look]:
    """The looks as the data decide them: by events or patients assessed, or by date."""
    if trial.plan.dates:
        return [timing.Look(calendar=date) for date in trial.plan.dates]
    return [timing.Look(events=count) for count in event_counts(trial)]


def event_counts(trial: Trial) -> list[int]:
    """Events of each look, or patients assessed by then."""
    return [math.ceil(share * trial.information - 1e-9) for share in trial.plan.looks]


def _replicates(trial: Trial, people: People, draw: int, blocks: list[np.ndarray]) -> _Draw:
    """All looks of the replicates of these numbers."""
    coming = recruitment(trial, people.eligible_share)
    parts, last, sizes, inside, crossed = [], [], [], [], []
    for numbers in blocks:
        drawn = draw_patients(trial, people, coming, numbers, draw)
        patients, resized = reestimation.resized(trial, drawn, coming)
        parts.append(_analysed(trial, people, patients, numbers, draw))
        last.append(_last_enrolled(trial, patients, resized))
        sizes += [resized] if resized else []
        if trial.subgroups or people.crossed:
            person, date = persons(trial, people, numbers, draw), _end(trial, parts[-1])
        if trial.subgroups:
            test = z_of(trial.design)
            inside.append(subgroups.look_into(patients, people.members[person], date, test))
        if people.crossed:
            who = crossover.who(trial, people.crossed, person, patients, numbers, draw)
            crossed.append(crossover.shares(people.crossed, who, person, patients, date))
    return _Draw(people, coming, _joined(parts), np.concatenate(last), sizes, inside, crossed)


def _analysed(
    trial: Trial, people: People, patients: Patients, trials: np.ndarray, draw: int
) -> Analyses:
    """All looks of the replicates of these numbers and patients."""
    if people.values is None:
        return analyse(patients, looks_of(trial), z_of(trial.design))
    person = persons(trial, people, trials, draw)
    return assessing.assess(trial, patients, people.values[patients.arm, person], looks_of(trial))


def _end(trial: Trial, analyses: Analyses) -> Floats:
    """When each trial ends, (trials,)."""
    bounds = trial.plan.bounds()
    ends = stop(analyses.z, bounds.upper, bounds.lower).look
    return np.asarray(np.take_along_axis(analyses.date, ends[:, None], axis=1)[:, 0])


def _last_enrolled(
    trial: Trial, patients: Patients, resized: reestimation.Resized | None
) -> Floats:
    """When the last patient wanted is enrolled; they are in the order of enrolment."""
    if resized is None:
        return patients.enrolment[:, -1]
    return np.take_along_axis(patients.enrolment, resized.size[:, None] - 1, axis=1)[:, 0]


def draw_patients(
    trial: Trial, people: People, coming: Recruitment, trials: np.ndarray, draw: int
) -> Patients:
    """The patients of the replicates of these numbers: who, when, which arm, until when."""
    seed, size = trial.scenario.run.seed, trial.most_patients
    _, leaving = uniforms(seed, draw, trials, size, 0)
    gap, _ = uniforms(seed, draw, trials, size, 1)
    person = persons(trial, people, trials, draw)
    enrolment = coming.dates(np.cumsum(-np.log(gap), axis=1))
    arm = _arms(trial, people, person, trials, draw)
    hazard = monthly_dropout(trial)
    left = -np.log(leaving) / hazard if hazard else np.full(leaving.shape, math.inf)
    stratified = trial.judged is None and trial.design.stratified
    stratum = people.stratum[person] if stratified else None
    event, followed = people.event[arm, person], people.followed[arm, person]
    found = Patients(enrolment, event, np.minimum(left, followed), arm, stratum)
    if people.crossed is None:
        return found
    crosses = crossover.who(trial, people.crossed, person, found, trials, draw)
    event = np.where(crosses, people.crossed.event[person], event)
    followed = np.where(crosses, people.crossed.followed[person], followed)
    return replace(found, event=event, dropout=np.minimum(left, followed))


def persons(trial: Trial, people: People, trials: np.ndarray, draw: int) -> np.ndarray:
    """Which of the people each patient of the trials is, (trials, patients)."""
    which, _ = uniforms(trial.scenario.run.seed, draw, trials, trial.most_patients, 0)
    return (which * people.event.shape[1]).astype(np.int64)


def monthly_dropout(trial: Trial) -> float:
    """The hazard of leaving, a month."""
    return -math.log1p(-trial.accrual.dropout_per_year) / 12.0


def _arms(
    trial: Trial, people: People, person: np.ndarray, trials: np.ndarray, draw: int
) -> np.ndarray:
    said, seed = trial.allocation, trial.scenario.run.seed
    if said.method == "simple":
        return allocation.simple(seed, draw, trials, person.shape[1], trial.ratio)
    if said.method == "minimisation":
        factors = people.levels[person]
        return allocation.minimisation(seed, draw, trials, factors, said.probability, trial.ratio)
    strata = people.stratum[person]
    return allocation.permuted_blocks(seed, draw, trials, strata, said.sizes, trial.ratio)


def z_of(design: Design) -> Callable[[comparisons.Trials], Floats]:
    """The z of the design's test, as a function of the data."""
    if design.test == "cox":
        return lambda data: _wald(data, design.margin)
    if design.test == "fleming_harrington":
        weight = [(design.rho, design.gamma)]
        return lambda data: comparisons.log_rank(data, weight).z[:, 0]
    if design.test == "max_combo":
        return _combined
    if design.test == "restricted_mean":
        tau = float(design.tau or 0.0)
        return lambda data: np.divide(*comparisons.restricted_mean_difference(data, tau))
    return log_rank_z


def _wald(data: comparisons.Trials, margin: float) -> Floats:
    effect, error = comparisons.hazard_ratio(data)
    return (math.log(margin) - effect) / error


def _combined(data: comparisons.Trials) -> Floats:
    from scipy.special import ndtri

    return np.asarray(-ndtri(comparisons.max_combo(comparisons.log_rank(data, _COMBINATION))))


# What is told -------------------------------------------------------------------------------------


def _told(trial: Trial, found: list[_Draw], means: list[Floats]) -> dict[str, Any]:
    bounds = trial.plan.bounds()
    every = _joined([draw.analyses for draw in found])
    stops = stop(every.z, bounds.upper, bounds.lower)
    told = characteristics(every, stops)
    last = np.concatenate([draw.last for draw in found])
    number = len(last) // len(found)
    by_draw = stops.shown.reshape(len(found), number).mean(axis=1)
    power = told.power if len(found) == 1 else mean_of(by_draw)
    planned = trial.accrual.planned
    in_time = None if planned is None else wilson(int((last <= planned).sum()), len(last))
    people = [draw.people for draw in found]
    common = {
        "title": trial.head.title,
        "trial": trial.name,
        "arms": [arm.name for arm in trial.arms],
        "outcome": trial.endpoint.outcome,
        "randomised": trial.randomisation.at,
        "truth": trial.head.truth,
        "replicates": len(last),
        "draws": len(found),
        "people": people[0].event.shape[1],
        "seed": trial.scenario.run.seed,
        "power": _entry(power),
        "type_1_error": _entry(power) if trial.without_effect else None,
        "power_by_draw": None if len(found) == 1 else _spread(by_draw),
        "duration_months": _entry(told.duration),
        "patients": _entry(told.patients),
        "looks": _looks(trial, bounds, every, told.efficacy, told.futility, stops),
        "accrual_months": _entry(_known_mean(last)),
        "recruited": float(np.isfinite(last).mean()),
        "planned_months": planned,
        "recruited_in_time": None if in_time is None else _entry(in_time),
        "screened_per_randomised": _screened(trial, people),
        "value": value.worth(trial, means, every, stops, told.duration.estimate) if means else None,
        "value_stated": trial.value is not None,
    }
    if trial.judged is None:
        return common | _hazards(trial, bounds, found, every, stops, told, power.estimate)
    comings = [draw.coming for draw in found]
    judged = assessing.told(trial, bounds, people, comings[0], every, told, power.estimate)
    return common | judged


def _hazards(
    trial: Trial,
    bounds: Bounds,
    found: list[_Draw],
    every: Analyses,
    stops: Stops,
    told: Characteristics,
    power: float,
) -> dict[str, Any]:
    """What is told of a time to an event alone."""
    people = [draw.people for draw in found]
    average = float(np.nanmean(every.estimate[:, -1]))
    resized = [one for draw in found for one in draw.resized]
    inside = [one for draw in found for one in draw.in_subgroups]
    crossed = [one for draw in found for one in draw.crossed]
    return {
        "kind": "time",
        "test": trial.design.test,
        "margin": trial.design.margin,
        "power_error_of_people": _error_of_people(trial, found, power, every),
        "events": _entry(told.events),
        "reestimation": reestimation.told(trial, resized) if resized else None,
        "subgroups": subgroups.told(trial, inside, stops, people) if inside else None,
        "crossover": _crossed(np.concatenate(crossed)) if crossed else None,
        "hazard_ratio": math.exp(average),
        "hazard_ratio_at_end": _ratio(told.estimate),
        "hazard_ratio_if_shown": _ratio(told.estimate_if_shown),
        "overstated_if_shown": _number(math.exp(told.estimate_if_shown.estimate - average)),
        "hazard_ratio_by_follow_up": _by_follow_up(people),
        "median_months": _medians(people),
        "analytic": analytic(trial, bounds, found[0], math.exp(average)),
    }


def _crossed(shares: Floats) -> dict[str, Any]:
    """The mean shares of the control's patients when trials end."""
    progressed, crossed = shares.mean(axis=0)
    return {"progressed": float(progressed), "crossed_over": float(crossed)}


def _joined(parts: list[Analyses]) -> Analyses:
    fields = ("date", "events", "enrolled", "z", "estimate")
    return Analyses(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def _ratio(value: Estimate) -> dict[str, float | None]:
    """A mean log hazard ratio as a ratio."""
    return _entry(Estimate(*(math.exp(v) for v in (value.estimate, value.lower, value.upper))))


def _error_of_people(trial: Trial, found: list[_Draw], power: float, every: Analyses) -> float:
    """Standard error of the power from the finite number of patients drawn from.

    The error of their log hazard ratio, followed as long as patients of the trial are on average,
    times √(events r) / (1 + r), times the slope of the power. It is 0 if the truth is imposed.
    """
    from scipy.special import ndtri

    if trial.head.truth != MODEL or not 0.0 < power < 1.0:
        return 0.0
    ends = every.date[:, -1]
    recruiting = np.minimum(np.concatenate([draw.last for draw in found]), ends)
    followed = float((ends - recruiting / 2.0).mean())
    errors = [draw.people.error_of_log_hazard_ratio(followed) for draw in found]
    error = math.sqrt(float(np.mean(np.square(errors))) / len(errors))
    ratio = trial.ratio[1] / trial.ratio[0]
    root = math.sqrt(float(every.events[:, -1].mean()) * ratio) / (1.0 + ratio)
    slope = math.exp(-0.5 * float(ndtri(power)) ** 2) / math.sqrt(2.0 * math.pi)
    return slope * root * error


def _looks(
    trial: Trial,
    bounds: Bounds,
    every: Analyses,
    efficacy: Floats,
    futility: Floats,
    stops: Stops,
) -> list[dict[str, Any]]:
    """Each look as it comes about in all replicates, and how many trials end at it."""
    planned = None if trial.judged else _planned_drift(trial, float(trial.events))
    found = []
    what = "events" if trial.judged is None else "assessed"
    for i, share in enumerate(trial.plan.looks):
        wanted = None if trial.plan.dates else event_counts(trial)[i]
        reached = None if wanted is None else float((every.events[:, i] >= wanted).mean())
        lowest, highest = np.quantile(every.date[:, i], [0.05, 0.95])
        found.append(
            {
                "information": share,
                f"{what}_wanted": wanted,
                f"{what}_reached": reached,
                "upper_z": _number(bounds.upper[i]),
                "lower_z": _number(bounds.lower[i]),
                "months": _entry(_known_mean(every.date[:, i])),
                "months_p05": float(lowest),
                "months_p95": float(highest),
                what: float(every.events[:, i].mean()),
                "enrolled": float(every.enrolled[:, i].mean()),
                "efficacy": float(efficacy[i]),
                "futility": float(futility[i]),
                "conditional_power": planned
                and conditional.told(every.z, stops, bounds, i, planned),
            }
        )
    return found


def _screened(trial: Trial, people: list[People]) -> float:
    """Patients diagnosed for each who is randomised."""
    eligible = float(np.mean([one.eligible_share for one in people]))
    screened = sum(site.sites * site.screened_per_month for site in trial.sites)
    willing = sum(site.sites * site.screened_per_month * site.consent for site in trial.sites)
    return (screened / willing if trial.sites else 1.0) / eligible


def _by_follow_up(people: list[People]) -> dict[str, float | None]:
    """The hazard ratio of everybody drawn from, by months of follow-up."""
    return {
        f"{months} months": _number(
            math.exp(float(np.mean([one.log_hazard_ratio(months) for one in people])))
        )
        for months in _FOLLOWED
    }


def _medians(people: list[People]) -> list[float | None]:
    """Median months of each arm, over the draws."""
    found = np.array([one.medians() for one in people], dtype=np.float64)
    return [_number(float(np.median(column))) for column in found.T]


# Beside it, formulas ------------------------------------------------------------------------------


def analytic(trial: Trial, bounds: Bounds, drawn: _Draw, average: float) -> dict[str, Any]:
    """What formulas say: Schoenfeld's events, power, dates under constant and proportional hazards.

    The control's hazard is that of `control_median`, else of its simulated median.
    """
    design = trial.design
    allocated = trial.ratio[1] / trial.ratio[0]
    test = LogRankTest(design.alpha, allocated, design.margin)
    fixed = test.events(design.hazard_ratio, 1.0 - design.power)
    told: dict[str, Any] = {
        "hazard_ratio": design.hazard_ratio,
        "events_fixed": fixed,
        "inflation": bounds.inflation,
        "events_needed": fixed * bounds.inflation,
    }
    median = design.control_median or drawn.people.medians()[0]
    truth = _exponential(trial, drawn.coming, median) if median else None
    months = [_date_of(look, truth) for look in looks_of(trial)]
    events = float(trial.events)
    if design.dates and truth is not None:
        events = float(timing.expected_events(truth, design.dates[-1]))
    stopping = _crossing(bounds, _planned_drift(trial, events))
    told |= {
        "control_median_months": median,
        "accrual": _number(float(drawn.coming.dates(np.array(float(trial.accrual.patients))))),
        "type_1_error": _crossing(bounds, 0.0).power,
        "duration": None
        if None in months
        else stopping.expected([month for month in months if month is not None]),
        "events_at_end": stopping.expected(bounds.fractions * events),
        "months": months,
        "events": events,
        "power": stopping.power,
        "power_at_simulated_ratio": _crossing(
            bounds, math.sqrt(events) * schoenfeld(average, allocated, design.margin)
        ).power,
        "hazard_ratio_at_bounds": [
            _number(hazard_ratio_at(z, share * events, allocated, design.margin))
            for z, share in zip(bounds.upper, bounds.fractions, strict=True)
        ],
    }
    return told


def _planned_drift(trial: Trial, events: float) -> float:
    """Mean of the last z at the planned hazard ratio, by Schoenfeld."""
    design, allocated = trial.design, trial.ratio[1] / trial.ratio[0]
    return math.sqrt(events) * schoenfeld(design.hazard_ratio, allocated, design.margin)


def _crossing(bounds: Bounds, drift: float) -> Crossing:
    means = drift * np.sqrt(bounds.fractions)
    return crossing(bounds.fractions, bounds.upper, bounds.lower, means)


def _exponential(trial: Trial, coming: Recruitment, median: float) -> timing.Truth:
    hazard, dropout = math.log(2.0) / median, monthly_dropout(trial)
    return timing.Truth(
        coming.in_periods(trial.accrual.patients),
        timing.arm(hazard, dropout),
        timing.arm(hazard * trial.design.hazard_ratio, dropout),
        trial.ratio[1] / trial.ratio[0],
    )


def _date_of(look: timing.Look, truth: timing.Truth | None) -> float | None:
    """When a look is expected; None if its events never are."""
    try:
        return timing.time_of_look(look, truth) if truth else None
    except ValueError:
        return None
