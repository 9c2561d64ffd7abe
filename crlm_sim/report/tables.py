"""The tables of outcomes and of differences, ready for the template."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from crlm_sim.report import forest
from crlm_sim.report.numbers import difference, level, scale_of, simulation_interval
from crlm_sim.report.run_folder import Run
from crlm_sim.report.topics import Described, describe
from crlm_sim.report.words import verdict

_OWN = ""
_SCALES = ("percentage points", "months", _OWN)
"""What rows under one heading are drawn on together; others have each their own axis."""


@dataclass(frozen=True)
class Cell:
    """A number with, where known, the interval of simulation error alone and a remark."""

    text: str
    simulation: str = ""
    remark: str = ""


@dataclass(frozen=True)
class LevelRow:
    """One outcome under every policy."""

    label: str
    unit: str
    cells: list[Cell]


@dataclass(frozen=True)
class DifferenceRow:
    """One outcome's difference for one policy; `first` and `span` merge the outcome's cell."""

    label: str
    unit: str
    swatch: str
    policy: str
    selected: bool
    cell: Cell
    picture: str
    verdict: str
    clear: bool
    first: bool
    span: int


@dataclass(frozen=True)
class Group:
    """Rows under a heading, for differences with the axis of their pictures."""

    title: str
    rows: list
    axis: str = ""


def _outcomes(run: Run) -> list[Described]:
    """What happened to anybody: an outcome that is nothing under every policy is left out."""
    names: dict[str, None] = {}
    for policy in run.names:
        names.update(dict.fromkeys(run.summary["policies"][policy]))
    return [one for one in describe(names) if _happened(run, one.name)]


def _happened(run: Run, outcome: str) -> bool:
    found = [run.estimate(policy, outcome) for policy in run.names]
    return any(one is not None and one.value != 0.0 for one in found)


def _unit(outcome: Described) -> str:
    return "" if outcome.unit in ("", "proportion") else outcome.unit


def _remark(run: Run, interval: str, mixed: bool) -> str:
    return f"{interval} interval" if mixed and interval else ""


def levels(run: Run, mixed: bool, outcomes: list[Described] | None = None) -> list[Group]:
    """Every outcome under every policy, by topic; `mixed` marks each interval with its kind."""
    groups = []
    for topic, members in groupby(outcomes or _outcomes(run), key=lambda o: o.topic):
        rows = []
        for o in members:
            estimates = [run.estimate(policy, o.name) for policy in run.names]
            cells = [
                Cell(
                    level(e, o.unit),
                    simulation_interval(e, o.unit),
                    _remark(run, e.interval if e and e.has_interval else "", mixed),
                )
                for e in estimates
            ]
            rows.append(LevelRow(o.label, _unit(o), cells))
        groups.append(Group(topic, rows))
    return groups


def _scale_name(outcome: Described) -> str:
    return outcome.scale_name if outcome.scale_name in _SCALES else _OWN


def _bounds(run: Run, outcomes: list[Described]) -> tuple[float, float]:
    """The ends of an axis that holds zero and all of these outcomes' intervals."""
    ends = [0.0]
    for o in outcomes:
        for policy in run.compared:
            e = run.difference(policy, o.name)
            if e is not None:
                scale = scale_of(o.unit)
                ends += [scale * x for x in (e.value, e.lower, e.upper) if x is not None]
    return min(ends), max(ends)


def _rows(run: Run, outcome: Described, low: float, high: float, mixed: bool) -> list:
    rows = []
    for place, policy in enumerate(run.compared):
        e = run.difference(policy, outcome.name)
        rows.append(
            DifferenceRow(
                label=outcome.label,
                unit=outcome.scale_name,
                swatch=forest.swatch(run.names.index(policy)),
                policy=run.label(policy),
                selected=outcome.selected,
                cell=Cell(
                    difference(e, outcome.unit),
                    simulation_interval(e, outcome.unit, signed=True),
                    _remark(run, e.interval if e and e.has_interval else "", mixed),
                ),
                picture=forest.row(e, scale_of(outcome.unit), low, high, run.names.index(policy)),
                verdict=verdict(run, policy, outcome, e),
                clear=e is not None and e.side != 0,
                first=place == 0,
                span=len(run.compared),
            )
        )
    return rows


def differences(run: Run, mixed: bool, outcomes: list[Described] | None = None) -> list[Group]:
    """Every paired difference, by topic and then by the scale it is drawn on."""
    groups = []
    told = outcomes or _outcomes(run)
    topics = list(dict.fromkeys(o.topic for o in told))
    by_scale = sorted(told, key=lambda o: (topics.index(o.topic), _SCALES.index(_scale_name(o))))
    for (topic, scale), members in groupby(by_scale, key=lambda o: (o.topic, _scale_name(o))):
        alike = list(members)
        low, high = _bounds(run, alike)
        rows: list[DifferenceRow] = []
        for o in alike:
            own = (low, high) if scale else _bounds(run, [o])
            rows += _rows(run, o, *own, mixed)
        title = f"{topic} ({scale or 'each row on its own scale'})"
        groups.append(Group(title, rows, forest.axis(low, high) if scale else ""))
    return groups
