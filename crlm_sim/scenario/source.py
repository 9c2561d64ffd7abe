"""One scenario text as a tree of raw values, with the place each came from.

In it policies are keyed by name and parameters by their full name, so that merging and setting
need no special case.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from typing import Any

from crlm_sim.scenario.kinds import policy_name
from crlm_sim.scenario.lines import Path, Place, places, within
from crlm_sim.scenario.messages import Problem, ScenarioError, Wrong, problem_at

RULE = "rule"
"""The key of a policy's rules."""
_TOML_PLACE = re.compile(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


@dataclass
class Source:
    """Raw values, where each stands, and what was found wrong on the way."""

    file: str
    data: dict[str, Any]
    places: dict[Path, Place]
    problems: list[Problem] = field(default_factory=list)
    incomplete: bool = False
    """Whether a file it builds on could not be had, so that nothing can be called missing."""

    def place(self, path: Path) -> Place:
        """Where the value at a path stands, or the nearest thing around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(self.file, "")

    def is_missing(self, key: str) -> bool:
        """Whether a key is absent at the top, and not merely misspelt there."""
        misspelt = any(found.suggestion == f"did you mean '{key}'?" for found in self.problems)
        return key not in self.data and not misspelt and not self.incomplete

    def report(self, path: Path, text: str, hint: str = "", *, key: bool = False) -> None:
        """Note a problem with the key or the value at a path."""
        if path not in self.places:
            key = True
        self.problems.append(problem_at(self.place(path), text, hint, key=key))

    def wrong(self, path: Path, text: str, hint: str = "") -> None:
        """Note a problem with a value, naming its key; a setting's message names it already."""
        place = self.place(path)
        if place.line is not None or not place.key:
            key = place.key or ".".join(str(part) for part in path)
            text = f"{key}: {text}"
        self.report(path, text, hint)

    def wrong_within(self, path: Path, column: int, text: str, hint: str = "") -> None:
        """Note a problem with the sign at a column of a text value."""
        place = self.place(path)
        found = within(place, column) if path in self.places else None
        if found is None:
            self.wrong(path, f"{text} (at sign {column + 1} of the text)", hint)
            return
        line, start, source = found
        text = f"{place.key}: {text}"
        self.problems.append(Problem(place.file, text, line, start, start + 1, source, hint))


def read_text(text: str, file: str) -> Source:
    """One TOML text, without what it builds on."""
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
        found = places(text, file)
    except RecursionError:
        raise ScenarioError([Problem(file, "this is nested too deeply for a scenario")]) from None
    except ValueError as error:
        raise ScenarioError([_not_toml(str(error), text, file)]) from None
    source = Source(file, data, found)
    _name_policies(source)
    _flatten_parameters(source)
    return source


def _not_toml(message: str, text: str, file: str) -> Problem:
    found = _TOML_PLACE.fullmatch(message)
    if not found:
        return Problem(file, f"not valid TOML: {message}")
    lines = text.split("\n")
    number = int(found[2]) if found[2] else max(len(text.rstrip().split("\n")), 1)
    source = lines[number - 1] if number <= len(lines) else ""
    start = int(found[3]) - 1 if found[3] else len(source)
    hint = _toml_hint(source)
    return Problem(file, f"not valid TOML: {found[1]}", number, start, start + 1, source, hint)


def _toml_hint(source: str) -> str:
    """The commonest slip: a text or a quantity without its quotes."""
    if source.count('"') == 1:
        return "a text needs quotes at both ends"
    key, equals, value = source.partition("=")
    value = value.partition("#")[0].strip()
    if equals and value and not _is_toml(value):
        return f'write {key.strip()} = "{value}"'
    return ""


def _is_toml(value: str) -> bool:
    if value[0] in "\"'[{":
        return True
    try:
        tomllib.loads(f"value = {value}")
    except ValueError:
        return False
    return True


# Policies by name, parameters by full name ------------------------------------------------------


def _name_policies(source: Source) -> None:
    """Turn the list of `[[policy]]` tables into a table by name."""
    if "policy" not in source.data:
        return
    found = source.data.pop("policy")
    if not found:
        return
    source.data["policy"] = {}
    old = {path: place for path, place in source.places.items() if path[0] == "policy"}
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        text = "each policy is a section of its own with double brackets"
        source.report(("policy",), text, '[[policy]], and below it name = "…"', key=True)
        return
    inside: dict[Path, dict[Path, Place]] = {}
    for path in old:
        if len(path) > 1:
            inside.setdefault(path[:2], {})[path[2:]] = source.places.pop(path)
    for number, entry in enumerate(found):
        name = _name_of(source, entry, number, old)
        for rest, place in inside["policy", number].items():
            key = ".".join(("policy", name, *(str(part) for part in rest)))
            if rest[:1] == (RULE,) and len(rest) > 1 and isinstance(rest[1], int):
                key = ".".join((f"policy.{name}.rule {rest[1] + 1}", *map(str, rest[2:])))
            source.places[("policy", name, *rest)] = replace(place, key=key)
        source.data["policy"][name] = entry


def _name_of(source: Source, entry: dict[str, Any], number: int, old: dict[Path, Place]) -> str:
    """A policy's name; a stand-in, with the problem noted, if it has none or not its own."""
    known = source.data["policy"]
    stand_in = f"policy_{number + 1}"
    if "name" not in entry:
        place = old[("policy", number)]
        source.problems.append(
            problem_at(place, "this policy has no name", 'add name = "…" below it', key=True)
        )
        return stand_in
    place = old[("policy", number, "name")]
    try:
        name = policy_name(entry["name"])
    except Wrong as error:
        text = f"policy {number + 1}, name: {error}"
        source.problems.append(problem_at(place, text, error.suggestion))
        return stand_in
    if name in known:
        text = f"a second policy is called '{name}'"
        source.problems.append(problem_at(place, text, "give each policy its own name"))
        return stand_in
    return name


def _flatten_parameters(source: Source) -> None:
    """Turn `[parameters.folfox]` tables and dotted keys into full names."""
    found = source.data.get("parameters")
    if not isinstance(found, dict):
        return
    flat: dict[str, Any] = {}
    given = dict(source.places)
    for path, value in _leaves(found, ("parameters",)):
        name = ".".join(str(part) for part in path[1:])
        place = given[path]
        if name in flat:
            source.problems.append(problem_at(place, f"'{name}' is given twice", key=True))
            continue
        flat[name] = value
        source.places[("parameters", name)] = replace(place, key=f"parameters.{name}")
    source.data["parameters"] = flat


def _leaves(table: dict[str, Any], path: Path) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            found += _leaves(value, (*path, key))
        else:
            found.append(((*path, key), value))
    return found


# Merging --------------------------------------------------------------------------------------


def merged(parent: Source, child: Source) -> Source:
    """The child's values over the parent's."""
    data = _merged_tables(parent.data, child.data)
    found = dict(parent.places)
    for name, count in _rule_counts(child).items():
        parent_rules = rules_of(parent, name)
        if count and parent_rules:
            data["policy"][name][RULE] = [*rules_of(child, name), *parent_rules]
            path: Path = ("policy", name, RULE)
            found |= moved_rules(parent, path, path, count)
    found |= child.places
    problems = parent.problems + child.problems
    return Source(child.file, data, found, problems, parent.incomplete)


def rules_of(source: Source, name: str) -> list[Any]:
    """The raw rules that a policy itself has; nothing if they are not a list of sections."""
    policies = source.data.get("policy")
    entry = policies.get(name) if isinstance(policies, dict) else None
    rules = entry.get(RULE) if isinstance(entry, dict) else None
    proper = isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules)
    return rules if proper else []  # type: ignore[return-value]


def _rule_counts(source: Source) -> dict[str, int]:
    policies = source.data.get("policy")
    names = policies if isinstance(policies, dict) else {}
    return {name: len(rules_of(source, name)) for name in names}


def moved_rules(source: Source, old: Path, new: Path, by: int) -> dict[Path, Place]:
    """The places of the rules at path `old`, for when they stand at `new` behind `by` others."""
    size = len(old)
    return {
        (*new, int(path[size]) + by, *path[size + 1 :]): place
        for path, place in source.places.items()
        if len(path) > size and path[:size] == old
    }


def _merged_tables(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in child.items():
        old = parent.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merged_tables(old, value) if both else value  # type: ignore[arg-type]
    return merged
