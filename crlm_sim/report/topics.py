"""The outcomes under headings, as the tables show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crlm_sim.outcomes.definitions import Outcome

SURVIVAL = "Survival"
SURGERY = "Reaching and completing surgery"
HARM = "Complications and side effects"
COURSE = "Response, recurrence and cause of death"
RESOURCES = "Treatment and hospital resources used"
MONEY = "Cost and quality-adjusted life"
TOPICS = (SURVIVAL, SURGERY, HARM, COURSE, RESOURCES, MONEY)

_TOPIC_OF = {
    "life_years": SURVIVAL,
    "resected": SURGERY,
    "resectable_at_diagnosis": SURGERY,
    "converted": SURGERY,
    "sequence_completed": SURGERY,
    "two_stage_completed": SURGERY,
    "adjuvant_started": SURGERY,
    "margin_positive": SURGERY,
    "repeat_resected": SURGERY,
    "major_complication": HARM,
    "liver_failure": HARM,
    "mortality_90d": HARM,
    "resection_complication": HARM,
    "resection_mortality_90d": HARM,
    "sinusoidal_injury": HARM,
    "steatohepatitis": HARM,
    "severe_toxicity": HARM,
    "emergency_primary": HARM,
    "life_years_discounted": MONEY,
}
_TOPIC_OF_KIND = {
    "survival": SURVIVAL,
    "median": SURVIVAL,
    "rmst": SURVIVAL,
    "proportion": COURSE,
    "mean": RESOURCES,
}
_EVERYONE = ("all", "not_resectable_at_diagnosis", "os", "pfs")
"""Whom an outcome counts, or its curve, where a policy has no say in who they are."""


@dataclass(frozen=True)
class Described:
    """What a reader needs to know of an outcome; `better` is 1 if more is better, −1 if worse.

    `selected` says that only those are counted whom the policy itself brought that far: under
    another policy they are other patients, and the difference is no fair comparison.
    """

    name: str
    label: str
    unit: str
    topic: str
    better: int = 0
    selected: bool = False

    @property
    def scale_name(self) -> str:
        """The unit of a difference."""
        return "percentage points" if self.unit == "proportion" else self.unit


def _is_selected(outcome: Outcome) -> bool:
    if outcome.kind in ("proportion", "mean"):
        return outcome.among not in _EVERYONE
    return outcome.source not in _EVERYONE


def _topic(outcome: Outcome) -> str:
    if is_priced(outcome.unit):
        return MONEY
    return _TOPIC_OF.get(outcome.name) or _TOPIC_OF_KIND.get(outcome.kind, COURSE)


def is_priced(unit: str) -> bool:
    """Whether what has this unit rests on prices or utilities, placeholders among them."""
    from crlm_sim.outcomes.definitions import PRICED

    return unit in PRICED


def _known() -> dict[str, Described]:
    from crlm_sim.outcomes.definitions import OUTCOMES

    return {
        o.name: Described(
            name=o.name,
            label=o.label,
            unit=o.unit,
            topic=_topic(o),
            better={True: 1, False: -1, None: 0}[o.higher_is_better],
            selected=_is_selected(o),
        )
        for o in OUTCOMES
    }


def describe(names: Iterable[str]) -> list[Described]:
    """The outcomes of a run, by topic; one this version does not know keeps its own name."""
    wanted = list(dict.fromkeys(names))
    known = _known()
    place = {name: n for n, name in enumerate(dict.fromkeys([*known, *wanted]))}
    found = [
        known.get(name) or Described(name, name.replace("_", " "), "", COURSE) for name in wanted
    ]
    return sorted(found, key=lambda d: (TOPICS.index(d.topic), place[d.name]))
