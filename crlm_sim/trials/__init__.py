"""Designing trials: boundaries, events, sample size, analyses, looks and allocation.

All tests are one-sided: positive z speaks for the experimental arm, and a two-sided trial at 0.05
is one at 0.025 here. Arm 0 is the control, arm 1 the experimental arm. Times are in any one unit,
as long as rates and hazards are per that unit.
"""
