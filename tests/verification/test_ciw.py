"""Stations against Ciw, a simulator of queues written by others, on specifications both can say.

Both sides draw for themselves, each from its own library, and count whoever arrives in the same
window of many replications; means may differ by what Student's two-sample interval (Welch) allows
at one error in 10,000 comparisons. Seeds are fixed, so the outcome is too. Then Ciw is given our
draws, and everybody must wait equally long to the tick.

What makes both mean the same:

- Ciw serves the lowest class first, and within it who came first. With due dates of two classes
  further apart than a run is long, so does a station. Where due dates are nearer, Ciw is told the
  rule as a service discipline over one class of priority.
- Ciw starts anybody as long as the shift lasts, and with `preemption=False` lets them finish; a
  station starts whoever's planned time fits. Where everybody's planned time is the same, a shift
  that ends earlier by it, less one tick, is the same thing. What really takes longer ends late in
  both, and takes no place of the next session.
- A tick is so short that nearly nothing happens at once: the order of what does is drawn by Ciw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import NamedTuple

import ciw
import numpy as np
import pytest
import simpy
from helpers import DAY
from scipy.stats import ttest_ind

from crlm_sim.care.activities import CT_SCAN
from crlm_sim.care.waiting import EMERGENCY, OTHERS, SOON, URGENT
from crlm_sim.engines.clinic import Clinic
from crlm_sim.engines.cohort import blank_patients
from crlm_sim.engines.diary import Session, Weekly, always, sessions
from crlm_sim.engines.network import Network, OtherPatients, StationPlan
from crlm_sim.engines.services import Desk, Station, Ticket, give_up, join, leave
from crlm_sim.evidence import SERVICES, pack

pytestmark = pytest.mark.slow

REPLICATIONS = 40
ERROR = 1e-4
"""Of one comparison: how often it would fail by chance, with other seeds."""
NARROW = 0.2
"""The interval reaches no further than this share of the mean, or the comparison says little."""

TICKS = 1000
"""Ticks of both clocks in a minute."""
WEEK = 7 * DAY
MONDAY = date(2026, 1, 5)
APART = 10_000 * WEEK
"""Minutes between the due dates of two classes: so many that the earlier class always wins."""


# A specification, said once for both --------------------------------------------------------------


class Law(NamedTuple):
    """Constant if `cv` is 0, exponential if it is 1, gamma else; in minutes."""

    mean: float
    cv: float = 1.0

    def drawn(self, rng: np.random.Generator, size: int) -> list[int]:
        """Ticks, by NumPy."""
        if self.cv == 0.0:
            return [round(self.mean * TICKS)] * size
        shape = self.cv**-2
        ticks = rng.gamma(shape, self.mean * TICKS / shape, size)
        return (ticks.astype(np.int64) + 1).tolist()

    def of_ciw(self) -> ciw.dists.Distribution:
        """Ticks, by Ciw."""
        mean = self.mean * TICKS
        if self.cv == 0.0:
            return ciw.dists.Deterministic(mean)
        if self.cv == 1.0:
            return ciw.dists.Exponential(1.0 / mean)
        return ciw.dists.Gamma(self.cv**-2, mean * self.cv**2)


class Place(NamedTuple):
    """A station: always open with so many places, or in the sessions of a week."""

    minutes: Law
    places: int = 1
    week: tuple[Weekly, ...] = ()
    planned: float = 1.0 / TICKS
    """Minutes that must be left of a session to begin."""

    def diary(self, minutes: int) -> list[Session]:
        if not self.week:
            return always(self.places)
        found = sessions(self.week, MONDAY, minutes // DAY + 1)
        return [Session(s.start * TICKS, s.end * TICKS, s.places) for s in found]

    def servers(self) -> int | ciw.Schedule:
        if not self.week:
            return self.places
        numbers, ends = [], [0]
        for day, start, end, places in sorted(self.week):
            if day * DAY + start > ends[-1] / TICKS:
                numbers.append(0)
                ends.append((day * DAY + start) * TICKS)
            numbers.append(places)
            ends.append((day * DAY + end) * TICKS - round(self.planned * TICKS) + 1)
        return ciw.Schedule([*numbers, 0], [*ends[1:], WEEK * TICKS], preemption=False)


@dataclass(frozen=True)
class Specification:
    """Stations in sequence; classes by priority, each a Poisson process, in minutes."""

    stations: tuple[Place, ...]
    apart: tuple[float, ...]
    """Mean minutes between arrivals of each class."""
    warm_up: int
    window: int
    """Who arrives in it counts."""
    patience: Law | None = None
    """How long somebody waits for the first station before they give up."""
    due: tuple[int, ...] = ()
    """Minutes after which each class is due at a station; strict priority if not said."""

    @property
    def end(self) -> int:
        """The minute at which a run stops, everybody in the window having been served long ago."""
        return self.warm_up + self.window + self.window // 4


@dataclass(frozen=True)
class Lives:
    """What became of all who arrived, in the order of arrival."""

    kind: np.ndarray
    arrival: np.ndarray
    waits: np.ndarray
    """Ticks by station; of who gave up too. NaN for who never came so far."""
    lost: np.ndarray


class Draws(NamedTuple):
    kind: list[int]
    arrival: list[int]
    minutes: list[list[int]]
    patience: list[int | None]


def draw(specification: Specification, seed: int) -> Draws:
    rng = np.random.default_rng(seed)
    arrivals = []
    for kind, apart in enumerate(specification.apart):
        count = rng.poisson(specification.end / apart)
        times = rng.integers(1, specification.end * TICKS, count)
        arrivals += [(int(time), kind) for time in times]
    arrivals.sort()
    size = len(arrivals)
    patience = specification.patience
    return Draws(
        [kind for _, kind in arrivals],
        [arrival for arrival, _ in arrivals],
        [place.minutes.drawn(rng, size) for place in specification.stations],
        [None] * size if patience is None else patience.drawn(rng, size),
    )


def by_stations(specification: Specification, draws: Draws) -> Lives:
    """Everybody through our stations."""
    env = simpy.Environment()
    desk = Desk(env)
    stations = [
        Station(desk, str(number), place.diary(specification.end))
        for number, place in enumerate(specification.stations)
    ]
    planned = [round(place.planned * TICKS) for place in specification.stations]
    due = specification.due or range(0, APART * len(specification.apart), APART)
    size = len(draws.kind)
    waits = np.full((size, len(stations)), np.nan)
    lost = np.zeros(size, bool)

    def customer(number):
        yield env.timeout(draws.arrival[number])
        for at, station in enumerate(stations):
            joined = int(env.now)
            key = (due[draws.kind[number]] * TICKS + joined, number)
            ticket = Ticket(env, key, planned[at], (station,))
            join(ticket)
            if at == 0 and draws.patience[number] is not None:
                late = env.timeout(draws.patience[number])
                late.callbacks.append(lambda _, ticket=ticket: give_up(ticket))
            called = yield ticket.turn
            start = int(env.now)
            waits[number, at] = start - joined
            if not called:
                lost[number] = True
                return
            yield env.timeout(draws.minutes[at][number])
            leave(ticket, start, int(env.now))

    for number in range(size):
        env.process(customer(number))
    env.run(specification.end * TICKS)
    return Lives(np.array(draws.kind), np.array(draws.arrival), waits, lost)


class Given(ciw.dists.Distribution):
    """Ticks told beforehand, by number of the customer."""

    def __init__(self, values: list[int]) -> None:
        self.values = values

    def sample(self, t=None, ind=None):
        return self.values[ind.id_number - 1]


def earliest_due(due: tuple[int, ...]):
    """A service discipline of Ciw."""

    def first(individuals, _):
        return min(individuals, key=lambda i: i.arrival_date + due[int(i.customer_class)] * TICKS)

    return first


def by_ciw(specification: Specification, seed: int, draws: Draws | None = None) -> Lives:
    """Everybody through Ciw, which draws for itself unless it is given draws."""
    kinds = range(len(specification.apart))
    places = specification.stations
    if draws is None:
        first = [Law(apart).of_ciw() for apart in specification.apart]
        minutes = [place.minutes.of_ciw() for place in places]
        patience = specification.patience and specification.patience.of_ciw()
    else:
        times = np.array(draws.arrival)
        own = [times[np.array(draws.kind) == kind].tolist() for kind in kinds]
        gaps = [np.diff(one, prepend=0).tolist() for one in own]
        first = [ciw.dists.Sequential([*one, float("inf")]) for one in gaps]
        minutes = [Given(values) for values in draws.minutes]
        patience = specification.patience and Given(draws.patience)
    later = [None] * (len(places) - 1)
    names = [str(kind) for kind in kinds]
    more = {}
    if patience is not None:
        more["reneging_time_distributions"] = {name: [patience, *later] for name in names}
    due = specification.due
    if due:
        more["service_disciplines"] = [earliest_due(due)] * len(places)
    onward = [[float(to == at + 1) for to in range(len(places))] for at in range(len(places))]
    network = ciw.create_network(
        arrival_distributions={name: [first[k], *later] for k, name in enumerate(names)},
        service_distributions=dict.fromkeys(names, minutes),
        number_of_servers=[place.servers() for place in places],
        priority_classes={name: 0 if due else kind for kind, name in enumerate(names)},
        routing=dict.fromkeys(names, onward),
        **more,
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(specification.end * TICKS)
    size = simulation.nodes[0].number_of_individuals
    kind, arrival = np.zeros(size, int), np.full(size, np.inf)
    waits = np.full((size, len(places)), np.nan)
    lost = np.zeros(size, bool)
    for record in simulation.get_all_records(include_incomplete=True):
        number, at = record.id_number - 1, record.node - 1
        kind[number] = int(record.customer_class)
        if at == 0:
            arrival[number] = record.arrival_date
        if record.waiting_time is not None:
            waits[number, at] = record.waiting_time
        lost[number] |= record.record_type == "renege"
    return Lives(kind, arrival, waits, lost)


# What is compared ---------------------------------------------------------------------------------


def measured(specification: Specification, lives: Lives, kinds=None) -> dict[str, float]:
    """Mean minutes waited at each station by class, and the share who gave up."""
    first = specification.warm_up * TICKS
    inside = (lives.arrival >= first) & (lives.arrival < first + specification.window * TICKS)
    served = inside & ~lives.lost
    found = {}
    for kind in range(len(specification.apart)) if kinds is None else kinds:
        for at in range(len(specification.stations)):
            waits = lives.waits[served & (lives.kind == kind), at]
            assert not np.isnan(waits).any(), "somebody in the window still waits"
            found[f"wait {at + 1}, class {kind + 1}"] = waits.mean() / TICKS
    if specification.patience is not None:
        found["share who gave up"] = lives.lost[inside].mean()
        found["wait of all"] = lives.waits[inside, 0].mean() / TICKS
    return found


class Comparison(NamedTuple):
    ours: float
    theirs: float
    low: float
    """Bounds of the difference, ours less theirs."""
    high: float


def compared(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, Comparison]:
    found = {}
    for name in ours[0]:
        a, b = (np.array([one[name] for one in side]) for side in (ours, theirs))
        interval = ttest_ind(a, b, equal_var=False).confidence_interval(1.0 - ERROR)
        found[name] = Comparison(a.mean(), b.mean(), interval.low, interval.high)
    return found


def check(comparisons: dict[str, Comparison]) -> None:
    for name, one in comparisons.items():
        assert one.low <= 0.0 <= one.high, (name, one)
        assert one.high - one.low < 2.0 * NARROW * one.theirs, (name, one)


MORNING, NOON, EVENING = 480, 720, 1080

SPECIFICATIONS = {
    # 60 % of the load of both stations is of the class that waits.
    "two stations, two classes": Specification(
        stations=(Place(Law(1000.0), places=2), Place(Law(500.0, cv=0.0))),
        apart=(1000.0 / 0.48, 1000.0 / 0.72),
        warm_up=200_000,
        window=1_800_000,
    ),
    # Two places in the morning and one after noon: who overruns noon keeps none of those.
    "a scanner with a week": Specification(
        stations=(
            Place(
                Law(30.0, cv=0.6),
                week=tuple(
                    entry
                    for day in range(5)
                    for entry in (
                        Weekly(day, MORNING, NOON, 2),
                        Weekly(day, NOON, EVENING, 1),
                    )
                ),
            ),
        ),
        apart=(400.0, 200.0),
        warm_up=4 * WEEK,
        window=40 * WEEK,
    ),
    # Nobody starts with less than two hours left; who takes longer than that ends late. The second
    # class is due three days later, as long as waits are, so that either may come first.
    "a theatre with three lists a week": Specification(
        stations=(
            Place(
                Law(120.0, cv=0.5),
                week=(Weekly(1, 510, 1050, 1), Weekly(3, 510, 1050, 1), Weekly(4, 510, 780, 2)),
                planned=120.0,
            ),
        ),
        apart=(WEEK / 3.0, WEEK / 6.0),
        warm_up=20 * WEEK,
        window=200 * WEEK,
        due=(DAY, 4 * DAY),
    ),
    "giving up": Specification(
        stations=(Place(Law(1000.0), places=2),),
        apart=(1000.0 / 2.4,),
        warm_up=200_000,
        window=800_000,
        patience=Law(1500.0),
    ),
    "giving up, a scanner with a week, two classes": Specification(
        stations=(
            Place(
                Law(30.0, cv=0.6),
                week=tuple(Weekly(day, MORNING, NOON, 1) for day in range(5)),
                planned=30.0,
            ),
        ),
        apart=(800.0, 250.0),
        warm_up=4 * WEEK,
        window=40 * WEEK,
        patience=Law(5.0 * DAY, cv=0.5),
    ),
}


@cache
def comparison(name: str) -> dict[str, Comparison]:
    specification = SPECIFICATIONS[name]
    seeds = range(REPLICATIONS)
    return compared(
        [
            measured(specification, by_stations(specification, draw(specification, s)))
            for s in seeds
        ],
        [measured(specification, by_ciw(specification, s)) for s in seeds],
    )


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_stations_make_the_waits_that_ciw_makes(name):
    check(comparison(name))


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_everybody_waits_as_long_as_in_ciw_with_the_same_draws(name):
    """A tenth of the window is enough."""
    whole = SPECIFICATIONS[name]
    specification = replace(whole, warm_up=whole.warm_up // 10, window=whole.window // 10)
    for seed in range(5):
        draws = draw(specification, seed)
        ours, theirs = by_stations(specification, draws), by_ciw(specification, seed, draws)
        size = len(theirs.kind)
        assert size == len(ours.kind)
        assert np.array_equal(ours.kind, theirs.kind)
        assert np.array_equal(ours.arrival, theirs.arrival)
        assert np.array_equal(ours.lost, theirs.lost)
        assert np.array_equal(ours.waits, theirs.waits, equal_nan=True)
        assert (ours.waits > 0).sum() > size / 4


# Other patients of a clinic -----------------------------------------------------------------------

CT = SERVICES.index("ct")
SLOT, TURNAROUND = 20, 10
DUE_DAYS = {EMERGENCY: 0.0, URGENT: 0.0, OTHERS: 10_000.0, SOON: 20_000.0}
"""Further apart than a run is long."""
FIRST, BETWEEN, LAST = range(3)
"""Classes: emergencies of the model, patients of other diseases, everybody else of the model."""

SCANNER = Specification(
    stations=(
        Place(
            Law(SLOT + TURNAROUND, cv=0.0),
            week=tuple(Weekly(day, MORNING, NOON, 1) for day in range(5)),
            planned=SLOT,
        ),
    ),
    apart=(2.0 * DAY, DAY / 3.0, DAY),
    warm_up=10 * WEEK,
    window=100 * WEEK,
)


def by_clinic(specification: Specification, seed: int) -> Lives:
    """The first and the last class ask a clinic, whose other patients are the second.

    A clinic notes no wait of other patients; it shows in that of the last class, which is served
    after them.
    """
    drawn = draw(specification, seed)
    ours = [(k, a // TICKS) for k, a in zip(drawn.kind, drawn.arrival, strict=True) if k != BETWEEN]
    (place,) = specification.stations
    plan = StationPlan(
        "CT",
        0,
        tuple(sessions(place.week, MONDAY, specification.end // DAY + 1)),
        turnaround=TURNAROUND,
        others=OtherPatients(DAY / specification.apart[BETWEEN], SLOT),
        due_days=tuple(DUE_DAYS[kind] for kind in sorted(DUE_DAYS)),
    )
    network = Network((plan,), {(CT, 0): (0,)}, specification.end)
    env = simpy.Environment()
    size = len(ours)
    params = pack(changes={"ct_scan.minutes": (float(SLOT),)})
    clinic = Clinic(env, network, blank_patients(0, size, seed), params, np.zeros(size, np.int64))
    waits = np.full((size, 1), np.nan)

    def patient(number, kind, arrival):
        yield env.timeout(arrival)
        stations = clinic.stations(number, CT)
        due = clinic.due(stations, EMERGENCY if kind == FIRST else SOON, arrival)
        ticket, _ = clinic.ask(number, stations, CT_SCAN, due, specification.end + 1)
        yield ticket.turn
        start = int(env.now)
        waits[number] = (start - arrival) * TICKS
        yield env.timeout(SLOT)
        clinic.leave(ticket, start)

    for number, (kind, arrival) in enumerate(ours):
        env.process(patient(number, kind, arrival))
    env.run(specification.end)
    kinds, arrivals = np.array(ours).T
    return Lives(kinds, arrivals * TICKS, waits, np.zeros(size, bool))


@cache
def clinics() -> dict[str, Comparison]:
    lives = {by: [by(SCANNER, seed) for seed in range(REPLICATIONS)] for by in (by_clinic, by_ciw)}
    return compared(
        *([measured(SCANNER, one, (FIRST, LAST)) for one in side] for side in lives.values())
    )


def test_other_patients_of_a_clinic_hold_up_ours_as_in_ciw():
    check(clinics())
