"""Patients and policies made by hand, for the tests of disease, care and engines."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from crlm_sim.disease.growth import EXTINCT, log_volume_of
from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER, new_patients
from crlm_sim.engines import cohort
from crlm_sim.evidence import pack
from crlm_sim.scenario import Scenario, load, loads
from crlm_sim.scenario.policies import library

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.toml"))
DAY = MINUTES_PER_DAY
YEAR = 525_960
HORIZON = 15 * YEAR

SHARES = (0.02, 0.07, 0.09, 0.17, 0.13, 0.12, 0.16, 0.24)
"""Segments 1–8 of the liver made by hand: right 65 %, left 35 %."""

KNOWN: dict[str, tuple[float, ...]] = {
    "growth_rate_per_day": (1e-3,),
    "log_capacity_ml": (8.0,),
    "kill_with_growth": (0.0,),
    "backbone_kill_per_day": (1.0,),
    "progression_log_growth": (0.0,),
    "log_cell_ml": (-20.72,),
    "embolisation_hypertrophy": (0.4,),
    "embolisation_atrophy": (0.2,),
    "partition_hypertrophy": (0.8,),
    "partition_time_days": (4.0,),
    "regrowth_time_days": (16.0,),
    "regrowth_injury_slowing": (1.5,),
    "regrowth_share": (0.85,),
    "sinusoidal_half_life_days": (150.0,),
    "steatohepatitis_half_life_days": (120.0,),
    "bevacizumab_sinusoidal_protection": (0.4,),
    "wedge_most_mm": (40.0,),
    "rfa.most_mm": (30.0,),
    "rfa.most_lesions": (3.0,),
    "rfa.avoids_vessel": (1.0,),
    "rfa.avoids_duct": (1.0,),
    "local_reference_mm": (20.0,),
    "large_lesion_mm": (50.0,),
    "margin_reference_mm": (10.0,),
    "spared_segments_least": (2.0,),
    "injured_after_cycles": (7.0,),
    "recist_partial": (0.7,),
    "recist_progression": (1.2,),
    "recist_progression_mm": (5.0,),
    "recist_least_mm": (10.0,),
    "measurement_error_sd": (0.0,),
    "scan_floor_mm": (2.0,),
    "next_operation_lost": (0.0,),
    "next_operation_lost_after_complication": (0.0,),
    "adjuvant_lost": (0.0,),
    "adjuvant_lost_after_complication": (0.0,),
    "line_received": (1.0, 1.0, 1.0, 1.0),
    "surgery_performance_status_most": (2.0,),
    "chemotherapy_performance_status_most": (2.0,),
    "primary_complication_fatal_in_support": (1.0,),
}
"""The parameters that answers worked by hand rest on, whatever the evidence says today."""

_NEVER = (
    "death_minute",
    "treatment_death_minute",
    "progression_minute",
    "recurrence_minute",
    "liver_progression_minute",
    "local_treatment_minute",
    "local_progression_minute",
    "cleared_minute",
    "first_liver_resection_minute",
    "primary_resection_minute",
    "first_chemotherapy_minute",
    "disease_free_minute",
    "last_operation_minute",
    "primary_complication_minute",
    "other_death_minute",
    "induction_end_minute",
    "support_minute",
    "repeat_resection_minute",
    "line_minute",
    "line_progression_minute",
    "line_liver_progression_minute",
)


def known_parameters(**changes: float | tuple[float, ...]) -> np.ndarray:
    """The parameter record with the values of `KNOWN`, and further changes."""
    more = {
        name: value if isinstance(value, tuple) else (value,) for name, value in changes.items()
    }
    return pack(0, 0, {**KNOWN, **more})


@cache
def scenario(path: Path) -> Scenario:
    """A scenario file, read once."""
    return load(path)


@cache
def _library_scenario() -> Scenario:
    names = "".join(f'[[policy]]\nname = "{name}"\n' for name in library())
    return loads(f'title = "Every policy of the library"\n{names}')


def policy(name: str = "standard", **changes: float) -> np.ndarray:
    """A packed policy of the library with some of its fields changed."""
    packed = _library_scenario().packed_policy(name).copy()
    for field, value in changes.items():
        packed[field] = value
    return packed


def patient_by_hand(**fields: float) -> np.ndarray:
    """One living patient, shape (1,): 75 kg, a liver of 1500 mL, no lesion, no luck of any kind.

    The remnant they need is 375 mL by weight (0.5 %), easier than 450 mL (30 % of the liver).
    """
    patients = new_patients(1)
    for field in _NEVER:
        patients[field] = NEVER
    patients["weight_kg"] = 75.0
    patients["age_years"] = 65.0
    patients["liver_ml"] = 1500.0
    patients["segment_ml"] = np.array(SHARES) * 1500.0
    for field in ("left_scale", "right_scale", "left_target", "right_target"):
        patients[field] = 1.0
    patients["growth_rate"] = 1e-3
    patients["sensitivity"] = 1.0
    patients["hypertrophy_factor"] = 1.0
    patients["log_lethal_liver_ml"] = np.log(500.0)
    patients["log_lethal_elsewhere_ml"] = np.log(250.0)
    patients["primary_in_place"] = 1
    for field, value in fields.items():
        patients[field] = value
    return patients


def add_lesion(
    patients: np.ndarray,
    site: int,
    diameter: float,
    *,
    deep: bool = False,
    near_vessel: bool = False,
    near_duct: bool = False,
    seen: bool = True,
    resistant: float = EXTINCT,
) -> int:
    """Give the patient a lesion (segment 6 is site 5) and return its number.

    `resistant` is the log fraction of its resistant part. An unseen lesion is never shown by CT.
    """
    patient = patients[0]
    k = int(patient["clones"])
    patient["clones"] = k + 1
    patient["site"][k] = site
    patient["log_sensitive"][k] = log_volume_of(diameter)
    patient["log_resistant"][k] = log_volume_of(diameter) + resistant
    patient["deep"][k] = deep
    patient["near_vessel"][k] = near_vessel
    patient["near_duct"][k] = near_duct
    patient["diameter_mm"][k] = diameter if seen else 0.0
    patient["known"][k] = seen
    patient["conspicuity"][k] = -1e3 if seen else 1e3
    return k


def lived(
    size: int,
    policy_record: np.ndarray,
    params: np.ndarray,
    *,
    first: int = 0,
    seed: int = 1,
    horizon: int = HORIZON,
    threads: int | None = None,
) -> np.ndarray:
    """Patients lived by the cohort engine."""
    patients = cohort.blank_patients(first, size, seed)
    cohort.simulate(patients, params, policy_record, horizon, threads)
    return patients


def diagnosed(size: int, params: np.ndarray, *, seed: int = 1) -> np.ndarray:
    """Patients as they are at diagnosis."""
    return lived(size, policy(), params, seed=seed, horizon=0)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two record arrays are equal to the last bit (NaN and −0 included)."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@dataclass(frozen=True)
class Answer:
    """What a command left behind: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def crlm(*arguments: str) -> Answer:
    """The `crlm` command in this process, which spares it three seconds of imports."""
    from crlm_sim.cli import main

    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["crlm", *arguments]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = before
    return Answer(code, out.getvalue(), err.getvalue())


def trial_is_refused(folder: Path, text: str, at: str, told: str) -> None:
    """A trial file of this text is refused with these words, at the first line that has `at`."""
    line = next(n for n, line in enumerate(text.split("\n"), start=1) if at in line)
    path = folder / "test.toml"
    path.write_text(text)
    answer = crlm("trial", str(path), "--replicates", "10", "--quiet")
    assert (answer.code, answer.out) == (2, "")
    assert f"test.toml:{line}: " in answer.err
    assert told in answer.err


class Outline(HTMLParser):
    """A page's tags with their attributes, and the text within each of some tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data


SMALL_REGION = """\
title = "Small"
[run]
engine = "agents"
draws = "mean"
replications = 2
[hospitals.city]
population = 300_000
ward_beds = 6
[services.ct.city]
sessions = ["Mon-Fri 08:00-18:00"]
[services.liver_theatre.city]
sessions = ["Tue 08:30-17:30"]
[arrivals]
warm_up = "8 weeks"
period = "26 weeks"
follow_up = "8 weeks"
[[policy]]
name = "colorectal_first"
"""
