"""What a planner asks of one run with queues: waits, queues, use of sessions, and what it cost.

Everything is counted in a window of the run, after the warm-up: waits by when the patient was
ready, sessions by when they began, patients by when they were diagnosed. One run gives one number
for each outcome; intervals come from replications, in `experiments`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crlm_sim.disease.patient import MINUTES_PER_DAY, NEVER
from crlm_sim.engines.diary import DAYS_PER_WEEK
from crlm_sim.engines.network import DEAD, FOUND_UNRESECTABLE, SERVED, Diaries, Network
from crlm_sim.engines.region import MOST_AT_A_HOSPITAL
from crlm_sim.evidence import SERVICES
from crlm_sim.outcomes import survival
from crlm_sim.outcomes.clocks import curve_of, times
from crlm_sim.outcomes.definitions import DAYS_PER_YEAR, POUNDS, QALYS

Window = tuple[int, int]
"""First minute that counts, and the first that does not any more."""

_TARGET_TREATMENT = 62
_TARGET_DECISION = 31
_THEATRES = ("colorectal_theatre", "liver_theatre", "joint_theatre", "thoracic_theatre")
_MEETINGS = ("mdt",)
"""Where patients are spoken of and do not come."""
_SCANS = ("ct", "mri", "pet")
_FIRST_TREATMENT = (
    "first_chemotherapy_minute",
    "primary_resection_minute",
    "first_liver_resection_minute",
    "local_treatment_minute",
)


@dataclass(frozen=True)
class Planned:
    """A planner's outcome: name for people, unit, whether more is better (1) or worse (−1)."""

    label: str
    unit: str
    better: int = 0


@dataclass(frozen=True)
class Played:
    """One run with queues: who was diagnosed when (minutes), and what the diaries hold."""

    patients: np.ndarray
    arrivals: NDArray[np.int64]
    diaries: Diaries
    network: Network
    window: Window
    log: np.ndarray
    """Every activity begun (`engines.steps.ACTIVITY_LOG`)."""

    stands_still: bool = False
    """Whether patients' own clocks stood still on waiting lists (`growth_while_waiting = 0`)."""

    @property
    def years(self) -> float:
        """Length of the window."""
        return (self.window[1] - self.window[0]) / (DAYS_PER_YEAR * MINUTES_PER_DAY)


def of_patients() -> dict[str, Planned]:
    """Outcomes that do not depend on which services are modelled."""
    return {
        "diagnosed_a_year": Planned("patients diagnosed a year", "patients a year"),
        "to_treatment_median_days": Planned("diagnosis to first treatment, median", "days", -1),
        "to_treatment_p90_days": Planned("diagnosis to first treatment, 90th centile", "days", -1),
        "treated_within_62_days": Planned(
            "first treatment within 62 days, of those treated", "share", 1
        ),
        "theatre_within_31_days": Planned("theatre within 31 days of being ready", "share", 1),
        "referred": Planned("referred to the liver unit", "share"),
        "resected": Planned("liver metastases resected", "share", 1),
        "liver_operations_a_year": Planned("operations on the liver a year", "a year"),
        "unresectable_after_waiting_a_year": Planned(
            "found unresectable while waiting, a year", "patients a year", -1
        ),
        "died_waiting_a_year": Planned("died while waiting, a year", "patients a year", -1),
        "cancelled_a_year": Planned("operations called off on the day, a year", "a year", -1),
        "travel_hours": Planned("hours travelled a patient, there and back", "hours", -1),
        "treated_away": Planned("treated in a hospital away from home", "share"),
        "os_1y": Planned("alive at 1 year", "share", 1),
        "os_2y": Planned("alive at 2 years", "share", 1),
        "os_3y": Planned("alive at 3 years", "share", 1),
        "rmst_2y_months": Planned("mean months lived in the first 2 years", "months", 1),
        "cost": Planned("cost of a patient up to the end of the run", POUNDS, -1),
        "qaly": Planned("QALYs of a patient up to the end of the run", QALYS, 1),
        "nmb": Planned("net monetary benefit of a patient up to the end", POUNDS, 1),
        "cost_a_year": Planned("cost of the patients diagnosed in a year", POUNDS, -1),
    }


