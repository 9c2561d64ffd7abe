"""What is counted: the table of outcomes, and how each is read off the patient record.

A month is 365.25 / 12 days and a year 365.25 days, both whole numbers of minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crlm_sim.disease.patient import (
    MINUTES_PER_DAY,
    NEVER,
    OTHER,
    POSTOPERATIVE,
    PRIMARY_COMPLICATION,
    RECTUM,
    TOXIC,
    TUMOUR,
)

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12
MINUTES_PER_MONTH = 43_830

POUNDS = "pounds of 2023/24"
QALYS = "QALYs"
PRICED = (POUNDS, QALYS)
"""Units of what rests on prices and utilities, placeholders among them."""

Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]
Columns = Mapping[str, Whole]
"""Fields of the patient record by name, each of shape (patients,)."""


@dataclass(frozen=True)
class Outcome:
    """One named result.

    `kind` is proportion, mean, survival, median or rmst. For the first two, `source` names a field
    or an entry of `MEASURES` and `among` an entry of `CONDITIONS`; a proportion counts patients
    whose source is above 0, a mean is multiplied by `scale`. For the others `source` names an
    entry of `CURVES`, and `months` the time it is read at.
    """

    name: str
    label: str
    unit: str
    kind: str
    source: str
    among: str = "all"
    months: int = 0
    scale: float = 1.0
    higher_is_better: bool | None = None


# Who ---------------------------------------------------------------------------------------------

CONDITIONS: dict[str, Callable[[Columns], Flags]] = {
    "all": lambda c: c["patient"] >= 0,
    "not_resectable_at_diagnosis": lambda c: c["resectable_at_diagnosis"] == 0,
    "staged_started": lambda c: c["staged_started"] > 0,
    "two_stage_started": lambda c: c["two_stage_started"] > 0,
    "operated": lambda c: c["operated"] > 0,
    "mri_done": lambda c: c["mri_done"] > 0,
    "pet_done": lambda c: c["pet_done"] > 0,
    "liver_operated": lambda c: c["liver_operations"] > 0,
    "resected": lambda c: c["resected"] > 0,
    "locally_treated": lambda c: c["local_treatment_minute"] < NEVER,
    "ablated": lambda c: c["percutaneous"] > 0,
    "without_surgery": lambda c: c["percutaneous"] + c["irradiated_lesions"] > 0,
    "arterially_treated": lambda c: c["arterial_treated"] > 0,
    "vanished_left": lambda c: c["disappeared_left"] > 0,
    "keyhole": lambda c: c["laparoscopic"] > 0,
    "rectum_resected": lambda c: (
        (c["primary_site"] == RECTUM) & (c["primary_resection_minute"] < NEVER)
    ),
    "cleared": lambda c: c["cleared_minute"] < NEVER,
    "recurred": lambda c: c["recurrence_minute"] < NEVER,
    "adjuvant_due": lambda c: c["adjuvant_due"] > 0,
    "first_line_evaluable": lambda c: c["first_line_evaluable"] > 0,
    "injury_assessed": lambda c: c["injury_assessed"] > 0,
    "given_chemotherapy": lambda c: c["cycles"] > 0,
}


def whole_days(minutes: Whole) -> Whole:
    """Minutes rounded to whole days, half a day up: on average neither longer nor shorter."""
    return (minutes + MINUTES_PER_DAY // 2) // MINUTES_PER_DAY


def landmark_day(months: int) -> int:
    """The day, rounded as every other time, on which `months` are over."""
    return (months * MINUTES_PER_MONTH + MINUTES_PER_DAY // 2) // MINUTES_PER_DAY


# What of them ------------------------------------------------------------------------------------


def _recurrence_sites(c: Columns) -> Whole:
    """1 liver, 2 lung, 4 elsewhere, and their sums."""
    return c["recurrence_liver"] + 2 * c["recurrence_lung"] + 4 * c["recurrence_elsewhere"]


MEASURES: dict[str, Callable[[Columns], NDArray]] = {
    "recurred": CONDITIONS["recurred"],
    "locally_treated": CONDITIONS["locally_treated"],
    "elsewhere_resected": lambda c: c["peritoneum_resected"] + c["nodes_resected"],
    "liver_only": lambda c: _recurrence_sites(c) == 1,
    "lung_only": lambda c: _recurrence_sites(c) == 2,
    "elsewhere_or_several": lambda c: _recurrence_sites(c) > 2,
    "dead_of_tumour": lambda c: np.isin(c["cause_of_death"], (TUMOUR, PRIMARY_COMPLICATION)),
    "dead_of_treatment": lambda c: np.isin(c["cause_of_death"], (POSTOPERATIVE, TOXIC)),
    "dead_of_other_cause": lambda c: c["cause_of_death"] == OTHER,
    "resection_mortality_90d": lambda c: (
        c["death_minute"] - c["first_liver_resection_minute"] <= 90 * MINUTES_PER_DAY
    ),
    "life_days": lambda c: whole_days(c["end_minute"]),
}


def measure(columns: Columns, outcome: Outcome) -> Whole:
    """What a proportion or a mean adds up over patients, shape (patients,)."""
    if outcome.source in MEASURES:
        values = MEASURES[outcome.source](columns)
    else:
        values = columns[outcome.source]
    if outcome.kind == "proportion":
        values = values > 0
    return values.astype(np.int64)


# Times to events ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """A time to death or what `or_earlier` names (None: death alone), from `start` (None: 0).

    Where death does not count, as in local control, it only ends follow-up.
    """

    label: str
    among: Callable[[Columns], Flags]
    start: str | None = None
    or_earlier: str | None = None
    death_counts: bool = True


CURVES: dict[str, Endpoint] = {
    "os": Endpoint("overall survival", CONDITIONS["all"]),
    "pfs": Endpoint(
        "progression-free survival", CONDITIONS["all"], or_earlier="progression_minute"
    ),
    "dfs": Endpoint(
        "disease-free survival after clearance",
        CONDITIONS["cleared"],
        start="cleared_minute",
        or_earlier="recurrence_minute",
    ),
    "liver_pfs": Endpoint(
        "survival without progression in the liver",
        CONDITIONS["all"],
        or_earlier="liver_progression_minute",
    ),
    "local_control": Endpoint(
        "local control of lesions destroyed in place",
        CONDITIONS["locally_treated"],
        start="local_treatment_minute",
        or_earlier="local_progression_minute",
        death_counts=False,
    ),
    "os_lung": Endpoint(
        "overall survival from liver resection, lung metastases resected too",
        lambda c: (c["resected"] > 0) & (c["lung_resected"] > 0),
        start="first_liver_resection_minute",
    ),
    "os_peritoneum": Endpoint(
        "overall survival from liver resection, peritoneal metastases resected too",
        lambda c: (c["resected"] > 0) & (c["peritoneum_resected"] > 0),
        start="first_liver_resection_minute",
    ),
    "os_nodes": Endpoint(
        "overall survival from liver resection, nodal metastases resected too",
        lambda c: (c["resected"] > 0) & (c["nodes_resected"] > 0),
        start="first_liver_resection_minute",
    ),
    "os_resected": Endpoint(
        "overall survival from liver resection",
        CONDITIONS["resected"],
        start="first_liver_resection_minute",
    ),
    "os_unresected": Endpoint(
        "overall survival without liver resection", lambda c: c["resected"] == 0
    ),
}


def spans(columns: Columns, endpoint: Endpoint) -> tuple[Whole, Whole, Flags]:
    """(places of those who count, minutes followed, whether that ended in the event).

    All three of shape (those who count,). What should come before death is no event unless it
    comes after the start.
    """
    who = np.flatnonzero(endpoint.among(columns))
    end = columns["end_minute"][who]
    start = columns[endpoint.start][who] if endpoint.start else np.zeros_like(end)
    first = columns["death_minute"][who] if endpoint.death_counts else np.full_like(end, NEVER)
    if endpoint.or_earlier:
        other = columns[endpoint.or_earlier][who]
        first = np.minimum(first, np.where(other > start, other, NEVER))
    happened = first < NEVER
    return who, np.where(happened, first, end) - start, happened


# The table ---------------------------------------------------------------------------------------


def _survival(name: str, label: str, curve: str, months: int) -> Outcome:
    return Outcome(
        name, label, "proportion", "survival", curve, months=months, higher_is_better=True
    )


def _median(name: str, label: str, curve: str) -> Outcome:
    return Outcome(name, label, "months", "median", curve, higher_is_better=True)


def _rmst(name: str, label: str, months: int) -> Outcome:
    return Outcome(name, label, "months", "rmst", "os", months=months, higher_is_better=True)


def _share(
    name: str, label: str, among: str = "all", better: bool | None = None, source: str = ""
) -> Outcome:
    return Outcome(
        name, label, "proportion", "proportion", source or name, among, higher_is_better=better
    )


def _mean(
    name: str,
    label: str,
    unit: str,
    source: str = "",
    scale: float = 1.0,
    better: bool | None = None,
) -> Outcome:
    return Outcome(name, label, unit, "mean", source or name, scale=scale, higher_is_better=better)


OUTCOMES: tuple[Outcome, ...] = (
    _median("os_median_months", "median overall survival", "os"),
    _survival("os_1y", "alive at 1 year", "os", 12),
    _survival("os_3y", "alive at 3 years", "os", 36),
    _survival("os_5y", "alive at 5 years", "os", 60),
    _survival("os_10y", "alive at 10 years", "os", 120),
    _median("pfs_median_months", "median progression-free survival", "pfs"),
    _survival("pfs_1y", "alive without progression at 1 year", "pfs", 12),
    _survival("pfs_3y", "alive without progression at 3 years", "pfs", 36),
    _survival("dfs_1y", "alive without recurrence 1 year after clearance", "dfs", 12),
    _survival("dfs_3y", "alive without recurrence 3 years after clearance", "dfs", 36),
    _survival("dfs_5y", "alive without recurrence 5 years after clearance", "dfs", 60),
    _rmst("rmst_5y_months", "mean months lived in the first 5 years", 60),
    _rmst("rmst_10y_months", "mean months lived in the first 10 years", 120),
    _median(
        "liver_pfs_median_months", "median survival without progression in the liver", "liver_pfs"
    ),
    _survival("liver_pfs_1y", "alive without progression in the liver at 1 year", "liver_pfs", 12),
    _survival("local_control_1y", "no regrowth where destroyed, at 1 year", "local_control", 12),
    _survival("local_control_2y", "no regrowth where destroyed, at 2 years", "local_control", 24),
    _survival("os_5y_lung", "alive 5 years after liver and lung resection", "os_lung", 60),
    _survival(
        "os_5y_peritoneum", "alive 5 years after resection with peritoneum", "os_peritoneum", 60
    ),
    _survival("os_5y_nodes", "alive 5 years after resection with nodes", "os_nodes", 60),
    _survival("os_5y_resected", "alive 5 years after liver resection", "os_resected", 60),
    _median(
        "os_median_unresected_months",
        "median overall survival of those never resected",
        "os_unresected",
    ),
    _share("resected", "liver metastases resected", better=True),
    _share("resectable_at_diagnosis", "judged resectable at diagnosis"),
    _share(
        "converted",
        "resected after drugs, of those not resectable at diagnosis",
        "not_resectable_at_diagnosis",
        True,
    ),
    _share(
        "complete_local_treatment",
        "all that was seen in the liver resected or destroyed",
        better=True,
    ),
    _share("locally_treated", "a lesion ablated or irradiated"),
    _share("percutaneous", "ablated through the skin"),
    _share("post_ablation_syndrome", "post-ablation syndrome, of those ablated so", "ablated"),
    _share(
        "ablation_complication",
        "a major complication of local treatment without surgery, of those treated so",
        "without_surgery",
        False,
    ),
    _share("arterial_treated", "treated through the hepatic artery"),
    _share(
        "arterial_complication",
        "a complication of that, of those treated so",
        "arterially_treated",
        False,
    ),
    _share("lung_resected", "lung metastases resected"),
    _share("elsewhere_resected", "peritoneal or nodal metastases resected"),
    _share("alpps", "first stage of ALPPS done"),
    _share("laparoscopic", "operated by laparoscopy"),
    _share("converted_to_open", "laparoscopy ended as an open operation", "keyhole", False),
    _share("radiotherapy", "rectal primary irradiated"),
    _share(
        "pelvic_recurrence",
        "tumour left in the pelvis, of rectal resections",
        "rectum_resected",
        False,
    ),
    _share("disappeared", "a lesion vanished before the operation"),
    _share("disappeared_left", "a vanished lesion left in place"),
    _share("regrown", "vanished lesions seen again, of those left", "vanished_left", False),
    _share("maintained", "maintenance drugs given"),
    _share(
        "dose_delayed",
        "a cycle put off for toxicity, of those given drugs",
        "given_chemotherapy",
        False,
    ),
    _share("sequence_completed", "all planned operations done, once begun", "staged_started", True),
    _share(
        "two_stage_completed",
        "second stage of a two-stage resection done, once begun",
        "two_stage_started",
        True,
    ),
    _share(
        "major_complication",
        "a major complication of a planned operation, of those operated",
        "operated",
        False,
    ),
    _share("liver_failure", "liver failure after a liver operation", "liver_operated", False),
    _share(
        "mortality_90d",
        "dead within 90 days of a planned operation, of those operated",
        "operated",
        False,
    ),
    _share(
        "resection_complication",
        "a major complication of the first liver resection, of those resected",
        "resected",
        False,
    ),
    _share(
        "resection_mortality_90d",
        "dead within 90 days of the first liver resection, of those resected",
        "resected",
        False,
    ),
    _share("adjuvant_started", "adjuvant drugs begun, of those due", "adjuvant_due", True),
    _share(
        "objective_response",
        "complete or partial response to the first drugs",
        "first_line_evaluable",
        True,
    ),
    _share("sinusoidal_injury", "sinusoidal injury in the removed liver", "injury_assessed", False),
    _share("steatohepatitis", "steatohepatitis in the removed liver", "injury_assessed", False),
    _share("severe_toxicity", "severe toxicity, of those given drugs", "given_chemotherapy", False),
    _share("plan_changed_by_mri", "plan changed by liver MRI, of those treatable", "mri_done"),
    _share("plan_changed_by_pet", "plan changed by PET, of those treatable", "pet_done"),
    _share("emergency_primary", "emergency from the primary left in place", better=False),
    _share("margin_positive", "a positive margin, of liver operations", "liver_operated", False),
    _share(
        "repeat_resected",
        "liver resected again, of those resected",
        "resected",
        source="repeat_resections",
    ),
    _share("recurrence", "recurrence seen, of those cleared", "cleared", False, "recurred"),
    _share(
        "recurrence_liver_only",
        "first recurrence in the liver alone, of those with one",
        "recurred",
        source="liver_only",
    ),
    _share(
        "recurrence_lung_only",
        "first recurrence in the lung alone, of those with one",
        "recurred",
        source="lung_only",
    ),
    _share(
        "recurrence_elsewhere_or_several",
        "first recurrence elsewhere or in several organs, of those with one",
        "recurred",
        source="elsewhere_or_several",
    ),
    _share("cured", "no viable tumour left at death or end of follow-up", better=True),
    _share("dead_of_tumour", "dead of the tumour or of the primary left in place", better=False),
    _share("dead_of_treatment", "dead of an operation or of drugs", better=False),
    _share("dead_of_other_cause", "dead of another cause"),
    _mean("cycles", "cycles of chemotherapy", "cycles"),
    _mean("lines_received", "lines of drugs received", "lines"),
    _mean("scans", "scans", "scans"),
    _mean("theatre_minutes", "minutes in theatre", "minutes"),
    _mean("bed_days", "days in a hospital bed", "days", "bed_minutes", 1.0 / MINUTES_PER_DAY),
    _mean("liver_operations", "operations on the liver", "operations"),
    _mean(
        "life_years",
        "years lived up to the end of follow-up",
        "years",
        "life_days",
        1.0 / DAYS_PER_YEAR,
        True,
    ),
    _mean("cost", "cost, discounted", POUNDS, "cost_pounds", better=False),
    _mean("cost_drugs", "of that, drugs, giving them and toxicity", POUNDS, "drugs_pounds"),
    _mean("cost_procedures", "of that, scans, visits and procedures", POUNDS, "procedures_pounds"),
    _mean("cost_beds", "of that, days in bed", POUNDS, "beds_pounds"),
    _mean(
        "life_years_discounted",
        "life-years, discounted",
        "years",
        "counted_days",
        1.0 / DAYS_PER_YEAR,
        True,
    ),
    _mean("qaly", "QALYs, discounted", QALYS, "quality_days", 1.0 / DAYS_PER_YEAR, True),
    _mean("nmb", "net monetary benefit", POUNDS, "net_benefit_pounds", better=True),
)
"""Every outcome, in the order of every table."""

COUNTED = tuple(o for o in OUTCOMES if o.kind in ("proportion", "mean"))
"""The outcomes made of a numerator and a denominator."""

# The flow diagram --------------------------------------------------------------------------------

FATES = ("recurrence", "died without recurrence", "alive without recurrence")
FLOW_CELLS = 2 * 2 * 2 * len(FATES)


def flow_cells(columns: Columns) -> Whole:
    """The cell of each patient in (resectable, resected, cleared, fate), flattened."""
    recurred = CONDITIONS["recurred"](columns)
    alive = columns["death_minute"] == NEVER
    fate = np.where(recurred, 0, np.where(alive, 2, 1))
    resectable = columns["resectable_at_diagnosis"] > 0
    cell = 2 * resectable.astype(np.int64) + CONDITIONS["resected"](columns)
    cell = 2 * cell + CONDITIONS["cleared"](columns)
    return cell * len(FATES) + fate


FIELDS = tuple(
    dict.fromkeys(
        [
            "patient",
            "death_minute",
            "end_minute",
            "cause_of_death",
            "progression_minute",
            "recurrence_minute",
            "recurrence_liver",
            "recurrence_lung",
            "recurrence_elsewhere",
            "cleared_minute",
            "first_liver_resection_minute",
            "liver_progression_minute",
            "local_treatment_minute",
            "local_progression_minute",
            "irradiated_lesions",
            "primary_site",
            "primary_resection_minute",
            "peritoneum_resected",
            "nodes_resected",
            "staged_started",
            "two_stage_started",
            "operated",
            "mri_done",
            "pet_done",
            "adjuvant_due",
            "first_line_evaluable",
            "injury_assessed",
        ]
        + [o.source for o in COUNTED if o.source not in MEASURES]
    )
)
"""The fields of the patient record that outcomes are made of."""
