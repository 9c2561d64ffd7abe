"""The services patients ask for: unlimited ones, and stations with sessions and a waiting list.

Where a service is unlimited, the wait is the scenario's stated distribution, drawn in `care`. A
station makes the wait itself. Whoever is ready joins its list with a due date; as soon as a place
is free, the one with the earliest due date (Jackson's rule) whose planned time still fits into the
session is called. So urgent patients come first, and nobody waits for ever behind later ones.
Nobody is called out of a place: what takes longer than planned ends the session late.

An operation of two teams stands on the lists of both stations and is called when both have a place
at once. No place is kept idle for it: while one team is busy, later patients of the other are
called, so it may wait for ever where the two lists do not open together. Give such operations
sessions that do, or a station of their own: a joint list.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from heapq import merge
from operator import attrgetter

import simpy
from simpy.events import EventPriority

from crlm_sim.disease.patient import NEVER
from crlm_sim.engines.diary import Session
from crlm_sim.evidence import SERVICES

_EVERYBODY = sys.maxsize
_LATER = EventPriority(2)
"""SimPy's priority of calling: after everything else of the same minute (0 urgent, 1 normal)."""

Key = tuple[int, int]
"""Minute due, number: the order of a waiting list, without ties."""


def unlimited(env: simpy.Environment) -> list[simpy.Resource]:
    """One resource per service, in the order of `evidence`, none of which ever makes wait."""
    return [simpy.Resource(env, capacity=_EVERYBODY) for _ in SERVICES]


class Ticket:
    """A place on a waiting list: `turn` happens with True when called, False when given up."""

    __slots__ = ("admits", "key", "limit", "planned", "rooms", "stations", "turn")

    def __init__(
        self,
        env: simpy.Environment,
        key: Key,
        planned: int,
        stations: Sequence[Station],
        admits: Callable[[], bool] | None = None,
    ) -> None:
        self.key = key
        self.planned = planned
        """Minutes the diary reckons with."""
        self.stations = stations
        """Those whose places it needs, all at once."""
        self.admits = admits
        """Whether there is a bed, if one is needed."""
        self.limit = (NEVER, 0)
        """When it is given up, and its number among those that are given a limit."""
        self.turn: simpy.Event = env.event()
        self.rooms: list[Open] = []

    def __lt__(self, other: Ticket) -> bool:
        return self.key < other.key


class Open:
    """A session that has begun: its free places, and what has been done in it."""

    __slots__ = ("called_off", "free", "number", "overrun", "places", "stops", "used")

    def __init__(self, session: Session, number: int) -> None:
        _, self.stops, self.places = session
        self.number = number
        """Its place in the diary."""
        self.free = self.places
        self.used = 0
        """Minutes of places in use, up to now, within the session and beyond."""
        self.overrun = 0
        """The same beyond its end."""
        self.called_off: dict[int, int] = {}
        """Planned minutes of those called off for want of a bed, by number."""

    def call_off(self, number: int, planned: int, now: int) -> None:
        """Note that somebody found no bed; only those who would in turn have filled the session."""
        before = sum(self.called_off.values()) // self.places
        if now + before + planned <= self.stops:
            self.called_off.setdefault(number, planned)


class _Call(simpy.Event):
    """Calls a function in a minute to come, or in this, after everything else of that minute."""

    def __init__(
        self, env: simpy.Environment, delay: int, function: Callable[[simpy.Event], None]
    ) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        self.callbacks = [function]
        env.schedule(self, _LATER, delay)


class Desk:
    """Calls patients to the stations that have something new, in the order of their lists."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.stations: list[Station] = []
        self._agenda: dict[int, set[int]] = {}
        """Numbers of the stations to look at, by minute."""
        self._limited = 0
        self._alarm = NEVER
        """When it is next seen to who gives up: one timer does for all."""

    def look(self, station: Station, minute: int) -> None:
        """Look at a station's list at the end of a minute."""
        numbers = self._agenda.get(minute)
        if numbers is None:
            self._agenda[minute] = {station.number}
            _Call(self.env, minute - int(self.env.now), self._call)
        else:
            numbers.add(station.number)

    def _call(self, _: simpy.Event) -> None:
        numbers = self._agenda.pop(int(self.env.now))
        awake = [self.stations[number] for number in sorted(numbers)]
        able = [station for station in awake if station.is_able()]
        if able:
            _call_from(able)
        for station in awake:
            station.look_ahead()

    def limit(self, ticket: Ticket, minute: int) -> None:
        """Let a ticket be given up at a minute to come, if it has not been called by then."""
        self._limited += 1
        ticket.limit = (minute, self._limited)
        if minute < self._alarm:
            self._set_alarm(minute)

    def _set_alarm(self, minute: int) -> None:
        self._alarm = minute
        self.env.timeout(minute - self.env.now).callbacks.append(self._ring)

    def _ring(self, _: simpy.Event) -> None:
        """Let those give up whose limit is now, in the order in which they asked."""
        now = self._alarm
        if now != self.env.now:  # it was set anew, for an earlier minute
            return
        self._alarm = NEVER
        waiting = [ticket for station in self.stations for ticket in station.waiting]
        for ticket in sorted(waiting, key=attrgetter("limit")):
            minute = ticket.limit[0]
            if minute > now:
                if minute < NEVER:
                    self._set_alarm(minute)
                return
            give_up(ticket)


