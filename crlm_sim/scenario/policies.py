"""Inheritance of policies: each says only where it differs from the one it builds on."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from crlm_sim.scenario.messages import nearest, shown
from crlm_sim.scenario.source import RULE, Source, moved_rules, rules_of

STANDARD = "standard"
_OWN = ("name", "label", "base")
"""What a policy does not inherit."""


@cache
def library() -> dict[str, dict[str, Any]]:
    """The shipped policies by name, each with everything it inherits from `standard`."""
    text = resources.files("crlm_sim.scenario").joinpath("policies.toml").read_text("utf-8")
    raw = {entry["name"]: entry for entry in tomllib.loads(text)["policy"]}
    standard = inheritable(raw[STANDARD])
    return {name: _of_library(standard, raw[STANDARD], entry) for name, entry in raw.items()}


def _of_library(
    settings: dict[str, Any], standard: dict[str, Any], entry: dict[str, Any]
) -> dict[str, Any]:
    below = [] if entry is standard else standard.get(RULE, [])
    rules = [*entry.get(RULE, []), *below]
    return {**settings, **entry, **({RULE: rules} if rules else {})}


def inheritable(entry: dict[str, Any]) -> dict[str, Any]:
    """The settings a policy hands down; its rules come after those of the heir."""
    return {key: value for key, value in entry.items() if key not in (*_OWN, RULE)}


def resolve(source: Source) -> None:
    """Give every policy of a source what it inherits, with the place each value came from.

    Without `base` a policy builds on the library's policy of its own name, else on `standard`.
    """
    if "policy" not in source.data:
        return
    raw: dict[str, dict[str, Any]] = source.data["policy"]
    circles: set[frozenset[str]] = set()
    resolved = {}
    for name in raw:
        chain, root = _chain(source, raw, name, circles)
        values = dict(root)
        root_rules = values.pop(RULE, [])
        for step in reversed(chain):
            values.update(inheritable(raw[step]))
            if step != name:
                _hand_down_places(source, raw[step], step, name)
        values.update(_rules(source, raw[name], chain, root_rules))
        values["label"] = _label(raw[name], name)
        values["name"] = name
        resolved[name] = values
    source.data["policy"] = resolved


def _rules(
    source: Source, entry: dict[str, Any], chain: list[str], root: list[Any]
) -> dict[str, Any]:
    """A policy's own rules, then those of what it builds on, each with its place."""
    child = chain[0]
    if RULE in entry and not rules_of(source, child):
        return {RULE: entry[RULE]}
    rules: list[Any] = []
    for step in chain:
        if step != child and rules_of(source, step):
            old, new = ("policy", step, RULE), ("policy", child, RULE)
            source.places |= moved_rules(source, old, new, len(rules))
        rules += rules_of(source, step)
    rules += root
    return {RULE: rules} if rules else {}


def _chain(
    source: Source, raw: dict[str, dict[str, Any]], name: str, circles: set[frozenset[str]]
) -> tuple[list[str], dict[str, Any]]:
    """The policies of the file that `name` builds on, itself first, and the library's below."""
    chain = [name]
    while True:
        last = chain[-1]
        base = raw[last].get("base")
        path = ("policy", last, "base")
        if base is None:
            return chain, _library_root(last)
        name_given = isinstance(base, str)
        if name_given and base in library() and (base == last or base not in raw):
            return chain, _library_root(base)
        if not name_given or base not in raw:
            known = [other for other in (*raw, *library()) if other != last]
            hint = nearest(base, known) if name_given else ""
            if not source.incomplete:
                source.wrong(path, f"unknown policy {shown(base)}", hint)
            return chain, _library_root(last)
        if base in chain:
            _report_circle(source, [*chain[chain.index(base) :], base], circles)
            return chain, _library_root(STANDARD)
        chain.append(base)


def _report_circle(source: Source, circle: list[str], circles: set[frozenset[str]]) -> None:
    if frozenset(circle) in circles:
        return
    circles.add(frozenset(circle))
    path = ("policy", circle[0], "base")
    text = f"these policies build on each other in a circle: {' → '.join(circle)}"
    source.wrong(path, text, f"give one of them another base, such as '{STANDARD}'")


def _library_root(name: str) -> dict[str, Any]:
    entry = library().get(name, library()[STANDARD])
    return {key: value for key, value in entry.items() if key not in _OWN}


def _label(entry: dict[str, Any], name: str) -> Any:
    if "label" in entry:
        return entry["label"]
    own = library().get(name, {}) if entry.get("base", name) == name else {}
    return own.get("label", name.replace("_", " ").capitalize())


def _hand_down_places(source: Source, entry: dict[str, Any], parent: str, child: str) -> None:
    for key in inheritable(entry):
        source.places.setdefault(("policy", child, key), source.place(("policy", parent, key)))
