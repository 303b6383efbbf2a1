"""Generating over files of prompts, and scoring what was generated; model-written code runs in `sandbox` only."""
