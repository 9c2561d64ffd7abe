"""How an experiment is cut into tasks.

Small cells go into a task together and leave their results. A cell larger than a task is cut by
patients into parts, which leave counts to be added before there are results. Counts are integers,
so that no result depends on how the work is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crlm_sim.scenario import Scenario
from crlm_sim.scenario.experiment import Experiment


@dataclass(frozen=True)
class Task:
    """Some cells from the `first` on, whole; or one of them from patient `start` to before `stop`.

    Patients of a part are numbered through all replications of their cell.
    """

    first: int
    cells: int = 1
    start: int = 0
    stop: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether it is less than a cell."""
        return self.stop is not None


def cell_of(experiment: Experiment, cell: int) -> tuple[int, int]:
    """(point, place of its draw among the draws) of a cell."""
    return divmod(cell, len(experiment.first.run.draw_numbers))


def number_of_cells(experiment: Experiment) -> int:
    """Points times draws."""
    return len(experiment.points) * len(experiment.first.run.draw_numbers)


def tasks_of(experiment: Experiment) -> list[Task]:
    """Every task, in the order of the cells; the place in the list is a task's number."""
    most = max(experiment.task_patients // len(experiment.first.policies), 1)
    found: list[Task] = []
    first = gathered = 0
    for cell in range(number_of_cells(experiment)):
        scenario = experiment.points[cell_of(experiment, cell)[0]].scenario
        size = scenario.run.patients * scenario.run.replications
        if gathered and gathered + size > most:
            found.append(Task(first, cell - first))
            gathered = 0
        if size > most:
            found += _parts(scenario, cell, size, most)
            continue
        first = first if gathered else cell
        gathered += size
    if gathered:
        found.append(Task(first, number_of_cells(experiment) - first))
    return found


def _parts(scenario: Scenario, cell: int, size: int, most: int) -> Iterator[Task]:
    """A cell in parts of at most `most` patients.

    Where a condition says who is eligible, the patients of a replication are the first who meet it.
    Which numbers those are depends on all before them, so a replication is not cut.
    """
    if scenario.population.eligible is not None:
        most = max(most // scenario.run.patients, 1) * scenario.run.patients
    for start in range(0, size, most):
        yield Task(cell, 1, start, min(start + most, size))
