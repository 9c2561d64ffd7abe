"""The review's table: well formed, runnable, measured, printed; the figures it cites exist."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crlm_sim.evidence import review
from crlm_sim.evidence.review import Arm, Item, Measure
from crlm_sim.outcomes import OUTCOMES
from crlm_sim.scenario import loads

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT.parent / "shared" / "evidence" / "published_figures.csv"
ITEMS = review.items()
BY_ID = {item.id: item for item in ITEMS}
GOOD: dict[str, Any] = {
    "id": "made_up",
    "section": "Imaging",
    "says": "Something.",
    "modelled": "Somewhere.",
    "published": "31 %",
    "source": ["the review"],
    "measure": [
        {"label": "it", "outcome": "resected", "value": 0.3, "lower": 0.2, "upper": 0.4},
    ],
}


def script() -> ModuleType:
    """docs/review.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("review_script", ROOT / "docs" / "review.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = script()


def measure(**keys: Any) -> Measure:
    """A measure of nothing, but for what is given."""
    return Measure(**{"label": "it", "outcome": "resected", "arm": Arm(), **keys})


# The table ---------------------------------------------------------------------------------------


def test_the_table_covers_the_review() -> None:
    assert len(ITEMS) > 60
    assert [*dict.fromkeys(item.section for item in ITEMS)] == list(review.SECTIONS)


def test_ids_fit_into_their_column() -> None:
    assert max(len(item.id) for item in ITEMS) <= 24


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_an_item_can_be_measured(item: Item) -> None:
    """Every outcome exists, and every arm is a scenario that holds together."""
    outcomes = {outcome.name: outcome for outcome in OUTCOMES}
    for one in item.measures:
        outcome = outcomes[one.outcome]
        if outcome.unit == "proportion":
            ends = (one.value, one.lower, one.upper)
            assert all(end is None or -1.0 <= end <= 1.0 for end in ends)
        for text in SCRIPT.scenario_texts(one, 100, 1):
            loaded = loads(text)
            assert loaded.reference == "standard"
            assert loaded.policy_names[1] == "arm"


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_an_item_was_measured(item: Item) -> None:
    (row,) = (row for row in review.rows() if row.item.id == item.id)
    assert len(row.found) == len(item.measures)
    assert row.patients > 0
    for one in row.found:
        assert not math.isnan(one.value)
        assert one.verdict.strip()


def test_what_was_measured_is_in_the_table() -> None:
    text = SCRIPT.MEASURED.read_text(encoding="utf-8")
    assert set(tomllib.loads(text)) <= set(BY_ID)


def test_published_figures_exist() -> None:
    if not PUBLISHED.exists():
        pytest.skip("the folder of published figures is not at hand")
    with PUBLISHED.open(encoding="utf-8") as file:
        known = {row["id"] for row in csv.DictReader(file)}
    known |= {"the review", "general knowledge"}
    cited = {(item.id, source) for item in ITEMS for source in item.source}
    assert {pair for pair in cited if pair[1] not in known} == set()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"says": " "}, "says is empty"),
        ({"published": ""}, "published is empty"),
        ({"source": []}, "source is empty"),
        ({"section": "Surgery"}, "section must be one of"),
        ({"id": "made up"}, "snake_case"),
        ({"verdict": "inside"}, "unknown key 'verdict'"),
        ({"measure": []}, "no measure"),
        ({"measure": [{"label": "it", "outcome": ""}]}, "outcome is empty"),
        ({"measure": [{"label": "it", "outcome": "resected"}]}, "needs value, lower and upper"),
        (
            {"measure": [GOOD["measure"][0] | {"lower": 0.35}]},
            "0.35 ≤ 0.3 ≤ 0.4 does not hold",
        ),
        (
            {"measure": [{"label": "it", "outcome": "resected", "direction": "up"}]},
            "needs against",
        ),
        (
            {
                "measure": [
                    {"label": "it", "outcome": "resected", "direction": "none"}
                    | {"against": {"policy": {"mri": True}}}
                ]
            },
            "margin above 0",
        ),
        ({"measure": [GOOD["measure"][0] | {"against": {}}]}, "an arm with itself"),
        ({"measure": [GOOD["measure"][0] | {"horizon": 5}]}, "unknown key 'horizon'"),
    ],
)
def test_a_bad_row_is_refused(changes: dict[str, Any], said: str) -> None:
    assert review.checked_items([GOOD])[0].id == "made_up"
    with pytest.raises(ValueError, match=r"^made.up: ") as error:
        review.checked_items([GOOD | changes])
    assert said in str(error.value)


def test_two_items_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="made_up: there are two"):
        review.checked_items([GOOD, GOOD])


# What was measured -------------------------------------------------------------------------------


def measured(**changes: Any) -> dict[str, Any]:
    """A file of results for the made-up item."""
    one = {"value": 0.5, "lower": 0.45, "upper": 0.55, "unit": "proportion"}
    found = [one | {"verdict": "misses by 5.0 points, above"} | changes]
    return {"made_up": {"patients": 100, "seed": 1, "found": found}}


