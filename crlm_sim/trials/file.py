"""Trial files: two arms as policies, who is eligible, sites, allocation, endpoint, analyses.

A trial is read as a scenario whose policies are its arms, so that what it says about people and
treatment is checked as everywhere, with the line where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from crlm_sim.outcomes.clocks import CLOCKS
from crlm_sim.scenario import quantities
from crlm_sim.scenario.kinds import (
    MOST_PATIENTS,
    AnyWords,
    Name,
    NotNegative,
    PositiveShare,
    Proportion,
    SomeNotNegative,
    Words,
    YesOrNo,
    chosen,
    read_condition,
    within,
)
from crlm_sim.scenario.lines import Path, Place
from crlm_sim.scenario.loading import scenario_of
from crlm_sim.scenario.messages import ScenarioError, Wrong, nearest, shown
from crlm_sim.scenario.model import Scenario
from crlm_sim.scenario.packing import packed_rules
from crlm_sim.scenario.reading import read_file, read_plain_file
from crlm_sim.scenario.rules import RuleError
from crlm_sim.scenario.sections import note_errors, part
from crlm_sim.scenario.settings import apply_settings
from crlm_sim.scenario.source import Source, merged
from crlm_sim.trials import spending
from crlm_sim.trials.boundaries import Bounds, check_fractions, design_bounds
from crlm_sim.trials.endpoints import JUDGED, TIMES
from crlm_sim.trials.events import LogRankTest
from crlm_sim.trials.spending import Said

TESTS = ("log_rank", "fleming_harrington", "max_combo", "restricted_mean", "cox")
ONE_LOOK = ("max_combo", "restricted_mean")
"""Tests whose z at several looks have no bounds here."""
SCORE, WALD = "farrington_manning", "wald"
FAILURE, LEFT_OUT = "failure", "left_out"
"""What becomes of patients who drop out before they are judged."""
DIAGNOSIS = "diagnosis"
MULTIPLICITY = ("holm", "hochberg", "fixed_sequence")
"""How claims about several subgroups are kept from being false."""
_CROSSING = "crossing_over"
_AFTER_PROGRESSION = ("os", "hepatic_pfs", "local")
"""Endpoints that go on after a progression."""
MODEL, NULL = "model", "null"
_NO_FUTILITY = "none"
LEAST_PEOPLE = 100
"""Of fewer the error of what they show cannot be told."""
_USUAL = {"kim_demets": 2.0, "hwang_shih_decani": -4.0}
"""Numbers that these spending functions often have."""
_RUN: dict[str, Any] = {"draws": "mean", "patients": 50_000}
"""What [run] says in a trial file that leaves it out."""
_TOP = (
    "title",
    "description",
    "scenario",
    "truth",
    "run",
    "population",
    "parameters",
    "randomisation",
    "arm",
    "site",
    "accrual",
    "allocation",
    "endpoint",
    "design",
    "economics",
    "value",
    "reestimation",
    "subgroup",
    "crossover",
)
_BELOW = ("run", "population", "parameters", "economics")
"""Sections a trial file has in common with a scenario."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _read_months(value: object) -> float:
    return quantities.days(value) / quantities.DAYS_PER_MONTH


def _read_months_list(value: object) -> tuple[float, ...]:
    if isinstance(value, list) and value:
        return tuple(_read_months(one) for one in value)
    raise Wrong(f"must be a list of durations (got {shown(value)})", 'such as ["24 months"]')


def _read_numbers(value: object) -> tuple[float, ...]:
    if isinstance(value, list) and value:
        return tuple(quantities.finite(one) for one in value)
    raise Wrong(f"must be a list of numbers (got {shown(value)})", "such as [0.5, 1.0]")


def _read_wholes(value: object) -> tuple[int, ...]:
    if isinstance(value, list) and value:
        return tuple(quantities.whole(one) for one in value)
    raise Wrong(f"must be a list of whole numbers (got {shown(value)})", "such as [4, 6]")


