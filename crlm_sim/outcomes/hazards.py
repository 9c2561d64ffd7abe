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
def _score(times, events, group, beta):
    """Score and information of the partial likelihood at a log hazard ratio, ties by Efron.

    Times descend, so that those at risk add up.
    """
    ratio = math.exp(beta)
    at_risk_0, at_risk_1 = 0, 0
    score, information = 0.0, 0.0
    i, n = 0, len(times)
    while i < n:
        j = i
        dead_0, dead_1 = 0, 0
        while j < n and times[j] == times[i]:
            if group[j]:
                at_risk_1 += 1
                dead_1 += events[j]
            else:
                at_risk_0 += 1
                dead_0 += events[j]
            j += 1
        dead = dead_0 + dead_1
        score += dead_1
        for k in range(dead):
            gone = k / dead
            of_1 = (at_risk_1 - gone * dead_1) * ratio
            share = of_1 / (of_1 + at_risk_0 - gone * dead_0)
            score -= share
            information += share * (1.0 - share)
        i = j
    return score, information


@compiled
def _fit(times, events, group):
    beta = 0.0
    information = 0.0
    for _ in range(_MOST_STEPS):
        score, information = _score(times, events, group, beta)
        if information <= 0.0:
            return math.nan, math.nan
        step = min(max(score / information, -2.0), 2.0)
        beta += step
        if abs(beta) > _LARGEST:
            return math.nan, math.nan
        if abs(step) < _ENOUGH:
            break
    return beta, 1.0 / math.sqrt(information)


def log_hazard_ratio(
    times: NDArray, events: NDArray[np.bool_], group: NDArray[np.bool_]
) -> tuple[float, float]:
    """(log hazard ratio of the group against the rest, standard error) by Cox's model.

    One binary covariate, ties by Efron (1977); all of shape (n,). nan where one group has no event.
    """
    order = np.argsort(-np.asarray(times), kind="stable")
    return _fit(
        np.ascontiguousarray(times[order]),
        np.ascontiguousarray(events[order]).astype(np.int64),
        np.ascontiguousarray(group[order]).astype(np.int64),
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
