"""How long a run takes to forget that it began empty: MSER-5, and the moving average of Welch.

Both look at one series, a number a week, averaged over replications. The rule MSER leaves out the
first d values for which the standard error of the mean of the rest, reckoned as if they were
independent, is least: that is where what comes looks most alike (White, Simulation 1997;69:323-34).
MSER-5 does so with means of five values (White, Cobb and Spratt, Winter Simulation Conference
2000). Welch's moving average is for the eye (The statistical analysis of simulation results, 1983).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BATCH = 5
LEAST_WEEKS = 10 * BATCH
"""A shorter series says nothing of what it tends to."""

Floats = NDArray[np.float64]


def mser(values: Floats, batch: int = BATCH) -> int | None:
    """How many values to leave out, a multiple of `batch`; None if half of them are not enough.

    The least at the very end of the half means that the series still changes there.
    """
    number = len(values) // batch
    means = values[: number * batch].reshape(number, batch).mean(axis=1)
    means -= means[-1]  # alike to the last bit is then nothing at all
    most = number // 2
    errors = [means[first:].var() / (number - first) for first in range(most + 1)]
    first = int(np.argmin(errors))
    return None if first == most else first * batch


def moving_average(values: Floats, reach: int) -> Floats:
    """The mean of each value and `reach` on either side, of fewer near the beginning (Welch).

    Shape (values − reach,): the last `reach` have too few after them.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values) - reach)
    own = np.minimum(place, reach)
    return np.asarray((sums[place + own + 1] - sums[place - own]) / (2 * own + 1))
