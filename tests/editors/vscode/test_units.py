"""The extension's own tests, of its parts without an editor: clients/vscode/test."""

from __future__ import annotations

import os
import subprocess

from editors.found import FOLDER, missing, needed
from editors.vscode.code_server import ROOT

EXTENSION = ROOT / "clients" / "vscode"


def test_the_parts_of_the_extension():
    npm = needed("npm")
    if not (EXTENSION / "node_modules").is_dir():
        missing("what the extension is built with")
    path = os.pathsep.join([str(FOLDER / "bin"), os.environ.get("PATH", os.defpath)])
    command = [npm, "test", "--silent"]
    run = subprocess.run(command, cwd=EXTENSION, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " fail 0\n" in run.stdout, run.stdout
