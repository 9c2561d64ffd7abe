"""What results depend on besides the scenario, as hashes: the program's sources, the posterior."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from crlm_sim.evidence.posterior import calibration_folder

_PACKAGE = Path(__file__).parents[1]
_ROOMS = (
    "compiled.py",
    "streams.py",
    "evidence",
    "disease",
    "care",
    "scenario",
    "engines",
    "outcomes",
    "experiments",
)
_KINDS = (".py", ".toml", ".csv")
_POSTERIOR = ("posterior.csv", "posterior.json")


@cache
def program_hash() -> str:
    """SHA-256 of everything in the package, and of the posterior, that can change a number."""
    files = [path for room in _ROOMS for path in _files(_PACKAGE / room)]
    files += [path for name in _POSTERIOR if (path := calibration_folder() / name).exists()]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(path for path in place.rglob("*") if path.suffix in _KINDS)
