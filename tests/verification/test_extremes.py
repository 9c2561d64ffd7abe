"""Extremes whose outcome is known beforehand, and comparisons whose sign is.

Nothing here is a fitted figure: without growth nobody dies of tumour, without kill nobody responds,
certain postoperative death kills everybody operated on, and identical policies differ by nothing.
"""

import numpy as np
import pytest
from helpers import DAY, HORIZON, YEAR, diagnosed, lived, policy, same_bits

from crlm_sim.disease.patient import (
    ALIVE,
    NEVER,
    OTHER,
    POSTOPERATIVE,
    PRIMARY_COMPLICATION,
    TOXIC,
    TUMOUR,
)
from crlm_sim.evidence import ACTIVITIES, REGIMENS, SERVICES, pack
from crlm_sim.outcomes.definitions import OUTCOMES
from crlm_sim.outcomes.summary import replicates
from crlm_sim.outcomes.tally import Tally

SIZE = 4000
OPERATIONS = [name for name in ACTIVITIES if name.endswith(("resection", "hepatectomy"))]


def changed(**changes):
    return pack(changes={k: v if isinstance(v, tuple) else (v,) for k, v in changes.items()})


def test_identical_policies_differ_by_exactly_nothing():
    one, other = (lived(SIZE, policy(name), pack()) for name in ("standard", "colorectal_first"))
    assert same_bits(policy("standard"), policy("colorectal_first"))
    assert same_bits(one, other)


def test_policies_share_their_patients():
    a, b = (lived(SIZE, policy(name), pack()) for name in ("liver_first", "simultaneous"))
    for field in (
        "age_years",
        "lesions",
        "sensitivity",
        "other_death_minute",
        "log_lethal_liver_ml",
    ):
        assert same_bits(a[field].copy(), b[field].copy())
    assert not np.array_equal(a["end_minute"], b["end_minute"])


def test_without_growth_nobody_dies_of_tumour():
    patients = lived(SIZE, policy(), changed(growth_rate_per_day=1e-12))
    assert (patients["cause_of_death"] != TUMOUR).all()
    assert (patients["recurrence_minute"] == NEVER).mean() > 0.9


def test_faster_growth_kills_sooner():
    """Means of 4,000 paired patients; each step is many standard errors wide."""
    rates = (2e-4, 8e-4, 2e-3, 5e-3)
    means = [
        lived(SIZE, policy(), changed(growth_rate_per_day=r))["end_minute"].mean() for r in rates
    ]
    assert means == sorted(means, reverse=True)
    assert means[0] > 2.0 * means[-1]


def no_kill(**more):
    return changed(**{f"{name}.kill_per_day": 1e-12 for name in REGIMENS}, **more)


def test_without_kill_nobody_responds():
    """With scans that miss and mistake nothing; growth alone shrinks no lesion by 30 %."""
    perfect = {"measurement_error_sd": 1e-9, "ct_after_chemotherapy": 0.0, "ct_logit": 1000.0}
    patients = lived(SIZE, policy(), no_kill(**perfect))
    assert patients["first_line_evaluable"].sum() > 100
    assert patients["objective_response"].sum() == 0


def test_without_kill_errors_of_measurement_make_few_responses():
    patients = lived(SIZE, policy(), no_kill())
    evaluable = patients["first_line_evaluable"] > 0
    assert patients["objective_response"][evaluable].mean() < 0.08


def test_without_kill_nobody_gains_by_drugs():
    """Drugs that do nothing and harm nobody leave the never-operated as they would have been."""
    harmless = {f"{n}.{w}_per_cycle": 0.0 for n in REGIMENS for w in ("death", "stop")}
    quiet = {"symptomatic_primary_share": 0.0, "primary_complication_rate_per_day": 0.0}
    params = no_kill(**harmless, **quiet, progression_log_growth=0.0)
    treated = lived(SIZE, policy(most_lesions=0), params)
    untreated = lived(SIZE, policy(most_lesions=0, lines=0), params)
    assert treated["cycles"].sum() > SIZE
    assert untreated["cycles"].sum() == 0
    assert np.abs(treated["end_minute"] - untreated["end_minute"]).max() <= 2 * DAY
    assert np.array_equal(treated["cause_of_death"], untreated["cause_of_death"])


def test_drugs_lengthen_the_life_of_those_never_operated():
    """In pairs; the gain is months and its standard error days."""
    treated = lived(SIZE, policy(most_lesions=0), pack())["end_minute"]
    untreated = lived(SIZE, policy(most_lesions=0, lines=0), pack())["end_minute"]
    gain = (treated - untreated) / DAY
    assert gain.mean() > 100.0
    assert gain.mean() > 5.0 * gain.std() / np.sqrt(SIZE)


