"""Random numbers: the right generator, distinct keys, uniforms and quantiles as they should be.

Known answers: the Philox4x32-10 vectors of Random123 (kat_vectors, Salmon et al. 2011); quantiles
from scipy. Philox is also held to a second implementation in Python integers, kept here.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from crlm_sim import streams
from crlm_sim.engines.cohort import blank_patients

WORDS = st.integers(0, streams.WORD - 1)
ONES = 0xFFFFFFFF
KNOWN_ANSWERS = [
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES), (ONES,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
CHI_SQUARE_ALPHA = 1e-6
"""Chance that one equidistribution test fails a perfect generator; the numbers are fixed."""


def philox(key, counter):
    return tuple(int(w) for w in streams.philox(*(np.uint64(w) for w in (*key, *counter))))


def philox_in_integers(key, counter):
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


@pytest.mark.parametrize(("key", "counter", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(key, counter, answer):
    assert philox(key, counter) == answer


@given(st.tuples(WORDS, WORDS), st.tuples(WORDS, WORDS, WORDS, WORDS))
def test_philox_agrees_with_arithmetic_on_python_integers(key, counter):
    assert philox(key, counter) == philox_in_integers(key, counter)


def test_key_and_counter_words_are_where_the_documentation_says():
    seed, draw, patient, replicate, purpose, occurrence = 7, 11, 13, 17, 19, 23
    w0, w1, w2, w3 = philox_in_integers((seed, draw), (patient, replicate, purpose, occurrence))
    u, v = streams.uniform_pair_at(seed, draw, patient, replicate, purpose, occurrence)
    assert u == pytest.approx((w0 * 2**32 + w1 + 0.5) / 2**64, abs=2e-16)
    assert v == pytest.approx((w2 * 2**32 + w3 + 0.5) / 2**64, abs=2e-16)


def test_a_patient_draws_from_their_own_fields():
    patients = blank_patients(40, 3, seed=5, draw=2, replicate=9)
    for patient in patients:
        expected = streams.uniform_pair_at(5, 2, int(patient["patient"]), 9, streams.SCAN, 4)
        assert streams.uniform_pair(patient, streams.SCAN, 4) == expected
        assert streams.uniform(patient, streams.SCAN, 4) == expected[0]
        normals = tuple(special.ndtri(expected))
        assert streams.normal_pair(patient, streams.SCAN, 4) == pytest.approx(normals, rel=1e-12)


def test_each_purpose_has_its_name_and_a_number_of_its_own():
    for number, name in enumerate(streams.PURPOSES):
        assert getattr(streams, name.upper()) == number
    assert len(set(streams.PURPOSES)) == len(streams.PURPOSES)


@given(WORDS, WORDS, WORDS, WORDS, st.integers(0, len(streams.PURPOSES) - 1), WORDS)
def test_uniforms_lie_inside_the_unit_interval(seed, draw, patient, replicate, purpose, occurrence):
    for u in streams.uniform_pair_at(seed, draw, patient, replicate, purpose, occurrence):
        assert 0.0 < u < 1.0


def test_no_two_places_of_a_grid_share_a_number():
    """A formula that mixes seed, run and patient linearly fails here (2,881 of 100,000)."""
    near = (0, 1, 2, 3, 1000, 2**16, 2**31, ONES)
    seen = set()
    places = 0
    for seed in near:
        for draw in near:
            for replicate in near:
                for patient in (*near, 999, 1001):
                    for purpose in (0, 1, streams.ARRIVAL):
                        for occurrence in (0, 1, 47):
                            words = (seed, draw, patient, replicate, purpose, occurrence)
                            seen.update(streams.uniform_pair_at(*words))
                            places += 2
    assert len(seen) == places


def test_a_hundred_thousand_patients_have_a_hundred_thousand_streams():
    size = 100_000
    seen = {streams.uniform_pair_at(1, 0, patient, 0, streams.AGE, 0)[0] for patient in range(size)}
    assert len(seen) == size
    again = {
        streams.uniform_pair_at(1, 0, patient, 1, streams.AGE, 0)[0] for patient in range(size)
    }
    assert len(seen | again) == 2 * size


def sample(size, at):
    return np.array([streams.uniform_pair_at(*at(i)) for i in range(size)])


ALONG = {
    "patients": lambda i: (1, 0, i, 0, streams.AGE, 0),
    "replicates": lambda i: (1, 0, 0, i, streams.AGE, 0),
    "draws": lambda i: (1, i, 77, 0, streams.PARAMETER, 0),
    "seeds": lambda i: (i, 0, 0, 0, streams.AGE, 0),
    "occurrences": lambda i: (1, 0, 0, 0, streams.SCAN, i),
}


@pytest.mark.parametrize("along", ALONG)
def test_numbers_are_equidistributed_and_uncorrelated(along):
    """Chi-square in 100 cells and in 10 × 10 of pairs; each test fails by chance once in 10⁶."""
    size = 20_000
    pairs = sample(size, ALONG[along])
    for column in pairs.T:
        counts = np.histogram(column, 100, (0.0, 1.0))[0]
        assert stats.chisquare(counts).pvalue > CHI_SQUARE_ALPHA
    neighbours = np.column_stack([pairs[:-1, 0], pairs[1:, 0]])
    for two in (pairs, neighbours):
        counts = np.histogram2d(*two.T, 10, [[0, 1], [0, 1]])[0].ravel()
        assert stats.chisquare(counts).pvalue > CHI_SQUARE_ALPHA
        assert abs(np.corrcoef(two.T)[0, 1]) < 4.9 / np.sqrt(size)


def test_the_normal_quantile_agrees_with_scipy():
    tails = 10.0 ** np.linspace(-300, -1, 600)
    middle = np.linspace(1e-3, 1.0 - 1e-3, 4001)
    for p in (*tails, *middle, *(1.0 - 10.0 ** np.linspace(-15, -1, 200))):
        expected = special.ndtri(p)
        assert streams.normal_quantile(p) == pytest.approx(expected, rel=1e-13, abs=1e-15)


@given(st.floats(1e-300, 1.0 - 1e-15), st.floats(1e-300, 1.0 - 1e-15))
def test_the_normal_quantile_keeps_the_order(p, q):
    low, high = sorted((p, q))
    assert streams.normal_quantile(low) <= streams.normal_quantile(high)


@settings(max_examples=300)
@given(st.floats(1e-9, 1.0 - 1e-9), st.floats(0.0, 60.0))
def test_the_poisson_quantile_agrees_with_scipy(u, mean):
    n = streams.poisson_quantile(u, mean, 10_000)
    rounding = 1e-12
    assert stats.poisson.cdf(n, mean) >= u - rounding
    assert n == 0 or stats.poisson.cdf(n - 1, mean) < u + rounding


def test_the_poisson_quantile_stops_at_the_largest():
    assert streams.poisson_quantile(0.999999, 30.0, 7) == 7
    assert streams.poisson_quantile(0.5, 30.0, 0) == 0
    assert streams.poisson_quantile(1e-12, 30.0, 7) == 0 or stats.poisson.cdf(0, 30.0) < 1e-12
