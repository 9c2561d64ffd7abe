"""The review the model follows, measured in the model: writes review.md and review_measured.toml.

    python docs/review.py [--patients N] [--seed N] [--only ID …]

Every measure of `crlm_sim/evidence/review.toml` becomes a scenario. Arms that differ in treatment
alone share their patients and their luck; others are run apart. With --only, the other rows stay as
they were measured. Same patients and seed, same files.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import crlm_sim
from crlm_sim.evidence import review
from crlm_sim.evidence.review import Arm, Item, Measure, Measured, Row
from crlm_sim.outcomes import OUTCOMES
from crlm_sim.report.terminal import simulated_lines, verdict_lines
from crlm_sim.scenario import loads

PAGE = Path(__file__).with_name("review.md")
MEASURED = Path(review.__file__).with_name("review_measured.toml")
PATIENTS, SEED = 20_000, 1
ARMS = ("arm", "against")
UNITS = {outcome.name: outcome.unit for outcome in OUTCOMES}
HEAD = """# The review, sentence by sentence

What the review of Karaoglan and others (Curr Oncol Rep 2024) says about synchronous colorectal
liver metastases, in our words; where the model has it; the published effect; and the effect in the
model. `crlm evidence --review` prints the same table. It is made by
`python docs/review.py [--patients N] [--seed N] [--only ID …]` from
`crlm_sim/evidence/review.toml`, which says how each effect is measured.

Brackets hold 95 % intervals of simulation error alone: parameters stay at the posterior's medians,
whose own uncertainty is much wider. *Inside* means that the simulated and the published interval
overlap. A direction is *right*, or *wrong* by so much at least, if the whole interval is on one
side of nothing (or of the margin). Where the review and the study it cites differ, the figure is
the study's. Some parameters were chosen with some of these figures in view, so *inside* is not
validation.
"""

# Scenarios ---------------------------------------------------------------------------------------


def scenario_texts(measure: Measure, patients: int, seed: int) -> list[str]:
    """The scenario of a measure, or two if its arms differ in more than their policies."""
    arms = [arm for arm in (measure.arm, measure.against) if arm is not None]
    if len(arms) == 2 and _people(arms[0]) != _people(arms[1]):
        return [_scenario([arm], patients, seed) for arm in arms]
    return [_scenario(arms, patients, seed)]


def _people(arm: Arm) -> tuple[object, ...]:
    """What two arms must share to be run on the same patients."""
    return arm.eligible, arm.population, arm.parameters


def _scenario(arms: Sequence[Arm], patients: int, seed: int) -> str:
    """A scenario of standard care, under which eligibility is judged, and a policy an arm."""
    first = arms[0]
    population = dict(first.population)
    if first.eligible:
        population["eligible"] = first.eligible
    parts = [f'title = "Review"\n[run]\npatients = {patients}\nseed = {seed}\ndraws = "mean"']
    parts += _section("population", population) + _section("parameters", first.parameters)
    parts.append('[[policy]]\nname = "standard"')
    for name, arm in zip(ARMS, arms, strict=False):
        policy = {"name": name, "base": "standard", **arm.policy}
        parts.append("[[policy]]\n" + _lines(policy))
    return "\n".join(parts) + "\n"


def _section(name: str, entries: Mapping[str, Any]) -> list[str]:
    return [f"[{name}]\n{_lines(entries)}"] if entries else []


def _lines(entries: Mapping[str, Any]) -> str:
    return "\n".join(f"{key} = {_toml(value)}" for key, value in entries.items())


def _toml(value: object) -> str:
    """A value in TOML: JSON but for tables, and for what is no number."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return json.dumps(value, ensure_ascii=False)


# Measuring ---------------------------------------------------------------------------------------


@cache
def summary(text: str) -> dict[str, Any]:
    """Levels of every arm of a scenario and differences from the last, however often read."""
    scenario = loads(text)
    return crlm_sim.run(scenario, keep=False).tally.summary(scenario.policy_names[-1])


