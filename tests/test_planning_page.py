"""The page of a run with queues, made from one put together by hand; and what it is made from."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_REGION, Outline

pytest.importorskip("jinja2")

from crlm_sim.disease.patient import NEVER, new_patients
from crlm_sim.engines.network import DEAD, FOUND_UNRESECTABLE, SERVED, WAITS, Diaries, Network
from crlm_sim.engines.steps import ACTIVITY_LOG
from crlm_sim.evidence import ACTIVITIES, SERVICES
from crlm_sim.outcomes import courses, event_frame
from crlm_sim.outcomes.planning import COURSES, FIRST, LAST, Played, flow, links
from crlm_sim.outcomes.tables import EVENT_COLUMNS, Queues
from crlm_sim.report import enough_words, write_report
from crlm_sim.report import planning_plots as plots
from crlm_sim.report import planning_words as words
from crlm_sim.report.run_folder import read_run

DAY = 1440
NASTY = "<script>alert('x')</script>"
WEEKS = 60
OUTCOMES = {
    "to_treatment_median_days": ("diagnosis to first treatment, median", "days", -1, 40.0),
    "treated_within_62_days": ("first treatment within 62 days", "share", 1, 0.8),
    "resected": ("liver metastases resected", "share", 1, 0.4),
    "unresectable_after_waiting_a_year": (
        "found unresectable while waiting, a year",
        "patients a year",
        -1,
        3.0,
    ),
    "died_waiting_a_year": ("died while waiting, a year", "patients a year", -1, 1.0),
    "os_2y": ("alive at 2 years", "share", 1, 0.5),
    "wait_ct_median_days": ("wait for CT, median", "days", -1, 0.5),
    "wait_liver_theatre_median_days": ("wait for liver theatre, median", "days", -1, 4.0),
    "wait_liver_theatre_p90_days": ("wait for liver theatre, 90th centile", "days", -1, 9.0),
    "queue_liver_theatre": ("patients waiting for liver theatre, mean", "patients", -1, 2.0),
    "used_pet": ("session time used, PET", "share", 0, None),
}

PRECISE = {"half_width": 0.02, "wanted": 0.01, "replications_needed": 1234}


def entry(value: float | None, half: float) -> dict[str, float | None]:
    if value is None:
        return {"estimate": None, "lower": None, "upper": None}
    return {"estimate": value, "lower": value - half, "upper": value + half}


def summary(arms: int = 2) -> dict[str, Any]:
    """Two lists, and what half of them does; how many died waiting is not clear."""
    names = ["two", "half"][:arms]
    change = {"wait_liver_theatre_median_days": 100.0, "resected": -0.2, "os_2y": -0.05}
    change["died_waiting_a_year"] = 0.005
    changes = {
        name: entry(None if level is None else change.get(name, 0.0), 0.01)
        for name, (_, _, _, level) in OUTCOMES.items()
    }
    counts = np.zeros((len(FIRST), len(COURSES), len(LAST)), np.int64)
    counts[0, 0] = 30, 20
    counts[1, 3] = 10, 40
    return {
        "title": f"A region {NASTY}",
        "description": "Two hospitals.",
        "name": "region",
        "seed": 1,
        "draws": "mean",
        "replications": 3,
        "reference": "two",
        "labels": {"two": "Two lists", "half": f"Half & {NASTY}"} if arms > 1 else {"two": "Two"},
        "outcomes": {
            name: {"label": label, "unit": unit, "better": better}
            for name, (label, unit, better, _) in OUTCOMES.items()
        },
        "policies": {
            arm: {name: entry(said[3], 0.01) for name, said in OUTCOMES.items()} for arm in names
        },
        "differences": dict.fromkeys(names[1:], changes),
        "load": {
            arm: {"ct, city": 0.5, "ct, north": 0.4, "liver_theatre, city": 0.7 + 0.7 * place}
            for place, arm in enumerate(names)
        },
        "flow": {arm: links(counts) for arm in names},
        "first_day": "2027-01-04",
        "window_days": [84.0, 364.0],
        "warm_up": {
            "stated_weeks": 12.0,
            "suggested_weeks": 20,
            "services": {
                arm: {"ct": 20 - 5 * place, "liver_theatre": [15, None][place]}
                for place, arm in enumerate(names)
            },
        },
        "precision": {
            "asked": True,
            "reached": False,
            "outcomes": {
                "resected": {"precision": "1 points", "arms": dict.fromkeys(names, PRECISE)},
            },
        },
    }


def replications(arms: int = 2) -> list[dict[str, Any]]:
    found = []
    for place, arm in enumerate(["two", "half"][:arms]):
        for number in range(3):
            queue = [float(week * (place + 1) + number) for week in range(WEEKS)]
            waits = [None if week % 7 == 0 else float(week * place) for week in range(WEEKS)]
            nobody: list[None] = [None] * WEEKS
            weeks = {
                "ct": {"wait_days": [0.5] * WEEKS, "queue": [0.1] * WEEKS},
                "liver_theatre": {"wait_days": waits, "queue": queue},
                "pet": {"wait_days": nobody, "queue": [0.0] * WEEKS},
            }
            one: dict[str, Any] = {"arm": arm, "replication": number, "weeks": weeks}
            if number == 0:
                patients = [[84, 0, 90, courses.FOR_SCAN, 100, courses.DEAD], [120, 0]]
                one["sample"] = {"first": 84, "days": 280, "patients": patients}
            found.append(one)
    return found


def folder_of(path: Path, arms: int = 2) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "summary.json").write_text(json.dumps(summary(arms)), "utf-8")
    (path / "replications.json").write_text(json.dumps(replications(arms)), "utf-8")
    return path


@pytest.fixture(scope="module", params=[1, 2], ids=["one arm", "two arms"])
def arms(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, arms: int) -> str:
    folder = folder_of(tmp_path_factory.mktemp("planning") / "run", arms)
    assert write_report(folder) == folder / "report.html"
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def outline(written: str) -> Outline:
    return Outline(written)


# The page ----------------------------------------------------------------------------------------


def test_nothing_is_fetched(written: str, outline: Outline) -> None:
    assert "default-src 'none'" in written
    assert not any(tag in ("link", "iframe", "img") for tag, _ in outline.tags)
    for _, attrs in outline.tags:
        for name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
            assert (attrs.get(name) or "#").startswith("#")
        assert not any(name.startswith("on") for name in attrs)
    own = written.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp", own)
    assert NASTY not in written
    assert len(written) < 1_000_000


def test_every_arm_and_outcome_is_there(written: str, outline: Outline, arms: int) -> None:
    for label in summary(arms)["labels"].values():
        assert any(label in text for text in outline.texts["h3"])
    for name, (label, *_) in OUTCOMES.items():
        assert (label.removesuffix(", a year") in written) == (name != "used_pet")
    assert ("differences" in {attrs.get("id") for _, attrs in outline.tags}) == (arms > 1)


def test_links_lead_somewhere_and_names_are_unique(outline: Outline) -> None:
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] or "" for tag, attrs in outline.tags if tag == "a"]
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_headings_stand_in_order(outline: Outline) -> None:
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_heads(written: str, outline: Outline) -> None:
    tables = re.findall(r"<table.*?</table>", written, re.DOTALL)
    assert tables
    assert all("<caption>" in table for table in tables)
    heads = [attrs for tag, attrs in outline.tags if tag == "th"]
    assert {attrs.get("scope") for attrs in heads} <= {"row", "col", "rowgroup"}


def test_pictures_have_words_and_controls_have_names(outline: Outline) -> None:
    pictures = [attrs for tag, attrs in outline.tags if tag == "svg"]
    assert all(a.get("aria-hidden") == "true" or a.get("aria-label") for a in pictures)
    labels = [a["aria-label"] for a in pictures if "aria-label" in a]
    assert len(labels) == len(set(labels))
    assert len(outline.texts["summary"]) == len(set(outline.texts["summary"]))
    assert "Play" in outline.texts["button"]
    assert any(text.startswith("Day") for text in outline.texts["label"])


def test_a_service_nobody_asks_for_is_left_out(written: str, outline: Outline) -> None:
    assert "Liver theatre" in outline.texts["h3"]
    assert "PET" not in outline.texts["h3"]


def test_a_full_station_is_told(written: str, arms: int) -> None:
    assert ("140\u00a0%" in written) == (arms > 1)
    assert ("Asked for more than they are open" in written) == (arms > 1)


# Words and pictures ------------------------------------------------------------------------------


def test_findings_say_how_much_and_which_way(tmp_path: Path) -> None:
    run = read_run(folder_of(tmp_path / "run"))
    found = words.findings(run, words.described(run))
    half = f"Half & {NASTY}"
    assert found[0] == (
        "Wait for liver theatre, median: 4.00\u00a0days (95\u00a0% interval 3.99 to 4.01) under "
        f"Two lists; 100.000 days longer under {half} (+99.990 to +100.010)."
    )
    told = {sentence.partition(":")[0]: sentence for sentence in found}
    assert "20.0 percentage points lower" in told["Liver metastases resected"]
    assert "+" not in told["Liver metastases resected"]
    assert "no clear difference under" in told["Died while waiting"]
    assert told["First treatment within 62 days"].endswith(f"; the same under {half}.")
    assert "Alive at 2 years" in told


def test_one_arm_has_levels_alone(tmp_path: Path) -> None:
    run = read_run(folder_of(tmp_path / "run", arms=1))
    found = words.findings(run, words.described(run))
    assert found[0].startswith("Wait for liver theatre, median: 4.00")
    assert not any("under" in sentence for sentence in found)
    assert "3 replications" in words.asked(run)[1]


def test_colours_of_waits() -> None:
    assert [plots.colour_step(days) for days in (0.0, 0.99, 1.0, 31.0, 500.0)] == [0, 0, 1, 5, 7]
    assert len(plots.heat_key()) == len(plots.EDGES) + 2


# What it is made from ----------------------------------------------------------------------------


def patients(number: int) -> np.ndarray:
    found = new_patients(number)
    found["patient"] = np.arange(number)
    for field in found.dtype.names or ():
        if field.endswith("_minute") and found[field].ndim == 1:
            found[field] = NEVER
    return found


def wait(patient: int, service: str, ready: int, left: int, outcome: int = SERVED) -> tuple:
    return patient, 0, SERVICES.index(service), 0, ready, ready, ready, left, outcome


def played(people: np.ndarray, waits: list[tuple]) -> Played:
    kept = Diaries(np.array(waits, WAITS), np.zeros(0), np.zeros(0))
    arrivals, network = np.zeros(len(people), np.int64), Network((), {}, 400 * DAY)
    return Played(people, arrivals, kept, network, (0, 100 * DAY), np.zeros(0, ACTIVITY_LOG))


def test_flow_counts_everybody_once() -> None:
    """Six: drugs and resected; bowel and dead waiting; liver; both; none; ablated, unresectable."""
    people = patients(6)
    people["first_chemotherapy_minute"][0] = 10 * DAY
    people["first_liver_resection_minute"][[0, 2, 3]] = 90 * DAY, 20 * DAY, 20 * DAY
    people["primary_resection_minute"][[1, 2, 3]] = 15 * DAY, 80 * DAY, 20 * DAY - 300
    people["local_treatment_minute"][5] = 5 * DAY
    people["resected"][[0, 2, 3]] = 1
    people["death_minute"][1] = 60 * DAY
    lists = [
        wait(1, "liver_theatre", 30 * DAY, 60 * DAY, DEAD),
        wait(5, "liver_theatre", 30 * DAY, 60 * DAY, FOUND_UNRESECTABLE),
        wait(0, "liver_theatre", 30 * DAY, 60 * DAY, FOUND_UNRESECTABLE),
    ]
    counts = flow(played(people, lists))
    assert counts.sum() == len(people)
    assert counts.sum(axis=(1, 2)).tolist() == [1, 1, 2, 1, 1]
    assert counts.sum(axis=(0, 2)).tolist() == [3, 1, 1, 1]
    assert counts.sum(axis=(0, 1)).tolist() == [5, 1]
    found = links(counts)
    assert sum(number for source, _, number in found if source == "diagnosed") == len(people)
    assert sum(number for _, target, number in found if target in LAST) == len(people)
    assert ("died while waiting", "dead at the end", 1) in found


def test_where_a_patient_is() -> None:
    """Diagnosed on day 10, waits for a scan on days 12 and 13, dies on day 20."""
    log = np.zeros(0, ACTIVITY_LOG)
    waits = np.array([wait(0, "ct", 12 * DAY + 5, 14 * DAY + 5)], WAITS)
    found = courses.course(10 * DAY, log, waits, 10 * DAY)
    assert found == [
        (10 * DAY, courses.HOME),
        (12 * DAY + 5, courses.FOR_SCAN),
        (14 * DAY + 5, courses.HOME),
        (20 * DAY, courses.DEAD),
    ]
    people = patients(1)
    people["death_minute"] = 20 * DAY
    sample = courses.sample(played(people, waits.tolist()), log)
    assert sample["days"] == 280
    assert sample["patients"] == [[0, 0, 12, courses.FOR_SCAN, 14, 0, 20, courses.DEAD]]


def events() -> Any:
    """Two who queue for the same CT at minute 0; the first leaves a theatre's list in vain."""
    log = np.zeros(2, ACTIVITY_LOG)
    log["patient"], log["start"], log["end"] = (0, 1), (30, 40), (60, 50)
    log["activity"], log["service"] = ACTIVITIES.index("ct_scan"), SERVICES.index("ct")
    people = patients(2)
    people["death_minute"][0] = 100
    waits = np.array([wait(0, "ct", 10, 40), wait(1, "ct", 10, 50)], WAITS)
    in_vain = np.array([wait(0, "liver_theatre", 70, 110, DEAD)], WAITS)
    in_vain["activity"], in_vain["station"] = ACTIVITIES.index("minor_liver_resection"), 1
    queues = Queues(np.concatenate([waits, in_vain]), ["ct, city", "liver_theatre, city"])
    return event_frame(log, "a", 0, people, np.array([10, 10]), queues)


