"""Who is diagnosed where: incidence by age and sex, and the people each hospital serves."""

import numpy as np
import pytest
from helpers import HORIZON, SMALL_REGION, policy
from scipy import stats

from crlm_sim.disease.patient import FEMALE, MALE
from crlm_sim.engines import cohort
from crlm_sim.engines.region import arriving, expected_by_age, expected_per_year, with_age_and_sex
from crlm_sim.evidence import pack
from crlm_sim.evidence.capacity import (
    capacity_figures,
    incidence_by_age,
    national_incidence,
    residents_by_age,
)
from crlm_sim.experiments import region as runs
from crlm_sim.scenario import ScenarioError, loads, to_toml

TABLE = """\
[hospitals.old.population]
"0-49" = [10_000, 10_000]
"50-74" = [20_000, 21_000]
"75+" = [9_000, 12_000]
"""
TWO = f"""\
title = "An old and an ordinary town"
[run]
engine = "agents"
draws = "mean"
[hospitals.city]
population = 82_000
{TABLE}
[arrivals]
warm_up = "0 days"
period = "1 year"
follow_up = "0 days"
[[policy]]
name = "colorectal_first"
"""
BANDS = (slice(0, 50), slice(50, 75), slice(75, None))


def region(text=TWO):
    return loads(text).region


def by_band(by_age):
    return np.array([by_age[:, years].sum(axis=1) for years in BANDS])


# What the tables add up to ------------------------------------------------------------------------


def test_incidence_adds_up_to_the_crude_figures_it_is_derived_from():
    """E0209, E0210, E0212–E0214 and the shares of cases by age of E0222–E0225, to their digits."""
    people = 1000.0 * residents_by_age()
    assert people.sum(axis=1) == pytest.approx([31_793_752, 32_803_000], rel=1e-4)
    figures = capacity_figures()
    share = np.repeat([0.33, 0.294, 0.19], [50, 25, 20])
    cancers = people * incidence_by_age() / share
    assert cancers.sum(axis=1) == pytest.approx([22_844, 18_421], rel=5e-4)
    crude = 1e5 * cancers.sum(axis=1) / people.sum(axis=1)
    assert crude.round(1).tolist() == [71.9, 56.2]
    total = cancers.sum()
    published = np.array([10_243, 104_754, 90_240]) / 205_237
    assert by_band(cancers).sum(axis=1) / total == pytest.approx(published, abs=1e-3)
    assert (people * incidence_by_age()).sum() / total == pytest.approx(0.25, abs=1e-3)
    assert national_incidence() == pytest.approx(63.9 * 0.25, rel=2e-3)
    old = 1e5 * cancers[:, 75:].sum(axis=1) / people[:, 75:].sum(axis=1)
    assert old[0] > 300.0 < figures["colorectal_cancer"]["men"]["value"][-1]
    assert old[1] > 200.0
    at_45 = 1e5 * cancers[:, 45:50].sum() / people[:, 45:50].sum()
    assert at_45 == pytest.approx(20.0, abs=1.0)


def test_every_figure_says_its_unit_and_source():
    for entries in capacity_figures().values():
        for entry in entries.values():
            assert entry["unit"].strip()
            assert len(entry["source"].strip()) > 4


# What a population means --------------------------------------------------------------------------


def test_expected_numbers_by_hand():
    """1,000 men of 75–79, 2,000 women of 80–84: 382 and 303 cancers per 100,000, 19 % of them."""
    table = '"0-74" = [0, 0]\n"75-79" = [1_000, 0]\n"80-84" = [0, 2_000]\n"85+" = [0, 0]\n'
    found = expected_by_age(
        region(TWO.replace(TABLE, f"[hospitals.old.population]\n{table}")), "old"
    )
    assert found[0, 75:80].sum() == pytest.approx(1_000 * 382e-5 * 0.19, rel=1e-12)
    assert found[1, 80:85].sum() == pytest.approx(2_000 * 303e-5 * 0.19, rel=1e-12)
    assert found.sum() == pytest.approx(found[0, 75:80].sum() + found[1, 80:85].sum(), rel=1e-12)


