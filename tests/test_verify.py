"""`crlm verify`: it passes what is sound, and every check tells of the defect it looks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import DAY, SCENARIOS, Answer, crlm

from crlm_sim.disease.patient import NEVER
from crlm_sim.experiments import verify as v
from crlm_sim.experiments.verifying import courses, equality, extremes
from crlm_sim.experiments.verifying import subject as s
from crlm_sim.scenario import load, loads

ROOT = Path(__file__).parents[1]
SEQUENCING = ROOT / "scenarios" / "sequencing.toml"
NAME = "liver_first"


@pytest.fixture(scope="module")
def subject() -> s.Subject:
    return s.subject_of(load(SEQUENCING, ["run.patients=120"]))


def spoilt(
    subject: s.Subject,
    patients: Callable[[np.ndarray], np.ndarray | None] = lambda p: None,
    log: Callable[[np.ndarray], np.ndarray | None] = lambda rows: None,
) -> s.Subject:
    """The subject with the lives under one policy changed, in place or for others."""
    block = subject.lives[NAME]
    assert block.log is not None
    people, rows = block.patients.copy(), block.log.copy()
    people_now, rows_now = patients(people), log(rows)
    changed = replace(
        block,
        patients=people if people_now is None else people_now,
        log=rows if rows_now is None else rows_now,
    )
    return replace(subject, lives={**subject.lives, NAME: changed})


def put(field: str, value: Any, chosen: Callable[[np.ndarray], Any] = lambda p: 0):
    """A change of one field of those chosen."""

    def change(patients: np.ndarray) -> None:
        patients[field][chosen(patients)] = value

    return change


def dead(patients: np.ndarray) -> np.ndarray:
    return np.flatnonzero(patients["death_minute"] < NEVER)[0]


def alive(patients: np.ndarray) -> np.ndarray:
    return np.flatnonzero(patients["death_minute"] == NEVER)[0]


# The command -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answer() -> Answer:
    return crlm("verify", str(SEQUENCING), "--patients", "120", "--json", "--quiet")


def test_a_shipped_scenario_passes_everything(answer: Answer) -> None:
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert [check["name"] for check in found["checks"] if not check["passed"]] == []
    assert (found["passed"], found["failed"]) == (len(v.CHECKS), 0)


def test_the_json_says_what_was_checked_found_and_expected(answer: Answer) -> None:
    found = json.loads(answer.out)
    assert (found["patients"], found["seed"], found["name"]) == (120, 1, "sequencing")
    assert found["policies"] == ["colorectal_first", "simultaneous", "liver_first"]
    assert found["seconds"] > 0
    keys = {"name", "checked", "passed", "found", "expected", "where"}
    for check in found["checks"]:
        assert set(check) == keys
        assert check["checked"]
        assert check["expected"]
        assert check["found"]
        assert all(isinstance(number, int | float) for number in check["found"].values())
    assert len({check["name"] for check in found["checks"]}) == len(v.CHECKS)


def test_the_table_names_every_check_and_what_failed() -> None:
    """Where people differ by e⁵⁰ in what they survive, some survive any burden."""
    wide = ("--set", "parameters.lethal_burden_sd=50")
    answer = crlm("verify", str(SEQUENCING), "--patients", "30", "--policy", NAME, *wide)
    assert answer.code == 1
    assert answer.out.count("FAIL") == 1
    assert answer.out.count("pass │") == len(v.CHECKS) - 1
    assert (
        f"{len(v.CHECKS) - 1} of {len(v.CHECKS)} checks passed; failed: no burden is survived."
        in (answer.out)
    )
    assert "loading" in answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such.toml",), "no_such.toml"),
        ((str(SEQUENCING), "--patients", "0"), "--patients 0"),
        ((str(SEQUENCING), "--policy", "liver_fist"), "did you mean 'liver_first'"),
        ((str(SEQUENCING), "--set", "run.paitents=3"), "paitents"),
        (
            (str(SEQUENCING), "--quiet", "--set", 'population.eligible="age > 119 years"'),
            "the population is empty",
        ),
    ],
)
def test_wrong_input_ends_with_code_2_and_a_message(
    arguments: tuple[str, ...], message: str
) -> None:
    answer = crlm("verify", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert not answer.out
    assert "Traceback" not in answer.err


@pytest.mark.slow
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_shipped_scenario_passes(path: Path) -> None:
    found = v.verify(load(path, ["run.patients=1000"]))
    assert [check for check in found["checks"] if not check["passed"]] == []


def test_a_policy_full_of_rules_and_a_single_patient_can_be_verified() -> None:
    rules = "".join(
        f'[[policy.rule]]\nwhen = "age > {90 - n} years"\ndo = {{ lines = 2 }}\n' for n in range(32)
    )
    text = f'title = "Full"\n[run]\npatients = 1\n[[policy]]\nname = "{NAME}"\n{rules}'
    seen: list[tuple[int, int]] = []
    found = v.verify(loads(text), lambda done, total: seen.append((done, total)))
    assert found["failed"] == 0
    idle = next(c for c in found["checks"] if c["name"] == "an idle rule changes nothing")
    assert idle["found"]["policies given the rule"] == 0
    assert seen[0] == (0, len(v.CHECKS))
    assert seen[-1] == (len(v.CHECKS), len(v.CHECKS))


# Defects in records and logs ---------------------------------------------------------------------


def first_twice(patients: np.ndarray) -> np.ndarray:
    return np.concatenate([patients, patients[:1]])


def lost(patients: np.ndarray) -> np.ndarray:
    return patients[:-1].copy()


def overlap(log: np.ndarray) -> None:
    log["start"][1] = log["end"][0] - 1


def backwards(log: np.ndarray) -> None:
    log["end"][0] = log["start"][0] - 1


def before_diagnosis(log: np.ndarray) -> None:
    log["start"][0] = -1


def of_a_stranger(log: np.ndarray) -> None:
    log["patient"][-1] = 10**6


def after_death(log: np.ndarray) -> None:
    log["end"][-1] += 100 * 366 * DAY


def nowhere(patients: np.ndarray) -> None:
    for field in ("recurrence_liver", "recurrence_lung", "recurrence_elsewhere"):
        patients[field][patients["recurrence_minute"] < NEVER] = 0


def other_in_the_second_half(patients: np.ndarray) -> None:
    """Nobody of the later half has an emergency, everybody of the earlier."""
    patients["emergency_primary"] = np.arange(len(patients)) < len(patients) // 2


def flipped(patients: np.ndarray) -> None:
    """The last bit of one number of one patient's hidden state."""
    patients["growth_rate"][7] = np.nextafter(patients["growth_rate"][7], 1.0)


