"""The agents engine: one SimPy process per patient, who asks services for a place.

The readable twin of the cohort engine: the same compiled functions decide and act, here the clock
and the services come between. With unlimited services the records and logs are bit-identical.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import simpy

from crlm_sim.care.policy import no_rules
from crlm_sim.engines.cohort import check_blank, own_settings
from crlm_sim.engines.services import unlimited
from crlm_sim.engines.steps import ACTIVITY, ACTIVITY_LOG, first_step, next_step

Row = tuple[int, int, int, int, int]
Care = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Everybody's own settings, the same as numbers, the policy's numbers, its rules."""


def _course(
    env: simpy.Environment,
    services: list[simpy.Resource],
    patients: np.ndarray,
    place: int,
    params: np.ndarray,
    care: Care,
    horizon: int,
    log: list[Row] | None,
) -> Generator[simpy.Event, object, None]:
    """One patient's way through the clinic; `env.now` at the start is their diagnosis."""
    diagnosis = int(env.now)
    number = int(patients["patient"][place])
    kind, activity, service, start, end, event = first_step(
        patients, place, params, care[0], horizon
    )
    now, going = 0, True
    while going:
        if start > now:
            yield env.timeout(start - now)
        if kind == ACTIVITY:
            with services[service].request() as place_in_service:
                yield place_in_service
                yield env.timeout(end - start)
            if log is not None:
                log.append((number, activity, service, start, end))
        now = int(env.now) - diagnosis
        going, kind, activity, service, start, end, event = next_step(
            patients, place, params, *care, kind, activity, start, now, event, horizon
        )


def _arrive(
    env: simpy.Environment, minute: int, course: Generator[simpy.Event, object, None]
) -> Generator[simpy.Event, object, None]:
    yield env.timeout(minute)
    yield from course


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
    check_blank(patients)
    env = simpy.Environment()
    services = unlimited(env)
    log: list[Row] | None = [] if keep_log else None
    minutes = np.zeros(len(patients), np.int64) if arrivals is None else arrivals
    care = (*own_settings(policy, len(patients)), no_rules() if rules is None else rules)
    for place, minute in enumerate(minutes.tolist()):
        course = _course(env, services, patients, place, params, care, horizon_minutes, log)
        env.process(_arrive(env, minute, course) if minute else course)
    env.run()
    if log is None:
        return None
    rows = np.array(log, dtype=ACTIVITY_LOG)
    return rows[np.argsort(rows["patient"], kind="stable")]
