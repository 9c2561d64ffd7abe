"""What people look at: a run's page, one self-contained HTML file, and what a terminal shows.

`write_report(run_folder)` writes the page; nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crlm_sim.report.page import write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'crlm_sim.report' has no attribute '{name}'")
    from crlm_sim.report import page

    return getattr(page, name)
