"""Runs with queues: scenarios and policies over the same arrivals, replication by replication."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.care.waiting import stands_still
from crlm_sim.disease.patient import MINUTES_PER_DAY
from crlm_sim.engines import agents, cohort
from crlm_sim.engines.region import (
    arriving,
    expected_by_age,
    expected_per_year,
    network_of,
    with_age_and_sex,
)
from crlm_sim.experiments.asked import asked_of
from crlm_sim.experiments.enough import (
    MAIN_OUTCOMES,
    Precise,
    needed,
    precision_of,
    values_of,
    warm_up_of,
)
from crlm_sim.experiments.identity import program_hash
from crlm_sim.experiments.plain import plain
from crlm_sim.experiments.replications import Found, Work, replicate
from crlm_sim.experiments.run import (
    FolderError,
    Progress,
    RunFolder,
    described_economics,
    provenance_of,
    scenario_hash,
)
from crlm_sim.experiments.simulate import packed_parameters, put_costs
from crlm_sim.experiments.tables import TableWriter
from crlm_sim.outcomes.courses import sample
from crlm_sim.outcomes.definitions import DAYS_PER_YEAR
from crlm_sim.outcomes.planning import (
    Planned,
    Played,
    Window,
    by_week,
    described,
    flow,
    links,
    outcomes,
)
from crlm_sim.outcomes.precision import half_width
from crlm_sim.scenario import Scenario, to_toml

_LOAD_PATIENTS = 500


@dataclass(frozen=True)
class Arm:
    """One policy of one scenario, under the name it has in the results."""

    name: str
    label: str
    scenario: Scenario
    policy: str


def arms_of(scenarios: Sequence[Scenario]) -> list[Arm]:
    """Every policy of every scenario; the first is what the others are compared with."""
    found = []
    for scenario in scenarios:
        for policy in scenario.policies:
            if len(scenarios) == 1:
                name, label = policy.name, policy.label
            elif len(scenario.policies) == 1:
                name, label = scenario.name, scenario.title
            else:
                name = f"{scenario.name}/{policy.name}"
                label = f"{scenario.title}: {policy.label}"
            found.append(Arm(name, label, scenario, policy.name))
    return found


# One replication ----------------------------------------------------------------------------------


def play(scenario: Scenario, policy: str, replicate: int) -> Played:
    """One replication of one policy with queues, under the best estimates, with what it cost."""
    region = scenario.region
    network = network_of(region, scenario.run.seed, 0, replicate)
    patients, minutes, homes = arriving(region, scenario.run.seed, 0, replicate)
    params = packed_parameters(scenario, 0)
    log, diaries = agents.simulate_network(
        patients,
        params,
        scenario.packed_policy(policy),
        scenario.horizon_minutes,
        minutes,
        network,
        homes,
        keep_log=True,
        rules=scenario.packed_rules(policy),
    )
    assert log is not None
    put_costs(scenario, patients, log, params)
    stopped = bool(stands_still(params[0]))
    return Played(patients, minutes, diaries, network, _window(scenario), log, stopped)


def _window(scenario: Scenario) -> Window:
    """The minutes of a run in which what happens counts."""
    arrivals = scenario.region.arrivals
    start = round(arrivals.warm_up * MINUTES_PER_DAY)
    return start, start + round(arrivals.period * MINUTES_PER_DAY)


def _task(arm: Arm, replicate: int) -> dict[str, Any]:
    """What one replication found, as JSON can hold it."""
    played = play(arm.scenario, arm.policy, replicate)
    weeks = {
        service: {"wait_days": plain(waits), "queue": plain(queues)}
        for service, waits, queues in by_week(played)
    }
    found = {
        "outcomes": plain(outcomes(played)),
        "weeks": weeks,
        "flow": flow(played).tolist(),
    }
    return found if replicate > 0 else found | {"sample": sample(played, played.log)}


# All of them --------------------------------------------------------------------------------------


def run_region(
    scenarios: Sequence[Scenario],
    *,
    out: Path | None = None,
    workers: int | None = None,
    events: bool = False,
    command: str = "",
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Every replication of every arm, and the run folder with what they found.

    As many replications as the first scenario says, or as its precision takes; `events` keeps the
    event log of the first of each arm. `tell` is told before the run what is asked for too much.
    Raises UnknownOutcome before anything is done, and FolderError if the folder cannot be written;
    a KeyboardInterrupt leaves what is done where a call for the same arms finds it.
    """
    arms = arms_of(scenarios)
    names = [arm.name for arm in arms]
    settings = scenarios[0].run
    about: dict[str, Planned] = {}
    for arm in arms:
        about |= described(network_of(arm.scenario.region, arm.scenario.run.seed))
    units = {name: one.unit for name, one in about.items()}
    asked = asked_of(settings.precision, units, MAIN_OUTCOMES)
    precise = Precise(asked, settings.replications, settings.most_replications)
    folder = RunFolder(scenarios[0], out, " ".join(scenario_hash(one) for one in scenarios))
    work = Work(arms, _task, _kept(folder, scenarios), workers or os.cpu_count() or 1, progress)
    started = time.perf_counter()
    try:
        load = {arm.name: offered_load(arm.scenario, arm.policy) for arm in arms}
        if tell:
            for warning in overloaded(load):
                tell(warning)
        found = replicate(work, lambda one: needed(one, len(arms), precise)[0])
        summary = {
            **_summary(scenarios[0], arms, found, about, time.perf_counter() - started),
            "load": plain(load),
            "precision": precision_of(found, names, about, precise),
            "warm_up": warm_up_of(found, names, _window(scenarios[0])),
            "run": str(folder.path),
        }
        _write(folder.partial, scenarios, summary, found, command)
        if events:
            _write_events(folder.partial, arms)
        folder.finish()
    except OSError as error:
        if isinstance(error, FolderError):
            raise
        raise FolderError(f"{folder.path} cannot be written: {error.strerror or error}") from None
    finally:
        folder.clean()
    shutil.rmtree(work.kept, ignore_errors=True)
    return summary


