"""Looks at accumulating data, by hand, against the formulas they should meet, and in blocks.

Simulated shares and means are held to four of their standard errors: each such comparison fails by
chance in 6 of 100,000 seeds, and the seeds are fixed. What formulas for large samples are off by
is not allowed for.
"""

import dataclasses
import math

import numpy as np
import pytest
from designs import ramp_up_design, three_looks_with_futility

from crlm_sim.trials import comparisons, events
from crlm_sim.trials import timing as plans
from crlm_sim.trials.allocation import permuted_blocks
from crlm_sim.trials.boundaries import crossing
from crlm_sim.trials.exponential import simulate
from crlm_sim.trials.looks import (
    Analyses,
    Patients,
    analyse,
    characteristics,
    cut,
    dates,
    stop,
)
from crlm_sim.trials.timing import Look

LN2 = math.log(2.0)
Z = 1.959963984540054
NEVER = math.inf


def four_patients(**changed):
    """Enrolled at 0, 1, 2, 3; events after 5, 1, never and 4; the last leaves first, after 2."""
    fields = {
        "enrolment": np.array([[0.0, 1.0, 2.0, 3.0]]),
        "event": np.array([[5.0, 1.0, NEVER, 4.0]]),
        "dropout": np.array([[NEVER, NEVER, 20.0, 2.0]]),
        "arm": np.array([[0, 0, 1, 1]]),
    }
    return Patients(**{**fields, **changed})


@pytest.mark.parametrize(
    ("look", "date"),
    [
        (Look(events=1), 2.0),
        (Look(events=2), 5.0),
        # Two have the event; the third leaves at 2 + 20, when nobody is left.
        (Look(events=3), 22.0),
        (Look(events=3, latest=9.0), 9.0),
        (Look(calendar=4.5), 4.5),
        (Look(events=2, calendar=4.5), 5.0),
        (Look(events=2, calendar=6.0), 6.0),
        (Look(follow_up=0.5), 3.5),
        (Look(events=1, calendar=3.0, follow_up=4.0), 7.0),
        (Look(follow_up=0.5, latest=3.2), 3.2),
    ],
)
def test_a_look_is_held_when_what_it_waits_for_has_come(look, date):
    assert dates(four_patients(), [look])[0, 0] == date


def test_looks_are_held_in_order():
    held = dates(four_patients(), [Look(calendar=6.0), Look(events=2), Look(events=3)])
    assert held.tolist() == [[6.0, 6.0, 22.0]]


def test_the_data_at_a_look():
    at_2 = cut(four_patients(), [2.0])
    assert at_2.number[0] == 3
    assert at_2.time[0, :3].tolist() == [0.0, 1.0, 2.0]
    assert at_2.event[0, :3].tolist() == [0, 1, 0]
    assert at_2.arm[0, :3].tolist() == [1, 0, 0]
    at_9 = cut(four_patients(), [9.0])
    assert at_9.time[0].tolist() == [1.0, 2.0, 5.0, 7.0]
    assert at_9.event[0].tolist() == [1, 0, 1, 0]


def test_the_event_that_calls_a_look_is_in_its_data():
    rng = np.random.default_rng(1)
    shape = (200, 60)
    patients = Patients(
        rng.uniform(0.0, 10.0, shape),
        rng.exponential(10.0, shape),
        rng.exponential(50.0, shape),
        rng.integers(0, 2, shape),
    )
    found = analyse(patients, [Look(events=7), Look(events=31)])
    assert (found.events == [7, 31]).all()
    for look, known in ((0, 7), (1, 31)):
        assert (cut(patients, found.date[:, look]).event.sum(axis=1) == known).all()


def test_trials_end_where_they_first_cross():
    z = np.array([[3.0, 0.0, 3.0], [1.0, -1.0, 3.0], [1.0, 2.5, 0.0], [1.0, 1.0, 1.9], [1, 1, 2.1]])
    z = np.vstack([z, [[math.nan] * 3]])
    upper, lower = [2.9, 2.4, 2.0], [-0.5, 0.0, 2.0]
    found = stop(z, upper, lower)
    assert found.look.tolist() == [0, 1, 1, 2, 2, 2]
    assert found.shown.tolist() == [True, False, True, False, True, False]
    ignored = stop(z, upper)
    assert ignored.look.tolist() == [0, 2, 1, 2, 2, 2]
    assert ignored.shown.tolist() == [True, True, True, False, True, False]
    own = np.tile(upper, (6, 1))
    own[0] = 9.0
    assert not stop(z, own).shown[0]


