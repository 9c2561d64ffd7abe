"""From a scenario file and the files it builds on to one tree of raw values."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path as FilePath
from typing import Literal

from crlm_sim.scenario.messages import Problem, ScenarioError, Wrong, nearest, shown
from crlm_sim.scenario.source import Source, merged, read_text

MOST_BYTES = 5 * 1024 * 1024


def read_file(path: FilePath) -> Source:
    """A scenario file merged over the files it builds on."""
    return _with_bases(read_text(_text(path, str(path)), str(path)), path.parent, (path,))


def read_plain_file(path: FilePath) -> Source:
    """A file of ours that is no scenario and builds on no other, such as a study."""
    return read_text(_text(path, str(path)), str(path))


def kind_of(path: FilePath) -> Literal["scenario", "study", "experiment", "trial"]:
    """What a file looks like: a study of published figures, an experiment, a trial to be planned,
    else a scenario."""
    try:
        found = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return "scenario"
    if "accrual" in found or "endpoint" in found:
        return "trial"
    if "figure" in found or "arm" in found:
        return "study"
    return "experiment" if "scenario" in found or "design" in found else "scenario"


def read(text: str, file: str, folder: FilePath) -> Source:
    """A scenario text merged over the files it builds on, which are sought in `folder`."""
    return _with_bases(read_text(text, file), folder, ())


def _with_bases(source: Source, folder: FilePath, chain: tuple[FilePath, ...]) -> Source:
    base = source.data.pop("base", None)
    if base is None:
        return source
    source.incomplete = True
    if not isinstance(base, str):
        source.wrong(("base",), f"must be the name of a file in quotes (got {shown(base)})")
        return source
    path = folder / base
    if any(os.path.realpath(path) == os.path.realpath(earlier) for earlier in chain):
        names = " → ".join(step.name for step in (*chain, path))
        source.wrong(("base",), f"these files build on each other in a circle: {names}")
        return source
    try:
        text = _text(path, base)
    except ScenarioError as error:
        source.wrong(("base",), error.problems[0].text, error.problems[0].suggestion)
        return source
    parent = _with_bases(read_text(text, str(path)), path.parent, (*chain, path))
    return merged(parent, source)


def _text(path: FilePath, shown_as: str) -> str:
    """The text of a file, or one clear reason why it cannot be had."""
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"this file is not UTF-8 text (byte {error.start + 1} is no part of a letter)"
        hint = "save it as UTF-8"
    except Wrong as error:
        text, hint = str(error), error.suggestion
    except ValueError:
        text, hint = "this cannot be the name of a file", ""
    except OSError as error:
        text, hint = f"cannot read this file: {error.strerror or error}", ""
    raise ScenarioError([Problem(shown_as, text, suggestion=hint)]) from None


def _bytes(path: FilePath) -> bytes:
    if path.is_dir():
        raise Wrong("this is a folder, not a scenario file")
    if not path.exists():
        raise Wrong("no such file", _similar_file(path))
    if not path.is_file():
        raise Wrong("this is not an ordinary file")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise Wrong(
            f"this file has {size / 2**20:.1f} MB, too much for a scenario",
            f"a scenario has at most {MOST_BYTES // 2**20} MB",
        )
    return path.read_bytes()


def _similar_file(path: FilePath) -> str:
    if not path.parent.is_dir():
        return ""
    found = sorted(other.name for other in path.parent.glob("*.toml"))
    hint = nearest(path.name, found) if found else ""
    return hint if hint.startswith("did") else ""
