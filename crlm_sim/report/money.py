"""Words about money and QALYs, above all of what stands in for prices nobody has published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def placeholders_sentence(economics: Mapping[str, Any], varying: bool = False) -> str:
    """How much of money and QALYs rests on placeholders, and how both were discounted.

    Rates and threshold are not told where they are `varying`, as between the points of a sweep.
    """
    number = len(economics["placeholders"])
    said = (
        f"Money and QALYs: {number} of the {economics['inputs']} prices and utilities behind them "
        "are placeholders, numbers that stand in for unpublished ones (crlm evidence says "
        "which), so they show how things would be compared and not what they cost. In "
        f"{economics['currency']}, seen from {economics['perspective']}"
    )
    if varying:
        return f"{said}; discounting and what a QALY may cost are those of each point."
    return (
        f"{said}, discounted by {economics['discount_costs']:.1%} (costs) and "
        f"{economics['discount_effects']:.1%} (QALYs) a year; net benefit at "
        f"{economics['threshold']:,.0f} pounds a QALY."
    )


def is_varying(points: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the points of a sweep differ in what money or years count."""
    keys = ("discount_costs", "discount_effects", "threshold")
    return len({tuple(point["economics"][key] for key in keys) for point in points}) > 1


def at_threshold(economics: Mapping[str, Any]) -> int:
    """The place of the scenario's own threshold among those of the curves."""
    apart = [abs(one - economics["threshold"]) for one in economics["thresholds"]]
    return apart.index(min(apart))


def best_in_words(summary: Mapping[str, Any]) -> list[str]:
    """Which policy is best at the scenario's threshold, and how sure the draws are of it."""
    found = summary["economics"]
    if "thresholds" not in found:
        return []
    threshold, place = found["threshold"], at_threshold(found)
    return [
        f"Best at {threshold:,.0f} pounds a QALY: {summary['labels'][found['chosen'][place]]}, in "
        f"{found['chosen_probability'][place]:.0%} of the draws; to know all parameters would be "
        f"worth {found['evpi'][place]:,.0f} pounds a patient (standard error "
        f"{found['evpi_standard_error'][place]:,.0f}; chance between few patients adds to it)."
    ]