def _read_spending(value: object) -> Said:
    if isinstance(value, list):
        return _read_numbers(value)
    if isinstance(value, str) and value in spending.NAMED:
        return value
    word = next(iter(value), "") if isinstance(value, dict) else value
    if isinstance(value, dict) and len(value) == 1 and word in spending.NUMBERED:
        return _read_numbered(word, value[word])
    hint = nearest(word, [*spending.NAMED, *spending.NUMBERED]) if isinstance(word, str) else ""
    if word in spending.NUMBERED:
        hint = f"write {{ {word} = {_USUAL[word]:g} }}"
    listed = [f"'{name}'" for name in spending.NAMED]
    listed += [f"{{ {name} = … }}" for name in spending.NUMBERED]
    text = f"must be {', '.join(listed)} or what is spent by each look (got {shown(value)})"
    raise Wrong(text, hint)


def _read_numbered(name: str, value: object) -> dict[str, float]:
    number = quantities.finite(value)
    try:
        spending.NUMBERED[name](number)
    except ValueError as error:
        raise Wrong(str(error)) from None
    return {name: number}


def _read_futility(value: object) -> Said:
    return _NO_FUTILITY if value == _NO_FUTILITY else _read_spending(value)


def _read_error(value: object) -> float:
    error = quantities.share(value)
    if not 0.0 < error < 0.5:
        raise Wrong(f"must lie between 0 and 0.5 (got {shown(value)})", "as a rule 0.025")
    return error


def _read_power(value: object) -> float:
    power = quantities.share(value)
    if not 0.5 <= power < 1.0:
        raise Wrong(f"must be at least 0.5 and below 1 (got {shown(value)})", "as a rule 0.8")
    return power


def _read_ratio(value: object) -> float:
    ratio = quantities.finite(value)
    if not 0.0 < ratio <= 10.0:
        raise Wrong(f"must be a hazard ratio above 0 and at most 10 (got {shown(value)})")
    return ratio


def _read_effect(value: object) -> float:
    """A difference of proportions or of QALYs, in the direction that is better."""
    return quantities.share(value) if isinstance(value, str) else quantities.at_least_zero(value)


def _read_truth(value: object) -> str | float:
    if value in (MODEL, NULL):
        return str(value)
    if isinstance(value, str):
        text = f"must be '{MODEL}', '{NULL}' or a hazard ratio (got {shown(value)})"
        raise Wrong(text, nearest(value, (MODEL, NULL)))
    return _read_ratio(value)


def _read_factors(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise Wrong(f"must be a section (got {shown(value)})", "write [allocation.factors]")
    found = {}
    for name, levels in value.items():
        if not isinstance(levels, list) or len(levels) < 2:
            raise Wrong(
                f"'{name}' must be a list of two or more conditions (got {shown(levels)})",
                'such as ["fong_score <= 2", "fong_score > 2"]',
            )
        found[name] = tuple(read_condition(level) for level in levels)
    return found


Months = Annotated[float, BeforeValidator(_read_months)]
SomeMonths = Annotated[float | None, BeforeValidator(_read_months)]
Ratio = Annotated[float, BeforeValidator(_read_ratio)]
Effect = Annotated[float, BeforeValidator(_read_effect)]
Wholes = Annotated[tuple[int, ...], BeforeValidator(_read_wholes)]


class Head(_Part):
    """The top of a trial file."""

    title: Words
    description: AnyWords = ""
    scenario: Words | None = None
    truth: Annotated[str | float, BeforeValidator(_read_truth)] = MODEL


class Arm(_Part):
    """One arm: the policy it follows, by name or as changes, and its share of the patients."""

    name: Name
    policy: Any = "standard"
    weight: Annotated[int, *within(1, 100)] = 1


class Site(_Part):
    """Alike sites: how many, when each opens, and how many patients they diagnose and win.

    `screened_per_month` counts all who are diagnosed in one site's catchment. The sites open one
    after the other, `opening_every` apart; each starts at no patients and reaches its full rate
    after `ramp_up`.
    """

    name: Name
    sites: Annotated[int, *within(1, 10_000)] = 1
    opens: Months = 0.0
    opening_every: Months = 0.0
    closes: SomeMonths = None
    ramp_up: Months = 0.0
    screened_per_month: NotNegative
    consent: PositiveShare = 1.0


class Accrual(_Part):
    """How many are wanted, how many a month come if no sites are stated, by when."""

    patients: Annotated[int, *within(2, 100_000)]
    per_month: NotNegative = 0.0
    planned: SomeMonths = None
    dropout_per_year: Proportion = 0.0


class Allocation(_Part):
    """Who gets which arm; factors are lists of conditions of which everybody meets just one."""

    method: Annotated[str, *chosen(("blocks", "simple", "minimisation"))] = "blocks"
    sizes: Wholes = (4,)
    probability: Annotated[float, BeforeValidator(_read_power)] = 0.8
    factors: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_read_factors)] = {}


