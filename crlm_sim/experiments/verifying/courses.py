"""Checks on each patient's course and on the sums over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crlm_sim.disease.patient import (
    ALIVE,
    CAUSES,
    MINUTE_COLUMNS,
    NEVER,
)
from crlm_sim.experiments.verifying.subject import (
    SHOWN,
    Finding,
    Subject,
    of_all,
    places_wrong,
    tally_of,
)
from crlm_sim.outcomes import definitions as what
from crlm_sim.outcomes import survival as km

_ROUNDING = 1e-9


# Each patient's course ---------------------------------------------------------------------------


def everybody_ends_once(subject: Subject) -> Finding:
    """Who entered is there once: dead at the end with one cause, or followed to the horizon."""
    horizon = subject.scenario.horizon_minutes
    wrong = {}
    missing: list[str] = []
    for name, block in subject.lives.items():
        p = block.patients
        cause, end = p["cause_of_death"], p["end_minute"]
        known = (cause > ALIVE) & (cause < len(CAUSES))
        dead = known & (p["death_minute"] == end) & (end >= 0) & (end <= horizon)
        alive = (cause == ALIVE) & (p["death_minute"] == NEVER) & (end == horizon)
        _, first = np.unique(p["patient"], return_index=True)
        again = np.ones(len(p), np.bool_)
        again[first] = False
        wrong[name] = ~(dead | alive) | again
        lost = np.setdiff1d(subject.numbers, p["patient"])
        missing += [f"patient {number} is missing under {name}" for number in lost]
    finding = of_all(
        "one end",
        "every patient dies once, of one cause, or is followed to the horizon",
        subject.lives,
        wrong,
        "without one end",
    )
    return replace(
        finding,
        passed=finding.passed and not missing,
        found={**finding.found, "missing": len(missing)},
        where=(*finding.where, *missing)[:SHOWN],
    )


def nothing_after_the_end(subject: Subject) -> Finding:
    """No date of the record and no activity of the log lies after death or horizon."""
    wrong = {}
    for name, block in subject.lives.items():
        p = block.patients
        late = np.zeros(len(p), np.bool_)
        for field in MINUTE_COLUMNS:
            dated = p[field] != NEVER
            late |= dated & ((p[field] > p["end_minute"]) | (p[field] < 0))
        assert block.log is not None
        place, known = _places_in(p, block.log)
        after = known & (block.log["end"] > p["end_minute"][place])
        late[place[after]] = True
        wrong[name] = late
    return of_all(
        "nothing after the end",
        "no event and no activity comes after death or the end of follow-up",
        subject.lives,
        wrong,
        "with something after",
    )


def _places_in(patients: np.ndarray, log: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(place of each row's patient among the patients, whether there is one), shape (rows,)."""
    numbers = patients["patient"]
    order = np.argsort(numbers)
    place = np.searchsorted(numbers[order], log["patient"])
    place = order[np.minimum(place, len(numbers) - 1)]
    return place, numbers[place] == log["patient"]


def activities_in_order(subject: Subject) -> Finding:
    """In the log a patient's time never runs backwards and no two activities overlap."""
    rows = stray = backwards = overlapping = 0
    wrong = {}
    for name, block in subject.lives.items():
        log = block.log
        assert log is not None
        place, known = _places_in(block.patients, log)
        turned = (log["end"] < log["start"]) | (log["start"] < 0)
        same = log["patient"][1:] == log["patient"][:-1]
        overlap = np.zeros(len(log), np.bool_)
        overlap[1:] = same & (log["start"][1:] < log["end"][:-1])
        flags = np.zeros(len(block.patients), np.bool_)
        flags[place[known & (turned | overlap)]] = True
        wrong[name] = flags
        rows += len(log)
        stray += int((~known).sum())
        backwards += int(turned.sum())
        overlapping += int(overlap.sum())
    return Finding(
        "activities in order",
        "no activity overlaps another of the same patient, no time runs backwards",
        stray + backwards + overlapping == 0,
        {
            "activities": rows,
            "overlapping": overlapping,
            "running backwards": backwards,
            "of nobody": stray,
        },
        "none",
        places_wrong(subject.lives, wrong),
    )


# Sums --------------------------------------------------------------------------------------------

_FROM_CLEARANCE = what.Endpoint(
    "overall survival after clearance", what.CONDITIONS["cleared"], start="cleared_minute"
)
IN_ORDER = (
    (what.CURVES["pfs"], what.CURVES["os"]),
    (what.CURVES["liver_pfs"], what.CURVES["os"]),
    (what.CURVES["dfs"], _FROM_CLEARANCE),
)
"""Pairs of times to events of which the first can never be survived longer than the second."""


