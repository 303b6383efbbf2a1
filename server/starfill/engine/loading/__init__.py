"""From a checkpoint on disk to a model in memory, and how much memory that needs."""
