"""The settings, their allowed values, and where files lie."""
