"""Cost-effectiveness against hesim, dampack and BCEA, by hand, and what must hold for any draws.

Figures of other programs are carried over with where they stand; their code is not.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crlm_sim.outcomes import decision as cea

# hesim, article "Cost-effectiveness analysis" (docs/articles/cea.html), the ten draws of group 2:
# net monetary benefit of strategies 1, 2, 3 at a threshold of 50,000, as printed there.
HESIM = np.array(
    [
        [405726, 412252, 484698],
        [400762, 505159, 484223],
        [400002, 494164, 509141],
        [401576, 469362, 486300],
        [406327, 321313, 475207],
        [405765, 472386, 494958],
        [417981, 490431, 478320],
        [397519, 479065, 425354],
        [404348, 428433, 410789],
        [399232, 459246, 460238],
    ]
)


def from_means(policies: Any, cost: Any, effect: Any) -> cea.Draws:
    return cea.draws_of(policies, np.atleast_2d(cost), np.atleast_2d(effect))


def test_ten_draws_of_hesim() -> None:
    draws = cea.draws_of(["1", "2", "3"], np.zeros((10, 3)), HESIM / 50_000)
    np.testing.assert_allclose(cea.acceptability(draws, 50_000), [[0.0, 0.4, 0.6]], atol=1e-14)
    best, probability = cea.acceptability_frontier(draws, 50_000)
    assert best.tolist() == [2]
    np.testing.assert_allclose(probability, [0.6])
    benefit = cea.net_monetary_benefit(draws, 50_000)[0]
    # Printed from net benefits before rounding: whole numbers move a mean by up to a half.
    np.testing.assert_allclose(benefit.max(axis=1).mean(), 481362.9, atol=0.5)
    np.testing.assert_allclose(benefit[:, 2].mean(), 470922.7, atol=0.5)
    np.testing.assert_allclose(cea.expected_loss(draws, 50_000).min(), 10440.18, atol=0.4)


def table(policies: Any, cost: Any, effect: Any) -> dict[str, tuple[str, float | None]]:
    rows = cea.icer_table(from_means(policies, cost, effect))
    return {row.policy: (row.status, row.icer.estimate if row.icer else None) for row in rows}


def test_icers_of_the_veterans_affairs_example() -> None:
    # dampack, tests/testthat/test_calculate_icers.R, from herc.research.va.gov.
    found = table(
        ["E", "D", "C", "B", "A", "UC"],
        [55000, 35000, 25000, 10000, 12000, 5000],
        [5, 4, 3, 2, 1.5, 1],
    )
    assert found == {
        "UC": ("frontier", None),
        "B": ("frontier", 5000.0),
        "A": ("dominated", None),
        "C": ("extendedly dominated", None),
        "D": ("frontier", 12500.0),
        "E": ("frontier", 20000.0),
    }


def test_icers_of_clostridioides_difficile() -> None:
    # dampack, vignettes/cdiff_icers.csv: Rajasingham et al., Clin Infect Dis 2020; 70: 754.
    known = {
        "s3": (57336.0059896538, 12.9399639202408, None),
        "s27": (57541.2526373815, 13.0140640696275, 2769.85470915263),
        "s33": (57642.2587507842, 13.0389116321918, 4065.03105249231),
        "s31": (57934.0743411241, 13.0966257932217, 5056.2216470406),
        "s43": (58072.1137208494, 13.11285766912, 8504.2160616553),
        "s44": (58665.7823044647, 13.1283328397025, 38362.6519947134),
        "s39": (57814.6470919581, 13.0462790163185, "extendedly dominated"),
        "s4": (57887.481549326, 12.9970657153765, "dominated"),
        "s13": (58018.6252420203, 13.0650412387992, "dominated"),
        "s37": (58081.7947984323, 13.1029711156978, "dominated"),
        "s20": (58634.2026441398, 13.1100568867995, "dominated"),
    }
    found = table(known, [k[0] for k in known.values()], [k[1] for k in known.values()])
    for policy, (_, _, expected) in known.items():
        status, icer = found[policy]
        assert status == (expected if isinstance(expected, str) else "frontier")
        if isinstance(expected, float):
            assert icer == pytest.approx(expected, rel=1e-9)
        else:
            assert icer is None
    rows = cea.icer_table(
        from_means(known, [k[0] for k in known.values()], [k[1] for k in known.values()])
    )
    assert next(row for row in rows if row.policy == "s39").by == ("s33", "s31")


def test_icers_of_hiv_screening() -> None:
    # Paltiel et al., Ann Intern Med 2006; 145: 797, table 4, as in dampack's vignette basic_cea:
    # annual screening is strongly dominated. Ratios of the rounded figures by hand.
    months = np.array([277.25, 277.57, 277.78, 277.83, 277.76])
    found = table(
        ["status quo", "one time", "5yr", "3yr", "annual"],
        [26000, 27000, 28020, 28440, 29440],
        months / 12,
    )
    assert found["annual"] == ("dominated", None)
    assert found["one time"][1] == pytest.approx(1000 / 0.32 * 12)
    assert found["5yr"][1] == pytest.approx(1020 / 0.21 * 12)
    assert found["3yr"][1] == pytest.approx(420 / 0.05 * 12)


def test_as_good_and_dearer_is_dominated() -> None:
    # dampack, tests/testthat/test_calculate_icers.R: "Test & treat" alone is left.
    found = table(
        ["No Treat", "Treat all", "Test & treat"],
        [163771.0, 164848.7, 163765.1],
        [6.48273, 6.52861, 6.52861],
    )
    assert found["Test & treat"] == ("frontier", None)
    assert found["No Treat"][0] == found["Treat all"][0] == "dominated"


def test_the_same_twice_is_equal_and_has_no_icer() -> None:
    rows = cea.icer_table(from_means("abc", [1.0, 2.0, 2.0], [1.0, 3.0, 3.0]))
    assert [(row.policy, row.status, row.by) for row in rows] == [
        ("a", "frontier", ()),
        ("b", "frontier", ()),
        ("c", "equal", ("b",)),
    ]


def test_increments_of_bcea() -> None:
    # BCEA, tests/testthat/test-bcea.R, "ib": 95 and 20 at a threshold of 5, 90 and 30 at 10. There
    # the first policy is compared with the second.
    draws = cea.draws_of(["new", "old"], [[0, 100], [0, 10]], [[0, 1], [0, -2]])
    benefit = cea.net_monetary_benefit(draws, [5.0, 10.0])
    np.testing.assert_allclose(benefit[:, :, 0] - benefit[:, :, 1], [[95, 20], [90, 30]])
    seen = cea.plane(draws, "old")
    np.testing.assert_allclose(seen.cost, [[-100], [-10]])
    np.testing.assert_allclose(seen.effect, [[-1], [2]])
    assert seen.shares.tolist() == [[0.0, 0.5, 0.5, 0.0]]


def test_draws_on_an_axis_are_shared_by_its_quadrants() -> None:
    draws = cea.draws_of("ab", [[0, 1], [0, 0]], [[0, 0], [0, -1]])
    # The first is dearer and as good, the second as dear and worse.
    assert cea.plane(draws, "a").shares.tolist() == [[0.25, 0.0, 0.25, 0.5]]


def test_the_interval_of_an_icer_is_where_few_and_most_draws_accept_it() -> None:
    cost = np.column_stack([np.zeros(100), np.arange(1.0, 101.0)])
    effect = np.column_stack([np.zeros(100), np.full(100, 0.5)])
    draws = cea.draws_of("ab", cost, effect)
    icer = cea.icer_table(draws, level=0.89)[1].icer
    assert icer is not None
    assert (icer.estimate, icer.lower, icer.upper) == (101.0, 12.0, 190.0)
    accepted = cea.acceptability(draws, [icer.lower - 1.0, icer.lower + 1.0, icer.upper + 1.0])
    np.testing.assert_allclose(accepted[:, 1], [0.05, 0.06, 0.95], atol=1e-12)
    # Three per cent never gain anything: at no threshold would 97.5 % of the draws accept it.
    effect[:3, 1] = -0.1
    icer = cea.icer_table(cea.draws_of("ab", cost, effect))[1].icer
    assert icer is not None
    assert icer.upper == math.inf
    assert icer.lower == 12.0
    # One that gives less and costs less has no place in that order.
    cost[0, 1] = -1.0
    icer = cea.icer_table(cea.draws_of("ab", cost, effect))[1].icer
    assert icer is not None
    assert math.isnan(icer.lower)
    assert math.isnan(icer.upper)


def test_the_best_on_average_need_not_be_best_most_often() -> None:
    # b is a little better in two draws of three and much worse in the third.
    draws = cea.draws_of("ab", np.zeros((3, 2)), [[1.0, 1.1], [1.0, 1.1], [1.0, 0.0]])
    best, probability = cea.acceptability_frontier(draws, [0.0, 100.0])
    assert best.tolist() == [0, 0]
    np.testing.assert_allclose(probability, [0.5, 1 / 3])
    np.testing.assert_allclose(cea.expected_loss(draws, 100.0), [[20 / 3, 100 / 3]])


def test_ties_that_rounding_hides_are_shared() -> None:
    # 20,000 × 0.3 − 6,000 is not 20,000 × 0.1 − 2,000 in floating point, and both are nothing.
    draws = from_means("abc", [2000.0, 6000.0, 1.0], [0.1, 0.3, 0.0])
    assert cea.acceptability(draws, 20_000).tolist() == [[0.5, 0.5, 0.0]]


SMALL = st.integers(-4, 4).map(float)


@st.composite
def any_draws(draw: st.DrawFn) -> cea.Draws:
    """Draws on a coarse grid, so that ties and negative net benefits are common."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(2, 5)))
    weights = draw(arrays(float, shape[0], elements=st.integers(1, 3).map(float)))
    cost, effect = (draw(arrays(float, shape, elements=SMALL)) for _ in range(2))
    return cea.draws_of("abcde"[: shape[1]], cost, effect, weights)


