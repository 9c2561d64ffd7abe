"""Making a kept run or sweep again from its own record, to see that it comes out the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crlm_sim.experiments import sweep
from crlm_sim.experiments.describe import trace
from crlm_sim.experiments.region import run_region
from crlm_sim.experiments.run import run
from crlm_sim.experiments.sweep import store
from crlm_sim.scenario import Scenario, ScenarioError, load

Progress = Callable[[str, int, int], None]

_HOW_IT_WENT = ("run", "seconds", "version")
"""What of a summary is not a result."""


class NoRun(ValueError):
    """A folder that holds no run, or not the one asked for."""


def rerun(folder: Path, workers: int = 1, progress: Progress | None = None) -> dict[str, Any]:
    """Make a run again in a folder beside it, compare, and remove it.

    `same` says whether every result is equal to the last digit; `differing` names what is not.
    Raises NoRun if the folder's record cannot be read.
    """
    before = _summary(folder)
    with tempfile.TemporaryDirectory(prefix=".rerun-", dir=folder.resolve().parent) as space:
        again = Path(space) / "again"
        _repeat(folder, before, again, workers, progress)
        after = _summary(again)
        names = [n for n in before if n not in _HOW_IT_WENT and before[n] != after.get(n)]
        names += _differing_files(folder / store.RESULTS, again / store.RESULTS)
    return {
        "run": str(folder),
        "same": not names,
        "differing": names,
        "program": _program(folder),
        "program_now": store.program(),
    }


def _summary(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / store.SUMMARY).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        raise NoRun(f"{folder} is not the folder of a finished run: no {store.SUMMARY}") from None


def _program(folder: Path) -> str:
    try:
        return str(json.loads((folder / store.PROVENANCE).read_text("utf-8"))["program"])
    except (OSError, ValueError, KeyError):
        raise NoRun(f"{folder} has no {store.PROVENANCE}") from None


def _repeat(
    folder: Path, summary: dict[str, Any], again: Path, workers: int, progress: Progress | None
) -> None:
    """Make the run again in another folder."""

    def simulating(done: int, total: int) -> None:
        if progress:
            progress("simulating", done, total)

    if is_sweep(folder):
        experiment = store.read_experiment(folder)
        sweep.sweep(experiment, out=again, where=sweep.Where(workers), progress=progress)
        return
    scenarios = _scenarios(folder, summary)
    if scenarios[0].region.hospitals:
        run_region(scenarios, out=again, workers=workers, progress=simulating)
    else:
        run(scenarios[0], out=again, engine=summary["engine"], progress=simulating)


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / store.MANIFEST).exists()


def _scenarios(folder: Path, summary: dict[str, Any]) -> list[Scenario]:
    """A run's scenarios under their own names, which those of the results begin with."""
    arms: Sequence[str] = list(summary["labels"])
    found: list[Scenario] = []
    try:
        while (file := folder / f"scenario{f'-{len(found) + 1}' if found else ''}.toml").exists():
            scenario = load(file)
            name = arms[sum(len(one.policies) for one in found)].partition("/")[0]
            alone = not found and not (folder / "scenario-2.toml").exists()
            name = summary["name"] if alone else name
            found.append(scenario.model_copy(update={"name": name}))
    except ScenarioError as error:
        raise NoRun(f"{folder}: its scenario cannot be read: {error}") from None
    if not found:
        raise NoRun(f"{folder} holds no scenario.toml")
    return found


def _differing_files(one: Path, other: Path) -> list[str]:
    names = {
        str(path.relative_to(root))
        for root in (one, other)
        for path in root.rglob("*")
        if path.is_file()
    }
    return [f"{store.RESULTS}/{n}" for n in sorted(names) if _bytes(one / n) != _bytes(other / n)]


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def retrace(
    folder: Path, patient: int, *, replicate: int = 0, draw: int | None = None, point: int = 1
) -> dict[str, Any]:
    """One patient of a kept run again, step by step under each policy, as `crlm trace` shows it.

    `draw` is the first of the run's if not said; `point` is of a sweep's design, from 1. Raises
    NoRun if there is no such patient, or if patients queued.
    """
    if is_sweep(folder):
        points = len(store.read_manifest(folder)["points"])
        if not 1 <= point <= points:
            raise NoRun(f"--point: expected a whole number from 1 to {points}, got {point}")
        scenario = store.read_scenario(folder, point - 1)
    else:
        scenario = _scenarios(folder, _summary(folder))[0]
    if scenario.region.hospitals:
        raise NoRun("patients of this run queued for one another: none can be run again alone")
    draws = scenario.run.draw_numbers
    draw = draws[0] if draw is None else draw
    if draw not in draws:
        raise NoRun(f"--draw: the run has draws {draws[0]} to {draws[-1]}, and not {draw}")
    if not 0 <= replicate < scenario.run.replications:
        raise NoRun(f"--replicate: the run has {scenario.run.replications}, counted from 0")
    return trace(scenario, patient, draw, replicate)
