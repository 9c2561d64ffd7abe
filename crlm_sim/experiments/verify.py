"""Checks on a user's own scenario: what must hold whatever its numbers are.

In the spirit of TECH-VER (Büyükkaramikli et al., PharmacoEconomics 2019): nothing is lost, nothing
depends on how the work is cut up, and extremes end as everybody knows they must. A check is a
function that takes a `Subject` and returns a `Finding`; a new one is added to `CHECKS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from crlm_sim.experiments.region import play
from crlm_sim.experiments.verifying import courses, equality, extremes, money
from crlm_sim.experiments.verifying.queues import QUEUE_CHECKS
from crlm_sim.experiments.verifying.subject import (
    Check,
    Finding,
    Subject,
    subject_of,
)
from crlm_sim.scenario import Scenario

CHECKS: tuple[Check, ...] = (
    courses.everybody_ends_once,
    courses.nothing_after_the_end,
    courses.activities_in_order,
    courses.survival_in_order,
    courses.nobody_is_lost,
    courses.shares_are_shares,
    equality.copies_are_equal,
    equality.order_changes_nothing,
    equality.threads_change_nothing,
    equality.blocks_change_nothing,
    equality.engines_agree,
    equality.idle_rule_changes_nothing,
    equality.seed_decides,
    equality.halves_agree,
    extremes.no_burden_survived,
    extremes.deadly_world,
    extremes.harmless_disease,
    extremes.better_drugs_do_not_harm,
    extremes.deadlier_operations,
    extremes.more_detection,
    money.cost_follows_prices,
    money.care_for_nothing,
    money.full_health,
    money.no_discount,
)
"""Every check, in the order of the table."""


def _with_queues(scenario: Scenario) -> list[Finding]:
    """What the checks on queues find in one replication of every policy; none without hospitals."""
    if not scenario.region.hospitals:
        return []
    played = {policy: play(scenario, policy, 0) for policy in scenario.policy_names}
    findings = []
    for check in QUEUE_CHECKS:
        faults = {policy: check(one) for policy, one in played.items()}
        name, checked, _, _ = next(iter(faults.values()))
        wrong = tuple(policy for policy, fault in faults.items() if fault[3])
        found: dict[str, float] = {
            "looked at": sum(fault[2] for fault in faults.values()),
            "wrong": sum(fault[3] for fault in faults.values()),
        }
        findings.append(Finding(name, checked, not wrong, found, "none", wrong))
    return findings


def _carried_out(check: Check, subject: Subject) -> Finding:
    """What a check finds; records so wrong that it breaks on them are a failure like any other."""
    try:
        return check(subject)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        name = check.__name__.replace("_", " ")
        checked = (check.__doc__ or "").partition("\n")[0]
        return Finding(name, checked, False, {}, "to be carried out to its end", (told,))


def verify(
    scenario: Scenario, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Every check of a scenario with as many patients as it says, as plain values.

    `progress` is called with checks done so far and in all. Raises as `subject_of`.
    """
    started = time.perf_counter()
    subject = subject_of(scenario)
    findings = []
    for done, check in enumerate(CHECKS):
        if progress:
            progress(done, len(CHECKS))
        findings.append(_carried_out(check, subject))
    if progress:
        progress(len(CHECKS), len(CHECKS))
    findings += _with_queues(scenario)
    passed = sum(finding.passed for finding in findings)
    return {
        "name": scenario.name,
        "title": scenario.title,
        "patients": len(subject.numbers),
        "seed": scenario.run.seed,
        "policies": list(scenario.policy_names),
        "seconds": round(time.perf_counter() - started, 3),
        "passed": passed,
        "failed": len(findings) - passed,
        "checks": [asdict(finding) for finding in findings],
    }