def test_a_number_of_people_is_the_nation_in_small():
    people = residents_by_age()
    lines = [
        f'"{name}" = [{float(men)!r}, {float(women)!r}]'
        for name, (men, women) in zip(("0-49", "50-74", "75+"), by_band(people), strict=True)
    ]
    table = "[hospitals.old.population]\n" + "\n".join(lines) + "\n"
    both = region(TWO.replace(TABLE, table).replace("82_000", repr(float(people.sum()))))
    assert expected_by_age(both, "old") == pytest.approx(expected_by_age(both, "city"), rel=1e-12)
    level = region(TWO.replace("[arrivals]", "[arrivals]\nper_100_000 = 40"))
    assert expected_per_year(level, "city") == pytest.approx(0.4 * 82, rel=1e-12)
    ratio = expected_by_age(level, "old").sum() / expected_by_age(region(), "old").sum()
    assert ratio == pytest.approx(40 / national_incidence(), rel=1e-12)


def test_an_older_population_gives_more_and_older_patients():
    """Of the nation 8 % are above 74, here 26 %. Observed: chi-square by band and sex.

    500 years of both hospitals; error rate of each of the two tests 1 in 10,000.
    """
    both = region()
    old, city = (by_band(expected_by_age(both, name)) for name in ("old", "city"))
    assert both.hospitals["old"].people == both.hospitals["city"].people == 82_000
    assert old.sum() > 2.0 * city.sum()
    assert old[2].sum() / old.sum() > 1.2 * city[2].sum() / city.sum()
    many = region(TWO.replace("[arrivals]", "[arrivals]\nper_100_000 = 8000"))
    patients, _, homes = arriving(many, 7)
    for place, name in enumerate(("city", "old")):
        own = patients[homes == place]
        edges = np.searchsorted([50, 75], own["age_years"], side="right")
        seen = np.array(
            [[((edges == n) & (own["sex"] == s)).sum() for s in (0, 1)] for n in range(3)]
        )
        expected = by_band(expected_by_age(many, name))
        statistic = ((seen - expected) ** 2 / expected).sum()
        assert stats.chi2.sf(statistic, expected.size) > 1e-4


def test_ages_follow_the_incidence_within_a_band():
    """Kolmogorov–Smirnov of the ages of women against the expected; error rate 1 in 10,000."""
    many = region(TWO.replace("[arrivals]", "[arrivals]\nper_100_000 = 8000"))
    expected = expected_by_age(many, "city")[FEMALE]
    below = np.concatenate([[0.0], np.cumsum(expected)]) / expected.sum()
    patients, _, homes = arriving(many, 11)
    ages = patients["age_years"][(homes == 0) & (patients["sex"] == FEMALE)]
    found = stats.kstest(ages, lambda age: np.interp(age, np.arange(len(below)), below))
    assert found.pvalue > 1e-4
    assert ages.min() >= 20.0
    assert ages.max() <= 95.0


def test_a_population_of_one_sex():
    table = '[hospitals.old.population]\n"0-64" = [0, 0]\n"65+" = [0, 30_000]\n'
    patients, _, homes = arriving(region(TWO.replace(TABLE, table)), 1)
    own = patients[homes == 1]
    assert len(own)
    assert (own["sex"] == FEMALE).all()
    assert (own["age_years"] >= 65.0).all()


# The patients -------------------------------------------------------------------------------------


def test_who_is_counted_with_the_age_the_model_would_draw_is_the_same_patient():
    params, rules = pack(), policy("colorectal_first")
    drawn = cohort.blank_patients(0, 300, 5)
    cohort.simulate(drawn, params, rules, HORIZON)
    counted = cohort.blank_patients(0, 300, 5)
    counted["age_years"], counted["sex"] = drawn["age_years"], drawn["sex"]
    cohort.simulate(counted, params, rules, HORIZON)
    assert counted.tobytes() == drawn.tobytes()


