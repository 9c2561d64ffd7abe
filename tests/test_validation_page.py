"""The page of a validation, made from one put together by hand: nothing is simulated."""

from __future__ import annotations

import math
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Outline

pytest.importorskip("jinja2")

from crlm_sim.calibration import Arm, Figure, Study
from crlm_sim.calibration.simulate import Target
from crlm_sim.calibration.study import PublishedCurve
from crlm_sim.calibration.validate import Drawn, Judged, Validation, result
from crlm_sim.report import validation_plots as plots
from crlm_sim.report import validation_words as words
from crlm_sim.report import write_validation

NASTY = "<script>alert('x')</script>"
MONTHS = np.linspace(0.0, 60.0, 61)


def figure(outcome: str, value: float, use: str = "fit", **more: Any) -> Figure:
    """A figure of the first arm, with an interval."""
    ends = {"lower": 0.8 * value, "upper": min(1.2 * value, 1.0 if value < 1.0 else math.inf)}
    return Figure.model_validate({"outcome": outcome, "value": value, "use": use, **ends, **more})


def trial() -> Study:
    """Two arms, whose figures are of every kind."""
    figures = (
        figure("os", 0.31, time="5 years", arm="new_drug"),
        figure("os_median_months", 26.4, arm="control", **{"from": "first_line"}),
        figure("pfs_hr", 0.79, contrast=["new_drug", "control"]),
        figure("os", 0.1, "check", time="3 years", contrast=["new_drug", "control"]),
        figure("mortality_90d", 0.03, "check", arm="control"),
    )
    curve = PublishedCurve(
        arm="new_drug", outcome="os", months=(0.0, 12.0, 60.0), survival=(1.0, 0.8, 0.31)
    )
    arms = (Arm(name="new_drug", n=100), Arm(name="control", n=100))
    return Study(
        id="trial",
        title=f"Z trial {NASTY}",
        source="Somebody & others, 2008",
        arms=arms,
        figures=figures,
        curves=(curve,),
    )


def series() -> Study:
    """One arm, whose fitted figures will both lie above."""
    figures = (
        figure("share", 0.4, when="seen_lesions <= 3"),
        figure("objective_response", 0.6),
        figure("doubling_time_days", 155.0, "check"),
        figure("resected", 0.2, "check"),
    )
    return Study(
        id="series",
        title="A series",
        source="Elsewhere",
        description="Metachronous disease too.",
        arms=(Arm(name="all", n=50),),
        figures=figures,
    )


def judged(study: Study, figure: Figure, place: float) -> Judged:
    """A figure whose published value has this place; nan where the model cannot tell it."""
    value = figure.value or math.nan
    published = (value, figure.lower or math.nan, figure.upper or math.nan)
    shift = 1.0 if math.isfinite(place) else math.nan
    predicted = [shift * value * factor for factor in (1.1, 0.7, 1.3, 0.9, 1.2)]
    return Judged(Target(study, figure, value, 0.2), published, *predicted, place)


def validation() -> Validation:
    one, two = trial(), series()
    places = (0.45, 0.001, 0.75, 0.5, math.nan, 0.99, 0.999, 0.25, 0.995)
    owned = [(study, each) for study in (one, two) for each in study.figures]
    figures = [judged(*own, place) for own, place in zip(owned, places, strict=True)]
    survival = np.exp(-np.outer(np.linspace(0.02, 0.03, 20), MONTHS))
    return Validation(figures, [Drawn(one, one.curves[0], MONTHS, survival)], 20)


def written_by(path: Path, done: Validation) -> str:
    folder = Path("somewhere") / "targets"
    assert write_validation(path, done, result(done, folder)) == path
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written_by(tmp_path_factory.mktemp("page") / "validation.html", validation())


@pytest.fixture(scope="module")
def outline(written: str) -> Outline:
    return Outline(written)


def row(text: str, words: str) -> list[str]:
    """The cells of the table row with these words."""
    found = next(each for each in re.findall(r"<tr id=.*?</tr>", text, re.S) if words in each)
    cells = re.findall(r"<t[hd].*?</t[hd]>", found, re.S)
    return [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in cells]


# The page ----------------------------------------------------------------------------------------


def test_nothing_is_fetched_and_nothing_runs(written: str, outline: Outline) -> None:
    assert "default-src 'none'" in written
    assert not any(tag in ("script", "link", "iframe", "img") for tag, _ in outline.tags)
    for _, attrs in outline.tags:
        for name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
            assert (attrs.get(name) or "#").startswith("#")
        assert not any(name.startswith("on") for name in attrs)
    assert not re.search(r"https?:|@import|url\(", written)


