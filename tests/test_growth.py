"""Growth and kill of clones, the burden, and the minute it becomes lethal.

Known answers: numerical solutions of the differential equation (scipy); doubling times of untreated
metastases, 155 (SEM 34) days overt and 86 (SEM 12) days occult (Finlay 1988, Br J Surg 75:641); and
plain searches on a fine grid of minutes.
"""

import math

import numpy as np
import pytest
from helpers import DAY, add_lesion, known_parameters, patient_by_hand
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from crlm_sim.disease.death import next_death, other_cause_minute
from crlm_sim.disease.growth import (
    EXTINCT,
    RESOLUTION_MINUTES,
    burden_at,
    diameter_mm,
    forget_safety,
    grow,
    is_viable,
    log_volume,
    log_volume_of,
    remove,
    shrink,
    tumour_death_minute,
)
from crlm_sim.disease.patient import (
    ALIVE,
    FEMALE,
    LUNG,
    MALE,
    NEVER,
    OTHER,
    POSTOPERATIVE,
    SEGMENTS,
    TUMOUR,
)
from crlm_sim.evidence import pack

PARAMS = known_parameters()
M = PARAMS[0]
CAPACITY = float(M["log_capacity_ml"])
CELL = float(M["log_cell_ml"])


def treated(days_of_drug, kill, resistant_kill, rate=1e-3):
    patients = patient_by_hand(growth_rate=rate)
    patients["drug_until"] = round(days_of_drug * DAY)
    patients["kill_sensitive"] = kill
    patients["kill_resistant"] = resistant_kill
    return patients


# The closed form ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [0.0, 0.004, 0.02, 0.06])
@pytest.mark.parametrize("rate", [2e-4, 1e-3, 4e-3])
@pytest.mark.parametrize("days", [1, 60, 400])
def test_a_step_is_the_solution_of_the_differential_equation(kill, rate, days):
    """Under the drug for 100 days at most, then without; both parts; no cell-size limit."""
    params = known_parameters(log_cell_ml=-1000.0)
    patients = treated(100, kill, kill / 10, rate)
    add_lesion(patients, 5, 30.0, resistant=-3.0)
    before = patients[0].copy()
    grow(patients[0], params[0], days * DAY)
    for field, k in (("log_sensitive", kill), ("log_resistant", kill / 10)):
        x = [float(before[field][0])]
        for length, effect in ((min(days, 100), k), (max(days - 100, 0), 0.0)):
            if length:

                def slope(_, y, effect=effect):
                    return rate * (CAPACITY - y) - effect

                x = solve_ivp(slope, (0, length), x, rtol=1e-11, atol=1e-12, method="DOP853").y[
                    :, -1
                ]
        assert patients[0][field][0] == pytest.approx(x[0], abs=1e-8)


@given(
    st.floats(1e-4, 1e-2),
    st.floats(0.0, 0.05),
    st.integers(1, 2000 * DAY),
    st.floats(0.0, 1.0),
    st.integers(0, 500),
)
def test_two_steps_equal_one(rate, kill, minutes, share, drug_days):
    whole = treated(drug_days, kill, kill / 5, rate)
    add_lesion(whole, 5, 20.0, resistant=-2.0)
    add_lesion(whole, LUNG, 8.0, resistant=-6.0)
    halves = whole.copy()
    grow(whole[0], M, minutes)
    grow(halves[0], M, int(share * minutes))
    grow(halves[0], M, minutes)
    for field in ("log_sensitive", "log_resistant"):
        one, two = whole[0][field][:2], halves[0][field][:2]
        # A subclone is extinct if it is so at the end of a step: halfway may be the lowest point.
        both = (one > EXTINCT) & (two > EXTINCT)
        assert one[both] == pytest.approx(two[both], rel=1e-12, abs=1e-10)
    assert whole[0]["grown_until"] == halves[0]["grown_until"] == minutes


def test_time_never_runs_backwards():
    patients = patient_by_hand()
    add_lesion(patients, 5, 20.0)
    grow(patients[0], M, 100 * DAY)
    before = patients.tobytes()
    grow(patients[0], M, 50 * DAY)
    grow(patients[0], M, 100 * DAY)
    assert patients.tobytes() == before


