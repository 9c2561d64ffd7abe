"""The page of a run with queues, for planners: waits, queues, load, ways, and what they cost."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.outcomes.courses import STAGES
from crlm_sim.outcomes.planning import service_words
from crlm_sim.outcomes.warm_up import moving_average
from crlm_sim.report import enough_words, flow, tables
from crlm_sim.report import planning_plots as plots
from crlm_sim.report import planning_words as words
from crlm_sim.report.money import placeholders_sentence
from crlm_sim.report.page import environment, need, replace_file
from crlm_sim.report.run_folder import Run, read_run

_TEMPLATE = "planning.html.j2"
_BAND = (0.1, 0.9)
_BLOCKS = (1, 2, 4, 13, 26, 52, 104, 260)
_MOST_COLUMNS = 8
_REACH = 13
"""Weeks on either side of which Welch's moving average is the mean: half a year, so that seasons
do not hide what tends to grow."""


def is_planning(run_folder: Path) -> bool:
    """Whether a folder is that of a run with queues."""
    summary = run_folder / "summary.json"
    return summary.is_file() and "window_days" in json.loads(summary.read_text(encoding="utf-8"))


def write_planning(run_folder: Path) -> Path:
    """Write `report.html` into the folder of a run with queues; returns its path.

    Raises ImportError if Jinja2 is missing.
    """
    need("jinja2")
    each = json.loads((run_folder / "replications.json").read_text(encoding="utf-8"))
    return replace_file(run_folder / "report.html", page(read_run(run_folder), each))


def page(run: Run, each: list[dict[str, Any]]) -> str:
    """The page as HTML; `each` is what every replication found."""
    return environment().get_template(_TEMPLATE).render(_context(run, each))


def _context(run: Run, each: list[dict[str, Any]]) -> dict[str, Any]:
    """All that the template prints."""
    outcomes = words.described(run)
    weeks = _by_service(run, each)
    services = list(weeks)
    span = _span(run, weeks)
    main = words.main_outcomes(outcomes)
    moving = _moving(run, each)
    return {
        "title": str(run.summary.get("title") or run.folder.name),
        "description": str(run.summary.get("description") or ""),
        "name": Path(str(run.summary.get("run") or run.folder)).name,
        "asked": words.asked(run),
        "uncertainty": words.UNCERTAINTY
        if run.summary["replications"] > 1
        else words.ONE_REPLICATION,
        "findings": words.findings(run, outcomes),
        "overloaded": words.overloaded(run),
        "caution": words.CAUTION,
        "money": placeholders_sentence(run.summary["economics"]) if run.has_money else "",
        "labels": [run.label(arm) for arm in run.names],
        "reference": run.label(run.reference) if run.reference else "",
        "differences": tables.differences(run, False, main) if run.compared else [],
        "levels": tables.levels(run, False, outcomes),
        "heat_key": plots.heat_key(),
        "heat_maps": [_heat(run, place, weeks, span) for place in range(len(run.names))],
        "queue_key": [(plots.line_key(n), run.label(arm)) for n, arm in enumerate(run.names)],
        "queues": [_queue(run, service, weeks[service], span) for service in services],
        "queue_tables": [_queue_table(run, place, weeks, span) for place in range(len(run.names))],
        "weeks_a_point": plots.blocks_of(span.weeks),
        "warm_up": _warm_up(run, weeks, span),
        "warm_up_words": enough_words.warm_up(run.summary),
        "precision": _precision(run),
        "precision_words": enough_words.precision(run.summary)
        + enough_words.not_reached(run.summary),
        "mark_key": [
            (plots.mark_key(plots.STATED), "warm-up stated"),
            (plots.mark_key(plots.SUGGESTED), "the longest that the queue suggests"),
        ],
        "load": _load(run),
        "flows": flow.flows(run),
        "moving": moving,
        "version": __version__,
        "seed": run.summary["seed"],
        "command": str(run.provenance.get("command") or ""),
    }


# By week ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weeks:
    """One service by week: arrays (arms, replications, weeks), nan where nobody was ready."""

    waits: np.ndarray
    queues: np.ndarray


def _by_service(run: Run, each: list[dict[str, Any]]) -> dict[str, Weeks]:
    """The services that anybody asked for, in the order of the tables."""
    by_arm = [[one["weeks"] for one in each if one["arm"] == arm] for arm in run.names]
    names = list(dict.fromkeys(name for arm in by_arm for one in arm for name in one))
    found = {
        name: Weeks(_array(by_arm, name, "wait_days"), _array(by_arm, name, "queue"))
        for name in names
    }
    return {name: one for name, one in found.items() if np.isfinite(one.waits).any()}


def _array(by_arm: list[list[dict[str, Any]]], service: str, what: str) -> np.ndarray:
    """Shape (arms, replications, weeks); an arm without the service has nan throughout."""
    number = max(len(one[what]) for arm in by_arm for rep in arm for one in rep.values())
    empty = {what: [None] * number}
    rows = [[rep.get(service, empty)[what] for rep in arm] for arm in by_arm]
    return np.array(rows, dtype=float)


def _span(run: Run, weeks: dict[str, Weeks]) -> plots.Span:
    start, end = run.summary["window_days"]
    number = max((one.queues.shape[-1] for one in weeks.values()), default=0)
    return plots.Span(date.fromisoformat(run.summary["first_day"]), number, (start, end))


@dataclass(frozen=True)
class Spells:
    """A number for each service, of one arm, over spells of so many weeks."""

    label: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Heat:
    """The waits of one arm by week: the picture, and the same in a table."""

    label: str
    picture: str
    spells: Spells


Row = tuple[str, np.ndarray]
"""A service's name, and its number in each week."""


