"""Doing one task: simulate its cells or its part of one, and keep what they gave.

A worker needs the store's folder and nothing else: scenarios are read from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from crlm_sim.engines import cohort
from crlm_sim.engines.screening import conditions_met
from crlm_sim.experiments.simulate import (
    EmptyPopulation,
    packed_parameters,
    patient_numbers,
    simulate_block,
)
from crlm_sim.experiments.sweep import store
from crlm_sim.experiments.sweep.plan import Task
from crlm_sim.outcomes import Tally
from crlm_sim.outcomes.dataset import monthly_survival
from crlm_sim.outcomes.summary import NUMBERS, numbers
from crlm_sim.scenario import Scenario
from crlm_sim.scenario.experiment import packed_conditions

BLOCK_PATIENTS = 4096

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shared:
    """What all tasks of a store have in common."""

    strata: tuple[str, ...]
    draws: tuple[int, ...]


def _stamp(folder: str) -> int:
    """When a store was begun: another sweep may have taken its folder since."""
    return (Path(folder) / store.MANIFEST).stat().st_mtime_ns


@lru_cache(maxsize=4)
def _shared(folder: str, stamp: int) -> Shared:
    manifest = store.read_manifest(Path(folder))
    store.check_program(manifest)
    return Shared(tuple(manifest["strata"].values()), tuple(manifest["draws"]))


@lru_cache(maxsize=64)
def _scenario(folder: str, point: int, stamp: int) -> Scenario:
    return store.read_scenario(Path(folder), point)


def do(folder: str, number: int, task: Task, threads: int = 1) -> None:
    """Do one task of a store and keep it there.

    Raises OSError if it cannot be written, EmptyPopulation if nobody is eligible at a point.
    """
    shared = _shared(folder, _stamp(folder))
    if task.is_part:
        found = _part(folder, shared, task, threads)
    else:
        cells = range(task.first, task.first + task.cells)
        found = joined([_cell(folder, shared, cell, threads) for cell in cells])
    store.keep(Path(folder), number, task, found)


def _part(folder: str, shared: Shared, task: Task, threads: int) -> Arrays:
    """The counts of a part: the state of every stratum's tally."""
    found: Arrays = {}
    tallies, _ = _lived(folder, shared, task.first, threads, task.start, task.stop)
    for number, tally in enumerate(tallies):
        found |= {f"{number}.{name}": values for name, values in tally.state().items()}
    return found


def tallies_of(part: Arrays) -> list[Tally]:
    """The tallies of a part's counts, one a stratum."""
    number = 1 + max(int(name.partition(".")[0]) for name in part)
    states: list[Arrays] = [{} for _ in range(number)]
    for name, values in part.items():
        place, _, field = name.partition(".")
        states[int(place)][field] = values
    return [Tally.from_state(state) for state in states]


def _cell(folder: str, shared: Shared, cell: int, threads: int) -> Arrays:
    tallies, scenario = _lived(folder, shared, cell, threads)
    return results(tallies, scenario.reference)


def _lived(
    folder: str, shared: Shared, cell: int, threads: int, start: int = 0, stop: int | None = None
) -> tuple[list[Tally], Scenario]:
    """The tallies of a cell's strata, and the scenario of its point."""
    point, place = divmod(cell, len(shared.draws))
    scenario = _scenario(folder, point, _stamp(folder))
    try:
        return live(scenario, shared.strata, shared.draws[place], start, stop, threads), scenario
    except EmptyPopulation as error:
        raise EmptyPopulation(f"point {point + 1}: {error}") from None


def results(tallies: Sequence[Tally], reference: str) -> Arrays:
    """One cell's results from the tallies of its strata, the first being everybody.

    `numbers` (strata, NUMBERS, policies, outcomes), `patients` (strata,) under each policy, and
    `survival` of everybody (policies, endpoints, months).
    """
    each = [numbers(tally, reference) for tally in tallies]
    return {
        "numbers": np.array([[found[name] for name in NUMBERS] for found in each]),
        "patients": np.array([tally.patients[0].sum() for tally in tallies]),
        "survival": monthly_survival(tallies[0]).astype(np.float32),
    }


def joined(cells: Sequence[Arrays]) -> Arrays:
    """The results of several cells, with an axis for them before the others."""
    return {name: np.stack([cell[name] for cell in cells]) for name in cells[0]}


def live(
    scenario: Scenario,
    strata: Sequence[str],
    draw: int,
    start: int = 0,
    stop: int | None = None,
    threads: int = 1,
) -> list[Tally]:
    """Tallies of everybody and of each stratum, of a cell's patients from `start` to `stop`.

    A stratum's condition is judged on the day of diagnosis, so the same patients are in it under
    every policy. Raises EmptyPopulation if nobody is eligible.
    """
    params = packed_parameters(scenario, draw)
    conditions = packed_conditions(strata)
    plan = scenario.packed_policy(scenario.reference)
    found = [
        Tally.empty(scenario.policy_names, scenario.horizon_minutes) for _ in range(1 + len(strata))
    ]
    size = scenario.run.patients * scenario.run.replications
    for replicate, who in _blocks(scenario, params, draw, start, size if stop is None else stop):
        records = cohort.blank_records(who, scenario.run.seed, draw, replicate)
        inside = np.ones((len(who), len(found)), bool)
        inside[:, 1:] = conditions_met(records, params, plan, conditions)
        for policy, name in enumerate(scenario.policy_names):
            block = simulate_block(
                scenario,
                name,
                who,
                params=params,
                draw=draw,
                replicate=replicate,
                engine=scenario.run.engine,
                threads=threads,
            )
            for tally, members in zip(found, inside.T, strict=True):
                tally.add(policy, block.patients[members])
    return found


def _blocks(
    scenario: Scenario, params: np.ndarray, draw: int, start: int, stop: int
) -> Iterator[tuple[int, np.ndarray]]:
    """(replicate, numbers of some of its patients), all those from `start` to before `stop`."""
    size = scenario.run.patients
    for replicate in range(start // size, -(-stop // size)):
        if scenario.population.eligible is not None:
            found = patient_numbers(
                scenario, BLOCK_PATIENTS, params=params, draw=draw, replicate=replicate
            )
            for who in found:
                yield replicate, who
            continue
        first, last = max(start - replicate * size, 0), min(stop - replicate * size, size)
        for number in range(first, last, BLOCK_PATIENTS):
            yield replicate, np.arange(number, min(number + BLOCK_PATIENTS, last))
