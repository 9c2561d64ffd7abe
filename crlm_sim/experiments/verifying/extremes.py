"""Checks that extremes end as everybody knows they must."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np

from crlm_sim.disease.patient import (
    POSTOPERATIVE,
    TOXIC,
    TUMOUR,
)
from crlm_sim.engines import cohort
from crlm_sim.engines.screening import lesions_seen
from crlm_sim.evidence import ACTIVITIES, MODALITIES, REGIMENS
from crlm_sim.experiments.simulate import Block, packed_parameters
from crlm_sim.experiments.verifying.subject import (
    CHANCE,
    MINUTES_PER_YEAR,
    SHOWN,
    Changes,
    Finding,
    Lives,
    Subject,
    count,
    everywhere,
    live_with,
    of_all,
)


def _years(lives: Lives) -> dict[str, float]:
    """Mean years lived, by policy."""
    return {
        name: float(block.patients["end_minute"].mean()) / MINUTES_PER_YEAR
        for name, block in lives.items()
    }


def _hardly_any_life(name: str, checked: str, lives: Lives, most: float) -> Finding:
    years = _years(lives)
    return Finding(
        name,
        checked,
        max(years.values()) < most,
        {"most years lived, mean of a policy": max(years.values())},
        f"less than {most} years",
        tuple(policy for policy, mean in years.items() if mean >= most)[:SHOWN],
    )


LETHAL_AT_ONCE: Changes = {"lethal_liver_ml": (1e-9,), "lethal_elsewhere_ml": (1e-9,)}
DEADLY_WORLD: Changes = {"other_cause_hazard_ratio": (1e6,) * 4}


def no_burden_survived(subject: Subject, changes: Changes = LETHAL_AT_ONCE) -> Finding:
    """If nobody survives any tumour, nobody lives long after diagnosis."""
    return _hardly_any_life(
        "no burden is survived",
        "with a lethal tumour burden of next to nothing hardly any time is lived",
        live_with(subject, changes),
        0.1,
    )


def deadly_world(subject: Subject, changes: Changes = DEADLY_WORLD) -> Finding:
    """If other causes kill a million times as often, next to nothing is lived."""
    return _hardly_any_life(
        "a deadly world",
        "with a million times the mortality from other causes hardly any time is lived",
        live_with(subject, changes),
        0.01,
    )


def _harmless() -> Changes:
    """No growth, not even of resistant cells under an antibody, and no harm done by treatment."""
    return {
        "growth_rate_per_day": (1e-12,),
        "anti_egfr_perioperative_resistant_share": (0.0,),
        **everywhere("death_logit", -50.0),
        **everywhere("death_per_cycle", 0.0),
        **everywhere("death", 0.0),
        **everywhere("reserve_lost", 0.0),
    }


def harmless_disease(subject: Subject, changes: Changes | None = None) -> Finding:
    """If tumours do not grow and treatment kills nobody, nobody dies of either."""
    lives = live_with(subject, _harmless() if changes is None else changes)
    wrong = {
        name: np.isin(block.patients["cause_of_death"], (TUMOUR, POSTOPERATIVE, TOXIC))
        for name, block in lives.items()
    }
    return of_all(
        "harmless disease",
        "without tumour growth and without deaths of treatment nobody dies of either",
        lives,
        wrong,
        "dead of tumour or treatment",
    )


def better_drugs_do_not_harm(subject: Subject, times: float = 10.0) -> Finding:
    """Drugs that kill ten times as many tumour cells do not shorten life on average, in pairs."""
    kill = packed_parameters(subject.scenario, 0)["regimen_kill_per_day"][0]
    changes: Changes = {
        f"{name}.kill_per_day": (times * k,) for name, k in zip(REGIMENS, kill, strict=True)
    }
    lives = live_with(subject, changes)
    gains = {name: _gain(block, subject.lives[name]) for name, block in lives.items()}
    worst = min(gains, key=lambda name: gains[name][1])
    years, errors = gains[worst]
    least = -NormalDist().inv_cdf(1.0 - CHANCE / len(gains))
    return Finding(
        "better drugs do not harm",
        "drugs with ten times the kill do not shorten life, in pairs of the same patients",
        errors >= least,
        {"least gain, years": years, "in standard errors": errors},
        f"{least:.1f} standard errors or more: fails by chance in 1 of {1 / CHANCE:,.0f} at most",
        () if errors >= least else (worst,),
    )


def _gain(block: Block, before: Block) -> tuple[float, float]:
    """Mean years gained in pairs of the same patients, and the same in standard errors."""
    gain = (block.patients["end_minute"] - before.patients["end_minute"]) / MINUTES_PER_YEAR
    error = float(gain.std()) / len(gain) ** 0.5
    return float(gain.mean()), float(gain.mean()) / error if error > 0.0 else 0.0


def deadlier_operations(subject: Subject, log_odds: float = 2.0) -> Finding:
    """With the same luck, deadlier operations let nobody live longer: exactly, in pairs."""
    own = packed_parameters(subject.scenario, 0)["activity_death_logit"][0]
    changes: Changes = {
        name: (float(own[ACTIVITIES.index(name.partition(".")[0])]) + log_odds,)
        for name in everywhere("death_logit", 0.0)
    }
    lives = live_with(subject, changes)
    before = {name: block.patients["end_minute"] for name, block in subject.lives.items()}
    wrong = {name: block.patients["end_minute"] > before[name] for name, block in lives.items()}
    shorter = {name: block.patients["end_minute"] < before[name] for name, block in lives.items()}
    finding = of_all(
        "deadlier operations",
        "operations with e² = 7.4 times the odds of death let nobody live longer",
        lives,
        wrong,
        "living longer",
    )
    return replace(finding, found={**finding.found, "living shorter": count(shorter)})


def more_detection(subject: Subject, log_odds: float = 1.0) -> Finding:
    """With the same luck, a more sensitive scan shows every patient no fewer liver lesions."""
    scenario = subject.scenario
    params = packed_parameters(scenario, 0)
    raised = params.copy()
    raised["ct_logit"] += log_odds
    raised["modality_logit"] += log_odds
    records = cohort.blank_records(subject.numbers, scenario.run.seed)
    fewer = more = shown = 0
    where = []
    for test in ("ct", *MODALITIES):
        for after_drugs in (False, True):
            seen, _ = lesions_seen(records.copy(), params, test, after_drugs)
            better, _ = lesions_seen(records.copy(), raised, test, after_drugs)
            shown += int(seen.sum())
            more += int((better > seen).sum())
            less = better < seen
            fewer += int(less.sum())
            where += [f"patient {n}, {test}" for n in subject.numbers[less][:SHOWN]]
    return Finding(
        "more detection",
        "scans with higher odds of detection show no patient fewer liver lesions",
        fewer == 0,
        {"lesions shown": shown, "tests showing more": more, "tests showing fewer": fewer},
        "none showing fewer",
        tuple(where[:SHOWN]),
    )