def a_result(patients: np.ndarray) -> None:
    patients["cycles"][7] += 1


def immortal(patients: np.ndarray) -> None:
    patients["end_minute"] += 100 * 366 * DAY


def short_lived(patients: np.ndarray) -> None:
    patients["end_minute"] = 1


PEOPLE = [
    (courses.everybody_ends_once, put("cause_of_death", 0, dead)),
    (courses.everybody_ends_once, put("cause_of_death", 1, alive)),
    (courses.everybody_ends_once, put("cause_of_death", 17, dead)),
    (courses.everybody_ends_once, put("death_minute", 5, alive)),
    (courses.everybody_ends_once, put("end_minute", 5, alive)),
    (courses.everybody_ends_once, put("end_minute", -1, dead)),
    (courses.everybody_ends_once, first_twice),
    (courses.everybody_ends_once, lost),
    (courses.nothing_after_the_end, put("recurrence_minute", 2**60)),
    (courses.nothing_after_the_end, put("progression_minute", -1)),
    (courses.nothing_after_the_end, put("end_minute", 0, alive)),
    (courses.nobody_is_lost, lost),
    (courses.nobody_is_lost, first_twice),
    (courses.nobody_is_lost, put("cause_of_death", 0, dead)),
    (courses.nobody_is_lost, put("cause_of_death", 17, dead)),
    (courses.nobody_is_lost, nowhere),
    (equality.copies_are_equal, flipped),
    (equality.threads_change_nothing, flipped),
    (equality.blocks_change_nothing, flipped),
    (equality.blocks_change_nothing, lost),
    (equality.engines_agree, flipped),
    (equality.idle_rule_changes_nothing, flipped),
    (equality.order_changes_nothing, a_result),
    (equality.seed_decides, a_result),
    (equality.halves_agree, other_in_the_second_half),
    (extremes.better_drugs_do_not_harm, immortal),
    (extremes.deadlier_operations, short_lived),
]


def label(change: object) -> str:
    return getattr(change, "__name__", "")


@pytest.mark.parametrize(("check", "change"), PEOPLE, ids=label)
def test_a_defect_in_the_records_is_told(
    subject: s.Subject, check: s.Check, change: Callable[[np.ndarray], Any]
) -> None:
    assert check(subject).passed
    finding = check(spoilt(subject, patients=change))
    assert not finding.passed
    assert finding.where
    assert all(NAME in place for place in finding.where)


LOGS = [
    (courses.activities_in_order, overlap),
    (courses.activities_in_order, backwards),
    (courses.activities_in_order, before_diagnosis),
    (courses.activities_in_order, of_a_stranger),
    (courses.nothing_after_the_end, after_death),
    (equality.copies_are_equal, backwards),
    (equality.threads_change_nothing, backwards),
    (equality.blocks_change_nothing, of_a_stranger),
    (equality.engines_agree, overlap),
    (equality.idle_rule_changes_nothing, overlap),
]


@pytest.mark.parametrize(("check", "change"), LOGS, ids=label)
def test_a_defect_in_the_log_is_told(
    subject: s.Subject, check: s.Check, change: Callable[[np.ndarray], Any]
) -> None:
    assert check(subject).passed
    assert not check(spoilt(subject, log=change)).passed


