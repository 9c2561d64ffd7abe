"""Checks on a user's own scenario: what must hold whatever its numbers are.

In the spirit of TECH-VER (Büyükkaramikli et al., PharmacoEconomics 2019): nothing is lost, nothing
depends on how the work is cut up, and extremes end as everybody knows they must. A check is a
function that takes a `Subject` and returns a `Finding`; a new one is added to `CHECKS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from crlm_sim.disease.patient import (
    ALIVE,
    CAUSES,
    MINUTE_COLUMNS,
    NEVER,
    POSTOPERATIVE,
    TOXIC,
    TUMOUR,
)
from crlm_sim.engines import cohort
from crlm_sim.engines.screening import lesions_seen
from crlm_sim.evidence import ACTIVITIES, MODALITIES, REGIMENS, parameters
from crlm_sim.experiments.region import play
from crlm_sim.experiments.run import BLOCK_PATIENTS, run
from crlm_sim.experiments.simulate import Block, packed_parameters, patient_numbers, simulate_block
from crlm_sim.experiments.verify_queues import QUEUE_CHECKS
from crlm_sim.outcomes import definitions as what
from crlm_sim.outcomes import survival as km
from crlm_sim.outcomes.tally import Tally
from crlm_sim.scenario import Scenario
from crlm_sim.scenario.messages import Wrong
from crlm_sim.scenario.model import Policy, Rule

PATIENTS = 1_000
CHANCE = 1e-4
"""How often a check that allows for simulation error fails by chance alone, at most."""
_SHOWN = 3
_ROUNDING = 1e-9
_PERSONAL = ("age_years", "weight_kg", "cea_ng_ml")
"""Numbers that two people hardly ever have in common."""
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
_MINUTES_PER_YEAR = 525_960

Lives = dict[str, Block]
"""Lived patients and their logs of activities, by policy."""
Changes = dict[str, tuple[float, ...]]
"""Values of parameters, as a scenario sets them."""


@dataclass(frozen=True)
class Subject:
    """A scenario under scrutiny: its patients by number, and what they live as it stands."""

    scenario: Scenario
    numbers: np.ndarray
    lives: Lives


@dataclass(frozen=True)
class Finding:
    """What a check looked at, what it found, and what it would have expected.

    `where` names the first few places of a failure.
    """

    name: str
    checked: str
    passed: bool
    found: dict[str, float]
    expected: str
    where: tuple[str, ...] = ()


Check = Callable[[Subject], Finding]


def subject_of(scenario: Scenario) -> Subject:
    """A scenario's patients, lived under the best estimates of the parameters.

    Raises EmptyPopulation if hardly anybody is eligible, PosteriorError as `packed_parameters`.
    """
    settings = scenario.run.model_copy(update={"draws": "mean", "replications": 1})
    plain = scenario.model_copy(update={"run": settings})
    numbers = np.concatenate(list(_blocks(plain, BLOCK_PATIENTS["cohort"])))
    return Subject(plain, numbers, live(plain, numbers))


def live(
    scenario: Scenario, numbers: np.ndarray, engine: str = "cohort", threads: int | None = None
) -> Lives:
    """What the patients of these numbers live under each policy of a scenario."""
    params = packed_parameters(scenario, 0)
    return {
        name: simulate_block(
            scenario,
            name,
            numbers,
            params=params,
            engine=engine,
            threads=threads,
            keep_log=True,
        )
        for name in scenario.policy_names
    }


def _blocks(scenario: Scenario, size: int) -> Iterable[np.ndarray]:
    return patient_numbers(scenario, size, params=packed_parameters(scenario, 0))


def _live_with(subject: Subject, changes: Changes) -> Lives:
    """What the same patients live if the scenario sets these parameters too."""
    scenario = subject.scenario
    changed = scenario.model_copy(update={"parameters": scenario.parameters | changes})
    return live(changed, subject.numbers)


def _everywhere(column: str, value: float) -> Changes:
    """One value for a column of a table in all its rows."""
    return {name: (value,) for name in parameters() if name.endswith(f".{column}")}


def _tally(subject: Subject, patients: slice = slice(None)) -> Tally:
    tally = Tally.empty(subject.scenario.policy_names, subject.scenario.horizon_minutes)
    for place, block in enumerate(subject.lives.values()):
        tally.add(place, block.patients[patients])
    return tally


def _places(lives: Lives, wrong: dict[str, np.ndarray]) -> tuple[str, ...]:
    """The first patients, by policy, for whom something is wrong."""
    found = [
        f"patient {number} under {name}"
        for name, flags in wrong.items()
        for number in lives[name].patients["patient"][flags][:_SHOWN]
    ]
    return tuple(found[:_SHOWN])


def _count(flags: dict[str, np.ndarray]) -> int:
    return sum(int(one.sum()) for one in flags.values())


def _of_all(
    name: str, checked: str, lives: Lives, wrong: dict[str, np.ndarray], fault: str
) -> Finding:
    """The finding of a check that looks at patients one by one; `wrong` are flags by policy."""
    lived = sum(len(flags) for flags in wrong.values())
    found: dict[str, float] = {"lives": lived, fault: _count(wrong)}
    return Finding(name, checked, not _count(wrong), found, "none", _places(lives, wrong))


# Each patient's course ---------------------------------------------------------------------------


def everybody_ends_once(subject: Subject) -> Finding:
    """Who entered is there once: dead at the end with one cause, or followed to the horizon."""
    horizon = subject.scenario.horizon_minutes
    wrong = {}
    missing: list[str] = []
    for name, block in subject.lives.items():
        p = block.patients
        cause, end = p["cause_of_death"], p["end_minute"]
        known = (cause > ALIVE) & (cause < len(CAUSES))
        dead = known & (p["death_minute"] == end) & (end >= 0) & (end <= horizon)
        alive = (cause == ALIVE) & (p["death_minute"] == NEVER) & (end == horizon)
        _, first = np.unique(p["patient"], return_index=True)
        again = np.ones(len(p), np.bool_)
        again[first] = False
        wrong[name] = ~(dead | alive) | again
        lost = np.setdiff1d(subject.numbers, p["patient"])
        missing += [f"patient {number} is missing under {name}" for number in lost]
    finding = _of_all(
        "one end",
        "every patient dies once, of one cause, or is followed to the horizon",
        subject.lives,
        wrong,
        "without one end",
    )
    return replace(
        finding,
        passed=finding.passed and not missing,
        found={**finding.found, "missing": len(missing)},
        where=(*finding.where, *missing)[:_SHOWN],
    )


def nothing_after_the_end(subject: Subject) -> Finding:
    """No date of the record and no activity of the log lies after death or horizon."""
    wrong = {}
    for name, block in subject.lives.items():
        p = block.patients
        late = np.zeros(len(p), np.bool_)
        for field in MINUTE_COLUMNS:
            dated = p[field] != NEVER
            late |= dated & ((p[field] > p["end_minute"]) | (p[field] < 0))
        assert block.log is not None
        place, known = _places_in(p, block.log)
        after = known & (block.log["end"] > p["end_minute"][place])
        late[place[after]] = True
        wrong[name] = late
    return _of_all(
        "nothing after the end",
        "no event and no activity comes after death or the end of follow-up",
        subject.lives,
        wrong,
        "with something after",
    )


def _places_in(patients: np.ndarray, log: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(place of each row's patient among the patients, whether there is one), shape (rows,)."""
    numbers = patients["patient"]
    order = np.argsort(numbers)
    place = np.searchsorted(numbers[order], log["patient"])
    place = order[np.minimum(place, len(numbers) - 1)]
    return place, numbers[place] == log["patient"]


