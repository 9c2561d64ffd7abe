"""The hospitals of one run: stations and beds on its clock, other patients, and what is noted."""

from __future__ import annotations

import math
from collections.abc import Generator

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
Wait = tuple[int, int, int, int, int, int, int, int, int]
_OTHERS_FROM = 2**40
"""Numbers of other patients, above all of the model's."""


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
        self._numbers: list[int] = patients["patient"].tolist()
        self._operations_done = patients["operations_done"]
        self._minutes: list[float] = params[0]["activity_minutes"].tolist()
        self._in_theatre: list[bool] = (params[0]["activity_in_theatre"] > 0.0).tolist()
        self._streams = tuple(
            int(patients[field][0]) if len(patients) else 0
            for field in ("seed", "draw", "replicate")
        )
        self._high_dependency_minutes = round(figure("high_dependency", "days") * MINUTES_PER_DAY)
        self._shares = high_dependency_shares()
        self._bed_changes: list[tuple[int, int, int, int]] = []
        self._beds = {h: self._beds_of(h) for h in network.beds}
        self.waits: list[Wait] = []
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
            self._bed_changes.append((hospital, kind, int(self.env.now), taken))

        def freed() -> None:
            for station in theatres:
                self._desk.wake(station)

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
        key = (due, self._numbers[place])
        planned = math.ceil(self._minutes[activity])
        admits = None if stay is None else stay.admit
        ticket = Ticket(self.env, key, planned, stations, admits)
        services.join(self._desk, ticket)
        last = self.env.timeout(until - self.env.now)
        last.callbacks.append(lambda _: services.give_up(ticket))
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
        number = self._numbers[place]
        occasion = int(self._operations_done[place])
        u, _ = streams.uniform_pair_at(
            seed, draw, number, replicate, streams.HIGH_DEPENDENCY, occasion
        )
        minutes = self._high_dependency_minutes if u < self._shares[activity] else 0
        emergency = unasked or activity == EMERGENCY_COLORECTAL_RESECTION
        return Stay(self._beds[hospital], minutes, emergency)

    def decline(self, ticket: Ticket, stay: Stay | None) -> None:
        """Free at once the places and the bed of a ticket that was called in vain."""
        now = int(self.env.now)
        services.leave(self._desk, ticket, now, now)
        if stay is not None:
            stay.discharge()

    def leave(self, ticket: Ticket, start: int) -> None:
        """Free the places held since minute `start` of the run, after the turnaround."""
        turnaround = self._plans[ticket.stations[0].number].turnaround
        if turnaround == 0:
            services.leave(self._desk, ticket, start, int(self.env.now))
            return
        later = self.env.timeout(turnaround)
        later.callbacks.append(
            lambda _: services.leave(self._desk, ticket, start, int(self.env.now))
        )

    # Patients of other diseases ------------------------------------------------------------------

    def _others(
        self, number: int, plan: StationPlan, others: OtherPatients
    ) -> Generator[simpy.Event, object, None]:
        """Arrivals of a Poisson process at one station, the same under every policy."""
        seed, draw, replicate = self._streams
        mean = MINUTES_PER_DAY / others.per_day
        exact = 0.0
        count = 0
        while True:
            u, _ = streams.uniform_pair_at(
                seed, draw, count, replicate, streams.OTHER_PATIENTS, number
            )
            exact -= mean * math.log(u)
            minute = others.minute_at(exact)
            if minute >= self.network.end:
                return
            yield self.env.timeout(int(minute) - self.env.now)
            self.env.process(self._other(self._stations[number], count, others.minutes))
            count += 1

    def _other(
        self, station: Station, count: int, minutes: int
    ) -> Generator[simpy.Event, object, None]:
        key = (self.due((station,), OTHERS, int(self.env.now)), _OTHERS_FROM + count)
        ticket = Ticket(self.env, key, minutes, (station,))
        services.join(self._desk, ticket)
        yield ticket.turn
        start = int(self.env.now)
        yield self.env.timeout(minutes)
        self.leave(ticket, start)

    # What is noted -------------------------------------------------------------------------------

    def diaries(self) -> Diaries:
        """Everything noted up to now."""
        opened = [
            (station.number, s.start, s.stops, s.places, s.used, s.overrun, len(s.called_off))
            for station in self._stations
            for s in station.sessions
        ]
        return Diaries(
            waits=np.array(self.waits, WAITS),
            sessions=np.array(opened, SESSIONS),
            beds=np.array(self._bed_changes, BED_CHANGES),
        )
