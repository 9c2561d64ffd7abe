"""The pictures of a validation as SVG: published against predicted, places, and curves.

A miss differs from a hit in its marker's shape and not in its colour alone.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crlm_sim.report.palette import BLACK, BLUE, GREY, PALE, SKY, VERMILLION, translucent
from crlm_sim.report.shapes import cross, marker, ticks

Floats = NDArray[np.float64]

BINS = 10
_FEWEST_TICKS, _MOST_TICKS = 3, 9
_SIDE = 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 48
_HISTOGRAM = 230
_PANEL_WIDTH, _PANEL_HEIGHT, _PANEL_LEFT, _PANEL_BOTTOM = 320, 220, 36, 42
_KEY = 18
_HALO = ' stroke="#fff" stroke-width="3" paint-order="stroke"'


@dataclass(frozen=True)
class Point:
    """A figure in a picture: its numbers, the row it leads to and what it says of itself."""

    published: float
    predicted: float
    lower: float
    upper: float
    inside: bool
    row: str
    words: str


@dataclass(frozen=True)
class Axis:
    """The same axis across and up: shares from 0 to 1, or others on a logarithmic one."""

    low: float
    high: float
    logarithmic: bool
    name: str

    def share(self, value: float) -> float:
        """How far along a value lies, held between 0 and 1."""
        if self.logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            value = math.log(max(value, self.low))
        else:
            low, high = self.low, self.high
        return min(max((value - low) / (high - low), 0.0), 1.0)

    @property
    def ticks(self) -> list[float]:
        """Round values to mark."""
        if not self.logarithmic:
            return ticks(self.low, self.high, 5)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = [k * 10.0**power for power in powers for k in digits]
            found = [tick for tick in found if self.low <= tick <= self.high]
            if len(found) <= _MOST_TICKS:
                break
        return found if len(found) >= _FEWEST_TICKS else ticks(self.low, self.high, 8)

    def write(self, tick: float) -> str:
        """A tick's label."""
        return f"{tick:g}" if self.logarithmic else f"{100 * tick:.0f}"


SHARES = Axis(0.0, 1.0, False, "%")


def log_axis(points: Sequence[Point], name: str) -> Axis:
    """A logarithmic axis that holds every value; a wide interval may leave it."""
    values = [v for p in points for v in (p.published, p.predicted) if v > 0.0]
    return Axis(min(values, default=1.0) / 1.3, max(values, default=1.0) * 1.3, True, name)


def _text(
    x: float, y: float, words: str, size: int = 13, anchor: str = "middle", more: str = ""
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{BLACK}"{more}>{html.escape(words)}</text>'
    )


def _rising(x: float, y: float, words: str) -> str:
    return (
        f'<text font-size="13" text-anchor="middle" fill="{BLACK}" '
        f'transform="translate({x:.1f} {y:.1f}) rotate(-90)">{html.escape(words)}</text>'
    )


# Published against predicted ---------------------------------------------------------------------


def _across(axis: Axis, value: float) -> float:
    return _LEFT + axis.share(value) * (_SIDE - _LEFT - _RIGHT)


def _up(axis: Axis, value: float) -> float:
    return _SIDE - _BOTTOM - axis.share(value) * (_SIDE - _BOTTOM - _TOP)


def _frame(axis: Axis) -> str:
    left, right, top, foot = _LEFT, _SIDE - _RIGHT, _TOP, _SIDE - _BOTTOM
    parts = []
    for tick in axis.ticks:
        x, y = _across(axis, tick), _up(axis, tick)
        parts.append(f'<path d="M{x:.1f} {top}V{foot}M{left} {y:.1f}H{right}" stroke="{PALE}"/>')
        parts.append(_text(x, foot + 18, axis.write(tick)))
        parts.append(_text(left - 7, y + 4.5, axis.write(tick), anchor="end"))
    unit = f", {axis.name}" if axis.name else ""
    parts += [
        f'<path d="M{left} {foot}L{right} {top}" stroke="{BLACK}" stroke-dasharray="5 4"/>',
        f'<path d="M{left} {top}V{foot}H{right}" stroke="{GREY}" fill="none"/>',
        _text((left + right) / 2, _SIDE - 8, f"published{unit}"),
        _rising(15, (top + foot) / 2, f"predicted{unit}"),
    ]
    return "".join(parts)


