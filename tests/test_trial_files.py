"""Trial files: what is said of bad ones, and trials with patients of the model.

Seeds are fixed, so that no test fails by chance on some days. Error rates say for how many seeds
each comparison would fail though all is well.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from helpers import crlm, trial_is_refused

from crlm_sim.experiments.simulate import packed_parameters, patient_numbers, simulate_block
from crlm_sim.outcomes.clocks import times
from crlm_sim.scenario import ScenarioError, load
from crlm_sim.trials import spending
from crlm_sim.trials.boundaries import design_bounds
from crlm_sim.trials.enrolment import recruitment
from crlm_sim.trials.file import load_trial
from crlm_sim.trials.looks import Patients, dates
from crlm_sim.trials.operating import draw_patients, event_counts, operating
from crlm_sim.trials.people import MINUTES_PER_MONTH, simulate_people
from crlm_sim.trials.timing import Look
from crlm_sim.trials.value import cost_and_effect

TRIALS = Path("scenarios/trials")
TEXT = f"""
title = "Test"
scenario = "{Path("scenarios/surgery_or_perioperative.toml").resolve()}"
[run]
patients = 400
[population]
eligible = "resectable and liver_only"
[[arm]]
name = "control"
policy = "surgery_alone"
[[arm]]
name = "drugs"
policy = {{ base = "perioperative", reevaluation = "8 weeks" }}
[accrual]
patients = 120
per_month = 10
dropout_per_year = "3 %"
[allocation]
[allocation.factors]
risk = ["fong_score <= 2", "fong_score >= 3"]
[endpoint]
outcome = "pfs"
[design]
hazard_ratio = 0.6
events = 90
looks = [0.5, 1.0]
futility = "pocock"
stratified = true
"""
SITES = """
[[site]]
name = "first"
sites = 2
opening_every = "2 months"
ramp_up = "4 months"
screened_per_month = 10
consent = "50 %"
closes = "20 months"
[[site]]
name = "later"
opens = "10 months"
screened_per_month = 3
closes = "20 months"
"""


def trial(folder: Path, *settings: str, text: str = TEXT):
    path = folder / "test.toml"
    path.write_text(text)
    return load_trial(path, settings)


def with_sites(folder: Path, *settings: str):
    return trial(folder, *settings, text=TEXT.replace("per_month = 10", "") + SITES)


@pytest.mark.parametrize("path", sorted(TRIALS.glob("*.toml")), ids=lambda path: path.stem)
def test_trials_that_come_with_the_program_load(path):
    answer = crlm("check", str(path), "--json")
    assert (answer.code, answer.err) == (0, "")
    loaded = load_trial(path)
    awaited = "events" if loaded.judged is None else "assessed"
    assert answer.json[awaited] == loaded.information


@pytest.mark.parametrize(
    ("old", "new", "at", "told"),
    [
        (
            "events = 90",
            "events = 121",
            "events =",
            "121 events are waited for and 120 patients wanted",
        ),
        ("0.5, 1.0", "1.0, 0.5", "looks =", "information fractions rise"),
        ("0.5, 1.0", "0.5, 0.9", "looks =", "the last information fraction is 1"),
        (
            '"pocock"',
            "[0.1, 0.15]",
            "futility =",
            "spending ends at 0.15 and not at the error rate",
        ),
        ('futility = "pocock"', "spending = [0.01, 0.02]", "spending =", "spending ends at 0.02"),
        ('futility = "pocock"', 'spending = "pocok"', "spending =", "did you mean 'pocock'?"),
        (
            '"pocock"',
            "{ hwang_shih_decan = -4 }",
            "futility =",
            "did you mean 'hwang_shih_decani'?",
        ),
        ('"pocock"', '"kim_demets"', "futility =", "write { kim_demets = 2 }"),
        ('"pocock"', "{ kim_demets = 0 }", "futility =", "is above 0 and at most 50 (got 0)"),
        ('"pocock"', "{ hwang_shih_decani = 51 }", "futility =", "is from -50 to 50 (got 51)"),
        ('"pocock"', '"none"\nbinding = true', "binding =", "no futility bound that could be"),
        ('"pfs"', '"psf"', "outcome =", "did you mean 'pfs'?"),
        ('"perioperative"', '"perioperativ"', "reevaluation", "did you mean 'perioperative'?"),
        ('"surgery_alone"', '"surgery_alon"', "surgery_alon", "did you mean 'surgery_alone'?"),
        ("patients = 400", "patients = 99", "patients = 99", "from 100 people or more"),
        ("per_month", "a_month", "a_month", "did you mean 'per_month'?"),
        ("per_month = 10", "", "[accrual]", "say either per_month"),
        ("fong_score <= 2", "fong_scor <= 2", "[allocation.factors]", "did you mean 'fong_score'?"),
        ('"resectable and', '"resectabel and', "resectabel", "did you mean 'resectable'?"),
        ("[allocation]", "[allocation]\nsizes = [3]", "sizes =", "multiples of 2"),
        ("stratified = true", "margin = 1.2", "margin =", 'write test = "cox"'),
        ("stratified = true", 'test = "max_combo"', "test =", "is for one look"),
        ("[endpoint]", "[endpoints]", "[endpoints]", "did you mean 'endpoint'?"),
        ('name = "drugs"', 'name  = "control"', "name  =", "a second arm is called 'control'"),
        ("hazard_ratio = 0.6", "", "[design]", "hazard_ratio is missing"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, at, told):
    assert old in TEXT
    trial_is_refused(tmp_path, TEXT.replace(old, new, 1), at, told)


def test_factors_must_divide_everybody_once(tmp_path):
    for condition, told in (
        ("fong_score >= 2", "levels overlap: "),
        ("fong_score >= 4", "levels leave somebody out: "),
    ):
        path = tmp_path / "test.toml"
        path.write_text(TEXT.replace("fong_score >= 3", condition))
        answer = crlm("trial", str(path), "--quiet")
        assert (answer.code, answer.out) == (2, "")
        assert f"test.toml:20: allocation.factors.risk: {told}" in answer.err


def test_nobody_eligible_is_refused(tmp_path):
    path = tmp_path / "test.toml"
    path.write_text(TEXT.replace('"resectable and liver_only"', '"resectable and age > 109 years"'))
    answer = crlm("trial", str(path), "--quiet")
    assert (answer.code, answer.out) == (2, "")
    assert "test.toml:7: population.eligible: the population is empty" in answer.err


def test_a_scenario_with_hospitals_has_no_trials(tmp_path):
    text = TEXT.replace("surgery_or_perioperative.toml", "region.toml")
    with pytest.raises(ScenarioError, match="with hospitals"):
        trial(tmp_path, text=text)


def test_arms_are_the_scenarios_policies_over_the_same_patients(tmp_path):
    """The control's months are those a run of its policy has, to the bit."""
    people = simulate_people(trial(tmp_path), 0, lambda done: None)
    scenario = load(
        "scenarios/surgery_or_perioperative.toml",
        ["run.patients=400", "run.draws=mean", "population.eligible=resectable and liver_only"],
    )
    params = packed_parameters(scenario, 0)
    numbers = np.concatenate(list(patient_numbers(scenario, 5_000, params=params)))
    lived = simulate_block(scenario, "surgery_alone", numbers, params=params).patients
    minutes, happened, _ = times(lived, "diagnosis", "pfs")
    expected = np.where(happened, minutes / MINUTES_PER_MONTH, math.inf)
    np.testing.assert_array_equal(people.event[0], expected)
    assert (people.event[1] != people.event[0]).any()
    assert people.eligible_share == pytest.approx(400 / (numbers[-1] + 1))