def test_results_that_no_longer_fit_are_refused() -> None:
    table = review.checked_items([GOOD])
    (row,) = review.checked_rows(table, measured())
    assert row.patients == 100
    assert review.checked_rows(table, {})[0].found == ()
    with pytest.raises(ValueError, match=r"made_up: .* measure it again"):
        review.checked_rows(table, measured(verdict="inside"))
    with pytest.raises(ValueError, match="made_up: its measures changed"):
        review.checked_rows(table, {"made_up": measured()["made_up"] | {"found": []}})
    with pytest.raises(ValueError, match="other: measured, but not"):
        review.checked_rows(table, {"other": measured()["made_up"]})


@pytest.mark.parametrize(
    ("numbers", "unit", "said"),
    [
        ((0.3, 0.29, 0.31), "proportion", "inside"),
        ((0.45, 0.4, 0.5), "proportion", "inside"),
        ((0.45, 0.44, 0.46), "proportion", "misses by 4.0 points, above"),
        ((0.1, 0.09, 0.11), "proportion", "misses by 9.0 points, below"),
        ((0.401, 0.4001, 0.402), "proportion", "just above"),
        ((0.6, math.nan, math.nan), "months", "misses by 0.2 months, above"),
        ((math.nan, math.nan, math.nan), "months", "cannot be estimated"),
    ],
)
def test_verdict_on_a_figure(numbers: tuple[float, ...], unit: str, said: str) -> None:
    one = measure(value=0.3, lower=0.2, upper=0.4)
    assert review.verdict(one, *numbers, unit) == said


@pytest.mark.parametrize(
    ("direction", "lower", "upper", "said"),
    [
        ("up", 0.1, 0.2, "right"),
        ("up", -0.2, -0.1, "wrong by 10.0 points"),
        ("up", -0.2, -0.0001, "just wrong"),
        ("up", -0.1, 0.2, "not distinguishable"),
        ("up", 0.0, 0.0, "not distinguishable"),
        ("down", -0.2, -0.1, "right"),
        ("down", 0.1, 0.2, "wrong by 10.0 points"),
        ("none", -0.04, 0.05, "right"),
        ("none", 0.06, 0.09, "wrong by 1.0 points"),
        ("none", -0.09, -0.07, "wrong by 2.0 points"),
        ("none", 0.03, 0.09, "not distinguishable"),
    ],
)
def test_verdict_on_a_direction(direction: str, lower: float, upper: float, said: str) -> None:
    margin = 0.05 if direction == "none" else 0.0
    one = measure(direction=direction, margin=margin, against=Arm(policy={"mri": True}))
    assert review.verdict(one, (lower + upper) / 2, lower, upper, "proportion") == said


# Measuring ---------------------------------------------------------------------------------------


def test_arms_that_differ_in_treatment_alone_share_their_patients() -> None:
    arm = Arm(eligible="resectable", policy={"mri": True})
    paired = measure(arm=arm, against=Arm(eligible="resectable"))
    apart = measure(arm=arm, against=Arm(policy={"mri": True}))
    assert len(SCRIPT.scenario_texts(paired, 100, 1)) == 1
    assert len(SCRIPT.scenario_texts(apart, 100, 1)) == 2


def test_renewing_some_rows_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = "mri_changes_plans", "symptomatic_first"
    monkeypatch.setattr(SCRIPT, "MEASURED", tmp_path / "measured.toml")
    monkeypatch.setattr(SCRIPT, "PAGE", tmp_path / "page.md")
    few = ["--patients", "60"]

    def written(*only: str, seed: str = "1") -> tuple[str, str]:
        assert SCRIPT.main([*few, "--seed", seed, "--only", *only]) == 0
        return (
            (tmp_path / "measured.toml").read_text(encoding="utf-8"),
            (tmp_path / "page.md").read_text(encoding="utf-8"),
        )

    both = written(first, second)
    SCRIPT.summary.cache_clear()
    assert written(first, second) == both
    assert all(f"`{name}`" in both[1] for name in (first, second))
    renewed = tomllib.loads(written(second, seed="2")[0])
    before = tomllib.loads(both[0])
    assert renewed[first] == before[first]
    assert renewed[second] != before[second]
    assert list(renewed) == [first, second]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        SCRIPT.main(["--only", "no_such_item"])
    assert "no_such_item" in capsys.readouterr().err


# Printing ----------------------------------------------------------------------------------------


def crlm(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the `crlm` command in this process, on a terminal of 100 columns."""
    from crlm_sim.cli import main

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["crlm", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command_prints_every_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crlm(monkeypatch, "evidence", "--review") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert [item.id for item in ITEMS if item.id not in out] == []
    assert [section for section in review.SECTIONS if section not in out] == []


def test_the_command_prints_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crlm(monkeypatch, "evidence", "--review", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in found["items"]] == list(BY_ID)
    for item in found["items"]:
        assert all(item[key] for key in ("section", "says", "modelled", "published", "source"))
        assert all({"outcome", "simulated"} <= set(one) for one in item["measures"])


def test_the_command_finds_some_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crlm(monkeypatch, "evidence", "new_epoc", "--review") == 0
    assert "1 item" in capsys.readouterr().out
    assert crlm(monkeypatch, "evidence", "no_such_item", "--review") == 2
    assert "no_such_item" in capsys.readouterr().err
