"""The command line: results on stdout, progress and messages on stderr, exit codes that mean it.

0 done, 1 a defect of ours or a check that failed, 2 the input is wrong, 3 interrupted. Commands
import what they need inside themselves, so that `crlm --help` answers at once.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from crlm_sim.experiments import Run
    from crlm_sim.scenario import Scenario

DEFECT, WRONG_INPUT, INTERRUPTED = 1, 2, 3
_MOST = 2**32
_SAID_EVERY = 30.0
"""Seconds between lines of progress where there is no terminal for a bar."""
_OPTIONS = ("patients", "seed", "engine", "draws")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Simulate treatment sequencing for synchronous colorectal liver metastases.",
)

ScenarioFile = Annotated[Path, typer.Argument(help="A scenario file (TOML).", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the scenario; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no messages.")]
Policies = Annotated[
    list[str] | None,
    typer.Option("--policy", metavar="NAME", help="Only this policy of the scenario; repeatable."),
]


@app.command("run")
def run_command(
    scenario: ScenarioFile,
    patients: Annotated[int | None, typer.Option(help="Patients per policy.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, 0 to 4294967295.")] = None,
    engine: Annotated[str | None, typer.Option(help="cohort or agents.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the cohort engine.")] = None,
    draws: Annotated[str | None, typer.Option(help="posterior, mean or a number.")] = None,
    policy: Policies = None,
    settings: Settings = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="SCENARIO", help="Another scenario over the same arrivals."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the run, not yet there.")] = None,
    patients_table: Annotated[bool, typer.Option(help="Write patients.parquet.")] = False,
    events: Annotated[bool, typer.Option(help="Write events.parquet (vidigi's columns).")] = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate every policy of a scenario and compare them."""
    options = {"patients": patients, "seed": seed, "engine": engine, "draws": draws}
    changes = [f"run.{key}={value}" for key, value in options.items() if value is not None]
    if threads is not None and threads < 1:
        _refuse(f"--threads: expected a whole number of 1 or more, got {threads}")
    changes += settings or []
    loaded = _load(scenario, changes, policy)
    if loaded.region.hospitals and patients is not None:
        _refuse("--patients: with hospitals [arrivals] says who comes; set run.replications")
    if loaded.region.hospitals:
        others = [_load(path, changes, policy) for path in against or []]
        if patients_table:
            _refuse("--patients-table: not for scenarios with hospitals")
        _run_region([loaded, *others], out, threads, events, json, quiet)
        return
    if against:
        _refuse("--against: compares scenarios with hospitals, and this one has none")
    done = _simulate(
        loaded,
        quiet=quiet,
        out=out,
        threads=threads,
        patients_table=patients_table,
        events=events,
        command=" ".join(["crlm", *sys.argv[1:]]),
    )
    from crlm_sim.report.terminal import run_text

    _print(done.summary, run_text, json)
    page = _write_page(done.folder, quiet) if done.folder else None
    if page and not quiet:
        typer.echo(f"page: {page}", err=True)