_SHORT = {"ct": "CT", "mri": "MRI", "pet": "PET", "mdt": "meeting"}


def service_words(service: str) -> str:
    """A service's name for people."""
    return _SHORT.get(service, service.replace("_", " "))


def of_service(service: str) -> dict[str, Planned]:
    """The outcomes of one service that has sessions."""
    what = service_words(service)
    return {
        f"wait_{service}_median_days": Planned(f"wait for {what}, median", "days", -1),
        f"wait_{service}_mean_days": Planned(f"wait for {what}, mean", "days", -1),
        f"wait_{service}_p90_days": Planned(f"wait for {what}, 90th centile", "days", -1),
        f"queue_{service}": Planned(f"patients waiting for {what}, mean", "patients", -1),
        f"used_{service}": Planned(f"session time used, {what}", "share"),
        f"overrun_{service}_minutes": Planned(f"overrun a session, {what}", "minutes", -1),
    }


def of_beds() -> dict[str, Planned]:
    """Mean number of beds taken, over all hospitals that count them."""
    return {
        "ward_beds_taken": Planned("ward beds taken, mean", "beds"),
        "high_dependency_beds_taken": Planned("high-dependency beds taken, mean", "beds"),
    }


def services_of(network: Network) -> list[str]:
    """The services that have stations, in the order of the tables."""
    return [SERVICES[number] for number in sorted({service for service, _ in network.where})]


def described(network: Network) -> dict[str, Planned]:
    """Every outcome of a network, in the order of its tables."""
    found = of_patients()
    for service in services_of(network):
        found |= of_service(service)
    return found | (of_beds() if network.beds else {})


def outcomes(played: Played) -> dict[str, float]:
    """Every outcome of one run; nan where nobody counts."""
    found = _of_patients(played)
    for service in services_of(played.network):
        found |= _of_service(played, SERVICES.index(service))
    if played.network.beds:
        found |= _beds(played)
    return found


# Patients -----------------------------------------------------------------------------------------


def counted(played: Played) -> NDArray[np.bool_]:
    """Who was diagnosed in the window, shape (patients,)."""
    return _within(played.arrivals, played.window)


def _within(minutes: NDArray, window: Window) -> NDArray[np.bool_]:
    return (minutes >= window[0]) & (minutes < window[1])


def _of_patients(played: Played) -> dict[str, float]:
    who = played.patients[counted(played)]
    waits = played.diaries.waits
    ready = waits[_within(waits["ready"], played.window)]
    left = waits[_within(waits["left"], played.window)]
    began = played.diaries.sessions
    began = began[_within(began["start"], played.window)]
    first = np.min([who[field] for field in _FIRST_TREATMENT], axis=0) if len(who) else np.array([])
    treated = first[first < NEVER] / MINUTES_PER_DAY
    theatres = [SERVICES.index(name) for name in _THEATRES]
    theatre = ready[np.isin(ready["service"], theatres)]
    return {
        "diagnosed_a_year": len(who) / played.years,
        "to_treatment_median_days": _quantile(treated, 0.5),
        "to_treatment_p90_days": _quantile(treated, 0.9),
        "treated_within_62_days": _mean(treated <= _TARGET_TREATMENT),
        "theatre_within_31_days": _mean(_days(theatre) <= _TARGET_DECISION),
        "referred": _mean(who["referred"] > 0),
        "resected": _mean(who["resected"] > 0),
        "liver_operations_a_year": float(who["liver_operations"].sum()) / played.years,
        "unresectable_after_waiting_a_year": float((left["outcome"] == FOUND_UNRESECTABLE).sum())
        / played.years,
        "died_waiting_a_year": float((left["outcome"] == DEAD).sum()) / played.years,
        "cancelled_a_year": float(began["called_off"].sum()) / played.years,
        **_away(played, who["patient"]),
        **_survival(who),
        "cost": _mean(who["cost_pounds"]),
        "qaly": _mean(who["quality_days"]) / DAYS_PER_YEAR,
        "nmb": _mean(who["net_benefit_pounds"]),
        "cost_a_year": float(who["cost_pounds"].sum()) / played.years,
    }


