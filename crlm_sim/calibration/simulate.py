"""Simulating a study as the trial or series it was: its people, its arms, its visits.

Arms whose patients meet the same condition are the same patients. Each study draws its patients
from a seed of its own, made from its name, so that the luck of one says nothing about another.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crlm_sim.calibration import scales
from crlm_sim.calibration.figures import Lived, Read, read
from crlm_sim.calibration.study import Figure, Study
from crlm_sim.engines import cohort, screening
from crlm_sim.evidence import pack
from crlm_sim.evidence.parameters import put_values

Values = Mapping[str, float]
"""Parameters by name, an element of a list as name[place]."""

_TIMES_PUBLISHED = 9
"""So many patients for one published: simulation error is then a third of the published one."""
_FEWEST = 600
_FEWEST_SCREENED = 64
_MOST_SCREENED = 100
"""At most so many diagnosed are screened for each patient wanted."""


@dataclass(frozen=True)
class Target:
    """A published figure among the others: its study, its value and error on its scale."""

    study: Study
    figure: Figure
    value: float
    error: float

    @property
    def id(self) -> str:
        """The figure's name, unique among all studies."""
        return self.study.figure_id(self.figure)


def targets_of(studies: Sequence[Study], use: str | None = None) -> list[Target]:
    """Every figure of some studies (of one use alone, if said), in order."""
    return [
        Target(study, figure, *study.published(figure))
        for study in studies
        for figure in study.figures
        if use is None or figure.use == use
    ]


def patients_wanted(study: Study, arm: str, most: int) -> int:
    """How many to simulate in an arm: nine for each whose data stand behind its figures."""
    numbers = [study.arm(arm).n or 0]
    for figure in study.figures:
        if arm in study.names_of(figure):
            numbers.append(_patients_behind(study, figure))
    return int(min(max(_TIMES_PUBLISHED * max(numbers), _FEWEST), most))


def _patients_behind(study: Study, figure: Figure) -> int:
    """How many patients an arm would need for a figure's published error."""
    value, error = study.published(figure)
    if figure.n:
        return figure.n
    if figure.measure:
        return round(2.0 / (0.7 * error**2)) if figure.scale == scales.LOG else 0
    if figure.scale == scales.LOGIT:
        share = scales.from_scale(scales.LOGIT, value)
        return round(1.0 / (error**2 * share * (1.0 - share)))
    return 0


class StudySimulator:
    """One study made ready to be simulated again and again under other parameters."""

    def __init__(self, study: Study, most: int) -> None:
        self.study = study
        self.most = most
        self.seed = zlib.crc32(study.id.encode())
        self.held = set(study.scenario.changes)
        self._met = dict.fromkeys(self._groups, 1.0)

    @cached_property
    def _groups(self) -> dict[str | None, tuple[np.ndarray, int]]:
        """(condition as the compiled code reads it, patients wanted) by condition of some arms."""
        found: dict[str | None, tuple[np.ndarray, int]] = {}
        for arm in self.study.arms:
            people = self.study.population(arm.name)
            wanted = patients_wanted(self.study, arm.name, self.most)
            _, before = found.get(people.eligible, (None, 0))
            found[people.eligible] = people.packed_eligible(), max(wanted, before)
        return found

    @cached_property
    def _condition_of(self) -> dict[str, str | None]:
        return {a.name: self.study.population(a.name).eligible for a in self.study.arms}

    @cached_property
    def _policies(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        scenario = self.study.scenario
        names = scenario.policy_names
        return {n: (scenario.packed_policy(n), scenario.packed_rules(n)) for n in names}

    @cached_property
    def _base(self) -> np.ndarray:
        return pack(self.seed, 0, self.study.scenario.changes)

    def params(self, values: Values) -> np.ndarray:
        """The packed parameters under some values; what the study itself says is kept."""
        packed = self._base.copy()
        put_values(packed[0], values, self.held)
        return packed

    def arms(self, values: Values, names: Sequence[str] | None = None) -> dict[str, Lived]:
        """The study's arms lived under some parameter values."""
        params = self.params(values)
        people: dict[str | None, np.ndarray] = {}
        found = {}
        for arm in self.study.arms:
            if names is not None and arm.name not in names:
                continue
            condition = self._condition_of[arm.name]
            if condition not in people:
                people[condition] = self._numbers(condition, params)
            patients = self._live(arm.name, people[condition], params)
            found[arm.name] = Lived(self.study, arm.name, params, patients)
        return found

    def _numbers(self, condition: str | None, params: np.ndarray) -> np.ndarray:
        """The first patients that meet a condition; fewer if hardly anybody does."""
        packed, wanted = self._groups[condition]
        if not packed[0]["count"]:
            return np.arange(wanted)
        policy = self._policies[self.study.arms[0].name][0]
        found: list[np.ndarray] = []
        screened = total = 0
        while total < wanted and screened < _MOST_SCREENED * wanted:
            block = int(1.1 * (wanted - total) / self._met[condition]) + _FEWEST_SCREENED
            block = min(block, _MOST_SCREENED * wanted - screened)
            numbers = np.arange(screened, screened + block)
            records = cohort.blank_records(numbers, self.seed)
            chosen = numbers[screening.eligible(records, params, policy, packed)]
            found.append(chosen[: wanted - total])
            total += len(found[-1])
            screened += block
            self._met[condition] = max(len(chosen) / block, 1.0 / _MOST_SCREENED)
        return np.concatenate(found)

    def _live(self, arm: str, numbers: np.ndarray, params: np.ndarray) -> np.ndarray:
        policy, rules = self._policies[arm]
        patients = cohort.blank_records(numbers, self.seed)
        horizon = self.study.scenario.horizon_minutes
        cohort.simulate(patients, params, policy, horizon, rules=rules)
        return patients

    def figures(self, values: Values, figures: Sequence[Figure]) -> list[Read]:
        """Some of the study's figures under some parameter values."""
        needed = {name for figure in figures for name in self.study.names_of(figure)}
        lived = self.arms(values, tuple(needed))
        return [read(figure, self.study, lived) for figure in figures]
