"""The page of `crlm validate`: published figures against predicted ones, for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.calibration import scales
from crlm_sim.outcomes.clocks import CLOCKS
from crlm_sim.outcomes.definitions import DAYS_PER_MONTH
from crlm_sim.outcomes.survival import wilson
from crlm_sim.report import validation_plots as plots
from crlm_sim.report import validation_words as words
from crlm_sim.report.page import environment, need, replace_file

if TYPE_CHECKING:
    from crlm_sim.calibration.study import Study
    from crlm_sim.calibration.validate import Drawn, Judged, Validation

_TEMPLATE = "validation.html.j2"
_ENDS = (0.025, 0.5, 0.975)


def write_validation(path: Path, done: Validation, found: dict[str, Any]) -> Path:
    """Write the page of a validation; `found` is its `result`. Returns the path.

    Raises ImportError if Jinja2 is missing.
    """
    need("jinja2")
    text = environment().get_template(_TEMPLATE).render(_context(done, found))
    return replace_file(Path(path), text)


@dataclass(frozen=True)
class Row:
    """A figure in its study's table."""

    id: str
    judged: Judged
    outcome: str
    when: str
    arm: str
    remarks: str
    published: str
    predicted: str
    verdict: str
    use: str

    @property
    def told(self) -> bool:
        """Whether the model could predict it at all."""
        return math.isfinite(self.judged.place)

    @property
    def use_in_words(self) -> str:
        """Whether the model has learned from it."""
        return words.USES[self.use]

    @property
    def inside(self) -> bool:
        """Whether the published figure lies in the predictive interval."""
        return self.judged.inside


@dataclass(frozen=True)
class Count:
    """The figures of one use: how many lie inside, and where the others lie."""

    use: str
    of: int
    inside: int
    above: int
    below: int
    untold: int
    share: str
    interval: str


