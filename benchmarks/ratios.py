"""Ratios between the engines and what they are held against, measured in one run.

Everything is timed in turn, several times; a ratio is of the least CPU time (wall time for
threads) of each, so that what else the machine does drops out as far as it can.
`python benchmarks/ratios.py` prints the table of the documentation.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import queues
import workloads

ROUNDS = 7
FEW, MANY = 1_000, 20_000
PER_100_000 = {240: 16.0, 400: 26.7}
"""New patients a year of the example region, and of each 100,000 people."""


def least(
    work: dict[str, Callable[[], object]], clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Least time of each piece of work over rounds in which all are done in turn."""
    found = dict.fromkeys(work, float("inf"))
    for _ in range(ROUNDS):
        for name, do in work.items():
            start = clock()
            do()
            found[name] = min(found[name], clock() - start)
    return found


def peak_megabytes(patients: int) -> float:
    """Peak memory of a whole run without tables, in a process of its own."""
    code = (
        "from crlm_sim.scenario import load; from crlm_sim.experiments import run;"
        "import resource;"
        f"run(load('scenarios/sequencing.toml', ['run.patients={patients}']), keep=False);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


def with_queues() -> list[tuple[str, float, str]]:
    """The region engine against bare SimPy, at two numbers of new patients a year."""
    rows = []
    for yearly, per_100_000 in PER_100_000.items():
        region = queues.scenario(per_100_000)
        engine, given = queues.engine(region), queues.timetable(region)
        engine()
        cpu = least(
            {
                "engine": engine,
                "bare": lambda given=given: queues.bare_queues(given),
                "whole": lambda region=region: queues.replication(region),
            }
        )
        name = f"region of {yearly} a year"
        rows.append((f"{name}: engine / bare SimPy", cpu["engine"] / cpu["bare"], "≤ 1.6"))
        rows.append((f"{name}: seconds a replication", cpu["whole"], "< 15"))
    return rows


def main() -> None:
    """Measure and print."""
    spent = workloads.counts()
    rows = workloads.timetable(FEW)
    workloads.floor(10, spent)
    workloads.cohort_engine(10, 1)
    workloads.agents_engine(10)
    cpu = least(
        {
            "cohort": lambda: workloads.cohort_engine(MANY, 1),
            "ten": lambda: workloads.cohort_engine(MANY // 10, 1),
            "floor": lambda: workloads.floor(MANY, spent),
            "agents": lambda: workloads.agents_engine(FEW),
            "simpy": lambda: workloads.bare_simpy(rows),
        }
    )
    wall = least(
        {
            "one": lambda: workloads.cohort_engine(MANY, 1),
            "two": lambda: workloads.cohort_engine(MANY, 2),
            "agents": lambda: workloads.agents_engine(FEW),
        },
        time.perf_counter,
    )
    small, large = peak_megabytes(10_000), peak_megabytes(100_000)
    cohort = cpu["cohort"] / MANY
    table = [
        (
            "cohort engine / same draws, exponentials, logarithms",
            cpu["cohort"] / cpu["floor"],
            "≤ 3",
        ),
        ("agents / cohort on one thread, per patient", cpu["agents"] / FEW / cohort, ""),
        (
            "agents / cohort as run (two threads), per patient",
            wall["agents"] / FEW / (wall["two"] / MANY),
            "≥ 40",
        ),
        ("agents / bare SimPy with the same events", cpu["agents"] / cpu["simpy"], "≤ 1.6"),
        ("one thread / two threads (wall)", wall["one"] / wall["two"], "≥ 1.8"),
        ("ten times the patients: time", cpu["cohort"] / cpu["ten"], "9 to 11"),
        ("ten times the patients: peak memory", large / small, "about 1"),
        *with_queues(),
    ]
    print(f"A patient: {cohort * 1e6:.1f} µs (cohort, one thread);", end=" ")
    print(", ".join(f"{value:.0f} {name}" for name, value in spent.items()))
    print("| ratio | measured | bar |\n|---|---|---|")
    for name, value, bar in table:
        print(f"| {name} | {value:.2f} | {bar} |")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
