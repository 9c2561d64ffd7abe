"""Randomisation after diagnosis: who comes to it, from when time counts, what must be common."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import trial_is_refused

from crlm_sim.disease.growth import RESOLUTION_MINUTES
from crlm_sim.disease.patient import NEVER
from crlm_sim.experiments.simulate import packed_parameters, patient_numbers, simulate_block
from crlm_sim.outcomes.clocks import CLOCKS, reached, times
from crlm_sim.scenario import ScenarioError
from crlm_sim.trials.entry import live_until
from crlm_sim.trials.file import load_trial
from crlm_sim.trials.operating import operating
from crlm_sim.trials.people import MINUTES_PER_MONTH, simulate_people

TEXT = """
title = "Test"
[run]
patients = 300
[population]
eligible = "resectable and liver_only and performance_status <= 1"
[randomisation]
at = "clearance"
[[arm]]
name = "surgery"
policy = "surgery_alone"
[[arm]]
name = "drugs"
policy = "upfront_adjuvant"
[accrual]
patients = 120
per_month = 6
[endpoint]
outcome = "dfs"
[design]
hazard_ratio = 0.6
events = 70
"""
MAINTENANCE = (
    TEXT.replace("clearance", "maintenance")
    .replace('"resectable and', '"unresectable and')
    .replace('"surgery_alone"', '{ base = "standard", surveillance = "6 months" }')
    .replace(
        '"upfront_adjuvant"',
        '{ base = "standard", maintenance_regimen = "capecitabine_bevacizumab" }',
    )
    .replace('"dfs"', '"pfs"')
)


def trial(folder, *settings, text=TEXT):
    path = folder / "test.toml"
    path.write_text(text)
    return load_trial(path, settings)


def nothing(done):
    pass


def candidates(loaded, number):
    """(numbers of the first who are eligible at diagnosis, parameters)."""
    run = loaded.scenario.run.model_copy(update={"patients": number})
    scenario = loaded.scenario.model_copy(update={"run": run})
    params = packed_parameters(scenario, 0)
    return np.concatenate(list(patient_numbers(scenario, 5_000, params=params))), params


def test_people_are_the_first_who_come_to_it_and_time_counts_from_there(tmp_path):
    """Months are those a run of either policy has from its clock, to the bit."""
    loaded = trial(tmp_path)
    people = simulate_people(loaded, 0, nothing)
    numbers, params = candidates(loaded, 1_000)
    for arm, policy in enumerate(loaded.policies):
        lived = simulate_block(loaded.scenario, policy, numbers, params=params).patients
        minutes, happened, who = times(lived, "clearance", "dfs")
        months = np.where(happened, minutes / MINUTES_PER_MONTH, math.inf)
        np.testing.assert_array_equal(people.event[arm], months[:300])
        last = numbers[np.flatnonzero(who)[299]]
    assert people.eligible_share == pytest.approx(300 / (last + 1))
    assert (people.event[0] != people.event[1]).any()


def test_who_is_eligible_is_judged_at_randomisation(tmp_path):
    """A condition on the course: who is cleared within five months, by its clock."""
    limit = 5.0
    loaded = trial(tmp_path, f"randomisation.eligible=months_since_diagnosis <= {limit} months")
    people = simulate_people(loaded, 0, nothing)
    numbers, params = candidates(loaded, 2_000)
    lived = simulate_block(loaded.scenario, loaded.policies[0], numbers, params=params).patients
    minutes, happened, who = times(lived, "clearance", "dfs")
    soon = CLOCKS["clearance"].start(lived[who]) <= limit * MINUTES_PER_MONTH
    assert 0.1 < soon.mean() < 0.9
    months = np.where(happened, minutes / MINUTES_PER_MONTH, math.inf)[soon]
    np.testing.assert_array_equal(people.event[0], months[:300])


def test_factors_are_judged_at_randomisation(tmp_path):
    since = "months_since_diagnosis"
    factor = f'\n[allocation.factors]\nwhen = ["{since} <= 5 months", "{since} > 5 months"]\n'
    people = simulate_people(trial(tmp_path, text=TEXT + factor), 0, nothing)
    assert 0.1 < people.levels.mean() < 0.9


@pytest.mark.parametrize("text", [TEXT, MAINTENANCE], ids=["adjuvant", "maintenance"])
def test_policies_may_differ_in_what_comes_after(tmp_path, text):
    people = simulate_people(trial(tmp_path, text=text), 0, nothing)
    assert people.event.shape == (2, 300)
    assert (people.event[0] != people.event[1]).mean() > 0.1


@pytest.mark.parametrize(
    "policy",
    [
        '{ base = "upfront_adjuvant", margin_mm = 1.0 }',
        '{ base = "upfront_adjuvant", sequence = "liver-first" }',
        '"standard"',
    ],
)
def test_policies_that_differ_before_are_refused(tmp_path, policy):
    """Other margins alone change what is left in the liver and not when it is cleared."""
    text = TEXT.replace('"upfront_adjuvant"', policy)
    trial_is_refused(tmp_path, text, "at =", "the arms' policies differ before 'clearance'")


def test_under_the_null_the_controls_policy_is_all_that_counts(tmp_path):
    """Also where the other arm's differs before randomisation."""
    loaded = trial(tmp_path, "truth=null", text=TEXT.replace('"upfront_adjuvant"', '"standard"'))
    people = simulate_people(loaded, 0, nothing)
    np.testing.assert_array_equal(people.event[0], people.event[1])


