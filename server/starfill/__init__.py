"""Starfill: a language server that puts a local StarCoder-family model inside any editor."""

__version__ = "0.5.0"
