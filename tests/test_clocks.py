"""When a study's clock starts, and what then counts."""

import numpy as np
import pytest
from helpers import DAY, YEAR, lived, patient_by_hand, policy

from crlm_sim.disease.patient import NEVER
from crlm_sim.evidence import pack
from crlm_sim.outcomes.clocks import CLOCKS, CURVES, reached, times

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
    assert one(patients, "first_line", "pfs") == (10 * YEAR - 20 * DAY, False)
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
