"""How much memory this machine has, without a library: Linux, macOS and Windows."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. available: what a new process can take without swapping; the total if the system doesn't say."""

    total: int
    available: int


def system_memory() -> Memory:
    if sys.platform == "win32":
        return _windows()
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if not MEMINFO.exists():  # macOS
        return Memory(total, total)
    available = available_in(MEMINFO.read_text(encoding="ascii"))
    limit = container_limit(CGROUP)
    return Memory(min(total, limit or total), min(available or total, limit or total))


def available_in(meminfo: str) -> int | None:
    """MemAvailable of Linux's /proc/meminfo (free memory and what its caches can give back), in bytes."""
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def anonymous_memory() -> int | None:
    """The memory of this process that isn't mapped from a file, in bytes; None if the system doesn't say."""
    try:
        status = STATUS.read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^RssAnon:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def container_limit(cgroup: Path) -> int | None:
    """The memory limit of the container that this process runs in (cgroup v2, then v1); None if there is none."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            value = (cgroup / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value.isdigit() and int(value) < 1 << 60:  # v1 writes a huge number for "no limit"
            return int(value)
    return None


def _windows() -> Memory:
    """GlobalMemoryStatusEx; the fields are those of MEMORYSTATUSEX."""

    class Status(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "available", "total_page", "available_page")),
            *((name, ctypes.c_ulonglong) for name in ("total_virtual", "available_virtual", "extended")),
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined, unused-ignore]
    return Memory(int(status.total), int(status.available))
