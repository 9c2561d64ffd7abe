"""The sentences of the page: what was asked, what was found, and what the intervals mean."""

from __future__ import annotations

from crlm_sim.report.numbers import (
    PARAMETER,
    SIMULATION,
    Estimate,
    difference_in_words,
    level_in_words,
    plain,
    signed_in_words,
)
from crlm_sim.report.run_folder import Run
from crlm_sim.report.topics import Described, describe

_MAIN = (("os_5y", "os_3y", "os_1y"), ("rmst_5y_months",), ("resected",), ("mortality_90d",))
"""What the findings speak of, each with what stands in for it in a shorter run."""
_ENGINES = {
    "cohort": "no queues: every wait is taken from the scenario",
    "agents": "patients queue for the services of the hospital",
}
_FEW_DRAWS = 100
_FEW = " These sets are few: the ends of the intervals are rough."
CAUTION = (
    "These are consequences of a model, not observations of patients. Its parameters were learned "
    "from published studies as far as those tell them; the rest are published ranges and "
    "assumptions. Read the results as questions to pursue, not as proof that a policy is better; "
    "crlm validate shows what the model meets and what it misses."
)


def join(items: list[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def count(number: object) -> str:
    """A whole number with separators, anything else as it is."""
    return f"{number:,}" if isinstance(number, int) else plain(number)


def _patients(run: Run) -> str:
    """How many patients under each policy, over sets of parameters and replications."""
    number, times = run.summary.get("patients"), run.summary.get("replications")
    again = times if isinstance(times, int) and times > 1 else 1
    if not isinstance(number, int) or run.draws * again == 1:
        return count(number)
    parts = [f"{number:,} × {again} replications" if again > 1 else f"{number:,}"]
    parts += [f"{run.draws:,} sets of parameters"] if run.draws > 1 else []
    return f"{number * again * run.draws:,} ({' × '.join(parts)})"


# What was asked ------------------------------------------------------------------------------


def asked(run: Run) -> list[str]:
    """What was simulated, in two or three sentences."""
    s = run.summary
    labels = [run.label(name) for name in run.names]
    policies = "policies" if len(labels) > 1 else "policy"
    sentences = [
        f"{_patients(run)} simulated patients with colorectal cancer and liver "
        f"metastases found at the same time were followed for up to "
        f"{plain(s.get('horizon_years'))} years from diagnosis under {len(labels)} {policies}: "
        f"{join(labels)}."
    ]
    if run.reference and run.compared:
        sentences.append(
            f"Each policy is compared with {run.label(run.reference)}. The same patients, with "
            "the same tumours and the same luck, are treated under each policy, so the "
            "differences are paired."
        )
    return sentences


def _draws_in_words(draws: object) -> str:
    if not isinstance(draws, int):
        return "their central values" if draws == "mean" else plain(draws)
    return (
        f"{count(draws)} plausible sets, drawn at random"
        if draws > 1
        else "one set drawn at random"
    )


def settings(run: Run) -> list[tuple[str, str]]:
    """The run's settings, for a list."""
    s = run.summary
    engine = str(s.get("engine", "–"))
    if engine in _ENGINES:
        engine += f" ({_ENGINES[engine]})"
    return [
        ("Patients", _patients(run)),
        ("Followed for up to", f"{plain(s.get('horizon_years'))} years"),
        ("Values of the parameters", _draws_in_words(s.get("draws"))),
        ("Replications", count(s.get("replications"))),
        ("Engine", engine),
        ("Seed of the random numbers", plain(s.get("seed"))),
    ]


# What the intervals mean ---------------------------------------------------------------------


def interval_kinds(run: Run) -> set[str]:
    """The kinds of uncertainty that the run's intervals show."""
    found = [run.estimate(p, o) for p in run.names for o in run.summary["policies"][p]]
    found += [run.difference(p, o) for p in run.compared for o in run.summary["differences"][p]]
    return {e.interval for e in found if e is not None and e.has_interval}


def interval_name(kinds: set[str]) -> str:
    """The interval's name in a table's heading."""
    if kinds == {PARAMETER}:
        return "95\u00a0% parameter interval"
    return "95\u00a0% simulation interval" if kinds <= {SIMULATION} else "95\u00a0% interval"


def interval_sentence(kinds: set[str]) -> str:
    """What stands over the findings, so that no interval is read for another."""
    if kinds == {PARAMETER}:
        return "Intervals here show parameter uncertainty."
    if kinds <= {SIMULATION}:
        return "Intervals here show simulation error only, not parameter uncertainty."
    return "Intervals here are of two kinds; the tables say which is which."


def uncertainty(run: Run, kinds: set[str]) -> list[str]:
    """Which uncertainty is shown, and which is not."""
    if kinds == {PARAMETER}:
        return [
            f"Intervals show parameter uncertainty: the model was run with "
            f"{count(run.draws)} sets of plausible values of its parameters, and a 95\u00a0% "
            "interval covers the results of 95 of 100 such sets. What chance among the simulated "
            "patients of each set adds to that has been taken out."
            + (_FEW if run.draws < _FEW_DRAWS else ""),
            "Simulation error, which more patients would make smaller, is told apart where it is "
            "given: “simulation alone”. Neither says whether the model's structure is right.",
        ]
    if kinds <= {SIMULATION}:
        return [
            "Intervals show simulation error only: how far chance among the simulated patients "
            "could move a result. More patients would make them narrower.",
            "They do not show parameter uncertainty (what is not known about the disease and its "
            "treatment), which is often larger; run several parameter draws to see it. A narrow "
            "interval is no sign that the assumptions are right.",
        ]
    return [
        "Some intervals show parameter uncertainty and some simulation error only; each is "
        "marked in the tables. Do not compare the two kinds with one another."
    ]


def band(run: Run) -> str:
    """What the bands round the survival curves show.

    That is a matter of the curves' own bounds and not of the run: pooled over parameter draws, a
    log-log interval still shows simulation error alone.
    """
    bounds = {} if run.curves is None else run.curves.get("survival_lower", run.curves).attrs
    kind = str(bounds.get("interval", ""))
    if not kind and (run.draws <= 1 or "log-log" in str(bounds.get("description", ""))):
        kind = SIMULATION
    if kind == SIMULATION:
        return "Bands: 95\u00a0% simulation intervals; parameter uncertainty is not shown."
    if kind == PARAMETER:
        return "Bands: 95\u00a0% parameter intervals."
    return "Bands: 95\u00a0% intervals; this run does not record of which kind."


# What was found ------------------------------------------------------------------------------


def _main_outcomes(run: Run) -> list[Described]:
    names = []
    for choices in _MAIN:
        known = [c for c in choices if any(run.estimate(p, c) for p in run.names)]
        names += known[:1]
    return sorted(describe(names), key=lambda d: names.index(d.name))


def _levels(run: Run, outcome: Described) -> str:
    parts = []
    for name in run.names:
        estimate = run.estimate(name, outcome.name)
        if estimate is not None:
            parts.append(f"{level_in_words(estimate, outcome.unit)} under {run.label(name)}")
    return f"In the model, {outcome.label}: {join(parts)}."


def _not_told_apart(estimate: Estimate) -> str:
    if estimate.interval == PARAMETER:
        return "no difference could be told apart from chance and the uncertainty of the parameters"
    return "no difference could be told apart from chance"


def _comparison(run: Run, outcome: Described) -> str:
    clear: list[str] = []
    unclear: list[str] = []
    same: list[str] = []
    reason = ""
    for name in run.compared:
        estimate = run.difference(name, outcome.name)
        if estimate is None or not estimate.has_interval:
            continue
        label = run.label(name)
        if estimate.is_nothing:
            same.append(label)
        elif estimate.side:
            clear.append(f"{difference_in_words(estimate, outcome.unit)} under {label}")
        else:
            unclear.append(f"{label} ({signed_in_words(estimate, outcome.unit)})")
            reason = _not_told_apart(estimate)
    parts = [join(clear)] if clear else []
    parts += [f"{reason} for {join(unclear)}"] if unclear else []
    parts += [f"exactly the same under {join(same)}"] if same else []
    if not parts or run.reference is None:
        return ""
    label = outcome.label[0].upper() + outcome.label[1:]
    who = ", who are not the same patients under each policy" if outcome.selected else ""
    return f"{label}{who}, compared with {run.label(run.reference)}: {'; '.join(parts)}."


def findings(run: Run) -> list[str]:
    """Three to five sentences with the main results and their intervals."""
    outcomes = _main_outcomes(run)
    if not outcomes:
        return ["None of the main outcomes could be estimated in this run."]
    if not run.compared:
        return [_levels(run, outcome) for outcome in outcomes]
    compared = [_comparison(run, outcome) for outcome in outcomes]
    return [_levels(run, outcomes[0]), *[sentence for sentence in compared if sentence]]


def verdict(run: Run, policy: str, outcome: Described, estimate: Estimate | None) -> str:
    """Which policy a difference favours, in a few words."""
    if estimate is None:
        return "not estimable"
    if not estimate.has_interval:
        return "no interval"
    if estimate.is_nothing:
        return "the same"
    if estimate.side == 0:
        return "no clear difference"
    if outcome.better == 0 or outcome.selected:
        return ("higher" if estimate.side > 0 else "lower") + (" †" if outcome.selected else "")
    winner = policy if estimate.side == outcome.better else run.reference
    return f"favours {run.label(winner or '')}"