def activities_in_order(subject: Subject) -> Finding:
    """In the log a patient's time never runs backwards and no two activities overlap."""
    rows = stray = backwards = overlapping = 0
    wrong = {}
    for name, block in subject.lives.items():
        log = block.log
        assert log is not None
        place, known = _places_in(block.patients, log)
        turned = (log["end"] < log["start"]) | (log["start"] < 0)
        same = log["patient"][1:] == log["patient"][:-1]
        overlap = np.zeros(len(log), np.bool_)
        overlap[1:] = same & (log["start"][1:] < log["end"][:-1])
        flags = np.zeros(len(block.patients), np.bool_)
        flags[place[known & (turned | overlap)]] = True
        wrong[name] = flags
        rows += len(log)
        stray += int((~known).sum())
        backwards += int(turned.sum())
        overlapping += int(overlap.sum())
    return Finding(
        "activities in order",
        "no activity overlaps another of the same patient, no time runs backwards",
        stray + backwards + overlapping == 0,
        {
            "activities": rows,
            "overlapping": overlapping,
            "running backwards": backwards,
            "of nobody": stray,
        },
        "none",
        _places(subject.lives, wrong),
    )


# Sums --------------------------------------------------------------------------------------------

_FROM_CLEARANCE = what.Endpoint(
    "overall survival after clearance", what.CONDITIONS["cleared"], start="cleared_minute"
)
IN_ORDER = (
    (what.CURVES["pfs"], what.CURVES["os"]),
    (what.CURVES["liver_pfs"], what.CURVES["os"]),
    (what.CURVES["dfs"], _FROM_CLEARANCE),
)
"""Pairs of times to events of which the first can never be survived longer than the second."""


