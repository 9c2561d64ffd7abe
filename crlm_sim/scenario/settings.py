"""Settings given beside a scenario: `key=value`, put over what its files say."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date, datetime, time

from crlm_sim.scenario.lines import Path, Place
from crlm_sim.scenario.messages import Wrong, nearest, problem_at
from crlm_sim.scenario.source import Source

SETTING = "--set"


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
    if keys[2:3] in (["rule"], ["rules"]):
        raise Wrong("the rules of a policy cannot be set", "write them in the scenario file")
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