def _bar(axis: Axis, point: Point) -> str:
    colour, opacity = (BLUE, 0.35) if point.inside else (VERMILLION, 0.6)
    x, low, high = (
        _across(axis, point.published),
        _up(axis, point.lower),
        _up(axis, point.upper),
    )
    return f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{translucent(colour, opacity)}"/>'


def hit_or_miss(inside: bool, x: float, y: float) -> str:
    """The marker of a figure inside its interval, or outside."""
    return marker("circle", x, y, 4.2, BLUE) if inside else cross(x, y, 4.8, VERMILLION)


def _mark(axis: Axis, point: Point) -> str:
    x, y = _across(axis, point.published), _up(axis, point.predicted)
    return (
        f'<a href="#{point.row}" tabindex="-1"><title>{html.escape(point.words)}</title>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="transparent"/>'
        f"{hit_or_miss(point.inside, x, y)}</a>"
    )


def scatter(points: Sequence[Point], axis: Axis) -> str:
    """Published across, predicted up, with predictive intervals; misses lie on top.

    Hidden from screen readers: the tables hold the same numbers.
    """
    ordered = sorted(points, key=lambda p: not p.inside)
    drawn = [_bar(axis, p) for p in ordered] + [_mark(axis, p) for p in ordered]
    return (
        f'<svg width="{_SIDE}" height="{_SIDE}" viewBox="0 0 {_SIDE} {_SIDE}" aria-hidden="true">'
        f"{_frame(axis)}{''.join(drawn)}</svg>"
    )


def key(inside: bool) -> str:
    """A marker, for the key and the tables."""
    middle = _KEY / 2
    return (
        f'<svg width="{_KEY}" height="{_KEY}" viewBox="0 0 {_KEY} {_KEY}" aria-hidden="true">'
        f"{hit_or_miss(inside, middle, middle)}</svg>"
    )


# Where figures lie -------------------------------------------------------------------------------


def chance_range(number: int, share: float, level: float = 0.95) -> tuple[int, int]:
    """The quantiles of how many of `number` fall in a class of this share by chance alone."""
    tail = (1.0 - level) / 2.0
    below, lower = 0.0, -1
    for k in range(number + 1):
        ways = math.lgamma(number + 1) - math.lgamma(k + 1) - math.lgamma(number - k + 1)
        below += math.exp(ways + k * math.log(share) + (number - k) * math.log1p(-share))
        if lower < 0 and below >= tail:
            lower = k
        if below >= 1.0 - tail:
            return lower, k
    return max(lower, 0), number


def histogram(places: Sequence[float], label: str) -> str:
    """How many figures lie in each tenth of their predictive distribution."""
    counts = np.histogram(places, bins=BINS, range=(0.0, 1.0))[0].tolist()
    few, many = chance_range(len(places), 1.0 / BINS)
    left, right, top, foot = 16, _SIDE - 16, 22, _HISTOGRAM - 44
    step, tall = (right - left) / BINS, (foot - top) / max(*counts, many, 1)
    said = f"{label}, number in each tenth from 0 to 1: {', '.join(map(str, counts))}"
    parts = [
        f'<svg width="{_SIDE}" height="{_HISTOGRAM}" viewBox="0 0 {_SIDE} {_HISTOGRAM}" '
        f'role="img" aria-label="{html.escape(said)}">'
        f'<rect x="{left}" y="{foot - many * tall:.1f}" width="{right - left}" '
        f'height="{(many - few) * tall:.1f}" fill="{PALE}"/>'
    ]
    for place, number in enumerate(counts):
        x, y = left + place * step, foot - number * tall
        parts.append(
            f'<rect x="{x + 3:.1f}" y="{y:.1f}" width="{step - 6:.1f}" '
            f'height="{number * tall:.1f}" fill="{BLUE}"/>'
        )
    even = foot - len(places) / BINS * tall
    parts.append(f'<path d="M{left} {even:.1f}H{right}" stroke="{BLACK}" stroke-dasharray="5 4"/>')
    for place, number in enumerate(counts):
        x, y = left + (place + 0.5) * step, foot - number * tall - 5
        parts.append(_text(x, y, str(number), more=_HALO))
    parts.append(f'<path d="M{left} {foot}H{right}" stroke="{GREY}"/>')
    for place in range(0, BINS + 1, 2):
        parts.append(_text(left + place * step, foot + 17, f"{place / BINS:g}"))
    words = "place of the published figure among predictions"
    return "".join([*parts, _text((left + right) / 2, _HISTOGRAM - 6, words), "</svg>"])


