"""Two engines, one model: equality to the last bit, and nothing lost or impossible on the way.

With services for everybody, the compiled loop and the SimPy processes must give the same records
and the same log, whatever the threads, the blocks, the order of policies or the arrivals.
"""

import numpy as np
import pytest
from helpers import DAY, HORIZON, SCENARIOS, YEAR, policy, same_bits, scenario

from crlm_sim.care.activities import WARD_STAY
from crlm_sim.disease.growth import RESOLUTION_MINUTES
from crlm_sim.disease.patient import ALIVE, CAUSES, MINUTE_COLUMNS, NEVER, POSTOPERATIVE, TUMOUR
from crlm_sim.engines import agents, cohort
from crlm_sim.engines.arrivals import arrival_minutes
from crlm_sim.evidence import ACTIVITIES, SERVICES, pack
from crlm_sim.experiments.simulate import packed_parameters, simulate_block, trace_patient
from crlm_sim.outcomes.costing import WRITTEN

POLICIES = [(path, name) for path in SCENARIOS for name in scenario(path).policy_names]
IDS = [f"{path.stem}-{name}" for path, name in POLICIES]
SIZE = 1000
PARAMS = pack()


def by_cohort(size=SIZE, rules=None, params=PARAMS, first=0, threads=None, horizon=HORIZON, **keys):
    patients = cohort.blank_patients(first, size, seed=11, **keys)
    rules = policy() if rules is None else rules
    return patients, cohort.simulate(patients, params, rules, horizon, threads, keep_log=True)


def by_agents(
    size=SIZE, rules=None, params=PARAMS, first=0, arrivals=None, horizon=HORIZON, **keys
):
    patients = cohort.blank_patients(first, size, seed=11, **keys)
    rules = policy() if rules is None else rules
    return patients, agents.simulate(patients, params, rules, horizon, arrivals, keep_log=True)


def assert_same(one, other):
    assert same_bits(one[0], other[0])
    assert same_bits(one[1], other[1])


# Equality ----------------------------------------------------------------------------------------


def test_both_engines_give_the_same_patients_and_log():
    one = by_cohort()
    assert len(one[1]) > 10 * SIZE
    assert_same(one, by_agents())


@pytest.mark.slow
@pytest.mark.parametrize(("path", "name"), POLICIES, ids=IDS)
def test_both_engines_give_the_same_under_every_policy(path, name):
    """20,000 patients a policy, in the second uncertain world of the parameters."""
    params = packed_parameters(scenario(path), 2)
    both = [
        simulate_block(
            scenario(path),
            name,
            np.arange(20_000),
            params=params,
            draw=2,
            engine=engine,
            keep_log=True,
        )
        for engine in ("cohort", "agents")
    ]
    assert same_bits(both[0].patients, both[1].patients)
    assert same_bits(both[0].log, both[1].log)


@pytest.mark.slow
def test_both_engines_give_the_same_for_twenty_thousand_patients():
    assert_same(by_cohort(20_000), by_agents(20_000))


@pytest.mark.parametrize("arrivals", ["together", "spread", "one minute apart", "far"])
def test_arrivals_only_shift_the_clock(arrivals):
    minutes = {
        "together": np.full(200, 12_345, np.int64),
        "spread": np.random.default_rng(1).integers(0, 30 * YEAR, 200),
        "one minute apart": np.arange(200, dtype=np.int64)[::-1].copy(),
        "far": np.full(200, 10_000 * YEAR, np.int64),
    }[arrivals]
    one, other = by_cohort(200), by_agents(200, arrivals=minutes)
    assert same_bits(one[0], other[0])
    assert same_bits(one[1], other[1])


def test_threads_change_nothing():
    assert_same(by_cohort(threads=1), by_cohort(threads=2))


@pytest.mark.parametrize("size", [1, 7, 333, 999])
def test_blocks_change_nothing(size):
    whole, log = by_cohort()
    parts = [by_cohort(min(size, SIZE - first), first=first) for first in range(0, SIZE, size)]
    assert same_bits(np.concatenate([patients for patients, _ in parts]), whole)
    assert same_bits(np.concatenate([rows for _, rows in parts]), log)