def test_who_is_counted_keeps_age_and_sex_and_rank():
    """Under an older structure every patient is older, and of a man none becomes a woman less."""
    both = region()
    young = with_age_and_sex(cohort.blank_patients(0, 2000, 1), expected_by_age(both, "city"))
    old = with_age_and_sex(cohort.blank_patients(0, 2000, 1), expected_by_age(both, "old"))
    same = young["sex"] == old["sex"]
    assert same.mean() > 0.95
    assert (old["age_years"][same] > young["age_years"][same]).mean() > 0.95
    assert {MALE, FEMALE} == set(np.unique(young["sex"]))
    lived = runs.play(loads(SMALL_REGION), "colorectal_first", 0).patients
    blank, _, _ = arriving(loads(SMALL_REGION).region, 1)
    assert np.array_equal(lived["age_years"], blank["age_years"])
    assert np.array_equal(lived["sex"], blank["sex"])


def test_patients_of_one_hospital_stay_who_they_are_when_another_grows_old():
    before, minutes_before, homes_before = arriving(region(), 1)
    after, minutes_after, homes_after = arriving(region(TWO.replace("9_000", "19_000")), 1)
    assert (homes_after == 1).sum() > (homes_before == 1).sum()
    assert np.array_equal(before[homes_before == 0], after[homes_after == 0])
    assert np.array_equal(minutes_before[homes_before == 0], minutes_after[homes_after == 0])


# Reading ------------------------------------------------------------------------------------------


def test_a_table_is_read_back_and_replaced():
    scenario = loads(TWO)
    assert loads(to_toml(scenario)) == scenario
    assert scenario.region.hospitals["old"].population["75+"] == (9_000, 12_000)


def test_a_number_over_a_table_and_a_table_over_a_number(tmp_path):
    (tmp_path / "base.toml").write_text(TWO)
    child = 'base = "base.toml"\ntitle = "Other"\n[hospitals.old]\npopulation = 5\n'
    table = TABLE.replace("old", "city")
    found = loads(child + table, folder=tmp_path).region.hospitals
    assert found["old"].population == 5
    assert found["city"].people == 82_000


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('"75+"', '"75-"', 10, "is no age band (got '75-')"),
        ('"75+"', '"75-74"', 10, "must end after it begins"),
        ("[9_000, 12_000]", "21_000", 10, "must be two numbers, men and women (got 21000)"),
        ("[9_000, 12_000]", "[9_000]", 10, "must be two numbers"),
        ("[9_000, 12_000]", "[-1, 12_000]", 10, "must not be negative (got -1)"),
        ('"50-74"', '"55-74"', 7, "nobody is counted at the ages 50 to 54"),
        ('"50-74"', '"45-74"', 7, "'45-74' counts people that another age band counts too"),
        ('"75+"', '"75-89"', 7, "nobody is counted from the age of 90 on"),
        ('"75+" =', '"75-94" = [1, 1]\n"95+" =', 7, "begins at 90 at the latest (got '95+')"),
        ("82_000", "-5", 6, "must not be negative"),
        ("82_000", '"many"', 6, "must be a number (got 'many')"),
    ],
)
def test_a_table_that_cannot_be_is_refused(old, new, line, said):
    assert old in TWO
    with pytest.raises(ScenarioError) as refused:
        loads(TWO.replace(old, new, 1))
    text = str(refused.value)
    assert said in text
    assert f"scenario.toml:{line}:" in text


@pytest.mark.parametrize("heading", ["population", "parameters"])
def test_the_law_of_ages_has_no_place_beside_hospitals(heading):
    with pytest.raises(ScenarioError, match="age and sex come from whom they serve"):
        loads(TWO + f"[{heading}]\nage_sd_years = 9\n")
