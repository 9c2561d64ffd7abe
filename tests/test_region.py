"""Hospitals, sessions and arrivals of a scenario: what is read, what is refused, who comes when."""

import tomllib
from datetime import date

import jsonschema
import numpy as np
import pytest
from scipy import stats

from crlm_sim.engines.diary import Session
from crlm_sim.engines.region import MOST_AT_A_HOSPITAL, diagnosed, expected_per_year, network_of
from crlm_sim.evidence import SERVICES
from crlm_sim.experiments.describe import explain
from crlm_sim.report.terminal import explain_text
from crlm_sim.scenario import ScenarioError, loads, to_toml
from crlm_sim.scenario.schema import json_schema

REGION = """\
title = "Two hospitals"
[run]
engine = "agents"
draws = "mean"
[hospitals.city]
population = 500_000
high_dependency_beds = 2
[hospitals.north]
population = 250_000
refers_to = "city"
[services.ct]
north = { sessions = ["Mon 09:00-12:00"], others = { per_week = 7, minutes = "20 minutes" } }
[services.ct.city]
sessions = ["Mon-Fri 08:00-18:00"]
places = 2
others = { share = "50 %", minutes = "20 minutes" }
[services.colorectal_theatre.city]
sessions = ["Tue 08:30-17:30"]
[services.colorectal_theatre.north]
sessions = ["Thu 08:30-17:30"]
[services.liver_theatre.city]
sessions = ["Tue 08:30-17:30", "Thu 08:30-17:30"]
turnaround = "30 minutes"
periods = [
    { first = "12-24", last = "01-02" },
    { first = 2027-06-01, last = 2027-06-30, sessions = ["Thu 08:30-17:30"] },
]
[services.joint_theatre.city]
teams = ["liver_theatre", "colorectal_theatre"]
[calendar]
first_day = 2027-01-04
closed = [2027-01-05]
[arrivals]
per_100_000 = 40
warm_up = "0 days"
period = "1 year"
follow_up = "0 days"
[[policy]]
name = "colorectal_first"
"""
WEEK = 7 * 1440
TUESDAY = 'sessions = ["Tue 08:30-17:30"]'


def read(old="", new=""):
    assert old in REGION
    return loads(REGION.replace(old, new, 1))


def told(old, new):
    with pytest.raises(ScenarioError) as refused:
        read(old, new)
    return str(refused.value)


def station(network, name):
    return next(plan for plan in network.stations if plan.name == name)


def test_what_is_written_is_read_back():
    scenario = read()
    assert loads(to_toml(scenario)) == scenario
    varied = read('share = "50 %", ', f'share = "50 %", {BUSY_WINTER}, ')
    assert loads(to_toml(varied)) == varied
    for one in (scenario, varied):
        jsonschema.validate(tomllib.loads(to_toml(one)), json_schema())
    assert scenario.region.stations["ct"]["city"].sessions[4] == (4, 480, 1080)
    assert scenario.changes["ct.wait_days"] == (0.0,)
    assert "mri.wait_days" not in scenario.changes