def measured(measure: Measure, patients: int, seed: int) -> Measured:
    """The simulated effect of a measure and what it is worth."""
    results = [summary(text) for text in scenario_texts(measure, patients, seed)]
    if len(results) == 2:
        numbers = _apart(*(_numbers(one["policies"]["arm"][measure.outcome]) for one in results))
    else:
        kind = "differences" if measure.against else "policies"
        numbers = _numbers(results[0][kind]["arm"][measure.outcome])
    unit = UNITS[measure.outcome]
    value, lower, upper = (_short(number) for number in numbers)
    return Measured(value, lower, upper, unit, review.verdict(measure, value, lower, upper, unit))


def _numbers(entry: Mapping[str, Any]) -> tuple[float, float, float]:
    """(estimate, lower, upper); nan where the run could not tell."""
    found = (entry["estimate"], entry["lower"], entry["upper"])
    value, lower, upper = (math.nan if number is None else float(number) for number in found)
    return value, lower, upper


def _apart(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:
    """The difference of two runs taken as independent; half-widths add as squares."""
    value = one[0] - other[0]
    down = math.hypot(one[0] - one[1], other[2] - other[0])
    up = math.hypot(one[2] - one[0], other[0] - other[1])
    return value, value - down, value + up


def _short(number: float) -> float:
    """Six figures: enough to show, few enough to be the same on every processor."""
    return float(f"{number:.6g}")


# Writing -----------------------------------------------------------------------------------------


def measured_text(rows: Sequence[Row]) -> str:
    """The file of results."""
    parts = ["# Written by docs/review.py; not to be edited."]
    for row in rows:
        found = "".join(f"    {_toml(asdict(one))},\n" for one in row.found)
        head = f"[{row.item.id}]\npatients = {row.patients}\nseed = {row.seed}"
        parts.append(f"{head}\nfound = [\n{found}]")
    return "\n\n".join(parts) + "\n"


def page(rows: Sequence[Row]) -> str:
    """The page for people: a table a section."""
    found = [one for row in rows for one in row.found]
    fine = sum(review.agrees(one.verdict) for one in found)
    patients = " or ".join(f"{number:,}" for number in sorted({row.patients for row in rows}))
    seeds = " or ".join(str(number) for number in sorted({row.seed for row in rows}))
    parts = [
        HEAD,
        f"{patients} patients in every arm, seed {seeds}; {len(rows)} items with {len(found)} "
        f"measures, of which {fine} are inside or right.",
    ]
    for section in review.SECTIONS:
        parts.append(f"\n## {section}\n")
        parts.append("| the review says | modelled | published | simulated (95 %) | verdict |")
        parts.append("|---|---|---|---|---|")
        for row in rows:
            if row.item.section == section:
                item, entry = row.item, review.plain(row)
                cells = (
                    f"`{item.id}` {item.says}",
                    item.modelled,
                    f"{item.published} ({', '.join(item.source)})",
                    "<br>".join(simulated_lines(entry)),
                    "<br>".join(verdict_lines(entry)),
                )
                parts.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(parts) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Measure, then write both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--patients", type=int, default=PATIENTS, help="patients an arm")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", nargs="+", metavar="ID", help="renew these rows alone")
    options = parser.parse_args(arguments)
    table = review.items()
    wanted = options.only or [item.id for item in table]
    unknown = [name for name in wanted if name not in {item.id for item in table}]
    if unknown:
        parser.error(f"no item is called {', '.join(unknown)}")
    kept = tomllib.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    kept = {name: entry for name, entry in kept.items() if name not in wanted}
    rows = {row.item.id: row for row in review.checked_rows(table, _still_known(kept, table))}
    for item in table:
        if item.id in wanted:
            found = tuple(measured(one, options.patients, options.seed) for one in item.measures)
            rows[item.id] = Row(item, options.patients, options.seed, found)
            print(f"{item.id}: {'; '.join(one.verdict for one in found)}", file=sys.stderr)
    done = [rows[item.id] for item in table if rows[item.id].found]
    MEASURED.write_text(measured_text(done), encoding="utf-8")
    PAGE.write_text(page(done), encoding="utf-8")
    return 0


def _still_known(kept: Mapping[str, Any], table: Sequence[Item]) -> dict[str, Any]:
    """Kept results without those of items that are gone."""
    return {item.id: kept[item.id] for item in table if item.id in kept}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
