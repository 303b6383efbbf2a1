import sys
from pathlib import Path

COMMAND = [sys.executable, str(Path(__file__).parent / "scripted_server.py")]
"""The real server around a scripted backend; see there for what it can be made to do."""

PAUSE = 0.04  # seconds between two refreshes of a text, and between two counts of tokens

IMPORTS = ("starfill.lsp.transport", "starfill.lsp.code_actions.code_actions", "starfill.text.diff")
"""The modules that it takes time to import."""
