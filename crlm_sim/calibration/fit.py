"""The fit: screen, emulate, sample, verify against the simulator, refit; a posterior at the end.

1. **Screen**: every uncertain number of the evidence is moved by one standard deviation, one at a
   time. The numbers that move the figures most, in units of their published errors, are learned;
   what the others do is an error of the likelihood.
2. **First wave**: the simulator at a Latin hypercube of the prior, an emulator of it.
3. **Further waves**: points from the emulated posterior are simulated, and the emulator refitted
   where it matters.
4. **Verify**: the last wave's points are weighted by the simulator's own likelihood against the
   emulator's (Pareto-smoothed); k and the effective sample say how far to trust the emulator.
5. **Refit**: the posterior is sampled from the emulator of all that was simulated near it.

Everything simulated is kept in a folder as soon as it is done, so a fit that was interrupted goes
on where it stopped, and the same settings give the same posterior.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.calibration import emulator as emulation
from crlm_sim.calibration.likelihood import (
    TAU_PRIOR_SD,
    Likelihood,
    discrepancy_covariance,
    log_prior,
    published_covariance,
)
from crlm_sim.calibration.sampling import (
    Sample,
    Weighted,
    latin_hypercube,
    pareto_weights,
    sample,
)
from crlm_sim.calibration.simulate import Target
from crlm_sim.calibration.space import Coordinate, every_coordinate
from crlm_sim.calibration.work import Evaluation, evaluate_all, ready
from crlm_sim.evidence.posterior import MODEL_VERSION
from crlm_sim.scenario import Problem, ScenarioError

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Called with the stage, points simulated so far and in all."""

_NO_EFFECT = 0.05
"""A move of a figure by less than this share of its published error counts as none."""
_MEDIAN_OF_CHI_SQUARED = 0.455
_MOST_COUNTED = 25.0
_FAR = 6.0
"""Beyond so many prior standard deviations no sampler need look."""
_TAU_START = 0.1
_WALKERS_A_DIMENSION = 3
_NEAR_POINTS = 1500


@dataclass(frozen=True)
class Settings:
    """How a calibration is done; read from `calibration/calibration.toml`."""

    seed: int = 1
    most_patients: int = 3000
    screening_patients: int = 1000
    learned: int = 64
    paired: int = 30
    waves: tuple[int, ...] = (1500, 800, 800)
    steps: int = 3000
    posterior_steps: int = 15_000
    draws: int = 600


@dataclass(frozen=True)
class Fitted:
    """The posterior with what it rests on.

    `z` are the draws as standard normals of the prior (draws, coordinates), `tau` the discrepancy
    in each; `verified` weighs the last wave's points by the simulator itself.
    """

    settings: Settings
    space: tuple[Coordinate, ...]
    targets: list[Target]
    z: Floats
    tau: Floats
    emulator: emulation.Emulator
    sampled: Sample
    verified: Weighted
    screened: Floats
    nuisance: Floats


def studies_hash(folder: Path) -> str:
    """What identifies the studies a posterior was learned from."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.toml")):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read_settings(path: Path) -> Settings:
    """The settings of a calibration. Raises ScenarioError if they cannot be used."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = sorted(set(raw) - {field.name for field in fields(Settings)})
        if unknown:
            raise ValueError(f"unknown key '{unknown[0]}'")
        waves = raw.get("waves", list(Settings.waves))
        if not isinstance(waves, list):
            raise ValueError("waves is a list of numbers")
        found = Settings(**{**raw, "waves": tuple(waves)})
        numbers = [n for n in (*asdict(found).values(), *found.waves) if not isinstance(n, tuple)]
        if not all(type(n) is int and n > 0 for n in numbers) or len(found.waves) < 2:
            raise ValueError("every setting is a whole number above 0, and there are two waves")
    except (OSError, ValueError) as error:
        raise ScenarioError([Problem(str(path), f"these are no settings: {error}")]) from None
    return found


