"""Where the editors are: those of `make editors` first, then those on PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("STARFILL_EDITORS") or Path.home() / ".cache" / "starfill-editors")


def program(name: str) -> Path | None:
    """`name` as on a command line: nvim, nvim-0.10, hx, emacs, vim, tmux, fish, node, code-server, chromium."""
    found = shutil.which(name, path=os.pathsep.join([str(FOLDER / "bin"), os.environ.get("PATH", os.defpath)]))
    return Path(found) if found else None


def needed(name: str) -> Path:
    """The program, or the test is skipped; where STARFILL_EDITORS_REQUIRED is set (in CI), it fails."""
    return program(name) or missing(name)


def missing(what: str) -> Path:
    end = pytest.fail if os.environ.get("STARFILL_EDITORS_REQUIRED") else pytest.skip
    end(f"{what} isn't here: run make editors")