def test_no_effect_is_the_controls_policy_in_both_arms(tmp_path):
    people = simulate_people(trial(tmp_path, "truth=null"), 0, lambda done: None)
    np.testing.assert_array_equal(people.event[0], people.event[1])


def test_an_imposed_hazard_ratio_is_a_power_of_the_controls_survival(tmp_path):
    """S(t) of the other arm is S(t)^ratio of the control, to one patient in 400."""
    people = simulate_people(trial(tmp_path, "truth=0.7"), 0, lambda done: None)
    when = np.quantile(people.event[0][np.isfinite(people.event[0])], np.linspace(0.02, 0.98, 40))
    control, other = ((people.event[arm][:, None] > when).mean(axis=0) for arm in (0, 1))
    np.testing.assert_allclose(other, control**0.7, atol=1.0 / 400)


def test_results_do_not_depend_on_the_blocks(tmp_path):
    loaded = with_sites(tmp_path, "allocation.method=minimisation")
    whole = operating(loaded, 60)
    assert whole == operating(loaded, 60, block=7)
    assert whole != operating(with_sites(tmp_path, "run.seed=2"), 60)


def test_sites_open_run_up_and_close(tmp_path):
    """By hand: three sites win 5, 5 and 3 a month of the half that is eligible."""
    coming = recruitment(with_sites(tmp_path), 0.5)
    by_month_6 = 2.5 * (4 / 2 + 2) + 2.5 * 4 / 2
    by_month_20 = 2.5 * (4 / 2 + 16) + 2.5 * (4 / 2 + 14) + 1.5 * 10
    found = np.interp([2.0, 6.0, 20.0], coming.months, coming.expected)
    np.testing.assert_allclose(found, [2.5 * 2**2 / 8, by_month_6, by_month_20])
    assert coming.dates(np.array([by_month_20 + 0.1]))[0] == math.inf
    assert coming.dates(np.array([by_month_6]))[0] == pytest.approx(6.0)
    assert coming.in_periods(80).patients == pytest.approx(80.0)
    assert coming.in_periods(500).patients == pytest.approx(by_month_20)


