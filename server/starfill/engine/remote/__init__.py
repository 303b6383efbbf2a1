"""The engine over the network: the same jobs, answered by a serving engine that someone else runs."""
