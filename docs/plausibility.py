"""Simulated against published ranges at the posterior's medians: the table of plausibility.md.

    python docs/plausibility.py [PATIENTS]

Intervals are of simulation error alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crlm_sim.disease.patient import BRAF_MUTANT, NEVER, RAS_MUTANT, RIGHT_COLON
from crlm_sim.experiments import simulate_block
from crlm_sim.experiments.simulate import packed_parameters
from crlm_sim.outcomes import survival as km
from crlm_sim.outcomes.definitions import CURVES, DAYS_PER_MONTH, spans, whole_days
from crlm_sim.scenario import loads

PAGE = Path(__file__).with_name("plausibility.md")
BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"
PATIENTS = 40_000
SCENARIO = """
title = "Plausibility"
[run]
horizon = "15 years"
[[policy]]
name = "standard"
[[policy]]
name = "liver_first"
[[policy]]
name = "surgery_alone"
[[policy]]
name = "triplet_conversion"
[[policy]]
name = "untreated"
base = "standard"
lines = 0
most_lesions = 0
"""


@dataclass(frozen=True)
class Row:
    """One figure: what, among whom, simulated, and the published range it is held against."""

    what: str
    who: str
    found: km.Estimate
    published: str
    lower: float
    upper: float
    number: int
    unit: str = "%"

    def __str__(self) -> str:
        value, low, high = self.found.estimate, self.found.lower, self.found.upper
        simulated = f"{value:.1f} ({low:.1f}–{high:.1f})"
        if self.lower <= value <= self.upper:
            verdict = "inside"
        else:
            side = "below" if value < self.lower else "above"
            off = max(self.lower - value, value - self.upper)
            verdict = f"**{off:.1f} {side}**" if off >= 0.05 else f"**just {side}**"
        span = f"{self.lower:g}–{self.upper:g}"
        cells = (
            f"{self.what}, {self.unit}",
            self.who,
            f"{self.number:,}",
            simulated,
            f"{span} ({self.published})",
            verdict,
        )
        return f"| {' | '.join(cells)} |"


def share(flags: np.ndarray) -> km.Estimate:
    """A percentage with Wilson's interval."""
    found = km.wilson(int((flags > 0).sum()), len(flags))
    return km.Estimate(100 * found.estimate, 100 * found.lower, 100 * found.upper)


def curve_of(minutes: np.ndarray, happened: np.ndarray) -> km.Curve:
    """The daily Kaplan–Meier curve of times in minutes."""
    days = whole_days(minutes)
    size = int(days.max()) + 2
    events = np.bincount(days[happened], minlength=size)
    return km.kaplan_meier(events, np.bincount(days[~happened], minlength=size))


def endpoint(patients: np.ndarray, name: str) -> km.Curve:
    """The curve of one of the endpoints of `outcomes/definitions.py`."""
    _, minutes, happened = spans(patients, CURVES[name])
    return curve_of(minutes, happened)


def since_drugs(patients: np.ndarray, *ends: str) -> km.Curve:
    """The curve from the first cycle to the first of some events."""
    first = np.min([patients[end] for end in ends], axis=0)
    happened = first < NEVER
    stop = np.where(happened, first, patients["end_minute"])
    return curve_of(stop - patients["first_chemotherapy_minute"], happened)


def median(curve: km.Curve) -> km.Estimate:
    """Median in months."""
    found = km.median(curve)
    numbers = (found.estimate, found.lower, found.upper)
    return km.Estimate(*(number / DAYS_PER_MONTH for number in numbers))


def alive(curve: km.Curve, months: int) -> km.Estimate:
    """Percentage without the event at some months."""
    found = km.survival_at(curve, round(months * DAYS_PER_MONTH))
    return km.Estimate(100 * found.estimate, 100 * found.lower, 100 * found.upper)


def simulate(patients: int) -> dict[str, np.ndarray]:
    """The lived patients under every policy."""
    scenario = loads(SCENARIO)
    params = packed_parameters(scenario, 0)
    return {
        name: simulate_block(scenario, name, np.arange(patients), params=params).patients
        for name in scenario.policy_names
    }


