"""Words about money and QALYs, above all of what stands in for prices nobody has published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def placeholders_sentence(economics: Mapping[str, Any]) -> str:
    """How much of money and QALYs rests on placeholders, and how both were discounted."""
    number = len(economics["placeholders"])
    return (
        f"Money and QALYs: {number} of the {economics['inputs']} prices and utilities behind them "
        "are placeholders, numbers that stand in for unpublished ones (crlm evidence says "
        f"which), so they show how things would be compared and not what they cost. In "
        f"{economics['currency']}, seen from {economics['perspective']}, discounted by "
        f"{economics['discount_costs']:.1%} (costs) and {economics['discount_effects']:.1%} "
        f"(QALYs) a year; net benefit at {economics['threshold']:,.0f} pounds a QALY."
    )


def best_in_words(summary: Mapping[str, Any]) -> list[str]:
    """Which policy is best at the scenario's threshold, and how sure the draws are of it."""
    found = summary["economics"]
    if "thresholds" not in found:
        return []
    threshold = found["threshold"]
    place = min(
        range(len(found["thresholds"])), key=lambda n: abs(found["thresholds"][n] - threshold)
    )
    return [
        f"Best at {threshold:,.0f} pounds a QALY: {summary['labels'][found['chosen'][place]]}, in "
        f"{found['chosen_probability'][place]:.0%} of the draws; to know all parameters would be "
        f"worth {found['evpi'][place]:,.0f} pounds a patient (standard error "
        f"{found['evpi_standard_error'][place]:,.0f}; chance between few patients adds to it)."
    ]