def test_places_that_nobody_fills(tmp_path):
    """Sites that close too early: the look is held when nobody is left, of those there are."""
    told = operating(with_sites(tmp_path, "truth=null"), 50)
    assert told["recruited"] == 0.0
    assert told["accrual_months"]["estimate"] is None
    last = told["looks"][-1]
    assert last["events_reached"] == 0.0
    assert 0.0 < last["events"] < last["enrolled"] < 120.0


def test_dates_ignore_places_that_nobody_fills():
    patients = Patients(
        enrolment=np.array([[0.0, 2.0, np.inf]]),
        event=np.array([[5.0, np.inf, 1.0]]),
        dropout=np.array([[9.0, 6.0, 9.0]]),
        arm=np.array([[0, 1, 0]]),
    )
    looks = [Look(events=1), Look(events=2), Look(follow_up=30.0)]
    np.testing.assert_array_equal(dates(patients, looks), [[5.0, 8.0, 32.0]])


def test_patients_come_at_the_rate_and_in_the_ratio(tmp_path):
    """2,000 trials of 120 at 10 a month: means within four standard errors (1 seed in 16,000)."""
    loaded = trial(
        tmp_path,
        text=TEXT.replace('name = "drugs"', 'name = "drugs"\nweight = 2').replace(
            "[allocation]", "[allocation]\nsizes = [6]"
        ),
    )
    people = simulate_people(loaded, 0, lambda done: None)
    drawn = draw_patients(loaded, people, recruitment(loaded, 1.0), np.arange(2_000), 0)
    last = drawn.enrolment.max(axis=1)
    assert abs(last.mean() - 12.0) < 4.0 * math.sqrt(120 / 10**2 / 2_000)
    assert last.std() == pytest.approx(math.sqrt(120) / 10, rel=4.0 / math.sqrt(2 * 2_000))
    imbalance = np.abs((drawn.arm == 1).sum(axis=1) - 80)
    assert imbalance.max() <= 2 * 4


@pytest.mark.parametrize("binding", [False, True])
def test_spending_with_a_number_gives_the_bounds_of_its_function(tmp_path, binding):
    loaded = trial(
        tmp_path,
        "design.spending={ kim_demets = 2 }",
        "design.futility={ hwang_shih_decani = -4 }",
        f"design.binding={str(binding).lower()}",
    )
    functions = spending.kim_demets(2.0), spending.hwang_shih_decani(-4.0)
    expected = design_bounds([0.5, 1.0], 0.025, 0.2, *functions, binding=binding)
    told = operating(loaded, 10)
    assert [look["upper_z"] for look in told["looks"]] == pytest.approx(expected.upper)
    assert [look["lower_z"] for look in told["looks"]] == pytest.approx(expected.lower)
    error = told["analytic"]["type_1_error"]
    assert error == pytest.approx(0.025, abs=1e-9) if binding else error < 0.0249


