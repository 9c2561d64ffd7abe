"""From TOML to a `Scenario`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from crlm_sim.evidence import SERVICES
from crlm_sim.scenario.checks import (
    check_eligible,
    check_policies,
    check_population,
    check_rules,
    without_overridden,
)
from crlm_sim.scenario.kinds import MEAN, NONE
from crlm_sim.scenario.lines import Path
from crlm_sim.scenario.messages import Problem, ScenarioError, Wrong, nearest, shown
from crlm_sim.scenario.model import Economics, Outcomes, Policy, Population, Run, Scenario, Service
from crlm_sim.scenario.parameters import all_names, population_names, read_values
from crlm_sim.scenario.policies import resolve
from crlm_sim.scenario.reading import read, read_file
from crlm_sim.scenario.region import Arrivals, Calendar, Hospital, Region, Station
from crlm_sim.scenario.region_checks import check_region
from crlm_sim.scenario.sections import note_errors, part, section, unknown_key
from crlm_sim.scenario.settings import SETTING, apply_settings
from crlm_sim.scenario.source import Source

Values = dict[str, tuple[float, ...]]

WAITED_FOR = SERVICES[1:]
"""Services one can wait for; the first entry of the table is no service at all."""
_TOP_KEYS = (
    "title",
    "description",
    "base",
    "run",
    "population",
    "parameters",
    "services",
    "hospitals",
    "calendar",
    "arrivals",
    "policy",
    "economics",
    "outcomes",
)
_TEXTS = ("title", "description")
_NO_PARAMETERS = ("base", "eligible")
"""What [population] says besides parameters."""
_COUNTED = (
    "female_share",
    "age_mean_years",
    "age_sd_years",
    "age_youngest_years",
    "age_oldest_years",
)
"""What hospitals say by whom they serve."""


def load(path: str | FilePath, settings: Sequence[str] = ()) -> Scenario:
    """The scenario of a file, with `key=value` settings put over it.

    Raises `ScenarioError` with every problem found.
    """
    path = FilePath(path)
    return scenario_of(read_file(path), path.stem, settings)


def loads(
    text: str,
    name: str = "scenario",
    settings: Sequence[str] = (),
    folder: str | FilePath = ".",
) -> Scenario:
    """As `load`, from text; a `base` file is sought in `folder`."""
    return scenario_of(read(text, f"{name}.toml", FilePath(folder)), name, settings)


def check(path: str | FilePath, settings: Sequence[str] = ()) -> list[Problem]:
    """Everything wrong with a scenario file; nothing if it can be run."""
    try:
        load(path, settings)
    except ScenarioError as error:
        return error.problems
    return []


def scenario_of(source: Source, name: str, settings: Sequence[str] = ()) -> Scenario:
    """The scenario of raw values already read; raises `ScenarioError` with every problem."""
    apply_settings(source, settings)
    resolve(source)
    texts = {key: source.data[key] for key in _TEXTS if key in source.data}
    _check_keys(source, (), source.data, _TOP_KEYS)
    run = part(source, Run, ("run",))
    inhabitants = _values(source, "population", population_names())
    population = _population(source, inhabitants)
    parameters = _values(source, "parameters", all_names())
    services = _services(source)
    region = _region(source)
    policies = [part(source, Policy, ("policy", key)) for key in source.data.get("policy", {})]
    economics = part(source, Economics, ("economics",))
    outcomes = part(source, Outcomes, ("outcomes",))
    _check_together(source, inhabitants, parameters, services)
    check_policies(source, outcomes.reference if outcomes else None)
    if run and region and region.hospitals:
        _check_run_with_queues(source, run, population)
    elif run and run.precision and run.draws != MEAN:
        text = "a precision is of simulation error, for which parameters are held"
        source.wrong(("run", "precision"), text, f'write draws = "{MEAN}" in [run]')
    if run and run.precision and run.replications > run.most_replications:
        text = f"fewer than run.replications ({run.replications}), which are the least"
        source.wrong(("run", "most_replications"), text)
    check_eligible(source, population)
    for policy in policies:
        check_rules(source, policy)
    parts = {
        "name": name,
        "run": run,
        "population": population,
        "parameters": parameters,
        "services": services,
        "region": region,
        "economics": economics,
        "outcomes": outcomes,
    }
    _check_texts(source, texts)
    if source.problems:
        raise ScenarioError(_in_order(source.problems))
    kept = tuple(without_overridden(policy) for policy in policies if policy)
    return Scenario.model_validate({**parts, **texts, "policies": kept})


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Each problem once, in the order of the file; settings last."""
    once = {(p.file, p.line, p.start, p.text): p for p in problems}
    settings = [p for p in once.values() if p.file.startswith(SETTING)]
    files = [p for p in once.values() if not p.file.startswith(SETTING)]
    return sorted(files, key=lambda p: (p.file, p.line or 0)) + settings


def _check_keys(source: Source, path: Path, data: dict[str, Any], known: Sequence[str]) -> None:
    for key in data:
        if key not in known:
            unknown_key(source, (*path, key), known)


def _check_texts(source: Source, texts: dict[str, Any]) -> None:
    """Title and description."""
    for key, value in texts.items():
        if not isinstance(value, str) or (key == "title" and not value.strip()):
            source.wrong((key,), f"must be a text in quotes (got {shown(value)})")
    if source.is_missing("title"):
        source.report((), "title: missing", 'add title = "what the scenario asks" at the top')


# Parameters -------------------------------------------------------------------------------------


