"""The steps of the pathway: where a patient is, and from when on."""

from __future__ import annotations

from crlm_sim.compiled import compiled

(
    STAGING,
    CLOSER_LOOK,
    MEETING,
    OPERATION,
    EMBOLISATION,
    CYCLE,
    REEVALUATION,
    SURVEILLANCE,
    SUPPORT,
    LOCAL_TREATMENT,
    RADIOTHERAPY,
    ARTERIAL_SESSION,
) = range(12)
STEPS = (
    "staging",
    "further staging test",
    "meeting",
    "operation",
    "embolisation",
    "chemotherapy cycle",
    "re-evaluation",
    "surveillance",
    "supportive care",
    "local treatment",
    "radiotherapy of the rectum",
    "treatment through the hepatic artery",
)


@compiled
def go_to(patient, step, minute):
    """The patient's next step, to be taken at `minute` at the earliest."""
    patient.step = step
    patient.step_minute = minute
