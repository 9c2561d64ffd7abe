"""A scenario's hospitals as the agents engine needs them, and who is diagnosed where and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crlm_sim import streams
from crlm_sim.compiled import compiled
from crlm_sim.disease.patient import FEMALE, MALE
from crlm_sim.engines.cohort import blank_records
from crlm_sim.engines.diary import DAYS_PER_WEEK, Session, public_holidays
from crlm_sim.engines.network import BedPlan, Network, OtherPatients, StationPlan
from crlm_sim.evidence import SERVICES
from crlm_sim.evidence.capacity import incidence_by_age, national_incidence, residents_by_age
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
from crlm_sim.scenario.residents import Bands, years_of

MOST_AT_A_HOSPITAL = 2**20
"""Patients of hospital h have numbers from h times this on, whoever else there is."""


def network_of(region: Region, seed: int, draw: int = 0, replicate: int = 0) -> Network:
    """Stations, beds and who goes where, over the whole run.

    The seed is that of the patients; it says which places are taken by others beforehand.
    """
    names = list(region.hospitals)
    days = _days(region.calendar, math.ceil(region.arrivals.days))
    first_day, end = region.calendar.first_day, round(region.arrivals.days * MINUTES_PER_DAY)
    numbers: dict[tuple[str, str], int] = {}
    plans: list[StationPlan] = []
    for service, stations in region.stations.items():
        for hospital, station in stations.items():
            if not station.teams:
                numbers[service, hospital] = len(plans)
                diary = _diary(station, days)
                if station.others and station.others.share is not None:
                    stream = (seed, draw, replicate, len(plans))
                    diary = _left_by_others(diary, station.others, first_day, stream)
                plans.append(
                    StationPlan(
                        f"{service}, {hospital}",
                        names.index(hospital),
                        tuple(diary),
                        station.turnaround,
                        _others_who_queue(station, first_day, end),
                    )
                )
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
    travel = {
        (home, there): region.travel(name, other)
        for home, name in enumerate(names)
        for there, other in enumerate(names)
        if name != other and any(region.provider(one, name) == other for one in region.stations)
    }
    return Network(tuple(plans), where, end, beds, travel)


def _others_who_queue(station: Station, first_day: date, end: int) -> OtherPatients | None:
    others = station.others
    if others is None or others.per_week is None:
        return None
    pace = _pace(others.by_month, first_day, end) if others.by_month else ()
    return OtherPatients(others.per_week / DAYS_PER_WEEK, others.minutes, pace)


def _pace(by_month: Sequence[float], first_day: date, end: int) -> tuple[tuple[int, float], ...]:
    """How far an average of one has come, as `OtherPatients` has it, where months begin."""
    days = [first_day + timedelta(days=n) for n in range(-(-end // MINUTES_PER_DAY))]
    begins = [n * MINUTES_PER_DAY for n, day in enumerate(days) if n == 0 or day.day == 1]
    found = [(0, 0.0)]
    for start, stop in pairwise([*begins, end]):
        more = by_month[days[start // MINUTES_PER_DAY].month - 1]
        found.append((stop, found[-1][1] + more * (stop - start)))
    return tuple(found)


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
    diary: list[Session], others: Others, first_day: date, stream: tuple[int, int, int, int]
) -> list[Session]:
    """What others who are booked beforehand leave: slots with the places that are still free."""
    slots = [
        (start, start + others.minutes, session.places)
        for session in diary
        for start in range(session.start, session.end - others.minutes + 1, others.minutes)
    ]
    places = np.array([number for _, _, number in slots], np.int64)
    shares = np.full(len(slots), others.share)
    if others.by_month:
        days = [first_day + timedelta(minutes=start) for start, _, _ in slots]
        shares *= [others.by_month[day.month - 1] for day in days]
    free = _free_places(*stream, shares, places)
    return [
        Session(start, end, number)
        for (start, end, _), number in zip(slots, free.tolist(), strict=True)
        if number
    ]


@compiled
def _free_places(seed, draw, replicate, station, shares, places):
    """Of the places in each slot, those no other patient has; each is free or not by itself."""
    free = np.zeros_like(places)
    for slot in range(len(places)):
        for place in range(places[slot]):
            u, _ = streams.uniform_pair_at(
                seed, draw, slot, replicate, streams.OTHER_PATIENTS, station * MOST_PLACES + place
            )
            free[slot] += u >= shares[slot]
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


def expected_by_age(region: Region, hospital: str) -> NDArray[np.float64]:
    """New patients a year of one hospital by sex and year of age, before season and trend.

    Shape (2, ages). People of a band are spread over its years as in the nation.
    """
    said = region.arrivals.per_100_000
    level = 1.0 if said is None else said / national_incidence()
    return level * _people(region.hospitals[hospital].population) * incidence_by_age()


def expected_per_year(region: Region, hospital: str) -> float:
    """New patients a year of one hospital, before season and trend."""
    return float(expected_by_age(region, hospital).sum())


def _people(population: float | Bands) -> NDArray[np.float64]:
    national = residents_by_age()
    if not isinstance(population, dict):
        return population * national / national.sum()
    found = np.zeros_like(national)
    for band, pair in population.items():
        years = slice(*years_of(band))
        own = national[:, years]
        found[:, years] = np.array(pair)[:, None] * own / own.sum(axis=1, keepdims=True)
    return found


def arriving(
    region: Region, seed: int, draw: int = 0, replicate: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `diagnosed`, with blank records of the patients, whose age and sex are set, for numbers.

    Records: shape (patients,), dtype `PATIENT`.
    """
    numbers, minutes, homes = diagnosed(region, seed, draw, replicate)
    patients = blank_records(numbers, seed, draw, replicate)
    for place, name in enumerate(region.hospitals):
        own = homes == place
        patients[own] = with_age_and_sex(patients[own], expected_by_age(region, name))
    return patients, minutes, homes


def with_age_and_sex(patients: np.ndarray, expected: NDArray[np.float64]) -> np.ndarray:
    """Blank records as diagnosed at `expected` a year by sex and year of age, shape (2, ages).

    The draws are those that the population's own law takes, so that under another structure the
    same patient is as old and as likely a woman compared with the others. Ages are spread evenly
    within a year.
    """
    u, v = _age_draws(patients)
    by_age = np.cumsum(np.pad(expected, ((0, 0), (1, 0))), axis=1)
    men, women = by_age[:, -1]
    years = np.arange(by_age.shape[1])
    patients["sex"] = np.where(v * (men + women) < women, FEMALE, MALE)
    of_men, of_women = (np.interp(u * one[-1], one, years) for one in by_age)
    patients["age_years"] = np.where(patients["sex"] == FEMALE, of_women, of_men)
    return patients


@compiled
def _age_draws(patients):
    found = np.empty((2, len(patients)))
    for place in range(len(patients)):
        found[0, place], found[1, place] = streams.uniform_pair(patients[place], streams.AGE, 0)
    return found


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
