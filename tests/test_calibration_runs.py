"""Calibrations as they run: the same whatever interrupts them and however many do the work."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from crlm_sim.calibration import simulate
from crlm_sim.calibration.fit import Settings, calibrate
from crlm_sim.calibration.posterior import table
from crlm_sim.calibration.selfcheck import recover
from crlm_sim.calibration.simulate import StudySimulator
from crlm_sim.calibration.space import coordinates
from crlm_sim.calibration.study import load_study
from crlm_sim.calibration.work import Evaluation, evaluate, evaluate_all
from crlm_sim.disease.growth import grow
from crlm_sim.disease.patient import NEVER
from crlm_sim.engines.screening import at_diagnosis
from crlm_sim.evidence.posterior import calibration_folder
from crlm_sim.outcomes.hazards import log_hazard_ratio

TARGETS = calibration_folder() / "targets"
SPACE = tuple(coordinates(["growth_rate_per_day", "lethal_liver_ml"]))
FEW = ("eortc_40983", "raise")
PROBLEM = Evaluation(str(TARGETS), "fit", 120, SPACE, FEW)
Z = np.random.default_rng(1).normal(size=(24, 2))


def test_the_same_policy_in_both_arms_makes_no_difference(tmp_path):
    text = (TARGETS / "eortc_40983.toml").read_text()
    path = tmp_path / "eortc_40983.toml"
    start = text.index("[[arm]]", text.index("[[arm]]") + 1)
    first = text[text.index("policy", text.index("[[arm]]")) :].split("\n")[0]
    second = text[text.index("policy", start) :].split("\n")[0]
    path.write_text(text.replace(second, first))
    study = load_study(path)
    contrasts = [figure for figure in study.figures if figure.contrast]
    found = StudySimulator(study, 200).figures({}, contrasts)
    assert contrasts
    assert all(one.value == pytest.approx(0.0, abs=1e-12) for one in found)


def test_the_patients_of_a_study_do_not_depend_on_how_they_are_sought(monkeypatch):
    study = load_study(TARGETS / "raise.toml")
    one = StudySimulator(study, 150).arms({})
    monkeypatch.setattr(simulate, "_FEWEST_SCREENED", 777)
    other = StudySimulator(study, 150).arms({})
    for name, arm in one.items():
        assert arm.patients.tobytes() == other[name].patients.tobytes()


def test_what_a_study_holds_is_not_moved():
    study = load_study(TARGETS / "hadden_2016.toml")
    simulator = StudySimulator(study, 100)
    assert "extrahepatic_logit" in simulator.held
    moved = simulator.params({"extrahepatic_logit[0]": 9.0, "growth_rate_per_day": 0.002})[0]
    assert moved["extrahepatic_logit"][0] != 9.0
    assert moved["growth_rate_per_day"] == 0.002


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_to_the_same_figures(tmp_path):
    whole = evaluate_all(PROBLEM, Z, tmp_path / "whole", 2)
    direct = evaluate(PROBLEM, Z)
    alone = evaluate_all(PROBLEM, Z, tmp_path / "alone", 1)
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half" / "000010.npz").unlink()
    (tmp_path / "half" / ".000010.npz.1.partial").write_bytes(b"half written")
    resumed = evaluate_all(PROBLEM, Z, tmp_path / "half", 2)
    for other in (direct, alone, resumed):
        assert np.array_equal(whole[0], other[0], equal_nan=True)
        assert np.array_equal(whole[1], other[1], equal_nan=True)


@pytest.mark.slow
def test_a_calibration_killed_in_the_middle_ends_in_the_same_posterior(tmp_path):
    settings = Settings(
        seed=3, most_patients=120, screening_patients=60, learned=4, paired=3,
        waves=(70, 60), steps=200,
        posterior_steps=400, draws=50,
    )  # fmt: skip
    whole = table(calibrate(TARGETS, settings, tmp_path / "whole", 2, FEW))
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    for file in sorted((tmp_path / "half").rglob("*.npz"))[::2]:
        file.unlink()
    assert table(calibrate(TARGETS, settings, tmp_path / "half", 2, FEW)) == whole


@pytest.mark.slow
def test_known_truths_are_found_again(tmp_path):
    # Four uniform rank histograms; a level of 0.001 each makes a false alarm rarer than 1 in 250.
    found = recover(TARGETS, tmp_path, 2)
    assert min(found.p_values) > 0.001
    assert min(found.correlations[:3]) > 0.5


# Simulating a study ------------------------------------------------------------------------------

TWO_ARMS = """\
id = "two_arms"
title = "Two arms of one condition"
source = "nobody"
follow_up = "5 years"
visits = "3 months"
eligible = "{eligible}"

