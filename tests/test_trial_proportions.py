"""Sizes and powers of two proportions and two means, against other programs and counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crlm_sim.trials.boundaries import Bounds, drift_for_power, fixed_drift
from crlm_sim.trials.comparisons import farrington_manning
from crlm_sim.trials.proportions import two_means, two_proportions


def test_rs_power_prop_test():
    """power.prop.test of R, the examples of its manual: power 0.740, 76.7 patients an arm."""
    contrast = two_proportions(0.50, 0.75)
    assert contrast.power(0.025, 100) == pytest.approx(0.740, abs=5e-4)
    assert contrast.patients(0.025, 0.1) / 2 == pytest.approx(76.7, abs=0.05)


def test_gsdesigns_non_inferiority_with_two_to_one():
    """nBinomial(p1 = .677, p2 = .677, delta0 = .07, ratio = 2): 685.5569 and 1371.114.

    As printed by M. Schwartz on R-help, 15 November 2011, with gsDesign of the time (90 % power).
    """
    size = two_proportions(0.677, 0.677, 2.0, margin=0.07).patients(0.025, 0.1)
    assert size == pytest.approx(2056.671, abs=5e-4)
    assert size / 3 == pytest.approx(685.5569, abs=5e-5)


def test_rpacts_group_sequential_rates():
    """getSampleSizeRates(pi1 = 0.5, pi2 = 0.3) with three looks of Wang & Tsiatis: 261.60183.

    From the unit tests of rpact (test-f_design_plan_rates.R): looks at 0.2, 0.5 and 1, alpha 0.025,
    power 0.9; the bounds are those its tests state as p.
    """
    fractions = np.array([0.2, 0.5, 1.0])
    upper = stats.norm.isf([0.0020595603, 0.0084585282, 0.018794214])
    inflation = (drift_for_power(fractions, upper, None, 0.9) / fixed_drift(0.025, 0.1)) ** 2
    contrast = two_proportions(0.3, 0.5)
    size = contrast.patients(0.025, 0.1) * inflation
    assert size == pytest.approx(261.60183, rel=1e-7)
    bounds = Bounds(fractions, upper, np.full(3, -np.inf))
    rejected = contrast.crossing(bounds, size).upper
    assert rejected.sum() == pytest.approx(0.9, abs=0.005)


@pytest.mark.parametrize(
    ("control", "other", "margin"), [(0.3, 0.5, 0.0), (0.2, 0.2, 0.15), (0.06, 0.18, 0.0)]
)
def test_power_is_that_of_all_tables(control, other, margin):
    """120 patients an arm: the formula for large samples is within two points of all tables."""
    each = 120
    counts = np.arange(each + 1)
    z = farrington_manning(counts[:, None], each, counts[None, :], each, -margin)
    shown = np.nan_to_num(z, nan=-np.inf) >= stats.norm.isf(0.025)
    chance = np.outer(stats.binom.pmf(counts, each, control), stats.binom.pmf(counts, each, other))
    power = two_proportions(control, other, margin=margin).power(0.025, 2 * each)
    assert power == pytest.approx(chance[shown].sum(), abs=0.02)


@given(
    control=st.floats(0.05, 0.9),
    difference=st.floats(0.01, 0.09),
    allocation=st.sampled_from([0.5, 1.0, 2.0]),
    margin=st.floats(0.0, 0.2),
)
def test_power_of_the_size_is_the_power_asked_for(control, difference, allocation, margin):
    for score in (True, False):
        contrast = two_proportions(control, control + difference, allocation, margin, score)
        size = contrast.patients(0.025, 0.2)
        assert contrast.power(0.025, size) == pytest.approx(0.8, abs=1e-9)


def test_without_a_margin_the_score_pools_both_arms():
    contrast = two_proportions(0.2, 0.4, 2.0)
    pooled = (0.2 + 2 * 0.4) / 3
    assert contrast.null_error**2 == pytest.approx(3 * pooled * (1 - pooled) * (1 + 1 / 2))
    assert contrast.error**2 == pytest.approx(3 * (0.2 * 0.8 + 0.4 * 0.6 / 2))


def test_two_means_are_those_of_the_textbook():
    """Half a standard deviation at 80 %: 2 · (1.96 + 0.8416)² · 4 = 62.79 an arm."""
    size = two_means(0.5, 1.0, 1.0).patients(0.025, 0.2)
    assert size / 2 == pytest.approx(62.79, abs=0.005)
    assert two_means(0.0, 1.0, 2.0, margin=1.0).error == pytest.approx(np.sqrt(2 * 5))


def test_nothing_to_test_is_refused():
    with pytest.raises(ValueError, match="never vary"):
        two_proportions(0.0, 1.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        two_proportions(0.5, 1.1)
    with pytest.raises(ValueError, match="above its null"):
        two_proportions(0.5, 0.5).patients(0.025, 0.2)
    with pytest.raises(ValueError, match="never vary"):
        two_means(1.0, 0.0, 0.0)
