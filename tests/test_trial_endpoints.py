"""Endpoints judged in a window: what is read off patients, looks, drop-out, error and power.

Seeds are fixed, so that no test fails by chance on some days. Error rates say for how many seeds
each comparison would fail though all is well.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import crlm, trial_is_refused
from scipy import stats

from crlm_sim.experiments.simulate import packed_parameters, patient_numbers, simulate_block
from crlm_sim.scenario import loads
from crlm_sim.trials.assessing import assess
from crlm_sim.trials.comparisons import farrington_manning
from crlm_sim.trials.endpoints import JUDGED
from crlm_sim.trials.file import load_trial
from crlm_sim.trials.looks import Patients
from crlm_sim.trials.operating import operating
from crlm_sim.trials.people import simulate_people
from crlm_sim.trials.timing import Look

ELIGIBLE = "unresectable and liver_only and performance_status <= 1"
DOUBLET = (
    '{ base = "standard", conversion_regimen = "folfox", first_line_regimen = "folfox", '
    'second_line_regimen = "folfiri" }'
)
TRIPLET = DOUBLET.replace('"folfox"', '"folfoxiri_bevacizumab"')
TEXT = f"""
title = "Test"
[run]
patients = 500
[population]
eligible = "{ELIGIBLE}"
[[arm]]
name = "doublet"
policy = {DOUBLET}
[[arm]]
name = "triplet"
policy = {TRIPLET}
[accrual]
patients = 160
per_month = 10
[endpoint]
outcome = "response"
window = "12 months"
[design]
difference = "15 %"
control = "40 %"
"""


def trial(folder, *settings, text=TEXT):
    path = folder / "test.toml"
    path.write_text(text)
    return load_trial(path, settings)


def qaly(text):
    """The same trial, of QALYs."""
    return text.replace('"response"', '"qaly"').replace('control = "40 %"\n', "")


def nothing(done):
    pass


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "at", "told"),
    [
        ('"response"', '"respons"', "outcome =", "did you mean 'response'?"),
        ('window = "12 months"\n', "", "[endpoint]", "window is missing"),
        ("12 months", "0 months", "window =", "must be above 0"),
        ("12 months", "20 years", "window =", "end before the horizon"),
        ('"response"', '"os"', "window =", "is a time to an event"),
        ('difference = "15 %"\n', "", "[design]", "difference is missing"),
        ('"15 %"', "0", "difference =", "must be above the null"),
        ('"15 %"', "1.5", "difference =", "a difference of proportions is below 1"),
        ('"15 %"', '"70 %"', "control =", "the other arm's share is 1.1"),
        ('"15 %"', '"15 %"\nhazard_ratio = 0.7', "hazard_ratio", "unknown key 'hazard_ratio'"),
        ('"15 %"', '"15 %"\ntest = "log_rank"', "test =", "must be one of 'farrington_manning'"),
        ('"15 %"', '"15 %"\nlooks = [0.5, 0.9]', "looks =", "the last information fraction is 1"),
        ('"response"', '"qaly"\ndropouts = "failure"', "dropouts =", "can only be left out"),
        ('title = "Test"', 'title = "Test"\ntruth = 0.7', "truth =", "is not imposed on"),
        (
            "[design]",
            "[reestimation]\npatients_at_most = 200\n[design]",
            "[reestimation]",
            "is for times to events",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, at, told):
    assert old in TEXT
    trial_is_refused(tmp_path, TEXT.replace(old, new, 1), at, told)


def test_answers_that_never_vary_are_refused(tmp_path):
    text = TEXT.replace("12 months", "1 day")
    trial_is_refused(tmp_path, text, "window =", "all people have the same answer")


# What is read off patients ------------------------------------------------------------------------


def lived(policy, months, numbers=None):
    """The same people in a run whose horizon is the window."""
    scenario = loads(
        f'title = "t"\n[run]\npatients = 500\ndraws = "mean"\nhorizon = "{months} months"\n'
        f'[population]\neligible = "{ELIGIBLE}"\n[[policy]]\nname = "arm"\n'
        + "\n".join(policy.strip("{} ").split(", "))
    )
    params = packed_parameters(scenario, 0)
    numbers = np.concatenate(list(patient_numbers(scenario, 5_000, params=params)))
    return simulate_block(scenario, "arm", numbers, params=params).patients


@pytest.mark.parametrize(
    ("outcome", "months", "expected"),
    [
        ("response", 12, lambda c: c["objective_response"] > 0),
        ("conversion", 12, lambda c: c["converted"] > 0),
        ("resection", 24, lambda c: c["resected"] > 0),
        ("r0", 24, lambda c: (c["resected"] > 0) & (c["margin_positive"] == 0)),
        ("completion", 24, lambda c: c["sequence_completed"] > 0),
        ("major_complication", 24, lambda c: c["major_complication"] > 0),
        ("severe_toxicity", 12, lambda c: c["severe_toxicity"] > 0),
        ("alive", 24, lambda c: c["cause_of_death"] == 0),
    ],
)
def test_answers_are_those_of_a_run_that_ends_with_the_window(tmp_path, outcome, months, expected):
    """Bit for bit, in both arms; and the arms differ."""
    loaded = trial(tmp_path, f"endpoint.outcome={outcome}", f"endpoint.window={months} months")
    values = simulate_people(loaded, 0, nothing).values
    for answers, policy in zip(values, (DOUBLET, TRIPLET), strict=True):
        np.testing.assert_array_equal(answers, expected(lived(policy, months)).astype(float))
    assert (values[0] != values[1]).any()
    assert 0.0 < values.mean() < 1.0


def test_qalys_are_those_of_a_run_that_ends_with_the_window(tmp_path):
    values = simulate_people(trial(tmp_path, text=qaly(TEXT)), 0, nothing).values
    for answers, policy in zip(values, (DOUBLET, TRIPLET), strict=True):
        np.testing.assert_array_equal(answers, lived(policy, 12)["quality_days"] / 365.25)


def test_a_longer_window_only_adds_events(tmp_path):
    short, long = (
        simulate_people(
            trial(tmp_path, "endpoint.outcome=resection", f"endpoint.window={months} months"),
            0,
            nothing,
        ).values
        for months in (9, 36)
    )
    assert (short <= long).all()
    assert (short < long).any()


# Looks --------------------------------------------------------------------------------------------

HAND = Patients(
    enrolment=np.array([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]),
    event=np.full((1, 6), 12.0),
    dropout=np.array([[np.inf, np.inf, 3.0, np.inf, np.inf, np.inf]]),
    arm=np.array([[0, 1, 1, 0, 1, 0]]),
)
ANSWERS = np.array([[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]])


def test_who_drops_out_is_a_failure_or_left_out(tmp_path):
    """Six patients by hand: the third, of the experimental arm, responds and drops out."""
    looks = [Look(events=3), Look(events=6)]
    failed = assess(trial(tmp_path), HAND, ANSWERS, looks)
    np.testing.assert_array_equal(failed.date, [[14.0, 17.0]])
    np.testing.assert_array_equal(failed.events, [[3, 6]])
    np.testing.assert_array_equal(failed.enrolled, [[6, 6]])
    np.testing.assert_allclose(failed.estimate, [[1 / 2 - 0.0, 1 / 3 - 1 / 3]])
    np.testing.assert_allclose(failed.z[0, 0], farrington_manning(0, 1, 1, 2))
    left = assess(trial(tmp_path, "endpoint.dropouts=left_out"), HAND, ANSWERS, looks)
    np.testing.assert_array_equal(left.date, [[15.0, 17.0]])
    np.testing.assert_array_equal(left.events, [[3, 5]])
    np.testing.assert_allclose(left.estimate, [[1.0 - 1 / 2, 1 / 2 - 1 / 3]])


def test_less_is_better_where_it_is(tmp_path):
    """Of complications the drop-out has one, and fewer of them give a positive z."""
    harm = trial(tmp_path, "endpoint.outcome=major_complication", "design.margin=0.1")
    found = assess(harm, HAND, ANSWERS, [Look(events=6)])
    np.testing.assert_allclose(found.estimate, [[2 / 3 - 1 / 3]])
    np.testing.assert_allclose(found.z[0, 0], farrington_manning(2, 3, 1, 3, -0.1))


def test_welchs_z_is_scipys(tmp_path):
    values = np.array([[3.0, 1.5, 2.0, 2.5, 0.5, 4.0]])
    found = assess(trial(tmp_path, text=qaly(TEXT)), HAND, values, [Look(events=5)])
    theirs = stats.ttest_ind([1.5, 0.5], [3.0, 2.5, 4.0], equal_var=False).statistic
    np.testing.assert_allclose(found.z[0, 0], theirs)


@pytest.mark.parametrize("text", [TEXT, qaly(TEXT)], ids=["share", "mean"])
def test_results_do_not_depend_on_the_blocks(tmp_path, text):
    settings = (
        "accrual.dropout_per_year=5 %",
        "endpoint.dropouts=left_out",
        "design.looks=[0.5, 1.0]",
        "design.futility=pocock",
    )
    loaded = trial(tmp_path, *settings, text=text)
    whole = operating(loaded, 60)
    assert whole == operating(loaded, 60, block=7) == operating(loaded, 60, block=1)
    assert whole["looks"][0]["assessed"] == 80


def test_dates_of_looks_may_be_fixed(tmp_path):
    told = operating(trial(tmp_path, 'design.dates=["20 months"]'), 20)
    assert told["looks"][0]["months"]["estimate"] == 20.0
    assert 60 < told["looks"][0]["assessed"] < 100
    assert told["analytic"]["months"] == [20.0]


# Error and power ----------------------------------------------------------------------------------


def exact(trials_of_arm, shares, z, margin=0.0):
    """Probability over all tables that the score test is at or above z."""
    counts = np.arange(trials_of_arm + 1)
    found = farrington_manning(counts[:, None], trials_of_arm, counts, trials_of_arm, -margin)
    chances = [stats.binom.pmf(counts, trials_of_arm, share) for share in shares]
    return float(np.outer(*chances)[np.nan_to_num(found, nan=-np.inf) >= z].sum())


def test_power_is_that_of_all_tables(tmp_path):
    """2,000 trials of 80 patients an arm, within 3.3 standard errors (1 seed in 1,000)."""
    for settings in ((), ("design.margin=10 %",)):
        told = operating(trial(tmp_path, *settings), 2_000)
        expected = exact(80, told["by_arm"], stats.norm.isf(0.025), told["margin"])
        error = math.sqrt(expected * (1.0 - expected) / 2_000)
        assert abs(told["power"]["estimate"] - expected) < 3.3 * error
        assert told["analytic"]["power_as_simulated"] == pytest.approx(expected, abs=0.02)


def test_harm_is_never_shown_as_benefit(tmp_path):
    """The triplet is more toxic: shown as less toxic by no trial, and by most the other way."""
    at = ("endpoint.outcome=severe_toxicity", "accrual.patients=1000", "endpoint.window=24 months")
    assert operating(trial(tmp_path, *at), 100)["power"]["estimate"] == 0.0
    turned = TEXT.replace(DOUBLET, "FIRST").replace(TRIPLET, DOUBLET).replace("FIRST", TRIPLET)
    assert operating(trial(tmp_path, *at, text=turned), 100)["power"]["estimate"] > 0.5


def test_the_command_prints_tables_and_json(tmp_path):
    trial(tmp_path)
    given = ("trial", str(tmp_path / "test.toml"), "--replicates", "40", "--quiet")
    answer = crlm(*given, "--json", "--truth", "null")
    assert answer.code == 0
    assert answer.json["type_1_error"] == answer.json["power"]
    assert answer.json["by_arm"][0] == answer.json["by_arm"][1]
    assert answer.json["looks"][0]["assessed_wanted"] == 160
    text = crlm(*given).out
    assert "response, triplet, %" in text
    assert "placeholders" not in text
    (tmp_path / "test.toml").write_text(qaly(TEXT))
    assert "prices and utilities behind them are placeholders" in " ".join(crlm(*given).out.split())


def test_assurance_is_the_mean_over_draws(tmp_path):
    told = operating(trial(tmp_path, "run.draws=3", "run.patients=200"), 90)
    assert (told["draws"], told["replicates"]) == (3, 90)
    assert told["power"]["estimate"] == pytest.approx(np.mean(told["power_by_draw"]["all"]))


def test_check_says_how_many_are_assessed(tmp_path):
    trial(tmp_path)
    assert crlm("check", str(tmp_path / "test.toml"), "--json").json["assessed"] == 160


# Long ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("outcome", list(JUDGED))
def test_type_1_error_is_kept(tmp_path, outcome):
    """20,000 trials within 3.3 standard errors of what all tables say: wrong for 1 seed in 1,000.

    All tables say 0.025 within 0.003. Of QALYs it is the nominal level.
    """
    settings = ["truth=null", "run.patients=2000", f"endpoint.outcome={outcome}"]
    text = TEXT
    if outcome == "qaly":
        text = qaly(TEXT)
    told = operating(trial(tmp_path, *settings, text=text), 20_000)
    expected = 0.025
    if told["kind"] == "share":
        expected = exact(80, told["by_arm"], stats.norm.isf(0.025))
        assert expected == pytest.approx(0.025, abs=0.003)
    error = math.sqrt(expected * (1.0 - expected) / 20_000)
    assert abs(told["type_1_error"]["estimate"] - expected) < 3.3 * error


@pytest.mark.slow
def test_two_looks_are_those_of_all_tables(tmp_path):
    """Looks at 80 and 160 assessed, blocks of four: 20,000 trials at each look, 3.3 errors."""
    told = operating(trial(tmp_path, "design.looks=[0.5, 1.0]"), 20_000)
    upper = [look["upper_z"] for look in told["looks"]]
    counts = np.arange(41)
    chances = [stats.binom.pmf(counts, 40, share) for share in told["by_arm"]]
    first = farrington_manning(counts[:, None], 40, counts, 40)
    early = np.nan_to_num(first, nan=-np.inf) >= upper[0]
    table = np.outer(*chances)
    going_on = np.where(early, 0.0, table)
    totals = np.zeros((81, 81))
    for i, j in np.ndindex(table.shape):
        totals[i : i + 41, j : j + 41] += going_on[i, j] * table
    both = np.arange(81)
    last = farrington_manning(both[:, None], 80, both, 80)
    late = np.nan_to_num(last, nan=-np.inf) >= upper[1]
    for look, expected in zip(told["looks"], (table[early].sum(), totals[late].sum()), strict=True):
        error = math.sqrt(expected * (1.0 - expected) / 20_000)
        assert abs(look["efficacy"] - expected) < 3.3 * error
