"""VS Code's server (code-server) with the extension installed, in a folder that is everything to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from editors.found import missing, needed
from editors.screen import until
from editors.vscode.record import Records
from editors.vscode.stand_in import wheel

ROOT = Path(__file__).parents[3]
EXTENSION = ROOT / "clients" / "vscode"
PACKAGE = EXTENSION / "dist" / "starfill.vsix"
RECORDER = Path(__file__).with_name("recorder.py")

SETTINGS = {
    "breadcrumbs.enabled": False,
    "chat.disableAIFeatures": True,  # or its welcome pages get in the way
    "editor.accessibilitySupport": "off",
    "editor.fontSize": 15,
    "editor.minimap.enabled": False,
    "editor.wordBasedSuggestions": "off",
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": False,
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "window.autoDetectColorScheme": False,
    "window.commandCenter": False,
    "workbench.activityBar.location": "hidden",
    "workbench.colorTheme": "Dark Modern",
    "workbench.enableExperiments": False,
    "workbench.layoutControl.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
}

TIDY = {
    "key": "ctrl+f12",
    "command": "runCommands",
    "args": {
        "commands": [
            "notifications.clearAll",
            "workbench.action.files.revert",
            "workbench.action.closeAllEditors",
            "workbench.action.closePanel",
        ]
    },
}


def package() -> Path:
    """The extension, built from the sources as they are."""
    sources = [EXTENSION / "package.json", *(EXTENSION / "src").rglob("*.ts")]
    if not PACKAGE.exists() or PACKAGE.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        missing(f"an up-to-date {PACKAGE.relative_to(ROOT)}")
    return PACKAGE


class CodeServer:
    """`folder` must have a short path: it holds sockets."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.records = folder, Records(folder / "records")
        for name in ("bin", "extensions", "home", "records", "sockets"):
            (folder / name).mkdir()
        self.env = {
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PATH": os.pathsep.join([f"{sys.base_prefix}/bin", os.defpath]),  # without a Starfill
            "RECORDS": str(self.records.folder),
            "TMPDIR": str(folder / "sockets"),
            "XDG_RUNTIME_DIR": str(folder / "sockets"),
        }
        self._configure()
        folders = ["--user-data-dir", str(folder / "data"), "--extensions-dir", str(folder / "extensions")]
        self._command = [str(needed("code-server")), *folders]
        self._process: subprocess.Popen[Any] | None = None
        self.address = ""  # once it has started: it chooses the port, since one found free can be taken by then

    def _configure(self) -> None:
        launcher = self.folder / "bin" / "starfill"  # a `starfill` that is recorded
        launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{RECORDER}" "$@"\n')
        launcher.chmod(0o755)
        # Which programs are run is a setting of the machine: VS Code doesn't take it from the user's.
        programs = {"starfill.server.path": str(launcher), "starfill.server.install": str(wheel(self.folder, launcher))}
        for name, content in (
            ("User/settings.json", SETTINGS),
            ("User/keybindings.json", [TIDY]),
            ("Machine/settings.json", programs),
        ):
            file = self.folder / "data" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content), encoding="utf-8")

    def start(self) -> None:
        install = [*self._command, "--install-extension", str(package())]
        installed = subprocess.run(install, env=self.env, capture_output=True, text=True)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        log = self.folder / "code-server.log"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [*self._command, "--bind-addr", "127.0.0.1:0", "--auth", "none", "--disable-getting-started-override"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        listens = until(lambda: re.search(r"listening on http://([\d.:]+)", log.read_text()), "code-server's address")
        self.address = listens[1]
        until(self._healthy, "code-server")

    def stop(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://{self.address}/healthz", timeout=5).status == 200
        return False
