"""`python -m crlm_sim` is the `crlm` command."""

from crlm_sim.cli import main

main()
