"""The parts of a calibration: scales, likelihood, emulator, sampler, weights, posterior files."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from crlm_sim.calibration import emulator, scales
from crlm_sim.calibration.fit import Settings, read_settings
from crlm_sim.calibration.likelihood import (
    Likelihood,
    discrepancy_covariance,
    log_prior,
    published_covariance,
)
from crlm_sim.calibration.sampling import latin_hypercube, pareto_weights, sample
from crlm_sim.calibration.simulate import targets_of
from crlm_sim.calibration.space import coordinates, every_coordinate, values_at
from crlm_sim.calibration.study import load_study
from crlm_sim.evidence import Posterior, PosteriorError, pack, parameters
from crlm_sim.evidence.parameters import place_of
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
