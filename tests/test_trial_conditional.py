"""Conditional power by hand, and against what becomes of trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from designs import eortc
from scipy.stats import norm
from test_trial_files import trial

from crlm_sim.trials.boundaries import design_bounds
from crlm_sim.trials.conditional import conditional_power, told
from crlm_sim.trials.looks import stop
from crlm_sim.trials.operating import operating
from crlm_sim.trials.spending import obrien_fleming


def test_by_hand():
    """Half of the information, z of 1, bound 1.96: with no effect, the trend, a drift of 2.8."""
    z = np.array([1.0])
    root = math.sqrt(0.5)
    for drift, mean in ((0.0, root), (1.0 / root, root + root), (2.8, root + 1.4)):
        expected = norm.sf((1.96 - mean) / root)
        assert conditional_power(z, 0.5, 1.96, drift)[0] == pytest.approx(expected)
    with pytest.raises(ValueError, match="interim look"):
        conditional_power(z, 1.0, 1.96, 0.0)


def test_its_mean_is_what_becomes_of_the_trials_that_go_on():
    """100,000 pairs of z with the planned drift: within four standard errors (1 seed in 16,000)."""
    bounds = design_bounds([0.4, 1.0], 0.025, 0.2, obrien_fleming, obrien_fleming)
    first, more = np.random.default_rng(1).normal(size=(2, 100_000))
    first += bounds.drift * math.sqrt(0.4)
    last = first * math.sqrt(0.4) + more * math.sqrt(0.6) + bounds.drift * 0.6
    z = np.column_stack([first, last])
    stops = stop(z, bounds.upper, bounds.lower)
    found = told(z, stops, bounds, 0, bounds.drift)
    on = int((stops.look > 0).sum())
    error = math.sqrt(found["shown"] * (1.0 - found["shown"]) / on)
    assert abs(found["planned"]["mean"] - found["shown"]) < 4.0 * error
    assert found["trend"]["p05"] < found["planned"]["p05"]
    assert told(z, stops, bounds, 1, bounds.drift) is None


def test_trials_tell_it_of_their_interim_looks(tmp_path):
    first, last = operating(trial(tmp_path), 100)["looks"]
    assert 0.0 < first["conditional_power"]["planned"]["median"] < 1.0
    assert last["conditional_power"] is None


@pytest.mark.slow
def test_under_the_planned_ratio_it_is_what_becomes_of_them():
    """20,000 trials of EORTC 40983 with 0.71 imposed: 3.3 standard errors and a point."""
    looks = operating(eortc(0.71, "design.looks=[0.5, 1.0]"), 20_000)["looks"]
    found = looks[0]["conditional_power"]
    error = math.sqrt(found["shown"] * (1.0 - found["shown"]) / 20_000)
    assert abs(found["planned"]["mean"] - found["shown"]) < 0.01 + 3.3 * error
