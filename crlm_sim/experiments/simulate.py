"""From a scenario to lived patients: a block under a policy, or one patient step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crlm_sim.disease.patient import SITE_NAMES
from crlm_sim.engines import agents, cohort
from crlm_sim.engines.arrivals import arrival_minutes
from crlm_sim.engines.screening import eligible
from crlm_sim.engines.steps import ACTIVITY, EVENT, carry_out, plan
from crlm_sim.evidence import ACTIVITIES, pack, shipped_posterior
from crlm_sim.outcomes.costing import cost_courses
from crlm_sim.scenario import Scenario

_MOST_SCREENED = 100_000


@dataclass(frozen=True)
class Block:
    """Lived patients (dtype PATIENT), when they were diagnosed, and their activity log if kept."""

    patients: np.ndarray
    arrivals: np.ndarray
    log: np.ndarray | None


def packed_parameters(scenario: Scenario, draw: int) -> np.ndarray:
    """The parameter record of one draw (0: the posterior's medians) for a scenario.

    Raises PosteriorError if the posterior that is there was learned for another model.
    """
    return pack(scenario.run.seed, draw, scenario.changes, shipped_posterior())


def simulate_block(
    scenario: Scenario,
    policy: str,
    numbers: np.ndarray,
    *,
    params: np.ndarray,
    draw: int = 0,
    replicate: int = 0,
    engine: str = "cohort",
    threads: int | None = None,
    keep_log: bool = False,
) -> Block:
    """The patients of these numbers under one policy of a scenario, with what they cost."""
    place = scenario.policy_names.index(policy)
    patients = cohort.blank_records(numbers, scenario.run.seed, draw, replicate, place)
    packed = scenario.packed_policy(policy)
    horizon = scenario.horizon_minutes
    arrivals = arrival_minutes(patients, scenario.run.arrivals_per_year)
    rules = scenario.packed_rules(policy)
    if engine == "agents":
        log = agents.simulate(patients, params, packed, horizon, arrivals, True, rules)
    else:
        log = cohort.simulate(patients, params, packed, horizon, threads, True, rules)
    assert log is not None
    put_costs(scenario, patients, log, params, threads)
    return Block(patients, arrivals, log if keep_log else None)


def put_costs(
    scenario: Scenario,
    patients: np.ndarray,
    log: np.ndarray,
    params: np.ndarray,
    threads: int | None = None,
) -> None:
    """Cost lived patients as the scenario's economics say (`outcomes.costing`)."""
    said = scenario.economics
    cost_courses(
        patients, log, params, said.discount_costs, said.discount_effects, said.threshold, threads
    )


class EmptyPopulation(ValueError):
    """Nobody, or hardly anybody, meets a scenario's eligibility."""


def patient_numbers(
    scenario: Scenario, block: int, *, params: np.ndarray, draw: int = 0, replicate: int = 0
) -> Iterator[np.ndarray]:
    """The numbers of a run's patients, at most `block` at a time: the first that are eligible.

    Raises EmptyPopulation once fewer than one in `_MOST_SCREENED` screened were eligible.
    """
    wanted = scenario.run.patients
    condition = scenario.packed_eligible()
    policy = scenario.packed_policy(scenario.reference)
    found = screened = 0
    while found < wanted:
        numbers = np.arange(screened, screened + block)
        screened += block
        if condition[0]["count"]:
            records = cohort.blank_records(numbers, scenario.run.seed, draw, replicate)
            numbers = numbers[eligible(records, params, policy, condition)]
        numbers = numbers[: wanted - found]
        found += len(numbers)
        if screened > _MOST_SCREENED * max(found, 1):
            raise EmptyPopulation(
                f"the population is empty: of the first {screened:,} patients {found} meet "
                f"eligible = '{scenario.population.eligible}'"
            )
        if len(numbers):
            yield numbers


@dataclass(frozen=True)
class TraceStep:
    """One thing that happened to a patient, and what was seen of the tumour at that moment."""

    day: float
    what: str
    until_day: float
    lesions: tuple[str, ...]
    note: str


def _lesions_seen(patient: np.void) -> tuple[str, ...]:
    seen = []
    for k in range(int(patient["clones"])):
        if patient["diameter_mm"][k] > 0.0:
            place = SITE_NAMES[patient["site"][k]]
            seen.append(f"{place} {patient['diameter_mm'][k]:.0f} mm")
    return tuple(seen)


def _changes(before: dict[str, int], patient: np.void) -> str:
    said = {
        "progression_minute": "progression",
        "recurrence_minute": "recurrence",
        "cleared_minute": "free of seen disease",
    }
    news = [word for field, word in said.items() if before[field] != patient[field]]
    flags = {
        "major_complication": "major complication",
        "liver_failure": "liver failure",
        "margin_positive": "positive margin",
        "severe_toxicity": "severe toxicity",
        "objective_response": "response",
    }
    news += [word for field, word in flags.items() if patient[field] > before[field]]
    if patient["line"] > before["line"]:
        news.append(f"line {patient['line']}")
    return ", ".join(news)


_WATCHED = (
    "progression_minute",
    "recurrence_minute",
    "cleared_minute",
    "major_complication",
    "liver_failure",
    "margin_positive",
    "severe_toxicity",
    "objective_response",
    "line",
)


def trace_patient(
    scenario: Scenario, policy: str, number: int, *, draw: int = 0, replicate: int = 0
) -> tuple[np.void, list[TraceStep]]:
    """One patient's record and course under one policy, by the engines' own steps.

    Lesions are listed after each scan, as measured.
    """
    from crlm_sim.disease.onset import begin

    params = packed_parameters(scenario, draw)[0]
    rules = scenario.packed_rules(policy)[0]
    settings, values, packed = cohort.own_settings(scenario.packed_policy(policy), 1)
    horizon = scenario.horizon_minutes
    patient = cohort.blank_patients(number, 1, scenario.run.seed, draw, replicate)[0]
    begin(patient, params)
    steps: list[TraceStep] = []
    now, going = 0, True
    while going:
        kind, activity, _, start, end, event = plan(patient, params, settings[0], now, horizon)
        before = {field: int(patient[field]) for field in _WATCHED}
        scans = int(patient["scans"])
        going = carry_out(
            patient,
            params,
            settings[0],
            values[0],
            packed,
            rules,
            kind,
            activity,
            start,
            end,
            event,
            horizon,
        )
        what = ACTIVITIES[activity].replace("_", " ")
        if kind == EVENT:
            what = "acute complication of the primary"
        if kind == ACTIVITY or (kind == EVENT and going):
            lesions = _lesions_seen(patient) if patient["scans"] > scans else ()
            note = _changes(before, patient)
            steps.append(TraceStep(start / 1440, what, end / 1440, lesions, note))
        now = end
    return patient, steps