class Randomisation(_Part):
    """When patients are randomised, and who of those that come to it: a condition judged then."""

    at: Annotated[str, *chosen(tuple(CLOCKS))] = DIAGNOSIS
    eligible: Annotated[str | None, BeforeValidator(read_condition)] = None


class Endpoint(_Part):
    """What is compared, counted from randomisation or judged when `window` months are over.

    Unless said, who drops out before is a failure, and left out where there are none.
    """

    outcome: Annotated[str, *chosen((*TIMES, *JUDGED))] = "os"
    window: Months = math.nan
    dropouts: Annotated[str | None, *chosen((FAILURE, LEFT_OUT))] = None


class Plan(_Part):
    """When a trial is looked at and how errors are spent."""

    alpha: Annotated[float, BeforeValidator(_read_error)] = 0.025
    power: Annotated[float, BeforeValidator(_read_power)] = 0.8
    looks: Annotated[tuple[float, ...], BeforeValidator(_read_numbers)] = (1.0,)
    dates: Annotated[tuple[float, ...] | None, BeforeValidator(_read_months_list)] = None
    spending: Annotated[Said, BeforeValidator(_read_spending)] = "obrien_fleming"
    futility: Annotated[Said, BeforeValidator(_read_futility)] = _NO_FUTILITY
    binding: YesOrNo = False

    def bounds(self) -> Bounds:
        """Bounds of z at the looks. Raises ValueError if errors cannot be spent so."""
        futile = None if self.futility == _NO_FUTILITY else spending.stated(self.futility)
        spent = spending.stated(self.spending)
        beta = 1.0 - self.power
        return design_bounds(self.looks, self.alpha, beta, spent, futile, self.binding)


class Design(Plan):
    """Analyses of a time. `events` are those of the last look; by Schoenfeld if not said."""

    hazard_ratio: Ratio
    events: Annotated[int | None, *within(1, MOST_PATIENTS)] = None
    test: Annotated[str, *chosen(TESTS)] = "log_rank"
    rho: NotNegative = 0.0
    gamma: NotNegative = 0.0
    tau: SomeMonths = None
    margin: Ratio = 1.0
    stratified: YesOrNo = False
    multiplicity: Annotated[str, *chosen(MULTIPLICITY)] = "holm"
    control_median: SomeMonths = None


class JudgedDesign(Plan):
    """Analyses of what is judged in a window, by numbers of patients assessed.

    `difference` is what is hoped for, in the direction that is better; with a `margin`, what the
    experimental arm may be worse by, it may be 0.
    """

    difference: Effect
    margin: Effect = 0.0


class ShareDesign(JudgedDesign):
    """Shares of patients; `control` is that of the control arm, for the formulas."""

    control: PositiveShare | None = None
    test: Annotated[str, *chosen((SCORE, WALD))] = SCORE


class Value(_Part):
    """What the trial costs, in pounds; with [economics], whether it is worth that."""

    cost: SomeNotNegative = None
    cost_per_patient: NotNegative = 0.0


class Subgroup(_Part):
    """Patients of whom an effect may be claimed too: those who meet a condition when randomised."""

    name: Name
    when: Annotated[str, BeforeValidator(read_condition)]


