"""Checks that nothing depends on how the work is cut up, or on what should not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from crlm_sim.experiments.run import run
from crlm_sim.experiments.simulate import Block
from crlm_sim.experiments.verifying.subject import (
    CHANCE,
    SHOWN,
    Finding,
    Lives,
    Subject,
    blocks_of,
    count,
    live,
    of_all,
    places_wrong,
    tally_of,
)
from crlm_sim.outcomes import definitions as what
from crlm_sim.outcomes.tally import Tally
from crlm_sim.scenario import Scenario
from crlm_sim.scenario.messages import Wrong
from crlm_sim.scenario.model import Policy, Rule

_PERSONAL = ("age_years", "weight_kg", "cea_ng_ml")
"""Numbers that two people hardly ever have in common."""
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def differing(one: Block, other: Block, fields: Sequence[str] = ()) -> np.ndarray:
    """Flags of patients whose fields or logs are not equal to the last bit, shape (patients,).

    All fields if none are named; a policy's place in the scenario is never looked at.
    """
    a, b = one.patients, other.patients
    if len(a) != len(b):
        return np.ones(len(a), np.bool_)
    unlike = np.zeros(len(a), np.bool_)
    for field in fields or a.dtype.names or ():
        if field != "policy":
            unlike |= (_bits(a[field]) != _bits(b[field])).any(axis=1)
    assert one.log is not None
    assert other.log is not None
    if one.log.tobytes() != other.log.tobytes():
        rows = zip(_by_patient(one.log, a), _by_patient(other.log, b), strict=True)
        unlike |= [some != others for some, others in rows]
    return unlike


def _by_patient(log: np.ndarray, patients: np.ndarray) -> list[bytes]:
    """Each patient's rows of a log."""
    rows = log[np.argsort(log["patient"], kind="stable")]
    first, last = (np.searchsorted(rows["patient"], patients["patient"], s) for s in _SIDES)
    return [rows[i:j].tobytes() for i, j in zip(first, last, strict=True)]


def _bits(values: np.ndarray) -> np.ndarray:
    """The bytes of an array, a row a patient."""
    whole = np.ascontiguousarray(values)
    return whole.view(np.uint8).reshape(len(whole), -1)


def _same(name: str, checked: str, subject: Subject, others: Lives, **found: int) -> Finding:
    """Whether other lives of the same patients are the same to the last bit."""
    wrong = {policy: differing(block, others[policy]) for policy, block in subject.lives.items()}
    finding = of_all(name, checked, subject.lives, wrong, "different")
    return replace(finding, found={**found, **finding.found})


def copies_are_equal(subject: Subject) -> Finding:
    """A policy and its copy under another name, elsewhere in the list, are the same policy."""
    policies = subject.scenario.policies
    copies = [p.model_copy(update={"name": f"{p.name} (copy)"}) for p in policies]
    both = subject.scenario.model_copy(update={"policies": (*reversed(copies), *policies)})
    lives = live(both, subject.numbers)
    return _same(
        "copies are equal",
        "a copy of a policy under another name gives the same patients, to the last bit",
        subject,
        {policy.name: lives[copy.name] for policy, copy in zip(policies, copies, strict=True)},
    )


def threads_change_nothing(subject: Subject) -> Finding:
    """One thread gives what all threads give."""
    import numba

    return _same(
        "threads change nothing",
        "one thread gives the same patients as all threads, to the last bit",
        subject,
        live(subject.scenario, subject.numbers, threads=1),
        threads=numba.get_num_threads(),
    )


