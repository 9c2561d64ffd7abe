"""Whether a run with queues was repeated often enough and began to count late enough, in words."""

from __future__ import annotations

from typing import Any

from crlm_sim.outcomes.planning import service_words
from crlm_sim.report.words import join

Summary = dict[str, Any]
NO_STEADY_STATE = "no steady state"


def precision(summary: Summary) -> list[str]:
    """How precise the main means are, and how many replications would do: a sentence each."""
    outcomes = (summary.get("precision") or {}).get("outcomes", {})
    found = [_precise(summary, name, one) for name, one in outcomes.items()]
    return [sentence for sentence in found if sentence]


def _precise(summary: Summary, name: str, outcome: dict[str, Any]) -> str:
    """Of the arm that is the furthest from what is asked; nothing without an interval."""
    known = {arm: one for arm, one in outcome["arms"].items() if one["replications_needed"]}
    if not known:
        return ""
    arm = max(known, key=lambda one: known[one]["replications_needed"])
    label = summary["outcomes"][name]["label"]
    under = f" under {summary['labels'][arm]}" if len(outcome["arms"]) > 1 else ""
    return (
        f"{label[0].upper()}{label[1:]}{under}: {summary['replications']} replications give "
        f"{half_width(outcome['precision'], known[arm])}; for ±{outcome['precision']} about "
        f"{known[arm]['replications_needed']:,} are needed."
    )


def half_width(asked: str, found: dict[str, Any]) -> str:
    """A half-width in the unit in which one is asked for, such as per cent of the mean."""
    amount, _, unit = asked.partition(" ")
    if found["half_width"] is None or not found["wanted"]:
        return "–"
    return f"±{float(amount) * found['half_width'] / found['wanted']:.2g} {unit}"


def not_reached(summary: Summary) -> list[str]:
    """Said when a precision was asked for and not reached."""
    if (summary.get("precision") or {}).get("reached") is not False:
        return []
    number = summary["replications"]
    return [
        f"{number} replications are not enough for run.precision; run.most_replications ends it."
    ]


def warm_up(summary: Summary) -> list[str]:
    """The warm-up stated and suggested, and which queues find no steady state."""
    said = summary.get("warm_up")
    if not said:
        return []
    stated, suggested = said["stated_weeks"], said["suggested_weeks"]
    if not any(said["services"].values()):
        return ["Warm-up: no queue is long enough, or the run too short, to suggest one."]
    found = []
    if suggested is not None:
        longest = _queues(summary, suggested)
        found.append(
            f"Warm-up: {stated:.0f} weeks are stated, {suggested} suggested (MSER-5), the longest "
            f"of any queue: {longest}."
        )
        if stated < suggested:
            found.append(
                "The stated one is too short: some queues still change when counting begins. Write "
                f'warm_up = "{suggested} weeks" in [arrivals].'
            )
    never = _queues(summary, None)
    if never:
        found.append(
            f"No steady state is found for {never}: such a queue still changes when half of what "
            "is looked at is over, and its means depend on how long the run lasts."
        )
    return found


def _queues(summary: Summary, weeks: int | None) -> str:
    """The queues that suggest this, by arm."""
    found = []
    for arm, services in summary["warm_up"]["services"].items():
        names = [service_words(name) for name, one in services.items() if one == weeks]
        if names:
            under = f" ({summary['labels'][arm]})" if len(summary["labels"]) > 1 else ""
            found.append(f"{join(names)}{under}")
    return "; ".join(found)
