"""Monte Carlo at scale: an experiment cut into tasks, each kept as it is done, then one dataset.

A *cell* is a point of the design under one draw of the parameters: all replications, all patients,
all policies. `plan` cuts cells into tasks, `task` does one, `store` keeps what is done, `pool` says
where tasks are done, `gather` makes the dataset of them, `drive` is the whole.
"""

from crlm_sim.experiments.sweep.drive import merge, outlook, share, sweep
from crlm_sim.experiments.sweep.pool import Where
from crlm_sim.experiments.sweep.store import Refused, Stopped

__all__ = ["Refused", "Stopped", "Where", "merge", "outlook", "share", "sweep"]
