"""What no single value shows: parts of a scenario that do not go together."""

from __future__ import annotations

from collections.abc import Container
from itertools import groupby
from typing import Any

from crlm_sim.evidence import parameters
from crlm_sim.scenario.kinds import NONE
from crlm_sim.scenario.lines import Path
from crlm_sim.scenario.messages import nearest
from crlm_sim.scenario.model import Policy, Population, Rule
from crlm_sim.scenario.rules import (
    And,
    Constant,
    Expression,
    Not,
    Or,
    can_judge,
    never_fires,
    parse,
)
from crlm_sim.scenario.source import RULE, Source

Values = dict[str, tuple[float, ...]]

_ORDERED = (
    ("age_youngest_years", "age_oldest_years"),
    ("diffuse_lesions_least", "diffuse_lesions_most"),
    ("smallest_overt_mm", "largest_lesion_most_mm"),
    ("occult_log_smallest_ml", "occult_log_largest_ml"),
)
"""Pairs of parameters of which the first must not be above the second."""
_AT_LEAST_ONE = ("lesions_most", "diffuse_lesions_least")
"""Everybody in the model has a liver metastasis."""
_SHARES_OF_ONE = (
    ("rectum_share", "right_colon_share"),
    ("ras_share_left", "braf_share_left"),
    ("ras_share_right", "braf_share_right"),
    ("occult_liver_share", "occult_elsewhere_share"),
)
"""Shares of one whole, which cannot exceed it together."""


def check_population(source: Source, changes: Values, paths: dict[str, tuple[str, str]]) -> None:
    """Report a population that cannot hold anyone or whose shares exceed the whole.

    `paths` says where the scenario sets each parameter of `changes`.
    """

    def value(name: str) -> tuple[float, ...]:
        return changes.get(name, parameters()[name].value)

    def set_here(*names: str) -> tuple[str, str] | None:
        return next((paths[name] for name in reversed(names) if name in paths), None)

    for low, high in _ORDERED:
        path = set_here(low, high)
        if path and value(low)[0] > value(high)[0]:
            text = f"{low} ({value(low)[0]:g}) is above {high} ({value(high)[0]:g})"
            source.wrong(path, f"the population is empty: {text}")
    for name in _AT_LEAST_ONE:
        path = set_here(name)
        if path and value(name)[0] < 1.0:
            source.wrong(
                path, f"the population is empty: nobody has a lesion (got {value(name)[0]:g})"
            )
    for names in _SHARES_OF_ONE:
        path = set_here(*names)
        total = sum(sum(value(name)) for name in names)
        if path and total > 1.0 + 1e-9:
            source.wrong(path, f"{' and '.join(names)} together exceed 100 % ({100 * total:g} %)")


def check_policies(source: Source, named: str | None) -> None:
    """Report a scenario without policies, and a reference (`named`) that is none of them."""
    if source.is_missing("policy"):
        text = "no policy: a scenario compares at least one"
        source.report((), text, 'add [[policy]], and below it name = "colorectal_first"')
    known = list(source.data.get("policy", {}))
    if known and named is not None and named not in known and not source.incomplete:
        path = ("outcomes", "reference")
        source.wrong(path, f"unknown policy '{named}'", nearest(named, known))


def check_eligible(source: Source, population: Population | None) -> None:
    """Report a condition that leaves nobody to study."""
    if population is None or population.eligible is None:
        return
    path = ("population", "eligible")
    if never_fires([parse(population.eligible)]):
        source.wrong(path, "the population is empty: no patient can meet this condition")


# Rules of a policy --------------------------------------------------------------------------------


def check_rules(source: Source, policy: Policy | None) -> None:
    """Report rules that can never fire, and rules that together ask for drugs there are none of.

    A rule is held against those that stand before it in the same section: to override the rules of
    a base is what rules are for.
    """
    if policy is None or not policy.rules:
        return
    paths: list[Path] = [("policy", policy.name, RULE, n) for n in range(len(policy.rules))]
    places = [source.place(path) for path in paths]
    sections = [(place.file, place.key.rpartition(" ")[0]) for place in places]
    numbers = [n for n, path in enumerate(paths) if path in source.places]
    for _, found in groupby(numbers, key=lambda n: sections[n]):
        section = list(found)
        for place, reason in _dead_rules([policy.rules[n] for n in section]):
            path = (*paths[section[place]], "when")
            source.wrong(path, f"this rule can never fire: {reason}")
    _check_cycles(source, policy, paths)


