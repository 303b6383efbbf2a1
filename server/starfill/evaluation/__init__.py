"""Generates over files of prompts, and scores what was generated. Code that a model wrote runs in `sandbox` only."""
