"""The page of `crlm validate`: published figures against predicted ones, for people."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.calibration import scales
from crlm_sim.outcomes.survival import wilson
from crlm_sim.report.page import environment, need
from crlm_sim.report.palette import BLACK, BLUE, PALE, VERMILLION, translucent
from crlm_sim.report.shapes import cross, marker, ticks

if TYPE_CHECKING:
    from crlm_sim.calibration.validate import Drawn, Judged, Validation

_SIZE, _MARGIN = 560, 56
_PANEL, _PANEL_MARGIN = (300, 210), 34
_BINS = 10
_USES = {"fit": "fitted", "check": "never fitted"}
_DECADE = 10.0


def write_validation(path: Path, done: Validation, found: dict[str, Any]) -> Path:
    """Write the page of a validation; `found` is its `result`. Returns the path.

    Raises ImportError if Jinja2 is missing.
    """
    need("jinja2")
    text = environment().get_template("validation.html.j2").render(_context(done, found))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _context(done: Validation, found: dict[str, Any]) -> dict[str, Any]:
    told = [one for one in done.figures if math.isfinite(one.simulated)]
    shares = [one for one in told if one.target.figure.scale == scales.LOGIT]
    ratios = [one for one in told if one.target.figure.scale == scales.LOG]
    return {
        "folder": Path(found["studies_folder"]).name,
        "summary": _summary(done, found),
        "levels": _scatter(shares, logarithmic=False),
        "times": _scatter(ratios, logarithmic=True),
        "places": _histogram([one.place for one in told]),
        "curves": [{"svg": _curve(one), "title": _curve_title(one)} for one in done.curves],
        "studies": _studies(done.figures, found["studies_missed_one_way"]),
        "draws": done.draws,
        "version": __version__,
    }


def _summary(done: Validation, found: dict[str, Any]) -> list[str]:
    lines = []
    for use, words in _USES.items():
        inside, of = done.coverage(use)
        if of:
            share = wilson(inside, of)
            lines.append(
                f"Figures {words}: {inside} of {of} inside, {100 * share.estimate:.0f} % "
                f"(95 % interval {100 * share.lower:.0f} to {100 * share.upper:.0f})."
            )
    missed = found["studies_missed_one_way"]
    lines.append(
        f"Studies whose fitted figures all miss on one side: {', '.join(missed) or 'none'}."
    )
    return lines


# Pictures ----------------------------------------------------------------------------------------


def _axis_value(value: float, logarithmic: bool) -> float:
    return math.log10(max(value, 1e-6)) if logarithmic else value


def _scatter(figures: Sequence[Judged], logarithmic: bool) -> str:
    """Published across, predicted up, with predictive intervals."""
    if not figures:
        return "<p>None.</p>"
    numbers = [one.published[0] for one in figures] + [one.simulated for one in figures]
    low, high = (0.0, 1.0)
    if logarithmic:
        logs = [_axis_value(number, True) for number in numbers]
        low, high = math.floor(min(logs)), math.ceil(max(logs))

    def place(value: float) -> float:
        share = (_axis_value(value, logarithmic) - low) / (high - low)
        return min(max(share, 0.0), 1.0) * (_SIZE - 2 * _MARGIN)

    def x(value: float) -> float:
        return _MARGIN + place(value)

    def y(value: float) -> float:
        return _SIZE - _MARGIN - place(value)

    parts = [_open(_SIZE, _SIZE, "Published against predicted figures")]
    for tick in _axis_ticks(low, high, logarithmic):
        text = f"{tick:g}" if logarithmic else f"{100 * tick:.0f} %"
        parts.append(
            f'<path d="M{x(tick):.1f} {_MARGIN}V{_SIZE - _MARGIN}M{_MARGIN} {y(tick):.1f}'
            f'H{_SIZE - _MARGIN}" stroke="{PALE}"/>'
            f'<text x="{x(tick):.1f}" y="{_SIZE - _MARGIN + 18}" font-size="12" '
            f'text-anchor="middle">{text}</text>'
            f'<text x="{_MARGIN - 6}" y="{y(tick) + 4:.1f}" font-size="12" '
            f'text-anchor="end">{text}</text>'
        )
    end = _SIZE - _MARGIN
    parts.append(f'<path d="M{_MARGIN} {end}L{end} {_MARGIN}" stroke="{BLACK}"/>')
    for one in sorted(figures, key=lambda each: not each.inside, reverse=False):
        colour = BLUE if one.inside else VERMILLION
        at = x(one.published[0])
        bar = f"M{at:.1f} {y(one.lower):.1f}V{y(one.upper):.1f}"
        parts.append(f'<path d="{bar}" stroke="{translucent(colour, 0.45)}" stroke-width="1.5"/>')
        middle = y(one.simulated)
        parts.append(
            marker("circle", at, middle, 4, colour)
            if one.inside
            else cross(at, middle, 4.5, colour)
        )
    parts.append(
        f'<text x="{_SIZE / 2}" y="{_SIZE - 12}" font-size="13" text-anchor="middle">published'
        f'</text><text x="16" y="{_SIZE / 2}" font-size="13" text-anchor="middle" '
        f'transform="rotate(-90 16 {_SIZE / 2})">predicted</text></svg>'
    )
    return "".join(parts)


def _axis_ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    if not logarithmic:
        return ticks(0.0, 1.0, 5)
    return [_DECADE**power * k for power in range(int(low), int(high) + 1) for k in (1, 3)][:-1]


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}">'
    )


def _histogram(places: Sequence[float]) -> str:
    """How many figures lie in each tenth of their predictive distribution."""
    counts, _ = np.histogram(places, bins=_BINS, range=(0.0, 1.0))
    width, height, margin = 560, 220, 36
    most = max(int(counts.max(initial=0)), 1)
    step = (width - 2 * margin) / _BINS
    parts = [_open(width, height, "Where published figures lie in the predictive distribution")]
    for k, number in enumerate(counts):
        tall = (height - 2 * margin) * number / most
        left, top = margin + k * step, height - margin - tall
        parts.append(
            f'<rect x="{left + 2:.1f}" y="{top:.1f}" width="{step - 4:.1f}" height="{tall:.1f}" '
            f'fill="{BLUE}"/><text x="{left + step / 2:.1f}" y="{top - 5:.1f}" font-size="12" '
            f'text-anchor="middle">{number}</text><text x="{left:.1f}" y="{height - margin + 16}" '
            f'font-size="12" text-anchor="middle">{k / _BINS:g}</text>'
        )
    even = height - margin - (height - 2 * margin) * len(places) / _BINS / most
    parts.append(
        f'<path d="M{margin} {even:.1f}H{width - margin}" stroke="{BLACK}" stroke-dasharray="5 4"/>'
        f'<text x="{width - margin:.1f}" y="{height - margin + 16}" font-size="12" '
        f'text-anchor="middle">1</text></svg>'
    )
    return "".join(parts)


def _curve_title(one: Drawn) -> str:
    words = {"os": "overall survival", "pfs": "progression-free survival"}
    name = words.get(one.curve.outcome, one.curve.outcome)
    return f"{one.study.id}, {one.curve.arm.replace('_', ' ')}: {name}"


def _curve(one: Drawn) -> str:
    """A published curve over the simulated one and its band."""
    width, height = _PANEL
    last = float(one.months[-1])

    def at(months: float, survival: float) -> str:
        x = _PANEL_MARGIN + (width - _PANEL_MARGIN - 8) * months / last
        y = height - _PANEL_MARGIN - (height - _PANEL_MARGIN - 8) * survival
        return f"{x:.1f} {y:.1f}"

    low, middle, high = np.nanquantile(one.survival, (0.025, 0.5, 0.975), axis=0)
    there = [at(m, s) for m, s in zip(one.months, high, strict=True)]
    back = [at(m, s) for m, s in zip(one.months[::-1], low[::-1], strict=True)]
    simulated = [at(m, s) for m, s in zip(one.months, middle, strict=True)]
    published = [
        at(m, s) for m, s in zip(one.curve.months, one.curve.survival, strict=True) if m <= last
    ]
    parts = [_open(width, height, "Survival against months, published and simulated")]
    for share in (0.0, 0.5, 1.0):
        parts.append(
            f'<path d="M{at(0, share)}L{at(last, share)}" stroke="{PALE}"/>'
            f'<text x="{_PANEL_MARGIN - 4}" y="{float(at(0, share).split()[1]) + 4:.1f}" '
            f'font-size="11" text-anchor="end">{100 * share:.0f}</text>'
        )
    for tick in ticks(0.0, last, 5):
        parts.append(
            f'<text x="{at(tick, 0).split()[0]}" y="{height - _PANEL_MARGIN + 15}" '
            f'font-size="11" text-anchor="middle">{tick:g}</text>'
        )
    parts.append(
        f'<path d="M{"L".join(there + back)}Z" fill="{translucent(BLUE, 0.2)}"/>'
        f'<path d="M{"L".join(simulated)}" stroke="{BLUE}" stroke-width="2" fill="none"/>'
        f'<path d="M{"L".join(published)}" stroke="{VERMILLION}" stroke-width="1.5" '
        f'stroke-dasharray="4 2" fill="none"/>'
        f'<text x="{width / 2}" y="{height - 4}" font-size="11" text-anchor="middle">months'
        f"</text></svg>"
    )
    return "".join(parts)


# Tables ------------------------------------------------------------------------------------------


def _studies(figures: Sequence[Judged], one_sided: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[str, list[Judged]] = {}
    for one in figures:
        groups.setdefault(one.target.study.id, []).append(one)
    return [
        {
            "id": name,
            "title": group[0].target.study.title,
            "source": group[0].target.study.source,
            "description": group[0].target.study.description,
            "one_sided": name in one_sided,
            "rows": [_row(one) for one in group],
        }
        for name, group in sorted(groups.items())
    ]


def _row(one: Judged) -> dict[str, Any]:
    figure = one.target.figure
    time = f" at {figure.time / 30.4375:.0f} months" if figure.time else ""
    when = f" ({figure.when})" if figure.when else ""
    known = math.isfinite(one.simulated)
    return {
        "outcome": f"{figure.outcome}{time}{when}",
        "arm": " against ".join(one.target.study.names_of(figure)),
        "published": _spanned(*one.published),
        "predicted": _spanned(one.simulated, one.lower, one.upper),
        "outside": known and not one.inside,
        "verdict": ("inside" if one.inside else "outside") if known else "not told",
        "use": _USES[figure.use],
    }


def _spanned(value: float, lower: float, upper: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.3g} ({lower:.3g} to {upper:.3g})"
