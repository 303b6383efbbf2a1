"""`python -m starfill` is the command `starfill`."""

from starfill.cli import main

main()
