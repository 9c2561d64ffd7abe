"""Trial designs that several tests hold against other programs' figures."""

import math
from pathlib import Path

from crlm_sim.trials import spending, timing
from crlm_sim.trials.boundaries import design_bounds
from crlm_sim.trials.file import load_trial

TRIALS = Path(__file__).parent.parent / "scenarios" / "trials"


def ramp_up_design():
    """(bounds, truth) of rpact's trial of 1,200 with two looks and accrual that ramps up."""
    leaving = -math.log(1.0 - 0.025) / 12.0
    truth = timing.Truth(
        timing.accrual([6, 12, 18, 24, 30, 36, 42], [1] * 6, patients=1200),
        timing.arm(math.log(2.0) / 60, leaving),
        timing.arm(0.74 * math.log(2.0) / 60, leaving),
    )
    return design_bounds([0.66, 1.0], 0.025, 0.2, spending.obrien_fleming), truth


def three_looks_with_futility():
    """Bounds of gsDesign's trial with uneven looks and futility by beta spending."""
    return design_bounds(
        [0.25, 0.75, 1.0],
        0.025,
        0.15,
        spending.obrien_fleming,
        spending.hwang_shih_decani(-7.0),
    )


def eortc(truth, *settings):
    """The trial EORTC 40983 with few people and one look, under a truth and with settings."""
    given = (f"truth={truth}", "run.patients=5000", "design.looks=[1.0]", *settings)
    return load_trial(TRIALS / "eortc_40983.toml", given)