def test_a_diary_follows_weekdays_closures_and_periods():
    """2027-01-04 is a Monday; the 5th is closed for all, the theatre at the turn of the year."""
    network = network_of(read().region, 1)
    theatre = station(network, "liver_theatre, city").diary
    assert theatre[0] == Session(3 * 1440 + 510, 3 * 1440 + 1050, 1)
    assert theatre[1] == Session(WEEK + 1440 + 510, WEEK + 1440 + 1050, 1)
    days = {date.fromordinal(date(2027, 1, 4).toordinal() + s.start // 1440) for s in theatre}
    june = sorted(day for day in days if (day.year, day.month) == (2027, 6))
    assert [day.day for day in june] == [3, 10, 17, 24]
    assert not [day for day in days if date(2027, 12, 24) <= day <= date(2028, 1, 2)]


def test_patients_go_to_their_own_hospital_or_where_it_refers():
    network = network_of(read().region, 1)
    names = [plan.name for plan in network.stations]

    def where(service, home):
        return [names[n] for n in network.where[SERVICES.index(service), home]]

    assert where("ct", 1) == ["ct, north"]
    assert where("liver_theatre", 1) == ["liver_theatre, city"]
    assert where("joint_theatre", 1) == ["liver_theatre, city", "colorectal_theatre, city"]
    assert (SERVICES.index("mri"), 0) not in network.where


def test_travel_adds_up_along_referrals():
    """From the village to the town half an hour, from there to the city 50 minutes."""
    village = """
[hospitals.village]
population = 1_000
refers_to = "north"
travel = "30 minutes"
[services.ct]"""
    text = REGION.replace("[services.ct]", village, 1).replace(
        'refers_to = "city"', 'refers_to = "city"\ntravel = "50 minutes"', 1
    )
    network = network_of(loads(text).region, 1)
    assert network.travel == {(1, 0): 50, (2, 0): 80, (2, 1): 30}
    assert network_of(read().region, 1).travel == {(1, 0): 0}


# Other patients -----------------------------------------------------------------------------------

BUSY_WINTER = "by_month = [1.5, 1, 1, 1, 1, 1, 0.5, 0, 1, 1, 1, 1]"


def test_other_patients_have_slots_by_month():
    """Of 60 slots a day 75 % in January, 25 % in July, none in August; within 4.5 SE."""
    plain = station(network_of(read().region, 1), "ct, city").diary
    region = read('share = "50 %", ', f'share = "50 %", {BUSY_WINTER}, ').region
    diary = station(network_of(region, 1), "ct, city").diary

    def free(diary, month):
        starts = [
            (s, date.fromordinal(date(2027, 1, 4).toordinal() + s.start // 1440)) for s in diary
        ]
        inside = [(s, day) for s, day in starts if (day.year, day.month) == (2027, month)]
        return sum(s.places for s, _ in inside), 60 * len({day for _, day in inside})

    for month, expected in ((1, 0.25), (7, 0.75), (8, 1.0)):
        left, slots = free(diary, month)
        error = 4.5 * (expected * (1 - expected) / slots) ** 0.5
        assert left / slots == pytest.approx(expected, abs=error)
    assert free(diary, 3) == free(plain, 3)


def test_other_patients_queue_by_month():
    """Seven a week is one a day: 31 days of 2028's January bring 46.5, August none."""
    text = REGION.replace("per_week = 7, ", f"per_week = 7, {BUSY_WINTER}, ", 1).replace(
        'period = "1 year"', 'period = "2 years"'
    )
    network = network_of(loads(text).region, 1)
    others = station(network, "ct, north").others
    begins = {
        (day.year, day.month): 1440 * n for n in range(730) for day in [day_of(n)] if day.day == 1
    }

    def come(first, last):
        return (average_at(others, begins[last]) - average_at(others, begins[first])) / 1440

    assert come((2028, 1), (2028, 2)) == pytest.approx(46.5, rel=1e-12)
    assert come((2028, 2), (2028, 3)) == pytest.approx(29.0, rel=1e-12)
    assert come((2027, 8), (2027, 9)) == 0.0
    in_all = 1.5 * (28 + 31 + 2.5) + 0.5 * 62 + (730.5 - 61.5 - 62 - 62)
    assert others.expected(network.end) == pytest.approx(in_all, rel=1e-12)
    plain = station(network_of(read().region, 1), "ct, north").others
    assert plain.minute_at(1234.5) == 1234.5
    assert plain.expected(network.end) == network.end / 1440


def day_of(number):
    return date.fromordinal(date(2027, 1, 4).toordinal() + number)


def average_at(others, minute):
    """The inverse of `minute_at`, by the table it is made of."""
    return np.interp(minute, *np.array(others.pace).T)


def test_explain_says_where_patients_queue(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    found = explain(read())["stations"]
    theatre = next(one for one in found if one["service"] == "liver_theatre")
    assert theatre["patients_of"] == ["city", "north"]
    text = explain_text(explain(read()))
    for words in ("Where patients queue", "Thu 08:30-17:30", "7 a week, 20 minutes each", "50%"):
        assert words in text


def test_other_patients_queue_or_have_slots_beforehand():
    """Half of 2 × 30 slots of 20 minutes a day, within 4.5 standard errors; others as a number."""
    network = network_of(read().region, 1)
    assert station(network, "ct, north").others.per_day == 1.0
    city = station(network, "ct, city")
    assert city.others is None
    assert {(s.end - s.start, (s.start - 480) % 20) for s in city.diary} == {(20, 0)}
    days = len({s.start // 1440 for s in city.diary})
    slots = 2 * 30 * days
    free = sum(s.places for s in city.diary)
    assert abs(free / slots - 0.5) < 4.5 * (0.25 / slots) ** 0.5
    assert network_of(read().region, 1, replicate=1).stations != network.stations
    assert network_of(read().region, 1).stations == network.stations


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('refers_to = "city"', 'refers_to = "citty"', "did you mean 'city'?"),
        ('refers_to = "city"', "", "'north' have nowhere to go"),
        ("high_dependency_beds = 2", 'refers_to = "north"', "refer to each other in a circle"),
        ("[services.liver_theatre.city]", "[services.liver_theatre.ciy]", "unknown hospital 'ciy'"),
        ("places = 2", "places = 0", "at least 1"),
        ('"Tue 08:30-17:30", "Thu 08', '"Tue 08:30-17:30", "Tue 12:00-13:00", "Thu 08', "overlap"),
        (TUESDAY, 'sessions = ["Tue 08:30-09:30"]', "takes 172"),
        (TUESDAY, "", "never open"),
        ("per_100_000 = 40", "trend = -1.5", "between '-50 %' and '100 %' a year"),
        ("per_100_000 = 40", "season = 1.5", "between 0 and 1"),
        (
            "[hospitals.city]",
            '[population]\neligible = "resectable"\n[hospitals.city]',
            "everybody",
        ),
        ('draws = "mean"', 'draws = "mean"\narrivals_per_year = 9', "[arrivals] says who comes"),
        (TUESDAY, TUESDAY + '\nperiods = [{ first = "01-01", last = "12-31" }]', "whole run"),
        (TUESDAY, 'sessions = ["Tue 17:30-08:30"]', "end after it starts"),
        (TUESDAY, 'sessions = ["Die 08:30-17:30"]', "unknown day 'Die'"),
        ('share = "50 %", ', "", "say how many other patients"),
        ('share = "50 %", minutes = "20', 'share = "50 %", minutes = "10', "more than a slot"),
        ('"liver_theatre", "colo', '"liver_theater", "colo', "did you mean 'liver_theatre'?"),
        ("[services.ct]", '[services.ct]\nwait = "3 days"', "its wait is what the queue makes it"),
        ('engine = "agents"', 'engine = "cohort"', "must be 'agents'"),
        ('draws = "mean"', "draws = 3", "must be 'mean'"),
        (
            'draws = "mean"',
            'draws = "mean"\nprecision = "5 %"\nreplications = 300',
            "fewer than run.replications (300)",
        ),
        ("2027-06-01, last = 2027-06-30", "2027-06-01, last = 2027-05-30", "comes before first"),
        ('turnaround = "30 minutes"', "turnaround = 30", "such as '45 minutes'"),
        ("population = 500_000", "populaton = 500_000", "did you mean 'population'?"),
        ("high_dependency_beds = 2", 'travel = "50 minutes"', "and it refers to none"),
        ('refers_to = "city"', 'refers_to = "city"\ntravel = 50', "such as '45 minutes'"),
        ('share = "50 %", ', 'share = "50 %", by_month = [1, 2], ', "twelve numbers, from January"),
        ('share = "50 %", ', f'share = "50 %", {BUSY_WINTER.replace("0,", "-1,")}, ', "negative"),
        (
            'share = "50 %", ',
            f'share = "70 %", {BUSY_WINTER}, ',
            "in month 1 others would have 105% of the slots",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_the_run(old, new, said):
    assert said in told(old, new)


def test_what_is_refused_is_shown_with_its_line():
    text = REGION.replace('share = "50 %", ', 'share = "50 %", by_month = [1], ')
    with pytest.raises(ScenarioError) as refused:
        loads(text)
    line = 1 + text[: text.index("by_month")].count("\n")
    assert f"scenario.toml:{line}: " in str(refused.value)
    assert "(got 1 numbers)" in str(refused.value)


def test_a_station_may_be_changed_by_a_scenario_that_builds_on_another(tmp_path):
    (tmp_path / "base.toml").write_text(REGION)
    text = 'base = "base.toml"\ntitle = "More"\n[services.ct.city]\nplaces = 3\n'
    scenario = loads(text, folder=tmp_path)
    assert scenario.region.stations["ct"]["city"].places == 3
    assert scenario.region.stations["ct"]["city"].others.share == 0.5


# Who is diagnosed ---------------------------------------------------------------------------------


def counts(text, replicates=20):
    region = loads(text).region
    return [np.bincount(diagnosed(region, 1, 0, r)[2], minlength=2) for r in range(replicates)]


def test_as_many_are_diagnosed_as_the_population_says():
    """200 and 100 a year: sums over 20 years within 4.5 standard errors."""
    total = np.sum(counts(REGION), axis=0)
    expected = np.array([4000.0, 2000.0])
    assert (np.abs(total - expected) < 4.5 * np.sqrt(expected)).all()
    region = loads(REGION).region
    assert expected_per_year(region, "city") == pytest.approx(200.0, rel=1e-12)


def test_arrivals_are_a_poisson_process_without_season():
    """Kolmogorov–Smirnov of the gaps against the exponential; error rate 1 in 10,000."""
    region = loads(REGION.replace("per_100_000 = 40", "per_100_000 = 200")).region
    _, minutes, homes = diagnosed(region, 3)
    gaps = np.diff(minutes[homes == 0]) / 1440.0
    assert stats.kstest(gaps, "expon", args=(0, 365.25 / 1000)).pvalue > 1e-4


def test_season_and_trend_move_arrivals():
    seasonal = REGION.replace("per_100_000 = 40", 'per_100_000 = 4000\nseason = "50 %"')
    _, minutes, _ = diagnosed(loads(seasonal).region, 1)
    by_month = np.bincount((minutes // 1440 * 12 // 366).astype(int), minlength=12)
    assert by_month[0] > 1.8 * by_month[6]
    growing = REGION.replace("per_100_000 = 40", 'per_100_000 = 400\ntrend = "10 %"').replace(
        '"1 year"', '"10 years"'
    )
    _, minutes, _ = diagnosed(loads(growing).region, 1)
    early, late = (minutes < 525_960).sum(), (minutes >= 9 * 525_960).sum()
    assert late / early == pytest.approx(1.1**9, rel=4.5 * np.sqrt(1 / early + 1 / late))


def test_patients_stay_who_they_are_when_another_hospital_changes():
    before = diagnosed(read().region, 1)
    after = diagnosed(read("population = 500_000", "population = 900_000").region, 1)
    north_before = before[0][before[2] == 1], before[1][before[2] == 1]
    north_after = after[0][after[2] == 1], after[1][after[2] == 1]
    assert np.array_equal(north_before, north_after)
    assert (north_before[0] >= MOST_AT_A_HOSPITAL).all()


def test_a_fault_in_one_hospital_or_list_is_told_alone():
    """Not that all who refer to it, or need its teams, know no such hospital or list."""
    for fault in ("high_dependency_beds = -2", 'travel = "50 minutes"\nhigh_dependency_beds = 1.5'):
        with pytest.raises(ScenarioError) as error:
            read("high_dependency_beds = 2", fault)
        assert len(error.value.problems) == 1
    with pytest.raises(ScenarioError) as error:
        read('sessions = ["Tue 08:30-17:30", "Thu 08:30-17:30"]\n', 'sessions = ["Tue 08:30"]\n')
    assert len(error.value.problems) == 1
