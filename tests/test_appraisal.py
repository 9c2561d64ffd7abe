"""From the draws of a run to decisions: what is worth its cost, and what would be worth knowing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import SCENARIOS, crlm

from crlm_sim.evidence import parameters
from crlm_sim.experiments import run
from crlm_sim.experiments.appraisal import LEAST_DRAWS, appraise
from crlm_sim.experiments.simulate import packed_parameters
from crlm_sim.report.page import page
from crlm_sim.report.run_folder import read_run
from crlm_sim.scenario import load

SEQUENCING = next(p for p in SCENARIOS if p.stem == "sequencing")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("appraisal") / "run"
    words = ["--patients", "60", "--draws", "4", "--out", str(path), "--json", "--quiet"]
    asked = ["--set", "economics.patients_a_year=1000", "--set", "economics.decision_years=5 years"]
    answer = crlm("run", str(SEQUENCING), *words, *asked)
    assert answer.code == 0, answer.err
    return path


@pytest.fixture(scope="module")
def economics(folder):
    return json.loads((folder / "summary.json").read_text("utf-8"))["economics"]


def test_means_over_draws_are_those_of_the_table(folder, economics):
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    for name, found in economics["draws"].items():
        for outcome in ("cost", "qaly"):
            assert len(found[outcome]) == 4
            level = summary["policies"][name][outcome]["estimate"]
            assert np.mean(found[outcome]) == pytest.approx(level, rel=1e-12)


def test_curves_cover_twice_the_threshold_and_hold_together(economics):
    assert economics["thresholds"][0] == 0.0
    assert economics["thresholds"][-1] == 2 * economics["threshold"]
    shares = np.array([economics["acceptability"][name] for name in economics["draws"]])
    assert (shares.sum(axis=0) == 1.0).all()
    least = np.min([economics["expected_loss"][name] for name in economics["draws"]], axis=0)
    assert least == pytest.approx(np.array(economics["evpi"]), abs=1e-6)


def test_the_value_for_all_who_come_is_that_of_one_times_their_number(economics):
    """1,000 a year for five years, discounted by 3.5 %: 1000 (1 − 1.035⁻⁵) / ln 1.035 = 4594."""
    assert economics["patients"] == pytest.approx(4594, abs=1)
    whole = np.array(economics["evpi"]) * economics["patients"]
    assert np.array(economics["evpi_population"]) == pytest.approx(whole)


def test_the_page_shows_money_with_its_placeholders(folder):
    text = page(read_run(folder))
    assert text.count("Placeholders.") == 2
    for title in ("Value for money", "The plane of cost and effect", "What knowing more"):
        assert title in text


def test_best_estimates_have_a_frontier_and_nothing_that_needs_draws():
    done = run(load(SEQUENCING, ["run.patients=60", "run.draws=mean"]), keep=False)
    assert {"frontier", "draws"} <= set(done.summary["economics"])
    assert "evpi" not in done.summary["economics"]


def test_one_policy_is_not_compared():
    scenario = load(SEQUENCING, ["run.patients=60", "run.draws=mean"])
    alone = scenario.model_copy(update={"policies": scenario.policies[:1]})
    assert "frontier" not in run(alone, keep=False).summary["economics"]


def test_what_the_decision_hangs_on_is_found():
    """Costs made to differ by one price alone, about its median: only that is worth knowing.

    Half the draws then favour either policy; the loss avoided is a quarter of the mean distance.
    """
    scenario = load(SEQUENCING, [f"run.draws={LEAST_DRAWS}"])
    median = parameters()["mri_scan.price"].value[0]
    prices = [
        packed_parameters(scenario, draw)[0]["activity_price"][index_of("mri_scan")]
        for draw in scenario.run.draw_numbers
    ]
    means = [np.array([[1e4, 1e4 + p - median, 2e4], [1.0, 1.0, 1.0]]) for p in prices]
    found = appraise(scenario, means)
    groups = {one["name"]: one["evppi"] for one in found["evppi"]}
    distances = np.array(prices) - median
    known = np.minimum(distances, 0.0).mean() - min(distances.mean(), 0.0)
    assert groups["prices"] == pytest.approx(-known, rel=0.05)
    assert found["evppi_single"][0]["name"] == "mri_scan.price"
    assert groups["utilities"] < 0.2 * groups["prices"]
    first = next(iter(found["tornado"].values()))["bars"][0]
    assert first["parameter"] == "mri_scan.price"


def index_of(activity):
    from crlm_sim.evidence import ACTIVITIES

    return ACTIVITIES.index(activity)
