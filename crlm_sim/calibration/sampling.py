"""Designs, the sampler and the weights: thin glue over scipy, emcee and arviz."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LogDensity = Callable[[Floats], Floats]

ENSEMBLES = 4
_STEP_BACK = 1e-6


def generator(seed: int) -> np.random.RandomState:
    """A generator of its own for a sampler that needs one (emcee takes this kind alone)."""
    return np.random.RandomState(seed)


def latin_hypercube(points: int, dimensions: int, seed: int) -> Floats:
    """Standard normals on a Latin hypercube, shape (points, dimensions)."""
    from scipy.stats import norm, qmc

    uniform = qmc.LatinHypercube(dimensions, seed=seed).random(points)
    return norm.ppf(np.clip(uniform, _STEP_BACK, 1.0 - _STEP_BACK))


@dataclass(frozen=True)
class Sample:
    """Points of a density, shape (points, dimensions), and how far the ensembles agree."""

    points: Floats
    r_hat: Floats
    effective: Floats


def sample(
    density: LogDensity,
    start: Floats,
    points: int,
    steps: int,
    seed: int,
    ensembles: int = ENSEMBLES,
) -> Sample:
    """Points of a log density by emcee, from some ensembles that start apart.

    `start` (walkers, dimensions) spreads the first walkers; the first half of the steps is dropped.
    The snooker move is left out: emcee 3.1.6 samples too narrowly with it.
    """
    import emcee

    walkers, dimensions = start.shape
    moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.StretchMove(), 0.2)]
    kept = []
    for number in range(ensembles):
        random = generator(seed + number)
        sampler = emcee.EnsembleSampler(walkers, dimensions, density, moves=moves, vectorize=True)
        first = start + 0.1 * random.normal(size=start.shape)
        state = emcee.State(first, random_state=random.get_state())
        sampler.run_mcmc(state, steps, skip_initial_state_check=True)
        kept.append(sampler.get_chain(discard=steps // 2))
    chains = np.stack([chain.reshape(-1, dimensions) for chain in kept])
    r_hat, effective = _diagnostics(kept) if ensembles > 1 else (np.empty(0), np.empty(0))
    random = generator(seed + ENSEMBLES)
    together = chains.reshape(-1, dimensions)
    chosen = random.choice(len(together), points, replace=False)
    return Sample(together[chosen], r_hat, effective)


def _arviz() -> Any:
    """arviz, without the word on its coming versions that it says once a day."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        import arviz
    return arviz


def _diagnostics(chains: list[Floats]) -> tuple[Floats, Floats]:
    """(R-hat over the ensembles' means of walkers, effective sample size), one a dimension.

    Walkers of one ensemble depend on one another, so the chain of an ensemble is a few walkers'
    own; the four of different ensembles are what R-hat compares.
    """
    arviz = _arviz()

    r_hat, effective = [], []
    for dimension in range(chains[0].shape[2]):
        apart = np.stack([chain[:, walker, dimension] for chain in chains for walker in (0, 1)])
        r_hat.append(float(arviz.rhat(apart)))
        every = np.stack([chain[:, :, dimension].T for chain in chains]).reshape(-1, len(chains[0]))
        effective.append(float(arviz.ess(every)))
    return np.array(r_hat), np.array(effective)


@dataclass(frozen=True)
class Weighted:
    """Importance weights that sum to one, the Pareto shape of their tail, the effective sample."""

    weights: Floats
    k_hat: float
    effective: float


def pareto_weights(log_weights: Floats) -> Weighted:
    """Pareto-smoothed importance weights (Vehtari 2024)."""
    arviz = _arviz()

    log_smoothed, k_hat = arviz.psislw(np.asarray(log_weights))
    weights = np.exp(np.asarray(log_smoothed))
    weights /= weights.sum()
    return Weighted(weights, float(k_hat), float(1.0 / np.sum(weights**2)))
