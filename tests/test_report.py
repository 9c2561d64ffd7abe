"""The run's page, made from a small synthetic run folder."""

from __future__ import annotations

import builtins
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

plotly_offline = pytest.importorskip("plotly.offline")
pytest.importorskip("jinja2")
xarray = pytest.importorskip("xarray")

from crlm_sim.report import numbers as nums  # noqa: E402
from crlm_sim.report import write_report  # noqa: E402
from crlm_sim.report.flow import layers, read_links  # noqa: E402
from crlm_sim.report.page import BUNDLE, package_text, safe_json  # noqa: E402
from crlm_sim.report.run_folder import read_run  # noqa: E402
from crlm_sim.report.shapes import ticks  # noqa: E402
from crlm_sim.report.swimmer import kind_of, mark_of, merged  # noqa: E402
from crlm_sim.report.words import CAUTION, band, findings, interval_kinds  # noqa: E402

NASTY = "<script>alert('x')</script>"
POLICIES = {"colorectal_first": "Bowel first", "liver_first": f"Liver first {NASTY}"}
LEVELS = {
    "os_median_months": 26.4,
    "os_5y": 0.21,
    "rmst_5y_months": 29.1,
    "resected": 0.31,
    "sequence_completed": 0.78,
    "mortality_90d": 0.05,
    "theatre_minutes": 151.0,
    "unheard_of": 3.0,
}
DIFFERENCES = {
    "os_5y": (0.012, 0.004, 0.020),
    "rmst_5y_months": (0.2, -0.1, 0.5),
    "resected": (-0.05, -0.06, -0.04),
    "sequence_completed": (0.04, 0.02, 0.06),
    "mortality_90d": (0.0, 0.0, 0.0),
    "theatre_minutes": (8.0, 6.0, 10.0),
}
FLOW = [
    ["diagnosis", "resectable at diagnosis", 300],
    ["diagnosis", "not resectable at diagnosis", 700],
    ["resectable at diagnosis", "resected", 280],
    ["resectable at diagnosis", "never resected", 20],
    ["not resectable at diagnosis", "resected", 70],
    ["not resectable at diagnosis", "never resected", 630],
    ["resected", "sequence complete", 350],
    ["resected", "nobody", 0],
]
COURSE = {
    "patient": 7,
    "end_day": 900.0,
    "end": "dead of tumour",
    "segments": [
        ["ct_scan", 4.0, 4.02],
        ["chemotherapy_cycle", 14.0, 14.2],
        ["chemotherapy_cycle", 28.0, 28.2],
        ["major_liver_resection", 90.0, 90.2],
        ["ward_stay", 90.2, 97.0],
    ],
    "marks": [["liver resection", 90.0], ["recurrence", 400.0]],
}


def _entry(value: float, low: float, high: float, draws: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"estimate": value, "lower": low, "upper": high}
    entry["interval"] = "parameter" if draws > 1 else "simulation"
    if draws > 1:
        entry |= {"simulation_lower": value, "simulation_upper": value + 0.001}
    return entry


def _summary(draws: int) -> dict[str, Any]:
    levels: dict[str, Any] = {
        name: _entry(value, 0.9 * value, 1.1 * value, draws) for name, value in LEVELS.items()
    }
    levels["os_10y"] = {"estimate": None, "lower": None, "upper": None}
    levels["dfs_3y"] = None
    differences = {name: _entry(*values, draws) for name, values in DIFFERENCES.items()}
    alive = COURSE | {"patient": 8, "end_day": 5000.0, "end": "alive", "marks": []}
    return {
        "run": "/somewhere/runs/sequencing-0123abcd",
        "title": f"Which first? {NASTY}",
        "description": "Two orders & more",
        "name": "sequencing",
        "seed": 20_261_123,
        "engine": "cohort",
        "patients": 1000,
        "draws": draws if draws > 1 else "mean",
        "replications": 1,
        "seconds": 1.5,
        "horizon_years": 10.0,
        "reference": "colorectal_first",
        "labels": POLICIES,
        "policies": dict.fromkeys(POLICIES, levels),
        "differences": {"liver_first": differences},
        "flow": dict.fromkeys(POLICIES, FLOW),
        "swimmer": {name: [COURSE, alive] for name in POLICIES},
    }


