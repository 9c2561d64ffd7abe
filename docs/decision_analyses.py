"""Two published decision analyses asked of this model: writes the tables of decision_analyses.md.

    python docs/decision_analyses.py [PATIENTS]

Best estimates of the posterior; intervals are of simulation error alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import crlm_sim
from crlm_sim.evidence import parameters
from crlm_sim.scenario import load, loads

PAGE = Path(__file__).with_name("decision_analyses.md")
BEGIN, END = "<!-- tables begin -->", "<!-- tables end -->"
PATIENTS = 20_000
LIVER = (
    "minor_liver_resection",
    "major_liver_resection",
    "extended_liver_resection",
    "second_stage_hepatectomy",
    "simultaneous_resection",
)
BOWEL = ("colorectal_resection",)
SHIFTS = (-20.0, -0.7, 0.0, 0.7, 1.4, 2.1)
ORDER = """
title = "Liver first or bowel first"
[population]
eligible = "resectable and liver_only and not symptomatic_primary"
[parameters]
{parameters}
[[policy]]
name = "bowel_first"
base = "standard"
[[policy]]
name = "liver_first"
[outcomes]
reference = "bowel_first"
"""


def run(scenario: Any) -> dict[str, Any]:
    """The summary of a scenario that is not kept."""
    return crlm_sim.run(scenario, keep=False).summary


def entry(found: dict[str, Any]) -> str:
    """A share as `value (lower to upper)` in per cent."""
    value, low, high = (100 * found[key] for key in ("estimate", "lower", "upper"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def shifted(operations: tuple[str, ...], shift: float) -> str:
    """Lines that move the log odds of death after some operations."""
    known = parameters()
    lines = []
    for name in operations:
        full = f"{name}.death_logit"
        if full in known:
            lines.append(f'"{full}" = {known[full].value[0] + shift}')
    return "\n".join(lines)


def moderate_burden(patients: int) -> list[str]:
    """Drugs before or after, and both at once at several operative mortalities."""
    path = Path(__file__).parents[1] / "scenarios" / "moderate_burden.toml"
    rows = [
        "| log odds of death after the simultaneous operation | drugs after | drugs before | "
        "both at once | dead within 90 days, both at once |",
        "|---|---|---|---|---|",
    ]
    for shift in (-20.0, 0.0):
        known = parameters()["simultaneous_resection.death_logit"].value[0]
        settings = [
            f"run.patients={patients}",
            "run.draws=mean",
            f"parameters.simultaneous_resection.death_logit={known + shift}",
        ]
        found = run(load(path, settings))["policies"]
        cells = [entry(found[name]["os_5y"]) for name in found]
        dead = entry(found["both_at_once"]["mortality_90d"])
        label = "no operative death" if shift < -5 else "as in the evidence"
        rows.append(f"| {label} | {' | '.join(cells)} | {dead} |")
    return rows


def order_by_mortality(operations: tuple[str, ...], patients: int) -> list[str]:
    """Liver first against bowel first as the mortality of some operations rises."""
    rows = [
        "| log odds of death moved by | dead within 90 days, bowel first | the same, liver first | "
        "alive at 5 years, liver first less bowel first, points |",
        "|---|---|---|---|",
    ]
    for shift in SHIFTS:
        text = ORDER.format(parameters=shifted(operations, shift))
        settings = [f"run.patients={patients}", "run.draws=mean"]
        found = run(loads(text, settings=settings))
        dead = [entry(found["policies"][name]["mortality_90d"]) for name in found["policies"]]
        change = entry(found["differences"]["liver_first"]["os_5y"])
        label = "no operative death" if shift < -5 else f"{shift:+.1f}"
        rows.append(f"| {label} | {' | '.join(dead)} | {change} |")
    return rows


def main() -> None:
    """Simulate and put the tables into the page."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else PATIENTS
    parts = [
        f"{patients:,} patients a policy, seed 1, best estimates of the posterior; 95 % intervals "
        "of simulation error.",
        "",
        "**Alive at 5 years in moderate liver burden, %**",
        "",
        *moderate_burden(patients),
        "",
        "**The order of operations as operations on the liver become more dangerous**",
        "",
        *order_by_mortality(LIVER, patients),
        "",
        "**The same as bowel resections become more dangerous**",
        "",
        *order_by_mortality(BOWEL, patients),
    ]
    text = "\n".join(parts)
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
