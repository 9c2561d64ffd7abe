"""What is wrong with hospitals and sessions, said before a run in a planner's words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache

from crlm_sim.evidence import ACTIVITIES, SERVICES, pack, parameters
from crlm_sim.scenario.lines import Path
from crlm_sim.scenario.messages import nearest
from crlm_sim.scenario.region import Region, Slot, Station
from crlm_sim.scenario.source import Source


def check_region(source: Source, region: Region) -> None:
    """Report referrals to nowhere, sessions that cannot be used, waits said twice."""
    _check_referrals(source, region)
    for service, stations in region.stations.items():
        for hospital, station in stations.items():
            path = ("services", service, hospital)
            if hospital not in region.hospitals:
                text = f"unknown hospital '{hospital}'"
                hint = nearest(hospital, list(region.hospitals)) if region.hospitals else ""
                source.report(path, text, hint or f"add [hospitals.{hospital}]", key=True)
            _check_station(source, path, service, hospital, station, region)
        said = source.data["services"][service]
        for key in ("wait", "wait_cv"):
            if key in said:
                text = "this service has sessions: its wait is what the queue makes it"
                source.wrong(("services", service, key), text, "keep one of them")
    if not source.problems:  # else what is missing may only be misspelt
        for service in region.stations:
            _check_everybody_has_one(source, service, region)
    if region.hospitals and not any(h.people for h in region.hospitals.values()):
        source.report(("hospitals",), "no hospital serves anybody", "add population = 500_000")


def _check_referrals(source: Source, region: Region) -> None:
    for name, hospital in region.hospitals.items():
        path = ("hospitals", name, "refers_to")
        there = hospital.refers_to
        if there is None and hospital.travel is not None:
            text = "travel is to the hospital it refers to, and it refers to none"
            source.wrong(("hospitals", name, "travel"), text, "add refers_to, or leave travel out")
        if there is None:
            continue
        if there not in region.hospitals:
            others = [other for other in region.hospitals if other != name]
            source.wrong(path, f"unknown hospital '{there}'", nearest(there, others))
            continue
        chain = [name]
        while there is not None and there in region.hospitals and there not in chain:
            chain.append(there)
            there = region.hospitals[there].refers_to
        if there == name:
            text = f"these hospitals refer to each other in a circle: {' → '.join([*chain, name])}"
            source.wrong(path, text)


def _check_everybody_has_one(source: Source, service: str, region: Region) -> None:
    for name, hospital in region.hospitals.items():
        if hospital.people and region.provider(service, name) is None:
            text = f"patients of '{name}' have nowhere to go for this"
            hint = f"add [services.{service}.{name}] or refers_to to [hospitals.{name}]"
            source.report(("services", service), f"services.{service}: {text}", hint, key=True)


def _check_station(
    source: Source, path: Path, service: str, hospital: str, station: Station, region: Region
) -> None:
    if station.teams:
        if station.sessions:
            source.wrong(path, "has sessions of its own and teams", "keep one of them")
        for team in station.teams:
            if hospital not in region.stations.get(team, {}):
                hint = nearest(team, list(region.stations))
                text = f"'{hospital}' has no sessions for '{team}'"
                source.wrong((*path, "teams"), text, hint)
        return
    ever = [slot for period in station.periods for slot in period.sessions]
    if not station.sessions and not ever:
        text = "never open: there are no sessions"
        source.wrong(path, text, 'add sessions = ["Mon 08:30-17:30"]')
        return
    longest = max(end - start for _, start, end in (*station.sessions, *ever))
    others = station.others
    slot = others.minutes if others and others.share is not None else longest
    for activity, minutes in _planned(service).items():
        if minutes > slot:
            text = (
                f"{activity.replace('_', ' ')} takes {minutes} minutes, more than a slot of the "
                f"other patients ({slot})"
            )
            source.wrong((*path, "others"), text, "make slots longer, or say `per_week`")
            return
        if minutes > longest:
            text = (
                f"the longest session lasts {longest} minutes, "
                f"{activity.replace('_', ' ')} takes {minutes}"
            )
            source.wrong((*path, "sessions"), text, "make it longer")
            return
    _check_open(source, path, station, region)


@cache
def _planned(service: str) -> Mapping[str, int]:
    """Minutes the diary reckons with for each activity of a service."""
    table = parameters()
    return {
        activity: math.ceil(table[f"{activity}.minutes"].value[0])
        for activity, number in zip(ACTIVITIES, pack()[0]["activity_service"], strict=True)
        if SERVICES[number] == service
    }


def _check_open(source: Source, path: Path, station: Station, region: Region) -> None:
    """Report a place that is closed from the first counted day to the last."""
    first = region.calendar.first_day
    days = math.ceil(region.arrivals.days)
    counted = range(math.floor(region.arrivals.warm_up), days)
    if not any(sessions_on(station, first + timedelta(days=day)) for day in counted):
        source.wrong(path, "closed for the whole run", "shorten the closure or lengthen the run")


def sessions_on(station: Station, day: date) -> tuple[Slot, ...]:
    """The slots of a station on a day, the last period that holds it counting."""
    slots = station.sessions
    for period in station.periods:
        if within(day, period.first, period.last):
            slots = period.sessions
    return tuple(slot for slot in slots if slot[0] == day.weekday())


def places_on(station: Station, day: date) -> int:
    """Places side by side on a day."""
    places = station.places
    for period in station.periods:
        if period.places is not None and within(day, period.first, period.last):
            places = period.places
    return places


def within(day: date, first: date | str, last: date | str) -> bool:
    """Whether a day lies in a period, which may be one of every year and pass its end."""
    if isinstance(first, date) and isinstance(last, date):
        return first <= day <= last
    this = f"{day:%m-%d}"
    start, end = str(first), str(last)
    return start <= this <= end if start <= end else this >= start or this <= end
