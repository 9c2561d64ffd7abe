"""The review the model follows, sentence by sentence: what it says, where that is modelled, the
published effect and the one last measured in the model.

`review.toml` holds the sentences in our words, the figures and how each is measured;
`review_measured.toml` the results, written by `docs/review.py`. This module only reads and checks
the two and says what a result is worth.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from typing import Any

SECTIONS = (
    "Imaging",
    "Resection",
    "Sequence",
    "Systemic therapy",
    "Liver injury",
    "Local therapy",
    "Intra-arterial therapy",
)
DIRECTIONS = ("up", "down", "none")
_TEXTS = ("says", "modelled", "published")
_ARM = ("eligible", "population", "parameters", "policy")
_MEASURE = (*_ARM, "label", "outcome", "against", "value", "lower", "upper", "direction", "margin")
_ITEM = ("id", "section", *_TEXTS, "source", "measure")
_FINE = ("inside", "right")
_ROUNDED = 0.05
"""Half of the last digit shown: a smaller miss is called just below or above."""


@dataclass(frozen=True)
class Arm:
    """One group: who is studied, what is changed in people and in the model, how they are treated.

    `policy` holds the settings that differ from "standard"; keys and values are a scenario's.
    """

    eligible: str = ""
    population: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One simulated effect: an outcome of `arm`, less that of `against` if there is one.

    The published effect, in the outcome's own unit (proportions from 0 to 1), is `value` with
    `lower` and `upper`, or a `direction`; "none" is a difference within ±`margin`.
    """

    label: str
    outcome: str
    arm: Arm
    against: Arm | None = None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    direction: str = ""
    margin: float = 0.0


@dataclass(frozen=True)
class Item:
    """One statement of the review, in our words, with how it is measured."""

    id: str
    section: str
    says: str
    modelled: str
    published: str
    source: tuple[str, ...]
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Measured:
    """A simulated effect with its 95 % simulation interval; nan where there is none."""

    value: float
    lower: float
    upper: float
    unit: str
    verdict: str


@dataclass(frozen=True)
class Row:
    """An item and, in the order of its measures, what was found with so many patients an arm.

    Nothing was found yet if `found` is empty.
    """

    item: Item
    patients: int
    seed: int
    found: tuple[Measured, ...]


# The table ---------------------------------------------------------------------------------------


@cache
def items() -> tuple[Item, ...]:
    """Every item, in the order of the table; ValueError, naming the item, if one is wrong."""
    return checked_items(_read("review.toml")["item"])


def checked_items(entries: Iterable[Mapping[str, Any]]) -> tuple[Item, ...]:
    """The items of a table as read; ValueError, naming the item, if one is wrong."""
    found: dict[str, Item] = {}
    for place, entry in enumerate(entries, 1):
        name = str(entry.get("id") or f"item {place}")
        item = _item(name, entry)
        if name in found:
            raise ValueError(f"{name}: there are two items of that id")
        found[name] = item
    return tuple(found.values())


def _item(name: str, entry: Mapping[str, Any]) -> Item:
    _known(name, entry, _ITEM)
    if not str(entry.get("id", "")).isidentifier():
        raise ValueError(f"{name}: id must be a word in snake_case")
    for key in _TEXTS:
        if not str(entry.get(key, "")).strip():
            raise ValueError(f"{name}: {key} is empty")
    if entry.get("section") not in SECTIONS:
        raise ValueError(f"{name}: section must be one of {', '.join(SECTIONS)}")
    source = tuple(entry.get("source", ()))
    if not source or not all(isinstance(one, str) and one.strip() for one in source):
        raise ValueError(f"{name}: source is empty")
    measures = tuple(_measure(name, one) for one in entry.get("measure", ()))
    if not measures:
        raise ValueError(f"{name}: there is no measure")
    texts = {key: entry[key].strip() for key in _TEXTS}
    return Item(id=name, section=entry["section"], source=source, measures=measures, **texts)


def _measure(name: str, entry: Mapping[str, Any]) -> Measure:
    _known(name, entry, _MEASURE)
    for key in ("label", "outcome"):
        if not str(entry.get(key, "")).strip():
            raise ValueError(f"{name}: a measure's {key} is empty")
    arm = {key: entry[key] for key in _ARM if key in entry}
    other = None
    if "against" in entry:
        _known(name, entry["against"], _ARM)
        other = Arm(**(arm | entry["against"]))
    measure = Measure(
        arm=Arm(**arm),
        against=other,
        **{key: entry[key] for key in entry if key not in (*_ARM, "against")},
    )
    _check_effect(name, measure)
    return measure


