"""When a study's clock starts, and what then counts."""

import numpy as np
import pytest
from helpers import DAY, YEAR, lived, patient_by_hand, policy
from hypothesis import given
from hypothesis import strategies as st

from crlm_sim.disease.patient import NEVER
from crlm_sim.evidence import pack
from crlm_sim.outcomes.clocks import CLOCKS, CURVES, reached, times
from crlm_sim.outcomes.definitions import CURVES as OWN_CURVES
from crlm_sim.outcomes.definitions import spans

SIZE = 2_000


def someone(**fields):
    lines = {
        name: fields.pop(name)
        for name in list(fields)
        if name.startswith("line_") and isinstance(fields[name], tuple)
    }
    patients = patient_by_hand(end_minute=10 * YEAR, **fields)
    for name, values in lines.items():
        patients[name][0] = values
    return patients


def one(patients, clock, curve, most=NEVER):
    minutes, happened, _ = times(patients, clock, curve, most)
    return int(minutes[0]), bool(happened[0])


def test_death_and_progression_are_counted_from_the_clock():
    patients = someone(
        death_minute=500 * DAY,
        line_minute=(20 * DAY, 200 * DAY, NEVER),
        line_progression_minute=(190 * DAY, 300 * DAY, NEVER),
    )
    patients["end_minute"] = 500 * DAY
    assert one(patients, "first_line", "os") == (480 * DAY, True)
    assert one(patients, "first_line", "pfs") == (170 * DAY, True)
    assert one(patients, "second_line", "pfs") == (100 * DAY, True)
    assert not reached(patients, "third_line")[0]
    assert len(times(patients, "third_line", "os")[0]) == 0


def test_a_progression_before_the_clock_does_not_count():
    patients = someone(
        progression_minute=10 * DAY,
        line_minute=(20 * DAY, NEVER, NEVER),
        first_liver_resection_minute=100 * DAY,
        recurrence_minute=400 * DAY,
    )
    assert one(patients, "first_line", "pfs") == (380 * DAY, True)
    assert one(patients, "liver_resection", "dfs") == (300 * DAY, True)
    assert one(patients, "diagnosis", "pfs") == (10 * DAY, True)


def test_follow_up_ends_when_the_study_ends():
    patients = someone(death_minute=3 * YEAR)
    patients["end_minute"] = 3 * YEAR
    assert one(patients, "diagnosis", "os", 2 * YEAR) == (2 * YEAR, False)
    assert one(patients, "diagnosis", "os", 3 * YEAR) == (3 * YEAR, True)


def test_a_death_only_ends_follow_up_of_local_control():
    patients = someone(death_minute=2 * YEAR, local_treatment_minute=DAY)
    patients["end_minute"] = 2 * YEAR
    assert one(patients, "local_treatment", "local_control") == (2 * YEAR - DAY, False)
    assert one(patients, "diagnosis", "liver_control") == (2 * YEAR, False)
    assert one(patients, "diagnosis", "liver_pfs") == (2 * YEAR, True)


@pytest.mark.parametrize("clock", CLOCKS)
def test_times_hold_together_over_simulated_patients(clock):
    patients = lived(SIZE, policy(maintenance_regimen=-1.0), pack())
    survival, died, who = times(patients, clock, "os")
    assert (survival >= 0).all()
    assert len(survival) == who.sum() == reached(patients, clock).sum()
    assert (died == (patients["death_minute"][who] < NEVER)).all()
    for curve in CURVES:
        minutes, _, same = times(patients, clock, curve)
        assert np.array_equal(same, who)
        assert (minutes <= survival).all()


def test_lines_follow_one_another():
    patients = lived(SIZE, policy(), pack())
    starts = patients["line_minute"]
    for line in (0, 1):
        both = (starts[:, line] < NEVER) & (starts[:, line + 1] < NEVER)
        assert both.any()
        assert (starts[both, line] < starts[both, line + 1]).all()
    progressed = patients["line_progression_minute"]
    assert (progressed[progressed < NEVER] > starts[progressed < NEVER]).all()
    assert ((patients["line_response"] == 1) <= (patients["line_measurable"] == 1)).all()


# Every clock, by hand ----------------------------------------------------------------------------