def _heat(run: Run, place: int, weeks: dict[str, Weeks], span: plots.Span) -> Heat:
    label = run.label(run.names[place])
    rows = [(service_words(name), _mean(one.waits[place])) for name, one in weeks.items()]
    said = f"Median wait by week under {label}; numbers in the table below"
    return Heat(label, plots.heat_map(rows, span, said), _spells(label, rows, span))


def _queue_table(run: Run, place: int, weeks: dict[str, Weeks], span: plots.Span) -> Spells:
    rows = [(service_words(name), _mean(one.queues[place])) for name, one in weeks.items()]
    return _spells(run.label(run.names[place]), rows, span)


def _spells(label: str, rows: list[Row], span: plots.Span) -> Spells:
    """The mean of each row over spells long enough that a table holds them."""
    size = next((n for n in _BLOCKS if span.weeks <= n * _MOST_COLUMNS), _BLOCKS[-1])
    starts = list(range(0, span.weeks, size))
    return Spells(
        label=label,
        columns=[_weeks_in_words(first, min(first + size, span.weeks)) for first in starts],
        rows=[
            (name, [_number(_mean(values[first : first + size])) for first in starts])
            for name, values in rows
        ],
    )


def _weeks_in_words(first: int, end: int) -> str:
    return f"{first + 1}" if end == first + 1 else f"{first + 1}–{end}"


def _number(value: np.ndarray) -> str:
    number = float(value)
    if not math.isfinite(number):
        return "–"
    return f"{number:.1f}" if number < 10 else f"{number:.0f}"


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is known; nan where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but nan
        return np.asarray(np.nanmean(values, axis=0))


@dataclass(frozen=True)
class Queue:
    """The queue of one service over time under every arm, and its mean in numbers."""

    name: str
    picture: str


def _queue(run: Run, service: str, weeks: Weeks, span: plots.Span) -> Queue:
    name = service_words(service)
    lines = []
    for place, queues in enumerate(weeks.queues):
        if np.isfinite(queues).all():
            points = _blocks(queues, plots.blocks_of(span.weeks))
            low, high = np.quantile(points, _BAND, axis=0)
            lines.append(plots.Line(place, low, points.mean(axis=0), high))
    most = ", ".join(
        f"{run.label(run.names[line.place])} {line.middle.max():.1f}" for line in lines
    )
    label = f"Patients waiting for {name} over time; at most on average: {most}"
    return Queue(name[0].upper() + name[1:], plots.queues(lines, span, label))


def _blocks(values: np.ndarray, size: int) -> np.ndarray:
    """Means over so many weeks at a time; a last block that is not whole is left out."""
    whole = values.shape[-1] // size * size
    return np.asarray(values[:, :whole].reshape(len(values), -1, size).mean(axis=-1))


# Late and often enough ----------------------------------------------------------------------------


@dataclass(frozen=True)
class WarmUp:
    """The queue of one service as Welch looks at it, and the warm-up it suggests under each arm."""

    name: str
    picture: str
    suggested: list[str]


def _warm_up(run: Run, weeks: dict[str, Weeks], span: plots.Span) -> list[WarmUp]:
    """The services that suggest a warm-up; those of older runs do not."""
    by_arm = (run.summary.get("warm_up") or {}).get("services", {})
    found = []
    for service, one in weeks.items():
        said = [by_arm[arm].get(service, "") for arm in run.names] if by_arm else []
        if any(suggested != "" for suggested in said):
            name = service_words(service)
            picture = _welch(run, name, one, said, span)
            cells = [_suggested(suggested) for suggested in said]
            found.append(WarmUp(name[0].upper() + name[1:], picture, cells))
    return found


def _suggested(weeks: int | str | None) -> str:
    if weeks == "":
        return "–"
    return enough_words.NO_STEADY_STATE if weeks is None else f"{weeks}"


