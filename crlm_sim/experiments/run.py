"""One run of a scenario: simulate all policies over the same patients, tally, keep the results.

A run folder is written under a temporary name and renamed when it is complete, so that a folder
with the run's name always holds a whole run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.disease.patient import CAUSES, NEVER
from crlm_sim.evidence import (
    ACTIVITIES,
    parameters,
    prices_and_utilities,
    shipped_posterior,
)
from crlm_sim.experiments.appraisal import appraise, means_of
from crlm_sim.experiments.asked import asked_of
from crlm_sim.experiments.simulate import Block, packed_parameters, patient_numbers, simulate_block
from crlm_sim.experiments.tables import TableWriter
from crlm_sim.outcomes import Tally, summarise_draws
from crlm_sim.outcomes.definitions import OUTCOMES, POUNDS
from crlm_sim.outcomes.summary import summarise
from crlm_sim.scenario import Scenario, to_toml
from crlm_sim.scenario.kinds import Precision

if TYPE_CHECKING:
    import xarray

Progress = Callable[[int, int], None]
"""Called with patients simulated so far and in all, over policies, draws and replications."""

BLOCK_PATIENTS = {"cohort": 4096, "agents": 512}
SWIMMERS = 25
_MARKS = {
    "first_liver_resection_minute": "liver resection",
    "primary_resection_minute": "primary resection",
    "progression_minute": "progression",
    "recurrence_minute": "recurrence",
}
_MAIN_OUTCOMES = ("os_5y", "resected")
"""What a precision is about if it names nothing."""
_UNITS = {
    one.name: "proportion" if one.kind in ("proportion", "survival") else one.unit
    for one in OUTCOMES
}
_RECORDED = ("numpy", "numba", "simpy", "pandas", "xarray", "zarr")


class FolderError(OSError):
    """The folder for a run exists already or cannot be written."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder (None if nothing was kept) and its results."""

    folder: Path | None
    summary: dict[str, Any]
    tally: Tally

    def dataset(self) -> xarray.Dataset:
        """Outcomes, differences, curves and flow as labelled arrays."""
        return self.tally.dataset(self.summary["reference"], _entries(self.summary))


