"""What `crlm trial` prints: a trial as simulated, and beside it what formulas say."""

from __future__ import annotations

from typing import Any

from crlm_sim.outcomes.clocks import CLOCKS
from crlm_sim.report.judged_text import difference, judged_notes, judged_rows
from crlm_sim.report.money import placeholders_sentence
from crlm_sim.report.terminal import render, table
from crlm_sim.report.trial_words import interval as _interval
from crlm_sim.report.trial_words import people_note
from crlm_sim.report.trial_words import percent as _percent
from crlm_sim.report.trial_words import value as _value


def trial_text(found: dict[str, Any]) -> str:
    """The tables of a trial: how it fares, its looks, and the effect as simulated."""
    planned = found["analytic"]
    title = f"{found['title']}: {found['replicates']:,} trials, {_truth(found['truth'])}"
    rows = [
        *_power_rows(found),
        ["months to the end", _interval(found["duration_months"]), _value(planned["duration"])],
        _information_row(found),
        ["patients enrolled", _interval(found["patients"], 0), ""],
        ["months to recruit all", _interval(found["accrual_months"]), _value(planned["accrual"])],
        ["diagnosed for each randomised", f"{found['screened_per_randomised']:.1f}", ""],
        *_recruited_rows(found),
        *(_hazard_rows(found) if _is_time(found) else judged_rows(found)),
    ]
    parts: list[Any] = [table(title, ["", "simulated (interval)", "by formula"], rows), ""]
    parts += [_looks(found), ""]
    if found.get("subgroups"):
        parts += [_subgroups(found["subgroups"]), ""]
    parts += [*_randomised(found), *_notes(found)]
    if found["value_stated"] and not found["value"]:
        parts.append(
            "What it is worth is told of the model's truth over 50 draws of the posterior or more "
            "(--set run.draws=200)."
        )
    if found["value"]:
        parts += ["", _worth(found["value"]), *_worth_notes(found["value"])]
    return render(parts)


def _truth(truth: str | float) -> str:
    if truth == "model":
        return "the model's truth"
    return (
        "both arms treated as the control"
        if truth == "null"
        else f"a hazard ratio of {truth:g} imposed"
    )


def _is_time(found: dict[str, Any]) -> bool:
    """Whether the endpoint is a time to an event."""
    return bool(found["kind"] == "time")


def _information_row(found: dict[str, Any]) -> list[str]:
    planned = found["analytic"]
    if _is_time(found):
        return ["events", _interval(found["events"], 0), _value(planned["events_at_end"], 0)]
    assessed = _interval(found["assessed"], 0)
    return ["patients assessed", assessed, _value(planned["assessed_at_end"], 0)]


def _hazard_rows(found: dict[str, Any]) -> list[list[str]]:
    planned = found["analytic"]
    return [
        *_resized_rows(found["reestimation"]),
        *_crossed_rows(found["crossover"]),
        [
            "hazard ratio, last look",
            f"{found['hazard_ratio']:.2f}",
            f"{planned['hazard_ratio']:.2f}",
        ],
        ["hazard ratio, where shown", _interval(found["hazard_ratio_if_shown"], 2), ""],
        *_median_rows(found),
    ]


def _power_rows(found: dict[str, Any]) -> list[list[str]]:
    planned = found["analytic"]
    if found["type_1_error"] is not None:
        error = _interval(found["type_1_error"], 2, 100.0)
        return [["type I error, %", error, f"{100.0 * planned['type_1_error']:.2f}"]]
    power = _interval(found["power"], 1, 100.0)
    name = "power, %" if found["draws"] == 1 else f"assurance over {found['draws']} draws, %"
    rows = [
        [name, power, f"{100.0 * planned['power']:.1f}"],
        ["  at the simulated effect, %", "", f"{100.0 * _power_as_simulated(found):.1f}"],
    ]
    spread = found["power_by_draw"]
    if spread:
        ends = f"{100.0 * spread['p05']:.1f} to {100.0 * spread['p95']:.1f}"
        rows.append(["  central 90 % of the draws, %", ends, ""])
    return rows