class Reestimation(_Part):
    """A look at the events of both arms together, after which more patients may be wanted.

    `enrolled` is the share of the planned patients who are in by then, `by` the month when the last
    look's events are to be there (the last of `dates` if not said).
    """

    enrolled: PositiveShare = 0.5
    by: SomeMonths = None
    patients_at_most: Annotated[int, *within(2, 100_000)]


class Crossover(_Part):
    """Patients of the control who get another policy when they progress, from a month on.

    The policy is the control's until then. `share` is of those who progress.
    """

    policy: Any
    share: Proportion = 1.0
    opens: Months = 0.0


@dataclass(frozen=True)
class Trial:
    """A trial as read from its file; times are in months. `source` is kept to tell where.

    `policies` are the arms' in the scenario, `crossing` that of who crosses over.
    """

    name: str
    head: Head
    arms: tuple[Arm, Arm]
    sites: tuple[Site, ...]
    accrual: Accrual
    allocation: Allocation
    endpoint: Endpoint
    plan: Plan
    randomisation: Randomisation
    value: Value | None
    reestimation: Reestimation | None
    subgroups: tuple[Subgroup, ...]
    crossover: Crossover | None
    scenario: Scenario
    policies: tuple[str, str]
    crossing: str | None
    source: Source

    @property
    def ratio(self) -> tuple[int, int]:
        """Shares of the control and the experimental arm."""
        return self.arms[0].weight, self.arms[1].weight

    @property
    def design(self) -> Design:
        """The analyses of a time to an event, which this is."""
        assert isinstance(self.plan, Design)
        return self.plan

    @property
    def judged(self) -> JudgedDesign | None:
        """The analyses of what is judged in a window; None of a time to an event."""
        return self.plan if isinstance(self.plan, JudgedDesign) else None

    @property
    def dropouts(self) -> str:
        """What becomes of patients who drop out before they are judged."""
        usual = FAILURE if JUDGED[self.endpoint.outcome].share else LEFT_OUT
        return self.endpoint.dropouts or usual

    @property
    def events(self) -> int:
        """Events of the last look: as stated, else what the formula asks for."""
        return self.design.events or _events_needed(self.design, self.ratio)

    @property
    def information(self) -> int:
        """What the last look waits for: events, or patients assessed."""
        return self.events if self.judged is None else self.accrual.patients

    @property
    def most_patients(self) -> int:
        """Patients that may be wanted at the most."""
        return self.reestimation.patients_at_most if self.reestimation else self.accrual.patients

    @property
    def events_by(self) -> float:
        """Month by which re-estimation wants the events; infinite without it."""
        if self.reestimation is None:
            return math.inf
        return self.reestimation.by or (self.plan.dates or (math.inf,))[-1]

    @property
    def without_effect(self) -> bool:
        """Whether the truth is the null hypothesis, so that showing an effect is an error."""
        if self.judged is not None:
            return self.head.truth == NULL and self.judged.margin == 0.0
        return (1.0 if self.head.truth == NULL else self.head.truth) == self.design.margin

    def refuse(self, path: Path, text: str, hint: str = "") -> ScenarioError:
        """What is wrong with the value at a path, for the caller to raise."""
        self.source.wrong(path, text, hint)
        return ScenarioError(self.source.problems)


def _events_needed(design: Design, ratio: tuple[int, int]) -> int:
    test = LogRankTest(design.alpha, ratio[1] / ratio[0], design.margin)
    fixed = test.events(design.hazard_ratio, 1.0 - design.power)
    return math.ceil(fixed * design.bounds().inflation - 1e-6)