def rows(lived: dict[str, np.ndarray]) -> Iterable[Row]:
    """Every figure."""
    yield from diagnosis_and_drugs(lived)
    yield from surgery(lived)
    yield from like_eortc_40983(lived)
    yield from like_cairo5(lived)


def diagnosis_and_drugs(lived: dict[str, np.ndarray]) -> Iterable[Row]:
    """What is found at first, drugs, and those never operated on."""
    p = lived["standard"]
    yield Row(
        "resectable at diagnosis", "all", share(p["resectable_at_diagnosis"]),
        "review: about 20", 15, 30, len(p),
    )  # fmt: skip
    drugs = p[p["first_line_evaluable"] > 0]
    yield Row(
        "response to the first drugs", "evaluable", share(drugs["objective_response"]),
        "first-line trials", 45, 60, len(drugs),
    )  # fmt: skip
    rest = p[p["resectable_at_diagnosis"] == 0]
    yield Row(
        "median survival", "not resectable at diagnosis", median(endpoint(rest, "os")),
        "first-line trials", 18, 30, len(rest), "months",
    )  # fmt: skip
    untreated = lived["untreated"]
    yield Row(
        "median survival", "no liver surgery and no drugs", median(endpoint(untreated, "os")),
        "Wagner 1984, Stangl 1994, Leporrier 2006", 4.5, 12, len(untreated), "months",
    )  # fmt: skip


def surgery(lived: dict[str, np.ndarray]) -> Iterable[Row]:
    """Operations and what follows them."""
    alone = lived["surgery_alone"]
    upfront = alone[(alone["resectable_at_diagnosis"] > 0) & (alone["cleared_minute"] < NEVER)]
    yield Row(
        "free of disease at 3 years", "surgery alone, resectable at diagnosis, cleared",
        alive(endpoint(upfront, "dfs"), 36), "EORTC 40983 and cohorts", 20, 35, len(upfront),
    )  # fmt: skip
    p = lived["standard"]
    resected = p[p["resected"] > 0]
    yield Row(
        "alive 5 years after liver resection", "resected",
        alive(endpoint(resected, "os_resected"), 60), "cohorts; Kanas 2012: median 38",
        35, 55, len(resected),
    )  # fmt: skip
    yield Row(
        "no viable tumour left at the end", "resected", share(resected["cured"]),
        "Creasy 2018, Cucchetti 2015: about 20", 15, 25, len(resected),
    )  # fmt: skip
    for name, words in (("standard", "bowel first"), ("liver_first", "liver first")):
        staged = lived[name][lived[name]["staged_started"] > 0]
        yield Row(
            "never reach the second operation", f"staged, {words}",
            share(staged["sequence_completed"] == 0), "cohorts: 17–39", 15, 40, len(staged),
        )  # fmt: skip
    operated = p[p["operated"] > 0]
    yield Row(
        "dead within 90 days of a planned operation",
        "operated, all planned operations of a patient",
        share(operated["mortality_90d"]), "an operation: NBOCA 2012, Mullen 2007, Robertson 2009",
        2.6, 8.2, len(operated),
    )  # fmt: skip
    yield Row(
        "major complication", "operated, all planned operations of a patient",
        share(operated["major_complication"]),
        "an operation: Olthof 2020, ORANGE II PLUS, Reddy 2007", 11, 36, len(operated),
    )  # fmt: skip
    liver = p[p["liver_operations"] > 0]
    yield Row(
        "positive margin (R1)", "liver operated", share(liver["margin_positive"]),
        "Brudvik 2016, Creasy 2018; up to 22", 5.4, 22, len(liver),
    )  # fmt: skip
    seen = p[(p["injury_assessed"] > 0) & (p["cycles"] > 0)]
    yield Row(
        "sinusoidal injury", "removed liver, given drugs (FOLFOX before surgery)",
        share(seen["sinusoidal_injury"]), "Vauthey 2006, Kishi 2010", 18.9, 42, len(seen),
    )  # fmt: skip
    again = alone[alone["recurrence_minute"] < NEVER]
    in_liver, in_lung = again["recurrence_liver"] > 0, again["recurrence_lung"] > 0
    only_liver = in_liver & ~in_lung & (again["recurrence_elsewhere"] == 0)
    only_lung = in_lung & ~in_liver & (again["recurrence_elsewhere"] == 0)
    yield Row(
        "first recurrence in the liver alone", "recurred after surgery alone", share(only_liver),
        "Angelsen 2015 and a cohort of 2007–17", 36.5, 43.1, len(again),
    )  # fmt: skip
    yield Row(
        "first recurrence in the lung alone", "recurred after surgery alone", share(only_lung),
        "a cohort of 2007–17: 20.7", 15, 25, len(again),
    )  # fmt: skip


