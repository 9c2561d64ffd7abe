"""The region engine, and a bare SimPy model with the same events that it is held against.

The bare model does what happened in one played replication of `scenarios/region.toml`. The same in
both:

- the same patients arrive in the same minutes and do the same activities, which last as long as
  they did, after the same lead times;
- waits are made by queues: for places that open and close with the same sessions, the earliest due
  date first, among the same other patients;
- whoever is not served at once waits with a limit, `request | timeout`: when they left the list in
  vain, for all others the end of their life or follow-up;
- places are held as long, the turnaround with them, and those of two teams at once; beds as well,
  first in high dependency where it was so, until discharge.

Left out, which makes the bare model do less: clinical logic and random draws; that what is planned
must fit into what is left of a session, or else another is called (here anybody begins while it is
open); that no operation begins without a bed (here one waits for it in theatre); new scans for
those who wait; whatever is noted. The places of SimPy's own priority resource are changed by hand
as sessions open and close, once a minute at most and only if their number changes. Requests that
hold the places while a station is closed would be the purer way, and slower.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import simpy

from crlm_sim.care.activities import WARD_STAY
from crlm_sim.care.waiting import OTHERS
from crlm_sim.disease.patient import MINUTES_PER_DAY
from crlm_sim.engines import agents
from crlm_sim.engines.beds import HIGH_DEPENDENCY, WARD
from crlm_sim.engines.clinic import minutes_of_others
from crlm_sim.engines.diary import Session
from crlm_sim.engines.network import SERVED, StationPlan
from crlm_sim.engines.region import MOST_AT_A_HOSPITAL, arriving, network_of
from crlm_sim.evidence.capacity import figure
from crlm_sim.experiments.region import play
from crlm_sim.experiments.simulate import packed_parameters
from crlm_sim.outcomes.planning import Played, outcomes
from crlm_sim.scenario import Scenario, load

STEP_DOWN, ELECTIVE = 1, 2


def scenario(per_100_000: float) -> Scenario:
    """The example region with so many new patients a year of 100,000 people."""
    return load("scenarios/region.toml", [f"arrivals.per_100_000={per_100_000}"])


def engine(region: Scenario) -> Callable[[], object]:
    """One replication by the agents engine, with all it is given made beforehand."""
    seed, policy = region.run.seed, region.policies[0].name
    patients, minutes, homes = arriving(region.region, seed)
    given = (
        packed_parameters(region, 0),
        region.packed_policy(policy),
        region.horizon_minutes,
        minutes,
        network_of(region.region, seed),
        homes,
    )
    rules = region.packed_rules(policy)
    return lambda: agents.simulate_network(patients.copy(), *given, keep_log=True, rules=rules)


def replication(region: Scenario) -> None:
    """One replication as a run has it: who comes, what happens, and what a planner asks."""
    outcomes(play(region, region.policies[0].name, 0))


# What the bare model is given --------------------------------------------------------------------


class Step(NamedTuple):
    """Something a patient waits for and does; minutes."""

    delay: int
    """From the end of the step before until ready."""
    stations: tuple[int, ...]
    slack: int
    """From being ready until due."""
    patience: int
    minutes: int
    turnaround: int
    bed: int | None
    """The kind of bed taken with it, if any."""
    in_bed: int
    """From the beginning until discharge."""


class Others(NamedTuple):
    """Patients of other diseases at one station; minutes."""

    arrivals: list[int]
    slack: int
    held: int


class Timetable(NamedTuple):
    """Everything that happens, by station and by patient."""

    changes: list[list[tuple[int, int]]]
    others: list[Others]
    courses: list[tuple[int, list[Step]]]
    beds: list[int]
    end: int


def timetable(region: Scenario) -> Timetable:
    """What happened in one replication, for the bare model."""
    played = play(region, region.policies[0].name, 0)
    network = played.network
    (beds,) = network.beds.values()
    return Timetable(
        [_changes(plan.diary) for plan in network.stations],
        [_others(plan, n, region.run.seed, network.end) for n, plan in enumerate(network.stations)],
        _courses(played, packed_parameters(region, 0)["activity_in_theatre"][0] > 0.0),
        [beds.ward, beds.high_dependency],
        network.end,
    )


def _changes(diary: Iterable[Session]) -> list[tuple[int, int]]:
    """(minute, places more or less), where sessions make a difference."""
    found: Counter[int] = Counter()
    for session in diary:
        found[session.start] += session.places
        found[session.end] -= session.places
    return [(minute, places) for minute, places in sorted(found.items()) if places]


def _others(plan: StationPlan, number: int, seed: int, end: int) -> Others:
    if plan.others is None:
        return Others([], 0, 0)
    arrivals = list(minutes_of_others((seed, 0, 0), number, plan.others, end))
    slack = round(plan.due_days[OTHERS] * MINUTES_PER_DAY)
    return Others(arrivals, slack, plan.others.minutes + plan.turnaround)


def _courses(played: Played, in_theatre: np.ndarray) -> list[tuple[int, list[Step]]]:
    """Minute of diagnosis and steps of each patient: activities, and waits in vain."""
    intensive = _into_high_dependency(played)
    last = dict(zip(played.patients["patient"].tolist(), _ends(played), strict=True))
    done = _done(played)
    courses = []
    for number, first in zip(last, played.arrivals.tolist(), strict=True):
        steps, before = [], first
        rows = sorted(done[number], key=lambda row: row["left"])
        for row, after in zip_longest(rows, rows[1:]):
            home = number // MOST_AT_A_HOSPITAL
            stations = played.network.where.get((row["service"], home), ())
            plan = played.network.stations[stations[0]] if stations else None
            hospital = home if plan is None else plan.hospital
            kind = None
            if row["minutes"] and in_theatre[row["activity"]] and hospital in played.network.beds:
                kind = HIGH_DEPENDENCY if row["left"] in intensive else WARD
            stays = after is not None and after["activity"] == WARD_STAY
            until = after if stays else row
            step = Step(
                delay=row["ready"] - before,
                stations=stations,
                slack=row["due"] - row["ready"],
                patience=(last[number] if row["minutes"] else row["left"]) - row["ready"],
                minutes=row["minutes"],
                turnaround=0 if plan is None else plan.turnaround,
                bed=kind,
                in_bed=until["left"] + until["minutes"] - row["left"],
            )
            steps.append(step)
            before = row["left"] + row["minutes"]
        courses.append((first, steps))
    return courses


def _ends(played: Played) -> list[int]:
    return (played.arrivals + played.patients["end_minute"]).tolist()


def _done(played: Played) -> dict[int, list[dict[str, int]]]:
    """By patient: activities with their waits, and waits in vain, which take no minutes."""
    diagnosis = dict(
        zip(played.patients["patient"].tolist(), played.arrivals.tolist(), strict=True)
    )
    done: dict[int, list[dict[str, int]]] = defaultdict(list)
    served = {}
    for wait in _rows(played.diaries.waits):
        if wait["outcome"] == SERVED:
            served[wait["patient"], wait["left"]] = wait
        else:
            done[wait["patient"]].append(wait | {"minutes": 0})
    for row in _rows(played.log):
        began = diagnosis[row["patient"]] + row["start"]
        at_once = {"ready": began, "due": began, "left": began}
        wait = served.get((row["patient"], began), at_once)
        done[row["patient"]].append(row | wait | {"minutes": row["end"] - row["start"]})
    return done


def _rows(table: np.ndarray) -> list[dict[str, int]]:
    return [dict(zip(table.dtype.names, row, strict=True)) for row in table.tolist()]


def _into_high_dependency(played: Played) -> set[int]:
    """Minutes at which a bed of high dependency was taken."""
    changes = played.diaries.beds[played.diaries.beds["kind"] == HIGH_DEPENDENCY]
    return set(changes["minute"][np.diff(changes["taken"], prepend=0) > 0].tolist())


# The bare model ----------------------------------------------------------------------------------


def bare_queues(given: Timetable) -> None:
    """Everything in a timetable, in SimPy alone."""
    env = simpy.Environment()
    stations = [simpy.PriorityResource(env) for _ in given.changes]
    ward, high_dependency = (simpy.PriorityResource(env, number) for number in given.beds)
    day = round(figure("high_dependency", "days") * MINUTES_PER_DAY)

    def keep(station, changes):
        station._capacity = 0
        for minute, places in changes:
            yield env.timeout(minute - env.now)
            station._capacity += places
            if places > 0:
                station._trigger_put(None)

    def other(station, due, held):
        with station.request(due) as place:
            yield place
            yield env.timeout(held)

    def others(station, arrivals, slack, held):
        for minute in arrivals:
            yield env.timeout(minute - env.now)
            env.process(other(station, minute + slack, held))

    def turn_over(place, minutes):
        yield env.timeout(minutes)
        place.resource.release(place)

    def stay(step, bed):
        left = step.in_bed
        if step.bed == HIGH_DEPENDENCY and left > step.minutes + day:
            left -= step.minutes + day
            yield env.timeout(step.minutes + day)
            next_bed = ward.request(STEP_DOWN)
            yield next_bed
            bed.resource.release(bed)
            bed = next_bed
        yield env.timeout(left)
        bed.resource.release(bed)

    def waited(step):
        """Places, if there are any in time; else none."""
        places = [stations[n].request(env.now + step.slack) for n in step.stations]
        called = places[0] if len(places) == 1 else env.all_of(places)
        if not called.triggered:
            yield called | env.timeout(step.patience)
        if not called.triggered:
            for place in places:
                place.cancel()
            return []
        return places

    def course(first, steps):
        yield env.timeout(first)
        for step in steps:
            if step.delay:
                yield env.timeout(step.delay)
            places = ()
            if step.stations:
                places = yield from waited(step)
                if not places:
                    continue
            if step.bed is not None:
                bed = (ward, high_dependency)[step.bed].request(ELECTIVE)
                yield bed
                env.process(stay(step, bed))
            yield env.timeout(step.minutes)
            for place in places:
                if step.turnaround:
                    env.process(turn_over(place, step.turnaround))
                else:
                    place.resource.release(place)

    for station, changes, more in zip(stations, given.changes, given.others, strict=True):
        env.process(keep(station, changes))
        env.process(others(station, *more))
    for first, steps in given.courses:
        env.process(course(first, steps))
    env.run(given.end)
