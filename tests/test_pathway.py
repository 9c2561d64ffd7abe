"""The pathway: which step comes next, followed by hand on made patients and held over many.

Waits are set to nothing where times are counted, lead times stay those of `LEADS`.
"""

import math

import numpy as np
import pytest
from helpers import (
    DAY,
    HORIZON,
    SCENARIOS,
    YEAR,
    add_lesion,
    diagnosed,
    known_parameters,
    lived,
    patient_by_hand,
    policy,
    scenario,
)

from crlm_sim.care import activities as act
from crlm_sim.care import steps
from crlm_sim.care.meeting import decide
from crlm_sim.care.pathway import interrupt, next_activity, next_clinical_event
from crlm_sim.care.policy import (
    COLORECTAL_FIRST,
    LIVER_FIRST,
    NO_THERAPY,
    PERIOPERATIVE,
    SIMULTANEOUS,
    UPFRONT,
    no_rules,
)
from crlm_sim.care.systemic import LINE, PREOPERATIVE
from crlm_sim.disease.patient import LUNG, NEVER, OTHER, PRIMARY_COMPLICATION
from crlm_sim.engines.steps import ACTIVITY, plan
from crlm_sim.engines.steps import carry_out as carry_out_with_rules
from crlm_sim.evidence import ACTIVITIES, REGIMENS, SERVICES, pack

OPERATIONS = [name for name in ACTIVITIES if name.endswith(("resection", "hepatectomy"))]
NO_WAIT = {f"{name}.wait_days": 0.0 for name in SERVICES}
LEADS = {f"{name}.lead_days": 14.0 for name in OPERATIONS} | {
    "ct_scan.lead_days": 4.0,
    "mdt_meeting.lead_days": 1.0,
    "chemotherapy_cycle.lead_days": 10.0,
    "portal_vein_embolisation.lead_days": 7.0,
    "embolisation_wait_days": 28.0,
    "scan_after_cycle_days": 10.0,
}
HARMLESS = (
    {f"{name}.death_logit": -1e3 for name in OPERATIONS}
    | {f"{name}.complication_logit": -1e3 for name in OPERATIONS}
    | {f"{name}.{what}_per_cycle": 0.0 for name in REGIMENS for what in ("death", "stop")}
    | {"liver_failure_logit": -1e3, "margin_positive_logit": -1e3, "rfa.failure_logit": -1e3}
)
NO_RULES = (np.zeros(0), np.zeros(0), no_rules()[0])
PARAMS = known_parameters(**NO_WAIT, **LEADS, **HARMLESS)
M = PARAMS[0]
LIVER_OPERATIONS = [ACTIVITIES.index(name) for name in OPERATIONS if "colorectal" not in name]


def small(**fields):
    """A minor resection: one 20 mm superficial lesion in segment 6."""
    patients = patient_by_hand(**fields)
    add_lesion(patients, 5, 20.0)
    return patients


def large(**fields):
    """A right hepatectomy."""
    patients = patient_by_hand(**fields)
    add_lesion(patients, 6, 25.0, deep=True, near_vessel=True)
    return patients


def unresectable(**fields):
    patients = patient_by_hand(**fields)
    for site in range(1, 8):
        add_lesion(patients, site, 45.0, deep=True)
    return patients


def carry_out(patient, params, rules, *step):
    """A step under a policy that has no rules."""
    return carry_out_with_rules(patient, params, rules, *NO_RULES, *step)


def decided(patients, rules, params=PARAMS):
    patients[0]["times_done"][act.MDT_MEETING] = 1
    decide(patients[0], params[0], rules[0], 10 * DAY)
    return patients[0]


def course(patients, rules, params=PARAMS, horizon=HORIZON):
    """What is done to a patient from the first scan on: (name, start day, end day)."""
    patient, done = patients[0], []
    now, going = 0, True
    while going:
        kind, activity, _, start, end, event = plan(patient, params[0], rules[0], now, horizon)
        going = carry_out(patient, params[0], rules[0], kind, activity, start, end, event, horizon)
        if kind == ACTIVITY:
            done.append((ACTIVITIES[activity], start / DAY, end / DAY))
        now = end
    return done


def only(done, *names):
    return [name for name, *_ in done if name in names]


# The order of operations -------------------------------------------------------------------------

ORDERS = (COLORECTAL_FIRST, SIMULTANEOUS, LIVER_FIRST)


