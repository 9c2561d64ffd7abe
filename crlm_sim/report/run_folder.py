"""Reading a run folder into one object."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_sim.report.numbers import Estimate, read_estimate

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Run:
    """What a run folder holds."""

    folder: Path
    summary: dict[str, Any]
    provenance: dict[str, Any]
    scenario: dict[str, Any]
    curves: xarray.Dataset | None

    @property
    def names(self) -> list[str]:
        """The policies, in the scenario's order."""
        return list(self.summary["policies"])

    @property
    def reference(self) -> str | None:
        """The policy that the others are compared with, if there are others."""
        found = self.summary.get("reference")
        return str(found) if found in self.summary["policies"] else None

    @property
    def compared(self) -> list[str]:
        """The policies that are compared with the reference."""
        differences = self.summary.get("differences") or {}
        return [name for name in self.names if name in differences and name != self.reference]

    @property
    def draws(self) -> int:
        """How many draws of the parameters were simulated."""
        found = self.summary.get("draws")
        if isinstance(found, int) and not isinstance(found, bool):
            return found
        return 1

    @property
    def has_money(self) -> bool:
        """Whether courses were costed; runs of older versions were not."""
        return "economics" in self.summary

    def label(self, name: str) -> str:
        """A policy's name for readers."""
        return str((self.summary.get("labels") or {}).get(name) or name.replace("_", " "))

    def estimate(self, policy: str, outcome: str) -> Estimate | None:
        """A policy's result, None if it could not be estimated."""
        return read_estimate(self.summary["policies"].get(policy, {}).get(outcome), self.draws)

    def difference(self, policy: str, outcome: str) -> Estimate | None:
        """A policy's paired difference from the reference, None if it could not be estimated."""
        differences = self.summary.get("differences") or {}
        return read_estimate((differences.get(policy) or {}).get(outcome), self.draws)


def _json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return found


def _curves(path: Path) -> xarray.Dataset | None:
    if not path.exists():
        return None
    import xarray

    with xarray.open_zarr(path, consolidated=False) as dataset:
        return dataset.load()


def read_run(folder: Path) -> Run:
    """The run in `folder`. Raises FileNotFoundError if it holds no `summary.json`."""
    summary = folder / "summary.json"
    if not summary.is_file():
        raise FileNotFoundError(f"{folder} is not the folder of a run: it has no summary.json")
    found = _json(summary)
    provenance = folder / "provenance.json"
    scenario = folder / "scenario.toml"
    return Run(
        folder=folder,
        summary=found,
        provenance=_json(provenance) if provenance.is_file() else {},
        scenario=tomllib.loads(scenario.read_text("utf-8")) if scenario.is_file() else {},
        curves=None if "points" in found else _curves(folder / "results.zarr"),
    )