THRESHOLDS = np.array([0.0, 0.3, 1.0, 2.0, 7.5])


@given(any_draws())
def test_probabilities_add_up_to_exactly_one(draws: cea.Draws) -> None:
    probabilities = cea.acceptability(draws, THRESHOLDS)
    assert (probabilities >= 0.0).all()
    for row in probabilities:
        assert sum(row) == 1.0
        assert sum(row[::-1]) == 1.0
    best, frontier = cea.acceptability_frontier(draws, THRESHOLDS)
    assert (frontier <= probabilities.max(axis=1)).all()
    assert (cea.expected_loss(draws, THRESHOLDS) >= 0.0).all()
    loss = cea.expected_loss(draws, THRESHOLDS)
    np.testing.assert_allclose(loss[np.arange(5), best], loss.min(axis=1), atol=1e-12)
    assert (cea.plane(draws, "a").shares.sum(axis=1) == 1.0).all()


@given(any_draws())
def test_the_frontier_is_where_thresholds_lead(draws: cea.Draws) -> None:
    """Between two ICERs the policy of the lower one has the highest expected net benefit."""
    rows = [row for row in cea.icer_table(draws) if row.status == "frontier"]
    icers = [row.icer.estimate for row in rows if row.icer]
    assert all(after >= before * (1 - 1e-12) for before, after in itertools.pairwise(icers))
    ends = [0.0, *icers, (icers[-1] if icers else 0.0) + 1.0]
    for row, low, high in zip(rows, ends, ends[1:], strict=False):
        if high - low > 1e-9:
            best = int(cea.best_policy(draws, (low + high) / 2.0)[0])
            means = [draws.weights @ array[:, best] for array in (draws.cost, draws.effect)]
            np.testing.assert_allclose(means, [row.cost.estimate, row.effect.estimate], atol=1e-9)