def without_overridden(policy: Policy) -> Policy:
    """The policy without the rules of its bases that its own rules override in every case."""
    rules = list(policy.rules)
    while dead := {place for place, _ in _dead_rules(rules)}:
        rules = [rule for place, rule in enumerate(rules) if place not in dead]
    return policy.model_copy(update={"rules": tuple(rules)})


def _dead_rules(rules: list[Rule]) -> list[tuple[int, str]]:
    """Rules of which no setting ever counts: their places and why."""
    conditions = [parse(rule.when) for rule in rules]
    reasons: dict[tuple[int, ...], dict[int, str]] = {}
    dead = []
    for place, rule in enumerate(rules):
        found = {}
        for setting in rule.do:
            setters = tuple(n for n, other in enumerate(rules) if setting in other.do)
            if setters not in reasons:
                reasons[setters] = _reasons(conditions, setters)
            found[setting] = reasons[setters].get(place)
        if None in found.values():
            continue
        different = set(found.values())
        texts = [f"{setting}: {reason}" for setting, reason in found.items()]
        dead.append((place, str(different.pop()) if len(different) == 1 else "; ".join(texts)))
    return dead


def _reasons(conditions: list[Expression], setters: tuple[int, ...]) -> dict[int, str]:
    """Which of the rules that set one setting never do, and why; the others are never in force."""
    nobody = Constant(False)
    those = [rule if n in setters else nobody for n, rule in enumerate(conditions)]
    return {place: reason for place, reason in never_fires(those) if place in setters}


_DRUGS = "perioperative_regimen"
_COURSES = {
    "preoperative_cycles": "perioperative",
    "adjuvant_cycles": "upfront",
    "postoperative_cycles": None,
}
"""Cycles of perioperative drugs, and the timing under which they are given."""


def _check_cycles(source: Source, policy: Policy, paths: list[Path]) -> None:
    """Report that some patient would be given cycles of no drugs."""
    no_drugs = _in_force(policy, _DRUGS, [NONE])
    for cycles, timing in _COURSES.items():
        asked = range(1, 1 + max([getattr(policy, cycles), *_set_to(policy, cycles, 0)]))
        timed = Constant(True) if timing is None else _in_force(policy, "timing", [timing])
        clash = And((no_drugs, timed, _in_force(policy, cycles, asked)))
        if not _possible(clash):
            continue
        involved = [
            n for n, rule in enumerate(policy.rules) if {_DRUGS, "timing", cycles} & {*rule.do}
        ]
        those = [n for n in involved if _possible(And((clash, parse(policy.rules[n].when))))]
        those.sort(key=lambda n: _DRUGS not in policy.rules[n].do)
        path: Path = ("policy", policy.name)
        own = f"{source.place(path).key}.{RULE} "
        if those and source.place(paths[those[0]]).key.startswith(own):
            path = (*paths[those[0]], "do")
        text = f"{_DRUGS} can be '{NONE}' while {cycles} asks for cycles"
        source.wrong(path, text, f"set {cycles} to 0 here, or name a regimen")
        return


def _set_to(policy: Policy, setting: str, otherwise: object) -> list[Any]:
    return [rule.do.get(setting, otherwise) for rule in policy.rules]


def _in_force(policy: Policy, setting: str, values: Container[object]) -> Expression:
    """The condition under which a setting has one of these values: the first rule that holds."""
    cases: list[Expression] = []
    earlier: list[Expression] = []
    for rule in policy.rules:
        if setting in rule.do:
            condition = parse(rule.when)
            if rule.do[setting] in values:
                cases.append(And((condition, *earlier)))
            earlier.append(Not(condition))
    if getattr(policy, setting) in values:
        cases.append(And((Constant(True), *earlier)))
    return Or(tuple(cases)) if cases else Constant(False)


def _possible(condition: Expression) -> bool:
    """Whether some patient is known to meet a condition."""
    return can_judge([condition]) and not never_fires([condition])
