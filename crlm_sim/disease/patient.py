"""The patient record: everything the model knows about one person, in one fixed-size record.

Times are whole minutes from diagnosis, volumes mL, diameters mm, log volumes natural logs of mL.
A field that holds a minute is `NEVER` until the thing happens. Both engines work on these records
in place, and their scalar fields are the columns of the patient table.
"""

from __future__ import annotations

import numpy as np

MINUTES_PER_DAY = 1440
NEVER = 2**62

CLONES = 48
SEGMENTS = 8
LUNG, PERITONEUM, NODE, PORTAL_NODE, PELVIS = 8, 9, 10, 11, 12
SITES = 13
SITE_NAMES = (
    *(f"segment {n}" for n in range(1, 9)),
    "lung",
    "peritoneum",
    "distant node",
    "portal node",
    "pelvis",
)
TARGETS = 5
LINES = 3
"""Lines of drugs whose course is kept."""
ACTIVITY_KINDS = 32
"""Room for the counts of activities; `care/` says which is which."""

MALE, FEMALE = 0, 1
RIGHT_COLON, LEFT_COLON, RECTUM = 0, 1, 2
PRIMARY_SITES = ("right colon", "left colon", "rectum")
WILD_TYPE, RAS_MUTANT, BRAF_MUTANT = 0, 1, 2
MUTATIONS = ("wild type", "RAS mutant", "BRAF mutant")

ALIVE, TUMOUR, POSTOPERATIVE, TOXIC, PRIMARY_COMPLICATION, OTHER = range(6)
CAUSES = (
    "alive",
    "tumour",
    "postoperative",
    "treatment toxicity",
    "complication of the primary",
    "other cause",
)

_STREAM = [("seed", "i8"), ("draw", "i8"), ("replicate", "i8"), ("patient", "i8")]

_BASELINE = [
    ("policy", "i8"),
    ("age_years", "f8"),
    ("sex", "i8"),
    ("performance_status", "i8"),
    ("weight_kg", "f8"),
    ("primary_site", "i8"),
    ("major_primary", "i8"),
    ("symptomatic_primary", "i8"),
    ("node_positive", "i8"),
    ("mutation", "i8"),
    ("msi_high", "i8"),
    ("cea_ng_ml", "f8"),
    ("lesions", "i8"),
    ("largest_mm", "f8"),
    ("bilobar", "i8"),
    ("diffuse", "i8"),
    ("extrahepatic", "i8"),
    ("fong_score", "i8"),
]

_BIOLOGY = [
    ("growth_rate", "f8"),
    ("sensitivity", "f8"),
    ("resistant_log_fraction", "f8"),
    ("log_lethal_liver_ml", "f8"),
    ("log_lethal_elsewhere_ml", "f8"),
    ("sinusoidal_susceptibility", "f8"),
    ("steatohepatitis_susceptibility", "f8"),
    ("hypertrophy_factor", "f8"),
]

_CLOCKS = [
    ("grown_until", "i8"),
    ("drug_until", "i8"),
    ("safe_until", "i8"),
    ("kill_sensitive", "f8"),
    ("kill_resistant", "f8"),
    ("liver_drug_until", "i8"),
    ("liver_kill", "f8"),
    ("other_death_minute", "i8"),
    ("treatment_death_minute", "i8"),
    ("treatment_death_cause", "i8"),
    ("primary_complication_minute", "i8"),
]

_LIVER = [
    ("liver_ml", "f8"),
    ("left_scale", "f8"),
    ("right_scale", "f8"),
    ("left_target", "f8"),
    ("right_target", "f8"),
    ("liver_updated", "i8"),
    ("sinusoidal_dose", "f8"),
    ("steatohepatitis_dose", "f8"),
    ("injury_updated", "i8"),
]

_STATE = [
    ("step", "i8"),
    ("step_minute", "i8"),
    ("primary_in_place", "i8"),
    ("unfit", "i8"),
    ("plan", "i8"),
    ("operation", "i8"),
    ("removed_segments", "i8"),
    ("planned_segments", "i8"),
    ("needs_first_stage", "i8"),
    ("stage_one_done", "i8"),
    ("embolised", "i8"),
    ("partitioned", "i8"),
    ("scale_at_embolisation", "f8"),
    ("liver_cleared", "i8"),
    ("course", "i8"),
    ("course_regimen", "i8"),
    ("course_cycles", "i8"),
    ("course_limit", "i8"),
    ("course_start", "i8"),
    ("next_cycle_minute", "i8"),
    ("evaluation_minute", "i8"),
    ("line", "i8"),
    ("line_regimen", "f8"),
    ("baseline_sum_mm", "f8"),
    ("nadir_sum_mm", "f8"),
    ("new_lesion", "i8"),
    ("new_liver_lesion", "i8"),
    ("liver_nadir_sum_mm", "f8"),
    ("stay_minutes", "i8"),
    ("recovered_minute", "i8"),
    ("disease_free_minute", "i8"),
    ("operations_done", "i8"),
    ("last_operation", "i8"),
    ("last_operation_minute", "i8"),
    ("last_planned_operation_minute", "i8"),
    ("last_operation_major_complication", "i8"),
    ("last_cycle_minute", "i8"),
    ("progressed", "i8"),
    ("preoperative_done", "i8"),
    ("last_scan_minute", "i8"),
    ("staging_tests", "i8"),
    ("staging_test", "i8"),
    ("takes_primary", "i8"),
    ("reintroduced", "i8"),
    ("arterial_therapy", "i8"),
    ("arterial_sessions", "i8"),
    ("pump_until", "i8"),
    ("local_treatments", "i8"),
]