def _known(name: str, entry: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in entry:
        if key not in keys:
            raise ValueError(f"{name}: unknown key '{key}', expected one of {', '.join(keys)}")


def _check_effect(name: str, measure: Measure) -> None:
    m = measure
    if m.against == m.arm:
        raise ValueError(f"{name}: '{m.label}' compares an arm with itself")
    if m.direction:
        if m.direction not in DIRECTIONS:
            raise ValueError(f"{name}: direction must be one of {', '.join(DIRECTIONS)}")
        if m.against is None:
            raise ValueError(f"{name}: a direction needs against")
        if (m.direction == "none") != (m.margin > 0.0):
            raise ValueError(f"{name}: direction 'none', and it alone, needs a margin above 0")
        if m.value is not None:
            raise ValueError(f"{name}: '{m.label}' has both a direction and a value")
        return
    if m.value is None or m.lower is None or m.upper is None:
        raise ValueError(f"{name}: '{m.label}' needs value, lower and upper, or a direction")
    if not m.lower <= m.value <= m.upper:
        raise ValueError(f"{name}: {m.lower} ≤ {m.value} ≤ {m.upper} does not hold")


# What was measured -------------------------------------------------------------------------------


def rows() -> tuple[Row, ...]:
    """Every item with what was measured of it, in the order of the table."""
    return checked_rows(items(), _read("review_measured.toml"))


def checked_rows(table: Sequence[Item], measured: Mapping[str, Any]) -> tuple[Row, ...]:
    """Items with their results as read; ValueError, naming the item, where they do not fit."""
    known = {item.id for item in table}
    for name in measured:
        if name not in known:
            raise ValueError(f"{name}: measured, but not in review.toml")
    return tuple(_row(item, measured.get(item.id)) for item in table)


def _row(item: Item, entry: Mapping[str, Any] | None) -> Row:
    if entry is None:
        return Row(item, 0, 0, ())
    found = tuple(Measured(**one) for one in entry["found"])
    if len(found) != len(item.measures):
        raise ValueError(f"{item.id}: its measures changed; measure it again")
    for measure, one in zip(item.measures, found, strict=True):
        expected = verdict(measure, one.value, one.lower, one.upper, one.unit)
        if one.verdict != expected:
            raise ValueError(f"{item.id}: '{one.verdict}' should be '{expected}'; measure it again")
    return Row(item, entry["patients"], entry["seed"], found)


def verdict(measure: Measure, value: float, lower: float, upper: float, unit: str) -> str:
    """What a simulated effect and its interval say about the published one.

    Inside if the two intervals overlap, else by how much they miss each other. A direction is
    right, or wrong by so much at least, if the whole interval is on one side, else not
    distinguishable.
    """
    if math.isnan(value):
        return "cannot be estimated"
    lower, upper = (value if math.isnan(end) else end for end in (lower, upper))
    if measure.direction:
        return _verdict_on_direction(measure, lower, upper, unit)
    assert measure.lower is not None
    assert measure.upper is not None
    off = max(measure.lower - upper, lower - measure.upper)
    if off <= 0.0:
        return "inside"
    side = "below" if value < measure.lower else "above"
    far = _so_far(off, unit)
    return f"misses by {far}, {side}" if far else f"just {side}"


def _so_far(off: float, unit: str) -> str:
    """A distance in words; empty if it would be shown as nothing."""
    scale, word = (100.0, "points") if unit == "proportion" else (1.0, unit)
    off *= scale
    return "" if off < _ROUNDED else f"{off:.1f} {word}"


def _verdict_on_direction(measure: Measure, lower: float, upper: float, unit: str) -> str:
    if measure.direction == "none":
        if -measure.margin <= lower and upper <= measure.margin:
            return "right"
        off = max(-measure.margin - upper, lower - measure.margin)
    else:
        if measure.direction == "down":
            lower, upper = -upper, -lower
        if lower > 0.0:
            return "right"
        off = -upper
    if off <= 0.0:
        return "not distinguishable"
    far = _so_far(off, unit)
    return f"wrong by {far}" if far else "just wrong"


def agrees(verdict: str) -> bool:
    """Whether a verdict says that the model does what was published."""
    return verdict in _FINE


def plain(row: Row) -> dict[str, Any]:
    """A row as plain data, fit for JSON; `simulated` is None where nothing was measured yet."""
    found: list[dict[str, Any] | None] = [asdict(one) for one in row.found]
    found = found or [None] * len(row.item.measures)
    for one in found:
        if one is not None:
            one.update({key: None for key in ("value", "lower", "upper") if math.isnan(one[key])})
    entry = asdict(row.item)
    for measure, one in zip(entry["measures"], found, strict=True):
        measure["simulated"] = one
    return entry | {"source": list(row.item.source), "patients": row.patients, "seed": row.seed}


def _read(name: str) -> dict[str, Any]:
    path = resources.files("crlm_sim.evidence").joinpath(name)
    return tomllib.loads(path.read_text(encoding="utf-8"))