@dataclass(frozen=True)
class Pair:
    """A picture of the fitted figures and one of those never fitted."""

    title: str
    pictures: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Panel:
    """A curve: its picture, and the same in a table."""

    id: str
    title: str
    what: str
    picture: str
    rows: list[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Group:
    """A study with its figures."""

    study: Study
    rows: list[Row]
    one_sided: str

    @property
    def inside(self) -> int:
        """How many of its figures lie inside."""
        return sum(row.inside for row in self.rows)


def _context(done: Validation, found: dict[str, Any]) -> dict[str, Any]:
    """All that the template prints."""
    rows = _rows(done, found)
    groups = _groups(rows, found["studies_missed_one_way"])
    pairs = _pairs(rows)
    drawn = sum(_kind(row) is not None for row in rows)
    return {
        "folder": Path(found["studies_folder"]).name,
        "draws": done.draws,
        "counts": [_count(rows, use, found["inside"][use]) for use in words.USES],
        "untold": sum(not row.told for row in rows),
        "one_sided": [group for group in groups if group.one_sided],
        "pairs": pairs,
        "not_drawn": sum(row.told for row in rows) - drawn,
        "key": [(plots.key(True), "inside"), (plots.key(False), "outside")],
        "places": _by_use(rows, _places),
        "panels": [_panel(number, one) for number, one in enumerate(done.curves, 1)],
        "curve_key": plots.curve_key(),
        "groups": groups,
        "figures": len(rows),
        "marks": {True: plots.key(True), False: plots.key(False)},
        "version": __version__,
    }


def _rows(done: Validation, found: dict[str, Any]) -> list[Row]:
    return [
        _row(f"figure-{number}", one, entry["time"])
        for number, (one, entry) in enumerate(
            zip(done.figures, found["figures"], strict=True), start=1
        )
    ]


def _row(name: str, one: Judged, months: float | None) -> Row:
    study, figure = one.target.study, one.target.figure
    arm = words.arms_of(study, figure)
    return Row(
        id=name,
        judged=one,
        outcome=words.outcome_of(figure, months),
        when=figure.when or "",
        arm=arm,
        remarks=" · ".join(said for said in (arm, words.clock_words(study, figure)) if said),
        published=words.written(figure, *one.published),
        predicted=words.written(figure, one.simulated, one.lower, one.upper),
        verdict=words.verdict(one),
        use=figure.use,
    )


# Counts ------------------------------------------------------------------------------------------


def _count(rows: Sequence[Row], use: str, inside: dict[str, int]) -> Count:
    verdicts = [row.verdict for row in rows if row.use == use]
    share = wilson(inside["inside"], inside["of"])
    known = inside["of"] > 0
    return Count(
        use=words.USES[use],
        of=inside["of"],
        inside=inside["inside"],
        above=verdicts.count("outside, above"),
        below=verdicts.count("outside, below"),
        untold=verdicts.count("not predicted"),
        share=f"{100 * share.estimate:.0f}\u00a0%" if known else "–",
        interval=f"{100 * share.lower:.0f} to {100 * share.upper:.0f}\u00a0%" if known else "–",
    )


def _groups(rows: Sequence[Row], one_sided: Sequence[str]) -> list[Group]:
    """The studies by title, each with its figures in the order of its file."""
    by_study: dict[str, list[Row]] = {}
    for row in rows:
        by_study.setdefault(row.judged.target.study.id, []).append(row)
    found = [
        Group(group[0].judged.target.study, group, _side(group) if name in one_sided else "")
        for name, group in by_study.items()
    ]
    return sorted(found, key=lambda group: (group.study.title.casefold(), group.study.id))


def _side(rows: Sequence[Row]) -> str:
    """On which side all fitted figures of a study miss."""
    fitted = [row for row in rows if row.use == "fit"]
    way = "above" if fitted[0].judged.place > 0.5 else "below"
    return f"all {len(fitted)} fitted figures lie {way} their predictive intervals"


# Pictures ----------------------------------------------------------------------------------------


def _by_use(
    rows: Sequence[Row], draw: Callable[[Sequence[Row], str], str]
) -> list[tuple[str, str, str]]:
    """(picture, use, how many are inside) for each use that has figures to draw."""
    found = []
    for use, name in words.USES.items():
        chosen = [row for row in rows if row.use == use and row.told]
        if chosen:
            said = f"{sum(row.inside for row in chosen)} of {len(chosen)} inside"
            found.append((draw(chosen, name), name.capitalize(), said))
    return found


def _places(rows: Sequence[Row], use: str) -> str:
    return plots.histogram([row.judged.place for row in rows], f"Figures {use}")


def _kind(row: Row) -> str | None:
    """The picture a figure belongs in, if any."""
    figure = row.judged.target.figure
    if not row.told:
        return None
    if figure.scale == scales.LOGIT:
        return "shares"
    if figure.scale == scales.LOG and figure.measure:
        return "ratios"
    is_time = words.unit_of(figure) in ("months", "days")
    return "times" if figure.scale == scales.LOG and is_time else None


def _pairs(rows: Sequence[Row]) -> list[Pair]:
    found = []
    for kind, title, unit in (
        ("shares", "Shares and survival at a time", ""),
        ("times", "Times", "months"),
        ("ratios", "Hazard, odds and risk ratios", ""),
    ):
        chosen = [row for row in rows if _kind(row) == kind]
        if chosen:
            points = [_point(row) for row in chosen]
            axis = plots.SHARES if kind == "shares" else plots.log_axis(points, unit)
            found.append(Pair(title, _by_use(chosen, _scatter(axis))))
    return found


def _scatter(axis: plots.Axis) -> Callable[[Sequence[Row], str], str]:
    return lambda rows, _: plots.scatter([_point(row) for row in rows], axis)


def _point(row: Row) -> plots.Point:
    """A figure as it is drawn; days become months."""
    one = row.judged
    in_days = words.unit_of(one.target.figure) == "days"
    scale = 1.0 / DAYS_PER_MONTH if in_days else 1.0
    what = f"{row.outcome} {row.when}".rstrip()
    said = (
        f"{one.target.study.title}\n{': '.join(part for part in (row.arm, what) if part)}\n"
        f"published {row.published}\npredicted {row.predicted}\n{row.verdict}"
    )
    return plots.Point(
        published=scale * one.published[0],
        predicted=scale * one.simulated,
        lower=scale * one.lower,
        upper=scale * one.upper,
        inside=one.inside,
        row=row.id,
        words=said,
    )


def _panel(number: int, one: Drawn) -> Panel:
    """A published curve over the simulated median and its band."""
    low, middle, high = _band(one)
    published = list(zip(one.curve.months, one.curve.survival, strict=True))
    what = words.curve_words(one.curve)
    clock = CLOCKS[one.study.clock or "diagnosis"].label
    label = f"{one.study.title}, {what}: published points, simulated median and 95 % band"
    at = [np.interp([m for m, _ in published], one.months, each) for each in (middle, low, high)]
    return Panel(
        id=f"curve-{number}",
        title=one.study.title,
        what=what,
        picture=plots.curve(
            one.months, (low, middle, high), published, label, f"months from {clock}"
        ),
        rows=[
            (f"{month:.3g}", _percent(share), _percent(m), f"{_percent(b)} to {_percent(t)}")
            for (month, share), m, b, t in zip(published, *at, strict=True)
        ],
    )


def _band(one: Drawn) -> tuple[plots.Floats, plots.Floats, plots.Floats]:
    """(low, median, high) of the draws at each month; nan where no draw tells."""
    found = np.full((3, len(one.months)), np.nan)
    told = np.isfinite(one.survival).any(axis=0)
    if told.any():
        found[:, told] = np.nanquantile(one.survival[:, told], _ENDS, axis=0)
    return found[0], found[1], found[2]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if math.isfinite(share) else "–"