SCENARIO = """
title = "Which first?"

[run]
patients = 1000
horizon = "10 years"

[population]
base = "unselected"
age_mean_years = 61.0

[parameters]
growth_rate_per_day = 9e-4

[[policy]]
name = "colorectal_first"
sequence = "colorectal-first"
preoperative_cycles = 6

[[policy]]
name = "liver_first"
sequence = "liver-first"
preoperative_cycles = 6

[[policy.rule]]
when = "lesions > 8"
do = "first_line"
"""


def _curves() -> Any:
    months = np.arange(0, 121)
    survival = np.exp(-months / 36.0) * np.ones((2, 3, 1))
    survival[:, 2, 100:] = np.nan
    dims = ("policy", "endpoint", "time_months")
    data = {
        "survival": (dims, survival),
        "survival_lower": (dims, 0.97 * survival),
        "survival_upper": (dims, np.minimum(1.03 * survival, 1.0)),
        "at_risk": (dims, np.nan_to_num(1000 * survival).astype(int)),
        "events": (dims, np.nan_to_num(1000 * (1 - survival)).astype(int)),
    }
    places = {
        "policy": np.array(list(POLICIES), object),
        "endpoint": np.array(["os", "pfs", "dfs"], object),
        "time_months": months,
    }
    return xarray.Dataset(data, places)


def make_run(folder: Path, draws: int = 1, **changes: Any) -> Path:
    """A plausible run folder."""
    folder.mkdir()
    summary = _summary(draws) | changes
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
    provenance = {"program": "crlm_sim 0.1.0", "seed": 1, "libraries": {"numpy": "2.4.6"}}
    (folder / "provenance.json").write_text(json.dumps(provenance), "utf-8")
    (folder / "scenario.toml").write_text(SCENARIO, "utf-8")
    _curves().to_zarr(folder / "results.zarr", consolidated=False)
    return folder


