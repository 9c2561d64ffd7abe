"""Sizes and dates of trials against rpact 3.3.4, gsDesign 3.11, gsDesign2 1.1, npsurvSS 1.1."""

import math

import numpy as np
import pytest
from designs import ramp_up_design, three_looks_with_futility
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal

from crlm_sim.trials import events, spending
from crlm_sim.trials import nonproportional as np_hazards
from crlm_sim.trials import timing as plans
from crlm_sim.trials.boundaries import crossing
from crlm_sim.trials.events import LogRankTest
from crlm_sim.trials.normal import all_below

LN2 = math.log(2.0)
DELAYED = plans.arm([LN2 / 12, 0.6 * LN2 / 12], 0.001, [4.0])
"""No effect for four months, then a hazard ratio of 0.6 against `MEDIAN_12`."""
MEDIAN_12 = plans.arm(LN2 / 12, 0.001)
DELAY = plans.Truth(plans.accrual([20.0], [18.0]), MEDIAN_12, DELAYED)
EVEN = LogRankTest(0.025)
R_INTEGRATE = 2e-4
"""R's `integrate` stops at a relative error of 1.2e-4, and these integrands have kinks."""


def test_schoenfeld():
    assert EVEN.events(0.7, 0.1) == pytest.approx(330.37791, abs=1e-5)
    assert EVEN.events(0.5, 0.2) == pytest.approx(65.345659, abs=1e-6)
    two_to_one = LogRankTest(0.025, allocation=2.0)
    assert two_to_one.events(0.75, 0.1) == pytest.approx(571.32488, abs=1e-5)
    no_worse = LogRankTest(0.025, null=1.3)
    assert no_worse.events(1.0, 0.2) == pytest.approx(456.09814, abs=1e-5)
    assert EVEN.power(300, 0.7) == pytest.approx(0.87053666, abs=1e-8)


@settings(max_examples=50)
@given(
    st.floats(0.3, 0.95),
    st.floats(0.05, 0.5),
    st.floats(0.3, 3.0),
    st.sampled_from([events.schoenfeld, events.freedman]),
)
def test_events_power_and_detectable_ratio_are_one_relation(ratio, beta, allocation, signal):
    test = LogRankTest(0.025, allocation, signal=signal)
    needed = test.events(ratio, beta)
    assert test.power(needed, ratio) == pytest.approx(1.0 - beta, abs=1e-10)
    assert test.hazard_ratio(needed, beta) == pytest.approx(ratio, rel=1e-9)


def test_group_sequential_trial_with_accrual_that_ramps_up():
    bounds, truth = ramp_up_design()
    fixed = EVEN.events(0.74, 0.2)
    counts = fixed * bounds.inflation * bounds.fractions
    months = [plans.time_of_events(truth, count) for count in counts]
    assert truth.accrual.end == pytest.approx(31.571429, abs=1e-6)
    assert counts == pytest.approx([231.34685, 350.52553], abs=1e-5)
    assert months == pytest.approx([39.542945, 53.653972], abs=1e-6)
    at_bounds = [
        events.hazard_ratio_at(z, count) for z, count in zip(bounds.upper, counts, strict=True)
    ]
    assert at_bounds == pytest.approx([0.71755205, 0.80836054], abs=1e-8)
    stops = crossing(bounds.fractions, bounds.upper, None, bounds.drift * bounds.fractions**0.5)
    assert stops.expected(months) == pytest.approx(47.905319, abs=1e-6)
    assert stops.expected(counts) == pytest.approx(301.97366, abs=1e-5)
    assert fixed == pytest.approx(346.28323, abs=1e-5)
    assert plans.time_of_events(truth, fixed) == pytest.approx(53.107225, abs=1e-6)


def test_lachin_and_foulkes():
    plan = plans.accrual([1.0, 1.5, 2.5, 4.0], [1, 2, 3], end=24.0)
    found = plans.lachin_foulkes(plan, MEDIAN_12, 0.75, 36.0, 0.025, 0.1)
    assert found == pytest.approx((775.03063, 507.15189), abs=1e-5)


