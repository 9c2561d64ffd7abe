"""Sample-size re-estimation on blinded events: the size it finds, what it sees, what it costs.

Seeds are fixed; error rates say for how many seeds a comparison would fail though all is well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import crlm
from test_trial_files import TEXT, trial

from crlm_sim.trials import timing
from crlm_sim.trials.enrolment import Recruitment, recruitment
from crlm_sim.trials.looks import Patients
from crlm_sim.trials.operating import draw_patients, operating
from crlm_sim.trials.people import simulate_people
from crlm_sim.trials.reestimation import resized

MORE = """
[reestimation]
enrolled = "60 %"
by = "24 months"
patients_at_most = 300
"""
HAZARD, LEAVING, PER_MONTH = 0.03, 0.01, 100.0


def enlarged(folder, *settings):
    return trial(folder, *settings, text=TEXT + MORE)


def exponential_patients(trials, places):
    """Patients of constant hazards, who come when they are due."""
    rng = np.random.default_rng(1)
    event, dropout = (rng.exponential(1.0 / rate, (trials, places)) for rate in (HAZARD, LEAVING))
    enrolment = np.broadcast_to(np.arange(1, places + 1) / PER_MONTH, event.shape)
    return Patients(enrolment, event, dropout, np.zeros(event.shape, np.int64))


def test_with_constant_hazards_the_size_is_the_formulas(tmp_path):
    """The fewest patients of whom 1,500 are expected to have had the event by month 60.

    300 trials; an error of 3 % in a hazard moves the size by as much, their mean by 0.2 %.
    """
    said = enlarged(
        tmp_path,
        "accrual.patients=2000",
        "design.events=1500",
        "reestimation.by=60 months",
        "reestimation.patients_at_most=6000",
    )
    arm = timing.arm(HAZARD, LEAVING)

    def expected(patients):
        coming = timing.accrual([PER_MONTH], [patients / PER_MONTH])
        return timing.expected_events(timing.Truth(coming, arm, arm), 60.0)

    needed = next(size for size in range(2_000, 6_000) if expected(size) >= 1500)
    coming = Recruitment(np.zeros(1), np.zeros(1), PER_MONTH)
    _, found = resized(said, exponential_patients(300, 6_000), coming)
    assert found.size.mean() == pytest.approx(needed, rel=0.01)
    assert found.events.mean() == pytest.approx(expected_by_look(arm), rel=0.01)
    assert found.in_time.mean() > 0.4 > found.as_planned.mean()


def expected_by_look(arm):
    """Events expected when 1,200 patients are in."""
    coming = timing.accrual([PER_MONTH], [12.0])
    return timing.expected_events(timing.Truth(coming, arm, arm), 12.0)


def test_the_arms_are_not_looked_at(tmp_path):
    said = enlarged(tmp_path)
    people = simulate_people(said, 0, lambda done: None)
    coming = recruitment(said, people.eligible_share)
    patients = draw_patients(said, people, coming, np.arange(50), 0)
    after, found = resized(said, patients, coming)
    swapped = resized(said, replace(patients, arm=1 - patients.arm), coming)[1]
    for one, other in zip(found, swapped, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(set(found.size)) > 5
    assert 120 <= found.size.min() < found.size.max() <= 300
    np.testing.assert_array_equal(np.isfinite(after.enrolment).sum(axis=1), found.size)


def test_more_patients_bring_the_events_in_time_and_it_is_told(tmp_path):
    told = operating(enlarged(tmp_path), 300)
    found = told["reestimation"]
    assert 120.0 < found["size"]["median"] < 300.0
    assert found["events_in_time"] > found["events_in_time_as_planned"] + 0.1
    assert told["recruited"] == 1.0
    assert told == operating(enlarged(tmp_path), 300, block=7)
    answer = crlm("trial", str(tmp_path / "test.toml"), "--replicates", "20", "--quiet")
    assert "patients wanted in the end" in answer.out
    assert "events by month 24, %" in answer.out


def test_a_look_that_is_never_held_changes_nothing(tmp_path):
    """Sites close long before 60 % of the patients are in."""
    site = '[[site]]\nname = "one"\nscreened_per_month = 2\ncloses = "12 months"\n'
    text = TEXT.replace("per_month = 10", "") + MORE + site
    told = operating(trial(tmp_path, text=text), 20)["reestimation"]
    assert (told["held"], told["months"]) == (0.0, None)
    assert told["size"]["mean"] == 120.0


@pytest.mark.parametrize(
    ("old", "new", "at", "wrong"),
    [
        ("= 300", "= 120", "patients_at_most =", "must be above the 120 patients planned"),
        ('by = "24 months"', "", "[reestimation]", "by is missing"),
        ("patients_at_most", "patients_at_mos", "patients_at_mos", "did you mean 'patients_at"),
        ('"60 %"', '"0 %"', "enrolled =", "must be above '0 %'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, at, wrong):
    text = TEXT + MORE.replace(old, new, 1)
    line = next(n for n, line in enumerate(text.split("\n"), start=1) if at in line)
    (tmp_path / "test.toml").write_text(text)
    answer = crlm("check", str(tmp_path / "test.toml"))
    assert (answer.code, answer.out) == (2, "")
    assert f"test.toml:{line}: " in answer.err
    assert wrong in answer.err
