"""Group-sequential boundaries against rpact 3.3.4, gsDesign 3.11, scipy and theory."""

import numpy as np
import pytest
from designs import three_looks_with_futility
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from crlm_sim.trials import spending
from crlm_sim.trials.boundaries import (
    classical_bounds,
    crossing,
    design_bounds,
    drift_for_power,
    efficacy_bounds,
    fixed_drift,
)

THIRDS = np.arange(1, 4) / 3
QUARTERS = np.arange(1, 5) / 4
DIGITS = 6e-7
"""rpact and gsDesign print eight digits and stop their searches at 1e-7 or so."""


@pytest.mark.parametrize(
    ("looks", "exponent", "known"),
    [
        (3, 0.0, [3.4710914, 2.4544323, 2.0040356]),
        (5, 0.0, [4.5617425, 3.2256391, 2.6337233, 2.2808713, 2.0400733]),
        (5, 0.5, [2.4131803] * 5),
    ],
)
def test_classical_bounds(looks, exponent, known):
    assert classical_bounds(looks, 0.025, exponent) == pytest.approx(known, abs=DIGITS)


@pytest.mark.parametrize(
    ("fractions", "function", "known"),
    [
        (THIRDS, spending.obrien_fleming, [3.7103029, 2.511427, 1.993048]),
        ([0.33, 0.67, 1.0], spending.obrien_fleming, [3.7306653, 2.5038714, 1.9937099]),
        ([0.66, 1.0], spending.obrien_fleming, [2.5241890, 1.9915604]),
        ([0.75, 1.0], spending.obrien_fleming, [2.3397113, 2.0117769]),
        (
            QUARTERS,
            spending.hwang_shih_decani(-4.0),
            [3.1553730, 2.8183471, 2.4391318, 2.0136473],
        ),
        (QUARTERS, spending.pocock, [2.3683277, 2.3675243, 2.3581683, 2.3500360]),
        (QUARTERS, spending.kim_demets(2.0), [2.9551668, 2.5593502, 2.3008553, 2.0919669]),
    ],
)
def test_bounds_by_spending(fractions, function, known):
    bounds = efficacy_bounds(fractions, 0.025, function)
    assert bounds == pytest.approx(known, abs=DIGITS)


def test_spent_and_inflation_of_lan_demets():
    spent = spending.obrien_fleming(THIRDS, 0.025)
    assert spent == pytest.approx([0.00010350572, 0.00604838913, 0.025], abs=1e-11)
    found = design_bounds(THIRDS, 0.025, 0.1, spending.obrien_fleming)
    assert found.inflation == pytest.approx(1.01185248, abs=DIGITS)


def test_gsdesign_with_its_defaults():
    found = design_bounds(
        THIRDS, 0.025, 0.1, spending.hwang_shih_decani(-4.0), spending.hwang_shih_decani(-2.0)
    )
    assert found.upper == pytest.approx([3.0107395, 2.5465306, 1.9992264], abs=DIGITS)
    assert found.lower == pytest.approx([-0.23872396, 0.94106735, 1.9992264], abs=DIGITS)
    information = found.inflation * THIRDS
    assert information == pytest.approx([0.35662773, 0.71325547, 1.0698832], abs=DIGITS)


def test_uneven_looks_with_futility():
    # gsDesign integrates on a coarser grid here: ours does not change with three times the nodes.
    found = three_looks_with_futility()
    assert found.upper == pytest.approx([4.3326336, 2.3398157, 2.0117915], abs=2e-6)
    assert found.lower == pytest.approx([-1.7018965, 0.67276783, 2.0117915], abs=4e-5)


@pytest.mark.parametrize("binding", [False, True])
def test_a_design_keeps_both_errors(binding):
    found = design_bounds(
        [0.4, 0.7, 1.0], 0.025, 0.2, spending.obrien_fleming, spending.pocock, binding
    )
    drift = found.drift * np.sqrt(found.fractions)
    truth = crossing(found.fractions, found.upper, found.lower, drift)
    assert truth.power == pytest.approx(0.8, abs=1e-10)
    assert truth.lower == pytest.approx(
        np.diff(spending.pocock(found.fractions, 0.2), prepend=0.0), abs=1e-10
    )
    ignored = crossing(found.fractions, found.upper, found.lower if binding else None, 0.0)
    assert ignored.power == pytest.approx(0.025, abs=1e-11)


def test_binding_futility_lowers_the_last_bound():
    arguments = THIRDS, 0.025, 0.1, spending.obrien_fleming, spending.obrien_fleming
    assert design_bounds(*arguments, binding=True).upper[-1] < design_bounds(*arguments).upper[-1]


