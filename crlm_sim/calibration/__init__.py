"""Learning the parameters from published results, and judging the model by them.

A study file says what was published and how to simulate that study (`study`); `figures` reads each
published figure off the simulated patients; `fit` learns a posterior from many of them and
`validate` holds the model against any folder of study files.
"""

from crlm_sim.calibration.study import Arm, Figure, Study, load_studies, load_study

__all__ = ["Arm", "Figure", "Study", "load_studies", "load_study"]
