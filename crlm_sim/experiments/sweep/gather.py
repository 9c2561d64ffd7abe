"""From the chunks of a store to its dataset: one point after another, so memory stays small."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.evidence import shipped_posterior
from crlm_sim.experiments.appraisal import appraise
from crlm_sim.experiments.run import described_economics
from crlm_sim.experiments.sweep import store
from crlm_sim.experiments.sweep.plan import Task, cell_of
from crlm_sim.experiments.sweep.task import Arrays, results, tallies_of
from crlm_sim.outcomes.dataset import DIFFERENCE, LEVEL, about_number, shared_coordinates
from crlm_sim.outcomes.definitions import MINUTES_PER_MONTH, OUTCOMES
from crlm_sim.outcomes.summary import NUMBERS, POOLED, Numbers, entries, over_draws
from crlm_sim.scenario import quantities
from crlm_sim.scenario.experiment import EVERYBODY, Experiment
from crlm_sim.scenario.kinds import MEAN
from crlm_sim.scenario.messages import Wrong
from crlm_sim.scenario.writing import value_text

_DRAWS_IN_CHUNK = 100
_OUTCOME = {outcome.name: place for place, outcome in enumerate(OUTCOMES)}
_BY_DRAW = ("draws", "plane")
"""What an appraisal says draw by draw."""
_BEFORE = "difference_"
_DRAWN = tuple(name for name in NUMBERS if name.endswith(("estimate", "error")))
"""What the dataset has of every draw."""
_SURVIVAL = {
    "units": "1",
    "description": "Kaplan-Meier probability of no event up to the time, in one draw",
}


Progress = Callable[[str, int, int], None]


class Incomplete(Exception):
    """A chunk is missing or was not whole."""


def gather(
    folder: Path, experiment: Experiment, tasks: Sequence[Task], progress: Progress | None = None
) -> None:
    """Write the dataset and the summary of a store whose tasks are all done.

    Raises Incomplete if one is not.
    """
    partial = folder / f".{store.RESULTS}.partial"
    for path in (partial, folder / store.RESULTS):
        store.remove(path)
    cells = _cells(folder, experiment, tasks)
    with store.whole(folder / store.SUMMARY) as summary:
        with summary.open("w", encoding="utf-8") as text:
            text.write(json.dumps(_head(experiment), indent=1).removesuffix("\n}"))
            text.write(',\n "points": [')
            arrays = _template(partial, experiment)
            for number in range(len(experiment.points)):
                pooled, means = _write_point(arrays, experiment, number, cells)
                text.write(",\n" if number else "\n")
                told = _told(experiment, number, pooled, means)
                text.write(json.dumps(told, allow_nan=False))
                if progress:
                    progress("gathering", number + 1, len(experiment.points))
            text.write("\n ]\n}\n")
        partial.rename(folder / store.RESULTS)


# Cells -------------------------------------------------------------------------------------------


def _cells(folder: Path, experiment: Experiment, tasks: Sequence[Task]) -> Iterator[Arrays]:
    """The results of every cell in order."""
    tallies: list[Any] = []
    for number, task in enumerate(tasks):
        found = store.read(folder, number, task)
        if found is None:
            raise Incomplete
        if not task.is_part:
            for place in range(task.cells):
                yield {name: values[place] for name, values in found.items()}
            continue
        part = tallies_of(found)
        for old, new in zip(tallies, part, strict=True) if tallies else ():
            old.merge(new)
        tallies = tallies or part
        scenario = experiment.points[cell_of(experiment, task.first)[0]].scenario
        if task.stop == scenario.run.patients * scenario.run.replications:
            yield results(tallies, scenario.reference)
            tallies = []


def _write_point(
    arrays: dict[str, Any], experiment: Experiment, point: int, cells: Iterator[Arrays]
) -> tuple[Numbers, np.ndarray]:
    """Write all that is known of a point.

    Returns what its draws say together of everybody, and the mean cost and QALYs of each policy in
    each draw, shape (draws, 2, policies).
    """
    draws = len(experiment.first.run.draw_numbers)
    each: list[np.ndarray] = []
    for first in range(0, draws, _DRAWS_IN_CHUNK):
        block = [next(cells) for _ in range(first, min(first + _DRAWS_IN_CHUNK, draws))]
        some = slice(first, first + len(block))
        numbers = np.stack([cell["numbers"] for cell in block], axis=2)
        for name in _DRAWN:
            arrays[f"draw_{_renamed(name)}"][point, :, some] = numbers[:, NUMBERS.index(name)]
        arrays["patients"][point, :, some] = np.stack([cell["patients"] for cell in block], axis=1)
        arrays["survival"][point, some] = np.stack([cell["survival"] for cell in block])
        each.append(numbers)
    whole = np.concatenate(each, axis=2)
    pooled = [over_draws(_by_draw(stratum)) for stratum in whole]
    for name in pooled[0]:
        stacked = np.stack([one[name] for one in pooled])
        arrays[_renamed(name)][point] = stacked
    everybody = whole[0][NUMBERS.index("estimate")]
    means = np.stack([everybody[..., _OUTCOME[name]] for name in ("cost", "qaly")], axis=1)
    return pooled[0], means


def _by_draw(numbers: np.ndarray) -> list[Numbers]:
    """One stratum's numbers, shape (NUMBERS, draws, P, outcomes), as those of each draw."""
    return [dict(zip(NUMBERS, one, strict=True)) for one in np.moveaxis(numbers, 1, 0)]


# The dataset -------------------------------------------------------------------------------------