@pytest.mark.parametrize("timing", [UPFRONT, PERIOPERATIVE])
@pytest.mark.parametrize("sequence", ORDERS)
@pytest.mark.parametrize("patients", [small, unresectable])
def test_a_symptomatic_primary_goes_first(patients, sequence, timing):
    rules = policy(sequence=sequence, timing=timing)
    patient = decided(patients(symptomatic_primary=1), rules)
    assert patient["step"] == steps.OPERATION
    assert patient["operation"] == act.COLORECTAL_RESECTION


@pytest.mark.parametrize(
    ("sequence", "operation"),
    [
        (COLORECTAL_FIRST, act.COLORECTAL_RESECTION),
        (SIMULTANEOUS, act.SIMULTANEOUS_RESECTION),
        (LIVER_FIRST, act.MINOR_LIVER_RESECTION),
    ],
)
def test_upfront_surgery_in_each_order(sequence, operation):
    patient = decided(small(), policy(sequence=sequence, timing=UPFRONT))
    assert (patient["step"], patient["operation"]) == (steps.OPERATION, operation)
    assert patient["resectable_at_diagnosis"] == patient["sequence_started"] == 1
    assert patient["staged_started"] == (sequence != SIMULTANEOUS)


@pytest.mark.parametrize("sequence", [SIMULTANEOUS, LIVER_FIRST])
def test_perioperative_drugs_come_before_the_liver(sequence):
    patient = decided(small(), policy(sequence=sequence, timing=PERIOPERATIVE))
    assert patient["step"] == steps.CYCLE
    assert patient["course"] == PREOPERATIVE


def test_colorectal_first_operates_before_the_drugs():
    patient = decided(small(), policy(sequence=COLORECTAL_FIRST, timing=PERIOPERATIVE))
    assert patient["operation"] == act.COLORECTAL_RESECTION
    assert patient["step"] == steps.OPERATION


@pytest.mark.parametrize(
    ("patients", "major_primary", "staged", "operation"),
    [
        (large, 1, 1, act.COLORECTAL_RESECTION),
        (large, 1, 0, act.SIMULTANEOUS_RESECTION),
        (large, 0, 1, act.SIMULTANEOUS_RESECTION),
        (small, 1, 1, act.SIMULTANEOUS_RESECTION),
    ],
)
def test_two_major_operations_are_staged(patients, major_primary, staged, operation):
    rules = policy(sequence=SIMULTANEOUS, timing=UPFRONT, staged_when_both_major=staged)
    patient = decided(patients(major_primary=major_primary), rules)
    assert patient["operation"] == operation


def test_liver_first_then_the_primary_then_follow_up():
    rules = policy(sequence=LIVER_FIRST, timing=UPFRONT, adjuvant_cycles=0)
    patients = small()
    done = course(patients, rules, horizon=2 * YEAR)
    assert only(done, *OPERATIONS) == ["minor_liver_resection", "colorectal_resection"]
    patient = patients[0]
    assert patient["cured"] == patient["resected"] == patient["sequence_completed"] == 1
    assert patient["cleared_minute"] > patient["first_liver_resection_minute"]
    assert only(done, "chemotherapy_cycle") == []
    assert only(done, "surveillance_visit") != []


@pytest.mark.parametrize("sequence", ORDERS)
def test_a_whole_perioperative_course(sequence):
    """Six cycles before the liver, six after, and both operations."""
    rules = policy(sequence=sequence, preoperative_cycles=6, postoperative_cycles=6)
    patients = small(sensitivity=0.5)
    done = course(patients, rules, horizon=2 * YEAR)
    assert patients[0]["cycles"] == 12
    names = [name for name, *_ in done]
    first_liver = min(
        k for k, (name, *_) in enumerate(done) if ACTIVITIES.index(name) in LIVER_OPERATIONS
    )
    assert names[:first_liver].count("chemotherapy_cycle") == 6
    assert patients[0]["adjuvant_started"] == 1
    assert patients[0]["cleared_minute"] < NEVER
    operations = only(done, *OPERATIONS)
    assert len(operations) == (1 if sequence == SIMULTANEOUS else 2)
    if sequence == COLORECTAL_FIRST:
        assert operations[0] == "colorectal_resection"


# Two stages --------------------------------------------------------------------------------------


