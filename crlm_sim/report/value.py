"""Value for money: frontier, plane, acceptability, value of information; pictures with tables."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crlm_sim.report.curves import FONT
from crlm_sim.report.palette import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    SKY,
    VERMILLION,
    policy_colour,
    policy_dash,
    policy_shape,
)
from crlm_sim.report.run_folder import Run
from crlm_sim.report.tables import Cell

if TYPE_CHECKING:
    import plotly.graph_objects as go

_ROWS = 5
"""Rows between the first and the last threshold of a table."""
_SYMBOLS = {"triangle": "triangle-up"}


@dataclass(frozen=True)
class Table:
    """A table: its caption, heads of columns (the first is text, others numbers), rows."""

    caption: str
    heads: list[str]
    rows: Sequence[Sequence[str | Cell]]


@dataclass(frozen=True)
class Picture:
    """A figure as JSON for plotly.js, what it shows in words, and the same as a table."""

    title: str
    words: str
    figure: str
    table: Table


def frontier(run: Run) -> Table | None:
    """The table of incremental cost-effectiveness ratios; None if nothing was compared."""
    found = run.summary.get("economics", {}).get("frontier")
    if not found:
        return None
    rows: list[list[str | Cell]] = [
        [
            run.label(row["policy"]),
            _interval(row["cost"], ",.0f"),
            _interval(row["effect"], ".2f"),
            _interval(row["cost_increment"], "+,.0f"),
            _interval(row["effect_increment"], "+.3f"),
            _icer(run, row),
        ]
        for row in found
    ]
    heads = ["Policy", "Cost, pounds", "QALYs", "More cost", "More QALYs", "Pounds a QALY (ICER)"]
    return Table(
        "From the cheapest on, each against the one before it on the frontier", heads, rows
    )


def _icer(run: Run, row: dict[str, Any]) -> Cell:
    if row["icer"] is not None:
        return _interval(row["icer"], ",.0f")
    if row["status"] == "frontier":
        return Cell("the cheapest")
    return Cell(row["status"], remark=f"by {' and '.join(run.label(name) for name in row['by'])}")


def _interval(entry: dict[str, Any] | None, write: str) -> Cell:
    """A mean, and below it the middle 95 % of the draws; an end may be in words."""
    if entry is None:
        return Cell("")
    ends = entry.get("lower"), entry.get("upper")
    if ends == (None, None):
        return Cell(_text(entry["estimate"], write))
    words = [_text(end, write) if isinstance(end, int | float) else str(end) for end in ends]
    return Cell(_text(entry["estimate"], write), remark=" to ".join(words))


def _text(value: float, write: str) -> str:
    return format(value, write).replace("-", "−")


def pictures(run: Run) -> list[Picture]:
    """Every picture that the run's draws allow."""
    found = run.summary.get("economics", {})
    if "thresholds" not in found:
        return []
    pictures = [_plane(run, found), _acceptability(run, found), _perfect(run, found)]
    pictures += [_tornado(run, name, one) for name, one in found.get("tornado", {}).items()]
    return pictures


# The pictures ------------------------------------------------------------------------------------


def blank_figure(x: str, y: str, height: int = 420) -> go.Figure:
    """A chart with nothing in it but its axes."""
    import plotly.graph_objects as go

    grid = {"gridcolor": PALE, "linecolor": "#555", "ticks": "outside", "zerolinecolor": "#555"}
    layout = {
        "template": {},
        "font": FONT,
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "margin": {"l": 76, "r": 16, "t": 48, "b": 56},
        "height": height,
        "dragmode": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {**grid, "title": {"text": x}},
        "yaxis": {**grid, "title": {"text": y}},
    }
    return go.Figure(layout=layout)


def _plane(run: Run, found: dict[str, Any]) -> Picture:
    figure = blank_figure("more QALYs a patient", "more pounds a patient")
    rows = []
    reach = 0.0
    for name, one in found["plane"].items():
        place = run.names.index(name)
        reach = max(reach, *(abs(q) for q in one["qaly"]))
        shape = policy_shape(place)
        figure.add_scatter(
            x=np.round(one["qaly"], 4).tolist(),
            y=np.round(one["cost"], 0).tolist(),
            mode="markers",
            marker={
                "color": policy_colour(place),
                "symbol": _SYMBOLS.get(shape, shape),
                "opacity": 0.55,
                "size": 7,
            },
            name=html.escape(run.label(name)),
            hovertemplate="%{x:.3f} QALYs, %{y:,.0f} pounds",
        )
        shares = [f"{share:.0%}" for share in one["shares"].values()]
        rows.append([run.label(name), *shares])
    worth = found["threshold"]
    figure.add_scatter(
        x=[-reach, reach],
        y=[-worth * reach, worth * reach],
        mode="lines",
        line={"color": GREY, "dash": "dash"},
        name=f"{worth:,.0f} pounds a QALY",
        hoverinfo="skip",
    )
    reference = run.label(str(run.reference))
    quadrants = next(iter(found["plane"].values()))["shares"]
    return Picture(
        "The plane of cost and effect",
        f"A point is one draw of the parameters: how much more a policy costs and gives than "
        f"{reference}. Below the dashed line it is worth its cost.",
        str(figure.to_json()),
        Table(
            f"Share of draws in which a policy is so, against {reference}",
            ["Policy", *(words.capitalize() for words in quadrants)],
            rows,
        ),
    )


