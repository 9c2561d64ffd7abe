"""The patient table and the event log."""

from __future__ import annotations

import numpy as np
import pandas as pd
from vidigi.analysis import event_durations
from vidigi.logging import BaseEvent

from crlm_sim.disease.patient import (
    FEMALE,
    MINUTE_COLUMNS,
    NEVER,
    RAS_MUTANT,
    RECTUM,
    TABLE_COLUMNS,
    TUMOUR,
    new_patients,
)
from crlm_sim.evidence import ACTIVITIES
from crlm_sim.outcomes import event_frame, patient_frame

LOG = np.dtype(
    [("patient", "i8"), ("activity", "i8"), ("service", "i8"), ("start", "i8"), ("end", "i8")]
)


def people() -> np.ndarray:
    """Three patients, out of order; the middle one dies at minute 500."""
    patients = new_patients(3)
    patients["patient"] = (12, 10, 11)
    for name in MINUTE_COLUMNS:
        patients[name] = NEVER
    patients["end_minute"] = (1000, 1000, 500)
    patients["death_minute"][2] = 500
    patients["cause_of_death"][2] = TUMOUR
    patients["sex"] = FEMALE
    patients["primary_site"] = RECTUM
    patients["mutation"] = RAS_MUTANT
    return patients


def log() -> np.ndarray:
    rows = np.zeros(3, LOG)
    rows["patient"] = (12, 11, 12)
    rows["activity"] = (1, 0, 0)
    rows["start"] = (30, 5, 10)
    rows["end"] = (40, 500, 30)
    return rows


def test_patient_table_is_sorted_and_in_words() -> None:
    frame = patient_frame(people(), "liver first")
    assert tuple(frame.columns) == TABLE_COLUMNS
    assert frame["patient"].tolist() == [10, 11, 12]
    assert frame["cause_of_death"].tolist() == ["alive", "tumour", "alive"]
    assert frame["death_minute"].isna().tolist() == [True, False, True]
    assert frame["death_minute"].dtype == pd.Int64Dtype()
    assert frame["death_minute"][1] == 500
    first = frame.iloc[0]
    words = first[["policy", "sex", "primary_site", "mutation"]].tolist()
    assert words == ["liver first", "female", "rectum", "RAS mutant"]


def test_patient_table_does_not_change_the_records() -> None:
    patients = people()
    patient_frame(patients, "a")
    assert (patients == people()).all()


def test_events_are_in_order_and_those_alive_do_not_depart() -> None:
    frame = event_frame(log(), "a", 4, people(), np.array([100, 0, 50]))
    one, two = ACTIVITIES[0], ACTIVITIES[1]
    columns = ["entity_id", "time", "event_type", "event"]
    assert frame[columns].to_numpy().tolist() == [
        [10, 0, "arrival_departure", "arrival"],
        [11, 50, "arrival_departure", "arrival"],
        [11, 55, "queue", one],
        [11, 55, "resource_use", one],
        [11, 550, "resource_use_end", one],
        [11, 550, "arrival_departure", "depart"],
        [12, 100, "arrival_departure", "arrival"],
        [12, 110, "queue", one],
        [12, 110, "resource_use", one],
        [12, 130, "resource_use_end", one],
        [12, 130, "queue", two],
        [12, 130, "resource_use", two],
        [12, 140, "resource_use_end", two],
    ]
    assert set(frame["policy"]) == set(frame["pathway"]) == {"a"}
    assert set(frame["run_number"]) == {4}
    used = frame["event_type"].isin(["resource_use", "resource_use_end"])
    assert (frame.loc[used, "resource_id"] == 1).all()
    assert frame.loc[~used, "resource_id"].isna().all()


def test_an_activity_of_no_length_keeps_its_order() -> None:
    rows = log()[:1]
    rows["end"] = rows["start"]
    frame = event_frame(rows, "a", 0, people())
    kinds = frame.loc[frame["time"] == 30, "event_type"].tolist()
    assert kinds == ["queue", "resource_use", "resource_use_end"]


def test_an_empty_log_still_says_who_came() -> None:
    frame = event_frame(np.zeros(0, LOG), "a", 0, people())
    assert frame["event"].tolist() == ["arrival", "arrival", "depart", "arrival"]


def test_vidigi_accepts_and_understands_the_log() -> None:
    frame = event_frame(log(), "a", 0, people())
    for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        BaseEvent(**row)
    spans = event_durations(frame, "arrival", "depart")
    ends = dict(zip(spans["entity_id"], spans["duration"], strict=True))
    assert ends[11] == 500
    assert np.isnan(ends[10])
