"""What is known: every number of the model with its unit, uncertainty and source.

The tables are TOML files in this folder. `parameters()` lists them for people; `pack()` turns
them into the one flat record the compiled code reads.
"""

from crlm_sim.evidence.parameters import (
    ACTIVITIES,
    ARTERIAL_THERAPIES,
    LOCAL_THERAPIES,
    MODALITIES,
    PARAMETERS,
    REGIMENS,
    SERVICES,
    Parameter,
    pack,
    parameters,
    place_of,
    prices_and_utilities,
    shipped_posterior,
)
from crlm_sim.evidence.posterior import Posterior, PosteriorError

__all__ = [
    "ACTIVITIES",
    "ARTERIAL_THERAPIES",
    "LOCAL_THERAPIES",
    "MODALITIES",
    "PARAMETERS",
    "REGIMENS",
    "SERVICES",
    "Parameter",
    "Posterior",
    "PosteriorError",
    "pack",
    "parameters",
    "place_of",
    "prices_and_utilities",
    "shipped_posterior",
]