# Curves ------------------------------------------------------------------------------------------


def _panel_path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def curve(
    months: Floats,
    band: tuple[Floats, Floats, Floats],
    published: Sequence[tuple[float, float]],
    label: str,
    across: str,
) -> str:
    """Published points over the simulated median and its band; `band` is (low, median, high)."""
    last = max([float(months[-1]), *(month for month, _ in published)]) or 1.0
    right, top, foot = _PANEL_WIDTH - 12, 10, _PANEL_HEIGHT - _PANEL_BOTTOM

    def at(month: float, survival: float) -> tuple[float, float]:
        x = _PANEL_LEFT + (right - _PANEL_LEFT) * month / last
        return x, foot - (foot - top) * survival

    parts = [
        f'<svg width="{_PANEL_WIDTH}" height="{_PANEL_HEIGHT}" '
        f'viewBox="0 0 {_PANEL_WIDTH} {_PANEL_HEIGHT}" role="img" '
        f'aria-label="{html.escape(label)}">'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = at(0.0, share)[1]
        parts.append(f'<path d="M{_PANEL_LEFT} {y:.1f}H{right}" stroke="{PALE}"/>')
        parts.append(_text(_PANEL_LEFT - 5, y + 4, f"{100 * share:.0f}", 11, "end"))
    for tick in month_ticks(last):
        parts.append(_text(at(tick, 0.0)[0], foot + 15, f"{tick:g}", 11))
    low, middle, high = (
        [at(float(m), float(s)) for m, s in zip(months, one, strict=True) if np.isfinite(s)]
        for one in band
    )
    if middle:
        parts.append(f'<path d="{_panel_path(high + low[::-1])}Z" fill="{translucent(SKY, 0.4)}"/>')
        parts.append(
            f'<path d="{_panel_path(middle)}" stroke="{BLUE}" stroke-width="2" fill="none"/>'
        )
    for month, survival in published:
        x, y = at(month, survival)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{BLACK}"/>')
    return "".join(
        [*parts, _text((_PANEL_LEFT + right) / 2, _PANEL_HEIGHT - 8, across, 12), "</svg>"]
    )


def month_ticks(last: float) -> list[float]:
    """Months to mark: whole years, or parts of one where the curve is short."""
    step = next((s for s in (1, 2, 3, 6, 12, 24, 36, 60, 120) if last / s <= 6.5), 240)
    return [float(step * k) for k in range(int(last // step) + 1)]


def curve_key() -> list[tuple[str, str]]:
    """(drawing, meaning) of what a curve's picture is made of."""
    opened = f'<svg width="30" height="{_KEY}" viewBox="0 0 30 {_KEY}" aria-hidden="true">'
    dots = "".join(f'<circle cx="{x}" cy="9" r="2.6" fill="{BLACK}"/>' for x in (5, 15, 25))
    line = f'<path d="M0 9H30" stroke="{BLUE}" stroke-width="2"/>'
    area = f'<rect y="3" width="30" height="12" fill="{translucent(SKY, 0.4)}"/>'
    return [
        (f"{opened}{dots}</svg>", "published"),
        (f"{opened}{line}</svg>", "simulated, median of the draws"),
        (f"{opened}{area}</svg>", "95 % band of the draws (parameters alone)"),
    ]
