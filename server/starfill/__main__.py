"""`python -m starfill` is the command `starfill`."""

from starfill.cli.main import main

main()
