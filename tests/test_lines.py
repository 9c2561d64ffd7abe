"""Lines of drugs as they are kept: when each began, how it went, what came after; visits besides.

Followed by hand on made patients, without waits, deaths from drugs or doubtful scans.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import (
    DAY,
    HORIZON,
    YEAR,
    add_lesion,
    known_parameters,
    lived,
    patient_by_hand,
    policy,
    same_bits,
)

from crlm_sim.care.policy import NO_REGIMEN, UPFRONT, no_rules
from crlm_sim.disease.growth import grow, log_volume, log_volume_of
from crlm_sim.disease.patient import LINES, LUNG, NEVER
from crlm_sim.engines import agents, cohort
from crlm_sim.engines.steps import ACTIVITY, carry_out, plan
from crlm_sim.evidence import ACTIVITIES, REGIMENS, SERVICES, pack

NO_WAIT = {f"{name}.wait_days": 0.0 for name in SERVICES}
LEADS = {f"{name}.lead_days": 7.0 for name in ACTIVITIES if name.endswith("resection")} | {
    "ct_scan.lead_days": 4.0,
    "mdt_meeting.lead_days": 1.0,
    "chemotherapy_cycle.lead_days": 10.0,
    "scan_after_cycle_days": 10.0,
}
HARMLESS = (
    {f"{name}.death_logit": -1e3 for name in ACTIVITIES if name.endswith("resection")}
    | {f"{name}.complication_logit": -1e3 for name in ACTIVITIES if name.endswith("resection")}
    | {f"{name}.{what}_per_cycle": 0.0 for name in REGIMENS for what in ("death", "stop", "delay")}
    | {"liver_failure_logit": -1e3, "margin_positive_logit": -1e3}
)
STEP = 0.4
CHANGES = NO_WAIT | LEADS | HARMLESS | {"progression_log_growth": STEP}
PARAMS = known_parameters(**CHANGES)
NO_RULES = (np.zeros(0), np.zeros(0), no_rules()[0])
DRUG = REGIMENS.index("folfox")


def unresectable(**fields):
    patients = patient_by_hand(primary_in_place=0, **fields)
    for site in range(1, 8):
        add_lesion(patients, site, 30.0, deep=True)
    return patients


def resectable(**fields):
    patients = patient_by_hand(primary_in_place=0, **fields)
    add_lesion(patients, 5, 20.0)
    return patients


def course(patients, rules, params=PARAMS, horizon=HORIZON):
    """What is done from the first scan on: (name, start minute, end minute), in order."""
    patient, done = patients[0], []
    now, going = 0, True
    while going:
        kind, activity, _, start, end, event = plan(patient, params[0], rules[0], now, horizon)
        step = (kind, activity, start, end, event, horizon)
        going = carry_out(patient, params[0], rules[0], *NO_RULES, *step)
        if kind == ACTIVITY:
            done.append((ACTIVITIES[activity], start, end))
        now = end
    return done


def ends(done, name):
    return [end for what, _, end in done if what == name]


def starts(done, name):
    return [start for what, start, _ in done if what == name]


def meeting_before(done, minute):
    return max(end for end in ends(done, "mdt_meeting") if end <= minute)


# Lines -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resistant_to_all():
    """Fast disease and drugs that do nothing: progression at the first scan of each line."""
    patients = unresectable(growth_rate=4e-3, sensitivity=1e-9, log_lethal_liver_ml=9.0)
    rules = policy(maintenance_regimen=NO_REGIMEN, reintroduction=0, lines=3)
    done = course(patients, rules)
    return patients[0], done


def test_a_line_begins_with_the_meeting_that_decides_for_it(resistant_to_all):
    patient, done = resistant_to_all
    cycles = starts(done, "chemotherapy_cycle")
    assert patient["line_minute"][0] == meeting_before(done, cycles[0])
    for line in range(1, LINES):
        begun = patient["line_minute"][line]
        assert begun in ends(done, "mdt_meeting")
        assert begun > patient["line_progression_minute"][line - 1]
        assert meeting_before(done, min(c for c in cycles if c >= begun)) == begun


def test_a_line_ends_with_the_scan_that_shows_progression(resistant_to_all):
    patient, done = resistant_to_all
    scans = ends(done, "ct_scan")[1:]  # the first is for staging
    assert patient["line_progression_minute"].tolist() == scans[:LINES]
    assert patient["line_liver_progression_minute"].tolist() == scans[:LINES]
    assert patient["progression_minute"] == patient["liver_progression_minute"] == scans[0]
    assert patient["line_measurable"].tolist() == [1] * LINES
    assert patient["line_response"].tolist() == [0] * LINES
    assert patient["objective_response"] == 0
    assert patient["lines_received"] == LINES


def test_support_begins_with_the_meeting_that_has_no_further_line(resistant_to_all):
    patient, done = resistant_to_all
    assert patient["support_minute"] == ends(done, "mdt_meeting")[-1]
    assert patient["support_minute"] > patient["line_progression_minute"][-1]
    assert patient["induction_end_minute"] == NEVER


def test_each_line_withstood_speeds_growth_once(resistant_to_all):
    patient, _ = resistant_to_all
    assert patient["growth_rate"] == pytest.approx(4e-3 * math.exp(LINES * STEP), rel=1e-12)


def test_a_second_progression_in_one_line_speeds_nothing():
    """Maintenance is the first line still: the disease progresses once, and is kept on it twice."""
    patients = unresectable(growth_rate=4e-3, sensitivity=1e-9)
    rules = policy(reintroduction=1, maintenance_regimen=float(DRUG), line_cycles=2, lines=1)
    done = course(patients, rules, known_parameters(**{**CHANGES, "recist_progression_mm": 1.0}))
    patient = patients[0]
    assert len(ends(done, "ct_scan")) > 2
    assert patient["growth_rate"] == pytest.approx(4e-3 * math.exp(STEP), rel=1e-12)
    assert (patient["line_minute"][1:] == NEVER).all()


@pytest.fixture(scope="module")
def responding():
    """A strong drug, six cycles of it, then nothing until the disease is back."""
    kill = {f"{name}.kill_per_day": 0.05 for name in REGIMENS}
    params = known_parameters(**{**CHANGES, **kill}, line_resistant_share=(1.0, 1.0, 1.0, 1.0))
    patients = unresectable(growth_rate=2e-3)
    add_lesion(patients, LUNG, 40.0)
    for _ in range(2):
        add_lesion(patients, LUNG, 30.0)
    rules = policy(
        maintenance_regimen=NO_REGIMEN, reintroduction=0, line_cycles=6, lines=2,
        second_line_regimen=NO_REGIMEN,
    )  # fmt: skip
    done = course(patients, rules, params)
    return patients[0], done


def test_a_response_is_kept_with_its_line(responding):
    patient, _ = responding
    assert patient["line_measurable"].tolist() == [1, 0, 0]
    assert patient["line_response"].tolist() == [1, 0, 0]
    assert patient["first_line_evaluable"] == patient["objective_response"] == 1


def test_the_first_drugs_end_with_the_meeting_after_their_last_cycle(responding):
    patient, done = responding
    cycles = ends(done, "chemotherapy_cycle")
    assert len(cycles) == 6
    after = [end for end in ends(done, "mdt_meeting") if end > cycles[-1]]
    assert patient["induction_end_minute"] == after[0]
    assert patient["line_progression_minute"][0] > after[0]


def test_without_disease_to_measure_a_line_has_no_response():
    kill = {f"{name}.kill_per_day": 0.05 for name in REGIMENS}
    params = known_parameters(**{**CHANGES, **kill})
    patients = patient_by_hand(primary_in_place=0)
    for site in range(1, 8):
        for _ in range(3):
            add_lesion(patients, site, 8.0, deep=True)
    course(patients, policy(maintenance_regimen=NO_REGIMEN), params)
    patient = patients[0]
    assert patient["line_minute"][0] < NEVER
    assert patient["line_measurable"][0] == 0
    assert patient["line_response"][0] == 0


def test_nobody_who_is_resected_first_has_a_line_before_recurrence():
    patients = resectable()
    course(patients, policy(timing=UPFRONT, adjuvant_cycles=0), horizon=3 * YEAR)
    patient = patients[0]
    assert patient["resected"] == 1
    assert (patient["line_minute"] == NEVER).all()
    assert (patient["line_progression_minute"] == NEVER).all()
    assert patient["support_minute"] == NEVER
    assert patient["repeat_resection_minute"] == NEVER


def recurrent(**changes):
    """A resection leaves a small lesion behind, which is seen later."""
    patients = resectable(growth_rate=2e-3)
    late = add_lesion(patients, 1, 1.0)
    patients[0]["diameter_mm"][late] = 0.0
    patients[0]["known"][late] = 0
    params = known_parameters(**CHANGES, intraoperative_sensitivity=0.0)
    rules = policy(timing=UPFRONT, adjuvant_cycles=0, **changes)
    done = course(patients, rules, params)
    return patients[0], done


def test_a_recurrence_without_any_line_of_drugs_speeds_nothing():
    patient, done = recurrent(repeat_resection=1)
    assert patient["recurrence_minute"] == patient["progression_minute"] < NEVER
    assert patient["growth_rate"] == 2e-3
    assert (patient["line_minute"] == NEVER).all()
    operations = [end for name, _, end in done if name.endswith("liver_resection")]
    assert len(operations) == 2
    assert patient["first_liver_resection_minute"] == operations[0]
    assert patient["repeat_resection_minute"] == operations[1]


def test_drugs_at_recurrence_are_the_first_line():
    patient, done = recurrent(repeat_resection=0, lines=1)
    assert patient["line_minute"][0] > patient["recurrence_minute"]
    assert patient["line_minute"][0] == meeting_before(done, starts(done, "chemotherapy_cycle")[0])
    assert patient["repeat_resection_minute"] == NEVER


# Visits during adjuvant drugs --------------------------------------------------------------------


def adjuvant(days, **fields):
    patients = resectable(**fields)
    rules = policy(timing=UPFRONT, adjuvant_cycles=12, surveillance_days=days)
    done = course(patients, rules, horizon=3 * YEAR)
    cycles = starts(done, "chemotherapy_cycle")
    visits = starts(done, "surveillance_visit")
    return patients[0], cycles, visits


def test_visits_every_three_months_go_on_among_adjuvant_cycles():
    patient, cycles, visits = adjuvant(91.0)
    assert len(cycles) == 12
    among = [minute for minute in visits if minute < cycles[-1]]
    assert len(among) == 2
    # A visit comes ten days after the last cycle before it is due.
    due = patient["disease_free_minute"] + 91 * DAY
    for visit in among:
        before = max(minute for minute in cycles if minute < visit)
        assert visit == before + 10 * DAY
        assert before < due <= before + 14 * DAY
        due = visit + 91 * DAY


def test_yearly_visits_wait_for_the_end_of_adjuvant_drugs():
    _, cycles, visits = adjuvant(365.25)
    assert len(cycles) == 12
    assert min(visits) > cycles[-1]


def test_visits_do_not_change_the_cycles_they_find_nothing_between():
    often, seldom = adjuvant(91.0), adjuvant(365.25)
    assert often[1] == seldom[1]
    assert often[0]["cycles"] == seldom[0]["cycles"] == 12


def test_what_a_visit_shows_ends_the_adjuvant_drugs():
    """A lesion that no drug holds is seen at the first visit, and the cycles stop there."""
    patients = resectable(growth_rate=6e-3, sensitivity=1e-9)
    late = add_lesion(patients, 1, 4.0, seen=False)
    patients[0]["conspicuity"][late] = 2.0
    params = known_parameters(**CHANGES, intraoperative_sensitivity=0.0)
    rules = policy(timing=UPFRONT, adjuvant_cycles=12, surveillance_days=91.0)
    done = course(patients, rules, params, horizon=YEAR)
    patient = patients[0]
    visit = ends(done, "surveillance_visit")[0]
    before = [minute for minute in starts(done, "chemotherapy_cycle") if minute < visit]
    assert patient["recurrence_minute"] == visit
    assert 0 < len(before) < 12
    assert patient["adjuvant_started"] == 1
    assert patient["growth_rate"] == 6e-3


# Immunity ----------------------------------------------------------------------------------------

IMMUNE = REGIMENS.index("pembrolizumab")


def checkpoint(durable, **changes):
    """A first line of pembrolizumab in MSI-high disease, followed for three years."""
    params = known_parameters(
        **CHANGES,
        **{"pembrolizumab.checkpoint_response": durable, "pembrolizumab.kill_per_day": 0.05},
        **changes,
    )
    patients = unresectable(msi_high=1, growth_rate=2e-3)
    add_lesion(patients, 0, 5.0, seen=False)
    rules = policy(
        conversion_regimen=float(IMMUNE), first_line_regimen=float(IMMUNE),
        maintenance_regimen=NO_REGIMEN, reintroduction=0, lines=1, adjuvant_cycles=0,
        postoperative_cycles=0,
    )  # fmt: skip
    return patients, course(patients, rules, params, horizon=3 * YEAR), params


def test_a_durable_response_outlasts_its_cycles_and_an_operation():
    patients, done, _ = checkpoint(0.999999)
    patient = patients[0]
    operation = next(start for name, start, _ in done if name.endswith("liver_resection"))
    last = ends(done, "chemotherapy_cycle")[-1]
    assert last < operation < YEAR
    assert patient["converted"] == 1
    assert patient["line_response"][0] == 1
    assert patient["line_progression_minute"][0] == NEVER
    assert patient["drug_until"] == NEVER
    assert patient["end_minute"] == 3 * YEAR
    # What nobody has seen is held too, long after the operation.
    assert patient["recurrence_minute"] == NEVER
    assert log_volume(patient, 7) < log_volume_of(5.0)


def test_a_durable_response_goes_on_shrinking_long_after_the_last_cycle():
    params = known_parameters(
        **CHANGES,
        **{
            "pembrolizumab.checkpoint_response": 0.999999,
            "pembrolizumab.kill_per_day": 0.03,
            "pembrolizumab.most_cycles": 2.0,
        },
    )
    patients = unresectable(msi_high=1, growth_rate=1e-3)
    rules = policy(
        conversion_regimen=float(IMMUNE), first_line_regimen=float(IMMUNE),
        maintenance_regimen=NO_REGIMEN, reintroduction=0, lines=1,
    )  # fmt: skip
    done = course(patients, rules, params, horizon=60 * DAY)
    patient = patients[0]
    last = starts(done, "chemotherapy_cycle")[-1]
    assert len(starts(done, "chemotherapy_cycle")) == 2
    volumes = [log_volume(patient, 0)]
    for days in (120, 240, 360):
        grow(patient, params[0], last + days * DAY)
        volumes.append(log_volume(patient, 0))
    assert (np.diff(volumes) < 0.0).all()


def test_without_the_durable_response_the_drug_is_as_none():
    patients, _, params = checkpoint(1e-12)
    alone = unresectable(msi_high=1, growth_rate=2e-3)
    scanned = int(patients[0]["line_progression_minute"][0])
    grow(alone[0], params[0], scanned)
    assert scanned < YEAR
    treated = unresectable(msi_high=1, growth_rate=2e-3)
    rules = policy(
        conversion_regimen=float(IMMUNE), first_line_regimen=float(IMMUNE),
        maintenance_regimen=NO_REGIMEN, reintroduction=0, lines=1,
    )  # fmt: skip
    course(treated, rules, params, horizon=scanned)
    assert log_volume(treated[0], 0) == pytest.approx(log_volume(alone[0], 0), rel=1e-12)


# Both engines ------------------------------------------------------------------------------------

KEPT = (
    "line_minute",
    "line_progression_minute",
    "line_liver_progression_minute",
    "line_measurable",
    "line_response",
    "induction_end_minute",
    "support_minute",
    "repeat_resection_minute",
    "remnant_growth",
    "growth_rate",
    "drug_until",
)


@pytest.mark.parametrize("name", ["standard", "upfront_adjuvant"])
def test_both_engines_keep_the_same_of_every_line(name):
    """With all that was added switched on, and nothing of it empty."""
    rules = policy(
        name, surveillance_days=91.0, first_line_regimen=float(IMMUNE),
        conversion_regimen=float(IMMUNE),
    )  # fmt: skip
    params = pack(changes={"progression_log_growth": (0.3,)})
    both = []
    for engine in (cohort, agents):
        patients = cohort.blank_patients(0, 1_500, 7)
        engine.simulate(patients, params, rules, HORIZON)
        both.append(patients)
    for field in KEPT:
        assert same_bits(np.ascontiguousarray(both[0][field]), np.ascontiguousarray(both[1][field]))
        assert len(np.unique(both[0][field])) > 1, field
    immune = (both[0]["drug_until"] == NEVER) & (both[0]["msi_high"] > 0)
    assert immune.sum() > 5


def test_a_line_responds_only_if_it_was_begun_and_could_be_measured():
    patients = lived(3_000, policy(), pack())
    begun = patients["line_minute"] < NEVER
    assert ((patients["line_measurable"] > 0) <= begun).all()
    assert ((patients["line_response"] > 0) <= (patients["line_measurable"] > 0)).all()
    assert ((patients["line_progression_minute"] < NEVER) <= begun).all()
    assert ((patients["line_liver_progression_minute"] < NEVER) <= begun).all()
    # Drugs before an operation stand for the first line where the disease progresses under them.
    instead = (begun[:, 1] & ~begun[:, 0]).astype(int)
    assert (patients["preoperative_done"] >= instead).all()
    assert np.array_equal(begun.sum(axis=1) + instead, patients["lines_received"])
    assert (begun[:, 2] <= begun[:, 1]).all()
    assert (patients["line_response"][:, :2].sum(axis=0) > 0).all()
    for line in range(LINES):
        ended = patients["line_progression_minute"][:, line]
        known = ended < NEVER
        assert (patients["progression_minute"][known] <= ended[known]).all()
