"""What is wrong with a file, said so that its author can mend it, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crlm_sim.scenario.lines import Place

_SHOWN_WIDTH = 100
_SHOWN_BEFORE = 40
_MOST_NAMES = 12


class Wrong(ValueError):
    """A value that cannot be used; `suggestion` says what would do."""

    def __init__(self, text: str, suggestion: str = "") -> None:
        super().__init__(text)
        self.suggestion = suggestion


@dataclass(frozen=True)
class Problem:
    """One thing wrong: where, what, and the nearest fix. Columns count from 0."""

    file: str
    text: str
    line: int | None = None
    start: int = 0
    end: int = 0
    source: str = ""
    suggestion: str = ""

    @property
    def headline(self) -> str:
        """`file:line: text`, without the excerpt."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return _printable(f"{where}: {self.text}")

    def __str__(self) -> str:
        if self.line is None or not self.source.strip():
            return "; ".join(part for part in (self.headline, self.suggestion) if part)
        source, start, end = _excerpt(self.source, self.start, self.end)
        mark = " " * start + "^" * (end - start)
        lines = (
            self.headline,
            f"{self.line:>5} | {source}",
            f"      | {mark} {self.suggestion}".rstrip(),
        )
        return "\n".join(lines)


class ScenarioError(ValueError):
    """A scenario that cannot be used. `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def problem_at(
    place: Place | None, text: str, suggestion: str = "", *, key: bool = False
) -> Problem:
    """The problem at a place, marking the value there, or the key."""
    if place is None:
        return Problem("scenario", text, suggestion=suggestion)
    start, end = place.key_span if key or place.value_span is None else place.value_span
    return Problem(place.file, text, place.line, start, end, place.source, suggestion)


def nearest(word: str, known: Sequence[str]) -> str:
    """`did you mean 'x'?` for the known word nearest to `word`, else the known words."""
    found = difflib.get_close_matches(word, known, n=1)
    if not found:
        folded = {name.casefold().replace("-", "_"): name for name in known}
        match = difflib.get_close_matches(word.casefold().replace("-", "_"), list(folded), n=1)
        found = [folded[match[0]]] if match else _holding(word, known)
    if found:
        return f"did you mean '{found[0]}'?"
    return one_of(known)


def _holding(word: str, known: Sequence[str]) -> list[str]:
    """The known word of which `word` is a part, if there is just one."""
    found = [name for name in known if len(word) > 2 and word.casefold() in name.casefold()]
    return found if len(found) == 1 else []


def one_of(known: Sequence[str]) -> str:
    """The known words, or the first of them when there are many."""
    known = list(dict.fromkeys(known))
    shown = ", ".join(known[:_MOST_NAMES])
    if len(known) > _MOST_NAMES:
        return f"known are {shown} and {len(known) - _MOST_NAMES} more"
    return f"use one of {shown}" if len(known) > 1 else f"use {shown}"


def shown(value: object) -> str:
    """A value as its author would recognise it, cut when long."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, dict):
        text = "a section"
    elif isinstance(value, str):
        text = f"'{value}'"
    else:
        text = _plain(value)
    text = _printable(text)
    return text if len(text) <= _SHOWN_BEFORE else text[: _SHOWN_BEFORE - 1] + "…"


def _plain(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number beyond all bounds"


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _excerpt(source: str, start: int, end: int) -> tuple[str, int, int]:
    """The part of a source line to show, and where the mark goes in it."""
    source = _printable(source)
    end = min(max(end, start + 1), max(len(source), start + 1))
    if len(source) <= _SHOWN_WIDTH:
        return source, start, end
    cut = max(0, start - _SHOWN_BEFORE)
    source = source[cut : cut + _SHOWN_WIDTH]
    return source, start - cut, min(end - cut, len(source))
