"""Reading the evidence tables, drawing parameters from their uncertainty, packing them.

A parameter's uncertainty is a law on a scale where it is normal: the value is the median, and
(lower, upper) has the width of the central 95 % (its ends, where it is symmetrical on that scale).
Draw 0 is the values themselves; draw d > 0 takes one normal per number from the stream with key
(seed, d) and a counter made from the parameter's own name, so that adding a parameter leaves every
other one's draws as they were.
"""

from __future__ import annotations

import csv
import math
import tomllib
import zlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np

from crlm_sim import streams
from crlm_sim.evidence.posterior import (
    Posterior,
    PosteriorError,
    calibration_folder,
    read_posterior,
)

_Z95 = 1.959963984540054
_GROUPS = ("population.toml", "tumour_and_liver.toml", "clinic.toml", "economics.toml")
_TABLES = (
    ("regimen", "regimens.toml"),
    ("activity", "activities.toml"),
    ("service", "services.toml"),
    ("modality", "modalities.toml"),
    ("local", "local_therapies.toml"),
    ("arterial", "arterial_therapies.toml"),
)
_LIFE_TABLE = "life_table_uk_2017_19.csv"
LAWS = ("fixed", "normal", "lognormal", "logitnormal")
ASSUMPTION = "assumption"
PLACEHOLDER = "placeholder"
_PRICED_UNITS = ("GBP", "utility")


@dataclass(frozen=True)
class Parameter:
    """One number (or short list of numbers) of the model.

    `name` is what the code and a scenario call it; `group` is its heading in the tables.
    """

    name: str
    group: str
    value: tuple[float, ...]
    law: str
    unit: str
    source: str
    lower: tuple[float, ...] | None = None
    upper: tuple[float, ...] | None = None
    note: str = ""

    @property
    def is_assumption(self) -> bool:
        """Whether no published figure stands behind the value."""
        return self.source.startswith((ASSUMPTION, PLACEHOLDER))

    @property
    def is_placeholder(self) -> bool:
        """Whether it is a price or utility that stands in for one that nobody has published."""
        return self.source.startswith(PLACEHOLDER)

    @property
    def is_scalar(self) -> bool:
        """Whether it is one number and not a list."""
        return len(self.value) == 1


def _numbers(entry: float | list[float]) -> tuple[float, ...]:
    items = entry if isinstance(entry, list) else [entry]
    return tuple(float(item) for item in items)


def _parameter(name: str, group: str, entry: dict) -> Parameter:
    found = Parameter(
        name=name,
        group=group,
        value=_numbers(entry["value"]),
        law=entry["law"],
        unit=entry["unit"],
        source=entry["source"],
        lower=_numbers(entry["lower"]) if "lower" in entry else None,
        upper=_numbers(entry["upper"]) if "upper" in entry else None,
        note=entry.get("note", ""),
    )
    check_parameter(found)
    return found


def check_parameter(parameter: Parameter) -> None:
    """Raise ValueError if a parameter's law, interval or range does not hold together."""
    p = parameter
    if p.law not in LAWS:
        raise ValueError(f"{p.name}: unknown law '{p.law}', expected one of {', '.join(LAWS)}")
    if p.law == "fixed":
        return
    if p.lower is None or p.upper is None:
        raise ValueError(f"{p.name}: a {p.law} parameter needs lower and upper")
    for low, value, high in zip(p.lower, p.value, p.upper, strict=True):
        if not low <= value <= high:
            raise ValueError(f"{p.name}: {low} ≤ {value} ≤ {high} does not hold")
        if p.law == "lognormal" and low <= 0.0:
            raise ValueError(f"{p.name}: a lognormal parameter must be positive")
        if p.law == "logitnormal" and low < high and not 0.0 < low < high < 1.0:
            raise ValueError(f"{p.name}: a logitnormal parameter must lie between 0 and 1")