def test_three_formulas_for_one_trial():
    plan = plans.accrual([1.0], [12.0])
    control, other = plans.arm(LN2 / 12, 0.01), plans.arm(0.7 * LN2 / 12, 0.01)
    truth = plans.Truth(plan, control, other)
    found = plans.lachin_foulkes(plan, control, 0.7, 36.0, 0.025, 0.2)
    assert found == pytest.approx((361.21107, 245.64654), abs=1e-5)
    for signal, patients, known in (
        (events.schoenfeld, 362.88821, 246.7871),
        (events.freedman, 370.60682, 252.03625),
    ):
        needed = LogRankTest(0.025, signal=signal).events(0.7, 0.2)
        assert needed == pytest.approx(known, abs=1e-5)
        found = plans.patients_for_events(truth, needed, 36.0)
        assert found == pytest.approx(patients, abs=1e-5)


def test_three_looks_with_futility():
    # As in test_boundaries, gsDesign's grid is good for six digits here.
    bounds = three_looks_with_futility()
    plan = plans.accrual([1.0, 1.5, 2.5, 4.0], [1, 2, 3], end=24.0)
    patients, fixed = plans.lachin_foulkes(plan, MEDIAN_12, 0.75, 36.0, 0.025, 0.15)
    counts = fixed * bounds.inflation * bounds.fractions
    assert counts == pytest.approx([110.52135, 331.56404, 442.08538], rel=2e-6)
    larger = plan.scaled(patients * bounds.inflation / plan.patients)
    truth = plans.Truth(larger, MEDIAN_12, plans.arm(0.75 * LN2 / 12, 0.001))
    months = [plans.time_of_events(truth, count) for count in counts]
    assert months == pytest.approx([15.892220, 27.975737, 36.0], abs=5e-5)


def test_expected_events_and_the_average_hazard_ratio():
    group = plans.arm(LN2 / 12, 0.01)
    plan = plans.accrual([10.0], [24.0])
    found = plans.expected_events(plans.Truth(plan, group, group), 36.0)
    assert found == pytest.approx(159.76699, abs=1e-5)
    control = plans.arm(LN2 / 24, 0.004)
    other = plans.arm([LN2 / 24, 0.65 * LN2 / 24], 0.004, [3.0])
    truth = plans.Truth(plans.accrual([20.0], [24.0]), control, other)
    average = np_hazards.average_hazard_ratio(truth, 48.5)
    assert average.events[0] == pytest.approx(260.08627, abs=1e-5)
    assert average.hazard_ratio[0] == pytest.approx(0.69406652, abs=1e-8)
    power = np_hazards.average_crossing(average, [1.959963984540054]).power
    assert power == pytest.approx(0.8355536, abs=1e-7)
    assert plans.time_of_events(truth, 300.0) == pytest.approx(59.96695, abs=1e-5)


def test_a_fixed_trial_by_the_average_hazard_ratio():
    average = np_hazards.average_hazard_ratio(DELAY, 36.0)
    factor, _ = np_hazards.average_design(average, 0.025, 0.1, spending.obrien_fleming)
    assert factor * 360.0 == pytest.approx(463.07797, abs=1e-5)
    assert average.scaled(factor).events[0] == pytest.approx(324.70768, abs=1e-5)


def test_three_looks_by_the_average_hazard_ratio():
    # gsDesign2 takes the null's variance for the bound at the first look and the truth's at later
    # ones, so its 475.90624 patients come from two conventions. Ours keeps the first at all looks,
    # and its two parts are what gsDesign2 adds up.
    months = [20.0, 28.0, 36.0]
    average = np_hazards.average_hazard_ratio(DELAY, months)
    theirs = average.scaled(475.90624 / 360.0)
    assert theirs.events == pytest.approx([191.96939, 276.58279, 333.70279], abs=1e-5)
    known = [0.77355428, 0.71903520, 0.69710204]
    assert theirs.hazard_ratio == pytest.approx(known, abs=1e-8)
    factor, upper = np_hazards.average_design(average, 0.025, 0.1, spending.obrien_fleming)
    assert upper == pytest.approx([2.7343820, 2.2309571, 2.0387780], abs=5e-6)
    ours = np_hazards.average_crossing(theirs, upper)
    assert ours.upper[0] == pytest.approx(0.17203992, abs=2e-8)
    means = -np.log(theirs.hazard_ratio) * np.sqrt(theirs.information)
    later = crossing(theirs.information, upper, None, means).upper[1:]
    added = ours.upper[0] + np.cumsum(later)
    assert added == pytest.approx([0.69356543, 0.9], abs=2e-6)
    power = np_hazards.average_crossing(average.scaled(factor), upper).power
    assert power == pytest.approx(0.9, abs=1e-10)


