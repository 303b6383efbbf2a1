"""What model-written code can't do. Each case is code that a model may write, by accident or as a shortcut."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from starfill.errors import SettingsError
from starfill.evaluation.sandbox import run as sandbox
from starfill.evaluation.sandbox.run import Limits, Verdict, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no sandbox on Windows")
SHORT = Limits(cpu=1, clock=20.0)
FORGED = """
import os
for fd in range(3, 200):
    try:
        os.write(fd, b'{"token": "", "error": null, "enforced": []}')
    except OSError:
        pass
os._exit(0)
"""


def code(text: str) -> Verdict:
    return run([text], SHORT)


def test_a_pass_needs_every_part_to_run_to_its_end() -> None:
    assert run(["x = 1", "def check():\n    assert x == 1", "check()"]).passed
    assert run(["x = 1", "assert x == 2, 'not two'"]).error == "AssertionError: not two"
    assert "SyntaxError" in str(run(["x = (", "1"]).error)
    assert not run(["'''", "'''"]).passed  # a string left open doesn't swallow the tests


def test_what_is_enforced_is_said() -> None:
    enforced = " ".join(code("pass").enforced)
    for word in ("network", "processes", "scratch folder", "CPU time 1 s", "file size 16 MiB"):
        assert word in enforced
    if sys.platform == "linux":
        assert "memory 1024 MiB" in enforced


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "import os; os._exit(0)",
        "exit()",
        "raise KeyboardInterrupt",
        "import threading, os; threading.Thread(target=os._exit, args=(0,)).start(); import time; time.sleep(9)",
        "class E(Exception):\n    def __str__(self): raise self\nraise E",
        FORGED,
    ],
)
def test_leaving_before_the_asserts_is_no_pass(text: str) -> None:
    verdict = run([text, "assert True"], SHORT)
    assert verdict.error


@pytest.mark.parametrize(
    "text",
    [
        "while True: pass",
        "def f(): f()\nwhile True:\n    try: f()\n    except RecursionError: pass",
        "import signal\n"
        "for s in range(1, 32):\n"
        "    try: signal.signal(s, lambda *_: None)\n"
        "    except (OSError, ValueError): pass\n"
        "while True:\n"
        "    try:\n"
        "        while True: pass\n"
        "    except BaseException: pass",
    ],
    ids=["loop", "recursion", "swallows signals"],
)
def test_endless_work_ends(text: str) -> None:
    assert code(text).error == "timed out"


@pytest.mark.parametrize(
    "text",
    [
        "import time; time.sleep(60)",
        "import os, time\nfor fd in range(3, 200):\n    try: os.close(fd)\n    except OSError: pass\ntime.sleep(60)",
        "import threading; threading.Lock().acquire(); l = threading.Lock(); l.acquire(); l.acquire()",
    ],
    ids=["sleep", "closes its streams", "deadlock"],
)
def test_waiting_forever_ends(text: str) -> None:
    assert run([text], Limits(cpu=5, clock=0.7)).error == "timed out"


def computed() -> float:
    """Seconds that processes which have ended have computed."""
    import resource  # not on Windows

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def test_a_flood_of_output_is_cut_off() -> None:
    assert code("for _ in range(100_000): print('x' * 100)").passed
    flood = "import os\nfor fd in range(3, 200):\n    try:\n        while True: os.write(fd, bytes(1 << 20))\n"
    before = computed()
    assert run([flood + "    except OSError: pass"], Limits(cpu=5, clock=20.0)).error
    assert computed() - before < 4  # less than it may compute: it isn't its time that is up


@pytest.mark.skipif(sys.platform != "linux", reason="macOS doesn't limit memory")
@pytest.mark.parametrize("text", ["x = bytearray(1 << 33)", "x = [0]\nwhile True: x += x"])
def test_memory_is_limited(text: str) -> None:
    assert str(run([text], Limits(cpu=5, memory=1 << 28)).error).startswith("MemoryError")


@pytest.mark.parametrize(
    "text",
    [
        "import os\nwhile True: os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true') == 0 or 1 / 0",
        "import os; os.execv('/bin/true', ['true'])",
        "import multiprocessing as m; p = m.get_context('fork').Process(target=print); p.start(); p.join()",
    ],
)
def test_no_further_processes(text: str) -> None:
    assert code(text).error


def test_no_network() -> None:
    connect = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)"
    assert "PermissionError" in str(code(connect).error)
    assert code("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))").error
    assert "PermissionError" in str(code("import os; os.kill(os.getppid(), 0)").error)


def test_files_outside_the_scratch_folder_stay(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    (tmp_path / "folder").mkdir()
    mode = kept.stat().st_mode
    for text in (
        f"import os; os.remove({str(kept)!r})",
        f"import shutil; shutil.rmtree({str(tmp_path)!r})",
        f"open({str(kept)!r}, 'w')",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"import os; os.rename({str(kept)!r}, 'here')",
        f"import os; os.truncate({str(kept)!r}, 0)",
        f"import os; os.rmdir({str(tmp_path / 'folder')!r})",
        f"import os; os.chmod({str(kept)!r}, 0)",
        f"import os; os.symlink('/', {str(tmp_path / 'link')!r})",
        f"import os; os.symlink({str(kept)!r}, 'link'); open('link', 'w')",
    ):
        assert code(text).error, text
    assert kept.read_text() == "mine"
    assert kept.stat().st_mode == mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "kept"]


def test_the_scratch_folder_is_there_and_then_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path))
    assert code("open('a', 'w').write('b'); import tempfile; tempfile.NamedTemporaryFile().write(b'c')").passed
    assert "File too large" in str(code("f = open('a', 'wb')\nwhile True: f.write(bytes(1 << 20))").error)
    assert code("import os\nfor _ in range(1050): os.mkdir('d'); os.chdir('d')").passed
    assert list(tmp_path.iterdir()) == []


def test_ordinary_programs_run() -> None:
    for text in (
        "import sys; assert sys.stdin.read() == ''",
        "import threading\nr = []\nt = threading.Thread(target=r.append, args=(1,))\nt.start(); t.join(); assert r",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1",
        "import numpy, math, hashlib, asyncio; assert asyncio.run(asyncio.sleep(0, 1)) == 1",
        "if __name__ == '__main__': raise ValueError",
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",  # left behind
    ):
        assert code(text).error is None, text


def test_nothing_is_left_running() -> None:
    run(["import time; time.sleep(60)"], Limits(cpu=1, clock=0.5))
    running = subprocess.run(["ps", "-axo", "ppid,command"], capture_output=True, text=True, check=True).stdout
    ours = [line for line in running.splitlines() if line.split()[0] == str(os.getpid()) and "guard" in line]
    assert ours == []


def test_windows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.sys, "platform", "win32")
    with pytest.raises(SettingsError, match="WSL"):
        sandbox.check_available()


def test_a_python_that_does_not_start_is_no_failed_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no network" in " ".join(sandbox.check_available())
    monkeypatch.setattr(sandbox.sys, "executable", "/bin/false")
    with pytest.raises(SettingsError, match="can't start /bin/false"):
        sandbox.check_available()
