"""What a policy is to the compiled code: one flat record, packed by `scenario/` from TOML."""

from __future__ import annotations

import numpy as np

COLORECTAL_FIRST, SIMULTANEOUS, LIVER_FIRST = 0, 1, 2
SEQUENCES = ("colorectal-first", "simultaneous", "liver-first")
UPFRONT, PERIOPERATIVE = 0, 1
TIMINGS = ("upfront", "perioperative")
NO_REGIMEN = -1

POLICY = np.dtype(
    [
        ("sequence", "i8"),
        ("timing", "i8"),
        ("preoperative_cycles", "i8"),
        ("postoperative_cycles", "i8"),
        ("adjuvant_cycles", "i8"),
        ("perioperative_regimen", "i8"),
        ("conversion_regimen", "i8"),
        ("first_line_regimen", "i8"),
        ("second_line_regimen", "i8"),
        ("third_line_regimen", "i8"),
        ("line_cycles", "i8"),
        ("lines", "i8"),
        ("first_reevaluation_days", "f8"),
        ("reevaluation_days", "f8"),
        ("operation_gap_days", "f8"),
        ("staged_when_both_major", "i8"),
        ("two_stage", "i8"),
        ("ablation", "i8"),
        ("repeat_resection", "i8"),
        ("most_lesions", "i8"),
        ("flr_least", "f8"),
        ("flr_least_injured", "f8"),
        ("remnant_to_body_weight_least", "f8"),
        ("surveillance_days", "f8"),
        ("late_surveillance_days", "f8"),
        ("early_surveillance_years", "f8"),
        ("surveillance_years", "f8"),
    ]
)
