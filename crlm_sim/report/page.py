"""The run's page: everything put together, written as one file."""

from __future__ import annotations

import os
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_sim.report import assumptions, curves, flow, swimmer, tables, value, words
from crlm_sim.report.glossary import GLOSSARY
from crlm_sim.report.money import placeholders_sentence
from crlm_sim.report.run_folder import Run, read_run

if TYPE_CHECKING:
    import jinja2

_PACKAGE = "crlm_sim.report"
_TEMPLATE = "report.html.j2"
BUNDLE = "plotly-cartesian.min.js"
"""plotly.js with the cartesian charts alone, which is all the page needs."""


def need(*names: str) -> None:
    """Raise ImportError, saying what to install, unless these libraries are there."""
    for name in names:
        try:
            import_module(name)
        except ImportError as missing:
            raise ImportError(
                f"the report needs {name.partition('.')[0]}: pip install 'crlm-sim[web]'"
            ) from missing


def package_text(name: str) -> str:
    """A file of this package as text."""
    return resources.files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


def safe_json(text: str) -> str:
    """JSON that cannot end the script element it is written into."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _context(run: Run) -> dict[str, Any]:
    """All that the template prints."""
    kinds = words.interval_kinds(run)
    mixed = len(kinds) > 1
    groups = assumptions.parameter_groups(run)
    all_rows = [row for group in groups for row in group.rows]
    return {
        "title": str(run.summary.get("title") or run.summary.get("name") or run.folder.name),
        "description": str(run.summary.get("description") or ""),
        "name": Path(str(run.summary.get("run") or run.folder)).name,
        "asked": words.asked(run),
        "settings": words.settings(run),
        "uncertainty": words.uncertainty(run, kinds),
        "findings": words.findings(run),
        "caution": words.CAUTION,
        "band": words.band(run),
        "money": placeholders_sentence(run.summary["economics"]) if run.has_money else "",
        "interval": words.interval_name(kinds),
        "labels": [run.label(name) for name in run.names],
        "reference": run.label(run.reference) if run.reference else "",
        "curves": curves.curves(run),
        "levels": tables.levels(run, mixed),
        "interval_sentence": words.interval_sentence(kinds),
        "differences": tables.differences(run, mixed) if run.compared else [],
        "frontier": value.frontier(run),
        "value_pictures": value.pictures(run),
        "worth_knowing": value.worth_knowing(run),
        "flows": flow.flows(run),
        "swimmers": swimmer.swimmers(run),
        "swimmer_key": swimmer.key(),
        "policy_settings": assumptions.policy_settings(run),
        "rules": assumptions.rules(run),
        "other_settings": assumptions.other_settings(run),
        "changes": assumptions.changes(run),
        "parameter_groups": groups,
        "parameters": len(all_rows),
        "assumed": sum(row.is_assumption for row in all_rows),
        "provenance": assumptions.provenance_rows(run),
        "glossary": GLOSSARY,
        "plotly_js": package_text(BUNDLE),
    }


def environment() -> jinja2.Environment:
    """Where this package's templates are found, with everything escaped."""
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["safe_json"] = safe_json
    return found


def page(run: Run) -> str:
    """The page as HTML."""
    return environment().get_template(_TEMPLATE).render(_context(run))


def replace_file(path: Path, text: str) -> Path:
    """Write a file under another name and rename it, so that nobody reads half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a run folder, of whichever kind; returns its path.

    Raises FileNotFoundError if the folder holds no run, ImportError if plotly or Jinja2 is missing.
    """
    from crlm_sim.report.planning_page import is_planning, write_planning
    from crlm_sim.report.sweep_page import is_sweep, write_sweep

    folder = Path(run_folder)
    need("jinja2")
    if is_planning(folder):
        return write_planning(folder)
    if is_sweep(folder):
        return write_sweep(folder)
    need("plotly.graph_objects")
    text = page(read_run(folder))
    return replace_file(folder / "report.html", text)
