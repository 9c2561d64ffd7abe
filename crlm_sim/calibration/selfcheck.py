"""Whether the fit recovers what is known: simulation-based calibration on a reduced problem.

Many truths are drawn from the prior, each simulated and blurred as published figures are, and
fitted. If emulator, likelihood and sampler are right, the rank of the truth among the posterior's
draws is uniform (Talts and others 2018). Few parameters, few studies and few patients make it a
matter of minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.calibration import emulator as emulation
from crlm_sim.calibration.fit import log_posterior
from crlm_sim.calibration.likelihood import (
    TAU_PRIOR_SD,
    Likelihood,
    discrepancy_covariance,
    published_covariance,
)
from crlm_sim.calibration.sampling import generator, latin_hypercube, sample
from crlm_sim.calibration.space import coordinates
from crlm_sim.calibration.work import Evaluation, evaluate_all, ready

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

STUDIES = ("eortc_40983", "tribe", "raise", "recourse")
LEARNED = ("growth_rate_per_day", "lethal_liver_ml", "occult_log_mean", "sensitivity_sd")
_PATIENTS = 600
_DESIGN = 200
_TRUTHS = 120
_DRAWS = 99
_STEPS = 600
_WALKERS = 20
_BINS = 10
_WIDE = 1.0
_TAU_START = 0.15


@dataclass(frozen=True)
class Recovery:
    """Ranks of the truths among the draws (truths, coordinates), from 0 to the number of draws."""

    names: tuple[str, ...]
    ranks: NDArray[np.int64]
    draws: int
    truths: Floats
    means: Floats

    @property
    def p_values(self) -> list[float]:
        """Chi-squared p of uniform ranks in ten bins, a coordinate each."""
        from scipy.stats import chisquare

        found = []
        for place in range(len(self.names)):
            bins = self.ranks[:, place] * _BINS // (self.draws + 1)
            counts = np.bincount(bins, minlength=_BINS)
            found.append(float(chisquare(counts).pvalue))
        return found

    @property
    def correlations(self) -> list[float]:
        """Correlation of truth and posterior mean over truths, a coordinate each."""
        return [
            float(np.corrcoef(self.truths[:, k], self.means[:, k])[0, 1])
            for k in range(len(self.names))
        ]


def recover(
    studies: Path, folder: Path, workers: int, seed: int = 1, progress: Progress | None = None
) -> Recovery:
    """Fit 120 simulated truths of a reduced problem. Raises ScenarioError for wrong studies."""
    space = tuple(coordinates(LEARNED))
    problem = Evaluation(str(studies), "fit", _PATIENTS, space, STUDIES)
    targets, _ = ready(problem)
    z = latin_hypercube(_DESIGN, len(space), seed)
    truths = latin_hypercube(_TRUTHS, len(space), seed + 1)

    def stage(name: str) -> Callable[[int, int], None] | None:
        return (lambda done, total: progress(name, done, total)) if progress else None

    figures, _ = evaluate_all(problem, z, folder / "design", workers, stage("design"))
    true_figures, _ = evaluate_all(problem, truths, folder / "truths", workers, stage("truths"))
    emulator = emulation.fit(z, figures, len(space))
    published = published_covariance(targets)
    discrepancy = discrepancy_covariance(targets)
    likelihood = Likelihood.of(published + np.diag(emulator.error**2), discrepancy)
    random = generator(seed)
    ranks, means = [], []
    for number, truth in enumerate(truths):
        tau = abs(random.normal()) * TAU_PRIOR_SD
        spread = np.linalg.cholesky(published + tau**2 * discrepancy)
        blur = spread @ random.normal(size=len(targets))
        density = log_posterior(emulator, likelihood, true_figures[number] + blur)
        start = _WIDE * latin_hypercube(_WALKERS, len(space) + 1, seed + number)
        start[:, -1] = np.log(_TAU_START) + 0.3 * start[:, -1]
        found = sample(density, start, _DRAWS, _STEPS, seed + number, ensembles=1)
        draws = found.points[:, :-1]
        ranks.append((draws < truth).sum(axis=0))
        means.append(draws.mean(axis=0))
        if progress:
            progress("fits", number + 1, len(truths))
    return Recovery(LEARNED, np.array(ranks), _DRAWS, truths, np.array(means))


def result(found: Recovery) -> dict[str, Any]:
    """The recovery as plain numbers."""
    rows = zip(found.names, found.p_values, found.correlations, found.ranks.T, strict=True)
    return {
        "truths": len(found.truths),
        "draws": found.draws,
        "parameters": [
            {
                "name": name,
                "p_uniform": p,
                "correlation": correlation,
                "ranks": np.bincount(ranks * _BINS // (found.draws + 1), minlength=_BINS).tolist(),
            }
            for name, p, correlation, ranks in rows
        ],
    }
