"""What a sweep costs beside its simulation, and how two workers stand to one.

`python benchmarks/sweeps.py` does a probabilistic analysis of 500 draws, three policies and 10,000
patients, in one process and in two, and for the memory a million and ten million courses; some ten
minutes on two idle cores. Wall times mean something only where nothing else runs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from crlm_sim.experiments.sweep import sweep, task
from crlm_sim.experiments.sweep.pool import Where
from crlm_sim.scenario.experiment import load_experiment

SCENARIO = Path(__file__).parent.parent / "scenarios" / "sequencing.toml"
POLICIES = ["colorectal_first", "liver_first", "simultaneous"]
PATIENTS = 10_000
DRAWS, FEW_DRAWS = 500, 34
CELLS_A_TASK = 2
"""Draws done together: 250 tasks of a second each, shorter than one would choose."""
SECONDS_BETWEEN_LOOKS = 0.2


def experiment_file(folder: Path, draws: int, patients: int) -> Path:
    """An experiment of so many draws and patients, cut like the others."""
    path = folder / f"psa_{draws}_{patients}.toml"
    path.write_text(
        f'title = "Probabilistic analysis"\nscenario = "{SCENARIO}"\ndraws = {draws}\n'
        f"patients = {patients}\npolicies = {POLICIES}\n[task]\n"
        f"patients = {CELLS_A_TASK * len(POLICIES) * PATIENTS}\n"
    )
    return path


def timed(path: Path, workers: int) -> tuple[float, float]:
    """Seconds of a sweep, and those that patients and results took if in this process."""
    inside = 0.0
    live, results = task.live, task.results

    def noting(do: Callable) -> Callable:
        def noted(*given, **named):
            nonlocal inside
            started = time.perf_counter()
            found = do(*given, **named)
            inside += time.perf_counter() - started
            return found

        return noted

    task.live, task.results = noting(live), noting(results)
    try:
        started = time.perf_counter()
        out = path.with_name(f"{path.stem}_{workers}")
        sweep(load_experiment(path), out=out, where=Where(workers=workers))
        return time.perf_counter() - started, inside
    finally:
        task.live, task.results = live, results


def most_megabytes(path: Path) -> float:
    """The most that one process of `crlm sweep` with two workers held."""
    command = [sys.executable, "-m", "crlm_sim", "sweep", str(path), "--quiet"]
    command += ["--workers", "2", "--out", str(path.with_suffix(""))]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        client = psutil.Process(running.pid)
        while running.poll() is None:
            peak = max(peak, largest(client))
            time.sleep(SECONDS_BETWEEN_LOOKS)
    if running.returncode:
        raise SystemExit(f"the sweep ended with {running.returncode}")
    return peak / 2**20


def largest(process: psutil.Process) -> int:
    """Bytes of memory of the largest of a process and those it started."""
    found = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            found = max(found, one.memory_info().rss)
    except psutil.NoSuchProcess:
        return found
    return found


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = experiment_file(folder, DRAWS, PATIENTS)
        two, _ = timed(whole, 2)
        one, inside = timed(whole, 1)
        small = most_megabytes(experiment_file(folder, FEW_DRAWS, PATIENTS))
        large = most_megabytes(experiment_file(folder, FEW_DRAWS, 10 * PATIENTS))
    print(f"{DRAWS * PATIENTS * len(POLICIES):,} courses in {DRAWS // CELLS_A_TASK} tasks")
    print(f"one process {one:.1f} s, of which patients and their results {inside:.1f} s")
    print(f"two processes {two:.1f} s (aim 240): {one / two:.2f} times as fast (aim 1.8)")
    print(f"beside patients and results, one process: {100 * (1 - inside / one):.1f} % (aim < 5)")
    print(f"beside patients and results, two: {100 * (1 - inside / two / 2):.1f} %")
    print(f"largest process {small:.0f} MB, with ten times the patients {large:.0f} MB")


if __name__ == "__main__":
    main()
