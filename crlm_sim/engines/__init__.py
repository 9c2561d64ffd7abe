"""Who moves the clock: a compiled loop over patients, or SimPy processes. One clinical model."""