@given(any_draws(), st.integers(0, 4), st.floats(0.1, 5.0), st.floats(0.1, 5.0))
def test_a_dominated_policy_changes_no_icer(
    draws: cea.Draws, which: int, dearer: float, worse: float
) -> None:
    place = which % len(draws.policies)
    more = cea.Draws(
        (*draws.policies, "worse"),
        np.column_stack([draws.cost, draws.cost[:, place] + dearer]),
        np.column_stack([draws.effect, draws.effect[:, place] - worse]),
        draws.weights,
    )
    rows = cea.icer_table(more)
    assert next(row for row in rows if row.policy == "worse").status == "dominated"

    def frontier(rows: list[cea.FrontierRow]) -> str:
        return repr([row for row in rows if row.status == "frontier"])

    assert frontier(rows) == frontier(cea.icer_table(draws))
    before, after = (cea.acceptability(each, THRESHOLDS) for each in (draws, more))
    np.testing.assert_allclose(after[:, :-1], before, atol=1e-12)
    assert (after[:, -1] == 0.0).all()


@given(any_draws(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_another_currency_changes_amounts_only(draws: cea.Draws, rate: float) -> None:
    abroad = replace(draws, cost=draws.cost * rate)
    for function in (cea.acceptability, cea.best_policy):
        here, there = function(draws, THRESHOLDS), function(abroad, THRESHOLDS * rate)
        np.testing.assert_array_equal(there, here)
    for function in (cea.net_monetary_benefit, cea.expected_loss):
        here, there = function(draws, THRESHOLDS), function(abroad, THRESHOLDS * rate)
        np.testing.assert_array_equal(there, here * rate)
    for here, there in zip(cea.icer_table(draws), cea.icer_table(abroad), strict=True):
        assert (here.policy, here.status) == (there.policy, there.status)
        if here.icer and there.icer:
            assert there.icer.estimate == here.icer.estimate * rate


@given(any_draws())
def test_health_and_money_say_the_same(draws: cea.Draws) -> None:
    positive = THRESHOLDS[1:]
    money = cea.net_monetary_benefit(draws, positive)
    health = cea.net_health_benefit(draws, positive)
    np.testing.assert_allclose(health * positive[:, None, None], money, atol=1e-12)


@given(any_draws())
def test_a_weight_of_two_is_a_draw_twice(draws: cea.Draws) -> None:
    times = np.rint(draws.weights / draws.weights.min()).astype(int)
    if not np.allclose(times * draws.weights.min(), draws.weights):
        times = np.rint(2 * draws.weights / draws.weights.min()).astype(int)
    repeated = cea.draws_of(
        draws.policies, np.repeat(draws.cost, times, 0), np.repeat(draws.effect, times, 0)
    )
    for function in (cea.acceptability, cea.expected_loss):
        np.testing.assert_allclose(
            function(draws, THRESHOLDS), function(repeated, THRESHOLDS), atol=1e-12
        )


@pytest.mark.parametrize(
    ("policies", "cost", "effect", "weights", "said"),
    [
        (["a"], [[1.0]], [[1.0]], None, "at least two policies"),
        ("aa", [[1.0, 2.0]], [[1.0, 2.0]], None, "different names"),
        ("ab", np.zeros((0, 2)), np.zeros((0, 2)), None, "at least one draw"),
        ("ab", [[1.0, 2.0]] * 3, [[1.0, 2.0]] * 2, None, "same draws, got 3 and 2"),
        ("ab", [[1.0, 2.0, 3.0]], [[1.0, 2.0]], None, r"shape \(draws, 2\)"),
        ("ab", [[1.0, math.nan]], [[1.0, 2.0]], None, "cost must be finite.*draw 0 of 'b'"),
        ("ab", [[1.0, 2.0]], [[math.inf, 2.0]], None, "effect must be finite.*'a'"),
        ("ab", [[1.0, 2.0]], [[1.0, 2.0]], [0.5, 0.5], "weights must have shape"),
        ("ab", [[1.0, 2.0]], [[1.0, 2.0]], [0.0], "not all zero"),
    ],
)
def test_refuses_what_is_no_decision(
    policies: Any, cost: Any, effect: Any, weights: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        cea.draws_of(policies, cost, effect, weights)


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ([2.0, 1.0], "must rise"),
        ([1.0, 1.0], "must rise"),
        ([math.nan], "finite"),
        ([-1.0], "not negative"),
        ([], "a row of numbers"),
        ([[1.0, 2.0]], "a row of numbers"),
    ],
)
def test_refuses_thresholds_that_do_not_rise(thresholds: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        cea.acceptability(from_means("ab", [1, 2], [1, 2]), thresholds)


def test_refuses_a_health_benefit_at_nothing_and_unknown_policies() -> None:
    draws = from_means("ab", [1, 2], [1, 2])
    with pytest.raises(ValueError, match="above zero"):
        cea.net_health_benefit(draws, [0.0, 1.0])
    with pytest.raises(ValueError, match="no policy 'c'; there are a, b"):
        cea.plane(draws, "c")
