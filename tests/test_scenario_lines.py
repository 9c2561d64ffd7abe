"""The scanner of key places, against the standard library's reader."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_sim.scenario.lines import places

ROOT = Path(__file__).parent.parent
OURS = sorted([*ROOT.glob("crlm_sim/**/*.toml"), *ROOT.glob("scenarios/*.toml")])
BARE = st.text("abcXYZ019_-", min_size=1, max_size=5)
QUOTED = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=5)
KEYS = st.one_of(BARE, QUOTED)
SCALARS = st.sampled_from(
    [
        "1",
        "-2.5e3",
        "true",
        "inf",
        "1979-05-27T07:32:00Z",
        '"a # b = [c]"',
        '"say \\"hi\\" \\\\"',
        "'C:\\path'",
        '""',
        "''",
        '"""\nkey = 1\n[table]\n""\\"" "quoted""""',
        "'''\n[[no]]\nx = '1'''''",
        '"""ends with two"""""',
    ]
)
FILLER = st.sampled_from(["", " ", "\n", " # x = [1]\n", "\n\n  "])


def written_key(draw: st.DrawFn, key: str) -> str:
    """The key bare where it may be, else quoted in one of the two ways."""
    forms = [json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")]
    if "'" not in key and key.isprintable():
        forms.append(f"'{key}'")
    if key and set(key) <= set("abcXYZ019_-"):
        forms.append(key)
    return draw(st.sampled_from(forms))


def written_value(draw: st.DrawFn, depth: int) -> str:
    kind = draw(st.sampled_from(["scalar", "scalar", "array", "table"])) if depth else "scalar"
    if kind == "scalar":
        return draw(SCALARS)
    count = draw(st.integers(0, 3))
    if kind == "array":
        gap = draw(FILLER)
        items = [f"{gap}{written_value(draw, depth - 1)}{gap}" for _ in range(count)]
        comma = "," if items and draw(st.booleans()) else ""
        return f"[{','.join(items)}{comma}{gap}]"
    keys = draw(st.lists(KEYS, min_size=count, max_size=count, unique=True))
    pairs = [f"{written_key(draw, key)} = {written_value(draw, depth - 1)}" for key in keys]
    return "{ " + ", ".join(pairs) + " }"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Texts that look like TOML; the ones that repeat a key are not."""
    lines = []
    for _ in range(draw(st.integers(0, 8))):
        keys = [written_key(draw, key) for key in draw(st.lists(KEYS, min_size=1, max_size=3))]
        dotted = draw(st.sampled_from([".", " . "])).join(keys)
        kind = draw(st.sampled_from(["pair", "pair", "table", "array of tables", "comment"]))
        if kind == "pair":
            line = f"{dotted} ={draw(st.sampled_from(['', ' ']))}{written_value(draw, 2)}"
        elif kind == "comment":
            line = f"# {dotted} = 1"
        else:
            line = f"[ {dotted} ]" if kind == "table" else f"[[{dotted}]]"
        lines.append(draw(st.sampled_from(["", "  ", "\n"])) + line)
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


def paths_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every key path tomllib found, and every place in an array."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        nested = isinstance(inner, dict | list)
        found += paths_of(inner, (*path, key)) if nested else [(*path, key)]
    return found


def read(text: str) -> dict | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def assert_every_key_is_placed(text: str, data: dict) -> None:
    found = places(text, "x.toml")
    lines = text.replace("\r\n", "\n").split("\n")
    expected = paths_of(data)
    assert set(found) == set(expected)
    for path in expected:
        place = found[path]
        assert place.source == lines[place.line - 1]
        if isinstance(path[-1], str):
            written = place.source[slice(*place.key_span)]
            assert next(iter(tomllib.loads(f"{written} = 0"))) == path[-1]


@settings(max_examples=200, deadline=None)
@given(documents())
def test_every_key_tomllib_finds_has_its_line(text: str) -> None:
    data = read(text)
    if data is not None:
        assert_every_key_is_placed(text, data)


TRICKY = """\
a.b . "c.d" = [ # first
  1, [2, { x = 1, y.z = "}" }], # ]
]
text = \"\"\"
fake = 1
[fake]\"\"\"
[table . 'quoted key']
k = {}
[[list]]
n = 1
[list.sub]
m = 1
[[list.deep]]
[[list]]
n = 2
[[list.deep]]
p = ''
"""


def test_tricky_constructions() -> None:
    assert_every_key_is_placed(TRICKY, tomllib.loads(TRICKY))
    found = places(TRICKY, "x.toml")
    assert found["a", "b", "c.d", 1, 1, "y", "z"].line == 2
    assert found["list", 1, "n"].line == 15
    assert found["list", 1, "deep", 0, "p"].source == "p = ''"


def test_span_of_a_value() -> None:
    place = places('key = "8 weeks"  # why\nlist = [1,\n2]', "x.toml")
    assert place["key",].source[slice(*place["key",].value_span)] == '"8 weeks"'
    assert place["list",].source[slice(*place["list",].value_span)] == "[1,"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_own_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert_every_key_is_placed(text, tomllib.loads(text))


def test_a_key_of_ten_thousand_parts_is_refused_at_once() -> None:
    with pytest.raises(RecursionError):
        places(".".join(["a"] * 10_000) + " = 1", "x.toml")
