"""What a policy is to the compiled code: settings and rules, packed by `scenario/` from TOML.

The settings in force are a patient's own. They start as the policy's and are settled anew at every
MDT meeting, when the rules look at what is known.
"""

from __future__ import annotations

import numpy as np

from crlm_sim.evidence import ARTERIAL_THERAPIES, LOCAL_THERAPIES

COLORECTAL_FIRST, SIMULTANEOUS, LIVER_FIRST = 0, 1, 2
SEQUENCES = ("colorectal-first", "simultaneous", "liver-first")
UPFRONT, PERIOPERATIVE = 0, 1
TIMINGS = ("upfront", "perioperative")
SPARING, ANATOMIC = 0, 1
RESECTIONS = ("sparing", "anatomic")
OPEN, LAPAROSCOPIC = 0, 1
APPROACHES = ("open", "laparoscopic")
WATCH, RESECT_BLIND = 0, 1
DISAPPEARING = ("watch", "resect")
NO_STAGES, EMBOLISE, PARTITION = 0, 1, 2
TWO_STAGES = ("none", "pve", "alpps")
RESECT_SMALL, ABLATE_SMALL = 0, 1
SMALL_LESIONS = ("resect", "ablate")
NO_RADIOTHERAPY, SHORT_COURSE, LONG_COURSE = 0, 1, 2
RADIOTHERAPIES = ("none", "short_course", "chemoradiotherapy")
LEAVE, RESECT = 0, 1
PRIMARY_CHOICES = ("leave", "resect")
NO_REGIMEN = -1
NO_THERAPY = -1
ABLATIONS = tuple(name for name in LOCAL_THERAPIES if not name.startswith("sbrt"))

CHOICES = {
    "sequence": SEQUENCES,
    "timing": TIMINGS,
    "resection": RESECTIONS,
    "approach": APPROACHES,
    "disappearing": DISAPPEARING,
    "two_stage": TWO_STAGES,
    "small_lesions": SMALL_LESIONS,
    "rectal_radiotherapy": RADIOTHERAPIES,
    "primary_when_unresectable": PRIMARY_CHOICES,
}
"""Settings that choose a word; the packed record holds its place."""

THERAPIES = {
    "ablation": ABLATIONS,
    "local_therapy": LOCAL_THERAPIES,
    "arterial_therapy": ARTERIAL_THERAPIES,
}
"""Settings that choose a row of an evidence table or "none" (`NO_THERAPY`); packed as its place."""

_SETTINGS = (
    "sequence",
    "timing",
    "preoperative_cycles",
    "postoperative_cycles",
    "adjuvant_cycles",
    "perioperative_regimen",
    "conversion_regimen",
    "first_line_regimen",
    "second_line_regimen",
    "third_line_regimen",
    "maintenance_regimen",
    "reintroduction",
    "perioperative_total_days",
    "line_cycles",
    "lines",
    "first_reevaluation_days",
    "reevaluation_days",
    "operation_gap_days",
    "staged_when_both_major",
    "rectal_radiotherapy",
    "primary_when_unresectable",
    "resection",
    "margin_mm",
    "approach",
    "disappearing",
    "two_stage",
    "ablation",
    "small_lesions",
    "portal_node_resection",
    "distant_node_resection",
    "peritoneal_resection",
    "lung_resection",
    "repeat_resection",
    "local_therapy",
    "arterial_therapy",
    "arterial_line",
    "arterial_liver_only",
    "mri",
    "pet_ct",
    "pet_mr",
    "refer_to_liver_unit",
    "most_lesions",
    "flr_least",
    "flr_least_injured",
    "remnant_to_body_weight_least",
    "surveillance_days",
    "late_surveillance_days",
    "early_surveillance_years",
    "surveillance_years",
)
POLICY = np.dtype([(name, "f8") for name in _SETTINGS])
"""The settings in force for a patient: all floats, so that a rule can set any of them."""

MOST_RULES, MOST_OPERATIONS, MOST_CHANGES = 32, 512, 128
RULES = np.dtype(
    [
        ("count", "i8"),
        ("starts", "i8", (MOST_RULES + 1,)),
        ("operations", "i8", (MOST_OPERATIONS,)),
        ("arguments", "f8", (MOST_OPERATIONS,)),
        ("changes", "i8", (MOST_RULES + 1,)),
        ("setting", "i8", (MOST_CHANGES,)),
        ("value", "f8", (MOST_CHANGES,)),
    ]
)
"""A policy's rules: the programs of their conditions, and which settings they set to what.

Rule r's program is at places `starts[r]` … `starts[r + 1] − 1`, its changes at places
`changes[r]` … `changes[r + 1] − 1`; `setting` is a place in the fields of `POLICY`.
"""


def no_rules() -> np.ndarray:
    """The rules (shape (1,)) of a policy that has none."""
    return np.zeros(1, RULES)


def as_values(settings: np.ndarray) -> np.ndarray:
    """Packed settings (dtype `POLICY`, shape (n,)) as numbers, shape (n, settings), same memory."""
    return settings.view(np.float64).reshape(len(settings), len(_SETTINGS))
