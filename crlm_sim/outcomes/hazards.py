"""Comparing two groups by their hazards: Cox's ratio, Harrell's concordance.

Compiled, since calibrations and trials ask for them thousands of times.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crlm_sim.compiled import compiled

_MOST_STEPS = 30
_ENOUGH = 1e-9
_LARGEST = 20.0
"""A log hazard ratio beyond this means that one group had no event."""


@compiled
def life_table(times, events, group, strata):
    """Times of events as (times, strata, counts), of shapes (rows,), (rows,) and (rows, 4).

    The patients, all of shape (n,), ascend by stratum and within it by time. Counts are those with
    the event in the rest and in the group, and those at risk in the rest and in the group.
    """
    n = len(times)
    when = np.empty(n)
    where = np.empty(n, np.int64)
    counts = np.empty((n, 4), np.int64)
    row, i = n, n
    at_risk_0, at_risk_1 = 0, 0
    while i > 0:
        if i == n or strata[i - 1] != strata[i]:
            at_risk_0, at_risk_1 = 0, 0
        time, stratum = times[i - 1], strata[i - 1]
        dead_0, dead_1 = 0, 0
        while i > 0 and times[i - 1] == time and strata[i - 1] == stratum:
            i -= 1
            if group[i]:
                at_risk_1 += 1
                dead_1 += events[i]
            else:
                at_risk_0 += 1
                dead_0 += events[i]
        if dead_0 + dead_1 > 0:
            row -= 1
            when[row], where[row] = time, stratum
            counts[row, 0], counts[row, 1] = dead_0, dead_1
            counts[row, 2], counts[row, 3] = at_risk_0, at_risk_1
    return when[row:], where[row:], counts[row:]


@compiled
def _score(counts, beta):
    """Score and information of the partial likelihood at a log hazard ratio, ties by Efron."""
    ratio = math.exp(beta)
    score, information = 0.0, 0.0
    for row in range(len(counts) - 1, -1, -1):
        dead_0, dead_1, at_risk_0, at_risk_1 = counts[row]
        dead = dead_0 + dead_1
        score += dead_1
        for k in range(dead):
            gone = k / dead
            of_1 = (at_risk_1 - gone * dead_1) * ratio
            share = of_1 / (of_1 + at_risk_0 - gone * dead_0)
            score -= share
            information += share * (1.0 - share)
    return score, information


@compiled
def cox(counts):
    """(log hazard ratio of the group, standard error) from a life table's counts (rows, 4).

    Cox's partial likelihood with one binary covariate, ties by Efron (1977); rows of several strata
    may follow each other. nan where one group has no event.
    """
    beta = 0.0
    information = 0.0
    for _ in range(_MOST_STEPS):
        score, information = _score(counts, beta)
        if information <= 0.0:
            return math.nan, math.nan
        step = min(max(score / information, -2.0), 2.0)
        beta += step
        if abs(beta) > _LARGEST:
            return math.nan, math.nan
        if abs(step) < _ENOUGH:
            break
    return beta, 1.0 / math.sqrt(information)


@compiled
def _log_hazard_ratio(times, events, group):
    _, _, counts = life_table(times, events, group, np.zeros(len(times), np.int64))
    return cox(counts)


def log_hazard_ratio(
    times: NDArray, events: NDArray[np.bool_], group: NDArray[np.bool_]
) -> tuple[float, float]:
    """(log hazard ratio of the group against the rest, standard error): `cox` of times (n,)."""
    order = np.argsort(times, kind="stable")
    return _log_hazard_ratio(
        np.asarray(times, dtype=np.float64)[order],
        np.asarray(events, dtype=np.int64)[order],
        np.asarray(group, dtype=np.int64)[order],
    )


@compiled
def _concordance(times, events, score):
    right, pairs = 0.0, 0.0
    for i in range(len(times)):
        if not events[i]:
            continue
        for j in range(len(times)):
            if times[j] > times[i] or (times[j] == times[i] and not events[j]):
                pairs += 1.0
                if score[i] > score[j]:
                    right += 1.0
                elif score[i] == score[j]:
                    right += 0.5
    return right / pairs if pairs > 0.0 else math.nan


def concordance(times: NDArray, events: NDArray[np.bool_], score: NDArray) -> float:
    """Harrell's c (1982): how often, of two patients, the higher score has the earlier event."""
    return _concordance(
        np.ascontiguousarray(times),
        np.ascontiguousarray(events).astype(np.int64),
        np.ascontiguousarray(score).astype(np.float64),
    )