def test_two_stages_with_embolisation():
    patients = patient_by_hand(weight_kg=70.0, primary_in_place=0)
    add_lesion(patients, 6, 25.0, deep=True, near_vessel=True)
    add_lesion(patients, 3, 45.0)
    add_lesion(patients, 2, 5.0)
    rules = policy(timing=UPFRONT, adjuvant_cycles=0)
    patients["growth_rate"] = 1e-9
    done = course(patients, rules, horizon=YEAR)
    steps = [*OPERATIONS, "portal_vein_embolisation"]
    assert only(done, *steps) == [
        "first_stage_hepatectomy",
        "portal_vein_embolisation",
        "second_stage_hepatectomy",
    ]
    assert patients[0]["two_stage_started"] == patients[0]["two_stage_completed"] == 1
    times = {name: start for name, start, _ in done if name in steps}
    gap = times["second_stage_hepatectomy"] - times["portal_vein_embolisation"]
    assert gap >= 28 + 4 + 1 + 14 - 0.1
    assert patients[0]["cured"] == 1


def test_disease_that_can_never_be_cleared_gets_drugs_and_no_liver_surgery():
    patients = unresectable(sensitivity=1e-3)
    done = course(patients, policy())
    assert not set(only(done, *OPERATIONS)) & {ACTIVITIES[n] for n in LIVER_OPERATIONS}
    assert patients[0]["first_chemotherapy_minute"] < NEVER
    assert patients[0]["resectable_at_diagnosis"] == 0


# Drugs -------------------------------------------------------------------------------------------


def test_which_drugs_come_first():
    rules = policy()
    assert decided(unresectable(), rules)["course_regimen"] == rules["conversion_regimen"][0]
    beyond = small()
    add_lesion(beyond, LUNG, 12.0)
    patient = decided(beyond, rules)
    assert patient["course_regimen"] == rules["first_line_regimen"][0]
    assert (patient["course"], patient["line"]) == (LINE, 1)


def test_the_first_re_evaluation_is_at_eight_weeks_and_then_every_eight():
    """Between two cycles: 10 days after the fourth, so 52 days after the first; then every 56."""
    patients = unresectable(sensitivity=0.3)
    patients["growth_rate"] = 1e-5
    done = course(patients, policy(line_cycles=12), horizon=200 * DAY)
    cycles = [start for name, start, _ in done if name == "chemotherapy_cycle"]
    scans = [start for name, start, _ in done if name == "ct_scan"][1:]
    assert scans[0] - cycles[0] == pytest.approx(52.0, abs=1.0)
    assert scans[1] - scans[0] == pytest.approx(56.0, abs=1.5)


@pytest.mark.parametrize("gap", [28.0, 42.0])
def test_an_operation_waits_for_the_gap_after_the_last_cycle(gap):
    rules = policy(operation_gap_days=gap)
    patients = small(cycles=3, last_cycle_minute=100 * DAY, step=steps.OPERATION)
    patients["operation"] = act.MINOR_LIVER_RESECTION
    patients["step_minute"] = 105 * DAY
    _, _, ready, _ = next_activity(patients[0], M, rules[0])
    assert ready == max(100 + gap, 105 + 14) * DAY
    patients["cycles"] = 0
    assert next_activity(patients[0], M, rules[0])[2] == (105 + 14) * DAY


def test_an_emergency_does_not_wait_for_the_gap():
    patients = small(cycles=3, last_cycle_minute=100 * DAY, step=steps.OPERATION)
    patients["operation"] = act.EMERGENCY_COLORECTAL_RESECTION
    patients["step_minute"] = 105 * DAY
    assert next_activity(patients[0], M, policy()[0])[2] == (105 + 14) * DAY


def test_the_unfit_get_neither_knife_nor_drug():
    patient = decided(small(performance_status=3), policy())
    assert patient["unfit"] == 1
    assert patient["step"] == steps.SUPPORT
    assert decided(small(performance_status=2), policy())["unfit"] == 0


# After surgery -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost", "after_complication", "complication", "started"),
    [(0.0, 1.0, -1e3, 1), (1.0, 0.0, -1e3, 0), (0.0, 1.0, 1e3, 0), (1.0, 0.0, 1e3, 1)],
)
def test_the_adjuvant_course_may_be_lost(lost, after_complication, complication, started):
    params = known_parameters(
        **{
            **NO_WAIT,
            **LEADS,
            **HARMLESS,
            "minor_liver_resection.complication_logit": complication,
            "adjuvant_lost": lost,
            "adjuvant_lost_after_complication": after_complication,
        }
    )
    patients = small(primary_in_place=0)
    course(patients, policy(timing=UPFRONT, adjuvant_cycles=4), params, horizon=YEAR)
    patient = patients[0]
    assert patient["adjuvant_due"] == 1
    assert patient["adjuvant_started"] == started
    assert patient["cycles"] == 4 * started