def test_more_kill_never_leaves_more():
    volumes = []
    for kill in np.linspace(0.0, 0.1, 21):
        patients = treated(200, kill, kill)
        add_lesion(patients, 5, 40.0)
        grow(patients[0], M, 200 * DAY)
        volumes.append(log_volume(patients[0], 0))
    assert volumes == sorted(volumes, reverse=True)


def test_growth_approaches_the_capacity_and_does_not_pass_it():
    patients = patient_by_hand(growth_rate=0.01)
    add_lesion(patients, 5, 20.0)
    grow(patients[0], M, 20_000 * DAY)
    assert patients[0]["log_sensitive"][0] == pytest.approx(CAPACITY, abs=1e-6)


def doubling_days(diameter, rate, capacity):
    x = log_volume_of(diameter)
    return math.log((capacity - x) / (capacity - x - math.log(2.0))) / rate


@pytest.mark.parametrize(
    ("diameter", "published", "sem"),
    [(30.0, 155.0, 34.0), (5.0, 86.0, 12.0)],
    ids=["overt", "occult"],
)
def test_doubling_times_are_near_finlays(diameter, published, sem):
    """Within 1.96 SEM of the published mean, by the formula and by growing a patient."""
    params = pack()
    rate = float(params["growth_rate_per_day"][0])
    expected = doubling_days(diameter, rate, float(params["log_capacity_ml"][0]))
    assert expected == pytest.approx(published, abs=1.96 * sem)
    patients = patient_by_hand(growth_rate=rate)
    add_lesion(patients, 5, diameter)
    start = log_volume(patients[0], 0)
    grow(patients[0], params[0], round(expected * DAY))
    assert log_volume(patients[0], 0) - start == pytest.approx(math.log(2.0), abs=1e-4)


# Volumes -----------------------------------------------------------------------------------------


def test_a_sphere_of_20_mm_holds_4_19_ml():
    assert math.exp(log_volume_of(20.0)) == pytest.approx(4.18879, rel=1e-5)


@given(st.floats(0.01, 300.0))
def test_diameter_and_volume_are_inverse(diameter):
    assert diameter_mm(log_volume_of(diameter)) == pytest.approx(diameter, rel=1e-12)


@given(st.floats(-20.0, 8.0), st.floats(-20.0, 8.0))
def test_the_volume_of_a_clone_is_the_sum_of_its_parts(s, r):
    patients = patient_by_hand(clones=1)
    patients["log_sensitive"][0, 0], patients["log_resistant"][0, 0] = s, r
    expected = math.log(math.exp(s) + math.exp(r))
    assert log_volume(patients[0], 0) == pytest.approx(expected, rel=1e-12, abs=1e-12)


# Less than one cell ------------------------------------------------------------------------------


def test_a_subclone_below_one_cell_is_extinct_and_stays_so():
    patients = treated(100, 0.5, 0.0)
    add_lesion(patients, 5, 1.0, resistant=-1.0)
    grow(patients[0], M, 60 * DAY)
    assert patients[0]["log_sensitive"][0] == EXTINCT
    assert patients[0]["log_resistant"][0] > CELL
    grow(patients[0], M, 5000 * DAY)
    assert patients[0]["log_sensitive"][0] == EXTINCT
    assert is_viable(patients[0], 0)
    remove(patients[0], 0)
    grow(patients[0], M, 10_000 * DAY)
    assert not is_viable(patients[0], 0)
    assert log_volume(patients[0], 0) == EXTINCT


def test_shrinking_below_one_cell_leaves_nothing():
    patients = patient_by_hand()
    add_lesion(patients, 5, 10.0, resistant=-4.0)
    total = log_volume_of(10.0)
    to_just_above = CELL - total + 0.01
    shrink(patients[0], M, 0, to_just_above)
    assert patients[0]["log_sensitive"][0] == pytest.approx(CELL + 0.01)
    assert patients[0]["log_resistant"][0] == EXTINCT
    shrink(patients[0], M, 0, -0.02)
    assert not is_viable(patients[0], 0)


