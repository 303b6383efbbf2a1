"""The engine's jobs, done by a serving engine elsewhere. Doesn't use torch."""