@app.command()
def best(
    scenario: ScenarioFile,
    outcome: Annotated[str, typer.Option(help="By which outcome.")] = "nmb",
    within: Annotated[
        float | None,
        typer.Option(help="A difference that matters: points, months, pounds (of these 500)."),
    ] = None,
    probability: Annotated[float, typer.Option(help="How sure to be, below 1.")] = 0.95,
    block: Annotated[int, typer.Option(help="Patients of one observation.")] = 1_000,
    threads: Annotated[int | None, typer.Option(help="Threads of the cohort engine.")] = None,
    policy: Policies = None,
    settings: Settings = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Which policy is best, with a stated probability and no more patients than it takes."""
    loaded = _load(scenario, list(settings or []), policy)
    if loaded.region.hospitals:
        _refuse("best: not for scenarios with hospitals; compare them with `crlm run --against`")
    if len(loaded.policy_names) < 2:
        _refuse("best: needs two policies or more to choose from")
    if not 0.0 < 1.0 - probability < 1.0 - 1.0 / len(loaded.policy_names):
        _refuse(f"--probability: expected a number below 1 and above chance, got {probability}")
    if block < 1:
        _refuse(f"--block: expected a whole number of 1 or more, got {block}")
    from crlm_sim.experiments import selection
    from crlm_sim.outcomes.definitions import POUNDS
    from crlm_sim.report.terminal import best_text
    from crlm_sim.scenario.messages import Wrong

    try:
        chosen = selection.outcome_named(outcome)
    except Wrong as error:
        _refuse(f"--outcome: {error}" + (f"; {error.suggestion}" if error.suggestion else ""))
    matters = 500.0 if within is None and chosen.unit == POUNDS else within
    if matters is None:
        _refuse(f"--within: say which difference in '{chosen.label}' matters, such as --within 1")
    most = 100.0 if chosen.unit == "proportion" else math.inf
    if not 0.0 < matters < most:
        _refuse(f"--within: expected a number above 0 and below {most:g}, got {matters:g}")
    with _stages(quiet) as show:
        _announce_compiling(quiet)
        try:
            found = selection.best_policy(
                loaded,
                chosen,
                matters / 100.0 if chosen.unit == "proportion" else matters,
                alpha=1.0 - probability,
                block_patients=block,
                threads=threads,
                progress=lambda done, total: show("policies out of the race", done, total),
            )
        except ValueError as error:  # an empty population, a posterior of another model
            _refuse(str(error))
        except KeyboardInterrupt:
            typer.echo("interrupted; nothing was kept", err=True)
            raise typer.Exit(INTERRUPTED) from None
    _print(found, best_text, json)


@app.command()
def trace(
    scenario: ScenarioFile,
    patient: Annotated[int, typer.Option(help="Which patient, from 0.")] = 0,
    draw: Annotated[int, typer.Option(help="Parameter draw; 0 is the values themselves.")] = 0,
    policy: Policies = None,
    settings: Settings = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """One patient's course under each policy, side by side."""
    if not (0 <= patient < _MOST and 0 <= draw < _MOST):
        _refuse(f"--patient and --draw: expected a whole number from 0 to {_MOST - 1}")
    loaded = _load(scenario, list(settings or []), policy)
    from crlm_sim.experiments.describe import trace as trace_course
    from crlm_sim.report.terminal import trace_text

    _print(trace_course(loaded, patient, draw), trace_text, json)


@app.command("sweep")
def sweep_command(
    experiment: Annotated[Path, typer.Argument(help="An experiment file.", show_default=False)],
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the sweep; runs/NAME-HASH if not said.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; one a core if not said.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of each worker.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A dask scheduler that runs already.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Start workers as jobs: slurm or pbs.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="How many jobs (--cluster).")] = 1,
    cores: Annotated[int, typer.Option(help="Workers in each job (--cluster).")] = 1,
    queue: Annotated[str | None, typer.Option(help="Queue or partition (--cluster).")] = None,
    walltime: Annotated[str, typer.Option(help="Time limit of a job (--cluster).")] = "01:00:00",
    memory: Annotated[str, typer.Option(help="Memory of a job (--cluster).")] = "2GB",
    task: Annotated[
        int | None, typer.Option(metavar="K", help="Do only share K of --tasks; counts from 1.")
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(metavar="N", help="Shares of a job array in all.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Make the dataset once all shares are done.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say only what it would take.")
    ] = False,
    outcome: Annotated[str, typer.Option(metavar="NAME", help="Outcome to print.")] = "os_5y",
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Monte Carlo at scale: a scenario at many points; goes on from where it stopped."""
    import os

    from crlm_sim.evidence import PosteriorError
    from crlm_sim.experiments import EmptyPopulation
    from crlm_sim.experiments import sweep as mc
    from crlm_sim.report.sweep_text import outlook_text
    from crlm_sim.scenario import ScenarioError
    from crlm_sim.scenario.experiment import load_experiment

    _check_outcome(outcome)
    counts = {"workers": workers, "threads": threads, "jobs": jobs, "cores": cores}
    for name, value in (counts | {"tasks": tasks}).items():
        if value is not None and value < 1:
            _refuse(f"--{name}: expected a whole number of 1 or more, got {value}")
    if (task is None) != (tasks is None) or (task and tasks and not 1 <= task <= tasks):
        _refuse("--task K --tasks N: expected both, K from 1 to N")
    if cluster not in (None, "slurm", "pbs"):
        _refuse(f"--cluster: expected slurm or pbs, got '{cluster}'")
    command = " ".join(["crlm", *sys.argv[1:]])
    try:
        loaded = load_experiment(experiment, settings or [])
        where = mc.Where(
            workers=workers or os.cpu_count() or 1,
            threads=threads,
            scheduler=scheduler,
            cluster=cluster,
            jobs=jobs,
            cores=cores,
            queue=queue,
            walltime=walltime,
            memory=memory,
        )
        with _stages(quiet) as show, _ended_gently():
            if not merge:
                _announce_compiling(quiet)
            if dry_run:
                _print(mc.outlook(loaded, out, where), outlook_text, json)
                return
            if task and tasks:
                mc.share(loaded, task, tasks, out=out, threads=threads, progress=show)
                if not quiet:
                    typer.echo(f"share {task} of {tasks} is done", err=True)
                return
            if merge:
                folder = mc.merge(loaded, out=out, command=command, progress=show)
            else:
                folder = mc.sweep(loaded, out=out, where=where, command=command, progress=show)
    except (ScenarioError, PosteriorError, EmptyPopulation, mc.Refused) as error:
        _refuse(str(error))
    except mc.Stopped as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(INTERRUPTED) from None
    except ImportError as error:
        _refuse(f"{error.name} is missing: install crlm-sim[hpc]; grids with --workers 1 need none")
    except KeyboardInterrupt:
        typer.echo("interrupted; what is done is kept, and the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _print_sweep(folder, outcome, json)
    page = _write_page(folder, quiet)
    if page and not quiet:
        typer.echo(f"page: {page}", err=True)


def _check_outcome(name: str) -> None:
    import difflib

    from crlm_sim.outcomes import OUTCOMES

    names = [outcome.name for outcome in OUTCOMES]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
        _refuse(f"--outcome: no outcome is called '{name}'; did you mean '{near}'?")


def _print_sweep(folder: Path, outcome: str, json: bool) -> None:
    import json as library

    from crlm_sim.report.sweep_text import sweep_text

    summary = library.loads((folder / "summary.json").read_text("utf-8"))
    found = {"run": str(folder), **summary}
    _print(found, lambda one: sweep_text(folder, one, outcome), json)


@contextlib.contextmanager
def _ended_gently() -> Iterator[None]:
    """A request to end, as a cluster sends before its time limit, is an interruption."""
    import signal

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@app.command("rerun")
def rerun_command(
    run: Annotated[Path, typer.Argument(help="A folder of a run or sweep.", show_default=False)],
    patient: Annotated[int | None, typer.Option(help="Show this one patient again.")] = None,
    replicate: Annotated[int, typer.Option(help="Replication of the patient, from 0.")] = 0,
    draw: Annotated[int | None, typer.Option(help="Draw; the run's first if not said.")] = None,
    point: Annotated[int, typer.Option(help="Point of a sweep's design, from 1.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes for a sweep.")] = 1,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a kept run again from its record and compare, or one patient of it."""
    from crlm_sim.evidence import PosteriorError
    from crlm_sim.experiments import sweep as mc
    from crlm_sim.experiments.rerun import NoRun, rerun, retrace
    from crlm_sim.report.sweep_text import rerun_text
    from crlm_sim.report.terminal import trace_text

    try:
        if patient is not None:
            if not 0 <= patient < _MOST:
                _refuse(f"--patient: expected a whole number from 0 to {_MOST - 1}")
            shown = retrace(run, patient, replicate=replicate, draw=draw, point=point)
            _print(shown, trace_text, json)
            return
        with _stages(quiet) as show:
            found = rerun(run, workers, show)
    except (NoRun, mc.Refused, PosteriorError) as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was kept", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _print(found, rerun_text, json)
    if not found["same"]:
        raise typer.Exit(DEFECT)


