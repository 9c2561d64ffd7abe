"""What people look at: a run's page, one self-contained HTML file, and what a terminal shows.

`write_report(run_folder)` writes the page of a run, `write_validation(path, …)` that of a
validation; nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crlm_sim.report.page import write_report
    from crlm_sim.report.validation_page import write_validation

__all__ = ["write_report", "write_validation"]
_ROOMS = {"write_report": "page", "write_validation": "validation_page"}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module 'crlm_sim.report' has no attribute '{name}'")
    return getattr(import_module(f"crlm_sim.report.{_ROOMS[name]}"), name)
