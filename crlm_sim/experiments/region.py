"""Runs with queues: scenarios and policies over the same arrivals, replication by replication.

A task is one replication of one arm; what it found is kept in a file of its own until the run's
folder is written, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
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
    Played,
    Window,
    by_week,
    described,
    flow,
    links,
    outcomes,
)
from crlm_sim.outcomes.survival import t_quantile
from crlm_sim.scenario import Scenario, to_toml

LEVEL = 0.95
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
        service: {"wait_days": _plain(waits), "queue": _plain(queues)}
        for service, waits, queues in by_week(played)
    }
    found = {
        "outcomes": _plain(outcomes(played)),
        "weeks": weeks,
        "flow": flow(played).tolist(),
    }
    return found if replicate > 0 else found | {"sample": sample(played, played.log)}


def _plain(values: Any) -> Any:
    """Numbers for JSON, which has none that are not finite."""
    if isinstance(values, Mapping):
        return {key: _plain(value) for key, value in values.items()}
    if isinstance(values, np.ndarray):
        return [_plain(float(value)) for value in values]
    return values if math.isfinite(values) else None


# All of them --------------------------------------------------------------------------------------


def run_region(
    scenarios: Sequence[Scenario],
    *,
    out: Path | None = None,
    workers: int | None = None,
    events: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Every replication of every arm, and the run folder with what they found.

    As many replications as the first scenario says; `events` keeps the event log of the first of
    each arm. Raises FolderError if the folder cannot be written; a KeyboardInterrupt leaves what is
    done where the same call finds it.
    """
    arms = arms_of(scenarios)
    number = scenarios[0].run.replications
    folder = RunFolder(scenarios[0], out, " ".join(scenario_hash(one) for one in scenarios))
    kept = folder.path.with_name(f".{folder.path.name}.kept")
    started = time.perf_counter()
    try:
        found = _all(arms, number, kept, workers or os.cpu_count() or 1, progress)
        summary = _summary(scenarios[0], arms, found, time.perf_counter() - started)
        summary["run"] = str(folder.path)
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
    shutil.rmtree(kept, ignore_errors=True)
    return summary


Found = dict[tuple[int, int], dict[str, Any]]
"""What a replication found, by place of the arm and number of the replication."""


def _all(
    arms: Sequence[Arm], number: int, kept: Path, workers: int, progress: Progress | None
) -> Found:
    kept.mkdir(parents=True, exist_ok=True)
    tasks = [(arm, replicate) for replicate in range(number) for arm in range(len(arms))]
    missing = [task for task in tasks if not _file(kept, task).exists()]
    done = len(tasks) - len(missing)
    if progress:
        progress(done, len(tasks))
    if missing:
        first = missing.pop(0)  # here, before the workers, who find it compiled
        _keep(_file(kept, first), _task(arms[first[0]], first[1]))
        done += 1
        if progress:
            progress(done, len(tasks))
    if missing:
        with ProcessPoolExecutor(
            min(workers, len(missing)), multiprocessing.get_context("spawn")
        ) as pool:
            futures = {pool.submit(_task, arms[arm], r): (arm, r) for arm, r in missing}
            try:
                for future in as_completed(futures):
                    _keep(_file(kept, futures[future]), future.result())
                    done += 1
                    if progress:
                        progress(done, len(tasks))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return {task: json.loads(_file(kept, task).read_text("utf-8")) for task in tasks}


def _file(kept: Path, task: tuple[int, int]) -> Path:
    return kept / f"{task[0]}-{task[1]:05d}.json"


def _keep(file: Path, found: dict[str, Any]) -> None:
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.rename(file)


# Summing up ---------------------------------------------------------------------------------------


def _summary(first: Scenario, arms: Sequence[Arm], found: Found, seconds: float) -> dict[str, Any]:
    names = list(dict.fromkeys(key for one in found.values() for key in one["outcomes"]))
    number = len(found) // len(arms)
    values = {name: _values(found, name, len(arms), number) for name in names}
    about: dict[str, Any] = {}
    for arm in arms:
        about |= described(network_of(arm.scenario.region, arm.scenario.run.seed))
    return {
        "title": first.title,
        "description": first.description,
        "name": first.name,
        "version": __version__,
        "seed": first.run.seed,
        "engine": "agents",
        "draws": "mean",
        "replications": number,
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
        "load": {arm.name: _plain(offered_load(arm.scenario, arm.policy)) for arm in arms},
        "flow": {arm.name: links(_flow(found, place)) for place, arm in enumerate(arms)},
        "first_day": first.region.calendar.first_day.isoformat(),
        "window_days": [minute / MINUTES_PER_DAY for minute in _window(first)],
    }


def _flow(found: Found, arm: int) -> np.ndarray:
    """The flow of one arm over all replications."""
    counts = [one["flow"] for (place, _), one in found.items() if place == arm]
    return np.array(counts, np.int64).sum(axis=0)


def _values(found: Found, name: str, arms: int, number: int) -> np.ndarray:
    """One outcome, shape (arms, replications); nan where it cannot be told."""
    said = [[found[arm, r]["outcomes"].get(name) for r in range(number)] for arm in range(arms)]
    return np.array(said, dtype=float)


def interval(values: np.ndarray) -> dict[str, float | None]:
    """Mean over replications with Student's interval; None where it cannot be told."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"estimate": None, "lower": None, "upper": None}
    mean = float(known.mean())
    if len(known) < 2:
        return {"estimate": mean, "lower": None, "upper": None}
    half = t_quantile(0.5 + LEVEL / 2.0, len(known) - 1) * known.std(ddof=1) / len(known) ** 0.5
    return {"estimate": mean, "lower": mean - float(half), "upper": mean + float(half)}


def overloaded(scenario: Scenario) -> list[str]:
    """In words, where as much is asked for as there is time, or more."""
    load = offered_load(scenario, scenario.policies[0].name)
    return [
        f"{scenario.name}: {name} is asked for {share:.0%} of its open time; its queue will grow"
        for name, share in load.items()
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