def work_folder(studies: Path, settings: Settings) -> Path:
    """Where a calibration keeps what it has simulated: one folder for each problem."""
    known = [(c.name, c.law, c.value, c.lower, c.upper) for c in every_coordinate()]
    text = f"{MODEL_VERSION} {studies_hash(studies)} {settings_text(settings)} {known}"
    return Path("runs") / f"calibration-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def calibrate(
    studies: Path,
    settings: Settings,
    folder: Path,
    workers: int,
    only: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Fitted:
    """Learn the posterior from the figures of `studies` whose use is "fit".

    `folder` keeps what is simulated. Raises ScenarioError for wrong studies.
    """

    def stage(name: str) -> Callable[[int, int], None] | None:
        return (lambda done, total: progress(name, done, total)) if progress else None

    def problem(space: Sequence[Coordinate], most: int = settings.most_patients) -> Evaluation:
        return Evaluation(str(studies), "fit", most, tuple(space), only)

    everything = every_coordinate()
    targets, _ = ready(problem(()))
    moves = np.vstack([np.zeros(len(everything)), np.eye(len(everything))])
    base, _ = evaluate_all(
        problem(everything, settings.screening_patients),
        moves,
        folder / "screening",
        workers,
        stage("screening"),
    )
    published = published_covariance(targets)
    effects = np.nan_to_num(base[1:] - base[0]) / np.sqrt(np.diag(published))
    score, moved = _screened(effects)
    learned = np.argsort(-score, kind="stable")[: settings.learned]
    space = tuple(everything[place] for place in learned)
    others = np.delete(moved, learned, axis=0).sum(axis=0)
    nuisance = np.diag(np.maximum(others, 0.0) * np.diag(published))

    values = np.array([target.value for target in targets])
    discrepancy = discrepancy_covariance(targets)
    z = latin_hypercube(settings.waves[0], len(space), settings.seed)
    found, errors = evaluate_all(problem(space), z, folder / "wave-1", workers, stage("wave 1"))
    simulated, figures = [z], [found]
    fixed = published + np.diag(np.nanmedian(errors, axis=0) ** 2) + nuisance
    centre = np.zeros(len(space) + 1)
    centre[-1] = np.log(_TAU_START)
    for wave, size in enumerate(settings.waves[1:], start=2):
        name = f"wave-{wave}"
        density = _emulated(simulated, figures, centre, fixed, discrepancy, values, settings)[1]
        points = _kept(
            folder / name / "points.npy",
            partial(_sample, density, centre, size, settings.steps, settings.seed, wave),
        )
        centre = points.mean(axis=0)
        simulated.append(points[:, :-1])
        found, _ = evaluate_all(
            problem(space), points[:, :-1], folder / name, workers, stage(f"wave {wave}")
        )
        figures.append(found)
    verified = _verify(points, density, Likelihood.of(fixed, discrepancy), found, values)
    emulator, density = _emulated(simulated, figures, centre, fixed, discrepancy, values, settings)
    steps, last = settings.posterior_steps, len(settings.waves) + 1
    sampled = _sample(density, centre, settings.draws, steps, settings.seed, last)
    return Fitted(
        settings=settings,
        space=space,
        targets=targets,
        z=sampled.points[:, :-1],
        tau=np.exp(sampled.points[:, -1]),
        emulator=emulator,
        sampled=sampled,
        verified=verified,
        screened=score,
        nuisance=np.sqrt(np.diag(nuisance) / np.diag(published)),
    )