class _Outline(HTMLParser):
    """The tags of a page with their attributes, and the text of its headings."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[str, str]] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag if re.fullmatch(r"h\d", tag) else ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.headings.append((self._open, data.strip()))
            self._open = ""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = make_run(tmp_path_factory.mktemp("report") / "run")
    path = write_report(run)
    assert path == run / "report.html"
    assert not list(run.glob(".report*"))
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def outline(written: str) -> _Outline:
    found = _Outline()
    found.feed(written)
    return found


def without_bundle(text: str) -> str:
    """A page without the code of plotly.js."""
    return text.replace(package_text(BUNDLE), "")


# The page ----------------------------------------------------------------------------------------


def test_sections_stand_in_order(outline: _Outline) -> None:
    assert [text for tag, text in outline.headings if tag == "h2"] == [
        "What was asked",
        "Main findings",
        "Survival",
        "Outcomes by policy",
        "Differences from Bowel first",
        "Flow of patients through the sequence",
        "Courses of some patients",
        "What the scenario assumes",
        "Provenance",
        "Glossary",
    ]
    levels = [int(tag[1]) for tag, _ in outline.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_user_text_is_escaped(written: str) -> None:
    assert NASTY not in written
    assert "alert('x')" not in written
    assert "&lt;script&gt;" in written


def test_scripts_are_ours_alone(outline: _Outline) -> None:
    scripts = [attrs for tag, attrs in outline.tags if tag == "script"]
    assert len(scripts) == 3 + 2
    assert not any("src" in attrs for attrs in scripts)


def test_nothing_is_fetched(written: str, outline: _Outline) -> None:
    assert "default-src 'none'" in written
    for _, attrs in outline.tags:
        for name in ("src", "href", "data", "action", "poster"):
            assert (attrs.get(name) or "#").startswith("#")
    assert not re.search(r"https?://|@import|url\(", without_bundle(written))
    assert "eval(" not in written


def test_page_is_small_and_says_its_language(written: str, outline: _Outline) -> None:
    assert len(written.encode()) < 3_000_000
    assert dict(outline.tags)["html"] == {"lang": "en"}


def test_tables_and_pictures_are_accessible(outline: _Outline) -> None:
    for tag, attrs in outline.tags:
        if tag == "th":
            assert attrs.get("scope") in ("row", "col", "rowgroup", "colgroup")
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")
        if attrs.get("class") == "scroll":
            assert attrs.get("tabindex") == "0"
            assert attrs.get("aria-label")
    names = [a.get("aria-label") for _, a in outline.tags if a.get("role") == "region"]
    ids = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(names) == len(set(names))
    assert len(ids) == len(set(ids))


def test_figures_are_json(written: str) -> None:
    figures = re.findall(r'class="figure"[^>]*>(.*?)</script>', written, re.DOTALL)
    assert len(figures) == 3
    for figure in figures:
        names = {trace["name"] for trace in json.loads(figure)["data"]}
        assert names == {
            "Bowel first",
            "Liver first &lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;",
        }


def test_assumptions_are_shown(written: str) -> None:
    text = re.sub(r"\s+", " ", without_bundle(written))
    assert re.search(r"sequence <span class=\"tag\">differs", text)
    assert not re.search(r"preoperative cycles <span", text)
    assert "when lesions &gt; 8, do first_line" in text
    changed = text[text.index("Parameters changed") : text.index("All parameters of the model")]
    assert "growth rate per day" in changed
    assert "age mean years" in changed
    assert re.search(r"\d+ of the \d+ parameters are assumptions", text)
    assert "libraries › numpy" in text


def test_differences_say_whom_they_favour(written: str) -> None:
    table = written[written.index('<table class="differences">') :]
    table = table[: table.index("</table>")]

    def verdict(label: str) -> str:
        row = table[table.index(label) :]
        found = re.search(r'class="verdict[^"]*">([^<]*)', row)
        assert found
        return found.group(1)

    assert verdict("alive at 5 years").startswith("favours Liver first")
    assert verdict("liver metastases resected") == "favours Bowel first"
    assert verdict("mean months lived in the first 5 years") == "no clear difference"
    assert verdict("all planned operations done") == "higher †"
    assert verdict("minutes in theatre") == "higher"
    assert verdict("dead within 90 days") == "the same"
    assert verdict("unheard of") == "not estimable"


def test_bundle_matches_plotly() -> None:
    version = re.search(r"v(\d+\.\d+\.\d+)", package_text(BUNDLE)[:200])
    assert version
    assert version.group(1) == plotly_offline.get_plotlyjs_version()


def test_bundle_can_stand_in_a_page() -> None:
    code = package_text(BUNDLE)
    assert "</script" not in code.lower()
    assert "<!--" not in code
    assert "MIT License" in package_text("plotly-cartesian.LICENSE.txt")


# Words -------------------------------------------------------------------------------------------


def test_findings_are_cautious(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    found = findings(run)
    assert 3 <= len(found) <= 5
    text = " ".join(found)
    assert "no difference could be told apart from chance for Liver first" in text
    assert "1.2\u00a0percentage points higher" in text
    assert "exactly the same" in text
    assert "not as proof" in CAUTION


def test_kinds_of_uncertainty_are_kept_apart(tmp_path: Path) -> None:
    one = read_run(make_run(tmp_path / "one"))
    assert interval_kinds(one) == {"simulation"}
    assert "simulation intervals" in band(one)
    path = make_run(tmp_path / "many", draws=12)
    many = read_run(path)
    assert interval_kinds(many) == {"parameter"}
    assert "does not record" in band(many)
    text = write_report(path).read_text("utf-8")
    assert "95\u00a0% parameter interval" in text
    assert "95\u00a0% simulation interval)" not in text
    assert "simulation alone" in text
    assert "12,000 (1,000 × 12 sets of parameters)" in text


def test_mixed_intervals_are_marked(tmp_path: Path) -> None:
    summary = _summary(12)
    summary["differences"]["liver_first"]["os_5y"]["interval"] = "simulation"
    path = make_run(tmp_path / "run", 12, differences=summary["differences"])
    text = write_report(path).read_text("utf-8")
    assert "<small>simulation interval</small>" in text
    assert "<small>parameter interval</small>" in text


def test_one_policy_needs_no_differences(tmp_path: Path) -> None:
    levels = {"colorectal_first": _summary(1)["policies"]["colorectal_first"]}
    path = make_run(tmp_path / "run", policies=levels, differences={}, flow={}, swimmer={})
    text = write_report(path).read_text("utf-8")
    assert "Differences from" not in text
    assert "Flow of patients" not in text


def test_a_folder_without_curves_or_provenance_still_has_a_page(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "summary.json").write_text(json.dumps(_summary(1)), "utf-8")
    text = write_report(path).read_text("utf-8")
    assert "did not write down" in text
    assert len(text) < 500_000


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no summary\.json"):
        write_report(tmp_path)


@pytest.mark.parametrize("missing", ["jinja2", "plotly"])
def test_missing_library_is_named(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crlm_sim.report import page

    def fail(name: str) -> ModuleType:
        if name.split(".")[0] == missing:
            raise ImportError(name)
        return builtins.__import__(name)

    monkeypatch.setattr(page, "import_module", fail)
    with pytest.raises(ImportError, match=rf"{missing}.*pip install 'crlm-sim\[web\]'"):
        write_report(tmp_path)


# Pieces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimate", "unit", "expected"),
    [
        (nums.Estimate(0.312, 0.298, 0.325), "proportion", "31.2\u00a0% (29.8 to 32.5)"),
        (nums.Estimate(1510.2, 1490.0, 1530.0), "minutes", "1,510 (1,490 to 1,530)"),
        (nums.Estimate(26.44), "months", "26.4"),
        (None, "months", "–"),
    ],
)
def test_levels(estimate: nums.Estimate | None, unit: str, expected: str) -> None:
    assert nums.level(estimate, unit) == expected


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (nums.Estimate(0.013, -0.002, 0.028), "+1.3 (−0.2 to +2.8)"),
        (nums.Estimate(0.0006, 0.0001, 0.0201), "+0.06 (+0.01 to +2.01)"),
        (nums.Estimate(0.0, 0.0, 0.0), "0.0 (0.0 to 0.0)"),
    ],
)
def test_differences_never_round_an_end_to_zero(estimate: nums.Estimate, expected: str) -> None:
    assert nums.difference(estimate, "proportion") == expected


def test_rounding_error_is_no_difference() -> None:
    found = nums.read_estimate({"estimate": 0.01, "lower": 1e-17, "upper": 0.02}, 1)
    assert found is not None
    assert found.side == 0


def test_what_cannot_be_estimated_is_none() -> None:
    assert nums.read_estimate(None, 1) is None
    assert nums.read_estimate({"estimate": None}, 1) is None
    assert nums.read_estimate({"estimate": float("nan")}, 1) is None


def test_flow_runs_from_left_to_right() -> None:
    links = read_links(FLOW)
    found = layers(links)
    assert all(found[source] < found[target] for source, target, _ in links)
    assert "nobody" not in found
    assert max(layers([("a", "b", 1.0), ("b", "a", 1.0)]).values()) <= 2


def test_cycles_of_one_course_are_joined() -> None:
    spans = [(kind.label, start, end) for kind, start, end in merged(COURSE["segments"])]
    assert ("drugs", 14.0, 28.2) in spans
    assert ("liver operation", 90.0, 90.2) in spans


@pytest.mark.parametrize(
    ("activity", "label"),
    [
        ("colorectal_resection", "colorectal operation"),
        ("simultaneous_resection", "operation on both"),
        ("second_stage_hepatectomy", "liver operation"),
        ("portal_vein_embolisation", "portal vein embolisation"),
        ("mdt_meeting", "scan, meeting or visit"),
        ("surveillance_visit", "scan, meeting or visit"),
        ("best_supportive_care", "supportive care"),
        ("something_new", "other activity"),
    ],
)
def test_activities_have_a_kind(activity: str, label: str) -> None:
    assert kind_of(activity).label == label


def test_every_activity_of_the_model_has_a_kind() -> None:
    from crlm_sim.evidence import ACTIVITIES

    assert [name for name in ACTIVITIES if kind_of(name).label == "other activity"] == []


def test_marks_have_a_kind() -> None:
    assert mark_of("primary resection") == "resection"
    assert mark_of("recurrence") == "progression or recurrence"
    assert mark_of("dead of tumour") == "death"


def test_ticks_are_round_and_inside() -> None:
    assert ticks(-7.1, 3.6, 7) == [-6.0, -4.0, -2.0, 0.0, 2.0]
    assert ticks(2.0, 2.0) == [2.0]
    assert all(-0.3 <= tick <= 0.9 for tick in ticks(-0.3, 0.9))


def test_json_cannot_end_its_element() -> None:
    text = safe_json(json.dumps({"a": "</script>\u2028"}, ensure_ascii=False))
    assert "<" not in text
    assert json.loads(text) == {"a": "</script>\u2028"}