def like_eortc_40983(lived: dict[str, np.ndarray]) -> Iterable[Row]:
    """Resectable, at most four lesions, nothing outside the liver, 80 or younger."""
    arms = (("surgery_alone", "surgery alone", (21.3, 35.5), (41, 54)),
            ("standard", "perioperative FOLFOX", (28.1, 42.7), (43.6, 58.3)))  # fmt: skip
    for name, words, free, living in arms:
        p = lived[name]
        p = p[
            (p["resectable_at_diagnosis"] > 0)
            & (p["lesions"] <= 4)
            & (p["extrahepatic"] == 0)
            & (p["symptomatic_primary"] == 0)
            & (p["age_years"] <= 80)
        ]
        who = f"EORTC 40983-like, {words}"
        yield Row(
            "free of progression at 3 years", who, alive(endpoint(p, "pfs"), 36),
            "Nordlinger 2008", *free, len(p),
        )  # fmt: skip
        yield Row(
            "alive at 5 years",
            who,
            alive(endpoint(p, "os"), 60),
            "Nordlinger 2013",
            *living,
            len(p),
        )
        if name == "standard":
            drugs = p[p["first_line_evaluable"] > 0]
            yield Row(
                "response to six cycles", who, share(drugs["objective_response"]),
                "Nordlinger 2008: 43", 38, 48, len(drugs),
            )  # fmt: skip


def like_cairo5(lived: dict[str, np.ndarray]) -> Iterable[Row]:
    """Liver-only disease that cannot be resected at first, fit, right-sided or mutated."""
    living = (20.1, 27.5)
    arms = (
        ("standard", "doublet and bevacizumab", 9.0, 33, 37),
        ("triplet_conversion", "triplet and bevacizumab", 10.6, 54, 51),
    )
    for name, words, pfs, response, local in arms:
        p = lived[name]
        p = p[
            (p["resectable_at_diagnosis"] == 0)
            & (p["extrahepatic"] == 0)
            & (p["performance_status"] <= 1)
            & (p["symptomatic_primary"] == 0)
            & (p["lines_received"] > 0)
            & (
                p["first_chemotherapy_minute"]
                < np.minimum(p["progression_minute"], p["death_minute"])
            )
            & (
                (p["primary_site"] == RIGHT_COLON)
                | (p["mutation"] == RAS_MUTANT)
                | (p["mutation"] == BRAF_MUTANT)
            )
        ]
        who = f"CAIRO5-like (A, B), {words}"
        yield Row(
            "median progression-free survival", who,
            median(since_drugs(p, "death_minute", "progression_minute")), f"Bond 2023: {pfs}",
            pfs - 1.5, pfs + 1.5, len(p), "months",
        )  # fmt: skip
        yield Row(
            "response", who, share(p["objective_response"]), f"Bond 2023: {response}",
            response - 7, response + 7, len(p),
        )  # fmt: skip
        yield Row(
            "liver resected", who, share(p["resected"]), f"Bond 2023: {local}, local treatment",
            local - 7, local + 7, len(p),
        )  # fmt: skip
        yield Row(
            "median survival", who, median(since_drugs(p, "death_minute")),
            "doublet arm", *living, len(p), "months",
        )  # fmt: skip


def main() -> None:
    """Simulate and put the table into the page."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else PATIENTS
    found = list(rows(simulate(patients)))
    head = "| figure | among | patients | simulated (95 %) | published | verdict |"
    inside = sum(row.lower <= row.found.estimate <= row.upper for row in found)
    table = [
        f"{patients:,} patients under each policy, seed 1, best estimates; "
        f"{inside} of {len(found)} figures inside.",
        "",
        head,
        "|---|---|---|---|---|---|",
        *map(str, found),
    ]
    text = "\n".join(table)
    print(text)
    if PAGE.exists():
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
