"""One section of a scenario at a time: raw values to its model, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from crlm_sim.scenario.lines import Path
from crlm_sim.scenario.messages import Wrong, nearest, shown
from crlm_sim.scenario.model import Outcomes, Rule, Run
from crlm_sim.scenario.packing import SETTINGS
from crlm_sim.scenario.parameters import population_names
from crlm_sim.scenario.rules import RuleError
from crlm_sim.scenario.source import RULE, Source

_EXAMPLES = {"when": 'when = "default"', "do": 'do = { timing = "upfront" }'}

Part = TypeVar("Part", bound=BaseModel)


def part(source: Source, model: type[Part], path: Path) -> Part | None:
    """One section as its model, or None with the problems noted."""
    data = section(source, path)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        note_errors(source, error, path, _keys(model))
        return None


def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a section, as they are written."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def section(source: Source, path: Path) -> dict[str, Any]:
    """A section's raw values; nothing, with the problem noted, if it is not a section."""
    data: Any = source.data
    for key in path:
        data = data.get(key, {})
    if isinstance(data, dict):
        return data
    name = ".".join(str(key) for key in path)
    source.wrong(path, f"must be a section (got {shown(data)})", f"write [{name}]")
    return {}


def note_errors(source: Source, error: ValidationError, path: Path, known: tuple[str, ...]) -> None:
    """Say in our words what pydantic found wrong in a section."""
    for entry in error.errors():
        where = (*path, *entry["loc"])
        cause = entry.get("ctx", {}).get("error")
        if entry["type"] == "extra_forbidden":
            unknown_key(source, where, _keys(Rule) if _in_rule(where) else known)
        elif entry["type"] == "missing" and _in_rule(where):
            source.wrong(where[:-1], f"{where[-1]} is missing", f"add {_EXAMPLES[str(where[-1])]}")
        elif entry["type"] == "missing":
            source.report(where[:-1], f"{where[-1]} is missing", f"add {where[-1]} = …", key=True)
        elif isinstance(cause, ValidationError):
            note_errors(source, cause, where, SETTINGS)
        elif isinstance(cause, RuleError):
            source.wrong_within(where, cause.column, cause.message, cause.suggestion)
        elif isinstance(cause, Wrong):
            source.wrong(where, str(cause), cause.suggestion)
        else:
            source.wrong(where, f"{entry['msg']} (got {shown(entry['input'])})")


def unknown_key(source: Source, path: Path, known: Sequence[str]) -> None:
    """Report a key nobody knows, with the nearest of the known ones."""
    *above, key = (str(step) for step in path)
    heading = f"[{'.'.join(above)}]" if above else "the scenario"
    if above[:1] == ["policy"]:
        heading = f"[[policy]] '{above[1]}'"
        if above[2:3] == [RULE]:
            heading = f"{'do' if 'do' in above else 'a rule'} of {heading}"
    if _in_rule(path) and key in SETTINGS:
        source.report(path, f"unknown key '{key}' in {heading}", "put it into do", key=True)
        return
    hint = _belongs(key) or nearest(key, known)
    source.report(path, f"unknown key '{key}' in {heading}", hint, key=True)


def _in_rule(path: Path) -> bool:
    """Whether a path is that of a key of a `[[policy.rule]]`."""
    return len(path) == 5 and path[0] == "policy" and path[2] == RULE


def _belongs(key: str) -> str:
    """Where a key belongs that stands in the wrong section."""
    if key in Run.model_fields:
        return "move it to [run]"
    if key in SETTINGS:
        return "move it to a [[policy]]"
    if key == RULE:
        return "write [[policy.rule]] below a [[policy]]"
    if key in Rule.model_fields:
        return "put it below a [[policy.rule]]"
    if key in Outcomes.model_fields:
        return "move it to [outcomes]"
    if key in population_names():
        return "move it to [population]"
    return ""
