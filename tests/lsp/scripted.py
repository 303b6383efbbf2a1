import sys
from pathlib import Path

COMMAND = [sys.executable, str(Path(__file__).parent / "scripted_server.py")]
"""The real server around a scripted backend; see there for what it can be made to do."""

IMPORTS = ("starfill.lsp.transport", "starfill.assist.instruct.outcome", "starfill.text.diff")
"""The modules that it takes time to import."""