def test_the_order_of_policies_changes_nothing():
    names = ("liver_first", "simultaneous", "surgery_alone")
    forwards = {name: by_cohort(rules=policy(name)) for name in names}
    for name in reversed(names):
        assert_same(by_cohort(rules=policy(name)), forwards[name])
    assert not same_bits(forwards["liver_first"][0], forwards["simultaneous"][0])


def test_keeping_the_log_changes_nothing():
    patients = cohort.blank_patients(0, SIZE, seed=11)
    assert cohort.simulate(patients, PARAMS, policy(), HORIZON) is None
    assert same_bits(patients, by_cohort()[0])


def test_seeds_replicates_and_draws_are_other_patients():
    base = by_cohort(200)[0]
    for keys in ({"replicate": 1}, {"draw": 1}):
        other = by_cohort(200, **keys)[0]
        assert (other["age_years"] != base["age_years"]).all()
    other = cohort.blank_patients(0, 200, seed=12)
    cohort.simulate(other, PARAMS, policy(), HORIZON)
    assert (other["age_years"] != base["age_years"]).all()


def test_a_trace_is_the_same_patient():
    path = next(p for p in SCENARIOS if p.stem == "sequencing")
    s = scenario(path)
    block = simulate_block(
        s, "simultaneous", np.arange(40, 60), params=packed_parameters(s, 0), keep_log=True
    )
    for number in range(40, 60):
        patient, steps = trace_patient(s, "simultaneous", number)
        whole = block.patients[number - 40]
        same = set(whole.dtype.names) - {"policy", *WRITTEN}  # nobody asks what a trace costs
        assert all(patient[f].tobytes() == whole[f].tobytes() for f in same)
        log = block.log[block.log["patient"] == number]
        done = [step.what for step in steps if not step.what.startswith("acute")]
        assert done == [ACTIVITIES[n].replace("_", " ") for n in log["activity"]]


def test_no_patients_at_all():
    patients, log = by_cohort(0)
    assert len(patients) == len(log) == 0
    assert len(by_agents(0)[0]) == 0


def test_arrivals_are_ordered_and_depend_on_nobody_else():
    patients = cohort.blank_patients(0, 500, seed=3)
    minutes = arrival_minutes(patients, 100.0)
    assert (np.diff(minutes) > -2 * YEAR / 100).all()
    assert minutes[-1] == pytest.approx(5 * YEAR, rel=0.01)
    assert np.array_equal(arrival_minutes(patients[200:], 100.0), minutes[200:])
    assert (arrival_minutes(patients, 0) == 0).all()


# Conservation ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["standard", "simultaneous", "liver_first", "surgery_alone"])
def lived_and_log(request):
    return by_cohort(4000, rules=policy(request.param))


def test_everybody_is_dead_or_alive_at_the_horizon(lived_and_log):
    patients, _ = lived_and_log
    dead = patients["death_minute"] < NEVER
    assert 0 < dead.sum() < len(patients)
    assert np.array_equal(patients["end_minute"][dead], patients["death_minute"][dead])
    assert (patients["end_minute"][~dead] == HORIZON).all()
    assert (patients["end_minute"] <= HORIZON).all()
    assert (patients["end_minute"] >= 0).all()
    assert np.array_equal(patients["cause_of_death"] != ALIVE, dead)
    assert patients["cause_of_death"].max() < len(CAUSES)


def test_nothing_happens_after_the_end(lived_and_log):
    patients, log = lived_and_log
    end = patients["end_minute"]
    for field in MINUTE_COLUMNS:
        happened = patients[field] < NEVER
        assert (patients[field][happened] >= 0).all(), field
        assert (patients[field][happened] <= end[happened]).all(), field
    assert (log["end"] <= end[log["patient"]]).all()
    assert (patients["grown_until"] <= end).all()


def test_activities_of_a_patient_are_in_order_and_never_overlap(lived_and_log):
    patients, log = lived_and_log
    assert (log["end"] >= log["start"]).all()
    assert (log["start"] >= 0).all()
    assert (np.diff(log["patient"]) >= 0).all()
    same = log["patient"][1:] == log["patient"][:-1]
    assert (log["start"][1:] >= log["end"][:-1])[same].all()
    missing = ~np.isin(patients["patient"], log["patient"])
    assert (patients["death_minute"][missing] < NEVER).all()  # before the first scan
    assert ((log["activity"] >= 0) & (log["activity"] < len(ACTIVITIES))).all()
    assert ((log["service"] >= 0) & (log["service"] < len(SERVICES))).all()


