"""The pictures of a planner's page as SVG: waits by week, queues over time, load of stations."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crlm_sim.report.palette import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    STEPS,
    VERMILLION,
    policy_colour,
    policy_dash,
    translucent,
)
from crlm_sim.report.shapes import ticks

Floats = NDArray[np.float64]

EDGES = (1, 3, 7, 14, 31, 62, 124)
"""Days between the colours of the heat map."""
_WIDTH, _LEFT, _RIGHT = 1080, 170, 16
_ROW, _TOP, _FOOT = 26, 22, 30
_PANEL_WIDTH, _PANEL_HEIGHT, _PANEL_LEFT = 520, 210, 40
_MOST_POINTS = 190
_HEAD_ROOM = 1.3
"""Where weeks are marked, so much more height, for their words."""
_DASHES = {
    "solid": "",
    "dash": "8 4",
    "dot": "2 3",
    "dashdot": "8 3 2 3",
    "longdash": "13 4",
    "longdashdot": "13 3 2 3",
}


@dataclass(frozen=True)
class Span:
    """The days of a run: its first day, how many weeks, and the days that count."""

    first_day: date
    weeks: int
    window: tuple[float, float]

    def ticks(self) -> list[tuple[float, str]]:
        """(week, label) of the first days of years, or of quarters in a short run."""
        last = self.first_day + timedelta(weeks=self.weeks)
        months = (1,) if self.weeks > 120 else (1, 4, 7, 10)
        days = [
            date(year, month, 1)
            for year in range(self.first_day.year, last.year + 1)
            for month in months
        ]
        short = len(months) == 1
        return [
            ((day - self.first_day).days / 7, f"{day.year}" if short else f"{day:%b %Y}")
            for day in days
            if self.first_day <= day < last
        ]


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        f'role="img" aria-label="{html.escape(label)}">'
    )


def _text(x: float, y: float, words: str, size: int = 13, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{BLACK}">{html.escape(words)}</text>'
    )


# Waits by week ------------------------------------------------------------------------------------


def colour_step(days: float) -> int:
    """Which of the colours a wait has."""
    return sum(days >= edge for edge in EDGES)


def heat_map(rows: Sequence[tuple[str, Floats]], span: Span, label: str) -> str:
    """A row a service and a column a week; a thin line where nobody was ready."""
    height = _TOP + _ROW * len(rows) + _FOOT
    step = (_WIDTH - _LEFT - _RIGHT) / max(span.weeks, 1)
    start, end = (_LEFT + step * day / 7 for day in span.window)
    right, foot = _WIDTH - _RIGHT, _TOP + _ROW * len(rows)
    parts = [_open(_WIDTH, height, label)]
    parts.append(
        f'<rect x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{foot - _TOP}" '
        f'fill="#fff" stroke="{GREY}"/>'
    )
    for number, (name, waits) in enumerate(rows):
        y = _TOP + _ROW * number
        parts.append(_text(_LEFT - 8, y + _ROW / 2 + 4.5, name, anchor="end"))
        parts.append(f'<path d="M{_LEFT} {y + _ROW / 2:.0f}H{right}" stroke="{GREY}"/>')
        parts += _cells(waits, y + 1, step)
    parts += _edges(start, end, right, foot)
    for week, words in span.ticks():
        x = _LEFT + step * week
        parts.append(f'<path d="M{x:.1f} {foot}v5" stroke="{BLACK}"/>')
        parts.append(_text(x, foot + 20, words))
    return "".join([*parts, "</svg>"])


def _cells(waits: Floats, y: float, step: float) -> list[str]:
    """One path a colour; weeks of the same colour that follow one another are one box."""
    steps = [colour_step(w) if math.isfinite(w) else -1 for w in waits.tolist()]
    boxes: dict[int, list[str]] = {}
    week = 0
    while week < len(steps):
        last = week
        while last < len(steps) and steps[last] == steps[week]:
            last += 1
        width = step * (last - week)
        box = f"M{_LEFT + step * week:.1f} {y:.0f}h{width:.1f}v{_ROW - 2}h-{width:.1f}z"
        boxes.setdefault(steps[week], []).append(box)
        week = last
    return [
        f'<path d="{"".join(found)}" fill="{STEPS[colour]}"/>'
        for colour, found in sorted(boxes.items())
        if colour >= 0
    ]


def _edges(start: float, end: float, right: float, foot: float) -> list[str]:
    """Lines where what counts begins and ends, with their names over them."""
    parts = []
    for x, y in ((start, _LEFT), (end, right)):
        if abs(x - y) > 1:
            parts.append(
                f'<path d="M{x:.1f} {_TOP - 4}V{foot}" stroke="{VERMILLION}" stroke-width="2" '
                'stroke-dasharray="6 3"/>'
            )
    for low, high, words in (
        (_LEFT, start, "warm-up"),
        (start, end, "counts"),
        (end, right, "follow-up"),
    ):
        if high - low > 8 * len(words):
            parts.append(_text((low + high) / 2, _TOP - 7, words, 12))
    return parts


def heat_key() -> list[tuple[str, str]]:
    """(drawing, meaning) of each colour."""
    ends = [f"under {EDGES[0]} day"]
    ends += [f"{low} to {high}" for low, high in pairwise(EDGES)]
    ends += [f"{EDGES[-1]} days or more"]
    drawn = [(_box(colour), words) for colour, words in zip(STEPS, ends, strict=True)]
    return [*drawn, (_box("#fff", f'<path d="M1 8H21" stroke="{GREY}"/>'), "nobody ready")]


def _box(colour: str, more: str = "") -> str:
    return (
        '<svg width="22" height="16" viewBox="0 0 22 16" aria-hidden="true">'
        f'<rect x="1" y="1" width="20" height="14" fill="{colour}" stroke="{GREY}"/>{more}</svg>'
    )


# Queues over time ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One arm's queue by week: middle and band over replications, and its place in the list."""

    place: int
    low: Floats
    middle: Floats
    high: Floats