def _away(played: Played, who: NDArray[np.int64]) -> dict[str, float]:
    """Hours travelled and who is treated away from home, among patients of these numbers.

    Every time they are called to a station they travel from home and back; not for scans done
    while they wait, nor for what has room for everybody.
    """
    waits = played.diaries.waits
    waits = waits[(waits["outcome"] == SERVED) & np.isin(waits["patient"], who)]
    waits = waits[~np.isin(waits["service"], [SERVICES.index(name) for name in _MEETINGS])]
    hospitals = np.array([plan.hospital for plan in played.network.stations], np.int64)
    home, there = waits["patient"] // MOST_AT_A_HOSPITAL, hospitals[waits["station"]]
    ways = zip(home.tolist(), there.tolist(), strict=True)
    minutes = sum(2 * played.network.travel.get(way, 0) for way in ways)
    scan = np.isin(waits["service"], [SERVICES.index(name) for name in _SCANS])
    treated = np.isin(who, waits["patient"][(home != there) & ~scan])
    return {
        "travel_hours": minutes / 60 / len(who) if len(who) else float("nan"),
        "treated_away": _mean(treated),
    }


def _survival(patients: np.ndarray) -> dict[str, float]:
    minutes, died, _ = times(patients, "diagnosis", "os")
    curve = curve_of(minutes, died)
    found = {
        f"os_{years}y": survival.survival_at(curve, round(years * DAYS_PER_YEAR)).estimate
        for years in (1, 2, 3)
    }
    mean, _ = survival.restricted_mean(curve, 2 * DAYS_PER_YEAR)
    return found | {"rmst_2y_months": mean.estimate * 12 / DAYS_PER_YEAR}


def _days(waits: np.ndarray) -> NDArray[np.float64]:
    days: NDArray[np.float64] = (waits["left"] - waits["ready"]) / MINUTES_PER_DAY
    return days


