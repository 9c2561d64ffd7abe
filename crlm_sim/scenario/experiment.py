"""Experiment files: one scenario at many design points, and what is told apart in its results.

`load_experiment(path)` reads the file and loads the scenario at every point, so that whatever a
point's values make of it is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from crlm_sim.scenario import design
from crlm_sim.scenario.kinds import (
    MOST_PATIENTS,
    SEEDS,
    AnyWords,
    Words,
    choice,
    policy_name,
    read_condition,
    read_draws,
    read_patients,
    within,
)
from crlm_sim.scenario.lines import Path
from crlm_sim.scenario.loading import load
from crlm_sim.scenario.messages import Problem, ScenarioError, Wrong, nearest, shown
from crlm_sim.scenario.model import Scenario
from crlm_sim.scenario.packing import packed_rules
from crlm_sim.scenario.reading import read_plain_file
from crlm_sim.scenario.rules import RuleError, never_fires, parse
from crlm_sim.scenario.sections import note_errors, section
from crlm_sim.scenario.settings import SETTING, apply_settings
from crlm_sim.scenario.source import Source
from crlm_sim.scenario.writing import value_text

EVERYBODY = "all"
"""The stratum that everybody is in."""
_SECTIONS = ("design", "task", "strata")
_RUN = ("draws", "replications", "patients")
_THE_SAME = ("horizon", "draws", "replications")
"""What of [run] all points share, since their results stand in one array."""


def _read_names(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and value:
        return tuple(policy_name(name) for name in value)
    raise Wrong(f"must be a list of names (got {shown(value)})", 'such as ["liver_first"]')


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Head(_Part):
    """The top of an experiment file. What it leaves out is as the scenario says."""

    title: Words
    description: AnyWords = ""
    scenario: Words = Field(description="The scenario's file, as seen from this one.")
    draws: Annotated[int | str | None, BeforeValidator(read_draws)] = None
    replications: Annotated[int | None, *within(1, MOST_PATIENTS)] = None
    patients: Annotated[int | None, BeforeValidator(read_patients)] = None
    policies: Annotated[tuple[str, ...] | None, BeforeValidator(_read_names)] = None


class Design(_Part):
    """Which keys of the scenario vary, and how; `keys` are read apart."""

    method: Annotated[
        Literal["grid", "latin_hypercube", "sobol"], BeforeValidator(choice(design.METHODS))
    ] = "grid"
    points: Annotated[int | None, *within(1, design.MOST_POINTS)] = None
    seed: Annotated[int, *within(0, SEEDS - 1)] = 1


class Task(_Part):
    """How the work is cut; no result depends on it."""

    patients: Annotated[int, *within(1, MOST_PATIENTS)] = Field(
        500_000, description="Patients of all policies that one task simulates."
    )


@dataclass(frozen=True)
class Point:
    """One point of a design: the values that differ there, and the scenario they make."""

    values: design.Values
    scenario: Scenario

    def __str__(self) -> str:
        return ", ".join(f"{key} = {shown(value)}" for key, value in self.values.items())


@dataclass(frozen=True)
class Experiment:
    """A scenario at all points, the strata of patients, and how the work is cut.

    Points have the same policies, horizon, draws and replications. `strata` are conditions on the
    day of diagnosis by name.
    """

    name: str
    title: str
    description: str
    points: tuple[Point, ...]
    strata: dict[str, str]
    task_patients: int

    @property
    def first(self) -> Scenario:
        """The first point's scenario, from which to read what all points share."""
        return self.points[0].scenario


def load_experiment(path: str | FilePath, settings: Sequence[str] = ()) -> Experiment:
    """The experiment of a file, with `key=value` settings put over it or over its scenario.

    A key of the experiment (its first word) means that one, every other key the scenario's, at all
    points. Raises ScenarioError with every problem found; a point that the scenario refuses is
    named with its values.
    """
    path = FilePath(path)
    source = read_plain_file(path)
    own = [one for one in settings if _first_word(one) in (*Head.model_fields, *_SECTIONS)]
    apply_settings(source, own)
    for key in source.data:
        if key not in Head.model_fields and key not in _SECTIONS:
            _unknown(source, (key,), "an experiment", (*Head.model_fields, *_SECTIONS))
    for key, example in _NEEDED.items():
        if source.is_missing(key):
            source.report((), f"{key}: missing", example)
        source.data.setdefault(key, "?")
    head = _read(source, Head, _known(source.data, Head), ())
    plan = _section(source, Design, "design", ("keys",))
    task = _section(source, Task, "task")
    keys = _levels(source, plan)
    strata = _strata(source)
    if source.problems or head is None or plan is None or task is None:
        raise ScenarioError(source.problems)
    settings = [one for one in settings if one not in own]
    values = design.points(plan.method, keys, plan.points or 0, plan.seed)
    points = _points(source, path, head, values, settings)
    return Experiment(path.stem, head.title, head.description, points, strata, task.patients)


def _first_word(setting: str) -> str:
    return setting.partition("=")[0].partition(".")[0].strip()


# Sections ----------------------------------------------------------------------------------------

Model = TypeVar("Model", bound=BaseModel)


def _read(source: Source, model: type[Model], data: dict[str, Any], path: Path) -> Model | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        note_errors(source, error, path, tuple(model.model_fields))
        return None


_NEEDED = {
    "title": 'add title = "what the experiment asks" at the top',
    "scenario": 'add scenario = "../sequencing.toml" at the top',
}


