"""Every design that a trial file can state: its error without effect, its power with one.

20,000 trials of EORTC 40983 each: patients of the model with the control's treatment in both arms,
or with a hazard ratio imposed. Patients are drawn once for all designs with the same looks. A
comparison within 3.3 standard errors fails for 1 seed in 1,000; seeds are fixed.

`PYTHONPATH=tests python tests/test_trial_designs.py` prints the table of the documentation.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from designs import eortc
from scipy.stats import norm

from crlm_sim.trials import nonproportional, timing
from crlm_sim.trials.boundaries import crossing
from crlm_sim.trials.enrolment import recruitment
from crlm_sim.trials.events import schoenfeld
from crlm_sim.trials.looks import cut, dates, stop
from crlm_sim.trials.operating import draw_patients, looks_of, operating, z_of
from crlm_sim.trials.people import simulate_people

pytestmark = pytest.mark.slow

TRIALS, BLOCK = 20_000, 5_000
EVENTS, PATIENTS = 278, 364
ALPHA, RATIO, MARGIN = 0.025, 0.71, 1.3
THREE_LOOKS = "design.looks=[0.5, 0.75, 1.0]"
FUTILITY = "design.futility={ hwang_shih_decani = -2 }"
SEQUENTIAL = {
    "O'Brien–Fleming": ("design.spending=obrien_fleming",),
    "Pocock": ("design.spending=pocock",),
    "Kim–DeMets, power 2": ("design.spending={ kim_demets = 2 }",),
    "Hwang–Shih–DeCani, gamma −4": ("design.spending={ hwang_shih_decani = -4 }",),
    "stated by look": ("design.spending=[0.005, 0.012, 0.025]",),
    "O'Brien–Fleming, futility": (FUTILITY,),
    "O'Brien–Fleming, binding futility": (FUTILITY, "design.binding=true"),
}
ONE_LOOK = {
    "log-rank": (),
    "stratified log-rank": ("design.stratified=true",),
    "Fleming–Harrington (0, 1)": ("design.test=fleming_harrington", "design.gamma=1"),
    "Fleming–Harrington (0, ½)": ("design.test=fleming_harrington", "design.gamma=0.5"),
    "MaxCombo": ("design.test=max_combo",),
    "Cox": ("design.test=cox",),
    "restricted mean to 36 months": ("design.test=restricted_mean", "design.tau=36 months"),
}
NO_WORSE = ("design.test=cox", f"design.margin={MARGIN}")
LARGER = tuple(
    f"reestimation.{one}" for one in ("enrolled=60 %", "by=48 months", "patients_at_most=600")
)


@cache
def people_of(truth):
    """The people drawn from, and their recruitment."""
    people = simulate_people(eortc(truth), 0, lambda done: None)
    return people, recruitment(eortc(truth), people.eligible_share)


def statistics(truth, looks, designs):
    """z of the test of each design at looks they share: arrays of (trials, looks)."""
    trial = eortc(truth, *looks, "design.stratified=true")
    people, coming = people_of(truth)
    found = [[] for _ in designs]
    for block in np.arange(TRIALS).reshape(-1, BLOCK):
        patients = draw_patients(trial, people, coming, block, 0)
        held = dates(patients, looks_of(trial)).T
        in_strata = [cut(patients, date) for date in held]
        together = [cut(replace(patients, stratum=None), date) for date in held]
        for design, z in zip(designs, found, strict=True):
            data = in_strata if design.stratified else together
            z.append(np.column_stack([z_of(design)(one) for one in data]))
    return [np.concatenate(z) for z in found]


@cache
def shown_sequentially(truth):
    """The share of trials that each sequential design shows an effect in."""
    designs = {name: eortc(truth, THREE_LOOKS, *said).design for name, said in SEQUENTIAL.items()}
    [z] = statistics(truth, [THREE_LOOKS], [designs["Pocock"]])
    bounds = {name: design.bounds() for name, design in designs.items()}
    return {name: stop(z, one.upper, one.lower).shown.mean() for name, one in bounds.items()}


@cache
def shown_at_one_look(truth):
    """The share of trials in which each test shows an effect."""
    designs = [eortc(truth, *said).design for said in ONE_LOOK.values()]
    z = statistics(truth, (), designs)
    return {name: (one >= norm.isf(ALPHA)).mean() for name, one in zip(ONE_LOOK, z, strict=True)}


@cache
def shown_as_no_worse(truth):
    """The share of trials in which Cox's model excludes the margin."""
    [z] = statistics(truth, (), [eortc(truth, *NO_WORSE).design])
    return (z >= norm.isf(ALPHA)).mean()


