"""Hospitals, their sessions and beds, and who is diagnosed when: what makes patients queue."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from crlm_sim.scenario import quantities
from crlm_sim.scenario.kinds import (
    Days,
    Interval,
    Name,
    NotNegative,
    choice,
    within,
)
from crlm_sim.scenario.messages import Wrong, nearest, shown
from crlm_sim.scenario.quantities import MINUTES_PER_DAY
from crlm_sim.scenario.residents import People, people

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SESSION = re.compile(
    r"([A-Za-z]+)(?:\s*-\s*([A-Za-z]+))?\s+(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)"
)
_SESSION_HINT = "such as 'Mon 08:30-17:30' or 'Mon-Fri 09:00-17:00'"
_YEARLY = re.compile(r"(\d\d)-(\d\d)")
MOST_PLACES = 10_000
MONTHS = 12

Slot = tuple[int, int, int]
"""Weekday (Monday 0), first and last minute of the day."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# Reading and writing single values ----------------------------------------------------------------


def _weekday(word: str) -> int:
    for number, name in enumerate(WEEKDAYS):
        if word.casefold()[:3] == name.casefold():
            return number
    raise Wrong(f"unknown day '{word}'", nearest(word[:3].title(), WEEKDAYS))


def _slots(text: object) -> list[Slot]:
    """What one text such as 'Mon-Fri 08:30-17:30' stands for."""
    found = _SESSION.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise Wrong(f"must be a day and a time (got {shown(text)})", _SESSION_HINT)
    first = _weekday(found[1])
    last = _weekday(found[2]) if found[2] else first
    start, end = (60 * int(found[n]) + int(found[n + 1]) for n in (3, 5))
    if max(int(found[4]), int(found[6])) > 59 or end > MINUTES_PER_DAY:
        raise Wrong(f"is no time of the day (got {shown(text)})", _SESSION_HINT)
    if last < first or end <= start:
        raise Wrong(f"must end after it starts (got {shown(text)})", _SESSION_HINT)
    return [(day, start, end) for day in range(first, last + 1)]


