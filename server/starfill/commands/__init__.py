"""The commands of `starfill`, a file for each group; `cli.py` puts them together."""