def test_a_defect_names_the_patient(subject: s.Subject) -> None:
    finding = courses.everybody_ends_once(spoilt(subject, put("cause_of_death", 17, lambda p: 7)))
    assert finding.where == (f"patient 7 under {NAME}",)
    assert finding.found == {"lives": 360, "without one end": 1, "missing": 0}
    assert equality.engines_agree(spoilt(subject, flipped)).where == (f"patient 7 under {NAME}",)


def test_a_seed_that_changes_nothing_is_told(subject: s.Subject) -> None:
    """The lives of the next seed: a run with it must not look like them."""
    scenario = subject.scenario
    run = scenario.run.model_copy(update={"seed": scenario.run.seed + 1})
    other = s.subject_of(scenario.model_copy(update={"run": run}))
    finding = equality.seed_decides(replace(other, scenario=scenario))
    assert not finding.passed
    assert finding.found["patients the same with another"] == 360


def test_a_horizon_of_a_day_can_be_verified() -> None:
    found = v.verify(load(SEQUENCING, ["run.patients=30", "run.horizon=1 day"]))
    assert [check for check in found["checks"] if not check["passed"]] == []


def test_records_that_no_check_can_count_are_told(subject: s.Subject) -> None:
    """A death before diagnosis, which the tally has no place for."""
    broken = spoilt(subject, put("death_minute", -DAY, dead))
    with pytest.raises(ValueError, match="negative"):
        courses.nobody_is_lost(broken)
    finding = v._carried_out(courses.nobody_is_lost, broken)
    assert not finding.passed
    assert finding.name == "nobody is lost"
    assert finding.where[0].startswith("ValueError: ")


# Defects in curves, sums and shares --------------------------------------------------------------


def test_curves_in_the_wrong_order_are_told(subject: s.Subject) -> None:
    for stricter, overall in courses.IN_ORDER:
        assert courses.survival_in_order(subject, [(stricter, overall)]).passed
        finding = courses.survival_in_order(subject, [(overall, stricter)])
        assert not finding.passed
        assert finding.found["days above"] > 0
        assert finding.found["most above"] > 0.1
        assert finding.where[0].startswith(overall.label)


def test_a_node_of_the_flow_that_loses_patients_is_told(subject: s.Subject) -> None:
    links = s.tally_of(subject).flow()[NAME]
    assert courses.unbalanced(links) == []
    source, target, number = links[2]
    assert courses.unbalanced([*links[:2], (source, target, number + 1), *links[3:]]) == [
        source,
        target,
    ]


def test_a_share_outside_0_and_1_is_told(subject: s.Subject) -> None:
    levels = s.tally_of(subject).summary(NAME)["policies"]
    assert courses.shares_outside(levels)[0] == []
    for key, value in (("estimate", 1.01), ("lower", -0.01), ("upper", 1.01)):
        wrong = {**levels, NAME: {**levels[NAME], "resected": {**levels[NAME]["resected"]}}}
        wrong[NAME]["resected"][key] = value
        assert courses.shares_outside(wrong)[0] == [f"resected under {NAME}"]


def test_fisher_against_published_values() -> None:
    """Agresti, Categorical Data Analysis: the lady tasting tea; and scipy on larger tables."""
    from scipy.stats import fisher_exact

    assert equality.fisher(3, 4, 1, 4) == pytest.approx(0.4857142857)
    for a, n, b, m in ((0, 500, 20, 500), (37, 480, 61, 500), (3, 5, 0, 0), (500, 500, 480, 480)):
        expected = fisher_exact([[a, n - a], [b, m - b]]).pvalue
        assert equality.fisher(a, n, b, m) == pytest.approx(expected, rel=1e-9)


# Defects in the extremes -------------------------------------------------------------------------


def test_extremes_that_do_not_end_as_they_must_are_told(subject: s.Subject) -> None:
    """The scenario as it stands in the place of the extreme: people live, and die of tumour."""
    for check in (extremes.no_burden_survived, extremes.deadly_world, extremes.harmless_disease):
        finding = check(subject, {})
        assert not finding.passed
        assert finding.where


def test_each_part_of_harmlessness_is_needed(subject: s.Subject) -> None:
    harmless = extremes._harmless()
    growing = {k: value for k, value in harmless.items() if k != "growth_rate_per_day"}
    assert not extremes.harmless_disease(subject, growing).passed
    deadly = {k: value for k, value in harmless.items() if not k.endswith(".death_logit")}
    deadly |= {
        "major_liver_resection.death_logit": (5.0,),
        "minor_liver_resection.death_logit": (5.0,),
    }
    assert not extremes.harmless_disease(subject, deadly).passed


def test_a_world_that_goes_the_other_way_is_told(subject: s.Subject) -> None:
    """Weaker drugs, safer operations and blinder scans in the place of the opposite."""
    assert not extremes.better_drugs_do_not_harm(subject, times=0.01).passed
    risky = load(
        SEQUENCING,
        ["run.patients=120", "parameters.minor_liver_resection.death_logit=0"],
    )
    assert not extremes.deadlier_operations(s.subject_of(risky), log_odds=-5.0).passed
    finding = extremes.more_detection(subject, log_odds=-1.0)
    assert not finding.passed
    assert finding.found["tests showing more"] == 0