def _kept(folder: RunFolder, scenarios: Sequence[Scenario]) -> Path:
    """The folder of what is done, which does not depend on how many replications are asked for."""
    number = {"replications": 1, "precision": {}}
    same = [one.run.model_copy(update=number) for one in scenarios]
    identity = " ".join(
        scenario_hash(one.model_copy(update={"run": run}))
        for one, run in zip(scenarios, same, strict=True)
    )
    identity += program_hash()
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return folder.path.with_name(f".{scenarios[0].name}-{digest}.kept")


# Summing up ---------------------------------------------------------------------------------------


def _summary(
    first: Scenario,
    arms: Sequence[Arm],
    found: Found,
    about: Mapping[str, Planned],
    seconds: float,
) -> dict[str, Any]:
    names = list(dict.fromkeys(key for one in found.values() for key in one["outcomes"]))
    number = len(found) // len(arms)
    values = {name: values_of(found, name, len(arms)) for name in names}
    return {
        "title": first.title,
        "description": first.description,
        "name": first.name,
        "version": __version__,
        "seed": first.run.seed,
        "engine": "agents",
        "draws": "mean",
        "replications": number,
        "patients": round(float(np.nanmean(values["diagnosed_a_year"])) * _years(first)),
        "seconds": round(seconds, 3),
        "reference": arms[0].name,
        "labels": {arm.name: arm.label for arm in arms},
        "economics": described_economics(first),
        "outcomes": {
            name: {
                "label": about[name].label,
                "unit": about[name].unit,
                "better": about[name].better,
            }
            for name in names
        },
        "policies": {
            arm.name: {name: interval(values[name][place]) for name in names}
            for place, arm in enumerate(arms)
        },
        "differences": {
            arm.name: {name: interval(values[name][place] - values[name][0]) for name in names}
            for place, arm in enumerate(arms)
            if place > 0
        },
        "flow": {arm.name: links(_flow(found, place)) for place, arm in enumerate(arms)},
        "first_day": first.region.calendar.first_day.isoformat(),
        "window_days": [minute / MINUTES_PER_DAY for minute in _window(first)],
    }


def _years(scenario: Scenario) -> float:
    """Of which patients count."""
    return scenario.region.arrivals.period / DAYS_PER_YEAR


