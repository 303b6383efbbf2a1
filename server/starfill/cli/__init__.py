"""The commands of `starfill`, one file for each group. `main.py` puts them together."""
