"""The courses of some patients, one line each: what was done when, and what happened."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from crlm_sim.report.palette import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
)
from crlm_sim.report.run_folder import Run
from crlm_sim.report.shapes import cross, marker, ticks

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP, _BOTTOM = 1060, 22, 78, 24, 8, 44
_DAYS_PER_MONTH = 365.25 / 12
_MOST_MONTHS = 60.0
_CYCLE_GAP_DAYS = 28.0
"""Cycles closer than this are drawn as one course."""


@dataclass(frozen=True)
class Kind:
    """A class of activities and how it is drawn; `least` is its smallest width in pixels."""

    label: str
    colour: str
    words: tuple[str, ...]
    least: float = 1.5
    height: float = 11.0


DRUGS = Kind("drugs", SKY, ("chemotherapy", "cycle", "adjuvant"))
_OTHER = Kind("other activity", GREY, ())
KINDS = (
    Kind("ward stay", GREY, ("ward", "stay", "bed", "recovery"), 2.0),
    DRUGS,
    Kind("supportive care", PALE, ("supportive",), 5.0),
    Kind("scan, meeting or visit", BLACK, ("scan", "meeting", "visit", "mri", "pet"), 1.0, 5.0),
    Kind("portal vein embolisation", GREEN, ("portal",), 5.0),
    Kind("radiotherapy, or through the artery", YELLOW, ("radio", "chemoemb", "pump"), 5.0),
    Kind("operation on both", PURPLE, ("simultaneous",), 5.0),
    Kind("colorectal operation", ORANGE, ("colorectal", "primary"), 5.0),
    Kind(
        "liver operation",
        VERMILLION,
        ("liver", "hepatectomy", "ablation", "alpps", "resection"),
        5.0,
    ),
    _OTHER,
)
"""In the order they are drawn over each other; the first whose word occurs is an activity's."""

RESECTION, RETURN, DEATH, ALIVE, EVENT = (
    "resection",
    "progression or recurrence",
    "death",
    "alive at the end",
    "other event",
)


@dataclass(frozen=True)
class Course:
    """One patient in the table that stands beside the picture."""

    patient: str
    end: str
    months: str
    marks: str


@dataclass(frozen=True)
class Swimmer:
    """One policy's picture and table; `cut` says that some courses go on beyond the axis."""

    label: str
    picture: str
    courses: list[Course]
    cut: bool


def _text(name: object) -> str:
    return str(name).replace("_", " ")


def kind_of(activity: str) -> Kind:
    """The class of an activity, by the words in its name."""
    name = _text(activity).lower()
    return next((kind for kind in KINDS if any(word in name for word in kind.words)), _OTHER)


def mark_of(label: str) -> str:
    """What a mark stands for, by the words in its name."""
    name = _text(label).lower()
    if any(word in name for word in ("death", "dead", "died")):
        return DEATH
    if any(word in name for word in ("progress", "recur", "relapse")):
        return RETURN
    return RESECTION if any(word in name for word in ("resect", "hepatect")) else EVENT


def _symbol(what: str, x: float, y: float) -> str:
    if what == DEATH:
        return cross(x, y, 4.2, BLACK)
    if what == RETURN:
        return marker("diamond", x, y, 4.6, BLACK)
    if what == RESECTION:
        return f'<path d="M{x - 4:.1f} {y - 11:.1f}h8l-4 5Z" fill="{BLUE}"/>'
    if what == ALIVE:
        path = f"M{x:.1f} {y - 4:.1f}l7 4l-7 4Z"
        return f'<path d="{path}" fill="#fff" stroke="{BLACK}"/>'
    return marker("circle", x, y, 3.2, BLUE)


def merged(segments: list[Any]) -> list[tuple[Kind, float, float]]:
    """Segments by kind and time, cycles of one course joined, in the order of drawing."""
    found: dict[Kind, list[list[float]]] = {}
    for name, start, end in sorted(segments, key=lambda s: float(s[1])):
        kind = kind_of(name)
        spans = found.setdefault(kind, [])
        if kind is DRUGS and spans and float(start) - spans[-1][1] <= _CYCLE_GAP_DAYS:
            spans[-1][1] = max(spans[-1][1], float(end))
        else:
            spans.append([float(start), float(end)])
    return [(kind, start, end) for kind in KINDS for start, end in found.get(kind, [])]


def _alive(course: dict) -> bool:
    return str(course.get("end", "")).startswith("alive")


def _bar(left: float, width: float, y: float, kind: Kind) -> str:
    edge = f' stroke="{GREY}" stroke-width="0.7"' if kind.colour == PALE else ""
    return (
        f'<rect x="{left:.1f}" y="{y - kind.height / 2:.1f}" width="{width:.1f}" '
        f'height="{kind.height:g}" fill="{kind.colour}"{edge}/>'
    )


