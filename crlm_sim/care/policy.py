"""What a policy is to the compiled code: settings and rules, packed by `scenario/` from TOML.

The settings in force are a patient's own. They start as the policy's and are settled anew at every
MDT meeting, when the rules look at what is known.
"""

from __future__ import annotations

import numpy as np

COLORECTAL_FIRST, SIMULTANEOUS, LIVER_FIRST = 0, 1, 2
SEQUENCES = ("colorectal-first", "simultaneous", "liver-first")
UPFRONT, PERIOPERATIVE = 0, 1
TIMINGS = ("upfront", "perioperative")
NO_REGIMEN = -1

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
    "line_cycles",
    "lines",
    "first_reevaluation_days",
    "reevaluation_days",
    "operation_gap_days",
    "staged_when_both_major",
    "two_stage",
    "ablation",
    "repeat_resection",
    "mri",
    "pet_ct",
    "pet_mr",
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
