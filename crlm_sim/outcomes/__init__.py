"""What it meant: integer tallies, survival, paired differences, patient and event tables."""

from crlm_sim.outcomes.definitions import OUTCOMES, Outcome
from crlm_sim.outcomes.summary import summarise_draws
from crlm_sim.outcomes.tables import event_frame, patient_frame
from crlm_sim.outcomes.tally import Tally

__all__ = [
    "OUTCOMES",
    "Outcome",
    "Tally",
    "event_frame",
    "patient_frame",
    "summarise_draws",
]
