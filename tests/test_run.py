"""Runs: what is kept, that it is whole, and that how it was computed leaves no trace in it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray
from helpers import SCENARIOS, crlm

from crlm_sim.experiments import EmptyPopulation, run
from crlm_sim.experiments.run import FolderError, scenario_hash
from crlm_sim.experiments.simulate import packed_parameters, trace_patient
from crlm_sim.scenario import load, loads

SEQUENCING = next(p for p in SCENARIOS if p.stem == "sequencing")

SCENARIO = "scenarios/sequencing.toml"
PATIENTS = 300


@pytest.fixture(scope="module")
def scenario():
    return load(SCENARIO, [f"run.patients={PATIENTS}", "run.draws=mean"])


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
    text = 'title = "twins"\n[run]\npatients = 200\ndraws = "mean"\n'
    text += '[[policy]]\nname = "one"\nbase = "liver_first"\n'
    text += '[[policy]]\nname = "other"\nbase = "one"\n'
    done = run(loads(text), keep=False)
    for entry in done.summary["differences"]["other"].values():
        assert entry["estimate"] in (0.0, None)
        assert entry["lower"] == entry["estimate"] == entry["upper"]


def test_draws_give_parameter_uncertainty_and_keep_simulation_error_apart(scenario):
    changes = {"draws": 6, "patients": 2_000}
    drawn = scenario.model_copy(update={"run": scenario.run.model_copy(update=changes)})
    entry = run(drawn, keep=False).summary["policies"]["liver_first"]["os_3y"]
    assert entry["interval"] == "parameter"
    assert entry["lower"] < entry["simulation_lower"] < entry["estimate"]
    assert entry["estimate"] < entry["simulation_upper"] < entry["upper"]


def test_the_posterior_is_the_default_and_takes_fifty_draws(scenario):
    run_of = loads('title = "x"\n[[policy]]\nname = "standard"\n').run
    assert (run_of.draws, run_of.draw_numbers) == ("posterior", list(range(1, 51)))
    few = {"draws": 3, "patients": 50}
    three = run(
        scenario.model_copy(update={"run": scenario.run.model_copy(update=few)}), keep=False
    )
    assert three.summary["draws"] == 3
    assert three.summary["parameters"] == "posterior"
    assert not any(
        np.array_equal(packed_parameters(scenario, 0), packed_parameters(scenario, d))
        for d in (1, 2, 3)
    )


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


TWINS = """
title = "rules"
[run]
patients = 400
[[policy]]
name = "direct"
base = "simultaneous"
adjuvant_cycles = 0
timing = "upfront"
conversion_regimen = "folfoxiri"
[[policy]]
name = "ruled"
base = "liver_first"
[[policy.rule]]
when = "{when}"
do = {{ sequence = "simultaneous", adjuvant_cycles = 0, timing = "upfront" }}
[[policy.rule]]
when = "age >= 0 years"
do = {{ sequence = "colorectal-first", conversion_regimen = "folfoxiri" }}
"""


@pytest.mark.parametrize("engine", ["cohort", "agents"])
@pytest.mark.parametrize("when", ["default", "fong_score >= 1", "not (rectal and not rectal)"])
def test_a_rule_that_always_holds_is_the_policy_it_makes(when, engine):
    """The first rule that holds wins, setting by setting; the rest of the policy stays."""
    done = run(loads(TWINS.format(when=when)), keep=False, engine=engine)
    for entry in done.summary["differences"]["ruled"].values():
        assert entry["estimate"] in (0.0, None)


def test_a_rule_changes_only_those_it_holds_for(scenario, tmp_path):
    text = TWINS.format(when="rectal").replace('when = "age >= 0 years"', 'when = "rectal"')
    text += '[[policy]]\nname = "bare"\nbase = "liver_first"\n'
    done = run(loads(text), out=tmp_path / "rules", patients_table=True)
    table = pd.read_parquet(done.folder / "patients.parquet").set_index(["policy", "patient"])
    ruled, bare, direct = (table.loc[name] for name in ("ruled", "bare", "direct"))
    rectal = bare["primary_site"] == "rectum"
    pd.testing.assert_frame_equal(ruled[~rectal], bare[~rectal])
    pd.testing.assert_frame_equal(ruled[rectal], direct[rectal])
    assert not ruled[rectal].equals(bare[rectal])


@pytest.mark.parametrize("block", [13, 5000])
def test_the_eligible_are_the_first_who_meet_the_condition(tmp_path, block):
    text = 'title = "few"\n[run]\npatients = 60\ndraws = "mean"\n[population]\neligible = "{}"\n'
    text += '[[policy]]\nname = "liver_first"\n'
    condition = "age < 65 years and seen_lesions <= 4 and liver_only"
    everybody = text.replace("patients = 60", "patients = 2000").format("age > 0 years")
    few, many = loads(text.format(condition)), loads(everybody)
    table = {}
    for name, one in (("few", few), ("many", many)):
        done = run(one, out=tmp_path / name, patients_table=True, block_patients=block)
        table[name] = pd.read_parquet(done.folder / "patients.parquet")
    chosen = table["few"]
    same = table["many"].set_index("patient").loc[chosen["patient"]].reset_index()
    pd.testing.assert_frame_equal(same[chosen.columns], chosen)
    assert len(chosen) == 60
    assert (chosen["age_years"] < 65).all()
    fewer = run(loads(text.format(condition), settings=["run.patients=30"]), keep=False)
    assert fewer.tally.patients.sum() == 30
    first = run(loads(text.format(condition)), keep=False, block_patients=7)
    assert first.summary["policies"] == run(few, keep=False).summary["policies"]


def test_a_condition_nobody_meets_is_an_empty_population():
    text = 'title = "none"\n[population]\neligible = "age < 20 years and flr < 0.1 %"\n'
    text += '[[policy]]\nname = "liver_first"\n'
    with pytest.raises(EmptyPopulation, match="population is empty"):
        run(loads(text), keep=False)


# As precise as asked ------------------------------------------------------------------------------


def test_replications_are_added_until_differences_are_as_precise_as_asked() -> None:
    """One replication less was not; and the results are those of a run that asks for so many."""
    words = ["run.draws=mean", "run.patients=300"]
    asked = load(SEQUENCING, [*words, 'run.precision={ os_5y = "1 points" }'])
    done = run(asked, keep=False).summary
    number = done["replications"]
    assert number > 1
    assert done["precise"] is True
    for enough, times in ((True, number), (False, number - 1)):
        plain = run(load(SEQUENCING, [*words, f"run.replications={times}"]), keep=False).summary
        found = [one["os_5y"] for one in plain["differences"].values()]
        halves = [(one["upper"] - one["lower"]) / 2 for one in found]
        assert (max(halves) <= 0.01) is enough
        if enough:
            assert plain["differences"] == done["differences"]


def test_a_precision_out_of_reach_ends_with_the_most_replications() -> None:
    words = ["run.draws=mean", "run.patients=50", "run.most_replications=3"]
    done = run(load(SEQUENCING, [*words, 'run.precision={ os_5y = "0.01 points" }']), keep=False)
    assert (done.summary["replications"], done.summary["precise"]) == (3, False)


def test_a_precision_of_nothing_known_is_refused_before_anything_runs() -> None:
    asked = 'run.precision={ os_5 = "1 points" }'
    answer = crlm("run", str(SEQUENCING), "--draws", "mean", "--set", asked)
    assert answer.code == 2
    assert "no outcome is called 'os_5'" in answer.err
    assert "os_5y" in answer.err