def test_links_lead_somewhere_and_names_are_unique(outline: Outline) -> None:
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] or "" for tag, attrs in outline.tags if tag == "a"]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    named = [attrs["aria-labelledby"] for _, attrs in outline.tags if "aria-labelledby" in attrs]
    assert set(named) <= set(ids)


def test_headings_stand_in_order(outline: Outline) -> None:
    assert outline.texts["h1"] == ["Published and simulated"]
    assert outline.texts["h2"] == [
        "In short",
        "Published against predicted",
        "Where figures lie",
        "Curves",
        "Study by study",
    ]
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_heads(written: str, outline: Outline) -> None:
    tables = re.findall(r"<table>.*?</table>", written, re.DOTALL)
    assert len(tables) == 1 + 1 + 2
    assert all(table.startswith("<table>\n<caption>") for table in tables)
    assert all(text.strip() for text in outline.texts["caption"])
    heads = [attrs for tag, attrs in outline.tags if tag == "th"]
    assert {attrs.get("scope") for attrs in heads} == {"row", "col"}


def test_pictures_have_words(outline: Outline) -> None:
    pictures = [attrs for tag, attrs in outline.tags if tag == "svg"]
    assert len(pictures) > 8
    for attrs in pictures:
        assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")
    labels = [attrs["aria-label"] for attrs in pictures if "aria-label" in attrs]
    assert len(labels) == len(set(labels))
    assert (
        "Figures fitted, number in each tenth from 0 to 1: 1, 0, 0, 0, 1, 0, 0, 1, 0, 2" in labels
    )


def test_counts_are_stated(written: str, outline: Outline) -> None:
    assert "9 published figures of 2 studies" in written
    assert "over 20 draws" in written
    table = re.sub(r"<[^>]*>", " ", written[written.index("<table>") :])
    lines = [" ".join(line.split()) for line in table.splitlines()]
    assert "Fitted 5 2 40 % 12 to 77 % 2 1 0" in lines
    assert "Never fitted 4 2 50 % 15 to 85 % 1 0 1" in lines
    assert "Fitted: 1 of 3 inside" in outline.texts["figcaption"]


def test_every_figure_is_listed(written: str) -> None:
    assert len(re.findall(r"<tr id=\"figure-\d+\"", written)) == 9
    share = row(written, "alive at 5 years")
    assert share[0] == "alive at 5 years new drug"
    assert share[1:3] == ["31 % (25 to 37)", "34 % (22 to 40)"]
    assert share[3:] == ["inside", "fitted"]
    median = row(written, "median overall survival")
    assert median[0] == "median overall survival (months) control · from the first line of drugs"
    assert median[3] == "outside, below"
    assert row(written, "hazard ratio")[0].endswith("new drug against control")
    assert row(written, "difference")[1] == "+10.0 (+8.0 to +12.0)"
    assert row(written, "share with")[0] == "share with seen_lesions &lt;= 3"
    assert row(written, "liver metastases resected")[3:] == ["outside, above", "never fitted"]


def test_what_is_not_told_is_a_dash(written: str) -> None:
    cells = row(written, "dead within 90 days")
    assert cells[1:] == ["3.0 % (2.4 to 3.6)", "–", "not predicted", "never fitted"]
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+", "", written.lower())
    assert "counts as not inside" in written


def test_studies_stand_by_title_with_their_source(written: str, outline: Outline) -> None:
    studies = [text for text in outline.texts["h3"] if text in ("A series", f"Z trial {NASTY}")]
    assert studies == ["A series", f"Z trial {NASTY}"]
    assert "Somebody &amp; others, 2008" in written
    assert "Metachronous disease too." in written


def test_text_is_escaped(written: str) -> None:
    assert NASTY not in written
    assert "alert('x')" not in written
    assert "&lt;script&gt;" in written


def test_studies_that_miss_on_one_side_are_named(written: str) -> None:
    said = "all 2 fitted figures lie above their predictive intervals"
    assert written.count(said) == 2
    assert f'<a href="#study-series">A series</a>: {said}' in written


def test_hits_and_misses_differ_in_shape(written: str) -> None:
    marks = dict(re.findall(r'<a href="#(figure-\d+)" tabindex="-1">(.*?)</a>', written, re.DOTALL))
    assert len(marks) == 9 - 2
    assert marks["figure-1"].count("<circle") == 2
    assert "<path" not in marks["figure-1"]
    assert marks["figure-2"].count("<circle") == 1
    assert "<path" in marks["figure-2"]
    assert "outside, below" in marks["figure-2"]
    assert "1 figure that is neither a share" in written


