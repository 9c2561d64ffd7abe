"""A scenario under scrutiny, what a check finds, and what all checks use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from crlm_sim.evidence import parameters
from crlm_sim.experiments.run import BLOCK_PATIENTS
from crlm_sim.experiments.simulate import Block, packed_parameters, patient_numbers, simulate_block
from crlm_sim.outcomes.tally import Tally
from crlm_sim.scenario import Scenario

PATIENTS = 1_000
CHANCE = 1e-4
"""How often a check that allows for simulation error fails by chance alone, at most."""
SHOWN = 3
MINUTES_PER_YEAR = 525_960

Lives = dict[str, Block]
"""Lived patients and their logs of activities, by policy."""
Changes = dict[str, tuple[float, ...]]
"""Values of parameters, as a scenario sets them."""


@dataclass(frozen=True)
class Subject:
    """A scenario under scrutiny: its patients by number, and what they live as it stands."""

    scenario: Scenario
    numbers: np.ndarray
    lives: Lives


@dataclass(frozen=True)
class Finding:
    """What a check looked at, what it found, and what it would have expected.

    `where` names the first few places of a failure.
    """

    name: str
    checked: str
    passed: bool
    found: dict[str, float]
    expected: str
    where: tuple[str, ...] = ()


Check = Callable[[Subject], Finding]


def subject_of(scenario: Scenario) -> Subject:
    """A scenario's patients, lived under the best estimates of the parameters.

    Raises EmptyPopulation if hardly anybody is eligible, PosteriorError as `packed_parameters`.
    """
    settings = scenario.run.model_copy(update={"draws": "mean", "replications": 1})
    plain = scenario.model_copy(update={"run": settings})
    numbers = np.concatenate(list(blocks_of(plain, BLOCK_PATIENTS["cohort"])))
    return Subject(plain, numbers, live(plain, numbers))


def live(
    scenario: Scenario, numbers: np.ndarray, engine: str = "cohort", threads: int | None = None
) -> Lives:
    """What the patients of these numbers live under each policy of a scenario."""
    params = packed_parameters(scenario, 0)
    return {
        name: simulate_block(
            scenario,
            name,
            numbers,
            params=params,
            engine=engine,
            threads=threads,
            keep_log=True,
        )
        for name in scenario.policy_names
    }


def blocks_of(scenario: Scenario, size: int) -> Iterable[np.ndarray]:
    return patient_numbers(scenario, size, params=packed_parameters(scenario, 0))


def live_with(subject: Subject, changes: Changes) -> Lives:
    """What the same patients live if the scenario sets these parameters too."""
    scenario = subject.scenario
    changed = scenario.model_copy(update={"parameters": scenario.parameters | changes})
    return live(changed, subject.numbers)


def everywhere(column: str, value: float) -> Changes:
    """One value for a column of a table in all its rows."""
    return {name: (value,) for name in parameters() if name.endswith(f".{column}")}


def tally_of(subject: Subject, patients: slice = slice(None)) -> Tally:
    tally = Tally.empty(subject.scenario.policy_names, subject.scenario.horizon_minutes)
    for place, block in enumerate(subject.lives.values()):
        tally.add(place, block.patients[patients])
    return tally


def places_wrong(lives: Lives, wrong: dict[str, np.ndarray]) -> tuple[str, ...]:
    """The first patients, by policy, for whom something is wrong."""
    found = [
        f"patient {number} under {name}"
        for name, flags in wrong.items()
        for number in lives[name].patients["patient"][flags][:SHOWN]
    ]
    return tuple(found[:SHOWN])


def count(flags: dict[str, np.ndarray]) -> int:
    return sum(int(one.sum()) for one in flags.values())


def of_all(
    name: str, checked: str, lives: Lives, wrong: dict[str, np.ndarray], fault: str
) -> Finding:
    """The finding of a check that looks at patients one by one; `wrong` are flags by policy."""
    lived = sum(len(flags) for flags in wrong.values())
    found: dict[str, float] = {"lives": lived, fault: count(wrong)}
    return Finding(name, checked, not count(wrong), found, "none", places_wrong(lives, wrong))
