"""What a course costs and what its days are worth: by hand, and as equalities."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
from helpers import DAY, SCENARIOS, crlm
from hypothesis import given
from hypothesis import strategies as st

from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER, OTHER, TUMOUR, new_patients
from crlm_sim.engines.steps import ACTIVITY_LOG
from crlm_sim.evidence import ACTIVITIES, REGIMENS, pack, parameters, prices_and_utilities
from crlm_sim.experiments.simulate import packed_parameters, put_costs, simulate_block
from crlm_sim.outcomes.costing import WRITTEN, cost_courses
from crlm_sim.scenario import load

YEAR = 525_960
MONTH = YEAR // 12
NO_NORM = {"norm_intercept": (1.0,), "norm_male": (0.0,), "norm_age": (0.0,)}
NO_NORM |= {"norm_age_squared": (0.0,), "norm_reference": (1.0,)}
NATIONAL = {name: parameters()[name].value for name in NO_NORM}
FREE_OF_TOXICITY = {f"{name}.severe_toxicity_per_cycle": (0.0,) for name in REGIMENS}


def somebody(end, **fields):
    """One finished patient whose record holds nothing but an end and some minutes."""
    patient = new_patients(1)
    for name in patient.dtype.names:
        if name.endswith("_minute"):
            patient[name] = NEVER
    patient["line_minute"] = NEVER
    patient["end_minute"] = end
    patient["age_years"] = 60.0
    for name, value in fields.items():
        patient[name] = value
    return patient


def rows(*entries):
    """A log of (activity, start, end, regimen) of patient 0."""
    log = np.zeros(len(entries), ACTIVITY_LOG)
    for row, (activity, start, end, regimen) in zip(log, entries, strict=True):
        row["activity"] = ACTIVITIES.index(activity)
        row["start"], row["end"] = start, end
        row["regimen"] = REGIMENS.index(regimen) if regimen else 0
    return log


def costed(patient, log, changes=None, costs=0.0, effects=0.0, threshold=30_000.0):
    params = pack(changes=NO_NORM | FREE_OF_TOXICITY | (changes or {}))
    cost_courses(patient, log, params, costs, effects, threshold)
    return patient[0]


def price(name):
    return prices_and_utilities()[name].value[0]


# By hand -----------------------------------------------------------------------------------------


def test_every_activity_costs_its_price_and_a_cycle_its_drugs_too():
    log = rows(
        ("ct_scan", 0, 20, None),
        ("chemotherapy_cycle", DAY, DAY + 240, "folfox"),
        ("chemotherapy_cycle", 15 * DAY, 15 * DAY + 240, "folfiri"),
    )
    found = costed(somebody(30 * DAY), log)
    drugs = 2 * price("chemotherapy_cycle.price") + price("folfox.price") + price("folfiri.price")
    assert found["drugs_pounds"] == round(drugs)
    assert found["procedures_pounds"] == round(price("ct_scan.price"))
    assert found["cost_pounds"] == round(drugs + price("ct_scan.price"))


def test_a_stay_costs_by_the_day():
    found = costed(somebody(30 * DAY), rows(("ward_stay", DAY, 7 * DAY, None)))
    assert found["beds_pounds"] == found["cost_pounds"] == round(6 * price("ward_day_price"))


def test_a_severe_toxicity_costs_by_its_chance():
    changes = {"folfox.severe_toxicity_per_cycle": (0.5,), "toxicity_price": (1000.0,)}
    found = costed(somebody(30 * DAY), rows(("chemotherapy_cycle", 0, 240, "folfox")), changes)
    plain = costed(somebody(30 * DAY), rows(("chemotherapy_cycle", 0, 240, "folfox")))
    assert found["cost_pounds"] - plain["cost_pounds"] == 500


@pytest.mark.parametrize(("cause", "paid"), [(TUMOUR, 1), (OTHER, 0)])
def test_the_end_of_life_costs_at_a_death_of_the_disease(cause, paid):
    dead = somebody(YEAR, death_minute=YEAR, cause_of_death=cause)
    assert costed(dead, rows())["cost_pounds"] == paid * round(price("end_of_life_price"))


def test_supportive_care_costs_by_the_month():
    found = costed(somebody(YEAR, support_minute=6 * MONTH), rows())
    assert found["cost_pounds"] == round(6 * price("supportive_care_month_price"))


def test_a_cost_after_two_years_counts_less():
    found = costed(somebody(3 * YEAR), rows(("mri_scan", 2 * YEAR, 2 * YEAR, None)), costs=0.035)
    assert found["cost_pounds"] == round(price("mri_scan.price") / 1.035**2)


def test_years_count_less_as_they_come_later():
    """∫ 1.05^−t dt over ten years is (1 − 1.05^−10) / ln 1.05 = 7.9132 years."""
    found = costed(somebody(10 * YEAR), rows(), effects=0.05)
    years = (1.0 - 1.05**-10) / math.log(1.05)
    assert years == pytest.approx(7.9132, abs=5e-5)
    assert found["counted_days"] == round(years * 365.25)


def test_each_state_is_worth_its_utility():
    """A year each untreated, under a first, second and third line, and in supportive care."""
    patient = somebody(
        5 * YEAR,
        first_chemotherapy_minute=YEAR,
        line_minute=[YEAR, 2 * YEAR, 3 * YEAR],
        support_minute=4 * YEAR,
    )
    names = ("untreated", "first_line", "second_line", "third_line", "supportive_care")
    worth = sum(price(f"utility_{name}") for name in names)
    assert costed(patient, rows())["quality_days"] == round(worth * 365.25)


def test_who_is_free_of_disease_is_in_remission_after_eighteen_months_until_it_recurs():
    patient = somebody(
        4 * YEAR,
        first_chemotherapy_minute=0,
        cleared_minute=YEAR,
        recurrence_minute=3 * YEAR,
    )
    first, free = price("utility_first_line"), price("utility_disease_free")
    worth = 2 * first + 1.5 * free + 0.5 * price("utility_remission")
    assert costed(patient, rows())["quality_days"] == round(worth * 365.25)


def test_an_operation_takes_quality_for_three_months():
    patient = somebody(YEAR, first_chemotherapy_minute=0)
    log = rows(("major_liver_resection", 0, 300, None))
    changes = {"utility_first_line": (0.9,)}
    months = price("utility_operation") + 2 * price("utility_after_operation") + 9 * 0.9
    assert costed(patient, log, changes)["quality_days"] == round(months / 12 * 365.25)


def test_an_ablation_takes_it_for_one():
    patient = somebody(YEAR, first_chemotherapy_minute=0)
    log = rows(("percutaneous_ablation", 0, 120, None))
    changes = {"utility_first_line": (0.9,)}
    months = price("utility_ablation") + 11 * 0.9
    assert costed(patient, log, changes)["quality_days"] == round(months / 12 * 365.25)


def test_nobody_is_better_off_than_the_public_of_that_age_and_sex():
    """A woman of 70: 0.9508566 − 0.0002587 · 70 − 0.0000332 · 70² = 0.7700676, falling yearly."""
    patient = somebody(2 * YEAR, sex=1, age_years=70.0, first_chemotherapy_minute=0)
    found = costed(patient, rows(), {"utility_first_line": (0.99,), **NATIONAL})
    worth = sum(0.9508566 - 0.0002587 * age - 0.0000332 * age**2 for age in (70, 71))
    assert found["quality_days"] == round(worth * 365.25)


def test_net_benefit_is_qalys_at_their_price_less_the_cost():
    patient = somebody(YEAR, first_chemotherapy_minute=0)
    log = rows(("mri_scan", 0, 60, None))
    found = costed(patient, log, {"utility_first_line": (0.5,)}, threshold=20_000.0)
    assert found["net_benefit_pounds"] == round(10_000 - price("mri_scan.price"))


# Equalities --------------------------------------------------------------------------------------

SEQUENCING = load(next(p for p in SCENARIOS if p.stem == "sequencing"), ["run.patients=50"])
PARAMS = packed_parameters(SEQUENCING, 0)


@cache
def lived():
    return simulate_block(SEQUENCING, "liver_first", np.arange(200), params=PARAMS, keep_log=True)


def test_both_engines_cost_the_same():
    block = lived()
    agents = simulate_block(
        SEQUENCING, "liver_first", np.arange(200), params=PARAMS, engine="agents"
    )
    for field in WRITTEN:
        assert (agents.patients[field] == block.patients[field]).all()


def test_the_order_of_the_log_is_no_matter():
    block = lived()
    again = block.patients.copy()
    by_patient = np.argsort(-block.log["patient"], kind="stable")
    put_costs(SEQUENCING, again, block.log[by_patient], PARAMS)
    assert again.tobytes() == block.patients.tobytes()


@given(rate=st.floats(0.0, 0.2))
def test_discounting_never_adds(rate):
    block = lived()
    before, after = block.patients.copy(), block.patients.copy()
    cost_courses(before, block.log, PARAMS, 0.0, 0.0, 0.0)
    cost_courses(after, block.log, PARAMS, rate, rate, 0.0)
    for field in ("cost_pounds", "counted_days", "quality_days"):
        assert (after[field] <= before[field]).all()


def test_parts_add_up_to_no_more_than_the_whole():
    block = lived()
    p = block.patients
    parts = p["drugs_pounds"] + p["procedures_pounds"] + p["beds_pounds"]
    assert (parts <= p["cost_pounds"] + 2).all()
    assert (p["quality_days"] <= p["counted_days"]).all()
    assert (p["counted_days"] * MINUTES_PER_DAY <= p["end_minute"] + MINUTES_PER_DAY).all()


# What is said ------------------------------------------------------------------------------------


def test_a_run_says_how_many_placeholders_its_money_rests_on(tmp_path):
    path = next(p for p in SCENARIOS if p.stem == "sequencing")
    changed = f"parameters.{json.dumps('mri_scan.price')}=300"
    answer = crlm(
        "run", str(path), "--patients", "50", "--draws", "mean", "--set", changed, "--json",
        "--quiet", "--out", str(tmp_path / "run"),
    )  # fmt: skip
    found = json.loads(answer.out)
    assert answer.code == 0
    assert "ct_scan.price" in found["economics"]["placeholders"]
    assert "mri_scan.price" not in found["economics"]["placeholders"]
    assert set(found["policies"]["liver_first"]["cost"]) >= {"estimate", "lower", "upper"}
    text = crlm("run", str(path), "--patients", "50", "--draws", "mean", "--quiet").out
    assert "are placeholders" in " ".join(text.split())


def test_every_price_says_of_which_year():
    for one in prices_and_utilities().values():
        if "price" in one.name:
            assert one.unit.startswith("GBP of 2023/24"), one.name
