"""The command line as people use it: results, messages and exit codes of every command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Answer, crlm

ROOT = Path(__file__).parents[1]
SEQUENCING = str(ROOT / "scenarios" / "sequencing.toml")
POLICIES = ["colorectal_first", "simultaneous", "liver_first"]
HEAVY = ("numpy", "numba", "pandas", "xarray", "zarr", "simpy", "pydantic", "rich.progress")
FEW = ("--draws", "mean", "--patients", "40")
GOOD = """title = "A small one"
[run]
patients = 20
[[policy]]
name = "liver_first"
"""


def crlm_process(*arguments: str, first: str = "") -> list[str]:
    """The command line of a process of its own that says `first` and then is `crlm`."""
    code = f"{first}\nfrom crlm_sim.cli import main\nmain()"
    return [sys.executable, "-c", code, *arguments]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, Path]:
    """One run with everything it can write."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    options = ("--json", "--out", str(folder), "--patients-table", "--events")
    return crlm("run", SEQUENCING, *FEW, *options), folder


def results(answer: Answer) -> dict[str, Any]:
    """What must not depend on how, where and how fast a run was made."""
    return {k: v for k, v in answer.json.items() if k not in ("run", "seconds", "engine")}


# Help --------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "crlm_sim", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "trace" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "crlm_sim.cli" in imported
    found = [name for name in HEAVY if any(f"{i}.".startswith(f"{name}.") for i in imported)]
    assert not found


