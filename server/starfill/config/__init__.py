"""The settings, what they may be, and where files lie."""
