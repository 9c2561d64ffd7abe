"""A sweep from its beginning, or from where it stopped, to its dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crlm_sim.experiments.run import provenance_of
from crlm_sim.experiments.sweep import pool, store
from crlm_sim.experiments.sweep.gather import Incomplete, gather, size_of
from crlm_sim.experiments.sweep.plan import number_of_cells, tasks_of
from crlm_sim.experiments.sweep.task import live, results
from crlm_sim.scenario.experiment import Experiment

Progress = Callable[[str, int, int], None]
"""Called with the stage, the tasks done and all tasks."""
_SAMPLE = 2_000


def sweep(
    experiment: Experiment,
    *,
    out: Path | None = None,
    where: pool.Where | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Do all of an experiment that is not done yet; returns the store's folder.

    Raises Refused if the folder is another's or in use, Stopped if the work cannot go on for now,
    EmptyPopulation if nobody is eligible at a point.
    """
    where = where or pool.Where()
    folder = store.folder_of(experiment, out)
    started = time.perf_counter()
    with _opened(folder, experiment, alone=True):
        experiment = store.read_experiment(folder)
        tasks = tasks_of(experiment)
        while not store.is_finished(folder):
            missing = store.missing(folder, tasks)
            _work(folder, experiment, where, missing, progress)
            _finish(folder, experiment, time.perf_counter() - started, command, progress)
        store.clean(folder)
    return folder


def share(
    experiment: Experiment,
    number: int,
    of: int,
    *,
    out: Path | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Do one of several shares of the tasks (number 1 … `of`), as a job of an array does.

    Raises as `sweep` does.
    """
    folder = store.folder_of(experiment, out)
    with _opened(folder, experiment, alone=False):
        experiment = store.read_experiment(folder)
        if not store.is_finished(folder):
            missing = store.missing(folder, tasks_of(experiment))
            mine = [task for task in missing if task % of == number - 1]
            _work(folder, experiment, pool.Where(threads=threads), mine, progress)
    return folder


def merge(
    experiment: Experiment,
    *,
    out: Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Make the dataset once all shares are done. Raises Stopped if one is not."""
    folder = store.folder_of(experiment, out)
    with _opened(folder, experiment, alone=True):
        experiment = store.read_experiment(folder)
        tasks = tasks_of(experiment)
        if not store.is_finished(folder) and not store.missing(folder, tasks):
            _finish(folder, experiment, 0.0, command, progress)
        if not store.is_finished(folder):
            missing = store.missing(folder, tasks)
            raise store.Stopped(
                f"{len(missing)} of {len(tasks)} tasks are not done yet: run their shares again, "
                "or the sweep without --merge"
            )
        store.clean(folder)
    return folder


@contextmanager
def _opened(folder: Path, experiment: Experiment, *, alone: bool) -> Iterator[None]:
    """The store begun, locked and, if nobody else is at it, rid of what was left half-written."""
    try:
        store.start(folder, experiment)
    except OSError as error:
        if error.errno in store.FULL:
            raise _stopped(folder, error) from error
        raise store.Refused(f"{folder} cannot be written: {error.strerror or error}") from error
    try:
        with store.locked(folder, alone=alone):
            if alone:
                store.clean(folder)
            yield
    except OSError as error:
        raise _stopped(folder, error) from error


def _stopped(folder: Path, error: OSError) -> store.Stopped:
    why = error.strerror or str(error)
    return store.Stopped(f"{folder}: {why}; what is done is kept, and the same command goes on")


def _work(
    folder: Path,
    experiment: Experiment,
    where: pool.Where,
    missing: list[int],
    progress: Progress | None,
) -> None:
    tasks = tasks_of(experiment)
    finished = len(tasks) - len(missing)

    def done() -> None:
        nonlocal finished
        finished += 1
        if progress:
            progress("simulating", finished, len(tasks))

    if progress:
        progress("simulating", finished, len(tasks))
    if missing:
        pool.work_off(folder, experiment, tasks, missing, where, done)


def _finish(
    folder: Path,
    experiment: Experiment,
    seconds: float,
    command: str,
    progress: Progress | None = None,
) -> None:
    """Make the dataset; if a chunk turns out not to be whole, its task is not done after all."""
    first = experiment.first
    about = {"seed": first.run.seed, "engine": first.run.engine, "seconds": round(seconds, 3)}
    manifest = store.read_manifest(folder)
    record = provenance_of([first], about, command) | {
        "identity": manifest["identity"],
        "program_sha256": manifest["program_sha256"],
    }
    store.write_json(folder / store.PROVENANCE, record)
    with suppress(Incomplete):
        gather(folder, experiment, tasks_of(experiment), progress)


# What it would take ------------------------------------------------------------------------------


def outlook(experiment: Experiment, out: Path | None, where: pool.Where) -> dict[str, Any]:
    """What a sweep would take, from a sample of the first point's patients; nothing is written."""
    folder = store.folder_of(experiment, out)
    per_patient, per_cell = _sample(experiment)
    cells = number_of_cells(experiment)
    draws = len(experiment.first.run.draw_numbers)
    people = draws * sum(
        point.scenario.run.patients * point.scenario.run.replications for point in experiment.points
    )
    return {
        "run": str(folder),
        "points": len(experiment.points),
        "draws": draws,
        "policies": list(experiment.first.policy_names),
        "patients": people * len(experiment.first.policies),
        "tasks": len(tasks_of(experiment)),
        "done": _done(folder, experiment),
        "workers": where.number,
        "seconds": round((people * per_patient + cells * per_cell) / where.number, 1),
        "bytes": size_of(experiment),
    }


def _done(folder: Path, experiment: Experiment) -> int:
    """How many tasks of a store that may not be there yet are done."""
    if not (folder / store.MANIFEST).exists():
        return 0
    tasks = tasks_of(store.read_experiment(folder))
    return len(tasks) - (0 if store.is_finished(folder) else len(store.missing(folder, tasks)))


def _sample(experiment: Experiment) -> tuple[float, float]:
    """Seconds a patient takes under all policies, and a cell besides, once compiled."""
    scenario, strata = experiment.first, tuple(experiment.strata.values())
    draw = scenario.run.draw_numbers[0]
    pool.compile_first(experiment)
    small = pool.with_patients(scenario, min(scenario.run.patients, _SAMPLE))
    started = time.perf_counter()
    tallies = live(small, strata, draw)
    lived = time.perf_counter()
    results(tallies, scenario.reference)
    return (lived - started) / small.run.patients, time.perf_counter() - lived
