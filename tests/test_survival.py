"""Survival estimates against lifelines, survRM2, scipy and hand counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.datasets import load_lung
from lifelines.utils import median_survival_times
from scipy import stats

from crlm_sim.outcomes import survival as km


def counts(days: np.ndarray, happened: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(events, censored) by day, from durations in whole days."""
    size = int(days.max()) + 1
    events = np.bincount(days[happened], minlength=size)
    return events, np.bincount(days[~happened], minlength=size)


def lung(sex: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    table = load_lung()
    if sex is not None:
        table = table[table["sex"] == sex]
    return table["time"].to_numpy(), table["status"].to_numpy() == 1


def random_sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    event, censoring = rng.exponential(400.0, 180), rng.uniform(0.0, 1500.0, 180)
    return np.minimum(event, censoring).astype(int), event <= censoring


SAMPLES = {
    "lung": lung(),
    "lung men": lung(1),
    "random": random_sample(1),
    "other": random_sample(2),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_curve_interval_and_median_equal_lifelines(name: str) -> None:
    days, happened = SAMPLES[name]
    curve = km.kaplan_meier(*counts(days, happened))
    known = KaplanMeierFitter().fit(days, happened, timeline=np.arange(days.max() + 1))
    np.testing.assert_allclose(curve.survival, known.survival_function_.iloc[:, 0], atol=1e-12)
    lower, upper = km.log_log_interval(curve)
    inside = (curve.survival > 0.0) & (curve.survival < 1.0)
    band = known.confidence_interval_.to_numpy()
    np.testing.assert_allclose(lower[inside], band[inside, 0], rtol=1e-9)
    np.testing.assert_allclose(upper[inside], band[inside, 1], rtol=1e-9)
    assert (lower[curve.survival == 1.0] == 1.0).all()
    median = km.median(curve)
    interval = median_survival_times(known.confidence_interval_).to_numpy()[0]
    assert median.estimate == known.median_survival_time_
    np.testing.assert_array_equal([median.lower, median.upper], interval)


def test_numbers_at_risk_and_greenwood_by_hand() -> None:
    # Day 1: 2 of 10 die and 1 is censored; day 3: 1 of 7 dies, the other 6 are censored.
    events, censored = np.array([0, 2, 0, 1]), np.array([0, 1, 0, 6])
    curve = km.kaplan_meier(events, censored)
    assert curve.at_risk.tolist() == [10, 10, 7, 7]
    np.testing.assert_allclose(curve.survival, [1.0, 0.8, 0.8, 0.8 * 6 / 7])
    error = 0.8 * 6 / 7 * math.sqrt(2 / (10 * 8) + 1 / (7 * 6))
    np.testing.assert_allclose(curve.standard_error[3], error)


def test_leading_axes_are_separate_samples() -> None:
    events = np.array([[1, 0, 2], [0, 3, 0]])
    censored = np.array([[0, 4, 0], [1, 0, 1]])
    both = km.kaplan_meier(events, censored)
    for row in range(2):
        single = km.kaplan_meier(events[row], censored[row])
        np.testing.assert_array_equal(both.survival[row], single.survival)
        np.testing.assert_array_equal(both.variance_sum[row], single.variance_sum)


@pytest.mark.parametrize(("corrected", "known"), [(False, 14.958126), (True, 15.111256)])
def test_restricted_mean_difference_of_lung(corrected: bool, known: float) -> None:
    """Sex 1 against 2 up to day 365: Greenwood's variance plain, and times m / (m − 1)."""
    means, errors = [], []
    for sex in (1, 2):
        curve = km.kaplan_meier(*counts(*lung(sex)))
        mean, error = km.restricted_mean(curve, 365.0, corrected=corrected)
        means.append(mean.estimate)
        errors.append(error)
    assert means[1] - means[0] == pytest.approx(55.970324, abs=1e-6)
    assert math.hypot(*errors) == pytest.approx(known, abs=1e-6)


def test_restricted_mean_without_censoring_is_the_mean_and_its_error() -> None:
    days = np.array([2, 4, 4, 7, 30])
    curve = km.kaplan_meier(*counts(days, np.ones(5, bool)))
    mean, error = km.restricted_mean(curve, 10.5)
    cut = np.minimum(days, 10.5)
    assert mean.estimate == pytest.approx(cut.mean())
    assert error == pytest.approx(cut.std() / math.sqrt(5))
    assert mean.upper - mean.estimate == pytest.approx(1.959963984540054 * error)


def test_what_was_not_followed_is_not_estimated() -> None:
    curve = km.kaplan_meier(np.array([0, 1, 0, 0]), np.array([0, 0, 0, 3]))
    assert km.survival_at(curve, 3.9).estimate == 0.75
    assert math.isnan(km.survival_at(curve, 4.0).estimate)
    assert math.isnan(km.restricted_mean(curve, 5.0)[0].estimate)
    assert math.isnan(km.median(curve).estimate)
    nobody = km.kaplan_meier(np.zeros(4, int), np.zeros(4, int))
    assert math.isnan(km.survival_at(nobody, 1.0).estimate)


def test_survival_of_all_or_none_has_wilsons_interval() -> None:
    curve = km.kaplan_meier(np.array([0, 0, 5]), np.array([0, 1, 0]))
    everyone, none = km.survival_at(curve, 0.0), km.survival_at(curve, 100.0)
    assert (everyone.estimate, everyone.upper) == (1.0, 1.0)
    assert everyone.lower == pytest.approx(km.wilson(6, 6).lower)
    assert (none.estimate, none.lower) == (0.0, 0.0)
    assert none.upper == pytest.approx(km.wilson(0, 6).upper)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (81, 263), (10, 10)])
def test_wilson_equals_scipy(successes: int, trials: int) -> None:
    found = km.wilson(successes, trials)
    known = stats.binomtest(successes, trials).proportion_ci(0.95, "wilson")
    assert found.estimate == successes / trials
    assert found.lower == pytest.approx(known.low, abs=1e-12)
    assert found.upper == pytest.approx(known.high, abs=1e-12)


def test_wilson_of_nobody_is_nan() -> None:
    assert math.isnan(km.wilson(0, 0).estimate)


def test_mean_interval_equals_scipy() -> None:
    values = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    found = km.mean_interval(int(values.sum()), int((values**2).sum()), len(values))
    known = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose([found.lower, found.upper], [known.low, known.high], rtol=1e-9)
    assert found.estimate == values.mean()
    assert math.isnan(km.mean_interval(3, 9, 1).lower)
    assert math.isnan(km.mean_interval(0, 0, 0).estimate)


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.975, 0.9995])
def test_t_quantile_equals_scipy(probability: float) -> None:
    for df in (*range(1, 31), 59, 98, 99, 199, 200, 201, 500, 9_999, 10**7):
        known = stats.t.ppf(probability, df)
        assert km.t_quantile(probability, df) == pytest.approx(known, rel=1e-9, abs=1e-9)
