"""The hospitals of one run: stations and beds on its clock, other patients, and what is noted."""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Generator, Iterator
from functools import partial

import numpy as np
import simpy

from crlm_sim import streams
from crlm_sim.care.activities import EMERGENCY_COLORECTAL_RESECTION
from crlm_sim.care.waiting import OTHERS
from crlm_sim.disease.patient import MINUTES_PER_DAY
from crlm_sim.engines import services
from crlm_sim.engines.beds import Beds, Stay
from crlm_sim.engines.network import (
    BED_CHANGES,
    SESSIONS,
    WAITS,
    Diaries,
    Network,
    OtherPatients,
    StationPlan,
)
from crlm_sim.engines.services import Desk, Station, Ticket
from crlm_sim.evidence.capacity import figure, high_dependency_shares

Stations = tuple[Station, ...]
_OTHERS_FROM = 2**40
"""Numbers of other patients, above all of the model's."""


def minutes_of_others(
    stream: tuple[int, ...], number: int, others: OtherPatients, end: int
) -> Iterator[int]:
    """When others come to a station until `end`: a Poisson process, the same under every policy."""
    seed, draw, replicate = stream
    mean = MINUTES_PER_DAY / others.per_day
    exact = 0.0
    for count in itertools.count():
        u, _ = streams.uniform_pair_at(seed, draw, count, replicate, streams.OTHER_PATIENTS, number)
        exact -= mean * math.log(u)
        minute = others.minute_at(exact)
        if minute >= end:
            return
        yield int(minute)