# The burden and the minute it kills --------------------------------------------------------------

CLONE = st.tuples(st.integers(0, SEGMENTS + 3), st.floats(0.05, 90.0), st.floats(-15.0, -0.01))


ILL = st.fixed_dictionaries(
    {
        "drug_days": st.integers(0, 400),
        "kill": st.floats(0.0, 0.05),
        "resistant_kill": st.floats(0.0, 0.01),
        "rate": st.floats(2e-4, 5e-3),
        "clones": st.lists(CLONE, min_size=1, max_size=8),
        "lethal_liver": st.floats(50.0, 2000.0),
        "lethal_elsewhere": st.floats(50.0, 1000.0),
    }
)


def ill_patient(ill):
    """A patient with clones of any size, under a drug that lasts a while, alive today."""
    patients = treated(ill["drug_days"], ill["kill"], ill["resistant_kill"], ill["rate"])
    for site, diameter, resistant in ill["clones"]:
        add_lesion(patients, site, diameter, resistant=resistant)
    patients["log_lethal_liver_ml"] = math.log(ill["lethal_liver"])
    patients["log_lethal_elsewhere_ml"] = math.log(ill["lethal_elsewhere"])
    assume(brute_burden(patients[0], 0) < 1.0)
    return patients


def brute_burden(patient, minutes):
    """The burden at minutes (array or number), clone by clone by the equation's solution."""
    a = float(patient["growth_rate"])
    start = int(patient["grown_until"])
    under = np.maximum(np.minimum(minutes, patient["drug_until"]) - start, 0) / DAY
    after = (np.asarray(minutes) - start) / DAY - under
    total = np.zeros(np.shape(minutes))
    for k in range(int(patient["clones"])):
        site = patient["site"][k]
        lethal = patient["log_lethal_liver_ml" if site < SEGMENTS else "log_lethal_elsewhere_ml"]
        for part, kill in (
            ("log_sensitive", "kill_sensitive"),
            ("log_resistant", "kill_resistant"),
        ):
            x = float(patient[part][k])
            for days, effect in ((under, float(patient[kill])), (after, 0.0)):
                rest = CAPACITY - effect / a
                x = rest + (x - rest) * np.exp(-a * days)
            total = total + np.exp(x - float(lethal))
    return total


@given(ILL, st.integers(0, 3000 * DAY))
def test_the_burden_is_the_sum_over_clones(ill, minute):
    patients = ill_patient(ill)
    expected = brute_burden(patients[0], minute)
    assert burden_at(patients[0], M, minute) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=300)
@given(ILL, st.integers(1, 6000))
def test_death_from_tumour_is_the_first_crossing(ill, days):
    """Held to a search of every sixth hour; within the resolution the search promises."""
    patients = ill_patient(ill)
    until = days * DAY
    found = tumour_death_minute(patients[0], M, until)
    step = DAY // 4
    grid = np.arange(0, until + step, step)
    grid[-1] = until
    lethal = grid[brute_burden(patients[0], grid) >= 1.0]
    if found == NEVER:
        assert len(lethal) == 0 or lethal[0] >= until - RESOLUTION_MINUTES
    else:
        assert found <= until
        assert len(lethal)
        assert abs(found - lethal[0]) <= RESOLUTION_MINUTES + step


