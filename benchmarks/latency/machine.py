"""What the machine can do, and what a process has taken of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

QUIET = 0.05  # seconds in which a process may use QUIET_CPU of them and still counts as idle
QUIET_CPU = 0.01  # one tick of the clock that counts them
LONGEST = 60.0  # seconds to wait for that

# In a process of its own, which ends: torch's threads would otherwise stay beside those that are measured.
BANDWIDTH = """
import time, torch
numbers = torch.ones(2**28)
def rate():
    began = time.perf_counter()
    numbers.sum()
    return numbers.nbytes / (time.perf_counter() - began) / 1e9
print(max(rate() for _ in range(9)))
"""


def bandwidth() -> float:
    """GB/s at which all cores together read 1 GiB of memory, far more than the caches hold: the best of nine times."""
    done = subprocess.run([sys.executable, "-c", BANDWIDTH], check=True, capture_output=True, text=True)
    return float(done.stdout)


def settle(pid: int) -> None:
    """Waits until a process and its children have nothing left to compute."""
    end = time.monotonic() + LONGEST
    before = _cpu_seconds(pid)
    while time.monotonic() < end:
        time.sleep(QUIET)
        after = _cpu_seconds(pid)
        if after - before <= QUIET_CPU:
            return
        before = after


def peak_bytes(pid: int) -> int:
    """The most memory that a process and its living children have held, with the pages of the files they mapped."""
    return sum(_peak(process) for process in _family(pid))


def described() -> dict[str, object]:
    names = {line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")}
    cpu = names.pop().partition(":")[2].strip() if names else "unknown"
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory_bytes": psutil.virtual_memory().total}


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_seconds(pid: int) -> float:
    times = [process.cpu_times() for process in _family(pid)]
    return sum(each.user + each.system for each in times)


def _peak(process: psutil.Process) -> int:
    for line in _lines(Path(f"/proc/{process.pid}/status")):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
