"""The parts of a calibration: scales, likelihood, emulator, sampler, weights, posterior files."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from crlm_sim.calibration import emulator, scales
from crlm_sim.calibration.fit import Fitted, Settings, read_settings, studies_hash
from crlm_sim.calibration.likelihood import (
    Likelihood,
    discrepancy_covariance,
    log_prior,
    published_covariance,
)
from crlm_sim.calibration.posterior import write_posterior
from crlm_sim.calibration.sampling import (
    Sample,
    Weighted,
    latin_hypercube,
    pareto_weights,
    sample,
)
from crlm_sim.calibration.simulate import targets_of
from crlm_sim.calibration.space import coordinates, every_coordinate, values_at
from crlm_sim.calibration.study import load_studies, load_study
from crlm_sim.evidence import Posterior, PosteriorError, pack, parameters
from crlm_sim.evidence.parameters import check_known, place_of, put_values
from crlm_sim.evidence.posterior import MODEL_VERSION, calibration_folder, read_posterior
from crlm_sim.outcomes.survival import kaplan_meier
from crlm_sim.scenario import ScenarioError

TARGETS = calibration_folder() / "targets"


def tribe():
    return targets_of([load_study(TARGETS / "tribe.toml")], "fit")


# Scales ------------------------------------------------------------------------------------------


@given(st.floats(0.001, 0.999), st.sampled_from([scales.LOGIT, scales.LOG, scales.PLAIN]))
def test_a_scale_leads_back(value, scale):
    assert scales.from_scale(scale, scales.to_scale(scale, value)) == pytest.approx(value)


def test_an_interval_of_two_standard_errors_has_that_error():
    ends = [scales.from_scale(scales.LOGIT, 0.4 + k * 1.959964 * 0.2) for k in (-1, 1)]
    value = scales.from_scale(scales.LOGIT, 0.4)
    centre, error = scales.centre_and_error(scales.LOGIT, value, *ends, 0.95)
    assert (centre, error) == (pytest.approx(0.4), pytest.approx(0.2, abs=1e-6))


def test_the_error_of_a_share_is_binomial():
    _, error = scales.from_number(scales.LOGIT, 0.3, 10_000)
    assert error == pytest.approx(1.0 / math.sqrt(10_000 * 0.3 * 0.7), rel=1e-3)
    centre, _ = scales.from_number(scales.LOGIT, 0.0, 50)  # none of fifty
    assert scales.from_scale(scales.LOGIT, centre) == pytest.approx(0.5 / 51)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.sampled_from([scales.LOG, scales.PLAIN]))
def test_scales_keep_the_order(one, other, scale):
    pair = [scales.to_scale(scale, value) for value in (one, other)]
    assert (one < other) == (pair[0] < pair[1])


@given(st.floats(-8.0, 8.0))
def test_a_logit_leads_back(number):
    there = scales.to_scale(scales.LOGIT, scales.from_scale(scales.LOGIT, number))
    assert there == pytest.approx(number, abs=1e-9)


@pytest.mark.parametrize("scale", [scales.LOGIT, scales.LOG, scales.PLAIN])
def test_what_is_not_known_stays_unknown(scale):
    assert math.isnan(scales.to_scale(scale, math.nan))
    assert math.isnan(scales.from_scale(scale, math.nan))


def test_all_and_none_have_a_finite_logit():
    assert scales.to_scale(scales.LOGIT, 1.0) == pytest.approx(math.log(9_999))
    assert scales.to_scale(scales.LOGIT, 0.0) == pytest.approx(-math.log(9_999))


@given(
    st.sampled_from([scales.LOGIT, scales.LOG, scales.PLAIN]),
    st.floats(0.05, 0.95),
    st.floats(0.01, 0.5),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
)
def test_an_interval_gives_its_error_at_any_level(scale, value, error, level):
    half = norm.ppf(0.5 + level / 2.0) * error
    centre = scales.to_scale(scale, value)
    ends = [scales.from_scale(scale, centre + sign * half) for sign in (-1.0, 1.0)]
    found = scales.centre_and_error(scale, value, *ends, level)
    assert found == pytest.approx((centre, error), rel=1e-6)


@pytest.mark.parametrize(("share", "n"), [(0.3, 40), (0.05, 200), (0.9, 100)])
def test_the_error_of_a_share_is_what_its_logit_varies_by(share, n):
    # 20,000 binomial counts: a standard deviation has a standard error of some 0.6 %, and the
    # error is of first order in 1 / n, here 4 % at most.
    hits = np.random.default_rng(4).binomial(n, share, 20_000)
    logits = [scales.from_number(scales.LOGIT, h / n, n)[0] for h in hits]
    _, error = scales.from_number(scales.LOGIT, share, n)
    assert np.std(logits) == pytest.approx(error, rel=0.07)


def test_ratios_and_times_need_more_patients_for_less_error():
    for scale, compares in ((scales.LOG, True), (scales.LOG, False), (scales.PLAIN, True)):
        few = scales.from_number(scale, 0.5, 100, compares)
        many = scales.from_number(scale, 0.5, 400, compares)
        assert few[0] == many[0] == scales.to_scale(scale, 0.5)
        assert few[1] == pytest.approx(2.0 * many[1])
    # Two groups with d events each: the log hazard ratio has a variance of 2 / d.
    _, error = scales.from_number(scales.LOG, 0.8, 200, True)
    assert error == pytest.approx(math.sqrt(2.0 / (0.7 * 100)))


# Likelihood --------------------------------------------------------------------------------------


def test_points_of_one_curve_are_correlated_as_kaplan_meier_estimates_are():
    # 4,000 samples of 300 exponential times: the correlation of log-survival at two times is
    # √(V₁ / V₂); the sampling error of a correlation near 0.6 is about 0.01, so 0.04 is four.
    random = np.random.default_rng(5)
    logs = []
    for _ in range(4_000):
        days = np.minimum(random.exponential(400.0, 300), 799.0).astype(int)
        events = np.bincount(days[days < 799], minlength=800)
        curve = kaplan_meier(events, np.bincount(days[days >= 799], minlength=800))
        logs.append(np.log(curve.survival[[182, 730]]))
    found = np.corrcoef(np.array(logs).T)[0, 1]
    s1, s2 = math.exp(-182 / 400), math.exp(-730 / 400)
    theory = math.sqrt(((1 - s1) / s1) / ((1 - s2) / s2))
    assert found == pytest.approx(theory, abs=0.04)
    targets = [t for t in tribe() if t.figure.outcome == "pfs" and not t.figure.measure][:2]
    covariance = published_covariance(targets)
    variances = [(t.error * (1 - scales.from_scale(scales.LOGIT, t.value))) ** 2 for t in targets]
    expected = math.sqrt(min(variances) / max(variances))
    assert covariance[0, 1] == pytest.approx(expected * targets[0].error * targets[1].error)


def test_contrasts_and_other_studies_are_not_correlated():
    targets = tribe()
    covariance = published_covariance(targets)
    ratios = [k for k, t in enumerate(targets) if t.figure.measure]
    off = covariance[ratios] - np.diag(np.diag(covariance))[ratios]
    assert not off.any()
    np.linalg.cholesky(covariance)


@given(st.floats(0.0, 2.0))
def test_the_likelihood_is_the_multivariate_normal(tau):
    targets = tribe()
    fixed, between = published_covariance(targets), discrepancy_covariance(targets)
    residuals = np.random.default_rng(3).normal(0.0, 0.2, (4, len(targets)))
    found = Likelihood.of(fixed, between).log_density(residuals, np.full(4, tau))
    normal = multivariate_normal(cov=fixed + tau**2 * between)
    constant = 0.5 * len(targets) * math.log(2.0 * math.pi)
    assert found == pytest.approx(normal.logpdf(residuals) + constant, rel=1e-9)


def test_the_prior_of_tau_is_half_normal():
    log_tau = np.linspace(-14.0, 2.0, 400_001)
    density = np.exp(log_prior(np.zeros((len(log_tau), 1)), log_tau))
    tau = np.exp(log_tau)
    total = np.trapezoid(density, log_tau)
    assert np.trapezoid(density * tau, log_tau) / total == pytest.approx(
        0.3 * math.sqrt(2.0 / math.pi), rel=1e-4
    )


CURVE = """\
id = "curve"
title = "t"
source = "s"
[[arm]]
name = "one"
[[arm]]
name = "two"
"""
POINT = """
[[figure]]
arm = "{arm}"
outcome = "{outcome}"
time = "{days} days"
value = {value}
lower = {lower}
upper = {upper}
"""


def study_of(folder, points):
    """The targets of a study with these (arm, outcome, days, survival, error on the logit)."""
    text = CURVE
    for arm, outcome, days, value, error in points:
        centre = math.log(value / (1.0 - value))
        ends = [1.0 / (1.0 + math.exp(-centre - k * 1.959963984540054 * error)) for k in (-1, 1)]
        text += POINT.format(
            arm=arm, outcome=outcome, days=days, value=value, lower=ends[0], upper=ends[1]
        )
    path = folder / "curve.toml"
    path.write_text(text)
    return targets_of([load_study(path)])


def test_the_covariance_of_a_curve_is_that_of_simulated_curves(tmp_path):
    # 5,000 samples of 300 exponential times, censored evenly over three years: a variance has a
    # standard error of 2 %, a covariance at most as much of √(V₁ V₂); 8 % is four.
    random = np.random.default_rng(8)
    days = (150, 365, 730)
    logits = []
    for _ in range(5_000):
        death = random.exponential(500.0, 300)
        censored = random.uniform(0.0, 3.0 * 365.0, 300)
        spent = np.minimum(death, censored).astype(int)
        died = death <= censored
        curve = kaplan_meier(
            np.bincount(spent[died], minlength=1_100), np.bincount(spent[~died], minlength=1_100)
        )
        survival = curve.survival[list(days)]
        logits.append(np.log(survival / (1.0 - survival)))
    expected = np.cov(np.array(logits).T)
    true = [math.exp(-(day + 1) / 500.0) for day in days]
    errors = np.sqrt(np.diag(expected))
    targets = study_of(
        tmp_path, [("one", "os", *point) for point in zip(days, true, errors, strict=True)]
    )
    found = published_covariance(targets)
    assert np.diag(found) == pytest.approx(np.diag(expected), rel=1e-6)
    scale = np.outer(errors, errors)
    assert np.abs(found - expected).max() < 0.08 * scale.max()
    assert (np.abs(found - expected) / scale).max() < 0.08


def test_only_points_of_one_curve_are_correlated(tmp_path):
    targets = study_of(
        tmp_path,
        [
            ("one", "os", 365, 0.8, 0.1),
            ("one", "os", 730, 0.6, 0.1),
            ("two", "os", 730, 0.6, 0.1),
            ("one", "pfs", 365, 0.5, 0.1),
        ],
    )
    found = published_covariance(targets)
    together = found != 0.0
    expected = np.eye(4, dtype=bool)
    expected[0, 1] = expected[1, 0] = True
    assert np.array_equal(together, expected)


@pytest.mark.parametrize("use", ["fit", None])
def test_the_covariances_of_our_studies_can_be_used(use):
    targets = targets_of(load_studies(TARGETS), use)
    for covariance in (published_covariance(targets), discrepancy_covariance(targets)):
        assert np.array_equal(covariance, covariance.T)
        assert np.isfinite(covariance).all()
        assert np.linalg.eigvalsh(covariance).min() > 0.0
    assert (np.diag(published_covariance(targets)) > 0.0).all()


def test_survival_of_one_study_shares_half_of_its_discrepancy():
    targets = tribe()
    found = discrepancy_covariance(targets)
    for i, one in enumerate(targets):
        for j, other in enumerate(targets):
            plain = not (one.figure.measure or other.figure.measure)
            curves = bool(one.figure.curve and other.figure.curve)
            weight = math.sqrt(found[i, i] * found[j, j])
            expected = 1.0 if i == j else 0.5 if plain and curves else 0.0
            assert found[i, j] == pytest.approx(expected * weight)
    weights = {t.figure.outcome: math.sqrt(v) for t, v in zip(targets, np.diag(found), strict=True)}
    assert weights["os"] == 1.0
    assert weights["os_hr"] == 0.25
    assert weights["objective_response_or"] == 0.25


@given(st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3), st.floats(-8.0, 1.0))
def test_the_prior_has_the_slopes_of_its_formula(z, log_tau):
    step = 1e-5
    point = np.array([z])
    for place in range(3):
        moved = np.zeros((1, 3))
        moved[0, place] = step
        rise = log_prior(point + moved, np.array([log_tau])) - log_prior(
            point - moved, np.array([log_tau])
        )
        assert rise[0] / (2.0 * step) == pytest.approx(-z[place], abs=1e-5)
    rise = log_prior(point, np.array([log_tau + step])) - log_prior(
        point, np.array([log_tau - step])
    )
    slope = 1.0 - (math.exp(log_tau) / 0.3) ** 2
    assert rise[0] / (2.0 * step) == pytest.approx(slope, rel=1e-4, abs=1e-5)


# Emulator ----------------------------------------------------------------------------------------


def test_a_quadratic_is_emulated_exactly_and_noise_is_told():
    z = latin_hypercube(400, 6, 1)
    random = np.random.default_rng(2)
    slopes = random.normal(size=(6, 3))
    exact = z @ slopes + 0.3 * z[:, [0]] * z[:, [1]] - 0.2 * z[:, [5]] ** 2
    noisy = exact + 0.1 * random.normal(size=exact.shape)
    fresh = latin_hypercube(200, 6, 9)
    truth = fresh @ slopes + 0.3 * fresh[:, [0]] * fresh[:, [1]] - 0.2 * fresh[:, [5]] ** 2
    clean = emulator.fit(z, exact, 6)
    assert np.abs(clean.predict(fresh) - truth).max() < 0.02
    blurred = emulator.fit(z, noisy, 6)
    assert blurred.error == pytest.approx(0.1, rel=0.2)
    assert clean.slopes(np.zeros(6)) == pytest.approx(slopes, abs=0.02)


def test_products_are_of_the_first_parameters_alone():
    assert emulator.features(np.zeros((2, 5)), 3).shape == (2, 1 + 5 + 5 + 3)
    assert emulator.features(np.zeros((2, 5)), 9).shape == (2, 1 + 5 + 5 + 10)


def test_a_figure_few_points_could_tell_is_refused():
    figures = np.zeros((100, 1))
    figures[:60] = np.nan
    with pytest.raises(ValueError, match="40 points only"):
        emulator.fit(latin_hypercube(100, 2, 1), figures, 2)


def test_the_left_out_error_of_noise_is_the_noise():
    # 300 points and 11 coefficients: the error's standard error is some 4 %, 20 % is five.
    z = latin_hypercube(300, 5, 3)
    noise = np.random.default_rng(6).normal(0.0, [0.02, 0.5, 3.0], (300, 3))
    found = emulator.fit(z, 10.0 + noise, 1)
    assert found.error == pytest.approx([0.02, 0.5, 3.0], rel=0.2)
    assert found.predict(np.zeros((1, 5)))[0] == pytest.approx(10.0, abs=1.0)


def test_a_figure_that_some_points_cannot_tell_is_learned_from_the_others():
    z = latin_hypercube(200, 3, 5)
    figures = np.column_stack([z[:, 0], z[:, 0]])
    figures[::2, 1] = np.nan
    both = emulator.fit(z, figures, 3)
    alone = emulator.fit(z[1::2], figures[1::2, 1:], 3)
    assert np.array_equal(both.coefficients[:, 1:], alone.coefficients)
    assert both.error[1] == alone.error[0]
    whole = emulator.fit(z, figures[:, :1], 3)
    assert np.array_equal(both.coefficients[:, :1], whole.coefficients)


# Sampling ----------------------------------------------------------------------------------------


def test_a_latin_hypercube_has_one_point_in_every_layer():
    z = latin_hypercube(50, 3, 4)
    normal = np.array([[0.5 * math.erfc(-v / math.sqrt(2)) for v in row] for row in z])
    for column in (normal * 50).astype(int).T:
        assert sorted(column) == list(range(50))


def test_the_sampler_finds_a_correlated_normal():
    # Means within 0.1 and SDs within 8 %: over four standard errors at an effective sample ≥ 2,000
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 4.0]])
    precision = np.linalg.inv(covariance)

    def density(points):
        return -0.5 * np.einsum("ni,ij,nj->n", points, precision, points)

    found = sample(density, latin_hypercube(24, 3, 1), 3_000, 3_000, 7)
    assert found.points.mean(axis=0) == pytest.approx(0.0, abs=0.1)
    assert found.points.std(axis=0) == pytest.approx([1.0, 1.0, 2.0], rel=0.08)
    assert np.corrcoef(found.points.T)[0, 1] == pytest.approx(0.8, abs=0.05)
    assert (found.r_hat < 1.05).all()
    again = sample(density, latin_hypercube(24, 3, 1), 3_000, 3_000, 7)
    assert np.array_equal(again.points, found.points)


def test_weights_of_equal_densities_are_equal():
    found = pareto_weights(np.full(500, -3.0) + 1e-9 * np.arange(500))
    assert found.weights == pytest.approx(1 / 500, rel=1e-6)
    assert found.effective == pytest.approx(500)


def test_a_latin_hypercube_is_standard_normal_and_its_own_seed():
    z = latin_hypercube(2_000, 4, 9)
    assert z.mean(axis=0) == pytest.approx(0.0, abs=1e-3)  # one in every layer: far below 1 / √n
    assert z.std(axis=0) == pytest.approx(1.0, abs=0.01)
    assert np.abs(np.corrcoef(z.T) - np.eye(4)).max() < 4.5 / math.sqrt(2_000)
    assert np.array_equal(z, latin_hypercube(2_000, 4, 9))
    assert not np.array_equal(z, latin_hypercube(2_000, 4, 10))


def test_weights_of_a_shifted_normal_find_its_mean():
    # 4,000 draws of N(0, 1) weighted to N(0.5, 1): n / e^0.25 = 3,115 effective draws, a standard
    # error of 0.018; 0.08 is over four.
    draws = np.random.default_rng(12).normal(size=4_000)
    found = pareto_weights(0.5 * draws)
    assert found.weights.sum() == pytest.approx(1.0)
    assert found.weights @ draws == pytest.approx(0.5, abs=0.08)
    assert found.effective == pytest.approx(4_000 / math.exp(0.25), rel=0.1)
    assert found.k_hat < 0.5


def test_weights_with_a_heavy_tail_say_so():
    draws = np.random.default_rng(13).standard_cauchy(4_000)
    found = pareto_weights(np.log1p(draws**2) * 0.9)
    assert found.k_hat > 0.7
    assert found.effective < 2_000


# Parameters --------------------------------------------------------------------------------------


def test_a_coordinate_moves_as_a_draw_does():
    for one in coordinates(["growth_rate_per_day", "line_kill_factor[2]", "folfox.kill_per_day"]):
        assert one.at(0.0) == pytest.approx(one.value)
        assert one.at(-1.96) < one.value < one.at(1.96)
    with pytest.raises(KeyError):
        coordinates(["no_such_number"])
    assert all("[" in c.name or parameters()[c.name].is_scalar for c in every_coordinate())


def test_numbers_find_their_place_in_the_record():
    assert place_of("growth_rate_per_day") == ("growth_rate_per_day", None)
    assert place_of("line_kill_factor[2]") == ("line_kill_factor", 2)
    field, place = place_of("folfox.kill_per_day")
    assert pack()[0][field][place] == parameters()["folfox.kill_per_day"].value[0]
    for wrong in ("line_kill_factor", "growth_rate_per_day[0]", "nothing.at_all"):
        with pytest.raises(KeyError):
            place_of(wrong)


def posterior(names, draws):
    return Posterior(tuple(names), np.array(draws), np.zeros(len(draws)), {})


def test_a_posterior_changes_what_it_learned_and_nothing_a_scenario_sets():
    learned = posterior(
        ["growth_rate_per_day", "line_kill_factor[2]"], [[0.002, 0.9], [0.004, 0.5]]
    )
    plain, second = pack(3, 2)[0], pack(3, 2, None, learned)[0]
    assert second["growth_rate_per_day"] == 0.004
    assert second["line_kill_factor"].tolist() == [*plain["line_kill_factor"][:2], 0.5,
                                                   plain["line_kill_factor"][3]]  # fmt: skip
    same = [n for n in plain.dtype.names if n not in ("growth_rate_per_day", "line_kill_factor")]
    assert all(np.array_equal(plain[n], second[n]) for n in same)
    assert pack(3, 0, None, learned)[0]["growth_rate_per_day"] == pytest.approx(0.003)
    assert pack(3, 3, None, learned)[0]["growth_rate_per_day"] == 0.002  # counted round
    held = pack(3, 2, {"growth_rate_per_day": (0.001,)}, learned)[0]
    assert held["growth_rate_per_day"] == 0.001
    space = coordinates(["growth_rate_per_day"])
    assert values_at(space, np.zeros(1)) == {"growth_rate_per_day": space[0].value}


@given(st.sampled_from(every_coordinate()), st.floats(-3.0, 3.0))
def test_every_coordinate_leads_back_to_its_normal(one, z):
    value = one.at(z)
    spread = {
        "lognormal": lambda v: math.log(v),
        "logitnormal": lambda v: math.log(v / (1.0 - v)),
        "normal": lambda v: v,
    }[one.law]
    width = spread(one.upper) - spread(one.lower)
    back = (spread(value) - spread(one.value)) / (width / (2.0 * 1.959963984540054))
    assert back == pytest.approx(z, abs=1e-6)
    assert one.at(0.0) == pytest.approx(one.value)


def test_every_coordinate_is_one_number_of_the_record():
    """Put back at its value each changes nothing; moved, that number alone."""
    plain = pack()
    flat = plain.view(np.float64)
    places = set()
    for one in every_coordinate():
        record = plain.copy()
        put_values(record[0], {one.name: one.value})
        assert record.tobytes() == plain.tobytes()
        put_values(record[0], {one.name: one.at(1.0)})
        moved = np.flatnonzero(record.view(np.float64) != flat)
        assert len(moved) == 1, one.name
        places.add(int(moved[0]))
    assert len(places) == len(every_coordinate())


def test_what_is_held_is_not_put():
    record = pack()
    values = {"line_kill_factor[1]": 9.0, "growth_rate_per_day": 9.0, "folfox.kill_per_day": 9.0}
    put_values(record[0], values, {"line_kill_factor", "folfox.kill_per_day"})
    expected = pack(changes={"growth_rate_per_day": (9.0,)})
    assert record.tobytes() == expected.tobytes()


def test_a_posterior_without_draws_of_a_number_leaves_it_as_drawn():
    learned = posterior(["growth_rate_per_day"], [[0.002]])
    for draw in (0, 1, 5):
        plain, with_it = pack(3, draw), pack(3, draw, None, learned)
        plain["growth_rate_per_day"] = 0.002
        assert plain.tobytes() == with_it.tobytes()


def test_a_list_that_a_scenario_sets_is_held_whole():
    learned = posterior(["line_kill_factor[2]"], [[0.9]])
    mine = {"line_kill_factor": (0.4, 0.3, 0.2, 0.1)}
    assert pack(1, 1, mine, learned).tobytes() == pack(1, 1, mine).tobytes()


# Files -------------------------------------------------------------------------------------------


def write(folder, table="growth_rate_per_day,tau\n0.001,0.1\n", version=MODEL_VERSION):
    (folder / "posterior.csv").write_text(table)
    (folder / "posterior.json").write_text(json.dumps({"model_version": version}))
    return folder


def test_a_posterior_is_read_back(tmp_path):
    found = read_posterior(write(tmp_path))
    assert found.values(1) == {"growth_rate_per_day": 0.001}
    assert found.tau.tolist() == [0.1]


@pytest.mark.parametrize(
    ("table", "version", "said"),
    [
        ("growth_rate_per_day,tau\n0.001,0.1\n", MODEL_VERSION + 1, "version"),
        ("growth_rate_per_day\n0.001\n", MODEL_VERSION, "cannot be read"),
        ("growth_rate_per_day,tau\n0.001\n", MODEL_VERSION, "cannot be read"),
        ("growth_rate_per_day,tau\nnan,0.1\n", MODEL_VERSION, "cannot be read"),
        ("growth_rate_per_day,tau\nx,0.1\n", MODEL_VERSION, "cannot be read"),
        ("", MODEL_VERSION, "cannot be read"),
    ],
)
def test_a_posterior_that_cannot_be_used_is_refused(tmp_path, table, version, said):
    with pytest.raises(PosteriorError, match=said):
        read_posterior(write(tmp_path, table, version))


@pytest.mark.parametrize("name", ["growth_rate_per_dy", "growth_rate_per_day[0]", "folfox.kil"])
def test_a_number_that_the_model_does_not_have_is_refused(tmp_path, name):
    posterior = read_posterior(write(tmp_path, f"{name},tau\n0.001,0.1\n"))
    with pytest.raises(PosteriorError, match="is no parameter of this model") as refused:
        check_known(posterior)
    assert name in str(refused.value)


def test_the_shipped_posterior_fits_this_model():
    found = read_posterior(calibration_folder())
    assert len(found.draws) >= 500
    known = {one.name for one in every_coordinate()}
    assert set(found.names) <= known
    assert found.provenance["diagnostics"]["figures"] >= 120


def test_settings_that_cannot_be_used_are_refused(tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text("seed = 3\nwaves = [10, 5]\n")
    assert read_settings(path) == Settings(seed=3, waves=(10, 5))
    for text in ("sed = 3", "waves = [10]", "draws = 0", "draws = 1.5", "draws ="):
        path.write_text(text)
        with pytest.raises(ScenarioError, match=r"calibration\.toml"):
            read_settings(path)


def fitted_by_hand(draws=40):
    """What a fit gives, of two coordinates and made-up draws."""
    space = tuple(coordinates(["growth_rate_per_day", "line_kill_factor[2]"]))
    targets = tribe()
    random = np.random.default_rng(2)
    z = random.normal(size=(draws, 2))
    points = latin_hypercube(80, 2, 1)
    return Fitted(
        settings=Settings(seed=4, waves=(60, 50)),
        space=space,
        targets=targets,
        z=z,
        tau=np.abs(random.normal(size=draws)),
        emulator=emulator.fit(points, np.outer(points[:, 0], np.ones(len(targets))), 2),
        sampled=Sample(z, np.array([1.0, 1.01, 1.02]), np.array([900.0, 800.0, 700.0])),
        verified=Weighted(np.full(50, 0.02), 0.4, 31.0),
        screened=np.ones(10),
        nuisance=np.zeros(len(targets)),
    )


def test_a_posterior_written_is_the_posterior_read(tmp_path):
    fitted = fitted_by_hand()
    record = write_posterior(fitted, TARGETS, tmp_path / "new", "crlm calibrate")
    found = read_posterior(tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "posterior.csv",
        "posterior.json",
    ]
    assert found.names == ("growth_rate_per_day", "line_kill_factor[2]")
    expected = np.array(
        [[c.at(z) for c, z in zip(fitted.space, point, strict=True)] for point in fitted.z]
    )
    assert found.draws == pytest.approx(expected, rel=1e-5)  # six figures each
    assert found.tau == pytest.approx(fitted.tau, rel=1e-5)
    assert found.provenance == json.loads(json.dumps(record))
    told = found.provenance["diagnostics"]
    assert told["figures"] == len(fitted.targets)
    assert told["pareto_k"] == 0.4
    assert told["r_hat_most"] == 1.02
    assert told["parameters"][0]["moved_by_prior_sd"] == pytest.approx(fitted.z[:, 0].mean())
    assert told["parameters"][0]["informed_by"]
    assert not told["parameters"][1]["informed_by"]
    again = write_posterior(fitted, TARGETS, tmp_path / "new", "crlm calibrate")
    assert again == record


def test_a_missing_half_is_told_in_one_sentence(tmp_path):
    for missing in ("posterior.csv", "posterior.json"):
        folder = tmp_path / missing.replace(".", "_")
        folder.mkdir()
        write(folder)
        (folder / missing).unlink()
        with pytest.raises(PosteriorError) as refused:
            read_posterior(folder)
        assert missing in str(refused.value)
        assert "run `crlm calibrate`" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_the_studies_of_a_posterior_are_told_by_their_hash(tmp_path):
    (tmp_path / "a.toml").write_text("a = 1\n")
    one = studies_hash(tmp_path)
    (tmp_path / "notes.md").write_text("not a study")
    assert studies_hash(tmp_path) == one
    (tmp_path / "a.toml").rename(tmp_path / "b.toml")
    assert studies_hash(tmp_path) != one
    (tmp_path / "b.toml").rename(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("a = 2\n")
    assert studies_hash(tmp_path) != one