def _mean(values: NDArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _quantile(values: NDArray, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")


# Services -----------------------------------------------------------------------------------------


def _of_service(played: Played, service: int) -> dict[str, float]:
    name = SERVICES[service]
    waits = played.diaries.waits
    waits = waits[waits["service"] == service]
    ready = _days(waits[_within(waits["ready"], played.window)])
    where = played.network.where.items()
    stations = [number for (one, _), numbers in where if one == service for number in numbers]
    sessions = played.diaries.sessions
    sessions = sessions[np.isin(sessions["station"], stations)]
    sessions = sessions[_within(sessions["start"], played.window)]
    open_minutes = float(((sessions["end"] - sessions["start"]) * sessions["places"]).sum())
    within = float((sessions["used"] - sessions["overrun"]).sum())
    return {
        f"wait_{name}_median_days": _quantile(ready, 0.5),
        f"wait_{name}_mean_days": _mean(ready),
        f"wait_{name}_p90_days": _quantile(ready, 0.9),
        f"queue_{name}": mean_queue(waits, played.window),
        f"used_{name}": within / open_minutes if open_minutes else float("nan"),
        f"overrun_{name}_minutes": _mean(sessions["overrun"]),
    }


def mean_queue(waits: np.ndarray, window: Window) -> float:
    """Patients waiting on average over a window: those ready and not yet called."""
    start, end = window
    overlap = np.minimum(waits["left"], end) - np.maximum(waits["ready"], start)
    return float(np.maximum(overlap, 0).sum()) / (end - start)


def _beds(played: Played) -> dict[str, float]:
    start, end = played.window
    found = dict.fromkeys(of_beds(), 0.0)
    changes = played.diaries.beds
    for hospital in played.network.beds:
        for kind, name in enumerate(found):
            own = changes[(changes["hospital"] == hospital) & (changes["kind"] == kind)]
            minutes = np.clip(np.append(own["minute"], end), start, end)
            found[name] += float((own["taken"] * np.diff(minutes)).sum()) / (end - start)
    return found


# By week ------------------------------------------------------------------------------------------


def by_week(played: Played) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """(service, median wait in days of those ready in each week, mean queue in it)."""
    waits = played.diaries.waits
    length = DAYS_PER_WEEK * MINUTES_PER_DAY
    weeks = range(played.network.end // length)
    for service in services_of(played.network):
        own = waits[waits["service"] == SERVICES.index(service)]
        days = _days(own)
        week = own["ready"] // length
        medians = [_quantile(days[week == n], 0.5) for n in weeks]
        queues = [mean_queue(own, (n * length, (n + 1) * length)) for n in weeks]
        yield service, np.array(medians), np.array(queues)


# Sequences ----------------------------------------------------------------------------------------

DIAGNOSED = "diagnosed"
FIRST = ("drugs first", "bowel first", "liver first", "bowel and liver at once", "not treated")
COURSES = (
    "liver resected",
    "found unresectable while waiting",
    "died while waiting",
    "liver not resected",
)
LAST = ("alive at the end", "dead at the end")


def flow(played: Played) -> NDArray[np.int64]:
    """Patients of the window by first treatment, course and end: shape (FIRST, COURSES, LAST)."""
    who = played.patients[counted(played)]
    waits = played.diaries.waits
    found = np.zeros((len(FIRST), len(COURSES), len(LAST)), np.int64)
    resected = who["resected"] > 0
    course = np.select(
        [resected, *(_left(who, waits, how) for how in (FOUND_UNRESECTABLE, DEAD))],
        [0, 1, 2],
        len(COURSES) - 1,
    )
    dead = (who["death_minute"] < NEVER).astype(np.int64)
    np.add.at(found, (_first(who), course, dead), 1)
    return found


def _left(who: np.ndarray, waits: np.ndarray, how: int) -> NDArray[np.bool_]:
    """Who has left a list in this way."""
    found: NDArray[np.bool_] = np.isin(who["patient"], waits["patient"][waits["outcome"] == how])
    return found


def _first(who: np.ndarray) -> NDArray[np.int64]:
    """Place in FIRST; the bowel is noted as an operation begins and the liver as it ends."""
    drugs, bowel = who["first_chemotherapy_minute"], who["primary_resection_minute"]
    liver = np.minimum(who["first_liver_resection_minute"], who["local_treatment_minute"])
    surgery = np.minimum(bowel, liver)
    together = np.abs(bowel - liver) < MINUTES_PER_DAY
    none = np.minimum(drugs, surgery) >= NEVER
    found: NDArray[np.int64] = np.select(
        [none, drugs < surgery, together, bowel < liver], [4, 0, 3, 1], 2
    )
    return found


def links(counts: NDArray[np.int64]) -> list[tuple[str, str, int]]:
    """(from, to, patients) of a `flow`, from diagnosis to the end."""
    first, last = counts.sum(axis=2), counts.sum(axis=0)
    steps = [(DIAGNOSED, name, first[n].sum()) for n, name in enumerate(FIRST)]
    steps += [
        (one, two, first[n, m]) for n, one in enumerate(FIRST) for m, two in enumerate(COURSES)
    ]
    steps += [(one, two, last[n, m]) for n, one in enumerate(COURSES) for m, two in enumerate(LAST)]
    return [(one, two, int(number)) for one, two, number in steps]
