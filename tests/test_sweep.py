"""Sweeps: the same dataset however the work is cut and done, interrupted or not."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray
from helpers import crlm

from crlm_sim.experiments import run, sweep
from crlm_sim.experiments.sweep import store
from crlm_sim.experiments.sweep.plan import Task, tasks_of
from crlm_sim.experiments.sweep.pool import Where
from crlm_sim.report import write_report
from crlm_sim.scenario import load
from crlm_sim.scenario.experiment import load_experiment

SEQUENCING = Path("scenarios/sequencing.toml").resolve()
TEXT = f"""\
title = "Small"
scenario = "{SEQUENCING}"
draws = 2
replications = 2
patients = 60
policies = ["colorectal_first", "liver_first"]
[design.keys]
services.liver_theatre.wait = ["0 days", "8 weeks"]
[strata]
ras_mutant = "ras_mutant"
nobody = "recurrent"
"""
"""Four cells of 120 patients under each of two policies."""


def write(folder: Path, text: str = TEXT, name: str = "small.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of what a sweep found, but for how long it took."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    for name in ("provenance.json", "manifest.json", "report.html"):
        found.pop(name, None)
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="module")
def done(path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "whole"
    return sweep.sweep(load_experiment(path), out=out)


@pytest.fixture(scope="module")
def data(done) -> xarray.Dataset:
    with xarray.open_zarr(done / "results.zarr", consolidated=False, chunks=None) as opened:
        return opened.load()


# The dataset --------------------------------------------------------------------------------------


def test_a_point_of_a_sweep_is_the_run_of_its_scenario(data, done):
    """Estimates, intervals and paired differences are those of `crlm run`, to the last digit."""
    settings = ["run.patients=60", "run.draws=2", "run.replications=2"]
    wait = "services.liver_theatre.wait=8 weeks"
    same = load(SEQUENCING, [*settings, wait]).only(["colorectal_first", "liver_first"])
    found = run(same, keep=False)
    told = json.loads((done / "summary.json").read_text())["points"][1]
    assert told["policies"] == found.summary["policies"]
    assert told["differences"] == found.summary["differences"]
    expected = found.dataset()
    here = data.isel(point=1).sel(stratum="all")
    for name in ("estimate", "lower", "simulation_upper", "difference", "difference_lower"):
        np.testing.assert_array_equal(here[name], expected[name], err_msg=name)
    np.testing.assert_allclose(here["draw_estimate"].mean("draw"), expected["estimate"], rtol=1e-12)


def test_the_dataset_says_what_its_axes_are(data):
    assert dict(data.sizes) | {"outcome": 0, "endpoint": 0} == {
        "point": 2,
        "stratum": 3,
        "draw": 2,
        "policy": 2,
        "time_months": 181,
        "outcome": 0,
        "endpoint": 0,
    }
    wait = data["services.liver_theatre.wait"]
    assert wait.values.tolist() == [0.0, 56.0]
    assert wait.attrs["units"] == "days"
    assert data["draw"].values.tolist() == [1, 2]
    assert data["policy"].values.tolist() == ["colorectal_first", "liver_first"]


def test_the_page_tells_every_point_and_stratum_and_asks_nothing_of_the_network(done):
    text = write_report(done).read_text("utf-8")
    assert "44 of the 66 prices and utilities behind them are placeholders" in text
    for words in ("0 days", "8 weeks", "ras mutant", "To be chosen", "Alive at 5 years"):
        assert words in text
    for fetched in ("<link", "src=", "@import", "url("):
        assert fetched not in text.split("<script>")[0]
    figures = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    assert len(figures) == 8  # one for each main outcome, since one number varies
    assert all(json.loads(one)["data"] for one in figures)


def test_a_stratum_holds_those_who_meet_its_condition(data):
    """The mean over everybody is that over the stratum and the rest, weighed by patients."""
    patients = data["patients"]
    assert (patients.sel(stratum="all") == 120).all()
    assert (patients.sel(stratum="nobody") == 0).all()
    share = patients.sel(stratum="ras_mutant") / 120
    assert (share > 0.2).all()
    assert (share < 0.6).all()
    assert data["estimate"].sel(stratum="nobody").isnull().all()
    survival = data["survival"].sel(endpoint="os")
    assert (survival.isel(time_months=0) == 1.0).all()
    assert (survival.diff("time_months").fillna(0.0) <= 0.0).all()


def test_strata_of_everybody_and_of_the_others_add_up(tmp_path):
    text = TEXT.replace("replications = 2\n", "").replace("draws = 2", 'draws = "mean"')
    text = text.split("[strata]")[0] + '[strata]\nyes = "ras_mutant"\nno = "not ras_mutant"\n'
    folder = sweep.sweep(load_experiment(write(tmp_path, text)), out=tmp_path / "out")
    with xarray.open_zarr(folder / "results.zarr", consolidated=False, chunks=None) as opened:
        data = opened.load()
    weight = data["patients"].isel(draw=0)
    resected = data["estimate"].sel(outcome="resected") * weight
    parts = resected.sel(stratum="yes") + resected.sel(stratum="no")
    np.testing.assert_allclose(parts, resected.sel(stratum="all"))
    assert "simulation_lower" not in data


# However it is cut and done -----------------------------------------------------------------------


@pytest.mark.parametrize("patients", [1, 77, 240, 300, 500, 10**9])
def test_tasks_cover_every_patient_once(path, patients):
    experiment = load_experiment(path, [f"task.patients={patients}"])
    seen = np.zeros((4, 120), int)
    for task in tasks_of(experiment):
        seen[task.first : task.first + task.cells, task.start : task.stop] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("patients", [50, 300])
def test_the_size_of_tasks_changes_nothing(path, done, tmp_path, patients):
    other = load_experiment(path, [f"task.patients={patients}"])
    assert len(tasks_of(other)) > 2
    folder = sweep.sweep(other, out=tmp_path / "other")
    assert contents(folder) == contents(done)


def test_processes_change_nothing(path, done, tmp_path):
    other = load_experiment(path, ["task.patients=50"])
    folder = sweep.sweep(other, out=tmp_path / "other", where=sweep.Where(workers=2))
    assert contents(folder) == contents(done)


def test_shares_of_a_job_array_change_nothing(path, done, tmp_path):
    other = load_experiment(path, ["task.patients=50"])
    out = tmp_path / "other"
    for number in (3, 1):
        sweep.share(other, number, 3, out=out)
    with pytest.raises(sweep.Stopped, match="of 20 tasks are not done"):
        sweep.merge(other, out=out)
    sweep.share(other, 2, 3, out=out)
    assert contents(sweep.merge(other, out=out)) == contents(done)


def test_whole_replications_stay_together_where_a_condition_says_who_is_studied(tmp_path):
    """The patients are the first who meet it, so their numbers depend on all before them."""
    path = write(tmp_path)
    condition = 'population.eligible="age < 70 years"'
    whole = load_experiment(path, [condition])
    cut = load_experiment(path, [condition, "task.patients=50"])
    assert [(t.start, t.stop) for t in tasks_of(cut)[:2]] == [(0, 60), (60, 120)]
    first = sweep.sweep(whole, out=tmp_path / "whole")
    second = sweep.sweep(cut, out=tmp_path / "cut")
    assert contents(first) == contents(second)


# Interrupted --------------------------------------------------------------------------------------


def test_a_sweep_goes_on_from_what_is_done_and_repairs_what_is_damaged(path, done, tmp_path):
    """A missing, an emptied and a spoilt chunk are done again, the others are not."""
    other = load_experiment(path, ["task.patients=50"])
    out = tmp_path / "other"
    for number in (1, 2):
        sweep.share(other, number, 2, out=out)
    chunks = sorted((out / "chunks").glob("*.npz"))
    chunks[0].unlink()
    chunks[1].write_bytes(b"")
    spoilt = bytearray(chunks[2].read_bytes())
    spoilt[len(spoilt) // 2] ^= 255
    chunks[2].write_bytes(bytes(spoilt))
    (out / "chunks" / ".000005.npz.x.partial").write_bytes(b"left by a killed worker")
    before = {chunk.name: chunk.stat().st_mtime_ns for chunk in chunks[3:]}
    seen: list[tuple[str, int, int]] = []

    def look(stage: str, n: int, total: int) -> None:
        seen.append((stage, n, total))
        if stage == "gathering":
            assert before == {chunk.name: chunk.stat().st_mtime_ns for chunk in chunks[3:]}

    sweep.sweep(other, out=out, progress=look)
    assert seen[0] == ("simulating", 18, 20)
    assert contents(out) == contents(done)


def test_a_finished_sweep_is_not_done_again(path, done):
    before = {p: p.stat().st_mtime_ns for p in done.rglob("*")}
    sweep.sweep(load_experiment(path), out=done)
    assert before == {p: p.stat().st_mtime_ns for p in done.rglob("*")}


def test_a_store_keeps_its_own_cut(path, tmp_path, done):
    out = tmp_path / "out"
    sweep.share(load_experiment(path, ["task.patients=50"]), 1, 2, out=out)
    folder = sweep.sweep(load_experiment(path, ["task.patients=300"]), out=out)
    assert contents(folder) == contents(done)


def test_chunks_of_another_cut_do_not_count(path, tmp_path):
    experiment = load_experiment(path)
    store.start(tmp_path / "out", experiment)
    store.keep(tmp_path / "out", 0, Task(0, 2), {"x": np.arange(3)})
    assert store.read(tmp_path / "out", 0, Task(0, 3)) is None
    assert store.missing(tmp_path / "out", [Task(0, 3)]) == [0]


# Refused ------------------------------------------------------------------------------------------


def test_another_experiment_or_version_is_refused(path, done, tmp_path):
    with pytest.raises(sweep.Refused, match="another experiment or scenario"):
        sweep.sweep(load_experiment(path, ["run.seed=2"]), out=done)
    out = tmp_path / "old"
    store.start(out, load_experiment(path))
    manifest = json.loads((out / "manifest.json").read_text())
    old = manifest | {"identity": "0", "program_sha256": "0"}
    (out / "manifest.json").write_text(json.dumps(old))
    with pytest.raises(sweep.Refused, match="another version"):
        sweep.sweep(load_experiment(path), out=out)


def test_two_at_one_store_are_refused_but_shares_are_not(path, tmp_path):
    experiment = load_experiment(path)
    out = tmp_path / "out"
    store.start(out, experiment)
    with store.locked(out, alone=True):
        answer = crlm("sweep", str(path), "--out", str(out))
        assert answer.code == 2
        assert "worked on by another process" in answer.err
    with store.locked(out, alone=False):
        sweep.share(experiment, 1, 2, out=out)
        with pytest.raises(sweep.Refused, match="worked on"):
            sweep.merge(experiment, out=out)


def test_a_folder_of_something_else_is_refused(path, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    answer = crlm("sweep", str(path), "--out", str(tmp_path))
    assert (answer.code, "not a sweep's folder" in answer.err) == (2, True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_population_nobody_is_in_is_told_with_its_point(tmp_path):
    text = TEXT.replace(
        "[design.keys]\n", '[design.keys]\npopulation.eligible = ["age < 17 years"]\n'
    )
    answer = crlm(
        "sweep", str(write(tmp_path, text)), "--workers", "1", "--out", str(tmp_path / "o")
    )
    assert answer.code == 2
    assert "point 1" in answer.err
    assert "population is empty" in answer.err


def test_a_scheduler_that_does_not_answer_stops_the_sweep(path, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep.pool, "_PATIENCE", 0.2)
    out = str(tmp_path / "out")
    answer = crlm("sweep", str(path), "--out", out, "--scheduler", "tcp://127.0.0.1:9")
    assert answer.code == 3
    assert "no scheduler answers at tcp://127.0.0.1:9" in answer.err


# Faults ------------------------------------------------------------------------------------------


def in_another_process(path: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """`crlm sweep` as a process group of its own."""
    command = [sys.executable, "-m", "crlm_sim", "sweep", str(path), "--out", str(out), "--quiet"]
    return subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, start_new_session=True)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of this size at a folder; skips the test where none can be had."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system, and not everywhere")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_stops_a_sweep_which_then_goes_on(path, done, tmp_path, workers):
    cut = ["--workers", workers, "--set", "task.patients=50"]
    disk = tmp_path / "disk"
    with small_disk(disk, "700k"):
        answer = crlm("sweep", str(path), "--out", str(disk / "out"), *cut)
        assert answer.code == 3
        assert "No space left on device" in answer.err
        assert "the same command goes on" in answer.err
        kept = len(list((disk / "out" / "chunks").glob("0*.npz")))
        assert 0 < kept < 20
        assert not list((disk / "out" / "chunks").glob("*.partial"))
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        answer = crlm("sweep", str(path), "--out", str(disk / "out"), *cut)
        assert answer.code == 0
        assert contents(disk / "out") == contents(done)


def test_a_request_to_end_keeps_what_is_done(path, done, tmp_path):
    """As a batch system makes it before a job's time is over."""
    out = tmp_path / "out"
    long = ["--workers", "1", "--set", "task.patients=50"]
    process = in_another_process(path, out, *long)
    while not list(out.glob("chunks/0*.npz")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.wait()
    assert process.returncode == 3
    sweep.sweep(load_experiment(path), out=out)
    assert contents(out) == contents(done)


@pytest.mark.slow
def test_killed_anywhere_thirty_times_a_sweep_ends_with_the_same_bytes(path, done, tmp_path):
    """SIGKILL at any moment to the client or to a worker, over and over in the same folder.

    What is left after thirty is done undisturbed.
    """
    import psutil

    draw = np.random.default_rng(20_261_124)
    faults = finished = 0
    while faults < 30:
        out = tmp_path / f"out{finished}"
        whole = False
        while not whole:
            workers = str(draw.integers(1, 3))
            process = in_another_process(
                path, out, "--workers", workers, "--set", "task.patients=12"
            )
            deadline = time.monotonic() + draw.uniform(1.0, 6.0)
            while process.poll() is None and faults < 30 and time.monotonic() < deadline:
                time.sleep(0.005)
            if process.poll() is None and faults < 30:
                below = psutil.Process(process.pid).children(recursive=True)
                victims = [process.pid, *(child.pid for child in below)]
                os.kill(int(draw.choice(victims)), signal.SIGKILL)
                faults += 1
                if draw.random() < 0.5:
                    process.kill()
            process.wait()
            whole = process.returncode == 0
        assert contents(out) == contents(done)
        finished += 1
    assert finished >= 1


@pytest.mark.slow
def test_a_killed_scheduler_stops_a_sweep_which_then_goes_on(path, done, tmp_path):
    """SIGKILL to a scheduler that the sweep was told of, with a worker of its own."""
    out, told = tmp_path / "out", tmp_path / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}

    def dask(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    scheduler = dask("dask_scheduler", "--port", "0", "--no-dashboard", f"--scheduler-file={told}")
    worker = dask("dask_worker", f"--scheduler-file={told}", "--no-dashboard", "--nthreads=1")
    try:
        while not told.exists():
            time.sleep(0.1)
        address = json.loads(told.read_text())["address"]
        options = ["--scheduler", address, "--set", "task.patients=12"]
        process = in_another_process(path, out, *options)
        while not list(out.glob("chunks/0*.npz")):
            assert process.poll() is None
            time.sleep(0.01)
        scheduler.kill()
        assert process.wait(timeout=120) == 3
    finally:
        scheduler.kill()
        worker.terminate()
        worker.wait()
    assert not (out / "results.zarr").exists()
    sweep.sweep(load_experiment(path), out=out)
    assert contents(out) == contents(done)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "threads", "patients"),
    [(2, 1, 1_000), (4, 1, 10_000), (1, 2, 30_000), (2, 2, 100_000)],
)
def test_workers_threads_and_tasks_change_nothing(tmp_path, large, workers, threads, patients):
    """200,000 courses in 200 tasks, or in two."""
    path, done = large
    where = Where(workers=workers, threads=threads)
    cut = load_experiment(path, [f"task.patients={patients}"])
    out = sweep.sweep(cut, out=tmp_path / "out", where=where)
    assert contents(out) == contents(done)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> tuple[Path, Path]:
    """An experiment of two cells of 100,000 courses, and what it gives done in one piece each."""
    folder = tmp_path_factory.mktemp("large")
    text = TEXT.replace("replications = 2\npatients = 60", "patients = 50_000").replace(
        '["0 days", "8 weeks"]', '["8 weeks"]'
    )
    path = write(folder, text)
    return path, sweep.sweep(load_experiment(path), out=folder / "whole")
