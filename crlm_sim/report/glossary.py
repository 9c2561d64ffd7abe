"""The terms a reader may not know."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "95 % interval",
        "The range in which the result would lie in 95 of 100 repetitions: of the simulation with "
        "other random numbers (simulation interval), or with other values of the uncertain "
        "parameters (parameter interval).",
    ),
    ("Clavien grade", "Severity of a complication after surgery; III or more is major."),
    (
        "Conversion",
        "Shrinking metastases with drugs until surgery, impossible at first, becomes possible.",
    ),
    ("DFS", "Disease-free survival: from having no visible tumour left to recurrence or death."),
    (
        "FLR",
        "Future liver remnant: the share of the liver that would be left after an operation. Too "
        "small a remnant risks liver failure.",
    ),
    (
        "Fong score",
        "Zero to five points for risk of recurrence: positive nodes, metastases within 12 months, "
        "more than one metastasis, one over 5 cm, CEA above 200 ng/mL.",
    ),
    ("MDT", "Multidisciplinary team: the meeting where treatment is decided."),
    (
        "Median survival",
        "The time by which half of the patients have died; not given if fewer than half have.",
    ),
    (
        "Net monetary benefit",
        "QALYs times what one may cost, less the cost: what a policy is worth in money.",
    ),
    ("Number at risk", "Patients still followed and without the event at that time."),
    ("OS", "Overall survival: from diagnosis to death from any cause."),
    (
        "Paired difference",
        "The same simulated patients are treated under each policy, with the same tumours and the "
        "same luck, so that differences between policies are not differences between patients.",
    ),
    (
        "Parameter draw",
        "One plausible set of values of all uncertain parameters, on which a whole simulation "
        "is run.",
    ),
    (
        "Percentage points",
        "The difference between two percentages: from 40 % to 42 % is 2 percentage points.",
    ),
    ("PFS", "Progression-free survival: from diagnosis to progression or death."),
    (
        "Portal vein embolisation",
        "Blocking the vein to one part of the liver to make another grow.",
    ),
    (
        "QALY",
        "Quality-adjusted life-year: a year lived, weighted by how good the state is in which it "
        "is lived, from 0 (as bad as being dead) to 1.",
    ),
    (
        "R0, R1",
        "An operation that leaves no tumour at the cut edge (R0), or leaves some that only the "
        "microscope shows (R1, a positive margin).",
    ),
    (
        "RMST",
        "Restricted mean survival time: the mean months lived within a fixed period, for example "
        "the first five years.",
    ),
    (
        "Sinusoidal injury, steatohepatitis",
        "Damage to the liver by oxaliplatin and by irinotecan, which makes surgery riskier.",
    ),
    ("Synchronous metastases", "Metastases found at the same time as the primary tumour."),
    (
        "Two-stage resection",
        "Clearing the liver in two operations, with time for the remnant to grow between them.",
    ),
)