def load_trial(path: str | FilePath, settings: Sequence[str] = ()) -> Trial:
    """The trial of a file, with `key=value` settings over it.

    Raises ScenarioError with every problem found.
    """
    path = FilePath(path)
    source = read_plain_file(path)
    apply_settings(source, settings)
    for key in source.data:
        if key not in _TOP:
            hint = nearest(key, _TOP)
            source.report((key,), f"unknown key '{key}' in a trial", hint, key=True)
    for key in ("title", "accrual", "design"):
        if source.is_missing(key):
            source.report((), f"{key}: missing", "see docs/trials.md for a trial file")
    head = _head(source)
    arms = _each(source, "arm", Arm)
    sites = _each(source, "site", Site)
    endpoint = part(source, Endpoint, ("endpoint",))
    if endpoint is not None:
        _check_window(source, endpoint)
    plan = _plan_of(endpoint)
    subgroups = _each(source, "subgroup", Subgroup)
    parts = {
        "accrual": _optional(source, Accrual, "accrual"),
        "allocation": part(source, Allocation, ("allocation",)),
        "endpoint": endpoint,
        "plan": _optional(source, plan, "design"),
        "randomisation": part(source, Randomisation, ("randomisation",)),
    }
    value = _optional(source, Value, "value")
    more = _optional(source, Reestimation, "reestimation")
    crossover = _optional(source, Crossover, "crossover")
    _check_arms(source, arms)
    if crossover:
        _check_policy(source, ("crossover", "policy"), crossover.policy)
    if source.problems or head is None or None in parts.values():
        raise ScenarioError(source.problems)
    pair: Any = tuple(arms)
    followed: dict[Path, tuple[str, Any]] = {
        ("arm", number, "policy"): (arm.name, arm.policy) for number, arm in enumerate(arms)
    }
    if crossover:
        followed["crossover", "policy"] = (_CROSSING, crossover.policy)
    scenario, names = _scenario(source, path, head, followed)
    trial = Trial(
        path.stem,
        head,
        pair,
        tuple(sites),
        value=value,
        reestimation=more,
        subgroups=tuple(subgroups),
        crossover=crossover,
        scenario=scenario,
        policies=(names[0], names[1]),
        crossing=names[2] if crossover else None,
        source=source,
        **parts,  # type: ignore[arg-type]
    )
    _check_endpoint(trial)
    if source.problems:
        raise ScenarioError(source.problems)
    _check_design(trial)
    _check_accrual(trial)
    _check_allocation(trial)
    _check_reestimation(trial)
    _check_subgroups(trial)
    _check_crossover(trial)
    if source.problems:
        raise ScenarioError(source.problems)
    return trial


def _plan_of(endpoint: Endpoint | None) -> type[Plan]:
    """How [design] is to be read."""
    if endpoint is None or endpoint.outcome in TIMES:
        return Design
    return ShareDesign if JUDGED[endpoint.outcome].share else JudgedDesign


def _head(source: Source) -> Head | None:
    data = {key: source.data[key] for key in Head.model_fields if key in source.data}
    try:
        return Head.model_validate({"title": "?", **data})
    except ValidationError as error:
        note_errors(source, error, (), _TOP)
        return None


def _optional(source: Source, model: type[Any], key: str) -> Any:
    """A section of the file as its model; None if it is left out."""
    return part(source, model, (key,)) if key in source.data else None


def _each(source: Source, key: str, model: type[Any]) -> list[Any]:
    """The sections `[[key]]` that can be read; they are called by their number from 1 on."""
    raw = source.data.get(key, [])
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        source.wrong((key,), f"each {key} is a section of its own", f"write [[{key}]]")
        return []
    for path, place in list(source.places.items()):
        if path[0] == key and len(path) > 1 and isinstance(path[1], int):
            told = ", ".join([f"{key} {path[1] + 1}", *map(str, path[2:])])
            source.places[path] = replace(place, key=told)
    found = []
    known = tuple(model.model_fields)
    for number, entry in enumerate(raw):
        for name in entry:
            if name not in known:
                text = f"unknown key '{name}' in [[{key}]]"
                source.report((key, number, name), text, nearest(name, known), key=True)
        said = {name: value for name, value in entry.items() if name in known}
        try:
            found.append(model.model_validate(said))
        except ValidationError as error:
            note_errors(source, error, (key, number), known)
    return found


def _check_arms(source: Source, arms: list[Arm]) -> None:
    if isinstance(source.data.get("arm", []), list) and len(source.data.get("arm", [])) != 2:
        number = len(source.data.get("arm", []))
        text = f"a trial has two [[arm]] sections, the control first (got {number})"
        source.report(("arm",), text, key=True)
    if len({arm.name for arm in arms}) < len(arms):
        source.wrong(("arm", 1, "name"), f"a second arm is called '{arms[0].name}'")
    for number, arm in enumerate(arms):
        _check_policy(source, ("arm", number, "policy"), arm.policy)


