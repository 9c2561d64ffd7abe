"""Keeping a posterior: a table of draws and, beside it, all that it rests on."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from crlm_sim import __version__
from crlm_sim.calibration.fit import Fitted, diagnostics, studies_hash
from crlm_sim.evidence.posterior import MODEL_VERSION, TAU

_RECORDED = ("numpy", "scipy", "scikit-learn", "emcee", "arviz", "dask", "numba")


def write_posterior(fitted: Fitted, studies: Path, folder: Path, command: str) -> dict[str, Any]:
    """Write `posterior.csv` and `posterior.json` into a folder; returns what the second holds.

    Both are written under other names and then renamed.
    """
    record = {
        "model_version": MODEL_VERSION,
        "program": f"crlm_sim {__version__}",
        "command": command,
        "settings": asdict(fitted.settings),
        "studies_sha256": studies_hash(studies),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": {name: metadata.version(name) for name in _RECORDED},
        "diagnostics": diagnostics(fitted),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "posterior.csv", table(fitted))
    _replace(folder / "posterior.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def table(fitted: Fitted) -> str:
    """The draws as text: a column a learned number, six figures each, and τ."""
    names = [coordinate.name for coordinate in fitted.space]
    lines = [",".join([*names, TAU])]
    for point, tau in zip(fitted.z, fitted.tau, strict=True):
        values = [c.at(float(z)) for c, z in zip(fitted.space, point, strict=True)]
        lines.append(",".join(f"{number:.6g}" for number in np.array([*values, tau])))
    return "\n".join(lines) + "\n"


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.rename(path)
