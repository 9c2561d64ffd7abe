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