def _check_policy(source: Source, path: Path, policy: object) -> None:
    if not isinstance(policy, str | dict):
        text = f"must be a policy's name or settings in braces (got {shown(policy)})"
        source.wrong(path, text, 'such as policy = "standard"')


# As a scenario -----------------------------------------------------------------------------------


def _scenario(
    source: Source, path: FilePath, head: Head, followed: dict[Path, tuple[str, Any]]
) -> tuple[Scenario, list[str]]:
    """The scenario with the policies that are followed, and the name of each in it.

    `followed` has a name and a policy, by name or as changes, at the path where the latter stands.
    """
    base = read_file(path.parent / head.scenario) if head.scenario else None
    known = dict((base.data.get("policy") if base else None) or {})
    own = {key: source.data[key] for key in _BELOW if key in source.data}
    own["run"] = {**_RUN, **own.get("run", {})} if isinstance(own.get("run", {}), dict) else {}
    own["title"] = head.title
    places = {p: place for p, place in source.places.items() if p[0] in own}
    policies: dict[str, Any] = {}
    names = []
    for at, (name, policy) in followed.items():
        if isinstance(policy, str) and policy in known:
            names.append(policy)
            continue
        if name in known or name in policies:
            text = f"the scenario has a policy '{name}', which this arm does not follow as it is"
            source.wrong((*at[:-1], "name"), text, "choose another name")
            continue
        said = {"base": policy} if isinstance(policy, str) else dict(policy)
        policies[name] = {"base": "standard", **said}
        names.append(name)
        places |= _policy_places(source, at, name)
    if source.problems:
        raise ScenarioError(source.problems)
    own["policy"] = policies
    child = Source(source.file, own, places)
    whole = merged(base, child) if base else child
    whole.data.pop("outcomes", None)
    found = scenario_of(whole, path.stem).only(names)
    if found.region.hospitals:
        source.wrong(("scenario",), "a scenario with hospitals has no trials", "choose another")
        raise ScenarioError(source.problems)
    return found, names


def _policy_places(source: Source, old: Path, name: str) -> dict[Path, Place]:
    """Where what is said of a policy stands, for the policy of that name."""
    new: Path = ("policy", name)
    place = source.place(old)
    found: dict[Path, Place] = {new: place, (*new, "base"): place}
    for path, where in source.places.items():
        if path[: len(old)] == old and len(path) > len(old):
            found[(*new, *path[len(old) :])] = where
    return found


# What no key shows alone -------------------------------------------------------------------------


def _check_window(source: Source, said: Endpoint) -> None:
    if said.outcome in TIMES:
        for key in ("window", "dropouts"):
            if key in said.model_fields_set:
                text = f"'{said.outcome}' is a time to an event, which is not judged in a window"
                source.wrong(("endpoint", key), text, "leave it out")
        return
    if math.isnan(said.window):
        text = f"window is missing: when '{said.outcome}' is judged, from randomisation"
        source.report(("endpoint",), text, 'such as window = "12 months"', key=True)
    if not JUDGED[said.outcome].share and said.dropouts == FAILURE:
        text = f"of '{said.outcome}' patients who drop out can only be left out"
        source.wrong(("endpoint", "dropouts"), text, f'write dropouts = "{LEFT_OUT}"')


def _check_endpoint(trial: Trial) -> None:
    said, source = trial.endpoint, trial.source
    if trial.randomisation.at == DIAGNOSIS and trial.randomisation.eligible is not None:
        text = "who is randomised at once is judged on the day of diagnosis"
        source.wrong(("randomisation", "eligible"), text, "say it in [population]")
    for key in ("value", "crossover"):
        if trial.randomisation.at != DIAGNOSIS and key in source.data:
            text = f"[{key}] is for trials that randomise at diagnosis"
            source.report((key,), text, key=True)
    if trial.judged is None:
        return
    for key in ("subgroup", "reestimation", "crossover"):
        if key in source.data:
            text = f"'{said.outcome}' is judged in a window, and '{key}' is for times to events"
            source.report((key,), text, "leave it out", key=True)
    if not 0.0 < said.window * quantities.DAYS_PER_MONTH <= trial.scenario.run.horizon:
        source.wrong(("endpoint", "window"), "must be above 0 and end before the horizon")
    if isinstance(trial.head.truth, float):
        text = f"a hazard ratio is not imposed on '{said.outcome}', which is no time to an event"
        source.wrong(("truth",), text)


