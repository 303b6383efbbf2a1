"""The same jobs as the engine takes, done by a serving engine elsewhere. No torch."""