def test_certain_postoperative_death_kills_everybody_operated_within_90_days():
    params = changed(**{f"{name}.death_logit": 50.0 for name in OPERATIONS})
    patients = lived(SIZE, policy(), params)
    operated = patients["operated"] > 0
    assert operated.sum() > SIZE / 4
    assert (patients["death_minute"][operated] < NEVER).all()
    first = patients["last_operation_minute"][operated]
    assert (patients["end_minute"][operated] - first <= 90 * DAY).all()
    causes = patients["cause_of_death"][operated]
    assert np.isin(causes, (POSTOPERATIVE, PRIMARY_COMPLICATION, OTHER, TUMOUR, TOXIC)).all()
    assert (causes == POSTOPERATIVE).mean() > 0.75


def test_without_operative_and_toxic_risk_nobody_dies_of_treatment():
    safe = {f"{name}.death_logit": -50.0 for name in OPERATIONS}
    safe |= {f"{name}.death_per_cycle": 0.0 for name in REGIMENS}
    patients = lived(SIZE, policy(), changed(**safe))
    assert not np.isin(patients["cause_of_death"], (POSTOPERATIVE, TOXIC)).any()


def test_without_tumour_or_treatment_only_other_causes_kill():
    """No growth, no drugs, no surgery: deaths fall exactly when the life table has them."""
    params = changed(
        growth_rate_per_day=1e-12,
        primary_complication_rate_per_day=0.0,
        symptomatic_primary_share=0.0,
    )
    patients = lived(SIZE, policy(most_lesions=0, lines=0), params)
    expected = np.minimum(diagnosed(SIZE, params)["other_death_minute"], HORIZON)
    assert np.array_equal(patients["end_minute"], expected)
    assert np.isin(patients["cause_of_death"], (ALIVE, OTHER)).all()
    assert patients["operated"].sum() == patients["cycles"].sum() == 0


def test_untreated_patients_live_about_as_long_as_once_they_did():
    """Median 4.5–12 months (Wagner 1984, Stangl 1994: 3.8–21.3 by subgroup), ± a quarter."""
    patients = lived(SIZE, policy(most_lesions=0, lines=0), changed(symptomatic_primary_share=0.0))
    assert 0.75 * 4.5 < np.median(patients["end_minute"]) / YEAR * 12.0 < 1.25 * 12.0


@pytest.mark.parametrize("name", ["standard", "liver_first", "simultaneous"])
def test_doubling_the_wait_for_liver_theatre_does_not_help(name):
    """Paired patients: a gain of three standard errors or more would come by chance in 0.1 %."""
    doubled = 2.0 * float(pack()["service_wait_days"][0, SERVICES.index("liver_theatre")])
    size = 20_000
    short = lived(size, policy(name), pack())["end_minute"]
    long = lived(size, policy(name), changed(**{"liver_theatre.wait_days": doubled}))["end_minute"]
    gain = (long - short) / DAY
    assert (gain != 0).mean() > 0.05
    assert gain.mean() < 3.0 * gain.std() / np.sqrt(size)


def test_a_very_long_wait_harms():
    """Half a year more for every liver operation: a loss of more than five standard errors."""
    size = 20_000
    params = changed(**{"liver_theatre.wait_days": 200.0, "joint_theatre.wait_days": 200.0})
    loss = lived(size, policy(), pack())["end_minute"] - lived(size, policy(), params)["end_minute"]
    assert loss.mean() > 5.0 * loss.std() / np.sqrt(size)


def test_perfect_drugs_cure_nobody_who_is_never_operated():
    """Cure is counted after resection; yet drugs ten times as strong let people live longer."""
    strong = {f"{n}.kill_per_day": 0.2 for n in REGIMENS}
    patients = lived(SIZE, policy(most_lesions=0), changed(**strong))
    assert patients["cured"].sum() == 0
    plain = lived(SIZE, policy(most_lesions=0), pack())
    assert patients["end_minute"].mean() > plain["end_minute"].mean()


def test_pairing_takes_at_least_three_quarters_of_the_variance_of_survival_at_five_years():
    """The ratio is 0.05 to 0.06 (docs/pairing.md); its jackknife's own error is a sixth of it."""
    tally = Tally.empty(("colorectal_first", "liver_first"), HORIZON)
    for place, name in enumerate(tally.policies):
        tally.add(place, lived(20_000, policy(name), pack()))
    outcome = next(one for one in OUTCOMES if one.name == "os_5y")
    one, other = (replicates(tally, place, outcome) for place in (0, 1))
    assert np.var(one - other) <= 0.25 * (np.var(one) + np.var(other))