class Station:
    """One service at one place: its diary and its waiting list.

    Sessions begin unseen while nobody waits; else the desk looks at the list when one does.
    """

    def __init__(self, desk: Desk, name: str, diary: Sequence[Session]) -> None:
        self.name = name
        self.number = len(desk.stations)
        self.diary = sorted(diary)
        self.waiting: list[Ticket] = []
        self.sessions: list[Open] = []
        """Sessions that have begun, but for those that ended before anybody came."""
        self.shortest = sys.maxsize
        """The least planned minutes of all who ever joined: with less time left nobody fits."""
        self._desk = desk
        self._env = desk.env
        self._open: list[Open] = []
        self._next = 0
        self._begins = self.diary[0].start if diary else NEVER
        """When the next session does, the first that is not among `sessions`."""
        self._looks_at = -1
        """The minute of a beginning at which the desk will look, or has looked."""
        desk.stations.append(self)

    def _begin(self, now: int) -> None:
        """Begin the sessions of the diary up to now."""
        diary = self.diary
        while self._begins <= now:
            session = diary[self._next]
            self._next += 1
            self._begins = diary[self._next].start if self._next < len(diary) else NEVER
            if session.end >= now:
                begun = Open(session, self._next - 1)
                self.sessions.append(begun)
                self._open = [other for other in self._open if other.stops > session.start]
                insort(self._open, begun, key=lambda one: one.stops)

    def begun(self) -> list[Session]:
        """The sessions of the diary that have begun before this minute."""
        return self.diary[: bisect_left(self.diary, (self._env.now,))]

    def room_for(self, planned: int) -> Open | None:
        """The session, closing first, with a free place and enough time left."""
        now = int(self._env.now)
        if self._begins <= now:
            self._begin(now)
        latest_end = now + planned
        for session in self._open:
            if session.free and latest_end <= session.stops:
                return session
        return None

    def is_able(self) -> bool:
        """Whether somebody waits and there may be a place for somebody."""
        return bool(self.waiting) and self.room_for(self.shortest) is not None

    def look(self) -> None:
        """Something has changed: have the desk look at the list if somebody may be called."""
        if self.waiting:
            if self.room_for(self.shortest) is not None:
                self._desk.look(self, int(self._env.now))
            self.look_ahead()

    def look_ahead(self) -> None:
        """Have the desk look again when the next session begins, as long as somebody waits."""
        if self.waiting and self._looks_at < self._begins < NEVER:
            self._looks_at = self._begins
            self._desk.look(self, self._begins)


def join(ticket: Ticket) -> None:
    """Put a ticket on the lists of its stations."""
    for station in ticket.stations:
        insort(station.waiting, ticket)
        station.shortest = min(station.shortest, ticket.planned)
        station.look()


def give_up(ticket: Ticket) -> None:
    """Take a ticket that has not been called off the lists; its `turn` happens with False."""
    if not ticket.turn.triggered:
        _take_off(ticket)
        ticket.turn.succeed(False)


def _take_off(ticket: Ticket) -> None:
    for station in ticket.stations:
        del station.waiting[bisect_left(station.waiting, ticket)]


def _call_from(stations: Sequence[Station]) -> None:
    """Call whoever has a place at stations, which may have one, in the order of their lists."""
    lists = [station.waiting[:] for station in stations]
    for ticket in lists[0] if len(lists) == 1 else merge(*lists):
        fresh = not ticket.turn.triggered  # on two lists it comes up twice
        if fresh and _start(ticket) and not any(station.is_able() for station in stations):
            return


def _start(ticket: Ticket) -> bool:
    """Call a ticket if each of its stations has a place, and there is a bed if one is needed."""
    found = []
    for station in ticket.stations:
        room = station.room_for(ticket.planned)
        if room is None:
            return False
        found.append(room)
    _, number = ticket.key
    if ticket.admits is not None and not ticket.admits():
        found[0].call_off(number, ticket.planned, int(ticket.turn.env.now))
        return False
    found[0].called_off.pop(number, None)  # late, but in the same session
    for room in found:
        room.free -= 1
    ticket.rooms = found
    _take_off(ticket)
    ticket.turn.succeed(True)
    return True


def leave(ticket: Ticket, start: int, end: int) -> None:
    """Free the places a called ticket has held from minute `start` to now, `end`."""
    for station, room in zip(ticket.stations, ticket.rooms, strict=True):
        room.free += 1
        room.used += end - start
        room.overrun += max(end - room.stops, 0)
        station.look()