def test_crossing_equals_the_multivariate_normal():
    fractions = np.array([0.3, 0.55, 1.0])
    means = np.array([0.4, 1.1, 0.9])
    covariance = np.sqrt(
        np.minimum.outer(fractions, fractions) / np.maximum.outer(fractions, fractions)
    )
    upper = np.array([2.6, 2.3, 2.0])
    found = crossing(fractions, upper, None, means)
    for looks in (1, 2, 3):
        law = multivariate_normal(
            means[:looks], covariance[:looks, :looks], abseps=1e-9, maxpts=2_000_000, seed=1
        )
        assert 1.0 - found.upper[:looks].sum() == pytest.approx(law.cdf(upper[:looks]), abs=1e-6)


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True),
    st.floats(0.005, 0.1),
    st.sampled_from(
        [
            spending.obrien_fleming,
            spending.pocock,
            spending.kim_demets(3.0),
            spending.hwang_shih_decani(-4.0),
            spending.hwang_shih_decani(0.0),
        ]
    ),
    st.floats(0.0, 4.0),
)
def test_any_design_spends_as_it_says_and_stops_somewhere(parts, alpha, function, drift):
    fractions = np.sort(parts) / max(parts)
    upper = efficacy_bounds(fractions, alpha, function)
    spent = np.cumsum(crossing(fractions, upper, None, 0.0).upper)
    assert spent == pytest.approx(function(fractions, alpha), abs=1e-11)
    lower = np.minimum(upper - 1.0, 0.5)
    lower[-1] = upper[-1]
    stops = crossing(fractions, upper, lower, drift * np.sqrt(fractions))
    assert stops.upper.sum() + stops.lower.sum() == pytest.approx(1.0, abs=1e-10)


def test_expected_information_of_a_trial_that_never_stops_is_all_of_it():
    never = crossing(THIRDS, [40.0, 40.0, 2.0], None, 3.0 * np.sqrt(THIRDS))
    assert never.expected(THIRDS) == pytest.approx(1.0, abs=1e-12)
    always = crossing(THIRDS, [-30.0, -30.0, 2.0], None, 3.0 * np.sqrt(THIRDS))
    assert always.expected(THIRDS) == pytest.approx(1 / 3, abs=1e-12)


def test_one_look_is_a_fixed_trial():
    assert design_bounds([1.0], 0.025, 0.1, spending.pocock).inflation == pytest.approx(
        1.0, abs=1e-12
    )
    assert drift_for_power([1.0], [1.959963984540054], None, 0.9) == pytest.approx(
        fixed_drift(0.025, 0.1), abs=1e-12
    )


def test_spending_given_by_hand():
    stated = spending.given([0.005, 0.012, 0.025])
    bounds = efficacy_bounds(THIRDS, 0.025, stated)
    assert crossing(THIRDS, bounds, None, 0.0).upper == pytest.approx(
        [0.005, 0.007, 0.013], abs=1e-12
    )


def test_a_look_that_may_spend_nothing_has_no_bound():
    bounds = efficacy_bounds(THIRDS, 0.025, spending.given([0.0, 0.01, 0.025]))
    assert bounds[0] == np.inf
    assert bounds[1] == pytest.approx(2.3263478740408408, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: efficacy_bounds([0.7, 0.3, 1.0], 0.025, spending.pocock), "rise from above 0"),
        (lambda: efficacy_bounds([0.0, 1.0], 0.025, spending.pocock), "rise from above 0"),
        (lambda: efficacy_bounds([0.5, 0.9], 0.025, spending.pocock), "last .* is 1"),
        (lambda: efficacy_bounds([], 0.025, spending.pocock), "one for each look"),
        (lambda: efficacy_bounds([np.nan, 1.0], 0.025, spending.pocock), "list of numbers"),
        (lambda: efficacy_bounds([0.5, 1.0], 1.5, spending.pocock), "alpha is between 0 and 1"),
        (
            lambda: efficacy_bounds(THIRDS, 0.025, spending.given([0.01, 0.015, 0.02])),
            "spending ends at 0.02 and not at the error rate to be spent, 0.025",
        ),
        (
            lambda: efficacy_bounds(THIRDS, 0.025, lambda t, total: 0.5 * total * t),
            "spending ends at 0.0125 and not",
        ),
        (
            lambda: efficacy_bounds(THIRDS, 0.025, spending.given([0.02, 0.01, 0.025])),
            "cumulative",
        ),
        (lambda: efficacy_bounds(THIRDS, 0.025, spending.given([0.01, 0.025])), "2 looks .* 3"),
        (lambda: spending.kim_demets(0.0), "above 0"),
        (lambda: design_bounds(THIRDS, 0.6, 0.5, spending.pocock), "together are below 1"),
        (lambda: crossing(THIRDS, [2.0, 2.0], None, 0.0), "one bound for each look"),
        (lambda: crossing(THIRDS, [2.0] * 3, [1.0, 3.0, 1.0], 0.0), "not above the upper"),
        (lambda: drift_for_power([1.0], [1.96], None, 0.01), "power is between 0.025"),
        (lambda: classical_bounds(0, 0.025, 0.0), "at least one look"),
    ],
)
def test_what_cannot_be_a_design_is_refused_in_words(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()
