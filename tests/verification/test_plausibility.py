"""Whether the model, at the posterior's medians, lives in the published world: wide bands.

Bands, not fits: resectable at diagnosis 15–30 %; response to first-line drugs 45–60 %; median
survival of those unresectable at first 18–30 months; disease-free at three years after surgery
without drugs 20–35 %; alive five years after resection 35–55 %; 15–40 % of staged patients never
complete both operations.
"""

import numpy as np
import pytest
from helpers import YEAR, lived, policy

from crlm_sim.disease.patient import NEVER
from crlm_sim.evidence import pack, shipped_posterior

pytestmark = pytest.mark.slow
SIZE = 50_000
BEST = pack(posterior=shipped_posterior())


@pytest.fixture(scope="module")
def standard():
    return lived(SIZE, policy(), BEST)


@pytest.fixture(scope="module")
def surgery_alone():
    return lived(SIZE, policy("surgery_alone"), BEST)


def test_share_resectable_at_diagnosis(standard):
    assert 0.15 < standard["resectable_at_diagnosis"].mean() < 0.30


def test_response_to_first_line_drugs(standard):
    here = standard[standard["first_line_evaluable"] > 0]
    assert 0.45 < here["objective_response"].mean() < 0.60


def test_survival_of_the_initially_unresectable(standard):
    """Those given drugs, as in trials of first-line treatment."""
    here = standard[(standard["resectable_at_diagnosis"] == 0) & (standard["lines_received"] > 0)]
    assert 18.0 < np.median(here["end_minute"]) / YEAR * 12.0 < 30.0


def test_disease_free_survival_after_upfront_surgery(surgery_alone):
    """From clearance to recurrence or death, among those resectable at diagnosis."""
    here = surgery_alone[surgery_alone["cleared_minute"] < NEVER]
    here = here[here["resectable_at_diagnosis"] > 0]
    assert len(here) > 1000
    before = here["cleared_minute"] + 3 * YEAR
    free = (here["recurrence_minute"] > before) & (here["death_minute"] > before)
    assert 0.20 < free.mean() < 0.35


def test_survival_after_resection(standard):
    here = standard[standard["first_liver_resection_minute"] < NEVER]
    lived_on = here["death_minute"] > here["first_liver_resection_minute"] + 5 * YEAR
    assert 0.35 < lived_on.mean() < 0.55


@pytest.mark.parametrize("name", ["colorectal_first", "liver_first"])
def test_staged_patients_who_never_complete(name):
    here = lived(SIZE, policy(name), BEST)
    here = here[here["staged_started"] > 0]
    assert 0.15 < 1.0 - here["sequence_completed"].mean() < 0.40


def test_some_are_cured(standard):
    """About 20 % after resection, from 2 to 40 % by risk (Creasy 2018, Cucchetti 2015)."""
    here = standard[standard["resected"] > 0]
    assert 0.08 < here["cured"].mean() < 0.40