def test_dates_of_looks_may_be_fixed(tmp_path):
    told = operating(trial(tmp_path, 'design.dates=["14 months", "30 months"]'), 20)
    assert [look["months"]["estimate"] for look in told["looks"]] == [14.0, 30.0]
    assert told["analytic"]["months"] == [14.0, 30.0]


TESTS = (
    ("test=log_rank",),
    ("test=fleming_harrington", "gamma=1"),
    ("test=max_combo",),
    ("test=restricted_mean", "tau=12 months", "stratified=false"),
    ("test=cox",),
)


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test[0])
def test_every_test_shows_benefit_and_no_harm(tmp_path, test):
    """A hazard ratio of 0.35 is shown by nearly all trials of 90 events, 1 / 0.35 by none."""
    settings = [f"design.{one}" for one in (*test, "looks=[1.0]")]
    powers = [
        operating(trial(tmp_path, f"truth={truth}", *settings), 100)["power"]["estimate"]
        for truth in (0.35, 1 / 0.35)
    ]
    assert powers[0] > 0.8
    assert powers[1] == 0.0


def test_assurance_is_the_mean_over_draws(tmp_path):
    told = operating(trial(tmp_path, "run.draws=3", "run.patients=200"), 90)
    assert (told["draws"], told["replicates"]) == (3, 90)
    assert told["power"]["estimate"] == pytest.approx(np.mean(told["power_by_draw"]["all"]))


def test_the_command_prints_tables_and_json(tmp_path):
    trial(tmp_path)
    given = ("trial", str(tmp_path / "test.toml"), "--replicates", "40")
    answer = crlm(*given, "--json", "--quiet", "--truth", "null")
    assert answer.code == 0
    assert answer.json["type_1_error"] == answer.json["power"]
    assert answer.json["looks"][0]["events_wanted"] == event_counts(trial(tmp_path))[0] == 45
    text = crlm(*given, "--quiet", "--set", "run.draws=2").out
    assert "assurance over 2 draws" in text
    assert "Schoenfeld asks" in text
    assert crlm(*given[:2], "--replicates", "1").code == 2


# What it is worth ---------------------------------------------------------------------------------

VALUE = """
[economics]
patients_a_year = 1_000
decision_years = "10 years"
discount_costs = 0
[value]
cost = 1_000_000
cost_per_patient = 2_000
"""


def test_the_worth_of_a_trial_is_reckoned_from_other_patients_than_its_own(tmp_path):
    loaded = trial(tmp_path, "run.draws=50", "run.patients=300", text=TEXT + VALUE)
    found = operating(loaded, 240)
    value = found["value"]
    assert found["draws"] == value["draws"] == 50
    years = found["duration_months"]["estimate"] / 12.0
    assert value["patients"] == pytest.approx(1_000 * (10.0 - years))
    assert value["evsi_population"] == pytest.approx(value["evsi"] * value["patients"])
    assert value["trial_cost"] == pytest.approx(1e6 + 2_000 * found["patients"]["estimate"])
    assert value["net"] == pytest.approx(value["evsi_population"] - value["trial_cost"])
    assert 0.0 <= value["evsi"] < value["evpi"]
    scenario, draw = loaded.scenario, loaded.scenario.run.draw_numbers[2]
    given = {"params": packed_parameters(scenario, draw), "draw": draw, "replicate": 1}
    (numbers,) = patient_numbers(scenario, 5_000, **given)
    arms = [simulate_block(scenario, policy, numbers, **given) for policy in loaded.policies]
    lived = [block.patients for block in arms]
    cost, qaly = cost_and_effect(loaded, draw)
    np.testing.assert_allclose(cost, [arm["cost_pounds"].mean() for arm in lived])
    np.testing.assert_allclose(qaly, [arm["quality_days"].mean() / 365.25 for arm in lived])


@pytest.mark.parametrize("changes", [["run.draws=mean"], ["run.draws=50", "truth=null"]])
def test_what_is_known_is_worth_nothing_to_learn(tmp_path, changes):
    loaded = trial(tmp_path, "run.patients=100", *changes, text=TEXT + VALUE)
    assert operating(loaded, 60)["value"] is None