def test_characteristics_by_hand():
    found = Analyses(
        date=np.array([[10.0, 20.0], [12.0, 24.0], [14.0, 28.0], [16.0, 32.0]]),
        events=np.array([[5, 10]] * 4),
        enrolled=np.array([[50, 100]] * 4),
        z=np.array([[3.0, 0.0], [0.0, 2.5], [0.0, 1.0], [-1.0, 3.0]]),
        estimate=np.array([[-0.9, -0.1], [0.0, -0.5], [0.0, -0.2], [0.3, -0.6]]),
    )
    told = characteristics(found, stop(found.z, [2.8, 2.0], [-0.5, 2.0]))
    assert told.power.estimate == 0.5
    assert told.efficacy.tolist() == [0.25, 0.25]
    assert told.futility.tolist() == [0.25, 0.25]
    assert told.duration.estimate == pytest.approx((10 + 24 + 28 + 16) / 4)
    assert told.events.estimate == pytest.approx(7.5)
    assert told.patients.estimate == pytest.approx(75.0)
    assert told.estimate.estimate == pytest.approx((-0.9 - 0.5 - 0.2 + 0.3) / 4)
    assert told.estimate_if_shown.estimate == pytest.approx(-0.7)


def exponential(seed, trials, truth):
    """Trials with these numbers, in permuted blocks of four."""
    number = round(truth.accrual.patients)
    arms = permuted_blocks(seed, 0, trials, np.zeros((len(trials), number), int))
    return simulate(seed, 0, trials, arms, truth)


SMALL = plans.Truth(plans.accrual([10.0], [8.0]), plans.arm(0.06, 0.01), plans.arm(0.03, 0.01))


def test_blocks_of_trials_give_what_all_together_give():
    looks = [Look(events=20), Look(events=40)]
    whole = analyse(exponential(5, np.arange(60), SMALL), looks)
    parts = [
        analyse(exponential(5, numbers, SMALL), looks)
        for numbers in (np.arange(13), np.arange(13, 60))
    ]
    for field in dataclasses.fields(Analyses):
        joined = np.concatenate([getattr(part, field.name) for part in parts])
        np.testing.assert_array_equal(getattr(whole, field.name), joined)


def test_simulated_times_have_their_hazards():
    # 40,000 patients, three cuts: shares to four standard errors, as the head of this file says.
    group = plans.arm([0.02, 0.0, 0.1], [0.01, 0.03, 0.0], [5.0, 9.0])
    plan = plans.accrual([100.0], [4.0])
    found = simulate(
        3, 0, np.arange(100), np.zeros((100, 400), int), plans.Truth(plan, group, group)
    )
    for time in (3.0, 8.0, 15.0):
        for times, hazards in ((found.event, group.event), (found.dropout, group.dropout)):
            known = -math.expm1(-float(plans.cumulative(hazards, group.starts, time)))
            error = math.sqrt(known * (1.0 - known) / times.size)
            assert np.mean(times <= time) == pytest.approx(known, abs=4.0 * error)
    assert np.isinf(found.dropout).any()
    assert (found.enrolment[0] == np.arange(1, 401) / 100.0).all()


def test_patients_enrol_when_they_are_due():
    plan = plans.accrual([2.0, 0.0, 4.0], [3.0, 1.0, 2.5])
    times = plan.enrolment_times()
    assert len(times) == 16
    assert plan.enrolled(times) == pytest.approx(np.arange(1, 17), abs=1e-9)
    assert times[5:8] == pytest.approx([3.0, 4.25, 4.5])


def test_the_same_patients_live_longer_under_a_lower_hazard():
    zeros = np.zeros((5, 80), int)
    worse, better = (simulate(4, 0, np.arange(5), zeros + arm, SMALL) for arm in (0, 1))
    np.testing.assert_allclose(better.event, 2.0 * worse.event, rtol=1e-12)
    np.testing.assert_array_equal(better.dropout, worse.dropout)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: dates(four_patients(), [Look(events=5)]), "5 events of 4 patients"),
        (lambda: dates(four_patients(), []), "at least one look"),
        (
            lambda: dates(
                four_patients(dropout=np.array([[NEVER, NEVER, NEVER, 2.0]])), [Look(events=3)]
            ),
            "look 1 is never held in 1 of 1 trials: .* state the latest time",
        ),
        (lambda: stop(np.zeros((3, 2)), [2.0]), "one bound for each of the 2 looks"),
        (
            lambda: simulate(1, 0, [0], np.zeros((1, 79), int), SMALL),
            "79 patients and 80",
        ),
    ],
)
def test_what_cannot_be_a_look_is_refused_in_words(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()


TRIALS = 20_000
BLOCK = 2_000


def without_effect(truth):
    return dataclasses.replace(truth, experimental=truth.control)


def looked_at(seed, truth, looks, **tests):
    """All looks in 20,000 trials, worked on in blocks."""
    parts = [
        analyse(
            exponential(seed, np.arange(start, start + BLOCK), truth),
            looks,
            **tests,
        )
        for start in range(0, TRIALS, BLOCK)
    ]
    return Analyses(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in dataclasses.fields(Analyses)
        )
    )


def near_share(share, known):
    """Within four standard errors of a share of 20,000."""
    errors = np.sqrt(np.asarray(known) * (1.0 - np.asarray(known)) / TRIALS)
    assert (np.abs(np.asarray(share) - known) <= 4.0 * errors).all(), (share, known)


