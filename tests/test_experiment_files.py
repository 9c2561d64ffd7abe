"""Experiment files: designs, points, and what is said of files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import crlm

from crlm_sim.scenario import ScenarioError, load
from crlm_sim.scenario.design import Range, points, read_levels
from crlm_sim.scenario.experiment import load_experiment
from crlm_sim.scenario.messages import Wrong

SEQUENCING = Path("scenarios/sequencing.toml").resolve()
HEAD = f'title = "Test"\nscenario = "{SEQUENCING}"\ndraws = "mean"\n'
KEYS = HEAD + "[design.keys]\n"


def experiment(folder: Path, text: str, settings: tuple[str, ...] = ()):
    path = folder / "test.toml"
    path.write_text(text)
    return load_experiment(path, settings)


def problems(folder: Path, text: str, settings: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        experiment(folder, text, settings)
    return [f"{p.headline}; {p.suggestion}" for p in caught.value.problems]


@pytest.mark.parametrize("path", sorted(Path("scenarios/sweeps").glob("*.toml")), ids=str)
def test_experiments_that_come_with_the_program_load(path):
    answer = crlm("check", str(path), "--json")
    assert answer.code == 0
    assert answer.json["points"] == len(load_experiment(path).points)


def test_a_grid_is_every_combination_and_each_point_its_scenario(tmp_path):
    text = (
        KEYS + 'services.mri.wait = ["1 week", "2 weeks"]\n"policy.liver_first.lines" = [1, 2, 3]\n'
    )
    found = experiment(tmp_path, text, ("run.seed=5",))
    values = [tuple(point.values.values()) for point in found.points]
    assert values == [(w, n) for w in ("1 week", "2 weeks") for n in (1, 2, 3)]
    fifth = load(
        SEQUENCING,
        ["run.draws=mean", "run.seed=5", "services.mri.wait=2 weeks", "policy.liver_first.lines=2"],
    )
    assert found.points[4].scenario == fifth


def test_an_experiment_without_a_design_has_one_point(tmp_path):
    found = experiment(
        tmp_path, HEAD + 'policies = ["liver_first", "simultaneous"]\npatients = 7\n'
    )
    assert len(found.points) == 1
    assert found.first.policy_names == ("simultaneous", "liver_first")
    assert (found.first.reference, found.first.run.patients) == ("simultaneous", 7)


@pytest.mark.parametrize("method", ["latin_hypercube", "sobol"])
def test_a_spread_design_fills_each_range_and_each_list_evenly(method):
    """Every sixteenth of a range holds one of 16 points, every value of a list as many."""
    keys = {"a": Range(2.0, 4.0, ""), "b": Range(0.0, 10.0, "weeks"), "c": ("x", "y")}
    found = points(method, keys, 16, 3)
    shares = [(point["a"] - 2.0) / 2.0 for point in found]
    assert sorted(int(16 * share) for share in shares) == list(range(16))
    weeks = [float(point["b"].removesuffix(" weeks")) for point in found]
    assert sorted(int(1.6 * week) for week in weeks) == list(range(16))
    assert [point["c"] for point in found].count("x") == 8
    assert found == points(method, keys, 16, 3)
    assert found != points(method, keys, 16, 4)


def test_ranges_are_read_with_their_unit():
    assert read_levels({"low": "10 %", "high": "30 %"}) == Range(10.0, 30.0, "%")
    assert read_levels({"low": "1 week", "high": "2 weeks"}).at(0.5) == "1.5 weeks"
    np.testing.assert_allclose(read_levels({"low": 1, "high": 4}).at(1 / 3), 2.0)
    for wrong, text in (
        ({"low": "1 week", "high": "2 months"}, "differ in unit"),
        ({"low": 2, "high": 1}, "must be below"),
        ({"low": 2}, "high is missing"),
        ([], "empty"),
        ([1, 1], "given twice"),
        (3, "must be a list"),
    ):
        with pytest.raises(Wrong, match=text):
            read_levels(wrong)


def test_everything_wrong_is_told_at_once_with_line_and_nearest_name(tmp_path):
    text = (
        f'titel = "x"\nscenario = "{SEQUENCING}"\n[design]\nmethod = "grids"\n[design.keys]\n'
        "services.mri.wait = 3\n[strata]\nold = 'age >'\nall = 'ras_mutant'\n[task]\npatient = 5\n"
    )
    found = problems(tmp_path, text)
    assert [line.partition("test.toml")[2].split(";")[0][:40] for line in found] == [
        ":1: unknown key 'titel' in an experiment",
        ":4: design.method: must be one of 'grid'",
        ":11: unknown key 'patient' in [task]",
        ":8: strata.old: a value is missing at the"[:40],
        ":9: strata.all: 'all' is everybody already"[:40],
    ]
    assert "did you mean 'title'?" in found[0]
    assert "did you mean 'patients'?" in found[2]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("services.mri.wait = ['1 week', '9']", "add the unit"),
        ("policy.liver_first.lines = [1, 7]", "must be at most 3 (got 7)"),
        ("policy.liver_frist.lines = [1]", "did you mean 'liver_first'?"),
        ("run.draws = ['mean', 5]", "run.draws must be the same at all points"),
        ("services.mri.wait = { low = '1 week', high = '2 weeks' }", "a grid needs a list"),
        ("policies.x = []", "empty"),
    ],
)
def test_what_a_point_cannot_be_is_told_at_its_key(tmp_path, keys, said):
    found = problems(tmp_path, KEYS + keys + "\n")
    assert len(found) == 1
    assert ":5: " in found[0]
    assert said in found[0]


def test_a_point_that_is_refused_is_named_with_all_its_values(tmp_path):
    text = KEYS + 'services.mri.wait = ["1 week", "2 weeks"]\npolicy.liver_first.lines = [1, 7]\n'
    found = problems(tmp_path, text)
    assert len(found) == 1
    values = "services.mri.wait = '1 week', policy.liver_first.lines = 7"
    assert f":6: point 2 of 4 ({values}): must be at most 3" in found[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + 'policies = ["liver_frist"]\n', "did you mean 'liver_first'?"),
        (HEAD.replace("sequencing", "sequencin"), "did you mean 'sequencing.toml'?"),
        (HEAD.replace("sequencing", "region"), "use `crlm run`"),
        (HEAD + '[design]\nmethod = "sobol"\npoints = 6\n', "power of two (got 6)"),
        (HEAD + '[design]\nmethod = "latin_hypercube"\n[design.keys]\nx = [1]\n', "is missing"),
        (HEAD + "[design]\npoints = 4\n", "leave points out"),
        (HEAD + "draws = 3\n", "not valid TOML"),
        (HEAD.replace("title", "#"), "title: missing"),
    ],
)
def test_what_cannot_be_used_says_what_would_do(tmp_path, text, said):
    assert any(said in one for one in problems(tmp_path, text))


def test_settings_are_for_the_experiment_or_for_its_scenario(tmp_path):
    settings = (
        "patients=12",
        "task.patients=34",
        "run.seed=56",
        "design.keys.run.horizon=['5 years']",
    )
    found = problems(tmp_path, HEAD, settings)
    assert found == [
        "--set design.keys.run.horizon=['5 years']: run.horizon must be the same at all points; "
        "take it out of [design.keys]"
    ]
    read = experiment(tmp_path, HEAD, settings[:3])
    assert (read.first.run.patients, read.task_patients, read.first.run.seed) == (12, 34, 56)
