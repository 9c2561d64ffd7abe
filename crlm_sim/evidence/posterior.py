"""The posterior that the calibration learned: draws of some parameters, with what they rest on.

`calibration/posterior.csv` has a column a learned number (`name`, or `name[2]` in a list) and one
for τ, the discrepancy between studies, and a row a draw. `posterior.json` beside it says from which
model, ranges and studies it was learned; a posterior of another model is refused.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODEL_VERSION = 2
"""Raised with every change after which the same parameters give other patients."""
TAU = "tau"
_SHIPPED = Path(__file__).parents[1] / "shipped_calibration"
_CHECKOUT = Path(__file__).parents[2] / "calibration"


class PosteriorError(ValueError):
    """A posterior that cannot be used: damaged, or learned for another model."""


@dataclass(frozen=True)
class Posterior:
    """Draws of the learned numbers, shape (draws, names), of τ, and where they come from."""

    names: tuple[str, ...]
    draws: NDArray[np.float64]
    tau: NDArray[np.float64]
    provenance: dict[str, Any]

    def values(self, draw: int) -> dict[str, float]:
        """The learned numbers of a draw from 1 on (counted round), or their medians (draw 0)."""
        row = (
            np.median(self.draws, axis=0) if draw == 0 else self.draws[(draw - 1) % len(self.draws)]
        )
        return dict(zip(self.names, row.tolist(), strict=True))


def calibration_folder() -> Path:
    """Where the targets and the posterior are: in the installed package, or the checkout."""
    return _SHIPPED if _SHIPPED.is_dir() else _CHECKOUT


def read_posterior(folder: Path) -> Posterior:
    """The posterior of a folder. Raises PosteriorError if it is not whole or of another model."""
    table, record = folder / "posterior.csv", folder / "posterior.json"
    try:
        rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
        provenance = json.loads(record.read_text(encoding="utf-8"))
        draws = np.array([[float(cell) for cell in row] for row in rows[1:]])
        names = tuple(rows[0])
        if not isinstance(provenance, dict) or len(set(names)) < len(names):
            raise ValueError("its columns or its record are not those of a posterior")
        if names[-1] != TAU or draws.shape[1:] != (len(names),) or not np.isfinite(draws).all():
            raise ValueError("its columns do not fit its first line")
        if (draws[:, -1] < 0.0).any():
            raise ValueError("a discrepancy below 0")
    except (OSError, ValueError, IndexError) as error:
        raise PosteriorError(f"{table} cannot be read: {error}; run `crlm calibrate`") from None
    model = provenance.get("model_version")
    if model != MODEL_VERSION:
        raise PosteriorError(
            f"{table} was learned for version {model} of the model, and this is version "
            f"{MODEL_VERSION}: run `crlm calibrate`"
        )
    return Posterior(names[:-1], draws[:, :-1], draws[:, -1], provenance)
