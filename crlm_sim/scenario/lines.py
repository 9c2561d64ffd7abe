"""Where in a TOML text each key stands, which the standard library's reader does not tell.

`places` scans a text that `tomllib` has accepted already, so it looks for structure
only and never for faults. A path is the keys from the top, with a number for the place in an array.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace

Path = tuple[str | int, ...]

_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")
_SIGN = re.compile(
    r"(?P<none>\\[ \t]*\n[ \t\n]*)|\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}|\\.|.", re.DOTALL
)
"""One sign of a text in double quotes, or a line's end that stands for none."""
_ANY = re.compile(".", re.DOTALL)
_DEEPEST = 50
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")


@dataclass(frozen=True)
class Place:
    """Where a key and its value stand. Columns count from 0; a setting has no line."""

    file: str
    key: str
    line: int | None = None
    key_span: tuple[int, int] = (0, 0)
    value_span: tuple[int, int] | None = None
    source: str = ""
    written: str = ""
    """The value as it is written, where it is a text."""


def within(place: Place, column: int) -> tuple[int, int, str] | None:
    """Where a sign of a text value stands: line, column and that line; None if nobody knows."""
    if place.line is None or place.value_span is None or not place.written:
        return None
    at = _offset(place.written, column)
    above = place.written[:at].count("\n")
    if above == 0:
        return place.line, place.value_span[0] + at, place.source
    start = place.written.rfind("\n", 0, at) + 1
    return place.line + above, at - start, place.written[start:].partition("\n")[0]


def _offset(written: str, column: int) -> int:
    """Where the sign at a column of a text stands in the text as it is written, with its quotes."""
    long = written[:3] in ('"""', "'''")
    quotes = 3 if long else 1
    at = quotes + (long and written[quotes : quotes + 1] == "\n")
    pattern = _SIGN if written[0] == '"' else _ANY
    while column > 0 and at < len(written) - quotes:
        found = pattern.match(written, at)
        if found is None:
            break
        column -= not found["none"] if "none" in pattern.groupindex else 1
        at = found.end()
    return at


def places(text: str, file: str) -> dict[Path, Place]:
    """The place of every key, table and array item of a TOML text."""
    return _Scan(text.replace("\r\n", "\n"), file).document()


class _Scan:
    """One pass over the text; `at` is how far it has come."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.found: dict[Path, Place] = {}
        self.lengths: dict[Path, int] = {}
        """How many tables each array of tables has so far."""
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.line = 0

    def document(self) -> dict[Path, Place]:
        table: Path = ()
        while True:
            self.skip(_BLANK)
            if self.at >= len(self.text):
                return self.found
            if self.text.startswith("[[", self.at):
                table = self.header(2)
            elif self.text.startswith("[", self.at):
                table = self.header(1)
            else:
                self.pair(table)

    def header(self, brackets: int) -> Path:
        """`[a.b]` or `[[a.b]]`: the path of the table it opens."""
        self.at += brackets
        keys = self.keys()
        self.at += brackets
        path: Path = ()
        for number, (key, span) in enumerate(keys, start=1):
            path = (*path, key)
            self.note(path, span)
            last = number == len(keys)
            if last and brackets == 2:
                self.lengths[path] = self.lengths.get(path, 0) + 1
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
                self.note(path, span)
        return path

    def pair(self, table: Path) -> None:
        """`key = value`."""
        path = table
        for key, span in self.keys():
            path = (*path, key)
            self.note(path, span)
        self.at += 1  # the equals sign
        self.skip(_SPACE)
        self.value(path)

    def keys(self) -> list[tuple[str, tuple[int, int]]]:
        """A dotted key: each part with its span, leaving `at` on what follows."""
        found = []
        while True:
            self.skip(_SPACE)
            start = self.at
            self.skip(_KEY)
            found.append((_decoded(self.text[start : self.at]), (start, self.at)))
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return found
            self.at += 1

    def value(self, path: Path) -> None:
        start = self.at
        if self.text.startswith("[", start):
            self.array(path)
        elif self.text.startswith("{", start):
            self.inline_table(path)
        else:
            self.scalar()
        self.note_value(path, start, self.at)

    def array(self, path: Path) -> None:
        self.at += 1
        item = 0
        while True:
            self.skip(_BLANK)
            if self.text.startswith("]", self.at):
                self.at += 1
                return
            self.note((*path, item), (self.at, self.at + 1))
            self.value((*path, item))
            item += 1
            self.skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self.skip(_BLANK)
            if self.text.startswith("}", self.at):
                self.at += 1
                return
            self.pair(path)
            self.skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1

    def scalar(self) -> None:
        for string in _STRINGS:
            found = string.match(self.text, self.at)
            if found:
                self.at = found.end()
                return
        found = _BARE_VALUE.match(self.text, self.at)
        if found:
            self.at += len(found.group().rstrip())

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()

    def note(self, path: Path, span: tuple[int, int]) -> None:
        """Keep the first mention of a path."""
        if path in self.found:
            return
        if len(path) > _DEEPEST:
            raise RecursionError("nested too deeply")
        while self.starts[self.line + 1] <= span[0]:
            self.line += 1
        begin = self.starts[self.line]
        key = ".".join(str(part) for part in path)
        columns = (span[0] - begin, span[1] - begin)
        self.found[path] = Place(
            self.file, key, self.line + 1, columns, None, self.lines[self.line]
        )

    def note_value(self, path: Path, start: int, end: int) -> None:
        """Add where the value stands, as far as its key's own line goes."""
        place = self.found[path]
        begin = self.starts[(place.line or 1) - 1]
        stop = min(end - begin, len(place.source))
        if start - begin < stop:
            written = self.text[start:end] if self.text[start] in "\"'" else ""
            span = (start - begin, stop)
            self.found[path] = replace(place, value_span=span, written=written)


def _decoded(key: str) -> str:
    """What a bare or quoted key stands for."""
    if key[:1] in ("'", '"'):
        return next(iter(tomllib.loads(f"{key} = 0")))
    return key
