"""Patients at diagnosis: margins as the parameters say, draws that do not disturb one another.

Margins of 50,000 patients are held to the parameters within 4.5 standard errors (7 in 10⁶ by
chance, and the numbers are fixed) and, where a figure was published, to that within wide bounds.
Expected values are worked out apart, by scipy: integrals over age, truncated geometric counts,
Poisson means over the unseen aggressiveness, the life table's survival.
"""

import math

import numpy as np
import pytest
from helpers import DAY, YEAR, diagnosed, known_parameters, lived, policy
from scipy import special, stats

from crlm_sim.disease.growth import EXTINCT, burden_at
from crlm_sim.disease.patient import (
    BRAF_MUTANT,
    CLONES,
    FEMALE,
    LEFT_COLON,
    LUNG,
    MALE,
    NODE,
    PERITONEUM,
    PORTAL_NODE,
    RAS_MUTANT,
    RECTUM,
    RIGHT_COLON,
    SEGMENTS,
)
from crlm_sim.evidence import pack, parameters

SIZE = 50_000
PARAMS = pack()
M = PARAMS[0]
Z = 4.5


@pytest.fixture(scope="module")
def patients():
    return diagnosed(SIZE, PARAMS)


def assert_share(flags, expected):
    """A binomial share of independent patients."""
    slack = Z * math.sqrt(max(expected * (1.0 - expected), 1e-9) / len(flags))
    assert np.mean(flags) == pytest.approx(expected, abs=slack)


def assert_mean(values, expected):
    slack = Z * np.std(values) / math.sqrt(len(values))
    assert np.mean(values) == pytest.approx(expected, abs=slack)


# Margins -----------------------------------------------------------------------------------------


def test_sex_and_age(patients):
    assert_share(patients["sex"] == FEMALE, float(M["female_share"]))
    mean, sd = float(M["age_mean_years"]), float(M["age_sd_years"])
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.9):
        assert_share(patients["age_years"] < stats.norm.ppf(quantile, mean, sd), quantile)
    assert patients["age_years"].min() >= M["age_youngest_years"]
    assert patients["age_years"].max() <= M["age_oldest_years"]


def test_fitness_falls_with_age_as_the_odds_say(patients):
    older = M["fitness_age_effect"] * (patients["age_years"] - M["age_mean_years"]) / 10.0
    older += M["fitness_burden_effect"] * np.array([burden_at(p, M, 0) for p in patients])
    for worse in range(3):
        chance = special.expit(M["performance_status_logit"][worse] + older)
        found = patients["performance_status"] > worse
        slack = Z * math.sqrt((chance * (1.0 - chance)).sum())
        assert found.sum() == pytest.approx(chance.sum(), abs=slack)
        old = patients["age_years"] > 75
        slack = Z * math.sqrt((chance * (1.0 - chance))[old].sum())
        assert found[old].sum() == pytest.approx(chance[old].sum(), abs=slack)


def test_site_of_the_primary(patients):
    rectum, right = float(M["rectum_share"]), float(M["right_colon_share"])
    assert_share(patients["primary_site"] == RECTUM, rectum)
    assert_share(patients["primary_site"] == RIGHT_COLON, right)
    assert_share(patients["primary_site"] == LEFT_COLON, 1.0 - rectum - right)
    for site, major in ((RECTUM, "major_rectal_share"), (LEFT_COLON, "major_colon_share")):
        here = patients[patients["primary_site"] == site]
        assert_share(here["major_primary"], float(M[major]))
    assert_share(patients["symptomatic_primary"], float(M["symptomatic_primary_share"]))
    assert_share(patients["node_positive"], float(M["node_positive_share"]))


def test_mutations_by_side(patients):
    right = patients["primary_site"] == RIGHT_COLON
    for side, here in (("right", patients[right]), ("left", patients[~right])):
        assert_share(here["mutation"] == RAS_MUTANT, float(M[f"ras_share_{side}"]))
        assert_share(here["mutation"] == BRAF_MUTANT, float(M[f"braf_share_{side}"]))
    braf = patients["mutation"] == BRAF_MUTANT
    assert_share(patients[braf]["msi_high"], float(M["msi_share_braf"]))
    assert_share(patients[~braf]["msi_high"], float(M["msi_share"]))


def test_margins_are_near_published_figures(patients):
    """RAS near 50 %, BRAF 8–10 % of metastatic disease; nodes 61–70 %; acute primaries 6–21 %."""
    assert 0.38 < np.mean(patients["mutation"] == RAS_MUTANT) < 0.56
    assert 0.05 < np.mean(patients["mutation"] == BRAF_MUTANT) < 0.12
    assert 0.55 < np.mean(patients["node_positive"]) < 0.82
    assert 0.04 < np.mean(patients["symptomatic_primary"]) < 0.22
    assert 0.02 < np.mean(patients["msi_high"]) < 0.08


