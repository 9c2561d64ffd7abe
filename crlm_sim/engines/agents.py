"""The agents engine: one SimPy process per patient, who asks services for a place.

The readable twin of the cohort engine: the same compiled functions decide and act, here the clock
and the services come between. With unlimited services the records and logs are bit-identical; with
a `Network` patients queue for the places of its stations, and their tumours grow meanwhile.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from crlm_sim.care.activities import WARD_STAY
from crlm_sim.care.pathway import PRIMARY_EVENT
from crlm_sim.care.policy import no_rules
from crlm_sim.care.waiting import is_out_of_reach, stands_still
from crlm_sim.disease.patient import ALIVE, NEVER
from crlm_sim.engines.beds import Stay
from crlm_sim.engines.clinic import Clinic, Stations
from crlm_sim.engines.cohort import check_blank, own_settings
from crlm_sim.engines.network import (
    DEAD,
    EMERGENCY,
    FOUND_UNRESECTABLE,
    PLAN_CHANGED,
    SERVED,
    STILL_WAITING,
    Diaries,
    Network,
)
from crlm_sim.engines.services import Ticket, unlimited
from crlm_sim.engines.steps import (
    ACTIVITY,
    ACTIVITY_LOG,
    END,
    EVENT,
    LOOK_AGAIN,
    first_step,
    next_step,
    plan_called,
    priority_of,
    scan_again,
    waits_until,
)

Care = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Everybody's own settings, the same as numbers, the policy's numbers, its rules."""
Step = tuple[int, int, int, int, int, int]
"""As `steps.plan` gives it: kind, activity, service, start, end, event."""
Events = Generator[simpy.Event, object, None]


@dataclass
class _World:
    """What all patients of a run share; `clinic` is None if nobody has to queue."""

    env: simpy.Environment
    services: list[simpy.Resource]
    clinic: Clinic | None
    patients: np.ndarray
    params: np.ndarray
    care: Care
    horizon: int
    end: int
    """The minute of the run at which it ends."""
    stands_still: bool
    """Whether a patient's clock does on a waiting list."""
    log: array[int] | None
    """Rows of `ACTIVITY_LOG`, one number after the other."""


def _course(world: _World, place: int, diagnosis: int) -> Events:
    """One patient's way through the clinic from their diagnosis at a minute of the run.

    Their clock reads 0 at the minute `origin` of the run: that is the diagnosis, but where clocks
    stand still on waiting lists it is later.
    """
    env, clinic, patients, params = world.env, world.clinic, world.patients, world.params
    if diagnosis > 0:
        yield env.timeout(diagnosis)
    origin = diagnosis
    horizon = min(world.horizon, world.end - diagnosis)
    number, regimens = int(patients["patient"][place]), patients["course_regimen"]
    step = first_step(patients, place, params, world.care[0], horizon)
    now, going = 0, True
    stay: Stay | None = None
    while going:
        kind, activity, service, start, end, event = step
        asked = now
        if start > now:
            yield env.timeout(start - now)
        if kind == ACTIVITY:
            stations: Stations = ()
            if clinic is not None and env.now < world.end:
                stations = clinic.stations(place, service)
            if clinic is not None and stations:
                asks = (world, clinic, place, origin, stations, asked, step)
                wait = _stand_still(*asks) if world.stands_still else _wait(*asks, horizon)
                step, ticket, admitted, stood = yield from wait
                origin += stood
                now = int(env.now) - origin
                if ticket is None:
                    continue
                kind, activity, service, start, end, event = step
                if admitted is not None:
                    stay = admitted
                    stay.begin(end - start)
                yield env.timeout(end - start)
                clinic.leave(ticket, start + origin)
            else:
                if clinic is not None and activity != WARD_STAY:
                    stay = clinic.admit_unasked(place, activity, end - start) or stay
                with world.services[service].request() as place_in_service:
                    yield place_in_service
                    yield env.timeout(end - start)
            if world.log is not None:
                regimen = int(regimens[place])
                world.log.extend((number, activity, service, start, end, regimen))
        now = int(env.now) - origin
        going, *planned = next_step(
            patients, place, params, *world.care, kind, activity, start, now, event, horizon
        )
        step = tuple(planned)
        if stay is not None and not (going and step[1] == WARD_STAY):
            stay.discharge()
            stay = None


Waited = tuple[Step, Ticket | None, Stay | None, int]
"""What happens then; the place and bed of who was called; minutes the patient's clock stood."""


