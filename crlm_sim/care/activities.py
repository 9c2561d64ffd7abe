"""The activities and services of the clinic, numbered as they stand in `evidence/`."""

from __future__ import annotations

from crlm_sim.evidence import ACTIVITIES, SERVICES

NOTHING = -1
CT_SCAN = ACTIVITIES.index("ct_scan")
MDT_MEETING = ACTIVITIES.index("mdt_meeting")
CHEMOTHERAPY_CYCLE = ACTIVITIES.index("chemotherapy_cycle")
COLORECTAL_RESECTION = ACTIVITIES.index("colorectal_resection")
EMERGENCY_COLORECTAL_RESECTION = ACTIVITIES.index("emergency_colorectal_resection")
MINOR_LIVER_RESECTION = ACTIVITIES.index("minor_liver_resection")
MAJOR_LIVER_RESECTION = ACTIVITIES.index("major_liver_resection")
EXTENDED_LIVER_RESECTION = ACTIVITIES.index("extended_liver_resection")
SIMULTANEOUS_RESECTION = ACTIVITIES.index("simultaneous_resection")
FIRST_STAGE_HEPATECTOMY = ACTIVITIES.index("first_stage_hepatectomy")
PORTAL_VEIN_EMBOLISATION = ACTIVITIES.index("portal_vein_embolisation")
SECOND_STAGE_HEPATECTOMY = ACTIVITIES.index("second_stage_hepatectomy")
WARD_STAY = ACTIVITIES.index("ward_stay")
SURVEILLANCE_VISIT = ACTIVITIES.index("surveillance_visit")
BEST_SUPPORTIVE_CARE = ACTIVITIES.index("best_supportive_care")
MRI_SCAN = ACTIVITIES.index("mri_scan")
PET_CT_SCAN = ACTIVITIES.index("pet_ct_scan")
PET_MR_SCAN = ACTIVITIES.index("pet_mr_scan")
PERCUTANEOUS_ABLATION = ACTIVITIES.index("percutaneous_ablation")
STEREOTACTIC_RADIOTHERAPY = ACTIVITIES.index("stereotactic_radiotherapy")
ALPPS_FIRST_STAGE = ACTIVITIES.index("alpps_first_stage")
ALPPS_SECOND_STAGE = ACTIVITIES.index("alpps_second_stage")
LUNG_RESECTION = ACTIVITIES.index("lung_resection")
PUMP_IMPLANTATION = ACTIVITIES.index("pump_implantation")
RADIOEMBOLISATION = ACTIVITIES.index("radioembolisation")
CHEMOEMBOLISATION = ACTIVITIES.index("chemoembolisation")
SHORT_COURSE_RADIOTHERAPY = ACTIVITIES.index("short_course_radiotherapy")
CHEMORADIOTHERAPY = ACTIVITIES.index("chemoradiotherapy")

NO_SERVICE = SERVICES.index("none")