def test_number_of_lesions(patients):
    """Diffuse disease uniform, the rest geometric up to a most; Hackl 2011: 36–48 % have ≤ 3."""
    assert_share(patients["diffuse"], float(M["diffuse_share"]))
    stop = float(M["lesion_stop_probability"])
    rest = patients[patients["diffuse"] == 0]["lesions"]
    for n in (1, 2, 3, 5, 8):
        assert_share(rest <= n, 1.0 - (1.0 - stop) ** n)
    assert rest.max() <= M["lesions_most"]
    diffuse = patients[patients["diffuse"] == 1]["lesions"]
    least, most = int(M["diffuse_lesions_least"]), int(M["diffuse_lesions_most"])
    counts = np.bincount(diffuse, minlength=most + 1)[least:]
    assert len(counts) == most - least + 1
    assert stats.chisquare(counts).pvalue > 1e-6
    assert 0.30 < np.mean(patients["lesions"] <= 3) < 0.55


def test_size_of_the_largest_lesion(patients):
    centre = np.log(M["largest_lesion_mm"])
    centre = centre + M["largest_lesion_per_log_number"] * np.log(patients["lesions"])
    z = (np.log(patients["largest_mm"]) - centre) / M["largest_lesion_sd"]
    for quantile in (-1.5, -0.5, 0.0, 0.5, 1.5):
        assert_share(z < quantile, stats.norm.cdf(quantile))
    assert patients["largest_mm"].max() <= M["largest_lesion_most_mm"] * (1 + 1e-9)
    assert 28.0 < np.median(patients["largest_mm"]) < 42.0  # S0070: 36 mm; S0052–3: 31 and 48


def test_lesions_lie_where_volume_is_and_keep_their_traits(patients):
    here = patients[(patients["diffuse"] == 1)]
    in_lesions = np.arange(CLONES)[None, :] < here["lesions"][:, None]
    expected = here["segment_ml"] / here["liver_ml"][:, None]
    for segment in range(SEGMENTS):
        found = ((here["site"] == segment) & in_lesions).sum(axis=1)
        difference = found - expected[:, segment] * here["lesions"]
        assert_mean(difference, 0.0)
    in_lesions = np.arange(CLONES)[None, :] < patients["lesions"][:, None]
    for trait in ("deep", "near_vessel", "near_duct"):
        flags = patients[trait][in_lesions]
        assert_share(flags, float(M[f"{trait}_share"]))


def test_bilobar_means_both_sides(patients):
    in_lesions = np.arange(CLONES)[None, :] < patients["lesions"][:, None]
    left = ((patients["site"] < 4) & in_lesions).any(axis=1)
    right = ((patients["site"] >= 4) & in_lesions).any(axis=1)
    assert np.array_equal(patients["bilobar"] != 0, left & right)


def test_disease_outside_the_liver(patients):
    for place, site in enumerate((LUNG, PERITONEUM, NODE, PORTAL_NODE)):
        # Overt clones outside the liver follow the lesions; occult ones are below their size.
        overt = (patients["site"] == site) & (
            patients["log_sensitive"] > M["occult_log_largest_ml"]
        )
        overt &= np.arange(CLONES)[None, :] < patients["clones"][:, None]
        for diffuse in (0, 1):
            here = patients["diffuse"] == diffuse
            logit = M["extrahepatic_logit"][place]
            logit = logit + diffuse * M["extrahepatic_diffuse_log_odds"]
            assert_share(overt.any(axis=1)[here], float(special.expit(logit)))


def test_cea(patients):
    burden = np.log(patients["lesions"])
    burden = burden + 3.0 * np.log(patients["largest_mm"] / M["largest_lesion_mm"])
    z = np.log(patients["cea_ng_ml"]) - M["cea_log_median"] - M["cea_per_log_burden"] * burden
    assert stats.kstest(z / M["cea_sd"], "norm").pvalue > 1e-6