def _kept(path: Path, make: Callable[[], Sample]) -> Floats:
    """Points that a stage has chosen before, or chosen now and kept: what is simulated at them
    must never belong to others."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with unfinished.open("wb") as file:
            np.save(file, make().points)
        unfinished.rename(path)
    return np.load(path)


def _screened(effects: Floats) -> tuple[Floats, Floats]:
    """(score of every coordinate, squared moves less noise), shapes (n,), (n, targets).

    Effects are in published errors. A move that lets other patients in changes every figure by
    chance; how much is told by the median of those that moved at all, most of which do no more. A
    score adds up over figures, none of which counts for more than five published errors.
    """
    effects = np.where(np.abs(effects) < _NO_EFFECT, 0.0, effects)
    any_move = effects != 0.0
    noise = np.array(
        [
            np.median(effects[any_move[:, k], k] ** 2) / _MEDIAN_OF_CHI_SQUARED
            if any_move[:, k].any()
            else 0.0
            for k in range(effects.shape[1])
        ]
    )
    moved = np.where(any_move, effects**2 - noise, 0.0)
    return np.clip(moved, -_MOST_COUNTED, _MOST_COUNTED).sum(axis=1), moved


def _emulated(
    simulated: list[Floats],
    figures: list[Floats],
    centre: Floats,
    fixed: Floats,
    discrepancy: Floats,
    values: Floats,
    settings: Settings,
) -> tuple[emulation.Emulator, Callable[[Floats], Floats]]:
    """The emulator of the points nearest to where the posterior is thought to be, and with it the
    log posterior."""
    z, found = np.vstack(simulated), np.vstack(figures)
    near = np.argsort(np.sum((z - centre[:-1]) ** 2, axis=1), kind="stable")[:_NEAR_POINTS]
    emulator = emulation.fit(z[near], found[near], settings.paired)
    likelihood = Likelihood.of(fixed + np.diag(emulator.error**2), discrepancy)
    return emulator, log_posterior(emulator, likelihood, values)


def log_posterior(
    emulator: emulation.Emulator, likelihood: Likelihood, values: Floats
) -> Callable[[Floats], Floats]:
    """Log posterior of points (…, coordinates and log τ), by the emulator."""

    def density(points: Floats) -> Floats:
        z, log_tau = points[:, :-1], points[:, -1]
        log_tau = np.clip(log_tau, -12.0, 2.0)
        residuals = values - emulator.predict(z)
        found = log_prior(z, log_tau) + likelihood.log_density(residuals, np.exp(log_tau))
        outside = (np.abs(z).max(axis=1) > _FAR) | (np.abs(points[:, -1] + 5.0) > 7.0)
        return np.where(outside | ~np.isfinite(found), -np.inf, found)

    return density


def _sample(
    density: Callable[[Floats], Floats],
    start: Floats,
    points: int,
    steps: int,
    seed: int,
    wave: int,
) -> Sample:
    dimensions = len(start)
    walkers = 2 * ((_WALKERS_A_DIMENSION * dimensions) // 2 + 1)
    spread = 0.3 * latin_hypercube(walkers, dimensions, seed + wave)
    return sample(density, start + spread, points, steps, seed + 100 * wave)


def _verify(
    points: Floats,
    density: Callable[[Floats], Floats],
    likelihood: Likelihood,
    figures: Floats,
    values: Floats,
) -> Weighted:
    """Weights of sampled points by the simulator's likelihood against the emulator's."""
    z, log_tau = points[:, :-1], points[:, -1]
    residuals = np.nan_to_num(values - figures)
    true = log_prior(z, log_tau) + likelihood.log_density(residuals, np.exp(log_tau))
    return pareto_weights(true - density(points))


# What is told of it ------------------------------------------------------------------------------


def diagnostics(fitted: Fitted) -> dict[str, Any]:
    """What a statistician asks of a fit, as plain numbers."""
    targets = fitted.targets
    errors = np.array([target.error for target in targets])
    slopes = fitted.emulator.slopes(fitted.z.mean(axis=0))
    information = (slopes / errors) ** 2
    parameters = []
    for place, coordinate in enumerate(fitted.space):
        draws = fitted.z[:, place]
        most = np.argsort(-information[place])[:3]
        parameters.append(
            {
                "name": coordinate.name,
                "prior": coordinate.value,
                "posterior": coordinate.at(float(np.median(draws))),
                "lower": coordinate.at(float(np.quantile(draws, 0.025))),
                "upper": coordinate.at(float(np.quantile(draws, 0.975))),
                "moved_by_prior_sd": float(draws.mean()),
                "sd_posterior_to_prior": float(draws.std()),
                "r_hat": float(fitted.sampled.r_hat[place]),
                "effective_sample": float(fitted.sampled.effective[place]),
                "informed_by": [targets[k].id for k in most if information[place, k] > 0.01],
            }
        )
    return {
        "evaluations": int(sum(fitted.settings.waves) + len(fitted.screened) + 1),
        "figures": len(targets),
        "studies": len({target.study.id for target in targets}),
        "pareto_k": fitted.verified.k_hat,
        "effective_sample": fitted.verified.effective,
        "r_hat_most": float(fitted.sampled.r_hat.max()),
        "effective_least": float(fitted.sampled.effective.min()),
        "tau": float(np.median(fitted.tau)),
        "tau_prior_sd": TAU_PRIOR_SD,
        "emulator_error_median": float(np.median(fitted.emulator.error / errors)),
        "emulator_error_worst": float(np.max(fitted.emulator.error / errors)),
        "parameters": parameters,
        "emulator_error": {
            t.id: float(e) for t, e in zip(targets, fitted.emulator.error / errors, strict=True)
        },
        "parameters_left_out": {
            t.id: float(e) for t, e in zip(targets, fitted.nuisance, strict=True)
        },
    }


def settings_text(settings: Settings) -> str:
    """The settings as one line of JSON, to be kept with the posterior."""
    return json.dumps(asdict(settings))