def blocks_change_nothing(subject: Subject) -> Finding:
    """Patients found and lived in smaller blocks are the same patients."""
    scenario = subject.scenario
    parts = list(blocks_of(scenario, len(subject.numbers) // 3 + 1))
    lived = [live(scenario, numbers) for numbers in parts]
    return _same(
        "blocks change nothing",
        "patients simulated in smaller blocks are the same, to the last bit",
        subject,
        {name: _joined([lives[name] for lives in lived]) for name in scenario.policy_names},
        blocks=len(parts),
    )


def _joined(blocks: list[Block]) -> Block:
    logs = [block.log for block in blocks if block.log is not None]
    return Block(
        np.concatenate([block.patients for block in blocks]),
        np.concatenate([block.arrivals for block in blocks]),
        np.concatenate(logs),
    )


def engines_agree(subject: Subject) -> Finding:
    """The compiled loop and the SimPy processes give the same patients and logs."""
    return _same(
        "engines agree",
        "cohort and agents engine give the same patients and activities, to the last bit",
        subject,
        live(subject.scenario, subject.numbers, engine="agents"),
    )


def idle_rule_changes_nothing(subject: Subject) -> Finding:
    """A rule for nobody, which would take away all treatment, is no rule."""
    scenario = subject.scenario
    policies = tuple(_with_idle_rule(policy) for policy in scenario.policies)
    ruled = sum(new is not old for new, old in zip(policies, scenario.policies, strict=True))
    return _same(
        "an idle rule changes nothing",
        "a rule that stops treatment of people under 0 years changes nobody, to the last bit",
        subject,
        live(scenario.model_copy(update={"policies": policies}), subject.numbers),
        **{"policies given the rule": ruled},
    )


def _with_idle_rule(policy: Policy) -> Policy:
    """The policy with a first rule that never holds; as it is, if it has no room for one more."""
    nothing = {"lines": 0, "most_lesions": 0, "arterial_therapy": "none"}
    rule = Rule(when="age < 0 years", do=nothing)
    ruled = policy.model_copy(update={"rules": (rule, *policy.rules)})
    try:
        ruled.packed_rules()
    except Wrong:
        return policy
    return ruled


def _results(scenario: Scenario) -> dict[str, Any]:
    """What a run of the scenario makes known, apart from how and how fast."""
    summary = run(scenario, keep=False, engine="cohort").summary
    return {key: summary[key] for key in ("policies", "differences", "flow")}


def _results_of(subject: Subject) -> dict[str, Any]:
    tally = tally_of(subject)
    return {**tally.summary(subject.scenario.reference), "flow": tally.flow()}


def _unequal(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Which results of two runs differ, as "outcome under policy"."""
    places = [
        f"{outcome} under {policy}"
        for part in ("policies", "differences")
        for policy, entries in one[part].items()
        for outcome, entry in entries.items()
        if other[part][policy][outcome] != entry
    ]
    flows = [
        f"flow under {name}" for name, flow in one["flow"].items() if other["flow"][name] != flow
    ]
    return places + flows


def _number_of_results(results: dict[str, Any]) -> int:
    parts = (results["policies"], results["differences"])
    return sum(len(entries) for part in parts for entries in part.values()) + len(results["flow"])


def order_changes_nothing(subject: Subject) -> Finding:
    """The policies in reverse order give every policy the same results."""
    scenario = subject.scenario
    outcomes = scenario.outcomes.model_copy(update={"reference": scenario.reference})
    turned = scenario.model_copy(update={"policies": scenario.policies[::-1], "outcomes": outcomes})
    expected = _results_of(subject)
    other = _unequal(expected, _results(turned))
    return Finding(
        "order changes nothing",
        "the policies in reverse order have the same results",
        not other,
        {"results": _number_of_results(expected), "different": len(other)},
        "none",
        tuple(other[:SHOWN]),
    )


def seed_decides(subject: Subject) -> Finding:
    """The same seed gives the same results again, another seed other patients."""
    scenario = subject.scenario
    seed = (scenario.run.seed + 1) % 2**32
    reseeded = scenario.model_copy(update={"run": scenario.run.model_copy(update={"seed": seed})})
    others = live(reseeded, subject.numbers)
    expected = _results_of(subject)
    again = _unequal(expected, _results(scenario))
    same = {
        name: ~differing(block, others[name], _PERSONAL) for name, block in subject.lives.items()
    }
    return Finding(
        "the seed decides",
        "a run with the same seed has the same results; with another seed all patients are others",
        not again and not count(same),
        {
            "results": _number_of_results(expected),
            "different with the same seed": len(again),
            "patients the same with another": count(same),
        },
        "none of either",
        (*again, *places_wrong(subject.lives, same))[:SHOWN],
    )


def halves_agree(subject: Subject) -> Finding:
    """The first and the second half of the patients differ by chance alone.

    Fisher's exact test of every share, and of the dead after 1, 3 and 5 years; the smallest p
    value is held against the chance of failing divided by the number of tests (Bonferroni).
    """
    half = len(subject.numbers) // 2
    first, second = tally_of(subject, slice(half)), tally_of(subject, slice(half, None))
    tests: dict[str, float] = {}
    for p, policy in enumerate(first.policies):
        counts = zip(_shares(first, p).items(), _shares(second, p).values(), strict=True)
        for (name, one), other in counts:
            tests[f"{name} under {policy}"] = fisher(*one, *other)
    limit = CHANCE / len(tests)
    where = [name for name, p in tests.items() if p < limit]
    return Finding(
        "halves agree",
        "the first and the second half of the patients have the same shares, but for chance",
        not where,
        {"shares compared": len(tests), "smallest p": min(tests.values())},
        f"p above {limit:.1g}: fails by chance in 1 of {1 / CHANCE:,.0f} scenarios at most",
        tuple(where[:SHOWN]),
    )


def _shares(tally: Tally, policy: int) -> dict[str, tuple[int, int]]:
    """(those who have it, of how many) of every share of one policy, and of early deaths."""
    found = {
        outcome.name: (
            int(tally.numerators[policy, k].sum()),
            int(tally.denominators[policy, k].sum()),
        )
        for k, outcome in enumerate(what.COUNTED)
        if outcome.kind == "proportion"
    }
    deaths = tally.daily[policy, list(what.CURVES).index("os"), 0]
    for years in (1, 3, 5):
        day = what.landmark_day(12 * years)
        if day < len(deaths):
            found[f"dead at {years} years"] = (
                int(deaths[: day + 1].sum()),
                int(tally.patients[policy].sum()),
            )
    return found


def fisher(hits: int, of: int, others: int, of_others: int) -> float:
    """Two-sided p value of Fisher's exact test: `hits` of `of` against `others` of `of_others`."""
    both, size = hits + others, of + of_others
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])

    def log_choose(n: int, k: np.ndarray) -> np.ndarray:
        return log[n] - log[k] - log[n - k]

    least = max(0, both - of_others)
    k = np.arange(least, min(of, both) + 1)
    logs = log_choose(of, k) + log_choose(of_others, both - k)
    weights = np.exp(logs - logs.max())
    as_rare = weights <= weights[hits - least] * (1.0 + 1e-7)
    return float(weights[as_rare].sum() / weights.sum())
