"""Checks on a user's own scenario, a file for each kind; `experiments.verify` lists them."""