def survival_in_order(
    subject: Subject, pairs: Sequence[tuple[what.Endpoint, what.Endpoint]] = IN_ORDER
) -> Finding:
    """Survival without progression or recurrence never lies above overall survival.

    Kaplan–Meier curves of the same people need not keep this order once some are censored, so they
    are compared up to then.
    """
    days = above = 0
    most = 0.0
    where = []
    for name, block in subject.lives.items():
        for stricter, overall in pairs:
            excess = _excess(block.patients, stricter, overall)
            days += len(excess)
            above += int((excess > _ROUNDING).sum())
            most = max(most, float(excess.max(initial=0.0)))
            if (excess > _ROUNDING).any():
                where.append(f"{stricter.label} under {name}")
    return Finding(
        "survival in order",
        "survival without progression or recurrence is never above overall survival, on any day",
        above == 0,
        {"days compared": days, "days above": above, "most above": most},
        "never above",
        tuple(where[:SHOWN]),
    )


def _excess(patients: np.ndarray, stricter: what.Endpoint, overall: what.Endpoint) -> np.ndarray:
    """By how much the stricter survival is above the other, each day on which all are followed."""
    inner, followed = _survival(patients, stricter)
    outer, all_followed = _survival(patients, overall)
    days = min(followed, all_followed)
    return inner[:days] - outer[:days]


def _survival(patients: np.ndarray, endpoint: what.Endpoint) -> tuple[np.ndarray, int]:
    """(survival by day, days up to the first censoring) of an endpoint."""
    columns = {name: patients[name] for name in what.FIELDS}
    _, minutes, happened = what.spans(columns, endpoint)
    day = what.whole_days(minutes)
    size = int(what.whole_days(patients["end_minute"]).max()) + 1
    curve = km.kaplan_meier(
        np.bincount(day[happened], minlength=size), np.bincount(day[~happened], minlength=size)
    )
    return curve.survival, int(day[~happened].min(initial=size))


_CAUSES = ("dead_of_tumour", "dead_of_treatment", "dead_of_other_cause")
_SITES = (
    "recurrence_liver_only",
    "recurrence_lung_only",
    "recurrence_elsewhere_or_several",
)


def nobody_is_lost(subject: Subject) -> Finding:
    """Patients entered are the dead and the living; parts add up to their wholes."""
    tally = tally_of(subject)
    entered = np.full(len(tally.policies), len(subject.numbers))
    counted = {o.name: tally.numerators[:, k].sum(axis=1) for k, o in enumerate(what.COUNTED)}
    dead, alive = tally.daily[:, list(what.CURVES).index("os")].sum(axis=-1).T
    sums = {
        "patients": (tally.patients.sum(axis=1), entered),
        "dead and alive": (dead + alive, entered),
        "causes of death": (sum(counted[name] for name in _CAUSES), dead),
        "sites of recurrence": (sum(counted[name] for name in _SITES), counted["recurrence"]),
        "flow diagram": (tally.flow_counts.sum(axis=1), entered),
    }
    where = [
        f"{label} under {tally.policies[p]}: {some[p]} of {whole[p]}"
        for label, (some, whole) in sums.items()
        for p in np.flatnonzero(some != whole)
    ]
    for name, links in tally.flow().items():
        where += [f"flow at '{node}' under {name}" for node in unbalanced(links)]
    return Finding(
        "nobody is lost",
        "patients entered are the dead and the living; causes, sites and flow add up",
        not where,
        {
            "entered, each policy": len(subject.numbers),
            "dead, all policies": int(dead.sum()),
            "alive": int(alive.sum()),
            "sums that do not add up": len(where),
        },
        "none",
        tuple(where[:SHOWN]),
    )


def unbalanced(links: Sequence[tuple[str, str, int]]) -> list[str]:
    """Nodes of a flow diagram that more or fewer patients enter than leave."""
    into: dict[str, int] = {}
    out: dict[str, int] = {}
    for source, target, number in links:
        out[source] = out.get(source, 0) + number
        into[target] = into.get(target, 0) + number
    return [node for node in into if node in out and into[node] != out[node]]


def shares_are_shares(subject: Subject) -> Finding:
    """Every proportion and survival, with its interval, lies between 0 and 1."""
    levels = tally_of(subject).summary(subject.scenario.reference)["policies"]
    outside, number = shares_outside(levels)
    return Finding(
        "shares are shares",
        "every share and survival, with its interval, is between 0 and 1",
        not outside,
        {"shares": number, "outside": len(outside)},
        "none outside",
        tuple(outside[:SHOWN]),
    )


def shares_outside(levels: dict[str, dict[str, Any]]) -> tuple[list[str], int]:
    """(which proportions of a summary's policies are not between 0 and 1, how many there are)."""
    names = [o.name for o in what.OUTCOMES if o.unit == "proportion"]
    outside = []
    for policy, entries in levels.items():
        for name in names:
            numbers = [entries[name][key] for key in ("estimate", "lower", "upper")]
            if not all(number is None or 0.0 <= number <= 1.0 for number in numbers):
                outside.append(f"{name} under {policy}")
    return outside, len(levels) * len(names)