def _template(path: Path, experiment: Experiment) -> dict[str, Any]:
    """A dataset with all coordinates and empty arrays; the arrays by name."""
    import xarray
    import zarr

    bare = xarray.Dataset(coords=_coordinates(experiment), attrs=_attributes(experiment))
    bare.to_zarr(path, zarr_format=3, consolidated=False)
    group = zarr.open_group(path, mode="r+")
    return {
        name: group.create_array(
            name,
            shape=tuple(bare.sizes[axis] for axis in axes),
            dtype=kind,
            chunks=tuple(_chunk(axis, bare.sizes[axis]) for axis in axes),
            dimension_names=axes,
            attributes=dict(about),
            fill_value=0 if kind == "int64" else np.nan,
        )
        for name, (axes, kind, about) in _arrays(bare.sizes["draw"]).items()
    }


def size_of(experiment: Experiment) -> int:
    """Bytes of the dataset's arrays before they are compressed; on disk it is less."""
    import xarray

    sizes = xarray.Dataset(coords=_coordinates(experiment)).sizes
    return sum(
        math.prod(sizes[axis] for axis in axes) * np.dtype(kind).itemsize
        for axes, kind, _ in _arrays(sizes["draw"]).values()
    )


def _chunk(axis: str, size: int) -> int:
    return {"point": 1, "draw": min(size, _DRAWS_IN_CHUNK)}.get(axis, size)


def _arrays(draws: int) -> dict[str, tuple[tuple[str, ...], str, dict[str, str]]]:
    """name → (axes, dtype, attributes) of everything but coordinates."""
    pooled = ("point", "stratum", "policy", "outcome")
    drawn = ("point", "stratum", "draw", "policy", "outcome")
    kinds = POOLED if draws > 1 else POOLED[:3]
    found: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {}
    for what, before in ((LEVEL, ""), (DIFFERENCE, _BEFORE)):
        for name in kinds:
            found[_renamed(before + name)] = pooled, "float64", about_number(what, name)
    for name in _DRAWN:
        kind = name.removeprefix(_BEFORE)
        what = f"{LEVEL if kind == name else DIFFERENCE}, in one draw"
        about = about_number(what, kind)
        if kind == "error":
            about["description"] = f"jackknife standard error of simulation: {what}"
        found[f"draw_{_renamed(name)}"] = drawn, "float64", about
    about = {"units": "patients", "description": "simulated under each policy"}
    found["patients"] = ("point", "stratum", "draw"), "int64", about
    found["survival"] = ("point", "draw", "policy", "endpoint", "time_months"), "float32", _SURVIVAL
    return found


def _renamed(name: str) -> str:
    """A number's name in the dataset, where a difference is called just that."""
    return name.replace(f"{_BEFORE}estimate", "difference")


def _coordinates(experiment: Experiment) -> dict[str, Any]:
    first = experiment.first
    found = shared_coordinates(first.policy_names, 1 + first.horizon_minutes // MINUTES_PER_MONTH)
    found["draw"] = np.array(first.run.draw_numbers)
    found["stratum"] = np.array([EVERYBODY, *experiment.strata], object)
    found["condition"] = "stratum", np.array(["true", *experiment.strata.values()], object)
    found["point"] = np.arange(1, 1 + len(experiment.points))
    for key in experiment.points[0].values:
        values, unit = _plain([point.values[key] for point in experiment.points])
        found[key] = "point", values, {"units": unit} if unit else {}
    return found


def _plain(values: Sequence[Any]) -> tuple[np.ndarray, str]:
    """Values of a key as numbers with their unit, if they are that, else as texts."""
    if all(quantities.is_number(value) for value in values):
        return np.array(values, float), ""
    try:
        pairs = [quantities.number_and_unit(value, "a quantity") for value in values]
    except Wrong:
        return np.array([value_text(value) for value in values], object), ""
    units = {unit.removesuffix("s") for _, unit in pairs}
    if len(units) == 1 and (unit := units.pop()):
        return np.array([number for number, _ in pairs]), unit if unit == "%" else f"{unit}s"
    return np.array([quantities.days(value) for value in values]), "days"


def _attributes(experiment: Experiment) -> dict[str, Any]:
    first = experiment.first
    return {
        "title": experiment.title,
        "reference": first.reference,
        "horizon_minutes": first.horizon_minutes,
        "replications": first.run.replications,
        "interval": "parameter" if len(first.run.draw_numbers) > 1 else "simulation",
        "month": "365.25 / 12 days",
    }


# The summary -------------------------------------------------------------------------------------


def _head(experiment: Experiment) -> dict[str, Any]:
    first = experiment.first
    draws = first.run.draw_numbers
    return {
        "title": experiment.title,
        "description": experiment.description,
        "name": experiment.name,
        "version": __version__,
        "seed": first.run.seed,
        "draws": "mean" if first.run.draws == MEAN else len(draws),
        "parameters": "ranges" if shipped_posterior() is None else "posterior",
        "replications": first.run.replications,
        "horizon_years": first.horizon_minutes / 525_960,
        "reference": first.reference,
        "labels": {policy.name: policy.label or policy.name for policy in first.policies},
        "strata": experiment.strata,
        "economics": described_economics(first),
        "interval": "parameter" if len(draws) > 1 else "simulation",
    }


def _told(experiment: Experiment, point: int, pooled: Numbers, means: np.ndarray) -> dict[str, Any]:
    """What the summary says of a point; of several points not every draw of the plane as well."""
    at = experiment.points[point]
    found: dict[str, Any] = entries(pooled, at.scenario.policy_names, at.scenario.reference)
    economics = described_economics(at.scenario)
    if len(at.scenario.policy_names) > 1:
        economics |= appraise(at.scenario, list(means))
    if len(experiment.points) > 1:
        economics = {key: one for key, one in economics.items() if key not in _BY_DRAW}
    about = {"values": at.values, "patients": at.scenario.run.patients, "economics": economics}
    return {"point": point + 1, **about, **found}
