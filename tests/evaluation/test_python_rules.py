"""The refusals of systems without seccomp and Landlock, tried where those exist by switching them off."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no sandbox on Windows")
ROOT = Path(__file__).parents[2] / "server"
WITHOUT_KERNEL = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from starfill.evaluation.sandbox import guard, kernel
kernel.refuse_calls = lambda: False
kernel.write_only_below = lambda folder: False
guard.main()
"""


def error_of(text: str) -> str | None:
    with tempfile.TemporaryDirectory() as scratch:
        order = {"parts": [text], "token": "t", "scratch": scratch, "memory": 1 << 30, "cpu": 2, "file": 1 << 20}
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", WITHOUT_KERNEL],
            input=json.dumps({**order, "site": []}).encode(),
            capture_output=True,
            cwd=scratch,
            env={"TMPDIR": scratch},
            timeout=60,
        )
    answer = json.loads(done.stdout)
    assert sum("in Python only" in each for each in answer["enforced"]) == 2
    assert (answer["token"] == "t") == (answer["error"] is None)
    return answer["error"]


def test_changes_below_the_scratch_folder_are_fine() -> None:
    assert error_of("open('a', 'w').write('b')\nimport os\nos.rename('a', 'c')\nos.remove('c')\nos.mkdir('d')") is None
    assert error_of("open('/dev/null', 'w').write('x'); open('/etc/hosts').read()") is None


def test_changes_elsewhere_are_not(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    for text in (
        f"open({str(kept)!r}, 'w')",
        f"import os; os.open({str(kept)!r}, os.O_RDWR)",
        f"import os; os.remove({str(kept)!r})",
        f"import os; os.rename({str(kept)!r}, 'here')",
        f"import os; os.replace({str(kept)!r}, 'here')",
        f"import os; os.chmod({str(kept)!r}, 0)",
        f"import pathlib; pathlib.Path({str(kept)!r}).unlink()",
        f"import shutil; shutil.rmtree({str(tmp_path)!r})",
        f"import os; os.symlink({str(kept)!r}, 'link'); open('link', 'a')",
        f"import os; os.remove('kept', dir_fd=os.open({str(tmp_path)!r}, os.O_RDONLY))",
        "open('../escaped', 'w')",
    ):
        assert "PermissionError" in str(error_of(text)), text
    assert kept.read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.kill(os.getppid(), 9)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import os; os.execv('/bin/true', ['true'])",
    ],
)
def test_calls(text: str) -> None:
    assert "PermissionError" in str(error_of(text))
