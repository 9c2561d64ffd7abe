"""Reading what waiting lists, diaries and beds rest on (`capacity.toml`)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from crlm_sim.evidence.parameters import ACTIVITIES


@cache
def capacity_figures() -> dict[str, dict[str, Any]]:
    """Every figure with its unit and source, by heading and name."""
    text = resources.files("crlm_sim.evidence").joinpath("capacity.toml").read_text("utf-8")
    return tomllib.loads(text)


def figure(heading: str, name: str) -> float:
    """One value."""
    return float(capacity_figures()[heading][name]["value"])


@cache
def due_days() -> tuple[float, ...]:
    """Days after which a waiting patient is due, by class (`care.waiting`)."""
    return tuple(float(entry["value"]) for entry in capacity_figures()["due_days"].values())


@cache
def high_dependency_shares() -> tuple[float, ...]:
    """The share of patients who go to high dependency after each activity, by its number."""
    shares = capacity_figures()["high_dependency_share"]
    return tuple(float(shares[name]["value"]) if name in shares else 0.0 for name in ACTIVITIES)