def _power_as_simulated(found: dict[str, Any]) -> float:
    key = "power_at_simulated_ratio" if _is_time(found) else "power_as_simulated"
    return float(found["analytic"][key])


def _recruited_rows(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    if found["recruited"] < 1.0:
        rows.append(["trials that ever fill, %", f"{100.0 * found['recruited']:.1f}", ""])
    if found["recruited_in_time"]:
        name = f"filled by month {found['planned_months']:g}, %"
        rows.append([name, _interval(found["recruited_in_time"], 1, 100.0), ""])
    return rows


def _resized_rows(resized: dict[str, Any] | None) -> list[list[str]]:
    if resized is None:
        return []
    size = resized["size"]
    spread = f"{size['mean']:,.0f} ({size['p05']:,.0f} to {size['p95']:,.0f})"
    shares = (
        ("  more than planned, %", "increased"),
        (f"  {resized['most']:,}, the most, %", "at_most"),
        (f"events by month {resized['by']:g}, %", "events_in_time"),
        ("  without re-estimation, %", "events_in_time_as_planned"),
    )
    return [
        ["patients wanted in the end (90 % of trials)", spread, ""],
        *([name, f"{100.0 * resized[key]:.1f}", ""] for name, key in shares),
    ]


def _crossed_rows(crossed: dict[str, Any] | None) -> list[list[str]]:
    if crossed is None:
        return []
    shares = (("progressed", "progressed"), ("  and crossed over", "crossed_over"))
    return [
        [f"{name}, % of the control", f"{100.0 * crossed[key]:.1f}", ""] for name, key in shares
    ]


def _median_rows(found: dict[str, Any]) -> list[list[str]]:
    planned = found["analytic"]["control_median_months"]
    formula = [planned, planned and planned / found["analytic"]["hazard_ratio"]]
    return [
        [f"median months, {arm}", _value(simulated), _value(said)]
        for arm, simulated, said in zip(found["arms"], found["median_months"], formula, strict=True)
    ]


def _looks(found: dict[str, Any]) -> Any:
    planned = found["analytic"]
    what = "events" if _is_time(found) else "assessed"
    rows = [
        [
            f"{number + 1} ({100.0 * look['information']:.0f} %)",
            _value(look["upper_z"], 3),
            _value(look["lower_z"], 3),
            _at_bound(found, number),
            f"{look[what]:,.0f}",
            f"{look['enrolled']:,.0f}",
            f"{_value(look['months']['estimate'])}"
            f" ({look['months_p05']:.1f} to {look['months_p95']:.1f})",
            _value(planned["months"][number]),
            _percent(look["efficacy"]),
            _percent(look["futility"]),
        ]
        for number, look in enumerate(found["looks"])
    ]
    effect = "HR ≤" if _is_time(found) else "difference"
    columns = ["look", "z ≥", "z <", effect, what, "enrolled"]
    columns += ["month (90 % of trials)", "by formula", "shown", "given up"]
    return table("Looks", columns, rows)


def _at_bound(found: dict[str, Any], number: int) -> str:
    """The effect that is just shown at a look."""
    planned = found["analytic"]
    if _is_time(found):
        return _value(planned["hazard_ratio_at_bounds"][number], 3)
    return difference(found, planned["difference_at_bounds"][number])


def _randomised(found: dict[str, Any]) -> list[str]:
    """When patients are randomised, if not on the day of diagnosis."""
    at = found["randomised"]
    if at == "diagnosis":
        return []
    return [
        f"Randomised at {CLOCKS[at].label}, from where all times count; who of those diagnosed"
        " comes to it, and is eligible then, is as simulated."
    ]


def _subgroups(told: dict[str, Any]) -> Any:
    rows = [
        [
            one["name"],
            _percent(one["share"]),
            f"{one['patients']:,.0f}",
            _value(one["hazard_ratio"], 2),
            _value(one["hazard_ratio_if_claimed"], 2),
            _interval(one["power"], 1, 100.0),
            _interval(one["power_alone"], 1, 100.0),
        ]
        for one in told["each"]
    ]
    shares = [_interval(told[key], 1, 100.0) for key in ("any", "any_alone")]
    rows.append(["any of them", "", "", "", "", *shares])
    columns = ["subgroup", "of all", "patients", "HR", "HR where claimed", "claimed, %"]
    how = told["multiplicity"].replace("_", " ")
    title = f"Subgroups, after an effect in all ({how})"
    return table(title, [*columns, "alone at full alpha, %"], rows)


def _notes(found: dict[str, Any]) -> list[str]:
    if not _is_time(found):
        return judged_notes(found)
    ratios = ", ".join(
        f"{_value(value, 2)} after {when}"
        for when, value in found["hazard_ratio_by_follow_up"].items()
    )
    notes = [f"Hazard ratio of all {found['people']:,} people drawn from: {ratios}."]
    notes += people_note(found)
    for number, look in enumerate(found["looks"]):
        if look["conditional_power"]:
            notes.append(_conditional(number + 1, look["conditional_power"]))
    for one in (found["subgroups"] or {"each": []})["each"]:
        notes.append(f"Subgroup {one['name']}: {one['when']}.")
    for number, look in enumerate(found["looks"]):
        reached = look["events_reached"]
        if reached is not None and reached < 1.0:
            notes.append(
                f"Look {number + 1}: {_percent(1.0 - reached)} of trials never have its"
                f" {look['events_wanted']} events and look when nobody is left in follow-up."
            )
    notes.append(
        "By formula: constant, proportional hazards, the control's from its median; Schoenfeld asks"
        f" for {found['analytic']['events_needed']:.0f} events."
    )
    return notes


def _conditional(look: int, told: dict[str, Any]) -> str:
    planned, trend = (
        f"{100.0 * one['median']:.0f} % ({100.0 * one['p05']:.0f} to {100.0 * one['p95']:.0f})"
        for one in (told["planned"], told["trend"])
    )
    return (
        f"Look {look}, trials that go on: conditional power (90 % of them) {planned} at the planned"
        f" hazard ratio, {trend} at the one seen; {_percent(told['shown'])} show an effect."
    )


def _worth(value: dict[str, Any]) -> Any:
    """What the trial's result is worth, in pounds."""
    rows = [
        ["knowing all parameters, a patient", _value(value["evpi"], 0)],
        ["the trial's report, a patient", _with_error(value, "evsi")],
        ["the same if practice follows its test alone", _with_error(value, "by_test")],
        ["patients it is for", _value(value["patients"], 0)],
        ["the report, for all of them", _value(value["evsi_population"], 0)],
        ["what the trial costs", _value(value["trial_cost"], 0)],
        ["left after its costs", _value(value["net"], 0)],
    ]
    title = f"What it is worth, over {value['draws']} draws, at {value['threshold']:,.0f} a QALY"
    return table(title, ["", "pounds (standard error)"], rows)


def _with_error(value: dict[str, Any], name: str) -> str:
    return f"{value[name]:,.0f} ({value[f'{name}_standard_error']:,.0f})"


def _worth_notes(value: dict[str, Any]) -> list[str]:
    notes = [
        f"Best as we know it: {value['best_now']}, in {value['probability_best']:.0%} of the draws."
    ]
    if value["patients"] is None:
        notes.append(
            "For whom it is: state [economics] patients_a_year and decision_years; patients count "
            "from the end of the trial on."
        )
    if value["trial_cost"] is None:
        notes.append("State [value] cost and cost_per_patient to see what is left.")
    return [*notes, placeholders_sentence(value["economics"])]
