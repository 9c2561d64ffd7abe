"""Holding the model against published figures: ours, or any folder of study files.

Every study is simulated as the trial or series it was, under draws of the posterior. The interval
of a figure is a posterior predictive one: what a study of that size would report, and so holds
parameter uncertainty, the study's own sampling, and the discrepancy between studies that the
calibration found (τ). A published figure inside it is no surprise to the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.calibration import scales
from crlm_sim.calibration.figures import Lived, read
from crlm_sim.calibration.likelihood import discrepancy_weights
from crlm_sim.calibration.simulate import StudySimulator, Target, targets_of
from crlm_sim.calibration.study import PublishedCurve, Study
from crlm_sim.evidence import Posterior, parameters
from crlm_sim.evidence.parameters import drawn
from crlm_sim.outcomes.clocks import DEFAULT_CLOCK, curve_of, times
from crlm_sim.outcomes.definitions import DAYS_PER_MONTH

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

_QUANTILES = 401
_NORMALS = np.array([NormalDist().inv_cdf((k + 0.5) / _QUANTILES) for k in range(_QUANTILES)])
"""Quantiles that stand for a normal error in the pooled predictive distribution."""
LEVEL = 0.95
_CURVE_POINTS = 61


@dataclass(frozen=True)
class Judged:
    """One figure: what was published, what the model predicts, whether that holds it.

    All in the figure's own unit. `lower` and `upper` are of the predictive interval,
    `mean_lower` and `mean_upper` those of parameter uncertainty alone.
    """

    target: Target
    published: tuple[float, float, float]
    simulated: float
    lower: float
    upper: float
    mean_lower: float
    mean_upper: float
    place: float
    """Where the published figure lies in the predictive distribution, from 0 to 1."""

    @property
    def inside(self) -> bool:
        """Whether the predictive interval holds the published figure."""
        tail = (1.0 - LEVEL) / 2.0
        return tail <= self.place <= 1.0 - tail


@dataclass(frozen=True)
class Drawn:
    """A simulated curve: months (points,) and survival under every draw (draws, points)."""

    study: Study
    curve: PublishedCurve
    months: Floats
    survival: Floats


@dataclass(frozen=True)
class Validation:
    """Every figure of some studies judged, and the curves they published."""

    figures: list[Judged]
    curves: list[Drawn]
    draws: int

    def coverage(self, use: str) -> tuple[int, int]:
        """(figures inside, figures) of one use."""
        chosen = [one for one in self.figures if one.target.figure.use == use]
        return sum(one.inside for one in chosen), len(chosen)


def validate(
    studies: Sequence[Study],
    posterior: Posterior | None,
    draws: int,
    most_patients: int,
    progress: Progress | None = None,
) -> Validation:
    """Judge every figure of some studies. Without a posterior, by draws of the priors."""
    targets = targets_of(studies)
    simulators = [StudySimulator(study, most_patients) for study in studies]
    found = np.full((draws, len(targets)), np.nan)
    curves: dict[tuple[str, int], list[Floats]] = {}
    done = 0
    for simulator in simulators:
        places = [k for k, target in enumerate(targets) if target.study is simulator.study]
        for draw in range(draws):
            lived = simulator.arms(values_of(posterior, simulator.seed, draw + 1, draws))
            for place in places:
                found[draw, place] = read(targets[place].figure, simulator.study, lived).value
            for number, curve in enumerate(simulator.study.curves):
                points = curve_points(curve, simulator.study, lived)
                curves.setdefault((simulator.study.id, number), []).append(points)
            done += 1
            if progress:
                progress(done, draws * len(simulators))
    tau = _taus(posterior, draws)
    weights = discrepancy_weights(targets)
    judged = [_judge(target, found[:, k], tau * weights[k]) for k, target in enumerate(targets)]
    drawn_curves = [
        Drawn(study, curve, _months(curve), np.array(curves[study.id, number]))
        for study in studies
        for number, curve in enumerate(study.curves)
    ]
    return Validation(judged, drawn_curves, draws)


def values_of(posterior: Posterior | None, seed: int, draw: int, draws: int) -> dict[str, float]:
    """All uncertain numbers of a draw: the learned ones jointly, the others from their ranges.

    Of `draws` in all, evenly spaced rows of the posterior are taken.
    """
    values: dict[str, float] = {}
    for name, parameter in parameters().items():
        if parameter.law != "fixed":
            numbers = drawn(parameter, seed, draw)
            for place, number in enumerate(numbers):
                values[name if parameter.is_scalar else f"{name}[{place}]"] = number
    if posterior is not None:
        values |= posterior.values(_row(posterior, draw, draws))
    return values


def _row(posterior: Posterior, draw: int, draws: int) -> int:
    return 1 + (draw - 1) * max(len(posterior.draws) // draws, 1)


def _taus(posterior: Posterior | None, draws: int) -> Floats:
    if posterior is None:
        return np.zeros(draws)
    rows = [(_row(posterior, draw + 1, draws) - 1) % len(posterior.tau) for draw in range(draws)]
    return posterior.tau[rows]


def _judge(target: Target, found: Floats, discrepancy: Floats) -> Judged:
    """A figure against the pooled predictive distribution of all draws that could tell it."""
    scale = target.figure.scale
    told = np.isfinite(found)
    value, lower, upper = _published(target)
    if not told.any():
        nan = math.nan
        return Judged(target, (value, lower, upper), nan, nan, nan, nan, nan, nan)
    means = found[told]
    errors = np.hypot(target.error, discrepancy[told])
    pooled = (means[:, None] + errors[:, None] * _NORMALS).ravel()
    tail = (1.0 - LEVEL) / 2.0
    ends = np.quantile(pooled, [tail, 1.0 - tail])
    inner = np.quantile(means, [tail, 1.0 - tail])
    simulated, low, high, mean_low, mean_high = (
        scales.from_scale(scale, float(number)) for number in (np.mean(means), *ends, *inner)
    )
    normal = NormalDist()
    place = float(
        np.mean([normal.cdf((target.value - m) / e) for m, e in zip(means, errors, strict=True)])
    )
    published = (value, lower, upper)
    return Judged(target, published, simulated, low, high, mean_low, mean_high, place)


def _published(target: Target) -> tuple[float, float, float]:
    """(value, lower, upper) as published, or as reckoned from its number of patients."""
    figure, scale = target.figure, target.figure.scale
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2.0)
    lower = scales.from_scale(scale, target.value - z * target.error)
    upper = scales.from_scale(scale, target.value + z * target.error)
    value = scales.from_scale(scale, target.value)
    if figure.value is not None:
        value = figure.value
    if figure.lower is not None and figure.upper is not None and figure.level == LEVEL:
        return value, figure.lower, figure.upper
    return value, lower, upper


def _months(curve: PublishedCurve) -> Floats:
    return np.linspace(0.0, max(curve.months), _CURVE_POINTS)


def curve_points(curve: PublishedCurve, study: Study, lived: dict[str, Lived]) -> Floats:
    """The simulated counterpart of a published curve, at evenly spaced months."""
    clock = study.clock if study.clock != "diagnosis" else None
    clock = clock or DEFAULT_CLOCK.get(curve.outcome, "diagnosis")
    minutes, happened, _ = times(lived[curve.arm].patients, clock, curve.outcome)
    found = curve_of(minutes, happened)
    days = np.round(_months(curve) * DAYS_PER_MONTH).astype(np.int64)
    return found.survival[np.minimum(days, len(found.survival) - 1)]


# As plain numbers --------------------------------------------------------------------------------


def figure_entry(one: Judged) -> dict[str, Any]:
    """One figure as `crlm validate --json` prints it."""
    target, figure = one.target, one.target.figure
    return {
        "id": target.id,
        "study": target.study.id,
        "arm": " against ".join(target.study.names_of(figure)),
        "outcome": figure.outcome,
        "time": None if figure.days is None else figure.days / DAYS_PER_MONTH,
        "published": one.published[0],
        "published_lower": one.published[1],
        "published_upper": one.published[2],
        "simulated": _number(one.simulated),
        "lower": _number(one.lower),
        "upper": _number(one.upper),
        "parameter_lower": _number(one.mean_lower),
        "parameter_upper": _number(one.mean_upper),
        "inside": one.inside,
        "place": _number(one.place),
        "use": figure.use,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def one_sided_studies(figures: Sequence[Judged], use: str) -> list[str]:
    """Studies with two or more figures of a use, all outside the interval on the same side."""
    by_study: dict[str, list[Judged]] = {}
    for one in figures:
        if one.target.figure.use == use:
            by_study.setdefault(one.target.study.id, []).append(one)
    tail = (1.0 - LEVEL) / 2.0
    return [
        name
        for name, group in by_study.items()
        if len(group) > 1
        and (all(g.place < tail for g in group) or all(g.place > 1.0 - tail for g in group))
    ]


def result(done: Validation, folder: Path) -> dict[str, Any]:
    """Everything as one document."""
    counts = {use: done.coverage(use) for use in ("fit", "check")}
    return {
        "studies_folder": str(folder),
        "draws": done.draws,
        "figures": [figure_entry(one) for one in done.figures],
        "inside": {use: {"inside": a, "of": b} for use, (a, b) in counts.items()},
        "studies_missed_one_way": one_sided_studies(done.figures, "fit"),
    }
