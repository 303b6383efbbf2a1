"""The kernels under the address sanitizer: nothing is read or written beyond what was handed over."""

from __future__ import annotations

import importlib.machinery
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from starfill.engine.native.library import LIBRARY

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "server" / "starfill" / "engine" / "native"
FLAGS = (
    *("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"),
    *("-fopenmp", "-ffp-contract=off", "-Wno-unknown-pragmas", "-shared", "-fPIC"),
)
# Odd numbers of rows, features and positions, through all functions; whole passes of three architectures.
TESTS = ("native/test_native.py", "models/test_fused.py")
CHOSEN = "attention or activations or (it_computes and (bigcode or qwen2 or starcoder2)) or splits"


def runtime() -> Path:
    """The sanitizer's library for the compiler; a name alone where it has none."""
    found = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip())


@pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux" or shutil.which("cc") is None,
    reason="the kernels are written for x86-64, and built where there is a C compiler",
)
@pytest.mark.skipif("STARFILL_SANITIZED" not in os.environ, reason="takes 40 s: make test-sanitized")
def test_nothing_beyond_what_was_handed_over(tmp_path: Path) -> None:
    if not runtime().is_absolute():
        pytest.skip("the compiler has no address sanitizer")
    library = tmp_path / (LIBRARY + importlib.machinery.EXTENSION_SUFFIXES[0])
    subprocess.run(["cc", *FLAGS, str(SOURCES / "kernels.c"), "-o", str(library)], check=True)
    tests = [str(HERE.parent / name) for name in TESTS]
    command = [sys.executable, HERE / "sanitized.py", tmp_path, *tests, "-k", CHOSEN, "-p", "no:cacheprovider", "-s"]
    environment = os.environ | {
        "LD_PRELOAD": str(runtime()),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python and torch leave memory behind when they end
        "STARFILL_NATIVE": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