def test_weighted_log_rank_sizes_under_a_delayed_effect():
    found = np_hazards.weighted_log_rank(DELAY, 36.0, [(0.0, 0.0), (0.0, 0.5)])
    late = np_hazards.weighted_patients(found, 0.025, 0.1, both_variances=True)[1]
    assert late == pytest.approx(355.57253, rel=R_INTEGRATE)
    assert late * found.events == pytest.approx(249.32547, rel=R_INTEGRATE)
    bound = np_hazards.max_combo_bound(found.correlation, 0.025)
    assert bound == pytest.approx(2.0788804, rel=R_INTEGRATE)
    largest = np_hazards.max_combo_patients(found, 0.025, 0.1)
    assert largest == pytest.approx(386.67874, rel=R_INTEGRATE)
    assert largest * found.events == pytest.approx(271.13698, rel=R_INTEGRATE)


def test_restricted_mean_size_under_a_delayed_effect():
    patients = np_hazards.restricted_mean_difference(DELAY, 36.0, 24.0).patients(0.025, 0.1)
    share = np_hazards.weighted_log_rank(DELAY, 36.0).events
    assert patients == pytest.approx(793.03834, rel=1e-5)
    assert patients * share == pytest.approx(556.07407, rel=1e-5)


def test_powers_of_four_tests():
    plan = plans.accrual([40.0], [6.0])
    truth = plans.Truth(plan, plans.arm(0.05, 0.005), plans.arm(0.03, 0.005))
    found = np_hazards.weighted_log_rank(truth, 18.0, [(0.0, 0.0), (1.0, 1.0)])
    powers = np_hazards.weighted_power(found, 240.0, 0.025)
    assert powers == pytest.approx([0.72962354, 0.64645686], rel=R_INTEGRATE)
    assert found.events * 240.0 == pytest.approx(102.96582, abs=1e-5)
    means = np_hazards.restricted_mean_difference(truth, 18.0, 11.0)
    assert means.power(240.0, 0.025) == pytest.approx(0.54687774, abs=1e-8)
    alive = np_hazards.survival_difference(truth, 18.0, 11.0)
    assert alive.power(240.0, 0.025) == pytest.approx(0.63086309, abs=1e-8)