def test_the_log_adds_up_to_the_record(lived_and_log):
    """Activities cut short by death or horizon are in the log and not in the counts."""
    patients, log = lived_and_log
    whole = log["end"] < patients["end_minute"][log["patient"]]
    size = len(patients)
    for activity in range(len(ACTIVITIES)):
        rows = log["activity"] == activity
        counted = patients["times_done"][:, activity]
        begun = np.bincount(log["patient"][rows], minlength=size)
        finished = np.bincount(log["patient"][rows & whole], minlength=size)
        assert (finished <= counted).all(), ACTIVITIES[activity]
        assert (counted <= begun).all(), ACTIVITIES[activity]
    stays = (log["activity"] == WARD_STAY) & whole
    minutes = np.zeros(size, np.int64)
    np.add.at(minutes, log["patient"][stays], (log["end"] - log["start"])[stays])
    assert (patients["bed_minutes"] >= minutes).all()


def test_times_are_in_the_order_of_the_pathway(lived_and_log):
    patients, _ = lived_and_log
    cleared = patients[patients["cleared_minute"] < NEVER]
    operated = cleared[cleared["resected"] > 0]
    first = cleared[cleared["repeat_resections"] + cleared["local_treatments"] == 0]
    assert (first["liver_operations"] > 0).all()
    assert (operated["first_liver_resection_minute"] < NEVER).all()
    assert (cleared["primary_in_place"] == 0).all()
    recurred = patients[patients["recurrence_minute"] < NEVER]
    assert (recurred["cleared_minute"] < recurred["recurrence_minute"]).all()
    assert (recurred["progression_minute"] <= recurred["recurrence_minute"]).all()
    sites = recurred["recurrence_liver"] + recurred["recurrence_lung"]
    assert (sites + recurred["recurrence_elsewhere"] > 0).all()


def test_flags_imply_one_another(lived_and_log):
    patients, _ = lived_and_log

    def implies(a, b):
        assert (patients[b][patients[a] > 0] > 0).all(), (a, b)

    for a, b in (
        ("resected", "liver_operations"),
        ("liver_operations", "operated"),
        ("two_stage_completed", "two_stage_started"),
        ("adjuvant_started", "adjuvant_due"),
        ("objective_response", "first_line_evaluable"),
        ("sequence_completed", "sequence_started"),
        ("converted", "resected"),
        ("liver_failure", "major_complication"),
        ("repeat_resections", "resected"),
        ("margin_positive", "liver_operations"),
        ("sinusoidal_injury", "injury_assessed"),
        ("mortality_90d", "operated"),
        ("cured", "complete_local_treatment"),
        ("severe_toxicity", "cycles"),
    ):
        implies(a, b)
    assert not (patients["converted"] & patients["resectable_at_diagnosis"]).any()
    assert (patients["lines_received"] <= 3).all()
    postoperative = patients["cause_of_death"] == POSTOPERATIVE
    assert (patients["mortality_90d"][postoperative] == 1).all()
    resected = patients["first_liver_resection_minute"] < NEVER
    assert np.array_equal(resected, patients["resected"] > 0)


def test_the_dead_stay_dead_when_followed_for_longer():
    """A longer follow-up changes nobody who had died, but for the search's resolution of a day."""
    short, long = by_cohort(horizon=3 * YEAR)[0], by_cohort()[0]
    dead = (short["death_minute"] < NEVER) & (short["death_minute"] < 3 * YEAR - DAY)
    for field in ("cause_of_death", "cycles", "resected", "theatre_minutes", "times_done"):
        assert np.array_equal(short[field][dead], long[field][dead]), field
    moved = np.abs(short["death_minute"][dead] - long["death_minute"][dead])
    assert moved.max() <= RESOLUTION_MINUTES
    assert (moved[short["cause_of_death"][dead] != TUMOUR] == 0).all()
    assert (long["end_minute"][short["death_minute"] == NEVER] >= 3 * YEAR - DAY).all()


def test_a_horizon_of_a_day_is_kept():
    patients, log = by_cohort(horizon=DAY)
    assert (patients["end_minute"] <= DAY).all()
    assert len(log) == 0 or log["end"].max() <= DAY
