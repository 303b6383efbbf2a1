"""The composition root: settings -> engine -> assistant -> server. Only the command line imports it."""
