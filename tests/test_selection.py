"""The best policy with a stated probability: the procedure's own numbers, and what it promises."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from helpers import SCENARIOS, crlm

from crlm_sim.experiments.selection import FIRST_STAGE, select_best

SEQUENCING = str(next(p for p in SCENARIOS if p.stem == "sequencing"))


def normal(means, sd, seed, shared=0.0):
    """Systems with these means; `shared` is the part of the variance all have in common."""
    rng = np.random.default_rng(seed)

    def observe(places, number):
        common = math.sqrt(shared) * rng.standard_normal()
        own = math.sqrt(1.0 - shared) * rng.standard_normal(len(places))
        return np.array([means[p] for p in places]) + sd * (common + own)

    return observe


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_the_best_is_found_as_often_as_promised(shared):
    """The hardest case: all others worse by exactly the indifference. 1,000 races of five systems.

    With a true probability of 0.95 fewer than 922 successes come in 1 of 20,000 tries.
    """
    means = [0.0, 0.0, 0.0, 0.0, 1.0]
    won = sum(
        select_best(normal(means, 4.0, seed, shared), 5, 0.05, 1.0).best == 4
        for seed in range(1_000)
    )
    assert won >= 922


def test_common_luck_makes_the_race_shorter():
    apart, together = (
        np.mean([
            select_best(normal([0.0, 1.0], 4.0, s, shared), 2, 0.05, 1.0).observations.sum()
            for s in range(100)
        ])
        for shared in (0.0, 0.8)
    )  # fmt: skip
    assert together < 0.5 * apart


def test_who_is_far_behind_is_dropped_after_the_first_stage():
    race = select_best(normal([0.0, 100.0, 99.5], 1.0, 3), 3, 0.05, 0.1)
    assert race.best == 1
    assert race.observations[0] == FIRST_STAGE
    assert race.observations[1] > FIRST_STAGE


def test_the_race_ends_where_the_procedure_says():
    """Two systems that differ by luck in the first stage alone: h² S² / δ² + 1 observations."""
    eta = 0.5 * ((2 * 0.05) ** (-2 / (FIRST_STAGE - 1)) - 1)
    assert 2 * eta * (FIRST_STAGE - 1) == pytest.approx(5.2112, abs=1e-4)
    observed = []

    def observe(places, number):
        luck = 1.0 if number % 2 else -1.0
        value = luck if number < FIRST_STAGE else 0.0
        observed.append(number)
        return np.array([value, 0.0])[list(places)]

    race = select_best(observe, 2, 0.05, 0.5)
    variance = FIRST_STAGE / (FIRST_STAGE - 1)
    most = math.floor(5.21121 * variance / 0.25)
    assert len(observed) == most + 1
    assert (race.observations == most + 1).all()


@pytest.mark.parametrize(
    ("systems", "alpha", "indifference"), [(1, 0.05, 1.0), (2, 0.5, 1.0), (2, 0.05, 0.0)]
)
def test_what_cannot_be_promised_is_refused(systems, alpha, indifference):
    with pytest.raises(ValueError, match="two systems"):
        select_best(normal([0.0, 0.0], 1.0, 1), systems, alpha, indifference)


def test_the_command_names_the_best_and_repeats_itself():
    words = ["best", SEQUENCING, "--outcome", "resected", "--within", "3"]
    words += ["--block", "200", "--set", "run.draws=mean", "--json", "--quiet"]
    one, two = crlm(*words), crlm(*words)
    assert one.code == 0
    found = json.loads(one.out)
    assert found["best"] in ("simultaneous", "liver_first")
    assert found["policies"]["colorectal_first"]["patients"] <= min(
        found["policies"][name]["patients"] for name in ("simultaneous", "liver_first")
    )
    assert json.loads(two.out) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--outcome", "resectd"], "did you mean 'resected'"),
        (["--outcome", "scans"], "no outcome 'scans' of which more or less is better"),
        (["--within", "0"], "--within"),
        (["--within", "inf"], "--within"),
        (["--outcome", "resected"], "say which difference"),
        (["--outcome", "resected", "--within", "100"], "below 100"),
        (["--probability", "1"], "--probability"),
        (["--policy", "liver_first"], "two policies"),
    ],
)
def test_bad_requests_are_refused(words, said):
    answer = crlm("best", SEQUENCING, "--quiet", *words)
    assert answer.code == 2
    assert said in answer.err