def test_surveillance_comes_at_its_times():
    rules = policy(
        timing=UPFRONT,
        adjuvant_cycles=0,
        surveillance_days=180.0,
        late_surveillance_days=360.0,
        early_surveillance_years=3.0,
        surveillance_years=6.0,
    )
    patients = small(primary_in_place=0)
    done = course(patients, rules)
    visits = [start for name, start, _ in done if name == "surveillance_visit"]
    gaps = np.diff(visits)
    free = patients[0]["disease_free_minute"] / DAY
    early = np.array(visits[:-1]) - free < 3 * 365.25
    assert gaps[early] == pytest.approx(180.0, abs=0.1)
    assert gaps[~early] == pytest.approx(360.0, abs=0.1)
    assert 6 * 365.25 - 360 < visits[-1] - free < 6 * 365.25 + 361
    assert patients[0]["end_minute"] == HORIZON


def test_a_recurrence_is_seen_and_resected_again_or_not():
    for repeat, operations in ((1, 2), (0, 1)):
        patients = small(primary_in_place=0, growth_rate=2e-3)
        late = add_lesion(patients, 1, 1.0)
        patients[0]["diameter_mm"][late] = 0.0
        patients[0]["known"][late] = 0
        params = known_parameters(**NO_WAIT, **LEADS, **HARMLESS, intraoperative_sensitivity=0.0)
        rules = policy(timing=UPFRONT, adjuvant_cycles=0, repeat_resection=repeat)
        done = course(patients, rules, params)
        assert len(only(done, *OPERATIONS)) == operations
        patient = patients[0]
        assert patient["recurrence_minute"] < NEVER
        assert (patient["recurrence_liver"], patient["recurrence_lung"]) == (1, 0)
        assert patient["repeat_resections"] == operations - 1
        assert patient["progression_minute"] == patient["recurrence_minute"]


# Events ------------------------------------------------------------------------------------------


def test_an_acute_primary_is_operated_on_at_once():
    patients = unresectable(sensitivity=1e-3, primary_complication_minute=30 * DAY)
    done = course(patients, policy(), horizon=YEAR)
    assert only(done, *OPERATIONS) == ["emergency_colorectal_resection"]
    patient = patients[0]
    assert patient["emergency_primary"] == 1
    assert patient["primary_in_place"] == 0
    start = next(start for name, start, _ in done if name == "emergency_colorectal_resection")
    assert 30.0 <= start < 30.0 + 14.0 + 14.0  # the lead time, after an activity under way


def test_under_supportive_care_an_acute_primary_is_death():
    patients = small(performance_status=3, primary_complication_minute=60 * DAY)
    course(patients, policy())
    assert patients[0]["death_minute"] == 60 * DAY
    assert patients[0]["cause_of_death"] == PRIMARY_COMPLICATION


def test_a_death_closes_the_record():
    patients = small(other_death_minute=33 * DAY)
    assert next_clinical_event(patients[0], M, 33 * DAY - 1)[0] == NEVER
    assert next_clinical_event(patients[0], M, 33 * DAY) == (33 * DAY, OTHER)
    assert not interrupt(patients[0], M, OTHER, 33 * DAY)
    assert patients[0]["death_minute"] == patients[0]["end_minute"] == 33 * DAY
    assert patients[0]["cause_of_death"] == OTHER
    assert patients[0]["cured"] == 0


def test_deaths_count_as_postoperative_up_to_90_days():
    for day, counted in ((90, 1), (91, 0)):
        patients = small(operations_done=1, last_operation=act.MINOR_LIVER_RESECTION)
        patients["operated"] = 1
        patients["last_planned_operation_minute"] = 100 * DAY
        interrupt(patients[0], M, OTHER, (100 + day) * DAY)
        assert patients[0]["mortality_90d"] == counted


# Asking ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_asking_twice_gives_the_same_answer_and_changes_nothing(path):
    for name in scenario(path).policy_names[:2]:
        rules = scenario(path).packed_policy(name)
        params = pack()
        patients = diagnosed(40, params)
        for patient in _at_diagnosis(patients):
            now, going = 0, True
            while going:
                before = patient.tobytes()
                first = next_activity(patient, params[0], rules[0])
                assert patient.tobytes() == before
                assert next_activity(patient, params[0], rules[0]) == first
                kind, activity, _, start, end, event = plan(
                    patient, params[0], rules[0], now, HORIZON
                )
                asked = plan(patient, params[0], rules[0], now, HORIZON)
                assert asked == (kind, activity, _, start, end, event)
                going = carry_out(
                    patient, params[0], rules[0], kind, activity, start, end, event, HORIZON
                )
                now = end