def test_a_look_waits_for_all_that_is_stated():
    group = plans.arm(0.05)
    truth = plans.Truth(plans.accrual([10.0], [12.0]), group, group)
    at_events = plans.time_of_events(truth, 60.0)
    assert plans.time_of_look(plans.Look(events=60.0), truth) == at_events
    later = plans.Look(events=60.0, calendar=at_events - 1.0, follow_up=30.0)
    assert plans.time_of_look(later, truth) == 42.0
    latest = plans.Look(events=60.0, calendar=50.0, follow_up=30.0)
    assert plans.time_of_look(latest, truth) == 50.0
    cut_off = plans.Look(events=60.0, latest=at_events - 1.0)
    assert plans.time_of_look(cut_off, truth) == at_events - 1.0


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.0, 0.2), min_size=3, max_size=3),
    st.lists(st.floats(0.0, 0.05), min_size=3, max_size=3),
    st.floats(1.0, 60.0),
)
def test_events_by_interval_equal_numerical_integration(hazards, leaving, time):
    group = plans.arm(hazards, leaving, [3.0, 11.0])
    plan = plans.accrual([5.0, 0.0, 9.0], [4.0, 2.0, 10.0])

    def density(follow_up, start):
        gone = plans.cumulative(group.event + group.dropout, group.starts, follow_up)
        return plan.enrolled(time - follow_up) * group.event[start] * math.exp(-gone)

    edges = [0.0, 3.0, 11.0, math.inf]
    for start in range(3):
        low, high = edges[start], min(edges[start + 1], time)
        kinks = [time - end for end in (0.0, 4.0, 6.0, 16.0) if low < time - end < high]
        known = quad(density, low, high, (start,), points=kinks or None)[0] if low < high else 0.0
        found = plans.events_by_interval(plan, group, time)[start]
        assert found == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_all_below_equals_scipy(size):
    rng = np.random.default_rng(size)
    for _ in range(5):
        factor = rng.normal(size=(size, size + 1))
        covariance = factor @ factor.T
        spread = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(spread, spread)
        limits = rng.normal(1.0, 1.0, size)
        law = multivariate_normal(np.zeros(size), correlation, abseps=1e-7, seed=1)
        assert all_below(limits, correlation) == pytest.approx(law.cdf(limits), abs=2e-6)


def test_all_below_of_equal_statistics_is_that_of_one():
    same = np.ones((3, 3))
    assert all_below(np.array([1.0, 1.5, 2.0]), same) == pytest.approx(0.8413447461, abs=2e-4)


def test_one_weight_of_max_combo_is_the_log_rank_test():
    found = np_hazards.weighted_log_rank(DELAY, 36.0)
    assert np_hazards.max_combo_patients(found, 0.025, 0.1) == pytest.approx(
        np_hazards.weighted_patients(found, 0.025, 0.1)[0], rel=1e-9
    )


SHORT = plans.accrual([10.0], [12.0])
SICK = plans.arm(0.1)
ALIKE = plans.Truth(SHORT, SICK, SICK)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: EVEN.events(1.2, 0.1), "below the null, 1"),
        (lambda: EVEN.events(0.7, 1.0), "beta is between"),
        (lambda: LogRankTest(0.025, 0.0).events(0.7, 0.1), "allocation is above 0"),
        (
            lambda: LogRankTest(0.025, null=1.3, signal=events.freedman).events(1.0, 0.1),
            "no margin",
        ),
        (lambda: LogRankTest(0.025, signal=events.freedman).hazard_ratio(3, 0.1), "too few"),
        (lambda: plans.time_of_events(ALIKE, 121), "121 events .* 120 patients"),
        (
            lambda: plans.time_of_events(plans.Truth(SHORT, *[plans.arm(0.1, 0.1)] * 2), 70),
            "70 events never come: .* leave 60 of 120 patients",
        ),
        (lambda: plans.accrual([10.0, 5.0], [12.0]), "one duration for each rate"),
        (lambda: plans.accrual([10.0, 5.0], [12.0], patients=100), "end before it began"),
        (lambda: plans.accrual([-1.0], [12.0]), "not below 0"),
        (lambda: plans.arm(0.1, cuts=[4.0, 3.0]), "cuts between hazards rise"),
        (lambda: plans.arm([0.1, 0.2], cuts=[1.0, 2.0]), "2 cuts need 3 hazards"),
        (lambda: plans.arm(-0.1), "not below 0"),
        (lambda: plans.arm(math.nan), "finite"),
        (
            lambda: np_hazards.restricted_mean_difference(ALIKE, 18.0, 20.0),
            "nobody can be followed to 20",
        ),
        (
            lambda: np_hazards.weighted_patients(
                np_hazards.weighted_log_rank(ALIKE, 18.0), 0.025, 0.1
            ),
            "not above 0",
        ),
        (
            lambda: np_hazards.average_design(
                np_hazards.average_hazard_ratio(plans.Truth(SHORT, plans.arm(0.05), SICK), 18.0),
                0.025,
                0.1,
                spending.pocock,
            ),
            "the right way",
        ),
    ],
)
def test_what_cannot_be_a_trial_is_refused_in_words(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()
