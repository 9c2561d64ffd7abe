"""Beds: taken when an operation begins, given back at discharge; high dependency first if needed.

An operation begins only if the bed it needs first is free. From high dependency a patient moves to
the ward; while the ward is full they stay, and block the bed. An emergency never waits for a bed:
it has the first that is given back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import simpy

from crlm_sim.engines.network import BedPlan

WARD, HIGH_DEPENDENCY = 0, 1
_EMERGENCY_FIRST, _STEP_DOWN, _ELECTIVE = 0, 1, 2

Change = Callable[[int, int], None]
"""Called with the kind of bed and how many are taken now."""


class Beds:
    """The beds of one hospital."""

    def __init__(
        self, env: simpy.Environment, plan: BedPlan, changed: Change, freed: Callable[[], None]
    ) -> None:
        self.env = env
        self._changed = changed
        self._freed = freed
        limits = (plan.ward, plan.high_dependency)
        self.kinds = [
            None if limit is None else simpy.PriorityResource(env, limit) for limit in limits
        ]

    def has_free(self, kind: int) -> bool:
        """Whether somebody could be given a bed of a kind now."""
        beds = self.kinds[kind]
        return beds is None or (beds.count < beds.capacity and not beds.queue)

    def take(self, kind: int, priority: int) -> simpy.resources.resource.PriorityRequest | None:
        """Ask for a bed of a kind; None if there are as many as it takes."""
        beds = self.kinds[kind]
        if beds is None:
            return None
        bed = beds.request(priority=priority)
        self._changed(kind, beds.count)
        return bed

    def give_back(self, kind: int, bed: simpy.resources.resource.PriorityRequest | None) -> None:
        """Give a bed back, or stop asking for it."""
        beds = self.kinds[kind]
        if bed is None or beds is None:
            return
        if bed.triggered:
            beds.release(bed)
        else:
            bed.cancel()
        self._changed(kind, beds.count)
        self._freed()


class Stay:
    """One patient's stay after an operation."""

    def __init__(self, beds: Beds, high_dependency_minutes: int, emergency: bool) -> None:
        self._beds = beds
        self._minutes = high_dependency_minutes
        self._kind = HIGH_DEPENDENCY if high_dependency_minutes else WARD
        self._emergency = emergency
        self._bed: simpy.resources.resource.PriorityRequest | None = None
        self._discharged = beds.env.event()

    def admit(self) -> bool:
        """Take the first bed. Returns False if there is none, but for an emergency."""
        if not self._emergency and not self._beds.has_free(self._kind):
            return False
        priority = _EMERGENCY_FIRST if self._emergency else _ELECTIVE
        self._bed = self._beds.take(self._kind, priority)
        return True

    def begin(self, operation_minutes: int) -> None:
        """The operation begins and will last so long; the step down to the ward follows by itself.

        Without high dependency the ward bed is the only one.
        """
        if self._kind == HIGH_DEPENDENCY:
            self._beds.env.process(self._step_down(operation_minutes + self._minutes))

    def _step_down(self, minutes: int) -> Generator[simpy.Event, object, None]:
        yield self._beds.env.timeout(minutes) | self._discharged
        if self._discharged.triggered:
            return
        ward = self._beds.take(WARD, _STEP_DOWN)
        if ward is not None:
            yield ward | self._discharged
            if self._discharged.triggered:
                self._beds.give_back(WARD, ward)
                return
        self._beds.give_back(HIGH_DEPENDENCY, self._bed)
        self._kind, self._bed = WARD, ward

    def discharge(self) -> None:
        """Leave hospital, alive or dead."""
        self._beds.give_back(self._kind, self._bed)
        self._discharged.succeed()
