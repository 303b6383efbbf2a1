"""A real Emacs with the bundled model and the lines of clients/README.md: in batch mode, and on a terminal screen."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from editors.clients import FOLDER, PATH, ROOT, block
from editors.found import missing, needed
from editors.screen import PATIENCE, STARFILL, private, saved, screen, until

HERE = Path(__file__).parent / "emacs"
PACKAGE = ROOT / "clients/emacs"
WITH_PACKAGE, ALONE = "(require 'starfill)", '("/path'
SOURCE = "import json\n\n\ndef load(größe):\n    with open(größe) as file: return json"


@pytest.fixture(scope="module")
def emacs() -> Path:
    program = needed("emacs")
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"GNU Emacs (\d+)", printed)
    return program if version and int(version[1]) >= 29 else missing("Emacs 29 or later")


def settings(folder: Path, kind: str) -> Path:
    """An init file with the lines that the README has for that."""
    init = folder / "init.el"
    lines = block("elisp", kind).replace(PATH, str(STARFILL)).replace(FOLDER, str(ROOT))
    init.write_text(lines, encoding="utf-8")
    return init


def batch(emacs: Path, folder: Path, *arguments: str | Path) -> str:
    """What Emacs prints."""
    command = [emacs, "-Q", "--batch", *arguments]
    env = private(folder) | {"FOLDER": str(folder)}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=env, cwd=folder, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(("tests", "kind"), [("eglot-test.el", ALONE), ("starfill-test.el", WITH_PACKAGE)])
def test_in_batch_mode(emacs: Path, tmp_path: Path, tests: str, kind: str) -> None:
    init = settings(tmp_path, kind)
    printed = batch(emacs, tmp_path, "-l", init, "-l", HERE / tests, "-f", "ert-run-tests-batch-and-exit")
    assert " 0 unexpected" in printed


def test_the_package_compiles_without_warnings(emacs: Path, tmp_path: Path) -> None:
    copies = [Path(shutil.copy(file, tmp_path)) for file in sorted(PACKAGE.glob("*.el"))]
    assert len(copies) == 3
    files = " ".join(f'"{copy}"' for copy in copies)
    check = f"(progn (require (quote checkdoc)) (mapc (function checkdoc-file) (list {files})))"
    assert batch(emacs, tmp_path, "-L", tmp_path, "-f", "batch-byte-compile", *copies) == ""
    assert batch(emacs, tmp_path, "-L", tmp_path, "--eval", check) == ""


def test_on_a_screen(emacs: Path, tmp_path: Path) -> None:
    file, init = tmp_path / "code.py", settings(tmp_path, WITH_PACKAGE)
    file.write_text(SOURCE, encoding="utf-8")
    with screen(tmp_path, emacs, "-nw", "-Q", "-l", init, "code.py") as it:
        it.until("Starfill")
        until(lambda: "Starfill:" not in it.text, "the model")
        it.keys("M->", ".")
        line = SOURCE.split("\n")[-1] + "."
        row = until(lambda: re.search(rf"^.*{re.escape(line)}\S.*", it.text, re.MULTILINE), "a suggestion")[0]
        before, seen = row.rstrip().split(line)
        until(lambda: it.cursor == len(before + line), "the cursor in front of it")
        assert file.read_text(encoding="utf-8") == SOURCE
        it.keys("Tab", "C-x", "C-s")
        want = f"{SOURCE}.{seen}"
        until(lambda: saved(file).startswith(want), f"this file: {want}")