def blocks_of(weeks: int) -> int:
    """How many weeks are one point, so that a line has not more points than can be seen."""
    return max(1, math.ceil(weeks / _MOST_POINTS))


Mark = tuple[float, str, str]
"""Week, dashes and words of a line across a picture."""


def queues(lines: Sequence[Line], span: Span, label: str, marks: Sequence[Mark] = ()) -> str:
    """The queue of one service under each arm, with the warm-up shaded and weeks marked."""
    top, foot = 10, _PANEL_HEIGHT - 28
    right = _PANEL_WIDTH - 22
    most = max([float(np.nanmax(line.high, initial=0.0)) for line in lines], default=0.0) or 1.0
    most *= _HEAD_ROOM if marks else 1.0
    step = (right - _PANEL_LEFT) / max(span.weeks, 1)

    def at(week: float, value: float) -> tuple[float, float]:
        return _PANEL_LEFT + step * week, foot - (foot - top) * value / most

    parts = [_open(_PANEL_WIDTH, _PANEL_HEIGHT, label)]
    for low, high in ((0.0, span.window[0] / 7), (span.window[1] / 7, float(span.weeks))):
        if high > low:
            x, width = at(low, 0)[0], step * (high - low)
            parts.append(
                f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{foot - top}" '
                'fill="#f3f5f7"/>'
            )
    for tick in ticks(0.0, most, 4):
        y = at(0, tick)[1]
        parts.append(f'<path d="M{_PANEL_LEFT} {y:.1f}H{right}" stroke="{PALE}"/>')
        parts.append(_text(_PANEL_LEFT - 6, y + 4, f"{tick:g}", 12, "end"))
    for week, words in span.ticks():
        parts.append(f'<path d="M{at(week, 0)[0]:.1f} {foot}v4" stroke="{BLACK}"/>')
        parts.append(_text(at(week, 0)[0], foot + 18, words, 12))
    size = blocks_of(span.weeks)
    for line in lines:
        weeks = (np.arange(len(line.middle)) + 0.5) * size
        upper = [at(w, v) for w, v in zip(weeks, line.high, strict=True)]
        lower = [at(w, v) for w, v in zip(weeks, line.low, strict=True)]
        colour = policy_colour(line.place)
        parts.append(f'<path d="{_path(upper + lower[::-1])}z" fill="{translucent(colour, 0.2)}"/>')
    for line in lines:
        weeks = (np.arange(len(line.middle)) + 0.5) * size
        points = [at(w, v) for w, v in zip(weeks, line.middle, strict=True)]
        parts.append(
            f'<path d="{_path(points)}" stroke="{policy_colour(line.place)}" stroke-width="2" '
            f'fill="none"{_dashed(line.place)}/>'
        )
    for week, dashes, _ in marks:
        parts.append(
            f'<path d="M{at(week, 0)[0]:.1f} {top}V{foot}" stroke="{BLACK}" stroke-width="1.5" '
            f'stroke-dasharray="{dashes}"/>'
        )
    for number, (week, _, words) in enumerate(marks):
        text = _text(at(week, 0)[0] + 4, top + 11 + 15 * number, words, 12, "start")
        parts.append(f'<g paint-order="stroke" stroke="#fff" stroke-width="4">{text}</g>')
    parts.append(f'<path d="M{_PANEL_LEFT} {foot}H{right}" stroke="{GREY}"/>')
    return "".join([*parts, "</svg>"])


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.0f} {y:.1f}" for x, y in points)


def _dashed(place: int) -> str:
    dashes = _DASHES[policy_dash(place)]
    return f' stroke-dasharray="{dashes}"' if dashes else ""


STATED, SUGGESTED = "6 3", "2 3"
"""Dashes of the warm-up that a scenario states, and of the one that a queue suggests."""


def mark_key(dashes: str) -> str:
    """The line of a marked week, for the key."""
    return (
        '<svg width="14" height="16" viewBox="0 0 14 16" aria-hidden="true">'
        f'<path d="M7 0V16" stroke="{BLACK}" stroke-width="1.5" stroke-dasharray="{dashes}"/></svg>'
    )


def line_key(place: int) -> str:
    """An arm's line, for the key."""
    return (
        '<svg width="40" height="14" viewBox="0 0 40 14" aria-hidden="true">'
        f'<path d="M0 7H40" stroke="{policy_colour(place)}" stroke-width="2.5"'
        f"{_dashed(place)}/></svg>"
    )


# Load ---------------------------------------------------------------------------------------------


def load_bar(share: float | None, most: float) -> str:
    """A bar of what is asked for, with a line at 100 %; the number stands beside it."""
    width, height, margin = 170, 18, 2
    scale = (width - 2 * margin) / most
    full = margin + scale
    parts = [
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-hidden="true">'
    ]
    if share is not None:
        colour = VERMILLION if share >= 1.0 else BLUE
        parts.append(
            f'<rect x="{margin}" y="4" width="{scale * min(share, most):.1f}" height="10" '
            f'fill="{colour}"/>'
        )
    parts.append(f'<path d="M{full:.1f} 0V{height}" stroke="{BLACK}" stroke-width="1.5"/></svg>')
    return "".join(parts)
