"""The sentences of a planner's page: what was compared, what was found, what intervals mean."""

from __future__ import annotations

from crlm_sim.outcomes.planning import service_words
from crlm_sim.report.numbers import Estimate, difference, level_in_words
from crlm_sim.report.run_folder import Run
from crlm_sim.report.topics import MONEY, Described, is_priced
from crlm_sim.report.words import join

WAITS, TREATMENT, TRAVEL, SURVIVAL, USE = (
    "Waits",
    "Treatment",
    "Travel",
    "Survival",
    "Queues, sessions and beds",
)
_TOPICS = (WAITS, TREATMENT, TRAVEL, SURVIVAL, MONEY, USE)
_MOST_WAITS = 2
_MAIN = (
    "treated_within_62_days",
    "resected",
    "unresectable_after_waiting_a_year",
    "died_waiting_a_year",
    "travel_hours",
)
_TRAVEL = ("travel_hours", "treated_away")
_SURVIVAL = ("os_3y", "os_2y", "os_1y")
"""The latest of these that the run can tell."""
_NOT_ALONE = ("os_", "rmst_")
_UNITS = {"share": "proportion"}
CAUTION = (
    "These are consequences of the model's assumptions, not a forecast. Sessions, other patients "
    "and arrivals are what the scenario says they are; a list that is in truth shared, cancelled "
    "or lengthened otherwise gives other waits."
)
UNCERTAINTY = (
    "Intervals are 95\u00a0% intervals over replications: how far chance in who comes, when, and "
    "how they fare could move a mean. More replications make them narrower. This is simulation "
    "error only. Parameters of the disease, of treatment and of demand are held at their best "
    "estimates, so no interval here says how uncertain those are."
)
ONE_REPLICATION = "One replication cannot say how far chance moves its results: no intervals."


def described(run: Run) -> list[Described]:
    """The outcomes that anybody counts for, by topic."""
    found = [
        Described(
            name=name,
            label=_without_year(said["label"], said["unit"]),
            unit=_UNITS.get(said["unit"], said["unit"]),
            topic=MONEY if is_priced(said["unit"]) else _topic(name),
            better=said.get("better", 0),
        )
        for name, said in run.summary["outcomes"].items()
        if any(_counts(run.estimate(arm, name)) for arm in run.names)
    ]
    return sorted(found, key=lambda one: _TOPICS.index(one.topic))


def _without_year(label: str, unit: str) -> str:
    """What the unit says need not be said twice."""
    return label.removesuffix(" a year").removesuffix(",") if unit.endswith("a year") else label


def _counts(estimate: Estimate | None) -> bool:
    return estimate is not None and (estimate.value != 0.0 or bool(estimate.upper))


def _topic(name: str) -> str:
    if name.startswith(("queue_", "used_", "overrun_")) or name.endswith("beds_taken"):
        return USE
    if name.startswith(_NOT_ALONE):
        return SURVIVAL
    if name in _TRAVEL:
        return TRAVEL
    return WAITS if name.startswith(("wait_", "to_", "treated_", "theatre_")) else TREATMENT


def main_outcomes(outcomes: list[Described]) -> list[Described]:
    """Those that are drawn: of each service its median wait, and no queues or sessions."""
    return [
        one
        for one in outcomes
        if one.topic != USE and (not one.name.startswith("wait_") or _is_median_wait(one))
    ]


def _is_median_wait(outcome: Described) -> bool:
    return outcome.name.startswith("wait_") and outcome.name.endswith("_median_days")


# What was asked -----------------------------------------------------------------------------------


def asked(run: Run) -> list[str]:
    """What was simulated, in a few sentences."""
    s = run.summary
    number = s["replications"]
    times = "replication" if number == 1 else "replications"
    labels = [run.label(name) for name in run.names]
    sentences = [
        "Patients with colorectal cancer and liver metastases found at the same time are diagnosed "
        "at the hospitals of the scenario and queue there, with other patients, for scanners, "
        "meetings, chairs and theatres. Tumours grow while they wait."
    ]
    if len(labels) > 1 and run.reference:
        sentences.append(
            f"{len(labels)} plans were run in {number} {times}: {join(labels)}. Each is compared "
            f"with {run.label(run.reference)}. The same patients come on the same days under each, "
            "so the differences are paired."
        )
    else:
        sentences.append(f"One plan was run in {number} {times}: {labels[0]}.")
    start, end = s["window_days"]
    sentences.append(
        f"The first {_span(start)} are a warm-up and count for nothing; the {_span(end - start)} "
        "after them count."
    )
    return sentences