STARTS = {
    "diagnosis": (None, 0),
    "first_line": ("line_minute", (70 * DAY, 90 * DAY, 95 * DAY)),
    "second_line": ("line_minute", (20 * DAY, 70 * DAY, 95 * DAY)),
    "third_line": ("line_minute", (20 * DAY, 30 * DAY, 70 * DAY)),
    "maintenance": ("induction_end_minute", 70 * DAY),
    "support": ("support_minute", 70 * DAY),
    "liver_resection": ("first_liver_resection_minute", 70 * DAY),
    "repeat_resection": ("repeat_resection_minute", 70 * DAY),
    "clearance": ("cleared_minute", 70 * DAY),
    "local_treatment": ("local_treatment_minute", 70 * DAY),
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_every_clock_starts_with_its_minute_and_with_nothing_else(clock):
    field, minute = STARTS[clock]
    patients = someone(death_minute=400 * DAY, **({field: minute} if field else {}))
    patients["end_minute"] = 400 * DAY
    start = 70 * DAY if field else 0
    assert one(patients, clock, "os") == (400 * DAY - start, True)
    assert one(patients, clock, "os", 100 * DAY) == (100 * DAY, False)
    for other in CLOCKS:
        lines = {"first_line", "second_line", "third_line"} if field == "line_minute" else {clock}
        if other not in lines | {"diagnosis"}:
            assert not reached(patients, other)[0]


@pytest.mark.parametrize("clock", [name for name in CLOCKS if name != "diagnosis"])
def test_whoever_dies_on_the_way_to_a_clock_does_not_count(clock):
    field, minute = STARTS[clock]
    patients = someone(death_minute=70 * DAY, **{field: minute})
    patients["end_minute"] = 70 * DAY
    assert not reached(patients, clock)[0]
    patients["end_minute"] = patients["death_minute"] = 70 * DAY + 1
    assert reached(patients, clock)[0]
    assert one(patients, clock, "os") == (1, True)


def test_a_death_on_the_day_of_diagnosis_counts():
    patients = someone(death_minute=0)
    patients["end_minute"] = 0
    assert one(patients, "diagnosis", "os") == (0, True)


def reference(patient, clock, curve, most):
    """(minutes, whether the event) as docs/studies.md tells it, without arrays; None: not reached.

    What ends a curve must come after its clock has started.
    """
    number = {"first_line": 0, "second_line": 1, "third_line": 2, "maintenance": 0}.get(clock)
    field, _ = STARTS[clock]
    start = 0
    if field == "line_minute":
        start = int(patient[field][number])
    elif field:
        start = int(patient[field])
    end = int(patient["end_minute"])
    if start >= NEVER or not (start < end or start == end == 0):
        return None
    in_liver = curve in ("liver_pfs", "liver_control")
    lines = patient["line_liver_progression_minute" if in_liver else "line_progression_minute"]
    plain = ("liver_progression",) if in_liver else ("progression", "recurrence")
    found = [*lines, *(patient[f"{name}_minute"] for name in plain)]
    if curve == "os":
        found = []
    if curve == "local_control":
        found = [patient["local_progression_minute"]]
    events = [int(minute) for minute in found if minute > start]
    if curve not in ("liver_control", "local_control"):
        events.append(int(patient["death_minute"]))
    event = min(events, default=NEVER)
    last = min(end, start + most)
    return (event - start, True) if event <= last else (last - start, False)


MINUTES = st.one_of(st.just(NEVER), st.integers(0, 40))
FIELDS = (
    "progression_minute",
    "liver_progression_minute",
    "recurrence_minute",
    "local_progression_minute",
    *(name for name, _ in STARTS.values() if name and name != "line_minute"),
)


@given(st.data())
def test_times_are_those_of_the_definition_whatever_the_record(data):
    patients = someone(**{name: data.draw(MINUTES, label=name) for name in FIELDS})
    for name in ("line_minute", "line_progression_minute", "line_liver_progression_minute"):
        patients[name][0] = data.draw(st.tuples(MINUTES, MINUTES, MINUTES), label=name)
    death = data.draw(MINUTES, label="death")
    patients["death_minute"] = death
    patients["end_minute"] = min(death, 40)
    most = data.draw(st.one_of(st.just(NEVER), st.integers(1, 50)), label="most")
    for clock in CLOCKS:
        for curve in CURVES:
            expected = reference(patients[0], clock, curve, most)
            minutes, happened, who = times(patients, clock, curve, most)
            if expected is None:
                assert not who[0]
                assert len(minutes) == 0
            else:
                assert (int(minutes[0]), bool(happened[0])) == expected, (clock, curve)
                assert minutes[0] >= 0


@pytest.mark.parametrize("most", [90 * DAY, 2 * YEAR])
def test_a_shorter_follow_up_only_cuts(most):
    """What happens before the cut is as without it, and the rest is censored there."""
    patients = lived(SIZE, policy(), pack())
    for clock in CLOCKS:
        for curve in CURVES:
            long, event, _ = times(patients, clock, curve)
            short, seen, _ = times(patients, clock, curve, most)
            assert np.array_equal(short, np.minimum(long, most))
            assert np.array_equal(seen, event & (long <= most))


def test_from_diagnosis_the_times_are_those_of_the_run():
    """The curves of a run are counted by other code, in whole days."""
    patients = lived(SIZE, policy(), pack())
    for curve in ("os", "pfs"):
        who, spent, happened = spans(patients, OWN_CURVES[curve])
        minutes, same, _ = times(patients, "diagnosis", curve)
        assert len(who) == SIZE
        assert np.array_equal(spent, minutes)
        assert np.array_equal(happened, same)


def test_lines_end_before_the_next_begins_or_are_left_without_progression():
    patients = lived(SIZE, policy(), pack())
    begun, ended = patients["line_minute"], patients["line_progression_minute"]
    for line in (0, 1):
        both = (begun[:, line + 1] < NEVER) & (ended[:, line] < NEVER)
        assert both.sum() > 100
        assert (ended[both, line] <= begun[both, line + 1]).all()
    support = patients["support_minute"]
    last = np.where(begun < NEVER, begun, 0).max(axis=1)
    assert (support > last)[support < NEVER].all()
