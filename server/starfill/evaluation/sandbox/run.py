"""Runs code that nobody has read, and reports whether it ran to its end.

Each run is a process of its own with limits on time, memory, files and output, without network and further processes
(`guard.py` sets that up, and reports what this system enforces), in a scratch folder that is removed afterwards. This
is for code that a model wrote: it stops accidents, not an attacker who knows the kernel better than we do.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starfill.errors import SettingsError

ROOT = Path(__file__).parents[3]  # the folder that contains the package
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from starfill.evaluation.sandbox.guard import main; main()"
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # variables that Python itself may need to start
ANSWER_BYTES = 1 << 16  # more than a guard ever writes


@dataclass(frozen=True, slots=True)
class Limits:
    """cpu: whole seconds of CPU time. clock: seconds. memory: bytes of address space. file: bytes of each file."""

    cpu: int = 3
    clock: float = 10.0
    memory: int = 1 << 30
    file: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """error: None if the code ran to its end, else what stopped it. enforced: the limits that were
    in force, in words.
    """

    error: str | None
    enforced: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.error is None


def check_available() -> tuple[str, ...]:
    """What the sandbox enforces here, in words. Raises SettingsError if it can't run anything."""
    if sys.platform == "win32":
        raise SettingsError("--run-code needs Linux or macOS: on Windows, run this command inside WSL")
    verdict = run(["import math"], Limits(clock=60.0))
    if not verdict.passed:
        raise SettingsError(f"--run-code: the sandbox can't start {sys.executable} ({verdict.error})")
    return verdict.enforced


def run(parts: Sequence[str], limits: Limits = Limits()) -> Verdict:
    """Run pieces of Python source one after the other in one module, in a process of its own. Thread-safe.

    To pass, the process has to return a token that is only available after the last part, so leaving early is no pass.
    """
    scratch = tempfile.mkdtemp(prefix="starfill-run-")
    token = secrets.token_hex(16)
    order = {
        "parts": list(parts),
        "token": token,
        "scratch": scratch,
        "memory": limits.memory,
        "cpu": limits.cpu,
        "file": limits.file,
        "site": sorted({sysconfig.get_path(kind) for kind in ("purelib", "platlib")}),
    }
    try:
        return _verdict(*_talk(json.dumps(order).encode(), scratch, limits.clock), token)
    finally:
        _remove(scratch)


def _talk(order: bytes, scratch: str, seconds: float) -> tuple[bytes, int | None]:
    """What the process wrote (not much more than ANSWER_BYTES), and its exit status; None if it ran out of time."""
    deadline = time.monotonic() + seconds
    process = subprocess.Popen(
        # Isolated, without the start-up code of site packages, without bytecode: quick, and the same on every machine.
        [sys.executable, "-I", "-S", "-B", "-c", START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env={name: os.environ[name] for name in PASSED_ON if name in os.environ}
        | {"HOME": scratch, "TMPDIR": scratch, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    answer, late = b"", False
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(order)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        descriptor = process.stdout.fileno()
        while len(answer) <= ANSWER_BYTES:
            ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
            late = not ready
            piece = os.read(descriptor, ANSWER_BYTES) if ready else b""
            if not piece:
                break
            answer += piece
        if not late and len(answer) <= ANSWER_BYTES:  # it closed its stream, and may still be running
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.1))
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return answer, None if late else process.returncode


def _verdict(answer: bytes, status: int | None, token: str) -> Verdict:
    try:
        told = json.loads(answer)
        enforced, proof, error = tuple(told["enforced"]), told["token"], told["error"]
    except (ValueError, KeyError, TypeError):
        return Verdict(_ending(status))
    if proof == token:
        return Verdict(None, enforced)
    return Verdict(str(error) if error else _ending(status), enforced)


def _ending(status: int | None) -> str:
    if status is None or status == -signal.SIGKILL or status == -signal.SIGXCPU:
        return "timed out"
    return f"killed by signal {-status}" if status < 0 else f"left with status {status} before its end"


def _remove(folder: str) -> None:
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):  # endless folders, or unreadable ones
        subprocess.run(["chmod", "-R", "u+rwx", folder], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["rm", "-rf", folder], stderr=subprocess.DEVNULL, check=False)
