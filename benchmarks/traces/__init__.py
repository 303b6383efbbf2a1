"""Typing as a sequence of events: recorded, made up, and played again by whoever measures."""
