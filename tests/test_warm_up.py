"""The warm-up suggested: MSER by hand, on series of known shape, and on a queue that fills."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_sim.outcomes.warm_up import moving_average, mser


def test_mser_by_hand():
    """0, 4, 5, 3, 4, 4, 5, 3: squares about the mean of the rest, by the number squared.

    None out: mean 3.5, squares 18, 18/64. One out: mean 4, squares 4, 4/49, the least. Two out: the
    same mean, 4/36.
    """
    assert mser(np.array([0.0, 4.0, 5.0, 3.0, 4.0, 4.0, 5.0, 3.0]), batch=1) == 1


def test_mser_of_batches_by_hand():
    """Means of five: 2, 10, 9, 11, 10. One batch out is least: 2/16 against 54.8/25 and 2/9."""
    means = [2.0, 10.0, 9.0, 11.0, 10.0]
    values = [mean + off for mean in means for off in (-1, 1, 0, 2, -2)]
    assert mser(np.array(values)) == 5


@given(st.floats(-100, 100), st.integers(10, 400))
def test_a_constant_series_is_kept_whole(level, length):
    assert mser(np.full(length, level)) == 0


@given(st.integers(20, 80), st.data())
def test_a_step_is_cut_where_it_is(batches, data):
    step = data.draw(st.integers(0, (batches - 1) // 2 - 1))
    values = np.ones(5 * batches)
    values[: 5 * step] = 3.0
    assert mser(values) == 5 * step


@given(st.floats(0.01, 10), st.integers(4, 80))
def test_what_rises_to_the_end_has_no_steady_state(slope, batches):
    assert mser(slope * np.arange(5 * batches)) is None


def mean_queue(load, seed, replications=30, steps=600, jobs_a_step=5):
    """Customers found waiting or served by M/M/1 from empty, mean over replications, by step.

    A step is as long as five services take. By uniformisation: with probability load / (1 + load)
    the next event is an arrival.
    """
    rng = np.random.default_rng(seed)
    events = int(jobs_a_step * (1.0 + load))
    change = np.where(rng.random((replications, steps * events)) < load / (1.0 + load), 1, -1)
    number = np.zeros(replications, int)
    found = np.zeros((steps, replications))
    for place in range(steps * events):
        number = np.maximum(number + change[:, place], 0)
        found[place // events] += number
    return found.mean(axis=1) / events


def cuts(load):
    found = [mser(mean_queue(load, seed)) for seed in range(20)]
    return [np.inf if one is None else one for one in found]


def test_the_truncation_of_a_queue_rises_with_its_load():
    """M/M/1 forgets an empty start in a time that grows as 1 / (1 − √load)².

    Medians of 20 runs of 30 replications; that of load 1.2 finds none.
    """
    cut = {load: np.median(cuts(load)) for load in (0.5, 0.8, 0.9)}
    assert cut[0.5] < cut[0.8] < cut[0.9] < np.inf
    assert all(mser(mean_queue(1.2, seed)) is None for seed in range(5))


def test_a_moving_average_by_hand():
    """Welch's: one value, then three, then five, while there are so many on both sides."""
    values = np.array([1.0, 2.0, 6.0, 4.0, 5.0, 9.0])
    assert moving_average(values, 2).tolist() == pytest.approx([1.0, 3.0, 18 / 5, 26 / 5])
    assert moving_average(values, 0).tolist() == values.tolist()
