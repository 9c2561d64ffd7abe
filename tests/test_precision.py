"""How many replications are enough: against sim-tools on the same numbers, and by hand."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_sim.outcomes.precision import expected, half_width, look_ahead, required

NEVER = 10_000


def noise(seed, size, spread=0.3):
    return 10.0 + spread * 10.0 * np.random.default_rng(seed).standard_normal(size)


class Played:
    """Numbers as sim-tools asks a model for them."""

    def __init__(self, values):
        self.values = values

    def single_run(self, replication_number):
        return {"wait": float(self.values[replication_number])}


@pytest.mark.filterwarnings("ignore:WARNING:UserWarning")
@pytest.mark.parametrize("precision", [0.05, 0.08, 0.15, 0.3])
@pytest.mark.parametrize("seed", range(8))
def test_a_run_stops_where_that_of_sim_tools_does(seed, precision):
    """Runs made, and replications recommended: the runs less the look-ahead.

    Above 100 runs the recommendation of sim-tools may be the earlier one of five to look ahead; the
    number of runs is compared there alone.
    """
    from sim_tools.output_analysis import ReplicationsAlgorithm

    values = noise(seed, 1000)
    theirs = ReplicationsAlgorithm(half_width_precision=precision, replication_budget=900)
    recommended, _ = theirs.select(Played(values), ["wait"])
    number, settled = required([(values, precision, True)], least=1, most=NEVER)
    assert settled
    assert number == theirs.n
    if number <= 100:
        assert number - look_ahead(number) == recommended["wait"]


@pytest.mark.parametrize("seed", range(3))
def test_half_widths_are_those_of_sim_tools(seed):
    from sim_tools.output_analysis import confidence_interval_method

    values = noise(seed, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, table = confidence_interval_method(
            values.tolist(), desired_precision=0.0, decimal_places=15
        )
    for number in range(3, 61):
        row = table.loc[number]
        assert half_width(values[:number]) == pytest.approx(
            row["Cumulative Mean"] - row["Lower Interval"], rel=1e-9
        )


def test_a_half_width_by_hand():
    """1, 2, 3: t with two degrees of freedom (tables) times 1 / √3; the unknown is left out."""
    assert half_width(np.array([1.0, math.nan, 2.0, 3.0])) == pytest.approx(
        4.30265 / 3**0.5, rel=1e-5
    )
    assert math.isnan(half_width(np.array([1.0])))


def test_the_look_ahead_grows_with_the_run():
    """Five, and above a hundred replications five of each hundred (Hoad and others)."""
    assert [look_ahead(n) for n in (3, 100, 119, 120, 200)] == [5, 5, 5, 6, 10]


def test_precision_must_stay_and_be_met_by_everything_at_once():
    """Precise from the third on; one far value loses it, and as many as before must then follow."""
    steady = np.array([10.0, 10.1, 9.9] * 20)
    assert required([(steady, 0.05, True)], 1, NEVER) == (8, True)
    assert required([(steady, 0.05, True)], 30, NEVER) == (30, True)
    assert required([(steady, 0.05, True)], 1, 6) == (6, False)
    jolted = steady.copy()
    jolted[5] = 13.0
    alone = required([(jolted, 0.05, True)], 1, NEVER)[0]
    assert alone > 8
    both = [(jolted, 0.05, True), (steady, 0.05, True)]
    assert required(both, 1, NEVER) == (alone, True)
    absolute = [(steady, 0.5, False)]
    assert required(absolute, 1, NEVER) == required([(steady, 0.05, True)], 1, NEVER)


@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.2, 0.4]), st.integers(1, 20))
@settings(deadline=None, max_examples=50)
def test_asking_as_they_come_never_plays_one_too_many(seed, precision, least):
    """From any number on, what is asked for next is never beyond where all at once would stop."""
    values = noise(seed, 400)
    number, settled = required([(values, precision, True)], least, 400)
    done = 0
    while True:
        wanted, now = required([(values[:done], precision, True)], least, 400)
        assert wanted <= number
        if wanted <= done:
            break
        done = wanted
    assert (wanted, now) == (number, settled)


def test_a_mean_of_nothing_that_never_varies_is_precise():
    assert required([(np.zeros(20), 0.05, True)], 1, NEVER) == (8, True)
    nobody = np.full(20, math.nan)
    assert required([(nobody, 0.05, True)], 1, 20) == (20, False)


@given(st.integers(0, 2**32), st.sampled_from([0.01, 0.05, 0.2]))
@settings(deadline=None, max_examples=30)
def test_the_replications_expected_are_the_fewest_that_do(seed, precision):
    """By scipy's Student quantile: so many are enough, and one fewer is not."""
    from scipy.stats import t

    values = noise(seed, 30)
    wanted = precision * abs(values.mean())

    def half(number):
        return t.ppf(0.975, number - 1) * values.std(ddof=1) / math.sqrt(number)

    number = expected(values, precision, True)
    assert half(number) <= wanted * (1 + 1e-9)
    assert number == 2 or half(number - 1) > wanted * (1 - 1e-9)


def test_nothing_is_expected_where_nothing_can_be_told():
    assert expected(np.array([1.0]), 0.05, True) is None
    assert expected(np.array([1.0, -1.0]), 0.05, True) is None
    assert expected(np.array([2.0, 2.0]), 0.05, True) == 2