@cache
def shown_with_more_patients(truth):
    """(the share of trials that show an effect, of those that were enlarged), re-estimated."""
    told = operating(eortc(truth, *LARGER), TRIALS)
    return told["power"]["estimate"], told["reestimation"]["increased"]


def crossing_of(name, ratio):
    """The exact probability that a sequential design shows an effect."""
    bounds = eortc(1.0, THREE_LOOKS, *SEQUENTIAL[name]).design.bounds()
    means = drift(ratio) * np.sqrt(bounds.fractions)
    return crossing(bounds.fractions, bounds.upper, bounds.lower, means).power


def drift(ratio, null=1.0):
    """Mean of the last z, by Schoenfeld."""
    return math.sqrt(EVENTS) * schoenfeld(ratio, 1.0, null)


@cache
def power_of_tests():
    """What large-sample theory says of each test, with the hazards of all people by months."""
    people, coming = people_of(RATIO)
    months = np.arange(73.0)
    alive = (people.event[0] > months[:, None]).mean(axis=1)
    hazards, cuts = -np.diff(np.log(alive)), list(months[1:-1])
    arms = (timing.arm(hazards * ratio, 0.0, cuts) for ratio in (1.0, RATIO))
    truth = timing.Truth(coming.in_periods(PATIENTS), *arms)
    when = timing.time_of_events(truth, EVENTS)
    weights = ((0.0, 0.0), (0.0, 1.0), (0.0, 0.5), (1.0, 0.0))
    one = nonproportional.weighted_power(
        nonproportional.weighted_log_rank(truth, when, weights), PATIENTS, ALPHA
    )
    combined = nonproportional.weighted_log_rank(truth, when, [weights[0], weights[1], weights[3]])
    means = nonproportional.restricted_mean_difference(truth, when, 36.0)
    return dict(
        zip(
            ONE_LOOK,
            [
                one[0],
                one[0],
                one[1],
                one[2],
                nonproportional.max_combo_power(combined, PATIENTS, ALPHA),
                one[0],
                means.power(PATIENTS, ALPHA),
            ],
            strict=True,
        )
    )


def error_is(found, expected=ALPHA):
    """Within 3.3 standard errors."""
    return abs(found - expected) < 3.3 * math.sqrt(expected * (1.0 - expected) / TRIALS)


def power_is(found, expected):
    """Within 3.3 standard errors and the point by which theory of large samples may be off."""
    return abs(found - expected) < 0.01 + 3.3 * math.sqrt(expected * (1.0 - expected) / TRIALS)


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_sequential_designs_keep_their_error_and_have_their_power(name):
    """Against the exact crossing probabilities; futility that is not binding costs some error."""
    assert error_is(shown_sequentially("null")[name], crossing_of(name, 1.0))
    assert power_is(shown_sequentially(RATIO)[name], crossing_of(name, RATIO))


@pytest.mark.parametrize("name", ONE_LOOK)
def test_every_test_keeps_its_error_and_has_its_power(name):
    assert error_is(shown_at_one_look("null")[name])
    assert power_is(shown_at_one_look(RATIO)[name], power_of_tests()[name])


def test_not_being_worse_is_shown_as_often_as_it_should_be():
    """With the margin as truth it is an error; without a difference it is the power."""
    assert error_is(shown_as_no_worse(MARGIN))
    assert power_is(shown_as_no_worse(1.0), norm.cdf(drift(1.0, MARGIN) - norm.isf(ALPHA)))


def test_re_estimation_keeps_the_error_and_the_power():
    error, enlarged = shown_with_more_patients("null")
    assert error_is(error)
    assert enlarged > 0.5
    assert power_is(shown_with_more_patients(RATIO)[0], norm.cdf(drift(RATIO) - norm.isf(ALPHA)))


def table():
    """Rows of the documentation: design, error, power, the power expected."""
    pairs = [(shown_at_one_look("null"), shown_at_one_look(RATIO), power_of_tests())]
    expected = {name: crossing_of(name, RATIO) for name in SEQUENTIAL}
    pairs.append((shown_sequentially("null"), shown_sequentially(RATIO), expected))
    rows = [(name, *(one[name] for one in three)) for three in pairs for name in three[0]]
    no_worse = norm.cdf(drift(1.0, MARGIN) - norm.isf(ALPHA))
    rows.append(("Cox, margin 1.3", shown_as_no_worse(MARGIN), shown_as_no_worse(1.0), no_worse))
    more = [shown_with_more_patients(truth)[0] for truth in ("null", RATIO)]
    rows.append(("log-rank, re-estimated", *more, norm.cdf(drift(RATIO) - norm.isf(ALPHA))))
    return [(name, *(f"{100.0 * share:.2f}" for share in shares)) for name, *shares in rows]


if __name__ == "__main__":
    for row in table():
        print("|", " | ".join(row), "|")