def test_the_installed_command() -> None:
    command = Path(sys.executable).with_name("crlm")
    if not command.exists():
        pytest.skip("crlm is not installed beside this Python")
    done = subprocess.run([command, "check", SEQUENCING, "--json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["policies"] == POLICIES


def test_every_command_has_help() -> None:
    for command in ("run", "trace", "explain", "check", "verify", "new", "evidence", "report"):
        answer = crlm(command, "--help")
        assert answer.code == 0
        assert f"crlm {command} " in answer.out.splitlines()[0]
        assert not answer.err


@pytest.mark.parametrize(
    "arguments",
    [("frobnicate",), ("run",), ("run", SEQUENCING, "--patients", "many"), ("run", "--no-such")],
)
def test_a_command_line_that_is_wrong(arguments: tuple[str, ...]) -> None:
    answer = crlm(*arguments)
    assert answer.code == 2
    assert not answer.out
    assert "Error" in answer.err
    assert "Traceback" not in answer.err


# run ---------------------------------------------------------------------------------------------


def test_json_holds_the_contract(kept: tuple[Answer, Path]) -> None:
    answer, folder = kept
    assert answer.code == 0
    found = answer.json
    keys = {"run", "seed", "engine", "patients", "draws", "seconds", "policies", "differences"}
    assert keys <= set(found)
    assert found["run"] == str(folder)
    assert (found["seed"], found["engine"], found["patients"]) == (1, "cohort", 40)
    assert list(found["policies"]) == POLICIES
    assert list(found["differences"]) == POLICIES[1:]
    outcomes = set(found["policies"]["liver_first"])
    assert outcomes == set(found["differences"]["liver_first"])
    assert {
        "os_median_months", "os_1y", "os_3y", "os_5y", "pfs_median_months", "dfs_3y",
        "rmst_5y_months", "resected", "converted", "resectable_at_diagnosis",
        "sequence_completed", "major_complication", "mortality_90d", "sinusoidal_injury",
        "steatohepatitis", "objective_response", "recurrence_liver_only", "cured",
        "theatre_minutes", "bed_days", "cycles",
    } <= outcomes  # fmt: skip
    for table in (*found["policies"].values(), *found["differences"].values()):
        for entry in table.values():
            assert {"estimate", "lower", "upper"} <= set(entry)
            if None not in (entry["estimate"], entry["lower"], entry["upper"]):
                assert entry["lower"] <= entry["estimate"] <= entry["upper"]


def test_a_run_folder_is_whole(kept: tuple[Answer, Path]) -> None:
    import pandas
    import xarray

    answer, folder = kept
    assert {path.name for path in folder.iterdir()} == {
        "scenario.toml",
        "provenance.json",
        "summary.json",
        "results.zarr",
        "report.html",
        "patients.parquet",
        "events.parquet",
    }
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["policies"] == answer.json["policies"]
    with xarray.open_zarr(folder / "results.zarr", consolidated=False) as stored:
        assert list(stored["policy"].values) == POLICIES
        estimate = float(stored["estimate"].sel(policy="liver_first", outcome="cycles"))
    assert estimate == answer.json["policies"]["liver_first"]["cycles"]["estimate"]
    patients = pandas.read_parquet(folder / "patients.parquet")
    assert len(patients) == 40 * len(POLICIES)
    events = pandas.read_parquet(folder / "events.parquet")
    assert {"entity_id", "pathway", "event_type", "event", "time", "policy"} <= set(events)
    assert set(events["entity_id"]) == set(patients["patient"])
    assert crlm("check", str(folder / "scenario.toml")).code == 0


def test_the_same_run_twice_is_identical(kept: tuple[Answer, Path], here: Path) -> None:
    first, folder = kept
    options = ("--json", "--out", "again", "--patients-table", "--events", "--threads", "1")
    second = crlm("run", SEQUENCING, *FEW, *options)
    assert results(second) == results(first)
    for name in ("patients.parquet", "events.parquet", "scenario.toml"):
        assert (here / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_agents_engine_gives_the_same(kept: tuple[Answer, Path]) -> None:
    answer = crlm("run", SEQUENCING, *FEW, "--json", "--engine", "agents")
    assert answer.json["engine"] == "agents"
    assert results(answer) == results(kept[0])


def test_results_on_stdout_messages_on_stderr(here: Path) -> None:
    answer = crlm("run", SEQUENCING, *FEW, "--policy", "liver_first", "--policy", "simultaneous")
    assert answer.code == 0
    assert "median overall survival" in answer.out
    assert "Paired difference" in answer.out
    assert "loading" in answer.err
    assert "loading" not in answer.out
    (folder,) = (here / "runs").iterdir()
    assert f"runs/{folder.name}" in answer.out
    assert "report.html" in answer.err


def test_quiet_says_nothing_but_the_results(kept: tuple[Answer, Path]) -> None:
    answer = crlm("run", SEQUENCING, *FEW, "--json", "--quiet")
    assert (answer.code, answer.err) == (0, "")
    assert results(answer) == results(kept[0])
    assert crlm("report", str(kept[1]), "--quiet").err == ""


def test_options_reach_the_run() -> None:
    options = ("--seed", "7", "--policy", "liver_first", "--set", "run.patients=30", "--draws", "2")
    answer = crlm("run", SEQUENCING, *options, "--json")
    found = answer.json
    assert (found["seed"], found["patients"], found["draws"]) == (7, 30, 2)
    assert list(found["policies"]) == ["liver_first"]
    assert found["reference"] == "liver_first"
    assert found["differences"] == {}
    entry = found["policies"]["liver_first"]["cycles"]
    assert entry["interval"] == "parameter"
    assert entry["simulation_lower"] <= entry["estimate"] <= entry["simulation_upper"]


def test_a_setting_changes_the_result(kept: tuple[Answer, Path]) -> None:
    setting = "policy.liver_first.preoperative_cycles=0"
    answer = crlm("run", SEQUENCING, *FEW, "--json", "--set", setting)
    before, after = kept[0].json["policies"], answer.json["policies"]
    assert after["colorectal_first"] == before["colorectal_first"]
    assert after["liver_first"]["cycles"] != before["liver_first"]["cycles"]


def test_another_seed_gives_other_patients(kept: tuple[Answer, Path]) -> None:
    answer = crlm("run", SEQUENCING, *FEW, "--json", "--seed", "2")
    assert answer.json["policies"] != kept[0].json["policies"]


# The other commands ------------------------------------------------------------------------------


def test_trace() -> None:
    answer = crlm("trace", SEQUENCING, "--patient", "3", "--policy", "liver_first")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("patient 3,")
    assert "ct scan" in answer.out
    found = crlm("trace", SEQUENCING, "--patient", "3", "--json").json
    assert found["person"]["patient"] == 3
    assert list(found["policies"]) == POLICIES
    for course in found["policies"].values():
        days = [step["day"] for step in course["steps"]]
        assert days == sorted(days)
        assert course["steps"][0]["what"] == "ct scan"
        assert course["end_day"] >= days[-1]


def test_trace_is_the_patient_of_the_run(kept: tuple[Answer, Path]) -> None:
    import pandas

    table = pandas.read_parquet(kept[1] / "patients.parquet")
    row = table[(table["patient"] == 5) & (table["policy"] == "simultaneous")].iloc[0]
    found = crlm("trace", SEQUENCING, "--patient", "5", "--json").json
    assert found["person"]["age_years"] == round(float(row["age_years"]), 1)
    assert found["policies"]["simultaneous"]["end"] == row["cause_of_death"]


def test_explain() -> None:
    answer = crlm("explain", SEQUENCING)
    assert (answer.code, answer.err) == (0, "")
    assert "What the meeting decides" in answer.out
    assert "growth_rate_per_day" in answer.out
    found = crlm("explain", SEQUENCING, "--json", "--set", "services.liver_theatre.wait=28 days")
    waits = {row["activity"]: row["wait_days"] for row in found.json["activities"]}
    assert waits["major_liver_resection"] == 28.0
    assert found.json["assumptions"] > 0
    assert all(parameter["source"] for parameter in found.json["parameters"])


def test_check() -> None:
    answer = crlm("check", SEQUENCING)
    assert (answer.code, answer.err) == (0, "")
    assert "no problem found" in answer.out
    assert crlm("check", SEQUENCING, "--json").json == {
        "file": SEQUENCING,
        "valid": True,
        "policies": POLICIES,
    }


def test_new_can_be_run(here: Path) -> None:
    answer = crlm("new", "my_question")
    assert (answer.code, answer.err) == (0, "")
    assert "my_question.toml" in answer.out
    written = (here / "my_question.toml").read_bytes()
    again = crlm("new", "my_question")
    assert (again.code, again.out) == (2, "")
    assert "my_question.toml exists already" in again.err
    assert (here / "my_question.toml").read_bytes() == written
    assert crlm("run", "my_question.toml", *FEW, "--json").code == 0
    nowhere = crlm("new", "nowhere/mine")
    assert nowhere.code == 2
    assert "nowhere/mine.toml cannot be written" in nowhere.err


def test_evidence() -> None:
    answer = crlm("evidence", "folfox.kill_per_day")
    assert (answer.code, answer.err) == (0, "")
    assert "1/day" in answer.out
    (found,) = crlm("evidence", "folfox.kill_per_day", "--json").json["parameters"]
    assert found["lower"][0] < found["value"][0] < found["upper"][0]
    assert len(crlm("evidence", "--json").json["parameters"]) > 100
    unknown = crlm("evidence", "folfox.kill_per_dya")
    assert (unknown.code, unknown.out) == (2, "")
    assert "nearest: folfox.kill_per_day" in unknown.err


def test_report(kept: tuple[Answer, Path]) -> None:
    page = kept[1] / "report.html"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    answer = crlm("report", str(kept[1]))
    assert answer.code == 0
    assert answer.out == f"{page}\n"
    assert page.read_text(encoding="utf-8") == before
    for wrong in ("nowhere", SEQUENCING):
        refused = crlm("report", wrong)
        assert refused.code == 2
        assert f"{wrong} is not a run folder" in refused.err


# What is wrong -----------------------------------------------------------------------------------


def _with(old: str, new: str) -> Callable[[Path], None]:
    assert old in GOOD

    def write(folder: Path) -> None:
        (folder / "bad.toml").write_text(GOOD.replace(old, new), encoding="utf-8")

    return write


def _circle_of_files(folder: Path) -> None:
    (folder / "bad.toml").write_text('title = "t"\nbase = "other.toml"\n', encoding="utf-8")
    (folder / "other.toml").write_text('base = "bad.toml"\n', encoding="utf-8")


def _circle_of_policies(folder: Path) -> None:
    policies = '[[policy]]\nname = "a"\nbase = "b"\n[[policy]]\nname = "b"\nbase = "a"\n'
    (folder / "bad.toml").write_text(f'title = "t"\n{policies}', encoding="utf-8")


def _huge(folder: Path) -> None:
    with (folder / "bad.toml").open("wb") as file:
        file.truncate(50 * 2**20)


def _picture(folder: Path) -> None:
    (folder / "bad.toml").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")


def _folder(folder: Path) -> None:
    (folder / "bad.toml").mkdir()


def _nothing(folder: Path) -> None:
    pass


BAD = {
    "unknown key": (
        _with("patients = 20", "paitents = 20"),
        ("bad.toml:3:", "paitents", "did you mean 'patients'?"),
    ),
    "wrong unit": (
        _with("patients = 20", 'horizon = "15 parsecs"'),
        ("bad.toml:3:", "parsecs", "years, months, weeks"),
    ),
    "no unit": (_with("patients = 20", "horizon = 15"), ("bad.toml:3:", "15 days")),
    "negative rate": (
        _with("[run]\n", "[parameters]\nprimary_complication_rate_per_day = -0.1\n[run]\n"),
        ("bad.toml:3:", "must not be negative", "-0.1"),
    ),
    "probability above one": (
        _with("[run]\n", "[population]\nfemale_share = 1.2\n[run]\n"),
        ("bad.toml:3:", "between 0 and 1", "1.2"),
    ),
    "unknown policy": (
        _with('"liver_first"', '"mine"\nbase = "liver_frist"'),
        ("bad.toml:6:", "liver_frist", "did you mean 'liver_first'?"),
    ),
    "files in a circle": (_circle_of_files, ("other.toml:1:", "in a circle", "bad.toml")),
    "policies in a circle": (_circle_of_policies, ("bad.toml:4:", "in a circle", "a → b → a")),
    "empty population": (
        _with("patients = 20", "patients = 0"),
        ("bad.toml:3:", "the population is empty", "at least 1"),
    ),
    "no policy": (_with('[[policy]]\nname = "liver_first"\n', ""), ("bad.toml", "no policy")),
    "not a number": (
        _with("patients = 20", 'patients = "many"'),
        ("bad.toml:3:", "must be a whole number", "many"),
    ),
    "too large": (_huge, ("bad.toml:", "50.0 MB", "at most 5 MB")),
    "not TOML": (_with("title = ", "title is "), ("bad.toml:1:", "not valid TOML")),
    "not text": (_picture, ("bad.toml:", "not UTF-8 text")),
    "missing": (_nothing, ("bad.toml:", "no such file")),
    "a folder": (_folder, ("bad.toml:", "a folder, not a scenario file")),
}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "-"))
def test_a_bad_file_gives_one_clear_message(case: str, here: Path) -> None:
    write, said = BAD[case]
    write(here)
    before = sorted(here.iterdir())
    for command in ("run", "check", "trace", "explain"):
        answer = crlm(command, "bad.toml")
        assert (answer.code, answer.out) == (2, "")
        assert all(words in answer.err for words in said), answer.err
        assert answer.err.count("bad.toml") <= 3
        assert "Traceback" not in answer.err
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "liver_frist"), ("liver_frist", "did you mean 'liver_first'?")),
        (("--set", "run.patiens=3"), ("patiens", "did you mean 'patients'?")),
        (("--set", "nonsense"), ("KEY=VALUE",)),
        (("--engine", "fast"), ("'cohort', 'agents'", "fast")),
        (("--seed", "-1"), ("must not be negative", "-1")),
        (("--threads", "0"), ("--threads", "1 or more")),
        (("--draws", "0"), ("at least 1",)),
        (("--draws", "some"), ("'mean' or a whole number",)),
    ],
)
def test_a_bad_option_gives_one_clear_message(
    arguments: tuple[str, ...], said: tuple[str, ...], here: Path
) -> None:
    answer = crlm("run", SEQUENCING, *FEW, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert all(words in answer.err for words in said), answer.err
    assert len(answer.err.splitlines()) == 1
    assert not list(here.iterdir())


def test_out_that_cannot_be_had(here: Path) -> None:
    (here / "there").mkdir()
    (here / "there" / "mine.txt").write_text("mine", encoding="utf-8")
    (here / "file").write_text("mine", encoding="utf-8")
    for out, said in (("there", "exists already"), ("file/run", "cannot be written")):
        answer = crlm("run", SEQUENCING, *FEW, "--out", out)
        assert (answer.code, answer.out) == (2, "")
        assert f"{out} {said}" in answer.err
        assert "Traceback" not in answer.err
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*")) == [
        "file",
        "there",
        "there/mine.txt",
    ]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A folder on a disk of 64 KB; false where this user may not have one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_nothing(here: Path) -> None:
    with small_disk(here / "small") as mounted:
        if mounted:
            answer = crlm("run", SEQUENCING, *FEW, "--out", "small/run")
            code, out, err, words = answer.code, answer.out, answer.err, "No space left on device"
        else:
            pytest.importorskip("resource")
            limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
            command = crlm_process("run", SEQUENCING, *FEW, "--out", "small/run", first=limit)
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            code, out, err, words = done.returncode, done.stdout, done.stderr, "File too large"
        assert (code, out) == (2, "")
        assert words in err
        assert "nothing was kept" in err
        assert "Traceback" not in err
        assert not list((here / "small").iterdir())


def test_an_interrupted_run_keeps_nothing(here: Path) -> None:
    # A process started in the background may have been told to ignore the signal.
    listen = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
    many = ("--patients", "50000000", "--out", "kept/run")
    command = crlm_process("run", SEQUENCING, *many, first=listen)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            patience = time.monotonic() + 60
            while not (here / "kept").exists() and time.monotonic() < patience:
                time.sleep(0.05)
            assert [path.name.endswith(".partial") for path in (here / "kept").iterdir()] == [True]
            time.sleep(0.5)
            os.kill(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 3
    assert not out
    assert "Traceback" not in err
    assert "interrupted; nothing was kept" in err
    assert not (here / "kept").exists()
