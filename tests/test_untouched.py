"""Every setting, every regimen, rules by patient and the parameters behind single items.

As in `test_treatments.py`: the same patients with the same luck are lived with and without one
change. It must change somebody, and whoever it has no way to reach must have the same record to
the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
from helpers import HORIZON, YEAR, policy
from helpers import lived as lived_under
from test_treatments import (
    ITEMS,
    LEAST,
    PARAMS,
    SIZE,
    clones,
    fields,
    in_liver,
    lived,
    never_arterial,
    never_local,
    never_operated,
    not_rectal,
    nothing_in_the_right_liver,
    same_rows,
    unfit_for_surgery,
)

from crlm_sim.care import activities as act
from crlm_sim.care import policy as pol
from crlm_sim.disease.patient import (
    BRAF_MUTANT,
    NEVER,
    RAS_MUTANT,
    RIGHT_COLON,
    SEGMENTS,
    WILD_TYPE,
)
from crlm_sim.engines import cohort
from crlm_sim.evidence import ARTERIAL_THERAPIES, LOCAL_THERAPIES, REGIMENS, pack
from crlm_sim.scenario import loads

Untouched = Callable[[np.ndarray, np.ndarray], np.ndarray]
M = PARAMS[0]


def assert_reaches_only(base: np.ndarray, changed: np.ndarray, untouched: Untouched) -> None:
    """Somebody is another, and nobody of the untouched, of whom there are enough."""
    same = same_rows(base, changed)
    spared = untouched(base, changed)
    assert not same.all()
    assert spared.sum() >= LEAST
    stray = np.flatnonzero(spared & ~same)
    assert len(stray) == 0, (len(stray), stray[:10])


# Whom a change cannot touch ----------------------------------------------------------------------


def none_of(*names: str) -> Untouched:
    """Neither before nor after the change is any of these flags or counts above 0."""

    def untouched(base, changed):
        spared = np.ones(len(base), bool)
        for patients in (base, changed):
            for name in names:
                spared &= patients[name] == 0
        return spared

    return untouched


def fewer_lines(line: int) -> Untouched:
    def untouched(base, changed):
        return (base["lines_received"] < line) & (changed["lines_received"] < line)

    return untouched


def before(line: int) -> Untouched:
    """Those who never came so far as this line under the unchanged policy."""

    def untouched(base, changed):
        return base["lines_received"] < line

    return untouched


def never_clear(base, changed):
    """Never free of disease that was seen, so that nothing follows."""
    spared = np.ones(len(base), bool)
    for patients in (base, changed):
        spared &= (patients["cleared_minute"] == NEVER) & (patients["local_treatments"] == 0)
    return spared


def never_tested(activity: int) -> Untouched:
    """Not looked at by this test, nor sent to it."""

    def untouched(base, changed):
        return (changed["times_done"][:, activity] == 0) & (changed["staging_test"] != activity)

    return untouched


def few_in_the_liver(number: int) -> Untouched:
    def untouched(base, changed):
        return in_liver(base).sum(axis=1) <= number

    return untouched


def nothing_outside_the_liver(base, changed):
    return ~(clones(base) & (base["site"] >= SEGMENTS)).any(axis=1)


def no_lesion_that_is(trait: str) -> Untouched:
    def untouched(base, changed):
        return ~(in_liver(base) & (base[trait] != 0)).any(axis=1)

    return untouched


def minor_primary(base, changed):
    return base["major_primary"] == 0


def drugs_for_less_than_injures(base, changed):
    least = M["injured_after_cycles"]
    return (base["cycles"] < least) & (changed["cycles"] < least)


def no_mutation_that_is(mutation: int) -> Untouched:
    def untouched(base, changed):
        return base["mutation"] != mutation

    return untouched


def no_cycles_and_as_visible(base, changed):
    """The largest lesion is drawn so that the first scan shows it, drugs or not."""
    as_visible = (base["conspicuity"] == changed["conspicuity"]).all(axis=1)
    return as_visible & (base["cycles"] == 0) & (changed["cycles"] == 0)


def no_fat_and_as_visible(base, changed):
    """No steatohepatitis at diagnosis nor any dose of what brings it."""
    as_visible = (base["conspicuity"] == changed["conspicuity"]).all(axis=1)
    return as_visible & (base["steatohepatitis_dose"] == 0.0)


def always_younger_than(years: float) -> Untouched:
    """Rules know the age of the day, not that at diagnosis."""

    def untouched(base, changed):
        last = np.maximum(base["end_minute"], changed["end_minute"])
        return base["age_years"] + last / YEAR < years

    return untouched


def not_msi_high(base, changed):
    return base["msi_high"] == 0


# Settings ----------------------------------------------------------------------------------------

PUMP, SIRT, TACE = (ARTERIAL_THERAPIES.index(name) for name in ("pump", "sirt", "tace"))
RFA, MWA, CRYO = (LOCAL_THERAPIES.index(name) for name in ("rfa", "mwa", "cryoablation"))
no_cycles = none_of("cycles")
SETTINGS: dict[str, tuple[dict[str, float], Untouched, dict[str, float]]] = {
    "simultaneous": ({"sequence": pol.SIMULTANEOUS}, unfit_for_surgery, {}),
    "liver first": ({"sequence": pol.LIVER_FIRST}, unfit_for_surgery, {}),
    "both major at once": (
        {"staged_when_both_major": 0.0},
        minor_primary,
        {"sequence": pol.SIMULTANEOUS},
    ),
    "upfront": ({"timing": pol.UPFRONT}, unfit_for_surgery, {}),
    "preoperative cycles": ({"preoperative_cycles": 3}, unfit_for_surgery, {}),
    "postoperative cycles": ({"postoperative_cycles": 0}, never_clear, {}),
    "adjuvant cycles": ({"adjuvant_cycles": 6}, never_clear, {"timing": pol.UPFRONT}),
    "lines": ({"lines": 2}, before(3), {}),
    "line cycles": ({"line_cycles": 6}, fewer_lines(1), {}),
    "first look": ({"first_reevaluation_days": 42.0}, no_cycles, {}),
    "later looks": ({"reevaluation_days": 42.0}, no_cycles, {}),
    "operation gap": ({"operation_gap_days": 14.0}, never_operated, {}),
    "no resection": ({"most_lesions": 0}, unfit_for_surgery, {}),
    "many lesions": ({"most_lesions": 20}, few_in_the_liver(8), {}),
    "remnant": ({"flr_least": 0.2}, unfit_for_surgery, {}),
    "remnant of an injured liver": (
        {"flr_least_injured": 0.4},
        drugs_for_less_than_injures,
        {},
    ),
    "remnant by weight": ({"remnant_to_body_weight_least": 0.008}, unfit_for_surgery, {}),
    "no repeat": ({"repeat_resection": 0.0}, never_clear, {}),
    "nobody referred": ({"refer_to_liver_unit": 0.0}, lambda base, _: base["referred"] == 0, {}),
    "mri": ({"mri": 1.0}, never_tested(act.MRI_SCAN), {}),
    "pet-ct": ({"pet_ct": 1.0}, never_tested(act.PET_CT_SCAN), {}),
    "pet-mr": ({"pet_mr": 1.0}, never_tested(act.PET_MR_SCAN), {}),
    "local mwa": ({"local_therapy": MWA}, never_local, {}),
    "local cryoablation": ({"local_therapy": CRYO}, never_local, {}),
    "arterial elsewhere": (
        {"arterial_liver_only": 0.0},
        nothing_outside_the_liver,
        {"arterial_therapy": SIRT},
    ),
    "arterial second line": ({"arterial_therapy": SIRT}, never_arterial, {"arterial_line": 2}),
    "visits": ({"surveillance_days": 90.0}, never_clear, {}),
    "late visits": ({"late_surveillance_days": 180.0}, never_clear, {}),
    "early visits for longer": ({"early_surveillance_years": 5.0}, never_clear, {}),
    "end of visits": ({"surveillance_years": 5.0}, never_clear, {}),
}
for _place, _name in enumerate(REGIMENS):
    for _setting, _untouched in (
        ("conversion", fewer_lines(1)),
        ("first_line", fewer_lines(1)),
        ("second_line", fewer_lines(2)),
        ("third_line", fewer_lines(3)),
        ("perioperative", unfit_for_surgery),
    ):
        if policy("standard")[f"{_setting}_regimen"][0] != _place:
            SETTINGS[f"{_setting} {_name}"] = ({f"{_setting}_regimen": _place}, _untouched, {})
    SETTINGS[f"maintenance {_name}"] = ({"maintenance_regimen": _place}, fewer_lines(1), {})


def names(settings) -> set[str]:
    return set(dict(settings))


def test_every_setting_is_switched_somewhere() -> None:
    switched = set().union(*(names(item.changed) for item in ITEMS.values()))
    switched |= set().union(*(names(change) for change, _, _ in SETTINGS.values()))
    assert set(pol.POLICY.names) - switched == set()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_reaches_only_those_it_can(name):
    change, untouched, base = SETTINGS[name]
    assert_reaches_only(lived(fields(**base)), lived(fields(**base, **change)), untouched)


# Rules -------------------------------------------------------------------------------------------

BY_PATIENT: dict[str, tuple[str, Untouched]] = {
    "msi_high": ('conversion_regimen = "pembrolizumab"', not_msi_high),
    "msi_high and line == 1": ('second_line_regimen = "nivolumab"', not_msi_high),
    "ras_mutant": ("margin_mm = 20", no_mutation_that_is(RAS_MUTANT)),
    "mutation == 'ras'": ('resection = "anatomic"', no_mutation_that_is(RAS_MUTANT)),
    "braf_mutant and line >= 1": (
        'second_line_regimen = "encorafenib_cetuximab"',
        no_mutation_that_is(BRAF_MUTANT),
    ),
    "wild_type and left_sided": (
        'conversion_regimen = "folfox_panitumumab", first_line_regimen = "folfox_panitumumab"',
        lambda base, _: (base["mutation"] != WILD_TYPE) | (base["primary_site"] == RIGHT_COLON),
    ),
    "fong_score <= 2": ('timing = "upfront"', lambda base, _: base["fong_score"] > 2),
    "fong_score >= 3": ('timing = "upfront"', lambda base, _: base["fong_score"] < 3),
    "not symptomatic_primary": (
        'sequence = "liver-first"',
        lambda base, _: base["symptomatic_primary"] > 0,
    ),
    "rectal": ('rectal_radiotherapy = "short_course"', not_rectal),
    "right_sided": (
        'arterial_therapy = "sirt"',
        lambda base, _: base["primary_site"] != RIGHT_COLON,
    ),
    "age >= 75 years": (
        'conversion_regimen = "capecitabine_bevacizumab", first_line_regimen = "capecitabine"',
        always_younger_than(75.0),
    ),
    "seen_lesions > 5 and largest_mm < 30": ("mri = true", few_in_the_liver(5)),
    "flr < 30 % and not injured": ('two_stage = "alpps"', unfit_for_surgery),
}


def lived_by_rule(when: str, change: str) -> np.ndarray:
    scenario = loads(
        'title = "t"\n[[policy]]\nname = "ruled"\nbase = "standard"\n'
        f'[[policy.rule]]\nwhen = "{when}"\ndo = {{ {change} }}\n'
    )
    patients = cohort.blank_patients(0, SIZE, 1)
    rules = scenario.packed_rules("ruled")
    cohort.simulate(patients, PARAMS, scenario.packed_policy("ruled"), HORIZON, rules=rules)
    return patients


@pytest.mark.parametrize("when", BY_PATIENT)
def test_a_rule_reaches_only_those_whom_it_names(when):
    change, untouched = BY_PATIENT[when]
    base = cohort.blank_patients(0, SIZE, 1)
    cohort.simulate(base, PARAMS, policy("standard"), HORIZON)
    assert_reaches_only(base, lived_by_rule(when, change), untouched)


def test_a_rule_that_never_holds_is_no_rule():
    """What a rule looks at is planned for it alone, and leaves no trace in the record."""
    base = cohort.blank_patients(0, 4 * SIZE, 1)
    ruled = base.copy()
    cohort.simulate(base, PARAMS, policy("standard"), HORIZON)
    scenario = loads(
        'title = "t"\n[[policy]]\nname = "ruled"\nbase = "standard"\n'
        '[[policy.rule]]\nwhen = "age > 99 years and flr < 10 % and cea > 9999 ng/mL"\n'
        "do = { lines = 1 }\n"
    )
    cohort.simulate(
        ruled,
        PARAMS,
        scenario.packed_policy("ruled"),
        HORIZON,
        rules=scenario.packed_rules("ruled"),
    )
    assert ruled.tobytes() == base.tobytes()


# Parameters behind single items ------------------------------------------------------------------

no_sinusoids_injured = none_of("sinusoidal_injury")
no_steatohepatitis = none_of("steatohepatitis")
on_pump = {"arterial_therapy": PUMP}
with_sirt = {"arterial_therapy": SIRT}
NUMBERS: dict[str, tuple[float | tuple[float, ...], Untouched, dict[str, float]]] = {
    "ct_after_chemotherapy": (-3.0, no_cycles_and_as_visible, {}),
    "ct_in_steatosis": (-3.0, no_fat_and_as_visible, {}),
    "mri.in_steatosis": (-9.0, no_fat_and_as_visible, {"mri": 1.0}),
    "pet_ct.in_steatosis": (9.0, no_fat_and_as_visible, {"pet_ct": 1.0}),
    "pet_mr.in_steatosis": (-9.0, no_fat_and_as_visible, {"pet_mr": 1.0}),
    "mri.logit": (0.0, never_tested(act.MRI_SCAN), {"mri": 1.0}),
    "mri.per_log_mm": (4.0, never_tested(act.MRI_SCAN), {"mri": 1.0}),
    "mri.after_chemotherapy": (-3.0, no_cycles, {"mri": 1.0}),
    "pet_ct.after_chemotherapy": (3.0, no_cycles, {"pet_ct": 1.0}),
    "pet_mr.after_chemotherapy": (3.0, no_cycles, {"pet_mr": 1.0}),
    "margin_positive_ras": (5.0, no_mutation_that_is(RAS_MUTANT), {}),
    "margin_positive_logit": (9.0, never_operated, {}),
    "conversion_to_open": (0.9, none_of("laparoscopic"), {"approach": pol.LAPAROSCOPIC}),
    "embolisation_hypertrophy": (2.0, nothing_in_the_right_liver, {}),
    "partition_hypertrophy": (
        1.0,
        nothing_in_the_right_liver,
        {"two_stage": pol.PARTITION},
    ),
    "elsewhere_failure_logit": (9.0, none_of("lung_resected"), {"lung_resection": 1.0}),
    "symptomatic_primary_share": (0.0, none_of("symptomatic_primary"), {}),
    "pelvic_recurrence": ((1.0, 1.0, 1.0), not_rectal, {}),
    "folfox.severe_toxicity_per_cycle": (0.9, no_cycles, {}),
    "folfox.delay_per_cycle": (0.9, no_cycles, {}),
    "folfox.stop_per_cycle": (0.9, no_cycles, {}),
    "folfox.death_per_cycle": (0.5, no_cycles, {}),
    "folfox.oxaliplatin": (9.0, no_cycles, {}),
    "bevacizumab_sinusoidal_protection": (1.0, no_cycles, {}),
    "complication_sinusoidal": (5.0, no_sinusoids_injured, {}),
    "complication_steatohepatitis": (5.0, no_steatohepatitis, {}),
    "death_steatohepatitis": (5.0, no_steatohepatitis, {}),
    "liver_failure_injured": (5.0, none_of("sinusoidal_injury", "steatohepatitis"), {}),
    "anti_egfr_perioperative_resistant_share": (
        1.0,
        unfit_for_surgery,
        {"perioperative_regimen": REGIMENS.index("folfox_cetuximab")},
    ),
    "pembrolizumab.checkpoint_response": (
        0.9,
        not_msi_high,
        {"conversion_regimen": REGIMENS.index("pembrolizumab")},
    ),
    "encorafenib_cetuximab.kill_per_day": (
        0.9,
        no_mutation_that_is(BRAF_MUTANT),
        {"second_line_regimen": REGIMENS.index("encorafenib_cetuximab")},
    ),
    "mwa.near_vessel_log_odds": (9.0, no_lesion_that_is("near_vessel"), {"local_therapy": MWA}),
    "rfa.avoids_vessel": (0.0, no_lesion_that_is("near_vessel"), {"local_therapy": RFA}),
    "rfa.duct_complication": (9.0, no_lesion_that_is("near_duct"), {"local_therapy": RFA}),
    "mwa.avoids_duct": (0.0, no_lesion_that_is("near_duct"), {"local_therapy": MWA}),
    "rfa.avoids_edge": (0.0, no_lesion_that_is("near_edge"), {"local_therapy": RFA}),
    "rfa.failure_logit": (
        9.0,
        none_of("ablated_lesions", "local_treatments"),
        {"local_therapy": RFA},
    ),
    "rfa.syndrome": (0.99, none_of("percutaneous", "local_treatments"), {"local_therapy": RFA}),
    "sbrt.failure_per_mm": (
        0.9,
        none_of("irradiated_lesions"),
        {"local_therapy": LOCAL_THERAPIES.index("sbrt")},
    ),
    "pump.complication": (0.9, never_arterial, on_pump),
    "pump.biliary_per_cycle": (0.9, never_arterial, on_pump),
    "pump.failure_per_year": (9.0, never_arterial, on_pump),
    "pump.extraction": (0.1, never_arterial, on_pump),
    "sirt.kill_per_day": (0.1, never_arterial, with_sirt),
    "sirt.reserve_lost": (1.5, never_arterial, with_sirt),
    "tace.kill_per_day": (
        0.1,
        never_arterial,
        {"arterial_therapy": TACE, "arterial_line": 3},
    ),
    "complication_elsewhere": (
        (9.0, 9.0, 9.0, 9.0),
        none_of("peritoneum_resected"),
        {"peritoneal_resection": 1.0},
    ),
}


@lru_cache(maxsize=2)
def with_numbers(base: tuple, name: str, value: tuple[float, ...]) -> np.ndarray:
    return lived_under(SIZE, policy("standard", **dict(base)), pack(changes={name: value}))


@pytest.mark.parametrize("name", NUMBERS)
def test_a_parameter_reaches_only_those_it_is_about(name):
    value, untouched, base = NUMBERS[name]
    value = value if isinstance(value, tuple) else (value,)
    changed = with_numbers(fields(**base), name, value)
    assert_reaches_only(lived(fields(**base)), changed, untouched)
