"""Calibrations as they run: the same whatever interrupts them and however many do the work."""

import shutil

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
from crlm_sim.evidence.posterior import calibration_folder

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
