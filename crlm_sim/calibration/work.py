"""Evaluating every target at many points: on dask, in batches, each kept as soon as it is done.

A batch's file is written under another name and renamed, so that what is there is whole. The same
points in the same folder go on where an interrupted run stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crlm_sim.calibration.simulate import StudySimulator, Target, targets_of
from crlm_sim.calibration.space import Coordinate, values_at
from crlm_sim.calibration.study import load_studies

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
_BATCH = 10


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated: the studies of a folder (those named, if any), how finely, and where."""

    studies: str
    use: str
    most_patients: int
    space: tuple[Coordinate, ...]
    only: tuple[str, ...] = ()


@cache
def ready(problem: Evaluation) -> tuple[list[Target], list[StudySimulator]]:
    """The targets of a problem and the simulators of their studies; made once a process."""
    studies = [
        study
        for study in load_studies(problem.studies)
        if not problem.only or study.id in problem.only
    ]
    targets = targets_of(studies, problem.use or None)
    used = [study for study in studies if any(t.study is study for t in targets)]
    return targets, [StudySimulator(study, problem.most_patients) for study in used]


def evaluate(problem: Evaluation, z: Floats) -> tuple[Floats, Floats]:
    """(figures, simulation errors) of every target at points z, each of shape (points, targets)."""
    targets, simulators = ready(problem)
    figures = np.full((len(z), len(targets)), np.nan)
    errors = np.full_like(figures, np.nan)
    for simulator in simulators:
        places = [i for i, target in enumerate(targets) if target.study is simulator.study]
        wanted = [targets[place].figure for place in places]
        for row, point in enumerate(z):
            found = simulator.figures(values_at(problem.space, point), wanted)
            figures[row, places] = [one.value for one in found]
            errors[row, places] = [one.error for one in found]
    return figures, errors


def evaluate_all(
    problem: Evaluation, z: Floats, folder: Path, workers: int, progress: Progress | None = None
) -> tuple[Floats, Floats]:
    """As `evaluate`, over processes, keeping every batch in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(z), _BATCH)
    missing = [start for start in starts if not _file(folder, start).exists()]
    done = len(z) - sum(min(_BATCH, len(z) - start) for start in missing)
    if progress:
        progress(done, len(z))
    if missing:
        _work_off(problem, z, folder, workers, missing, done, progress)
    parts = [np.load(_file(folder, start)) for start in starts]
    return (
        np.concatenate([part["figures"] for part in parts]),
        np.concatenate([part["errors"] for part in parts]),
    )


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npz"


def _work_off(
    problem: Evaluation,
    z: Floats,
    folder: Path,
    workers: int,
    missing: Sequence[int],
    done: int,
    progress: Progress | None,
) -> None:
    import dask
    from distributed import Client, LocalCluster, as_completed

    evaluate(problem, z[:1])  # compiles what the workers then find in the cache
    with (
        dask.config.set({"distributed.worker.daemon": True}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=50,
            env={"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        ) as cluster,
        Client(cluster) as client,
    ):
        futures = {
            client.submit(evaluate, problem, z[start : start + _BATCH], pure=False): start
            for start in missing
        }
        for future in as_completed(list(futures)):
            start = futures[future]
            figures, errors = future.result()
            _keep(_file(folder, start), figures, errors)
            done += len(figures)
            if progress:
                progress(done, len(z))


def _keep(path: Path, figures: Floats, errors: Floats) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez(file, figures=figures, errors=errors)
    partial.rename(path)