def _span(days: float) -> str:
    return f"{days / 365.25:.3g} years" if days >= 730 else f"{days / 7:.0f} weeks"


# What was found -----------------------------------------------------------------------------------


def findings(run: Run, outcomes: list[Described]) -> list[str]:
    """The main results: the waits, who is treated in time, who is resected, and who lives."""
    by_name = {one.name: one for one in outcomes}
    names = [*_MAIN, *[name for name in _SURVIVAL if name in by_name][:1]]
    told = _longest_waits(run, outcomes) + [by_name[name] for name in names if name in by_name]
    return [_sentence(run, one) for one in told]


def _longest_waits(run: Run, outcomes: list[Described]) -> list[Described]:
    """The median waits that the arms change most, or the longest if there is nothing to compare."""

    def size(one: Described) -> float:
        found = [run.difference(arm, one.name) for arm in run.compared]
        if not run.compared:
            found = [run.estimate(arm, one.name) for arm in run.names]
        return max((abs(each.value) for each in found if each is not None), default=0.0)

    def is_clear(one: Described) -> bool:
        found = [run.difference(arm, one.name) for arm in run.compared]
        return not found or any(each is not None and each.side for each in found)

    waits = sorted((one for one in outcomes if _is_median_wait(one)), key=size, reverse=True)
    return waits[:1] + [one for one in waits[1:_MOST_WAITS] if is_clear(one)]


def _sentence(run: Run, outcome: Described) -> str:
    """An outcome's level under the first arm, and the difference of each other."""
    base = run.names[0]
    estimate = run.estimate(base, outcome.name)
    label = outcome.label[0].upper() + outcome.label[1:]
    if estimate is None:
        return f"{label}: nobody to tell it from under {run.label(base)}."
    first = f"{label}: {level_in_words(estimate, outcome.unit)}"
    if not run.compared:
        return f"{first}."
    same = [run.label(arm) for arm in run.compared if _is_same(run.difference(arm, outcome.name))]
    parts = [
        _compared(run, arm, outcome)
        for arm in run.compared
        if not _is_same(run.difference(arm, outcome.name))
    ]
    parts += [f"the same under {join(same)}"] if same else []
    return f"{first} under {run.label(base)}; {'; '.join(parts)}."


def _is_same(estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.value == 0 and not estimate.side


def _compared(run: Run, arm: str, outcome: Described) -> str:
    label = run.label(arm)
    estimate = run.difference(arm, outcome.name)
    if estimate is None:
        return f"not to be told under {label}"
    text = difference(estimate, outcome.unit)
    value, _, interval = text.partition(" (")
    if estimate.has_interval and not estimate.side:
        return f"no clear difference under {label} ({value}; {interval}"
    more = f" ({interval}" if interval else ""
    return f"{value.lstrip('+−')} {_way(outcome, estimate)} under {label}{more}"


def _way(outcome: Described, estimate: Estimate) -> str:
    more = estimate.value > 0
    if outcome.unit == "days":
        return f"days {'longer' if more else 'shorter'}"
    if outcome.unit == "proportion":
        return f"percentage points {'higher' if more else 'lower'}"
    return f"{outcome.unit} {'more' if more else 'fewer'}"


def overloaded(run: Run) -> list[str]:
    """Where as much is asked for as there is time, or more."""
    found = []
    for arm in run.names:
        names = [
            f"{station_words(name)} ({100 * share:.0f}\u00a0%)"
            for name, share in run.summary["load"][arm].items()
            if share is not None and share >= 1.0
        ]
        if names:
            found.append(f"{run.label(arm)}: {'; '.join(names)}.")
    return found


def station_words(name: str) -> str:
    """A station's name for people."""
    service, _, hospital = name.partition(", ")
    return f"{service_words(service)}, {hospital}"