def _population(source: Source, values: Values) -> Population | None:
    data = source.data.get("population", {})
    data = data if isinstance(data, dict) else {}
    said = {key: data[key] for key in _NO_PARAMETERS if key in data}
    try:
        return Population.model_validate({**said, "parameters": values})
    except ValidationError as error:
        note_errors(source, error, ("population",), _NO_PARAMETERS)
        return None


def _values(source: Source, heading: str, known: Sequence[str]) -> Values:
    """The parameters a section sets; those that cannot be used are noted and left out."""
    found: Values = {}
    for name, value in section(source, (heading,)).items():
        path = (heading, name)
        if heading == "population" and name in _NO_PARAMETERS:
            continue
        if name not in known:
            others = _NO_PARAMETERS if heading == "population" else ()
            _unknown_parameter(source, path, (*known, *others))
            continue
        try:
            found[name] = read_values(name, value)
        except Wrong as error:
            source.wrong(path, str(error), error.suggestion)
    return found


def _check_run_with_queues(source: Source, run: Run, population: Population | None) -> None:
    """Queues are for the agents engine; replications show chance, so parameters are held.

    Everybody who is diagnosed queues, so nobody can be left out and [arrivals] says who comes, with
    the ages and sexes of those the hospitals serve.
    """
    for heading in ("population", "parameters"):
        for name in _COUNTED:
            if name in _of(source, heading):
                text = f"with hospitals age and sex come from whom they serve ('{name}')"
                hint = 'write [hospitals.NAME.population] with "50-74" = [men, women]'
                source.report((heading, name), text, hint, key=True)
    if population and population.eligible is not None:
        text = "with hospitals everybody who is diagnosed is treated"
        source.wrong(("population", "eligible"), text, "leave it out")
    if run.arrivals_per_year:
        text = "with hospitals [arrivals] says who comes"
        source.wrong(("run", "arrivals_per_year"), text, "leave it out")
    for key, needed in (("engine", "agents"), ("draws", MEAN)):
        if getattr(run, key) != needed:
            text = f"run.{key} must be '{needed}' in a scenario with hospitals"
            source.report(("run", key), text, f'write {key} = "{needed}" in [run]')


def _unknown_parameter(source: Source, path: tuple[str, str], known: Sequence[str]) -> None:
    heading, name = path
    if name in all_names():
        text = f"'{name}' does not describe the population"
        source.report(path, text, "move it to [parameters]", key=True)
    else:
        hint = nearest(name, known)
        hint = hint if hint.startswith("did") else "`crlm evidence` lists all parameters"
        source.report(path, f"unknown parameter '{name}' in [{heading}]", hint, key=True)


def _services(source: Source) -> dict[str, Service]:
    """The services about which something is said."""
    found = {}
    for name in section(source, ("services",)):
        path = ("services", name)
        if name not in WAITED_FOR:
            unknown_key(source, path, WAITED_FOR)
            continue
        section(source, path)
        service = _wait(source, name)
        if service not in (None, Service()):
            found[name] = service
    return found


def _wait(source: Source, name: str) -> Service | None:
    """What a service says of a stated wait; its sections are stations, or "none" without one."""
    path = ("services", name)
    said = {
        key: value
        for key, value in _of(source, *path).items()
        if not isinstance(value, dict) and value != NONE
    }
    try:
        return Service.model_validate(said)
    except ValidationError as error:
        note_errors(source, error, path, tuple(Service.model_fields))
        return None


def _of(source: Source, *path: str) -> dict[str, Any]:
    """A section that may not be there or be none."""
    data: Any = source.data
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _region(source: Source) -> Region | None:
    """Hospitals, their stations, the calendar and the arrivals; None if a part of them is wrong.

    How they hang together is looked at only then: what builds on a wrong part seems wrong as well.
    """
    before = len(source.problems)
    hospitals = {}
    for name in section(source, ("hospitals",)):
        hospital = part(source, Hospital, ("hospitals", name))
        if hospital is not None:
            hospitals[name] = hospital
    stations: dict[str, dict[str, Station]] = {}
    for service in WAITED_FOR:
        for name, said in _of(source, "services", service).items():
            if isinstance(said, dict):
                station = part(source, Station, ("services", service, name))
                if station is not None:
                    stations.setdefault(service, {})[name] = station
    calendar = part(source, Calendar, ("calendar",))
    arrivals = part(source, Arrivals, ("arrivals",))
    if calendar is None or arrivals is None or len(source.problems) > before:
        return None
    region = Region(hospitals=hospitals, stations=stations, calendar=calendar, arrivals=arrivals)
    check_region(source, region)
    return region


def _check_together(
    source: Source, inside: Values, parameters: Values, services: dict[str, Service]
) -> None:
    """What two sections say about one parameter, and whether anyone can live in the population."""
    for name in parameters:
        if name in inside:
            text = f"'{name}' is set in [population] too"
            source.report(("parameters", name), text, "keep one of them", key=True)
    for name, service in services.items():
        for key, column in (("wait", "wait_days"), ("wait_cv", "wait_cv")):
            if getattr(service, key) is not None and f"{name}.{column}" in parameters:
                text = f"[services.{name}] sets this too, as {key}"
                path = ("parameters", f"{name}.{column}")
                source.report(path, text, "keep one of them", key=True)
    paths = {name: ("parameters", name) for name in parameters}
    paths |= {name: ("population", name) for name in inside}
    check_population(source, {**parameters, **inside}, paths)
