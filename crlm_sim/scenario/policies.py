"""Inheritance of policies: each says only where it differs from the one it builds on."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from crlm_sim.scenario.messages import nearest, shown
from crlm_sim.scenario.source import Source

STANDARD = "standard"
_OWN = ("name", "label", "base")
"""What a policy does not inherit."""


@cache
def library() -> dict[str, dict[str, Any]]:
    """The shipped policies by name, each with everything it inherits from `standard`."""
    text = resources.files("crlm_sim.scenario").joinpath("policies.toml").read_text("utf-8")
    raw = {entry["name"]: entry for entry in tomllib.loads(text)["policy"]}
    standard = inheritable(raw[STANDARD])
    return {name: {**standard, **entry} for name, entry in raw.items()}


def inheritable(entry: dict[str, Any]) -> dict[str, Any]:
    """What a policy hands down."""
    return {key: value for key, value in entry.items() if key not in _OWN}


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
        for step in reversed(chain):
            values.update(inheritable(raw[step]))
            if step != name:
                _hand_down_places(source, raw[step], step, name)
        values["label"] = _label(raw[name], name)
        values["name"] = name
        resolved[name] = values
    source.data["policy"] = resolved


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
            return chain, inheritable(library()[base])
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
    return inheritable(library().get(name, library()[STANDARD]))


def _label(entry: dict[str, Any], name: str) -> Any:
    if "label" in entry:
        return entry["label"]
    own = library().get(name, {}) if entry.get("base", name) == name else {}
    return own.get("label", name.replace("_", " ").capitalize())


def _hand_down_places(source: Source, entry: dict[str, Any], parent: str, child: str) -> None:
    for key in inheritable(entry):
        source.places.setdefault(("policy", child, key), source.place(("policy", parent, key)))