def test_nobody_who_comes_to_it_is_refused(tmp_path):
    text = TEXT.replace("at =", 'eligible = "age > 109 years"\nat =')
    trial_is_refused(tmp_path, text, "[randomisation]", "0 come to randomisation")


@pytest.mark.parametrize(
    ("old", "new", "at", "told"),
    [
        ('"clearance"', '"clearence"', "clearence", "did you mean 'clearance'?"),
        ("at =", 'eligible = "recurent"\nat =', "recurent", "did you mean 'recurrent'?"),
        ("at =", "when =", "when =", "unknown key 'when'"),
        ("[design]", "[value]\ncost = 1\n[design]", "[value]", "[value] is for trials that"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, at, told):
    assert old in TEXT
    trial_is_refused(tmp_path, TEXT.replace(old, new, 1), at, told)


def test_a_life_does_not_depend_on_when_it_ends(tmp_path):
    """What was over by a patient's own end is what a whole life shows, by its log and deaths.

    The minute of a tumour's death is found to a resolution, from where it is looked for.
    """
    loaded = trial(tmp_path, "randomisation.at=diagnosis")
    numbers, params = candidates(loaded, 200)
    horizon = np.full(200, loaded.scenario.horizon_minutes)
    whole, every = live_until(loaded, "drugs", numbers, params, 0, horizon, keep_log=True)
    ends = 1 + (np.arange(200) * 7919 * 1440) % (6 * 525_960)
    part, log = live_until(loaded, "drugs", numbers, params, 0, ends, keep_log=True)
    for number, end in zip(numbers, ends, strict=True):
        mine, full = log[log["patient"] == number], every[every["patient"] == number]
        np.testing.assert_array_equal(mine[mine["end"] < end], full[full["end"] < end])
    apart = np.abs(part["end_minute"] - np.minimum(whole["end_minute"], ends))
    assert apart.max() <= RESOLUTION_MINUTES
    unclear = np.abs(whole["death_minute"] - ends) <= RESOLUTION_MINUTES
    died = whole["death_minute"] <= ends
    assert 0.2 < died.mean() < 0.8
    np.testing.assert_array_equal((part["death_minute"] < NEVER)[~unclear], died[~unclear])


def test_what_is_judged_counts_from_randomisation(tmp_path):
    """A major complication of the operation itself is not one since, and QALYs are those since."""
    text = TEXT.replace('"dfs"', '"major_complication"\nwindow = "12 months"')
    text = text.replace("hazard_ratio = 0.6\nevents = 70", "difference = 0.05")
    loaded = trial(tmp_path, text=text)
    since = simulate_people(loaded, 0, nothing).values
    numbers, params = candidates(loaded, 1_000)
    lived = simulate_block(loaded.scenario, loaded.policies[0], numbers, params=params).patients
    before = lived[reached(lived, "clearance")][:300]["major_complication"]
    assert since[0].mean() < 0.3 * before.mean()
    text = text.replace('"major_complication"', '"qaly"')
    worth = simulate_people(trial(tmp_path, text=text), 0, nothing).values
    assert 0.5 < worth.mean() < 0.9


def test_results_do_not_depend_on_the_blocks(tmp_path):
    loaded = trial(tmp_path, "randomisation.eligible=age <= 70 years")
    assert operating(loaded, 60) == operating(loaded, 60, block=7)


def test_without_a_randomisation_section_it_is_at_diagnosis(tmp_path):
    loaded = trial(tmp_path, text=TEXT.replace('[randomisation]\nat = "clearance"\n', ""))
    assert loaded.randomisation.at == "diagnosis"
    with pytest.raises(ScenarioError, match="is judged on the day of diagnosis"):
        trial(tmp_path, "randomisation.at=diagnosis", "randomisation.eligible=age <= 70 years")


# Long ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("text", [TEXT, MAINTENANCE], ids=["adjuvant", "maintenance"])
def test_type_1_error_is_kept(tmp_path, text):
    """20,000 trials, error within 3.3 standard errors of 0.025: wrong for 1 seed in 1,000."""
    loaded = trial(tmp_path, "truth=null", "run.patients=2000", text=text)
    found = operating(loaded, 20_000)["type_1_error"]["estimate"]
    assert abs(found - 0.025) < 3.3 * math.sqrt(0.025 * 0.975 / 20_000)
