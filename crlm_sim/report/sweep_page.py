"""The page of a sweep: main outcomes at every point and in every stratum, and value for money."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crlm_sim.report import value
from crlm_sim.report.money import at_threshold, is_varying, placeholders_sentence
from crlm_sim.report.numbers import (
    Estimate,
    difference,
    level,
    read_estimate,
    scale_of,
    simulation_interval,
)
from crlm_sim.report.page import BUNDLE, environment, need, package_text, replace_file
from crlm_sim.report.palette import policy_colour, policy_dash, translucent
from crlm_sim.report.run_folder import Run, read_run
from crlm_sim.report.tables import Cell
from crlm_sim.report.topics import Described, describe
from crlm_sim.report.value import Table
from crlm_sim.scenario.experiment import EVERYBODY

if TYPE_CHECKING:
    import xarray

_TEMPLATE = "sweep.html.j2"
_MAIN = ("os_5y", "os_3y", "rmst_5y_months", "resected", "mortality_90d", "cost", "qaly", "nmb")
_IN_STRATA = ("os_5y", "resected", "nmb")
_MOST_POINTS = 40
"""Points in a table; the dataset has all."""
_NUMBERS = ("estimate", "lower", "upper", "simulation_lower", "simulation_upper")


@dataclass(frozen=True)
class Section:
    """One outcome: a picture over the points if they lie on a line, and its table."""

    title: str
    figure: str
    table: Table


def is_sweep(run_folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    summary = run_folder / "summary.json"
    return summary.is_file() and "points" in json.loads(summary.read_text(encoding="utf-8"))


def write_sweep(run_folder: Path) -> Path:
    """Write `report.html` into the folder of a finished sweep; returns its path.

    Raises ImportError if plotly, Jinja2 or xarray is missing.
    """
    import xarray

    need("plotly.graph_objects")
    run = read_run(run_folder)
    path = run_folder / "results.zarr"
    with xarray.open_zarr(path, consolidated=False, chunks=None) as opened:
        names = [*_NUMBERS, "difference", *(f"difference_{name}" for name in _NUMBERS)]
        data = opened[[name for name in names if name in opened]].sel(outcome=list(_MAIN)).load()
    return replace_file(run_folder / "report.html", page(run, data))


def page(run: Run, data: xarray.Dataset) -> str:
    """The page as HTML."""
    points = run.summary["points"]
    alone = _at(run, points[0]) if len(points) == 1 else None
    known = describe(_MAIN)
    return (
        environment()
        .get_template(_TEMPLATE)
        .render(
            {
                "title": run.summary["title"],
                "description": run.summary.get("description") or "",
                "name": run.folder.name,
                "asked": _asked(run),
                "uncertainty": _uncertainty(run),
                "reference": run.label(str(run.summary["reference"])),
                "sections": [_section(run, data, one) for one in known],
                "strata": _strata(run, data),
                "money": placeholders_sentence(run.summary["economics"], is_varying(points)),
                "worth": _worth(run) if len(run.summary["labels"]) > 1 else None,
                "frontier": value.frontier(alone) if alone else None,
                "pictures": value.pictures(alone) if alone else [],
                "worth_knowing": value.worth_knowing(alone) if alone else None,
                "more": len(points) - _MOST_POINTS,
                "plotly_js": package_text(BUNDLE),
            }
        )
    )


def _policies(run: Run) -> list[str]:
    """The policies, which are the same at every point."""
    return list(run.summary["labels"])


def _at(run: Run, point: dict[str, Any]) -> Run:
    """A point as a run of its own."""
    return replace(run, summary={**run.summary, **point})


def _asked(run: Run) -> list[str]:
    s = run.summary
    draws = "their best estimates" if s["draws"] == "mean" else f"{s['draws']:,} draws of them"
    points = s["points"]
    keys = " and ".join(points[0]["values"]) or "nothing"
    again = f"{s['replications']:,} replications; " if s["replications"] > 1 else ""
    return [
        f"{len(points):,} points that differ in {keys}; at each {points[0]['patients']:,} patients "
        f"under every policy and for every set of parameters, which are {draws}; "
        f"{again}they are followed for up to {s['horizon_years']:g} years.",
        "The same patients, with the same tumours and the same luck, are treated under each "
        "policy, so that differences are paired.",
    ]


def _uncertainty(run: Run) -> str:
    if run.summary["interval"] == "simulation":
        return "Intervals are of simulation error alone: parameters are held."
    return (
        "Intervals hold the central 95 % of the draws of the parameters, without simulation error, "
        "which is told apart; none where the draws differ by no more than chance."
    )


# Outcomes by point --------------------------------------------------------------------------------


def _values(run: Run) -> tuple[list[str], list[list[str]]]:
    """The keys of the design, and what each point has of them."""
    points = run.summary["points"]
    return list(points[0]["values"]), [[str(v) for v in one["values"].values()] for one in points]


def _estimate(
    run: Run, data: xarray.Dataset, at: dict[str, Any], what: str = ""
) -> Estimate | None:
    """A level, or the difference if that is `what`, at one place of the dataset."""
    names = {n: f"{what}_{n}" if what else n for n in _NUMBERS} | {"estimate": what or "estimate"}
    one = data.sel(at)
    entry: dict[str, Any] = {n: float(one[name]) for n, name in names.items() if name in one}
    return read_estimate(entry | {"interval": run.summary["interval"]}, run.draws)


def _section(run: Run, data: xarray.Dataset, about: Described) -> Section:
    keys, values = _values(run)
    names, reference = _policies(run), str(run.summary["reference"])
    rows: list[list[str | Cell]] = []
    for number, mine in enumerate(values[:_MOST_POINTS], start=1):
        cells: list[str | Cell] = [*mine]
        at = {"point": number, "stratum": EVERYBODY, "outcome": about.name}
        for name in names:
            found = _estimate(run, data, at | {"policy": name})
            cells.append(Cell(level(found, about.unit), simulation_interval(found, about.unit)))
        for name in (one for one in names if one != reference):
            found = _estimate(run, data, at | {"policy": name}, "difference")
            own = simulation_interval(found, about.unit, signed=True)
            cells.append(Cell(difference(found, about.unit), own))
        rows.append(cells)
    others = [
        f"{run.label(name)} less {run.label(reference)}" for name in names if name != reference
    ]
    unit = "" if about.unit in ("", "proportion") else f", {about.unit}"
    heads = [*keys, *(run.label(name) for name in names), *others]
    table = Table(f"{about.label}{unit}", heads, rows)
    return Section(about.label[0].upper() + about.label[1:], _line(run, data, about), table)


def _line(run: Run, data: xarray.Dataset, about: Described) -> str:
    """Differences over the one key that varies, if it is a number; else no picture."""
    keys, values = _values(run)
    if len(keys) != 1 or len(values) < 2 or data[keys[0]].dtype.kind != "f":
        return ""
    x = data[keys[0]].to_numpy()
    order = np.argsort(x)
    scale = scale_of(about.unit)
    unit = data[keys[0]].attrs.get("units")
    name_of_x = f"{keys[0]}, {unit}" if unit else keys[0]
    figure = value.blank_figure(name_of_x, f"{about.scale_name} more", 360)
    for place, name in enumerate(_policies(run)):
        if name == run.summary["reference"]:
            continue
        at = {"stratum": EVERYBODY, "outcome": about.name, "policy": name}
        one = data.sel(at).isel(point=order)
        low, middle, high = (
            scale * one[n].to_numpy()
            for n in ("difference_lower", "difference", "difference_upper")
        )
        known = np.isfinite(low) & np.isfinite(high)
        figure.add_scatter(
            x=[*x[order][known], *x[order][known][::-1]],
            y=[*low[known], *high[known][::-1]],
            mode="lines",
            fill="toself",
            fillcolor=translucent(policy_colour(place), 0.18),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=x[order].tolist(),
            y=middle.tolist(),
            mode="lines+markers",
            line={"color": policy_colour(place), "dash": policy_dash(place), "width": 2.5},
            name=html.escape(run.label(name)),
        )
    return str(figure.to_json())


# Strata and money ---------------------------------------------------------------------------------


def _strata(run: Run, data: xarray.Dataset) -> list[Table]:
    """Paired differences in each stratum, at each point."""
    if data.sizes["stratum"] < 2:
        return []
    keys, values = _values(run)
    reference = str(run.summary["reference"])
    others = [name for name in _policies(run) if name != reference]
    tables = []
    for about in describe(_IN_STRATA):
        rows: list[Sequence[str | Cell]] = []
        for number, mine in enumerate(values[:_MOST_POINTS], start=1):
            for stratum in data["stratum"].values:
                cells: list[str | Cell] = [str(stratum).replace("_", " "), *mine]
                at = {"point": number, "stratum": stratum, "outcome": about.name}
                for name in others:
                    found = _estimate(run, data, at | {"policy": name}, "difference")
                    cells.append(difference(found, about.unit))
                rows.append(cells)
        heads = ["Patients", *keys, *(run.label(name) for name in others)]
        title = f"Difference from {run.label(reference)}: {about.label}, {about.scale_name}"
        tables.append(Table(title, heads, rows))
    return tables


def _worth(run: Run) -> Table:
    """At each point the policy to choose, how sure that is, and what knowing more is worth."""
    keys, values = _values(run)
    rows: list[list[str | Cell]] = []
    for mine, point in zip(values[:_MOST_POINTS], run.summary["points"], strict=False):
        said = point["economics"]
        row: list[str | Cell] = [*mine, run.label(said["frontier"][0]["policy"])]
        if "thresholds" in said:
            place = at_threshold(said)
            row += [
                run.label(said["chosen"][place]),
                f"{said['chosen_probability'][place]:.0%}",
                f"{said['evpi'][place]:,.0f}",
            ]
        rows.append(row)
    heads = [*keys, "The cheapest"]
    if rows and len(rows[0]) > len(heads):
        heads += ["To be chosen", "Best in so many draws", "EVPI a patient, pounds"]
    at = f"At {run.summary['economics']['threshold']:,.0f} pounds a QALY"
    varying = is_varying(run.summary["points"])
    return Table("At what a QALY may cost at each point" if varying else at, heads, rows)