@app.command()
def explain(
    scenario: ScenarioFile,
    policy: Policies = None,
    settings: Settings = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """What a scenario uses: activities, decisions, parameters with sources, assumptions."""
    loaded = _load(scenario, list(settings or []), policy)
    from crlm_sim.experiments.describe import explain as explain_scenario
    from crlm_sim.report.terminal import explain_text

    _print(explain_scenario(loaded), explain_text, json)


@app.command()
def check(
    file: ScenarioFile,
    settings: Settings = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Validate a scenario, a study, an experiment or a trial file without running it."""
    from crlm_sim.scenario.reading import kind_of

    kind = kind_of(file)
    if kind == "study":
        _check_study(file, json)
        return
    if kind == "experiment":
        _check_experiment(file, settings or [], json)
        return
    if kind == "trial":
        _check_trial(file, settings or [], json)
        return
    loaded = _load(file, list(settings or []), None)
    names = ", ".join(loaded.policy_names)
    _print(
        {"file": str(file), "valid": True, "policies": list(loaded.policy_names)},
        lambda _: f"{file}: no problem found; policies {names}",
        json,
    )


def _check_study(file: Path, json: bool) -> None:
    from crlm_sim.calibration import load_study
    from crlm_sim.scenario import ScenarioError

    try:
        study = load_study(file)
    except ScenarioError as error:
        _refuse(str(error))
    arms = [arm.name for arm in study.arms]
    figures = len(study.figures)
    _print(
        {"file": str(file), "valid": True, "study": study.id, "arms": arms, "figures": figures},
        lambda _: f"{file}: no problem found; arms {', '.join(arms)}; {figures} figures",
        json,
    )


def _check_experiment(file: Path, settings: list[str], json: bool) -> None:
    from crlm_sim.scenario import ScenarioError
    from crlm_sim.scenario.experiment import load_experiment

    try:
        found = load_experiment(file, settings)
    except ScenarioError as error:
        _refuse(str(error))
    names, points = list(found.first.policy_names), len(found.points)
    _print(
        {"file": str(file), "valid": True, "policies": names, "points": points},
        lambda _: f"{file}: no problem found; {points} points; policies {', '.join(names)}",
        json,
    )


def _check_trial(file: Path, settings: list[str], json: bool) -> None:
    from crlm_sim.scenario import ScenarioError

    try:
        from crlm_sim.trials.file import load_trial

        found = load_trial(file, settings)
    except ScenarioError as error:
        _refuse(str(error))
    except ImportError as error:
        _refuse(f"{error.name} is missing: install crlm-sim[trials]")
    arms = [arm.name for arm in found.arms]
    what = "events" if found.judged is None else "assessed"
    _print(
        {"file": str(file), "valid": True, "arms": arms, what: found.information},
        lambda _: f"{file}: no problem found; arms {', '.join(arms)}; {found.information} {what}",
        json,
    )


@app.command("trial")
def trial_command(
    trial: Annotated[Path, typer.Argument(help="A trial file.", show_default=False)],
    replicates: Annotated[int, typer.Option(help="Trials to simulate.")] = 1_000,
    truth: Annotated[
        str | None, typer.Option(help="model, null, or a hazard ratio to impose.")
    ] = None,
    settings: Settings = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Operating characteristics of a trial: power, error, dates, with formulas beside them."""
    from crlm_sim.evidence import PosteriorError
    from crlm_sim.report.trial_text import trial_text
    from crlm_sim.scenario import ScenarioError

    if not 2 <= replicates < _MOST:
        _refuse(f"--replicates: expected a whole number of 2 or more, got {replicates}")
    changes = [*([] if truth is None else [f"truth={truth}"]), *(settings or [])]
    try:
        from crlm_sim.trials.file import load_trial
        from crlm_sim.trials.operating import operating

        loaded = load_trial(trial, changes)
        with _stages(quiet) as show:
            _announce_compiling(quiet)
            found = operating(loaded, replicates, progress=show)
    except (ScenarioError, PosteriorError) as error:
        _refuse(str(error).replace("--set truth=", "--truth "))
    except ImportError as error:
        _refuse(f"{error.name} is missing: install crlm-sim[trials]")
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was kept", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _print(found, trial_text, json)


@app.command()
def verify(
    scenario: ScenarioFile,
    patients: Annotated[int, typer.Option(help="Patients per policy.")] = 1_000,
    policy: Policies = None,
    settings: Settings = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check that a scenario's results hold together: nobody lost, nothing out of order, …"""
    loaded = _load(scenario, [f"run.patients={patients}", *(settings or [])], policy)
    from crlm_sim.evidence import PosteriorError
    from crlm_sim.experiments import EmptyPopulation
    from crlm_sim.experiments.verify import verify as look_at
    from crlm_sim.report.terminal import verification_text

    try:
        with _stages(quiet) as show:
            _announce_compiling(quiet)
            found = look_at(loaded, lambda done, total: show("checking", done, total))
    except (EmptyPopulation, PosteriorError) as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was kept", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _print(found, verification_text, json)
    if found["failed"]:
        raise typer.Exit(DEFECT)


@app.command()
def new(name: Annotated[str, typer.Argument(help="Name of the scenario to start.")]) -> None:
    """Write a commented scenario to start from."""
    from crlm_sim.scenario import template

    if not name.strip():
        _refuse("expected a name for the scenario, as in `crlm new my_region`")
    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    if path.exists():
        _refuse(f"{path} exists already: choose another name")
    _write_text(path, template(path.stem.replace("_", " ").replace("-", " ").capitalize()))
    typer.echo(f"{path} written. Next: crlm run {path}")


@app.command()
def evidence(
    name: Annotated[str | None, typer.Argument(help="A parameter, or part of its name.")] = None,
    review: Annotated[
        bool, typer.Option("--review", help="What the review says, and what the model does.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Parameters with value, range and source; or the review, sentence by sentence."""
    from crlm_sim.experiments.describe import evidence as find
    from crlm_sim.experiments.describe import nearest_parameters
    from crlm_sim.experiments.describe import review as find_items
    from crlm_sim.report.terminal import evidence_text, review_text

    if review:
        items = find_items(name)
        if not items["items"]:
            _refuse(f"no item of the review is called '{name}'; see `crlm evidence --review`")
        _print(items, review_text, json)
        return
    found = find(name)
    if not found["parameters"]:
        near = ", ".join(nearest_parameters(name or "")) or "see `crlm evidence` for all"
        _refuse(f"no parameter is called '{name}'; nearest: {near}")
    _print(found, evidence_text, json)


@app.command()
def calibrate(
    studies: Annotated[
        Path | None, typer.Option(help="Folder of study files; ours if not said.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the posterior; calibration/ if not said.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check on a small problem that known truths are found.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; one a core if not said.")] = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Learn the posterior of the parameters from published studies; resumes where it stopped."""
    import os

    from crlm_sim.evidence.posterior import calibration_folder

    home = calibration_folder()
    folder = studies or home / "targets"
    processes = workers or os.cpu_count() or 1
    if processes < 1:
        _refuse(f"--workers: expected a whole number of 1 or more, got {workers}")
    if quick:
        _check_fit(folder, processes, json, quiet)
        return
    from crlm_sim.calibration.fit import calibrate as fit
    from crlm_sim.calibration.fit import read_settings, work_folder
    from crlm_sim.calibration.posterior import write_posterior
    from crlm_sim.report.terminal import calibration_text
    from crlm_sim.scenario import ScenarioError

    try:
        settings = read_settings(home / "calibration.toml")
        kept = work_folder(folder, settings)
        with _stages(quiet) as show:
            fitted = fit(folder, settings, kept, processes, progress=show)
    except ScenarioError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {kept} holds what is done, the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    command = " ".join(["crlm", *sys.argv[1:]])
    record = write_posterior(fitted, folder, out or home, command)
    _print(record, calibration_text, json)


def _check_fit(studies: Path, processes: int, json: bool, quiet: bool) -> None:
    """Simulation-based calibration of a reduced problem, in a folder that is then removed."""
    import tempfile

    from crlm_sim.calibration.selfcheck import recover, result
    from crlm_sim.report.terminal import recovery_text
    from crlm_sim.scenario import ScenarioError

    try:
        with tempfile.TemporaryDirectory() as folder, _stages(quiet) as show:
            found = recover(studies, Path(folder), processes, progress=show)
    except ScenarioError as error:
        _refuse(str(error))
    _print(result(found), recovery_text, json)


@app.command()
def validate(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of study files, or one; ours if not said.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of the posterior.")] = 50,
    patients: Annotated[int, typer.Option(help="Most patients in an arm.")] = 5_000,
    out: Annotated[Path | None, typer.Option(help="File for the page.")] = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate published studies and compare: which figures lie in the predicted interval."""
    from crlm_sim.calibration import load_studies
    from crlm_sim.calibration.validate import result
    from crlm_sim.calibration.validate import validate as judge
    from crlm_sim.evidence import PosteriorError, shipped_posterior
    from crlm_sim.evidence.posterior import calibration_folder
    from crlm_sim.report.terminal import validation_text
    from crlm_sim.scenario import ScenarioError

    if draws < 2 or patients < 1:
        _refuse("--draws and --patients: expected whole numbers of at least 2 and 1")
    chosen = folder or calibration_folder() / "targets"
    try:
        studies = load_studies(chosen)
        posterior = shipped_posterior()
        with _stages(quiet) as show:
            done = judge(
                studies, posterior, draws, patients, lambda n, total: show("simulating", n, total)
            )
    except (ScenarioError, PosteriorError) as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was kept", err=True)
        raise typer.Exit(INTERRUPTED) from None
    found = result(done, chosen)
    _print(found, validation_text, json)
    page = out or Path("runs") / f"validation-{chosen.name}.html"
    _write_validation(page, done, found, quiet)


def _write_validation(page: Path, done: Any, found: dict[str, Any], quiet: bool) -> None:
    from crlm_sim.report import write_validation

    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_validation(page, done, found)
    except ImportError as error:
        typer.echo(f"no page written: {error}", err=True)
        return
    except OSError as error:
        _refuse(f"{page} cannot be written: {error.strerror or error}")
    if not quiet:
        typer.echo(f"page: {page}", err=True)


@contextlib.contextmanager
def _stages(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr for work of several stages."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    if not quiet:
        typer.echo("loading …", err=True)
    tasks: dict[str, Any] = {}
    begun: dict[str, float] = {}
    before: dict[str, int] = {}
    said = [0.0]
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    ) as bar:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
                begun[stage] = said[0] = time.monotonic()
                before[stage] = done
            bar.update(tasks[stage], completed=done, total=total)
            now = time.monotonic()
            if quiet or sys.stderr.isatty() or now - said[0] < _SAID_EVERY:
                return
            said[0] = now
            left = (now - begun[stage]) * (total - done) / max(done - before[stage], 1) / 60.0
            typer.echo(f"{stage}: {done} of {total}, about {left:.0f} minutes left", err=True)

        yield show


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    quiet: Quiet = False,
) -> None:
    """Write a run's page again: one self-contained HTML file."""
    if not (run / "summary.json").is_file():
        _refuse(f"{run} is not a run folder: expected summary.json in it")
    page = _write_page(run, quiet)
    if page is None:
        raise typer.Exit(WRONG_INPUT)
    typer.echo(page)


def _load(path: Path, settings: list[str], policies: list[str] | None) -> Scenario:
    """The scenario with its changes; a file that is wrong ends the command with exit code 2."""
    from crlm_sim.scenario import ScenarioError, load

    try:
        loaded = load(path, settings)
    except ScenarioError as error:
        message = str(error)
        for option in _OPTIONS:
            message = message.replace(f"--set run.{option}=", f"--{option} ")
        _refuse(message)
    return _keep_policies(loaded, policies) if policies else loaded


def _keep_policies(scenario: Scenario, names: list[str]) -> Scenario:
    import difflib

    for name in names:
        if name not in scenario.policy_names:
            near = difflib.get_close_matches(name, scenario.policy_names, n=1, cutoff=0.0)[0]
            _refuse(f"--policy: no policy is called '{name}'; did you mean '{near}'?")
    return scenario.only(names)


def _simulate(scenario: Scenario, *, quiet: bool, **options: Any) -> Run:
    """Run a scenario with a progress bar on stderr; says so when it must compile first."""
    from crlm_sim.evidence import PosteriorError
    from crlm_sim.experiments import EmptyPopulation, run
    from crlm_sim.experiments.asked import UnknownOutcome

    with _stages(quiet) as show:
        _announce_compiling(quiet)
        try:
            return run(
                scenario, progress=lambda done, total: show("simulating", done, total), **options
            )
        except (EmptyPopulation, PosteriorError, UnknownOutcome) as error:
            _refuse(str(error))
        except KeyboardInterrupt:
            typer.echo("interrupted; nothing was kept", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _announce_compiling(quiet: bool) -> None:
    from crlm_sim.engines.cohort import is_compiled

    if not quiet and not is_compiled():
        typer.echo("compiling the model, once after installation (under a minute) …", err=True)


def _run_region(
    scenarios: list[Scenario],
    out: Path | None,
    workers: int | None,
    events: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Runs with queues, with progress; what is overloaded is said before."""
    from crlm_sim.experiments.asked import UnknownOutcome
    from crlm_sim.experiments.region import run_region
    from crlm_sim.report import enough_words
    from crlm_sim.report.terminal import region_text

    names = [scenario.name for scenario in scenarios]
    for name in {name for name in names if names.count(name) > 1}:
        _refuse(f"--against: two scenarios are called '{name}'; rename the file of one of them")
    for scenario in scenarios:
        if not scenario.region.hospitals:
            _refuse(f"{scenario.name} has no hospitals: both scenarios of a comparison need them")
        if scenario.run.seed != scenarios[0].run.seed:
            _refuse(f"{scenario.name} has another seed, so that other patients would be compared")
        if scenario.economics != scenarios[0].economics:
            _refuse(f"{scenario.name} has other [economics]: its money could not be compared")
    with _stages(quiet) as show:
        try:
            summary = run_region(
                scenarios,
                out=out,
                workers=workers,
                events=events,
                command=" ".join(["crlm", *sys.argv[1:]]),
                progress=lambda done, total: show("simulating", done, total),
                tell=None if quiet else lambda words: typer.echo(words, err=True),
            )
        except UnknownOutcome as error:
            _refuse(str(error))
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on from what is done", err=True)
            raise typer.Exit(INTERRUPTED) from None
    told = [*enough_words.warm_up(summary), *enough_words.not_reached(summary)]
    for sentence in [] if quiet else told:
        typer.echo(sentence, err=True)
    _print(summary, region_text, json)
    page = _write_page(Path(summary["run"]), quiet)
    if page and not quiet:
        typer.echo(f"page: {page}", err=True)


def _write_page(folder: Path, quiet: bool) -> Path | None:
    """The run's page; None, with a word why, if a library it needs is missing."""
    from crlm_sim.report import write_report

    if not quiet:
        typer.echo("writing the page …", err=True)
    try:
        return write_report(folder)
    except ImportError as error:
        typer.echo(f"no page written: {error}", err=True)
        return None
    except OSError as error:
        reason = error.strerror or error
        _refuse(f"{folder} is kept, but its page cannot be written: {reason}")
    except (KeyError, ValueError) as error:
        _refuse(f"{folder} is damaged: its summary.json is not one of a run ({error})")


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(WRONG_INPUT)


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        _refuse(f"{path} cannot be written: {error.strerror}")


def _print(result: dict[str, Any], as_text: Callable[[dict[str, Any]], str], json: bool) -> None:
    if json:
        import json as library

        typer.echo(library.dumps(result, indent=1, allow_nan=False))
    else:
        typer.echo(as_text(result))


def main() -> None:
    """The `crlm` command."""
    try:
        app()
    except OSError as error:
        typer.echo(f"{error.strerror or error}; nothing was kept", err=True)
        sys.exit(WRONG_INPUT)


if __name__ == "__main__":
    main()
