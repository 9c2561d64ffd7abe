"""What the scenario assumes: the policies' settings, and the parameters behind the model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from crlm_sim.evidence.parameters import Parameter, parameters
from crlm_sim.report.numbers import plain
from crlm_sim.report.run_folder import Run

_NAMING = ("name", "label", "base", "rule", "parameters")


@dataclass(frozen=True)
class Setting:
    """One setting under every policy."""

    label: str
    values: list[str]
    differs: bool


@dataclass(frozen=True)
class Change:
    """A parameter that the scenario changes."""

    name: str
    value: str
    model_value: str
    unit: str


@dataclass(frozen=True)
class ParameterRow:
    """One parameter of the model."""

    name: str
    value: str
    interval: str
    unit: str
    source: str
    note: str
    is_assumption: bool
    changed: bool


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters under one heading."""

    title: str
    rows: list[ParameterRow]


def _label(key: str) -> str:
    return key.replace("_", " ").replace(".", " › ")


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested table as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def _policies(run: Run) -> dict[str, dict[str, Any]]:
    written = run.scenario.get("policy") or []
    by_name = {str(p.get("name")): p for p in written if isinstance(p, dict)}
    return {name: by_name.get(name, {}) for name in run.names}


def policy_settings(run: Run) -> list[Setting]:
    """Every setting of the policies, those that differ first."""
    policies = {
        name: _flat({k: v for k, v in policy.items() if k not in _NAMING})
        for name, policy in _policies(run).items()
    }
    keys = dict.fromkeys(key for policy in policies.values() for key in policy)
    found = []
    for key in keys:
        values = [plain(policy.get(key)) for policy in policies.values()]
        found.append(Setting(_label(key), values, len(set(values)) > 1))
    return sorted(found, key=lambda setting: not setting.differs)


def rules(run: Run) -> list[tuple[str, list[str]]]:
    """(policy, its rules in words) where a policy has rules."""
    found = []
    for name, policy in _policies(run).items():
        written = policy.get("rule") or []
        lines = [
            f"when {plain(rule.get('when'))}, do {plain(rule.get('do'))}"
            for rule in written
            if isinstance(rule, dict)
        ]
        if lines:
            found.append((run.label(name), lines))
    return found


def other_settings(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """(table, its settings) of the rest of the scenario: population, services and so on."""
    found = []
    for key, value in run.scenario.items():
        if key in ("policy", "parameters") or not isinstance(value, dict) or not value:
            continue
        rows = [(_label(name), plain(item)) for name, item in _flat(value).items()]
        found.append((_label(key).capitalize(), rows))
    return found


def _changed(run: Run) -> dict[str, Any]:
    """Set by the scenario in its population or its parameters."""
    known = parameters()
    population = _flat(run.scenario.get("population") or {})
    found = {name: value for name, value in population.items() if name in known}
    return found | _flat(run.scenario.get("parameters") or {})


def changes(run: Run) -> list[Change]:
    """The parameters that the scenario changes, beside the model's own values."""
    known = parameters()
    return [
        Change(
            name=_label(name),
            value=plain(value),
            model_value=plain(known[name].value) if name in known else "–",
            unit=known[name].unit if name in known else "",
        )
        for name, value in _changed(run).items()
    ]


def _interval(parameter: Parameter) -> str:
    p = parameter
    if p.lower is None or p.upper is None:
        return "fixed"
    pairs = zip(p.lower, p.upper, strict=True)
    return "; ".join(f"{plain(low)} to {plain(high)}" for low, high in pairs)


def _row(parameter: Parameter, changed: dict[str, Any]) -> ParameterRow:
    is_changed = parameter.name in changed
    value = changed[parameter.name] if is_changed else parameter.value
    return ParameterRow(
        name=_label(parameter.name),
        value=plain(value),
        interval="set by the scenario" if is_changed else _interval(parameter),
        unit=parameter.unit,
        source="the scenario" if is_changed else parameter.source,
        note=parameter.note,
        is_assumption=parameter.is_assumption and not is_changed,
        changed=is_changed,
    )


def parameter_groups(run: Run) -> list[ParameterGroup]:
    """All parameters under their headings, with what the scenario changes."""
    changed = _changed(run)
    return [
        ParameterGroup(title.capitalize(), [_row(parameter, changed) for parameter in members])
        for title, members in groupby(parameters().values(), key=lambda p: p.group)
    ]


def provenance_rows(run: Run) -> list[tuple[str, str]]:
    """Everything the run wrote down about how it was made."""
    return [(_label(key), plain(value)) for key, value in _flat(run.provenance).items()]
