"""Crossover at progression: whose life is lived, who crosses, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import crlm
from test_trial_files import TEXT, trial

from crlm_sim.experiments.simulate import packed_parameters, patient_numbers, simulate_block
from crlm_sim.outcomes.clocks import times
from crlm_sim.scenario import ScenarioError, load
from crlm_sim.trials import crossover
from crlm_sim.trials.enrolment import recruitment
from crlm_sim.trials.looks import Patients
from crlm_sim.trials.operating import draw_patients, operating, persons
from crlm_sim.trials.people import MINUTES_PER_MONTH, simulate_people

LATER = '{ base = "surgery_alone", repeat_resection = false }'
SURVIVAL = TEXT.replace('"pfs"', '"os"')


def crossing(folder, *settings, policy=LATER, text=SURVIVAL):
    return trial(folder, *settings, text=f"{text}\n[crossover]\npolicy = {policy}\n")


def test_who_crosses_over_lives_the_life_of_that_policy(tmp_path):
    """The same people as in a run of it, to the bit; the control's where nothing progresses."""
    people = simulate_people(crossing(tmp_path), 0, lambda done: None)
    settings = ["run.patients=400", "run.draws=mean", "policy.surgery_alone.repeat_resection=false"]
    who = "population.eligible=resectable and liver_only"
    scenario = load("scenarios/surgery_or_perioperative.toml", [*settings, who])
    params = packed_parameters(scenario, 0)
    numbers = np.concatenate(list(patient_numbers(scenario, 5_000, params=params)))
    lived = simulate_block(scenario, "surgery_alone", numbers, params=params).patients
    minutes, happened, _ = times(lived, "diagnosis", "os")
    expected = np.where(happened, minutes / MINUTES_PER_MONTH, math.inf)
    life = people.crossed
    np.testing.assert_array_equal(life.event, expected)
    changed = life.event != people.event[0]
    assert changed.sum() > 20
    assert np.isfinite(life.progression[changed]).all()
    assert (life.event[changed] > life.progression[changed]).all()


def test_crossing_to_the_controls_own_policy_changes_nothing(tmp_path):
    told = operating(crossing(tmp_path, policy='"surgery_alone"'), 60)
    assert 0.0 < told["crossover"]["crossed_over"] == told["crossover"]["progressed"] < 1.0
    without = operating(trial(tmp_path, text=SURVIVAL), 60)
    assert without == {**told, "crossover": None}


def test_a_share_of_the_control_crosses_from_a_month_on(tmp_path):
    said = crossing(tmp_path, "crossover.share=30 %", "crossover.opens=18 months")
    people = simulate_people(said, 0, lambda done: None)
    numbers = np.arange(200)
    patients = draw_patients(said, people, recruitment(said, 1.0), numbers, 0)
    person = persons(said, people, numbers, 0)
    crosses = crossover.who(said, people.crossed, person, patients, numbers, 0)
    when = patients.enrolment + people.crossed.progression[person]
    could = (patients.arm == 0) & np.isfinite(when) & (when >= 18.0)
    assert not crosses[~could].any()
    share = crosses.sum() / could.sum()
    assert abs(share - 0.3) < 4.0 * math.sqrt(0.3 * 0.7 / could.sum())
    event = np.where(crosses, people.crossed.event[person], people.event[patients.arm, person])
    np.testing.assert_array_equal(patients.event, event)


def test_the_shares_told_by_hand():
    """Two of the control of four are enrolled and progress; one who left first does not count."""
    patients = Patients(
        enrolment=np.array([[0.0, 1.0, 2.0, 3.0, 30.0]]),
        event=np.full((1, 5), np.inf),
        dropout=np.array([[50.0, 50.0, 4.0, 50.0, 50.0]]),
        arm=np.array([[0, 0, 0, 1, 0]]),
    )
    life = crossover.Afterwards(np.full(1, 5.0), np.full(1, np.inf), np.full(1, 50.0))
    crosses = np.array([[True, False, True, False, True]])
    person = np.zeros((1, 5), np.int64)
    told = crossover.shares(life, crosses, person, patients, np.array([20.0]))
    np.testing.assert_allclose(told, [[2 / 3, 1 / 3]])


def test_without_an_effect_nobody_crosses(tmp_path):
    assert simulate_people(crossing(tmp_path, "truth=null"), 0, lambda done: None).crossed is None


def test_results_do_not_depend_on_the_blocks(tmp_path):
    said = crossing(tmp_path, "crossover.share=0.5")
    assert operating(said, 40) == operating(said, 40, block=7)
    answer = crlm("trial", str(tmp_path / "test.toml"), "--replicates", "10", "--quiet")
    assert "and crossed over, % of the control" in answer.out


def test_another_treatment_before_progression_is_refused(tmp_path):
    said = crossing(tmp_path, policy='"perioperative"')
    with pytest.raises(
        ScenarioError, match=r"test.toml:31: crossover.policy: treats \d+ of 400 pat"
    ):
        operating(said, 10)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("truth=0.7",), "a hazard ratio is not imposed on patients who cross over"),
        (("endpoint.outcome=pfs",), "'pfs' does not go on after the progression"),
        (("crossover.policy=perioperativ",), "did you mean 'perioperative'?"),
        (("crossover.policy=3",), "must be a policy's name or settings in braces"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, settings, told):
    with pytest.raises(ScenarioError, match=told.replace("?", r"\?")):
        crossing(tmp_path, *settings)


def test_nobody_crossing_may_be_combined_with_an_imposed_ratio(tmp_path):
    told = operating(crossing(tmp_path, "truth=0.7", "crossover.share=0"), 10)
    assert told["crossover"] is None
