"""A scenario back to TOML, with everything said and nothing to look up elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from crlm_sim.scenario.model import Scenario

SCHEMA_LINE = "#:schema schema.json\n"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TITLE = "TITLE"


def to_toml(scenario: Scenario) -> str:
    """The resolved scenario, which loads to an equal one without any base."""
    data = scenario.model_dump(mode="json", exclude_none=True)
    if not scenario.run.precision:
        del data["run"]["precision"], data["run"]["most_replications"]
    population = data["population"] | _values(data["population"].pop("parameters"))
    parts = [SCHEMA_LINE, _pairs({key: data[key] for key in ("title", "description")})]
    parts += [_section("[run]", data["run"]), _section("[population]", population)]
    parts += [_section("[parameters]", _values(data["parameters"]))]
    parts += [_section(f"[services.{name}]", pairs) for name, pairs in data["services"].items()]
    parts += _region(data.pop("region")) if scenario.region.hospitals else []
    for policy in data["policies"]:
        rules = policy.pop("rules")
        parts += [_section("[[policy]]", policy)]
        parts += [_section("[[policy.rule]]", rule) for rule in rules]
    parts += [_section("[economics]", data["economics"])]
    parts += [_section("[outcomes]", data["outcomes"])]
    return "\n".join(part for part in parts if part)


def _region(data: dict[str, Any]) -> list[str]:
    parts = [_section(f"[hospitals.{name}]", said) for name, said in data["hospitals"].items()]
    for service, stations in data["stations"].items():
        for name, said in stations.items():
            kept = {key: value for key, value in said.items() if value != []}
            parts.append(_section(f"[services.{service}.{name}]", kept))
    return [*parts, *(_section(f"[{key}]", data[key]) for key in ("calendar", "arrivals"))]


def template(title: str) -> str:
    """The commented scenario that `crlm new` writes."""
    text = resources.files("crlm_sim.scenario").joinpath("template.toml").read_text("utf-8")
    return text.replace(f'"{_TITLE}"', _text(title.strip() or "A new scenario"), 1)


def _values(parameters: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Parameter values as a file gives them: one number, or a list."""
    return {name: value[0] if len(value) == 1 else value for name, value in parameters.items()}


def _section(heading: str, pairs: Mapping[str, Any]) -> str:
    return f"{heading}\n{_pairs(pairs)}" if pairs else ""


def _pairs(pairs: Mapping[str, Any]) -> str:
    return "".join(f"{_key(key)} = {value_text(value)}\n" for key, value in pairs.items())


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def value_text(value: Any) -> str:
    """A value as a TOML file or a setting writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(item) for item in value)}]"
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(f'{_key(key)} = {value_text(item)}' for key, item in value.items())} }}"
        )
    return repr(value)


def _text(value: str) -> str:
    """A basic string; JSON's escapes are TOML's too, which also wants the delete sign escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