def _wait(
    world: _World,
    clinic: Clinic,
    place: int,
    origin: int,
    stations: Stations,
    asked: int,
    step: Step,
    horizon: int,
) -> Generator[simpy.Event, object, Waited]:
    """Wait for a place at stations.

    A patient who dies, comes as an emergency or is found to need another plan leaves the list. One
    whose new scan changes nothing keeps the place on it.
    """
    env, patients, params, settings = world.env, world.patients, world.params, world.care[0]
    _, activity, service, ready, _, _ = step
    now = ready
    due = clinic.due(stations, priority_of(patients, place, activity), ready + origin)
    while True:
        until, event = waits_until(patients, place, params, activity, now, horizon)
        ticket, stay = clinic.ask(place, stations, activity, due, until + origin)
        called = yield ticket.turn
        now = int(env.now) - origin
        if called:
            step = plan_called(patients, place, params, settings, now, horizon)
        elif event == LOOK_AGAIN:
            plan, *again = scan_again(patients, place, params, settings, now, horizon)
            step = tuple(again)
        else:
            step = (END if event == ALIVE else EVENT, activity, service, now, now, event)
            outcome = _left_by(event)
            break
        if step[0] == EVENT and step[3] == now:  # a death is known to within a day
            outcome = _left_by(step[5])
            break
        if called:
            outcome = SERVED
            break
        if step[1] != activity:
            outcome = FOUND_UNRESECTABLE if is_out_of_reach(plan) else PLAN_CHANGED
            break
    clinic.note_wait(place, stations, activity, service, (asked, ready, now), due, origin, outcome)
    if outcome == SERVED:
        return step, ticket, stay, 0
    if called:
        clinic.decline(ticket, stay)
    return step, None, None, 0


def _stand_still(
    world: _World,
    clinic: Clinic,
    place: int,
    origin: int,
    stations: Stations,
    asked: int,
    step: Step,
) -> Generator[simpy.Event, object, Waited]:
    """Wait with the patient's clock standing still, to show what would happen if waits did nothing.

    Nobody dies meanwhile and no plan grows old. Who still waits at the end of the run goes on then
    as if there were no queue, so that every course is that of unlimited services.
    """
    _, activity, service, ready, _, _ = step
    due = clinic.due(stations, priority_of(world.patients, place, activity), ready + origin)
    ticket, stay = clinic.ask(place, stations, activity, due, world.end)
    called = yield ticket.turn
    stood = int(world.env.now) - origin - ready
    times = (asked, ready, ready + stood)
    outcome = SERVED if called else STILL_WAITING
    clinic.note_wait(place, stations, activity, service, times, due, origin, outcome)
    return (step, ticket, stay, stood) if called else (step, None, None, stood)


def _left_by(event: int) -> int:
    """How a wait ended with a clinical event, or with the end of follow-up."""
    if event == ALIVE:
        return STILL_WAITING
    return EMERGENCY if event == PRIMARY_EVENT else DEAD


def simulate(
    patients: np.ndarray,
    params: np.ndarray,
    policy: np.ndarray,
    horizon_minutes: int,
    arrivals: np.ndarray | None = None,
    keep_log: bool = False,
    rules: np.ndarray | None = None,
) -> np.ndarray | None:
    """As `cohort.simulate`, patient by patient on the SimPy clock.

    `arrivals` are minutes of diagnosis (int64, default all 0); records and log stay in minutes
    from each patient's own diagnosis.
    """
    return _simulate(patients, params, policy, horizon_minutes, arrivals, keep_log, rules)[0]


def simulate_network(
    patients: np.ndarray,
    params: np.ndarray,
    policy: np.ndarray,
    horizon_minutes: int,
    arrivals: np.ndarray,
    network: Network,
    homes: np.ndarray,
    keep_log: bool = False,
    rules: np.ndarray | None = None,
) -> tuple[np.ndarray | None, Diaries]:
    """As `simulate`, where patients queue at the stations of a network; also what went on there.

    `homes` are the patients' hospitals, by number. Everybody is followed to the horizon or to the
    network's end, whichever comes first; arrivals must be before that end.
    """
    if arrivals.max(initial=0) >= network.end:
        raise ValueError("a patient arrives after the network's end; end it later")
    return _simulate(
        patients, params, policy, horizon_minutes, arrivals, keep_log, rules, network, homes
    )


def _simulate(
    patients: np.ndarray,
    params: np.ndarray,
    policy: np.ndarray,
    horizon: int,
    arrivals: np.ndarray | None,
    keep_log: bool,
    rules: np.ndarray | None,
    network: Network | None = None,
    homes: np.ndarray | None = None,
) -> tuple[np.ndarray | None, Any]:
    check_blank(patients)
    env = simpy.Environment()
    clinic = None
    if network is not None and homes is not None:
        clinic = Clinic(env, network, patients, params, homes)
    world = _World(
        env=env,
        services=unlimited(env),
        clinic=clinic,
        patients=patients,
        params=params,
        care=(*own_settings(policy, len(patients)), no_rules() if rules is None else rules),
        horizon=horizon,
        end=NEVER if network is None else network.end,
        stands_still=stands_still(params[0]),
        log=array("q") if keep_log else None,
    )
    minutes = np.zeros(len(patients), np.int64) if arrivals is None else arrivals
    for place, minute in enumerate(minutes.tolist()):
        env.process(_course(world, place, minute))
    # One minute more lets what ends at a network's end be noted. Where clocks have stood still,
    # courses go on after it.
    env.run(None if network is None or world.stands_still else network.end + 1)
    diaries = None if clinic is None else clinic.diaries()
    if world.log is None:
        return None, diaries
    rows = np.array(world.log).view(ACTIVITY_LOG)
    return rows[np.argsort(rows["patient"], kind="stable")], diaries