def test_occult_clones_have_the_expected_number(patients):
    """Poisson over log-normal aggressiveness, by quadrature; patients with room for 40 more."""
    here = patients[(patients["diffuse"] == 0) & (patients["extrahepatic"] == 0)]
    here = here[here["lesions"] <= 6][:20_000]
    room = CLONES - here["lesions"]
    log_mean = (
        M["occult_log_mean"]
        + M["occult_per_log_lesions"] * np.log(here["lesions"])
        + M["occult_per_log_size"] * np.log(here["largest_mm"] / M["largest_lesion_mm"])
        + M["occult_per_log_cea"] * (np.log(here["cea_ng_ml"]) - M["cea_log_median"])
        + M["occult_node_positive"] * here["node_positive"]
        + M["occult_ras"] * (here["mutation"] == RAS_MUTANT)
        + M["occult_braf"] * (here["mutation"] == BRAF_MUTANT)
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    none, mean = np.zeros(len(here)), np.zeros(len(here))
    for node, weight in zip(nodes, weights, strict=True):
        rate = np.minimum(np.exp(log_mean + M["occult_aggressiveness_sd"] * node), float(CLONES))
        none += weight * np.exp(-rate)
        # E min(N, room) = Σ P(N > n) for n below the room; only large rates reach it.
        reach = stats.poisson.cdf(room, rate)
        mean += weight * (rate * stats.poisson.cdf(room - 1, rate) + room * (1.0 - reach))
    count = here["clones"] - here["lesions"]
    assert_mean((count == 0) - none, 0.0)
    assert_mean(count - mean, 0.0)


def test_occult_clones_are_small_and_spread_as_stated(patients):
    here = patients[(patients["extrahepatic"] == 0)]
    number = np.arange(CLONES)[None, :]
    occult = (number >= here["lesions"][:, None]) & (number < here["clones"][:, None])
    size = here["log_sensitive"][occult]
    low, high = float(M["occult_log_smallest_ml"]), float(M["occult_log_largest_ml"])
    scaled = (size - low) / (high - low)
    assert ((scaled > 0.0) & (scaled < 1.0)).all()
    assert stats.kstest(scaled, "uniform").pvalue > 1e-6
    sites = here["site"][occult]
    assert_share(sites < SEGMENTS, float(M["occult_liver_share"]))
    for site, share in zip((LUNG, PERITONEUM, NODE), M["occult_elsewhere_share"], strict=True):
        assert_share(sites == site, float(share))


def test_resistant_parts(patients):
    """Log-normal below a most; a part below one cell does not exist."""
    z = patients["resistant_log_fraction"] - M["resistant_log_fraction"]
    z = z / M["resistant_log_fraction_sd"]
    below = patients["resistant_log_fraction"] < M["resistant_log_fraction_most"]
    for quantile in (-1.5, -0.5, 0.0, 0.5):
        assert_share(z < quantile, stats.norm.cdf(quantile))
    assert below.mean() > 0.5
    number = np.arange(CLONES)[None, :] < patients["clones"][:, None]
    resistant = patients["log_resistant"][number]
    assert ((resistant >= M["log_cell_ml"]) | (resistant == EXTINCT)).all()


def test_growth_and_sensitivity(patients):
    """Standard normals after subgroup shifts, with the stated correlation."""
    right = patients["primary_site"] == RIGHT_COLON
    ras, braf = (patients["mutation"] == m for m in (RAS_MUTANT, BRAF_MUTANT))
    shifts = {"growth": np.log(M["growth_rate_per_day"]) + 0.0 * right, "sensitivity": 0.0 * right}
    for what in shifts:
        shifts[what] = shifts[what] + M[f"ras_log_{what}"] * ras + M[f"braf_log_{what}"] * braf
        shifts[what] = shifts[what] + M[f"right_log_{what}"] * right
    size = np.log(patients["largest_mm"] / M["largest_lesion_mm"])
    shifts["growth"] = shifts["growth"] + M["size_log_growth"] * size
    shifts["growth"] = shifts["growth"] + M["node_log_growth"] * (patients["node_positive"] > 0)
    shifts["sensitivity"] = shifts["sensitivity"] + M["msi_log_sensitivity"] * patients["msi_high"]
    a = (np.log(patients["growth_rate"]) - shifts["growth"]) / M["growth_rate_sd"]
    b = (np.log(patients["sensitivity"]) - shifts["sensitivity"]) / M["sensitivity_sd"]
    assert stats.kstest(a, "norm").pvalue > 1e-6
    assert stats.kstest(b, "norm").pvalue > 1e-6
    expected = float(M["growth_sensitivity_correlation"])
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(expected, abs=Z / math.sqrt(SIZE))


def test_the_liver_follows_vautheys_formula_of_body_surface(patients):
    """−794.41 + 1267.28 m² at mean height and weight; livers of 1–3 litres."""
    men = patients[patients["sex"] == MALE]
    surface = math.sqrt(float(M["height_cm"][MALE]) * float(M["weight_kg"][MALE]) / 3600.0)
    assert np.median(men["liver_ml"]) == pytest.approx(-794.41 + 1267.28 * surface, rel=0.02)
    assert patients["liver_ml"].min() > 400.0
    assert patients["liver_ml"].max() < 4500.0


def test_fong_score(patients):
    for patient in patients[:500]:
        expected = (
            1
            + int(patient["lesions"] > 1)
            + int(patient["largest_mm"] > 50.0)
            + int(patient["node_positive"])
            + int(patient["cea_ng_ml"] > 200.0)
        )
        assert patient["fong_score"] == expected


def test_nobody_is_dead_at_diagnosis(patients):
    assert (patients["death_minute"] > 0).all()
    assert max(burden_at(p, M, 0) for p in patients[:3000]) < 1.0
    lethal = [burden_at(p, M, 0) for p in patients[patients["lesions"] > 20][:3000]]
    assert max(lethal) < 1.0


def test_records_stay_inside_their_bounds(patients):
    assert (patients["clones"] >= patients["lesions"]).all()
    assert (patients["lesions"] >= 1).all()
    assert patients["clones"].max() <= CLONES
    for field in patients.dtype.names:
        if patients[field].dtype.kind == "f" and not field.startswith("log_"):
            assert np.isfinite(patients[field]).all(), field


# Independence of purposes ------------------------------------------------------------------------

DEPENDS = {
    "female_share": {"sex", "weight_kg", "liver_ml", "segment_ml", "other_death_minute", "site",
                     "bilobar"},
    "symptomatic_primary_share": {"symptomatic_primary"},
    "node_positive_share": {"node_positive", "fong_score", "clones", "growth_rate"},
    "deep_share": {"deep"},
    "growth_rate_per_day": {"growth_rate"},
    "lethal_liver_ml": {"log_lethal_liver_ml", "log_lethal_elsewhere_ml", "performance_status",
                        "other_death_minute"},
    "hypertrophy_sd": {"hypertrophy_factor"},
    "sinusoidal_log_susceptibility": {"sinusoidal_susceptibility"},
    "primary_complication_rate_per_day": {"primary_complication_minute"},
    "cea_sd": {"cea_ng_ml", "fong_score", "clones"},
    "ras_share_left": {"mutation", "growth_rate", "sensitivity", "msi_high", "clones",
                       "log_resistant"},
}  # fmt: skip
"""What may differ at diagnosis when one parameter does; occult clones come with their number,
and fitness with the burden."""
OF_CLONES = {
    "log_sensitive", "log_resistant", "conspicuity", "site", "deep", "near_vessel", "near_duct",
    "near_edge",
    "log_lethal_liver_ml", "log_lethal_elsewhere_ml", "performance_status", "other_death_minute",
}  # fmt: skip
END = {"cured", "grown_until", "death_minute", "cause_of_death", "end_minute", "safe_until"}


@pytest.mark.parametrize("name", DEPENDS)
def test_a_parameter_moves_its_own_draws_and_no_other(name):
    before = diagnosed(2000, PARAMS)
    value = parameters()[name].value[0]
    after = diagnosed(2000, pack(changes={name: (value * 1.2 if value else 0.2,)}))
    may = DEPENDS[name] | END
    if "clones" in may or "site" in may:
        may |= OF_CLONES
    for field in before.dtype.names:
        if field not in may:
            assert before[field].tobytes() == after[field].tobytes(), field
    assert any(before[field].tobytes() != after[field].tobytes() for field in DEPENDS[name])


def test_patients_are_the_same_in_any_block():
    whole = diagnosed(300, PARAMS)
    part = lived(50, policy(), PARAMS, first=250, horizon=0)
    assert whole[250:].tobytes() == part.tobytes()


# Death from other causes -------------------------------------------------------------------------


def test_other_causes_agree_with_the_life_table_for_a_man_of_65():
    """Survival of 40,000 men at each birthday against Π (1 − q), with hazard ratio 1."""
    params = pack(
        changes={
            "female_share": (0.0,),
            "age_mean_years": (65.0,),
            "age_sd_years": (1e-9,),
            "other_cause_hazard_ratio": (1.0, 1.0, 1.0, 1.0),
        }
    )
    men = diagnosed(40_000, params)
    assert (men["sex"] == MALE).all()
    survival = np.cumprod(np.exp(-M["life_table_hazard"][MALE, 65:]))
    for years in (1, 2, 5, 10, 15, 20, 25, 30):
        assert_share(men["other_death_minute"] > years * YEAR, float(survival[years - 1]))


def test_the_primary_complicates_at_a_constant_rate():
    params = known_parameters(primary_complication_rate_per_day=1e-3)
    days = diagnosed(20_000, params)["primary_complication_minute"] / DAY
    assert stats.kstest(days, "expon", args=(0, 1000.0)).pvalue > 1e-6
    never = diagnosed(10, known_parameters(primary_complication_rate_per_day=0.0))
    assert (never["primary_complication_minute"] > 1000 * YEAR).all()
