"""Compiled functions: one decorator for all of them, and a cache that knows what they are made of.

numba looks only at a function's own file to see whether its cached machine code is still good. The
model's functions call one another across files, so the cache lives in a folder named by a hash of
all files that go into machine code: change any of them and everything is compiled anew.

`fastmath` stays off. Without it numba neither fuses nor reorders arithmetic, whether a function is
inlined into a loop or called from Python, and the two engines can be compared bit for bit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba

_PACKAGE = Path(__file__).parent
_ROOMS = (
    "compiled.py",
    "streams.py",
    "evidence",
    "disease",
    "care",
    "engines",
    "outcomes/hazards.py",
    "trials/normal.py",
    "trials/comparisons.py",
    "trials/allocation.py",
    "trials/chance.py",
    "trials/exponential.py",
)


def _sources() -> list[Path]:
    found: list[Path] = []
    for room in _ROOMS:
        path = _PACKAGE / room
        found += [path] if path.is_file() else sorted(path.glob("*.py"))
    return [*found, *sorted((_PACKAGE / "evidence").glob("*.toml"))]


def _cache_folder() -> Path:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.read_bytes())
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        base = Path(chosen)
    elif os.access(_PACKAGE, os.W_OK):
        base = _PACKAGE / "__pycache__"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "crlm_sim"
    return base / f"compiled-{digest.hexdigest()[:12]}"


CACHE_FOLDER = _cache_folder()
numba.config.CACHE_DIR = str(CACHE_FOLDER)  # type: ignore[attr-defined]

compiled = numba.njit(cache=True, error_model="numpy")
"""Decorator of every compiled function."""

compiled_parallel = numba.njit(cache=True, parallel=True, error_model="numpy")
"""Decorator of the loops over patients."""


@contextmanager
def threads_of(number: int | None) -> Iterator[None]:
    """Loops over patients run on at most this many threads meanwhile; None changes nothing."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(number or before, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def is_in_cache(name: str) -> bool:
    """Whether machine code of a function of this name is in the cache."""
    return any(CACHE_FOLDER.rglob(f"*.{name}-*.nbi"))
