"""What `crlm trial` prints of an endpoint that is judged in a window."""

from __future__ import annotations

from typing import Any

from crlm_sim.report.money import placeholders_sentence
from crlm_sim.report.trial_words import interval, people_note, percent, value


def _scale(found: dict[str, Any]) -> tuple[float, int]:
    """(factor, digits): shares are told in per cent."""
    return (100.0, 1) if found["kind"] == "share" else (1.0, 3)


def difference(found: dict[str, Any], number: float | None) -> str:
    """A difference between the arms, in points of per cent if it is one of shares."""
    factor, digits = _scale(found)
    return value(None if number is None else factor * number, digits)


def judged_rows(found: dict[str, Any]) -> list[list[str]]:
    """The arms' answers and their difference, simulated and planned."""
    planned = found["analytic"]
    factor, digits = _scale(found)
    unit = ", %" if found["kind"] == "share" else ""
    other = planned["control"] + planned["difference"]
    rows = [
        [f"{found['outcome']}, {arm}{unit}", difference(found, simulated), difference(found, said)]
        for arm, simulated, said in zip(
            found["arms"], found["by_arm"], (planned["control"], other), strict=True
        )
    ]
    shown = interval(found["difference_if_shown"], digits, factor)
    said = difference(found, planned["difference"])
    rows += [
        ["difference, last look", difference(found, found["difference"]), said],
        ["difference, where shown", shown, ""],
    ]
    if found["kind"] == "share":
        rows.append(["odds ratio of all people", value(found["odds_ratio"], 2), ""])
    return rows


def judged_notes(found: dict[str, Any]) -> list[str]:
    """What is judged, when, of whom, and what the formulas take."""
    better = "more" if found["higher_is_better"] else "less"
    lost = "failures" if found["dropouts"] == "failure" else "left out"
    notes = [
        f"{found['outcome']}: {found['label']}, judged {found['window_months']:g} months after"
        f" randomisation; {better} is better. Who drops out before: {lost}."
    ]
    notes += people_note(found)
    for number, look in enumerate(found["looks"]):
        reached = look["assessed_reached"]
        if reached is not None and reached < 1.0:
            notes.append(
                f"Look {number + 1}: in {percent(1.0 - reached)} of trials fewer than"
                f" {look['assessed_wanted']} patients are ever assessed; it is held when nobody is"
                " left to assess."
            )
    if found["economics"] is not None:
        notes.append(placeholders_sentence(found["economics"]))
    notes.append(
        f"By formula: {found['analytic']['patients_needed']:.0f} patients for the power wished for."
    )
    return notes