def _line(course: dict, y: float, per_day: float, last_day: float) -> str:
    """One patient's line."""
    end = float(course["end_day"])
    parts = [
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" font-size="11" text-anchor="end" '
        f'fill="{BLACK}">{html.escape(str(course["patient"]))}</text>',
        f'<path d="M{_LEFT} {y:.1f}H{_LEFT + min(end, last_day) * per_day:.1f}" '
        f'stroke="#b5bac0" stroke-width="2"/>',
    ]
    for kind, start, stop in merged(course.get("segments") or []):
        if start <= last_day:
            width = max((min(stop, last_day) - start) * per_day, kind.least)
            parts.append(_bar(_LEFT + start * per_day, width, y, kind))
    for label, day in course.get("marks") or []:
        what = mark_of(label)
        if float(day) <= last_day and what != DEATH:
            parts.append(_symbol(what, _LEFT + float(day) * per_day, y))
    if end <= last_day:
        what = ALIVE if _alive(course) else DEATH
        parts.append(_symbol(what, _LEFT + end * per_day, y))
    else:
        parts.append(_symbol(ALIVE, _LEFT + last_day * per_day, y))
    return "".join(parts)


def _axis(months: float, per_day: float, height: float) -> str:
    parts = []
    step = 6 if months > 24 else 3
    marks = range(0, int(months) + 1, step) if months >= step else ticks(0, months)
    for month in marks:
        x = _LEFT + month * _DAYS_PER_MONTH * per_day
        parts.append(
            f'<path d="M{x:.1f} {_TOP}V{height - _BOTTOM + 4}" stroke="{PALE}"/>'
            f'<text x="{x:.1f}" y="{height - 24}" font-size="12" text-anchor="middle" '
            f'fill="{BLACK}">{month:g}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{height - 6}" font-size="12" text-anchor="middle" '
        f'fill="{BLACK}">months from diagnosis</text>'
        f'<text x="{_LEFT - 8}" y="{height - 24}" font-size="12" text-anchor="end" '
        f'fill="{BLACK}">patient</text>'
    )
    return "".join(parts)


def picture(courses: list[dict], title: str) -> str:
    """The picture as SVG."""
    longest = max(float(course["end_day"]) for course in courses)
    last_day = min(max(longest, 30.0), _MOST_MONTHS * _DAYS_PER_MONTH)
    per_day = (_WIDTH - _LEFT - _RIGHT) / last_day
    height = _TOP + _ROW * len(courses) + _BOTTOM
    lines = [
        _line(course, _TOP + _ROW * (place + 0.5), per_day, last_day)
        for place, course in enumerate(courses)
    ]
    body = _axis(last_day / _DAYS_PER_MONTH, per_day, height) + "".join(lines)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img" '
        f'aria-label="{html.escape(title)}">{body}</svg>'
    )


def _months(day: object) -> str:
    return f"{float(str(day)) / _DAYS_PER_MONTH:.1f}"


def _course(course: dict) -> Course:
    marks = [f"{_text(label)} at {_months(day)}" for label, day in course.get("marks") or []]
    return Course(
        patient=str(course["patient"]),
        end=_text(course.get("end", "–")),
        months=_months(course["end_day"]),
        marks=", ".join(marks) or "–",
    )


def swimmers(run: Run) -> list[Swimmer]:
    """A picture and a table for every policy."""
    found = run.summary.get("swimmer") or {}
    return [
        Swimmer(
            label=run.label(policy),
            picture=picture(
                found[policy],
                f"Courses of {len(found[policy])} patients under {run.label(policy)}; "
                "the table gives their events",
            ),
            courses=[_course(course) for course in found[policy]],
            cut=any(
                float(c["end_day"]) > _MOST_MONTHS * _DAYS_PER_MONTH + 0.5 for c in found[policy]
            ),
        )
        for policy in run.names
        if found.get(policy)
    ]


def key() -> list[tuple[str, str]]:
    """(drawing, meaning) of every bar and mark, for the legend."""
    small = '<svg width="22" height="16" viewBox="0 0 22 16" aria-hidden="true">{}</svg>'
    bars = [
        (
            small.format(_bar(3, 5 if k.least == 5.0 else 1.5 if k.height == 5 else 16, 8, k)),
            k.label,
        )
        for k in KINDS
        if k is not _OTHER
    ]
    marks = [
        (small.format(_symbol(what, 9, 16 if what == RESECTION else 8)), what)
        for what in (RESECTION, RETURN, DEATH, ALIVE)
    ]
    return bars + marks