def test_events_of_queues() -> None:
    frame = events()
    assert tuple(frame.columns) == (*EVENT_COLUMNS, "station")
    first = frame[frame["entity_id"] == 0]
    assert first[["time", "event_type", "event"]].to_numpy().tolist() == [
        [10, "arrival_departure", "arrival"],
        [10, "queue", "ct_scan"],
        [40, "resource_use", "ct_scan"],
        [70, "resource_use_end", "ct_scan"],
        [70, "queue", "minor_liver_resection"],
        [110, "arrival_departure", "depart"],
    ]
    assert first["station"].tolist()[1:5] == ["ct, city"] * 3 + ["liver_theatre, city"]
    used = frame[frame["event_type"] == "resource_use"]
    assert used["resource_id"].tolist() == [1, 2]
    assert frame.loc[frame["event_type"] == "queue", "resource_id"].isna().all()


def test_vidigi_accepts_the_events() -> None:
    logging = pytest.importorskip("vidigi.logging")
    frame = events()
    for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        logging.BaseEvent(**row)


# Late and often enough ---------------------------------------------------------------------------


def test_the_page_shows_the_warm_up_stated_and_suggested(written: str, arms: int) -> None:
    section = written[written.index('id="enough"') : written.index('id="load"')]
    assert "12 weeks are stated, 20 suggested" in section
    assert "&#34;20 weeks&#34; in [arrivals]" in section
    assert section.count("stated 12<") == 2  # a picture each for CT and liver theatre
    assert "suggested 20<" in section
    assert (f"suggested 15{' (not every plan)' if arms > 1 else ''}<") in section
    assert ("No steady state is found for liver theatre" in section) == (arms > 1)
    assert (">no steady state<" in section) == (arms > 1)
    assert section.count("±2 points") == arms + 1
    assert "for ±1 points about 1,234 are needed" in section
    assert "3 replications are not enough" in section


