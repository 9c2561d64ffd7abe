"""The services patients ask for. In this version each has a place for everybody.

Waiting is then the scenario's stated distribution, drawn in `care`; where a later scenario models
capacity, the wait is what the queue makes it.
"""

from __future__ import annotations

import sys

import simpy

from crlm_sim.evidence import SERVICES

_EVERYBODY = sys.maxsize


def unlimited(env: simpy.Environment) -> list[simpy.Resource]:
    """One resource per service, in the order of `evidence`, none of which ever makes wait."""
    return [simpy.Resource(env, capacity=_EVERYBODY) for _ in SERVICES]
