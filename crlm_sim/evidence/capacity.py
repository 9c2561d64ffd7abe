"""Reading what waiting lists, diaries, beds and arrivals rest on (`capacity.toml`)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.evidence.parameters import ACTIVITIES, parameters

_SEXES = ("men", "women")
_PER = 100_000.0


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


# By age and sex -----------------------------------------------------------------------------------


@cache
def _band_years() -> NDArray[np.int64]:
    """Years of age in each band of the tables."""
    last = parameters()["age_oldest_years"].value[0]
    starts = capacity_figures()["residents"]["age_from"]["value"]
    edges = np.array([*starts, last], np.int64)
    return edges[1:] - edges[:-1]


def _by_band(heading: str, name: str) -> NDArray[np.float64]:
    return np.array(capacity_figures()[heading][name]["value"], float)


@cache
def residents_by_age() -> NDArray[np.float64]:
    """People of the nation by sex and year of age, shape (2, ages); even within a band."""
    years = _band_years()
    return np.array([np.repeat(_by_band("residents", sex) / years, years) for sex in _SEXES])


@cache
def incidence_by_age() -> NDArray[np.float64]:
    """New patients with colorectal cancer and liver metastases a year for each person.

    By sex and year of age, shape (2, ages).
    """
    share = _by_band("liver_metastases_at_diagnosis", "share") / _PER
    cancers = [_by_band("colorectal_cancer", sex) for sex in _SEXES]
    return np.array([np.repeat(share * one, _band_years()) for one in cancers])


@cache
def national_incidence() -> float:
    """New patients a year of each 100,000 people of the nation."""
    people = residents_by_age()
    return float(_PER * (people * incidence_by_age()).sum() / people.sum())