@settings(max_examples=200)
@given(
    ILL,
    st.lists(
        st.tuples(st.integers(1, 400), st.sampled_from(["wait", "cycle", "stop", "cut"])),
        min_size=1,
        max_size=25,
    ),
)
def test_the_memory_of_safety_never_hides_a_death(ill, course):
    """The same course asked with and without `safe_until`, through cycles, stops and resections."""
    patients = ill_patient(ill)
    watched, plain = patients[0].copy(), patients[0].copy()
    pair = np.array([watched, plain])
    now = 0
    for days, what in course:
        until = now + days * DAY
        pair[1]["safe_until"] = 0
        found = [tumour_death_minute(pair[place], M, until) for place in (0, 1)]
        assert (found[0] == NEVER) == (found[1] == NEVER)
        if found[0] != NEVER:
            assert abs(found[0] - found[1]) <= RESOLUTION_MINUTES
            return
        now = until
        for place in (0, 1):
            patient = pair[place]
            if what == "cycle":
                grow(patient, M, now)
                patient["drug_until"] = now + 14 * DAY
            elif what == "stop":
                grow(patient, M, now)
                if patient["drug_until"] > now:
                    patient["drug_until"] = now
                    forget_safety(patient)
            elif what == "cut":
                grow(patient, M, now)
                shrink(patient, M, 0, -3.0)


def test_a_patient_without_viable_tumour_never_dies_of_it():
    patients = patient_by_hand()
    add_lesion(patients, 5, 30.0)
    remove(patients[0], 0)
    assert tumour_death_minute(patients[0], M, 10_000 * DAY) == NEVER
    assert burden_at(patients[0], M, 10_000 * DAY) == 0.0


# The first of the deaths -------------------------------------------------------------------------


def test_the_first_death_wins_and_none_is_announced_early():
    patients = patient_by_hand()
    add_lesion(patients, 5, 60.0)
    tumour = tumour_death_minute(patients[0], M, 20_000 * DAY)
    assert 100 * DAY < tumour < 20_000 * DAY
    patients["safe_until"] = 0
    minute, cause = next_death(patients[0], M, 20_000 * DAY)
    assert (minute, cause) == (tumour, TUMOUR)
    patients["other_death_minute"] = 90 * DAY
    assert next_death(patients[0], M, 20_000 * DAY) == (90 * DAY, OTHER)
    patients["treatment_death_minute"] = 80 * DAY
    patients["treatment_death_cause"] = POSTOPERATIVE
    assert next_death(patients[0], M, 20_000 * DAY) == (80 * DAY, POSTOPERATIVE)
    assert next_death(patients[0], M, 80 * DAY) == (80 * DAY, POSTOPERATIVE)
    assert next_death(patients[0], M, 80 * DAY - 1) == (NEVER, ALIVE)


@pytest.mark.parametrize("sex", [MALE, FEMALE])
@pytest.mark.parametrize("years", [1, 5, 20])
def test_other_causes_follow_the_life_table_exactly(sex, years):
    """The quantile of the survival to a birthday is that birthday: S = Π (1 − q) to the hazard."""
    hazard = M["life_table_hazard"][sex]
    for ratio in (1.0, 2.5):
        survival = math.exp(-ratio * hazard[65 : 65 + years].sum())
        minute = other_cause_minute(M, sex, 65.0, ratio, survival)
        assert minute / (365.25 * DAY) == pytest.approx(years, abs=1e-3)


def test_other_causes_count_only_the_rest_of_a_year_begun():
    hazard = M["life_table_hazard"][MALE]
    survival = math.exp(-0.25 * hazard[65] - hazard[66])
    minute = other_cause_minute(M, MALE, 65.75, 1.0, survival)
    assert minute / (365.25 * DAY) == pytest.approx(1.25, abs=1e-3)


def test_beyond_the_table_the_last_hazard_goes_on():
    last = M["life_table_hazard"].shape[1] - 1
    hazard = float(M["life_table_hazard"][MALE, last])
    minute = other_cause_minute(M, MALE, last + 3.5, 1.0, math.exp(-hazard * 4.0))
    assert minute / (365.25 * DAY) == pytest.approx(4.0, abs=1e-3)


@given(st.floats(20.0, 100.0), st.floats(0.001, 0.999), st.floats(0.5, 4.0))
def test_other_causes_kill_later_the_luckier_and_the_less_ill(age, u, ratio):
    minute = other_cause_minute(M, MALE, age, ratio, u)
    assert minute >= 0
    assert other_cause_minute(M, MALE, age, ratio, u * 0.9) >= minute
    assert other_cause_minute(M, MALE, age, ratio * 1.1, u) <= minute