def _flow(found: Found, arm: int) -> np.ndarray:
    """The flow of one arm over all replications."""
    counts = [one["flow"] for (place, _), one in found.items() if place == arm]
    return np.array(counts, np.int64).sum(axis=0)


def interval(values: np.ndarray) -> dict[str, float | None]:
    """Mean over replications with Student's interval; None where it cannot be told."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"estimate": None, "lower": None, "upper": None}
    mean = float(known.mean())
    if len(known) < 2:
        return {"estimate": mean, "lower": None, "upper": None}
    half = half_width(known)
    return {"estimate": mean, "lower": mean - half, "upper": mean + half}


def overloaded(load: Mapping[str, Mapping[str, float]]) -> list[str]:
    """In words, where as much is asked for under an arm as there is time, or more."""
    return [
        f"{arm}: {name} is asked for {share:.0%} of its open time; its queue will grow"
        for arm, stations in load.items()
        for name, share in stations.items()
        if share >= 1.0
    ]


def offered_load(scenario: Scenario, policy: str) -> dict[str, float]:
    """Minutes asked for against minutes open, by station, if nobody had to wait.

    From so many patients lived without queues, with turnaround and the other patients who queue;
    time that others have beforehand is not open.
    """
    region = scenario.region
    network = network_of(region, scenario.run.seed)
    params = packed_parameters(scenario, 0)
    expected = np.sum([expected_by_age(region, name) for name in region.hospitals], axis=0)
    patients = cohort.blank_records(np.arange(_LOAD_PATIENTS), scenario.run.seed)
    patients = with_age_and_sex(patients, expected)
    cohort.simulate(
        patients,
        params,
        scenario.packed_policy(policy),
        scenario.horizon_minutes,
        rules=scenario.packed_rules(policy),
    )
    services = params["activity_service"][0]
    times = patients["times_done"][:, : len(services)].mean(axis=0)
    minutes = params["activity_minutes"][0]
    years = network.end / (DAYS_PER_YEAR * MINUTES_PER_DAY)
    asked = np.zeros(len(network.stations))
    for (service, home), numbers in network.where.items():
        own = (services == service) & (minutes > 0.0)
        name = list(region.hospitals)[home]
        yearly = expected_per_year(region, name)
        for number in numbers:
            each = minutes[own] + network.stations[number].turnaround
            asked[number] += years * yearly * float((times[own] * each).sum())
    found = {}
    for number, plan in enumerate(network.stations):
        if plan.others:
            each = plan.others.minutes + plan.turnaround
            asked[number] += plan.others.expected(network.end) * each
        opened = sum((one.end - one.start) * one.places for one in plan.diary)
        found[plan.name] = float(asked[number]) / opened if opened else math.inf
    return found


# Keeping ------------------------------------------------------------------------------------------


def _write(
    folder: Path,
    scenarios: Sequence[Scenario],
    summary: dict[str, Any],
    found: Found,
    command: str,
) -> None:
    for number, scenario in enumerate(scenarios):
        name = "scenario.toml" if number == 0 else f"scenario-{number + 1}.toml"
        (folder / name).write_text(to_toml(scenario), encoding="utf-8")
    (folder / "summary.json").write_text(
        json.dumps(summary, indent=1, allow_nan=False), encoding="utf-8"
    )
    each = [
        {"arm": list(summary["labels"])[arm], "replication": replicate, **one}
        for (arm, replicate), one in sorted(found.items())
    ]
    (folder / "replications.json").write_text(json.dumps(each), encoding="utf-8")
    provenance = json.dumps(provenance_of(scenarios, summary, command), indent=1)
    (folder / "provenance.json").write_text(provenance, encoding="utf-8")


def _write_events(folder: Path, arms: Sequence[Arm]) -> None:
    """The event log of the first replication of each arm, which is played again for it."""
    from crlm_sim.outcomes.tables import Queues, event_frame

    writer = TableWriter(folder / "events.parquet")
    frames = []
    for arm in arms:
        played = play(arm.scenario, arm.policy, 0)
        names = [plan.name for plan in played.network.stations]
        frames.append(
            event_frame(
                played.log,
                arm.name,
                0,
                played.patients,
                played.arrivals,
                queues=Queues(played.diaries.waits, names),
            )
        )
    writer.add(frames, ["entity_id", "policy"])
    writer.close()
