"""Whether a file is still the same."""

from __future__ import annotations

from pathlib import Path


def stamp(file: Path) -> str:
    """Changes with the contents of a file. It isn't a hash: reading 9 GB would take 10 s."""
    stat = file.stat()
    return f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