def survival_in_order(
    subject: Subject, pairs: Sequence[tuple[what.Endpoint, what.Endpoint]] = IN_ORDER
) -> Finding:
    """Survival without progression or recurrence never lies above overall survival.

    Kaplan–Meier curves of the same people need not keep this order once some are censored, so they
    are compared up to then.
    """
    days = above = 0
    most = 0.0
    where = []
    for name, block in subject.lives.items():
        for stricter, overall in pairs:
            excess = _excess(block.patients, stricter, overall)
            days += len(excess)
            above += int((excess > _ROUNDING).sum())
            most = max(most, float(excess.max(initial=0.0)))
            if (excess > _ROUNDING).any():
                where.append(f"{stricter.label} under {name}")
    return Finding(
        "survival in order",
        "survival without progression or recurrence is never above overall survival, on any day",
        above == 0,
        {"days compared": days, "days above": above, "most above": most},
        "never above",
        tuple(where[:_SHOWN]),
    )


def _excess(patients: np.ndarray, stricter: what.Endpoint, overall: what.Endpoint) -> np.ndarray:
    """By how much the stricter survival is above the other, each day on which all are followed."""
    inner, followed = _survival(patients, stricter)
    outer, all_followed = _survival(patients, overall)
    days = min(followed, all_followed)
    return inner[:days] - outer[:days]


def _survival(patients: np.ndarray, endpoint: what.Endpoint) -> tuple[np.ndarray, int]:
    """(survival by day, days up to the first censoring) of an endpoint."""
    columns = {name: patients[name] for name in what.FIELDS}
    _, minutes, happened = what.spans(columns, endpoint)
    day = what.whole_days(minutes)
    size = int(what.whole_days(patients["end_minute"]).max()) + 1
    curve = km.kaplan_meier(
        np.bincount(day[happened], minlength=size), np.bincount(day[~happened], minlength=size)
    )
    return curve.survival, int(day[~happened].min(initial=size))


_CAUSES = ("dead_of_tumour", "dead_of_treatment", "dead_of_other_cause")
_SITES = (
    "recurrence_liver_only",
    "recurrence_lung_only",
    "recurrence_elsewhere_or_several",
)


def nobody_is_lost(subject: Subject) -> Finding:
    """Patients entered are the dead and the living; parts add up to their wholes."""
    tally = _tally(subject)
    entered = np.full(len(tally.policies), len(subject.numbers))
    counted = {o.name: tally.numerators[:, k].sum(axis=1) for k, o in enumerate(what.COUNTED)}
    dead, alive = tally.daily[:, list(what.CURVES).index("os")].sum(axis=-1).T
    sums = {
        "patients": (tally.patients.sum(axis=1), entered),
        "dead and alive": (dead + alive, entered),
        "causes of death": (sum(counted[name] for name in _CAUSES), dead),
        "sites of recurrence": (sum(counted[name] for name in _SITES), counted["recurrence"]),
        "flow diagram": (tally.flow_counts.sum(axis=1), entered),
    }
    where = [
        f"{label} under {tally.policies[p]}: {some[p]} of {whole[p]}"
        for label, (some, whole) in sums.items()
        for p in np.flatnonzero(some != whole)
    ]
    for name, links in tally.flow().items():
        where += [f"flow at '{node}' under {name}" for node in unbalanced(links)]
    return Finding(
        "nobody is lost",
        "patients entered are the dead and the living; causes, sites and flow add up",
        not where,
        {
            "entered, each policy": len(subject.numbers),
            "dead, all policies": int(dead.sum()),
            "alive": int(alive.sum()),
            "sums that do not add up": len(where),
        },
        "none",
        tuple(where[:_SHOWN]),
    )


def unbalanced(links: Sequence[tuple[str, str, int]]) -> list[str]:
    """Nodes of a flow diagram that more or fewer patients enter than leave."""
    into: dict[str, int] = {}
    out: dict[str, int] = {}
    for source, target, number in links:
        out[source] = out.get(source, 0) + number
        into[target] = into.get(target, 0) + number
    return [node for node in into if node in out and into[node] != out[node]]


