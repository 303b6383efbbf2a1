"""The commands of `starfill`, a file for each group; `main.py` puts them together."""
