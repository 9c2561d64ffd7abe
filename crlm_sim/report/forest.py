"""The forest picture: one small drawing of an interval per row of the table of differences.

The numbers stand beside each drawing, so the drawings are hidden from screen readers.
"""

from __future__ import annotations

from crlm_sim.report.numbers import Estimate, plain
from crlm_sim.report.palette import policy_colour, policy_shape
from crlm_sim.report.shapes import marker, ticks

_WIDTH, _HEIGHT, _MARGIN = 240, 28, 16
_OPEN = f'<svg width="{_WIDTH}" height="{{}}" viewBox="0 0 {_WIDTH} {{}}" aria-hidden="true">'


def _place(value: float, low: float, high: float) -> float:
    span = (high - low) or 1.0
    return _MARGIN + (_WIDTH - 2 * _MARGIN) * (value - low) / span


def row(estimate: Estimate | None, scale: float, low: float, high: float, place: int) -> str:
    """One policy's interval as SVG, on an axis from `low` to `high`."""
    zero = _place(0.0, low, high)
    middle = _HEIGHT / 2
    parts = [
        _OPEN.format(_HEIGHT, _HEIGHT),
        f'<path d="M{zero:.1f} 0V{_HEIGHT}" stroke="#777" stroke-dasharray="3 2"/>',
    ]
    if estimate is not None:
        colour = policy_colour(place)
        if estimate.lower is not None and estimate.upper is not None:
            left, right = (
                _place(scale * end, low, high) for end in (estimate.lower, estimate.upper)
            )
            parts.append(
                f'<path d="M{left:.1f} {middle}H{right:.1f}M{left:.1f} {middle - 4}v8'
                f'M{right:.1f} {middle - 4}v8" stroke="{colour}" stroke-width="2" fill="none"/>'
            )
        x = _place(scale * estimate.value, low, high)
        parts.append(marker(policy_shape(place), x, middle, 4.5, colour))
    return "".join(parts) + "</svg>"


def axis(low: float, high: float) -> str:
    """The axis of a group of rows as SVG."""
    parts = [_OPEN.format(_HEIGHT, _HEIGHT)]
    left, right = _place(low, low, high), _place(high, low, high)
    parts.append(f'<path d="M{left:.1f} 23H{right:.1f}" stroke="#333"/>')
    for tick in ticks(low, high, 7):
        x = _place(tick, low, high)
        parts.append(
            f'<path d="M{x:.1f} 19v9" stroke="#333"/><text x="{x:.1f}" y="14" font-size="11" '
            f'text-anchor="middle" fill="#1a1a1a">{plain(round(tick, 10))}</text>'
        )
    return "".join(parts) + "</svg>"


def swatch(place: int) -> str:
    """A policy's marker, for the key."""
    shape = marker(policy_shape(place), 8, 8, 5, policy_colour(place))
    return f'<svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">{shape}</svg>'
