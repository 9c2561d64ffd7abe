"""Many patients, policies and draws: simulate a scenario, tally it, keep the run."""

from crlm_sim.experiments.run import Run, run
from crlm_sim.experiments.simulate import EmptyPopulation, simulate_block, trace_patient

__all__ = ["EmptyPopulation", "Run", "run", "simulate_block", "trace_patient"]
