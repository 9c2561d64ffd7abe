"""Runs: what is kept, that it is whole, and that how it was computed leaves no trace in it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray

from crlm_sim.experiments import run
from crlm_sim.experiments.run import FolderError, scenario_hash
from crlm_sim.experiments.simulate import trace_patient
from crlm_sim.scenario import load, loads

SCENARIO = "scenarios/sequencing.toml"
PATIENTS = 300


@pytest.fixture(scope="module")
def scenario():
    return load(SCENARIO, [f"run.patients={PATIENTS}"])


@pytest.fixture(scope="module")
def kept(scenario, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "kept"
    return run(scenario, out=out, patients_table=True, events=True, command="crlm run")


def results(done):
    return {key: done.summary[key] for key in ("policies", "differences", "flow")}


def test_a_run_folder_holds_everything(kept):
    names = {path.name for path in kept.folder.iterdir()}
    assert names == {
        "scenario.toml",
        "summary.json",
        "provenance.json",
        "results.zarr",
        "patients.parquet",
        "events.parquet",
    }
    summary = json.loads((kept.folder / "summary.json").read_text())
    assert summary["policies"] == kept.summary["policies"]
    provenance = json.loads((kept.folder / "provenance.json").read_text())
    assert provenance["command"] == "crlm run"
    assert provenance["scenario_sha256"] == scenario_hash(load_kept(kept))


def load_kept(kept):
    text = (kept.folder / "scenario.toml").read_text()
    return loads(text, name="sequencing")


def test_the_kept_scenario_gives_the_kept_results(kept):
    again = run(load_kept(kept), keep=False)
    assert results(again) == results(kept)


def test_the_stored_dataset_reads_back(kept):
    stored = xarray.open_zarr(kept.folder / "results.zarr", consolidated=False)
    xarray.testing.assert_identical(stored.load(), kept.dataset())


def test_the_patient_table_has_one_row_a_patient_and_policy_in_order(kept, scenario):
    table = pd.read_parquet(kept.folder / "patients.parquet")
    expected = [(n, p) for n in range(PATIENTS) for p in sorted(scenario.policy_names)]
    assert list(zip(table["patient"], table["policy"], strict=True)) == expected
    resected = table.groupby("policy")["resected"].mean()
    for name in scenario.policy_names:
        assert resected[name] == kept.summary["policies"][name]["resected"]["estimate"]


@pytest.mark.parametrize(
    "how",
    [
        {"block_patients": 7},
        {"threads": 1},
        {"engine": "agents"},
        {"engine": "agents", "block_patients": 50},
    ],
    ids=str,
)
def test_how_a_run_is_computed_changes_nothing(kept, scenario, how, tmp_path):
    other = run(scenario, out=tmp_path / "other", patients_table=True, events=True, **how)
    assert results(other) == results(kept)
    for name in ("patients.parquet", "events.parquet"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(other.folder / name), pd.read_parquet(kept.folder / name)
        )


def test_the_order_of_policies_changes_nothing(kept, scenario):
    turned = scenario.model_copy(
        update={
            "policies": scenario.policies[::-1],
            "outcomes": scenario.outcomes.model_copy(update={"reference": scenario.reference}),
        }
    )
    again = run(turned, keep=False)
    assert again.summary["policies"] == kept.summary["policies"]
    assert again.summary["differences"] == kept.summary["differences"]


def test_equal_policies_differ_by_exactly_nothing():
    text = 'title = "twins"\n[run]\npatients = 200\n'
    text += '[[policy]]\nname = "one"\nbase = "liver_first"\n'
    text += '[[policy]]\nname = "other"\nbase = "one"\n'
    done = run(loads(text), keep=False)
    for entry in done.summary["differences"]["other"].values():
        assert entry["estimate"] in (0.0, None)
        assert entry["lower"] == entry["estimate"] == entry["upper"]


def test_draws_give_parameter_uncertainty_and_keep_simulation_error_apart(scenario):
    drawn = scenario.model_copy(update={"run": scenario.run.model_copy(update={"draws": 4})})
    entry = run(drawn, keep=False).summary["policies"]["liver_first"]["os_3y"]
    assert entry["interval"] == "parameter"
    assert entry["lower"] < entry["simulation_lower"] < entry["estimate"]
    assert entry["estimate"] < entry["simulation_upper"] < entry["upper"]


def test_replicates_are_other_patients(scenario):
    twice = scenario.model_copy(update={"run": scenario.run.model_copy(update={"replications": 2})})
    done = run(twice, keep=False)
    once = run(scenario, keep=False)
    name = scenario.policy_names[0]
    counted = done.tally.patients[0].sum()
    assert counted == 2 * PATIENTS
    assert done.summary["policies"][name] != once.summary["policies"][name]


def test_an_output_folder_that_exists_is_refused_before_anything_is_done(scenario, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FolderError, match="exists already"):
        run(scenario, out=tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_run_that_fails_leaves_nothing(scenario, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenario, out=tmp_path / "new", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_is_replaced_by_the_same_run(scenario, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = run(scenario)
    second = run(scenario)
    assert first.folder == second.folder
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [first.folder.name]


def test_a_trace_is_the_patient_of_the_table(kept, scenario):
    table = pd.read_parquet(kept.folder / "patients.parquet").set_index(["patient", "policy"])
    for number in (0, 5, 17):
        for policy in scenario.policy_names:
            patient, steps = trace_patient(scenario, policy, number)
            row = table.loc[(number, policy)]
            assert patient["end_minute"] == row["end_minute"]
            assert patient["cycles"] == row["cycles"]
            days = np.array([step.day for step in steps])
            assert (np.diff(days) >= 0).all()