class Clinic:
    """Where a patient has to queue, for one run over `patients` who live at `homes`."""

    def __init__(
        self,
        env: simpy.Environment,
        network: Network,
        patients: np.ndarray,
        params: np.ndarray,
        homes: np.ndarray,
    ) -> None:
        self.env = env
        self.network = network
        self._desk = Desk(env)
        self._plans = network.stations
        self._stations = [Station(self._desk, plan.name, plan.diary) for plan in network.stations]
        self._due = [[round(d * MINUTES_PER_DAY) for d in plan.due_days] for plan in self._plans]
        self._where: dict[tuple[int, int], Stations] = {
            key: tuple(self._stations[number] for number in numbers)
            for key, numbers in network.where.items()
        }
        self._homes: list[int] = homes.tolist()
        self.numbers: list[int] = patients["patient"].tolist()
        self._operations_done = patients["operations_done"]
        self._planned = [math.ceil(minutes) for minutes in params[0]["activity_minutes"]]
        self._in_theatre: list[bool] = (params[0]["activity_in_theatre"] > 0.0).tolist()
        self._streams = tuple(
            int(patients[field][0]) if len(patients) else 0
            for field in ("seed", "draw", "replicate")
        )
        self._high_dependency_minutes = round(figure("high_dependency", "days") * MINUTES_PER_DAY)
        self._shares = high_dependency_shares()
        self._bed_changes = array("q")
        self._beds = {h: self._beds_of(h) for h in network.beds}
        self.waits = array("q")
        """Rows of `WAITS`, one number after the other; so are changes of beds."""
        for number, plan in enumerate(network.stations):
            if plan.others is not None and plan.others.per_day > 0.0:
                env.process(self._others(number, plan, plan.others))

    def _beds_of(self, hospital: int) -> Beds:
        theatres = [
            station
            for station, plan in zip(self._stations, self._plans, strict=True)
            if plan.hospital == hospital
        ]

        def changed(kind: int, taken: int) -> None:
            self._bed_changes.extend((hospital, kind, int(self.env.now), taken))

        def freed() -> None:
            for station in theatres:
                station.look()

        return Beds(self.env, self.network.beds[hospital], changed, freed)

    # Patients of the model -----------------------------------------------------------------------

    def stations(self, place: int, service: int) -> Stations:
        """The stations a patient needs for a service; none if it has room for everybody."""
        return self._where.get((service, self._homes[place]), ())

    def due(self, stations: Stations, priority: int, since: int) -> int:
        """The minute of the run at which a patient of a class, ready at minute `since`, is due."""
        return since + self._due[stations[0].number][priority]

    def ask(
        self, place: int, stations: Stations, activity: int, due: int, until: int
    ) -> tuple[Ticket, Stay | None]:
        """Join the lists until minute `until` of the run: a ticket, and the stay it would begin."""
        stay = self._stay(place, activity, self._plans[stations[0].number].hospital)
        key = (due, self.numbers[place])
        admits = None if stay is None else stay.admit
        ticket = Ticket(self.env, key, self._planned[activity], stations, admits)
        services.join(ticket)
        self._desk.limit(ticket, until)
        return ticket, stay

    def admit_unasked(self, place: int, activity: int, minutes: int) -> Stay | None:
        """A stay with an operation of so many minutes that needs no place on a list.

        It takes the first bed there is. None if the activity is no operation, or nobody counts the
        beds there.
        """
        stay = self._stay(place, activity, self._homes[place], unasked=True)
        if stay is not None:
            stay.admit()
            stay.begin(minutes)
        return stay

    def _stay(
        self, place: int, activity: int, hospital: int, *, unasked: bool = False
    ) -> Stay | None:
        if not self._in_theatre[activity] or hospital not in self._beds:
            return None
        seed, draw, replicate = self._streams
        number = self.numbers[place]
        occasion = int(self._operations_done[place])
        u, _ = streams.uniform_pair_at(
            seed, draw, number, replicate, streams.HIGH_DEPENDENCY, occasion
        )
        minutes = self._high_dependency_minutes if u < self._shares[activity] else 0
        emergency = unasked or activity == EMERGENCY_COLORECTAL_RESECTION
        return Stay(self._beds[hospital], minutes, emergency)

    def note_wait(
        self,
        place: int,
        stations: Stations,
        activity: int,
        service: int,
        times: tuple[int, int, int],
        due: int,
        origin: int,
        outcome: int,
    ) -> None:
        """Keep a wait that has ended.

        `times` are when it was asked for, when the patient was ready and when they left, from the
        minute `origin` of the run; `due` is a minute of the run.
        """
        asked, ready, left = times
        self.waits.extend(
            (
                self.numbers[place],
                activity,
                service,
                stations[0].number,
                asked + origin,
                ready + origin,
                due,
                left + origin,
                outcome,
            )
        )

    def decline(self, ticket: Ticket, stay: Stay | None) -> None:
        """Free at once the places and the bed of a ticket that was called in vain."""
        now = int(self.env.now)
        services.leave(ticket, now, now)
        if stay is not None:
            stay.discharge()

    def leave(self, ticket: Ticket, start: int) -> None:
        """Free the places held since minute `start` of the run, after the turnaround."""
        turnaround = self._plans[ticket.stations[0].number].turnaround
        if turnaround == 0:
            services.leave(ticket, start, int(self.env.now))
        else:
            self._leave_in(turnaround, ticket, start)

    def _leave_in(self, minutes: int, ticket: Ticket, start: int) -> None:
        end = int(self.env.now) + minutes
        later = self.env.timeout(minutes)
        later.callbacks.append(lambda _: services.leave(ticket, start, end))

    # Patients of other diseases ------------------------------------------------------------------

    def _others(
        self, number: int, plan: StationPlan, others: OtherPatients
    ) -> Generator[simpy.Event, object, None]:
        env, station = self.env, self._stations[number]
        held = others.minutes + plan.turnaround

        def called(ticket: Ticket, _: simpy.Event) -> None:
            self._leave_in(held, ticket, int(env.now))

        come = minutes_of_others(self._streams, number, others, self.network.end)
        for count, minute in enumerate(come):
            yield env.timeout(minute - env.now)
            key = (self.due((station,), OTHERS, minute), _OTHERS_FROM + count)
            ticket = Ticket(env, key, others.minutes, (station,))
            ticket.turn.callbacks.append(partial(called, ticket))
            services.join(ticket)

    # What is noted -------------------------------------------------------------------------------

    def diaries(self) -> Diaries:
        """Everything noted up to now."""
        return Diaries(
            waits=np.array(self.waits).view(WAITS),
            sessions=np.concatenate([np.zeros(0, SESSIONS), *map(_noted, self._stations)]),
            beds=np.array(self._bed_changes).view(BED_CHANGES),
        )


def _noted(station: Station) -> np.ndarray:
    """What was done in every session of a station that has begun."""
    begun = station.begun()
    noted = np.zeros(len(begun), SESSIONS)
    noted["station"] = station.number
    if begun:
        noted["start"], noted["end"], noted["places"] = zip(*begun, strict=True)
    done = [(s.number, s.used, s.overrun, len(s.called_off)) for s in station.sessions]
    numbers, *columns = np.array(done, np.int64).reshape(-1, 4).T
    for name, values in zip(("used", "overrun", "called_off"), columns, strict=True):
        noted[name][numbers] = values
    return noted
