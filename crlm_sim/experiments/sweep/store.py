"""The store: a folder with what is to be done, what is done, and in the end the dataset.

- `manifest.json`: the experiment, what it depends on, how it is cut; written once, at the start;
- `scenarios.zip`: the resolved scenario of every point;
- `chunks/NUMBER.npz`: what a task gave. It is written under a temporary name and renamed, so that
  a task is done if its chunk is there and whole;
- `results.zarr`, `provenance.json` and, last, `summary.json`: once all tasks are done.

Whoever works on a store holds a lock on it: alone, or together with other shares of a job array.
The system itself lets go of the lock of a process that has ended, however it ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.experiments.identity import program_hash
from crlm_sim.experiments.sweep.plan import Task
from crlm_sim.scenario import Scenario, loads, to_toml
from crlm_sim.scenario.experiment import Experiment, Point

MANIFEST, SCENARIOS, CHUNKS = "manifest.json", "scenarios.zip", "chunks"
RESULTS, SUMMARY, PROVENANCE = "results.zarr", "summary.json", "provenance.json"
LOGS, PAGE = "logs", "report.html"
_LOCK = ".lock"
_PARTIAL = ".partial"
_OURS = {MANIFEST, SCENARIOS, CHUNKS, RESULTS, SUMMARY, PROVENANCE, PAGE, LOGS, _LOCK}
_TASK = "task"
FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Refused(ValueError):
    """What was asked for cannot be done in this store."""


class Stopped(Exception):
    """The sweep stopped before its end; what is done is kept and the same command goes on."""


# What identifies a store -------------------------------------------------------------------------


def describe(experiment: Experiment) -> dict[str, Any]:
    """The manifest of an experiment."""
    texts = [to_toml(point.scenario) for point in experiment.points]
    strata = dict(experiment.strata)
    parts = [program_hash(), *texts, json.dumps(strata)]
    return {
        "title": experiment.title,
        "description": experiment.description,
        "name": experiment.name,
        "identity": hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        "program": program(),
        "program_sha256": program_hash(),
        "task_patients": experiment.task_patients,
        "strata": strata,
        "draws": experiment.first.run.draw_numbers,
        "points": [point.values for point in experiment.points],
    }


def program() -> str:
    """The program's name and version."""
    return f"crlm_sim {__version__}"


def folder_of(experiment: Experiment, out: Path | None) -> Path:
    """Where an experiment's store is: `out`, or `runs/NAME-HASH`."""
    manifest = describe(experiment)
    return out or Path("runs") / f"{manifest['name']}-{manifest['identity'][:8]}"


def start(folder: Path, experiment: Experiment) -> None:
    """Make the store's folder, or find that it is this experiment's.

    Raises Refused for the folder of anything else, OSError if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = describe(experiment)
    if (folder / MANIFEST).exists():
        _check_same(folder, read_manifest(folder), manifest)
        return
    strange = [
        path.name
        for path in folder.iterdir()
        if path.name not in _OURS and not path.name.endswith(_PARTIAL)
    ]
    if strange:
        raise Refused(f"{folder} is not a sweep's folder ('{strange[0]}' is in it): name another")
    (folder / CHUNKS).mkdir(exist_ok=True)
    with whole(folder / SCENARIOS) as partial, zipfile.ZipFile(partial, "w") as archive:
        for number, point in enumerate(experiment.points):
            entry = zipfile.ZipInfo(_entry(number))
            archive.writestr(entry, to_toml(point.scenario), zipfile.ZIP_DEFLATED)
    write_json(folder / MANIFEST, manifest)


def _check_same(folder: Path, there: dict[str, Any], wanted: dict[str, Any]) -> None:
    if there.get("identity") == wanted["identity"]:
        return
    other = "another version of the program or posterior"
    if there.get("program_sha256") == wanted["program_sha256"]:
        other = "another experiment or scenario"
    raise Refused(f"{folder} holds a sweep of {other}: name another folder with --out")


def check_program(manifest: dict[str, Any]) -> None:
    """Raise Refused if a store was begun by another version of the program."""
    if manifest["program_sha256"] != program_hash():
        raise Refused(
            "the sweep was begun by another version of the program or posterior than is here"
        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a store. Raises Refused if the folder is none."""
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
        return dict(found)
    except (OSError, ValueError, TypeError):
        raise Refused(f"{folder} is not a sweep's folder: {MANIFEST} cannot be read") from None


def read_scenario(folder: Path, point: int) -> Scenario:
    """The scenario of a point, as the store keeps it."""
    with zipfile.ZipFile(folder / SCENARIOS) as archive:
        return loads(archive.read(_entry(point)).decode(), name=folder.name)


def read_experiment(folder: Path) -> Experiment:
    """The experiment of a store, cut as it was when the store was begun."""
    manifest = read_manifest(folder)
    points = [
        Point(values, read_scenario(folder, number))
        for number, values in enumerate(manifest["points"])
    ]
    return Experiment(
        manifest["name"],
        manifest["title"],
        manifest["description"],
        tuple(points),
        manifest["strata"],
        manifest["task_patients"],
    )


def _entry(point: int) -> str:
    return f"{point + 1:05d}.toml"


# What is done ------------------------------------------------------------------------------------


def _chunk(folder: Path, number: int) -> Path:
    return folder / CHUNKS / f"{number:06d}.npz"


def keep(folder: Path, number: int, task: Task, found: dict[str, np.ndarray]) -> None:
    """Write a task's chunk."""
    with whole(_chunk(folder, number)) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{_TASK: _signed(task)}, **found)  # type: ignore[arg-type]


def read(folder: Path, number: int, task: Task) -> dict[str, np.ndarray] | None:
    """What a task gave; None, with the chunk removed, if it is not whole or of another cut."""
    path = _chunk(folder, number)
    try:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files}
        if np.array_equal(found.pop(_TASK), _signed(task)):
            return found
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError):
        pass
    path.unlink(missing_ok=True)
    return None


def missing(folder: Path, tasks: Sequence[Task]) -> list[int]:
    """Numbers of the tasks of which there is no whole chunk, by a look at the end of each file."""
    there = {path.name for path in (folder / CHUNKS).iterdir()}
    return [
        number
        for number in range(len(tasks))
        if _chunk(folder, number).name not in there
        or not zipfile.is_zipfile(_chunk(folder, number))
    ]


def _signed(task: Task) -> np.ndarray:
    return np.array([-1 if value is None else value for value in astuple(task)])


def is_finished(folder: Path) -> bool:
    """Whether the dataset of a store is there."""
    return (folder / SUMMARY).exists()


def clean(folder: Path) -> None:
    """Remove what interrupted writers left, and the chunks of a finished store."""
    for path in [*folder.iterdir(), *(folder / CHUNKS).glob("*")]:
        if path.name.endswith(_PARTIAL):
            remove(path)
    if is_finished(folder):
        for name in (CHUNKS, LOGS):
            shutil.rmtree(folder / name, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# Writing -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name if all went well, and is on disk then."""
    handle, name = tempfile.mkstemp(_PARTIAL, f".{path.name}.", path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document."""
    with whole(path) as partial:
        partial.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")


@contextlib.contextmanager
def locked(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold the store, `alone` or with other shares. Raises Refused if others hold it.

    On a file system without locks nobody is kept out; nothing is lost by that, since every chunk
    has one right content and takes its name whole.
    """
    with (folder / _LOCK).open("a+b") as file:
        try:
            how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{folder} is being worked on by another process: wait for it") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