def _welch(
    run: Run, name: str, weeks: Weeks, said: Sequence[int | str | None], span: plots.Span
) -> str:
    """Moving averages of the queue over replications, with the warm-ups marked."""
    last = int(span.window[1] / 7)
    lines = []
    for place, queues in enumerate(weeks.queues):
        if np.isfinite(queues).all():
            mean = moving_average(queues.mean(axis=0)[:last], min(_REACH, last // 4))
            line = _blocks(mean[None, :], plots.blocks_of(span.weeks))[0]
            lines.append(plots.Line(place, line, line, line))
    stated = run.summary["warm_up"]["stated_weeks"]
    marks = [(stated, plots.STATED, f"stated {stated:.0f}")]
    longest = max((one for one in said if isinstance(one, int)), default=None)
    if longest is not None:
        words = f"suggested {longest}{' (not every plan)' if None in said else ''}"
        marks.append((longest, plots.SUGGESTED, words))
    label = f"Moving average of the queue for {name}; warm-ups in the table below"
    return plots.queues(lines, span, label, marks)


@dataclass(frozen=True)
class Precise:
    """One outcome under one arm: its half-width, the one asked for, and how many would do."""

    outcome: str
    arm: str
    half_width: str
    asked: str
    needed: str


def _precision(run: Run) -> list[Precise]:
    outcomes = (run.summary.get("precision") or {}).get("outcomes", {})
    return [
        Precise(
            outcome=run.summary["outcomes"][name]["label"],
            arm=run.label(arm),
            half_width=enough_words.half_width(one["precision"], found),
            asked=f"±{one['precision']}",
            needed=f"{found['replications_needed']:,}",
        )
        for name, one in outcomes.items()
        for arm, found in one["arms"].items()
        if found["replications_needed"]
    ]


# Load ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """A station's load under each arm: bar and number."""

    hospital: str
    cells: list[tuple[str, str, bool]]


def _load(run: Run) -> list[tuple[str, list[Loaded]]]:
    """The stations by service."""
    load = run.summary["load"]
    names = list(dict.fromkeys(name for arm in run.names for name in load[arm]))
    known = [share for arm in run.names for share in load[arm].values() if share is not None]
    most = min(max([1.0, *known]) * 1.05, 2.5)
    found: dict[str, list[Loaded]] = {}
    for name in names:
        service, _, hospital = name.partition(", ")
        cells = [_load_cell(load[arm], name, most) for arm in run.names]
        what = service_words(service)
        found.setdefault(what[0].upper() + what[1:], []).append(Loaded(hospital, cells))
    return list(found.items())


def _load_cell(load: dict[str, float | None], name: str, most: float) -> tuple[str, str, bool]:
    """(picture, number, whether it is full)."""
    if name not in load:
        return "", "–", False
    share = load[name]
    text = "never open" if share is None else f"{100 * share:.0f}\u00a0%"
    return plots.load_bar(share, most), text, share is None or share >= 1.0


# Patients that move -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moving:
    """A sample of the first replication of each arm: the data of the picture, and a table."""

    weeks: int
    weeks_before: int
    patients: int
    data: str
    columns: list[str]
    tables: list[tuple[str, list[tuple[str, list[int]]]]]


def _moving(run: Run, each: list[dict[str, Any]]) -> Moving | None:
    samples = {one["arm"]: one["sample"] for one in each if "sample" in one}
    arms = [arm for arm in run.names if arm in samples and samples[arm]["patients"]]
    if not arms:
        return None
    first, days = (samples[arms[0]][key] for key in ("first", "days"))
    shown = list(range(28, days + 1, 28)) or [days]
    return Moving(
        weeks=days // 7,
        weeks_before=-((min(one[0] for one in samples[arms[0]]["patients"]) - first) // 7),
        patients=len(samples[arms[0]]["patients"]),
        data=json.dumps(
            {
                "stages": [stage[0].upper() + stage[1:] for stage in STAGES],
                "days": days,
                "arms": [
                    {"label": run.label(arm), "patients": _from_zero(samples[arm], first)}
                    for arm in arms
                ],
            },
            separators=(",", ":"),
        ),
        columns=[f"{day // 7}" for day in shown],
        tables=[
            (run.label(arm), _stage_rows(_from_zero(samples[arm], first), shown)) for arm in arms
        ],
    )


def _from_zero(sample: dict[str, Any], first: int) -> list[list[int]]:
    """Days from the start of the picture."""
    return [
        [value - first if place % 2 == 0 else value for place, value in enumerate(changes)]
        for changes in sample["patients"]
    ]


def _stage_rows(patients: Sequence[Sequence[int]], shown: list[int]) -> list[tuple[str, list[int]]]:
    """How many are in each stage on the days shown."""
    counts = np.zeros((len(STAGES), len(shown)), np.int64)
    for changes in patients:
        for column, day in enumerate(shown):
            now = [stage for at, stage in zip(changes[::2], changes[1::2], strict=True) if at < day]
            if now:
                counts[now[-1], column] += 1
    return [(stage, counts[n].tolist()) for n, stage in enumerate(STAGES)]
