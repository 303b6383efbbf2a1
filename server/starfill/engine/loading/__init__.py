"""From a checkpoint on disk to a model that runs, and what it needs in memory."""
