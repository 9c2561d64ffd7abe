"""Runs made again from their own record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import SMALL_REGION, crlm
from test_sweep import TEXT, write

from crlm_sim.experiments import run, sweep
from crlm_sim.experiments.simulate import trace_patient
from crlm_sim.scenario import load
from crlm_sim.scenario.experiment import load_experiment

FEW = ["run.patients=40", "run.draws=2", "run.replications=2"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    scenario = load("scenarios/sequencing.toml", FEW)
    done = run(scenario, out=tmp_path_factory.mktemp("run") / "kept")
    assert done.folder
    return done.folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    return sweep.sweep(load_experiment(write(folder)), out=folder / "kept")


@pytest.fixture(scope="module")
def queued(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("region")
    (folder / "small.toml").write_text(SMALL_REGION)
    answer = crlm(
        "run", str(folder / "small.toml"), "--out", str(folder / "kept"), "--threads", "1"
    )
    assert answer.code == 0, answer.err
    return folder / "kept"


@pytest.mark.parametrize("kind", ["kept", "swept", "queued"])
def test_a_run_made_again_is_the_same(kind, request):
    folder = request.getfixturevalue(kind)
    before = sorted(path.name for path in folder.parent.iterdir())
    answer = crlm("rerun", str(folder), "--json")
    assert answer.json["differing"] == []
    assert (answer.code, answer.json["same"]) == (0, True)
    assert sorted(path.name for path in folder.parent.iterdir()) == before


@pytest.mark.parametrize("kind", ["kept", "swept"])
def test_a_result_that_was_changed_is_found(kind, request, tmp_path):
    folder = tmp_path / "copy"
    folder.symlink_to(request.getfixturevalue(kind).resolve())
    original = (folder / "summary.json").read_text()
    summary = json.loads(original)
    summary["reference"] = "liver_first"
    try:
        (folder / "summary.json").write_text(json.dumps(summary))
        answer = crlm("rerun", str(folder))
    finally:
        (folder / "summary.json").write_text(original)
    assert answer.code == 1
    assert "reference" in answer.out


def test_one_patient_again_is_that_patient(kept, swept):
    scenario = load("scenarios/sequencing.toml", FEW)
    patient, steps = trace_patient(scenario, "liver_first", 7, draw=2, replicate=1)
    answer = crlm("rerun", str(kept), "--patient", "7", "--draw", "2", "--replicate", "1", "--json")
    course = answer.json["policies"]["liver_first"]
    assert course["end_day"] == patient["end_minute"] / 1440
    assert [step["what"] for step in course["steps"]] == [step.what for step in steps]
    second = load_experiment(write(swept.parent, TEXT, "again.toml")).points[1].scenario
    patient, _ = trace_patient(second, "liver_first", 7, draw=1)
    answer = crlm("rerun", str(swept), "--patient", "7", "--point", "2", "--json")
    assert answer.json["policies"]["liver_first"]["end_day"] == patient["end_minute"] / 1440


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--patient", "1", "--draw", "9"], "draws 1 to 2"),
        (["--patient", "1", "--replicate", "2"], "has 2, counted from 0"),
        (["--patient", "1", "--point", "3"], "from 1 to 2"),
        (["--patient", "-1"], "expected a whole number"),
    ],
)
def test_what_the_run_does_not_have_is_refused(swept, options, said):
    answer = crlm("rerun", str(swept), *options)
    assert (answer.code, said in answer.err) == (2, True)


def test_a_folder_without_a_run_is_refused(tmp_path, queued):
    assert crlm("rerun", str(tmp_path)).code == 2
    assert "queued" in crlm("rerun", str(queued), "--patient", "1").err
