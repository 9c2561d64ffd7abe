"""Small pieces of SVG that several pictures share."""

from __future__ import annotations

import math


def marker(shape: str, x: float, y: float, size: float, colour: str) -> str:
    """A filled marker of about `size` either side of its middle."""
    paint = f'fill="{colour}" stroke="#fff" stroke-width="0.8"'
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" {paint}/>'
    if shape == "square":
        corner = f'x="{x - size:.1f}" y="{y - size:.1f}"'
        return f'<rect {corner} width="{2 * size:.1f}" height="{2 * size:.1f}" {paint}/>'
    reach = 1.25 * size
    if shape == "triangle":
        points = [(x, y - reach), (x + reach, y + reach), (x - reach, y + reach)]
    else:
        points = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    return f'<polygon points="{path}" {paint}/>'


def cross(x: float, y: float, size: float, colour: str) -> str:
    """Two crossed strokes."""
    strokes = "".join(
        f"M{x - size:.1f} {y + side * size:.1f}L{x + size:.1f} {y - side * size:.1f}"
        for side in (-1, 1)
    )
    return f'<path d="{strokes}" stroke="{colour}" stroke-width="2" fill="none"/>'


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1.0, 2.0, 5.0, 10.0) if s * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]
