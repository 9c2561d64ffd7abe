"""From a file, the files it builds on and the settings given beside it, to one tree of raw values.

A `Source` is that tree with the place each value came from. In it policies are keyed by name and
parameters by their full name, so that merging and setting need no special case.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from pathlib import Path as FilePath
from typing import Any

from crlm_sim.scenario.lines import Path, Place, places
from crlm_sim.scenario.messages import Problem, ScenarioError, Wrong, nearest, problem_at, shown
from crlm_sim.scenario.model import policy_name

MOST_BYTES = 5 * 1024 * 1024
_TOML_PLACE = re.compile(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
SETTING = "--set"


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


def read_file(path: FilePath) -> Source:
    """A scenario file merged over the files it builds on."""
    return _with_bases(read_text(_text(path, str(path)), str(path)), path.parent, (path,))


def read(text: str, file: str, folder: FilePath) -> Source:
    """A scenario text merged over the files it builds on, which are sought in `folder`."""
    return _with_bases(read_text(text, file), folder, ())


def _with_bases(source: Source, folder: FilePath, chain: tuple[FilePath, ...]) -> Source:
    base = source.data.pop("base", None)
    if base is None:
        return source
    source.incomplete = True
    if not isinstance(base, str):
        source.wrong(("base",), f"must be the name of a file in quotes (got {shown(base)})")
        return source
    path = folder / base
    if any(os.path.realpath(path) == os.path.realpath(earlier) for earlier in chain):
        names = " → ".join(step.name for step in (*chain, path))
        source.wrong(("base",), f"these files build on each other in a circle: {names}")
        return source
    try:
        text = _text(path, base)
    except ScenarioError as error:
        source.wrong(("base",), error.problems[0].text, error.problems[0].suggestion)
        return source
    parent = _with_bases(read_text(text, str(path)), path.parent, (*chain, path))
    return _merged(parent, source)


def _text(path: FilePath, shown_as: str) -> str:
    """The text of a file, or one clear reason why it cannot be had."""
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"this file is not UTF-8 text (byte {error.start + 1} is no part of a letter)"
        hint = "save it as UTF-8"
    except Wrong as error:
        text, hint = str(error), error.suggestion
    except ValueError:
        text, hint = "this cannot be the name of a file", ""
    except OSError as error:
        text, hint = f"cannot read this file: {error.strerror or error}", ""
    raise ScenarioError([Problem(shown_as, text, suggestion=hint)]) from None


def _bytes(path: FilePath) -> bytes:
    if path.is_dir():
        raise Wrong("this is a folder, not a scenario file")
    if not path.exists():
        raise Wrong("no such file", _similar_file(path))
    if not path.is_file():
        raise Wrong("this is not an ordinary file")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise Wrong(
            f"this file has {size / 2**20:.1f} MB, too much for a scenario",
            f"a scenario has at most {MOST_BYTES // 2**20} MB",
        )
    return path.read_bytes()


def _similar_file(path: FilePath) -> str:
    if not path.parent.is_dir():
        return ""
    found = sorted(other.name for other in path.parent.glob("*.toml"))
    hint = nearest(path.name, found) if found else ""
    return hint if hint.startswith("did") else ""


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
    if equals and value and value[0] not in "\"'[{":
        return f'write {key.strip()} = "{value}"'
    return ""


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
    for path in old:
        if len(path) > 1:
            del source.places[path]
    for number, entry in enumerate(found):
        name = _name_of(source, entry, number, old)
        moved = {path: place for path, place in old.items() if path[:2] == ("policy", number)}
        for path, place in moved.items():
            key = ".".join(("policy", name, *(str(part) for part in path[2:])))
            source.places[("policy", name, *path[2:])] = replace(place, key=key)
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


# Merging and setting ----------------------------------------------------------------------------


def _merged(parent: Source, child: Source) -> Source:
    """The child's values over the parent's."""
    data = _merged_tables(parent.data, child.data)
    found = {**parent.places, **child.places}
    problems = parent.problems + child.problems
    return Source(child.file, data, found, problems, parent.incomplete)


def _merged_tables(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in child.items():
        old = parent.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merged_tables(old, value) if both else value  # type: ignore[arg-type]
    return merged


def apply_settings(source: Source, settings: Sequence[str]) -> None:
    """Put `key=value` settings over the values of the files."""
    for setting in settings:
        text, equals, value = setting.partition("=")
        text = text.strip()
        place = Place(f"{SETTING} {setting.strip()}", text)
        try:
            if not equals:
                raise Wrong("a setting is written KEY=VALUE", "such as run.patients=2000")
            path = _setting_path(source, _parsed_key(text))
            _put(source, path, _parsed_value(value.strip()), place)
        except Wrong as error:
            source.problems.append(problem_at(place, str(error), error.suggestion))


def _parsed_key(text: str) -> list[str]:
    if "\n" in text:
        raise Wrong("a key stands on one line")
    try:
        table = tomllib.loads(f"{text} = 0")
    except ValueError:
        raise Wrong(f"'{text}' is not a key", "write one such as run.patients") from None
    keys = []
    while isinstance(table, dict):
        key, table = next(iter(table.items()))
        keys.append(key)
    return keys


def _parsed_value(text: str) -> object:
    """A TOML value, or the text itself where it is none."""
    try:
        value = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    if list(value) != ["value"] or isinstance(value["value"], date | datetime | time):
        return text
    return value["value"]


def _setting_path(source: Source, keys: list[str]) -> Path:
    """The path a setting's key means in a source's tree."""
    if keys == ["base"]:
        raise Wrong("the file a scenario builds on cannot be set")
    if keys[0] == "parameters" and len(keys) > 1:
        return ("parameters", ".".join(keys[1:]))
    if keys[0] != "policy":
        return tuple(keys)
    known = list(source.data.get("policy") or {})
    if keys[2:] == ["name"]:
        raise Wrong("the name of a policy cannot be set")
    if len(keys) < 3:
        raise Wrong("say which policy and what of it", "such as policy.liver_first.lines=2")
    if keys[1] not in known:
        raise Wrong(f"unknown policy '{keys[1]}' in this scenario", nearest(keys[1], known))
    return tuple(keys)


def _put(source: Source, path: Path, value: object, place: Place) -> None:
    table = source.data
    for number, key in enumerate(path[:-1], start=1):
        inner = table.setdefault(str(key), {})
        if not isinstance(inner, dict):
            raise Wrong(f"{'.'.join(str(part) for part in path[:number])} is not a section")
        table = inner
    table[str(path[-1])] = value
    source.places[path] = place