def run(
    scenario: Scenario,
    *,
    out: Path | None = None,
    keep: bool = True,
    engine: str | None = None,
    threads: int | None = None,
    block_patients: int | None = None,
    patients_table: bool = False,
    events: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> Run:
    """Simulate a scenario and, if `keep`, write its run folder.

    `out` is the folder (default `runs/NAME-HASH`, replaced if it is there: it is the same run);
    `engine` and `threads` change nothing but the time it takes. Raises FolderError if `out`
    exists or cannot be written, before anything is simulated.
    """
    engine = engine or scenario.run.engine
    size = block_patients or BLOCK_PATIENTS[engine]
    folder = RunFolder(scenario, out, scenario_hash(scenario)) if keep else None
    try:
        started = time.perf_counter()
        asked = asked_of(scenario.run.precision, _UNITS, _MAIN_OUTCOMES)
        work = _Work(scenario, engine, threads, size, asked, progress)
        if folder and (patients_table or events):
            work.tables = _Tables(folder.partial, patients_table, events, scenario.run.replications)
        pooled = Tally.empty(scenario.policy_names, scenario.horizon_minutes)
        means: list[np.ndarray] = []
        entries = summarise_draws(_pool(work, pooled, means), scenario.reference)
        if work.tables:
            work.tables.close()
        seconds = time.perf_counter() - started
        summary = _summary(scenario, engine, seconds, entries, pooled)
        summary["replications"] = work.replications
        summary["precise"] = work.precise if asked else None
        if len(scenario.policy_names) > 1:
            summary["economics"] |= appraise(scenario, means)
        summary["run"] = str(folder.path) if folder else None
        done = Run(folder.path if folder else None, summary, pooled)
        if folder:
            _write(folder.partial, scenario, done, command)
            folder.finish()
        return done
    except OSError as error:
        if folder is None or isinstance(error, FolderError):
            raise
        raise FolderError(f"{folder.path} cannot be written: {error.strerror or error}") from None
    finally:
        if folder:
            folder.clean()


def scenario_hash(scenario: Scenario) -> str:
    """What identifies a scenario's results: its resolved text and this version of the program."""
    text = f"{__version__}\n{to_toml(scenario)}"
    return hashlib.sha256(text.encode()).hexdigest()


# Simulating --------------------------------------------------------------------------------------


@dataclass
class _Work:
    scenario: Scenario
    engine: str
    threads: int | None
    block_patients: int
    asked: Mapping[str, Precision]
    progress: Progress | None
    tables: _Tables | None = None
    done: int = 0
    replications: int = 0
    """How many there were of each draw."""
    precise: bool = True
    """Whether they are enough for what is asked."""

    def tallies(self) -> Iterator[Tally]:
        """One tally a draw, all policies over the same patients."""
        run_ = self.scenario.run
        draws = run_.draw_numbers
        each = run_.patients * len(self.scenario.policy_names)
        for draw in draws:
            params = packed_parameters(self.scenario, draw)
            tally = Tally.empty(self.scenario.policy_names, self.scenario.horizon_minutes)
            for replicate in self._replicates(tally):
                total = len(draws) * max(run_.replications, replicate + 1) * each
                for numbers in patient_numbers(
                    self.scenario,
                    self.block_patients,
                    params=params,
                    draw=draw,
                    replicate=replicate,
                ):
                    blocks = self._block(numbers, params, draw, replicate, tally, total)
                    if self.tables:
                        self.tables.add(blocks, self.scenario.policy_names, draw, replicate)
            yield tally

    def _replicates(self, tally: Tally) -> Iterator[int]:
        """Numbers of replications: those asked for, and then as many as the precision takes."""
        run_ = self.scenario.run
        self.replications = 0
        while True:
            enough = self.replications >= run_.replications
            if enough:
                self.precise = is_precise(tally, self.scenario.reference, self.asked)
                if self.precise or self.replications >= run_.most_replications:
                    return
            yield self.replications
            self.replications += 1

    def _block(
        self,
        numbers: np.ndarray,
        params: np.ndarray,
        draw: int,
        replicate: int,
        tally: Tally,
        total: int,
    ) -> list[Block]:
        blocks = []
        for place, policy in enumerate(self.scenario.policy_names):
            block = simulate_block(
                self.scenario,
                policy,
                numbers,
                params=params,
                draw=draw,
                replicate=replicate,
                engine=self.engine,
                threads=self.threads,
                keep_log=self.tables is not None and self.tables.events,
            )
            tally.add(place, block.patients)
            if self.tables:
                blocks.append(block)
            self.done += len(numbers)
            if self.progress:
                self.progress(self.done, total)
        return blocks


def is_precise(tally: Tally, reference: str, asked: Mapping[str, Precision]) -> bool:
    """Whether half of each interval of simulation error is within what is asked of its outcome.

    Of paired differences from the reference where there are several policies.
    """
    outcomes = [one for one in OUTCOMES if one.name in asked]
    levels = summarise(tally, reference, outcomes)
    judged = levels["differences"] or levels["policies"]
    entries = [pair for found in judged.values() for pair in found.items()]
    return all(_within(entry, asked[name]) for name, entry in entries)


def _within(entry: Mapping[str, Any], asked: Precision) -> bool:
    if entry["lower"] is None or entry["upper"] is None:
        return False
    allowed = asked.size * (abs(entry["estimate"]) if asked.relative else 1.0)
    return bool((entry["upper"] - entry["lower"]) / 2.0 <= allowed)


def _pool(work: _Work, pooled: Tally, means: list[np.ndarray]) -> Iterator[Tally]:
    """Each draw's tally, added to `pooled`; its mean costs and QALYs are added to `means`."""
    for tally in work.tallies():
        pooled.merge(tally)
        means.append(means_of(tally))
        yield tally


class _Tables:
    """The patient and event tables, written block by block."""

    def __init__(self, folder: Path, patients: bool, events: bool, replications: int) -> None:
        self.events = events
        self.replications = replications
        self._patients = TableWriter(folder / "patients.parquet") if patients else None
        self._events = TableWriter(folder / "events.parquet") if events else None

    def add(self, blocks: list[Block], policies: Sequence[str], draw: int, replicate: int) -> None:
        from crlm_sim.outcomes.tables import event_frame, patient_frame

        number = replicate if draw == 0 else (draw - 1) * self.replications + replicate
        if self._patients:
            frames = [
                patient_frame(block.patients, name)
                for name, block in zip(policies, blocks, strict=True)
            ]
            self._patients.add(frames, ["patient", "policy"])
        if self._events:
            frames = [
                event_frame(block.log, name, number, block.patients, block.arrivals)
                for name, block in zip(policies, blocks, strict=True)
                if block.log is not None
            ]
            self._events.add(frames, ["entity_id", "policy"])

    def close(self) -> None:
        for writer in (self._patients, self._events):
            if writer:
                writer.close()


# Keeping -----------------------------------------------------------------------------------------


class RunFolder:
    """The folder of a run: a temporary one beside it until everything is written."""

    def __init__(self, scenario: Scenario, out: Path | None, identity: str) -> None:
        self._replace = out is None
        name = f"{scenario.name}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
        self.path = Path("runs") / name if out is None else out
        if out is not None and out.exists():
            raise FolderError(f"{out} exists already: name a folder that does not")
        self.partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        self._new_parents = [parent for parent in self.path.parents if not parent.exists()]
        try:
            self.partial.mkdir(parents=True)
        except OSError as error:
            raise FolderError(f"{self.path} cannot be written: {error.strerror}") from None

    def finish(self) -> None:
        if self._replace and self.path.exists():
            old = self.path.with_name(f".{self.path.name}.{os.getpid()}.old")
            self.path.rename(old)
            self.partial.rename(self.path)
            shutil.rmtree(old)
        else:
            self.partial.rename(self.path)

    def clean(self) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        if not self.path.exists():
            for parent in self._new_parents:
                with contextlib.suppress(OSError):
                    parent.rmdir()


def _entries(summary: dict[str, Any]) -> Any:
    return {"policies": summary["policies"], "differences": summary["differences"]}


def _summary(
    scenario: Scenario, engine: str, seconds: float, entries: dict[str, Any], pooled: Tally
) -> dict[str, Any]:
    return {
        "title": scenario.title,
        "description": scenario.description,
        "name": scenario.name,
        "version": __version__,
        "seed": scenario.run.seed,
        "engine": engine,
        "patients": scenario.run.patients,
        "draws": "mean" if scenario.run.draws == "mean" else len(scenario.run.draw_numbers),
        "parameters": "ranges" if shipped_posterior() is None else "posterior",
        "replications": scenario.run.replications,
        "seconds": round(seconds, 3),
        "horizon_years": scenario.horizon_minutes / 525_960,
        "reference": scenario.reference,
        "labels": {policy.name: policy.label or policy.name for policy in scenario.policies},
        "economics": described_economics(scenario),
        **entries,
        "flow": pooled.flow(),
    }


def described_economics(scenario: Scenario) -> dict[str, Any]:
    """What money and QALYs rest on: rates, threshold, and which inputs are placeholders."""
    inputs = prices_and_utilities()
    placeholders = [
        name for name, one in inputs.items() if one.is_placeholder and name not in scenario.changes
    ]
    return {
        "currency": POUNDS,
        "perspective": "the health service",
        **scenario.economics.model_dump(),
        "inputs": len(inputs),
        "placeholders": placeholders,
    }


def _write(folder: Path, scenario: Scenario, done: Run, command: str) -> None:
    (folder / "scenario.toml").write_text(to_toml(scenario), encoding="utf-8")
    summary = done.summary | {"swimmer": _swimmers(scenario)}
    text = json.dumps(summary, indent=1, allow_nan=False)
    (folder / "summary.json").write_text(text, encoding="utf-8")
    provenance = json.dumps(provenance_of([scenario], done.summary, command), indent=1)
    (folder / "provenance.json").write_text(provenance, encoding="utf-8")
    done.dataset().to_zarr(folder / "results.zarr", consolidated=False)


def provenance_of(
    scenarios: Sequence[Scenario], summary: dict[str, Any], command: str
) -> dict[str, Any]:
    """What another machine needs to make the same run again; no user, host or path of this one."""
    numbers = repr([(p.name, p.value, p.lower, p.upper) for p in parameters().values()])
    return {
        "program": f"crlm_sim {__version__}",
        "command": command,
        "seed": summary["seed"],
        "scenario_sha256": " ".join(scenario_hash(one) for one in scenarios),
        "parameters_sha256": hashlib.sha256(numbers.encode()).hexdigest(),
        "engine": summary["engine"],
        "seconds": summary["seconds"],
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": {name: metadata.version(name) for name in _RECORDED},
    }


def _swimmers(scenario: Scenario) -> dict[str, list[dict[str, Any]]]:
    """The courses of the first patients under each policy, for a swimmer plot."""
    draw = scenario.run.draw_numbers[0]
    params = packed_parameters(scenario, draw)
    few = scenario.model_copy(
        update={
            "run": scenario.run.model_copy(
                update={"patients": min(SWIMMERS, scenario.run.patients)}
            )
        }
    )
    numbers = np.concatenate(list(patient_numbers(few, SWIMMERS, params=params, draw=draw)))
    found = {}
    for policy in scenario.policy_names:
        block = simulate_block(
            scenario, policy, numbers, params=params, draw=draw, keep_log=True, threads=1
        )
        assert block.log is not None
        found[policy] = [
            _swimmer(patient, block.log[block.log["patient"] == patient["patient"]])
            for patient in block.patients
        ]
    return found


def _swimmer(patient: np.void, log: np.ndarray) -> dict[str, Any]:
    cause = CAUSES[patient["cause_of_death"]]
    segments = [
        [ACTIVITIES[row["activity"]], row["start"] / 1440, row["end"] / 1440] for row in log
    ]
    marks = [
        [label, float(patient[field] / 1440)]
        for field, label in _MARKS.items()
        if patient[field] != NEVER
    ]
    return {
        "patient": int(patient["patient"]),
        "end_day": float(patient["end_minute"] / 1440),
        "end": "alive" if cause == "alive" else f"dead of {cause}",
        "segments": segments,
        "marks": marks,
    }