_OUTCOMES = [
    ("death_minute", "i8"),
    ("cause_of_death", "i8"),
    ("progression_minute", "i8"),
    ("liver_progression_minute", "i8"),
    ("local_treatment_minute", "i8"),
    ("local_progression_minute", "i8"),
    ("recurrence_minute", "i8"),
    ("recurrence_liver", "i8"),
    ("recurrence_lung", "i8"),
    ("recurrence_elsewhere", "i8"),
    ("cleared_minute", "i8"),
    ("first_liver_resection_minute", "i8"),
    ("primary_resection_minute", "i8"),
    ("first_chemotherapy_minute", "i8"),
    ("resectable_at_diagnosis", "i8"),
    ("referred", "i8"),
    ("resected", "i8"),
    ("converted", "i8"),
    ("staged_started", "i8"),
    ("sequence_started", "i8"),
    ("sequence_completed", "i8"),
    ("two_stage_started", "i8"),
    ("two_stage_completed", "i8"),
    ("repeat_resections", "i8"),
    ("liver_operations", "i8"),
    ("major_hepatectomy", "i8"),
    ("ablated_lesions", "i8"),
    ("percutaneous", "i8"),
    ("irradiated_lesions", "i8"),
    ("post_ablation_syndrome", "i8"),
    ("ablation_complication", "i8"),
    ("alpps", "i8"),
    ("lung_resected", "i8"),
    ("peritoneum_resected", "i8"),
    ("nodes_resected", "i8"),
    ("laparoscopic", "i8"),
    ("converted_to_open", "i8"),
    ("disappeared", "i8"),
    ("disappeared_left", "i8"),
    ("regrown", "i8"),
    ("radiotherapy", "i8"),
    ("pelvic_recurrence", "i8"),
    ("arterial_treated", "i8"),
    ("arterial_complication", "i8"),
    ("complete_local_treatment", "i8"),
    ("margin_positive", "i8"),
    ("major_complication", "i8"),
    ("resection_complication", "i8"),
    ("liver_failure", "i8"),
    ("operated", "i8"),
    ("mortality_90d", "i8"),
    ("adjuvant_due", "i8"),
    ("adjuvant_started", "i8"),
    ("first_line_evaluable", "i8"),
    ("objective_response", "i8"),
    ("lines_received", "i8"),
    ("cycles", "i8"),
    ("severe_toxicity", "i8"),
    ("dose_delayed", "i8"),
    ("maintained", "i8"),
    ("sinusoidal_injury", "i8"),
    ("steatohepatitis", "i8"),
    ("injury_assessed", "i8"),
    ("emergency_primary", "i8"),
    ("induction_end_minute", "i8"),
    ("support_minute", "i8"),
    ("repeat_resection_minute", "i8"),
    ("remnant_growth", "f8"),
    ("scans", "i8"),
    ("mri_done", "i8"),
    ("plan_changed_by_mri", "i8"),
    ("pet_done", "i8"),
    ("plan_changed_by_pet", "i8"),
    ("bed_minutes", "i8"),
    ("theatre_minutes", "i8"),
    ("cured", "i8"),
    ("end_minute", "i8"),
    ("cost_pounds", "i8"),
    ("drugs_pounds", "i8"),
    ("procedures_pounds", "i8"),
    ("beds_pounds", "i8"),
    ("counted_days", "i8"),
    ("quality_days", "i8"),
    ("net_benefit_pounds", "i8"),
]

_LINES = [
    ("line_minute", "i8", (LINES,)),
    ("line_progression_minute", "i8", (LINES,)),
    ("line_liver_progression_minute", "i8", (LINES,)),
    ("line_measurable", "i8", (LINES,)),
    ("line_response", "i8", (LINES,)),
]
"""What happened in each line of drugs for disease that was not resected: the decision for it, the
first progression since, the best response of those who had measurable disease."""

_CLONES = [
    ("clones", "i8"),
    ("log_sensitive", "f8", (CLONES,)),
    ("log_resistant", "f8", (CLONES,)),
    ("conspicuity", "f8", (CLONES,)),
    ("diameter_mm", "f8", (CLONES,)),
    ("site", "i1", (CLONES,)),
    ("deep", "i1", (CLONES,)),
    ("near_vessel", "i1", (CLONES,)),
    ("near_duct", "i1", (CLONES,)),
    ("near_edge", "i1", (CLONES,)),
    ("treated_locally", "i1", (CLONES,)),
    ("left_unseen", "i1", (CLONES,)),
    ("known", "i1", (CLONES,)),
    ("treatment", "i1", (CLONES,)),
    ("target", "i1", (CLONES,)),
    ("segment_ml", "f8", (SEGMENTS,)),
    ("times_done", "i8", (ACTIVITY_KINDS,)),
]

PATIENT = np.dtype(
    _STREAM + _BASELINE + _BIOLOGY + _CLOCKS + _LIVER + _STATE + _OUTCOMES + _LINES + _CLONES
)
TABLE_COLUMNS = tuple(name for name, *_ in _STREAM + _BASELINE + _OUTCOMES)
"""The columns of the patient table, in order; `policy` is a place in the scenario's list."""
MINUTE_COLUMNS = tuple(name for name in TABLE_COLUMNS if name.endswith("_minute"))


def new_patients(size: int) -> np.ndarray:
    """`size` empty records, dtype `PATIENT`."""
    return np.zeros(size, PATIENT)
