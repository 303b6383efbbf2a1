"""The same restrictions as in `kernel`, with Python's audit hooks, where the kernel has none: macOS, old Linux, odd
machines.

They stop what Python code does by accident. Code that calls the system through ctypes gets past them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROCESSES = frozenset(
    {"os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "subprocess.Popen", "pty.spawn"}
)
NETWORK = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"})
# Event -> which of its arguments are paths, and which one is a folder's descriptor (None: none is).
CHANGES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "os.remove": ((0,), (1,)),
    "os.rmdir": ((0,), (1,)),
    "os.mkdir": ((0,), (2,)),
    "os.rename": ((0, 1), (2, 3)),
    "os.link": ((0, 1), (2, 3)),
    "os.symlink": ((1,), (2,)),
    "os.truncate": ((0,), ()),
    "os.chmod": ((0,), (2,)),
    "os.chown": ((0,), (3,)),
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

AuditRule = Callable[[str, tuple[Any, ...]], bool]


def refuse(rules: list[AuditRule]) -> None:
    """From now on, everything for which a rule returns True raises PermissionError. This can't be undone."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if any(rule(event, arguments) for rule in rules):
            raise PermissionError(f"{event} is not allowed in the sandbox")

    sys.addaudithook(hook)


def calls(event: str, arguments: tuple[Any, ...]) -> bool:
    """Processes, signals to others, and the network."""
    if event in ("os.kill", "os.killpg"):
        return bool(arguments[0] != os.getpid())
    return event in PROCESSES or event in NETWORK


def changes_outside(folder: Path) -> AuditRule:
    """Changes to files that aren't below `folder`."""
    home = os.path.realpath(folder)
    real, join, none = os.path.realpath, os.path.join, os.devnull  # the foreign code may replace them

    def outside(path: Any) -> bool:
        if isinstance(path, int):  # a descriptor, whose opening was allowed
            return False
        found = real(os.fsdecode(path))
        return found != none and found != home and not found.startswith(join(home, ""))

    def rule(event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            return bool(arguments[2] & WRITES) and outside(arguments[0])
        if event not in CHANGES:
            return False
        paths, folders = CHANGES[event]
        # If a path is relative to a descriptor's folder, Python doesn't say which folder that is.
        return any(arguments[at] != -1 for at in folders) or any(outside(arguments[at]) for at in paths)

    return rule