def _read_sessions(value: object) -> tuple[Slot, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        raise Wrong(f"must be a list of days and times (got {shown(value)})", _SESSION_HINT)
    slots = sorted(
        slot for one in value for slot in ([one] if isinstance(one, tuple) else _slots(one))
    )
    for (day, _, end), (next_day, start, _) in pairwise(slots):
        if day == next_day and start < end:
            text = f"two sessions overlap on {WEEKDAYS[day]}: one ends at {clock(end)}, the next"
            raise Wrong(f"{text} starts at {clock(start)}", "use `places` for lists side by side")
    return tuple(slots)


def clock(minute: int) -> str:
    """A minute of the day as people write it."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _write_sessions(slots: tuple[Slot, ...]) -> list[str]:
    return [f"{WEEKDAYS[day]} {clock(start)}-{clock(end)}" for day, start, end in slots]


def _read_date(value: object) -> date:
    if type(value) is date:
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass
    raise Wrong(f"must be a date (got {shown(value)})", "such as 2027-01-04, without quotes")


def _read_yearly(value: object) -> date | str:
    """A date, or month and day of every year."""
    found = _YEARLY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return _read_date(value)
    try:
        date(2024, int(found[1]), int(found[2]))
    except ValueError:
        raise Wrong(f"is no day of the year (got {shown(value)})", "such as '07-15'") from None
    return found[0]


def _write_date(value: date | str) -> str:
    return value if isinstance(value, str) else value.isoformat()


def _read_minutes(value: object) -> int:
    """A duration such as '45 minutes' or '4 hours', in whole minutes."""
    text = value.strip() if isinstance(value, str) else ""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(minutes?|min|hours?|h)", text)
    if found is None:
        raise Wrong(f"must be a duration such as '45 minutes' (got {shown(value)})")
    minutes = float(found[1]) * (60 if found[2].startswith("h") else 1)
    return round(minutes)


def _write_minutes(minutes: int) -> str:
    return f"{minutes} minutes"


def _read_change(value: object) -> float:
    """Growth a year, from -50 % to 100 %; it may be negative, such as '-2 %'."""
    if isinstance(value, str) and value.strip().startswith("-"):
        change = -quantities.share(value.strip()[1:])
    elif isinstance(value, str):
        change = quantities.share(value)
    else:
        change = quantities.finite(value)
    if not -0.5 <= change <= 1.0:
        raise Wrong(f"must lie between '-50 %' and '100 %' a year (got {shown(value)})")
    return change


def _read_months(value: object) -> tuple[float, ...]:
    """Twelve numbers that are not negative."""
    if not isinstance(value, list | tuple) or len(value) != MONTHS:
        found = f"{len(value)} numbers" if isinstance(value, list | tuple) else shown(value)
        raise Wrong(f"must be twelve numbers, from January to December (got {found})")
    return tuple(quantities.at_least_zero(number) for number in value)


_TEXT = WithJsonSchema({"type": "string"})
_ANY = WithJsonSchema({})
"""A date of TOML is no type of JSON."""
_SESSIONS = WithJsonSchema({"type": "array", "items": {"type": "string"}})
Sessions = Annotated[
    tuple[Slot, ...],
    BeforeValidator(_read_sessions),
    PlainSerializer(_write_sessions, when_used="json"),
    _SESSIONS,
]
Minutes = Annotated[
    int, BeforeValidator(_read_minutes), PlainSerializer(_write_minutes, when_used="json"), _TEXT
]
Date = Annotated[
    date, BeforeValidator(_read_date), PlainSerializer(_write_date, when_used="json"), _ANY
]
Yearly = Annotated[
    date | str,
    BeforeValidator(_read_yearly),
    PlainSerializer(_write_date, when_used="json"),
    _ANY,
]
_PART = WithJsonSchema({"type": ["number", "string"]})
Months = Annotated[
    tuple[float, ...] | None,
    BeforeValidator(_read_months),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "number", "minimum": 0},
            "minItems": MONTHS,
            "maxItems": MONTHS,
        }
    ),
]
Share = Annotated[float | None, BeforeValidator(quantities.positive_share), _PART]
SomeShare = Annotated[float, BeforeValidator(quantities.share), _PART]
Change = Annotated[float, BeforeValidator(_read_change), _PART]


# Sections -----------------------------------------------------------------------------------------


class Others(_Part):
    """Patients of other diseases who need the same places.

    So many a week join the same list; or a share of the slots is theirs before anybody asks.
    """

    minutes: Minutes = Field(description="How long one of them takes.")
    per_week: NotNegative | None = Field(None, description="How many come in a week and queue.")
    share: Share = Field(None, description="Or the share of slots that they have beforehand.")
    by_month: Months = Field(
        None, description="How many times as many in each month, from January: twelve numbers."
    )

    @model_validator(mode="after")
    def _fit_the_slots(self) -> Others:
        by_month = self.by_month or (1.0,)
        most = max(by_month) * (self.share or 0.0)
        if most > 1.0 + 1e-9:
            month = by_month.index(max(by_month)) + 1
            text = f"in month {month} others would have {most:.0%} of the slots"
            raise Wrong(text, "lower `share` or that number of `by_month`")
        return self

    @model_validator(mode="after")
    def _said_once(self) -> Others:
        if (self.per_week is None) == (self.share is None):
            raise Wrong(
                "say how many other patients come, once",
                'such as { per_week = 40, minutes = "20 minutes" } or share = "60 %"',
            )
        return self


class Period(_Part):
    """Other sessions for a while: none for a closure, fewer in summer, more from some day on."""

    first: Yearly = Field(description="First day, or its month and day for every year ('07-15').")
    last: Yearly = Field(description="Last day.")
    sessions: Sessions = Field((), description="The week's sessions then; none if it is closed.")
    places: Annotated[int, *within(1, MOST_PLACES)] | None = Field(
        None, description="Places side by side then, if other."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        alike = isinstance(self.first, str) == isinstance(self.last, str)
        if not alike:
            raise Wrong("first and last are both dates or both days of every year")
        if isinstance(self.first, date) and isinstance(self.last, date) and self.last < self.first:
            raise Wrong(f"last ({self.last}) comes before first ({self.first})")
        return self


class Station(_Part):
    """One service at one hospital: when it is open, and for how many at a time."""

    sessions: Sessions = Field((), description="The week's sessions: 'Mon 08:30-17:30'.")
    places: Annotated[int, *within(1, MOST_PLACES)] = Field(
        1, description="Patients at a time: theatres, scanners, chairs."
    )
    turnaround: Minutes = Field(0, description="Time between two patients.")
    others: Others | None = None
    periods: tuple[Period, ...] = Field((), description="When the sessions are other ones.")
    teams: tuple[str, ...] = Field(
        (), description="Services whose places are needed together, instead of own sessions."
    )


class Hospital(_Part):
    """Where patients are diagnosed, and where those go who need what it does not have."""

    population: People = Field(
        0.0,
        description="People it serves as their local hospital; or [men, women] by age band.",
    )
    refers_to: Name | None = Field(None, description="Hospital for services it does not have.")
    travel: Minutes | None = Field(
        None, description="How long its patients travel there, one way: '50 minutes'."
    )
    ward_beds: Annotated[int, *within(0, MOST_PLACES)] | None = Field(
        None, description="Ward beds for these patients; as many as it takes if not said."
    )
    high_dependency_beds: Annotated[int, *within(0, MOST_PLACES)] | None = Field(
        None, description="High-dependency beds; as many as it takes if not said."
    )

    @property
    def people(self) -> float:
        """How many it serves."""
        return people(self.population)


HOLIDAYS = ("none", "england_and_wales")


class Calendar(_Part):
    """The days of a run."""

    first_day: Date = Field(date(2027, 1, 4), description="Day 1 of the run.")
    holidays: Annotated[Literal["none", "england_and_wales"], BeforeValidator(choice(HOLIDAYS))] = (
        Field("none", description="Public holidays, on which there are no sessions.")
    )
    closed: tuple[Date, ...] = Field((), description="Further days without sessions anywhere.")


class Arrivals(_Part):
    """Who is diagnosed when: a Poisson process with season and trend."""

    per_100_000: NotNegative | None = Field(
        None,
        description=(
            "New patients a year of each 100,000 people of the nation's ages; ours if not said."
        ),
    )
    season: SomeShare = Field(
        0.0, description="How much more are diagnosed in the peak month than on average."
    )
    peak_month: Annotated[int, *within(1, 12)] = Field(1, description="The month of most.")
    trend: Change = Field(0.0, description="Growth a year, such as '2 %'.")
    warm_up: Days = Field(quantities.days("1 year"), description="Run in before anything counts.")
    period: Interval = Field(quantities.days("5 years"), description="How long things are counted.")
    follow_up: Days = Field(
        quantities.days("1 year"), description="How long the last counted patients are followed."
    )

    @property
    def days(self) -> float:
        """The whole run."""
        return self.warm_up + self.period + self.follow_up


# The whole ----------------------------------------------------------------------------------------


class Region(_Part):
    """Everything that makes patients queue; empty if nobody does.

    `stations` are by service and hospital. A patient goes to the own hospital's station, else to
    that of the hospital it refers to, and so on.
    """

    hospitals: dict[str, Hospital] = {}
    stations: dict[str, dict[str, Station]] = {}
    calendar: Calendar = Calendar()
    arrivals: Arrivals = Arrivals()

    def provider(self, service: str, home: str) -> str | None:
        """The hospital that has a service for the patients of `home`; None if none has."""
        seen: set[str] = set()
        hospital: str | None = home
        while hospital is not None and hospital not in seen:
            if hospital in self.stations.get(service, {}):
                return hospital
            seen.add(hospital)
            found = self.hospitals.get(hospital)
            hospital = found.refers_to if found else None
        return None

    def travel(self, home: str, there: str) -> int:
        """Minutes one way from a hospital to one it refers to, along the referrals."""
        minutes = 0
        while home != there:
            minutes += self.hospitals[home].travel or 0
            home = self.hospitals[home].refers_to or there
        return minutes