def _section(
    source: Source, model: type[Model], name: str, others: tuple[str, ...] = ()
) -> Model | None:
    """A section as its model; keys that neither it nor `others` has are reported."""
    data = section(source, (name,))
    known = (*model.model_fields, *others)
    for key in data:
        if key not in known:
            _unknown(source, (name, key), f"[{name}]", known)
    return _read(source, model, _known(data, model), (name,))


def _known(data: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in model.model_fields}


def _unknown(source: Source, path: Path, where: str, known: Sequence[str]) -> None:
    key = str(path[-1])
    source.report(path, f"unknown key '{key}' in {where}", nearest(key, known), key=True)


def _strata(source: Source) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, condition in section(source, ("strata",)).items():
        path = ("strata", name)
        try:
            if policy_name(name) == EVERYBODY:
                raise Wrong(f"'{EVERYBODY}' is everybody already", "choose another name")
            read = read_condition(condition)
            packed_conditions([*found.values(), read])
            if never_fires([parse(read)]):
                raise Wrong("no patient can meet this condition")
            found[name] = read
        except RuleError as error:
            source.wrong_within(path, error.column, error.message, error.suggestion)
        except Wrong as error:
            source.wrong(path, str(error), error.suggestion)
    return found


def packed_conditions(conditions: Sequence[str]) -> np.ndarray:
    """Conditions at diagnosis as the compiled code reads them: shape (1,), dtype RULES.

    Raises Wrong if there are too many.
    """
    return packed_rules([(condition, {}) for condition in conditions])


# Points ------------------------------------------------------------------------------------------


def _levels(source: Source, plan: Design | None) -> dict[str, design.Levels]:
    """The levels of every key that varies, as far as they can be read."""
    found: dict[str, design.Levels] = {}
    if plan is None:
        return found
    given = section(source, ("design",)).get("keys", {})
    if not isinstance(given, dict):
        source.wrong(("design", "keys"), "must be a section", "write [design.keys]")
        return found
    for path, value in _leaves(given, ("design", "keys")):
        key = ".".join(str(step) for step in path[2:])
        try:
            found[key] = design.read_levels(value)
            design.check_levels(plan.method, found[key])
        except Wrong as error:
            source.wrong(path, str(error), error.suggestion)
        source.places[("design", "keys", key)] = source.place(path)
    try:
        if found or plan.points is not None:
            design.check_number(plan.method, plan.points)
        if design.size_of(list(found.values())) > design.MOST_POINTS and plan.method == design.GRID:
            raise Wrong(f"makes {design.size_of(list(found.values())):,} points")
    except Wrong as error:
        source.wrong(("design", "points"), str(error), error.suggestion)
    return found


def _leaves(table: dict[str, Any], path: Path) -> list[tuple[Path, Any]]:
    """What is no section of further keys; a section of low and high is a range."""
    found: list[tuple[Path, Any]] = []
    for key, value in table.items():
        inner = isinstance(value, dict) and not set(value) & set(design.RANGE)
        found += _leaves(value, (*path, key)) if inner else [((*path, key), value)]
    return found


def _points(
    source: Source,
    path: FilePath,
    head: Head,
    values: Sequence[design.Values],
    settings: Sequence[str],
) -> tuple[Point, ...]:
    """The scenario at every point; what any of them cannot be is raised, once for each value."""
    file = path.parent / head.scenario
    given = {name: getattr(head, name) for name in _RUN}
    common = [f"run.{key}={value}" for key, value in given.items() if value is not None]
    common += settings
    _check_scenario(source, head, load(file))
    base = load(file, common)
    found: list[Point] = []
    problems: dict[tuple[str, str], Problem] = {}
    for number, point in enumerate(values):
        own = {f"{key}={value_text(value)}": key for key, value in point.items()}
        try:
            scenario = load(file, [*common, *own])
            if head.policies:
                scenario = scenario.only(head.policies)
            found.append(Point(point, scenario))
            _check_alike(source, base, found[-1])
        except ScenarioError as error:
            where = f"point {number + 1} of {len(values)} ({Point(point, base)})"
            for problem in error.problems:
                key = own.get(problem.file.removeprefix(f"{SETTING} "), "")
                told = _at_key(source, key, f"{where}: {problem.text}", problem)
                problems.setdefault((key or problem.file, problem.text), told)
    if problems or source.problems:
        raise ScenarioError([*source.problems, *problems.values()])
    return tuple(found)


def _at_key(source: Source, key: str, text: str, problem: Problem) -> Problem:
    """A problem of a point, told where its key stands in the experiment."""
    place = source.place(("design", "keys", key) if key else ("design",))
    start, end = place.value_span or place.key_span
    return Problem(place.file, text, place.line, start, end, place.source, problem.suggestion)


def _check_scenario(source: Source, head: Head, scenario: Scenario) -> None:
    """Raise ScenarioError for a scenario of another kind, or without the policies wanted."""
    if scenario.region.hospitals:
        text = "a scenario with hospitals is repeated by its run.replications"
        source.wrong(("scenario",), text, "use `crlm run`")
    for number, name in enumerate(head.policies or ()):
        if name not in scenario.policy_names:
            hint = nearest(name, scenario.policy_names)
            source.wrong(("policies", number), f"the scenario has no policy '{name}'", hint)
    if source.problems:
        raise ScenarioError(source.problems)


def _check_alike(source: Source, base: Scenario, point: Point) -> None:
    """Report a design over what all points must share."""
    for name in _THE_SAME:
        if getattr(point.scenario.run, name) != getattr(base.run, name):
            path = ("design", "keys", f"run.{name}")
            text = f"run.{name} must be the same at all points"
            if all(problem.text != text for problem in source.problems):
                source.report(path, text, "take it out of [design.keys]", key=True)
