"""Subgroups: which claims the procedures make, their error, what files say of them.

Seeds are fixed; error rates say for how many seeds a comparison would fail though all is well.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from designs import eortc
from helpers import crlm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from test_trial_files import TEXT, trial

from crlm_sim.trials import timing
from crlm_sim.trials.allocation import permuted_blocks
from crlm_sim.trials.boundaries import efficacy_bounds
from crlm_sim.trials.exponential import simulate
from crlm_sim.trials.looks import Look, Patients, analyse, log_rank_z, stop
from crlm_sim.trials.operating import operating
from crlm_sim.trials.people import simulate_people
from crlm_sim.trials.spending import obrien_fleming
from crlm_sim.trials.subgroups import bounds_of_shares, claims, look_into

GROUPS = """
[[subgroup]]
name = "low_risk"
when = "fong_score <= 2"
[[subgroup]]
name = "few"
when = "seen_lesions <= 3"
"""
NAMES = ("enrolment", "event", "dropout", "arm")


def z_of_p(*p):
    return norm.isf(np.array([p]))


def bounds(alpha, number):
    return norm.isf(alpha / np.arange(1, number + 1))[None]


@pytest.mark.parametrize(
    ("how", "claimed"),
    [
        ("holm", [True, False, False, False]),
        ("hochberg", [True, False, True, True]),
        ("fixed_sequence", [True, False, False, False]),
    ],
)
def test_procedures_by_hand(how, claimed):
    """p of 0.01, 0.2, 0.021 and 0.02 at 0.05, against 0.0125, 0.0167, 0.025 and 0.05."""
    found = claims(z_of_p(0.01, 0.2, 0.021, 0.02), bounds(0.05, 4), how)
    assert found.tolist() == [claimed]


def test_a_statistic_that_is_not_known_claims_nothing():
    z = np.array([[np.nan, 5.0], [5.0, np.nan]])
    for how in ("holm", "hochberg"):
        assert claims(z, bounds(0.025, 2), how).tolist() == [[False, True], [True, False]]
    assert claims(z, bounds(0.025, 2), "fixed_sequence").tolist() == [[False] * 2, [True, False]]


@given(st.lists(st.floats(-1.0, 5.0), min_size=1, max_size=6))
def test_procedures_nest(values):
    """Bonferroni claims no more than Holm, Holm than Hochberg, Hochberg than no correction."""
    z, limits = np.array([values]), bounds(0.025, len(values))
    holm, hochberg = (claims(z, limits, how) for how in ("holm", "hochberg"))
    assert (holm >= (z >= limits[:, -1:])).all()
    assert (hochberg >= holm).all()
    assert ((z >= limits[:, :1]) >= hochberg).all()


def test_a_share_of_alpha_spends_that_share_of_what_the_trial_spends(tmp_path):
    found = bounds_of_shares(trial(tmp_path, "design.looks=[0.5, 1.0]").design, 3)
    np.testing.assert_allclose(found[:, 0], efficacy_bounds([0.5, 1.0], 0.025, obrien_fleming))
    spent = obrien_fleming(np.array([0.5]), 0.025)[0] / 3.0
    assert found[0, 2] == pytest.approx(norm.isf(spent))


def test_a_subgroup_is_analysed_as_a_trial_of_its_own(tmp_path):
    """Of everybody it says what the trial says; of a part what the trial of that part would say."""
    rng = np.random.default_rng(1)
    shape = (20, 100)
    patients = Patients(
        np.sort(rng.uniform(0.0, 12.0, shape)),
        rng.exponential(10.0, shape),
        rng.exponential(60.0, shape),
        rng.integers(0, 2, shape),
    )
    whole = analyse(patients, [Look(events=60)])
    members = np.ones((*shape, 2), bool)
    members[:, 50:, 1] = False
    found = look_into(patients, members, whole.date[:, 0], log_rank_z)
    np.testing.assert_array_equal(found.z[:, 0], whole.z[:, 0])
    np.testing.assert_array_equal(found.estimate[:, 0], whole.estimate[:, 0])
    half = Patients(*(getattr(patients, name)[:, :50] for name in NAMES))
    dates = zip(rows(half), whole.date[:, 0], strict=True)
    alone = [analyse(one, [Look(calendar=date)]) for one, date in dates]
    np.testing.assert_array_equal(found.z[:, 1], [one.z[0, 0] for one in alone])
    np.testing.assert_array_equal(found.patients[:, 1], [one.enrolled[0, 0] for one in alone])


def rows(patients):
    """Each trial by itself."""
    for row in range(len(patients.arm)):
        yield Patients(*(getattr(patients, name)[row : row + 1] for name in NAMES))


def test_a_file_with_subgroups_tells_of_them(tmp_path):
    text = TEXT.replace('"pocock"', '"none"') + GROUPS
    settings = ("truth=0.4", "design.multiplicity=fixed_sequence")
    loaded = trial(tmp_path, *settings, text=text)
    people = simulate_people(loaded, 0, lambda done: None)
    low_risk = people.levels[:, 0] == 0
    np.testing.assert_array_equal(people.members[:, 0], low_risk)
    told = operating(loaded, 200)
    found = told["subgroups"]
    first, second = found["each"]
    assert first["share"] == pytest.approx(low_risk.mean())
    assert first["patients"] == pytest.approx(
        first["share"] * told["patients"]["estimate"], rel=0.1
    )
    assert first["power"]["estimate"] >= second["power"]["estimate"] > 0.1
    assert found["any"]["estimate"] <= told["power"]["estimate"]
    assert told == operating(loaded, 200, block=9)
    answer = crlm("trial", str(tmp_path / "test.toml"), "--replicates", "20", "--quiet")
    assert "Subgroup low_risk: fong_score <= 2" in answer.out


@pytest.mark.parametrize(
    ("old", "new", "at", "wrong"),
    [
        ("seen_lesions", "seen_lesion", "seen_lesion ", "did you mean 'seen_lesions'?"),
        ('"few"', '"low_risk"', 'name = "low_risk"', "there is a subgroup 'low_risk' before it"),
        ("when =", "if =", "if =", "unknown key 'if' in [[subgroup]]"),
        ("<= 3", "<= 3 and seen_lesions >= 4", "<= 3 and", "the subgroup is empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, at, wrong):
    before, _, after = GROUPS.partition('name = "few"')
    text = TEXT + before + ('name = "few"' + after).replace(old, new, 1)
    line = max(n for n, line in enumerate(text.split("\n"), start=1) if at in line)
    (tmp_path / "test.toml").write_text(text)
    answer = crlm("trial", str(tmp_path / "test.toml"), "--replicates", "5", "--quiet")
    assert (answer.code, answer.out) == (2, "")
    assert f"test.toml:{line}: " in answer.err
    assert wrong in answer.err


def test_multiplicity_without_subgroups_is_refused(tmp_path):
    (tmp_path / "test.toml").write_text(TEXT + 'multiplicity = "holm"\n')
    answer = crlm("check", str(tmp_path / "test.toml"))
    assert answer.code == 2
    assert "is about subgroups, and there are none" in answer.err


# Long ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", ["holm", "hochberg", "fixed_sequence"])
def test_a_subgroup_without_effect_is_claimed_no_more_often_than_alpha(tmp_path, how):
    """20,000 trials of three looks; one half has a hazard ratio of 0.45 and the other none.

    At most 0.025 and 3.3 standard errors: wrong for 1 seed in 2,000. In a fixed sequence the half
    with the effect comes first. Bounds of a single look would let more be claimed.
    """
    truths = [
        timing.Truth(
            timing.accrual([20.0], [6.0]), timing.arm(0.06, 0.002), timing.arm(0.06 * ratio, 0.002)
        )
        for ratio in (0.45, 1.0)
    ]
    patients = [half_of_a_trial(seed, truth) for seed, truth in enumerate(truths)]
    both = Patients(
        *(np.concatenate([getattr(one, name) for one in patients], axis=1) for name in NAMES)
    )
    members = np.zeros((*both.arm.shape, 2), bool)
    members[:, :120, 0] = members[:, 120:, 1] = True
    said = trial(tmp_path, "design.looks=[0.5, 0.75, 1.0]").design
    limits = bounds_of_shares(said, 2)
    found = analyse(both, [Look(events=count) for count in (90, 135, 180)])
    stops = stop(found.z, limits[:, 0])
    date = np.take_along_axis(found.date, stops.look[:, None], axis=1)[:, 0]
    inside = look_into(both, members, date, log_rank_z)
    claimed = claims(inside.z, limits[stops.look], how) & stops.shown[:, None]
    assert stops.shown.mean() > 0.7
    assert claimed[:, 0].mean() > 0.6
    assert claimed[:, 1].mean() < 0.025 + 3.3 * math.sqrt(0.025 * 0.975 / 20_000)
    plain = claims(inside.z, np.broadcast_to(bounds(0.025, 2), inside.z.shape), how)
    assert (plain & stops.shown[:, None])[:, 1].mean() > 0.027


def half_of_a_trial(seed, truth):
    """120 patients of each of 20,000 trials."""
    numbers = np.arange(20_000)
    arms = permuted_blocks(seed, 0, numbers, np.zeros((20_000, 120), int), [4])
    return simulate(seed, 0, numbers, arms, truth)


@pytest.mark.slow
def test_no_more_false_claims_than_alpha_without_any_effect():
    """20,000 trials: one side of 3.3 standard errors, wrong for 1 seed in 2,000."""
    low, few, old = "fong_score <= 2", "seen_lesions <= 1", "age >= 65 years"
    parts = ", ".join(f"{{name='x{i}', when='{when}'}}" for i, when in enumerate([low, few, old]))
    looks = "design.looks=[0.5, 0.75, 1.0]"
    told = operating(eortc("null", looks, f"subgroup=[{parts}]"), 20_000)
    found = told["subgroups"]["any"]["estimate"]
    assert found < 0.025 + 3.3 * math.sqrt(0.025 * 0.975 / 20_000)
    assert told["subgroups"]["any_alone"]["estimate"] > 0.035