def _check_design(trial: Trial) -> None:
    design, source = trial.plan, trial.source
    try:
        check_fractions(design.looks)
        if design.dates and len(design.dates) != len(design.looks):
            raise ValueError(f"there are {len(design.dates)} dates: looks has a fraction for each")
    except ValueError as error:
        source.wrong(("design", "looks"), str(error))
        return
    if design.dates and (np.diff(design.dates) <= 0.0).any():
        source.wrong(("design", "dates"), "must rise, each after the last")
    for key in ("spending", "futility"):
        try:
            if key == "spending":
                alone = {"futility": _NO_FUTILITY, "binding": False}
                design.model_copy(update=alone).bounds()
            else:
                design.bounds()
        except ValueError as error:
            source.wrong(("design", key), str(error))
            return
    if design.binding and design.futility == _NO_FUTILITY:
        text = "there is no futility bound that could be binding"
        source.wrong(("design", "binding"), text, "say how futility is spent")
    if isinstance(design, JudgedDesign):
        _check_judged(trial, design)
    else:
        _check_times(trial, trial.design)


def _check_judged(trial: Trial, design: JudgedDesign) -> None:
    source, share = trial.source, JUDGED[trial.endpoint.outcome].share
    for key, value in (("difference", design.difference), ("margin", design.margin)):
        if share and value >= 1.0:
            source.wrong(("design", key), "a difference of proportions is below 1")
    if design.difference + design.margin <= 0.0:
        text = "must be above the null, or no number of patients shows it"
        source.wrong(("design", "difference"), text)
    if isinstance(design, ShareDesign) and design.control is not None:
        other = design.control + JUDGED[trial.endpoint.outcome].sign * design.difference
        if not 0.0 <= other <= 1.0 or {other, design.control} <= {0.0, 1.0}:
            text = f"with the difference hoped for the other arm's share is {other:g}"
            source.wrong(("design", "control"), text, "shares lie between 0 and 1")


def _check_times(trial: Trial, design: Design) -> None:
    source = trial.source
    if not design.hazard_ratio < design.margin:
        text = f"must be below the null, {design.margin:g} (got {design.hazard_ratio:g})"
        source.wrong(("design", "hazard_ratio"), text)
        return
    if design.margin != 1.0 and design.test != "cox":
        source.wrong(
            ("design", "margin"), "a margin is tested by Cox's model", 'write test = "cox"'
        )
    if design.test in ONE_LOOK and len(design.looks) > 1:
        source.wrong(("design", "test"), f"'{design.test}' is for one look", "use log_rank")
    if (design.test == "restricted_mean") != (design.tau is not None):
        text = "restricted means are compared up to `tau`, and nothing else is"
        source.wrong(("design", "tau"), text, 'such as tau = "36 months"')
    if design.stratified and design.test == "restricted_mean":
        source.wrong(("design", "stratified"), "restricted means are compared without strata")
    if not design.dates and trial.events > trial.accrual.patients:
        text = f"{trial.events} events are waited for and {trial.accrual.patients} patients wanted"
        key = "events" if design.events else "hazard_ratio"
        source.wrong(("design", key), text, "there is at most one event for each")


