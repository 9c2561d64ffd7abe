"""Replications of several arms: played in parallel, kept in files, added until they are enough.

A task is one replication of one arm. What it found is kept in a file of its own until the run's
folder is written, so that an interrupted run goes on where it stopped; and since a replication
depends on nothing but its number, so does a run that asks for more of them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crlm_sim.experiments.run import Progress

Found = dict[tuple[int, int], dict[str, Any]]
"""What a replication found, by place of the arm and number of the replication."""


@dataclass(frozen=True)
class Work:
    """What to play, how, in how many processes, and the folder that keeps what was found.

    `play` is a function of a module, given an arm and a number.
    """

    arms: Sequence[Any]
    play: Callable[[Any, int], dict[str, Any]]
    kept: Path
    workers: int
    progress: Progress | None = None


def replicate(work: Work, enough: Callable[[Found], int]) -> Found:
    """So many replications of each arm that `enough` asks for no more.

    `enough` says from what was found so far how many there have to be. Those played beyond it, lest
    a processor be idle, are left out, so that the number of processes changes nothing.
    """
    work.kept.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(work.workers, context) as pool:
        found: Found = {}
        number = enough(found)
        while True:
            found |= _further(work, number, found, pool)
            wanted = enough(found)
            if wanted <= number:
                return {task: one for task, one in found.items() if task[1] < wanted}
            number = max(wanted, number + work.workers // len(work.arms))


def _further(work: Work, number: int, known: Found, pool: ProcessPoolExecutor) -> Found:
    """What is not known yet of so many replications, played if it is not kept."""
    total = number * len(work.arms)
    tasks = [(arm, one) for one in range(number) for arm in range(len(work.arms))]
    tasks = [task for task in tasks if task not in known]
    missing = [task for task in tasks if not _file(work.kept, task).exists()]
    done = total - len(missing)

    def tell() -> None:
        if work.progress:
            work.progress(done, total)

    tell()
    if missing and not done:
        first = missing.pop(0)  # here, before the workers, who find it compiled
        _keep(_file(work.kept, first), work.play(work.arms[first[0]], first[1]))
        done += 1
        tell()
    futures = {pool.submit(work.play, work.arms[arm], one): (arm, one) for arm, one in missing}
    try:
        for future in as_completed(futures):
            _keep(_file(work.kept, futures[future]), future.result())
            done += 1
            tell()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in multiprocessing.active_children():  # or they would play all that is queued
            worker.terminate()
        raise
    return {task: json.loads(_file(work.kept, task).read_text("utf-8")) for task in tasks}


def _file(kept: Path, task: tuple[int, int]) -> Path:
    return kept / f"{task[0]}-{task[1]:05d}.json"


def _keep(file: Path, found: dict[str, Any]) -> None:
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.rename(file)
