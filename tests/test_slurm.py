"""Sweeps on a real Slurm, which a script starts on this machine: the bytes of a local sweep.

Needs root and Debian's slurm-wlm and munge; without them it is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from helpers import crlm
from test_sweep import contents, write

from crlm_sim.experiments import sweep
from crlm_sim.scenario.experiment import load_experiment

HERE = Path(__file__).parent / "slurm"
CUT = ("--set", "task.patients=50")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))),
        reason="needs root, slurm-wlm and munge",
    ),
]


@pytest.fixture(scope="module")
def slurm():
    """A Slurm of four nodes, in force for what is called meanwhile."""
    # Not among pytest's folders, which munge finds too private for its socket.
    with tempfile.TemporaryDirectory(prefix="slurm", ignore_cleanup_errors=True) as folder:
        subprocess.run([HERE / "start.sh", folder], check=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", f"{folder}/slurm.conf")
            patch.setenv("PYTHONPATH", str(Path.cwd()))
            yield
        subprocess.run([HERE / "stop.sh", folder], check=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="module")
def done(path, tmp_path_factory) -> Path:
    return sweep.sweep(load_experiment(path), out=tmp_path_factory.mktemp("sweep") / "whole")


def running() -> list[str]:
    """Numbers of the jobs that run now."""
    command = ["squeue", "--noheader", "--format=%A", "--states=running"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def on_slurm(path: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """A sweep whose workers are two jobs, with this machine's only network."""
    command = [sys.executable, "-m", "crlm_sim", "sweep", str(path), "--out", str(out)]
    cluster = ["--cluster", "slurm", "--queue", "debug", "--jobs", "2", "--memory", "500MB"]
    environment = os.environ | {"DASK_JOBQUEUE__SLURM__INTERFACE": "lo"}
    return subprocess.Popen(
        [*command, *cluster, *options], env=environment, stdout=subprocess.DEVNULL
    )


def test_workers_as_jobs_all_of_which_are_killed_once(slurm, path, done, tmp_path):
    out = tmp_path / "out"
    process = on_slurm(path, out, "--set", "task.patients=24")
    while process.poll() is None and not list(out.glob("chunks/0*.npz")):
        time.sleep(0.1)
    jobs = running()
    assert jobs
    subprocess.run(["scancel", "--signal=KILL", *jobs], check=True)
    assert process.wait(timeout=400) == 0
    assert contents(out) == contents(done)


def test_a_job_array_and_a_merge(slurm, path, done, tmp_path):
    out = tmp_path / "out"
    command = f"{sys.executable} -m crlm_sim sweep {path} --out {out} {' '.join(CUT)}"
    script = tmp_path / "array.sh"
    script.write_text(
        f"#!/bin/sh\n#SBATCH --array=1-3\n#SBATCH --output={tmp_path}/%a.log\n"
        f"{command} --task $SLURM_ARRAY_TASK_ID --tasks $SLURM_ARRAY_TASK_COUNT\n"
    )
    subprocess.run(["sbatch", "--wait", script], check=True, timeout=400)
    answer = crlm("sweep", str(path), "--out", str(out), "--merge")
    assert answer.code == 0, answer.err
    assert contents(out) == contents(done)


def test_a_partition_that_is_not_there_is_refused(slurm, path, tmp_path):
    answer = crlm(
        "sweep", str(path), "--out", str(tmp_path / "o"), "--cluster", "slurm", "--queue", "night"
    )
    assert answer.code == 2
    assert "Invalid partition name" in answer.err
