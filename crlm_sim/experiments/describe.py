"""What a scenario does and rests on, as plain data: one patient's course, steps, parameters."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from typing import Any

from crlm_sim.care.resectability import PLANS
from crlm_sim.care.steps import STEPS
from crlm_sim.disease.patient import CAUSES, MUTATIONS, PRIMARY_SITES
from crlm_sim.evidence import ACTIVITIES, REGIMENS, SERVICES, Parameter, pack, parameters
from crlm_sim.evidence import review as statements
from crlm_sim.evidence.parameters import changed
from crlm_sim.experiments.simulate import trace_patient
from crlm_sim.scenario import Scenario
from crlm_sim.scenario.region import Region

_DECISIONS = (
    ("symptomatic primary", "resected first; then CT and meeting again"),
    (PLANS[1], "by the policy's sequence; drugs first if it says perioperative"),
    (PLANS[2], "first stage if the spared side holds lesions, embolisation, CT, second stage"),
    ("major colorectal with major liver", "staged, colorectal first, if the policy says so"),
    (PLANS[3], "conversion drugs, re-evaluated; resected as soon as it can be cleared"),
    (PLANS[4], "drugs by line as long as they are received, then best supportive care"),
    ("progression under drugs", "the next line, or resection if it can still be cleared"),
    ("liver and primary clear", "adjuvant cycles if due and received, then surveillance"),
    ("recurrence", "meeting again: repeat resection if allowed and possible, else drugs"),
    ("acute complication of the primary", "emergency resection, whatever was planned"),
)


def trace(scenario: Scenario, number: int, draw: int = 0, replicate: int = 0) -> dict[str, Any]:
    """One patient at diagnosis and their course under every policy."""
    courses: dict[str, Any] = {}
    person: dict[str, Any] = {}
    for policy in scenario.policy_names:
        patient, steps = trace_patient(scenario, policy, number, draw=draw, replicate=replicate)
        person = {
            "patient": number,
            "age_years": round(float(patient["age_years"]), 1),
            "sex": ("man", "woman")[patient["sex"]],
            "performance_status": int(patient["performance_status"]),
            "primary": PRIMARY_SITES[patient["primary_site"]],
            "symptomatic_primary": bool(patient["symptomatic_primary"]),
            "node_positive": bool(patient["node_positive"]),
            "mutation": MUTATIONS[patient["mutation"]],
            "msi_high": bool(patient["msi_high"]),
            "cea_ng_ml": round(float(patient["cea_ng_ml"]), 1),
            "liver_lesions": int(patient["lesions"]),
            "largest_mm": round(float(patient["largest_mm"]), 1),
            "fong_score": int(patient["fong_score"]),
        }
        courses[policy] = {
            "steps": [asdict(step) for step in steps],
            "end_day": float(patient["end_minute"] / 1440),
            "end": CAUSES[patient["cause_of_death"]],
            "cured": bool(patient["cured"]),
        }
    return {"person": person, "policies": courses}


def _stations(region: Region) -> list[dict[str, Any]]:
    """Where patients queue: service, hospital, whose patients come, and when it is open."""
    return [
        {
            "service": service,
            "hospital": hospital,
            "patients_of": [n for n in region.hospitals if region.provider(service, n) == hospital],
            **station.model_dump(mode="json", exclude_none=True),
        }
        for service, stations in region.stations.items()
        for hospital, station in stations.items()
    ]


def explain(scenario: Scenario) -> dict[str, Any]:
    """Activities, decisions, policies, parameters and assumptions a scenario uses."""
    packed = pack(scenario.run.seed, 0, scenario.changes)[0]
    table = changed(scenario.changes)
    activities = [
        {
            "activity": name,
            "service": SERVICES[packed["activity_service"][place]],
            "lead_days": float(packed["activity_lead_days"][place]),
            "wait_days": float(packed["service_wait_days"][packed["activity_service"][place]]),
            "minutes": float(packed["activity_minutes"][place]),
        }
        for place, name in enumerate(ACTIVITIES)
    ]
    return {
        "title": scenario.title,
        "description": scenario.description,
        "steps": list(STEPS),
        "activities": activities,
        "stations": _stations(scenario.region),
        "regimens": list(REGIMENS),
        "decisions": [{"when": when, "then": then} for when, then in _DECISIONS],
        "policies": {
            policy.name: policy.model_dump(mode="json", exclude={"name", "rules"})
            for policy in scenario.policies
        },
        "rules": {
            policy.name: [{"when": rule.when, "do": dict(rule.do)} for rule in policy.rules]
            for policy in scenario.policies
        },
        "eligible": scenario.population.eligible,
        "changed_by_the_scenario": {name: list(value) for name, value in scenario.changes.items()},
        "parameters": [_plain(parameter) for parameter in table.values()],
        "assumptions": sum(parameter.is_assumption for parameter in table.values()),
    }


def evidence(name: str | None = None) -> dict[str, Any]:
    """The parameters whose name or group contains `name` (all if None)."""
    wanted = (name or "").lower()
    found = [
        _plain(parameter)
        for parameter in parameters().values()
        if wanted in parameter.name.lower() or wanted in parameter.group.lower()
    ]
    return {"parameters": found}


def review(name: str | None = None) -> dict[str, Any]:
    """The review's items whose id or section contains `name` (all if None), as measured."""
    wanted = (name or "").lower()
    rows = [
        row
        for row in statements.rows()
        if wanted in row.item.id or wanted in row.item.section.lower()
    ]
    found = [one for row in rows for one in row.found]
    return {
        "items": [statements.plain(row) for row in rows],
        "measured": len(found),
        "agreeing": sum(statements.agrees(one.verdict) for one in found),
    }


def nearest_parameters(name: str) -> list[str]:
    """Known parameter names like `name`."""
    return difflib.get_close_matches(name, list(parameters()), n=3, cutoff=0.4)


def _plain(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "group": parameter.group,
        "value": list(parameter.value),
        "lower": list(parameter.lower) if parameter.lower else None,
        "upper": list(parameter.upper) if parameter.upper else None,
        "law": parameter.law,
        "unit": parameter.unit,
        "source": parameter.source,
        "assumption": parameter.is_assumption,
        "placeholder": parameter.is_placeholder,
        "note": parameter.note,
    }