[[arm]]
name = "one"
policy = "liver_first"
n = 20

[[arm]]
name = "other"
policy = "{other}"
n = 20

[[figure]]
arm = "one"
outcome = "os"
time = "2 years"
value = 0.5
n = 20
"""
CONTRASTS = """
[[figure]]
contrast = ["one", "other"]
outcome = "{outcome}"
{time}value = {value}
lower = {lower}
upper = {upper}
"""


def two_arms(folder, other="liver_first", eligible="age <= 75 years", more=""):
    path = folder / "two_arms.toml"
    path.write_text(TWO_ARMS.format(other=other, eligible=eligible) + more)
    return load_study(path)


BEFORE_ANY_TREATMENT = ("patient", "age_years", "lesions", "liver_ml", "largest_mm", "fong_score")


def test_arms_of_one_condition_are_the_same_patients(tmp_path):
    found = StudySimulator(two_arms(tmp_path, "surgery_alone"), 100).arms({})
    one, other = found["one"].patients, found["other"].patients
    assert len(one) == 100
    for field in BEFORE_ANY_TREATMENT:
        assert np.array_equal(one[field], other[field])
    assert one.tobytes() != other.tobytes()


def test_an_arm_asked_for_alone_is_the_same_as_with_the_other(tmp_path):
    study = two_arms(tmp_path, "surgery_alone")
    both = StudySimulator(study, 100).arms({})
    for name in ("one", "other"):
        alone = StudySimulator(study, 100).arms({}, (name,))
        assert set(alone) == {name}
        assert alone[name].patients.tobytes() == both[name].patients.tobytes()


def test_equal_arms_differ_in_nothing_by_any_measure(tmp_path):
    wanted = [
        ("os_hr", "", 0.8, 0.6, 1.1),
        ("pfs_hr", "", 0.8, 0.6, 1.1),
        ("resected_rr", "", 0.8, 0.6, 1.1),
        ("resected_or", "", 0.8, 0.6, 1.1),
        ("resected", "", 0.0, -0.1, 0.1),
        ("os", 'time = "2 years"\n', 0.0, -0.1, 0.1),
    ]
    more = "".join(
        CONTRASTS.format(outcome=name, time=time, value=value, lower=lower, upper=upper)
        for name, time, value, lower, upper in wanted
    )
    study = two_arms(tmp_path, more=more)
    contrasts = [figure for figure in study.figures if figure.contrast]
    assert len(contrasts) == len(wanted)
    for read in StudySimulator(study, 150).figures({}, contrasts):
        assert read.value == 0.0
        assert read.error > 0.0


def test_what_a_contrast_says_is_what_its_arms_say(tmp_path):
    wanted = [
        ("resected", "", 0.0, -0.1, 0.1),
        ("resected_rr", "", 0.8, 0.6, 1.1),
        ("resected_or", "", 0.8, 0.6, 1.1),
    ]
    more = "".join(
        CONTRASTS.format(outcome=name, time=time, value=value, lower=lower, upper=upper)
        for name, time, value, lower, upper in wanted
    )
    study = two_arms(tmp_path, "surgery_alone", "resectable", more)
    simulator = StudySimulator(study, 200)
    lived = simulator.arms({})
    a, b = (float((lived[name].patients["resected"] > 0).mean()) for name in ("one", "other"))
    assert a != b
    found = [one.value for one in simulator.figures({}, study.figures[1:])]
    assert found[0] == pytest.approx(a - b)
    assert found[1] == pytest.approx(np.log(a / b))
    assert found[2] == pytest.approx(np.log(a / (1 - a)) - np.log(b / (1 - b)))


def test_a_hazard_ratio_is_of_the_first_arm_against_the_second(tmp_path):
    more = CONTRASTS.format(outcome="os_hr", time="", value=0.8, lower=0.6, upper=1.1)
    study = two_arms(tmp_path, "surgery_alone", "resectable", more)
    simulator = StudySimulator(study, 200)
    arms = [simulator.arms({})[name].patients for name in ("one", "other")]
    followed = 5 * 525_960
    minutes = [np.minimum(arm["end_minute"], followed) for arm in arms]
    deaths = [(arm["death_minute"] < NEVER) & (arm["death_minute"] <= followed) for arm in arms]
    value, _ = log_hazard_ratio(
        np.concatenate(minutes), np.concatenate(deaths), np.repeat([True, False], 200)
    )
    read = simulator.figures({}, study.figures[1:])[0]
    assert read.value == pytest.approx(value, abs=1e-9)


def test_everybody_taken_meets_the_condition(tmp_path):
    study = two_arms(tmp_path, eligible="age <= 60 years and seen_lesions <= 2")
    found = StudySimulator(study, 150).arms({})["one"].patients
    assert len(found) == 150
    assert (found["age_years"] < 61.0).all()
    assert (np.diff(found["patient"]) > 0).all()
    everybody = StudySimulator(two_arms(tmp_path, eligible="age >= 0 years"), 150).arms({})["one"]
    assert everybody.patients["age_years"].max() > 61.0


def test_a_study_does_not_remember_what_it_was_asked_before(tmp_path):
    """Other parameters in between change how many are screened at once, and nothing else."""
    simulator = StudySimulator(two_arms(tmp_path, eligible="resectable"), 120)
    first = simulator.arms({})["one"].patients
    simulator.arms({"occult_log_mean": 6.0, "growth_rate_per_day": 0.01})
    assert simulator.arms({})["one"].patients.tobytes() == first.tobytes()


def test_each_study_has_patients_of_its_own(tmp_path):
    study = two_arms(tmp_path)
    other = study.model_copy(update={"id": "another"})
    one, two = (StudySimulator(each, 60).arms({})["one"].patients for each in (study, other))
    assert not np.isin(one["age_years"], two["age_years"]).any()


def test_doubling_is_read_off_the_growth_itself(tmp_path):
    """Grown for the median time that the figure tells, half of the largest lesions have doubled.

    Their sensitive parts, that is, whose size at diagnosis is the lesion's.
    """
    more = '[[figure]]\narm = "one"\noutcome = "doubling_time_days"\nvalue = 100\nn = 20\n'
    study = two_arms(tmp_path, more=more)
    simulator = StudySimulator(study, 200)
    lived = simulator.arms({})["one"]
    days = np.exp(simulator.figures({}, study.figures[1:])[0].value)
    doubled = []
    for patient in at_diagnosis(lived.blank(), lived.params):
        k = int(np.argmax(patient["log_sensitive"][: patient["lesions"]]))
        before = patient["log_sensitive"][k]
        grow(patient, lived.params[0], int(days * 1440))
        doubled.append(patient["log_sensitive"][k] - before > np.log(2.0))
    assert np.mean(doubled) == pytest.approx(0.5, abs=0.006)


# Evaluating --------------------------------------------------------------------------------------


def test_points_do_not_know_of_one_another():
    one = evaluate(PROBLEM, Z[:3])
    backwards = evaluate(PROBLEM, Z[2::-1])
    assert np.array_equal(one[0], backwards[0][::-1], equal_nan=True)
    assert np.array_equal(one[1], backwards[1][::-1], equal_nan=True)
    assert np.isfinite(one[0]).any(axis=0).all()
    assert (one[0][0] != one[0][1]).any()


def test_what_is_kept_is_not_simulated_again(tmp_path):
    """A finished folder answers by itself, without workers and whatever else lies in it."""
    figures, errors = evaluate(PROBLEM, Z[:12])
    for start in (0, 10):
        part = slice(start, start + 10)
        np.savez(tmp_path / f"{start:06d}.npz", figures=figures[part], errors=errors[part])
    (tmp_path / ".000010.npz.7.partial").write_bytes(b"half written")
    told = []
    found = evaluate_all(PROBLEM, Z[:12], tmp_path, 0, lambda *at: told.append(at))
    assert np.array_equal(found[0], figures, equal_nan=True)
    assert np.array_equal(found[1], errors, equal_nan=True)
    assert told == [(12, 12)]


@pytest.mark.slow
def test_a_calibration_is_the_same_twice_and_learns(tmp_path):
    settings = Settings(
        seed=5, most_patients=100, screening_patients=40, learned=3, paired=2,
        waves=(60, 40), steps=200, posterior_steps=400, draws=40,
    )  # fmt: skip
    one = calibrate(TARGETS, settings, tmp_path / "one", 2, FEW)
    two = calibrate(TARGETS, settings, tmp_path / "two", 1, FEW)
    assert table(one) == table(two)
    assert one.z.shape == (40, 3)
    assert len({c.name for c in one.space}) == 3
    assert (one.tau > 0.0).all()
    assert np.isfinite(one.z).all()
    kept = sorted(p.name for p in (tmp_path / "one").rglob("*.partial"))
    assert not kept
    other = calibrate(TARGETS, replace(settings, seed=6), tmp_path / "three", 2, FEW)
    assert table(other) != table(one)