def test_curves_are_drawn_and_told(written: str, outline: Outline) -> None:
    assert any("new drug: overall survival" in text for text in outline.texts["figcaption"])
    assert "months from diagnosis" in written
    table = written[written.index("The same in a table") :]
    cells = re.findall(r"<t[hd][^>]*number\">([^<]*)<", table)[4:16]
    assert cells[:4] == ["0", "100", "100", "100 to 100"]
    assert cells[4:8] == ["12", "80", "74", "70 to 78"]


def test_page_is_small_and_says_its_language(written: str, outline: Outline) -> None:
    assert len(written.encode()) < 100_000
    assert dict(outline.tags)["html"] == {"lang": "en"}


def test_nothing_to_judge_still_has_a_page(tmp_path: Path) -> None:
    text = written_by(tmp_path / "empty.html", Validation([], [], 2))
    assert "0 published figures of 0 studies" in text
    assert "Curves" not in text
    assert "Where figures lie" not in text


def test_curves_that_no_draw_tells_have_no_line(tmp_path: Path) -> None:
    study = trial()
    survival = np.full((3, len(MONTHS)), np.nan)
    done = Validation([], [Drawn(study, study.curves[0], MONTHS, survival)], 3)
    text = written_by(tmp_path / "page.html", done)
    assert '<td class="number">–</td>' in text


# The file ----------------------------------------------------------------------------------------


def test_the_file_is_renamed_when_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "validation.html"
    path.write_text("the old one", "utf-8")
    seen: list[tuple[str, str, str]] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((self.name, self.read_text("utf-8")[-7:], target.read_text("utf-8")))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    written_by(path, validation())
    assert seen == [(f".validation.html.{os.getpid()}.partial", "</html>", "the old one")]
    assert [found.name for found in tmp_path.iterdir()] == ["validation.html"]


def test_a_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> Path:
        raise OSError("no room")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no room"):
        written_by(tmp_path / "validation.html", validation())
    assert not list(tmp_path.iterdir())


def test_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crlm_sim.report import page

    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(page, "import_module", fail)
    with pytest.raises(ImportError, match=r"jinja2.*pip install 'crlm-sim\[web\]'"):
        written_by(tmp_path / "page.html", validation())


# Pieces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("months", "expected"),
    [(None, ""), (12.0, "at 1 year"), (60.0, "at 5 years"), (18.0, "at 18 months")],
)
def test_times(months: float | None, expected: str) -> None:
    assert words.at_time(months) == expected


@pytest.mark.parametrize(
    ("outcome", "months", "expected"),
    [
        ("liver_control", 36.0, "no progression in the liver at 3 years"),
        ("dfs_median_months", None, "median disease-free survival (months)"),
        ("sensitivity_pet_ct_after_drugs", None, "lesions seen by PET-CT after drugs"),
        ("doubling_time_days", None, "doubling time of the largest lesion (days)"),
        ("cycles", None, "cycles of chemotherapy (cycles)"),
        ("fong_c_index", None, "c-index of the Fong score"),
        ("something_new", None, "something new"),
    ],
)
def test_outcomes_in_words(outcome: str, months: float | None, expected: str) -> None:
    assert words.outcome_of(Figure(outcome=outcome), months) == expected


def test_every_outcome_of_a_curve_has_words() -> None:
    from crlm_sim.outcomes.clocks import CURVES

    for name in CURVES:
        for end in ("", "_median_months", "_hr"):
            contrast = {"contrast": ["a", "b"]} if end == "_hr" else {}
            found = Figure.model_validate({"outcome": name + end, **contrast})
            assert "_" not in words.outcome_of(found, 12.0)


def test_range_of_chance_is_that_of_the_binomial() -> None:
    stats = pytest.importorskip("scipy.stats")
    for number in (1, 7, 40, 350, 5000):
        found = plots.chance_range(number, 0.1)
        assert found == tuple(stats.binom.ppf((0.025, 0.975), number, 0.1))


def test_logarithmic_axes_have_few_round_ticks() -> None:
    for low, high in ((0.3, 14.0), (1.5, 220.0), (0.01, 4000.0), (7.5, 18.5)):
        axis = plots.Axis(low, high, True, "")
        assert 3 <= len(axis.ticks) <= 9
        assert all(low <= tick <= high for tick in axis.ticks)
    assert plots.Axis(0.5, 2.0, True, "").share(1.0) == pytest.approx(0.5)
    assert plots.SHARES.ticks == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("last", [0.0, 0.5, 5.0, 18.0, 60.0, 1200.0])
def test_months_are_marked_from_the_start(last: float) -> None:
    found = plots.month_ticks(last)
    assert found[0] == 0.0
    assert len(found) <= 7
    assert found[-1] <= last


def test_report_is_asked_for_lazily() -> None:
    from crlm_sim import report

    assert report.write_validation is write_validation
    with pytest.raises(AttributeError, match="nothing"):
        _ = report.nothing  # type: ignore[attr-defined]
