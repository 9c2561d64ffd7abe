"""Discrete-event simulation of treatment sequencing for synchronous colorectal liver metastases.

`load(path)` reads a scenario and `run(scenario)` simulates it; nothing heavy is imported before.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["load", "run"]

_HOMES = {"load": "crlm_sim.scenario", "run": "crlm_sim.experiments"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'crlm_sim' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
