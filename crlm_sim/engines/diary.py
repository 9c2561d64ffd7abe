"""Diaries: when a service is open, and for how many patients at a time.

The clock's minute 0 is midnight before the first day of a run. A week's template and the days on
which nothing takes place make the sessions of a whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER

DAYS_PER_WEEK = 7


class Session(NamedTuple):
    """`places` patients at a time from minute `start` to minute `end` of the run."""

    start: int
    end: int
    places: int


class Weekly(NamedTuple):
    """A session of every week: weekday (Monday 0), minutes of the day, places."""

    weekday: int
    start: int
    end: int
    places: int


def always(places: int) -> list[Session]:
    """One session that never ends."""
    return [Session(0, NEVER, places)]


def sessions(
    template: Sequence[Weekly], first_day: date, days: int, closed: Iterable[date] = ()
) -> list[Session]:
    """The sessions of `days` days from `first_day` on, by start; none on a closed day."""
    shut = set(closed)
    by_weekday: list[list[Weekly]] = [[] for _ in range(DAYS_PER_WEEK)]
    for entry in sorted(template):
        by_weekday[entry.weekday].append(entry)
    found = []
    for number in range(days):
        day = first_day + timedelta(days=number)
        if day in shut:
            continue
        midnight = number * MINUTES_PER_DAY
        for entry in by_weekday[day.weekday()]:
            found.append(Session(midnight + entry.start, midnight + entry.end, entry.places))
    return found


def public_holidays(year: int) -> list[date]:
    """The bank holidays of England and Wales by their rules, without days given instead."""
    easter = _easter(year)
    return [
        date(year, 1, 1),
        easter - timedelta(days=2),
        easter + timedelta(days=1),
        _monday_from(date(year, 5, 1)),
        _monday_from(date(year, 5, 25)),
        _monday_from(date(year, 8, 25)),
        date(year, 12, 25),
        date(year, 12, 26),
    ]


def _monday_from(day: date) -> date:
    return day + timedelta(days=-day.weekday() % DAYS_PER_WEEK)


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous rule in Meeus)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)