def shares_are_shares(subject: Subject) -> Finding:
    """Every proportion and survival, with its interval, lies between 0 and 1."""
    levels = _tally(subject).summary(subject.scenario.reference)["policies"]
    outside, number = shares_outside(levels)
    return Finding(
        "shares are shares",
        "every share and survival, with its interval, is between 0 and 1",
        not outside,
        {"shares": number, "outside": len(outside)},
        "none outside",
        tuple(outside[:_SHOWN]),
    )


def shares_outside(levels: dict[str, dict[str, Any]]) -> tuple[list[str], int]:
    """(which proportions of a summary's policies are not between 0 and 1, how many there are)."""
    names = [o.name for o in what.OUTCOMES if o.unit == "proportion"]
    outside = []
    for policy, entries in levels.items():
        for name in names:
            numbers = [entries[name][key] for key in ("estimate", "lower", "upper")]
            if not all(number is None or 0.0 <= number <= 1.0 for number in numbers):
                outside.append(f"{name} under {policy}")
    return outside, len(levels) * len(names)


# How the work is cut up --------------------------------------------------------------------------


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
    finding = _of_all(name, checked, subject.lives, wrong, "different")
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
    parts = list(_blocks(scenario, len(subject.numbers) // 3 + 1))
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
    tally = _tally(subject)
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
        tuple(other[:_SHOWN]),
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
        not again and not _count(same),
        {
            "results": _number_of_results(expected),
            "different with the same seed": len(again),
            "patients the same with another": _count(same),
        },
        "none of either",
        (*again, *_places(subject.lives, same))[:_SHOWN],
    )


def halves_agree(subject: Subject) -> Finding:
    """The first and the second half of the patients differ by chance alone.

    Fisher's exact test of every share, and of the dead after 1, 3 and 5 years; the smallest p
    value is held against the chance of failing divided by the number of tests (Bonferroni).
    """
    half = len(subject.numbers) // 2
    first, second = _tally(subject, slice(half)), _tally(subject, slice(half, None))
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
        tuple(where[:_SHOWN]),
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


# Extremes ----------------------------------------------------------------------------------------


def _years(lives: Lives) -> dict[str, float]:
    """Mean years lived, by policy."""
    return {
        name: float(block.patients["end_minute"].mean()) / _MINUTES_PER_YEAR
        for name, block in lives.items()
    }


def _hardly_any_life(name: str, checked: str, lives: Lives, most: float) -> Finding:
    years = _years(lives)
    return Finding(
        name,
        checked,
        max(years.values()) < most,
        {"most years lived, mean of a policy": max(years.values())},
        f"less than {most} years",
        tuple(policy for policy, mean in years.items() if mean >= most)[:_SHOWN],
    )


LETHAL_AT_ONCE: Changes = {"lethal_liver_ml": (1e-9,), "lethal_elsewhere_ml": (1e-9,)}
DEADLY_WORLD: Changes = {"other_cause_hazard_ratio": (1e6,) * 4}


def no_burden_survived(subject: Subject, changes: Changes = LETHAL_AT_ONCE) -> Finding:
    """If nobody survives any tumour, nobody lives long after diagnosis."""
    return _hardly_any_life(
        "no burden is survived",
        "with a lethal tumour burden of next to nothing hardly any time is lived",
        _live_with(subject, changes),
        0.1,
    )


def deadly_world(subject: Subject, changes: Changes = DEADLY_WORLD) -> Finding:
    """If other causes kill a million times as often, next to nothing is lived."""
    return _hardly_any_life(
        "a deadly world",
        "with a million times the mortality from other causes hardly any time is lived",
        _live_with(subject, changes),
        0.01,
    )


def _harmless() -> Changes:
    """No growth, not even of resistant cells under an antibody, and no harm done by treatment."""
    return {
        "growth_rate_per_day": (1e-12,),
        "anti_egfr_perioperative_resistant_share": (0.0,),
        **_everywhere("death_logit", -50.0),
        **_everywhere("death_per_cycle", 0.0),
        **_everywhere("death", 0.0),
        **_everywhere("reserve_lost", 0.0),
    }


def harmless_disease(subject: Subject, changes: Changes | None = None) -> Finding:
    """If tumours do not grow and treatment kills nobody, nobody dies of either."""
    lives = _live_with(subject, _harmless() if changes is None else changes)
    wrong = {
        name: np.isin(block.patients["cause_of_death"], (TUMOUR, POSTOPERATIVE, TOXIC))
        for name, block in lives.items()
    }
    return _of_all(
        "harmless disease",
        "without tumour growth and without deaths of treatment nobody dies of either",
        lives,
        wrong,
        "dead of tumour or treatment",
    )


def better_drugs_do_not_harm(subject: Subject, times: float = 10.0) -> Finding:
    """Drugs that kill ten times as many tumour cells do not shorten life on average, in pairs."""
    kill = packed_parameters(subject.scenario, 0)["regimen_kill_per_day"][0]
    changes: Changes = {
        f"{name}.kill_per_day": (times * k,) for name, k in zip(REGIMENS, kill, strict=True)
    }
    lives = _live_with(subject, changes)
    gains = {name: _gain(block, subject.lives[name]) for name, block in lives.items()}
    worst = min(gains, key=lambda name: gains[name][1])
    years, errors = gains[worst]
    least = -NormalDist().inv_cdf(1.0 - CHANCE / len(gains))
    return Finding(
        "better drugs do not harm",
        "drugs with ten times the kill do not shorten life, in pairs of the same patients",
        errors >= least,
        {"least gain, years": years, "in standard errors": errors},
        f"{least:.1f} standard errors or more: fails by chance in 1 of {1 / CHANCE:,.0f} at most",
        () if errors >= least else (worst,),
    )


def _gain(block: Block, before: Block) -> tuple[float, float]:
    """Mean years gained in pairs of the same patients, and the same in standard errors."""
    gain = (block.patients["end_minute"] - before.patients["end_minute"]) / _MINUTES_PER_YEAR
    error = float(gain.std()) / len(gain) ** 0.5
    return float(gain.mean()), float(gain.mean()) / error if error > 0.0 else 0.0


def deadlier_operations(subject: Subject, log_odds: float = 2.0) -> Finding:
    """With the same luck, deadlier operations let nobody live longer: exactly, in pairs."""
    own = packed_parameters(subject.scenario, 0)["activity_death_logit"][0]
    changes: Changes = {
        name: (float(own[ACTIVITIES.index(name.partition(".")[0])]) + log_odds,)
        for name in _everywhere("death_logit", 0.0)
    }
    lives = _live_with(subject, changes)
    before = {name: block.patients["end_minute"] for name, block in subject.lives.items()}
    wrong = {name: block.patients["end_minute"] > before[name] for name, block in lives.items()}
    shorter = {name: block.patients["end_minute"] < before[name] for name, block in lives.items()}
    finding = _of_all(
        "deadlier operations",
        "operations with e² = 7.4 times the odds of death let nobody live longer",
        lives,
        wrong,
        "living longer",
    )
    return replace(finding, found={**finding.found, "living shorter": _count(shorter)})


def more_detection(subject: Subject, log_odds: float = 1.0) -> Finding:
    """With the same luck, a more sensitive scan shows every patient no fewer liver lesions."""
    scenario = subject.scenario
    params = packed_parameters(scenario, 0)
    raised = params.copy()
    raised["ct_logit"] += log_odds
    raised["modality_logit"] += log_odds
    records = cohort.blank_records(subject.numbers, scenario.run.seed)
    fewer = more = shown = 0
    where = []
    for test in ("ct", *MODALITIES):
        for after_drugs in (False, True):
            seen, _ = lesions_seen(records.copy(), params, test, after_drugs)
            better, _ = lesions_seen(records.copy(), raised, test, after_drugs)
            shown += int(seen.sum())
            more += int((better > seen).sum())
            less = better < seen
            fewer += int(less.sum())
            where += [f"patient {n}, {test}" for n in subject.numbers[less][:_SHOWN]]
    return Finding(
        "more detection",
        "scans with higher odds of detection show no patient fewer liver lesions",
        fewer == 0,
        {"lesions shown": shown, "tests showing more": more, "tests showing fewer": fewer},
        "none showing fewer",
        tuple(where[:_SHOWN]),
    )


# All of them -------------------------------------------------------------------------------------

CHECKS: tuple[Check, ...] = (
    everybody_ends_once,
    nothing_after_the_end,
    activities_in_order,
    survival_in_order,
    nobody_is_lost,
    shares_are_shares,
    copies_are_equal,
    order_changes_nothing,
    threads_change_nothing,
    blocks_change_nothing,
    engines_agree,
    idle_rule_changes_nothing,
    seed_decides,
    halves_agree,
    no_burden_survived,
    deadly_world,
    harmless_disease,
    better_drugs_do_not_harm,
    deadlier_operations,
    more_detection,
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