def _at_diagnosis(patients):
    from crlm_sim.disease.onset import begin
    from crlm_sim.disease.patient import new_patients

    fresh = new_patients(len(patients))
    for field in ("seed", "draw", "replicate", "patient"):
        fresh[field] = patients[field]
    for patient in fresh:
        begin(patient, pack()[0])
        yield patient


def test_the_memory_of_safety_changes_no_course():
    """Whole courses with `safe_until` forgotten at every step end in the same way, to a day."""
    params, rules = pack(), policy()
    patients = lived(150, rules, params)
    for number, patient in enumerate(_at_diagnosis(patients)):
        now, going = 0, True
        while going:
            patient["safe_until"] = 0
            kind, activity, _, start, end, event = plan(patient, params[0], rules[0], now, HORIZON)
            going = carry_out(
                patient, params[0], rules[0], kind, activity, start, end, event, HORIZON
            )
            now = end
        assert patient["cause_of_death"] == patients[number]["cause_of_death"]
        assert abs(int(patient["end_minute"]) - int(patients[number]["end_minute"])) <= DAY
        assert np.array_equal(patient["times_done"], patients[number]["times_done"])


def test_waits_have_their_mean_and_spread():
    params = known_parameters(**{"liver_theatre.wait_days": 20.0, "liver_theatre.wait_cv": 0.75,
                                 "minor_liver_resection.lead_days": 14.0})  # fmt: skip
    waits = []
    for number in range(4000):
        patients = small(patient=number, step=steps.OPERATION)
        patients["operation"] = act.MINOR_LIVER_RESECTION
        waits.append(next_activity(patients[0], params[0], policy()[0])[2] / DAY - 14.0)
    assert min(waits) > 0.0
    assert np.mean(waits) == pytest.approx(20.0, abs=4.5 * 15.0 / math.sqrt(4000))
    assert np.std(waits) / np.mean(waits) == pytest.approx(0.75, abs=0.1)


# Switching off -----------------------------------------------------------------------------------


def unlike(a, b):
    """Fields in which two groups of patients differ."""
    return {field for field in a.dtype.names if a[field].tobytes() != b[field].tobytes()}


SIZE = 1500


def test_no_preoperative_cycles_is_upfront_surgery():
    a = lived(
        SIZE, policy(timing=PERIOPERATIVE, preoperative_cycles=0, postoperative_cycles=5), pack()
    )
    b = lived(SIZE, policy(timing=UPFRONT, adjuvant_cycles=5, postoperative_cycles=5), pack())
    assert unlike(a, b) == set()


def test_no_ablation_is_no_lesion_small_enough():
    a = lived(SIZE, policy(ablation=NO_THERAPY), pack())
    b = lived(SIZE, policy(), pack(changes={"rfa.most_mm": (0.0,)}))
    assert unlike(a, b) == set()
    assert a["ablated_lesions"].sum() == 0


def test_no_lines_is_nobody_receiving_one():
    a = lived(SIZE, policy(lines=0), pack())
    b = lived(SIZE, policy(), pack(changes={"line_received": (1.0, 0.0, 0.0, 0.0)}))
    assert unlike(a, b) == set()
    assert a["lines_received"].max() == 0


def test_no_adjuvant_drugs_is_everybody_losing_them():
    changes = {"adjuvant_lost": (1.0,), "adjuvant_lost_after_complication": (1.0,)}
    a = lived(SIZE, policy("upfront_adjuvant", postoperative_cycles=0, adjuvant_cycles=0), pack())
    b = lived(SIZE, policy("upfront_adjuvant"), pack(changes=changes))
    assert unlike(a, b) <= {"adjuvant_due"}
    assert a["adjuvant_started"].sum() == b["adjuvant_started"].sum() == 0


def test_without_acute_primaries_there_is_no_emergency():
    patients = lived(SIZE, policy(), pack(changes={"primary_complication_rate_per_day": (0.0,)}))
    assert patients["emergency_primary"].sum() == 0
    assert (patients["cause_of_death"] != PRIMARY_COMPLICATION).all()


def test_nothing_resectable_means_nothing_resected():
    patients = lived(SIZE, policy(most_lesions=0), pack())
    assert patients["resected"].sum() == patients["liver_operations"].sum() == 0
    assert patients["resectable_at_diagnosis"].sum() == 0
