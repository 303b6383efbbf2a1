"""The client: what it can do, its settings and values, and what it is asked and told."""
