"""What pairing saves: the variance of differences with and without it, the table of pairing.md.

    python docs/pairing.py [PATIENTS]

The same patients, with the same tumours and the same luck, are treated under every policy. The
ratio is that of the variance of the paired difference to the sum of the two policies' own
variances, which is what two runs of other patients would have; all from the same jackknife.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from crlm_sim.experiments.simulate import packed_parameters, patient_numbers, simulate_block
from crlm_sim.outcomes.definitions import OUTCOMES, Outcome
from crlm_sim.outcomes.summary import replicates
from crlm_sim.outcomes.tally import Tally
from crlm_sim.scenario import Scenario, load

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("pairing.md")
BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"
PATIENTS = 100_000
BLOCK = 4096
REFERENCE = "colorectal_first"


def lived(patients: int) -> tuple[Scenario, Tally]:
    """The example scenario and the tally of so many patients under each of its policies."""
    path = ROOT / "scenarios" / "sequencing.toml"
    scenario = load(path, [f"run.patients={patients}", "run.draws=mean"])
    params = packed_parameters(scenario, 0)
    tally = Tally.empty(scenario.policy_names, scenario.horizon_minutes)
    for numbers in patient_numbers(scenario, BLOCK, params=params):
        for place, name in enumerate(scenario.policy_names):
            tally.add(place, simulate_block(scenario, name, numbers, params=params).patients)
    return scenario, tally


def ratio(tally: Tally, policy: str, outcome: Outcome) -> float:
    """Variance of the paired difference from the reference over that of unpaired runs."""
    places = tally.policies.index(policy), tally.policies.index(REFERENCE)
    one, other = (replicates(tally, place, outcome) for place in places)
    apart = float(np.var(one) + np.var(other))
    return float(np.var(one - other)) / apart if apart > 0.0 else float("nan")


def table(scenario: Scenario, tally: Tally) -> str:
    """A row an outcome, a column a policy."""
    others = [policy for policy in scenario.policies if policy.name != REFERENCE]
    head = " | ".join(policy.label for policy in others)
    lines = [f"| variance of the difference, paired over unpaired | {head} |"]
    lines.append("|---|" + "---|" * len(others))
    for outcome in OUTCOMES:
        found = [ratio(tally, policy.name, outcome) for policy in others]
        cells = ["–" if np.isnan(one) else f"{one:.3f}" for one in found]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {outcome.label} (`{outcome.name}`) | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Simulate and put the table into the page."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else PATIENTS
    text = f"{patients:,} patients, seed 1, best estimates.\n\n{table(*lived(patients))}"
    print(text)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
