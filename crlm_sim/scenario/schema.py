"""The JSON schema of scenario files, by which editors complete and check them while one types."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from crlm_sim.evidence import Parameter, parameters
from crlm_sim.scenario.kinds import NONE, POPULATIONS
from crlm_sim.scenario.loading import WAITED_FOR
from crlm_sim.scenario.model import (
    Economics,
    Outcomes,
    Policy,
    Population,
    Rule,
    Run,
    Scenario,
    Service,
)
from crlm_sim.scenario.packing import SETTINGS
from crlm_sim.scenario.parameters import (
    all_names,
    least_and_most,
    population_names,
    takes_percent,
)
from crlm_sim.scenario.policies import STANDARD, library
from crlm_sim.scenario.quantities import DURATION_PATTERN, PERCENT_PATTERN
from crlm_sim.scenario.region import Arrivals, Calendar, Hospital, Station
from crlm_sim.scenario.source import RULE

Schema = dict[str, Any]

_DRAFT = "http://json-schema.org/draft-07/schema#"


def json_schema() -> Schema:
    """The schema of a scenario file."""
    texts = _fields(Scenario)
    base = {"type": "string", "description": "A scenario file this one builds on."}
    properties = {
        "title": texts["title"],
        "description": texts["description"],
        "base": base,
        "run": _object(_fields(Run), Run.__doc__),
        "population": _population(),
        "parameters": _parameters(),
        "services": _object({name: _service() for name in WAITED_FOR}, Service.__doc__),
        "hospitals": _named(_whole(Hospital), "Hospitals by name."),
        "calendar": _whole(Calendar),
        "arrivals": _whole(Arrivals),
        "policy": {"type": "array", "items": _policy()},
        "economics": _object(_fields(Economics), Economics.__doc__),
        "outcomes": _object(_fields(Outcomes), Outcomes.__doc__),
    }
    return {"$schema": _DRAFT, "title": "crlm_sim scenario"} | _object(properties, Scenario.__doc__)


def schema_text() -> str:
    """The schema as it stands in `scenarios/schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _object(properties: Schema, description: str | None) -> Schema:
    return {
        "type": "object",
        "description": (description or "").strip(),
        "additionalProperties": False,
        "properties": properties,
    }


def _fields(model: type[BaseModel]) -> Schema:
    """The model's fields, without the headings pydantic makes from their names."""
    found = model.model_json_schema()["properties"]
    return {name: _without(entry, "title", "default") for name, entry in found.items()}


def _without(entry: Schema, *keys: str) -> Schema:
    return {key: value for key, value in entry.items() if key not in keys}


def _only(entry: Schema, *keys: str) -> Schema:
    return {key: entry[key] for key in keys}


def _service() -> Schema:
    """A stated wait, or sessions by hospital ("none" takes a station of the base away)."""
    station = {"anyOf": [_whole(Station), {"enum": [NONE]}]}
    return _object(_fields(Service), None) | {"additionalProperties": station}


def _named(entry: Schema, description: str) -> Schema:
    return {"type": "object", "description": description, "additionalProperties": entry}


def _whole(model: type[BaseModel]) -> Schema:
    """A section with the sections inside it, references put in their places."""
    found = model.model_json_schema()
    return _resolved(found, found.get("$defs", {}))


def _resolved(entry: Any, definitions: Schema) -> Any:
    if isinstance(entry, list):
        return [_resolved(one, definitions) for one in entry]
    if not isinstance(entry, dict):
        return entry
    if "$ref" in entry:
        return _resolved(definitions[entry["$ref"].rpartition("/")[2]], definitions)
    kept = _without(entry, "$defs", "title", "default")
    return {key: _resolved(value, definitions) for key, value in kept.items()}


def _policy() -> Schema:
    fields = _fields(Policy)
    fields[RULE] = _without(fields[RULE], "items") | {"items": _rule(fields)}
    for name, value in library()[STANDARD].items():
        if name in SETTINGS:
            fields[name] = fields[name] | {"default": value}
    fields["base"] = {"type": "string", "description": "The policy this one builds on."}
    return _object(fields, Policy.__doc__) | {"required": ["name"]}


def _rule(fields: Schema) -> Schema:
    settings = _object({name: fields[name] for name in SETTINGS}, None) | {"minProperties": 1}
    texts = _fields(Rule)
    properties = {"when": texts["when"], "do": settings | _only(texts["do"], "description")}
    return _object(properties, Rule.__doc__) | {"required": ["when", "do"]}


def _population() -> Schema:
    base = {"enum": list(POPULATIONS), "description": "The population the changes apply to."}
    fields = {name: _same_as(name) for name in population_names()}
    eligible = _fields(Population)["eligible"]
    return _object(
        {"base": base, "eligible": eligible, **fields},
        "Who is diagnosed: changes to a named population.",
    )


def _parameters() -> Schema:
    """Every parameter by its full name, and those of a table under their row as well."""
    fields: Schema = {}
    for name in all_names():
        fields[name] = _parameter(parameters()[name])
        row, dot, column = name.partition(".")
        if dot:
            nested = fields.setdefault(row, _object({}, f"Parameters of {row}."))
            nested["properties"][column] = _same_as(name)
    return _object(fields, "Any parameter of the model, by name.")


def _same_as(name: str) -> Schema:
    return {"$ref": f"#/properties/parameters/properties/{name}"}


def _parameter(parameter: Parameter) -> Schema:
    number = _number(parameter)
    if not parameter.is_scalar:
        size = len(parameter.value)
        number = {"type": "array", "items": number, "minItems": size, "maxItems": size}
    value = ", ".join(f"{item:g}" for item in parameter.value)
    note = f"; {parameter.note}" if parameter.note else ""
    text = f"{parameter.unit}; {value} unless set. {parameter.source}{note}"
    return number | {"description": text}


def _number(parameter: Parameter) -> Schema:
    least, most = least_and_most(parameter)
    number: Schema = {"type": "number"}
    if least is not None:
        number["minimum"] = least
    if most is not None:
        number["maximum"] = most
    if takes_percent(parameter):
        return {"anyOf": [number, {"type": "string", "pattern": PERCENT_PATTERN}]}
    if parameter.unit == "days":
        return {"anyOf": [number, {"type": "string", "pattern": DURATION_PATTERN}]}
    return number
