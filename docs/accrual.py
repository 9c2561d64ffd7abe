"""Recruitment of published trials, each told from the others: the table in trials.md.

    python docs/accrual.py

The model says which share of those diagnosed is eligible for a trial, so that its patients a month
and site say which share of the eligible in a site's catchment it randomised. The mean of that share
over the other trials foretells each one's months, which are held against those it took.
"""

from __future__ import annotations

import math

import numpy as np

from crlm_sim.experiments.simulate import packed_parameters, patient_numbers
from crlm_sim.outcomes.survival import t_quantile
from crlm_sim.scenario import loads

DIAGNOSED_A_MONTH = 4.0
"""Synchronous liver metastases of 300,000 people, as in `scenarios/region.toml` (16 a year of each
100,000). Another catchment changes the shares by one factor and no month."""
PEOPLE = 20_000
TRIALS = {
    # name: (sites, patients, months of recruitment, who was eligible, as near as the model has it)
    "EORTC 40983": (
        78,
        364,
        45,
        "resectable and seen_lesions <= 4 and liver_only and age <= 80 years and "
        "performance_status <= 2",
    ),
    "CAIRO5 A and B": (
        47,
        294,
        86,
        "unresectable and liver_only and performance_status <= 1 and seen_lesions <= 20 and "
        "(right_sided or ras_mutant or braf_mutant)",
    ),
    "COLLISION": (
        14,
        300,
        78,
        "resectable and liver_only and seen_lesions <= 10 and largest_mm <= 30 mm and "
        "performance_status <= 2",
    ),
    "FOXFIRE": (
        32,
        364,
        60,
        "(unresectable or beyond_surgery) and performance_status <= 1 and not seen_peritoneum",
    ),
    "SYNCHRONOUS and CCRe-IV": (
        100,
        393,
        64,
        "(unresectable or beyond_surgery) and performance_status <= 2 and not rectal and "
        "not symptomatic_primary",
    ),
    "TRIPLETE": (
        57,
        435,
        48,
        "(unresectable or beyond_surgery) and performance_status <= 1 and wild_type",
    ),
}


def eligible_share(condition: str) -> float:
    """The share of those diagnosed who meet a condition at the first meeting."""
    text = (
        f'title = "Who is eligible"\n[run]\npatients = {PEOPLE}\n'
        f'[population]\neligible = "{condition}"\n[[policy]]\nname = "standard"\n'
    )
    scenario = loads(text)
    numbers = patient_numbers(scenario, PEOPLE, params=packed_parameters(scenario, 0))
    return PEOPLE / (1 + int(np.concatenate(list(numbers))[-1]))


def main() -> None:
    """Print the table."""
    rates, shares, found = [], [], {}
    for name, (sites, patients, months, condition) in TRIALS.items():
        eligible = eligible_share(condition)
        rates.append(patients / months / sites)
        shares.append(rates[-1] / (DIAGNOSED_A_MONTH * eligible))
        found[name] = eligible
    logs = np.log(shares)
    print("| | sites | a month and site | eligible | randomised of those | months | foretold |")
    print("|---|---|---|---|---|---|---|")
    for place, (name, (sites, patients, months, _)) in enumerate(TRIALS.items()):
        others = np.delete(logs, place)
        expected = patients / (
            sites * DIAGNOSED_A_MONTH * found[name] * math.exp(float(others.mean()))
        )
        spread = float(others.std(ddof=1)) * math.sqrt(1.0 + 1.0 / len(others))
        factor = math.exp(t_quantile(0.9, len(others) - 1) * spread)
        print(
            f"| {name} | {sites} | {rates[place]:.2f} | {found[name]:.1%} | {shares[place]:.1%} | "
            f"{months} | {expected:.0f} ({expected / factor:.0f} to {expected * factor:.0f}) |"
        )


if __name__ == "__main__":
    main()
