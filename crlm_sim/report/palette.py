"""Colours that colour-blind readers can tell apart (Okabe and Ito), and what else marks a policy.

A colour never stands alone: lines also differ in their dashes and markers in their shape.
"""

from __future__ import annotations

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#56B4E9", "#F0E442", "#1a1a1a"
GREY, PALE = "#8a8a8a", "#e4e7ea"

STEPS = ("#ffffd9", "#e3f3c4", "#b5dfb9", "#74c7bd", "#3ba7c0", "#2478b3", "#253f94", "#0b1a4d")
"""From little to much, ever darker (ColorBrewer's YlGnBu): told apart without colour too."""

POLICY_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, BLACK, ORANGE, SKY)
POLICY_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
POLICY_SHAPES = ("circle", "square", "diamond", "triangle")


def policy_colour(place: int) -> str:
    """The colour of the policy in this place of the scenario's list."""
    return POLICY_COLOURS[place % len(POLICY_COLOURS)]


def policy_dash(place: int) -> str:
    """The dashes of that policy's lines."""
    return POLICY_DASHES[place % len(POLICY_DASHES)]


def policy_shape(place: int) -> str:
    """The shape of that policy's markers."""
    return POLICY_SHAPES[place % len(POLICY_SHAPES)]


def translucent(colour: str, opacity: float) -> str:
    """`#rrggbb` as `rgba(…)`."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
