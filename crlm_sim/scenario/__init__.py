"""What the user writes: TOML files, checked and turned into immutable scenarios.

`load(path)` gives a `Scenario` or raises `ScenarioError`, which names every problem with its line
and the nearest fix.
"""

from crlm_sim.scenario.loading import check, load, loads
from crlm_sim.scenario.messages import Problem, ScenarioError
from crlm_sim.scenario.model import Outcomes, Policy, Population, Run, Scenario, Service
from crlm_sim.scenario.schema import json_schema
from crlm_sim.scenario.writing import template, to_toml

__all__ = [
    "Outcomes",
    "Policy",
    "Population",
    "Problem",
    "Run",
    "Scenario",
    "ScenarioError",
    "Service",
    "check",
    "json_schema",
    "load",
    "loads",
    "template",
    "to_toml",
]
