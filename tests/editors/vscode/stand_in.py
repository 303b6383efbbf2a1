"""What VS Code installs in the tests in place of Starfill: a small wheel whose `starfill` runs another program."""

from __future__ import annotations

import zipfile
from pathlib import Path

INFO = "starfill-0.dist-info"


def wheel(folder: Path, program: Path) -> Path:
    path = folder / "starfill-0-py3-none-any.whl"
    run = f"import os, sys\n\n\ndef main():\n    os.execv({str(program)!r}, [{str(program)!r}, *sys.argv[1:]])\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("stand_in.py", run)
        archive.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: starfill\nVersion: 0\n")
        archive.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{INFO}/entry_points.txt", "[console_scripts]\nstarfill = stand_in:main\n")
        archive.writestr(f"{INFO}/RECORD", "")
    return path