def _read_toml(name: str) -> dict:
    text = resources.files("crlm_sim.evidence").joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def parameters() -> dict[str, Parameter]:
    """All parameters by name, in the order of the tables."""
    found: dict[str, Parameter] = {}
    for file in _GROUPS:
        for group, entries in _read_toml(file).items():
            for name, entry in entries.items():
                found[name] = _parameter(name, group.replace("_", " "), entry)
    for kind, file in _TABLES:
        for row, entries in _read_toml(file).items():
            for field, entry in entries.items():
                if isinstance(entry, dict):
                    name = f"{row}.{field}"
                    found[name] = _parameter(name, f"{kind} {row}".replace("_", " "), entry)
    return found


def prices_and_utilities() -> dict[str, Parameter]:
    """The parameters that money and QALYs rest on, by name."""
    return {name: one for name, one in parameters().items() if one.unit.startswith(_PRICED_UNITS)}


REGIMENS = tuple(_read_toml("regimens.toml"))
ACTIVITIES = tuple(_read_toml("activities.toml"))
SERVICES = tuple(_read_toml("services.toml"))
MODALITIES = tuple(_read_toml("modalities.toml"))
LOCAL_THERAPIES = tuple(_read_toml("local_therapies.toml"))
ARTERIAL_THERAPIES = tuple(_read_toml("arterial_therapies.toml"))
_ROWS = {
    "regimen": REGIMENS,
    "activity": ACTIVITIES,
    "service": SERVICES,
    "modality": MODALITIES,
    "local": LOCAL_THERAPIES,
    "arterial": ARTERIAL_THERAPIES,
}


@cache
def _life_table_hazard() -> np.ndarray:
    """Yearly hazards −ln(1 − q), shape (2 sexes, ages), of the national life table."""
    path = resources.files("crlm_sim.evidence").joinpath(_LIFE_TABLE)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    q = np.array([[float(row[f"qx_{sex}"]) for row in rows] for sex in ("male", "female")])
    return -np.log1p(-np.minimum(q, 1.0 - 1e-9))


@cache
def _fields() -> list[tuple[str, str, str, tuple[int, ...]]]:
    """(field of the record, table kind or "", column, shape) of everything packed."""
    fields: list[tuple[str, str, str, tuple[int, ...]]] = []
    for name, parameter in parameters().items():
        if "." not in name:
            shape = () if parameter.is_scalar else (len(parameter.value),)
            fields.append((name, "", name, shape))
    for kind, file in _TABLES:
        columns: dict[str, None] = {}
        for entries in _read_toml(file).values():
            columns.update({c: None for c, e in entries.items() if isinstance(e, dict)})
        for column in columns:
            fields.append((f"{kind}_{column}", kind, column, (len(_ROWS[kind]),)))
    return fields


def _dtype() -> np.dtype:
    spec = [(field, "f8", shape) for field, _, _, shape in _fields()]
    spec += [("activity_service", "i8", (len(ACTIVITIES),))]
    spec += [("life_table_hazard", "f8", _life_table_hazard().shape)]
    return np.dtype(spec)


PARAMETERS = _dtype()
"""dtype of the packed record: a field per parameter, an array per column of a table."""


def place_of(name: str) -> tuple[str, int | None]:
    """(field of the packed record, place in it or None) of a parameter, `name[2]` in a list.

    Raises KeyError for a name that is no single number of the tables.
    """
    plain, _, element = name.partition("[")
    parameter = parameters()[plain]
    if parameter.is_scalar == bool(element):
        raise KeyError(name)
    if element and not (
        element.endswith("]")
        and element[:-1].isdecimal()
        and int(element[:-1]) < len(parameter.value)
    ):
        raise KeyError(name)
    if "." not in plain:
        return plain, int(element[:-1]) if element else None
    row, _, column = plain.partition(".")
    for kind, rows in _ROWS.items():
        if row in rows and f"{kind}_{column}" in (PARAMETERS.names or ()):
            return f"{kind}_{column}", rows.index(row)
    raise KeyError(name)


