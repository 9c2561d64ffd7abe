"""Planners' outcomes by hand on diaries of a few rows, and runs over replications."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import SMALL_REGION

from crlm_sim.disease.patient import NEVER
from crlm_sim.engines import cohort
from crlm_sim.engines.diary import Session
from crlm_sim.engines.network import (
    BED_CHANGES,
    DEAD,
    FOUND_UNRESECTABLE,
    SERVED,
    SESSIONS,
    WAITS,
    BedPlan,
    Diaries,
    Network,
    StationPlan,
)
from crlm_sim.engines.region import MOST_AT_A_HOSPITAL
from crlm_sim.engines.steps import ACTIVITY_LOG
from crlm_sim.evidence import SERVICES
from crlm_sim.experiments import region as runs
from crlm_sim.experiments.asked import UnknownOutcome
from crlm_sim.experiments.enough import warm_up_of
from crlm_sim.experiments.verifying.queues import (
    QUEUE_CHECKS,
    beds_hold_one_each,
    everybody_is_accounted_for,
    nobody_waits_twice_at_once,
    sessions_hold_what_they_can,
    time_runs_forwards,
)
from crlm_sim.outcomes.planning import Played, by_week, mean_queue, outcomes
from crlm_sim.scenario import loads

DAY = 1440
CT, LIVER, MDT = (SERVICES.index(name) for name in ("ct", "liver_theatre", "mdt"))


def diaries(waits=(), sessions=(), beds=()):
    return Diaries(
        np.array(list(waits), WAITS),
        np.array(list(sessions), SESSIONS),
        np.array(list(beds), BED_CHANGES),
    )


def played(patients, arrivals, kept, window=(0, 100 * DAY)):
    plans = (
        StationPlan("ct, city", 0, (Session(0, 60, 1),)),
        StationPlan("liver_theatre, city", 0, (Session(0, 60, 1),)),
    )
    network = Network(plans, {(CT, 0): (0,), (LIVER, 0): (1,)}, 100 * DAY, {0: BedPlan(4, 2)})
    log = np.zeros(0, ACTIVITY_LOG)
    return Played(patients, np.array(arrivals, np.int64), kept, network, window, log)


def wait(patient, service, ready, left, outcome=SERVED):
    """One row; station 0 is the CT and 1 the liver theatre."""
    station = 0 if service == CT else 1
    return patient, 0, service, station, ready, ready, ready, left, outcome


def patients(number):
    found = cohort.blank_records(np.arange(number), 1)
    for field in found.dtype.names:
        if field.endswith("_minute") and found[field].ndim == 1:
            found[field] = NEVER
    found["end_minute"] = 4000 * DAY
    return found


def test_waits_and_queues_by_hand():
    """Waits of 2, 4 and 12 days for theatre: median 4, mean 6; 18 patient days in 100 days."""
    kept = diaries(
        [
            wait(0, LIVER, 0, 2 * DAY),
            wait(1, LIVER, 10 * DAY, 14 * DAY, DEAD),
            wait(2, LIVER, 20 * DAY, 32 * DAY, FOUND_UNRESECTABLE),
            wait(3, LIVER, 200 * DAY, 300 * DAY),
            wait(0, CT, 5 * DAY, 5 * DAY + 144),
        ]
    )
    found = outcomes(played(patients(4), [0, 0, 0, 0], kept))
    assert found["wait_liver_theatre_median_days"] == 4.0
    assert found["wait_liver_theatre_mean_days"] == 6.0
    assert found["queue_liver_theatre"] == pytest.approx(0.18)
    assert found["wait_ct_mean_days"] == pytest.approx(0.1)
    years = 100 / 365.25
    assert found["died_waiting_a_year"] == pytest.approx(1 / years)
    assert found["unresectable_after_waiting_a_year"] == pytest.approx(1 / years)
    assert found["theatre_within_31_days"] == 1.0


def test_sessions_and_beds_by_hand():
    """Of two sessions of 8 h 6 h and 8 h are used, 1 h beyond the end; one operation called off.

    Two ward beds for 10 days and one for 20 more are 40 bed days in 100.
    """
    kept = diaries(
        sessions=[(1, 0, 480, 1, 360, 0, 1), (1, DAY, DAY + 480, 1, 540, 60, 0)],
        beds=[(0, 0, 0, 2), (0, 0, 10 * DAY, 1), (0, 0, 30 * DAY, 0)],
    )
    found = outcomes(played(patients(1), [0], kept))
    assert found["used_liver_theatre"] == pytest.approx((360 + 480) / 960)
    assert found["overrun_liver_theatre_minutes"] == 30.0
    assert found["cancelled_a_year"] == pytest.approx(365.25 / 100)
    assert found["ward_beds_taken"] == pytest.approx(0.4)
    assert found["high_dependency_beds_taken"] == 0.0


def test_travel_by_hand():
    """Two at home in the city, two 50 minutes away, one of these diagnosed after the window.

    The other goes to the CT and twice to theatre there, not to the meeting and not when found
    unresectable on the list: 3 × 100 minutes are 5 hours, over three patients.
    """
    away = MOST_AT_A_HOSPITAL
    people = patients(4)
    people["patient"] = [0, 1, away, away + 1]
    people["referred"][:2] = 1
    kept = diaries(
        [
            wait(0, LIVER, 0, DAY),
            wait(away, CT, 0, DAY),
            wait(away, MDT, DAY, 2 * DAY),
            wait(away, LIVER, 3 * DAY, 4 * DAY),
            wait(away, LIVER, 8 * DAY, 9 * DAY, FOUND_UNRESECTABLE),
            wait(away, LIVER, 200 * DAY, 210 * DAY),
            wait(away + 1, LIVER, 3 * DAY, 4 * DAY),
        ]
    )
    lived = played(people, [0, 0, 0, 100 * DAY], kept)
    lived = replace(lived, network=replace(lived.network, travel={(1, 0): 50}))
    found = outcomes(lived)
    assert found["travel_hours"] == pytest.approx(5 / 3)
    assert found["treated_away"] == pytest.approx(1 / 3)
    assert found["referred"] == pytest.approx(2 / 3)
    scans = replace(lived, diaries=diaries([wait(away, CT, 0, DAY)]))
    assert outcomes(scans)["travel_hours"] == pytest.approx(100 / 60 / 3)
    assert outcomes(scans)["treated_away"] == 0.0


def test_only_who_is_diagnosed_in_the_window_counts():
    """Of five, two are diagnosed in it: treated on days 10 and 80, one of them dead on day 400."""
    people = patients(5)
    people["first_chemotherapy_minute"] = np.array([1, 10, 80, 1, 1]) * DAY
    people["death_minute"][1] = people["end_minute"][1] = 400 * DAY
    people["resected"][2] = 1
    arrivals = np.array([0, 100, 150, 200, 300]) * DAY
    found = outcomes(played(people, arrivals, diaries(), (50 * DAY, 200 * DAY)))
    assert found["diagnosed_a_year"] == pytest.approx(2 * 365.25 / 150)
    assert found["to_treatment_median_days"] == 45.0
    assert found["treated_within_62_days"] == 0.5
    assert found["resected"] == 0.5
    assert found["os_1y"] == 1.0
    assert found["os_2y"] == 0.5


def test_a_queue_is_that_of_its_week():
    kept = diaries([wait(0, LIVER, 8 * DAY, 15 * DAY)])
    weeks = {
        service: (waits, queues)
        for service, waits, queues in by_week(played(patients(1), [0], kept))
    }
    waits, queues = weeks["liver_theatre"]
    assert queues[:4].tolist() == pytest.approx([0.0, 6 / 7, 1 / 7, 0.0])
    assert waits[1] == 7.0
    assert np.isnan(waits[0])
    assert mean_queue(kept.waits, (8 * DAY, 15 * DAY)) == 1.0


def test_an_interval_is_students():
    """Of 1, 2, 3: mean 2, SD 1, t with 2 degrees of freedom 4.303 (tables)."""
    found = runs.interval(np.array([1.0, 2.0, 3.0]))
    assert found["estimate"] == 2.0
    assert found["upper"] - 2.0 == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert runs.interval(np.array([np.nan]))["estimate"] is None


# Runs ---------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two():
    more = SMALL_REGION.replace('"Tue 08:30-17:30"', '"Mon-Fri 08:30-17:30"').replace(
        "Small", "More"
    )
    return [loads(SMALL_REGION, "small"), loads(more, "more")]


def test_a_run_is_the_same_from_where_it_stopped(here):
    whole = runs.run_region(two(), workers=1)
    seen = []

    def stop(done, total):
        seen.append(done)
        if done == 2:
            raise KeyboardInterrupt

    scenarios = two()
    (here / "runs" / whole["run"].split("/")[-1]).rename(here / "before")
    with pytest.raises(KeyboardInterrupt):
        runs.run_region(scenarios, workers=1, progress=stop)
    again = runs.run_region(scenarios, workers=1, progress=lambda done, total: seen.append(done))
    assert seen[3] == 2
    assert {**again, "seconds": 0} == {**whole, "seconds": 0}
    assert not list((here / "runs").glob(".*"))
    assert "ct_scan.price" in whole["economics"]["placeholders"]
    for found in whole["policies"].values():
        told = {name: one["estimate"] for name, one in found.items()}
        assert told["cost"] > 1_000
        assert 0 < told["qaly"] < 34 / 52  # nobody is followed for longer
    kept = json.loads((here / whole["run"] / "summary.json").read_text())
    assert kept["differences"]["more"]["diagnosed_a_year"]["estimate"] == 0.0
    assert (
        kept["load"]["small"]["liver_theatre, city"] > kept["load"]["more"]["liver_theatre, city"]
    )


def test_queues_pass_their_checks_and_every_defect_is_told(here):
    large = SMALL_REGION.replace("300_000", "900_000")
    lived = runs.play(loads(large, "large"), "colorectal_first", 0)
    assert [check(lived)[3] for check in QUEUE_CHECKS] == [0] * len(QUEUE_CHECKS)
    assert all(check(lived)[2] for check in QUEUE_CHECKS)

    def spoilt(field, number, change, part="diaries"):
        rows = lived.patients if part == "patients" else getattr(lived.diaries, part)
        changed = rows.copy()
        changed[field][number] = change(changed[field][number])
        if part == "patients":
            return replace(lived, patients=changed)
        return replace(lived, diaries=replace(lived.diaries, **{part: changed}))

    dead = int(np.flatnonzero(lived.patients["death_minute"] < NEVER)[0])
    who = lived.diaries.waits["patient"]
    twice = next(patient for patient in who if (who == patient).sum() > 1)
    later = int(np.flatnonzero(who == twice)[-1])
    for check, defect in (
        (everybody_is_accounted_for, spoilt("end_minute", dead, lambda m: m + 1, "patients")),
        (time_runs_forwards, spoilt("left", 3, lambda m: m - 10**6, "waits")),
        (time_runs_forwards, spoilt("left", 3, lambda m: m + 10**8, "waits")),
        (nobody_waits_twice_at_once, spoilt("ready", later, lambda m: 0, "waits")),
        (sessions_hold_what_they_can, spoilt("used", 0, lambda m: 10**6, "sessions")),
        (beds_hold_one_each, spoilt("taken", 0, lambda n: 7, "beds")),
    ):
        assert check(defect)[3] > 0


def test_equal_scenarios_differ_in_nothing(here):
    same = [loads(SMALL_REGION, "small"), loads(SMALL_REGION, "again")]
    summary = runs.run_region(same, workers=1)
    for entry in summary["differences"]["again"].values():
        assert entry["estimate"] in (None, 0.0)


def test_a_list_asked_for_more_than_it_is_open_is_told_before_the_run(here):
    told = []

    def stop(done, total):
        raise KeyboardInterrupt

    for people, crowded in (("3_000_000", True), ("300_000", False)):
        told.clear()
        region = loads(SMALL_REGION.replace("300_000", people), "small")
        with pytest.raises(KeyboardInterrupt):
            runs.run_region([region], workers=1, progress=stop, tell=told.append)
        assert any("liver_theatre, city" in one for one in told) == crowded


def test_each_queue_suggests_its_own_and_hardly_any_says_nothing():
    """Two replications of 60 weeks of which 50 count: 3 for ten weeks, then 1; and what is rare."""
    weeks = {
        "ct": {"queue": [3.0] * 10 + [1.0] * 40 + [99.0] * 10},
        "mri": {"queue": [float(week) for week in range(60)]},
        "pet": {"queue": [0.0] * 49 + [1.0] * 11},
    }
    found = {(0, number): {"weeks": weeks} for number in range(2)}
    week = 7 * 1440
    said = warm_up_of(found, ["two"], (8 * week, 50 * week))
    assert said == {
        "stated_weeks": 8.0,
        "suggested_weeks": 10,
        "services": {"two": {"ct": 10, "mri": None}},
    }
    assert warm_up_of(found, ["two"], (8 * week, 49 * week))["services"] == {"two": {}}


# As many as a precision takes ---------------------------------------------------------------------

PRECISE = SMALL_REGION.replace(
    "replications = 2",
    "replications = 1\nmost_replications = 30\n[run.precision]\n"
    'wait_ct_mean_days = "20 %"\nresected = "30 points"',
)


def without_time(summary):
    return {key: value for key, value in summary.items() if key not in ("seconds", "run")}


def test_replications_are_added_until_the_mean_is_precise(here):
    """It stops where the whole series would, whatever the processes, and is as asked for so many.

    Interrupted, it goes on from what is done.
    """
    precise = loads(PRECISE, "small")
    summary = runs.run_region([precise], workers=1)
    number = summary["replications"]
    assert 8 <= number < 30
    assert summary["precision"]["reached"]
    wait = summary["precision"]["outcomes"]["wait_ct_mean_days"]["arms"]["colorectal_first"]
    level = summary["policies"]["colorectal_first"]["wait_ct_mean_days"]
    assert wait["half_width"] == pytest.approx(level["upper"] - level["estimate"])
    assert wait["half_width"] <= wait["wanted"] == pytest.approx(0.2 * level["estimate"])

    done = []

    def stop(n, total):
        done.append(n)
        if n == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.run_region([precise], workers=1, out=here / "again", progress=stop)
    again = runs.run_region(
        [precise], workers=3, out=here / "again", progress=lambda n, _: done.append(n)
    )
    assert done[4] == 3
    assert without_time(again) == without_time(summary)

    asked = SMALL_REGION.replace("replications = 2", f"replications = {number}")
    told = ("policies", "differences", "flow", "load", "warm_up")
    whole = runs.run_region([loads(asked, "small")], workers=2)
    assert [whole[key] for key in told] == [summary[key] for key in told]
    assert whole["precision"]["reached"] is None


def test_more_replications_go_on_from_those_kept(here):
    """What was interrupted at two of two is not played again when three are asked for."""

    def stop(n, total):
        if n == 2:
            raise KeyboardInterrupt

    two_asked, three_asked = (
        loads(SMALL_REGION.replace("replications = 2", f"replications = {n}"), "small")
        for n in (2, 3)
    )
    with pytest.raises(KeyboardInterrupt):
        runs.run_region([two_asked], workers=1, progress=stop)
    seen = []
    more = runs.run_region([three_asked], workers=1, progress=lambda n, _: seen.append(n))
    assert seen == [2, 3]
    whole = runs.run_region([three_asked], workers=1, out=here / "whole")
    assert without_time(more) == without_time(whole)


def test_a_precision_of_nothing_known_is_refused(here):
    for said, words in (
        ('{ resectd = "5 %" }', "did you mean 'resected'?"),
        ('{ resected = "2 days" }', "such as '2 points' (got '2 days')"),
    ):
        text = SMALL_REGION.replace("replications = 2", f"precision = {said}")
        with pytest.raises(UnknownOutcome) as error:
            runs.run_region([loads(text, "small")], workers=1)
        assert words in str(error.value)
        assert not (here / "runs").exists()
