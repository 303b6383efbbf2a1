"""What clients/README.md tells users to write, for the tests to run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = "/path/to/.venv/bin/starfill"  # as the README calls the program
FOLDER = "/path/to/starfill"  # and a clone of this repository


def block(language: str, with_text: str = "") -> str:
    """The one code block of a language that contains a text."""
    text = (ROOT / "clients/README.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (found,) = [each for each in blocks if with_text in each]
    return str(found)
