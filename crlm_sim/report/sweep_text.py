"""What `crlm sweep` prints: one outcome at every point, and in every stratum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crlm_sim.outcomes import OUTCOMES, Outcome
from crlm_sim.report.money import is_varying, placeholders_sentence
from crlm_sim.report.terminal import label, render, table, unit_of, with_interval
from crlm_sim.report.topics import is_priced

if TYPE_CHECKING:
    import xarray

_MOST_ROWS = 60


def sweep_text(folder: Path, summary: dict[str, Any], outcome: str) -> str:
    """Levels and paired differences of an outcome by point and stratum, from a sweep's dataset."""
    import xarray

    about = next(one for one in OUTCOMES if one.name == outcome)
    with xarray.open_zarr(folder / "results.zarr", consolidated=False, chunks=None) as opened:
        data = opened.sel(outcome=outcome).load()
    values = [[f"{v}" for v in point["values"].values()] for point in summary["points"]]
    keys = list(summary["points"][0]["values"])
    labels, reference = summary["labels"], summary["reference"]
    others = [name for name in labels if name != reference]
    everybody = data.isel(stratum=0)
    rows = [
        [*values[p], *(_cell(everybody, p, name, about) for name in labels)]
        for p in range(len(values))
    ]
    parts: list[Any] = _shown(
        f"{summary['title']}: {label(about)}", [*keys, *labels.values()], rows
    )
    if others:
        rows = [
            [
                *values[p],
                str(stratum),
                *(_cell(data.isel(stratum=s), p, n, about, True) for n in others),
            ]
            for p in range(len(values))
            for s, stratum in enumerate(data["stratum"].values)
        ]
        title = f"Paired difference from {labels[reference]}: {label(about, difference=True)}"
        parts += ["", *_shown(title, [*keys, "patients", *(labels[n] for n in others)], rows)]
    parts += ["", *_how_uncertain(summary)]
    if is_priced(about.unit):
        parts.append(placeholders_sentence(summary["economics"], is_varying(summary["points"])))
    return render([*parts, f"dataset: {folder / 'results.zarr'}"])


def _shown(title: str, columns: list[str], rows: list[list[str]]) -> list[Any]:
    more = len(rows) - _MOST_ROWS
    shown = table(title, columns, rows[:_MOST_ROWS])
    return [shown, f"and {more} more in the dataset"] if more > 0 else [shown]


def _cell(
    data: xarray.Dataset, point: int, policy: str, about: Outcome, difference: bool = False
) -> str:
    one = data.isel(point=point).sel(policy=policy)
    names = ("difference", "difference_lower", "difference_upper")
    found = [float(one[n]) for n in (names if difference else ("estimate", "lower", "upper"))]
    plain = [None if np.isnan(value) else value for value in found]
    entry = dict(zip(("estimate", "lower", "upper"), plain, strict=True))
    return with_interval(entry, unit_of(about), signed=difference)


def _how_uncertain(summary: dict[str, Any]) -> list[str]:
    if summary["interval"] == "simulation":
        return ["In brackets: 95 % interval of simulation error alone, under the best estimates."]
    return [
        f"In brackets: central 95 % of {summary['draws']} draws of the parameters, without the",
        "simulation error, which the dataset has apart (simulation_lower, simulation_upper);",
        "none where the draws differ by no more than chance.",
    ]


def outlook_text(found: dict[str, Any]) -> str:
    """What `crlm sweep --dry-run` prints."""
    minutes = found["seconds"] / 60.0
    time = f"{minutes:.0f} minutes" if minutes >= 2 else f"{found['seconds']:.0f} seconds"
    return "\n".join(
        [
            f"{found['points']} points, {found['draws']} draws, {len(found['policies'])} policies: "
            f"{found['patients']:,} patients in {found['tasks']} tasks, {found['done']} done",
            f"about {time} on {found['workers']} workers, from a sample measured here",
            f"about {found['bytes'] / 1e6:.1f} MB at the end, {found['run']}",
        ]
    )


def rerun_text(found: dict[str, Any]) -> str:
    """What `crlm rerun` prints."""
    if found["same"]:
        return f"{found['run']}: made again, every result is the same"
    lines = [f"{found['run']}: made again, {len(found['differing'])} results differ:"]
    lines += [f"  {name}" for name in found["differing"][:_MOST_ROWS]]
    if found["program"] != found["program_now"]:
        lines.append(f"It was made by {found['program']}; this is {found['program_now']}.")
    return "\n".join(lines)
