"""Survival curves with their bands (plotly), and the table of numbers at risk under each."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crlm_sim.report.palette import PALE, policy_colour, policy_dash, translucent
from crlm_sim.report.run_folder import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray

_TITLES = {
    "os": "Overall survival (OS)",
    "pfs": "Progression-free survival (PFS)",
    "dfs": "Disease-free survival (DFS) after clearance",
}
_STARTS = {"dfs": "months from having no visible tumour left"}
_AXES = {
    "os": "alive",
    "pfs": "alive without progression",
    "dfs": "alive without recurrence",
}
_MOST_COLUMNS = 11
FONT = {"family": "system-ui, sans-serif", "size": 14, "color": "#1a1a1a"}


@dataclass(frozen=True)
class AtRisk:
    """One policy's row: patients at risk and share without the event at each time."""

    label: str
    numbers: list[str]
    shares: list[str]


@dataclass(frozen=True)
class Curve:
    """One endpoint: its figure as JSON for plotly.js, and its table."""

    name: str
    title: str
    state: str
    figure: str
    description: str
    months: list[int]
    rows: list[AtRisk]


def _steps(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of a step function that holds each value until the next time."""
    return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]


def _band(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps, above = _steps(x, high)
    _, below = _steps(x, low)
    return np.concatenate([steps, steps[::-1]]), np.concatenate([above, below[::-1]])


def _traces(label: str, place: int, part: xarray.Dataset) -> list[go.Scatter]:
    import plotly.graph_objects as go

    # plotly.js reads tags in names; escaped, they stay text.
    safe = html.escape(label)
    colour = policy_colour(place)
    months = part["time_months"].to_numpy().astype(float)
    values = part["survival"].to_numpy().astype(float)
    known = np.isfinite(values)
    traces = []
    if "survival_lower" in part and "survival_upper" in part:
        low = part["survival_lower"].to_numpy().astype(float)
        high = part["survival_upper"].to_numpy().astype(float)
        both = known & np.isfinite(low) & np.isfinite(high)
        x, y = _band(months[both], low[both], high[both])
        traces.append(
            go.Scatter(
                x=x.round(2).tolist(),
                y=(100 * y).round(2).tolist(),
                fill="toself",
                fillcolor=translucent(colour, 0.18),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=safe,
                name=safe,
            )
        )
    # A curve starts at 100 %, also where some have the event on the first day.
    traces.append(
        go.Scatter(
            x=[0.0, *months[known].round(2).tolist()],
            y=[100.0, *(100 * values[known]).round(2).tolist()],
            mode="lines",
            line={"shape": "hv", "color": colour, "width": 2.5, "dash": policy_dash(place)},
            name=safe,
            legendgroup=safe,
            hovertemplate="%{y:.1f} %",
        )
    )
    return traces


def _layout(endpoint: str, last_month: float) -> dict:
    grid = {"gridcolor": PALE, "linecolor": "#555", "ticks": "outside", "zeroline": False}
    return {
        "template": {},
        "font": FONT,
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "margin": {"l": 60, "r": 16, "t": 48, "b": 56},
        "height": 420,
        "hovermode": "x unified",
        "dragmode": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            **grid,
            "title": {"text": _STARTS.get(endpoint, "months from diagnosis")},
            "range": [0, last_month],
            "dtick": 12 if last_month <= 132 else 24,
            "hoverformat": ".1f",
        },
        "yaxis": {
            **grid,
            "title": {"text": f"{_AXES[endpoint]}, %"},
            "range": [0, 102],
        },
    }


def _figure(run: Run, endpoint: str, part: xarray.Dataset) -> str:
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, policy in enumerate(run.names):
        if policy in part["policy"].values:
            for trace in _traces(run.label(policy), place, part.sel(policy=policy)):
                figure.add_trace(trace)
    figure.update_layout(_layout(endpoint, float(part["time_months"].max())))
    return str(figure.to_json())


def _months_shown(months: np.ndarray) -> list[int]:
    """Places of about ten times, a whole number of years apart where there are years."""
    last = float(months.max())
    step = 12.0 * max(1, int(np.ceil(last / 12.0 / (_MOST_COLUMNS - 1)))) if last > 24 else 3.0
    wanted = np.arange(0.0, last + 1e-9, step)
    return sorted({int(np.abs(months - month).argmin()) for month in wanted})


def _at_risk(run: Run, part: xarray.Dataset, places: list[int]) -> list[AtRisk]:
    rows = []
    for policy in run.names:
        if policy not in part["policy"].values:
            continue
        one = part.sel(policy=policy)
        numbers = one["at_risk"].to_numpy()[places] if "at_risk" in one else [np.nan] * len(places)
        shares = one["survival"].to_numpy()[places]
        rows.append(
            AtRisk(
                label=run.label(policy),
                numbers=[f"{n:,.0f}" if np.isfinite(n) else "–" for n in numbers],
                shares=[f"{100 * s:.0f}" if np.isfinite(s) else "–" for s in shares],
            )
        )
    return rows


def curves(run: Run) -> list[Curve]:
    """A figure and a table for every endpoint of the run."""
    data = run.curves
    if data is None or "survival" not in data:
        return []
    found = []
    for endpoint in (name for name in _TITLES if name in data["endpoint"].values):
        part = data.sel(endpoint=endpoint)
        if not bool(np.isfinite(part["survival"].to_numpy().astype(float)).any()):
            continue
        months = part["time_months"].to_numpy()
        places = _months_shown(months)
        labels = ", ".join(run.label(policy) for policy in run.names)
        found.append(
            Curve(
                name=endpoint,
                title=_TITLES[endpoint],
                state=_AXES[endpoint],
                figure=_figure(run, endpoint, part),
                description=f"{_TITLES[endpoint]} over time under {labels}, with 95 % bands. "
                "The table below gives the same curves in numbers.",
                months=[round(float(months[place])) for place in places],
                rows=_at_risk(run, part, places),
            )
        )
    return found
