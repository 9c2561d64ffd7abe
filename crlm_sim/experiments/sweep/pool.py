"""Where tasks are done: in this process, in processes of this machine, on a scheduler or a cluster.

Wherever it is, a task is `task.do` with the store's folder, which all workers see.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_sim.experiments.sweep import store
from crlm_sim.experiments.sweep import task as work
from crlm_sim.experiments.sweep.plan import Task
from crlm_sim.scenario import Scenario
from crlm_sim.scenario.experiment import Experiment

if TYPE_CHECKING:
    from dask_jobqueue import JobQueueCluster
    from distributed import Client
    from distributed.deploy import Cluster

WAVE = 10_000
"""Most tasks that a scheduler is given at a time."""
_FAILURES = 10
"""Workers that may be lost with one task before it is taken for the reason."""
_PATIENCE = 10
_LOOK_EVERY = 20
"""Seconds to wait for a scheduler, and between looks at whether jobs have ended."""
_SILENT = 50
_KEPT_BYTES = 2**30
"""Freed memory that a worker keeps for its next block of patients. Dask's workers hand back all
above 64 KiB, and to be given the pages anew took as long as the patients themselves."""
_LARGEST_BYTES = 2**25
"""The most that can be asked for in one piece without pages of its own (glibc allows no more)."""
_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(_KEPT_BYTES),
    "MALLOC_MMAP_THRESHOLD_": str(_LARGEST_BYTES),
}
_GOES_ON = "what is done is kept, and the same command goes on"


@dataclass(frozen=True)
class Where:
    """Who does the tasks, each worker one at a time on so many threads.

    With a `scheduler` (an address) its workers; with a `cluster` ("slurm" or "pbs") workers in
    `jobs` of so many `cores`; else `workers` on this machine, one being this very process.
    """

    workers: int = 1
    threads: int = 1
    scheduler: str | None = None
    cluster: str | None = None
    jobs: int = 1
    cores: int = 1
    queue: str | None = None
    walltime: str = "01:00:00"
    memory: str = "2GB"

    @property
    def number(self) -> int:
        """How many workers there are, as far as is known here."""
        return self.jobs * self.cores if self.cluster else self.workers


def work_off(
    folder: Path,
    experiment: Experiment,
    tasks: Sequence[Task],
    missing: Sequence[int],
    where: Where,
    done: Callable[[], None],
) -> None:
    """Do the missing tasks of a store, calling `done` after each."""
    if where.workers == 1 and not (where.scheduler or where.cluster):
        for number in missing:
            work.do(str(folder), number, tasks[number], where.threads)
            done()
        return
    compile_first(experiment)
    with _answered(), _client(where, folder.resolve()) as client:
        _feed(client, str(folder.resolve()), tasks, missing, where.threads, done)


def compile_first(experiment: Experiment) -> None:
    """Compile all that tasks use, for workers to find it in the cache."""
    few = with_patients(experiment.first, 2)
    work.live(few, tuple(experiment.strata.values()), few.run.draw_numbers[0])


def with_patients(scenario: Scenario, patients: int) -> Scenario:
    """The scenario with so many patients, once."""
    changes = {"patients": patients, "replications": 1}
    return scenario.model_copy(update={"run": scenario.run.model_copy(update=changes)})


def _feed(
    client: Client,
    folder: str,
    tasks: Sequence[Task],
    missing: Sequence[int],
    threads: int,
    done: Callable[[], None],
) -> None:
    """Keep the scheduler in tasks, at most a wave of them, until all are done."""
    from distributed import as_completed

    waiting = iter(missing)

    def submitted(most: int) -> list:
        numbers = islice(waiting, most)
        return [client.submit(work.do, folder, n, tasks[n], threads, pure=False) for n in numbers]

    running = as_completed(submitted(WAVE))
    for future in running:
        future.result()
        done()
        running.update(submitted(1))


@contextmanager
def _answered() -> Iterator[None]:
    """A scheduler that is lost, or loses too many workers, stops the sweep for now.

    That is said once and in our words, without dask's own log.
    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        yield
    except CancelledError:
        raise store.Stopped(f"the scheduler is lost; {_GOES_ON}") from None
    except KilledWorker as error:
        text = f"workers end while they do a task, the last one at {error.last_worker.address}"
        raise store.Stopped(f"{text}; is their memory too small? {_GOES_ON}") from None


