"""What may be the endpoint of a trial: times to events, and what is judged when a window is over.

A time counts from randomisation to the event. What is judged is read off a record that was lived to
the end of the window and no further, so that it is what would then be known: whether something has
happened since randomisation, or what the time since was worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crlm_sim.disease.patient import NEVER
from crlm_sim.outcomes.clocks import Records
from crlm_sim.outcomes.definitions import DAYS_PER_YEAR, Flags
from crlm_sim.trials.spending import Floats

TIMES = {
    "os": "os",
    "pfs": "pfs",
    "dfs": "dfs",
    "hepatic_pfs": "liver_pfs",
    "local": "local_control",
}
"""Times to events, and the curve of `outcomes.clocks` each is."""


@dataclass(frozen=True)
class Judged:
    """Something judged at the end of a window, once for every patient.

    `read` takes records at the end of the window and at randomisation and gives one number each,
    1 or 0 where it is a `share` of patients. `higher_is_better` says which way benefit lies.
    """

    label: str
    higher_is_better: bool
    read: Callable[[Records, Records], Floats]
    share: bool = True

    @property
    def sign(self) -> float:
        """1 if more is better, −1 if less is."""
        return 1.0 if self.higher_is_better else -1.0


def _numbers(flags: Flags) -> Floats:
    return flags.astype(np.float64)


def _since(field: str) -> Callable[[Records, Records], Floats]:
    """Whether a flag of the record has been raised since randomisation."""
    return lambda end, start: _numbers((end[field] > 0) & ~(start[field] > 0))


def _resected_r0(records: Records) -> Flags:
    return np.asarray((records["resected"] > 0) & (records["margin_positive"] == 0))


def _r0_since(end: Records, start: Records) -> Floats:
    return _numbers(_resected_r0(end) & ~_resected_r0(start))


def _alive(end: Records, start: Records) -> Floats:
    return _numbers(end["death_minute"] == NEVER)


def _qalys_since(end: Records, start: Records) -> Floats:
    """QALYs between the two, as discounted from the diagnosis."""
    return np.asarray((end["quality_days"] - start["quality_days"]) / DAYS_PER_YEAR)


QALY = "qaly"
JUDGED = {
    "response": Judged(
        "complete or partial response to the first drugs", True, _since("objective_response")
    ),
    "conversion": Judged(
        "resected after drugs, not resectable at diagnosis", True, _since("converted")
    ),
    "resection": Judged("liver metastases resected", True, _since("resected")),
    "r0": Judged("resected, every margin of the liver free", True, _r0_since),
    "completion": Judged(
        "all planned operations on liver and primary done", True, _since("sequence_completed")
    ),
    "major_complication": Judged(
        "a major complication of a planned operation", False, _since("major_complication")
    ),
    "severe_toxicity": Judged("severe toxicity of drugs", False, _since("severe_toxicity")),
    "alive": Judged("alive", True, _alive),
    QALY: Judged("QALYs, discounted", True, _qalys_since, share=False),
}
"""What is judged in a window, by the name a trial file gives it."""
