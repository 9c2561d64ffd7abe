"""Cox's hazard ratio and Harrell's c against lifelines, which reckons them its own way."""

import warnings

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.datasets import load_lung
from lifelines.utils import concordance_index

from crlm_sim.outcomes.hazards import concordance, log_hazard_ratio


def tied(seed, size=300):
    random = np.random.default_rng(seed)
    group = random.random(size) < 0.4
    times = np.ceil(random.exponential(np.where(group, 8.0, 12.0)))
    return times, random.random(size) < 0.8, group


def test_the_lung_data_as_r_and_lifelines_reckon_them():
    # survival::coxph, Efron: HR 0.58800282 of sex 2 against 1, standard error 0.16717858
    lung = load_lung()
    value, error = log_hazard_ratio(
        lung["time"].to_numpy(), lung["status"].to_numpy() == 1, lung["sex"].to_numpy() == 2
    )
    assert np.exp(value) == pytest.approx(0.58800282, abs=1e-7)
    assert error == pytest.approx(0.16717858, abs=1e-7)


@pytest.mark.parametrize("seed", range(20))
def test_cox_with_ties_agrees_with_lifelines(seed):
    times, events, group = tied(seed)
    frame = pd.DataFrame({"t": times, "e": events, "g": group.astype(float)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = CoxPHFitter().fit(frame, "t", "e")
    value, error = log_hazard_ratio(times, events, group)
    assert value == pytest.approx(fitted.params_["g"], abs=1e-5)
    assert error == pytest.approx(fitted.standard_errors_["g"], abs=1e-5)
    back, same = log_hazard_ratio(times, events, ~group)
    assert back == pytest.approx(-value, abs=1e-8)
    assert same == pytest.approx(error, abs=1e-8)


def test_a_group_without_events_has_no_ratio():
    times, events, group = tied(1)
    assert np.isnan(log_hazard_ratio(times, events & ~group, group)[0])
    assert np.isnan(log_hazard_ratio(times, np.zeros_like(events), group)[0])


def test_equal_groups_have_ratio_one():
    times, events, _ = tied(2)
    twice = np.concatenate([times, times]), np.concatenate([events, events])
    group = np.repeat([False, True], len(times))
    assert log_hazard_ratio(*twice, group)[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_concordance_agrees_with_lifelines(seed):
    times, events, _ = tied(seed)
    score = np.random.default_rng(seed).integers(0, 6, len(times))
    expected = concordance_index(times, -score.astype(float), events)
    assert concordance(times, events, score) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_hazard_ratio_depends_on_the_order_of_times_alone(seed):
    times, events, group = tied(seed)
    known = log_hazard_ratio(times, events, group)
    assert log_hazard_ratio(times**3 + 5.0, events, group) == known
    mixed = np.random.default_rng(seed).permutation(len(times))
    assert log_hazard_ratio(times[mixed], events[mixed], group[mixed]) == pytest.approx(
        known, abs=1e-12
    )


def test_four_patients_by_hand():
    # Deaths at 1 (group), 2 (rest), 3 (group), 4 (rest); at risk 2 + 2, 1 + 2, 1 + 1, 0 + 1. With
    # the ratio r the score is 2 − 2 r / (r + 1) − r / (r + 2), which is nought for r² − r = 4.
    times = np.array([1.0, 2.0, 3.0, 4.0])
    group = np.array([True, False, True, False])
    value, error = log_hazard_ratio(times, np.ones(4, bool), group)
    ratio = (1.0 + np.sqrt(17.0)) / 2.0
    assert value == pytest.approx(np.log(ratio), abs=1e-9)
    one, two = ratio / (ratio + 1.0), ratio / (ratio + 2.0)
    information = 2.0 * one * (1.0 - one) + two * (1.0 - two)
    assert error == pytest.approx(1.0 / np.sqrt(information), abs=1e-9)


def test_the_ratio_of_exponential_times_is_that_of_their_rates():
    # 400 samples of 2 × 200: the mean log ratio has a standard error of √(2/200)/20 = 0.005, so
    # 0.02 is four of them; the spread must be the mean standard error to within 15 %, over four.
    random = np.random.default_rng(11)
    group = np.repeat([True, False], 200)
    found = []
    for _ in range(400):
        times = random.exponential(np.where(group, 1.0, 0.7))
        found.append(log_hazard_ratio(times, np.ones(400, bool), group))
    values, errors = np.array(found).T
    assert values.mean() == pytest.approx(np.log(0.7), abs=0.02)
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.15)


def test_groups_of_which_one_dies_first_have_no_ratio():
    times = np.arange(1.0, 41.0)
    group = times <= 20.0
    assert np.isnan(log_hazard_ratio(times, np.ones(40, bool), group)).all()
    assert np.isnan(log_hazard_ratio(times, np.ones(40, bool), np.ones(40, bool))).all()


def test_nobody_and_one_patient_have_no_ratio():
    nobody = np.zeros(0, bool)
    assert np.isnan(log_hazard_ratio(np.zeros(0), nobody, nobody)).all()
    assert np.isnan(log_hazard_ratio(np.ones(1), np.ones(1, bool), np.ones(1, bool))).all()


def test_concordance_of_a_perfect_a_reversed_and_a_constant_score():
    times = np.arange(1.0, 31.0)
    events = np.arange(30) % 3 > 0
    assert concordance(times, events, -times) == 1.0
    assert concordance(times, events, times) == 0.0
    assert concordance(times, events, np.zeros(30)) == 0.5
    assert np.isnan(concordance(times, np.zeros(30, bool), times))


@pytest.mark.parametrize("seed", range(3))
def test_a_score_turned_round_has_the_rest_of_the_concordance(seed):
    times, events, _ = tied(seed)
    score = np.random.default_rng(seed).integers(0, 6, len(times))
    whole = concordance(times, events, score) + concordance(times, events, -score)
    assert whole == pytest.approx(1.0, abs=1e-12)