def near_mean(values, known):
    """Within four standard errors of a mean of 20,000."""
    error = values.std(ddof=1) / math.sqrt(TRIALS)
    assert values.mean() == pytest.approx(known, abs=4.0 * error)


def at_end(values, stops):
    return values[np.arange(TRIALS), stops.look]


def ratio(found):
    return found[0] / found[1]


FOUR_TESTS = {
    "log_rank": (lambda data: comparisons.log_rank(data).z[:, 0], 0.72962354),
    "late": (lambda data: comparisons.log_rank(data, [(1.0, 1.0)]).z[:, 0], 0.64645686),
    "mean": (lambda data: ratio(comparisons.restricted_mean_difference(data, 11.0)), 0.54687774),
    "alive": (lambda data: ratio(comparisons.survival_difference(data, 11.0)), 0.63086309),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUR_TESTS)
def test_simulated_power_of_four_tests_is_what_npsurvss_expects(name):
    test, power = FOUR_TESTS[name]
    plan = plans.accrual([40.0], [6.0])
    truth = plans.Truth(plan, plans.arm(0.05, 0.005), plans.arm(0.03, 0.005))
    found = looked_at(1, truth, [Look(calendar=18.0)], test=test)
    near_share(characteristics(found, stop(found.z, [Z])).power.estimate, power)
    near_mean(found.events[:, 0], 102.96582)


@pytest.mark.slow
def test_an_event_driven_trial_fares_as_its_design_says():
    # Rounded up to whole events the design has its own information fraction and drift.
    bounds, truth = ramp_up_design()
    counts = np.array([232.0, 351.0])
    looks = [Look(events=count) for count in counts]
    found = looked_at(2, truth, looks)
    stops = stop(found.z, bounds.upper)
    told = characteristics(found, stops)
    drift = math.sqrt(351.0) * events.schoenfeld(0.74, 1.0, 1.0)
    expected = crossing(counts / 351.0, bounds.upper, None, drift * np.sqrt(counts / 351.0))
    near_share(told.power.estimate, expected.power)
    near_share(told.efficacy, expected.upper)
    months = [plans.time_of_events(truth, count) for count in counts]
    for look, month in enumerate(months):
        near_mean(found.date[:, look], month)
    near_mean(at_end(found.date, stops), expected.expected(months))
    near_mean(at_end(found.events, stops), expected.expected(counts))
    # Stopping early flatters those shown, by more than the simulation's interval.
    assert told.estimate_if_shown.upper < math.log(0.74)
    null = looked_at(3, without_effect(truth), looks)
    near_share(characteristics(null, stop(null.z, bounds.upper)).power.estimate, 0.025)


@pytest.mark.slow
def test_three_looks_with_futility_fare_as_their_design_says():
    bounds = three_looks_with_futility()
    control, other = plans.arm(LN2 / 12, 0.001), plans.arm(0.75 * LN2 / 12, 0.001)
    shape = plans.accrual([1.0, 1.5, 2.5, 4.0], [1, 2, 3], end=24.0)
    patients, fixed = plans.lachin_foulkes(shape, control, 0.75, 36.0, 0.025, 0.15)
    plan = shape.scaled(2.0 * round(0.5 * patients * bounds.inflation) / shape.patients)
    truth = plans.Truth(plan, control, other)
    counts = np.ceil(fixed * bounds.inflation * bounds.fractions)
    fractions = counts / counts[-1]
    looks = [Look(events=count) for count in counts]
    found = looked_at(4, truth, looks)
    told = characteristics(found, stop(found.z, bounds.upper, bounds.lower))
    drift = math.sqrt(counts[-1]) * events.schoenfeld(0.75, 1.0, 1.0)
    expected = crossing(fractions, bounds.upper, bounds.lower, drift * np.sqrt(fractions))
    near_share(told.efficacy, expected.upper)
    near_share(told.futility, expected.lower)
    null = looked_at(5, without_effect(truth), looks)
    near_share(characteristics(null, stop(null.z, bounds.upper)).power.estimate, 0.025)
    heeded = characteristics(null, stop(null.z, bounds.upper, bounds.lower))
    none = crossing(fractions, bounds.upper, bounds.lower, 0.0)
    near_share(heeded.power.estimate, none.power)
    near_share(heeded.futility, none.lower)


@pytest.mark.slow
def test_the_average_hazard_ratio_tells_power_and_estimate_under_a_delayed_effect():
    control = plans.arm(LN2 / 24, 0.004)
    other = plans.arm([LN2 / 24, 0.65 * LN2 / 24], 0.004, [3.0])
    truth = plans.Truth(plans.accrual([20.0], [24.0]), control, other)
    found = looked_at(6, truth, [Look(calendar=48.5)])
    near_share(characteristics(found, stop(found.z, [Z])).power.estimate, 0.8355536)
    near_mean(found.events[:, 0], 260.08627)
    near_mean(found.estimate[:, 0], math.log(0.69406652))
