"""Policies and rules as the compiled code reads them: flat records of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crlm_sim.care.policy import (
    CHOICES,
    MOST_CHANGES,
    MOST_OPERATIONS,
    MOST_RULES,
    NO_REGIMEN,
    NO_THERAPY,
    POLICY,
    RULES,
    THERAPIES,
)
from crlm_sim.evidence import REGIMENS
from crlm_sim.scenario import quantities
from crlm_sim.scenario.kinds import NONE
from crlm_sim.scenario.messages import Wrong
from crlm_sim.scenario.rules import compile_rule, join, parse

_FIELDS: tuple[str, ...] = POLICY.names or ()
_SURVEILLANCE = "surveillance_period"


def _setting_of(field: str) -> str:
    """The setting that fills a field of the packed record."""
    if field == "surveillance_years":
        return _SURVEILLANCE
    return field.removesuffix("_days").removesuffix("_years")


_FIELD_OF = {_setting_of(field): field for field in _FIELDS}
SETTINGS = tuple(_FIELD_OF)
"""Everything a policy says and a rule may change, in the order of the packed record."""


def packed_policy(values: Mapping[str, Any]) -> np.ndarray:
    """A policy's settings: shape (1,), dtype `POLICY`."""
    record = np.zeros(1, POLICY)
    for setting, field in _FIELD_OF.items():
        record[field] = _packed_value(setting, values[setting])
    return record


def packed_rules(rules: Sequence[tuple[str, Mapping[str, Any]]]) -> np.ndarray:
    """Rules, each a condition's text and what it changes: shape (1,), dtype `RULES`.

    Raises `Wrong` if they do not fit.
    """
    programs = [compile_rule(parse(when)) for when, _ in rules]
    operations, arguments, starts = join(programs)
    changes = [change for _, do in rules for change in do.items()]
    _check_room("rules", len(rules), MOST_RULES)
    _check_room("comparisons and connectives", len(operations), MOST_OPERATIONS)
    _check_room("settings set by rules", len(changes), MOST_CHANGES)
    record = np.zeros(1, RULES)
    record["count"] = len(rules)
    record["starts"][0, : len(starts)] = starts
    record["operations"][0, : len(operations)] = operations
    record["arguments"][0, : len(arguments)] = arguments
    ends = np.cumsum([0, *(len(do) for _, do in rules)])
    record["changes"][0, : len(ends)] = ends
    for place, (setting, value) in enumerate(changes):
        record["setting"][0, place] = _FIELDS.index(_FIELD_OF[setting])
        record["value"][0, place] = _packed_value(setting, value)
    return record


def _check_room(what: str, count: int, most: int) -> None:
    if count > most:
        raise Wrong(f"too many {what}: {count}, at most {most}", "merge some of the rules")


def _packed_value(setting: str, value: Any) -> float:
    """A setting's value as the packed record holds it."""
    if setting in CHOICES:
        return float(CHOICES[setting].index(value))
    if setting in THERAPIES:
        return float(NO_THERAPY if value == NONE else THERAPIES[setting].index(value))
    if setting.endswith("_regimen"):
        return float(NO_REGIMEN if value == NONE else REGIMENS.index(value))
    if _FIELD_OF[setting].endswith("_years"):
        return float(value) / quantities.DAYS_PER_YEAR
    return float(value)