@contextmanager
def _client(where: Where, folder: Path) -> Iterator[Client]:
    import dask
    from distributed import Client

    settings = {
        "distributed.worker.daemon": True,
        "distributed.scheduler.allowed-failures": _FAILURES,
        **{f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in _MEMORY.items()},
    }
    with dask.config.set(settings):
        if where.scheduler:
            with _reached(where.scheduler) as client:
                yield client
            return
        kind = _jobs if where.cluster else _processes
        with kind(where, folder) as cluster, Client(cluster) as client:
            yield client


@contextmanager
def _reached(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise store.Stopped(f"no scheduler answers at {address}: {error}") from None
    with client:
        yield client


def _environment(where: Where) -> dict[str, str]:
    return {"NUMBA_NUM_THREADS": str(where.threads), "OMP_NUM_THREADS": "1", **_MEMORY}


@contextmanager
def _processes(where: Where, folder: Path) -> Iterator[Cluster]:
    """Processes of this machine."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=where.workers,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=_SILENT,
        env=_environment(where),
    ) as cluster:
        yield cluster


# Jobs of a cluster -------------------------------------------------------------------------------


@contextmanager
def _jobs(where: Where, folder: Path) -> Iterator[JobQueueCluster]:
    """Workers as jobs of a batch system, replaced when they end.

    What the site's own file for dask-jobqueue says (interface, account, …) holds besides.
    """
    import dask
    import dask_jobqueue

    name = str(where.cluster)
    kind = {"slurm": dask_jobqueue.SLURMCluster, "pbs": dask_jobqueue.PBSCluster}[name]
    site = dask.config.get(f"jobqueue.{name}")
    seconds = _seconds(where.walltime)
    exports = [f"export {key}={value}" for key, value in _environment(where).items()]
    lifetime = ["--lifetime", f"{0.85 * seconds:.0f}s", "--lifetime-stagger", f"{seconds // 20}s"]
    directives = ["--no-requeue"] if name == "slurm" else ["-r n"]
    with kind(
        queue=where.queue,
        cores=where.cores,
        processes=where.cores,
        memory=where.memory,
        walltime=where.walltime,
        python=sys.executable,
        log_directory=str(folder / store.LOGS),
        worker_extra_args=[*(site["worker-extra-args"] or []), *lifetime],
        job_extra_directives=[*(site["job-extra-directives"] or []), *directives],
        job_cpu=where.cores * where.threads if name == "slurm" else None,
        job_script_prologue=[*(site["job-script-prologue"] or []), *exports],
        scheduler_options={**(site.get("scheduler-options") or {}), "dashboard_address": ":0"},
        silence_logs=_SILENT,
    ) as cluster:
        if name == "slurm":
            _try_queue(cluster.job_script())
        with _kept_up(cluster, where.jobs):
            yield cluster


def _try_queue(script: str) -> None:
    """Ask Slurm whether it would take a job. Raises Refused with its reason if not."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        found = subprocess.run(
            ["sbatch", "--test-only", file.name], capture_output=True, text=True, check=False
        )
    if found.returncode:
        raise store.Refused(f"Slurm refuses the jobs: {found.stderr.strip()}")


@contextmanager
def _kept_up(cluster: JobQueueCluster, jobs: int) -> Iterator[None]:
    """So many jobs, and new ones for those that have ended: dask itself starts none anew."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(_LOOK_EVERY):
            cluster.scale(jobs=jobs)

    cluster.scale(jobs=jobs)
    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _seconds(walltime: str) -> int:
    """The length of HH:MM:SS or D-HH:MM:SS. Raises Refused for anything else."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", walltime)
    if found is None:
        raise store.Refused(f"--walltime: expected HH:MM:SS, got '{walltime}'")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds
