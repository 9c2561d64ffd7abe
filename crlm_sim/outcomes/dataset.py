"""The tally's results as one labelled dataset, as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crlm_sim.outcomes import definitions as what
from crlm_sim.outcomes import survival as km
from crlm_sim.outcomes.summary import Entries, Summary, curve

if TYPE_CHECKING:
    import xarray

    from crlm_sim.outcomes.tally import Tally

_NUMBERS = ("estimate", "lower", "upper", "simulation_lower", "simulation_upper")
_ABOUT = {
    "survival": ("1", "Kaplan-Meier probability of no event up to the time"),
    "survival_lower": ("1", "lower end of the pointwise 95 % log-log interval of survival"),
    "survival_upper": ("1", "upper end of the pointwise 95 % log-log interval of survival"),
    "at_risk": ("patients", "still followed without an event when the time's day begins"),
    "events": ("patients", "with the event up to the end of the time's day"),
    "flow": ("patients", "along each link of the flow diagram"),
}
LEVEL = "value under the policy"
DIFFERENCE = "policy minus reference in the same patients, missing for the reference itself"


def build(tally: Tally, reference: str, summary: Summary) -> xarray.Dataset:
    """Dataset of levels, differences, curves and flow; dimensions policy, outcome, endpoint,
    time_months and link. What cannot be estimated is nan.
    """
    import xarray

    data: dict[str, tuple[tuple[str, ...], NDArray, dict[str, str]]] = {}
    for number, values in _table(tally, summary["policies"]).items():
        data[number] = (("policy", "outcome"), values, about_number(LEVEL, number))
    for number, values in _table(tally, summary["differences"]).items():
        name = "difference" if number == "estimate" else f"difference_{number}"
        data[name] = (("policy", "outcome"), values, about_number(DIFFERENCE, number))
    for name, values in _curves(tally).items():
        data[name] = (("policy", "endpoint", "time_months"), values, _described(name))
    links = list(tally.flow().values())
    coordinates = shared_coordinates(tally.policies, tally.monthly.shape[-1]) | {
        "source": ("link", _text(source for source, _, _ in links[0])),
        "target": ("link", _text(target for _, target, _ in links[0])),
    }
    counts = np.array([[patients for *_, patients in row] for row in links])
    data["flow"] = (("policy", "link"), counts, _described("flow"))
    return xarray.Dataset(data, coordinates, _attributes(tally, reference, summary))


def _table(tally: Tally, entries: Entries) -> dict[str, NDArray[np.float64]]:
    """number → values of shape (P, outcomes), for the numbers the entries have."""
    sample = next(iter(entries.values()), {})
    present = next(iter(sample.values()), {"estimate": None, "lower": None, "upper": None})
    tables = {}
    for number in (n for n in _NUMBERS if n in present):
        values = np.full((len(tally.policies), len(what.OUTCOMES)), np.nan)
        for p, policy in enumerate(tally.policies):
            for k, outcome in enumerate(what.OUTCOMES):
                found = entries.get(policy, {}).get(outcome.name, {}).get(number)
                if found is not None:
                    values[p, k] = found
        tables[number] = values
    return tables


def about_number(quantity: str, number: str) -> dict[str, str]:
    """Attributes of an array that holds one number of a `quantity`, such as its lower end."""
    if number != "estimate":
        quantity = f"{number.replace('_', ' ')} end of the 95 % interval: {quantity}"
    return {"units": "see the coordinate unit", "description": quantity}


def _described(name: str) -> dict[str, str]:
    units, description = _ABOUT[name]
    about = {"units": units, "description": description}
    if name in ("survival_lower", "survival_upper"):
        about["interval"] = "simulation"
    return about


def monthly_survival(tally: Tally) -> NDArray[np.float64]:
    """Kaplan–Meier survival at the ends of months, shape (P, endpoints, months); nan beyond
    follow-up.
    """
    days = _month_ends(tally)
    found = np.full((len(tally.policies), len(what.CURVES), len(days)), np.nan)
    for p in range(len(tally.policies)):
        for e, name in enumerate(what.CURVES):
            line = curve(tally, p, name)
            known = np.array([km.followed_to(line, day) for day in days])
            found[p, e] = np.where(known, line.survival[days], np.nan)
    return found


def _month_ends(tally: Tally) -> NDArray[np.int64]:
    """The day of each month's end, from month 0 on."""
    return np.array([what.landmark_day(month) for month in range(tally.monthly.shape[-1])])


def _curves(tally: Tally) -> dict[str, NDArray]:
    """Curves on the monthly grid, each of shape (P, endpoints, months); nan beyond follow-up."""
    days = _month_ends(tally)
    shape = (len(tally.policies), len(what.CURVES), len(days))
    found: dict[str, NDArray] = {"survival": monthly_survival(tally)}
    found |= {name: np.full(shape, np.nan) for name in ("survival_lower", "survival_upper")}
    found |= {name: np.zeros(shape, np.int64) for name in ("at_risk", "events")}
    for p in range(shape[0]):
        for e, name in enumerate(what.CURVES):
            line = curve(tally, p, name)
            known = np.array([km.followed_to(line, day) for day in days])
            lower, upper = km.log_log_interval(line)
            found["survival_lower"][p, e] = np.where(known, lower[days], np.nan)
            found["survival_upper"][p, e] = np.where(known, upper[days], np.nan)
            found["at_risk"][p, e] = line.at_risk[days]
            found["events"][p, e] = np.cumsum(line.events)[days]
    return found


def shared_coordinates(policies: Sequence[str], months: int) -> dict[str, Any]:
    """Coordinates of policies, outcomes, endpoints and months, with what people need to read them.

    `months` counts the points of the monthly grid, with that at time zero.
    """
    better = {True: "higher", False: "lower", None: "neither"}
    return {
        "policy": _text(policies),
        "outcome": _text(o.name for o in what.OUTCOMES),
        "label": ("outcome", _text(o.label for o in what.OUTCOMES)),
        "unit": ("outcome", _text(o.unit for o in what.OUTCOMES)),
        "kind": ("outcome", _text(o.kind for o in what.OUTCOMES)),
        "better": ("outcome", _text(better[o.higher_is_better] for o in what.OUTCOMES)),
        "endpoint": _text(what.CURVES),
        "endpoint_label": ("endpoint", _text(e.label for e in what.CURVES.values())),
        "time_months": (
            "time_months",
            np.arange(months),
            {"units": "months of 365.25 / 12 days"},
        ),
    }


def _text(words: Any) -> NDArray[np.object_]:
    return np.array(list(words), object)


def _attributes(tally: Tally, reference: str, summary: Summary) -> dict[str, Any]:
    entry = next(iter(summary["policies"][reference].values()))
    return {
        "reference": reference,
        "patients": int(tally.patients[0].sum()),
        "horizon_minutes": tally.horizon_minutes,
        "interval": str(entry["interval"]),
        "month": "365.25 / 12 days",
    }
