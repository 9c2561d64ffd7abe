"""A scenario's hospitals as the agents engine needs them, and who is diagnosed where and when."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np

from crlm_sim import streams
from crlm_sim.compiled import compiled
from crlm_sim.engines.diary import DAYS_PER_WEEK, Session, public_holidays
from crlm_sim.engines.network import BedPlan, Network, OtherPatients, StationPlan
from crlm_sim.evidence import SERVICES
from crlm_sim.evidence.capacity import figure
from crlm_sim.scenario.quantities import DAYS_PER_YEAR, MINUTES_PER_DAY
from crlm_sim.scenario.region import (
    MOST_PLACES,
    Arrivals,
    Calendar,
    Others,
    Region,
    Station,
)
from crlm_sim.scenario.region_checks import places_on, sessions_on

MOST_AT_A_HOSPITAL = 2**20
"""Patients of hospital h have numbers from h times this on, whoever else there is."""
_PER = 100_000.0


def network_of(region: Region, seed: int, draw: int = 0, replicate: int = 0) -> Network:
    """Stations, beds and who goes where, over the whole run.

    The seed is that of the patients; it says which places are taken by others beforehand.
    """
    names = list(region.hospitals)
    days = _days(region.calendar, math.ceil(region.arrivals.days))
    numbers: dict[tuple[str, str], int] = {}
    plans: list[StationPlan] = []
    for service, stations in region.stations.items():
        for hospital, station in stations.items():
            if not station.teams:
                numbers[service, hospital] = len(plans)
                diary = _diary(station, days)
                if station.others and station.others.share is not None:
                    stream = (seed, draw, replicate, len(plans))
                    diary = _left_by_others(diary, station.others, stream)
                plan = _plan(service, hospital, names.index(hospital), station, diary)
                plans.append(plan)
    where = {}
    for service in region.stations:
        for home, name in enumerate(names):
            there = region.provider(service, name)
            if there is not None:
                teams = region.stations[service][there].teams or (service,)
                key = (SERVICES.index(service), home)
                where[key] = tuple(numbers[team, there] for team in teams)
    beds = {
        number: BedPlan(hospital.ward_beds, hospital.high_dependency_beds)
        for number, hospital in enumerate(region.hospitals.values())
        if hospital.ward_beds is not None or hospital.high_dependency_beds is not None
    }
    return Network(tuple(plans), where, round(region.arrivals.days * MINUTES_PER_DAY), beds)


def _plan(
    service: str, hospital: str, number: int, station: Station, diary: list[Session]
) -> StationPlan:
    others = None
    if station.others and station.others.per_week is not None:
        others = OtherPatients(station.others.per_week / DAYS_PER_WEEK, station.others.minutes)
    name = f"{service}, {hospital}"
    return StationPlan(name, number, tuple(diary), station.turnaround, others)


def _diary(station: Station, days: list[date | None]) -> list[Session]:
    diary = []
    for count, day in enumerate(days):
        if day is not None:
            midnight = count * MINUTES_PER_DAY
            places = places_on(station, day)
            diary += [
                Session(midnight + start, midnight + end, places)
                for _, start, end in sessions_on(station, day)
            ]
    return diary


def _left_by_others(
    diary: list[Session], others: Others, stream: tuple[int, int, int, int]
) -> list[Session]:
    """What others who are booked beforehand leave: slots with the places that are still free."""
    slots = [
        (start, start + others.minutes, session.places)
        for session in diary
        for start in range(session.start, session.end - others.minutes + 1, others.minutes)
    ]
    places = np.array([number for _, _, number in slots], np.int64)
    free = _free_places(*stream, others.share, places)
    return [
        Session(start, end, number)
        for (start, end, _), number in zip(slots, free.tolist(), strict=True)
        if number
    ]


@compiled
def _free_places(seed, draw, replicate, station, share, places):
    """Of the places in each slot, those no other patient has; each is free or not by itself."""
    free = np.zeros_like(places)
    for slot in range(len(places)):
        for place in range(places[slot]):
            u, _ = streams.uniform_pair_at(
                seed, draw, slot, replicate, streams.OTHER_PATIENTS, station * MOST_PLACES + place
            )
            free[slot] += u >= share
    return free


def _days(calendar: Calendar, number: int) -> list[date | None]:
    """The days of a run, None for one on which everything is closed."""
    days = [calendar.first_day + timedelta(days=count) for count in range(number)]
    shut = set(calendar.closed)
    if calendar.holidays != "none":
        for year in range(days[0].year, days[-1].year + 1):
            shut.update(public_holidays(year))
    return [None if day in shut else day for day in days]


# Who is diagnosed ---------------------------------------------------------------------------------


def expected_per_year(region: Region, hospital: str) -> float:
    """New patients a year of one hospital, before season and trend."""
    said = region.arrivals.per_100_000
    per = figure("incidence", "per_100_000_a_year") if said is None else said
    return region.hospitals[hospital].population / _PER * per


def diagnosed(
    region: Region, seed: int, draw: int = 0, replicate: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(numbers, minutes of diagnosis, hospitals) of everybody diagnosed in a run, int64, by time.

    A non-homogeneous Poisson process at each hospital, by thinning (Lewis and Shedler 1979). Each
    candidate has draws of its own, so that patients stay who they are when something else changes.
    """
    found = [
        _at_hospital(region, place, name, seed, draw, replicate)
        for place, name in enumerate(region.hospitals)
    ]
    numbers = np.concatenate([one[0] for one in found])
    minutes = np.concatenate([one[1] for one in found])
    order = np.lexsort((numbers, minutes))
    numbers, minutes = numbers[order], minutes[order]
    return numbers, minutes, numbers // MOST_AT_A_HOSPITAL


def _at_hospital(
    region: Region, place: int, name: str, seed: int, draw: int, replicate: int
) -> tuple[np.ndarray, np.ndarray]:
    arrivals = region.arrivals
    per_day = expected_per_year(region, name) / DAYS_PER_YEAR
    years = arrivals.days / DAYS_PER_YEAR
    most = per_day * (1.0 + arrivals.season) * max(1.0, (1.0 + arrivals.trend) ** years)
    numbers: list[int] = []
    minutes: list[int] = []
    day = 0.0
    number = place * MOST_AT_A_HOSPITAL
    while per_day > 0.0:
        u, v = streams.uniform_pair_at(seed, draw, number, replicate, streams.ARRIVAL, 0)
        day -= math.log(u) / most
        if day >= arrivals.days:
            break
        if v * most < per_day * _more(arrivals, region.calendar.first_day, day):
            numbers.append(number)
            minutes.append(int(day * MINUTES_PER_DAY))
        number += 1
    return np.array(numbers, np.int64), np.array(minutes, np.int64)


def _more(arrivals: Arrivals, first_day: date, day: float) -> float:
    """Season and trend on a day of the run, relative to the rate at its start."""
    of_year = (first_day.timetuple().tm_yday - 1 + day) / DAYS_PER_YEAR
    peak = (arrivals.peak_month - 0.5) / 12.0
    season = 1.0 + arrivals.season * math.cos(2.0 * math.pi * (of_year - peak))
    return season * (1.0 + arrivals.trend) ** (day / DAYS_PER_YEAR)
