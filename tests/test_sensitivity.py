"""Tornado, Sobol and Morris against functions whose answers are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from crlm_sim.outcomes import decision as cea
from crlm_sim.outcomes import sensitivity


def test_a_tornado_has_the_conditional_means_at_its_ends() -> None:
    # INB = 800 t1 − 600 t2 + 100 of independent normals: E[INB | t1] = 800 t1 + 100.
    t = np.random.default_rng(1).standard_normal((20_000, 3))
    benefit = 800 * t[:, 0] - 600 * t[:, 1] + 100
    nothing = np.zeros(len(t))
    effect = np.column_stack([benefit / 50, nothing, nothing])
    draws = cea.draws_of(["new", "usual", "other"], np.zeros((20_000, 3)), effect)
    middle, bars = sensitivity.tornado(
        draws, 50.0, ["inert", "t1", "t2"], t[:, [2, 0, 1]], "new", "usual"
    )
    assert middle == pytest.approx(benefit.mean())
    assert [bar.parameter for bar in bars] == ["t1", "t2", "inert"]
    for bar, slope in zip(bars, [800, -600, 0], strict=True):
        # The quantiles of 20,000 draws err by 0.019; the curve's ends by 600/√20,000 times a
        # leverage of about 5.
        np.testing.assert_allclose([bar.low, bar.high], [-1.96, 1.96], atol=4 * 0.019)
        ends = [slope * bar.low + 100, slope * bar.high + 100]
        np.testing.assert_allclose([bar.at_low, bar.at_high], ends, atol=85)
    _, mirrored = sensitivity.tornado(
        draws, 50.0, ["inert", "t1", "t2"], t[:, [2, 0, 1]], "usual", "new"
    )
    assert [bar.at_low for bar in mirrored] == [-bar.at_low for bar in bars]


ISHIGAMI = dict.fromkeys(("x1", "x2", "x3"), (-math.pi, math.pi))


def test_sobol_shares_of_the_ishigami_function() -> None:
    # sin x1 + 7 sin² x2 + 0.1 x3⁴ sin x1; shares as in Saltelli et al., Global Sensitivity
    # Analysis, 2008. With 4,096 points the intervals' halves are below 0.05.
    x = sensitivity.sobol_design(ISHIGAMI, 4096, seed=0)
    outputs = np.sin(x[:, 0]) * (1 + 0.1 * x[:, 2] ** 4) + 7 * np.sin(x[:, 1]) ** 2
    shares = sensitivity.sobol_shares(ISHIGAMI, outputs, seed=0)
    assert [share.parameter for share in shares] == ["x1", "x2", "x3"]
    known = [(0.3139, 0.5576), (0.4424, 0.4424), (0.0, 0.2437)]
    for share, (first, total) in zip(shares, known, strict=True):
        np.testing.assert_allclose(share.first.estimate, first, atol=0.02)
        np.testing.assert_allclose(share.total.estimate, total, atol=0.02)
        assert share.first.upper - share.first.lower < 0.2
    assert sensitivity.sobol_shares(ISHIGAMI, outputs, seed=0) == shares


def test_morris_effects_of_a_plane_and_a_product() -> None:
    bounds = {"a": (0.0, 2.0), "b": (-1.0, 1.0), "c": (5.0, 6.0), "d": (0.0, 1.0)}
    x = sensitivity.morris_design(bounds, 20, seed=3)
    np.testing.assert_array_equal(x, sensitivity.morris_design(bounds, 20, seed=3))
    plane = 3 * x[:, 0] - 4 * x[:, 1] + 0 * x[:, 2]
    effects = {e.parameter: e for e in sensitivity.morris_effects(bounds, x, plane, seed=0)}
    for name, size in {"a": 6.0, "b": 8.0, "c": 0.0, "d": 0.0}.items():
        assert effects[name].size.estimate == pytest.approx(size, abs=1e-9)
        assert effects[name].spread == pytest.approx(0.0, abs=1e-9)
    bent = sensitivity.morris_effects(bounds, x, x[:, 0] * x[:, 3], seed=0)
    assert bent[0].spread > 0.1
    assert bent[3].spread > 0.1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sensitivity.sobol_design(ISHIGAMI, 1000, seed=0), "power of two, got 1000"),
        (lambda: sensitivity.sobol_design({"x": (1.0, 1.0)}, 8, seed=0), "bounds of 'x'"),
        (lambda: sensitivity.morris_design(ISHIGAMI, 1, seed=0), "at least two trajectories"),
        (lambda: sensitivity.sobol_shares(ISHIGAMI, np.zeros(7), seed=0), "a multiple of 5"),
        (lambda: sensitivity.sobol_shares(ISHIGAMI, np.zeros(10), seed=0), "do not vary"),
        (lambda: sensitivity.sobol_shares(ISHIGAMI, [math.nan] * 10, seed=0), "finite"),
        (
            lambda: sensitivity.morris_effects(ISHIGAMI, np.zeros((4, 3)), np.zeros(8), seed=0),
            "do not fit a design",
        ),
    ],
)
def test_refuses_designs_that_cannot_be(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