def moved(law: str, value: float, low: float, high: float, z: float) -> float:
    """The value moved z standard deviations on the scale where its law is normal."""
    if law == "lognormal":
        return value * math.exp(z * math.log(high / low) / (2.0 * _Z95))
    if law == "logitnormal":
        if low == high:
            return value
        span = math.log(high / (1.0 - high)) - math.log(low / (1.0 - low))
        logit = math.log(value / (1.0 - value)) + z * span / (2.0 * _Z95)
        return 1.0 / (1.0 + math.exp(-logit))
    return value + z * (high - low) / (2.0 * _Z95)


def drawn(parameter: Parameter, seed: int, draw: int) -> tuple[float, ...]:
    """The parameter's numbers in draw `draw` (0: its values)."""
    p = parameter
    if draw == 0 or p.law == "fixed" or p.lower is None or p.upper is None:
        return p.value
    word = zlib.crc32(p.name.encode())
    numbers = []
    for place, (value, low, high) in enumerate(zip(p.value, p.lower, p.upper, strict=True)):
        u, _ = streams.uniform_pair_at(seed, draw, word, 0, streams.PARAMETER, place)
        numbers.append(moved(p.law, value, low, high, streams.normal_quantile(u)))
    return tuple(numbers)


def changed(changes: dict[str, tuple[float, ...]]) -> dict[str, Parameter]:
    """The parameters with some values set by a scenario, which are then certain.

    Raises KeyError for a name that is not a parameter.
    """
    found = dict(parameters())
    for name, value in changes.items():
        found[name] = replace(
            found[name], value=value, law="fixed", lower=None, upper=None, source="the scenario"
        )
    return found


def pack(
    seed: int = 0,
    draw: int = 0,
    changes: dict[str, tuple[float, ...]] | None = None,
    posterior: Posterior | None = None,
) -> np.ndarray:
    """The packed record (shape (1,), dtype `PARAMETERS`) of one draw, with a scenario's changes.

    With a posterior the numbers it has learned are its own in that draw (draw 0: its medians); what
    the scenario sets stays as it is set, and all others are drawn from their own ranges.
    """
    changes = changes or {}
    table = changed(changes)
    packed = np.zeros(1, PARAMETERS)
    record = packed[0]
    for field, kind, column, shape in _fields():
        if not kind:
            numbers = drawn(table[column], seed, draw)
            record[field] = numbers if shape else numbers[0]
            continue
        for place, row in enumerate(_ROWS[kind]):
            name = f"{row}.{column}"
            if name in table:
                record[field][place] = drawn(table[name], seed, draw)[0]
    if posterior is not None:
        put_values(record, posterior.values(draw), changes)
    record["activity_service"] = _services_of_activities()
    record["life_table_hazard"] = _life_table_hazard()
    return packed


def put_values(record: np.void, values: Mapping[str, float], held: Container[str] = ()) -> None:
    """Put single numbers (`name` or `name[2]`) into a record, but for parameters that are held."""
    for name, value in values.items():
        if name.partition("[")[0] in held:
            continue
        field, place = place_of(name)
        if place is None:
            record[field] = value
        else:
            record[field][place] = value


def check_known(posterior: Posterior) -> Posterior:
    """The posterior itself. Raises PosteriorError if it has a number that the model does not."""
    for name in posterior.names:
        try:
            place_of(name)
        except KeyError:
            text = f"the posterior has learned '{name}', which is no parameter of this model"
            raise PosteriorError(f"{text}: run `crlm calibrate`") from None
    return posterior


@cache
def shipped_posterior() -> Posterior | None:
    """The posterior that comes with the program; None if it has none.

    Raises PosteriorError if it is not whole or of another model.
    """
    folder = calibration_folder()
    if not (folder / "posterior.csv").exists():
        return None
    return check_known(read_posterior(folder))


@cache
def _services_of_activities() -> list[int]:
    entries = _read_toml("activities.toml").values()
    return [SERVICES.index(entry["service"]) for entry in entries]