def test_a_run_of_an_older_version_has_a_page_without_them(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    kept = json.loads((folder / "summary.json").read_text("utf-8"))
    del kept["warm_up"], kept["precision"]
    (folder / "summary.json").write_text(json.dumps(kept), "utf-8")
    assert 'id="enough"' not in write_report(folder).read_text("utf-8")


def test_a_warm_up_that_is_long_enough_is_not_called_short() -> None:
    found = summary(1)
    assert len(enough_words.warm_up(found)) == 2
    found["warm_up"]["stated_weeks"] = 20.0
    assert enough_words.warm_up(found) == [
        "Warm-up: 20 weeks are stated, 20 suggested (MSER-5), the longest of any queue: CT."
    ]
    found["warm_up"]["services"]["two"] = {}
    assert "too short, to suggest one" in enough_words.warm_up(found)[0]


# A run, by the command line ----------------------------------------------------------------------


def test_a_run_writes_its_page_and_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas
    from typer.testing import CliRunner

    from crlm_sim.cli import app

    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SMALL_REGION, "utf-8")
    Path("more.toml").write_text('base = "small.toml"\ntitle = "More"\n', "utf-8")
    options = ["--against", "more.toml", "--events", "--quiet", "--threads", "1", "--out", "run"]
    done = CliRunner().invoke(app, ["run", "small.toml", *options])
    assert done.exit_code == 0, done.output
    page = Path("run/report.html")
    before = page.read_text("utf-8")
    page.unlink()
    assert CliRunner().invoke(app, ["report", "run", "--quiet"]).exit_code == 0
    assert page.read_text("utf-8") == before

    kept = json.loads(Path("run/summary.json").read_text("utf-8"))
    each = json.loads(Path("run/replications.json").read_text("utf-8"))
    years = 26 * 7 / 365.25
    for one in each:
        diagnosed = one["outcomes"]["diagnosed_a_year"] * years
        assert np.sum(one["flow"]) == pytest.approx(diagnosed)
        assert ("sample" in one) == (one["replication"] == 0)
    assert kept["warm_up"]["stated_weeks"] == 8.0
    resected = kept["precision"]["outcomes"]["resected"]["arms"]["small"]["replications_needed"]
    assert f"for ±5 % about {resected:,} are needed" in " ".join(done.stdout.split())
    for arm in ("small", "more"):
        total = sum(np.sum(one["flow"]) for one in each if one["arm"] == arm)
        assert sum(n for source, _, n in kept["flow"][arm] if source == "diagnosed") == total

    frame = pandas.read_parquet("run/events.parquet")
    assert set(frame["policy"]) == {"small", "more"}
    ct = frame[(frame["station"] == "ct, city") & (frame["policy"] == "small")]
    by_kind = ct.groupby("event_type")["time"].agg(["size", "mean"])
    assert by_kind.loc["queue", "size"] >= by_kind.loc["resource_use", "size"] > 0
    assert by_kind.loc["queue", "mean"] < by_kind.loc["resource_use", "mean"]
    used = ct[ct["event_type"] == "resource_use"]
    assert (used["resource_id"] == 1).all()
