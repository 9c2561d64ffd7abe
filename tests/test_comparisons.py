"""Two-arm analyses against R's survival, survRM2 and simtrial (lung data), lifelines and theory."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.datasets import load_lung
from lifelines.statistics import logrank_test
from scipy.optimize import minimize_scalar

from crlm_sim.outcomes import survival as days
from crlm_sim.trials import comparisons as trials

COMBO = [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5)]
TO_THE_END = {"precision": 1e-16, "r_precision": 1e-16}


def lung():
    """Time, event, women as arm 1, and whether ECOG is 2 or more (nan where unknown)."""
    table = load_lung()
    ecog = table["ph.ecog"].to_numpy()
    poor = np.where(np.isnan(ecog), np.nan, ecog >= 2)
    return (
        table["time"].to_numpy(float),
        table["status"].to_numpy() == 1,
        table["sex"].to_numpy() == 2,
        poor,
    )


def random_trial(seed, patients=120, tied=False):
    rng = np.random.default_rng(seed)
    arm = rng.random(patients) < 0.5
    time = rng.exponential(np.where(arm, 14.0, 10.0))
    event = rng.random(patients) < 0.7
    return np.ceil(time) if tied else time, event, arm


def test_weighted_log_rank_of_the_lung_data():
    time, event, women, _ = lung()
    weights = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.5), (0.5, 0.5)]
    z = trials.log_rank(trials.arrange(time, event, women), weights).z[0]
    assert z[:2] ** 2 == pytest.approx([10.326742, 12.714151], abs=1e-6)
    assert z[2:] == pytest.approx([1.8601033, 2.4529864, 2.9611829], abs=1e-7)


def test_stratified_log_rank_of_the_lung_data():
    time, event, women, poor = lung()
    time[np.isnan(poor)] = np.nan
    stratum = np.nan_to_num(poor).astype(int)
    arranged = trials.arrange(time, event, women, stratum)
    assert arranged.number[0] == 227
    assert trials.log_rank(arranged).z[0, 0] ** 2 == pytest.approx(10.403932, abs=1e-6)


def test_max_combo_of_the_lung_data():
    # simtrial prints 0.0010868972, by random points good for five digits after the point. The
    # second figure is scipy's adaptive integral over the same correlation.
    p = trials.max_combo(trials.log_rank(trials.arrange(*lung()[:3]), COMBO))[0]
    assert p == pytest.approx(0.0010868972, abs=5e-6)
    assert p == pytest.approx(0.0010901393510, abs=2e-9)


def test_cox_restricted_mean_and_landmark_of_the_lung_data():
    time, event, women, _ = lung()
    arranged = trials.arrange(time, event, women)
    value, error = trials.hazard_ratio(arranged)
    assert math.exp(value[0]) == pytest.approx(0.58800282, abs=1e-8)
    assert error[0] == pytest.approx(0.16717858, abs=1e-8)
    mean, error = trials.restricted_mean_difference(arranged, 365.0, corrected=True)
    assert mean[0] == pytest.approx(55.970324, abs=1e-6)
    assert error[0] == pytest.approx(15.111256, abs=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_a_hundred_random_trials_as_lifelines_reckons_them(tied):
    data = [random_trial(seed, tied=tied) for seed in range(100)]
    arranged = trials.arrange(*(np.array(column) for column in zip(*data, strict=True)))
    z = trials.log_rank(arranged).z[:, 0]
    value, error = trials.hazard_ratio(arranged)
    means, _ = trials.restricted_mean_difference(arranged, 8.0)
    alive, _ = trials.survival_difference(arranged, 8.0)
    # By default lifelines stops up to 2e-5 off. From a thousandth beside our ratio (in its own
    # scale, of the standardised group) one Newton step takes it to the root.
    for i, (time, event, arm) in enumerate(data):
        known = logrank_test(time[arm], time[~arm], event[arm], event[~arm])
        assert z[i] ** 2 == pytest.approx(known.test_statistic, rel=1e-9, abs=1e-12)
        frame = pd.DataFrame({"t": time, "e": event, "g": arm.astype(float)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            near = (value[i : i + 1] + 1e-3) * arm.std(ddof=1)
            fitted = CoxPHFitter().fit(frame, "t", "e", initial_point=near, fit_options=TO_THE_END)
        assert value[i] == pytest.approx(fitted.params_["g"], abs=1e-9)
        assert error[i] == pytest.approx(fitted.standard_errors_["g"], abs=1e-9)
        curves = [KaplanMeierFitter().fit(time[a], event[a]) for a in (arm, ~arm)]
        steps = [curve.survival_function_.iloc[:, 0] for curve in curves]
        areas = [
            np.diff(np.append(step.index[step.index < 8.0], 8.0)) @ step[step.index < 8.0]
            for step in steps
        ]
        assert means[i] == pytest.approx(areas[0] - areas[1], abs=1e-11)
        at_8 = [float(curve.predict(8.0)) for curve in curves]
        assert alive[i] == pytest.approx(at_8[0] - at_8[1], abs=1e-12)


@pytest.mark.parametrize("corrected", [False, True])
def test_whole_days_give_what_the_curves_of_outcomes_give(corrected):
    for seed in range(20):
        time, event, arm = random_trial(seed, tied=True)
        arranged = trials.arrange(time, event, arm)
        found = trials.restricted_mean_difference(arranged, 9.0, corrected)
        landmark = trials.survival_difference(arranged, 9.0)
        curves = []
        for group in (~arm, arm):
            size = int(time.max()) + 1
            dead = np.bincount(time[group & event].astype(int), minlength=size)
            left = np.bincount(time[group & ~event].astype(int), minlength=size)
            curves.append(days.kaplan_meier(dead, left))
        (mean_0, error_0), (mean_1, error_1) = (
            days.restricted_mean(curve, 9.0, corrected=corrected) for curve in curves
        )
        assert found[0][0] == pytest.approx(mean_1.estimate - mean_0.estimate, abs=1e-11)
        assert found[1][0] == pytest.approx(math.hypot(error_0, error_1), abs=1e-11)
        spread = [curve.standard_error[9] for curve in curves]
        assert landmark[1][0] == pytest.approx(math.hypot(*spread), abs=1e-12)


def test_patients_who_are_not_in_the_data_and_their_order_change_nothing():
    time, event, arm = random_trial(4)
    stratum = np.arange(120) % 3
    plain = trials.arrange(time, event, arm, stratum)
    rng = np.random.default_rng(1)
    order = rng.permutation(150)
    padded = [
        np.append(column, np.full(30, fill))[order]
        for column, fill in ((time, np.nan), (event, 1), (arm, 1), (stratum, 2))
    ]
    mixed = trials.arrange(*padded)
    for test in (trials.hazard_ratio, lambda data: trials.log_rank(data, COMBO).z):
        np.testing.assert_array_equal(np.array(test(plain)), np.array(test(mixed)))


def test_arms_exchanged_turn_every_difference_round():
    time, event, arm = random_trial(5)
    one, other = trials.arrange(time, event, arm), trials.arrange(time, event, ~arm)
    for test in (
        lambda data: trials.log_rank(data, COMBO).z,
        lambda data: trials.hazard_ratio(data)[0],
        lambda data: trials.restricted_mean_difference(data, 8.0)[0],
        lambda data: trials.survival_difference(data, 8.0)[0],
    ):
        np.testing.assert_allclose(test(one), -test(other), atol=1e-12)


def test_strata_of_one_make_a_stratified_test_the_sum_of_its_strata():
    data = [random_trial(seed) for seed in (6, 7)]
    apart = [trials.log_rank(trials.arrange(*each), COMBO) for each in data]
    joined = trials.log_rank(
        trials.arrange(
            *(np.concatenate(column) for column in zip(*data, strict=True)), np.repeat([0, 1], 120)
        ),
        COMBO,
    )
    np.testing.assert_allclose(joined.score, apart[0].score + apart[1].score, atol=1e-12)
    np.testing.assert_allclose(
        joined.covariance, apart[0].covariance + apart[1].covariance, atol=1e-12
    )


def test_trials_do_not_depend_on_those_beside_them():
    data = [np.array(column) for column in zip(*map(random_trial, range(40)), strict=True)]
    together = trials.arrange(*data)
    for i in (0, 17, 39):
        alone = trials.arrange(*(column[i] for column in data))
        for test in (
            lambda arranged: trials.log_rank(arranged, COMBO).z,
            lambda arranged: trials.max_combo(trials.log_rank(arranged, COMBO)),
            lambda arranged: trials.hazard_ratio(arranged)[0],
            lambda arranged: trials.restricted_mean_difference(arranged, 8.0)[1],
        ):
            np.testing.assert_array_equal(test(together)[i], test(alone)[0])


def test_what_was_not_followed_cannot_be_compared():
    time, event, arm = random_trial(8)
    short = np.minimum(time, 5.0)
    arranged = trials.arrange(short, event & (time <= 5.0), arm)
    assert np.isnan(trials.restricted_mean_difference(arranged, 8.0)).all()
    assert np.isnan(trials.survival_difference(arranged, 8.0)).all()
    assert not np.isnan(trials.survival_difference(arranged, 5.0)).any()
    nobody = trials.arrange(time, np.zeros(120), arm)
    assert np.isnan(trials.log_rank(nobody).z).all()
    assert np.isnan(trials.max_combo(trials.log_rank(nobody, COMBO))).all()
    assert np.isnan(trials.hazard_ratio(nobody)).all()
    absent = trials.arrange(np.full(120, np.nan), event, arm)
    assert absent.number[0] == 0
    assert np.isnan(trials.log_rank(absent).z).all()
    assert np.isnan(trials.restricted_mean_difference(absent, 8.0)).all()


def test_an_arm_in_which_all_have_died_needs_no_follow_up():
    arranged = trials.arrange([1.0, 2.0, 4.0, 9.0], [1, 1, 1, 0], [0, 0, 1, 1])
    mean, _ = trials.restricted_mean_difference(arranged, 8.0)
    assert mean[0] == pytest.approx((4.0 + 0.5 * 4.0) - 1.5, abs=1e-12)


def test_max_combo_under_the_null_rejects_as_often_as_it_says():
    # 4,000 trials at level 0.1: the standard error is 0.0047, and 0.02 over four of them.
    rng = np.random.default_rng(3)
    shape = (4000, 100)
    arranged = trials.arrange(
        rng.exponential(1.0, shape), rng.random(shape) < 0.8, rng.random(shape) < 0.5
    )
    p = trials.max_combo(trials.log_rank(arranged, COMBO))
    assert np.mean(p <= 0.1) == pytest.approx(0.1, abs=0.02)


def test_risk_difference_and_newcombe():
    # Newcombe 1998, table II, example (a): 56/70 against 48/80, method 10.
    found = trials.newcombe(48, 80, 56, 70)
    assert (found.lower, found.upper) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    value, error = trials.risk_difference(48, 80, 56, 70)
    assert value == pytest.approx(0.2, abs=1e-12)
    # Wald, method 1 of the same table: 0.0575 to 0.3425.
    assert value - 1.959964 * error == pytest.approx(0.0575, abs=5e-5)
    assert value + 1.959964 * error == pytest.approx(0.3425, abs=5e-5)


@pytest.mark.parametrize("null", [-0.2, -0.05, 0.0, 0.1])
def test_farrington_manning_takes_the_most_likely_proportions(null):
    rng = np.random.default_rng(9)
    n_0, n_1 = rng.integers(20, 200, (2, 30))
    x_0, x_1 = rng.binomial(n_0, 0.6), rng.binomial(n_1, 0.7)
    found = trials.farrington_manning(x_0, n_0, x_1, n_1, null)

    for i in range(30):

        def unlikely(share, i=i):
            terms = (
                x_0[i] * math.log(share - null),
                (n_0[i] - x_0[i]) * math.log(1.0 - share + null),
                x_1[i] * math.log(share),
                (n_1[i] - x_1[i]) * math.log(1.0 - share),
            )
            return -sum(terms)

        edges = max(0.0, null) + 1e-9, min(1.0, 1.0 + null) - 1e-9
        best = minimize_scalar(unlikely, bounds=edges, method="bounded", options={"xatol": 1e-10}).x
        variance = best * (1.0 - best) / n_1[i] + (best - null) * (1.0 - best + null) / n_0[i]
        known = (x_1[i] / n_1[i] - x_0[i] / n_0[i] - null) / math.sqrt(variance)
        assert found[i] == pytest.approx(known, abs=1e-5)


def test_farrington_manning_without_a_margin_is_the_pooled_test():
    z = trials.farrington_manning(48, 80, 56, 70)
    pooled = 104 / 150
    known = 0.2 / math.sqrt(pooled * (1.0 - pooled) * (1 / 80 + 1 / 70))
    assert z == pytest.approx(known, abs=1e-10)
    assert np.isnan(trials.farrington_manning(0, 80, 0, 70))


TIMES, ONES = np.ones(4), np.array([1, 1, 1, 1])


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: trials.arrange(TIMES, ONES, [0, 1, 2, 1]), "arms are 0"),
        (lambda: trials.arrange(TIMES, ONES, [0, 1, 1]), "same shape"),
        (lambda: trials.arrange(-TIMES, ONES, ONES), "not below 0"),
        (lambda: trials.arrange([], [], []), "no patients"),
        (lambda: trials.arrange(TIMES, ONES, ONES, -ONES), "numbered from 0"),
        (lambda: trials.log_rank(trials.arrange(TIMES, ONES, ONES), [(0, -1.0)]), "rho and gamma"),
        (
            lambda: trials.max_combo(
                trials.log_rank(trials.arrange(TIMES, ONES, ONES), [(0.0, 0.0)] * 5)
            ),
            "at most four",
        ),
        (
            lambda: trials.survival_difference(trials.arrange(TIMES, ONES, ONES, ONES), 1.0),
            "without strata",
        ),
        (
            lambda: trials.restricted_mean_difference(trials.arrange(TIMES, ONES, ONES), 0.0),
            "tau is above 0",
        ),
        (lambda: trials.risk_difference(5, 4, 1, 4), "no more events than patients"),
        (lambda: trials.risk_difference(0, 0, 1, 4), "each arm has patients"),
        (lambda: trials.farrington_manning(1, 4, 1, 4, null=1.0), "between -1 and 1"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()