def _places(thresholds: Sequence[float]) -> list[int]:
    step = max(1, (len(thresholds) - 1) // (2 * _ROWS))
    return list(range(0, len(thresholds), step))


def _acceptability(run: Run, found: dict[str, Any]) -> Picture:
    figure = blank_figure("pounds that a QALY may cost", "probability of being the best, %")
    thresholds = found["thresholds"]
    figure.add_scatter(
        x=thresholds,
        y=[100 * share for share in found["chosen_probability"]],
        mode="lines",
        line={"color": PALE, "width": 9},
        name="to be chosen (best on average)",
        hoverinfo="skip",
    )
    for place, name in enumerate(run.names):
        figure.add_scatter(
            x=thresholds,
            y=[round(100 * share, 2) for share in found["acceptability"][name]],
            mode="lines",
            line={"color": policy_colour(place), "width": 2.5, "dash": policy_dash(place)},
            name=html.escape(run.label(name)),
            hovertemplate="%{y:.0f} %",
        )
    figure.update_layout(hovermode="x unified", yaxis={"range": [0, 102]})
    rows = [
        [
            f"{thresholds[n]:,.0f}",
            *(f"{found['acceptability'][name][n]:.0%}" for name in run.names),
            run.label(found["chosen"][n]),
        ]
        for n in _places(thresholds)
    ]
    return Picture(
        "Which policy is best, and how sure that is",
        "The share of draws in which each policy has the highest net benefit. The broad band marks "
        "the policy that is best on average, which is the one to choose.",
        str(figure.to_json()),
        Table(
            "Probability of being the best, by what a QALY may cost",
            ["Pounds a QALY", *(run.label(name) for name in run.names), "To be chosen"],
            rows,
        ),
    )


def _perfect(run: Run, found: dict[str, Any]) -> Picture:
    figure = blank_figure("pounds that a QALY may cost", "pounds a patient", 340)
    thresholds = found["thresholds"]
    figure.add_scatter(
        x=thresholds,
        y=np.round(found["evpi"], 2).tolist(),
        mode="lines",
        line={"color": BLUE, "width": 2.5},
        name="EVPI",
        hovertemplate="%{y:,.1f} pounds",
    )
    for place, name in enumerate(run.names):
        figure.add_scatter(
            x=thresholds,
            y=np.round(found["expected_loss"][name], 2).tolist(),
            mode="lines",
            line={"color": policy_colour(place), "width": 1.5, "dash": policy_dash(place)},
            name=f"loss by {html.escape(run.label(name))}",
            visible="legendonly",
            hovertemplate="%{y:,.1f} pounds",
        )
    figure.update_layout(hovermode="x unified")
    heads = ["Pounds a QALY", "EVPI a patient", "Standard error"]
    whole = "evpi_population" in found
    rows = []
    for n in _places(thresholds):
        row = [
            f"{thresholds[n]:,.0f}",
            f"{found['evpi'][n]:,.1f}",
            f"{found['evpi_standard_error'][n]:,.1f}",
        ]
        rows.append([*row, f"{found['evpi_population'][n]:,.0f}"] if whole else row)
    words = (
        "What it would be worth to know all parameters before choosing (expected value of perfect "
        "information): no study can be worth more. Chance between the simulated patients of a "
        "draw counts as uncertainty here, so that few patients make it too large."
    )
    if whole:
        heads.append("For all who come")
        words += f" The decision is for {found['patients']:,.0f} patients, later ones discounted."
    return Picture(
        "What knowing more would be worth", words, str(figure.to_json()),
        Table("Expected value of perfect information, pounds", heads, rows),
    )  # fmt: skip


def _tornado(run: Run, policy: str, found: dict[str, Any]) -> Picture:
    bars = found["bars"]
    middle = found["expected"]
    names = [bar["parameter"] for bar in bars]
    figure = blank_figure("pounds of net benefit more", "", 80 + 26 * len(bars))
    for key, value, colour, words in (
        ("at_low", "low", SKY, "parameter low"),
        ("at_high", "high", VERMILLION, "parameter high"),
    ):
        figure.add_bar(
            y=names,
            x=[round(bar[key] - middle, 1) for bar in bars],
            base=middle,
            orientation="h",
            marker={"color": colour, "line": {"color": BLACK, "width": 1}},
            name=words,
            customdata=[bar[value] for bar in bars],
            hovertemplate="%{customdata:.4g}",
        )
    figure.update_layout(
        barmode="overlay", yaxis={"autorange": "reversed"}, margin={"l": 270, "r": 16, "t": 48}
    )
    rows = [
        [
            bar["parameter"],
            _text(bar["low"], ".4g"),
            _text(bar["at_low"], "+,.0f"),
            _text(bar["high"], ".4g"),
            _text(bar["at_high"], "+,.0f"),
        ]
        for bar in bars
    ]
    label, reference = run.label(policy), run.label(str(run.reference))
    return Picture(
        f"What matters most: {label}",
        f"Expected net benefit of {label} over {reference} ({_text(middle, '+,.0f')} pounds) if "
        "one parameter is at an end of its middle 95 % and the others vary as they do then. With "
        "few draws the bars of parameters that do not matter are noise.",
        str(figure.to_json()),
        Table(
            f"Net benefit of {label} over {reference}, pounds",
            ["Parameter", "Low", "Then", "High", "Then"],
            rows,
        ),
    )


def worth_knowing(run: Run) -> Table | None:
    """Expected value of perfect information on groups and on single parameters."""
    found = run.summary.get("economics", {})
    if "evppi" not in found:
        return None
    rows = [
        [
            f"{one['name']} ({one['parameters']} parameters)",
            f"{one['evppi']:,.1f}",
            f"{one['standard_error']:,.1f}",
        ]
        for one in found["evppi"]
    ]
    rows += [
        [one["name"], f"{one['evppi']:,.1f}", f"{one['standard_error']:,.1f}"]
        for one in found["evppi_single"]
    ]
    heads = ["What would be known", "Pounds a patient (EVPPI)", "Standard error"]
    return Table(f"At {found['threshold']:,.0f} pounds a QALY", heads, rows)
