"""Looks at what is judged in a window: shares of patients, or means, of those assessed so far.

A patient is assessed when the window since randomisation is over. Who drops out before is a failure
on that day, or is left out, as the file says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.experiments.run import described_economics
from crlm_sim.trials.boundaries import Bounds, crossing
from crlm_sim.trials.comparisons import farrington_manning, risk_difference
from crlm_sim.trials.endpoints import JUDGED, Judged
from crlm_sim.trials.enrolment import Recruitment
from crlm_sim.trials.file import FAILURE, MODEL, WALD, JudgedDesign, ShareDesign, Trial
from crlm_sim.trials.looks import Analyses, Characteristics, Patients, dates
from crlm_sim.trials.people import People
from crlm_sim.trials.proportions import Contrast, two_means, two_proportions
from crlm_sim.trials.spending import Floats
from crlm_sim.trials.timing import Look
from crlm_sim.trials.told import entry, number

Comparison = Callable[[Floats, NDArray[np.bool_], NDArray[np.bool_]], Floats]
"""(answers, assessed in the control, assessed in the other arm) → z; all (trials, patients)."""


def assess(trial: Trial, patients: Patients, values: Floats, looks: Sequence[Look]) -> Analyses:
    """Hold every look in every trial; `values` are the answers, (trials, patients).

    The event of `patients` is that the window is over. Estimates are the experimental arm's mean
    less the control's.
    """
    design, endpoint = _design(trial), JUDGED[trial.endpoint.outcome]
    if trial.dropouts == FAILURE:
        lost = patients.dropout < patients.event
        values = np.where(lost, 0.0 if endpoint.higher_is_better else 1.0, values)
        patients = replace(patients, dropout=np.full(lost.shape, math.inf))
    compare = _comparison(design, endpoint)
    held = dates(patients, looks)
    z, effect = np.empty(held.shape), np.empty(held.shape)
    for i in range(len(looks)):
        known = patients.event_date <= held[:, i, None]
        groups = [known & (patients.arm == arm) for arm in (0, 1)]
        effect[:, i] = _mean(values, groups[1]) - _mean(values, groups[0])
        z[:, i] = compare(values, groups[0], groups[1])
    assessed = (patients.event_date[:, None] <= held[..., None]).sum(-1)
    present = (patients.enrolment[:, None] <= held[..., None]).sum(-1)
    return Analyses(held, assessed, present, z, effect)


def _design(trial: Trial) -> JudgedDesign:
    assert trial.judged is not None
    return trial.judged


def _comparison(design: JudgedDesign, endpoint: Judged) -> Comparison:
    """The test of a design, as a function of answers and who is assessed."""
    if not isinstance(design, ShareDesign):
        sign, margin = endpoint.sign, design.margin
        return lambda values, control, other: _welch(sign * values, control, other, margin)
    test = _wald if design.test == WALD else _score
    best = 1.0 if endpoint.higher_is_better else 0.0

    def compare(values: Floats, control: NDArray[np.bool_], other: NDArray[np.bool_]) -> Floats:
        counts = [
            count
            for group in (control, other)
            for count in ((group & (values == best)).sum(axis=1), group.sum(axis=1))
        ]
        both = (counts[1] > 0) & (counts[3] > 0)
        counts[1], counts[3] = np.maximum(counts[1], 1), np.maximum(counts[3], 1)
        return np.where(both, test(counts, design.margin), math.nan)

    return compare


def _score(counts: list[NDArray], margin: float) -> Floats:
    return farrington_manning(counts[0], counts[1], counts[2], counts[3], -margin)


def _wald(counts: list[NDArray], margin: float) -> Floats:
    difference, error = risk_difference(counts[0], counts[1], counts[2], counts[3])
    known = error > 0.0
    return np.where(known, (difference + margin) / np.where(known, error, 1.0), math.nan)


def _welch(
    values: Floats, control: NDArray[np.bool_], other: NDArray[np.bool_], margin: float
) -> Floats:
    """The difference of means over its error with a variance for each arm, taken as normal."""
    means = [_mean(values, group) for group in (control, other)]
    error = np.zeros(len(values))
    for group, mean in zip((control, other), means, strict=True):
        size = group.sum(axis=1)
        squares = np.where(group, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
        error += np.where(size > 1, squares / np.maximum(size * (size - 1), 1), math.nan)
    known = error > 0.0
    return np.where(known, (means[1] - means[0] + margin) / np.sqrt(error), math.nan)


def _mean(values: Floats, group: NDArray[np.bool_]) -> Floats:
    """Mean of the group in each trial, (trials,), nan of none."""
    size = group.sum(axis=1)
    total = np.where(group, values, 0.0).sum(axis=1)
    return np.where(size > 0, total / np.maximum(size, 1), math.nan)


# What is told -------------------------------------------------------------------------------------


def told(
    trial: Trial,
    bounds: Bounds,
    people: list[People],
    coming: Recruitment,
    every: Analyses,
    found: Characteristics,
    power: float,
) -> dict[str, Any]:
    """What is told of an endpoint judged in a window alone.

    `people` are those of each draw of the parameters.
    """
    design, endpoint = _design(trial), JUDGED[trial.endpoint.outcome]
    answers = np.concatenate([_answers(one) for one in people], axis=1)
    means = answers.mean(axis=1)
    spreads = answers.std(axis=1)
    if not spreads.any():
        text = f"all people have the same answer within {trial.endpoint.window:g} months"
        raise trial.refuse(("endpoint", "window"), text, "there is nothing to compare")
    return {
        "kind": "share" if endpoint.share else "mean",
        "label": endpoint.label,
        "higher_is_better": endpoint.higher_is_better,
        "window_months": trial.endpoint.window,
        "dropouts": trial.dropouts,
        "test": design.test if isinstance(design, ShareDesign) else "welch",
        "margin": design.margin,
        "power_error_of_people": _error_of_people(trial, people, power),
        "assessed": entry(found.events),
        "by_arm": means.tolist(),
        "standard_deviations": spreads.tolist(),
        "difference": float(np.nanmean(every.estimate[:, -1])),
        "difference_at_end": entry(found.estimate),
        "difference_if_shown": entry(found.estimate_if_shown),
        "odds_ratio": _odds_ratio(means) if endpoint.share else None,
        "economics": None if endpoint.share else described_economics(trial.scenario),
        "analytic": _analytic(trial, bounds, coming, means, spreads),
    }


def _answers(people: People) -> Floats:
    assert people.values is not None
    return people.values


def _odds_ratio(shares: Floats) -> float | None:
    odds = shares * (1.0 - shares[::-1])
    return number(odds[1] / odds[0]) if odds[0] > 0.0 else None


def _kept(trial: Trial) -> float:
    """The share of patients who have not dropped out when they are assessed."""
    return float((1.0 - trial.accrual.dropout_per_year) ** (trial.endpoint.window / 12.0))


def _assessed(trial: Trial) -> float:
    """Patients assessed in the end, as expected."""
    left_out = trial.dropouts != FAILURE
    return trial.accrual.patients * (_kept(trial) if left_out else 1.0)


def _error_of_people(trial: Trial, people: list[People], power: float) -> float:
    """Standard error of the power from the finite number of patients drawn from.

    That of their mean difference, times √patients over the error of one, times the slope of the
    power. It is 0 if the truth is imposed.
    """
    from scipy.special import ndtri

    if trial.head.truth != MODEL or not 0.0 < power < 1.0:
        return 0.0
    answers = np.concatenate([_answers(one) for one in people], axis=1)
    error = float((answers[1] - answers[0]).std()) / math.sqrt(answers.shape[1])
    spread = _simulated(trial, answers.mean(axis=1), answers.std(axis=1))
    slope = math.exp(-0.5 * float(ndtri(power)) ** 2) / math.sqrt(2.0 * math.pi)
    return slope * math.sqrt(_assessed(trial)) / spread.error * error


def _contrast(trial: Trial, better: Sequence[float], spreads: Floats) -> Contrast:
    """What the test sees of these means, better high, in either arm."""
    design, allocated = _design(trial), trial.ratio[1] / trial.ratio[0]
    if not isinstance(design, ShareDesign):
        difference = better[1] - better[0]
        return two_means(difference, spreads[0], spreads[1], allocated, design.margin)
    score = design.test != WALD
    return two_proportions(better[0], better[1], allocated, design.margin, score)


def _favourable(trial: Trial, means: Sequence[float]) -> list[float]:
    """Means of the arms turned so that more is better."""
    endpoint = JUDGED[trial.endpoint.outcome]
    if endpoint.higher_is_better:
        return [float(mean) for mean in means]
    return [1.0 - float(mean) for mean in means]


def _simulated(trial: Trial, means: Floats, spreads: Floats) -> Contrast:
    """What the test sees of the people as simulated, drop-outs being failures if so said."""
    kept = _kept(trial) if trial.dropouts == FAILURE else 1.0
    better = [kept * mean for mean in _favourable(trial, means.tolist())]
    return _contrast(trial, better, spreads)


def _analytic(
    trial: Trial, bounds: Bounds, coming: Recruitment, means: Floats, spreads: Floats
) -> dict[str, Any]:
    """What formulas say: sizes, power and dates for the difference hoped for.

    The control's share is that of the file, else as simulated; a mean's spread is as simulated.
    """
    design, endpoint = _design(trial), JUDGED[trial.endpoint.outcome]
    control = design.control if isinstance(design, ShareDesign) and design.control else means[0]
    better = _favourable(trial, [control])[0]
    other = better + design.difference
    if endpoint.share and other > 1.0:
        text = f"cannot be met: the control's share as simulated is {control:.3f}"
        raise trial.refuse(("design", "difference"), text, "state the control's share as planned")
    hoped = _contrast(trial, [better, other], spreads)
    size = _assessed(trial)
    fixed = hoped.patients(design.alpha, 1.0 - design.power)
    stopping = hoped.crossing(bounds, size)
    months = _months(trial, coming)
    return {
        "control": float(control),
        "difference": endpoint.sign * (other - better),
        "patients_fixed": fixed,
        "inflation": bounds.inflation,
        "patients_needed": fixed * bounds.inflation,
        "power": stopping.power,
        "power_as_simulated": _simulated(trial, means, spreads).crossing(bounds, size).power,
        "type_1_error": crossing(
            bounds.fractions, bounds.upper, bounds.lower, np.zeros(len(bounds.fractions))
        ).power,
        "accrual": number(float(coming.dates(np.array(float(trial.accrual.patients))))),
        "months": [number(month) for month in months],
        "duration": number(stopping.expected(months)),
        "assessed_at_end": stopping.expected(bounds.fractions * size),
        "difference_at_bounds": [
            number(endpoint.sign * (z * hoped.null_error / math.sqrt(share * size) - design.margin))
            for z, share in zip(bounds.upper, bounds.fractions, strict=True)
        ],
    }


def _months(trial: Trial, coming: Recruitment) -> list[float]:
    """When each look is expected."""
    if trial.plan.dates:
        return list(trial.plan.dates)
    all_in = trial.accrual.patients
    needed = np.minimum(np.array(trial.plan.looks) * all_in / (_assessed(trial) / all_in), all_in)
    return [float(month) + trial.endpoint.window for month in coming.dates(needed)]