def _check_accrual(trial: Trial) -> None:
    source, said = trial.source, trial.accrual
    if bool(trial.sites) == (said.per_month > 0.0):
        text = "say either per_month, patients randomised, or [[site]] sections"
        source.report(("accrual", "per_month"), text, key=True)
    if trial.scenario.run.patients < LEAST_PEOPLE:
        text = f"a trial draws its patients from {LEAST_PEOPLE} people or more"
        source.wrong(("run", "patients"), text, f"as a rule {_RUN['patients']:,}")
    if said.dropout_per_year >= 1.0:
        source.wrong(("accrual", "dropout_per_year"), "must be below 1")
    for number, site in enumerate(trial.sites):
        last = site.opens + (site.sites - 1) * site.opening_every
        if site.closes is not None and site.closes <= last:
            source.wrong(("site", number, "closes"), "a site closes after the last of them opens")
    if trial.sites and not any(site.screened_per_month for site in trial.sites):
        source.report(("site",), "no site screens anybody", key=True)
    if isinstance(trial.head.truth, float) and trial.endpoint.outcome == "local":
        text = "a hazard ratio is not imposed on 'local', in which death ends follow-up"
        source.wrong(("truth",), text)


def _check_allocation(trial: Trial) -> None:
    said, source = trial.allocation, trial.source
    whole = sum(trial.ratio)
    if said.method == "blocks" and any(size < 1 or size % whole for size in said.sizes):
        text = f"sizes of blocks are multiples of {whole}, the sum of the arms' weights"
        source.wrong(("allocation", "sizes"), text, f"such as [{2 * whole}]")
    if said.method == "minimisation" and not said.factors:
        source.report(("allocation", "method"), "minimisation needs [allocation.factors]")
    _check_conditions(trial, ("allocation", "factors"), _levels(said))


def _check_crossover(trial: Trial) -> None:
    if trial.crossover is None or trial.crossover.share == 0.0:
        return
    if isinstance(trial.head.truth, float):
        text = "a hazard ratio is not imposed on patients who cross over"
        trial.source.wrong(("truth",), text, "set crossover.share to 0")
    if trial.endpoint.outcome not in _AFTER_PROGRESSION:
        text = (
            f"'{trial.endpoint.outcome}' does not go on after the progression at which they cross"
        )
        hint = f"cross over where the endpoint is {' or '.join(_AFTER_PROGRESSION)}"
        trial.source.wrong(("endpoint", "outcome"), text, hint)


def _check_subgroups(trial: Trial) -> None:
    seen: set[str] = set()
    for number, said in enumerate(trial.subgroups):
        if said.name in seen:
            text = f"there is a subgroup '{said.name}' before it"
            trial.source.wrong(("subgroup", number, "name"), text)
        seen.add(said.name)
    if not trial.subgroups and "multiplicity" in trial.plan.model_fields_set:
        text = "is about subgroups, and there are none"
        trial.source.wrong(("design", "multiplicity"), text, "add a [[subgroup]]")
    if trial.subgroups:
        conditions = [*_levels(trial.allocation), *(said.when for said in trial.subgroups)]
        _check_conditions(trial, ("subgroup",), conditions)


def _check_conditions(trial: Trial, path: Path, conditions: list[str]) -> None:
    """Note what keeps these conditions from being compiled together."""
    try:
        packed_rules([(condition, {}) for condition in conditions])
    except RuleError as error:
        trial.source.wrong(path, error.message, error.suggestion)
    except Wrong as error:
        trial.source.wrong(path, str(error), error.suggestion)


def _check_reestimation(trial: Trial) -> None:
    said, source = trial.reestimation, trial.source
    if said is None:
        return
    if said.patients_at_most <= trial.accrual.patients:
        text = f"must be above the {trial.accrual.patients} patients planned"
        source.wrong(("reestimation", "patients_at_most"), text)
    if not math.isfinite(trial.events_by):
        text = "by is missing: the month by which the events are wanted"
        source.report(("reestimation",), text, 'such as by = "60 months"', key=True)


def packed_conditions(trial: Trial) -> np.ndarray:
    """Conditions at diagnosis as the compiled code reads them: of the factors, of the subgroups."""
    conditions = [*_levels(trial.allocation), *(said.when for said in trial.subgroups)]
    return packed_rules([(condition, {}) for condition in conditions])


def _levels(said: Allocation) -> list[str]:
    """All factors' conditions, one factor after the other."""
    return [level for factor in said.factors.values() for level in factor]
